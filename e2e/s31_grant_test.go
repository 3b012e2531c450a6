package e2e_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/kagimori/kagimori/e2e/internal/seed"
)

// The limit of 50,000 grants for a key is tested in package kms; so many take too long here.

// grant makes a grant and gives its id and token.
func (c *client) grant(t *testing.T, in kms.CreateGrantInput) *kms.CreateGrantOutput {
	t.Helper()
	return must(c.kms.CreateGrant(t.Context(), &in))(t)
}

// has reports whether a key still has a grant.
func (c *client) has(t *testing.T, key, grant string) bool {
	t.Helper()
	return slices.ContainsFunc(c.grants(t, key), func(g kmstypes.GrantListEntry) bool { return *g.GrantId == grant })
}

func subset(pairs ...string) *kmstypes.GrantConstraints {
	return &kmstypes.GrantConstraints{EncryptionContextSubset: pairsOf(pairs)}
}

func equals(pairs ...string) *kmstypes.GrantConstraints {
	return &kmstypes.GrantConstraints{EncryptionContextEquals: pairsOf(pairs)}
}

func pairsOf(list []string) map[string]string {
	out := map[string]string{}
	for i := 0; i < len(list); i += 2 {
		out[list[i]] = list[i+1]
	}
	return out
}

func TestS31_AChildGrantGivesNoMoreThanItsParent(t *testing.T) {
	t.Parallel()
	type limit = kmstypes.GrantConstraints
	ops := func(o ...kmstypes.GrantOperation) []kmstypes.GrantOperation { return o }
	for name, tt := range map[string]struct {
		parent, child   []kmstypes.GrantOperation
		parentL, childL *limit
		ok              bool
	}{
		"fewer operations":        {ops("Decrypt", "Encrypt", "CreateGrant"), ops("Decrypt"), nil, nil, true},
		"the same operations":     {ops("Decrypt", "CreateGrant"), ops("Decrypt", "CreateGrant"), nil, nil, true},
		"another operation":       {ops("Encrypt", "CreateGrant"), ops("Decrypt"), nil, nil, false},
		"CreateGrant was not in":  {ops("Decrypt"), ops("Decrypt"), nil, nil, false},
		"the constraint is kept":  {ops("Decrypt", "CreateGrant"), ops("Decrypt"), subset("a", "1"), subset("a", "1"), true},
		"a tighter constraint":    {ops("Decrypt", "CreateGrant"), ops("Decrypt"), subset("a", "1"), subset("a", "1", "b", "2"), true},
		"an exact constraint":     {ops("Decrypt", "CreateGrant"), ops("Decrypt"), subset("a", "1"), equals("a", "1"), true},
		"the constraint is lost":  {ops("Decrypt", "CreateGrant"), ops("Decrypt"), subset("a", "1"), nil, false},
		"another constraint":      {ops("Decrypt", "CreateGrant"), ops("Decrypt"), subset("a", "1"), subset("a", "2"), false},
		"a looser constraint":     {ops("Decrypt", "CreateGrant"), ops("Decrypt"), equals("a", "1"), subset("a", "1"), false},
		"a constraint of its own": {ops("Decrypt", "CreateGrant"), ops("Decrypt"), nil, equals("a", "1"), true},
	} {
		t.Run(name, func(t *testing.T) {
			owner := admin(t)
			other := adminOf(owner.url, seed.NewAccount())
			parent, child := other.user(t, "parent"), other.user(t, "child")
			key := owner.key(t, "")
			owner.grant(t, kms.CreateGrantInput{KeyId: &key, GranteePrincipal: new(parent.arn(t)), Operations: tt.parent, Constraints: tt.parentL})
			in := &kms.CreateGrantInput{KeyId: &key, GranteePrincipal: new(child.arn(t)), Operations: tt.child, Constraints: tt.childL}
			out, err := parent.kms.CreateGrant(t.Context(), in)
			if !tt.ok {
				refused(out, err)(t, "AccessDeniedException", parent.arn(t), "kms:CreateGrant", hidden)
				if n := len(owner.grants(t, key)); n != 1 {
					t.Errorf("there are %d grants, want the parent alone", n)
				}
				return
			}
			must(out, err)(t)
			all := owner.grants(t, key)
			if i := slices.IndexFunc(all, func(g kmstypes.GrantListEntry) bool { return *g.GrantId == *out.GrantId }); i < 0 || str(all[i].IssuingAccount) != seed.Root(other.account) {
				t.Errorf("the child is not among %+v", all)
			}
		})
	}
}

