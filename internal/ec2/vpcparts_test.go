package ec2_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/ec2api"
)

// A tier is a VPC with a subnet and an internet gateway that the VPC has.
type tier struct {
	*desk
	vpc, subnet, gateway string
}

func (d *desk) opened() *tier {
	d.T.Helper()
	me, p := d.root(mine), &tier{desk: d}
	p.vpc = d.newVPC("10.0.0.0/16")
	p.subnet = d.newSubnet(p.vpc, "10.0.1.0/24")
	p.gateway = *ask[ec2api.CreateInternetGatewayResult](d, me, &ec2api.CreateInternetGatewayRequest{TagSpecifications: specs("internet-gateway")}).InternetGateway.InternetGatewayId
	d.done(&ec2api.AttachInternetGatewayRequest{InternetGatewayId: &p.gateway, VpcId: &p.vpc})
	return p
}

func specs(kind string) []ec2api.TagSpecification {
	return []ec2api.TagSpecification{{ResourceType: &kind, Tags: tagList("Name", "x")}}
}

// done makes a request that must succeed.
func (d *desk) done(in any) {
	d.T.Helper()
	if _, err := d.try(d.root(mine), in); err != nil {
		d.T.Fatalf("%T: %v", in, err)
	}
}

func (p *tier) table() string {
	p.T.Helper()
	return *ask[ec2api.CreateRouteTableResult](p.desk, p.root(mine), &ec2api.CreateRouteTableRequest{VpcId: &p.vpc}).RouteTable.RouteTableId
}

func (p *tier) routes(id string) map[string]string {
	p.T.Helper()
	out := map[string]string{}
	for _, r := range ask[ec2api.DescribeRouteTablesResult](p.desk, p.root(mine), &ec2api.DescribeRouteTablesRequest{RouteTableIds: []string{id}}).RouteTables[0].Routes {
		if r.DestinationCidrBlock != nil {
			out[*r.DestinationCidrBlock] = *r.State
		}
	}
	return out
}

// Internet gateways: one for a VPC, and what is refused.
func TestInternetGateways(t *testing.T) {
	d := newDesk(t)
	p, me := d.opened(), d.root(mine)
	other := d.newVPC("10.1.0.0/16")
	spare := *ask[ec2api.CreateInternetGatewayResult](d, me, &ec2api.CreateInternetGatewayRequest{}).InternetGateway.InternetGatewayId
	missing := "igw-0123456789abcdef0"
	d.refuse(me, &ec2api.AttachInternetGatewayRequest{InternetGatewayId: &p.gateway, VpcId: &other}, "Resource.AlreadyAssociated", "*")
	d.refuse(me, &ec2api.AttachInternetGatewayRequest{InternetGatewayId: &spare, VpcId: &p.vpc}, "InvalidParameterValue", "*")
	d.refuse(me, &ec2api.AttachInternetGatewayRequest{InternetGatewayId: &missing, VpcId: &p.vpc}, "InvalidInternetGatewayID.NotFound", "*")
	d.refuse(me, &ec2api.AttachInternetGatewayRequest{InternetGatewayId: &spare, VpcId: new("vpc-0123456789abcdef0")}, "InvalidVpcID.NotFound", "*")
	d.refuse(me, &ec2api.DetachInternetGatewayRequest{InternetGatewayId: &spare, VpcId: &p.vpc}, "Gateway.NotAttached", "*")
	d.refuse(me, &ec2api.DeleteInternetGatewayRequest{InternetGatewayId: &p.gateway}, "DependencyViolation", "*")
	d.refuse(me, &ec2api.DeleteInternetGatewayRequest{InternetGatewayId: &spare, DryRun: new(true)}, "DryRunOperation", "*")
	found := ask[ec2api.DescribeInternetGatewaysResult](d, me, &ec2api.DescribeInternetGatewaysRequest{Filters: []ec2api.Filter{filter("attachment.vpc-id", p.vpc)}}).InternetGateways
	if len(found) != 1 || *found[0].InternetGatewayId != p.gateway || *found[0].Tags[0].Value != "x" || *found[0].Attachments[0].State != "available" {
		t.Errorf("gateways %+v", found)
	}
	d.done(&ec2api.DeleteSubnetRequest{SubnetId: &p.subnet})
	d.refuse(me, &ec2api.DeleteVpcRequest{VpcId: &p.vpc}, "DependencyViolation", "*")
	d.done(&ec2api.DetachInternetGatewayRequest{InternetGatewayId: &p.gateway, VpcId: &p.vpc})
	d.done(&ec2api.DeleteInternetGatewayRequest{InternetGatewayId: &p.gateway})
	d.done(&ec2api.DeleteInternetGatewayRequest{InternetGatewayId: &spare})
	d.done(&ec2api.DeleteVpcRequest{VpcId: &p.vpc})
}

