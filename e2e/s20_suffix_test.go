package e2e_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/kagimori/kagimori/e2e/internal/seed"
)

const suffix = "devteam"

// suffixedRole makes Auto Scaling's service-linked role with the suffix and gives its ARN.
func (c *client) suffixedRole(t *testing.T) string {
	t.Helper()
	role := must(c.iam.CreateServiceLinkedRole(t.Context(), &iam.CreateServiceLinkedRoleInput{
		AWSServiceName: new("autoscaling.amazonaws.com"), CustomSuffix: new(suffix),
	}))(t).Role
	return *role.Arn
}

// suffixedGroup asks for a group that uses a role.
func suffixedGroup(name string, size int32, role string) *autoscaling.CreateAutoScalingGroupInput {
	in := groupInput(name, size)
	in.ServiceLinkedRoleARN = &role
	return in
}

func TestS20_TheRoleThatTheKeyPolicyNamesIsTheOneThatLaunches(t *testing.T) {
	c := admin(t)
	c.serviceRole(t)
	role := c.suffixedRole(t)
	key := c.key(t, seed.Policy(seed.Full(seed.Root(c.account)), seed.Use(role), seed.Attach(role)))

	c.template(t, "other", dataDevice(key))
	other := c.groupBy(t, groupInput("other", 1))
	why := c.why(t, other.launchFail(t, c, key))
	why.denied(t, seed.Session(c.account), "kms:GenerateDataKeyWithoutPlaintext", key, "key-policy", seed.Role(c.account))
	e := why.Evaluations[0]
	s := e.layer(t, "RESOURCE_BASED_POLICY").missed(t, "Allow use of the customer managed key")
	if s.Reason != "PRINCIPAL" || s.Policy != key {
		t.Errorf("the statement for the other role: %+v", s)
	}
	e.wantSets(t, "key-policy")
	other.stop(t)
	other.gone(t)

	c.template(t, "web", rootDevice(key), dataDevice(key))
	g := c.groupBy(t, suffixedGroup("web", 1, role))
	id := g.launchOK(t, 1, c, map[string]string{"/dev/xvda": key, "/dev/sdf": key})[0]
	run := c.record(t, "RunInstances", func(r record) bool { return strings.Contains(string(r.ResponseElements), id) })
	if want := "arn:aws:sts::" + c.account + ":assumed-role/" + roleName + "_" + suffix + "/AutoScaling"; run.UserIdentity.ARN != want {
		t.Errorf("RunInstances is recorded as %s, want %s", run.UserIdentity.ARN, want)
	}
}

func TestS20_WhoNamesARoleNeedsPassRoleForIt(t *testing.T) {
	c := admin(t)
	c.serviceRole(t)
	role := c.suffixedRole(t)
	c.template(t, "web")
	pass := func(arn string) string {
		return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:PassRole","Resource":"` + arn + `"}]}`
	}
	for name, policies := range map[string][]string{"none": {mayGroup}, "another": {mayGroup, pass(seed.Role(c.account))}} {
		u := c.user(t, name, policies...)
		out, err := u.asg.CreateAutoScalingGroup(t.Context(), suffixedGroup("web", 0, role))
		refused(out, err)(t, "AccessDenied", u.arn(t), "iam:PassRole", role)
	}
	if n := len(must(c.asg.DescribeAutoScalingGroups(t.Context(), &describeGroups{}))(t).AutoScalingGroups); n != 0 {
		t.Errorf("%d refused groups exist", n)
	}
	u := c.user(t, "right", mayGroup, pass(role))
	g := u.groupBy(t, suffixedGroup("web", 0, role))
	if got := str(g.describe(t).ServiceLinkedRoleARN); got != role {
		t.Errorf("the group's role is %s, want %s", got, role)
	}
	// To give the group another role takes the same permission.
	change, err := u.asg.UpdateAutoScalingGroup(t.Context(), &autoscaling.UpdateAutoScalingGroupInput{
		AutoScalingGroupName: &g.name, ServiceLinkedRoleARN: new(seed.Role(c.account)),
	})
	refused(change, err)(t, "AccessDenied", "iam:PassRole", seed.Role(c.account))
}

