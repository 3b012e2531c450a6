package e2e_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
)

// state of one instance of the group, warm pool included.
func (g group) stateOf(t *testing.T, id string) string {
	t.Helper()
	for _, i := range must(g.asg.DescribeAutoScalingInstances(t.Context(), &autoscaling.DescribeAutoScalingInstancesInput{InstanceIds: []string{id}}))(t).AutoScalingInstances {
		return *i.LifecycleState
	}
	return ""
}

func (g group) becomes(t *testing.T, id, want string) {
	t.Helper()
	eventually(t, id+" is "+want, func() (bool, string) { return g.stateOf(t, id) == want, g.stateOf(t, id) + "; " + g.state(t) })
}

// Instances on encrypted volumes go through hooks, standby and detachment, and back.
func TestAutoScalingLifecycle(t *testing.T) {
	c := admin(t)
	c.serviceRole(t)
	key := c.seedKey(t)
	g := c.group(t, 0, rootDevice(key))
	ctx := t.Context()
	hook := func(name, transition string) {
		must(c.asg.PutLifecycleHook(ctx, &autoscaling.PutLifecycleHookInput{
			AutoScalingGroupName: &g.name, LifecycleHookName: &name, LifecycleTransition: &transition, HeartbeatTimeout: new(int32(300)),
		}))(t)
	}
	hook("up", "autoscaling:EC2_INSTANCE_LAUNCHING")
	hook("down", "autoscaling:EC2_INSTANCE_TERMINATING")
	if n := len(must(c.asg.DescribeLifecycleHooks(ctx, &autoscaling.DescribeLifecycleHooksInput{AutoScalingGroupName: &g.name}))(t).LifecycleHooks); n != 2 {
		t.Errorf("%d hooks", n)
	}
	if n := len(must(c.asg.DescribeLifecycleHookTypes(ctx, &autoscaling.DescribeLifecycleHookTypesInput{}))(t).LifecycleHookTypes); n != 2 {
		t.Errorf("%d types of hooks", n)
	}
	done := func(id, hook, result string) {
		must(c.asg.RecordLifecycleActionHeartbeat(ctx, &autoscaling.RecordLifecycleActionHeartbeatInput{AutoScalingGroupName: &g.name, LifecycleHookName: &hook, InstanceId: &id}))(t)
		must(c.asg.CompleteLifecycleAction(ctx, &autoscaling.CompleteLifecycleActionInput{
			AutoScalingGroupName: &g.name, LifecycleHookName: &hook, InstanceId: &id, LifecycleActionResult: &result,
		}))(t)
	}
	out := must(c.asg.LaunchInstances(ctx, &autoscaling.LaunchInstancesInput{AutoScalingGroupName: &g.name, RequestedCapacity: new(int32(1)), ClientToken: new("once")}))(t)
	if len(out.Instances) != 1 || len(out.Instances[0].InstanceIds) != 1 {
		t.Fatalf("launched: %+v", out)
	}
	id := out.Instances[0].InstanceIds[0]
	g.becomes(t, id, "Pending:Wait")
	done(id, "up", "CONTINUE")
	g.becomes(t, id, "InService")

	must(c.asg.EnterStandby(ctx, &autoscaling.EnterStandbyInput{AutoScalingGroupName: &g.name, InstanceIds: []string{id}, ShouldDecrementDesiredCapacity: new(true)}))(t)
	g.becomes(t, id, "Standby")
	must(c.asg.ExitStandby(ctx, &autoscaling.ExitStandbyInput{AutoScalingGroupName: &g.name, InstanceIds: []string{id}}))(t)
	g.becomes(t, id, "Pending:Wait")
	done(id, "up", "CONTINUE")
	g.becomes(t, id, "InService")
	must(c.asg.DeleteLifecycleHook(ctx, &autoscaling.DeleteLifecycleHookInput{AutoScalingGroupName: &g.name, LifecycleHookName: new("up")}))(t)

	must(c.asg.DetachInstances(ctx, &autoscaling.DetachInstancesInput{AutoScalingGroupName: &g.name, InstanceIds: []string{id}, ShouldDecrementDesiredCapacity: new(true)}))(t)
	g.becomes(t, id, "")
	must(c.asg.AttachInstances(ctx, &autoscaling.AttachInstancesInput{AutoScalingGroupName: &g.name, InstanceIds: []string{id}}))(t)
	g.becomes(t, id, "InService")

	must(c.asg.TerminateInstanceInAutoScalingGroup(ctx, &autoscaling.TerminateInstanceInAutoScalingGroupInput{InstanceId: &id, ShouldDecrementDesiredCapacity: new(true)}))(t)
	g.becomes(t, id, "Terminating:Wait")
	done(id, "down", "CONTINUE")
	g.becomes(t, id, "")
	eventually(t, "no grant left", func() (bool, string) { n := len(c.grants(t, key)); return n == 0, fmt.Sprint(n, " grants") })
}