// The gateway of the default VPC can go, too, and with it what its main table leads to.
func TestTheDefaultGatewayGoes(t *testing.T) {
	d := newDesk(t)
	p, me := &tier{desk: d}, d.root(mine)
	all := func() []ec2api.InternetGateway {
		return ask[ec2api.DescribeInternetGatewaysResult](d, me, &ec2api.DescribeInternetGatewaysRequest{}).InternetGateways
	}
	first := all()[0]
	table := *ask[ec2api.DescribeRouteTablesResult](d, me, &ec2api.DescribeRouteTablesRequest{}).RouteTables[0].RouteTableId
	if r := p.routes(table); r["0.0.0.0/0"] != "active" {
		t.Errorf("routes %v", r)
	}
	d.done(&ec2api.DetachInternetGatewayRequest{InternetGatewayId: first.InternetGatewayId, VpcId: first.Attachments[0].VpcId})
	if r := p.routes(table); r["0.0.0.0/0"] != "blackhole" {
		t.Errorf("routes %v", r)
	}
	d.done(&ec2api.DeleteInternetGatewayRequest{InternetGatewayId: first.InternetGatewayId})
	if left := all(); len(left) != 0 {
		t.Errorf("left: %+v", left)
	}
}

// Route tables: routes, associations and the main table.
func TestRouteTables(t *testing.T) {
	d := newDesk(t)
	p, me := d.opened(), d.root(mine)
	one, two := p.table(), p.table()
	to := new("0.0.0.0/0")
	d.done(&ec2api.CreateRouteRequest{RouteTableId: &one, DestinationCidrBlock: to, GatewayId: &p.gateway})
	d.refuse(me, &ec2api.CreateRouteRequest{RouteTableId: &one, DestinationCidrBlock: to, GatewayId: &p.gateway}, "RouteAlreadyExists", "*")
	d.refuse(me, &ec2api.CreateRouteRequest{RouteTableId: &one, DestinationCidrBlock: new("10.0.0.0/16"), GatewayId: &p.gateway}, "RouteAlreadyExists", "*")
	d.refuse(me, &ec2api.CreateRouteRequest{RouteTableId: &one, DestinationCidrBlock: new("10.0.0.0/99"), GatewayId: &p.gateway}, "InvalidParameterValue", "*")
	d.refuse(me, &ec2api.CreateRouteRequest{RouteTableId: &one, DestinationCidrBlock: new("1.0.0.0/8"), GatewayId: new("igw-0123456789abcdef0")}, "InvalidGatewayID.NotFound", "*")
	d.refuse(me, &ec2api.CreateRouteRequest{RouteTableId: &one, DestinationCidrBlock: new("1.0.0.0/8"), NatGatewayId: new("nat-0123456789abcdef0")}, "InvalidNatGatewayID.NotFound", "*")
	d.refuse(me, &ec2api.CreateRouteRequest{RouteTableId: &one, DestinationCidrBlock: new("1.0.0.0/8"), NetworkInterfaceId: new("eni-0123456789abcdef0")}, "InvalidNetworkInterfaceID.NotFound", "*")
	d.refuse(me, &ec2api.CreateRouteRequest{RouteTableId: &one, DestinationCidrBlock: new("1.0.0.0/8")}, "InvalidParameterCombination", "*")
	d.refuse(me, &ec2api.CreateRouteRequest{RouteTableId: new("rtb-0123456789abcdef0"), DestinationCidrBlock: to, GatewayId: &p.gateway}, "InvalidRouteTableID.NotFound", "*")
	d.refuse(me, &ec2api.ReplaceRouteRequest{RouteTableId: &one, DestinationCidrBlock: new("1.0.0.0/8"), GatewayId: &p.gateway}, "InvalidRoute.NotFound", "*")
	d.refuse(me, &ec2api.DeleteRouteRequest{RouteTableId: &one, DestinationCidrBlock: new("1.0.0.0/8")}, "InvalidRoute.NotFound", "*")
	d.refuse(me, &ec2api.DeleteRouteRequest{RouteTableId: &one, DestinationCidrBlock: new("10.0.0.0/16")}, "InvalidParameterValue", "*")
	d.done(&ec2api.CreateRouteRequest{RouteTableId: &one, DestinationCidrBlock: new("100.68.0.18/18"), GatewayId: &p.gateway})
	if r := p.routes(one); r["0.0.0.0/0"] != "active" || r["100.68.0.0/18"] != "active" || r["10.0.0.0/16"] != "active" || len(r) != 3 {
		t.Errorf("routes %v", r)
	}
	join := ask[ec2api.AssociateRouteTableResult](d, me, &ec2api.AssociateRouteTableRequest{RouteTableId: &one, SubnetId: &p.subnet}).AssociationId
	d.refuse(me, &ec2api.AssociateRouteTableRequest{RouteTableId: &two, SubnetId: &p.subnet}, "Resource.AlreadyAssociated", "*")
	d.refuse(me, &ec2api.DeleteRouteTableRequest{RouteTableId: &one}, "DependencyViolation", "*")
	foreign := d.newSubnet(d.newVPC("10.1.0.0/16"), "10.1.0.0/24")
	d.refuse(me, &ec2api.AssociateRouteTableRequest{RouteTableId: &two, SubnetId: &foreign}, "InvalidParameterValue", "*")
	next := ask[ec2api.ReplaceRouteTableAssociationResult](d, me, &ec2api.ReplaceRouteTableAssociationRequest{AssociationId: join, RouteTableId: &two}).NewAssociationId
	d.refuse(me, &ec2api.DisassociateRouteTableRequest{AssociationId: join}, "InvalidAssociationID.NotFound", "*")
	d.done(&ec2api.DeleteRouteTableRequest{RouteTableId: &one})
	main := ask[ec2api.DescribeRouteTablesResult](d, me, &ec2api.DescribeRouteTablesRequest{Filters: []ec2api.Filter{filter("vpc-id", p.vpc), filter("association.main", "true")}}).RouteTables[0]
	d.refuse(me, &ec2api.DisassociateRouteTableRequest{AssociationId: main.Associations[0].RouteTableAssociationId}, "InvalidParameterValue", "*")
	d.refuse(me, &ec2api.DeleteRouteTableRequest{RouteTableId: main.RouteTableId}, "DependencyViolation", "*")
	ask[ec2api.ReplaceRouteTableAssociationResult](d, me, &ec2api.ReplaceRouteTableAssociationRequest{AssociationId: main.Associations[0].RouteTableAssociationId, RouteTableId: &two})
	d.done(&ec2api.DeleteRouteTableRequest{RouteTableId: main.RouteTableId})
	d.done(&ec2api.DisassociateRouteTableRequest{AssociationId: next})
	left := ask[ec2api.DescribeRouteTablesResult](d, me, &ec2api.DescribeRouteTablesRequest{Filters: []ec2api.Filter{filter("vpc-id", p.vpc)}}).RouteTables
	if len(left) != 1 || *left[0].RouteTableId != two || !*left[0].Associations[0].Main || len(left[0].Associations) != 1 {
		t.Errorf("tables %+v", left)
	}
}

