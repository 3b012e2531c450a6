package ec2_test

import (
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/testkit"
)

func newList(name string) *ec2api.CreateManagedPrefixListRequest {
	return &ec2api.CreateManagedPrefixListRequest{
		PrefixListName: &name, AddressFamily: new("IPv4"), MaxEntries: new(int32(9)),
		Entries: []ec2api.AddPrefixListEntry{{Cidr: new("10.0.0.0/8")}, {Cidr: new("10.1.2.3/16"), Description: new("d")}, {Cidr: new("192.168.0.0/16")}},
	}
}

// list makes a prefix list.
func (s *stage) list() *string {
	return testkit.Call[ec2api.CreateManagedPrefixListResult](s.ec2, "CreateManagedPrefixList", newList("list")).PrefixList.PrefixListId
}

// eventWindow makes an event window.
func (s *stage) eventWindow() *string {
	return testkit.Call[ec2api.CreateInstanceEventWindowResult](s.ec2, "CreateInstanceEventWindow", &ec2api.CreateInstanceEventWindowRequest{
		CronExpression: new("* 0-4 * * *"),
	}).InstanceEventWindow.InstanceEventWindowId
}

// leaveVPC is a request that takes the stage's security group from a VPC that it is associated with.
func (s *stage) leaveVPC(cidr string) *ec2api.DisassociateSecurityGroupVpcRequest {
	vpc := s.vpcIn(cidr)
	testkit.Call[ec2api.AssociateSecurityGroupVpcResult](s.ec2, "AssociateSecurityGroupVpc", &ec2api.AssociateSecurityGroupVpcRequest{GroupId: &s.group, VpcId: vpc})
	return &ec2api.DisassociateSecurityGroupVpcRequest{GroupId: &s.group, VpcId: vpc}
}

// reserveRange reserves a range of the stage's subnet.
func (s *stage) reserveRange(cidr string) *string {
	return testkit.Call[ec2api.CreateSubnetCidrReservationResult](s.ec2, "CreateSubnetCidrReservation", &ec2api.CreateSubnetCidrReservationRequest{
		SubnetId: &s.subnet, Cidr: &cidr, ReservationType: new("prefix"),
	}).SubnetCidrReservation.SubnetCidrReservationId
}

func (s *stage) vpcIn(cidr string) *string {
	return testkit.Call[ec2api.CreateVpcResult](s.ec2, "CreateVpc", &ec2api.CreateVpcRequest{CidrBlock: &cidr}).Vpc.VpcId
}

