package e2e_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	orgtypes "github.com/aws/aws-sdk-go-v2/service/organizations/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	ststypes "github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/kagimori/kagimori/e2e/internal/seed"
)

func testOrganization(t *testing.T, r *recorder, url string) {
	c, ctx := r.admin(url, management), t.Context()
	o := must(c.org.DescribeOrganization(ctx, &organizations.DescribeOrganizationInput{}))(t).Organization
	root := must(c.org.ListRoots(ctx, &organizations.ListRootsInput{}))(t).Roots[0].Id
	made := must(c.org.CreateOrganization(ctx, &organizations.CreateOrganizationInput{}))(t).Organization // clients begin so
	if *made.Id != *o.Id {
		t.Errorf("created %s, which is %s", *made.Id, *o.Id)
	}
	refused(c.org.CreateOrganization(ctx, &organizations.CreateOrganizationInput{}))(t, "AlreadyInOrganizationException")
	refused(c.org.DeleteOrganization(ctx, &organizations.DeleteOrganizationInput{}))(t, "OrganizationNotEmptyException")

	request := must(c.org.CreateAccount(ctx, &organizations.CreateAccountInput{AccountName: new("one"), Email: new("one@example.com")}))(t).CreateAccountStatus
	done := must(c.org.DescribeCreateAccountStatus(ctx, &organizations.DescribeCreateAccountStatusInput{CreateAccountRequestId: request.Id}))(t).CreateAccountStatus
	if done.State != orgtypes.CreateAccountStateSucceeded {
		t.Fatalf("account %+v", done)
	}
	account := done.AccountId
	if l := must(c.org.ListCreateAccountStatus(ctx, &organizations.ListCreateAccountStatusInput{}))(t).CreateAccountStatuses; len(l) == 0 {
		t.Error("no requests to create accounts")
	}
	role := must(c.sts.AssumeRole(ctx, &sts.AssumeRoleInput{RoleArn: new("arn:aws:iam::" + *account + ":role/OrganizationAccountAccessRole"), RoleSessionName: new("one")}))(t).Credentials
	inside := r.client(url, *account, aws.Credentials{AccessKeyID: *role.AccessKeyId, SecretAccessKey: *role.SecretAccessKey, SessionToken: *role.SessionToken})
	must(inside.iam.CreateUser(ctx, &iam.CreateUserInput{UserName: new("first")}))(t)

	unit := must(c.org.CreateOrganizationalUnit(ctx, &organizations.CreateOrganizationalUnitInput{ParentId: root, Name: new("u")}))(t).OrganizationalUnit.Id
	must(c.org.UpdateOrganizationalUnit(ctx, &organizations.UpdateOrganizationalUnitInput{OrganizationalUnitId: unit, Name: new("v")}))(t)
	if u := must(c.org.DescribeOrganizationalUnit(ctx, &organizations.DescribeOrganizationalUnitInput{OrganizationalUnitId: unit}))(t).OrganizationalUnit; *u.Name != "v" {
		t.Errorf("unit %+v", u)
	}
	if l := must(c.org.ListOrganizationalUnitsForParent(ctx, &organizations.ListOrganizationalUnitsForParentInput{ParentId: root}))(t).OrganizationalUnits; len(l) != 1 {
		t.Errorf("units %+v", l)
	}
	must(c.org.MoveAccount(ctx, &organizations.MoveAccountInput{AccountId: account, SourceParentId: root, DestinationParentId: unit}))(t)
	if p := must(c.org.ListParents(ctx, &organizations.ListParentsInput{ChildId: account}))(t).Parents; len(p) != 1 || *p[0].Id != *unit {
		t.Errorf("parents %+v", p)
	}
	if l := must(c.org.ListChildren(ctx, &organizations.ListChildrenInput{ParentId: unit, ChildType: orgtypes.ChildTypeAccount}))(t).Children; len(l) != 1 {
		t.Errorf("children %+v", l)
	}
	if l := must(c.org.ListAccountsForParent(ctx, &organizations.ListAccountsForParentInput{ParentId: unit}))(t).Accounts; len(l) != 1 || *l[0].Id != *account {
		t.Errorf("accounts %+v", l)
	}
	if l := must(c.org.ListAccounts(ctx, &organizations.ListAccountsInput{}))(t).Accounts; !slices.ContainsFunc(l, func(a orgtypes.Account) bool { return *a.Id == *account }) {
		t.Errorf("accounts %+v", l)
	}
	testOrganizationPolicies(t, c, inside, root, unit, account)
	testImageOfTheUnit(t, c, inside, "arn:aws:organizations::"+management+":ou/"+*o.Id+"/"+*unit, *o.Arn)
	testRootAccess(t, r, url, *o.Id, *account)

	must(c.org.CloseAccount(ctx, &organizations.CloseAccountInput{AccountId: account}))(t)
	_, err := c.org.CloseAccount(ctx, &organizations.CloseAccountInput{AccountId: new(management)})
	if e, ok := errors.AsType[*orgtypes.ConstraintViolationException](err); !ok || e.Reason != "CANNOT_CLOSE_MANAGEMENT_ACCOUNT" {
		t.Errorf("closing the management account: %v", err)
	}
	if a := must(c.org.DescribeAccount(ctx, &organizations.DescribeAccountInput{AccountId: account}))(t).Account; a.Status != orgtypes.AccountStatusSuspended {
		t.Errorf("closed %+v", a)
	}
	refused(inside.iam.ListUsers(ctx, &iam.ListUsersInput{}))(t, "InvalidClientTokenId")
	must(c.org.MoveAccount(ctx, &organizations.MoveAccountInput{AccountId: account, SourceParentId: unit, DestinationParentId: root}))(t)
	must(c.org.DeleteOrganizationalUnit(ctx, &organizations.DeleteOrganizationalUnitInput{OrganizationalUnitId: unit}))(t)
}

