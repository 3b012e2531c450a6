package ec2_test

import (
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
)

func (d *desk) face(id string) ec2api.NetworkInterface {
	d.T.Helper()
	return ask[ec2api.DescribeNetworkInterfacesResult](d, d.root(mine), &ec2api.DescribeNetworkInterfacesRequest{NetworkInterfaceIds: []string{id}}).NetworkInterfaces[0]
}

func (d *desk) newFace(in ec2api.CreateNetworkInterfaceRequest) ec2api.NetworkInterface {
	d.T.Helper()
	return *ask[ec2api.CreateNetworkInterfaceResult](d, d.root(mine), &in).NetworkInterface
}

// Network interfaces of their own: made, changed, deleted.
func TestNetworkInterfaces(t *testing.T) {
	d := newDesk(t)
	p, me := d.opened(), d.root(mine)
	group := d.newGroup(p.vpc, "web")
	in := ec2api.CreateNetworkInterfaceRequest{
		SubnetId: &p.subnet, Description: new("spare"), Groups: []string{group}, TagSpecifications: specs("network-interface"), ClientToken: new("t"),
		PrivateIpAddresses: []ec2api.PrivateIpAddressSpecification{{PrivateIpAddress: new("10.0.1.50"), Primary: new(true)}, {PrivateIpAddress: new("10.0.1.51")}},
	}
	made := d.newFace(in)
	id := *made.NetworkInterfaceId
	if again := d.newFace(in); *again.NetworkInterfaceId != id || *made.Status != "pending" || *made.TagSet[0].Value != "x" {
		t.Errorf("made %+v, %+v", made, again)
	}
	if bare := d.face(*d.newFace(ec2api.CreateNetworkInterfaceRequest{SubnetId: &p.subnet}).NetworkInterfaceId); bare.TagSet == nil || len(bare.TagSet) != 0 {
		t.Errorf("without tags: %+v", bare)
	} else {
		d.done(&ec2api.DeleteNetworkInterfaceRequest{NetworkInterfaceId: bare.NetworkInterfaceId})
	}
	f := d.face(id)
	if *f.Status != "available" || *f.PrivateIpAddress != "10.0.1.50" || len(f.PrivateIpAddresses) != 2 || api.Val(f.RequesterId) != mine || *f.Groups[0].GroupId != group || *f.Description != "spare" || f.Attachment != nil {
		t.Errorf("interface %+v", f)
	}
	free := ask[ec2api.DescribeSubnetsResult](d, me, &ec2api.DescribeSubnetsRequest{SubnetIds: []string{p.subnet}}).Subnets[0]
	if *free.AvailableIpAddressCount != 249 {
		t.Errorf("%d addresses are free", *free.AvailableIpAddressCount)
	}
	one := func(change func(*ec2api.CreateNetworkInterfaceRequest)) *ec2api.CreateNetworkInterfaceRequest {
		in := &ec2api.CreateNetworkInterfaceRequest{SubnetId: &p.subnet}
		change(in)
		return in
	}
	for code, in := range map[string]*ec2api.CreateNetworkInterfaceRequest{
		"InvalidIPAddress.InUse":      one(func(in *ec2api.CreateNetworkInterfaceRequest) { in.PrivateIpAddress = new("10.0.1.51") }),
		"InvalidParameterValue":       one(func(in *ec2api.CreateNetworkInterfaceRequest) { in.PrivateIpAddress = new("10.9.1.51") }),
		"InvalidSubnetID.NotFound":    one(func(in *ec2api.CreateNetworkInterfaceRequest) { in.SubnetId = new("subnet-0123456789abcdef0") }),
		"InvalidGroup.NotFound":       one(func(in *ec2api.CreateNetworkInterfaceRequest) { in.Groups = []string{"sg-0123456789abcdef0"} }),
		"UnsupportedOperation":        one(func(in *ec2api.CreateNetworkInterfaceRequest) { in.InterfaceType = new("efa-only") }),
		"DryRunOperation":             one(func(in *ec2api.CreateNetworkInterfaceRequest) { in.DryRun = new(true) }),
		"IdempotentParameterMismatch": one(func(in *ec2api.CreateNetworkInterfaceRequest) { in.ClientToken = new("t") }),
	} {
		d.refuse(me, in, code, "*")
	}
	d.done(&ec2api.ModifyNetworkInterfaceAttributeRequest{NetworkInterfaceId: &id, Description: &ec2api.AttributeValue{Value: new("other")}})
	d.done(&ec2api.ModifyNetworkInterfaceAttributeRequest{NetworkInterfaceId: &id, SourceDestCheck: &ec2api.AttributeBooleanValue{Value: new(false)}})
	attribute := func(name string) ec2api.DescribeNetworkInterfaceAttributeResult {
		return *ask[ec2api.DescribeNetworkInterfaceAttributeResult](d, me, &ec2api.DescribeNetworkInterfaceAttributeRequest{NetworkInterfaceId: &id, Attribute: &name})
	}
	if *attribute("description").Description.Value != "other" || *attribute("sourceDestCheck").SourceDestCheck.Value || len(attribute("groupSet").Groups) != 1 || attribute("attachment").Attachment != nil {
		t.Error("attributes are wrong")
	}
	d.done(&ec2api.ResetNetworkInterfaceAttributeRequest{NetworkInterfaceId: &id, SourceDestCheck: new("sourceDestCheck")})
	if !*d.face(id).SourceDestCheck {
		t.Error("the check is off")
	}
	d.refuse(me, &ec2api.ModifyNetworkInterfaceAttributeRequest{NetworkInterfaceId: &id, Attachment: &ec2api.NetworkInterfaceAttachmentChanges{AttachmentId: new("eni-attach-0123456789abcdef0"), DeleteOnTermination: new(true)}}, "InvalidAttachmentID.NotFound", "*")
	more := ask[ec2api.AssignPrivateIpAddressesResult](d, me, &ec2api.AssignPrivateIpAddressesRequest{NetworkInterfaceId: &id, SecondaryPrivateIpAddressCount: new(int32(2))}).AssignedPrivateIpAddresses
	if len(more) != 2 || len(d.face(id).PrivateIpAddresses) != 4 {
		t.Errorf("assigned %+v", more)
	}
	d.done(&ec2api.UnassignPrivateIpAddressesRequest{NetworkInterfaceId: &id, PrivateIpAddresses: []string{*more[0].PrivateIpAddress}})
	d.refuse(me, &ec2api.UnassignPrivateIpAddressesRequest{NetworkInterfaceId: &id, PrivateIpAddresses: []string{"10.0.1.50"}}, "InvalidParameterValue", "*")
	address := ask[ec2api.AllocateAddressResult](d, me, &ec2api.AllocateAddressRequest{})
	ask[ec2api.AssociateAddressResult](d, me, &ec2api.AssociateAddressRequest{AllocationId: address.AllocationId, NetworkInterfaceId: &id})
	if f := d.face(id); *f.Association.PublicIp != *address.PublicIp || f.Association.AssociationId == nil {
		t.Errorf("interface %+v", f)
	}
	if a := ask[ec2api.DescribeAddressesResult](d, me, &ec2api.DescribeAddressesRequest{}).Addresses[0]; *a.NetworkInterfaceId != id || *a.PrivateIpAddress != "10.0.1.50" || a.InstanceId != nil {
		t.Errorf("address %+v", a)
	}
	d.refuse(me, &ec2api.ReleaseAddressRequest{AllocationId: address.AllocationId}, "InvalidIPAddress.InUse", "*")
	d.refuse(me, &ec2api.DeleteSubnetRequest{SubnetId: &p.subnet}, "DependencyViolation", "*")
	d.refuse(me, &ec2api.DeleteSecurityGroupRequest{GroupId: &group}, "DependencyViolation", "*")
	d.done(&ec2api.DeleteNetworkInterfaceRequest{NetworkInterfaceId: &id})
	d.refuse(me, &ec2api.DeleteNetworkInterfaceRequest{NetworkInterfaceId: &id}, "InvalidNetworkInterfaceID.NotFound", "*")
	d.done(&ec2api.ReleaseAddressRequest{AllocationId: address.AllocationId})
	d.done(&ec2api.DeleteSecurityGroupRequest{GroupId: &group})
	d.done(&ec2api.DeleteSubnetRequest{SubnetId: &p.subnet})
}

