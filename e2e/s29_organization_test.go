package e2e_test

import (
	"context"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/organizations"
	orgtypes "github.com/aws/aws-sdk-go-v2/service/organizations/types"
	"github.com/kagimori/kagimori/e2e/internal/seed"
	"github.com/kagimori/kagimori/e2e/internal/server"
)

// management is the account that manages the organization of a development server.
const management = "000000000000"

// organizationPolicy hangs a policy of statements on an account until the test ends.
func organizationPolicy(t *testing.T, url, account string, kind orgtypes.PolicyType, statements ...string) {
	t.Helper()
	m := adminOf(url, management)
	id := must(m.org.CreatePolicy(t.Context(), &organizations.CreatePolicyInput{
		Type: kind, Name: new("guard of " + account), Description: new(""), Content: new(seed.Policy(statements...)),
	}))(t).Policy.PolicySummary.Id
	must(m.org.AttachPolicy(t.Context(), &organizations.AttachPolicyInput{PolicyId: id, TargetId: &account}))(t)
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context()) // the test's own has ended
		must(m.org.DetachPolicy(ctx, &organizations.DetachPolicyInput{PolicyId: id, TargetId: &account}))(t)
		must(m.org.DeletePolicy(ctx, &organizations.DeletePolicyInput{PolicyId: id}))(t)
	})
}

const denyGrants = `{"Sid":"NoGrants","Effect":"Deny","Action":"kms:CreateGrant","Resource":"*"}`

func TestS29_AServiceControlPolicyDeniesTheRequester(t *testing.T) {
	e := newExample2(t, p3, p4)
	u := e.user.user(t, "delegate", seed.Identity("kms:CreateGrant", e.key))
	organizationPolicy(t, e.user.url, e.user.account, orgtypes.PolicyTypeServiceControlPolicy, denyGrants)
	out, err := u.kms.CreateGrant(t.Context(), e.grantInput())
	refused(out, err)(t, "AccessDeniedException", u.arn(t), "kms:CreateGrant", "with an explicit deny in a service control policy")
	// The policy's text is for the management account to see.
	why := e.user.details(t, err)
	why.denied(t, u.arn(t), "kms:CreateGrant", e.key, "a service control policy denies it. Only the organization can change that")
	if by := why.Evaluations[0].DecidedBy; by != "SERVICE_CONTROL_POLICY" {
		t.Errorf("it was decided by %s: %s", by, why.text())
	}
	if n := len(e.owner.grants(t, e.key)); n != 0 {
		t.Errorf("the refused call made %d grants", n)
	}
	// It is a rule for the account of the requester: a user of the key's account may grant, and the
	// service-linked role, which is exempt, uses the grant.
	o := e.owner.user(t, "delegate", seed.Identity("kms:CreateGrant", e.key))
	must(o.kms.CreateGrant(t.Context(), e.grantInput()))(t)
	e.launchOK(t)
}

// Resource control policies have to be turned on for the whole organization: on a server of its own.
func TestS29_AResourceControlPolicyOfTheKeysAccountDeniesTheRequester(t *testing.T) {
	t.Parallel()
	url := server.Start(t, t.TempDir()+"/data").URL
	e := example2{owner: adminOf(url, seed.KeyAccount), user: adminOf(url, seed.UserAccount)}
	e.user.serviceRole(t)
	e.key = e.owner.key(t, seed.Policy(seed.Full(seed.Root(seed.KeyAccount)), p3(seed.UserAccount), p4(seed.UserAccount)))
	u := e.user.user(t, "delegate", seed.Identity("kms:CreateGrant", e.key))
	m := adminOf(url, management)
	root := must(m.org.ListRoots(t.Context(), &organizations.ListRootsInput{}))(t).Roots[0].Id
	must(m.org.EnablePolicyType(t.Context(), &organizations.EnablePolicyTypeInput{
		RootId: root, PolicyType: orgtypes.PolicyTypeResourceControlPolicy,
	}))(t)
	must(u.kms.CreateGrant(t.Context(), e.grantInput()))(t)
	organizationPolicy(t, url, seed.KeyAccount, orgtypes.PolicyTypeResourceControlPolicy,
		`{"Sid":"OwnAccountOnly","Effect":"Deny","Principal":"*","Action":"kms:*","Resource":"*",
"Condition":{"StringNotEquals":{"aws:PrincipalAccount":"`+seed.KeyAccount+`"}}}`)
	out, err := u.kms.CreateGrant(t.Context(), e.grantInput())
	refused(out, err)(t, "AccessDeniedException", u.arn(t), "kms:CreateGrant")
	if by := e.user.details(t, err).Evaluations[0].DecidedBy; by != "RESOURCE_CONTROL_POLICY" {
		t.Errorf("it was decided by %s", by)
	}
	if n := len(e.owner.grants(t, e.key)); n != 1 {
		t.Errorf("there are %d grants, want that of before", n)
	}
}
