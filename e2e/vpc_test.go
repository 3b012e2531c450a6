package e2e_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

func by(name, value string) []ec2types.Filter {
	return []ec2types.Filter{{Name: &name, Values: []string{value}}}
}

// A VPC with a public and a private subnet, as scripts make it, and everything gone again.
func TestAVPCOfTwoTiers(t *testing.T) {
	c, ctx := admin(t), t.Context()
	vpc := must(c.ec2.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: new("10.4.0.0/16")}))(t).Vpc.VpcId
	must(c.ec2.ModifyVpcAttribute(ctx, &ec2.ModifyVpcAttributeInput{VpcId: vpc, EnableDnsHostnames: &ec2types.AttributeBooleanValue{Value: new(true)}}))(t)
	open := must(c.ec2.CreateSubnet(ctx, &ec2.CreateSubnetInput{VpcId: vpc, CidrBlock: new("10.4.1.0/24")}))(t).Subnet.SubnetId
	closed := must(c.ec2.CreateSubnet(ctx, &ec2.CreateSubnetInput{VpcId: vpc, CidrBlock: new("10.4.2.0/24")}))(t).Subnet.SubnetId
	gateway := must(c.ec2.CreateInternetGateway(ctx, &ec2.CreateInternetGatewayInput{TagSpecifications: []ec2types.TagSpecification{{
		ResourceType: ec2types.ResourceTypeInternetGateway, Tags: []ec2types.Tag{{Key: new("Name"), Value: new("out")}},
	}}}))(t).InternetGateway
	if len(gateway.Tags) != 1 || len(gateway.Attachments) != 0 {
		t.Errorf("gateway %+v", gateway)
	}
	must(c.ec2.AttachInternetGateway(ctx, &ec2.AttachInternetGatewayInput{InternetGatewayId: gateway.InternetGatewayId, VpcId: vpc}))(t)
	table := must(c.ec2.CreateRouteTable(ctx, &ec2.CreateRouteTableInput{VpcId: vpc}))(t).RouteTable.RouteTableId
	must(c.ec2.CreateRoute(ctx, &ec2.CreateRouteInput{RouteTableId: table, DestinationCidrBlock: new("0.0.0.0/0"), GatewayId: gateway.InternetGatewayId}))(t)
	refused(c.ec2.CreateRoute(ctx, &ec2.CreateRouteInput{RouteTableId: table, DestinationCidrBlock: new("0.0.0.0/0"), GatewayId: gateway.InternetGatewayId}))(t, "RouteAlreadyExists")
	join := must(c.ec2.AssociateRouteTable(ctx, &ec2.AssociateRouteTableInput{RouteTableId: table, SubnetId: open}))(t).AssociationId
	address := must(c.ec2.AllocateAddress(ctx, &ec2.AllocateAddressInput{Domain: ec2types.DomainTypeVpc}))(t)
	nat := must(c.ec2.CreateNatGateway(ctx, &ec2.CreateNatGatewayInput{SubnetId: open, AllocationId: address.AllocationId, ClientToken: new("nat")}))(t).NatGateway.NatGatewayId
	found := must(c.ec2.DescribeNatGateways(ctx, &ec2.DescribeNatGatewaysInput{Filter: by("vpc-id", *vpc)}))(t).NatGateways
	if len(found) != 1 || found[0].State != ec2types.NatGatewayStateAvailable || *found[0].NatGatewayAddresses[0].PublicIp != *address.PublicIp {
		t.Errorf("NAT gateways %+v", found)
	}
	private := must(c.ec2.CreateRouteTable(ctx, &ec2.CreateRouteTableInput{VpcId: vpc}))(t).RouteTable.RouteTableId
	must(c.ec2.CreateRoute(ctx, &ec2.CreateRouteInput{RouteTableId: private, DestinationCidrBlock: new("0.0.0.0/0"), NatGatewayId: nat}))(t)
	must(c.ec2.ReplaceRoute(ctx, &ec2.ReplaceRouteInput{RouteTableId: private, DestinationCidrBlock: new("0.0.0.0/0"), GatewayId: gateway.InternetGatewayId}))(t)
	must(c.ec2.DeleteRoute(ctx, &ec2.DeleteRouteInput{RouteTableId: private, DestinationCidrBlock: new("0.0.0.0/0")}))(t)
	join = must(c.ec2.ReplaceRouteTableAssociation(ctx, &ec2.ReplaceRouteTableAssociationInput{AssociationId: join, RouteTableId: private}))(t).NewAssociationId
	tables := must(c.ec2.DescribeRouteTables(ctx, &ec2.DescribeRouteTablesInput{Filters: by("association.subnet-id", *open)}))(t).RouteTables
	if len(tables) != 1 || *tables[0].RouteTableId != *private || len(tables[0].Routes) != 1 {
		t.Errorf("tables %+v", tables)
	}
	c.ends(t, vpc, closed, private)
	c.lists(t, vpc, closed)
	refused(c.ec2.DeleteRouteTable(ctx, &ec2.DeleteRouteTableInput{RouteTableId: private}))(t, "DependencyViolation")
	must(c.ec2.DisassociateRouteTable(ctx, &ec2.DisassociateRouteTableInput{AssociationId: join}))(t)
	for _, id := range []*string{table, private} {
		must(c.ec2.DeleteRouteTable(ctx, &ec2.DeleteRouteTableInput{RouteTableId: id}))(t)
	}
	refused(c.ec2.DetachInternetGateway(ctx, &ec2.DetachInternetGatewayInput{InternetGatewayId: gateway.InternetGatewayId, VpcId: vpc}))(t, "DependencyViolation")
	must(c.ec2.DeleteNatGateway(ctx, &ec2.DeleteNatGatewayInput{NatGatewayId: nat}))(t)
	must(c.ec2.ReleaseAddress(ctx, &ec2.ReleaseAddressInput{AllocationId: address.AllocationId}))(t)
	must(c.ec2.DetachInternetGateway(ctx, &ec2.DetachInternetGatewayInput{InternetGatewayId: gateway.InternetGatewayId, VpcId: vpc}))(t)
	must(c.ec2.DeleteInternetGateway(ctx, &ec2.DeleteInternetGatewayInput{InternetGatewayId: gateway.InternetGatewayId}))(t)
	for _, id := range []*string{open, closed} {
		must(c.ec2.DeleteSubnet(ctx, &ec2.DeleteSubnetInput{SubnetId: id}))(t)
	}
	must(c.ec2.DeleteVpc(ctx, &ec2.DeleteVpcInput{VpcId: vpc}))(t)
}

