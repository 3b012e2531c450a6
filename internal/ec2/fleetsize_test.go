package ec2_test

import (
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
)

func (h *house) fleets(ids ...string) []ec2api.FleetData {
	h.T.Helper()
	return ask[ec2api.DescribeFleetsResult](h.desk, h.owner(), &ec2api.DescribeFleetsRequest{FleetIds: ids}).Fleets
}

// TestFleetsOfManyInstances: more instances than a transaction of the store can read one by one, in one fleet
// and in several together.
func TestFleetsOfManyInstances(t *testing.T) {
	h := newHouse(t)
	template := h.fleetTemplate("many")
	var ids []string
	for _, n := range []int32{200, 30} {
		ids = append(ids, *ask[ec2api.CreateFleetResult](h.desk, h.owner(), fleetRequest("maintain", template, n, "on-demand")).FleetId)
	}
	h.Advance(10 * time.Second)
	got := h.fleets(ids...)
	if len(got) != 2 || *got[0].FulfilledCapacity+*got[1].FulfilledCapacity != 230 || *got[0].ActivityStatus != "fulfilled" || *got[1].ActivityStatus != "fulfilled" {
		t.Fatalf("%+v", got)
	}
	active := ask[ec2api.DescribeFleetInstancesResult](h.desk, h.owner(), &ec2api.DescribeFleetInstancesRequest{FleetId: &ids[0]}).ActiveInstances
	if len(active) != 200 {
		t.Errorf("%d instances", len(active))
	}
	ask[ec2api.DeleteFleetsResult](h.desk, h.owner(), &ec2api.DeleteFleetsRequest{FleetIds: ids, TerminateInstances: new(true)})
	h.Advance(10 * time.Second)
	for _, f := range h.fleets(ids...) {
		if *f.FleetState != "deleted" || *f.FulfilledCapacity != 0 {
			t.Errorf("%s %v", *f.FleetState, *f.FulfilledCapacity)
		}
	}
	h.clean()
}

// TestModifyFleetKeepsTheKindOfCapacity when it names a total only, as Terraform's provider does.
func TestModifyFleetKeepsTheKindOfCapacity(t *testing.T) {
	h := newHouse(t)
	id := ask[ec2api.CreateFleetResult](h.desk, h.owner(), fleetRequest("maintain", h.fleetTemplate("spot"), 1, "spot")).FleetId
	h.Advance(3 * time.Second)
	ask[ec2api.ModifyFleetResult](h.desk, h.owner(), &ec2api.ModifyFleetRequest{
		FleetId: id, TargetCapacitySpecification: &ec2api.TargetCapacitySpecificationRequest{TotalTargetCapacity: new(int32(3))},
	})
	h.Advance(3 * time.Second)
	f := h.fleets(*id)[0]
	if s := f.TargetCapacitySpecification; *s.DefaultTargetCapacityType != "spot" || *s.SpotTargetCapacity != 3 || *s.OnDemandTargetCapacity != 0 || *f.FulfilledCapacity != 3 {
		t.Errorf("%+v, %v", s, *f.FulfilledCapacity)
	}
}

func TestFleetsThatAreRefused(t *testing.T) {
	h := newHouse(t)
	template := h.fleetTemplate("web")
	late := fleetRequest("maintain", template, 1, "spot")
	late.ValidFrom, late.ValidUntil = new(time.Now().Add(2*time.Hour)), new(time.Now().Add(time.Hour))
	pools := fleetRequest("maintain", template, 1, "spot")
	pools.SpotOptions = &ec2api.SpotOptionsRequest{AllocationStrategy: new("diversified"), InstancePoolsToUseCount: new(int32(2))}
	h.refuse(h.owner(), late, "InvalidParameterValue", "*")
	h.refuse(h.owner(), pools, "InvalidFleetConfig", "InstancePoolsToUseCount option is only available with the lowestPrice allocation strategy.")
	for id, code := range map[string]string{"fleet-1": "InvalidFleetId.Malformed", "fleet-12345678-1234-1234-1234-1234567890ab": "InvalidFleetId.NotFound"} {
		h.refuse(h.owner(), &ec2api.DescribeFleetsRequest{FleetIds: []string{id}}, code, "*")
	}
	h.refuse(h.owner(), &ec2api.DescribeSpotInstanceRequestsRequest{SpotInstanceRequestIds: []string{"sir-1"}}, "InvalidSpotInstanceRequestID.Malformed", "*")
	h.refuse(h.owner(), &ec2api.DescribeSpotFleetRequestsRequest{SpotFleetRequestIds: []string{"sfr-1"}}, "InvalidSpotFleetRequestId.Malformed", "*")
}

