package ec2_test

import (
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
)

// zone is that of launches that name none.
const zone = region + "a"

// reserve sets t3.micro instances aside in the zone of launches that name none.
func (h *house) reserve(n int32, change func(*ec2api.CreateCapacityReservationRequest)) string {
	h.T.Helper()
	in := &ec2api.CreateCapacityReservationRequest{
		InstanceType: new("t3.micro"), InstancePlatform: new("Linux/UNIX"), AvailabilityZone: new(zone), InstanceCount: &n,
	}
	if change != nil {
		change(in)
	}
	return *ask[ec2api.CreateCapacityReservationResult](h.desk, h.owner(), in).CapacityReservation.CapacityReservationId
}

func targeted(in *ec2api.CreateCapacityReservationRequest) {
	in.InstanceMatchCriteria = new(ec2api.InstanceMatchCriteriaTargeted)
}

func (h *house) reservation(id string) ec2api.CapacityReservation {
	h.T.Helper()
	return ask[ec2api.DescribeCapacityReservationsResult](h.desk, h.owner(), &ec2api.DescribeCapacityReservationsRequest{CapacityReservationIds: []string{id}}).CapacityReservations[0]
}

// wantFree checks how many instances a reservation has left.
func (h *house) wantFree(id string, want int32) {
	h.T.Helper()
	r := h.reservation(id)
	if got := *r.AvailableInstanceCount; got != want {
		h.T.Errorf("%d left of %s, want %d", got, id, want)
	}
	if r.CapacityAllocations == nil || (len(r.CapacityAllocations) == 0) != (*r.AvailableInstanceCount == *r.TotalInstanceCount) {
		h.T.Errorf("allocations of %s: %+v", id, r.CapacityAllocations)
	}
}

// inReservation is a launch of up to n instances; target "" asks for none by its id.
func inReservation(least, most int32, preference, target string) *ec2api.RunInstancesRequest {
	in := runRequest()
	in.MinCount, in.MaxCount = &least, &most
	in.CapacityReservationSpecification = &ec2api.CapacityReservationSpecification{CapacityReservationPreference: api.Opt(preference)}
	if target != "" {
		in.CapacityReservationSpecification.CapacityReservationTarget = &ec2api.CapacityReservationTarget{CapacityReservationId: &target}
	}
	return in
}

func (h *house) launched(in *ec2api.RunInstancesRequest) []string {
	h.T.Helper()
	var ids []string
	for _, i := range ask[ec2api.Reservation](h.desk, h.owner(), in).Instances {
		ids = append(ids, *i.InstanceId)
	}
	h.Advance(5 * time.Second)
	return ids
}

func TestOpenReservationsHoldWhatMatches(t *testing.T) {
	h := newHouse(t)
	me := h.owner()
	first := h.run(me) // runs before there is a reservation
	cr := h.reserve(2, nil)
	h.wantFree(cr, 1)
	if got := api.Val(h.instance(first).CapacityReservationId); got != cr {
		t.Errorf("the instance runs in %q", got)
	}
	none := h.launched(inReservation(1, 1, "none", ""))[0]
	if i := h.instance(none); i.CapacityReservationId != nil || *i.CapacityReservationSpecification.CapacityReservationPreference != "none" {
		t.Errorf("an instance without: %v %+v", api.Val(i.CapacityReservationId), i.CapacityReservationSpecification)
	}
	h.refuse(me, inReservation(2, 2, "capacity-reservations-only", ""), "ReservationCapacityExceeded", "*")
	second := h.launched(inReservation(1, 5, "capacity-reservations-only", ""))
	if len(second) != 1 {
		t.Errorf("%d instances where there is room for one", len(second))
	}
	h.wantFree(cr, 0)
	third := h.run(me) // On-Demand, for the reservation is full
	if i := h.instance(third); i.CapacityReservationId != nil {
		t.Errorf("the third runs in %s", *i.CapacityReservationId)
	}
	usage := ask[ec2api.GetCapacityReservationUsageResult](h.desk, me, &ec2api.GetCapacityReservationUsageRequest{CapacityReservationId: &cr})
	if len(usage.InstanceUsages) != 1 || *usage.InstanceUsages[0].AccountId != mine || *usage.InstanceUsages[0].UsedInstanceCount != 2 || *usage.AvailableInstanceCount != 0 {
		t.Errorf("usage %+v", usage)
	}
	found := ask[ec2api.DescribeInstancesResult](h.desk, me, &ec2api.DescribeInstancesRequest{Filters: []ec2api.Filter{{Name: new("capacity-reservation-id"), Values: []string{cr}}}})
	if len(found.Reservations) != 2 {
		t.Errorf("%d instances are found by their reservation", len(found.Reservations))
	}
	ask[ec2api.TerminateInstancesResult](h.desk, me, &ec2api.TerminateInstancesRequest{InstanceIds: []string{first, second[0]}})
	h.Advance(time.Minute)
	h.wantFree(cr, 1) // the third has taken the place of one
	ask[ec2api.CancelCapacityReservationResult](h.desk, me, &ec2api.CancelCapacityReservationRequest{CapacityReservationId: &cr})
	h.wantState(third, "running")
	if r := h.reservation(cr); *r.State != "cancelled" || *r.AvailableInstanceCount != 0 || h.instance(third).CapacityReservationId != nil {
		t.Errorf("cancelled: %+v", r)
	}
	h.refuse(me, &ec2api.CancelCapacityReservationRequest{CapacityReservationId: &cr}, "InvalidCapacityReservationState", "*")
	h.Advance(2 * time.Hour)
	h.refuse(me, &ec2api.CancelCapacityReservationRequest{CapacityReservationId: &cr}, "InvalidCapacityReservationId.NotFound", "*")
}

