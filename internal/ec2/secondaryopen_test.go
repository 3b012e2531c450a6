package ec2_test

import (
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
)

// Two instances share a secondary address that has an Elastic IP address: whoever serves takes both.
func TestFailoverOfASecondaryAddress(t *testing.T) {
	h := newHouse(t)
	p, me := h.opened(), h.root(mine)
	start := func() (instance, face string) {
		in := runRequest()
		in.InstanceType = new("t3.large")
		in.NetworkInterfaces = []ec2api.InstanceNetworkInterfaceSpecification{{DeviceIndex: new(int32(0)), SubnetId: &p.subnet}}
		made := ask[ec2api.Reservation](h.desk, me, in).Instances[0]
		return *made.InstanceId, *made.NetworkInterfaces[0].NetworkInterfaceId
	}
	instance, one := start()
	_, two := start()
	h.Advance(time.Minute)
	assign := func(face string, again bool) *ec2api.AssignPrivateIpAddressesRequest {
		return &ec2api.AssignPrivateIpAddressesRequest{NetworkInterfaceId: &face, PrivateIpAddresses: []string{"10.0.1.70"}, AllowReassignment: &again}
	}
	ask[ec2api.AssignPrivateIpAddressesResult](h.desk, me, assign(one, true))
	address := ask[ec2api.AllocateAddressResult](h.desk, me, &ec2api.AllocateAddressRequest{})
	associate := func(private string) *ec2api.AssociateAddressRequest {
		return &ec2api.AssociateAddressRequest{AllocationId: address.AllocationId, InstanceId: &instance, PrivateIpAddress: &private}
	}
	shown := func() ec2api.Address {
		return ask[ec2api.DescribeAddressesResult](h.desk, me, &ec2api.DescribeAddressesRequest{AllocationIds: []string{*address.AllocationId}}).Addresses[0]
	}
	h.refuse(me, associate("10.0.1.71"), "InvalidParameterValue", "*")
	id := *ask[ec2api.AssociateAddressResult](h.desk, me, associate("10.0.1.70")).AssociationId
	if again := *ask[ec2api.AssociateAddressResult](h.desk, me, associate("10.0.1.70")).AssociationId; again != id {
		t.Errorf("associated again: %s, not %s", again, id)
	}
	if a := shown(); api.Val(a.InstanceId) != instance || *a.NetworkInterfaceId != one || *a.PrivateIpAddress != "10.0.1.70" || *a.AssociationId != id {
		t.Errorf("address %+v", a)
	}
	i := h.instance(instance)
	if of := i.NetworkInterfaces[0].PrivateIpAddresses; len(of) != 2 || of[0].Association != nil || of[1].Association == nil || *of[1].Association.PublicIp != *address.PublicIp || i.PublicIpAddress != nil {
		t.Errorf("instance %+v", of)
	}
	h.refuse(me, assign(two, false), "InvalidIPAddress.InUse", "*")
	ask[ec2api.AssignPrivateIpAddressesResult](h.desk, me, assign(two, true))
	if f := h.face(two).PrivateIpAddresses; len(f) != 2 || f[1].Association == nil || *f[1].Association.AssociationId != id {
		t.Errorf("the other interface has %+v", f)
	}
	if f := h.face(one).PrivateIpAddresses; len(f) != 1 {
		t.Errorf("the first interface keeps %+v", f)
	}
	if a := shown(); *a.NetworkInterfaceId != two || *a.AssociationId != id {
		t.Errorf("address %+v", a)
	}
	primary := assign(two, true)
	primary.PrivateIpAddresses = []string{*h.face(one).PrivateIpAddress}
	h.refuse(me, primary, "InvalidIPAddress.InUse", "*")

	// To the primary address of the first instance, and back to the secondary one, which leaves.
	ask[ec2api.AssociateAddressResult](h.desk, me, associate(*h.face(one).PrivateIpAddress))
	if a := shown(); *a.NetworkInterfaceId != one || api.Val(h.instance(instance).PublicIpAddress) != *address.PublicIp || h.face(two).PrivateIpAddresses[1].Association != nil {
		t.Errorf("address %+v", a)
	}
	back := &ec2api.AssociateAddressRequest{AllocationId: address.AllocationId, NetworkInterfaceId: &two, PrivateIpAddress: new("10.0.1.70")}
	ask[ec2api.AssociateAddressResult](h.desk, me, back)
	if i := h.instance(instance); i.PublicIpAddress != nil {
		t.Errorf("the first instance has still %s", *i.PublicIpAddress)
	}
	other := ask[ec2api.AllocateAddressResult](h.desk, me, &ec2api.AllocateAddressRequest{})
	instead := *back
	instead.AllocationId = other.AllocationId
	ask[ec2api.AssociateAddressResult](h.desk, me, &instead)
	if a := shown(); a.AssociationId != nil || *h.face(two).PrivateIpAddresses[1].Association.PublicIp != *other.PublicIp {
		t.Errorf("the one that was there before is %+v", a)
	}
	h.done(&ec2api.UnassignPrivateIpAddressesRequest{NetworkInterfaceId: &two, PrivateIpAddresses: []string{"10.0.1.70"}})
	for _, free := range []*string{address.AllocationId, other.AllocationId} {
		h.done(&ec2api.ReleaseAddressRequest{AllocationId: free})
	}
}

