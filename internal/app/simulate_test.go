package app_test

import (
	"testing"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/testkit"
)

// The simulator's nested answers come over the wire as they were made.
func TestSimulationOverTheWire(t *testing.T) {
	s := testkit.Start(t, testkit.Options{})
	admin := s.As(testkit.Admin("111122223333"))
	out := testkit.Call[iamapi.SimulatePolicyResponse](admin.IAM, "SimulatePrincipalPolicy", &iamapi.SimulatePrincipalPolicyRequest{
		PolicySourceArn: new("arn:aws:iam::111122223333:user/admin"), ActionNames: []string{"s3:GetObject"}, ResourceArns: []string{"arn:aws:s3:::b/k"},
		ContextEntries: []iamapi.ContextEntry{{ContextKeyName: new("aws:TagKeys"), ContextKeyType: new("stringList"), ContextKeyValues: []string{"a", "b"}}},
	})
	if len(out.EvaluationResults) != 1 {
		t.Fatalf("answer %+v", out)
	}
	r := out.EvaluationResults[0]
	if api.Val(r.EvalDecision) != "allowed" || len(r.MatchedStatements) != 1 || api.Val(r.MatchedStatements[0].SourcePolicyId) != "AdministratorAccess" ||
		api.Val(r.MatchedStatements[0].StartPosition.Line) == 0 || len(r.ResourceSpecificResults) != 1 || !api.Val(r.OrganizationsDecisionDetail.AllowedByOrganizations) {
		t.Errorf("result %+v", r)
	}
	cross := testkit.Call[iamapi.SimulatePolicyResponse](admin.IAM, "SimulatePrincipalPolicy", &iamapi.SimulatePrincipalPolicyRequest{
		PolicySourceArn: new("arn:aws:iam::111122223333:user/admin"), ActionNames: []string{"kms:Decrypt"},
		ResourceArns: []string{"arn:aws:kms:us-east-1:444455556666:key/1a2b3c4d-5e6f-1a2b-3c4d-5e6f1a2b3c4d"},
	})
	if d := cross.EvaluationResults[0].EvalDecisionDetails; d["IAM Policy"] != "allowed" || d["Resource Policy"] != "implicitDeny" {
		t.Errorf("details %v", d)
	}
}
