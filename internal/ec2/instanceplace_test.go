package ec2_test

import (
	"slices"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
)

func TestAStoppedInstanceMovesBetweenPlacementGroups(t *testing.T) {
	h := newHouse(t)
	me := h.owner()
	id := h.run(me)
	ask[ec2api.CreatePlacementGroupResult](h.desk, me, &ec2api.CreatePlacementGroupRequest{GroupName: new("apart"), Strategy: new("partition"), PartitionCount: new(int32(3))})
	change := func(in ec2api.ModifyInstancePlacementRequest) *ec2api.ModifyInstancePlacementRequest {
		in.InstanceId = &id
		return &in
	}
	move := func(in ec2api.ModifyInstancePlacementRequest) *ec2api.Placement {
		ask[ec2api.ModifyInstancePlacementResult](h.desk, me, change(in))
		return h.instance(id).Placement
	}
	h.refuse(me, change(ec2api.ModifyInstancePlacementRequest{GroupName: new("apart")}), "IncorrectInstanceState", "*")
	ask[ec2api.StopInstancesResult](h.desk, me, &ec2api.StopInstancesRequest{InstanceIds: []string{id}})
	h.Advance(time.Minute)
	if p := move(ec2api.ModifyInstancePlacementRequest{GroupName: new("apart"), PartitionNumber: new(int32(3)), Tenancy: new("dedicated")}); *p.GroupName != "apart" || *p.PartitionNumber != 3 || *p.Tenancy != "dedicated" {
		t.Errorf("placement %+v", p)
	}
	if p := move(ec2api.ModifyInstancePlacementRequest{PartitionNumber: new(int32(2))}); *p.GroupName != "apart" || *p.PartitionNumber != 2 {
		t.Errorf("in another partition %+v", p)
	}
	h.refuse(me, &ec2api.DeletePlacementGroupRequest{GroupName: new("apart")}, "InvalidPlacementGroup.InUse", "*")
	if p := move(ec2api.ModifyInstancePlacementRequest{GroupName: new("")}); *p.GroupName != "" || p.PartitionNumber != nil || *p.Tenancy != "dedicated" {
		t.Errorf("out of the group %+v", p)
	}
	for _, tt := range []struct {
		in   ec2api.ModifyInstancePlacementRequest
		code string
	}{
		{ec2api.ModifyInstancePlacementRequest{}, "MissingParameter"},
		{ec2api.ModifyInstancePlacementRequest{GroupName: new("none")}, "InvalidPlacementGroup.Unknown"},
		{ec2api.ModifyInstancePlacementRequest{PartitionNumber: new(int32(1))}, "InvalidParameterCombination"},
		{ec2api.ModifyInstancePlacementRequest{GroupName: new("apart"), PartitionNumber: new(int32(4))}, "InvalidParameterValue"},
		{ec2api.ModifyInstancePlacementRequest{Tenancy: new("own")}, "InvalidParameterValue"},
		{ec2api.ModifyInstancePlacementRequest{Affinity: new("host")}, "InvalidParameterCombination"},
		{ec2api.ModifyInstancePlacementRequest{HostId: new("h-0123456789abcdef0")}, "InvalidHostID.NotFound"},
	} {
		h.refuse(me, change(tt.in), tt.code, "*")
	}
	h.refuse(me, &ec2api.ModifyInstancePlacementRequest{InstanceId: new("i-0123456789abcdef0"), Tenancy: new("default")}, "InvalidInstanceID.NotFound", "*")
}

// Burstable instances are in no cluster placement group.
func TestTypesAndStrategies(t *testing.T) {
	h := newHouse(t)
	me := h.owner()
	for _, strategy := range []string{"cluster", "spread"} {
		ask[ec2api.CreatePlacementGroupResult](h.desk, me, &ec2api.CreatePlacementGroupRequest{GroupName: &strategy, Strategy: &strategy})
	}
	const refusal = "Cluster placement groups are not supported by the 't3.micro' instance type. Specify a supported instance type or change the placement group strategy, and try again."
	in := runRequest()
	in.InstanceType, in.Placement = new("t3.micro"), &ec2api.Placement{GroupName: new("cluster")}
	h.refuse(me, in, "InvalidParameterCombination", refusal)
	in.InstanceType = new("m5.large")
	ask[ec2api.Reservation](h.desk, me, in)
	ask[ec2api.CreatePlacementGroupResult](h.desk, me, &ec2api.CreatePlacementGroupRequest{GroupName: new("hosts"), Strategy: new("spread"), SpreadLevel: new("host")})
	in.Placement = &ec2api.Placement{GroupName: new("hosts")}
	h.refuse(me, in, "UnsupportedOperation", "Spread level host is for Outposts only.")
	in.InstanceType, in.Placement = new("t3.micro"), &ec2api.Placement{GroupName: new("spread")}
	id := ask[ec2api.Reservation](h.desk, me, in).Instances[0].InstanceId
	h.Advance(time.Minute)
	ask[ec2api.StopInstancesResult](h.desk, me, &ec2api.StopInstancesRequest{InstanceIds: []string{*id}})
	h.Advance(time.Minute)
	h.refuse(me, &ec2api.ModifyInstancePlacementRequest{InstanceId: id, GroupName: new("cluster")}, "InvalidParameterCombination", refusal)
}

