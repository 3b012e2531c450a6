package actions_test

import "strings"

// driveVPC: what a VPC has besides subnets and groups, all with tags, and everything gone again.
func driveVPC(c caller) {
	vpc := c.do("ec2:CreateVpc", in{"CidrBlock": "10.9.0.0/16", "TagSpecifications": specifications("vpc")}).str("Vpc.VpcId")
	c.do("ec2:ModifyVpcAttribute", in{"VpcId": vpc, "EnableDnsHostnames": in{"Value": true}})
	subnet := c.do("ec2:CreateSubnet", in{"VpcId": vpc, "CidrBlock": "10.9.1.0/24", "TagSpecifications": specifications("subnet")}).str("Subnet.SubnetId")
	group := c.do("ec2:CreateSecurityGroup", in{
		"GroupName": "ends", "Description": "d", "VpcId": vpc, "TagSpecifications": specifications("security-group"),
	}).str("GroupId")
	gateway := c.do("ec2:CreateInternetGateway", in{"TagSpecifications": specifications("internet-gateway")}).str("InternetGateway.InternetGatewayId")
	retag(c, gateway)
	c.do("ec2:AttachInternetGateway", in{"InternetGatewayId": gateway, "VpcId": vpc})
	address := c.do("ec2:AllocateAddress", in{"Domain": "vpc", "TagSpecifications": specifications("elastic-ip")}).str("AllocationId")
	nat := c.do("ec2:CreateNatGateway", in{"SubnetId": subnet, "AllocationId": address, "TagSpecifications": specifications("natgateway")}).str("NatGateway.NatGatewayId")
	retag(c, nat)
	c.do("ec2:DescribeNatGateways", in{})
	driveNATs(c, subnet, nat)
	driveTables(c, vpc, subnet, gateway, nat)
	driveBlocks(c, vpc, subnet)
	drivePeering(c, vpc)
	driveACL(c, vpc, subnet)
	options := c.do("ec2:CreateDhcpOptions", in{
		"DhcpConfigurations": []in{{"Key": "domain-name", "Values": "example.com"}}, "TagSpecifications": specifications("dhcp-options"),
	}).str("DhcpOptions.DhcpOptionsId")
	retag(c, options)
	c.do("ec2:DescribeDhcpOptions", in{})
	c.do("ec2:AssociateDhcpOptions", in{"DhcpOptionsId": options, "VpcId": vpc})
	c.do("ec2:AssociateDhcpOptions", in{"DhcpOptionsId": "default", "VpcId": vpc})
	c.do("ec2:DeleteDhcpOptions", in{"DhcpOptionsId": options})
	driveEndpoints(c, vpc, subnet, group)
	driveAbsent(c)
	driveFlows(c, vpc, subnet)
	c.do("ec2:DeleteNatGateway", in{"NatGatewayId": nat})
	c.do("ec2:ReleaseAddress", in{"AllocationId": address})
	c.do("ec2:DetachInternetGateway", in{"InternetGatewayId": gateway, "VpcId": vpc})
	c.do("ec2:DeleteInternetGateway", in{"InternetGatewayId": gateway})
	c.do("ec2:DeleteSecurityGroup", in{"GroupId": group})
	c.do("ec2:DeleteSubnet", in{"SubnetId": subnet})
	c.do("ec2:DeleteVpc", in{"VpcId": vpc})
}