func TestTargetedReservationsHoldWhoAsksForThem(t *testing.T) {
	h := newHouse(t)
	me := h.owner()
	cr := h.reserve(2, targeted)
	h.run(me)
	h.wantFree(cr, 2)
	ids := h.launched(inReservation(1, 3, "", cr))
	if i := h.instance(ids[0]); len(ids) != 2 || api.Val(i.CapacityReservationId) != cr || *i.CapacityReservationSpecification.CapacityReservationTarget.CapacityReservationId != cr {
		t.Fatalf("%d instances, the first %+v", len(ids), i)
	}
	h.refuse(me, inReservation(1, 1, "", cr), "ReservationCapacityExceeded", "*")
	ask[ec2api.StopInstancesResult](h.desk, me, &ec2api.StopInstancesRequest{InstanceIds: ids[:1]})
	h.Advance(time.Minute)
	h.wantFree(cr, 1)
	ask[ec2api.ModifyCapacityReservationResult](h.desk, me, &ec2api.ModifyCapacityReservationRequest{CapacityReservationId: &cr, InstanceCount: new(int32(1))})
	h.refuse(me, &ec2api.StartInstancesRequest{InstanceIds: ids[:1]}, "ReservationCapacityExceeded", "*")
	ask[ec2api.ModifyInstanceCapacityReservationAttributesResult](h.desk, me, &ec2api.ModifyInstanceCapacityReservationAttributesRequest{
		InstanceId: &ids[0], CapacityReservationSpecification: &ec2api.CapacityReservationSpecification{CapacityReservationPreference: new("open")},
	})
	ask[ec2api.StartInstancesResult](h.desk, me, &ec2api.StartInstancesRequest{InstanceIds: ids[:1]})
	h.Advance(time.Minute)
	h.wantState(ids[0], "running")
	small := inReservation(1, 1, "", cr)
	small.InstanceType = new("t3.small")
	h.refuse(me, small, "InvalidParameterValue", "*")
	h.refuse(me, inReservation(1, 1, "none", cr), "InvalidParameterCombination", "*")
	h.refuse(me, inReservation(1, 1, "", "cr-0123456789abcdef0"), "InvalidCapacityReservationId.NotFound", "*")
}