// A secondary address keeps its Elastic IP address when its interface becomes the first one of an instance, and
// DisassociateAddress takes it.
func TestAnOpenedSecondaryAddressOfAnInterface(t *testing.T) {
	h := newHouse(t)
	p, me := h.opened(), h.root(mine)
	id := *h.newFace(ec2api.CreateNetworkInterfaceRequest{SubnetId: &p.subnet, PrivateIpAddresses: []ec2api.PrivateIpAddressSpecification{
		{PrivateIpAddress: new("10.0.1.60"), Primary: new(true)}, {PrivateIpAddress: new("10.0.1.61")},
	}}).NetworkInterfaceId
	address := ask[ec2api.AllocateAddressResult](h.desk, me, &ec2api.AllocateAddressRequest{})
	association := ask[ec2api.AssociateAddressResult](h.desk, me, &ec2api.AssociateAddressRequest{AllocationId: address.AllocationId, NetworkInterfaceId: &id, PrivateIpAddress: new("10.0.1.61")}).AssociationId
	in := runRequest()
	in.NetworkInterfaces = []ec2api.InstanceNetworkInterfaceSpecification{{DeviceIndex: new(int32(0)), NetworkInterfaceId: &id}}
	made := ask[ec2api.Reservation](h.desk, me, in).Instances[0]
	h.Advance(time.Minute)
	opened := func() bool {
		of := h.face(id).PrivateIpAddresses
		return len(of) == 2 && of[1].Association != nil && *of[1].Association.PublicIp == *address.PublicIp
	}
	if !opened() {
		t.Errorf("with the instance: %+v", h.face(id).PrivateIpAddresses)
	}
	ask[ec2api.TerminateInstancesResult](h.desk, me, &ec2api.TerminateInstancesRequest{InstanceIds: []string{*made.InstanceId}})
	h.Advance(time.Minute)
	if !opened() { // an interface that was there before stays
		t.Errorf("without the instance: %+v", h.face(id).PrivateIpAddresses)
	}
	h.done(&ec2api.DisassociateAddressRequest{AssociationId: association})
	if opened() {
		t.Error("still associated")
	}
	h.done(&ec2api.ReleaseAddressRequest{AllocationId: address.AllocationId})
}

// Addresses of two interfaces of one instance move to a third of its own, in one request.
func TestAddressesMoveWithinAnInstance(t *testing.T) {
	h := newHouse(t)
	p, me := h.opened(), h.root(mine)
	in := runRequest()
	in.InstanceType = new("t3.large")
	for n := range int32(3) {
		in.NetworkInterfaces = append(in.NetworkInterfaces, ec2api.InstanceNetworkInterfaceSpecification{DeviceIndex: &n, SubnetId: &p.subnet})
	}
	in.NetworkInterfaces[0].SecondaryPrivateIpAddressCount, in.NetworkInterfaces[1].SecondaryPrivateIpAddressCount = new(int32(1)), new(int32(1))
	faces := ask[ec2api.Reservation](h.desk, me, in).Instances[0].NetworkInterfaces
	h.Advance(time.Minute)
	var addresses []string
	for _, f := range faces[:2] {
		addresses = append(addresses, *f.PrivateIpAddresses[1].PrivateIpAddress)
	}
	ask[ec2api.AssignPrivateIpAddressesResult](h.desk, me, &ec2api.AssignPrivateIpAddressesRequest{
		NetworkInterfaceId: faces[2].NetworkInterfaceId, PrivateIpAddresses: addresses, AllowReassignment: new(true),
	})
	for n, want := range []int{1, 1, 3} {
		if got := len(h.face(*faces[n].NetworkInterfaceId).PrivateIpAddresses); got != want {
			t.Errorf("interface %d has %d addresses, want %d", n, got, want)
		}
	}
}
