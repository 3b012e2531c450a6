package ec2_test

import (
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
)

// TestInstancesHavePublicAddresses: as the launch says, or else as the subnet does. The address is another one
// after a stop, gives way to an Elastic IP address and comes back when that is taken away.
func TestInstancesHavePublicAddresses(t *testing.T) {
	h := newHouse(t)
	vpc := ask[ec2api.CreateVpcResult](h.desk, h.owner(), &ec2api.CreateVpcRequest{CidrBlock: new("10.0.0.0/16")}).Vpc.VpcId
	net := ask[ec2api.CreateSubnetResult](h.desk, h.owner(), &ec2api.CreateSubnetRequest{VpcId: vpc, CidrBlock: new("10.0.0.0/24")}).Subnet
	if *net.MapPublicIpOnLaunch {
		t.Error("a subnet that was made gives public addresses")
	}
	run := func(subnet *string, public *bool) string {
		t.Helper()
		in := runRequest()
		if in.SubnetId = subnet; public != nil {
			in.SubnetId = nil
			in.NetworkInterfaces = []ec2api.InstanceNetworkInterfaceSpecification{{DeviceIndex: new(int32(0)), SubnetId: subnet, AssociatePublicIpAddress: public}}
		}
		return *ask[ec2api.Reservation](h.desk, h.owner(), in).Instances[0].InstanceId
	}
	seen := map[string]bool{}
	for _, tt := range []struct {
		subnet *string
		public *bool
		want   bool
	}{{nil, nil, true}, {nil, new(false), false}, {nil, new(true), true}, {net.SubnetId, nil, false}, {net.SubnetId, new(false), false}, {net.SubnetId, new(true), true}} {
		i := h.instance(run(tt.subnet, tt.public))
		a := i.NetworkInterfaces[0].Association
		named := tt.want && tt.subnet == nil // the VPC that was made has no DNS hostnames
		if got := i.PublicIpAddress != nil; got != tt.want || got != (a != nil) || named != (*i.PublicDnsName != "") || got && *a.PublicDnsName != *i.PublicDnsName {
			t.Errorf("%v, %v: %v, %+v", tt.subnet, tt.public, i.PublicIpAddress, a)
		}
		if a == nil {
			continue
		}
		if *a.IpOwnerId != "amazon" || *a.PublicIp != *i.PublicIpAddress || seen[*a.PublicIp] {
			t.Errorf("association %+v", a)
		}
		seen[*a.PublicIp] = true
	}

	id := run(net.SubnetId, new(true))
	h.Advance(time.Minute)
	first := *h.instance(id).PublicIpAddress
	faces := ask[ec2api.DescribeNetworkInterfacesResult](h.desk, h.owner(), &ec2api.DescribeNetworkInterfacesRequest{
		Filters: []ec2api.Filter{filter("association.public-ip", first)},
	}).NetworkInterfaces
	if len(faces) != 1 || faces[0].Association.AllocationId != nil || faces[0].Association.AssociationId != nil || *faces[0].Association.IpOwnerId != "amazon" {
		t.Errorf("interfaces %+v", faces)
	}
	ask[ec2api.StopInstancesResult](h.desk, h.owner(), &ec2api.StopInstancesRequest{InstanceIds: []string{id}})
	h.Advance(time.Minute)
	if i := h.instance(id); i.PublicIpAddress != nil || *i.PublicDnsName != "" {
		t.Errorf("a stopped instance has %v", i.PublicIpAddress)
	}
	ask[ec2api.StartInstancesResult](h.desk, h.owner(), &ec2api.StartInstancesRequest{InstanceIds: []string{id}})
	h.Advance(time.Minute)
	second := api.Val(h.instance(id).PublicIpAddress)
	if second == "" || second == first {
		t.Errorf("the address is %q after %q", second, first)
	}
	address := ask[ec2api.AllocateAddressResult](h.desk, h.owner(), &ec2api.AllocateAddressRequest{})
	ask[ec2api.AssociateAddressResult](h.desk, h.owner(), &ec2api.AssociateAddressRequest{AllocationId: address.AllocationId, InstanceId: &id})
	if got := *h.instance(id).PublicIpAddress; got != *address.PublicIp {
		t.Errorf("the address is %s, want the Elastic IP address %s", got, *address.PublicIp)
	}
	ask[ec2api.StopInstancesResult](h.desk, h.owner(), &ec2api.StopInstancesRequest{InstanceIds: []string{id}})
	h.Advance(time.Minute)
	if got := api.Val(h.instance(id).PublicIpAddress); got != *address.PublicIp {
		t.Errorf("a stopped instance has %q, want its Elastic IP address", got)
	}
	h.done(&ec2api.DisassociateAddressRequest{PublicIp: address.PublicIp})
	if i := h.instance(id); i.PublicIpAddress != nil {
		t.Errorf("a stopped instance has %v", i.PublicIpAddress)
	}
	ask[ec2api.StartInstancesResult](h.desk, h.owner(), &ec2api.StartInstancesRequest{InstanceIds: []string{id}})
	h.Advance(time.Minute)
	if got := api.Val(h.instance(id).PublicIpAddress); got == "" || got == *address.PublicIp {
		t.Errorf("the address is %q", got)
	}

	h.done(&ec2api.ModifySubnetAttributeRequest{SubnetId: net.SubnetId, MapPublicIpOnLaunch: &ec2api.AttributeBooleanValue{Value: new(true)}})
	if i := h.instance(run(net.SubnetId, nil)); i.PublicIpAddress == nil {
		t.Error("the changed subnet gives no public address")
	}
}

