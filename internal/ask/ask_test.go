package ask_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/ask"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/policy"
)

const (
	key  = "arn:aws:kms:us-west-2:123456789012:key/1a2b3c4d-5e6f-1a2b-3c4d-5e6f1a2b3c4d"
	ana  = "arn:aws:iam::123456789012:user/ana"
	root = `{"Sid":"Root","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:root"},"Action":"kms:*","Resource":"*"}`
)

func compile(t *testing.T, kind policy.Kind, name string, statements ...string) *authz.Document {
	t.Helper()
	doc, err := policy.Parse([]byte(`{"Version":"2012-10-17","Statement":[`+strings.Join(statements, ",")+`]}`), kind)
	if err != nil {
		t.Fatal(err)
	}
	d := authz.Compile(doc, kind)
	d.Name, d.Owner = name, "123456789012"
	return d
}

// cited renders an answer: matched statements, then remaining conditions.
func cited(a ask.Answer) string {
	var out []string
	for _, m := range a.Part.Matched {
		out = append(out, fmt.Sprintf("%s%s", m.Sid, m.GrantID))
	}
	for _, m := range a.Part.Missed {
		out = append(out, strings.TrimSpace(fmt.Sprintf("%v %s%s if %s %s=%s", m.Effect, m.Sid, m.GrantID, m.Operator, m.Key, strings.Join(m.Want, "|"))))
	}
	return strings.Join(out, "; ")
}