// An instance with a network interface that was there before and a new one, and one that is attached later.
func TestInstancesWithSeveralInterfaces(t *testing.T) {
	h := newHouse(t)
	p, me := h.opened(), h.root(mine)
	kept := *h.newFace(ec2api.CreateNetworkInterfaceRequest{SubnetId: &p.subnet, PrivateIpAddress: new("10.0.1.60"), Description: new("kept")}).NetworkInterfaceId
	address := ask[ec2api.AllocateAddressResult](h.desk, me, &ec2api.AllocateAddressRequest{})
	ask[ec2api.AssociateAddressResult](h.desk, me, &ec2api.AssociateAddressRequest{AllocationId: address.AllocationId, NetworkInterfaceId: &kept})
	in := runRequest()
	in.InstanceType = new("m5.large")
	in.NetworkInterfaces = []ec2api.InstanceNetworkInterfaceSpecification{
		{DeviceIndex: new(int32(0)), NetworkInterfaceId: &kept},
		{DeviceIndex: new(int32(1)), SubnetId: &p.subnet, Description: new("second"), SecondaryPrivateIpAddressCount: new(int32(1))},
	}
	bad := *in
	bad.MaxCount = new(int32(2))
	h.refuse(me, &bad, "InvalidParameterCombination", "*")
	bad = *in
	bad.NetworkInterfaces = in.NetworkInterfaces[1:]
	h.refuse(me, &bad, "InvalidParameterCombination", "*")
	made := ask[ec2api.Reservation](h.desk, me, in).Instances[0]
	id := *made.InstanceId
	h.refuse(me, in, "InvalidNetworkInterface.InUse", "*")
	if *made.PrivateIpAddress != "10.0.1.60" || *made.PublicIpAddress != *address.PublicIp || len(made.NetworkInterfaces) != 2 || *made.NetworkInterfaces[0].NetworkInterfaceId != kept ||
		*made.NetworkInterfaces[0].Attachment.DeleteOnTermination || !*made.NetworkInterfaces[1].Attachment.DeleteOnTermination || len(made.NetworkInterfaces[1].PrivateIpAddresses) != 2 {
		t.Errorf("instance %+v", made)
	}
	h.Advance(time.Minute)
	second := *made.NetworkInterfaces[1].NetworkInterfaceId
	later := *h.newFace(ec2api.CreateNetworkInterfaceRequest{SubnetId: &p.subnet}).NetworkInterfaceId
	h.refuse(me, &ec2api.AttachNetworkInterfaceRequest{NetworkInterfaceId: &later, InstanceId: &id, DeviceIndex: new(int32(1))}, "InvalidParameterValue", "*")
	plug := ask[ec2api.AttachNetworkInterfaceResult](h.desk, me, &ec2api.AttachNetworkInterfaceRequest{NetworkInterfaceId: &later, InstanceId: &id, DeviceIndex: new(int32(2))}).AttachmentId
	if f := h.face(later); *f.Status != "in-use" || *f.Attachment.InstanceId != id || *f.Attachment.DeviceIndex != 2 || *f.Attachment.AttachmentId != *plug {
		t.Errorf("attached %+v", f)
	}
	h.refuse(me, &ec2api.DeleteNetworkInterfaceRequest{NetworkInterfaceId: &later}, "InvalidNetworkInterface.InUse", "*")
	over := *h.newFace(ec2api.CreateNetworkInterfaceRequest{SubnetId: &p.subnet}).NetworkInterfaceId
	h.refuse(me, &ec2api.AttachNetworkInterfaceRequest{NetworkInterfaceId: &over, InstanceId: &id, DeviceIndex: new(int32(3))}, "AttachmentLimitExceeded", "*")
	h.refuse(me, &ec2api.DetachNetworkInterfaceRequest{AttachmentId: h.face(kept).Attachment.AttachmentId}, "OperationNotPermitted", "*")
	h.refuse(me, &ec2api.DetachNetworkInterfaceRequest{AttachmentId: new("eni-attach-0123456789abcdef0")}, "InvalidAttachmentID.NotFound", "*")
	h.done(&ec2api.DetachNetworkInterfaceRequest{AttachmentId: plug})
	if f := h.face(later); *f.Status != "available" || f.Attachment != nil {
		t.Errorf("detached %+v", f)
	}
	ask[ec2api.AttachNetworkInterfaceResult](h.desk, me, &ec2api.AttachNetworkInterfaceRequest{NetworkInterfaceId: &later, InstanceId: &id, DeviceIndex: new(int32(2))})
	h.done(&ec2api.ModifyNetworkInterfaceAttributeRequest{NetworkInterfaceId: &later, Attachment: &ec2api.NetworkInterfaceAttachmentChanges{
		AttachmentId: h.face(later).Attachment.AttachmentId, DeleteOnTermination: new(true),
	}})
	ask[ec2api.TerminateInstancesResult](h.desk, me, &ec2api.TerminateInstancesRequest{InstanceIds: []string{id}})
	h.Advance(time.Minute)
	for _, gone := range []string{second, later} {
		h.refuse(me, &ec2api.DescribeNetworkInterfacesRequest{NetworkInterfaceIds: []string{gone}}, "InvalidNetworkInterfaceID.NotFound", "*")
	}
	if f := h.face(kept); *f.Status != "available" || *f.PrivateIpAddress != "10.0.1.60" || *f.Description != "kept" || api.Val(f.Association.AllocationId) != *address.AllocationId || f.Association.AssociationId == nil {
		t.Errorf("kept %+v", f)
	}
	h.Advance(2 * time.Hour)
	if *h.face(kept).Status != "available" {
		t.Error("it is gone with its instance")
	}
}

