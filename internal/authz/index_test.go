package authz_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/policy"
)

// Action names have no case and any length; statements that name them are found whatever else a
// document has. Source: IAM User Guide, "IAM JSON policy elements: Action".
func TestActionsOfAnyFormAreFoundAmongManyStatements(t *testing.T) {
	long := "svc:" + strings.Repeat("LongName", 20)
	tests := []struct {
		pattern, action string
		want            bool
	}{
		{"kms:Decrypt", "kms:Decrypt", true},
		{"KMS:DECRYPT", "kms:decrypt", true},
		{"kms:decrypt", "KMS:Decrypt", true},
		{"kms:De*", "KMS:DECRYPT", true},
		{"kms:?ecrypt", "kms:Decrypt", true},
		{"kms:*", "kms:Decrypt", true},
		{"*", "kms:Decrypt", true},
		{"*:*", "kms:Decrypt", false}, // the service has no wildcards
		{"k*:Decrypt", "kms:Decrypt", false},
		{"kms:Decrypt", "kms:DecryptX", false},
		{"kms", "kms:Decrypt", false},
		{long, long, true},
		{strings.ToUpper(long), long, true},
		{"svc:LongName*", long, true},
		{"svc:Long*", "svc2:LongName", false},
		{long + "x", long, false},
		{"svc:Größe", "svc:Größe", true},
		{"svc:Gr*", "SVC:größe", true},
	}
	for _, tt := range tests {
		for _, element := range []string{"Action", "NotAction"} {
			var statements []string
			for i := range 70 {
				statements = append(statements, fmt.Sprintf(`{"Effect":"Allow","Action":["other:Name%d","other%d:*"],"Resource":"*"}`, i, i))
			}
			statements = append(statements, fmt.Sprintf(`{"Effect":"Allow",%q:%q,"Resource":"*"}`, element, tt.pattern))
			req := &authz.Request{
				Principal: authz.Principal{Type: authz.User, ARN: alice, Account: accountA},
				Identity:  []*authz.Document{document(t, `{"Version":"2012-10-17","Statement":[`+strings.Join(statements, ",")+`]}`, policy.Identity)},
				Parts:     []authz.Part{{Action: tt.action, Resource: authz.Resource{ARN: "*", Account: accountA}}},
			}
			d := authz.Explain(req)
			sameAnswer(t, authz.Decide(req), d)
			if got := d.Outcome == authz.Allowed; got != (tt.want == (element == "Action")) {
				t.Errorf("%s %q and action %q: allowed is %v", element, tt.pattern, tt.action, got)
			}
		}
	}
}

// Each way to name a caller is found among statements for others.
func TestCallersAreFoundByAnyNameAmongManyStatements(t *testing.T) {
	session := authz.Principal{Type: authz.RoleSession, ARN: devS1, RoleARN: devRole, Account: accountA, UniqueID: devID}
	tests := []struct {
		name, principal string
		as              authz.Principal
		kind            policy.Kind
		want            bool
	}{
		{"a session by its role", `{"AWS":"` + devRole + `"}`, session, policy.Key, true},
		{"a session by itself", `{"AWS":"` + devS1 + `"}`, session, policy.Key, true},
		{"a session by the role's id", `{"AWS":"` + devID + `"}`, session, policy.Key, true},
		{"everybody", `"*"`, session, policy.Key, true},
		{"another role", `{"AWS":"` + devRole + `2"}`, session, policy.Key, false},
		{"a user by its id", `{"AWS":"` + aliceID + `"}`, authz.Principal{Type: authz.User, ARN: alice, Account: accountA, UniqueID: aliceID}, policy.Key, true},
		{"the root user by its account", `{"AWS":"` + accountA + `"}`, authz.Principal{Type: authz.Root, ARN: "arn:aws:iam::111122223333:root", Account: accountA}, policy.Key, true},
		{"a federated user by the user behind it", `{"AWS":"` + alice + `"}`,
			authz.Principal{Type: authz.FederatedUser, ARN: "arn:aws:sts::111122223333:federated-user/fred", ParentARN: alice, Account: accountA, UniqueID: aliceID}, policy.Resource, false}, // has nothing without a session policy
		{"a service", `{"Service":"logs.amazonaws.com"}`, authz.Principal{Type: authz.Service, ARN: "logs.amazonaws.com"}, policy.Key, true},
		{"another service", `{"Service":"logs.amazonaws.com"}`, authz.Principal{Type: authz.Service, ARN: "ec2.amazonaws.com"}, policy.Key, false},
		{"a caller that is not known", `{"AWS":"` + devRole + `"}`, authz.Principal{Type: authz.UnknownPrincipal, Account: accountA}, policy.Key, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var statements []string
			for i := range 70 {
				statements = append(statements, fmt.Sprintf(`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:role/other-%d"},"Action":"kms:*","Resource":"*"}`, i))
			}
			statements = append(statements, `{"Effect":"Allow","Principal":`+tt.principal+`,"Action":"kms:*","Resource":"*"}`)
			part := authz.Part{Action: "kms:Decrypt", Resource: authz.Resource{ARN: keyA, Account: accountA}, Authoritative: true}
			part.Policy = document(t, `{"Version":"2012-10-17","Statement":[`+strings.Join(statements, ",")+`]}`, tt.kind)
			req := &authz.Request{Principal: tt.as, Parts: []authz.Part{part}}
			d := authz.Explain(req)
			sameAnswer(t, authz.Decide(req), d)
			if (d.Outcome == authz.Allowed) != tt.want {
				t.Errorf("%+v", d)
			}
			if tt.as.Type == authz.UnknownPrincipal && d.Outcome != authz.Undetermined {
				t.Errorf("outcome %d", d.Outcome)
			}
		})
	}
}