// driveBlocks: more address ranges of a VPC, and an IPv6 one of a subnet.
func driveBlocks(c caller, vpc, subnet string) {
	four := c.do("ec2:AssociateVpcCidrBlock", in{"VpcId": vpc, "CidrBlock": "10.10.0.0/16"}).str("CidrBlockAssociation.AssociationId")
	c.do("ec2:DisassociateVpcCidrBlock", in{"AssociationId": four})
	c.do("ec2:AssociateVpcCidrBlock", in{"VpcId": vpc, "AmazonProvidedIpv6CidrBlock": true})
	six := c.do("ec2:DescribeVpcs", in{"VpcIds": vpc}).str("Vpcs.0.Ipv6CidrBlockAssociationSet.0.Ipv6CidrBlock")
	id := c.do("ec2:AssociateSubnetCidrBlock", in{"SubnetId": subnet, "Ipv6CidrBlock": strings.Replace(six, "/56", "/64", 1)}).str("Ipv6CidrBlockAssociation.AssociationId")
	face := c.do("ec2:CreateNetworkInterface", in{"SubnetId": subnet, "TagSpecifications": specifications("network-interface")}).str("NetworkInterface.NetworkInterfaceId")
	address := strings.Replace(six, ":/56", ":7", 1)
	c.do("ec2:AssignIpv6Addresses", in{"NetworkInterfaceId": face, "Ipv6Addresses": address})
	c.do("ec2:UnassignIpv6Addresses", in{"NetworkInterfaceId": face, "Ipv6Addresses": address})
	c.do("ec2:DeleteNetworkInterface", in{"NetworkInterfaceId": face})
	c.do("ec2:DisassociateSubnetCidrBlock", in{"AssociationId": id})
	egress := c.do("ec2:CreateEgressOnlyInternetGateway", in{"VpcId": vpc, "TagSpecifications": specifications("egress-only-internet-gateway")}).str("EgressOnlyInternetGateway.EgressOnlyInternetGatewayId")
	retag(c, egress)
	c.do("ec2:DescribeEgressOnlyInternetGateways", in{})
	c.do("ec2:DeleteEgressOnlyInternetGateway", in{"EgressOnlyInternetGatewayId": egress})
	c.do("ec2:ModifyVpcTenancy", in{"VpcId": vpc, "InstanceTenancy": "default"})
}

// drivePeering: a VPC is connected with another, and once not.
func drivePeering(c caller, vpc string) {
	other := c.do("ec2:CreateVpc", in{"CidrBlock": "10.11.0.0/16", "TagSpecifications": specifications("vpc")}).str("Vpc.VpcId")
	request := in{"VpcId": vpc, "PeerVpcId": other, "TagSpecifications": specifications("vpc-peering-connection")}
	id := c.do("ec2:CreateVpcPeeringConnection", request).str("VpcPeeringConnection.VpcPeeringConnectionId")
	retag(c, id)
	c.do("ec2:RejectVpcPeeringConnection", in{"VpcPeeringConnectionId": id})
	id = c.do("ec2:CreateVpcPeeringConnection", request).str("VpcPeeringConnection.VpcPeeringConnectionId")
	c.do("ec2:AcceptVpcPeeringConnection", in{"VpcPeeringConnectionId": id})
	c.do("ec2:ModifyVpcPeeringConnectionOptions", in{"VpcPeeringConnectionId": id, "RequesterPeeringConnectionOptions": in{"AllowDnsResolutionFromRemoteVpc": false}})
	c.do("ec2:DescribeVpcPeeringConnections", in{})
	c.do("ec2:DeleteVpcPeeringConnection", in{"VpcPeeringConnectionId": id})
	c.do("ec2:DeleteVpc", in{"VpcId": other})
}

// driveLists: a prefix list in three versions.
func driveLists(c caller) {
	id := c.do("ec2:CreateManagedPrefixList", in{
		"PrefixListName": "offices", "AddressFamily": "IPv4", "MaxEntries": 5, "TagSpecifications": specifications("prefix-list"),
	}).str("PrefixList.PrefixListId")
	retag(c, id)
	c.do("ec2:ModifyManagedPrefixList", in{"PrefixListId": id, "CurrentVersion": 1, "AddEntries": []in{{"Cidr": "10.0.0.0/8"}}})
	c.do("ec2:RestoreManagedPrefixListVersion", in{"PrefixListId": id, "CurrentVersion": 2, "PreviousVersion": 1})
	c.do("ec2:DescribeManagedPrefixLists", in{})
	c.do("ec2:GetManagedPrefixListEntries", in{"PrefixListId": id})
	c.do("ec2:GetManagedPrefixListAssociations", in{"PrefixListId": id})
	c.do("ec2:DeleteManagedPrefixList", in{"PrefixListId": id})
}

