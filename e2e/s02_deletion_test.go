package e2e_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/kagimori/kagimori/e2e/internal/seed"
)

// deleteRole asks for the deletion of a service-linked role and gives how it ended.
func (c *client) deleteRole(t *testing.T, name string) *iam.GetServiceLinkedRoleDeletionStatusOutput {
	t.Helper()
	task := *must(c.iam.DeleteServiceLinkedRole(t.Context(), &iam.DeleteServiceLinkedRoleInput{RoleName: &name}))(t).DeletionTaskId
	if !strings.HasPrefix(task, "task/aws-service-role/autoscaling.amazonaws.com/"+name+"/") {
		t.Errorf("the task's id is %s", task)
	}
	var out *iam.GetServiceLinkedRoleDeletionStatusOutput
	eventually(t, "deletion of "+name, func() (bool, string) {
		out = must(c.iam.GetServiceLinkedRoleDeletionStatus(t.Context(), &iam.GetServiceLinkedRoleDeletionStatusInput{DeletionTaskId: &task}))(t)
		return out.Status == iamtypes.DeletionTaskStatusTypeSucceeded || out.Status == iamtypes.DeletionTaskStatusTypeFailed, string(out.Status)
	})
	return out
}

func TestS2_ARoleInUseIsNotDeletedAndTheUseIsTold(t *testing.T) {
	c := admin(t)
	c.serviceRole(t)
	g := c.group(t, 0)
	out := c.deleteRole(t, roleName)
	if out.Status != iamtypes.DeletionTaskStatusTypeFailed || out.Reason == nil || str(out.Reason.Reason) == "" || len(out.Reason.RoleUsageList) != 1 {
		t.Fatalf("the deletion of a role in use ends %s: %+v", out.Status, out.Reason)
	}
	use := out.Reason.RoleUsageList[0]
	arn := str(g.describe(t).AutoScalingGroupARN)
	if str(use.Region) != seed.Region || !slices.Equal(use.Resources, []string{arn}) {
		t.Errorf("the use is told as %s %v, want %s %s", str(use.Region), use.Resources, seed.Region, arn)
	}
	must(c.iam.GetRole(t.Context(), &iam.GetRoleInput{RoleName: new(roleName)}))(t)

	g.stop(t)
	g.gone(t)
	if out := c.deleteRole(t, roleName); out.Status != iamtypes.DeletionTaskStatusTypeSucceeded || out.Reason != nil {
		t.Errorf("without the group the deletion ends %s: %+v", out.Status, out.Reason)
	}
	missing, err := c.iam.GetRole(t.Context(), &iam.GetRoleInput{RoleName: new(roleName)})
	refused(missing, err)(t, "NoSuchEntity")
	again, err := c.iam.DeleteServiceLinkedRole(t.Context(), &iam.DeleteServiceLinkedRoleInput{RoleName: new(roleName)})
	refused(again, err)(t, "NoSuchEntity")
}

// gone waits until a deleted group has disappeared.
func (g group) gone(t *testing.T) {
	t.Helper()
	eventually(t, "group "+g.name+" gone", func() (bool, string) {
		out := must(g.asg.DescribeAutoScalingGroups(t.Context(), &describeGroups{AutoScalingGroupNames: []string{g.name}}))(t)
		return len(out.AutoScalingGroups) == 0, "it exists"
	})
}

func TestS2_OnlyTheDescriptionOfTheRoleMayBeChanged(t *testing.T) {
	c := admin(t)
	c.serviceRole(t)
	must(c.iam.UpdateRole(t.Context(), &iam.UpdateRoleInput{RoleName: new(roleName), Description: new("for the web")}))(t)
	role := must(c.iam.GetRole(t.Context(), &iam.GetRoleInput{RoleName: new(roleName)}))(t).Role
	if str(role.Description) != "for the web" {
		t.Errorf("the description is %q", str(role.Description))
	}
	const protected = "Cannot perform the operation on the protected role '" + roleName + "' - this role is only modifiable by AWS"
	policy := must(c.iam.ListAttachedRolePolicies(t.Context(), &iam.ListAttachedRolePoliciesInput{RoleName: new(roleName)}))(t).AttachedPolicies[0].PolicyArn
	detach, err := c.iam.DetachRolePolicy(t.Context(), &iam.DetachRolePolicyInput{RoleName: new(roleName), PolicyArn: policy})
	refused(detach, err)(t, "UnmodifiableEntity", protected)
	boundary, err := c.iam.PutRolePermissionsBoundary(t.Context(), &iam.PutRolePermissionsBoundaryInput{RoleName: new(roleName), PermissionsBoundary: policy})
	refused(boundary, err)(t, "UnmodifiableEntity", protected)
	longer, err := c.iam.UpdateRole(t.Context(), &iam.UpdateRoleInput{RoleName: new(roleName), MaxSessionDuration: new(int32(7200))})
	refused(longer, err)(t, "UnmodifiableEntity", protected)
	checkServicePolicy(t, c)
}

func TestS2_AnOrdinaryRoleIsNotDeletedAsAServiceLinkedOne(t *testing.T) {
	c := admin(t)
	c.role(t, "app")
	out, err := c.iam.DeleteServiceLinkedRole(t.Context(), &iam.DeleteServiceLinkedRoleInput{RoleName: new("app")})
	if err == nil {
		t.Fatalf("an ordinary role was deleted: %+v", out)
	}
	must(c.iam.GetRole(t.Context(), &iam.GetRoleInput{RoleName: new("app")}))(t)
}
