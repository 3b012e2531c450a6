package ec2_test

import (
	"fmt"
	"testing"

	"github.com/kagimori/kagimori/internal/api/ec2api"
)

// A network interface has five security groups, however they are given to it.
func TestSecurityGroupsOfAnInterface(t *testing.T) {
	h := newHouse(t)
	me := h.owner()
	id := h.run(me)
	here := h.instance(id)
	var groups []string
	for i := range 6 {
		groups = append(groups, *ask[ec2api.CreateSecurityGroupResult](h.desk, me, &ec2api.CreateSecurityGroupRequest{
			GroupName: new(fmt.Sprintf("g%d", i)), Description: new("d"), VpcId: here.VpcId,
		}).GroupId)
	}
	face := ask[ec2api.CreateNetworkInterfaceResult](h.desk, me, &ec2api.CreateNetworkInterfaceRequest{SubnetId: here.SubnetId, Groups: groups[1:]}).NetworkInterface
	launch, inside := runRequest(), runRequest()
	launch.SecurityGroupIds = groups
	inside.NetworkInterfaces = []ec2api.InstanceNetworkInterfaceSpecification{{DeviceIndex: new(int32(0)), SubnetId: here.SubnetId, Groups: groups}}
	for name, in := range map[string]any{
		"a launch":             launch,
		"a launch's interface": inside,
		"a new interface":      &ec2api.CreateNetworkInterfaceRequest{SubnetId: here.SubnetId, Groups: groups},
		"an interface":         &ec2api.ModifyNetworkInterfaceAttributeRequest{NetworkInterfaceId: face.NetworkInterfaceId, Groups: groups},
		"an instance":          &ec2api.ModifyInstanceAttributeRequest{InstanceId: &id, Groups: groups},
	} {
		t.Run(name, func(t *testing.T) {
			h.refuse(me, in, "SecurityGroupsPerInterfaceLimitExceeded", "The maximum number of security groups per interface has been reached.")
		})
	}
	launch.SecurityGroupIds = append(groups[:5:5], groups[0])
	ask[ec2api.Reservation](h.desk, me, launch)
}

// Copies come from Regions that there are.
func TestCopiesFromNowhere(t *testing.T) {
	h := newHouse(t)
	me := h.owner()
	h.refuse(me, &ec2api.CopyImageRequest{SourceRegion: new("mars-1"), SourceImageId: runRequest().ImageId, Name: new("copy")}, "InvalidParameterValue", "Invalid region: [mars-1]")
	h.refuse(me, &ec2api.CopySnapshotRequest{SourceRegion: new("mars-1"), SourceSnapshotId: new("snap-0123456789abcdef0")}, "InvalidParameterValue", "Invalid region: [mars-1]")
}