// testImageOfTheUnit shares an image with an organizational unit, and then with the organization.
func testImageOfTheUnit(t *testing.T, c, inside *client, unit, organization string) {
	ctx := t.Context()
	zone := must(c.ec2.DescribeAvailabilityZones(ctx, &ec2.DescribeAvailabilityZonesInput{}))(t).AvailabilityZones[0].ZoneName
	snap := c.snapshotOf(t, *must(c.ec2.CreateVolume(ctx, &ec2.CreateVolumeInput{AvailabilityZone: zone, Size: new(int32(1))}))(t).VolumeId)
	id := must(c.ec2.RegisterImage(ctx, &ec2.RegisterImageInput{Name: new("golden"), Architecture: ec2types.ArchitectureValuesX8664, VirtualizationType: new("hvm"), RootDeviceName: new("/dev/xvda"), BlockDeviceMappings: []ec2types.BlockDeviceMapping{{
		DeviceName: new("/dev/xvda"), Ebs: &ec2types.EbsBlockDevice{SnapshotId: &snap},
	}}}))(t).ImageId
	seen := func() int {
		return len(must(inside.ec2.DescribeImages(ctx, &ec2.DescribeImagesInput{ExecutableUsers: []string{"self"}}))(t).Images)
	}
	share := func(add, remove []ec2types.LaunchPermission) {
		must(c.ec2.ModifyImageAttribute(ctx, &ec2.ModifyImageAttributeInput{ImageId: id, LaunchPermission: &ec2types.LaunchPermissionModifications{Add: add, Remove: remove}}))(t)
	}
	refused(inside.ec2.DescribeImages(ctx, &ec2.DescribeImagesInput{ImageIds: []string{*id}}))(t, "InvalidAMIID.NotFound")
	whole, part := []ec2types.LaunchPermission{{OrganizationArn: &organization}}, []ec2types.LaunchPermission{{OrganizationalUnitArn: &unit}}
	share(part, nil)
	if n := seen(); n != 1 {
		t.Errorf("%d images are shared with the account of the unit", n)
	}
	must(inside.ec2.RunInstances(ctx, &ec2.RunInstancesInput{ImageId: id, MinCount: new(int32(1)), MaxCount: new(int32(1)), InstanceType: ec2types.InstanceTypeT3Micro}))(t)
	must(c.ec2.ModifyImageAttribute(ctx, &ec2.ModifyImageAttributeInput{ImageId: id, Attribute: new("launchPermission"), OperationType: ec2types.OperationTypeAdd, OrganizationArns: []string{organization}}))(t)
	list := must(c.ec2.DescribeImageAttribute(ctx, &ec2.DescribeImageAttributeInput{ImageId: id, Attribute: ec2types.ImageAttributeNameLaunchPermission}))(t).LaunchPermissions
	if len(list) != 2 || str(list[0].OrganizationArn) != organization || str(list[1].OrganizationalUnitArn) != unit {
		t.Errorf("launch permissions %+v", list)
	}
	share(nil, part)
	if n := seen(); n != 1 {
		t.Errorf("%d images are shared with the account of the organization", n)
	}
	share(nil, whole)
	if n := seen(); n != 0 {
		t.Errorf("%d images are shared with the account in the end", n)
	}
	refused(c.ec2.ModifyImageAttribute(ctx, &ec2.ModifyImageAttributeInput{ImageId: id, OperationType: ec2types.OperationTypeAdd, OrganizationalUnitArns: []string{organization + "/x"}, UserIds: []string{"x"}}))(t, "InvalidUserID.Malformed")
	refused(c.ec2.ModifyImageAttribute(ctx, &ec2.ModifyImageAttributeInput{ImageId: id, OperationType: ec2types.OperationTypeAdd, OrganizationArns: []string{"o-1234567890"}}))(t, "InvalidParameterValue")
}