// A client token makes one table, however often it is used.
func TestRouteTablesWithAToken(t *testing.T) {
	d := newDesk(t)
	p, me := d.opened(), d.root(mine)
	in := &ec2api.CreateRouteTableRequest{VpcId: &p.vpc, ClientToken: new("t")}
	one, again := ask[ec2api.CreateRouteTableResult](d, me, in), ask[ec2api.CreateRouteTableResult](d, me, in)
	if *one.RouteTable.RouteTableId != *again.RouteTable.RouteTableId || *again.ClientToken != "t" {
		t.Errorf("tables %+v, %+v", one, again)
	}
	other := d.newVPC("10.1.0.0/16")
	d.refuse(me, &ec2api.CreateRouteTableRequest{VpcId: &other, ClientToken: new("t")}, "IdempotentParameterMismatch", "*")
}

// NAT gateways: an address each, and none without an internet gateway.
func TestNATGateways(t *testing.T) {
	d := newDesk(t)
	p, me := d.opened(), d.root(mine)
	address := ask[ec2api.AllocateAddressResult](d, me, &ec2api.AllocateAddressRequest{})
	describe := func(id *string) ec2api.NatGateway {
		return ask[ec2api.DescribeNatGatewaysResult](d, me, &ec2api.DescribeNatGatewaysRequest{NatGatewayIds: []string{*id}}).NatGateways[0]
	}
	d.refuse(me, &ec2api.CreateNatGatewayRequest{SubnetId: &p.subnet}, "MissingParameter", "*")
	d.refuse(me, &ec2api.CreateNatGatewayRequest{SubnetId: &p.subnet, AllocationId: new("eipalloc-0123456789abcdef0")}, "InvalidAllocationID.NotFound", "*")
	made := ask[ec2api.CreateNatGatewayResult](d, me, &ec2api.CreateNatGatewayRequest{SubnetId: &p.subnet, AllocationId: address.AllocationId, TagSpecifications: specs("natgateway")}).NatGateway
	if *made.State != "pending" || *made.Tags[0].Value != "x" {
		t.Errorf("made %+v", made)
	}
	n := describe(made.NatGatewayId)
	if a := n.NatGatewayAddresses[0]; *n.State != "available" || *n.ConnectivityType != "public" || *a.PublicIp != *address.PublicIp || a.PrivateIp == nil || !*a.IsPrimary {
		t.Errorf("NAT gateway %+v", n)
	}
	face := ask[ec2api.DescribeNetworkInterfacesResult](d, me, &ec2api.DescribeNetworkInterfacesRequest{NetworkInterfaceIds: []string{*n.NatGatewayAddresses[0].NetworkInterfaceId}}).NetworkInterfaces[0]
	if !*face.RequesterManaged || *face.InterfaceType != "nat_gateway" || *face.Association.AllocationId != *address.AllocationId || *face.Status != "in-use" {
		t.Errorf("interface %+v", face)
	}
	d.refuse(me, &ec2api.CreateNatGatewayRequest{SubnetId: &p.subnet, AllocationId: address.AllocationId}, "Resource.AlreadyAssociated", "*")
	d.refuse(me, &ec2api.DeleteSubnetRequest{SubnetId: &p.subnet}, "DependencyViolation", "*")
	d.refuse(me, &ec2api.DetachInternetGatewayRequest{InternetGatewayId: &p.gateway, VpcId: &p.vpc}, "DependencyViolation", "*")
	table := p.table()
	d.done(&ec2api.CreateRouteRequest{RouteTableId: &table, DestinationCidrBlock: new("0.0.0.0/0"), NatGatewayId: made.NatGatewayId})
	ask[ec2api.DeleteNatGatewayResult](d, me, &ec2api.DeleteNatGatewayRequest{NatGatewayId: made.NatGatewayId})
	if n := describe(made.NatGatewayId); *n.State != "deleted" || n.DeleteTime == nil {
		t.Errorf("deleted %+v", n)
	}
	if r := p.routes(table); r["0.0.0.0/0"] != "blackhole" {
		t.Errorf("routes %v", r)
	}
	if a := ask[ec2api.DescribeAddressesResult](d, me, &ec2api.DescribeAddressesRequest{}).Addresses[0]; a.AssociationId != nil {
		t.Errorf("address %+v", a)
	}
	d.Advance(2 * time.Hour)
	d.refuse(me, &ec2api.DescribeNatGatewaysRequest{NatGatewayIds: []string{*made.NatGatewayId}}, "NatGatewayNotFound", "*")
	d.done(&ec2api.DetachInternetGatewayRequest{InternetGatewayId: &p.gateway, VpcId: &p.vpc})
	failed := ask[ec2api.CreateNatGatewayResult](d, me, &ec2api.CreateNatGatewayRequest{SubnetId: &p.subnet, AllocationId: address.AllocationId}).NatGateway
	if n := describe(failed.NatGatewayId); *n.State != "failed" || *n.FailureCode != "Gateway.NotAttached" {
		t.Errorf("failed %+v", n)
	}
	private := ask[ec2api.CreateNatGatewayResult](d, me, &ec2api.CreateNatGatewayRequest{SubnetId: &p.subnet, ConnectivityType: new("private"), PrivateIpAddress: new("10.0.1.77")}).NatGateway
	if n := describe(private.NatGatewayId); *n.State != "available" || *n.NatGatewayAddresses[0].PrivateIp != "10.0.1.77" || n.NatGatewayAddresses[0].PublicIp != nil {
		t.Errorf("private %+v", n)
	}
}

