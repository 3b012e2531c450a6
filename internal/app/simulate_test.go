package app_test

import (
	"testing"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/api/organizationsapi"
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

// What a service control policy says is its organization's own: a member's simulation tells that it denies, as a denial does.
func TestSimulationsDoNotQuoteTheOrganization(t *testing.T) {
	s := testkit.Start(t, testkit.Options{})
	boss, member := s.As(testkit.Admin("000000000000")), s.As(testkit.Admin("111122223333"))
	deny := `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"s3:*","Resource":"*","Condition":{"StringNotEquals":{"aws:RequestTag/secret-project":"x"}}}]}`
	p := testkit.Call[organizationsapi.CreatePolicyResponse](boss.Organizations, "CreatePolicy", &organizationsapi.CreatePolicyRequest{
		Name: new("deny"), Description: new(""), Type: new("SERVICE_CONTROL_POLICY"), Content: &deny,
	}).Policy.PolicySummary.Id
	if err := boss.Organizations.Do(t.Context(), "AttachPolicy", &organizationsapi.AttachPolicyRequest{PolicyId: p, TargetId: new("r-kgmr")}, nil); err != nil {
		t.Fatal(err)
	}
	r := testkit.Call[iamapi.SimulatePolicyResponse](member.IAM, "SimulatePrincipalPolicy", &iamapi.SimulatePrincipalPolicyRequest{
		PolicySourceArn: new("arn:aws:iam::111122223333:user/admin"), ActionNames: []string{"s3:GetObject"},
	}).EvaluationResults[0]
	if *r.EvalDecision != "explicitDeny" || *r.OrganizationsDecisionDetail.AllowedByOrganizations || len(r.MatchedStatements) != 0 || len(r.MissingContextValues) != 0 {
		t.Errorf("%s %+v, missing %v", *r.EvalDecision, r.MatchedStatements, r.MissingContextValues)
	}
}