// ends makes VPC endpoints of both kinds, changes and deletes them.
func (c *client) ends(t *testing.T, vpc, subnet, table *string) {
	t.Helper()
	ctx := t.Context()
	s3, kms := "com.amazonaws."+c.region+".s3", "com.amazonaws."+c.region+".kms"
	if s := must(c.ec2.DescribeVpcEndpointServices(ctx, &ec2.DescribeVpcEndpointServicesInput{ServiceNames: []string{kms}}))(t).ServiceDetails; len(s) != 1 || *s[0].PrivateDnsName == "" {
		t.Errorf("services %+v", s)
	}
	one := must(c.ec2.CreateVpcEndpoint(ctx, &ec2.CreateVpcEndpointInput{VpcId: vpc, ServiceName: &s3}))(t).VpcEndpoint.VpcEndpointId
	must(c.ec2.ModifyVpcEndpoint(ctx, &ec2.ModifyVpcEndpointInput{VpcEndpointId: one, AddRouteTableIds: []string{*table}}))(t)
	list := must(c.ec2.DescribePrefixLists(ctx, &ec2.DescribePrefixListsInput{Filters: by("prefix-list-name", s3)}))(t).PrefixLists
	routed := must(c.ec2.DescribeRouteTables(ctx, &ec2.DescribeRouteTablesInput{RouteTableIds: []string{*table}}))(t).RouteTables[0].Routes
	if len(list) != 1 || *routed[len(routed)-1].DestinationPrefixListId != *list[0].PrefixListId {
		t.Errorf("lists %+v, routes %+v", list, routed)
	}
	two := must(c.ec2.CreateVpcEndpoint(ctx, &ec2.CreateVpcEndpointInput{
		VpcId: vpc, ServiceName: &kms, VpcEndpointType: ec2types.VpcEndpointTypeInterface, SubnetIds: []string{*subnet},
	}))(t).VpcEndpoint.VpcEndpointId
	shown := must(c.ec2.DescribeVpcEndpoints(ctx, &ec2.DescribeVpcEndpointsInput{VpcEndpointIds: []string{*two}}))(t).VpcEndpoints[0]
	nic := must(c.ec2.DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: shown.NetworkInterfaceIds}))(t).NetworkInterfaces
	if shown.State != "available" || !*shown.PrivateDnsEnabled || len(nic) != 1 || !*nic[0].RequesterManaged {
		t.Errorf("endpoint %+v, interfaces %+v", shown, nic)
	}
	if a := must(c.ec2.DescribeVpcEndpointAssociations(ctx, &ec2.DescribeVpcEndpointAssociationsInput{VpcEndpointIds: []string{*two}}))(t); len(a.VpcEndpointAssociations) != 0 {
		t.Errorf("associations %+v", a.VpcEndpointAssociations)
	}
	if left := must(c.ec2.DeleteVpcEndpoints(ctx, &ec2.DeleteVpcEndpointsInput{VpcEndpointIds: []string{*one, *two}}))(t).Unsuccessful; len(left) != 0 {
		t.Errorf("left %+v", left)
	}
}

