package e2e_test

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/kagimori/kagimori/e2e/internal/seed"
)

const (
	roleName = "AWSServiceRoleForAutoScaling"
	mayGroup = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["autoscaling:*","ec2:*"],"Resource":"*"}]}`
	mayRole  = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:CreateServiceLinkedRole",
"Resource":"arn:aws:iam::*:role/aws-service-role/autoscaling.amazonaws.com/*","Condition":{"StringEquals":{"iam:AWSServiceName":"autoscaling.amazonaws.com"}}}]}`
)

func TestS1_FirstGroupCreatesTheServiceLinkedRoleWithTheUsersRight(t *testing.T) {
	c := admin(t)
	missing, err := c.iam.GetRole(t.Context(), &iam.GetRoleInput{RoleName: new(roleName)})
	refused(missing, err)(t, "NoSuchEntity")

	g := c.user(t, "deployer", mayGroup, mayRole).group(t, 1)

	role := must(c.iam.GetRole(t.Context(), &iam.GetRoleInput{RoleName: new(roleName)}))(t).Role
	if *role.Arn != seed.Role(c.account) || *role.Path != "/aws-service-role/autoscaling.amazonaws.com/" {
		t.Errorf("role is %s at path %s", *role.Arn, *role.Path)
	}
	if arn := g.describe(t).ServiceLinkedRoleARN; str(arn) != seed.Role(c.account) {
		t.Errorf("the group's role is %q", str(arn))
	}
	checkTrust(t, str(role.AssumeRolePolicyDocument))
	checkServicePolicy(t, c)

	id := g.running(t, 1)[0]
	run := c.record(t, "RunInstances", func(r record) bool { return strings.Contains(string(r.ResponseElements), id) })
	if run.UserIdentity.ARN != seed.Session(c.account) || run.UserIdentity.Type != "AssumedRole" {
		t.Errorf("RunInstances is recorded as %s of %s", run.UserIdentity.Type, run.UserIdentity.ARN)
	}
	if run.UserIdentity.InvokedBy != "autoscaling.amazonaws.com" {
		t.Errorf("RunInstances is recorded as invoked by %q", run.UserIdentity.InvokedBy)
	}
	made := c.record(t, "CreateServiceLinkedRole", func(record) bool { return true })
	if made.UserIdentity.ARN != "arn:aws:iam::"+c.account+":user/deployer" || made.UserIdentity.InvokedBy != "autoscaling.amazonaws.com" {
		t.Errorf("CreateServiceLinkedRole is recorded as %s, invoked by %q", made.UserIdentity.ARN, made.UserIdentity.InvokedBy)
	}
}

func checkTrust(t *testing.T, document string) {
	t.Helper()
	text, err := url.QueryUnescape(document)
	if err != nil {
		t.Fatal(err)
	}
	var trust struct {
		Statement []struct {
			Effect    string
			Principal map[string]any
			Action    any
		}
	}
	if err := json.Unmarshal([]byte(text), &trust); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	if len(trust.Statement) != 1 || len(trust.Statement[0].Principal) != 1 {
		t.Fatalf("the role trusts more than one principal: %s", text)
	}
	s := trust.Statement[0]
	if s.Effect != "Allow" || only(s.Principal["Service"]) != "autoscaling.amazonaws.com" || only(s.Action) != "sts:AssumeRole" {
		t.Errorf("trust policy is %s", text)
	}
}

// only is the one element of a list, or the value that stands for such a list.
func only(v any) any {
	if list, ok := v.([]any); ok && len(list) == 1 {
		return list[0]
	}
	return v
}

func checkServicePolicy(t *testing.T, c *client) {
	t.Helper()
	attached := must(c.iam.ListAttachedRolePolicies(t.Context(), &iam.ListAttachedRolePoliciesInput{RoleName: new(roleName)}))(t).AttachedPolicies
	if len(attached) != 1 || *attached[0].PolicyName != "AutoScalingServiceRolePolicy" {
		t.Fatalf("attached policies are %+v", attached)
	}
	p := must(c.iam.GetPolicy(t.Context(), &iam.GetPolicyInput{PolicyArn: attached[0].PolicyArn}))(t).Policy
	v := must(c.iam.GetPolicyVersion(t.Context(), &iam.GetPolicyVersionInput{PolicyArn: p.Arn, VersionId: p.DefaultVersionId}))(t)
	text, err := url.QueryUnescape(*v.PolicyVersion.Document)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text, "ec2:RunInstances") || strings.Contains(strings.ToLower(text), `"kms:`) {
		t.Errorf("the role's policy has no ec2:RunInstances, or has kms actions: %s", text)
	}
}

func TestS1_WithoutTheRightToCreateTheRoleThereIsNoGroup(t *testing.T) {
	c := admin(t)
	u := c.user(t, "deployer", mayGroup)
	u.template(t, "web")
	out, err := u.asg.CreateAutoScalingGroup(t.Context(), groupInput("web", 1))
	refused(out, err)(t, "AccessDenied", "iam:CreateServiceLinkedRole", "arn:aws:iam::"+c.account+":user/deployer")

	groups := must(c.asg.DescribeAutoScalingGroups(t.Context(), &autoscaling.DescribeAutoScalingGroupsInput{}))(t)
	if len(groups.AutoScalingGroups) != 0 {
		t.Errorf("the refused group exists: %+v", groups.AutoScalingGroups)
	}
	missing, err := c.iam.GetRole(t.Context(), &iam.GetRoleInput{RoleName: new(roleName)})
	refused(missing, err)(t, "NoSuchEntity")
}