func TestS20_ASuffixIsTakenOnce(t *testing.T) {
	c := admin(t)
	c.suffixedRole(t)
	for _, again := range []string{suffix, strings.ToUpper(suffix)} {
		out, err := c.iam.CreateServiceLinkedRole(t.Context(), &iam.CreateServiceLinkedRoleInput{
			AWSServiceName: new("autoscaling.amazonaws.com"), CustomSuffix: &again,
		})
		refused(out, err)(t, "InvalidInput", "Service role name "+roleName+"_"+again+" has been taken in this account, please try a different suffix.")
	}
	// EC2 Spot's role has no suffix.
	out, err := c.iam.CreateServiceLinkedRole(t.Context(), &iam.CreateServiceLinkedRoleInput{AWSServiceName: new("spot.amazonaws.com"), CustomSuffix: new(suffix)})
	refused(out, err)(t, "InvalidInput", "spot.amazonaws.com")
}

func TestS20_ARecreatedRoleDoesNotRegainAccess(t *testing.T) {
	c := admin(t)
	role := c.suffixedRole(t)
	first := must(c.iam.GetRole(t.Context(), &iam.GetRoleInput{RoleName: new(roleName + "_" + suffix)}))(t).Role
	statements := []string{seed.Full(seed.Root(c.account)), seed.Use(role), seed.Attach(role)}
	key := c.key(t, seed.Policy(statements...))
	if out := c.deleteRole(t, roleName+"_"+suffix); out.Status != iamtypes.DeletionTaskStatusTypeSucceeded {
		t.Fatalf("the deletion of the unused role is %s", out.Status)
	}
	// The policy shows the unique id of the role that is gone, before and after another has its name.
	shown := func() string {
		return *must(c.kms.GetKeyPolicy(t.Context(), &kms.GetKeyPolicyInput{KeyId: &key}))(t).Policy
	}
	if p := shown(); !strings.Contains(p, *first.RoleId) || strings.Contains(p, role) {
		t.Errorf("after the deletion the policy is %s, want the id %s", p, *first.RoleId)
	}
	if again := c.suffixedRole(t); again != role {
		t.Fatalf("the role is %s, want %s", again, role)
	}
	if p := shown(); !strings.Contains(p, *first.RoleId) || strings.Contains(p, role) {
		t.Errorf("with a new role the policy is %s, want the id %s", p, *first.RoleId)
	}
	c.template(t, "web", dataDevice(key))
	g := c.groupBy(t, suffixedGroup("web", 1, role))
	session := "arn:aws:sts::" + c.account + ":assumed-role/" + roleName + "_" + suffix + "/AutoScaling"
	c.why(t, g.launchFail(t, c, key)).denied(t, session, "kms:GenerateDataKeyWithoutPlaintext", key, "key-policy")
	// The same policy again, and it is about the role of now.
	c.setPolicy(t, key, statements...)
	g.launchOK(t, 1, c, map[string]string{"/dev/sdf": key})
}

func TestS20_AGrantToARecreatedRoleIsLostToo(t *testing.T) {
	e := newExample2(t, p3, p4)
	made := e.delegate(t)
	if out := e.user.deleteRole(t, roleName); out.Status != iamtypes.DeletionTaskStatusTypeSucceeded {
		t.Fatalf("the deletion of the unused role is %s", out.Status)
	}
	e.user.serviceRole(t)
	if g := e.owner.grants(t, e.key); len(g) != 1 || *g[0].GrantId != *made.GrantId || !strings.HasPrefix(str(g[0].GranteePrincipal), "AROA") {
		t.Errorf("the grants are %+v, want that to the unique id of the deleted role", g)
	}
	g := e.user.group(t, 1, dataDevice(e.key))
	e.user.why(t, g.launchFail(t, e.owner, e.key)).denied(t, seed.Session(e.user.account), "kms:GenerateDataKeyWithoutPlaintext", e.key)
	must(e.user.kms.CreateGrant(t.Context(), e.grantInput()))(t)
	g.launchOK(t, 1, e.owner, map[string]string{"/dev/sdf": e.key})
}