func TestAsk(t *testing.T) {
	direct := func(effect, sid, condition string) string {
		return `{"Sid":"` + sid + `","Effect":"` + effect + `","Principal":{"AWS":"` + ana + `"},"Action":"kms:*","Resource":"*"` + condition + `}`
	}
	const via = `,"Condition":{"StringEquals":{"kms:ViaService":"ec2.us-west-2.amazonaws.com"}}`
	const allowAll = `{"Sid":"Mine","Effect":"Allow","Action":"kms:Decrypt","Resource":"*"}`
	for _, tt := range []struct {
		rule     string
		action   string
		key      []string
		identity []string
		grants   []authz.Grant
		outcome  authz.Outcome // ImplicitDeny: no answer
		cited    string
	}{
		{"a key policy allows", "kms:Decrypt", []string{direct("Allow", "Direct", "")}, nil, nil, authz.Allowed, "Direct"},
		{"the account and an identity policy", "kms:Decrypt", []string{root}, []string{allowAll}, nil, authz.Allowed, "Mine; Root"},
		{"the account alone", "kms:Decrypt", []string{root}, nil, nil, authz.ImplicitDeny, ""},
		{"another action", "kms:Encrypt", []string{root}, []string{allowAll}, nil, authz.ImplicitDeny, ""},
		{"a condition remains", "kms:Decrypt", []string{direct("Allow", "Direct", via)}, nil, nil, authz.Undetermined,
			"Allow Direct if StringEquals kms:ViaService=ec2.us-west-2.amazonaws.com"},
		{"a condition on the principal does not", "kms:Decrypt", []string{direct("Allow", "Direct", `,"Condition":{"StringEquals":{"aws:PrincipalAccount":"123456789012"}}`)},
			nil, nil, authz.Allowed, "Direct"},
		{"one that the principal does not meet", "kms:Decrypt", []string{direct("Allow", "Direct", `,"Condition":{"StringEquals":{"aws:PrincipalAccount":"999999999999","kms:ViaService":"x"}}`)},
			nil, nil, authz.ImplicitDeny, ""},
		{"a deny may apply", "kms:Decrypt", []string{direct("Allow", "Direct", ""), direct("Deny", "Guard", `,"Condition":{"StringNotEquals":{"kms:ViaService":"x"}}`)},
			nil, nil, authz.Undetermined, "Direct; Deny Guard if StringNotEquals kms:ViaService=x"},
		{"a deny applies always", "kms:Decrypt", []string{direct("Allow", "Direct", ""), direct("Deny", "Guard", "")}, nil, nil, authz.ImplicitDeny, ""},
		{"a grant", "kms:Decrypt", []string{root}, nil, []authz.Grant{{ID: "g1", Grantee: ana, IssuingAccount: "123456789012", Operations: []string{"Decrypt"}}}, authz.Allowed, "Root; g1"},
		{"a grant with a constraint", "kms:Decrypt", []string{root}, nil,
			[]authz.Grant{{ID: "g1", Grantee: ana, IssuingAccount: "123456789012", Operations: []string{"Decrypt"}, ContextSubset: map[string]string{"aws:ebs:id": "vol-1"}}},
			authz.Undetermined, "Root; Allow g1 if  kms:EncryptionContext:aws:ebs:id=vol-1"},
		{"making grants by a grant", "kms:CreateGrant", []string{root}, nil,
			[]authz.Grant{{ID: "g1", Grantee: ana, IssuingAccount: "123456789012", Operations: []string{"CreateGrant"}}}, authz.Allowed, "Root; g1"},
		{"making grants by a grant with constraints", "kms:CreateGrant", []string{root}, nil,
			[]authz.Grant{{ID: "g1", Grantee: ana, IssuingAccount: "123456789012", Operations: []string{"CreateGrant", "Decrypt"}, ContextSubset: map[string]string{"aws:ebs:id": "vol-1"}}},
			authz.Undetermined, "Root; Allow g1 if  kms:EncryptionContext:aws:ebs:id=vol-1"},
		{"making grants by either of two", "kms:CreateGrant", []string{root}, nil, []authz.Grant{
			{ID: "g1", Grantee: ana, IssuingAccount: "123456789012", Operations: []string{"CreateGrant"}, ContextEquals: map[string]string{"a": "1"}},
			{ID: "g2", Grantee: ana, IssuingAccount: "123456789012", Operations: []string{"CreateGrant"}, SourceARN: "arn:aws:ec2:us-west-2:123456789012:volume/vol-1"},
			{ID: "g3", Grantee: ana, IssuingAccount: "123456789012", Operations: []string{"Decrypt"}, ContextEquals: map[string]string{"a": "1"}},
		}, authz.Undetermined, "Root; Allow g1 if  kms:EncryptionContext:a=1; Allow g2 if  aws:SourceArn=arn:aws:ec2:us-west-2:123456789012:volume/vol-1"},
		{"making grants by a grant where a deny applies", "kms:CreateGrant", []string{root, direct("Deny", "Guard", "")}, nil,
			[]authz.Grant{{ID: "g1", Grantee: ana, IssuingAccount: "123456789012", Operations: []string{"CreateGrant"}, ContextEquals: map[string]string{"a": "1"}}}, authz.ImplicitDeny, ""},
		{"a grant for another operation", "kms:Encrypt", []string{root}, nil,
			[]authz.Grant{{ID: "g1", Grantee: ana, IssuingAccount: "123456789012", Operations: []string{"Decrypt"}}}, authz.ImplicitDeny, ""},
		{"a key of grants has no part in other actions", "kms:Decrypt", []string{direct("Allow", "Direct", `,"Condition":{"Bool":{"kms:GrantIsForAWSResource":"true"}}`)},
			nil, nil, authz.ImplicitDeny, ""},
		{"but in kms:CreateGrant", "kms:CreateGrant", []string{direct("Allow", "Direct", `,"Condition":{"Bool":{"kms:GrantIsForAWSResource":"true"}}`)},
			nil, nil, authz.Undetermined, "Allow Direct if Bool kms:GrantIsForAWSResource=true"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			c := &ask.Candidate{Principal: authz.Principal{Type: authz.User, ARN: ana, Account: "123456789012", UserID: "AIDA", UniqueID: "AIDA", Username: "ana"}}
			if tt.identity != nil {
				c.Identity = []*authz.Document{compile(t, policy.Identity, "inline", tt.identity...)}
			}
			part := authz.Part{
				Action: tt.action, Resource: authz.Resource{ARN: key, Account: "123456789012"}, Authoritative: true,
				Policy: compile(t, policy.Key, key, tt.key...), Grants: tt.grants,
			}
			if tt.action == "kms:CreateGrant" {
				part.NewGrant = &authz.Grant{}
			}
			a, ok := ask.Ask(c, part)
			indexed := part
			indexed.Grants, indexed.GrantIndex = nil, authz.IndexGrants(tt.grants)
			if b, also := ask.Ask(c, indexed); also != ok || cited(b) != cited(a) || b.Outcome != a.Outcome {
				t.Errorf("with an index: %v %s", also, cited(b))
			}
			if grants := repeated(tt.grants, 200); grants != nil {
				indexed.GrantIndex = authz.IndexGrants(grants)
				b, also := ask.Ask(c, indexed)
				if also != ok || b.Outcome != a.Outcome || len(b.Part.Matched)+len(b.Part.Missed) > 2+2*100 {
					t.Errorf("with each grant 200 times: %v %v, %d and %d cited", also, b.Outcome, len(b.Part.Matched), len(b.Part.Missed))
				}
			}
			if ok != (tt.outcome != authz.ImplicitDeny) {
				t.Fatalf("answer %v: %+v", ok, a)
			}
			if ok && a.Outcome != tt.outcome {
				t.Errorf("outcome %v, want %v", a.Outcome, tt.outcome)
			}
			if diff := cmp.Diff(tt.cited, cited(a)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// repeated are grants n times over, each with an id of its own and, where it has them, with values of its
// own in its constraints.
func repeated(grants []authz.Grant, n int) []authz.Grant {
	var out []authz.Grant
	for i := range n {
		for _, g := range grants {
			g.ID = fmt.Sprint("g", len(out))
			for _, pairs := range []*map[string]string{&g.ContextEquals, &g.ContextSubset} {
				if *pairs == nil {
					continue
				}
				*pairs = maps.Clone(*pairs)
				for k, v := range *pairs {
					(*pairs)[k] = fmt.Sprint(v, "-", i)
				}
			}
			out = append(out, g)
		}
	}
	return out
}

// A principal may hold all grants of a key. They are looked at once; what is decided, and cited, does not
// grow with them.
func TestManyGrantsOfOnePrincipal(t *testing.T) {
	c := &ask.Candidate{Principal: authz.Principal{Type: authz.User, ARN: ana, Account: "123456789012", UserID: "AIDA", UniqueID: "AIDA", Username: "ana"}}
	decrypt := authz.Grant{Grantee: ana, IssuingAccount: "123456789012", Operations: []string{"Decrypt"}}
	volume := decrypt
	volume.ContextSubset = map[string]string{"aws:ebs:id": "vol"}
	sign := decrypt
	sign.Operations = []string{"Sign", "CreateGrant", "RetireGrant"}
	from := decrypt
	from.SourceARN = "arn:aws:ec2:us-west-2:123456789012:volume/vol-1"
	for _, tt := range []struct {
		name, action string
		grants       []authz.Grant
		outcome      authz.Outcome // ImplicitDeny: no answer
		more         int           // of 10,000 of each
	}{
		{"alike", "kms:Decrypt", []authz.Grant{decrypt}, authz.Allowed, 9900},
		{"each for a volume", "kms:Decrypt", []authz.Grant{volume}, authz.Undetermined, 9900},
		{"for other operations", "kms:Decrypt", []authz.Grant{sign}, authz.ImplicitDeny, 0},
		{"of all kinds, one kind of them without conditions", "kms:Decrypt", []authz.Grant{volume, sign, from, decrypt}, authz.Allowed, 29901},
		{"of all kinds on conditions", "kms:Decrypt", []authz.Grant{volume, from}, authz.Undetermined, 19900},
		{"to make others", "kms:CreateGrant", []authz.Grant{volume, sign}, authz.Allowed, 9901},
		{"to be retired", "kms:RetireGrant", []authz.Grant{volume, sign}, authz.Undetermined, 9990},
	} {
		t.Run(tt.name, func(t *testing.T) {
			part := authz.Part{
				Action: tt.action, Resource: authz.Resource{ARN: key, Account: "123456789012"}, Authoritative: true, Policy: compile(t, policy.Key, key, root),
			}
			if tt.action == "kms:CreateGrant" {
				part.NewGrant = &authz.Grant{}
			}
			part.GrantIndex = authz.IndexGrants(repeated(tt.grants, 10000))
			a, ok := ask.Ask(c, part)
			if ok != (tt.outcome != authz.ImplicitDeny) || ok && a.Outcome != tt.outcome || a.More != tt.more {
				t.Errorf("%v: %v and %d more, want %v and %d", ok, a.Outcome, a.More, tt.outcome, tt.more)
			}
			if n := len(a.Part.Matched) + len(a.Part.Missed); n > 102 {
				t.Errorf("%d cited", n)
			}
			if p := ask.Refusal(c, part); !ok && (p.Outcome != authz.ImplicitDeny || len(p.Missed) > 2) {
				t.Errorf("refused as %v for %d reasons", p.Outcome, len(p.Missed))
			}
			many := testing.AllocsPerRun(1, func() { ask.Ask(c, part) })
			part.GrantIndex = authz.IndexGrants(repeated(tt.grants, 200))
			if few := testing.AllocsPerRun(1, func() { ask.Ask(c, part) }); many > few+100 {
				t.Errorf("%v allocations, of 200 grants %v", many, few)
			}
		})
	}
}

// Of grants for very many sources each is a situation of its own, up to as many as a decision can tell
// apart.
func TestGrantsOfManySources(t *testing.T) {
	c := &ask.Candidate{Principal: authz.Principal{Type: authz.User, ARN: ana, Account: "123456789012", UserID: "AIDA", UniqueID: "AIDA", Username: "ana"}}
	var grants []authz.Grant
	for i := range 20000 {
		grants = append(grants, authz.Grant{
			ID: fmt.Sprint("g", i), Grantee: ana, IssuingAccount: "123456789012", Operations: []string{"Decrypt"},
			SourceARN: fmt.Sprintf("arn:aws:ec2:us-west-2:123456789012:volume/vol-%d", i),
		})
	}
	elsewhere := `{"Sid":"Elsewhere","Effect":"Allow","Principal":{"AWS":"` + ana + `"},"Action":"kms:*","Resource":"*","Condition":{"StringNotEquals":{"aws:SourceArn":"arn:aws:ec2:us-west-2:123456789012:volume/vol-0"}}}`
	part := authz.Part{
		Action: "kms:Decrypt", Resource: authz.Resource{ARN: key, Account: "123456789012"}, Authoritative: true, Policy: compile(t, policy.Key, key, elsewhere),
	}
	for n, want := range map[int]authz.Outcome{1: authz.Allowed, 101: authz.Allowed, 20000: authz.Undetermined} {
		part.GrantIndex = authz.IndexGrants(grants[:n])
		a, ok := ask.Ask(c, part)
		if !ok || a.Outcome != want {
			t.Errorf("%d grants: %v %v, want %v", n, ok, a.Outcome, want)
		}
		if told := len(a.Part.Matched) + len(a.Part.Missed); told > 310 {
			t.Errorf("%d grants: %d of them told", n, told)
		}
		req := authz.Request{Principal: c.Principal, Parts: []authz.Part{part}}
		req.Context.SetUnknown("aws:SourceArn")
		if d := authz.Decide(&req); d.Outcome != want {
			t.Errorf("%d grants, all of them decided on: %v, want %v", n, d.Outcome, want)
		}
	}
}

// The identity policies of another account cannot be read: they are what it depends on.
func TestAnotherAccountsPoliciesAreUnknown(t *testing.T) {
	c := &ask.Candidate{Principal: authz.Principal{Type: authz.User, ARN: "arn:aws:iam::111122223333:user/bo", Account: "111122223333", Username: "bo"}}
	unknown := authz.Compile(nil, policy.Identity)
	unknown.Name = "identity policies of account 111122223333"
	c.Identity = []*authz.Document{unknown}
	part := authz.Part{
		Action: "kms:Decrypt", Resource: authz.Resource{ARN: key, Account: "123456789012"}, Authoritative: true,
		Policy: compile(t, policy.Key, key, `{"Sid":"External","Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"kms:Decrypt","Resource":"*"}`),
	}
	a, ok := ask.Ask(c, part)
	if !ok || a.Outcome != authz.Undetermined || cited(a) != "External" || len(a.Part.Depends) != 1 || a.Part.Depends[0] != "document identity policies of account 111122223333" {
		t.Errorf("%v %+v", ok, a)
	}
	part.Action = "kms:Encrypt"
	if a, ok := ask.Ask(c, part); ok {
		t.Errorf("what the key policy does not allow: %+v", a)
	}
}

// Grants for others, however many, are not looked at.
func TestGrantsForOthersCostNothing(t *testing.T) {
	part := authz.Part{
		Action: "kms:Decrypt", Resource: authz.Resource{ARN: key, Account: "123456789012"}, Authoritative: true, Policy: compile(t, policy.Key, key, root),
	}
	for i := range 50000 {
		part.Grants = append(part.Grants, authz.Grant{
			ID: fmt.Sprint(i), Grantee: fmt.Sprintf("arn:aws:iam::123456789012:user/u%d", i), IssuingAccount: "123456789012", Operations: []string{"Decrypt"},
			ContextSubset: map[string]string{"n": fmt.Sprint(i)},
		})
	}
	c := &ask.Candidate{Principal: authz.Principal{Type: authz.User, ARN: "arn:aws:iam::123456789012:user/u7", Account: "123456789012", Username: "u7"}}
	a, ok := ask.Ask(c, part)
	if want := "Root; Allow 7 if  kms:EncryptionContext:n=7"; !ok || cited(a) != want {
		t.Errorf("%v %s, want %s", ok, cited(a), want)
	}
	if n := testing.AllocsPerRun(1, func() { ask.Ask(c, part) }); n > 1000 {
		t.Errorf("%v allocations", n)
	}
	part.GrantIndex, part.Grants = authz.IndexGrants(part.Grants), nil
	if a, ok := ask.Ask(c, part); !ok || cited(a) != "Root; Allow 7 if  kms:EncryptionContext:n=7" {
		t.Errorf("with an index: %v %s", ok, cited(a))
	}
	if n := len(slices.Collect(part.GrantIndex.Held(&c.Principal))); n != 1 {
		t.Errorf("the index finds %d grants", n)
	}
}

// Source: KMS Developer Guide, "Retiring and revoking grants".
func TestWhoCanRetireWhichGrants(t *testing.T) {
	const bob, other = "arn:aws:iam::123456789012:user/bob", "arn:aws:iam::111122223333:user/other"
	held := authz.Grant{ID: "held", Grantee: ana, IssuingAccount: "111122223333", Operations: []string{"Decrypt", "RetireGrant"}}
	mine := authz.Grant{ID: "mine", Grantee: other, Retiring: ana, IssuingAccount: "111122223333", Operations: []string{"Decrypt"}}
	ours := authz.Grant{ID: "ours", Grantee: other, IssuingAccount: "123456789012", Operations: []string{"Decrypt"}}
	foreign := authz.Grant{ID: "foreign", Grantee: other, IssuingAccount: "111122223333", Operations: []string{"Decrypt", "RetireGrant"}}
	for _, tt := range []struct {
		name, who string
		identity  string
		cited     string // "": nothing
	}{
		{"as grantee and as retiring principal", ana, "", "mine; held"},
		{"for the account that made one", bob, `{"Sid":"Mine","Effect":"Allow","Action":"kms:*","Resource":"*"}`, "Mine; ours"},
		{"without permission", bob, "", ""},
		{"a deny of its own", ana, `{"Sid":"No","Effect":"Deny","Action":"kms:RetireGrant","Resource":"*"}`, ""},
		{"on a condition", bob, `{"Sid":"Mine","Effect":"Allow","Action":"kms:RetireGrant","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}}`, "ours; Allow Mine if IpAddress aws:SourceIp=10.0.0.0/8"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := &ask.Candidate{Principal: authz.Principal{Type: authz.User, ARN: tt.who, Account: "123456789012", Username: "x"}}
			if tt.identity != "" {
				c.Identity = []*authz.Document{compile(t, policy.Identity, "inline", tt.identity)}
			}
			part := authz.Part{
				Action: "kms:RetireGrant", Resource: authz.Resource{ARN: key, Account: "123456789012"}, Authoritative: true, Policy: compile(t, policy.Key, key, root),
				GrantIndex: authz.IndexGrants([]authz.Grant{held, mine, ours, foreign}),
			}
			a, ok := ask.Ask(c, part)
			if ok != (tt.cited != "") || ok && a.Outcome != authz.Undetermined {
				t.Errorf("%v %+v", ok, a)
			}
			if diff := cmp.Diff(tt.cited, cited(a)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
