package ec2_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
)

// sixSubnet makes a VPC with a subnet that has IPv6 addresses.
func (d *desk) sixSubnet() (vpc, subnet string, part netip.Prefix) {
	d.T.Helper()
	me := d.root(mine)
	made := ask[ec2api.CreateVpcResult](d, me, &ec2api.CreateVpcRequest{CidrBlock: new("10.0.0.0/16"), AmazonProvidedIpv6CidrBlock: new(true)}).Vpc
	if b := made.Ipv6CidrBlockAssociationSet[0]; *b.Ipv6CidrBlock != "" || *b.Ipv6CidrBlockState.State != "associating" {
		d.T.Errorf("a new VPC has %s, %s", *b.Ipv6CidrBlock, *b.Ipv6CidrBlockState.State)
	}
	made = &ask[ec2api.DescribeVpcsResult](d, me, &ec2api.DescribeVpcsRequest{VpcIds: []string{*made.VpcId}}).Vpcs[0]
	text := strings.Replace(*made.Ipv6CidrBlockAssociationSet[0].Ipv6CidrBlock, "/56", "/64", 1)
	n := ask[ec2api.CreateSubnetResult](d, me, &ec2api.CreateSubnetRequest{VpcId: made.VpcId, CidrBlock: new("10.0.0.0/24"), Ipv6CidrBlock: &text}).Subnet
	if b := n.Ipv6CidrBlockAssociationSet[0]; *b.Ipv6CidrBlock != text || *b.Ipv6CidrBlockState.State != "associating" {
		d.T.Errorf("a new subnet has %s, %s", *b.Ipv6CidrBlock, *b.Ipv6CidrBlockState.State)
	}
	return *made.VpcId, *n.SubnetId, netip.MustParsePrefix(text)
}

func sixes(n ec2api.NetworkInterface) (out []string) {
	for _, a := range n.Ipv6Addresses {
		out = append(out, *a.Ipv6Address)
	}
	return out
}