// TestWhatThereIsNoneOf is listed, as tools ask for it before they do anything else.
func TestWhatThereIsNoneOf(t *testing.T) {
	c, ctx := admin(t), t.Context()
	vpcs := must(c.ec2.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{Filters: by("is-default", "true")}))(t).Vpcs
	if links := must(c.ec2.DescribeVpcClassicLink(ctx, &ec2.DescribeVpcClassicLinkInput{VpcIds: []string{*vpcs[0].VpcId}}))(t).Vpcs; len(links) != 1 || *links[0].ClassicLinkEnabled {
		t.Errorf("links %+v", links)
	}
	if names := must(c.ec2.DescribeVpcClassicLinkDnsSupport(ctx, &ec2.DescribeVpcClassicLinkDnsSupportInput{}))(t).Vpcs; len(names) == 0 || *names[0].ClassicLinkDnsSupported {
		t.Errorf("names %+v", names)
	}
	if lists := must(c.ec2.DescribeManagedPrefixLists(ctx, &ec2.DescribeManagedPrefixListsInput{}))(t).PrefixLists; len(lists) != 2 || *lists[0].OwnerId != "AWS" {
		t.Errorf("prefix lists %+v", lists)
	}
	for name, some := range map[string]bool{
		"carrier gateways":     len(must(c.ec2.DescribeCarrierGateways(ctx, &ec2.DescribeCarrierGatewaysInput{}))(t).CarrierGateways) > 0,
		"client VPN":           len(must(c.ec2.DescribeClientVpnEndpoints(ctx, &ec2.DescribeClientVpnEndpointsInput{}))(t).ClientVpnEndpoints) > 0,
		"customer gateways":    len(must(c.ec2.DescribeCustomerGateways(ctx, &ec2.DescribeCustomerGatewaysInput{}))(t).CustomerGateways) > 0,
		"egress-only gateways": len(must(c.ec2.DescribeEgressOnlyInternetGateways(ctx, &ec2.DescribeEgressOnlyInternetGatewaysInput{}))(t).EgressOnlyInternetGateways) > 0,
		"flow logs":            len(must(c.ec2.DescribeFlowLogs(ctx, &ec2.DescribeFlowLogsInput{Filter: by("traffic-type", "ALL")}))(t).FlowLogs) > 0,
		"reserved instances":   len(must(c.ec2.DescribeReservedInstances(ctx, &ec2.DescribeReservedInstancesInput{}))(t).ReservedInstances) > 0,
		"pools":                len(must(c.ec2.DescribePublicIpv4Pools(ctx, &ec2.DescribePublicIpv4PoolsInput{}))(t).PublicIpv4Pools) > 0,
		"pools of IPv6":        len(must(c.ec2.DescribeIpv6Pools(ctx, &ec2.DescribeIpv6PoolsInput{}))(t).Ipv6Pools) > 0,
		"images in the bin":    len(must(c.ec2.ListImagesInRecycleBin(ctx, &ec2.ListImagesInRecycleBinInput{}))(t).Images) > 0,
		"transit gateways":     len(must(c.ec2.DescribeTransitGateways(ctx, &ec2.DescribeTransitGatewaysInput{}))(t).TransitGateways) > 0,
		"attachments":          len(must(c.ec2.DescribeTransitGatewayAttachments(ctx, &ec2.DescribeTransitGatewayAttachmentsInput{}))(t).TransitGatewayAttachments) > 0,
		"attachments of VPCs":  len(must(c.ec2.DescribeTransitGatewayVpcAttachments(ctx, &ec2.DescribeTransitGatewayVpcAttachmentsInput{}))(t).TransitGatewayVpcAttachments) > 0,
		"connections":          len(must(c.ec2.DescribeVpcEndpointConnections(ctx, &ec2.DescribeVpcEndpointConnectionsInput{}))(t).VpcEndpointConnections) > 0,
		"services":             len(must(c.ec2.DescribeVpcEndpointServiceConfigurations(ctx, &ec2.DescribeVpcEndpointServiceConfigurationsInput{}))(t).ServiceConfigurations) > 0,
		"peering":              len(must(c.ec2.DescribeVpcPeeringConnections(ctx, &ec2.DescribeVpcPeeringConnectionsInput{}))(t).VpcPeeringConnections) > 0,
		"VPN connections":      len(must(c.ec2.DescribeVpnConnections(ctx, &ec2.DescribeVpnConnectionsInput{}))(t).VpnConnections) > 0,
		"VPN gateways":         len(must(c.ec2.DescribeVpnGateways(ctx, &ec2.DescribeVpnGatewaysInput{}))(t).VpnGateways) > 0,
	} {
		if some {
			t.Error("there are ", name)
		}
	}
	refused(c.ec2.DescribeVpnGateways(ctx, &ec2.DescribeVpnGatewaysInput{VpnGatewayIds: []string{"vgw-0123456789abcdef0"}}))(t, "InvalidVpnGatewayID.NotFound")
}

