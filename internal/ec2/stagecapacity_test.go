package ec2_test

import (
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/testkit"
)

// newReservation asks for room for some instances.
func (s *stage) newReservation(count int32) *ec2api.CreateCapacityReservationRequest {
	return &ec2api.CreateCapacityReservationRequest{
		InstanceType: new("m5.large"), InstancePlatform: new("Linux/UNIX"), AvailabilityZone: new(testkit.Region + "a"), InstanceCount: &count,
	}
}

// newHost asks for a Dedicated Host.
func (s *stage) newHost(kind string) *ec2api.AllocateHostsRequest {
	return &ec2api.AllocateHostsRequest{InstanceType: &kind, AvailabilityZone: new(testkit.Region + "a"), Quantity: new(int32(1))}
}

// reserve makes room, and gives its id.
func (s *stage) reserve() *string {
	return testkit.Call[ec2api.CreateCapacityReservationResult](s.ec2, "CreateCapacityReservation", s.newReservation(1)).CapacityReservation.CapacityReservationId
}

// ofCapacity are requests that change what is reserved. Each would succeed.
func (s *stage) ofCapacity() []any {
	id, more := s.reserve(), testkit.Call[ec2api.CreateCapacityReservationResult](s.ec2, "CreateCapacityReservation", s.newReservation(3)).CapacityReservation.CapacityReservationId
	return []any{
		&ec2api.CreateCapacityReservationBySplittingRequest{SourceCapacityReservationId: more, InstanceCount: new(int32(1))},
		&ec2api.MoveCapacityReservationInstancesRequest{SourceCapacityReservationId: more, DestinationCapacityReservationId: id, InstanceCount: new(int32(1))},
		s.newReservation(2), &ec2api.ModifyCapacityReservationRequest{CapacityReservationId: id, InstanceCount: new(int32(3))},
		&ec2api.CancelCapacityReservationRequest{CapacityReservationId: id},
	}
}