// TestIPv6Addresses: network interfaces have those that are asked for, as many, or one because their subnet says so.
func TestIPv6Addresses(t *testing.T) {
	d := newDesk(t)
	me := d.root(mine)
	_, subnet, part := d.sixSubnet()
	first, second := part.Addr().Next().String(), part.Addr().Next().Next().String()
	named := d.newFace(ec2api.CreateNetworkInterfaceRequest{SubnetId: &subnet, Ipv6Addresses: []ec2api.InstanceIpv6Address{{Ipv6Address: &first}}})
	if got := sixes(named); !slices.Equal(got, []string{first}) || *named.Ipv6Address != first {
		t.Errorf("named: %v", got)
	}
	for n, want := range []int{0, 1, 2} {
		if got := sixes(d.newFace(ec2api.CreateNetworkInterfaceRequest{SubnetId: &subnet, Ipv6AddressCount: new(int32(n))})); len(got) != want {
			t.Errorf("%d: %v", n, got)
		}
	}
	if got := sixes(d.newFace(ec2api.CreateNetworkInterfaceRequest{SubnetId: &subnet})); len(got) > 0 {
		t.Errorf("nothing said: %v", got)
	}
	d.done(&ec2api.ModifySubnetAttributeRequest{SubnetId: &subnet, AssignIpv6AddressOnCreation: &ec2api.AttributeBooleanValue{Value: new(true)}})
	free := d.newFace(ec2api.CreateNetworkInterfaceRequest{SubnetId: &subnet})
	if got := sixes(free); len(got) != 1 || !part.Contains(netip.MustParseAddr(got[0])) {
		t.Errorf("the subnet's: %v", got)
	}
	more := ask[ec2api.AssignIpv6AddressesResult](d, me, &ec2api.AssignIpv6AddressesRequest{NetworkInterfaceId: named.NetworkInterfaceId, Ipv6Addresses: []string{first, second}})
	if !slices.Equal(more.AssignedIpv6Addresses, []string{second}) {
		t.Errorf("assigned %+v", more)
	}
	found := ask[ec2api.DescribeNetworkInterfacesResult](d, me, &ec2api.DescribeNetworkInterfacesRequest{Filters: []ec2api.Filter{filter("ipv6-addresses.ipv6-address", second)}}).NetworkInterfaces
	if len(found) != 1 || !slices.Equal(sixes(found[0]), []string{first, second}) {
		t.Errorf("found %+v", found)
	}
	ask[ec2api.UnassignIpv6AddressesResult](d, me, &ec2api.UnassignIpv6AddressesRequest{NetworkInterfaceId: named.NetworkInterfaceId, Ipv6Addresses: []string{first}})
	if got := ask[ec2api.AssignIpv6AddressesResult](d, me, &ec2api.AssignIpv6AddressesRequest{NetworkInterfaceId: free.NetworkInterfaceId, Ipv6AddressCount: new(int32(2))}).AssignedIpv6Addresses; len(got) != 2 {
		t.Errorf("counted %v", got)
	}
	four := d.newSubnet(*named.VpcId, "10.0.1.0/24")
	for _, tt := range []struct {
		in   any
		code string
	}{
		{&ec2api.CreateNetworkInterfaceRequest{SubnetId: &subnet, Ipv6Addresses: []ec2api.InstanceIpv6Address{{Ipv6Address: &second}}}, "InvalidIPAddress.InUse"},
		{&ec2api.CreateNetworkInterfaceRequest{SubnetId: &subnet, Ipv6Addresses: []ec2api.InstanceIpv6Address{{Ipv6Address: new("2001:db9::1")}}}, "InvalidParameterValue"},
		{&ec2api.CreateNetworkInterfaceRequest{SubnetId: &subnet, Ipv6Addresses: []ec2api.InstanceIpv6Address{{Ipv6Address: new("10.0.0.9")}}}, "InvalidParameterValue"},
		{&ec2api.CreateNetworkInterfaceRequest{SubnetId: &subnet, Ipv6AddressCount: new(int32(1)), Ipv6Addresses: []ec2api.InstanceIpv6Address{{Ipv6Address: &first}}}, "InvalidParameterCombination"},
		{&ec2api.CreateNetworkInterfaceRequest{SubnetId: &four, Ipv6AddressCount: new(int32(1))}, "InvalidParameterCombination"},
		{&ec2api.CreateNetworkInterfaceRequest{SubnetId: &subnet, Ipv6AddressCount: new(int32(2_000_000_000))}, "Ipv6AddressLimitExceeded"},
		{&ec2api.CreateNetworkInterfaceRequest{SubnetId: &subnet, Ipv6AddressCount: new(int32(-1))}, "InvalidParameterValue"},
		{&ec2api.AssignIpv6AddressesRequest{NetworkInterfaceId: free.NetworkInterfaceId}, "MissingParameter"},
		{&ec2api.AssignIpv6AddressesRequest{NetworkInterfaceId: free.NetworkInterfaceId, Ipv6AddressCount: new(int32(99))}, "Ipv6AddressLimitExceeded"},
		{&ec2api.UnassignIpv6AddressesRequest{NetworkInterfaceId: free.NetworkInterfaceId, Ipv6Addresses: []string{first}}, "InvalidParameterValue"},
		{&ec2api.UnassignIpv6AddressesRequest{NetworkInterfaceId: free.NetworkInterfaceId}, "MissingParameter"},
		{&ec2api.ModifySubnetAttributeRequest{SubnetId: &four, EnableDns64: &ec2api.AttributeBooleanValue{Value: new(true)}}, "InvalidParameterValue"},
	} {
		d.refuse(me, tt.in, tt.code, "*")
	}
	n := ask[ec2api.DescribeSubnetsResult](d, me, &ec2api.DescribeSubnetsRequest{SubnetIds: []string{subnet}}).Subnets[0]
	d.refuse(me, &ec2api.DisassociateSubnetCidrBlockRequest{AssociationId: n.Ipv6CidrBlockAssociationSet[0].AssociationId}, "InvalidCidrBlock.InUse", "*")
}

