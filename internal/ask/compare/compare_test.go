package compare_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/ask/compare"
	"github.com/kagimori/kagimori/internal/policy"
)

const (
	role   = "arn:aws:iam::123456789012:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
	ana    = "arn:aws:iam::123456789012:user/ana"
	root   = `{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:root"},"Action":"kms:*","Resource":"*"}`
	use    = `{"Effect":"Allow","Principal":{"AWS":["` + role + `"]},"Action":["kms:Encrypt","kms:Decrypt","kms:ReEncrypt*","kms:GenerateDataKey*","kms:DescribeKey"],"Resource":"*"}`
	grants = `{"Effect":"Allow","Principal":{"AWS":["` + role + `"]},"Action":"kms:CreateGrant","Resource":"*","Condition":{"Bool":{"kms:GrantIsForAWSResource":true}}}`
)

func read(t *testing.T, statements string) *policy.Document {
	t.Helper()
	d, err := policy.Parse([]byte(`{"Version":"2012-10-17","Statement":[`+statements+`]}`), policy.Key)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestPolicies(t *testing.T) {
	direct := func(who, action, more string) string {
		return `{"Effect":"Allow","Principal":` + who + `,"Action":"` + action + `","Resource":"*"` + more + `}`
	}
	const iam = "if IAM policies of the account allow it"
	for _, tt := range []struct {
		name, before, after string
		want                []string // kind principal actions: before -> after
	}{
		{"nothing", root + "," + use, use + "," + root, nil},
		{"the same in other words", use, strings.Replace(use, `"kms:ReEncrypt*"`, `"kms:reencryptfrom","kms:ReEncryptTo"`, 1), nil},
		{"a statement that another covers", root + "," + use, root + "," + use + "," + direct(`{"AWS":"`+role+`"}`, "kms:Decrypt", ""), nil},
		{"the page's statements", root, root + "," + use + "," + grants, []string{
			"gains " + role + " kms:CreateGrant: never -> if Bool kms:GrantIsForAWSResource true",
			"gains " + role + " kms:ReEncrypt*, kms:GenerateDataKey*, kms:Decrypt, kms:DescribeKey, kms:Encrypt: never -> always",
		}},
		{"a condition goes", grants, strings.Replace(grants, `,"Condition":{"Bool":{"kms:GrantIsForAWSResource":true}}`, "", 1), []string{
			"wider " + role + " kms:CreateGrant: if Bool kms:GrantIsForAWSResource true -> always",
		}},
		{"an IAM policy is not needed any more", root, root + "," + direct(`{"AWS":"`+ana+`"}`, "kms:Decrypt", ""), []string{
			"wider " + ana + " kms:Decrypt: " + iam + " -> always",
		}},
		{"the account's statement goes", root + "," + direct(`{"AWS":"`+ana+`"}`, "kms:*", ""), direct(`{"AWS":"`+ana+`"}`, "kms:*", ""), []string{
			"loses anybody else in account 123456789012 kms:*: " + iam + " -> never",
		}},
		{"another account", root, root + "," + direct(`{"AWS":"111122223333"}`, "kms:Decrypt", ""), []string{
			"gains anybody else in account 111122223333 kms:Decrypt: never -> " + iam,
		}},
		{"a deny", root + "," + use, root + "," + use + `,{"Effect":"Deny","Principal":"*","Action":"kms:Decrypt","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":false}}}`, []string{
			"tighter " + role + " kms:Decrypt: always -> always, but not if Bool aws:SecureTransport false",
			"tighter anybody else in account 123456789012 kms:Decrypt: " + iam + " -> " + iam + ", but not if Bool aws:SecureTransport false",
		}},
		{"a deny for all", use, use + `,{"Effect":"Deny","Principal":"*","Action":"kms:Decrypt","Resource":"*"}`, []string{
			"loses " + role + " kms:Decrypt: always -> never",
		}},
		{"everybody of an organization", root, root + "," + direct(`"*"`, "kms:Encrypt", `,"Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-abcdefghij"}}`), []string{
			"gains anybody in organization o-abcdefghij kms:Encrypt: never -> " + iam,
		}},
		{"whoever matches a pattern", root, root + "," + direct(`"*"`, "kms:Encrypt", `,"Condition":{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::123456789012:role/team/*"}}`), []string{
			"wider whoever matches arn:aws:iam::123456789012:role/team/* kms:Encrypt: " + iam + " -> always",
		}},
		{"a service", root, root + "," + direct(`{"Service":"sns.amazonaws.com"}`, "kms:Decrypt", ""), []string{
			"gains sns.amazonaws.com kms:Decrypt: never -> always",
		}},
		{"another service to go through", strings.Replace(grants, `{"Bool":{"kms:GrantIsForAWSResource":true}}`, `{"StringEquals":{"kms:ViaService":"ec2.us-west-2.amazonaws.com"}}`, 1),
			strings.Replace(grants, `{"Bool":{"kms:GrantIsForAWSResource":true}}`, `{"StringEquals":{"kms:ViaService":"ec2.us-east-1.amazonaws.com"}}`, 1), []string{
				"other " + role + " kms:CreateGrant: if StringEquals kms:ViaService ec2.us-west-2.amazonaws.com -> if StringEquals kms:ViaService ec2.us-east-1.amazonaws.com",
			}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before, after := read(t, tt.before), read(t, tt.after)
			got := texts(compare.Policies(before, after, compare.Key{}))
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			if back := compare.Policies(after, before, compare.Key{}); len(back) != len(got) {
				t.Errorf("back: %q", texts(back))
			}
			if self := compare.Policies(after, after, compare.Key{}); len(self) != 0 {
				t.Errorf("to itself: %q", texts(self))
			}
		})
	}
}

func texts(all []compare.Change) []string {
	var out []string
	for _, c := range all {
		out = append(out, fmt.Sprintf("%s %s %s: %s -> %s", c.Kind, c.Principal, strings.Join(c.Actions, ", "), c.Before, c.After))
	}
	return out
}