func TestS31_AConstraintLimitsUse(t *testing.T) {
	c := admin(t)
	u := c.user(t, "grantee")
	key := c.key(t, "")
	c.grant(t, kms.CreateGrantInput{KeyId: &key, GranteePrincipal: new(u.arn(t)), Constraints: subset("volume", "1"),
		Operations: []kmstypes.GrantOperation{"Encrypt", "Decrypt", "DescribeKey"}})
	in := &kms.EncryptInput{KeyId: &key, Plaintext: []byte("x")}
	for _, context := range []map[string]string{nil, {"volume": "2"}, {"Volume": "1"}} {
		in.EncryptionContext = context
		out, err := u.kms.Encrypt(t.Context(), in)
		refused(out, err)(t, "AccessDeniedException", "kms:Encrypt")
	}
	for _, context := range []map[string]string{{"volume": "1"}, {"volume": "1", "more": "2"}} {
		in.EncryptionContext = context
		enc := must(u.kms.Encrypt(t.Context(), in))(t)
		dec := must(u.kms.Decrypt(t.Context(), &kms.DecryptInput{CiphertextBlob: enc.CiphertextBlob, EncryptionContext: context}))(t)
		if !bytes.Equal(dec.Plaintext, in.Plaintext) {
			t.Errorf("Decrypt gives %q", dec.Plaintext)
		}
	}
	must(u.kms.DescribeKey(t.Context(), &kmsDescribe{KeyId: &key}))(t) // it has no context
}

func TestS31_AGrantTokenIsTakenAndGivesNoRightByItself(t *testing.T) {
	c := admin(t)
	u, thief := c.user(t, "grantee"), c.user(t, "thief")
	key := c.key(t, "")
	token := *c.grant(t, kms.CreateGrantInput{
		KeyId: &key, GranteePrincipal: new(u.arn(t)), Operations: []kmstypes.GrantOperation{"Encrypt", "GenerateDataKey"},
	}).GrantToken
	in := &kms.EncryptInput{KeyId: &key, Plaintext: []byte("x"), GrantTokens: []string{token}}
	must(u.kms.Encrypt(t.Context(), in))(t) // at once
	in.GrantTokens = nil
	must(u.kms.Encrypt(t.Context(), in))(t) // here a grant is consistent from the start
	in.GrantTokens = []string{token}
	out, err := thief.kms.Encrypt(t.Context(), in)
	refused(out, err)(t, "AccessDeniedException", thief.arn(t), "kms:Encrypt")
	in.GrantTokens = []string{token[:len(token)-4] + "AAAA"}
	out, err = u.kms.Encrypt(t.Context(), in)
	refused(out, err)(t, "InvalidGrantTokenException")
	// ListGrants never tells it.
	for _, g := range c.grants(t, key) {
		if str(g.GrantId) == token {
			t.Error("ListGrants shows the token")
		}
	}
}

func TestS31_WhoMayRetireAGrantAndWhoMayRevokeIt(t *testing.T) {
	t.Parallel()
	type people struct {
		example2
		retiring, issuer *client
		made             *kms.CreateGrantOutput
	}
	retire := func(c *client, in kms.RetireGrantInput) func(*testing.T) (any, error) {
		return func(t *testing.T) (any, error) { return c.kms.RetireGrant(t.Context(), &in) }
	}
	revoke := func(c *client, p people) func(*testing.T) (any, error) {
		return func(t *testing.T) (any, error) {
			return c.kms.RevokeGrant(t.Context(), &kms.RevokeGrantInput{KeyId: &p.key, GrantId: p.made.GrantId})
		}
	}
	byID := func(p people) kms.RetireGrantInput {
		return kms.RetireGrantInput{KeyId: &p.key, GrantId: p.made.GrantId}
	}
	for name, tt := range map[string]struct {
		call func(people) func(*testing.T) (any, error)
		ok   bool
	}{
		"the retiring principal by token": {func(p people) func(*testing.T) (any, error) {
			return retire(p.retiring, kms.RetireGrantInput{GrantToken: p.made.GrantToken})
		}, true},
		"the retiring principal by id": {func(p people) func(*testing.T) (any, error) { return retire(p.retiring, byID(p)) }, true},
		"the account that made it": {func(p people) func(*testing.T) (any, error) {
			return retire(rootOf(p.user.url, p.user.account), byID(p))
		}, true},
		"a user of it without permission":  {func(p people) func(*testing.T) (any, error) { return retire(p.issuer, byID(p)) }, false},
		"the owner of the key retires":     {func(p people) func(*testing.T) (any, error) { return retire(p.owner, byID(p)) }, false},
		"the owner of the key revokes":     {func(p people) func(*testing.T) (any, error) { return revoke(p.owner, p) }, true},
		"the account that made it revokes": {func(p people) func(*testing.T) (any, error) { return revoke(p.user, p) }, false},
		"the retiring principal revokes":   {func(p people) func(*testing.T) (any, error) { return revoke(p.retiring, p) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := people{example2: newExample2(t, p3, p4)}
			p.retiring = p.user.user(t, "retiring")
			p.issuer = p.user.user(t, "issuer", seed.Identity("kms:CreateGrant", p.key))
			in := p.grantInput()
			in.RetiringPrincipal = new(p.retiring.arn(t))
			p.made = must(p.issuer.kms.CreateGrant(t.Context(), in))(t)
			out, err := tt.call(p)(t)
			if !tt.ok {
				refused(out, err)(t, "AccessDeniedException")
			} else {
				must(out, err)(t)
			}
			if left := p.owner.has(t, p.key, *p.made.GrantId); left == tt.ok {
				t.Errorf("the grant is there: %t", left)
			}
			if !tt.ok {
				return
			}
			again, err := p.owner.kms.RevokeGrant(t.Context(), &kms.RevokeGrantInput{KeyId: &p.key, GrantId: p.made.GrantId})
			refused(again, err)(t, "NotFoundException")
		})
	}
}

