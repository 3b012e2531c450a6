package kms_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/trail"
)

// Who may retire a grant that account other made on a key of owner. Source: KMS Developer Guide,
// "Retiring and revoking grants".
func TestWhoMayRetire(t *testing.T) {
	w := newWorld(t)
	key := exampleTwo(w, "")
	issuer := w.user(other, "issuer", iam(key, "kms:CreateGrant"))
	retiring, grantee := w.user(third, "retiring"), w.user(third, "grantee")
	delegate := w.user(other, "delegate", iam(key, "kms:RetireGrant"))
	owners := w.user(owner, "owners", iam(key, "kms:*"))
	tests := map[string]struct {
		c          *who
		operations []string
		retiring   string
		allowed    bool
	}{
		"retiring principal":           {retiring, []string{"Decrypt"}, retiring.arn(), true},
		"no retiring principal":        {retiring, []string{"Decrypt"}, "", false},
		"grantee with RetireGrant":     {grantee, []string{"Decrypt", "RetireGrant"}, "", true},
		"grantee without RetireGrant":  {grantee, []string{"Decrypt"}, "", false},
		"account that made it":         {w.root(other), []string{"Decrypt"}, "", true},
		"its delegate":                 {delegate, []string{"Decrypt"}, "", true},
		"its user without permission":  {issuer, []string{"Decrypt"}, "", false},
		"owner of the key":             {w.root(owner), []string{"Decrypt"}, "", false},
		"administrator of the key":     {owners, []string{"Decrypt"}, "", false},
		"retiring account":             {w.root(third), []string{"Decrypt"}, arn.Root(third), true},
		"user of the retiring account": {retiring, []string{"Decrypt"}, arn.Root(third), false},
	}
	for name, tt := range tests {
		w.run(name, func(t *testing.T) {
			in := &kmsapi.CreateGrantRequest{KeyId: &key, GranteePrincipal: new(grantee.arn()), Operations: tt.operations}
			if tt.retiring != "" {
				in.RetiringPrincipal = &tt.retiring
			}
			byToken, byID := issuer.grant(in), issuer.grant(in)
			for _, err := range []error{
				tt.c.try(&kmsapi.RetireGrantRequest{GrantToken: byToken.GrantToken}),
				tt.c.try(&kmsapi.RetireGrantRequest{KeyId: &key, GrantId: byID.GrantId}),
			} {
				if tt.allowed && err != nil {
					t.Error(err)
				} else if !tt.allowed {
					wantErr(t, err, "AccessDeniedException", "*")
				}
			}
			left := 0
			for _, g := range w.root(owner).grants(key) {
				if *g.GrantId == *byToken.GrantId || *g.GrantId == *byID.GrantId {
					left++
				}
			}
			if want := map[bool]int{true: 0, false: 2}[tt.allowed]; left != want {
				t.Errorf("%d of the grants are left, want %d", left, want)
			}
		})
	}
}

