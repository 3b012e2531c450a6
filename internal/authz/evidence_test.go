package authz_test

import (
	"slices"
	"testing"

	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/policy"
)

func TestZeroValuesDeny(t *testing.T) {
	if d := (authz.Decision{}); d.Outcome == authz.Allowed {
		t.Error("the zero decision allows")
	}
	for _, d := range []authz.Decision{authz.Decide(&authz.Request{}), authz.Explain(&authz.Request{})} {
		if d.Outcome != authz.ImplicitDeny || d.Part != -1 {
			t.Errorf("a request for nothing: %+v", d)
		}
	}
}

func TestFirstPartThatIsNotAllowedDecides(t *testing.T) {
	identity := `{"Effect":"Allow","Action":"sqs:Send*","Resource":"*"},{"Effect":"Deny","Action":"sqs:Purge","Resource":"*"},
		{"Effect":"Allow","Action":"sqs:Maybe","Resource":"*","Condition":{"Bool":{"x:y":"true"}}}`
	tests := []struct {
		actions []string
		want    authz.Outcome
		part    int
	}{
		{[]string{"sqs:Send", "sqs:SendMessage"}, authz.Allowed, -1},
		{[]string{"sqs:Send", "sqs:List", "sqs:Purge"}, authz.ImplicitDeny, 1},
		{[]string{"sqs:Purge", "sqs:List"}, authz.ExplicitDeny, 0},
		{[]string{"sqs:Maybe", "sqs:Send"}, authz.Undetermined, 0},
		{[]string{"sqs:Maybe", "sqs:Send", "sqs:List"}, authz.ImplicitDeny, 2},
		{[]string{"sqs:Send", "sqs:Maybe", "sqs:Maybe"}, authz.Undetermined, 1},
	}
	for _, tt := range tests {
		r := rule{as: userAlice, action: "", resource: queueA, identity: identity}
		req := r.request(t)
		req.Context.SetUnknown("x:y")
		part := req.Parts[0]
		req.Parts = nil
		for _, a := range tt.actions {
			part.Action = a
			req.Parts = append(req.Parts, part)
		}
		d := authz.Explain(req)
		if d.Outcome != tt.want || d.Part != tt.part || len(d.Parts) != len(tt.actions) {
			t.Errorf("%q: %v at %d of %d", tt.actions, d.Outcome, d.Part, len(d.Parts))
		}
		sameAnswer(t, authz.Decide(req), d)
	}
}