// TestIPv6AddressesOfInstances: a launch says which or how many, for itself or a network interface, or the subnet does.
func TestIPv6AddressesOfInstances(t *testing.T) {
	h := newHouse(t)
	_, subnet, part := h.sixSubnet()
	addresses := func(in *ec2api.RunInstancesRequest) (out []string) {
		t.Helper()
		i := h.instance(*ask[ec2api.Reservation](h.desk, h.owner(), in).Instances[0].InstanceId)
		for _, n := range i.NetworkInterfaces {
			for _, a := range n.Ipv6Addresses {
				out = append(out, *a.Ipv6Address)
			}
		}
		if len(out) > 0 && api.Val(i.Ipv6Address) != out[0] {
			t.Errorf("the instance's is %s, of %v", api.Val(i.Ipv6Address), out)
		}
		return out
	}
	first := part.Addr().Next().String()
	named, counted, none := runRequest(), runRequest(), runRequest()
	named.SubnetId, named.Ipv6Addresses = &subnet, []ec2api.InstanceIpv6Address{{Ipv6Address: &first}}
	counted.NetworkInterfaces = []ec2api.InstanceNetworkInterfaceSpecification{{DeviceIndex: new(int32(0)), SubnetId: &subnet, Ipv6AddressCount: new(int32(2))}}
	none.SubnetId = &subnet
	if got := addresses(named); !slices.Equal(got, []string{first}) {
		t.Errorf("named: %v", got)
	}
	if got := addresses(counted); len(got) != 2 {
		t.Errorf("counted: %v", got)
	}
	if got := addresses(none); len(got) != 0 {
		t.Errorf("nothing said: %v", got)
	}
	h.done(&ec2api.ModifySubnetAttributeRequest{SubnetId: &subnet, AssignIpv6AddressOnCreation: &ec2api.AttributeBooleanValue{Value: new(true)}})
	if got := addresses(none); len(got) != 1 {
		t.Errorf("the subnet's: %v", got)
	}
	h.refuse(h.owner(), named, "InvalidIPAddress.InUse", "*")
	both := runRequest()
	both.NetworkInterfaces, both.Ipv6AddressCount = counted.NetworkInterfaces, new(int32(1))
	h.refuse(h.owner(), both, "InvalidParameterCombination", "*")
	many := runRequest()
	many.SubnetId, many.Ipv6AddressCount = &subnet, new(int32(2_000_000_000))
	h.refuse(h.owner(), many, "Ipv6AddressLimitExceeded", "*")
	found := ask[ec2api.DescribeInstancesResult](h.desk, h.owner(), &ec2api.DescribeInstancesRequest{Filters: []ec2api.Filter{filter("ipv6-address", first)}}).Reservations
	if len(found) != 1 {
		t.Errorf("found %+v", found)
	}
}

// TestPrimaryIPv6Addresses: the first IPv6 address of a network interface is the primary one if a request says so, until it is detached.
func TestPrimaryIPv6Addresses(t *testing.T) {
	h := newHouse(t)
	_, subnet, part := h.sixSubnet()
	primaries := func(i *ec2api.Instance) (out []bool) {
		t.Helper()
		for _, n := range i.NetworkInterfaces {
			for _, a := range n.Ipv6Addresses {
				out = append(out, *a.IsPrimaryIpv6)
			}
		}
		return out
	}
	plain, faces := runRequest(), runRequest()
	plain.SubnetId, plain.EnablePrimaryIpv6 = &subnet, new(true)
	faces.NetworkInterfaces = []ec2api.InstanceNetworkInterfaceSpecification{
		{DeviceIndex: new(int32(0)), SubnetId: &subnet, Ipv6AddressCount: new(int32(2)), PrimaryIpv6: new(true)},
		{DeviceIndex: new(int32(1)), SubnetId: &subnet, Ipv6AddressCount: new(int32(1))},
	}
	one := ask[ec2api.Reservation](h.desk, h.owner(), plain).Instances[0]
	if got := primaries(&one); !slices.Equal(got, []bool{true}) {
		t.Errorf("a launch: %v", got)
	}
	two := ask[ec2api.Reservation](h.desk, h.owner(), faces).Instances[0]
	if got := primaries(&two); !slices.Equal(got, []bool{true, false, false}) {
		t.Errorf("a launch with interfaces: %v", got)
	}
	found := ask[ec2api.DescribeInstancesResult](h.desk, h.owner(), &ec2api.DescribeInstancesRequest{Filters: []ec2api.Filter{filter("network-interface.ipv6-addresses.is-primary-ipv6", "true")}}).Reservations
	if len(found) != 2 {
		t.Errorf("%d instances with a primary address", len(found))
	}
	first, second := two.NetworkInterfaces[0], two.NetworkInterfaces[1]
	h.refuse(h.owner(), &ec2api.UnassignIpv6AddressesRequest{NetworkInterfaceId: first.NetworkInterfaceId, Ipv6Addresses: []string{*first.Ipv6Addresses[0].Ipv6Address}}, "OperationNotPermitted", "*")
	ask[ec2api.UnassignIpv6AddressesResult](h.desk, h.owner(), &ec2api.UnassignIpv6AddressesRequest{NetworkInterfaceId: first.NetworkInterfaceId, Ipv6Addresses: []string{*first.Ipv6Addresses[1].Ipv6Address}})
	h.refuse(h.owner(), &ec2api.ModifyNetworkInterfaceAttributeRequest{NetworkInterfaceId: first.NetworkInterfaceId, EnablePrimaryIpv6: new(false)}, "OperationNotPermitted", "*")
	h.done(&ec2api.ModifyNetworkInterfaceAttributeRequest{NetworkInterfaceId: second.NetworkInterfaceId, EnablePrimaryIpv6: new(true)})
	isPrimary := func(id *string) bool {
		t.Helper()
		return *ask[ec2api.DescribeNetworkInterfacesResult](h.desk, h.owner(), &ec2api.DescribeNetworkInterfacesRequest{NetworkInterfaceIds: []string{*id}}).NetworkInterfaces[0].Ipv6Addresses[0].IsPrimaryIpv6
	}
	if !isPrimary(second.NetworkInterfaceId) {
		t.Error("a change does nothing")
	}
	h.done(&ec2api.DetachNetworkInterfaceRequest{AttachmentId: second.Attachment.AttachmentId})
	if isPrimary(second.NetworkInterfaceId) {
		t.Error("a detached interface has a primary address")
	}
	made := ask[ec2api.CreateNetworkInterfaceResult](h.desk, h.owner(), &ec2api.CreateNetworkInterfaceRequest{SubnetId: &subnet, EnablePrimaryIpv6: new(true)}).NetworkInterface
	if len(made.Ipv6Addresses) != 1 || !*made.Ipv6Addresses[0].IsPrimaryIpv6 {
		t.Errorf("made %+v", made.Ipv6Addresses)
	}
	low, high := part.Addr().Next().String(), part.Addr().Next().Next().String()
	listed := ask[ec2api.CreateNetworkInterfaceResult](h.desk, h.owner(), &ec2api.CreateNetworkInterfaceRequest{SubnetId: &subnet, Ipv6Addresses: []ec2api.InstanceIpv6Address{
		{Ipv6Address: &low}, {Ipv6Address: &high, IsPrimaryIpv6: new(true)},
	}}).NetworkInterface
	if got := listed.Ipv6Addresses; *got[0].Ipv6Address != high || !*got[0].IsPrimaryIpv6 || *got[1].IsPrimaryIpv6 {
		t.Errorf("listed %+v", got)
	}
	four := runRequest()
	four.EnablePrimaryIpv6 = new(true)
	h.refuse(h.owner(), four, "InvalidParameterCombination", "*")
}