// driveWindows: an event window that an instance tag has.
func driveWindows(c caller) {
	id := c.do("ec2:CreateInstanceEventWindow", in{"CronExpression": "* 0-4 * * *", "TagSpecifications": specifications("instance-event-window")}).str("InstanceEventWindow.InstanceEventWindowId")
	retag(c, id)
	c.do("ec2:ModifyInstanceEventWindow", in{"InstanceEventWindowId": id, "Name": "nights"})
	target := in{"InstanceTags": []in{{"Key": "a", "Value": "b"}}}
	c.do("ec2:AssociateInstanceEventWindow", in{"InstanceEventWindowId": id, "AssociationTarget": target})
	c.do("ec2:DisassociateInstanceEventWindow", in{"InstanceEventWindowId": id, "AssociationTarget": target})
	c.do("ec2:DescribeInstanceEventWindows", in{})
	c.do("ec2:DeleteInstanceEventWindow", in{"InstanceEventWindowId": id})
}

// driveNATs: secondary addresses of a public NAT gateway and of a private one.
func driveNATs(c caller, subnet, public string) {
	more := c.do("ec2:AllocateAddress", in{"TagSpecifications": specifications("elastic-ip")}).str("AllocationId")
	join := c.do("ec2:AssociateNatGatewayAddress", in{"NatGatewayId": public, "AllocationIds": []string{more}}).str("NatGatewayAddresses.0.AssociationId")
	c.do("ec2:DisassociateNatGatewayAddress", in{"NatGatewayId": public, "AssociationIds": []string{join}})
	c.do("ec2:ReleaseAddress", in{"AllocationId": more})
	private := c.do("ec2:CreateNatGateway", in{"SubnetId": subnet, "ConnectivityType": "private", "TagSpecifications": specifications("natgateway")}).str("NatGateway.NatGatewayId")
	address := c.do("ec2:AssignPrivateNatGatewayAddress", in{"NatGatewayId": private}).str("NatGatewayAddresses.0.PrivateIp")
	c.do("ec2:UnassignPrivateNatGatewayAddress", in{"NatGatewayId": private, "PrivateIpAddresses": []string{address}})
	c.do("ec2:DeleteNatGateway", in{"NatGatewayId": private})
}

// driveTables: two route tables, with a subnet and with a gateway.
func driveTables(c caller, vpc, subnet, gateway, nat string) {
	var tables []string
	for range 2 {
		id := c.do("ec2:CreateRouteTable", in{"VpcId": vpc, "TagSpecifications": specifications("route-table")}).str("RouteTable.RouteTableId")
		retag(c, id)
		tables = append(tables, id)
	}
	c.do("ec2:CreateRoute", in{"RouteTableId": tables[0], "DestinationCidrBlock": "0.0.0.0/0", "GatewayId": gateway})
	c.do("ec2:ReplaceRoute", in{"RouteTableId": tables[0], "DestinationCidrBlock": "0.0.0.0/0", "NatGatewayId": nat})
	c.do("ec2:DeleteRoute", in{"RouteTableId": tables[0], "DestinationCidrBlock": "0.0.0.0/0"})
	for _, with := range []in{{"SubnetId": subnet}, {"GatewayId": gateway}} {
		with["RouteTableId"] = tables[0]
		id := c.do("ec2:AssociateRouteTable", with).str("AssociationId")
		id = c.do("ec2:ReplaceRouteTableAssociation", in{"AssociationId": id, "RouteTableId": tables[1]}).str("NewAssociationId")
		c.do("ec2:DisassociateRouteTable", in{"AssociationId": id})
	}
	for _, id := range tables {
		c.do("ec2:DeleteRouteTable", in{"RouteTableId": id})
	}
}