func TestAReservationIsFoundInItsZone(t *testing.T) {
	h := newHouse(t)
	me := h.owner()
	elsewhere := region + "c"
	cr := h.reserve(2, func(in *ec2api.CreateCapacityReservationRequest) { in.AvailabilityZone = &elsewhere })
	i := h.instance(h.launched(inReservation(1, 1, "", cr))[0])
	if *i.Placement.AvailabilityZone != elsewhere || api.Val(i.CapacityReservationId) != cr {
		t.Errorf("launched in %s, reservation %q", *i.Placement.AvailabilityZone, api.Val(i.CapacityReservationId))
	}
	here := inReservation(1, 1, "", cr)
	here.Placement = &ec2api.Placement{AvailabilityZone: new(zone)}
	h.refuse(me, here, "InvalidParameterValue", "*")
	// A stopped instance of another zone may ask for it, and then does not start.
	id := h.run(me)
	ask[ec2api.StopInstancesResult](h.desk, me, &ec2api.StopInstancesRequest{InstanceIds: []string{id}})
	h.Advance(time.Minute)
	aim := func(cr string) *ec2api.ModifyInstanceCapacityReservationAttributesRequest {
		return &ec2api.ModifyInstanceCapacityReservationAttributesRequest{InstanceId: &id, CapacityReservationSpecification: &ec2api.CapacityReservationSpecification{
			CapacityReservationTarget: &ec2api.CapacityReservationTarget{CapacityReservationId: &cr},
		}}
	}
	h.refuse(me, aim("cr-0123456789abcdef0"), "InvalidCapacityReservationId.NotFound", "*")
	ask[ec2api.ModifyInstanceCapacityReservationAttributesResult](h.desk, me, aim(cr))
	if got := h.instance(id).CapacityReservationSpecification.CapacityReservationTarget; got == nil || *got.CapacityReservationId != cr {
		t.Errorf("the instance asks for %+v", got)
	}
	h.refuse(me, &ec2api.StartInstancesRequest{InstanceIds: []string{id}}, "InvalidParameterValue", "*")
}

func TestALaunchTemplateAsksForAReservation(t *testing.T) {
	h := newHouse(t)
	cr := h.reserve(1, targeted)
	lt := h.template(&ec2api.RequestLaunchTemplateData{
		ImageId: new(exampleImage), InstanceType: new("t3.micro"),
		CapacityReservationSpecification: &ec2api.LaunchTemplateCapacityReservationSpecificationRequest{
			CapacityReservationTarget: &ec2api.CapacityReservationTarget{CapacityReservationId: &cr},
		},
	})
	first := fromTemplate(lt)
	first.ClientToken = new("once")
	id := h.launched(first)[0]
	h.wantFree(cr, 0)
	if again := h.launched(first); again[0] != id { // is not told that there is no room for what it made
		t.Errorf("the second time %s", again[0])
	}
	h.refuse(h.owner(), fromTemplate(lt), "ReservationCapacityExceeded", "*")
}

func TestReservationsChangeAndEnd(t *testing.T) {
	h := newHouse(t)
	me := h.owner()
	end := h.Clock.Now().Add(time.Hour)
	cr := h.reserve(3, func(in *ec2api.CreateCapacityReservationRequest) {
		in.EndDateType, in.EndDate, in.ClientToken = new("limited"), &end, new("once")
	})
	again := h.reserve(3, func(in *ec2api.CreateCapacityReservationRequest) {
		in.EndDateType, in.EndDate, in.ClientToken = new("limited"), &end, new("once")
	})
	if again != cr {
		t.Error("a client token made two")
	}
	h.run(me)
	change := func(in ec2api.ModifyCapacityReservationRequest) *ec2api.ModifyCapacityReservationRequest {
		in.CapacityReservationId = &cr
		return &in
	}
	for _, tt := range []struct {
		in   ec2api.ModifyCapacityReservationRequest
		code string
	}{
		{ec2api.ModifyCapacityReservationRequest{}, "MissingParameter"},
		{ec2api.ModifyCapacityReservationRequest{InstanceCount: new(int32(0))}, "InvalidParameterValue"},
		{ec2api.ModifyCapacityReservationRequest{InstanceCount: new(int32(1001))}, "InvalidParameterValue"},
		{ec2api.ModifyCapacityReservationRequest{EndDateType: new("limited")}, "MissingParameter"},
		{ec2api.ModifyCapacityReservationRequest{EndDateType: new("unlimited"), EndDate: &end}, "InvalidParameterCombination"},
		{ec2api.ModifyCapacityReservationRequest{EndDateType: new("limited"), EndDate: new(end.Add(-24 * time.Hour))}, "InvalidParameterValue"},
		{ec2api.ModifyCapacityReservationRequest{InstanceMatchCriteria: new("targeted")}, "InvalidParameterCombination"},
		{ec2api.ModifyCapacityReservationRequest{InstanceCount: new(int32(2)), DryRun: new(true)}, "DryRunOperation"},
	} {
		h.refuse(me, change(tt.in), tt.code, "*")
	}
	h.launched(inReservation(2, 2, "", ""))
	h.refuse(me, change(ec2api.ModifyCapacityReservationRequest{InstanceCount: new(int32(2))}), "InvalidParameterValue", "*")
	ask[ec2api.ModifyCapacityReservationResult](h.desk, me, change(ec2api.ModifyCapacityReservationRequest{InstanceCount: new(int32(4)), EndDateType: new("limited"), EndDate: new(end.Add(time.Hour))}))
	if r := h.reservation(cr); *r.TotalInstanceCount != 4 || *r.AvailableInstanceCount != 1 || !r.EndDate.Equal(end.Add(time.Hour)) || *r.EndDateType != "limited" {
		t.Errorf("changed: %+v", r)
	}
	h.Advance(2 * time.Hour)
	if r := h.reservation(cr); *r.State != "expired" || *r.AvailableInstanceCount != 0 {
		t.Errorf("expired: %+v", r)
	}
	h.refuse(me, inReservation(1, 1, "", cr), "InvalidCapacityReservationState", "*")
	h.refuse(me, change(ec2api.ModifyCapacityReservationRequest{EndDateType: new("unlimited")}), "InvalidCapacityReservationState", "*")
}