func TestS31_ListRetirableGrantsFindsThemByWhoRetires(t *testing.T) {
	e := newExample2(t, p3, p4)
	other := adminOf(e.user.url, seed.NewAccount())
	second := other.key(t, "")
	u := e.user.user(t, "retiring", seed.Identity("kms:ListRetirableGrants", "*"))
	me := u.arn(t)
	var want []string
	for i := range 3 {
		in := e.grantInput()
		in.RetiringPrincipal = &me
		who := e.owner
		if i == 2 { // on a key of a third account
			in.KeyId, who = &second, other
		}
		want = append(want, *must(who.kms.CreateGrant(t.Context(), in))(t).GrantId)
	}
	must(e.owner.kms.CreateGrant(t.Context(), e.grantInput()))(t) // nobody retires this one
	list := func() []string {
		var got []string
		in := &kms.ListRetirableGrantsInput{RetiringPrincipal: &me, Limit: new(int32(2))}
		for p := kms.NewListRetirableGrantsPaginator(u.kms, in); p.HasMorePages(); {
			for _, g := range must(p.NextPage(t.Context()))(t).Grants {
				got = append(got, *g.GrantId)
			}
		}
		return got
	}
	got := list()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the retirable grants are %v, want %v", got, want)
	}
	must(u.kms.RetireGrant(t.Context(), &kms.RetireGrantInput{KeyId: &second, GrantId: new(onlyOn(t, other, second))}))(t)
	if n := len(list()); n != 2 {
		t.Errorf("after one was retired there are %d", n)
	}
	nobody := e.user.user(t, "nobody")
	out, err := nobody.kms.ListRetirableGrants(t.Context(), &kms.ListRetirableGrantsInput{RetiringPrincipal: &me})
	refused(out, err)(t, "AccessDeniedException", "kms:ListRetirableGrants")
}

// onlyOn is the id of the only grant on a key.
func onlyOn(t *testing.T, owner *client, key string) string {
	t.Helper()
	all := owner.grants(t, key)
	if len(all) != 1 {
		t.Fatalf("there are %d grants on %s", len(all), key)
	}
	return *all[0].GrantId
}

func TestS31_TheSameNamedGrantIsMadeOnce(t *testing.T) {
	e := newExample2(t, p3, p4)
	u := e.user.user(t, "delegate", seed.Identity("kms:CreateGrant", e.key))
	in := e.grantInput()
	in.Name = new("web")
	first, again := u.grant(t, *in), u.grant(t, *in)
	if *first.GrantId != *again.GrantId || *first.GrantToken == *again.GrantToken {
		t.Errorf("ids %s and %s, tokens equal: %t", *first.GrantId, *again.GrantId, *first.GrantToken == *again.GrantToken)
	}
	if id := onlyOn(t, e.owner, e.key); id != *first.GrantId {
		t.Errorf("the grant is %s, want %s", id, *first.GrantId)
	}
	// Anything else about it, and it is another grant.
	other := *in
	other.Operations = other.Operations[:3]
	named := *in
	named.Name = new("api")
	for _, in := range []kms.CreateGrantInput{other, named} {
		if out := u.grant(t, in); *out.GrantId == *first.GrantId {
			t.Errorf("%v %s found the first grant", in.Operations, *in.Name)
		}
	}
	if n := len(e.owner.grants(t, e.key)); n != 3 {
		t.Errorf("there are %d grants, want 3", n)
	}
}