// driveACL: a network ACL for a subnet.
func driveACL(c caller, vpc, subnet string) {
	acl := c.do("ec2:CreateNetworkAcl", in{"VpcId": vpc, "TagSpecifications": specifications("network-acl")}).str("NetworkAcl.NetworkAclId")
	retag(c, acl)
	rule := in{"NetworkAclId": acl, "RuleNumber": 100, "Protocol": "-1", "RuleAction": "allow", "Egress": false, "CidrBlock": "10.0.0.0/8"}
	c.do("ec2:CreateNetworkAclEntry", rule)
	c.do("ec2:ReplaceNetworkAclEntry", rule)
	c.do("ec2:DeleteNetworkAclEntry", in{"NetworkAclId": acl, "RuleNumber": 100, "Egress": false})
	shown := c.do("ec2:DescribeNetworkAcls", in{"Filters": []in{{"Name": "association.subnet-id", "Values": subnet}}})
	first := shown.str("NetworkAcls.0.NetworkAclId")
	id := c.do("ec2:ReplaceNetworkAclAssociation", in{
		"AssociationId": shown.str("NetworkAcls.0.Associations.0.NetworkAclAssociationId"), "NetworkAclId": acl,
	}).str("NewAssociationId")
	retag(c, first)
	c.do("ec2:ReplaceNetworkAclAssociation", in{"AssociationId": id, "NetworkAclId": first})
	c.do("ec2:DeleteNetworkAcl", in{"NetworkAclId": acl})
}

// driveAbsent: what clients ask about and there is none of.
func driveAbsent(c caller) {
	for _, operation := range []string{
		"DescribeCarrierGateways", "DescribeClientVpnEndpoints", "DescribeCustomerGateways", "DescribeIpv6Pools", "DescribePublicIpv4Pools", "ListImagesInRecycleBin",
		"DescribeReservedInstances", "DescribeReservedInstancesOfferings", "DescribeTransitGateways", "DescribeTransitGatewayAttachments", "DescribeTransitGatewayVpcAttachments", "DescribeVpcClassicLink",
		"DescribeVpcClassicLinkDnsSupport", "DescribeVpcEndpointAssociations", "DescribeVpcEndpointConnections", "DescribeVpcEndpointServiceConfigurations",
		"DescribeVpnConnections", "DescribeVpnGateways",
	} {
		c.do("ec2:"+operation, in{})
	}
}

// driveEndpoints: an endpoint of each kind.
func driveEndpoints(c caller, vpc, subnet, group string) {
	table := c.do("ec2:CreateRouteTable", in{"VpcId": vpc, "TagSpecifications": specifications("route-table")}).str("RouteTable.RouteTableId")
	gateway := c.do("ec2:CreateVpcEndpoint", in{
		"VpcId": vpc, "ServiceName": "com.amazonaws.us-east-1.s3", "RouteTableIds": table, "TagSpecifications": specifications("vpc-endpoint"),
	}).str("VpcEndpoint.VpcEndpointId")
	face := c.do("ec2:CreateVpcEndpoint", in{
		"VpcId": vpc, "ServiceName": "com.amazonaws.us-east-1.kms", "VpcEndpointType": "Interface", "SubnetIds": subnet, "SecurityGroupIds": group,
		"TagSpecifications": specifications("vpc-endpoint"),
	}).str("VpcEndpoint.VpcEndpointId")
	retag(c, face)
	c.do("ec2:ModifyVpcEndpoint", in{"VpcEndpointId": gateway, "RemoveRouteTableIds": table})
	c.do("ec2:ModifyVpcEndpoint", in{"VpcEndpointId": face, "RemoveSubnetIds": subnet, "AddSecurityGroupIds": group})
	c.do("ec2:DescribeVpcEndpoints", in{})
	c.do("ec2:DescribeVpcEndpointServices", in{})
	c.do("ec2:DescribePrefixLists", in{})
	driveLists(c)
	driveWindows(c)
	c.do("ec2:DeleteVpcEndpoints", in{"VpcEndpointIds": []string{gateway, face}})
	c.do("ec2:DeleteRouteTable", in{"RouteTableId": table})
}