// lists gives a subnet a network ACL and the VPC DHCP options, and takes them away.
func (c *client) lists(t *testing.T, vpc, subnet *string) {
	t.Helper()
	ctx := t.Context()
	acl := must(c.ec2.CreateNetworkAcl(ctx, &ec2.CreateNetworkAclInput{VpcId: vpc}))(t).NetworkAcl.NetworkAclId
	must(c.ec2.CreateNetworkAclEntry(ctx, &ec2.CreateNetworkAclEntryInput{
		NetworkAclId: acl, RuleNumber: new(int32(100)), Protocol: new("6"), RuleAction: ec2types.RuleActionAllow, Egress: new(false), CidrBlock: new("0.0.0.0/0"),
		PortRange: &ec2types.PortRange{From: new(int32(443)), To: new(int32(443))},
	}))(t)
	must(c.ec2.ReplaceNetworkAclEntry(ctx, &ec2.ReplaceNetworkAclEntryInput{
		NetworkAclId: acl, RuleNumber: new(int32(100)), Protocol: new("-1"), RuleAction: ec2types.RuleActionDeny, Egress: new(false), CidrBlock: new("0.0.0.0/0"),
	}))(t)
	first := must(c.ec2.DescribeNetworkAcls(ctx, &ec2.DescribeNetworkAclsInput{Filters: by("association.subnet-id", *subnet)}))(t).NetworkAcls[0]
	var join *string
	for _, a := range first.Associations {
		if *a.SubnetId == *subnet {
			join = a.NetworkAclAssociationId
		}
	}
	join = must(c.ec2.ReplaceNetworkAclAssociation(ctx, &ec2.ReplaceNetworkAclAssociationInput{AssociationId: join, NetworkAclId: acl}))(t).NewAssociationId
	refused(c.ec2.DeleteNetworkAcl(ctx, &ec2.DeleteNetworkAclInput{NetworkAclId: acl}))(t, "DependencyViolation")
	must(c.ec2.ReplaceNetworkAclAssociation(ctx, &ec2.ReplaceNetworkAclAssociationInput{AssociationId: join, NetworkAclId: first.NetworkAclId}))(t)
	must(c.ec2.DeleteNetworkAclEntry(ctx, &ec2.DeleteNetworkAclEntryInput{NetworkAclId: acl, RuleNumber: new(int32(100)), Egress: new(false)}))(t)
	must(c.ec2.DeleteNetworkAcl(ctx, &ec2.DeleteNetworkAclInput{NetworkAclId: acl}))(t)
	options := must(c.ec2.CreateDhcpOptions(ctx, &ec2.CreateDhcpOptionsInput{DhcpConfigurations: []ec2types.NewDhcpConfiguration{
		{Key: new("domain-name"), Values: []string{"example.com"}},
	}}))(t).DhcpOptions.DhcpOptionsId
	must(c.ec2.AssociateDhcpOptions(ctx, &ec2.AssociateDhcpOptionsInput{DhcpOptionsId: options, VpcId: vpc}))(t)
	if d := must(c.ec2.DescribeDhcpOptions(ctx, &ec2.DescribeDhcpOptionsInput{DhcpOptionsIds: []string{*options}}))(t).DhcpOptions; *d[0].DhcpConfigurations[0].Values[0].Value != "example.com" {
		t.Errorf("options %+v", d)
	}
	must(c.ec2.AssociateDhcpOptions(ctx, &ec2.AssociateDhcpOptionsInput{DhcpOptionsId: new("default"), VpcId: vpc}))(t)
	must(c.ec2.DeleteDhcpOptions(ctx, &ec2.DeleteDhcpOptionsInput{DhcpOptionsId: options}))(t)
}