// Network ACLs: rules, subnets, and the default one.
func TestNetworkACLs(t *testing.T) {
	d := newDesk(t)
	p, me := d.opened(), d.root(mine)
	acl := ask[ec2api.CreateNetworkAclResult](d, me, &ec2api.CreateNetworkAclRequest{VpcId: &p.vpc, TagSpecifications: specs("network-acl")}).NetworkAcl
	if len(acl.Entries) != 2 || *acl.Entries[0].RuleAction != "deny" || *acl.IsDefault || *acl.Tags[0].Value != "x" {
		t.Errorf("made %+v", acl)
	}
	id := acl.NetworkAclId
	rule := ec2api.CreateNetworkAclEntryRequest{NetworkAclId: id, RuleNumber: new(int32(100)), Protocol: new("tcp"), RuleAction: new("allow"), Egress: new(false), CidrBlock: new("10.0.0.0/8")}
	d.refuse(me, &rule, "MissingParameter", "*")
	rule.PortRange = &ec2api.PortRange{From: new(int32(22)), To: new(int32(22))}
	d.done(&rule)
	d.refuse(me, &rule, "NetworkAclEntryAlreadyExists", "*")
	bad := rule
	bad.RuleNumber = new(int32(32767))
	d.refuse(me, &bad, "InvalidParameterValue", "*")
	replace := ec2api.ReplaceNetworkAclEntryRequest{NetworkAclId: id, RuleNumber: new(int32(100)), Protocol: new("1"), RuleAction: new("deny"), Egress: new(false), CidrBlock: new("10.0.0.0/8")}
	d.done(&replace)
	replace.Egress = new(true)
	d.refuse(me, &replace, "InvalidNetworkAclEntry.NotFound", "*")
	found := ask[ec2api.DescribeNetworkAclsResult](d, me, &ec2api.DescribeNetworkAclsRequest{Filters: []ec2api.Filter{filter("entry.icmp.type", "-1"), filter("vpc-id", p.vpc)}}).NetworkAcls
	if len(found) != 1 || *found[0].Entries[1].Protocol != "1" || *found[0].Entries[1].IcmpTypeCode.Type != -1 {
		t.Errorf("found %+v", found)
	}
	d.done(&ec2api.DeleteNetworkAclEntryRequest{NetworkAclId: id, RuleNumber: new(int32(100)), Egress: new(false)})
	d.refuse(me, &ec2api.DeleteNetworkAclEntryRequest{NetworkAclId: id, RuleNumber: new(int32(100)), Egress: new(false)}, "InvalidNetworkAclEntry.NotFound", "*")
	first := ask[ec2api.DescribeNetworkAclsResult](d, me, &ec2api.DescribeNetworkAclsRequest{Filters: []ec2api.Filter{filter("association.subnet-id", p.subnet)}}).NetworkAcls[0]
	d.refuse(me, &ec2api.DeleteNetworkAclRequest{NetworkAclId: first.NetworkAclId}, "InvalidParameterValue", "*")
	join := ask[ec2api.ReplaceNetworkAclAssociationResult](d, me, &ec2api.ReplaceNetworkAclAssociationRequest{AssociationId: first.Associations[0].NetworkAclAssociationId, NetworkAclId: id}).NewAssociationId
	d.refuse(me, &ec2api.DeleteNetworkAclRequest{NetworkAclId: id}, "DependencyViolation", "*")
	d.refuse(me, &ec2api.ReplaceNetworkAclAssociationRequest{AssociationId: first.Associations[0].NetworkAclAssociationId, NetworkAclId: id}, "InvalidAssociationID.NotFound", "*")
	ask[ec2api.ReplaceNetworkAclAssociationResult](d, me, &ec2api.ReplaceNetworkAclAssociationRequest{AssociationId: join, NetworkAclId: first.NetworkAclId})
	d.done(&ec2api.DeleteNetworkAclRequest{NetworkAclId: id})
	d.refuse(me, &ec2api.DeleteNetworkAclRequest{NetworkAclId: id}, "InvalidNetworkAclID.NotFound", "*")
}