func TestEndingGrantsRefuses(t *testing.T) {
	w := newWorld(t)
	f := newFixture(w, "Enabled")
	f.root.must(&kmsapi.RevokeGrantRequest{KeyId: &f.key, GrantId: &f.grant})
	unknown := strings.Repeat("0", 64)
	const identifiers = "Grant token OR (grant ID, key ID) must be specified"
	token := f.root.grant(&kmsapi.CreateGrantRequest{KeyId: &f.key, GranteePrincipal: &f.user, Operations: []string{"Decrypt"}})
	f.root.must(&kmsapi.RetireGrantRequest{GrantToken: token.GrantToken})
	tests := map[string]struct {
		in            any
		code, message string
	}{
		"revoke again":         {&kmsapi.RevokeGrantRequest{KeyId: &f.key, GrantId: &f.grant}, "NotFoundException", "*"},
		"revoke unknown":       {&kmsapi.RevokeGrantRequest{KeyId: &f.key, GrantId: &unknown}, "NotFoundException", "*"},
		"revoke by name":       {&kmsapi.RevokeGrantRequest{KeyId: &f.key, GrantId: new("name")}, "InvalidGrantIdException", ""},
		"revoke on other key":  {&kmsapi.RevokeGrantRequest{KeyId: &f.spare, GrantId: &f.grant}, "NotFoundException", "*"},
		"retire again":         {&kmsapi.RetireGrantRequest{GrantToken: token.GrantToken}, "NotFoundException", "*"},
		"retire unknown":       {&kmsapi.RetireGrantRequest{KeyId: &f.key, GrantId: &unknown}, "NotFoundException", "*"},
		"retire bad id":        {&kmsapi.RetireGrantRequest{KeyId: &f.key, GrantId: new("x")}, "InvalidGrantIdException", ""},
		"retire nothing":       {&kmsapi.RetireGrantRequest{}, "ValidationException", identifiers},
		"retire without grant": {&kmsapi.RetireGrantRequest{KeyId: &f.key}, "ValidationException", identifiers},
		"retire without key":   {&kmsapi.RetireGrantRequest{GrantId: &f.grant}, "ValidationException", identifiers},
		"retire by both":       {&kmsapi.RetireGrantRequest{KeyId: &f.key, GrantId: &f.grant, GrantToken: token.GrantToken}, "ValidationException", identifiers},
	}
	for name, tt := range tests {
		w.run(name, func(t *testing.T) { wantErr(t, f.root.try(tt.in), tt.code, tt.message) })
	}
}

// Revoking by the owner ends it for the other account at once (S34).
func TestRevoke(t *testing.T) {
	w := newWorld(t)
	role := w.autoScaling(other)
	key := exampleTwo(w, "")
	requester := w.user(other, "r", iam(key, "kms:CreateGrant", "kms:RevokeGrant", "kms:ListGrants"))
	grant := requester.grant(seedGrant(key, role))
	slr := w.session(role, "AutoScaling")
	in := &kmsapi.DescribeKeyRequest{KeyId: &key}
	slr.must(in)
	wantHidden(t, requester.try(&kmsapi.RevokeGrantRequest{KeyId: &key, GrantId: grant.GrantId}), requester, "kms:RevokeGrant")
	w.root(owner).must(&kmsapi.RevokeGrantRequest{KeyId: &key, GrantId: grant.GrantId})
	wantErr(t, slr.try(in), "AccessDeniedException", "*")
	for _, bucket := range []string{"kms/grant", "kms/grantee", "kms/retiring", "kms/grantname"} {
		if n := w.size(bucket); n != 0 {
			t.Errorf("%s still has %d records", bucket, n)
		}
	}
	requester.grant(seedGrant(key, role))
	slr.must(in)
}

func TestListGrantsFilters(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	key := root.newKey()
	a, b := w.user(owner, "a"), w.user(owner, "b")
	var ids []string
	for _, u := range []*who{a, a, b} {
		ids = append(ids, *root.grant(&kmsapi.CreateGrantRequest{KeyId: &key, GranteePrincipal: new(u.arn()), Operations: []string{"Decrypt"}, Name: new("n")}).GrantId)
	}
	if ids[0] != ids[1] {
		t.Fatal("the named grant was made twice")
	}
	list := func(in kmsapi.ListGrantsRequest) (got []string) {
		t.Helper()
		in.KeyId = &key
		for _, g := range get[kmsapi.ListGrantsResponse](root, &in).Grants {
			got = append(got, *g.GrantId)
		}
		return got
	}
	all := list(kmsapi.ListGrantsRequest{})
	if len(all) != 2 || !slices.Contains(all, ids[0]) || !slices.Contains(all, ids[2]) {
		t.Errorf("all: %v", all)
	}
	if d := cmp.Diff([]string{ids[2]}, list(kmsapi.ListGrantsRequest{GranteePrincipal: new(b.arn())})); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{ids[0]}, list(kmsapi.ListGrantsRequest{GrantId: &ids[0]})); d != "" {
		t.Error(d)
	}
	if got := list(kmsapi.ListGrantsRequest{GrantId: &ids[0], GranteePrincipal: new(b.arn())}); got != nil {
		t.Errorf("both filters: %v", got)
	}
	if got := list(kmsapi.ListGrantsRequest{GrantId: new(strings.Repeat("0", 64))}); got != nil {
		t.Errorf("a grant that is not there: %v", got)
	}
	wantErr(t, root.try(&kmsapi.ListGrantsRequest{KeyId: &key, GrantId: new("name")}), "InvalidGrantIdException", "")
	wantErr(t, root.try(&kmsapi.ListGrantsRequest{KeyId: &key, GranteeServicePrincipal: new("ebs.amazonaws.com")}), "ValidationException", "*")
}

