package ec2_test

import (
	"slices"
	"testing"

	"github.com/kagimori/kagimori/internal/api/ec2api"
)

// natGateway is one NAT gateway of the tier's account.
func (p *tier) natGateway(id *string) ec2api.NatGateway {
	p.T.Helper()
	return ask[ec2api.DescribeNatGatewaysResult](p.desk, p.root(mine), &ec2api.DescribeNatGatewaysRequest{NatGatewayIds: []string{*id}}).NatGateways[0]
}

// privates are the private addresses of a NAT gateway, the primary one first.
func privates(n []ec2api.NatGatewayAddress) (out []string) {
	for _, a := range n {
		out = append(out, *a.PrivateIp)
	}
	return out
}

// TestAddressesOfAPublicNATGateway: each secondary Elastic IP address has a private one, and is free when it leaves.
func TestAddressesOfAPublicNATGateway(t *testing.T) {
	d := newDesk(t)
	p, me := d.opened(), d.root(mine)
	var ids, ips []string
	for range 4 {
		a := ask[ec2api.AllocateAddressResult](d, me, &ec2api.AllocateAddressRequest{})
		ids, ips = append(ids, *a.AllocationId), append(ips, *a.PublicIp)
	}
	create := func(secondary ...string) *ec2api.CreateNatGatewayRequest {
		return &ec2api.CreateNatGatewayRequest{SubnetId: &p.subnet, AllocationId: &ids[0], SecondaryAllocationIds: secondary}
	}
	count := create(ids[1])
	count.SecondaryPrivateIpAddressCount = new(int32(1))
	d.refuse(me, count, "InvalidParameterCombination", "*")
	few := create(ids[1])
	few.SecondaryPrivateIpAddresses = []string{"10.0.1.50", "10.0.1.51"}
	d.refuse(me, few, "InvalidParameterCombination", "*")
	d.refuse(me, create("eipalloc-0123456789abcdef0"), "InvalidAllocationID.NotFound", "*")
	d.refuse(me, create(ids[0]), "Resource.AlreadyAssociated", "*")
	good := create(ids[1])
	good.SecondaryPrivateIpAddresses = []string{"10.0.1.50"}
	nat := ask[ec2api.CreateNatGatewayResult](d, me, good).NatGateway.NatGatewayId
	n := p.natGateway(nat)
	if a := n.NatGatewayAddresses; len(a) != 2 || *a[1].IsPrimary || *a[1].PublicIp != ips[1] || *a[1].PrivateIp != "10.0.1.50" || *a[1].Status != "succeeded" || *a[1].NetworkInterfaceId != *a[0].NetworkInterfaceId {
		t.Fatalf("addresses %+v", a)
	}
	added := ask[ec2api.AssociateNatGatewayAddressResult](d, me, &ec2api.AssociateNatGatewayAddressRequest{NatGatewayId: nat, AllocationIds: ids[2:3]})
	if a := added.NatGatewayAddresses; len(a) != 1 || *a[0].AllocationId != ids[2] || *a[0].Status != "associating" || len(p.natGateway(nat).NatGatewayAddresses) != 3 {
		t.Errorf("associated %+v", a)
	}
	d.refuse(me, &ec2api.AssociateNatGatewayAddressRequest{NatGatewayId: nat, AllocationIds: ids[2:3]}, "Resource.AlreadyAssociated", "*")
	d.refuse(me, &ec2api.AssociateNatGatewayAddressRequest{NatGatewayId: nat, AllocationIds: ids[3:], PrivateIpAddresses: []string{"10.0.1.50"}}, "InvalidIPAddress.InUse", "*")
	d.refuse(me, &ec2api.AssociateNatGatewayAddressRequest{NatGatewayId: nat, AllocationIds: ids[3:], AvailabilityZone: n.SubnetId}, "InvalidParameterCombination", "*")
	d.refuse(me, &ec2api.AssignPrivateNatGatewayAddressRequest{NatGatewayId: nat}, "InvalidParameterValue", "*")
	shown := func(id string) ec2api.Address {
		return ask[ec2api.DescribeAddressesResult](d, me, &ec2api.DescribeAddressesRequest{AllocationIds: []string{id}}).Addresses[0]
	}
	if a := shown(ids[1]); *a.PrivateIpAddress != "10.0.1.50" || *a.NetworkInterfaceId != *n.NatGatewayAddresses[0].NetworkInterfaceId || *a.AssociationId != *n.NatGatewayAddresses[1].AssociationId {
		t.Errorf("address %+v", a)
	}
	face := ask[ec2api.DescribeNetworkInterfacesResult](d, me, &ec2api.DescribeNetworkInterfacesRequest{NetworkInterfaceIds: []string{*n.NatGatewayAddresses[0].NetworkInterfaceId}}).NetworkInterfaces[0]
	if a := face.PrivateIpAddresses; len(a) != 3 || *a[1].Association.PublicIp != ips[1] || *a[1].Association.AllocationId != ids[1] {
		t.Errorf("interface %+v", a)
	}
	d.refuse(me, &ec2api.ReleaseAddressRequest{AllocationId: &ids[1]}, "InvalidIPAddress.InUse", "*")
	for _, a := range n.NatGatewayAddresses[1:] {
		gone := ask[ec2api.DisassociateNatGatewayAddressResult](d, me, &ec2api.DisassociateNatGatewayAddressRequest{NatGatewayId: nat, AssociationIds: []string{*a.AssociationId}})
		if *gone.NatGatewayAddresses[0].Status != "disassociating" || *gone.NatGatewayAddresses[0].PublicIp != ips[1] || shown(ids[1]).AssociationId != nil {
			t.Errorf("disassociated %+v, %+v", gone, shown(ids[1]))
		}
	}
	d.refuse(me, &ec2api.DisassociateNatGatewayAddressRequest{NatGatewayId: nat, AssociationIds: []string{*n.NatGatewayAddresses[0].AssociationId}}, "InvalidParameterValue", "*")
	ask[ec2api.DeleteNatGatewayResult](d, me, &ec2api.DeleteNatGatewayRequest{NatGatewayId: nat})
	if a := shown(ids[2]); a.AssociationId != nil || a.PrivateIpAddress != nil {
		t.Errorf("after the NAT gateway is deleted: %+v", a)
	}
	d.refuse(me, &ec2api.AssociateNatGatewayAddressRequest{NatGatewayId: nat, AllocationIds: ids[3:]}, "InvalidState", "*")
	d.done(&ec2api.ReleaseAddressRequest{AllocationId: &ids[2]})
}