func TestMaintenanceOptions(t *testing.T) {
	h := newHouse(t)
	me := h.owner()
	id := h.run(me)
	out := ask[ec2api.ModifyInstanceMaintenanceOptionsResult](h.desk, me, &ec2api.ModifyInstanceMaintenanceOptionsRequest{InstanceId: &id, AutoRecovery: new("disabled")})
	if *out.AutoRecovery != "disabled" || *out.RebootMigration != "default" || *out.InstanceId != id {
		t.Errorf("answer %+v", out)
	}
	ask[ec2api.ModifyInstanceMaintenanceOptionsResult](h.desk, me, &ec2api.ModifyInstanceMaintenanceOptionsRequest{InstanceId: &id, RebootMigration: new("disabled")})
	if o := h.instance(id).MaintenanceOptions; *o.AutoRecovery != "disabled" || *o.RebootMigration != "disabled" {
		t.Errorf("options %+v", o)
	}
	h.refuse(me, &ec2api.ModifyInstanceMaintenanceOptionsRequest{InstanceId: &id, AutoRecovery: new("maybe")}, "InvalidParameterValue", "*")
	h.refuse(me, &ec2api.ModifyInstanceMaintenanceOptionsRequest{InstanceId: &id}, "MissingParameter", "*")
}

func TestCreditsAreChangedOneByOne(t *testing.T) {
	h := newHouse(t)
	me := h.owner()
	burst := h.run(me) // a t3.micro
	in := runRequest()
	in.InstanceType = new("m5.large")
	steady := *ask[ec2api.Reservation](h.desk, me, in).Instances[0].InstanceId
	h.Advance(5 * time.Second)
	ask4 := func(ids ...string) *ec2api.ModifyInstanceCreditSpecificationResult {
		req := &ec2api.ModifyInstanceCreditSpecificationRequest{}
		for _, id := range ids {
			req.InstanceCreditSpecifications = append(req.InstanceCreditSpecifications, ec2api.InstanceCreditSpecificationRequest{InstanceId: &id, CpuCredits: new("standard")})
		}
		return ask[ec2api.ModifyInstanceCreditSpecificationResult](h.desk, me, req)
	}
	out := ask4(burst, steady, "i-0123456789abcdef0", "nonsense")
	var codes []string
	for _, u := range out.UnsuccessfulInstanceCreditSpecifications {
		codes = append(codes, *u.InstanceId+" "+*u.Error.Code)
	}
	slices.Sort(codes)
	want := []string{"i-0123456789abcdef0 InvalidInstanceID.NotFound", "nonsense InvalidInstanceID.Malformed", steady + " InstanceCreditSpecification.NotSupported"}
	slices.Sort(want)
	if len(out.SuccessfulInstanceCreditSpecifications) != 1 || *out.SuccessfulInstanceCreditSpecifications[0].InstanceId != burst || !slices.Equal(codes, want) {
		t.Errorf("successes %+v, failures %v", out.SuccessfulInstanceCreditSpecifications, codes)
	}
	now := ask[ec2api.DescribeInstanceCreditSpecificationsResult](h.desk, me, &ec2api.DescribeInstanceCreditSpecificationsRequest{InstanceIds: []string{burst}})
	if *now.InstanceCreditSpecifications[0].CpuCredits != "standard" {
		t.Errorf("credits are %+v", now.InstanceCreditSpecifications)
	}
	h.refuse(me, &ec2api.ModifyInstanceCreditSpecificationRequest{InstanceCreditSpecifications: []ec2api.InstanceCreditSpecificationRequest{{InstanceId: &burst, CpuCredits: new("all")}}}, "InvalidParameterValue", "*")
	h.refuse(h.allowed("reader", `"ec2:Describe*"`, `"*"`, ""), &ec2api.ModifyInstanceCreditSpecificationRequest{InstanceCreditSpecifications: []ec2api.InstanceCreditSpecificationRequest{{
		InstanceId: new("i-0123456789abcdef0"), CpuCredits: new("standard"),
	}}}, "UnauthorizedOperation", "*")
}

func TestThereAreNoCapacityReservations(t *testing.T) {
	d := newDesk(t)
	if out := ask[ec2api.DescribeCapacityReservationsResult](d, d.root(mine), &ec2api.DescribeCapacityReservationsRequest{}); len(out.CapacityReservations) != 0 {
		t.Errorf("%+v", out)
	}
	d.refuse(d.root(mine), &ec2api.DescribeCapacityReservationsRequest{CapacityReservationIds: []string{"cr-0123456789abcdef0"}}, "InvalidCapacityReservationId.NotFound", "*")
}

func TestSerialConsoleAccess(t *testing.T) {
	d := newDesk(t)
	me := d.root(mine)
	status := func() bool {
		return api.Val(ask[ec2api.GetSerialConsoleAccessStatusResult](d, me, &ec2api.GetSerialConsoleAccessStatusRequest{}).SerialConsoleAccessEnabled)
	}
	before := status()
	ask[ec2api.EnableSerialConsoleAccessResult](d, me, &ec2api.EnableSerialConsoleAccessRequest{})
	during := status()
	ask[ec2api.DisableSerialConsoleAccessResult](d, me, &ec2api.DisableSerialConsoleAccessRequest{})
	if before || !during || status() {
		t.Errorf("access: %v, enabled %v, disabled %v", before, during, status())
	}
}
