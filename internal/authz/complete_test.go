package authz_test

import (
	"testing"

	"github.com/kagimori/kagimori/internal/authz"
)

func TestStatementsMayCoverAllCompletionsTogether(t *testing.T) {
	when := func(effect, condition string) string {
		return `{"Effect":"` + effect + `","Action":"*","Resource":"*","Condition":{` + condition + `}}`
	}
	tests := []struct {
		name     string
		identity string
		resource string
		keys     []string
		want     authz.Outcome
		by       authz.Layer
	}{
		{"one value and all others", when("Allow", `"StringEquals":{"x:k":"a"}`) + "," + when("Allow", `"StringNotEquals":{"X:K":"a"}`), "", []string{"x:k"}, authz.Undetermined, authz.LayerIdentity},
		{"one value, all others, and lists", when("Allow", `"StringEquals":{"x:k":"a"}`) + "," + when("Allow", `"StringNotEquals":{"X:K":"a"}`) + "," + when("Allow", `"Null":{"x:k":false}`), "", []string{"x:k"}, authz.Allowed, authz.LayerIdentity},
		{"one value and all others of a key that has one", when("Allow", `"StringEquals":{"aws:SourceVpc":"a"}`) + "," + when("Allow", `"StringNotEquals":{"aws:SourceVpc":"a"}`), "", []string{"aws:sourcevpc"}, authz.Allowed, authz.LayerIdentity},
		{"one value only", when("Allow", `"StringEquals":{"x:k":"a"}`), "", []string{"x:k"}, authz.Undetermined, authz.LayerIdentity},
		{"there or not", when("Allow", `"Null":{"x:k":true}`) + "," + when("Allow", `"Null":{"x:k":false}`), "", []string{"x:k"}, authz.Allowed, authz.LayerIdentity},
		{"denied if allowed", when("Allow", `"StringEquals":{"x:k":"a"}`) + "," + when("Deny", `"StringEquals":{"x:k":["a","b"]}`), "", []string{"x:k"}, authz.ImplicitDeny, authz.LayerIdentity},
		{"denied either way", allowAll + "," + when("Deny", `"Null":{"x:k":true}`) + "," + when("Deny", `"Null":{"x:k":false}`), "", []string{"x:k"}, authz.ExplicitDeny, authz.LayerIdentity},
		{"in different layers", when("Allow", `"Bool":{"x:k":"true"}`), `{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*","Condition":{"Bool":{"x:k":"true"}}}`, []string{"x:k"}, authz.ImplicitDeny, authz.LayerIdentity},
		{"two keys", when("Allow", `"Null":{"x:k":true}`) + "," + when("Allow", `"Null":{"x:k":false,"x:l":false}`) + "," + when("Allow", `"Null":{"x:l":true}`), "", []string{"x:k", "x:l"}, authz.Allowed, authz.LayerIdentity},
		{"one of two keys decides", when("Allow", `"Null":{"x:k":true}`) + "," + when("Allow", `"Null":{"x:k":false},"StringLike":{"x:l":"a*"}`), "", []string{"x:k", "x:l"}, authz.Undetermined, authz.LayerIdentity},
		{"a case may remain undetermined", when("Allow", `"Null":{"x:k":false},"StringLike":{"x:l":"a*"}`), "", []string{"x:k", "x:l"}, authz.Undetermined, authz.LayerIdentity},
		{"not explicitly denied in all", when("Allow", `"StringEquals":{"x:k":"a"}`) + "," + when("Deny", `"StringEquals":{"x:k":"a"}`) + "," + when("Deny", `"Null":{"x:k":true}`), "", []string{"x:k"}, authz.ImplicitDeny, authz.LayerIdentity},
		{"a variable in a condition", allowAll + "," + when("Deny", `"StringEquals":{"aws:PrincipalType":"${x:k}"}`), "", []string{"x:k"}, authz.Undetermined, authz.LayerIdentity},
		{"a variable in a resource", `{"Effect":"Allow","Action":"*","Resource":"arn:aws:sqs:us-west-2:111122223333:${x:k}"}`, "", []string{"x:k"}, authz.Undetermined, authz.LayerIdentity},
		{"a pattern is not taken apart", when("Allow", `"StringLike":{"x:k":"a*"}`) + "," + when("Deny", `"StringLike":{"x:k":"a*"}`), "", []string{"x:k"}, authz.Undetermined, authz.LayerIdentity},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := rule{as: userAlice, action: "sqs:SendMessage", resource: queueA, identity: tt.identity, policies: tt.resource}
			req := r.request(t)
			for _, k := range tt.keys {
				req.Context.SetUnknown(k)
			}
			d := authz.Explain(req)
			sameAnswer(t, authz.Decide(req), d)
			if p := d.Parts[0]; p.Outcome != tt.want || p.By != tt.by || (len(p.Depends) > 0) != (tt.want == authz.Undetermined) {
				t.Errorf("%+v", p)
			}
		})
	}
}
