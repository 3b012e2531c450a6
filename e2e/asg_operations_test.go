package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
)

// Each operation of Auto Scaling is called by some test through the SDK.
func TestAutoScalingHasATestForEachOperation(t *testing.T) {
	var all strings.Builder
	for _, f := range must(filepath.Glob("*_test.go"))(t) {
		all.Write(must(os.ReadFile(f))(t))
	}
	ops := implemented("autoscaling")
	if len(ops) < 66 {
		t.Errorf("only %d operations", len(ops))
	}
	for _, op := range ops {
		if !strings.Contains(all.String(), "asg."+op+"(") {
			t.Errorf("no test calls %s", op)
		}
	}
}

// What is known of groups, their tags, processes and instances.
func TestAutoScalingSmallOperations(t *testing.T) {
	c := admin(t)
	c.serviceRole(t)
	g := c.group(t, 1, rootDevice(""))
	id := g.running(t, 1)[0]
	ctx := t.Context()
	must(c.asg.SetInstanceProtection(ctx, &autoscaling.SetInstanceProtectionInput{AutoScalingGroupName: &g.name, InstanceIds: []string{id}, ProtectedFromScaleIn: new(true)}))(t)
	if !*g.describe(t).Instances[0].ProtectedFromScaleIn {
		t.Error("the instance is not protected")
	}
	must(c.asg.SuspendProcesses(ctx, &autoscaling.SuspendProcessesInput{AutoScalingGroupName: &g.name, ScalingProcesses: []string{"ReplaceUnhealthy"}}))(t)
	must(c.asg.SetInstanceHealth(ctx, &autoscaling.SetInstanceHealthInput{InstanceId: &id, HealthStatus: new("Unhealthy"), ShouldRespectGracePeriod: new(false)}))(t)
	if got := g.describe(t); *got.Instances[0].HealthStatus != "Unhealthy" || len(got.SuspendedProcesses) != 1 {
		t.Errorf("health %s, suspended %v", *got.Instances[0].HealthStatus, got.SuspendedProcesses)
	}
	must(c.asg.ResumeProcesses(ctx, &autoscaling.ResumeProcessesInput{AutoScalingGroupName: &g.name}))(t)
	g.becomes(t, id, "")
	tag := astypes.Tag{ResourceId: &g.name, ResourceType: new("auto-scaling-group"), Key: new("k"), Value: new("v"), PropagateAtLaunch: new(true)}
	tags := func() []astypes.TagDescription {
		return must(c.asg.DescribeTags(ctx, &autoscaling.DescribeTagsInput{Filters: []astypes.Filter{{Name: new("auto-scaling-group"), Values: []string{g.name}}}}))(t).Tags
	}
	must(c.asg.CreateOrUpdateTags(ctx, &autoscaling.CreateOrUpdateTagsInput{Tags: []astypes.Tag{tag}}))(t)
	if got := tags(); len(got) != 1 || *got[0].Value != "v" {
		t.Errorf("tags: %v", got)
	}
	must(c.asg.DeleteTags(ctx, &autoscaling.DeleteTagsInput{Tags: []astypes.Tag{tag}}))(t)
	if got := tags(); len(got) != 0 {
		t.Errorf("tags: %v", got)
	}
	must(c.asg.CreateLaunchConfiguration(ctx, &autoscaling.CreateLaunchConfigurationInput{LaunchConfigurationName: new("lc"), ImageId: new(c.plainImage(t)), InstanceType: new("t3.micro")}))(t)
	must(c.asg.DeleteLaunchConfiguration(ctx, &autoscaling.DeleteLaunchConfigurationInput{LaunchConfigurationName: new("lc")}))(t)
	if l := must(c.asg.DescribeAccountLimits(ctx, &autoscaling.DescribeAccountLimitsInput{}))(t); *l.NumberOfAutoScalingGroups != 1 || *l.NumberOfLaunchConfigurations != 0 {
		t.Errorf("limits: %d groups, %d configurations", *l.NumberOfAutoScalingGroups, *l.NumberOfLaunchConfigurations)
	}
	for what, n := range map[string]int{
		"termination policies": len(must(c.asg.DescribeTerminationPolicyTypes(ctx, &autoscaling.DescribeTerminationPolicyTypesInput{}))(t).TerminationPolicyTypes),
		"adjustments":          len(must(c.asg.DescribeAdjustmentTypes(ctx, &autoscaling.DescribeAdjustmentTypesInput{}))(t).AdjustmentTypes),
		"processes":            len(must(c.asg.DescribeScalingProcessTypes(ctx, &autoscaling.DescribeScalingProcessTypesInput{}))(t).Processes),
		"notifications":        len(must(c.asg.DescribeAutoScalingNotificationTypes(ctx, &autoscaling.DescribeAutoScalingNotificationTypesInput{}))(t).AutoScalingNotificationTypes),
		"metrics":              len(must(c.asg.DescribeMetricCollectionTypes(ctx, &autoscaling.DescribeMetricCollectionTypesInput{}))(t).Metrics),
	} {
		if n < 3 {
			t.Errorf("%d %s", n, what)
		}
	}
}