func TestFlowLogs(t *testing.T) {
	c, ctx := admin(t), t.Context()
	vpc := must(c.ec2.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: new("10.77.0.0/16")}))(t).Vpc.VpcId
	made := must(c.ec2.CreateFlowLogs(ctx, &ec2.CreateFlowLogsInput{
		ResourceType: ec2types.FlowLogsResourceTypeVpc, ResourceIds: []string{*vpc, "vpc-0123456789abcdef0"}, TrafficType: ec2types.TrafficTypeAll,
		LogDestinationType: ec2types.LogDestinationTypeS3, LogDestination: new("arn:aws:s3:::logs/vpcs/"),
	}))(t)
	if len(made.FlowLogIds) != 1 || len(made.Unsuccessful) != 1 || *made.Unsuccessful[0].Error.Code != "InvalidVpcID.NotFound" {
		t.Fatalf("made %+v", made)
	}
	if f := must(c.ec2.DescribeFlowLogs(ctx, &ec2.DescribeFlowLogsInput{Filter: by("resource-id", *vpc)}))(t).FlowLogs; len(f) != 1 || *f[0].LogDestination != "arn:aws:s3:::logs/vpcs/" {
		t.Errorf("flow logs %+v", f)
	}
	if left := must(c.ec2.DeleteFlowLogs(ctx, &ec2.DeleteFlowLogsInput{FlowLogIds: made.FlowLogIds}))(t).Unsuccessful; len(left) != 0 {
		t.Errorf("left %+v", left)
	}
	must(c.ec2.DeleteVpc(ctx, &ec2.DeleteVpcInput{VpcId: vpc}))(t)
}
