package org_test

import (
	"fmt"
	"testing"

	"github.com/kagimori/kagimori/internal/api/organizationsapi"
	"github.com/kagimori/kagimori/internal/apierr"
)

// Statements that deny by resource or condition key take effect on the one request and not on the
// other.
func TestDenialsByWhatIsMadeOrTagged(t *testing.T) {
	w := newWorld(t)
	m := w.manager()
	m.enable(rcp)
	tags := func(value string) []organizationsapi.Tag {
		return []organizationsapi.Tag{{Key: new("team"), Value: &value}}
	}
	made := func(kind, name, team string) *organizationsapi.CreatePolicyRequest {
		in := newPolicy(kind, name, statement("Deny", "kms:DeleteAlias"))
		if kind == rcp {
			in = newPolicy(kind, name, denyAll("kms:DeleteAlias"))
		}
		in.Tags = tags(team)
		return in
	}
	account := func(name, team string) *organizationsapi.CreateAccountRequest {
		return &organizationsapi.CreateAccountRequest{Email: sensitive(name + "@example.com"), AccountName: sensitive(name), Tags: tags(team)}
	}
	limit := m.policy(rcp, "limit", denyAll("kms:*"))
	service := m.policy(scp, "service", statement("Deny", "kms:*"))
	const of = `"Resource":"*","Condition":{"StringEquals":{"%s":"%s"}}`
	tests := []struct {
		name, action, on string
		denied, other    any
	}{
		{"policies of a type", "CreatePolicy", `"Resource":"arn:aws:organizations::*:policy/*/resource_control_policy/*"`, made(rcp, "a", "red"), made(scp, "a", "red")},
		{"policies of the form", "CreatePolicy", `"Resource":"arn:aws:organizations::*:policy/o-*/service_control_policy/p-*"`, made(scp, "b", "red"), made(rcp, "b", "red")},
		{"policies with a tag", "CreatePolicy", fmt.Sprintf(of, "aws:ResourceTag/team", "red"), made(scp, "c", "red"), made(scp, "c", "blue")},
		{"accounts with a tag", "CreateAccount", fmt.Sprintf(of, "aws:ResourceTag/team", "red"), account("c", "red"), account("c", "blue")},
		{"tags of a type of policy", "TagResource", fmt.Sprintf(of, "organizations:PolicyType", rcp),
			&organizationsapi.TagResourceRequest{ResourceId: &limit, Tags: tags("x")}, &organizationsapi.TagResourceRequest{ResourceId: &service, Tags: tags("x")}},
		{"removal of them", "UntagResource", fmt.Sprintf(of, "organizations:PolicyType", rcp),
			&organizationsapi.UntagResourceRequest{ResourceId: &limit, TagKeys: []string{"x"}}, &organizationsapi.UntagResourceRequest{ResourceId: new(rootID), TagKeys: []string{"x"}}},
		{"list of them", "ListTagsForResource", fmt.Sprintf(of, "organizations:PolicyType", scp),
			&organizationsapi.ListTagsForResourceRequest{ResourceId: new("p-FullAWSAccess")}, &organizationsapi.ListTagsForResourceRequest{ResourceId: &limit}},
	}
	for n, tt := range tests {
		user := &who{w, w.User(management, fmt.Sprint("denied-", n), document(`{"Effect":"Allow","Action":"*","Resource":"*"}`,
			`{"Effect":"Deny","Action":"organizations:`+tt.action+`",`+tt.on+`}`))}
		if _, err := user.do(tt.denied); apierr.Code(err) != "AccessDeniedException" {
			t.Errorf("%s: %v", tt.name, err)
		}
		if _, err := user.do(tt.other); err != nil {
			t.Errorf("%s: the other request: %v", tt.name, err)
		}
	}
}