// TestEgressOnlyGateways: one of a VPC, with an IPv6 route to it, which leads nowhere when it is gone.
func TestEgressOnlyGateways(t *testing.T) {
	d := newDesk(t)
	me := d.root(mine)
	vpc, _, _ := d.sixSubnet()
	made := ask[ec2api.CreateEgressOnlyInternetGatewayResult](d, me, &ec2api.CreateEgressOnlyInternetGatewayRequest{VpcId: &vpc, TagSpecifications: specs("egress-only-internet-gateway")}).EgressOnlyInternetGateway
	id := made.EgressOnlyInternetGatewayId
	if !strings.HasPrefix(*id, "eigw-") || *made.Attachments[0].State != "attached" || *made.Attachments[0].VpcId != vpc || len(made.Tags) == 0 {
		t.Errorf("made %+v", made)
	}
	if found := ask[ec2api.DescribeEgressOnlyInternetGatewaysResult](d, me, &ec2api.DescribeEgressOnlyInternetGatewaysRequest{EgressOnlyInternetGatewayIds: []string{*id}}).EgressOnlyInternetGateways; len(found) != 1 {
		t.Errorf("found %+v", found)
	}
	table := ask[ec2api.CreateRouteTableResult](d, me, &ec2api.CreateRouteTableRequest{VpcId: &vpc}).RouteTable.RouteTableId
	d.refuse(me, &ec2api.CreateRouteRequest{RouteTableId: table, DestinationCidrBlock: new("0.0.0.0/0"), EgressOnlyInternetGatewayId: id}, "InvalidParameterCombination", "*")
	for _, family := range []string{"IPv4", "IPv6"} {
		list := ask[ec2api.CreateManagedPrefixListResult](d, me, &ec2api.CreateManagedPrefixListRequest{
			PrefixListName: &family, AddressFamily: &family, MaxEntries: new(int32(1)),
		}).PrefixList.PrefixListId
		in := &ec2api.CreateRouteRequest{RouteTableId: table, DestinationPrefixListId: list, EgressOnlyInternetGatewayId: id}
		if family == "IPv4" {
			d.refuse(me, in, "InvalidParameterCombination", "*")
			continue
		}
		ask[ec2api.CreateRouteResult](d, me, in)
		d.done(&ec2api.DeleteRouteRequest{RouteTableId: table, DestinationPrefixListId: list})
	}
	d.refuse(me, &ec2api.CreateRouteRequest{RouteTableId: table, DestinationIpv6CidrBlock: new("::/0"), EgressOnlyInternetGatewayId: new("eigw-00000000")}, "InvalidGatewayID.NotFound", "*")
	ask[ec2api.CreateRouteResult](d, me, &ec2api.CreateRouteRequest{RouteTableId: table, DestinationIpv6CidrBlock: new("::/0"), EgressOnlyInternetGatewayId: id})
	state := func() string {
		t.Helper()
		for _, r := range ask[ec2api.DescribeRouteTablesResult](d, me, &ec2api.DescribeRouteTablesRequest{Filters: []ec2api.Filter{filter("route.egress-only-internet-gateway-id", *id)}}).RouteTables[0].Routes {
			if api.Val(r.EgressOnlyInternetGatewayId) == *id {
				return *r.State
			}
		}
		return "none"
	}
	if got := state(); got != "active" {
		t.Errorf("the route is %s", got)
	}
	d.refuse(me, &ec2api.DeleteVpcRequest{VpcId: &vpc}, "DependencyViolation", "*")
	ask[ec2api.DeleteEgressOnlyInternetGatewayResult](d, me, &ec2api.DeleteEgressOnlyInternetGatewayRequest{EgressOnlyInternetGatewayId: id})
	if got := state(); got != "blackhole" {
		t.Errorf("the route is %s", got)
	}
	d.refuse(me, &ec2api.DeleteEgressOnlyInternetGatewayRequest{EgressOnlyInternetGatewayId: id}, "InvalidGatewayID.NotFound", "*")
	other := ask[ec2api.CreateEgressOnlyInternetGatewayResult](d, me, &ec2api.CreateEgressOnlyInternetGatewayRequest{VpcId: &vpc}).EgressOnlyInternetGateway.EgressOnlyInternetGatewayId
	for want, ids := range map[int][]string{0: {*id}, 1: {*id, *other}} {
		if got := ask[ec2api.DescribeEgressOnlyInternetGatewaysResult](d, me, &ec2api.DescribeEgressOnlyInternetGatewaysRequest{EgressOnlyInternetGatewayIds: ids}).EgressOnlyInternetGateways; len(got) != want {
			t.Errorf("of %v: %+v", ids, got)
		}
	}
}

