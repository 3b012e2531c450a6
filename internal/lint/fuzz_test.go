package lint_test

import (
	"testing"

	"github.com/kagimori/kagimori/internal/lint"
	"github.com/kagimori/kagimori/internal/policy"
)

// FuzzCheck shows that no document panics, that every finding has a place inside the document, and
// that a document without findings of refusal parses.
func FuzzCheck(f *testing.F) {
	for i, s := range []string{
		policy.DefaultKeyPolicy(owner), policy.EBSManagedKeyPolicy(owner, "us-west-2"),
		keyPolicy(`{"Effect": "Allow", "Principal": {"AWS": ["` + role + `", "` + role + `-x", "*"], "Service": "ec2.amazonaws.com"}, "Action": ["kms:ReEncrypt", "*"], "Resource": ["${aws:x}", "", "arn:aws:kms:*"]}`),
		identity(`"NotAction": "kms:*", "NotResource": "arn:aws:iam::1:role/aws-service-role/x/AWSServiceRoleFor"`),
		identity(`"Action": "kms:CreateGrant", "Resource": "*", "Condition": {"ForAllValues:StringLikeIfExists": {"kms:GrantOperations": []}, "Null": {"aws:SourceIp": "x"}, "ArnLike": {"aws:PrincipalArn": ""}, "NumericLessThan": {"aws:MultiFactorAuthAge": [1, "x"]}}`),
		`{"Statement": {"Effect": "Deny", "NotPrincipal": {"AWS": "` + owner + `"}, "Action": ":", "Resource": ":::::", "Condition": {"NotIpAddress": {"aws:SourceIp": "::/0"}}}}`,
	} {
		f.Add([]byte(s), uint8(i), true)
	}
	f.Fuzz(func(t *testing.T, src []byte, kind uint8, known bool) {
		if len(src) > 1<<12 {
			return
		}
		o := lint.Options{Kind: policy.Kind(kind%8) + policy.Identity}
		if known {
			o.Account, o.Resource, o.Known = owner, keyARN, &lint.World{Principals: []string{role}}
		}
		refused := false
		for _, found := range lint.Check(src, o) {
			refused = refused || found.Rule == "refused"
			start, end := found.Range.Start, found.Range.End
			if start.Line < 1 || start.Column < 1 || end.Line < start.Line || end.Line == start.Line && end.Column < start.Column {
				t.Errorf("%s is at %v", found.Rule, found.Range)
			}
			if found.Reason.Empty() || found.Fix.Empty() || found.Severity == 0 {
				t.Errorf("%+v", found)
			}
		}
		if _, err := policy.Parse(src, o.Kind); err != nil && !refused {
			t.Errorf("it does not parse (%v), and nothing says so", err)
		}
	})
}
