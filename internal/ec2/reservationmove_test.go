package ec2_test

import (
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/ec2api"
)

func (h *house) wantCount(id string, total, free int32, state string) {
	h.T.Helper()
	if r := h.reservation(id); *r.TotalInstanceCount != total || *r.AvailableInstanceCount != free || *r.State != state {
		h.T.Errorf("%s has %d, %d of them available, and is %s; want %d, %d, %s", id, *r.TotalInstanceCount, *r.AvailableInstanceCount, *r.State, total, free, state)
	}
}

func TestReservationsAreSplit(t *testing.T) {
	h := newHouse(t)
	me := h.owner()
	from := h.reserve(3, targeted)
	h.launched(inReservation(1, 1, "", from))
	split := func(n int32) *ec2api.CreateCapacityReservationBySplittingRequest {
		return &ec2api.CreateCapacityReservationBySplittingRequest{SourceCapacityReservationId: &from, InstanceCount: &n, TagSpecifications: specs("capacity-reservation")}
	}
	h.refuse(me, split(0), "InvalidParameterValue", "*")
	h.refuse(me, split(3), "InvalidParameterValue", "*") // one is in use, by who asks for it
	once := split(2)
	once.ClientToken = new("once")
	out := ask[ec2api.CreateCapacityReservationBySplittingResult](h.desk, me, once)
	part := *out.DestinationCapacityReservation.CapacityReservationId
	if *out.InstanceCount != 2 || *out.SourceCapacityReservation.TotalInstanceCount != 1 || *out.DestinationCapacityReservation.InstanceMatchCriteria != "targeted" || len(out.DestinationCapacityReservation.Tags) != 1 {
		t.Errorf("split %+v", out)
	}
	if again := ask[ec2api.CreateCapacityReservationBySplittingResult](h.desk, me, once); *again.DestinationCapacityReservation.CapacityReservationId != part {
		t.Errorf("split again %+v", again)
	}
	h.wantCount(from, 1, 0, "active")
	h.wantCount(part, 2, 2, "active")
	h.refuse(me, &ec2api.CreateCapacityReservationBySplittingRequest{SourceCapacityReservationId: &part, InstanceCount: new(int32(2))}, "InvalidParameterValue", "*") // one stays
	ask[ec2api.CancelCapacityReservationResult](h.desk, me, &ec2api.CancelCapacityReservationRequest{CapacityReservationId: &part})
	h.refuse(me, &ec2api.CreateCapacityReservationBySplittingRequest{SourceCapacityReservationId: &part, InstanceCount: new(int32(1))}, "InvalidCapacityReservationState", "*")
	committed := h.reserve(4, future(h))
	h.Advance(10 * 24 * time.Hour)
	h.refuse(me, &ec2api.CreateCapacityReservationBySplittingRequest{SourceCapacityReservationId: &committed, InstanceCount: new(int32(1))}, "OperationNotPermitted", "*")
}

// future makes a reservation begin in a week, for a month at least.
func future(h *house) func(*ec2api.CreateCapacityReservationRequest) {
	return func(in *ec2api.CreateCapacityReservationRequest) {
		in.StartDate, in.CommitmentDuration, in.InstanceType = new(h.Clock.Now().Add(7*24*time.Hour)), new(int64(30*24*3600)), new("m5.large")
	}
}

func TestReservationsMove(t *testing.T) {
	h := newHouse(t)
	me := h.owner()
	from, to, other := h.reserve(3, nil), h.reserve(1, nil), h.reserve(1, func(in *ec2api.CreateCapacityReservationRequest) { in.InstanceType = new("t3.small") })
	closed := h.reserve(1, targeted)
	move := func(to string, n int32) *ec2api.MoveCapacityReservationInstancesRequest {
		return &ec2api.MoveCapacityReservationInstancesRequest{SourceCapacityReservationId: &from, DestinationCapacityReservationId: &to, InstanceCount: &n}
	}
	h.run(me)
	h.launched(inReservation(1, 1, "", from))
	h.wantCount(from, 3, 1, "active")
	h.refuse(me, move(other, 1), "InvalidParameterValue", "*")
	h.refuse(me, move(from, 1), "InvalidParameterValue", "*")
	h.refuse(me, move(closed, 2), "InvalidParameterValue", "*") // of two that run one would have to move
	h.refuse(me, move(to, 3), "InvalidParameterValue", "*")     // one asks for this reservation
	h.refuse(me, move("cr-0123456789abcdef0", 1), "InvalidCapacityReservationId.NotFound", "*")
	ask[ec2api.MoveCapacityReservationInstancesResult](h.desk, me, move(closed, 1))
	h.wantCount(from, 2, 0, "active")
	h.wantCount(closed, 2, 2, "active")
	once := move(to, 1)
	once.ClientToken = new("once")
	for range 2 {
		out := ask[ec2api.MoveCapacityReservationInstancesResult](h.desk, me, once)
		if *out.InstanceCount != 1 || *out.SourceCapacityReservation.TotalInstanceCount != 1 || *out.DestinationCapacityReservation.TotalInstanceCount != 2 {
			t.Errorf("moved %+v", out)
		}
	}
	h.wantCount(from, 1, 0, "active")
	h.wantCount(to, 2, 1, "active") // who takes any is in it now
	from = to
	ask[ec2api.MoveCapacityReservationInstancesResult](h.desk, me, &ec2api.MoveCapacityReservationInstancesRequest{SourceCapacityReservationId: &closed, DestinationCapacityReservationId: &to, InstanceCount: new(int32(2))})
	h.wantCount(closed, 0, 0, "cancelled")
	h.wantCount(to, 4, 3, "active")
}