func TestReservationsOfTheFuture(t *testing.T) {
	h := newHouse(t)
	me := h.owner()
	ahead := func(days int, commitment int64) func(*ec2api.CreateCapacityReservationRequest) {
		return func(in *ec2api.CreateCapacityReservationRequest) {
			in.StartDate, in.CommitmentDuration = new(h.Clock.Now().Add(time.Duration(days)*24*time.Hour)), &commitment
		}
	}
	refused := func(change func(*ec2api.CreateCapacityReservationRequest), code string) {
		in := &ec2api.CreateCapacityReservationRequest{InstanceType: new("t3.micro"), InstancePlatform: new("Linux/UNIX"), AvailabilityZone: new(zone), InstanceCount: new(int32(1))}
		change(in)
		h.refuse(me, in, code, "*")
	}
	refused(ahead(4, 14*86400), "InvalidParameterValue")
	refused(ahead(121, 14*86400), "InvalidParameterValue")
	refused(ahead(6, 86400), "InvalidParameterValue")
	refused(func(in *ec2api.CreateCapacityReservationRequest) { in.CommitmentDuration = new(int64(14 * 86400)) }, "InvalidParameterCombination")
	refused(func(in *ec2api.CreateCapacityReservationRequest) { in.InstanceType = new("t3.none") }, "InvalidParameterValue")
	refused(func(in *ec2api.CreateCapacityReservationRequest) { in.AvailabilityZone = nil }, "MissingParameter")
	refused(func(in *ec2api.CreateCapacityReservationRequest) { in.AvailabilityZone = new("mars-1a") }, "InvalidParameterValue")
	refused(func(in *ec2api.CreateCapacityReservationRequest) { in.AvailabilityZoneId = new("x") }, "InvalidParameterCombination")
	refused(func(in *ec2api.CreateCapacityReservationRequest) {
		in.PlacementGroupArn = new("arn:aws:ec2:us-east-1:111122223333:placement-group/none")
	}, "InvalidPlacementGroup.Unknown")
	cr := h.reserve(1, ahead(6, 14*86400))
	h.run(me)
	if r := h.reservation(cr); *r.State != "scheduled" || *r.AvailableInstanceCount != 0 || *r.DeliveryPreference != "fixed" {
		t.Errorf("before: %+v", r)
	}
	h.Advance(6 * 24 * time.Hour)
	if r := h.reservation(cr); *r.State != "active" || *r.AvailableInstanceCount != 0 || *r.CommitmentInfo.CommittedInstanceCount != 1 {
		t.Errorf("begun: %+v", r)
	}
	h.refuse(me, &ec2api.CancelCapacityReservationRequest{CapacityReservationId: &cr}, "OperationNotPermitted", "*")
	h.Advance(14 * 24 * time.Hour)
	ask[ec2api.CancelCapacityReservationResult](h.desk, me, &ec2api.CancelCapacityReservationRequest{CapacityReservationId: &cr})
}
