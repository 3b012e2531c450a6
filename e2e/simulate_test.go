package e2e_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	orgtypes "github.com/aws/aws-sdk-go-v2/service/organizations/types"
	"github.com/kagimori/kagimori/e2e/internal/seed"
)

// simulated are the decisions of IAM's policy simulator, by action.
func (c *client) simulated(t *testing.T, in iam.SimulatePrincipalPolicyInput) map[string]iamtypes.EvaluationResult {
	t.Helper()
	out := map[string]iamtypes.EvaluationResult{}
	for p := iam.NewSimulatePrincipalPolicyPaginator(c.iam, &in); p.HasMorePages(); {
		for _, r := range must(p.NextPage(t.Context()))(t).EvaluationResults {
			out[*r.EvalActionName] = r
		}
	}
	return out
}

// The simulator tells in advance what S4 rests on: the role may launch, and has no right to any key.
func TestTheSimulatorKnowsWhatTheServiceLinkedRoleMayDo(t *testing.T) {
	c := admin(t)
	c.serviceRole(t)
	got := c.simulated(t, iam.SimulatePrincipalPolicyInput{
		PolicySourceArn: new(seed.Role(c.account)), ActionNames: []string{"ec2:RunInstances", "kms:CreateGrant", "kms:GenerateDataKeyWithoutPlaintext"},
	})
	for action, want := range map[string]iamtypes.PolicyEvaluationDecisionType{
		"ec2:RunInstances": "allowed", "kms:CreateGrant": "implicitDeny", "kms:GenerateDataKeyWithoutPlaintext": "implicitDeny",
	} {
		if d := got[action].EvalDecision; d != want {
			t.Errorf("%s is %q, want %s", action, d, want)
		}
	}
}

// What the simulator says of the page's policy for the requester is what KMS decides.
func TestTheSimulatorAgreesWithKMSAboutTheRequester(t *testing.T) {
	e := newExample2(t, p3, p4)
	u := e.user.user(t, "delegate", seed.Identity("kms:CreateGrant", e.key))
	me := u.arn(t)
	ask := iam.SimulatePrincipalPolicyInput{
		PolicySourceArn: &me, ActionNames: []string{"kms:CreateGrant", "kms:RevokeGrant"}, ResourceArns: []string{e.key},
		ResourcePolicy: new(seed.Policy(p3(e.user.account), p4(e.user.account))), ResourceOwner: new(seed.Root(e.owner.account)),
	}
	got := e.user.simulated(t, ask)
	if a, b := got["kms:CreateGrant"].EvalDecision, got["kms:RevokeGrant"].EvalDecision; a != "allowed" || b != "implicitDeny" {
		t.Errorf("CreateGrant is %q, RevokeGrant %q", a, b)
	}
	must(u.kms.CreateGrant(t.Context(), e.grantInput()))(t)

	organizationPolicy(t, e.user.url, e.user.account, orgtypes.PolicyTypeServiceControlPolicy, denyGrants)
	r := e.user.simulated(t, ask)["kms:CreateGrant"]
	if r.EvalDecision != "explicitDeny" || r.OrganizationsDecisionDetail == nil || r.OrganizationsDecisionDetail.AllowedByOrganizations {
		t.Errorf("with a service control policy CreateGrant is %q, %+v", r.EvalDecision, r.OrganizationsDecisionDetail)
	}
	out, err := u.kms.CreateGrant(t.Context(), e.grantInput())
	refused(out, err)(t, "AccessDeniedException", "with an explicit deny in a service control policy")
}