// TestPublicAddressesHaveNames in VPCs with DNS hostnames and DNS support.
func TestPublicAddressesHaveNames(t *testing.T) {
	h := newHouse(t)
	vpc := ask[ec2api.CreateVpcResult](h.desk, h.owner(), &ec2api.CreateVpcRequest{CidrBlock: new("10.0.0.0/16")}).Vpc.VpcId
	net := ask[ec2api.CreateSubnetResult](h.desk, h.owner(), &ec2api.CreateSubnetRequest{VpcId: vpc, CidrBlock: new("10.0.0.0/24")}).Subnet.SubnetId
	h.done(&ec2api.ModifySubnetAttributeRequest{SubnetId: net, MapPublicIpOnLaunch: &ec2api.AttributeBooleanValue{Value: new(true)}})
	in := runRequest()
	in.SubnetId = net
	id := *ask[ec2api.Reservation](h.desk, h.owner(), in).Instances[0].InstanceId
	h.Advance(time.Minute)
	for _, x := range []struct{ hostnames, support, named bool }{{false, true, false}, {true, true, true}, {true, false, false}} {
		h.done(&ec2api.ModifyVpcAttributeRequest{VpcId: vpc, EnableDnsHostnames: &ec2api.AttributeBooleanValue{Value: &x.hostnames}})
		h.done(&ec2api.ModifyVpcAttributeRequest{VpcId: vpc, EnableDnsSupport: &ec2api.AttributeBooleanValue{Value: &x.support}})
		i := h.instance(id)
		want := ""
		if x.named {
			want = "ec2-" + strings.ReplaceAll(*i.PublicIpAddress, ".", "-") + "." + region + ".compute.amazonaws.com"
		}
		face := ask[ec2api.DescribeNetworkInterfacesResult](h.desk, h.owner(), &ec2api.DescribeNetworkInterfacesRequest{
			NetworkInterfaceIds: []string{*i.NetworkInterfaces[0].NetworkInterfaceId},
		}).NetworkInterfaces[0]
		if *i.PublicDnsName != want || *i.NetworkInterfaces[0].Association.PublicDnsName != want || *face.Association.PublicDnsName != want {
			t.Errorf("%+v: the instance is called %q, its interface %q", x, *i.PublicDnsName, *face.Association.PublicDnsName)
		}
		found := ask[ec2api.DescribeInstancesResult](h.desk, h.owner(), &ec2api.DescribeInstancesRequest{Filters: []ec2api.Filter{filter("dns-name", "ec2-*")}}).Reservations
		if got := len(found) == 1; got != x.named {
			t.Errorf("%+v: found by its name: %v", x, got)
		}
	}
}