// TestModifyVpcTenancy: a VPC for dedicated instances is one for any.
func TestModifyVpcTenancy(t *testing.T) {
	d := newDesk(t)
	me := d.root(mine)
	v := ask[ec2api.CreateVpcResult](d, me, &ec2api.CreateVpcRequest{CidrBlock: new("10.0.0.0/16"), InstanceTenancy: new("dedicated")}).Vpc
	ask[ec2api.ModifyVpcTenancyResult](d, me, &ec2api.ModifyVpcTenancyRequest{VpcId: v.VpcId, InstanceTenancy: new("default")})
	if got := ask[ec2api.DescribeVpcsResult](d, me, &ec2api.DescribeVpcsRequest{VpcIds: []string{*v.VpcId}}).Vpcs[0]; *got.InstanceTenancy != "default" {
		t.Errorf("tenancy %s", *got.InstanceTenancy)
	}
}

// TestIPv6RulesOfGroups: all IPv6 traffic may leave through the security groups of a VPC that has such a range.
func TestIPv6RulesOfGroups(t *testing.T) {
	d := newDesk(t)
	me := d.root(mine)
	six := func(vpc, name string) (n int) {
		t.Helper()
		for _, g := range ask[ec2api.DescribeSecurityGroupsResult](d, me, &ec2api.DescribeSecurityGroupsRequest{Filters: []ec2api.Filter{filter("vpc-id", vpc), filter("group-name", name)}}).SecurityGroups {
			for _, p := range g.IpPermissionsEgress {
				n += len(p.Ipv6Ranges)
			}
		}
		return n
	}
	with, _, _ := d.sixSubnet()
	without := *ask[ec2api.CreateVpcResult](d, me, &ec2api.CreateVpcRequest{CidrBlock: new("10.1.0.0/16")}).Vpc.VpcId
	d.newGroup(with, "web")
	d.newGroup(without, "web")
	for _, tt := range []struct {
		vpc, name string
		want      int
	}{{with, "default", 1}, {with, "web", 1}, {without, "default", 0}, {without, "web", 0}} {
		if got := six(tt.vpc, tt.name); got != tt.want {
			t.Errorf("%s has %d IPv6 ranges, want %d", tt.name, got, tt.want)
		}
	}
	for range 2 { // the second range changes nothing
		ask[ec2api.AssociateVpcCidrBlockResult](d, me, &ec2api.AssociateVpcCidrBlockRequest{VpcId: &without, AmazonProvidedIpv6CidrBlock: new(true)})
		if got, own := six(without, "default"), six(without, "web"); got != 1 || own != 0 {
			t.Errorf("with a range added, the default group has %d, another %d", got, own)
		}
	}
}