// DHCP options: a VPC has the first ones, others or none.
func TestDHCPOptions(t *testing.T) {
	d := newDesk(t)
	p, me := d.opened(), d.root(mine)
	has := func() string {
		return *ask[ec2api.DescribeVpcsResult](d, me, &ec2api.DescribeVpcsRequest{VpcIds: []string{p.vpc}}).Vpcs[0].DhcpOptionsId
	}
	first := ask[ec2api.DescribeDhcpOptionsResult](d, me, &ec2api.DescribeDhcpOptionsRequest{Filters: []ec2api.Filter{filter("key", "domain-name-servers"), filter("value", "AmazonProvidedDNS")}}).DhcpOptions
	if len(first) != 1 || *first[0].DhcpOptionsId != has() {
		t.Errorf("first %+v", first)
	}
	d.refuse(me, &ec2api.CreateDhcpOptionsRequest{DhcpConfigurations: []ec2api.NewDhcpConfiguration{{Key: new("colour"), Values: []string{"red"}}}}, "InvalidParameterValue", "*")
	made := ask[ec2api.CreateDhcpOptionsResult](d, me, &ec2api.CreateDhcpOptionsRequest{DhcpConfigurations: []ec2api.NewDhcpConfiguration{{Key: new("domain-name"), Values: []string{"example.com"}}}}).DhcpOptions.DhcpOptionsId
	d.done(&ec2api.AssociateDhcpOptionsRequest{DhcpOptionsId: made, VpcId: &p.vpc})
	if has() != *made {
		t.Errorf("the VPC has %s", has())
	}
	d.refuse(me, &ec2api.DeleteDhcpOptionsRequest{DhcpOptionsId: made}, "DependencyViolation", "*")
	d.done(&ec2api.AssociateDhcpOptionsRequest{DhcpOptionsId: new("default"), VpcId: &p.vpc})
	if has() != "default" {
		t.Errorf("the VPC has %s", has())
	}
	d.done(&ec2api.DeleteDhcpOptionsRequest{DhcpOptionsId: made})
	d.refuse(me, &ec2api.AssociateDhcpOptionsRequest{DhcpOptionsId: made, VpcId: &p.vpc}, "InvalidDhcpOptionID.NotFound", "*")
	d.refuse(me, &ec2api.DeleteDhcpOptionsRequest{DhcpOptionsId: made}, "InvalidDhcpOptionsID.NotFound", "The dhcpOptions ID '"+*made+"' does not exist")
}

