package e2e_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// TestACapacityReservation is made, used, changed and cancelled.
func TestACapacityReservation(t *testing.T) {
	c, ctx := admin(t), t.Context()
	made := must(c.ec2.CreateCapacityReservation(ctx, &ec2.CreateCapacityReservationInput{
		InstanceType: new("t3.micro"), InstancePlatform: ec2types.CapacityReservationInstancePlatformLinuxUnix, AvailabilityZone: new(c.region + "a"), InstanceCount: new(int32(1)),
		InstanceMatchCriteria: ec2types.InstanceMatchCriteriaTargeted,
		TagSpecifications:     []ec2types.TagSpecification{{ResourceType: ec2types.ResourceTypeCapacityReservation, Tags: []ec2types.Tag{{Key: new("team"), Value: new("red")}}}},
	}))(t).CapacityReservation
	id := made.CapacityReservationId
	launch := &ec2.RunInstancesInput{
		ImageId: new(c.plainImage(t)), InstanceType: ec2types.InstanceTypeT3Micro, MinCount: new(int32(1)), MaxCount: new(int32(1)),
		CapacityReservationSpecification: &ec2types.CapacityReservationSpecification{CapacityReservationTarget: &ec2types.CapacityReservationTarget{CapacityReservationId: id}},
	}
	i := must(c.ec2.RunInstances(ctx, launch))(t).Instances[0]
	if i.CapacityReservationId == nil || *i.CapacityReservationId != *id {
		t.Errorf("the instance runs in %v", i.CapacityReservationId)
	}
	launch.ClientToken = nil // the client has put one in
	refused(c.ec2.RunInstances(ctx, launch))(t, "ReservationCapacityExceeded")
	must(c.ec2.ModifyCapacityReservation(ctx, &ec2.ModifyCapacityReservationInput{CapacityReservationId: id, InstanceCount: new(int32(3))}))(t)
	all := must(c.ec2.DescribeCapacityReservations(ctx, &ec2.DescribeCapacityReservationsInput{Filters: []ec2types.Filter{{Name: new("tag:team"), Values: []string{"red"}}}}))(t).CapacityReservations
	if len(all) != 1 || *all[0].TotalInstanceCount != 3 || *all[0].AvailableInstanceCount != 2 || all[0].State != ec2types.CapacityReservationStateActive {
		t.Errorf("reservations %+v", all)
	}
	usage := must(c.ec2.GetCapacityReservationUsage(ctx, &ec2.GetCapacityReservationUsageInput{CapacityReservationId: id}))(t)
	if len(usage.InstanceUsages) != 1 || *usage.InstanceUsages[0].UsedInstanceCount != 1 {
		t.Errorf("usage %+v", usage)
	}
	if groups := must(c.ec2.GetGroupsForCapacityReservation(ctx, &ec2.GetGroupsForCapacityReservationInput{CapacityReservationId: id}))(t); len(groups.CapacityReservationGroups) != 0 {
		t.Errorf("groups %+v", groups)
	}
	split := must(c.ec2.CreateCapacityReservationBySplitting(ctx, &ec2.CreateCapacityReservationBySplittingInput{SourceCapacityReservationId: id, InstanceCount: new(int32(2))}))(t)
	if *split.SourceCapacityReservation.TotalInstanceCount != 1 || *split.DestinationCapacityReservation.TotalInstanceCount != 2 {
		t.Errorf("split %+v", split)
	}
	moved := must(c.ec2.MoveCapacityReservationInstances(ctx, &ec2.MoveCapacityReservationInstancesInput{
		SourceCapacityReservationId: split.DestinationCapacityReservation.CapacityReservationId, DestinationCapacityReservationId: id, InstanceCount: new(int32(2)),
	}))(t)
	if moved.SourceCapacityReservation.State != ec2types.CapacityReservationStateCancelled || *moved.DestinationCapacityReservation.TotalInstanceCount != 3 {
		t.Errorf("moved %+v", moved)
	}
	must(c.ec2.CancelCapacityReservation(ctx, &ec2.CancelCapacityReservationInput{CapacityReservationId: id}))(t)
}

// TestADedicatedHost is allocated, used, changed and released.
func TestADedicatedHost(t *testing.T) {
	c, ctx := admin(t), t.Context()
	id := must(c.ec2.AllocateHosts(ctx, &ec2.AllocateHostsInput{
		InstanceFamily: new("m5"), AvailabilityZone: new(c.region + "a"), Quantity: new(int32(1)), AutoPlacement: ec2types.AutoPlacementOff,
	}))(t).HostIds[0]
	launch := &ec2.RunInstancesInput{
		ImageId: new(c.plainImage(t)), InstanceType: ec2types.InstanceTypeM5Large, MinCount: new(int32(1)), MaxCount: new(int32(1)),
		Placement: &ec2types.Placement{Tenancy: ec2types.TenancyHost},
	}
	refused(c.ec2.RunInstances(ctx, launch))(t, "InsufficientCapacityOnHost")
	must(c.ec2.ModifyHosts(ctx, &ec2.ModifyHostsInput{HostIds: []string{id}, AutoPlacement: ec2types.AutoPlacementOn}))(t)
	i := must(c.ec2.RunInstances(ctx, launch))(t).Instances[0]
	if i.Placement.HostId == nil || *i.Placement.HostId != id {
		t.Errorf("placement %+v", i.Placement)
	}
	hosts := must(c.ec2.DescribeHosts(ctx, &ec2.DescribeHostsInput{HostIds: []string{id}}))(t).Hosts
	if len(hosts) != 1 || len(hosts[0].Instances) != 1 || *hosts[0].AvailableCapacity.AvailableVCpus != 94 || *hosts[0].HostProperties.TotalVCpus != 96 {
		t.Errorf("hosts %+v", hosts)
	}
	if out := must(c.ec2.ReleaseHosts(ctx, &ec2.ReleaseHostsInput{HostIds: []string{id}}))(t); len(out.Unsuccessful) != 1 || *out.Unsuccessful[0].Error.Code != "Client.InvalidHost.Occupied" {
		t.Errorf("released %+v", out)
	}
	must(c.ec2.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{*i.InstanceId}}))(t)
	c.awaitInstance(t, *i.InstanceId, ec2types.InstanceStateNameTerminated)
	if out := must(c.ec2.ReleaseHosts(ctx, &ec2.ReleaseHostsInput{HostIds: []string{id}}))(t); len(out.Successful) != 1 {
		t.Errorf("released %+v", out)
	}
}
