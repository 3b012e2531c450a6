package actions_test

import (
	"time"

	"github.com/kagimori/kagimori/internal/testkit"
)

// driveCapacity: a Capacity Reservation of the future with everything that one can have, and an instance that asks for
// one of today.
func driveCapacity(c caller) {
	c.do("ec2:CreatePlacementGroup", in{"GroupName": "near", "Strategy": "cluster"})
	starts := time.Now().Add(10 * 24 * time.Hour)
	c.do("ec2:CreateCapacityReservation", in{
		"InstanceType": "m5.large", "InstancePlatform": "Linux/UNIX", "AvailabilityZone": testkit.Region + "a", "InstanceCount": 1,
		"StartDate": starts, "CommitmentDuration": 14 * 86400, "EndDateType": "limited", "EndDate": starts.Add(20 * 24 * time.Hour),
		"PlacementGroupArn": "arn:aws:ec2:" + testkit.Region + ":111122223333:placement-group/near",
		"TagSpecifications": specifications("capacity-reservation"),
	})
	id := c.do("ec2:CreateCapacityReservation", in{
		"InstanceType": "m5.large", "InstancePlatform": "Linux/UNIX", "AvailabilityZone": testkit.Region + "a", "InstanceCount": 2,
	}).str("CapacityReservation.CapacityReservationId")
	retag(c, id)
	c.do("ec2:DescribeCapacityReservations", in{})
	c.do("ec2:ModifyCapacityReservation", in{"CapacityReservationId": id, "InstanceCount": 3})
	c.do("ec2:GetCapacityReservationUsage", in{"CapacityReservationId": id})
	c.do("ec2:GetGroupsForCapacityReservation", in{"CapacityReservationId": id})
	part := c.do("ec2:CreateCapacityReservationBySplitting", in{"SourceCapacityReservationId": id, "InstanceCount": 1, "TagSpecifications": specifications("capacity-reservation")}).str("DestinationCapacityReservation.CapacityReservationId")
	retag(c, part)
	c.do("ec2:MoveCapacityReservationInstances", in{"SourceCapacityReservationId": part, "DestinationCapacityReservationId": id, "InstanceCount": 1})
	c.do("ec2:CancelCapacityReservation", in{"CapacityReservationId": id})
	host := c.do("ec2:AllocateHosts", in{
		"InstanceType": "m5.large", "AvailabilityZone": testkit.Region + "a", "Quantity": 1, "TagSpecifications": specifications("dedicated-host"),
	}).str("HostIds.0")
	retag(c, host)
	c.do("ec2:DescribeHosts", in{})
	c.do("ec2:ModifyHosts", in{"HostIds": host, "AutoPlacement": "on"})
	c.do("ec2:ReleaseHosts", in{"HostIds": host})
}