// VPC endpoints of both kinds.
func TestVPCEndpoints(t *testing.T) {
	d := newDesk(t)
	p, me := d.opened(), d.root(mine)
	table := p.table()
	service := func(label string) *string { return new("com.amazonaws." + region + "." + label) }
	d.refuse(me, &ec2api.CreateVpcEndpointRequest{VpcId: &p.vpc, ServiceName: service("nothing")}, "InvalidServiceName", "*")
	d.refuse(me, &ec2api.CreateVpcEndpointRequest{VpcId: &p.vpc, ServiceName: service("kms")}, "InvalidParameter", "*")
	d.refuse(me, &ec2api.CreateVpcEndpointRequest{VpcId: &p.vpc, ServiceName: service("s3"), PolicyDocument: new("{")}, "InvalidPolicyDocument", "*")
	s3 := ask[ec2api.CreateVpcEndpointResult](d, me, &ec2api.CreateVpcEndpointRequest{VpcId: &p.vpc, ServiceName: service("s3"), RouteTableIds: []string{table}}).VpcEndpoint
	d.refuse(me, &ec2api.CreateVpcEndpointRequest{VpcId: &p.vpc, ServiceName: service("s3"), RouteTableIds: []string{table}}, "RouteAlreadyExists", "*")
	d.refuse(me, &ec2api.DeleteRouteTableRequest{RouteTableId: &table}, "DependencyViolation", "*")
	lists := ask[ec2api.DescribePrefixListsResult](d, me, &ec2api.DescribePrefixListsRequest{Filters: []ec2api.Filter{filter("prefix-list-name", *service("s3"))}}).PrefixLists
	found := ask[ec2api.DescribeRouteTablesResult](d, me, &ec2api.DescribeRouteTablesRequest{Filters: []ec2api.Filter{filter("route.gateway-id", *s3.VpcEndpointId)}}).RouteTables
	if len(lists) != 1 || len(found) != 1 || *found[0].Routes[1].DestinationPrefixListId != *lists[0].PrefixListId {
		t.Errorf("lists %+v, tables %+v", lists, found)
	}
	in := ec2api.CreateVpcEndpointRequest{VpcId: &p.vpc, ServiceName: service("kms"), VpcEndpointType: new("Interface"), SubnetIds: []string{p.subnet}}
	d.refuse(me, &in, "InvalidParameter", "*")
	d.done(&ec2api.ModifyVpcAttributeRequest{VpcId: &p.vpc, EnableDnsHostnames: &ec2api.AttributeBooleanValue{Value: new(true)}})
	kms := ask[ec2api.CreateVpcEndpointResult](d, me, &in).VpcEndpoint
	if *kms.State != "pending" || len(kms.NetworkInterfaceIds) != 1 || *kms.Groups[0].GroupName != "default" || len(kms.DnsEntries) != 3 {
		t.Fatalf("made %+v", kms)
	}
	names := make([]string, len(kms.DnsEntries))
	for n, e := range kms.DnsEntries {
		names[n] = *e.DnsName
	}
	first, rest, _ := strings.Cut(names[0], ".")
	if rest = "." + rest; !strings.HasPrefix(first, *kms.VpcEndpointId+"-") || rest != ".kms."+region+".vpce.amazonaws.com" || names[1] != first+"-"+region+"a"+rest || names[2] != "kms."+region+".amazonaws.com" {
		t.Errorf("names %v", names)
	}
	if zones := kms.DnsEntries; *zones[0].HostedZoneId != *zones[1].HostedZoneId || *zones[0].HostedZoneId == *zones[2].HostedZoneId {
		t.Error("hosted zones are wrong")
	}
	d.refuse(me, &in, "InvalidParameter", "*")
	group := d.newGroup(p.vpc, "ends")
	ask[ec2api.ModifyVpcEndpointResult](d, me, &ec2api.ModifyVpcEndpointRequest{
		VpcEndpointId: kms.VpcEndpointId, AddSecurityGroupIds: []string{group}, RemoveSecurityGroupIds: []string{*kms.Groups[0].GroupId},
	})
	d.refuse(me, &ec2api.DeleteSecurityGroupRequest{GroupId: &group}, "DependencyViolation", "*")
	now := ask[ec2api.DescribeVpcEndpointsResult](d, me, &ec2api.DescribeVpcEndpointsRequest{Filters: []ec2api.Filter{filter("service-name", *service("kms"))}}).VpcEndpoints
	if len(now) != 1 || *now[0].State != "available" || *now[0].Groups[0].GroupId != group {
		t.Errorf("endpoints %+v", now)
	}
	configure := func(address string) *ec2api.ModifyVpcEndpointRequest {
		return &ec2api.ModifyVpcEndpointRequest{VpcEndpointId: kms.VpcEndpointId, SubnetConfigurations: []ec2api.SubnetConfiguration{{SubnetId: &p.subnet, Ipv4: &address}}}
	}
	bare := ask[ec2api.CreateVpcEndpointResult](d, me, &ec2api.CreateVpcEndpointRequest{VpcId: &p.vpc, ServiceName: service("sts"), VpcEndpointType: new("Interface")}).VpcEndpoint
	if len(bare.DnsEntries) != 0 || len(bare.NetworkInterfaceIds) != 0 {
		t.Errorf("without subnets: %+v", bare)
	}
	ask[ec2api.DeleteVpcEndpointsResult](d, me, &ec2api.DeleteVpcEndpointsRequest{VpcEndpointIds: []string{*bare.VpcEndpointId}})
	for range 2 { // the second time it is there
		ask[ec2api.ModifyVpcEndpointResult](d, me, configure("10.0.1.77"))
		faces := ask[ec2api.DescribeNetworkInterfacesResult](d, me, &ec2api.DescribeNetworkInterfacesRequest{Filters: []ec2api.Filter{filter("interface-type", "vpc_endpoint")}}).NetworkInterfaces
		now := ask[ec2api.DescribeVpcEndpointsResult](d, me, &ec2api.DescribeVpcEndpointsRequest{VpcEndpointIds: []string{*kms.VpcEndpointId}}).VpcEndpoints[0]
		if len(faces) != 1 || *faces[0].PrivateIpAddress != "10.0.1.77" || *faces[0].Groups[0].GroupId != group || !slices.Equal(now.NetworkInterfaceIds, []string{*faces[0].NetworkInterfaceId}) {
			t.Errorf("interfaces %+v of %v", faces, now.NetworkInterfaceIds)
		}
	}
	d.refuse(me, configure("10.9.9.9"), "InvalidParameterValue", "*")
	d.refuse(me, &ec2api.DeleteVpcRequest{VpcId: &p.vpc}, "DependencyViolation", "*")
	missing := "vpce-0123456789abcdef0"
	few := &ec2api.DescribeVpcEndpointAssociationsRequest{VpcEndpointIds: []string{*kms.VpcEndpointId, *s3.VpcEndpointId}, Filters: []ec2api.Filter{filter("association-id", "any")}}
	if got := ask[ec2api.DescribeVpcEndpointAssociationsResult](d, me, few).VpcEndpointAssociations; got == nil || len(got) != 0 {
		t.Errorf("associations %+v", got)
	}
	d.refuse(me, &ec2api.DescribeVpcEndpointAssociationsRequest{VpcEndpointIds: []string{missing}}, "InvalidVpcEndpointId.NotFound", "*")
	d.refuse(me, &ec2api.DescribeVpcEndpointAssociationsRequest{Filters: []ec2api.Filter{filter("owner", "any")}}, "InvalidParameterValue", "*")
	left := ask[ec2api.DeleteVpcEndpointsResult](d, me, &ec2api.DeleteVpcEndpointsRequest{VpcEndpointIds: []string{*kms.VpcEndpointId, *s3.VpcEndpointId, missing}}).Unsuccessful
	if len(left) != 1 || *left[0].ResourceId != missing || *left[0].Error.Code != "InvalidVpcEndpoint.NotFound" {
		t.Errorf("left %+v", left)
	}
	d.refuse(me, &ec2api.DescribeVpcEndpointsRequest{VpcEndpointIds: []string{missing}}, "InvalidVpcEndpointId.NotFound", "*")
	services := ask[ec2api.DescribeVpcEndpointServicesResult](d, me, &ec2api.DescribeVpcEndpointServicesRequest{ServiceNames: []string{*service("s3")}})
	if len(services.ServiceDetails) != 2 || len(services.ServiceNames) != 2 {
		t.Errorf("services %+v", services)
	}
	d.done(&ec2api.DeleteRouteTableRequest{RouteTableId: &table})
	d.done(&ec2api.DeleteSecurityGroupRequest{GroupId: &group})
	d.done(&ec2api.DeleteSubnetRequest{SubnetId: &p.subnet})
}