func TestListRetirableGrants(t *testing.T) {
	w := newWorld(t)
	role := w.role(other, "/", "app")
	session := arn.Session(other, "app", "s")
	a, b := w.root(owner), w.root(third)
	var want []string
	for _, root := range []*who{a, b, a} {
		key := root.newKey()
		want = append(want, *root.grant(&kmsapi.CreateGrantRequest{KeyId: &key, GranteePrincipal: new(arn.Root(other)), RetiringPrincipal: new(role.ARN()), Operations: []string{"Decrypt"}}).GrantId)
		root.grant(&kmsapi.CreateGrantRequest{KeyId: &key, GranteePrincipal: new(arn.Root(other)), RetiringPrincipal: &session, Operations: []string{"Decrypt"}})
		root.grant(&kmsapi.CreateGrantRequest{KeyId: &key, GranteePrincipal: new(role.ARN()), Operations: []string{"Decrypt"}})
	}
	lister := w.user(other, "lister", iam("*", "kms:ListRetirableGrants"))
	var got []string
	in := &kmsapi.ListRetirableGrantsRequest{RetiringPrincipal: new(role.ARN()), Limit: new(int32(2))}
	for {
		out := get[kmsapi.ListGrantsResponse](lister, in)
		for _, g := range out.Grants {
			got = append(got, *g.GrantId)
		}
		if !*out.Truncated {
			break
		}
		in.Marker = out.NextMarker
	}
	slices.Sort(want)
	slices.Sort(got)
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	nobody := w.user(other, "nobody")
	who := role.ARN()
	wantErr(t, nobody.try(&kmsapi.ListRetirableGrantsRequest{RetiringPrincipal: &who}), "AccessDeniedException", "*")
	wantErr(t, lister.try(&kmsapi.ListRetirableGrantsRequest{RetiringPrincipal: new(arn.Role(other, "/", "none"))}), "InvalidArnException", "*")
	wantErr(t, lister.try(&kmsapi.ListRetirableGrantsRequest{RetiringPrincipal: new("app")}), "InvalidArnException", "*")
	wantErr(t, w.root(owner).try(&kmsapi.ListRetirableGrantsRequest{RetiringPrincipal: &who}), "AccessDeniedException", "*")
}

// What the trail keeps of a grant: its id, never its token.
func TestGrantRecords(t *testing.T) {
	w := newWorld(t)
	f := newFixture(w, "Enabled")
	out := f.root.grant(&kmsapi.CreateGrantRequest{KeyId: &f.key, GranteePrincipal: &f.user, Operations: []string{"Decrypt"}})
	f.root.must(&kmsapi.RetireGrantRequest{GrantToken: out.GrantToken})
	made := w.records(trail.Filter{EventName: "CreateGrant"})[0]
	if !strings.Contains(string(made.ResponseElements), *out.GrantId) || !strings.Contains(string(made.ResponseElements), `"keyId":"`+f.key+`"`) || !strings.Contains(string(made.RequestParameters), f.user) {
		t.Errorf("CreateGrant: %s %s", made.RequestParameters, made.ResponseElements)
	}
	ended := w.records(trail.Filter{EventName: "RetireGrant"})[0]
	if ended.AdditionalEventData.Get("grantId") != *out.GrantId || len(ended.Resources) != 1 || ended.Resources[0].ARN != f.key {
		t.Errorf("RetireGrant: %+v", ended)
	}
	for _, r := range []trail.Record{made, ended} {
		if strings.Contains(string(r.RequestParameters)+string(r.ResponseElements), *out.GrantToken) {
			t.Errorf("%s shows the token", r.EventName)
		}
	}
}