func TestMissesGiveTheFirstReason(t *testing.T) {
	tests := []struct {
		name string
		rule rule
		want authz.Miss
	}{
		{"principal", rule{policies: nameAdmin}, authz.Miss{Reason: authz.MissPrincipal}},
		{"dead principal", rule{policies: nameAlice, change: func(r *authz.Request) {
			r.Parts[0].Policy.SetPrincipalIDs(map[string]string{alice: "AIDADEADXXXXXXXX"})
		}}, authz.Miss{Reason: authz.MissDeadPrincipal}},
		{"action", rule{policies: `{"Effect":"Allow","Principal":"*","Action":"kms:Encrypt","Resource":"*"}`}, authz.Miss{Reason: authz.MissAction}},
		{"action of an identity policy", rule{identity: `{"Effect":"Allow","Action":"kms:Encrypt","Resource":"*"}`}, authz.Miss{Reason: authz.MissAction}},
		{"resource", rule{identity: `{"Effect":"Allow","Action":"kms:*","Resource":"arn:aws:kms:us-west-2:111122223333:alias/app"}`}, authz.Miss{Reason: authz.MissResource}},
		{"condition", rule{identity: `{"Effect":"Allow","Action":"kms:*","Resource":"*","Condition":{"StringEquals":{"kms:CallerAccount":"111122223333"},"StringLike":{"kms:ViaService":["ec2.*","rds.*"]}}}`, change: func(r *authz.Request) {
			r.Context.Set("kms:viaservice", "s3.us-west-2.amazonaws.com")
		}}, authz.Miss{Reason: authz.MissCondition, Operator: "StringLike", Key: "kms:ViaService", Want: []string{"ec2.*", "rds.*"}, Got: authz.Value{One: "s3.us-west-2.amazonaws.com"}, Present: true}},
		{"condition on an absent key", rule{identity: `{"Effect":"Allow","Action":"kms:*","Resource":"*","Condition":{"Bool":{"kms:GrantIsForAWSResource":true}}}`}, authz.Miss{Reason: authz.MissCondition, Operator: "Bool", Key: "kms:GrantIsForAWSResource", Want: []string{"true"}}},
		{"grantee", rule{change: withGrants(authz.Grant{ID: "g1", Grantee: devRole, Operations: []string{"Decrypt"}})}, authz.Miss{Reason: authz.MissGrantee}},
		{"operation", rule{change: withGrants(authz.Grant{ID: "g1", Grantee: alice, Operations: []string{"Encrypt"}})}, authz.Miss{Reason: authz.MissOperation}},
		{"constraint", rule{change: withGrants(authz.Grant{ID: "g1", Grantee: alice, Operations: []string{"Decrypt"}, ContextSubset: map[string]string{"a": "1"}})}, authz.Miss{Reason: authz.MissConstraint}},
		{"source", rule{change: withGrants(authz.Grant{ID: "g1", Grantee: alice, Operations: []string{"Decrypt"}, SourceARN: queueA})}, authz.Miss{Reason: authz.MissSourceARN, Key: "aws:SourceArn", Want: []string{queueA}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.rule.as, tt.rule.action, tt.rule.resource = userAlice, "kms:Decrypt", keyA
			d := authz.Explain(tt.rule.request(t))
			if len(d.Parts[0].Missed) != 1 {
				t.Fatalf("missed %+v", d.Parts[0].Missed)
			}
			got := d.Parts[0].Missed[0]
			if got.Reason != tt.want.Reason || got.Operator != tt.want.Operator || got.Key != tt.want.Key ||
				!slices.Equal(got.Want, tt.want.Want) || got.Got.One != tt.want.Got.One || got.Present != tt.want.Present {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
			if got.Layer != authz.LayerGrant && (got.Document != "doc" || got.Sid != "#1" || got.Pos.Line != 1 || got.Effect != policy.Allow) {
				t.Errorf("place %+v", got.Match)
			}
			if got.Layer == authz.LayerGrant && got.GrantID != "g1" {
				t.Errorf("grant %+v", got.Match)
			}
		})
	}
}

func TestStatementsThatConcernNobodyAreLeftOut(t *testing.T) {
	r := rule{
		as: userAlice, action: "kms:Decrypt", resource: keyA,
		identity: allowOther, policies: `{"Effect":"Allow","Principal":{"AWS":"` + devRole + `"},"Action":"kms:Encrypt","Resource":"*"}`,
		change: withGrants(authz.Grant{ID: "g1", Grantee: devRole, Operations: []string{"Encrypt"}}),
	}
	if p := authz.Explain(r.request(t)).Parts[0]; len(p.Missed)+len(p.Matched) > 0 {
		t.Errorf("missed %+v, matched %+v", p.Missed, p.Matched)
	}
}

func TestExplanationEvaluatesEveryLayer(t *testing.T) {
	r := rule{
		as: sessionS1, action: "kms:Decrypt", resource: keyB, identity: allowOther, boundary: allowOther, session: allowOther,
		scp: allowOther, endpoint: nameAlice, policies: nameAdmin,
	}
	p := authz.Explain(r.request(t)).Parts[0]
	want := []authz.Layer{
		authz.LayerSCP, authz.LayerEndpoint, authz.LayerResource, authz.LayerIdentity, authz.LayerBoundary, authz.LayerSession,
	}
	if p.Outcome != authz.ImplicitDeny || p.By != want[0] || !slices.Equal(p.Silent, want) || !p.CrossAccount || p.Delegated {
		t.Errorf("%+v", p)
	}
}

func TestSilentLayersAreThoseOfTheNearestWay(t *testing.T) {
	const (
		resource, identity = authz.LayerResource, authz.LayerIdentity
		boundary, session  = authz.LayerBoundary, authz.LayerSession
	)
	tests := []struct {
		name string
		rule rule
		want []authz.Layer
	}{
		{"to name a user is enough", rule{as: userAlice, resource: keyA, policies: nameAdmin, boundary: allowOther}, []authz.Layer{resource}},
		{"to name a role is not", rule{as: sessionS1, resource: keyA, policies: nameAdmin, boundary: allowOther}, []authz.Layer{resource, boundary, session}[:2]},
		{"delegated", rule{as: userAlice, resource: keyA, policies: delegateA, boundary: allowOther}, []authz.Layer{identity, boundary}},
		{"role named", rule{as: sessionS1, resource: keyA, policies: nameDev, boundary: allowOther, session: allowOther}, []authz.Layer{boundary, session}},
		{"abroad", rule{as: userAlice, resource: keyB, policies: nameAdmin}, []authz.Layer{resource, identity}},
		{"abroad, open", rule{as: userAlice, resource: keyB, policies: everybody, boundary: allowOther}, []authz.Layer{identity, boundary}},
		{"abroad, not authoritative", rule{as: userAlice, resource: queueB}, []authz.Layer{identity, resource}},
		{"at home, not authoritative", rule{as: userAlice, resource: queueA, boundary: allowOther}, []authz.Layer{identity, boundary}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.rule.action = "kms:Decrypt"
			p := authz.Explain(tt.rule.request(t)).Parts[0]
			if p.Outcome != authz.ImplicitDeny || !slices.Equal(p.Silent, tt.want) || p.By != tt.want[0] {
				t.Errorf("by %s, silent %v, want %v", p.By, p.Silent, tt.want)
			}
		})
	}
}

func TestMatchesNameTheirStatements(t *testing.T) {
	r := rule{
		as: userAlice, action: "kms:Decrypt", resource: keyA,
		identity: `{"Sid":"Use","Effect":"Allow","Action":"kms:*","Resource":"*"}`, policies: nameAdmin + "," + delegateA,
		change: func(req *authz.Request) {
			req.Parts[0].Policy.Name, req.Parts[0].Policy.Owner = keyA, accountA
			req.Parts[0].Grants = []authz.Grant{{ID: "g1", Grantee: alice, Operations: []string{"Decrypt"}}}
		},
	}
	p := authz.Explain(r.request(t)).Parts[0]
	if p.Outcome != authz.Allowed || !p.Delegated || p.By != authz.LayerGrant || len(p.Matched) != 3 {
		t.Fatalf("%+v", p)
	}
	use, root, grant := p.Matched[0], p.Matched[1], p.Matched[2]
	if use.Layer != authz.LayerIdentity || use.Sid != "Use" || use.Account {
		t.Errorf("identity %+v", use)
	}
	if root.Layer != authz.LayerResource || root.Sid != "#2" || !root.Account || root.Document != keyA || root.Owner != accountA {
		t.Errorf("key policy %+v", root)
	}
	if grant.Layer != authz.LayerGrant || grant.GrantID != "g1" || grant.Document != keyA || grant.Owner != accountA {
		t.Errorf("grant %+v", grant)
	}
}