func TestS1_WithoutTheRightToRunInstancesThereIsNoGroup(t *testing.T) {
	c := admin(t)
	c.template(t, "web")
	u := c.user(t, "deployer", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["autoscaling:*","ec2:Describe*"],"Resource":"*"}]}`, mayRole)
	out, err := u.asg.CreateAutoScalingGroup(t.Context(), groupInput("web", 1))
	refused(out, err)(t, "AccessDenied", "You are not authorized to use launch template: web")
}

func TestS2_TheServiceLinkedRoleIsProtected(t *testing.T) {
	c := admin(t)
	c.serviceRole(t)
	const text = "Cannot perform the operation on the protected role '" + roleName + "' - this role is only modifiable by AWS"
	attach, err := c.iam.AttachRolePolicy(t.Context(), &iam.AttachRolePolicyInput{
		RoleName: new(roleName), PolicyArn: new("arn:aws:iam::aws:policy/AdministratorAccess"),
	})
	refused(attach, err)(t, "UnmodifiableEntity", text)
	put, err := c.iam.PutRolePolicy(t.Context(), &iam.PutRolePolicyInput{
		RoleName: new(roleName), PolicyName: new("kms"), PolicyDocument: new(seed.Identity("kms:*", "*")),
	})
	refused(put, err)(t, "UnmodifiableEntity", text)
	trust, err := c.iam.UpdateAssumeRolePolicy(t.Context(), &iam.UpdateAssumeRolePolicyInput{
		RoleName: new(roleName), PolicyDocument: new(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}`),
	})
	refused(trust, err)(t, "UnmodifiableEntity", text)
	del, err := c.iam.DeleteRole(t.Context(), &iam.DeleteRoleInput{RoleName: new(roleName)})
	refused(del, err)(t, "UnmodifiableEntity", text)
	session, err := c.sts.AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: new(seed.Role(c.account)), RoleSessionName: new("AutoScaling")})
	refused(session, err)(t, "AccessDenied", "sts:AssumeRole")
	again, err := c.iam.CreateServiceLinkedRole(t.Context(), &iam.CreateServiceLinkedRoleInput{AWSServiceName: new("autoscaling.amazonaws.com")})
	refused(again, err)(t, "InvalidInput", "Service role name "+roleName+" has been taken in this account, please try a different suffix.")

	list := must(c.iam.ListRolePolicies(t.Context(), &iam.ListRolePoliciesInput{RoleName: new(roleName)}))(t)
	if len(list.PolicyNames) != 0 {
		t.Errorf("the role has inline policies %v", list.PolicyNames)
	}
	checkServicePolicy(t, c)
}

func TestS1_AGroupMayNameTheRoleAndNeedsPassRole(t *testing.T) {
	c := admin(t)
	c.serviceRole(t)
	c.template(t, "web")
	in := groupInput("web", 0)
	in.ServiceLinkedRoleARN = new(seed.Role(c.account))
	u := c.user(t, "deployer", mayGroup)
	out, err := u.asg.CreateAutoScalingGroup(t.Context(), in)
	refused(out, err)(t, "AccessDenied", "iam:PassRole")

	c.allow(t, "deployer", "pass", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:PassRole","Resource":"`+seed.Role(c.account)+`",
"Condition":{"StringEquals":{"iam:PassedToService":"autoscaling.amazonaws.com"}}}]}`)
	must(u.asg.CreateAutoScalingGroup(t.Context(), in))(t)
	if arn := (group{c, "web"}).describe(t).ServiceLinkedRoleARN; str(arn) != seed.Role(c.account) {
		t.Errorf("the group's role is %q", str(arn))
	}

	absent := groupInput("web", 0)
	absent.AutoScalingGroupName = new("other")
	absent.ServiceLinkedRoleARN = new(seed.Role(c.account) + "_absent")
	created, err := c.asg.CreateAutoScalingGroup(t.Context(), absent)
	if err == nil {
		t.Fatal("a group with a role that does not exist was created")
	}
	refused(created, err)(t, "ValidationError")
}

func TestS1_SuffixedRoleHasItsOwnName(t *testing.T) {
	c := admin(t)
	role := must(c.iam.CreateServiceLinkedRole(t.Context(), &iam.CreateServiceLinkedRoleInput{
		AWSServiceName: new("autoscaling.amazonaws.com"), CustomSuffix: new("devteam"),
	}))(t).Role
	if *role.RoleName != roleName+"_devteam" || *role.Arn != seed.Role(c.account)+"_devteam" {
		t.Errorf("role is %s, %s", *role.RoleName, *role.Arn)
	}
	names := must(c.iam.ListRoles(t.Context(), &iam.ListRolesInput{PathPrefix: new("/aws-service-role/")}))(t).Roles
	if !slices.ContainsFunc(names, func(r iamRole) bool { return *r.RoleName == roleName+"_devteam" }) {
		t.Errorf("ListRoles does not show the role: %+v", names)
	}
}
