package e2e_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
)

// TestPrefixes: a network interface gets a prefix, one more, and loses it.
func TestPrefixes(t *testing.T) {
	c, ctx := admin(t), t.Context()
	vpc := must(c.ec2.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: new("10.84.0.0/16")}))(t).Vpc.VpcId
	subnet := must(c.ec2.CreateSubnet(ctx, &ec2.CreateSubnetInput{VpcId: vpc, CidrBlock: new("10.84.0.0/24")}))(t).Subnet.SubnetId
	face := must(c.ec2.CreateNetworkInterface(ctx, &ec2.CreateNetworkInterfaceInput{SubnetId: subnet, Ipv4PrefixCount: new(int32(1))}))(t).NetworkInterface
	if len(face.Ipv4Prefixes) != 1 {
		t.Fatalf("interface %+v", face)
	}
	more := must(c.ec2.AssignPrivateIpAddresses(ctx, &ec2.AssignPrivateIpAddressesInput{NetworkInterfaceId: face.NetworkInterfaceId, Ipv4PrefixCount: new(int32(1))}))(t).AssignedIpv4Prefixes
	if len(more) != 1 || *more[0].Ipv4Prefix == *face.Ipv4Prefixes[0].Ipv4Prefix {
		t.Errorf("assigned %+v", more)
	}
	must(c.ec2.UnassignPrivateIpAddresses(ctx, &ec2.UnassignPrivateIpAddressesInput{NetworkInterfaceId: face.NetworkInterfaceId, Ipv4Prefixes: []string{*more[0].Ipv4Prefix}}))(t)
	if n := must(c.ec2.DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{*face.NetworkInterfaceId}}))(t).NetworkInterfaces[0]; len(n.Ipv4Prefixes) != 1 {
		t.Errorf("interface %+v", n)
	}
}