// ofVPCs are requests that change what a VPC has besides subnets and groups. Each would succeed.
func (s *stage) ofVPCs() []any {
	subnet := testkit.Call[ec2api.DescribeSubnetsResult](s.ec2, "DescribeSubnets", &ec2api.DescribeSubnetsRequest{Filters: []ec2api.Filter{filter("default-for-az", "true")}}).Subnets[0]
	vpc := subnet.VpcId
	nat := testkit.Call[ec2api.CreateNatGatewayResult](s.ec2, "CreateNatGateway", &ec2api.CreateNatGatewayRequest{SubnetId: subnet.SubnetId, ConnectivityType: new("private")}).NatGateway.NatGatewayId
	service := new("com.amazonaws." + testkit.Region + ".s3")
	end := testkit.Call[ec2api.CreateVpcEndpointResult](s.ec2, "CreateVpcEndpoint", &ec2api.CreateVpcEndpointRequest{VpcId: vpc, ServiceName: service}).VpcEndpoint.VpcEndpointId
	gateway := testkit.Call[ec2api.DescribeInternetGatewaysResult](s.ec2, "DescribeInternetGateways", &ec2api.DescribeInternetGatewaysRequest{}).InternetGateways[0].InternetGatewayId
	of := []ec2api.Filter{filter("vpc-id", *vpc)}
	table := testkit.Call[ec2api.DescribeRouteTablesResult](s.ec2, "DescribeRouteTables", &ec2api.DescribeRouteTablesRequest{Filters: of}).RouteTables[0]
	join := table.Associations[0].RouteTableAssociationId
	acl := testkit.Call[ec2api.DescribeNetworkAclsResult](s.ec2, "DescribeNetworkAcls", &ec2api.DescribeNetworkAclsRequest{Filters: of}).NetworkAcls[0]
	options := testkit.Call[ec2api.DescribeDhcpOptionsResult](s.ec2, "DescribeDhcpOptions", &ec2api.DescribeDhcpOptionsRequest{}).DhcpOptions[0].DhcpOptionsId
	to, number, ten := new("10.0.0.0/8"), new(int32(100)), new("10.0.0.0/8")
	face := testkit.Call[ec2api.CreateNetworkInterfaceResult](s.ec2, "CreateNetworkInterface", &ec2api.CreateNetworkInterfaceRequest{SubnetId: subnet.SubnetId}).NetworkInterface.NetworkInterfaceId
	plug := testkit.Call[ec2api.DescribeNetworkInterfacesResult](s.ec2, "DescribeNetworkInterfaces", &ec2api.DescribeNetworkInterfacesRequest{
		Filters: []ec2api.Filter{filter("attachment.instance-id", s.stopped)},
	}).NetworkInterfaces[0].Attachment.AttachmentId
	near, far := s.vpcIn("10.90.0.0/16"), s.vpcIn("10.91.0.0/16")
	peer := func(a, b *string) *string {
		return testkit.Call[ec2api.CreateVpcPeeringConnectionResult](s.ec2, "CreateVpcPeeringConnection", &ec2api.CreateVpcPeeringConnectionRequest{VpcId: a, PeerVpcId: b}).VpcPeeringConnection.VpcPeeringConnectionId
	}
	waiting, joined := peer(near, &s.vpc), peer(far, &s.vpc)
	testkit.Call[ec2api.AcceptVpcPeeringConnectionResult](s.ec2, "AcceptVpcPeeringConnection", &ec2api.AcceptVpcPeeringConnectionRequest{VpcPeeringConnectionId: joined})
	list := s.list()
	egress := testkit.Call[ec2api.CreateEgressOnlyInternetGatewayResult](s.ec2, "CreateEgressOnlyInternetGateway", &ec2api.CreateEgressOnlyInternetGatewayRequest{VpcId: near}).EgressOnlyInternetGateway.EgressOnlyInternetGatewayId
	return []any{
		&ec2api.CreateEgressOnlyInternetGatewayRequest{VpcId: near}, &ec2api.DeleteEgressOnlyInternetGatewayRequest{EgressOnlyInternetGatewayId: egress},
		&ec2api.ModifyVpcTenancyRequest{VpcId: near, InstanceTenancy: new("default")},
		newList("more"), &ec2api.ModifyManagedPrefixListRequest{PrefixListId: list, MaxEntries: new(int32(7))}, &ec2api.DeleteManagedPrefixListRequest{PrefixListId: list},
		&ec2api.RestoreManagedPrefixListVersionRequest{PrefixListId: list, CurrentVersion: new(int64(1)), PreviousVersion: new(int64(1))},
		&ec2api.CreateVpcPeeringConnectionRequest{VpcId: near, PeerVpcId: far}, &ec2api.AcceptVpcPeeringConnectionRequest{VpcPeeringConnectionId: waiting},
		&ec2api.RejectVpcPeeringConnectionRequest{VpcPeeringConnectionId: waiting}, &ec2api.DeleteVpcPeeringConnectionRequest{VpcPeeringConnectionId: waiting},
		&ec2api.ModifyVpcPeeringConnectionOptionsRequest{VpcPeeringConnectionId: joined, RequesterPeeringConnectionOptions: &ec2api.PeeringConnectionOptionsRequest{AllowDnsResolutionFromRemoteVpc: new(false)}},
		&ec2api.CreateNetworkInterfaceRequest{SubnetId: subnet.SubnetId}, &ec2api.DeleteNetworkInterfaceRequest{NetworkInterfaceId: face},
		&ec2api.AttachNetworkInterfaceRequest{NetworkInterfaceId: face, InstanceId: &s.stopped, DeviceIndex: new(int32(1))}, &ec2api.DetachNetworkInterfaceRequest{AttachmentId: plug},
		&ec2api.ResetNetworkInterfaceAttributeRequest{NetworkInterfaceId: face, SourceDestCheck: new("sourceDestCheck")},
		&ec2api.CreateInternetGatewayRequest{}, &ec2api.DeleteInternetGatewayRequest{InternetGatewayId: gateway},
		&ec2api.AttachInternetGatewayRequest{InternetGatewayId: gateway, VpcId: vpc}, &ec2api.DetachInternetGatewayRequest{InternetGatewayId: gateway, VpcId: vpc},
		&ec2api.CreateRouteTableRequest{VpcId: vpc}, &ec2api.DeleteRouteTableRequest{RouteTableId: table.RouteTableId},
		&ec2api.CreateRouteRequest{RouteTableId: table.RouteTableId, DestinationCidrBlock: to, GatewayId: gateway},
		&ec2api.ReplaceRouteRequest{RouteTableId: table.RouteTableId, DestinationCidrBlock: to, GatewayId: gateway},
		&ec2api.DeleteRouteRequest{RouteTableId: table.RouteTableId, DestinationCidrBlock: to},
		&ec2api.AssociateRouteTableRequest{RouteTableId: table.RouteTableId, SubnetId: subnet.SubnetId},
		&ec2api.ReplaceRouteTableAssociationRequest{AssociationId: join, RouteTableId: table.RouteTableId}, &ec2api.DisassociateRouteTableRequest{AssociationId: join},
		&ec2api.CreateNatGatewayRequest{SubnetId: subnet.SubnetId, ConnectivityType: new("private")}, &ec2api.DeleteNatGatewayRequest{NatGatewayId: nat},
		&ec2api.AssociateNatGatewayAddressRequest{NatGatewayId: nat, AllocationIds: []string{s.address}},
		&ec2api.DisassociateNatGatewayAddressRequest{NatGatewayId: nat, AssociationIds: []string{"eipassoc-00000000"}},
		&ec2api.AssignPrivateNatGatewayAddressRequest{NatGatewayId: nat}, &ec2api.UnassignPrivateNatGatewayAddressRequest{NatGatewayId: nat, PrivateIpAddresses: []string{"10.0.0.9"}},
		&ec2api.CreateNetworkAclRequest{VpcId: vpc}, &ec2api.DeleteNetworkAclRequest{NetworkAclId: acl.NetworkAclId},
		&ec2api.CreateNetworkAclEntryRequest{NetworkAclId: acl.NetworkAclId, RuleNumber: number, Protocol: new("-1"), RuleAction: new("allow"), Egress: new(true), CidrBlock: ten},
		&ec2api.ReplaceNetworkAclEntryRequest{NetworkAclId: acl.NetworkAclId, RuleNumber: number, Protocol: new("-1"), RuleAction: new("allow"), Egress: new(true), CidrBlock: ten},
		&ec2api.DeleteNetworkAclEntryRequest{NetworkAclId: acl.NetworkAclId, RuleNumber: number, Egress: new(true)},
		&ec2api.ReplaceNetworkAclAssociationRequest{AssociationId: acl.Associations[0].NetworkAclAssociationId, NetworkAclId: acl.NetworkAclId},
		&ec2api.CreateDhcpOptionsRequest{DhcpConfigurations: []ec2api.NewDhcpConfiguration{{Key: new("domain-name"), Values: []string{"example.com"}}}},
		&ec2api.DeleteDhcpOptionsRequest{DhcpOptionsId: options}, &ec2api.AssociateDhcpOptionsRequest{DhcpOptionsId: options, VpcId: vpc},
		&ec2api.CreateVpcEndpointRequest{VpcId: vpc, ServiceName: service}, &ec2api.ModifyVpcEndpointRequest{VpcEndpointId: end},
		&ec2api.DeleteVpcEndpointsRequest{VpcEndpointIds: []string{*end}},
		flowOf(*vpc, "arn:aws:s3:::more"), &ec2api.DeleteFlowLogsRequest{FlowLogIds: testkit.Call[ec2api.CreateFlowLogsResult](s.ec2, "CreateFlowLogs", flowOf(*vpc, "arn:aws:s3:::logs")).FlowLogIds},
	}
}