// driveFaces: a network interface of its own, for an instance of another VPC in vain.
func driveFaces(c caller, subnet, group, address string) {
	id := c.do("ec2:CreateNetworkInterface", in{"SubnetId": subnet, "Groups": group, "TagSpecifications": specifications("network-interface")}).str("NetworkInterface.NetworkInterfaceId")
	retag(c, id)
	c.do("ec2:DescribeNetworkInterfaceAttribute", in{"NetworkInterfaceId": id, "Attribute": "description"})
	c.do("ec2:ResetNetworkInterfaceAttribute", in{"NetworkInterfaceId": id, "SourceDestCheck": "sourceDestCheck"})
	c.do("ec2:AssignPrivateIpAddresses", in{"NetworkInterfaceId": id, "PrivateIpAddresses": "10.0.1.99"})
	c.do("ec2:UnassignPrivateIpAddresses", in{"NetworkInterfaceId": id, "PrivateIpAddresses": "10.0.1.99"})
	association := c.do("ec2:AssociateAddress", in{"AllocationId": address, "NetworkInterfaceId": id}).str("AssociationId")
	c.do("ec2:DisassociateAddress", in{"AssociationId": association})
	c.do("ec2:DeleteNetworkInterface", in{"NetworkInterfaceId": id})
}

// drivePlug: a network interface is attached to an instance and detached.
func drivePlug(c caller, instance string) {
	subnet := c.do("ec2:DescribeInstances", in{"InstanceIds": []string{instance}}).str("Reservations.0.Instances.0.SubnetId")
	id := c.do("ec2:CreateNetworkInterface", in{"SubnetId": subnet, "TagSpecifications": specifications("network-interface")}).str("NetworkInterface.NetworkInterfaceId")
	plug := c.do("ec2:AttachNetworkInterface", in{"NetworkInterfaceId": id, "InstanceId": instance, "DeviceIndex": 1}).str("AttachmentId")
	c.do("ec2:DetachNetworkInterface", in{"AttachmentId": plug})
	c.do("ec2:DeleteNetworkInterface", in{"NetworkInterfaceId": id})
}

// driveFlows: flow logs of everything that may have some, one with a role.
func driveFlows(c caller, vpc, subnet string) {
	role := c.do("iam:CreateRole", in{"RoleName": "flows", "AssumeRolePolicyDocument": `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":"vpc-flow-logs.amazonaws.com"},"Action":"sts:AssumeRole"}}`}).str("Role.Arn")
	face := c.do("ec2:CreateNetworkInterface", in{"SubnetId": subnet, "TagSpecifications": specifications("network-interface")}).str("NetworkInterface.NetworkInterfaceId")
	retag(c, vpc)
	retag(c, subnet)
	for kind, id := range map[string]string{"VPC": vpc, "Subnet": subnet, "NetworkInterface": face} {
		flow := c.do("ec2:CreateFlowLogs", in{
			"ResourceType": kind, "ResourceIds": id, "TrafficType": "ALL", "LogGroupName": "flows", "DeliverLogsPermissionArn": role, "TagSpecifications": specifications("vpc-flow-log"),
		}).str("FlowLogIds.0")
		retag(c, flow)
		c.do("ec2:DescribeFlowLogs", in{})
		c.do("ec2:DeleteFlowLogs", in{"FlowLogIds": flow})
	}
	c.do("ec2:DeleteNetworkInterface", in{"NetworkInterfaceId": face})
	c.do("iam:DeleteRole", in{"RoleName": "flows"})
}
