package policy_test

import (
	"errors"
	"testing"

	"github.com/kagimori/kagimori/internal/policy"
)

// Source: AWS Organizations User Guide, "SCP syntax" and "RCP syntax".
func TestCheckOrganization(t *testing.T) {
	const head = `{"Version":"2012-10-17","Statement":`
	for _, tt := range []struct {
		name    string
		kind    policy.Kind
		src     string
		pointer string // of the error, or ""
	}{
		{"an SCP", policy.SCP, head + `[{"Effect":"Allow","NotAction":"s3:*","Resource":"*"},{"Effect":"Deny","Action":"*","NotResource":"x"}]}`, ""},
		{"an SCP of 2008", policy.SCP, `{"Version":"2008-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}`, "/Version"},
		{"an SCP without version", policy.SCP, `{"Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}`, "/Version"},
		{"an SCP without resource", policy.SCP, head + `[{"Effect":"Deny","Action":"*"}]}`, "/Statement/0"},
		{"an SCP with principal", policy.SCP, head + `[{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*"}]}`, "/Statement/0/Principal"},
		{"an RCP", policy.RCP, head + `[{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*"}]}`, ""},
		{"an RCP that allows", policy.RCP, head + `[{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*"},{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}`, "/Statement/1/Effect"},
		{"an RCP for an account", policy.RCP, head + `[{"Effect":"Deny","Principal":{"AWS":"111122223333"},"Action":"*","Resource":"*"}]}`, "/Statement/0/Principal"},
		{"an RCP without principal", policy.RCP, head + `[{"Effect":"Deny","Action":"*","Resource":"*"}]}`, "/Statement/0/Principal"},
		{"an RCP with NotPrincipal", policy.RCP, head + `[{"Effect":"Deny","NotPrincipal":{"AWS":"111122223333"},"Action":"*","Resource":"*"}]}`, "/Statement/0/NotPrincipal"},
		{"an RCP with NotAction", policy.RCP, head + `[{"Effect":"Deny","Principal":"*","NotAction":"s3:*","Resource":"*"}]}`, "/Statement/0/NotAction"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, err := policy.CheckOrganization([]byte(tt.src), tt.kind)
			if tt.pointer == "" {
				if err != nil || d == nil {
					t.Fatal(err)
				}
				return
			}
			e, ok := errors.AsType[*policy.SyntaxError](err)
			if !ok || e.Pointer != tt.pointer || e.Line != 1 || e.Reason == "" {
				t.Errorf("%v", err)
			}
		})
	}
}
