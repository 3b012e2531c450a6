package ec2_test

import (
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/ec2api"
)

// Elastic Fabric Adapters are on types that have them, as many as the type has, and attached to stopped instances.
func TestElasticFabricAdapters(t *testing.T) {
	h := newHouse(t)
	me := h.owner()
	plain := h.run(me)
	here := h.instance(plain)
	adapter := func() *string {
		f := ask[ec2api.CreateNetworkInterfaceResult](h.desk, me, &ec2api.CreateNetworkInterfaceRequest{SubnetId: here.SubnetId, InterfaceType: new("efa")}).NetworkInterface
		if *f.InterfaceType != "efa" || *f.PrivateIpAddress == "" || *f.RequesterManaged {
			t.Errorf("made %+v", f)
		}
		return f.NetworkInterfaceId
	}
	request := func(kind string, faces ...ec2api.InstanceNetworkInterfaceSpecification) *ec2api.RunInstancesRequest {
		in := runRequest()
		in.InstanceType, in.NetworkInterfaces = &kind, faces
		for n := range faces {
			faces[n].DeviceIndex = new(int32(n))
		}
		return in
	}
	fresh := ec2api.InstanceNetworkInterfaceSpecification{SubnetId: here.SubnetId, InterfaceType: new("efa")}
	ready := ec2api.InstanceNetworkInterfaceSpecification{NetworkInterfaceId: adapter()}
	none := "m5.large instances do not support Elastic Fabric Adapters."
	h.refuse(me, request("m5.large", fresh), "UnsupportedOperation", none)
	h.refuse(me, request("m5.large", ready), "UnsupportedOperation", none)
	h.refuse(me, request("m5n.24xlarge", fresh, ready), "AttachmentLimitExceeded", "EFA interface count 2 exceeds the limit for m5n.24xlarge")
	only := fresh
	only.InterfaceType = new("efa-only")
	h.refuse(me, request("m5n.24xlarge", only), "UnsupportedOperation", "*")

	made := ask[ec2api.Reservation](h.desk, me, request("m5n.24xlarge", fresh)).Instances[0]
	kind := func(id string) string { return *h.instance(id).NetworkInterfaces[0].InterfaceType }
	if got := kind(*made.InstanceId); got != "efa" {
		t.Errorf("the first interface is %s", got)
	}
	data := ask[ec2api.GetLaunchTemplateDataResult](h.desk, me, &ec2api.GetLaunchTemplateDataRequest{InstanceId: made.InstanceId}).LaunchTemplateData
	if got := *data.NetworkInterfaces[0].InterfaceType; got != "efa" {
		t.Errorf("as a template it is %s", got)
	}
	second := request("m5n.24xlarge", ec2api.InstanceNetworkInterfaceSpecification{SubnetId: here.SubnetId}, ready)
	id := *ask[ec2api.Reservation](h.desk, me, second).Instances[0].InstanceId
	if got := h.instance(id).NetworkInterfaces; len(got) != 2 || *got[0].InterfaceType != "interface" || *got[1].InterfaceType != "efa" {
		t.Errorf("interfaces %+v", got)
	}

	bare := *ask[ec2api.Reservation](h.desk, me, request("m5n.24xlarge", ec2api.InstanceNetworkInterfaceSpecification{SubnetId: here.SubnetId})).Instances[0].InstanceId
	h.Advance(time.Minute)
	attach := func(instance string, index int32) *ec2api.AttachNetworkInterfaceRequest {
		return &ec2api.AttachNetworkInterfaceRequest{InstanceId: &instance, NetworkInterfaceId: adapter(), DeviceIndex: &index}
	}
	h.refuse(me, attach(bare, 1), "IncorrectState", "*")
	ask[ec2api.StopInstancesResult](h.desk, me, &ec2api.StopInstancesRequest{InstanceIds: []string{bare, plain}})
	h.Advance(time.Minute)
	h.refuse(me, attach(plain, 1), "UnsupportedOperation", "*")
	ask[ec2api.AttachNetworkInterfaceResult](h.desk, me, attach(bare, 1))
	h.refuse(me, attach(bare, 2), "AttachmentLimitExceeded", "*")
	ask[ec2api.StartInstancesResult](h.desk, me, &ec2api.StartInstancesRequest{InstanceIds: []string{bare}})
	h.Advance(time.Minute)
	h.refuse(me, &ec2api.DetachNetworkInterfaceRequest{AttachmentId: h.instance(bare).NetworkInterfaces[1].Attachment.AttachmentId}, "IncorrectState", "*")
	found := ask[ec2api.DescribeNetworkInterfacesResult](h.desk, me, &ec2api.DescribeNetworkInterfacesRequest{Filters: []ec2api.Filter{filter("interface-type", "efa"), filter("attachment.instance-id", bare)}}).NetworkInterfaces
	if len(found) != 1 {
		t.Errorf("found %+v", found)
	}
}
