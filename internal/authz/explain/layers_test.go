package explain_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/authz/explain"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/speech"
)

func tree(t *testing.T, req *authz.Request) string {
	t.Helper()
	d := authz.Explain(req)
	return strings.Join(explain.Tree(d.Parts[0], req.Principal.ARN, speech.English).Lines(), "\n")
}

func TestTree(t *testing.T) {
	p := slr("123456789012", roleG)
	wrong := onKey(t, p, "kms:CreateGrant", "123456789012", rootG, strings.Replace(p2, "true", "false", 1))
	denied := onKey(t, ana(), "kms:Decrypt", "123456789012", rootG)
	denied.Identity = []*authz.Document{compile(t, policy.Identity, "inline", "123456789012",
		`{"Sid":"D","Effect":"Deny","Action":"kms:Decrypt","Resource":"*"}`, `{"Sid":"A","Effect":"Allow","Action":"kms:*","Resource":"*"}`)}
	allowed := onKey(t, p, generate, "123456789012", p1)
	for _, tt := range []struct {
		rule string
		req  *authz.Request
		want string
	}{
		{"a condition that failed shows what it expects and what it got", wrong, `kms:CreateGrant on ` + keyG + `: denied, an allow is missing
├─ identity policy: no allow, and one is needed
│  └─ to change: Nothing can be changed here: the policies of a service-linked role are AWS's.
└─ key policy: leaves it to the account's identity policies
   ├─ Statement "Enable IAM User Permissions" of the key policy (account 123456789012) names the account, which leaves the decision to the account's identity policies.
   └─ Statement "P2" of the key policy (account 123456789012) does not apply: its condition Bool kms:GrantIsForAWSResource wants "false", the request has "true".`},
		{"a deny outweighs the allow beside it", denied, `kms:Decrypt on ` + keyG + `: denied, a statement says so
├─ identity policy: denies
│  ├─ Statement "D" of the identity policy inline (account 123456789012) denies it.
│  ├─ Statement "A" of the identity policy inline (account 123456789012) would allow it, but that is not enough.
│  └─ to change: The statement that denies has to be changed or removed; no allow outweighs it.
└─ key policy: leaves it to the account's identity policies
   └─ Statement "Enable IAM User Permissions" of the key policy (account 123456789012) names the account, which leaves the decision to the account's identity policies.`},
		{"what allows", allowed, generate + ` on ` + keyG + `: allowed
└─ key policy: allows
   └─ Statement "P1" of the key policy (account 123456789012) allows it.`},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, tree(t, tt.req)); diff != "" {
				t.Error(diff)
			}
		})
	}
	t.Run("a service-linked role of another account needs a grant", func(t *testing.T) {
		got := tree(t, onKey(t, slr("111122223333", roleA), generate, "444455556666", strings.ReplaceAll(rootG, "123456789012", "444455556666")))
		for _, want := range []string{"On a key of another account only a grant can help.", "An allow here lets the account make a grant; the role itself needs the grant."} {
			if !strings.Contains(got, want) {
				t.Errorf("%s\nlacks\n%s", got, want)
			}
		}
	})
	t.Run("what would have to change names the condition", func(t *testing.T) {
		req := onKey(t, p, "kms:CreateGrant", "123456789012", strings.Replace(p2, "true", "false", 1))
		got := tree(t, req)
		if want := `to change: An allow is needed here, or a request that has Bool kms:GrantIsForAWSResource with "false".`; !strings.Contains(got, want) {
			t.Errorf("%s\nlacks\n%s", got, want)
		}
	})
}

func TestLinesOfSeveralLinesKeepTheirPlace(t *testing.T) {
	n := explain.Node{Text: "a", Children: []explain.Node{{Text: "b\nc", Children: []explain.Node{{Text: "d"}}}, {Text: "e\nf"}}}
	want := "a\n├─ b\n│  c\n│  └─ d\n└─ e\n   f"
	if got := strings.Join(n.Lines(), "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