// TestTheInstanceGetsTheAddress of a request that names it and an interface of another.
func TestTheInstanceGetsTheAddress(t *testing.T) {
	h := newHouse(t)
	one, two := h.run(h.owner()), h.run(h.owner())
	address := ask[ec2api.AllocateAddressResult](h.desk, h.owner(), &ec2api.AllocateAddressRequest{})
	for _, x := range []struct{ instance, face string }{
		{one, *h.instance(one).NetworkInterfaces[0].NetworkInterfaceId}, {two, *h.instance(one).NetworkInterfaces[0].NetworkInterfaceId},
	} {
		i := h.instance(x.instance)
		ask[ec2api.AssociateAddressResult](h.desk, h.owner(), &ec2api.AssociateAddressRequest{
			AllocationId: address.AllocationId, InstanceId: &x.instance, NetworkInterfaceId: &x.face, PrivateIpAddress: i.PrivateIpAddress,
		})
		if got := *h.instance(x.instance).PublicIpAddress; got != *address.PublicIp {
			t.Errorf("%s has %s, want %s", x.instance, got, *address.PublicIp)
		}
	}
}

// TestDisassociateAddress: by association or address, only once by the former; AWS takes the latter again.
func TestDisassociateAddress(t *testing.T) {
	h := newHouse(t)
	id := h.run(h.owner())
	own := api.Val(h.instance(id).PublicIpAddress)
	address := ask[ec2api.AllocateAddressResult](h.desk, h.owner(), &ec2api.AllocateAddressRequest{})
	plug := ask[ec2api.AssociateAddressResult](h.desk, h.owner(), &ec2api.AssociateAddressRequest{AllocationId: address.AllocationId, InstanceId: &id})
	h.done(&ec2api.DisassociateAddressRequest{AssociationId: plug.AssociationId})
	if got := api.Val(h.instance(id).PublicIpAddress); got == *address.PublicIp || got == own || got == "" {
		t.Errorf("the instance has %q, had %q", got, own)
	}
	a := ask[ec2api.DescribeAddressesResult](h.desk, h.owner(), &ec2api.DescribeAddressesRequest{}).Addresses[0]
	if a.InstanceId != nil || a.AssociationId != nil {
		t.Errorf("address %+v", a)
	}
	for _, tt := range []struct {
		in   ec2api.DisassociateAddressRequest
		code string
	}{
		{ec2api.DisassociateAddressRequest{AssociationId: plug.AssociationId}, "InvalidAssociationID.NotFound"},
		{ec2api.DisassociateAddressRequest{AssociationId: new("eipassoc-00000000")}, "InvalidAssociationID.NotFound"},
		{ec2api.DisassociateAddressRequest{PublicIp: new("192.0.2.1")}, "InvalidAddress.NotFound"},
		{ec2api.DisassociateAddressRequest{}, "MissingParameter"},
		{ec2api.DisassociateAddressRequest{AssociationId: plug.AssociationId, PublicIp: address.PublicIp}, "InvalidParameterCombination"},
	} {
		h.refuse(h.owner(), &tt.in, tt.code, "*")
	}
	names := &ec2api.DescribeAddressesAttributeRequest{AllocationIds: []string{*address.AllocationId}, Attribute: new("domain-name")}
	if got := ask[ec2api.DescribeAddressesAttributeResult](h.desk, h.owner(), names).Addresses; len(got) != 0 {
		t.Errorf("names %+v", got)
	}
	h.done(&ec2api.ReleaseAddressRequest{AllocationId: address.AllocationId})
	h.refuse(h.owner(), names, "InvalidAllocationID.NotFound", "*")
}
