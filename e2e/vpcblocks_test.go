package e2e_test

import (
	"net/netip"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
)

// TestMoreAddressRanges: a VPC with a second IPv4 range and an IPv6 one, a subnet in both, and all of it gone again.
func TestMoreAddressRanges(t *testing.T) {
	c, ctx := admin(t), t.Context()
	vpc := must(c.ec2.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: new("10.44.0.0/16")}))(t).Vpc.VpcId
	four := must(c.ec2.AssociateVpcCidrBlock(ctx, &ec2.AssociateVpcCidrBlockInput{VpcId: vpc, CidrBlock: new("100.64.0.0/16")}))(t).CidrBlockAssociation
	six := must(c.ec2.AssociateVpcCidrBlock(ctx, &ec2.AssociateVpcCidrBlockInput{VpcId: vpc, AmazonProvidedIpv6CidrBlock: new(true)}))(t).Ipv6CidrBlockAssociation
	refused(c.ec2.AssociateVpcCidrBlock(ctx, &ec2.AssociateVpcCidrBlockInput{VpcId: vpc, CidrBlock: new("192.168.0.0/16")}))(t, "InvalidVpc.Range")
	shown := must(c.ec2.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{VpcIds: []string{*vpc}}))(t).Vpcs[0]
	if len(shown.CidrBlockAssociationSet) != 2 || len(shown.Ipv6CidrBlockAssociationSet) != 1 || shown.Ipv6CidrBlockAssociationSet[0].Ipv6CidrBlockState.State != "associated" {
		t.Fatalf("VPC %+v", shown)
	}
	whole := netip.MustParsePrefix(*shown.Ipv6CidrBlockAssociationSet[0].Ipv6CidrBlock)
	subnet := must(c.ec2.CreateSubnet(ctx, &ec2.CreateSubnetInput{VpcId: vpc, CidrBlock: new("100.64.1.0/24")}))(t).Subnet.SubnetId
	part := netip.PrefixFrom(whole.Addr(), 64).String()
	joined := must(c.ec2.AssociateSubnetCidrBlock(ctx, &ec2.AssociateSubnetCidrBlockInput{SubnetId: subnet, Ipv6CidrBlock: &part}))(t).Ipv6CidrBlockAssociation
	refused(c.ec2.DisassociateVpcCidrBlock(ctx, &ec2.DisassociateVpcCidrBlockInput{AssociationId: six.AssociationId}))(t, "InvalidCidrBlock.InUse")
	must(c.ec2.DisassociateSubnetCidrBlock(ctx, &ec2.DisassociateSubnetCidrBlockInput{AssociationId: joined.AssociationId}))(t)
	must(c.ec2.DeleteSubnet(ctx, &ec2.DeleteSubnetInput{SubnetId: subnet}))(t)
	for _, id := range []*string{four.AssociationId, six.AssociationId} {
		must(c.ec2.DisassociateVpcCidrBlock(ctx, &ec2.DisassociateVpcCidrBlockInput{AssociationId: id}))(t)
	}
	must(c.ec2.DeleteVpc(ctx, &ec2.DeleteVpcInput{VpcId: vpc}))(t)
}