// TestAStoppedSpotInstanceDisablesItsRequest, and is terminated when that is cancelled.
func TestAStoppedSpotInstanceDisablesItsRequest(t *testing.T) {
	h := newHouse(t)
	in := &ec2api.RequestSpotInstancesRequest{
		Type: new("persistent"), InstanceInterruptionBehavior: new("stop"),
		LaunchSpecification: &ec2api.RequestSpotLaunchSpecification{ImageId: new(exampleImage), InstanceType: new("t3.micro")},
	}
	id := *ask[ec2api.RequestSpotInstancesResult](h.desk, h.owner(), in).SpotInstanceRequests[0].SpotInstanceRequestId
	want := func(state, status string) string {
		t.Helper()
		r := ask[ec2api.DescribeSpotInstanceRequestsResult](h.desk, h.owner(), &ec2api.DescribeSpotInstanceRequestsRequest{SpotInstanceRequestIds: []string{id}}).SpotInstanceRequests[0]
		if *r.State != state || *r.Status.Code != status {
			t.Errorf("%s %s, want %s %s", *r.State, *r.Status.Code, state, status)
		}
		return api.Val(r.InstanceId)
	}
	h.Advance(5 * time.Second)
	ids := []string{want("active", "fulfilled")}
	ask[ec2api.StopInstancesResult](h.desk, h.owner(), &ec2api.StopInstancesRequest{InstanceIds: ids})
	h.Advance(2 * time.Second)
	want("disabled", "instance-stopped-by-user")
	ask[ec2api.StartInstancesResult](h.desk, h.owner(), &ec2api.StartInstancesRequest{InstanceIds: ids})
	h.Advance(5 * time.Second)
	want("active", "fulfilled")
	ask[ec2api.StopInstancesResult](h.desk, h.owner(), &ec2api.StopInstancesRequest{InstanceIds: ids})
	h.Advance(2 * time.Second)
	out := ask[ec2api.CancelSpotInstanceRequestsResult](h.desk, h.owner(), &ec2api.CancelSpotInstanceRequestsRequest{SpotInstanceRequestIds: []string{id}})
	if *out.CancelledSpotInstanceRequests[0].State != "cancelled" {
		t.Error(*out.CancelledSpotInstanceRequests[0].State)
	}
	h.Advance(5 * time.Second)
	h.wantState(ids[0], "terminated")
	want("cancelled", "instance-terminated-by-user")
}

// TestFleetsOfManyChoices: as many choices as a fleet may have, such as Karpenter gives it (each type in each subnet), most of
// which cannot be launched.
func TestFleetsOfManyChoices(t *testing.T) {
	h := newHouse(t)
	choice := func(n int, subnet *string) ec2api.FleetLaunchTemplateOverridesRequest {
		return ec2api.FleetLaunchTemplateOverridesRequest{InstanceType: new("t3.small"), SubnetId: subnet, Priority: new(float64(n))}
	}
	var overrides []ec2api.FleetLaunchTemplateOverridesRequest
	for n := range 299 {
		overrides = append(overrides, choice(n, new("subnet-00000000")))
	}
	overrides = append(overrides, choice(299, nil))
	template := h.fleetTemplate("choices")
	out := ask[ec2api.CreateFleetResult](h.desk, h.owner(), fleetRequest("instant", template, 1, "on-demand", overrides...))
	if len(out.Instances) != 1 || len(out.Instances[0].InstanceIds) != 1 {
		t.Errorf("instances %+v, %d errors", out.Instances, len(out.Errors))
	}
	for _, kind := range []string{"maintain", "request"} {
		id := *ask[ec2api.CreateFleetResult](h.desk, h.owner(), fleetRequest(kind, template, 1, "spot", overrides...)).FleetId
		h.Advance(10 * time.Minute)
		if f := h.fleets(id)[0]; *f.FulfilledCapacity != 1 {
			t.Errorf("%s: %v units", kind, *f.FulfilledCapacity)
		}
	}
}