// A launch template's network interfaces are those of the launch.
func TestInterfacesOfTemplates(t *testing.T) {
	h := newHouse(t)
	p, me := h.opened(), h.root(mine)
	ask[ec2api.CreateLaunchTemplateResult](h.desk, me, &ec2api.CreateLaunchTemplateRequest{LaunchTemplateName: new("two"), LaunchTemplateData: &ec2api.RequestLaunchTemplateData{
		ImageId: new(exampleImage), InstanceType: new("m5.large"), NetworkInterfaces: []ec2api.LaunchTemplateInstanceNetworkInterfaceSpecificationRequest{
			{DeviceIndex: new(int32(0)), SubnetId: &p.subnet, Description: new("first"), DeleteOnTermination: new(false)},
			{DeviceIndex: new(int32(1)), SubnetId: &p.subnet, PrivateIpAddress: new("10.0.1.70")},
		},
	}})
	made := ask[ec2api.Reservation](h.desk, me, &ec2api.RunInstancesRequest{
		LaunchTemplate: &ec2api.LaunchTemplateSpecification{LaunchTemplateName: new("two")}, MinCount: new(int32(1)), MaxCount: new(int32(1)),
	}).Instances[0]
	if n := made.NetworkInterfaces; len(n) != 2 || *n[0].Description != "first" || *n[0].Attachment.DeleteOnTermination || *n[1].PrivateIpAddress != "10.0.1.70" || *n[1].Attachment.DeviceIndex != 1 {
		t.Errorf("interfaces %+v", n)
	}
	first := *made.NetworkInterfaces[0].NetworkInterfaceId
	h.Advance(time.Minute)
	ask[ec2api.TerminateInstancesResult](h.desk, me, &ec2api.TerminateInstancesRequest{InstanceIds: []string{*made.InstanceId}})
	h.Advance(time.Minute)
	if f := h.face(first); *f.Status != "available" || *f.Description != "first" {
		t.Errorf("the first is %+v", f)
	}
}
