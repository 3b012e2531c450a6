package e2e_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// On a development server each request finds what those before it asked for: nobody has to wait.
func TestThingsAreDoneByTheNextRequest(t *testing.T) {
	c := admin(t)
	ctx := t.Context()
	ran := must(c.ec2.RunInstances(ctx, &ec2.RunInstancesInput{ImageId: new("ami-12c6146b"), InstanceType: ec2types.InstanceTypeT3Micro, MinCount: new(int32(1)), MaxCount: new(int32(1))}))(t)
	instance := *ran.Instances[0].InstanceId
	if s := ran.Instances[0].State.Name; s != ec2types.InstanceStateNamePending {
		t.Errorf("the answer says %s", s)
	}
	state := func(want ec2types.InstanceStateName) {
		t.Helper()
		out := must(c.ec2.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: []string{instance}}))(t)
		if got := out.Reservations[0].Instances[0].State.Name; got != want {
			t.Errorf("the instance is %s, not %s", got, want)
		}
	}
	state(ec2types.InstanceStateNameRunning)
	volume := must(c.ec2.CreateVolume(ctx, &ec2.CreateVolumeInput{AvailabilityZone: ran.Instances[0].Placement.AvailabilityZone, Size: new(int32(1)), Encrypted: new(true)}))(t).VolumeId
	must(c.ec2.AttachVolume(ctx, &ec2.AttachVolumeInput{VolumeId: volume, InstanceId: &instance, Device: new("/dev/sdf")}))(t)
	snapshot := must(c.ec2.CreateSnapshot(ctx, &ec2.CreateSnapshotInput{VolumeId: volume}))(t).SnapshotId
	if s := must(c.ec2.DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{SnapshotIds: []string{*snapshot}}))(t).Snapshots[0]; s.State != ec2types.SnapshotStateCompleted {
		t.Errorf("the snapshot is %s", s.State)
	}
	must(c.ec2.DetachVolume(ctx, &ec2.DetachVolumeInput{VolumeId: volume}))(t)
	must(c.ec2.DeleteVolume(ctx, &ec2.DeleteVolumeInput{VolumeId: volume}))(t)
	must(c.ec2.StopInstances(ctx, &ec2.StopInstancesInput{InstanceIds: []string{instance}}))(t)
	state(ec2types.InstanceStateNameStopped)
	must(c.ec2.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{instance}}))(t)
	state(ec2types.InstanceStateNameTerminated)

	must(c.asg.CreateLaunchConfiguration(ctx, &autoscaling.CreateLaunchConfigurationInput{LaunchConfigurationName: new("at-once"), ImageId: new("ami-12c6146b"), InstanceType: new("t3.micro")}))(t)
	must(c.asg.CreateAutoScalingGroup(ctx, &autoscaling.CreateAutoScalingGroupInput{
		AutoScalingGroupName: new("at-once"), LaunchConfigurationName: new("at-once"), MinSize: new(int32(3)), MaxSize: new(int32(3)), AvailabilityZones: []string{*ran.Instances[0].Placement.AvailabilityZone},
	}))(t)
	out := must(c.asg.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{"at-once"}}))(t)
	members := out.AutoScalingGroups[0].Instances
	if len(members) != 3 {
		t.Fatalf("the group has %d instances", len(members))
	}
	for _, m := range members {
		if m.LifecycleState != astypes.LifecycleStateInService {
			t.Errorf("%s is %s", *m.InstanceId, m.LifecycleState)
		}
	}
}