func testOrganizationPolicies(t *testing.T, c, inside *client, root, unit, account *string) {
	ctx := t.Context()
	doc := seed.Policy(`{"Effect":"Deny","Action":"iam:CreateGroup","Resource":"*"}`)
	p := must(c.org.CreatePolicy(ctx, &organizations.CreatePolicyInput{Name: new("p"), Description: new("d"), Type: orgtypes.PolicyTypeServiceControlPolicy, Content: &doc}))(t).Policy.PolicySummary.Id
	must(c.org.AttachPolicy(ctx, &organizations.AttachPolicyInput{PolicyId: p, TargetId: unit}))(t)
	refused(inside.iam.CreateGroup(ctx, &iam.CreateGroupInput{GroupName: new("g")}))(t, "AccessDenied", "service control policy")
	if l := must(c.org.ListTargetsForPolicy(ctx, &organizations.ListTargetsForPolicyInput{PolicyId: p}))(t).Targets; len(l) != 1 || *l[0].TargetId != *unit {
		t.Errorf("targets %+v", l)
	}
	if l := must(c.org.ListPoliciesForTarget(ctx, &organizations.ListPoliciesForTargetInput{TargetId: unit, Filter: orgtypes.PolicyTypeServiceControlPolicy}))(t).Policies; len(l) != 2 {
		t.Errorf("policies of the unit %+v", l)
	}
	must(c.org.UpdatePolicy(ctx, &organizations.UpdatePolicyInput{PolicyId: p, Name: new("q")}))(t)
	if d := must(c.org.DescribePolicy(ctx, &organizations.DescribePolicyInput{PolicyId: p}))(t).Policy; *d.PolicySummary.Name != "q" || *d.Content != doc {
		t.Errorf("policy %+v", d)
	}
	if l := must(c.org.ListPolicies(ctx, &organizations.ListPoliciesInput{Filter: orgtypes.PolicyTypeServiceControlPolicy}))(t).Policies; len(l) < 2 {
		t.Errorf("policies %+v", l)
	}
	refused(c.org.DeletePolicy(ctx, &organizations.DeletePolicyInput{PolicyId: p}))(t, "PolicyInUseException")
	must(c.org.DetachPolicy(ctx, &organizations.DetachPolicyInput{PolicyId: p, TargetId: unit}))(t)
	must(inside.iam.CreateGroup(ctx, &iam.CreateGroupInput{GroupName: new("g")}))(t)
	must(c.org.DeletePolicy(ctx, &organizations.DeletePolicyInput{PolicyId: p}))(t)
	must(c.org.EnablePolicyType(ctx, &organizations.EnablePolicyTypeInput{RootId: root, PolicyType: orgtypes.PolicyTypeResourceControlPolicy}))(t)
	must(c.org.DisablePolicyType(ctx, &organizations.DisablePolicyTypeInput{RootId: root, PolicyType: orgtypes.PolicyTypeResourceControlPolicy}))(t)
	must(c.org.TagResource(ctx, &organizations.TagResourceInput{ResourceId: account, Tags: []orgtypes.Tag{{Key: new("a"), Value: new("b")}, {Key: new("x"), Value: new("y")}}}))(t)
	must(c.org.UntagResource(ctx, &organizations.UntagResourceInput{ResourceId: account, TagKeys: []string{"x"}}))(t)
	if l := must(c.org.ListTagsForResource(ctx, &organizations.ListTagsForResourceInput{ResourceId: account}))(t).Tags; len(l) != 1 || *l[0].Key != "a" {
		t.Errorf("tags %+v", l)
	}

	must(c.org.EnablePolicyType(ctx, &organizations.EnablePolicyTypeInput{RootId: root, PolicyType: orgtypes.PolicyTypeTagPolicy}))(t)
	tagging := must(c.org.CreatePolicy(ctx, &organizations.CreatePolicyInput{
		Name: new("tags"), Description: new(""), Type: orgtypes.PolicyTypeTagPolicy, Content: new(`{"tags":{"team":{"tag_key":{"@@assign":"Team"}}}}`),
	}))(t).Policy.PolicySummary.Id
	must(c.org.AttachPolicy(ctx, &organizations.AttachPolicyInput{PolicyId: tagging, TargetId: root}))(t)
	e := must(c.org.DescribeEffectivePolicy(ctx, &organizations.DescribeEffectivePolicyInput{PolicyType: orgtypes.EffectivePolicyTypeTagPolicy, TargetId: account}))(t).EffectivePolicy
	if *e.PolicyContent != `{"tags":{"team":{"tag_key":"Team"}}}` || *e.TargetId != *account {
		t.Errorf("effective policy %s of %s", *e.PolicyContent, *e.TargetId)
	}
	must(c.org.DisablePolicyType(ctx, &organizations.DisablePolicyTypeInput{RootId: root, PolicyType: orgtypes.PolicyTypeTagPolicy}))(t)
	must(c.org.DeletePolicy(ctx, &organizations.DeletePolicyInput{PolicyId: tagging}))(t)

	content := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"organizations:List*","Resource":"*"}]}`
	must(c.org.PutResourcePolicy(ctx, &organizations.PutResourcePolicyInput{Content: &content}))(t)
	if p := must(c.org.DescribeResourcePolicy(ctx, &organizations.DescribeResourcePolicyInput{}))(t).ResourcePolicy; *p.Content != content {
		t.Errorf("resource policy %s", *p.Content)
	}
	must(c.org.DeleteResourcePolicy(ctx, &organizations.DeleteResourcePolicyInput{}))(t)
	refused(c.org.DescribeResourcePolicy(ctx, &organizations.DescribeResourcePolicyInput{}))(t, "ResourcePolicyNotFoundException")
}

func testRootAccess(t *testing.T, r *recorder, url, organization, account string) {
	c, ctx := r.admin(url, management), t.Context()
	ask := &sts.AssumeRootInput{TargetPrincipal: &account, TaskPolicyArn: &ststypes.PolicyDescriptorType{Arn: new("arn:aws:iam::aws:policy/root-task/IAMAuditRootUserCredentials")}}
	refused(c.sts.AssumeRoot(ctx, ask))(t, "AccessDenied")
	must(c.iam.EnableOrganizationsRootSessions(ctx, &iam.EnableOrganizationsRootSessionsInput{}))(t)
	must(c.iam.EnableOrganizationsRootCredentialsManagement(ctx, &iam.EnableOrganizationsRootCredentialsManagementInput{}))(t)
	f := must(c.iam.ListOrganizationsFeatures(ctx, &iam.ListOrganizationsFeaturesInput{}))(t)
	if len(f.EnabledFeatures) != 2 || *f.OrganizationId != organization {
		t.Errorf("features %+v", f)
	}
	k := must(c.sts.AssumeRoot(ctx, ask))(t).Credentials
	s := r.client(url, account, aws.Credentials{AccessKeyID: *k.AccessKeyId, SecretAccessKey: *k.SecretAccessKey, SessionToken: *k.SessionToken})
	if l := must(s.iam.ListAccessKeys(ctx, &iam.ListAccessKeysInput{}))(t).AccessKeyMetadata; len(l) != 0 {
		t.Errorf("keys of the root user %+v", l)
	}
	refused(s.iam.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{}))(t, "AccessDenied")
	must(c.iam.DisableOrganizationsRootSessions(ctx, &iam.DisableOrganizationsRootSessionsInput{}))(t)
	must(c.iam.DisableOrganizationsRootCredentialsManagement(ctx, &iam.DisableOrganizationsRootCredentialsManagementInput{}))(t)
}
