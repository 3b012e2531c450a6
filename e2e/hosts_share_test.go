package e2e_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/kagimori/kagimori/e2e/internal/seed"
)

// TestNodesShareAVolume: instances of two nodes have one volume with Multi-Attach, which is on one of them. While
// that is stopped the other one's instance lacks it, and no more; when it is started again both have it.
func TestNodesShareAVolume(t *testing.T) {
	n := startHosts(t, 2)
	boss := n.works(t)
	eventuallyLong(t, "two hosts", func() (bool, string) {
		found := strings.Count(n.all[boss].Log(), "a host is there")
		return found == 2, fmt.Sprint(found)
	})
	c := n.at(boss, adminOf(n.all[boss].URL, seed.NewAccount()))
	ctx, zone := t.Context(), new(seed.Region+"a")
	instances := map[int]string{} // by node
	for len(instances) < 2 {
		id := *must(c.ec2.RunInstances(ctx, &ec2.RunInstancesInput{
			ImageId: new("ami-12c6146b"), InstanceType: "m5.large", MinCount: new(int32(1)), MaxCount: new(int32(1)), Placement: &ec2types.Placement{AvailabilityZone: zone},
		}))(t).Instances[0].InstanceId
		eventually(t, "an instance", func() (bool, string) {
			i := must(c.ec2.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: []string{id}}))(t).Reservations[0].Instances[0]
			if i.State.Name == ec2types.InstanceStateNameRunning {
				instances[n.hostOf(*i.BlockDeviceMappings[0].Ebs.VolumeId)] = id
			}
			return i.State.Name == ec2types.InstanceStateNameRunning, string(i.State.Name)
		})
	}
	host, other := 1-boss, boss
	volume := *must(c.ec2.CreateVolume(ctx, &ec2.CreateVolumeInput{
		AvailabilityZone: zone, Size: new(int32(4)), Encrypted: new(true), VolumeType: ec2types.VolumeTypeIo2, Iops: new(int32(100)), MultiAttachEnabled: new(true),
	}))(t).VolumeId
	eventually(t, "a volume", func() (bool, string) {
		state, _ := c.volumeState(t, volume)
		return state == ec2types.VolumeStateAvailable, string(state)
	})
	for _, i := range []int{host, other} {
		must(c.ec2.AttachVolume(ctx, &ec2.AttachVolumeInput{InstanceId: new(instances[i]), VolumeId: &volume, Device: new("/dev/sdf")}))(t)
	}
	attached := func(want int) func() (bool, string) {
		return func() (bool, string) {
			v := must(c.ec2.DescribeVolumes(ctx, &ec2.DescribeVolumesInput{VolumeIds: []string{volume}}))(t).Volumes[0]
			all := 0
			for _, a := range v.Attachments {
				s := must(c.ec2.DescribeInstanceStatus(ctx, &ec2.DescribeInstanceStatusInput{InstanceIds: []string{*a.InstanceId}}))(t).InstanceStatuses
				if a.State == ec2types.VolumeAttachmentStateAttached && len(s) == 1 && s[0].AttachedEbsStatus.Status == ec2types.SummaryStatusOk {
					all++
				}
			}
			return v.State == ec2types.VolumeStateInUse && all == want, fmt.Sprint(v.State, ", ", all, " attachments")
		}
	}
	eventually(t, "both have it", attached(2))
	if at := n.hostsOf(volume); len(at) != 1 || at[0] != host {
		t.Errorf("the volume is on the nodes %v, and its first instance on %d", at, host)
	}

	n.all[host].Stop()
	eventuallyLong(t, "the other one has it no more", func() (bool, string) {
		s := must(c.ec2.DescribeInstanceStatus(ctx, &ec2.DescribeInstanceStatusInput{InstanceIds: []string{instances[other]}}))(t).InstanceStatuses[0]
		return s.AttachedEbsStatus.Status == ec2types.SummaryStatusImpaired && s.SystemStatus.Status == ec2types.SummaryStatusOk, string(s.AttachedEbsStatus.Status)
	})
	n.startHost(t, host)
	eventuallyLong(t, "both have it again", attached(2))
	must(c.ec2.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{instances[host]}}))(t)
	eventually(t, "one has it", attached(1))
	snapshot := *must(c.ec2.CreateSnapshot(ctx, &ec2.CreateSnapshotInput{VolumeId: &volume}))(t).SnapshotId
	c.completed(t, snapshot, ec2types.SnapshotStateCompleted)
}