// A stopped instance of the warm pool has no grant; the service-linked role makes it again when the
// instance goes into service, and cannot if its statement is gone.
func TestAutoScalingWarmPool(t *testing.T) {
	c := admin(t)
	c.serviceRole(t)
	key := c.seedKey(t)
	g := c.group(t, 0, rootDevice(key))
	ctx := t.Context()
	must(c.asg.PutWarmPool(ctx, &autoscaling.PutWarmPoolInput{AutoScalingGroupName: &g.name, MaxGroupPreparedCapacity: new(int32(1))}))(t)
	warm := func() *autoscaling.DescribeWarmPoolOutput {
		return must(c.asg.DescribeWarmPool(ctx, &autoscaling.DescribeWarmPoolInput{AutoScalingGroupName: &g.name}))(t)
	}
	var id string
	eventually(t, "an instance waits", func() (bool, string) {
		all := warm().Instances
		if len(all) != 1 {
			return false, g.state(t)
		}
		id = *all[0].InstanceId
		return all[0].LifecycleState == astypes.LifecycleStateWarmedStopped, string(all[0].LifecycleState)
	})
	eventually(t, "no grant while it is stopped", func() (bool, string) { n := len(c.grants(t, key)); return n == 0, fmt.Sprint(n, " grants") })
	g.scale(t, 1)
	g.becomes(t, id, "InService")
	if n := len(c.grants(t, key)); n != 1 {
		t.Errorf("%d grants in service", n)
	}
	g.activity(t, "a user request explicitly set group desired capacity changing the desired capacity from 0 to 1.")
	must(c.asg.DeleteWarmPool(ctx, &autoscaling.DeleteWarmPoolInput{AutoScalingGroupName: &g.name, ForceDelete: new(true)}))(t)
	eventually(t, "no warm pool", func() (bool, string) { return warm().WarmPoolConfiguration == nil, "there still is one" })
}

// An instance refresh replaces instances on encrypted volumes; another is cancelled, and a third
// rolled back.
func TestS22_InstanceRefresh(t *testing.T) {
	c := admin(t)
	c.serviceRole(t)
	key := c.seedKey(t)
	g := c.group(t, 2, rootDevice(key))
	before := g.running(t, 2)
	ctx := t.Context()
	status := func() (string, astypes.InstanceRefresh) {
		r := must(c.asg.DescribeInstanceRefreshes(ctx, &autoscaling.DescribeInstanceRefreshesInput{AutoScalingGroupName: &g.name}))(t).InstanceRefreshes[0]
		return string(r.Status), r
	}
	reach := func(want string) {
		t.Helper()
		eventually(t, "refresh "+want, func() (bool, string) { s, _ := status(); return s == want, s + " " + g.state(t) })
	}
	must(c.asg.StartInstanceRefresh(ctx, &autoscaling.StartInstanceRefreshInput{AutoScalingGroupName: &g.name, Preferences: &astypes.RefreshPreferences{
		MinHealthyPercentage: new(int32(100)), MaxHealthyPercentage: new(int32(200)),
	}}))(t)
	reach("Successful")
	for _, id := range g.running(t, 2) {
		if slices.Contains(before, id) {
			t.Errorf("%s was not replaced", id)
		}
	}
	eventually(t, "grants of the old gone", func() (bool, string) { n := len(c.grants(t, key)); return n == 2, fmt.Sprint(n, " grants") })
	must(c.asg.UpdateAutoScalingGroup(ctx, &autoscaling.UpdateAutoScalingGroupInput{AutoScalingGroupName: &g.name,
		LaunchTemplate: &astypes.LaunchTemplateSpecification{LaunchTemplateName: new("web"), Version: new("1")}}))(t)
	pausing := &autoscaling.StartInstanceRefreshInput{AutoScalingGroupName: &g.name,
		DesiredConfiguration: &astypes.DesiredConfiguration{LaunchTemplate: &astypes.LaunchTemplateSpecification{LaunchTemplateName: new("web"), Version: new("$Latest")}},
		Preferences:          &astypes.RefreshPreferences{CheckpointPercentages: []int32{50, 100}, MinHealthyPercentage: new(int32(0))},
	}
	must(c.asg.StartInstanceRefresh(ctx, pausing))(t)
	must(c.asg.CancelInstanceRefresh(ctx, &autoscaling.CancelInstanceRefreshInput{AutoScalingGroupName: &g.name}))(t)
	reach("Cancelled")
	must(c.asg.StartInstanceRefresh(ctx, pausing))(t)
	must(c.asg.RollbackInstanceRefresh(ctx, &autoscaling.RollbackInstanceRefreshInput{AutoScalingGroupName: &g.name}))(t)
	reach("RollbackSuccessful")
	if _, r := status(); r.RollbackDetails == nil || !strings.Contains(*r.RollbackDetails.RollbackReason, "user") {
		t.Errorf("details: %+v", r.RollbackDetails)
	}
}
