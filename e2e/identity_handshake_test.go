package e2e_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	orgtypes "github.com/aws/aws-sdk-go-v2/service/organizations/types"
)

// testHandshakes: an account leaves the organization and comes back by invitation.
func testHandshakes(t *testing.T, r *recorder, url string) {
	boss, them, ctx := r.admin(url, management), r.admin(url, "210000000016"), t.Context()
	account := new("210000000016")
	must(them.org.LeaveOrganization(ctx, &organizations.LeaveOrganizationInput{}))(t)
	refused(them.org.DescribeOrganization(ctx, &organizations.DescribeOrganizationInput{}))(t, "AWSOrganizationsNotInUseException")
	invite := func() *string {
		t.Helper()
		return must(boss.org.InviteAccountToOrganization(ctx, &organizations.InviteAccountToOrganizationInput{
			Target: &orgtypes.HandshakeParty{Id: account, Type: orgtypes.HandshakePartyTypeAccount}, Notes: new("join us"),
		}))(t).Handshake.Id
	}
	canceled := invite()
	must(boss.org.CancelHandshake(ctx, &organizations.CancelHandshakeInput{HandshakeId: canceled}))(t)
	declined := invite()
	must(them.org.DeclineHandshake(ctx, &organizations.DeclineHandshakeInput{HandshakeId: declined}))(t)
	h := invite()
	if l := must(them.org.ListHandshakesForAccount(ctx, &organizations.ListHandshakesForAccountInput{}))(t).Handshakes; len(l) != 3 {
		t.Errorf("%d invitations", len(l))
	}
	if l := must(boss.org.ListHandshakesForOrganization(ctx, &organizations.ListHandshakesForOrganizationInput{}))(t).Handshakes; len(l) != 3 {
		t.Errorf("%d handshakes", len(l))
	}
	if d := must(them.org.DescribeHandshake(ctx, &organizations.DescribeHandshakeInput{HandshakeId: h}))(t).Handshake; d.State != orgtypes.HandshakeStateOpen || len(d.Parties) != 2 {
		t.Errorf("handshake %+v", d)
	}
	must(them.org.AcceptHandshake(ctx, &organizations.AcceptHandshakeInput{HandshakeId: h}))(t)
	must(them.org.DescribeOrganization(ctx, &organizations.DescribeOrganizationInput{}))(t)
	must(them.iam.GetRole(ctx, &iam.GetRoleInput{RoleName: new("AWSServiceRoleForOrganizations")}))(t)
	refused(boss.org.EnableAllFeatures(ctx, &organizations.EnableAllFeaturesInput{}))(t, "HandshakeConstraintViolationException")

	service := new("guardduty.amazonaws.com")
	must(boss.org.EnableAWSServiceAccess(ctx, &organizations.EnableAWSServiceAccessInput{ServicePrincipal: service}))(t)
	if l := must(boss.org.ListAWSServiceAccessForOrganization(ctx, &organizations.ListAWSServiceAccessForOrganizationInput{}))(t).EnabledServicePrincipals; len(l) != 1 || *l[0].ServicePrincipal != *service {
		t.Errorf("services %+v", l)
	}
	must(boss.org.RegisterDelegatedAdministrator(ctx, &organizations.RegisterDelegatedAdministratorInput{AccountId: account, ServicePrincipal: service}))(t)
	if l := must(boss.org.ListDelegatedAdministrators(ctx, &organizations.ListDelegatedAdministratorsInput{}))(t).DelegatedAdministrators; len(l) != 1 || *l[0].Id != *account {
		t.Errorf("administrators %+v", l)
	}
	if l := must(boss.org.ListDelegatedServicesForAccount(ctx, &organizations.ListDelegatedServicesForAccountInput{AccountId: account}))(t).DelegatedServices; len(l) != 1 {
		t.Errorf("services %+v", l)
	}
	must(boss.org.DeregisterDelegatedAdministrator(ctx, &organizations.DeregisterDelegatedAdministratorInput{AccountId: account, ServicePrincipal: service}))(t)
	must(boss.org.DisableAWSServiceAccess(ctx, &organizations.DisableAWSServiceAccessInput{ServicePrincipal: service}))(t)
	refused(boss.org.DescribeEffectivePolicy(ctx, &organizations.DescribeEffectivePolicyInput{PolicyType: orgtypes.EffectivePolicyTypeTagPolicy, TargetId: account}))(t, "EffectivePolicyNotFoundException")
	must(boss.org.RemoveAccountFromOrganization(ctx, &organizations.RemoveAccountFromOrganizationInput{AccountId: account}))(t)
	refused(boss.org.DescribeAccount(ctx, &organizations.DescribeAccountInput{AccountId: account}))(t, "AccountNotFoundException")
}
