package e2e_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// TestIPv6: a network interface with IPv6 addresses, and an egress-only internet gateway that a route leads to.
func TestIPv6(t *testing.T) {
	c, ctx := admin(t), t.Context()
	vpc := must(c.ec2.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: new("10.77.0.0/16"), AmazonProvidedIpv6CidrBlock: new(true), InstanceTenancy: ec2types.TenancyDedicated}))(t).Vpc
	must(c.ec2.ModifyVpcTenancy(ctx, &ec2.ModifyVpcTenancyInput{VpcId: vpc.VpcId, InstanceTenancy: ec2types.VpcTenancyDefault}))(t)
	vpc = &must(c.ec2.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{VpcIds: []string{*vpc.VpcId}}))(t).Vpcs[0]
	six := strings.Replace(*vpc.Ipv6CidrBlockAssociationSet[0].Ipv6CidrBlock, "/56", "/64", 1)
	subnet := must(c.ec2.CreateSubnet(ctx, &ec2.CreateSubnetInput{VpcId: vpc.VpcId, CidrBlock: new("10.77.0.0/24"), Ipv6CidrBlock: &six}))(t).Subnet.SubnetId
	must(c.ec2.ModifySubnetAttribute(ctx, &ec2.ModifySubnetAttributeInput{SubnetId: subnet, AssignIpv6AddressOnCreation: &ec2types.AttributeBooleanValue{Value: new(true)}}))(t)
	face := must(c.ec2.CreateNetworkInterface(ctx, &ec2.CreateNetworkInterfaceInput{SubnetId: subnet}))(t).NetworkInterface
	if len(face.Ipv6Addresses) != 1 {
		t.Fatalf("interface %+v", face)
	}
	must(c.ec2.AssignIpv6Addresses(ctx, &ec2.AssignIpv6AddressesInput{NetworkInterfaceId: face.NetworkInterfaceId, Ipv6AddressCount: new(int32(1))}))(t)
	must(c.ec2.UnassignIpv6Addresses(ctx, &ec2.UnassignIpv6AddressesInput{NetworkInterfaceId: face.NetworkInterfaceId, Ipv6Addresses: []string{*face.Ipv6Addresses[0].Ipv6Address}}))(t)
	if n := must(c.ec2.DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{*face.NetworkInterfaceId}}))(t).NetworkInterfaces[0]; len(n.Ipv6Addresses) != 1 {
		t.Errorf("interface %+v", n)
	}
	gateway := must(c.ec2.CreateEgressOnlyInternetGateway(ctx, &ec2.CreateEgressOnlyInternetGatewayInput{VpcId: vpc.VpcId}))(t).EgressOnlyInternetGateway.EgressOnlyInternetGatewayId
	table := must(c.ec2.CreateRouteTable(ctx, &ec2.CreateRouteTableInput{VpcId: vpc.VpcId}))(t).RouteTable.RouteTableId
	must(c.ec2.CreateRoute(ctx, &ec2.CreateRouteInput{RouteTableId: table, DestinationIpv6CidrBlock: new("::/0"), EgressOnlyInternetGatewayId: gateway}))(t)
	must(c.ec2.DeleteEgressOnlyInternetGateway(ctx, &ec2.DeleteEgressOnlyInternetGatewayInput{EgressOnlyInternetGatewayId: gateway}))(t)
	must(c.ec2.DeleteRouteTable(ctx, &ec2.DeleteRouteTableInput{RouteTableId: table}))(t)
	must(c.ec2.DeleteNetworkInterface(ctx, &ec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: face.NetworkInterfaceId}))(t)
	must(c.ec2.DeleteSubnet(ctx, &ec2.DeleteSubnetInput{SubnetId: subnet}))(t)
	must(c.ec2.DeleteVpc(ctx, &ec2.DeleteVpcInput{VpcId: vpc.VpcId}))(t)
}
