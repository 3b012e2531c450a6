package e2e_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/kagimori/kagimori/e2e/internal/seed"
)

func TestS22_LaunchScaleOutAndReplacementWork(t *testing.T) {
	c := admin(t)
	c.serviceRole(t)
	key := c.seedKey(t)
	keys := map[string]string{"/dev/xvda": key, "/dev/sdf": key}
	g := c.group(t, 2, rootDevice(key), dataDevice(key))
	first := g.launchOK(t, 2, c, keys)
	for action, sid := range map[string]string{
		"kms:GenerateDataKeyWithoutPlaintext": "Allow use of the customer managed key", "kms:CreateGrant": "Allow attachment of persistent resources",
	} {
		c.because(t, first[0], action, key, statement{PolicyType: "RESOURCE_BASED_POLICY", Sid: sid})
	}
	if n := len(c.volumes(t)); n != 4 {
		t.Errorf("2 instances have %d volumes, want 4", n)
	}
	if n := len(c.grants(t, key)); n != 4 {
		t.Errorf("4 volumes have %d grants", n)
	}

	g.scale(t, 3)
	second := g.launchOK(t, 3, c, keys)
	if n := len(c.grants(t, key)); n != 6 {
		t.Errorf("6 volumes have %d grants", n)
	}
	g.activity(t, "a user request explicitly set group desired capacity changing the desired capacity from 2 to 3.")

	must(c.ec2.TerminateInstances(t.Context(), &ec2.TerminateInstancesInput{InstanceIds: first[:1]}))(t)
	eventually(t, "terminated instance replaced", func() (bool, string) {
		for _, i := range g.describe(t).Instances {
			if *i.InstanceId == first[0] {
				return false, g.state(t)
			}
		}
		return true, ""
	})
	third := g.launchOK(t, 3, c, keys)
	fresh := 0
	for _, id := range third {
		if !strings.Contains(strings.Join(second, " "), id) {
			fresh++
		}
	}
	if fresh != 1 {
		t.Errorf("%d instances are new after the replacement: %v, before %v", fresh, third, second)
	}
	g.activity(t, "an instance was taken out of service in response to an EC2 health check indicating it has been terminated or stopped.")
	g.activity(t, "an instance was launched in response to an unhealthy instance needing to be replaced.")
	eventually(t, "volumes and grants of the terminated instance gone", func() (bool, string) {
		v, n := len(c.volumes(t)), len(c.grants(t, key))
		return v == 6 && n == 6, fmt.Sprintf("%d volumes, %d grants", v, n)
	})

	must(c.asg.StartInstanceRefresh(t.Context(), &autoscaling.StartInstanceRefreshInput{AutoScalingGroupName: &g.name,
		Preferences: &astypes.RefreshPreferences{MinHealthyPercentage: new(int32(0))}}))(t)
	eventually(t, "instance refresh", func() (bool, string) {
		r := must(c.asg.DescribeInstanceRefreshes(t.Context(), &autoscaling.DescribeInstanceRefreshesInput{AutoScalingGroupName: &g.name}))(t).InstanceRefreshes[0]
		return r.Status == astypes.InstanceRefreshStatusSuccessful, string(r.Status) + " " + g.state(t)
	})
	for _, id := range g.launchOK(t, 3, c, keys) {
		if slices.Contains(third, id) {
			t.Errorf("%s was not replaced by the refresh", id)
		}
	}
	g.activity(t, "an instance was launched in response to an instance refresh.")
	eventually(t, "volumes and grants of the replaced instances gone", func() (bool, string) {
		v, n := len(c.volumes(t)), len(c.grants(t, key))
		return v == 6 && n == 6, fmt.Sprintf("%d volumes, %d grants", v, n)
	})
}

// activity checks that some activity of the group has a text in its cause.
func (g group) activity(t *testing.T, text string) {
	t.Helper()
	for _, a := range g.activities(t) {
		if strings.Contains(str(a.Cause), text) {
			return
		}
	}
	t.Errorf("no activity says %q; they are %s", text, g.state(t))
}

func TestS22_WorksWithoutTheRootStatement(t *testing.T) {
	c := admin(t)
	c.serviceRole(t)
	role := seed.Role(c.account)
	key := c.key(t, seed.Policy(seed.Full(c.arn(t)), seed.Use(role), seed.Attach(role)))
	c.group(t, 1, rootDevice(key), dataDevice(key)).launchOK(t, 1, c, map[string]string{"/dev/xvda": key, "/dev/sdf": key})
}

func TestS22_NoIAMPermissionForKMSIsNeeded(t *testing.T) {
	c := admin(t)
	c.serviceRole(t)
	key := c.seedKey(t)
	u := c.user(t, "deployer", mayGroup)
	out, err := u.kms.DescribeKey(t.Context(), &kmsDescribe{KeyId: &key})
	refused(out, err)(t, "AccessDeniedException", "no identity-based policy allows the kms:DescribeKey action")
	g := u.group(t, 1, rootDevice(key))
	g.launchOK(t, 1, c, map[string]string{"/dev/xvda": key})
}

func TestS22_DeletingTheGroupLeavesNothing(t *testing.T) {
	c := admin(t)
	c.serviceRole(t)
	key := c.seedKey(t)
	g := c.group(t, 2, rootDevice(key))
	g.launchOK(t, 2, c, map[string]string{"/dev/xvda": key})
	in := &autoscaling.DeleteAutoScalingGroupInput{AutoScalingGroupName: &g.name}
	out, err := c.asg.DeleteAutoScalingGroup(t.Context(), in)
	refused(out, err)(t, "ResourceInUse", "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) still in the group.")
	in.ForceDelete = new(true)
	must(c.asg.DeleteAutoScalingGroup(t.Context(), in))(t)
	eventually(t, "group gone with all it had", func() (bool, string) {
		groups := must(c.asg.DescribeAutoScalingGroups(t.Context(), &autoscaling.DescribeAutoScalingGroupsInput{}))(t)
		left := fmt.Sprintf("%d groups, %d volumes, %d grants", len(groups.AutoScalingGroups), len(c.volumes(t)), len(c.grants(t, key)))
		return left == "0 groups, 0 volumes, 0 grants", left
	})
}

func TestS22_TheSizesOfAGroupAreKept(t *testing.T) {
	c := admin(t)
	c.serviceRole(t)
	g := c.group(t, 0)
	out, err := c.asg.SetDesiredCapacity(t.Context(), &autoscaling.SetDesiredCapacityInput{AutoScalingGroupName: &g.name, DesiredCapacity: new(int32(11))})
	refused(out, err)(t, "ValidationError", "New SetDesiredCapacity value 11 is above max value 10 for the AutoScalingGroup.")
	again, err := c.asg.CreateAutoScalingGroup(t.Context(), groupInput("web", 0))
	refused(again, err)(t, "AlreadyExists", "AutoScalingGroup by this name already exists")
	absent, err := c.asg.SetDesiredCapacity(t.Context(), &autoscaling.SetDesiredCapacityInput{AutoScalingGroupName: new("absent"), DesiredCapacity: new(int32(1))})
	refused(absent, err)(t, "ValidationError", "not found")
	if n := *g.describe(t).DesiredCapacity; n != 0 {
		t.Errorf("the desired capacity is %d", n)
	}
}
