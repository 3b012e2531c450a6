package policy_test

import (
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/policy"
)

func trust(elements string) string { return statement(elements) }

// web trusts GitHub Actions on a condition.
func web(condition string) string {
	return trust(`"Action":"sts:AssumeRoleWithWebIdentity","Principal":{"Federated":"arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com"},"Condition":` + condition)
}

func trusts(principal string) string {
	return trust(`"Action":"sts:AssumeRole","Principal":` + principal)
}

func TestCheckTrust(t *testing.T) {
	const (
		nobody   = "Invalid principal in policy: com.amazon.balsa.error.InvalidPolicyException: The passed in policy has a statement with no principals!"
		onlySTS  = "AssumeRole policy may only specify STS AssumeRole actions."
		everyone = `"Principal":"*"`

		everybody = "Trust policy with trusted principal arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com must evaluate, using StringEquals, " +
			"StringLike or StringEqualsIgnoreCase, token.actions.githubusercontent.com:sub or token.actions.githubusercontent.com:job_workflow_ref which is not scoped to all."
	)
	tests := []struct{ name, src, want string }{
		{"not JSON", `{`, "This policy contains invalid Json"},
		{"space before", " " + trust(`"Action":"sts:AssumeRole",`+everyone), "JSON strings must not have leading spaces"},
		{"resource", trust(`"Action":"sts:AssumeRole","Resource":"*",` + everyone), "Has prohibited field Resource"},
		{"not resource", trust(`"Action":"sts:AssumeRole","NotResource":"*",` + everyone), "Has prohibited field NotResource"},
		{"not principal", trust(`"Action":"sts:AssumeRole","NotPrincipal":"*"`), "Has prohibited field NotPrincipal"},
		{"resource before effect case", `{"Statement":{"Effect":"allow","Resource":"*"}}`, "Has prohibited field Resource"},
		{"effect case", `{"Statement":{"Effect":"allow","Action":"sts:AssumeRole",` + everyone + `}}`, legacy},
		{"Sid", trust(`"Sid":"a b","Action":"sts:AssumeRole",` + everyone), sidText},
		{"no action", trust(everyone), noActions},
		{"bare action", trust(`"Action":"AssumeRole",` + everyone), prefaced},
		{"star", trust(`"Action":"*",` + everyone), onlySTS},
		{"other service", trust(`"Action":["sts:AssumeRole","kms:Decrypt"],` + everyone), onlySTS},
		{"other STS action", trust(`"Action":"sts:GetCallerIdentity",` + everyone), onlySTS},
		{"other wildcard", trust(`"Action":"sts:Get*",` + everyone), onlySTS},
		{"no principal", trust(`"Action":"sts:AssumeRole"`), nobody},
		{"empty principal", trusts(`{"AWS":[]}`), nobody},
		{"not an ARN", trusts(`{"AWS":"alice"}`), `Invalid principal in policy: "AWS":"alice"`},
		{"wildcard", trusts(`{"AWS":"arn:aws:iam::111122223333:role/*"}`), `Invalid principal in policy: "AWS":"arn:aws:iam::111122223333:role/*"`},
		{"group", trusts(`{"AWS":["111122223333","arn:aws:iam::111122223333:group/g"]}`), `Invalid principal in policy: "AWS":"arn:aws:iam::111122223333:group/g"`},
		{"all of GitHub", web(`{}`), everybody},
		{"GitHub's audience", web(`{"StringEquals":{"token.actions.githubusercontent.com:aud":"sts.amazonaws.com"}}`), everybody},
		{"GitHub's repository", web(`{"StringEquals":{"token.actions.githubusercontent.com:repository":"octo/cat"}}`), everybody},
		{"any subject of GitHub", web(`{"StringLike":{"token.actions.githubusercontent.com:sub":"*"}}`), everybody},
		{"not a subject of GitHub", web(`{"StringNotLike":{"token.actions.githubusercontent.com:sub":"repo:octo/*"}}`), everybody},
		{"canonical user", trusts(`{"CanonicalUser":"ff"}`), `Invalid principal in policy: "CANONICALUSER":"ff"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, err := policy.CheckTrust([]byte(tt.src))
			wantError(t, d, err, "MalformedPolicyDocument", tt.want)
		})
	}
	good := []string{
		trusts(`"*"`),
		trusts(`{"Service":["ec2.amazonaws.com","lambda.amazonaws.com"]}`),
		trusts(`{"AWS":["111122223333","arn:aws:iam::111122223333:root","arn:aws:iam::111122223333:user/a/b","arn:aws:iam::111122223333:role/r","arn:aws:sts::111122223333:assumed-role/r/s","arn:aws:sts::111122223333:federated-user/f","AROAABCDEFGHIJKLMNOP"]}`),
		trust(`"Action":["sts:AssumeRoleWithSAML","sts:tagsession","sts:AssumeRole*"],"Principal":{"Federated":"arn:aws:iam::111122223333:saml-provider/x"}`),
		web(`{"StringLike":{"token.actions.githubusercontent.com:sub":"repo:*"}}`),
		web(`{"StringLike":{"token.actions.githubusercontent.com:sub":["repo:octo/cat:*","*"]}}`),
		web(`{"ForAnyValue:StringEquals":{"Token.Actions.GitHubUserContent.com:job_workflow_ref":"octo/cat/.github/workflows/ci.yml@refs/heads/main"}}`),
		`{"Version":"2008-10-17","Statement":[{"Sid":"","Effect":"Allow","Action":"sts:*","Principal":{"Service":"ec2.amazonaws.com"}}]}`,
	}
	for _, src := range good {
		if _, err := policy.CheckTrust([]byte(src)); err != nil {
			t.Errorf("%s: %v", src, err)
		}
	}
}

func TestInvalidPrincipal(t *testing.T) {
	wantError(t, nil, policy.InvalidPrincipal(policy.PrincipalService, "x"), "MalformedPolicyDocument",
		`Invalid principal in policy: "SERVICE":"x"`)
}

func TestCheckKey(t *testing.T) {
	const (
		malformed = "MalformedPolicyDocumentException"
		nobody    = "Policy contains a statement with no principal."
		invalid   = "Policy contains a statement with one or more invalid principals."
		badARN    = "An ARN in the specified key policy is invalid."
	)
	principal := func(p string) string { return statement(`"Action":"kms:*","Resource":"*","Principal":` + p) }
	condition := func(c string) string {
		return statement(`"Action":"kms:*","Resource":"*","Principal":"*","Condition":` + c)
	}
	overly := func(what string) string {
		return "OverlyPermissiveCondition: Using the ForAllValues set operator with a single-valued condition key " +
			"matches requests without the specified " + what + " or with an unspecified " + what + ". To fix, remove ForAllValues."
	}
	tests := []struct{ name, src, code, want string }{
		{"not JSON", `{`, malformed, "Policy has a syntax error at line 1, column 2: document is cut short."},
		{"no statement", `{}`, malformed, "Policy has a syntax error at line 1, column 1: no statement."},
		{"bad effect", `{"Statement":{"Effect":"x"}}`, malformed, `Policy has a syntax error at line 1, column 24: Effect must be Allow or Deny, not "x".`},
		{"effect case", `{"Statement":{"Effect":"allow","Principal":"*"}}`, malformed, `Policy has a syntax error at line 1, column 24: Effect must be spelled Allow.`},
		{"no principal", statement(`"Action":"kms:*","Resource":"*"`), malformed, nobody},
		{"empty principal", principal(`{}`), malformed, nobody},
		{"empty list", principal(`{"AWS":[]}`), malformed, nobody},
		{"short ARN", principal(`{"AWS":"arn:aws:iam::111122223333"}`), "InvalidArnException", badARN},
		{"short account", principal(`{"AWS":"arn:aws:iam::1111:role/r"}`), "InvalidArnException", badARN},
		{"group", principal(`{"AWS":["*","arn:aws:iam::111122223333:group/g"]}`), "InvalidArnException", badARN},
		{"other service's ARN", principal(`{"AWS":"arn:aws:s3:::b"}`), "InvalidArnException", badARN},
		{"role without name", principal(`{"AWS":"arn:aws:iam::111122223333:role/"}`), "InvalidArnException", badARN},
		{"session without name", principal(`{"AWS":"arn:aws:sts::111122223333:assumed-role/r"}`), "InvalidArnException", badARN},
		{"region", principal(`{"AWS":"arn:aws:iam:us-east-1:111122223333:role/r"}`), "InvalidArnException", badARN},
		{"NotPrincipal too", statement(`"NotPrincipal":{"AWS":"arn:x"}`), "InvalidArnException", badARN},
		{"name", principal(`{"AWS":"alice"}`), malformed, invalid},
		{"wildcard", principal(`{"AWS":"arn:aws:iam::111122223333:role/*"}`), malformed, invalid},
		{"canonical user", principal(`{"CanonicalUser":"ff"}`), malformed, invalid},
		{"federated", principal(`{"Federated":"x"}`), malformed, invalid},
		{"context for all values", condition(`{"ForAllValues:StringEquals":{"KMS:EncryptionContext:App":"x"}}`), malformed, overly("encryption context")},
		{"tag for all values", condition(`{"ForAllValues:StringLikeIfExists":{"aws:requesttag/Team":"x"}}`), malformed, overly("tag")},
		{"too long", strings.Repeat(" ", policy.MaxKeyPolicySize+1), "LimitExceededException", "The key policy is longer than 32768 bytes."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, err := policy.CheckKey([]byte(tt.src))
			wantError(t, d, err, tt.code, tt.want)
		})
	}
	good := map[string]string{
		"default":                 policy.DefaultKeyPolicy("111122223333"),
		"EBS":                     policy.EBSManagedKeyPolicy("111122223333", "us-west-2"),
		"Sid with spaces":         statement(`"Sid":"a b","Principal":"*"`),
		"without action":          principal(`"*"`),
		"service":                 principal(`{"Service":"x.amazonaws.com"}`),
		"NotPrincipal":            statement(`"NotPrincipal":{"AWS":"111122223333"}`),
		"any value":               condition(`{"ForAnyValue:StringEquals":{"kms:EncryptionContext:App":"x"}}`),
		"keys for all values":     condition(`{"ForAllValues:StringEquals":{"kms:EncryptionContextKeys":"x"}}`),
		"exactly the size":        statement(`"Principal":"*"`) + strings.Repeat(" ", policy.MaxKeyPolicySize-len(statement(`"Principal":"*"`))),
		"unique id of some role":  principal(`{"AWS":"AROAABCDEFGHIJKLMNOP"}`),
		"the same Sid once again": `{"Statement":[{"Sid":"a","Effect":"Deny","Principal":"*"},{"Sid":"a","Effect":"Deny","Principal":"*"}]}`,
	}
	for name, src := range good {
		if _, err := policy.CheckKey([]byte(src)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