// TestAddressesOfAPrivateNATGateway: eight private addresses at most, the primary one stays.
func TestAddressesOfAPrivateNATGateway(t *testing.T) {
	d := newDesk(t)
	p, me := d.opened(), d.root(mine)
	create := &ec2api.CreateNatGatewayRequest{SubnetId: &p.subnet, ConnectivityType: new("private"), SecondaryPrivateIpAddressCount: new(int32(2))}
	nat := ask[ec2api.CreateNatGatewayResult](d, me, create).NatGateway.NatGatewayId
	first := privates(p.natGateway(nat).NatGatewayAddresses)
	if len(first) != 3 {
		t.Fatalf("addresses %v", first)
	}
	assign := func(count int32, addresses ...string) *ec2api.AssignPrivateNatGatewayAddressRequest {
		in := &ec2api.AssignPrivateNatGatewayAddressRequest{NatGatewayId: nat, PrivateIpAddresses: addresses}
		if count > 0 {
			in.PrivateIpAddressCount = &count
		}
		return in
	}
	d.refuse(me, assign(6), "PrivateIpAddressLimitExceeded", "*")
	d.refuse(me, assign(1, "10.0.1.60"), "InvalidParameterCombination", "*")
	d.refuse(me, &ec2api.AssociateNatGatewayAddressRequest{NatGatewayId: nat, AllocationIds: []string{"eipalloc-0123456789abcdef0"}}, "InvalidAllocationID.NotFound", "*")
	if a := ask[ec2api.AssignPrivateNatGatewayAddressResult](d, me, assign(0, "10.0.1.60")).NatGatewayAddresses; len(a) != 1 || *a[0].PrivateIp != "10.0.1.60" || *a[0].Status != "assigning" || a[0].PublicIp != nil {
		t.Errorf("assigned %+v", a)
	}
	one := privates(ask[ec2api.AssignPrivateNatGatewayAddressResult](d, me, assign(0)).NatGatewayAddresses)
	unassign := &ec2api.UnassignPrivateNatGatewayAddressRequest{NatGatewayId: nat, PrivateIpAddresses: []string{"10.0.1.60"}, MaxDrainDurationSeconds: new(int32(1))}
	if a := ask[ec2api.UnassignPrivateNatGatewayAddressResult](d, me, unassign).NatGatewayAddresses; len(a) != 1 || *a[0].Status != "unassigning" {
		t.Errorf("unassigned %+v", a)
	}
	if got := privates(p.natGateway(nat).NatGatewayAddresses); !slices.Equal(got, slices.Concat(first, one)) {
		t.Errorf("addresses %v, want %v", got, slices.Concat(first, one))
	}
	d.refuse(me, unassign, "InvalidParameterValue", "*")
	d.refuse(me, &ec2api.UnassignPrivateNatGatewayAddressRequest{NatGatewayId: nat, PrivateIpAddresses: first[:1]}, "InvalidParameterValue", "*")
	ask[ec2api.AssignPrivateNatGatewayAddressResult](d, me, assign(0, "10.0.1.60"))
}
