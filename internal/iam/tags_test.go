package iam_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/api/iamapi"
)

func tagList(pairs ...string) []iamapi.Tag {
	var out []iamapi.Tag
	for _, p := range pairs {
		k, v, _ := strings.Cut(p, "=")
		out = append(out, iamapi.Tag{Key: &k, Value: &v})
	}
	return out
}

func tagText(tags []iamapi.Tag) string {
	var b strings.Builder
	for _, t := range tags {
		fmt.Fprintf(&b, "%s=%s ", *t.Key, *t.Value)
	}
	return strings.TrimSpace(b.String())
}

func TestTags(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	a.createRole("r")
	a.must(&iamapi.CreateUserRequest{UserName: new("u")})
	p := a.createPolicy("p")
	a.must(&iamapi.CreateServiceLinkedRoleRequest{AWSServiceName: new("autoscaling.amazonaws.com")})
	linked := new("AWSServiceRoleForAutoScaling")
	for _, tt := range []struct {
		what  string
		tag   func([]iamapi.Tag) any
		untag func(...string) any
		list  func() []iamapi.Tag
	}{
		{"role",
			func(l []iamapi.Tag) any { return &iamapi.TagRoleRequest{RoleName: new("r"), Tags: l} },
			func(k ...string) any { return &iamapi.UntagRoleRequest{RoleName: new("r"), TagKeys: k} },
			func() []iamapi.Tag {
				return get[iamapi.ListRoleTagsResponse](a, &iamapi.ListRoleTagsRequest{RoleName: new("r")}).Tags
			}},
		{"service-linked role",
			func(l []iamapi.Tag) any { return &iamapi.TagRoleRequest{RoleName: linked, Tags: l} },
			func(k ...string) any { return &iamapi.UntagRoleRequest{RoleName: linked, TagKeys: k} },
			func() []iamapi.Tag {
				return get[iamapi.ListRoleTagsResponse](a, &iamapi.ListRoleTagsRequest{RoleName: linked}).Tags
			}},
		{"user",
			func(l []iamapi.Tag) any { return &iamapi.TagUserRequest{UserName: new("u"), Tags: l} },
			func(k ...string) any { return &iamapi.UntagUserRequest{UserName: new("u"), TagKeys: k} },
			func() []iamapi.Tag {
				return get[iamapi.ListUserTagsResponse](a, &iamapi.ListUserTagsRequest{UserName: new("u")}).Tags
			}},
		{"policy",
			func(l []iamapi.Tag) any { return &iamapi.TagPolicyRequest{PolicyArn: &p, Tags: l} },
			func(k ...string) any { return &iamapi.UntagPolicyRequest{PolicyArn: &p, TagKeys: k} },
			func() []iamapi.Tag {
				return get[iamapi.ListPolicyTagsResponse](a, &iamapi.ListPolicyTagsRequest{PolicyArn: &p}).Tags
			}},
	} {
		t.Run(tt.what, func(t *testing.T) {
			a.must(tt.tag(tagList("Team=blue", "env=test")))
			a.must(tt.tag(tagList("team=red", "cost=1")))
			if got := tagText(tt.list()); got != "cost=1 env=test team=red" {
				t.Errorf("tags: %s", got)
			}
			a.must(tt.untag("ENV", "unknown"))
			if got := tagText(tt.list()); got != "cost=1 team=red" {
				t.Errorf("after untagging: %s", got)
			}
			a.refused(tt.tag(tagList("a=1", "A=2")), 400, "InvalidInput", "Duplicate tag keys found. Please note that Tag keys are case insensitive.")
			a.refused(tt.tag(tagList("aws:x=1")), 400, "InvalidInput", "reserved")
			var many []string
			for i := range 49 {
				many = append(many, fmt.Sprintf("k%d=v", i))
			}
			a.refused(tt.tag(tagList(many...)), 409, "LimitExceeded", "TagsPerResource: 50")
		})
	}
}

func TestListTagsPagesInOrder(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	a.createRole("r")
	a.must(&iamapi.TagRoleRequest{RoleName: new("r"), Tags: tagList(strings.Repeat("鍵", 128)+"=1", "b=2", "a=3")})
	in := &iamapi.ListRoleTagsRequest{RoleName: new("r"), MaxItems: new(int32(1))}
	var values []string
	for range 3 {
		out := get[iamapi.ListRoleTagsResponse](a, in)
		values = append(values, *out.Tags[0].Value)
		in.Marker = out.Marker
	}
	if got := strings.Join(values, " "); got != "3 2 1" || in.Marker != nil {
		t.Errorf("got %s, then marker %v", got, in.Marker)
	}
}
