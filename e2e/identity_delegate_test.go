package e2e_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	orgtypes "github.com/aws/aws-sdk-go-v2/service/organizations/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// testDelegates: a member acts for an organization of its own, by a resource policy and as a delegated administrator.
func testDelegates(t *testing.T, r *recorder, url string) {
	c, ctx := r.admin(url, "210000000017"), t.Context()
	must(c.org.CreateOrganization(ctx, &organizations.CreateOrganizationInput{}))(t)
	root := must(c.org.ListRoots(ctx, &organizations.ListRootsInput{}))(t).Roots[0].Id
	must(c.org.EnablePolicyType(ctx, &organizations.EnablePolicyTypeInput{RootId: root, PolicyType: orgtypes.PolicyTypeTagPolicy}))(t)
	request := must(c.org.CreateAccount(ctx, &organizations.CreateAccountInput{AccountName: new("tools"), Email: new("tools@example.com")}))(t).CreateAccountStatus
	account := must(c.org.DescribeCreateAccountStatus(ctx, &organizations.DescribeCreateAccountStatusInput{CreateAccountRequestId: request.Id}))(t).CreateAccountStatus.AccountId
	role := must(c.sts.AssumeRole(ctx, &sts.AssumeRoleInput{RoleArn: new("arn:aws:iam::" + *account + ":role/OrganizationAccountAccessRole"), RoleSessionName: new("tools")}))(t).Credentials
	member := r.client(url, *account, aws.Credentials{AccessKeyID: *role.AccessKeyId, SecretAccessKey: *role.SecretAccessKey, SessionToken: *role.SessionToken})

	refused(member.org.ListAccounts(ctx, &organizations.ListAccountsInput{}))(t, "AccessDeniedException")
	allows := `{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": {"AWS": "` + *account + `"}, "Action": ["organizations:CreatePolicy", "organizations:AttachPolicy", "organizations:ListAccounts"], "Resource": "*"}}`
	must(c.org.PutResourcePolicy(ctx, &organizations.PutResourcePolicyInput{Content: &allows}))(t)
	if l := must(member.org.ListAccounts(ctx, &organizations.ListAccountsInput{}))(t).Accounts; len(l) != 2 {
		t.Errorf("the delegate sees %+v", l)
	}
	tags := `{"tags": {"team": {"tag_key": {"@@assign": "Team"}}}}`
	p := must(member.org.CreatePolicy(ctx, &organizations.CreatePolicyInput{Name: new("t"), Description: new("d"), Type: orgtypes.PolicyTypeTagPolicy, Content: &tags}))(t).Policy.PolicySummary.Id
	must(member.org.AttachPolicy(ctx, &organizations.AttachPolicyInput{PolicyId: p, TargetId: root}))(t)
	refused(member.org.DetachPolicy(ctx, &organizations.DetachPolicyInput{PolicyId: p, TargetId: root}))(t, "AccessDeniedException")
	refused(member.org.ListRoots(ctx, &organizations.ListRootsInput{}))(t, "AccessDeniedException")

	must(c.org.EnableAWSServiceAccess(ctx, &organizations.EnableAWSServiceAccessInput{ServicePrincipal: new("config.amazonaws.com")}))(t)
	must(c.org.RegisterDelegatedAdministrator(ctx, &organizations.RegisterDelegatedAdministratorInput{AccountId: account, ServicePrincipal: new("config.amazonaws.com")}))(t)
	must(member.org.ListRoots(ctx, &organizations.ListRootsInput{}))(t)

	found := must(member.org.ListEffectivePolicyValidationErrors(ctx, &organizations.ListEffectivePolicyValidationErrorsInput{AccountId: account, PolicyType: orgtypes.EffectivePolicyTypeTagPolicy}))(t)
	if len(found.EffectivePolicyValidationErrors) != 0 || found.Path == nil || *found.AccountId != *account {
		t.Errorf("errors of the effective policy %+v", found)
	}
	if l := must(c.org.ListAccountsWithInvalidEffectivePolicy(ctx, &organizations.ListAccountsWithInvalidEffectivePolicyInput{PolicyType: orgtypes.EffectivePolicyTypeTagPolicy}))(t).Accounts; len(l) != 0 {
		t.Errorf("invalid in %+v", l)
	}
	refused(c.org.CreateGovCloudAccount(ctx, &organizations.CreateGovCloudAccountInput{AccountName: new("gov"), Email: new("gov@example.com")}))(t, "AccessDeniedException")
}
