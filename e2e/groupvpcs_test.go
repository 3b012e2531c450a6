package e2e_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
)

// TestGroupOfTwoVPCs: a security group is used in a VPC that it is associated with.
func TestGroupOfTwoVPCs(t *testing.T) {
	c, ctx := admin(t), t.Context()
	first := must(c.ec2.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: new("10.81.0.0/16")}))(t).Vpc.VpcId
	second := must(c.ec2.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: new("10.82.0.0/16")}))(t).Vpc.VpcId
	subnet := must(c.ec2.CreateSubnet(ctx, &ec2.CreateSubnetInput{VpcId: second, CidrBlock: new("10.82.0.0/24")}))(t).Subnet.SubnetId
	group := must(c.ec2.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{GroupName: new("web"), Description: new("web"), VpcId: first}))(t).GroupId
	must(c.ec2.AssociateSecurityGroupVpc(ctx, &ec2.AssociateSecurityGroupVpcInput{GroupId: group, VpcId: second}))(t)
	if all := must(c.ec2.DescribeSecurityGroupVpcAssociations(ctx, &ec2.DescribeSecurityGroupVpcAssociationsInput{Filters: by("vpc-id", *second)}))(t).SecurityGroupVpcAssociations; len(all) != 1 || *all[0].GroupId != *group {
		t.Errorf("associations %+v", all)
	}
	face := must(c.ec2.CreateNetworkInterface(ctx, &ec2.CreateNetworkInterfaceInput{SubnetId: subnet, Groups: []string{*group}}))(t).NetworkInterface.NetworkInterfaceId
	refused(c.ec2.DisassociateSecurityGroupVpc(ctx, &ec2.DisassociateSecurityGroupVpcInput{GroupId: group, VpcId: second}))(t, "DependencyViolation")
	must(c.ec2.DeleteNetworkInterface(ctx, &ec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: face}))(t)
	must(c.ec2.DisassociateSecurityGroupVpc(ctx, &ec2.DisassociateSecurityGroupVpcInput{GroupId: group, VpcId: second}))(t)
}
