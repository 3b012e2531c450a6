package ec2_test

import (
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/ec2api"
)

// TestGroupsOfOtherVPCs: a security group that is associated with a second VPC guards interfaces and launches there.
func TestGroupsOfOtherVPCs(t *testing.T) {
	h := newHouse(t)
	vpc := func(cidr string) *string {
		return ask[ec2api.CreateVpcResult](h.desk, h.owner(), &ec2api.CreateVpcRequest{CidrBlock: &cidr}).Vpc.VpcId
	}
	first, second := vpc("10.0.0.0/16"), vpc("10.1.0.0/16")
	subnet := ask[ec2api.CreateSubnetResult](h.desk, h.owner(), &ec2api.CreateSubnetRequest{VpcId: second, CidrBlock: new("10.1.0.0/24")}).Subnet.SubnetId
	group := ask[ec2api.CreateSecurityGroupResult](h.desk, h.owner(), &ec2api.CreateSecurityGroupRequest{GroupName: new("web"), Description: new("web"), VpcId: first}).GroupId
	all := ask[ec2api.DescribeVpcsResult](h.desk, h.owner(), &ec2api.DescribeVpcsRequest{Filters: []ec2api.Filter{filter("is-default", "true")}}).Vpcs
	usual := ask[ec2api.DescribeSecurityGroupsResult](h.desk, h.owner(), &ec2api.DescribeSecurityGroupsRequest{
		Filters: []ec2api.Filter{filter("vpc-id", *first), filter("group-name", "default")},
	}).SecurityGroups[0].GroupId
	type join = ec2api.AssociateSecurityGroupVpcRequest
	type leave = ec2api.DisassociateSecurityGroupVpcRequest
	face := &ec2api.CreateNetworkInterfaceRequest{SubnetId: subnet, Groups: []string{*group}}
	run := runRequest()
	run.SubnetId, run.SecurityGroupIds = subnet, []string{*group}
	h.refuse(h.owner(), face, "InvalidGroup.NotFound", "*")
	h.refuse(h.owner(), run, "InvalidParameter", "*")
	h.refuse(h.owner(), &join{GroupId: usual, VpcId: second}, "UnsupportedOperation", "*")
	h.refuse(h.owner(), &join{GroupId: group, VpcId: all[0].VpcId}, "UnsupportedOperation", "*")
	h.refuse(h.owner(), &join{GroupId: group, VpcId: first}, "InvalidParameterValue", "*")
	h.refuse(h.owner(), &join{GroupId: new("sg-0123456789abcdef0"), VpcId: second}, "InvalidGroup.NotFound", "*")
	h.refuse(h.owner(), &join{GroupId: group, VpcId: new("vpc-0123456789abcdef0")}, "InvalidVpcID.NotFound", "*")
	h.refuse(h.owner(), &leave{GroupId: group, VpcId: second}, "InvalidGroup.NotFound", "*")
	h.refuse(h.allowed("groups", `"ec2:AssociateSecurityGroupVpc"`, `"arn:aws:ec2:*:*:security-group/*"`, ""), &join{GroupId: group, VpcId: second}, "UnauthorizedOperation", "*")

	for _, state := range []string{"associating", "associated"} {
		if got := *ask[ec2api.AssociateSecurityGroupVpcResult](h.desk, h.owner(), &join{GroupId: group, VpcId: second}).State; got != state {
			t.Errorf("%s, want %s", got, state)
		}
	}
	for name, value := range map[string]string{"group-id": *group, "vpc-id": *second, "state": "associated", "group-owner-id": mine, "vpc-owner-id": mine} {
		got := ask[ec2api.DescribeSecurityGroupVpcAssociationsResult](h.desk, h.owner(), &ec2api.DescribeSecurityGroupVpcAssociationsRequest{
			Filters: []ec2api.Filter{filter(name, value)},
		}).SecurityGroupVpcAssociations
		if len(got) != 1 || *got[0].GroupId != *group || *got[0].VpcId != *second {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got := ask[ec2api.GetSecurityGroupsForVpcResult](h.desk, h.owner(), &ec2api.GetSecurityGroupsForVpcRequest{
		VpcId: second, Filters: []ec2api.Filter{filter("primary-vpc-id", *first)},
	}).SecurityGroupForVpcs; len(got) != 1 || *got[0].GroupId != *group {
		t.Errorf("groups for the VPC %+v", got)
	}
	made := ask[ec2api.CreateNetworkInterfaceResult](h.desk, h.owner(), face).NetworkInterface
	if len(made.Groups) != 1 || *made.Groups[0].GroupId != *group {
		t.Errorf("made %+v", made)
	}
	h.done(&ec2api.ModifyNetworkInterfaceAttributeRequest{NetworkInterfaceId: made.NetworkInterfaceId, Groups: []string{*group}})
	i := ask[ec2api.Reservation](h.desk, h.owner(), run).Instances[0]
	if *i.SecurityGroups[0].GroupId != *group {
		t.Errorf("launched %+v", i.SecurityGroups)
	}
	h.refuse(h.owner(), &leave{GroupId: group, VpcId: second}, "DependencyViolation", "*")
	h.done(&ec2api.DeleteNetworkInterfaceRequest{NetworkInterfaceId: made.NetworkInterfaceId})
	ask[ec2api.TerminateInstancesResult](h.desk, h.owner(), &ec2api.TerminateInstancesRequest{InstanceIds: []string{*i.InstanceId}})
	h.Advance(5 * time.Second)
	h.refuse(h.owner(), &ec2api.DeleteSecurityGroupRequest{GroupId: group}, "DependencyViolation", "*")
	ask[ec2api.DisassociateSecurityGroupVpcResult](h.desk, h.owner(), &leave{GroupId: group, VpcId: second})
	h.refuse(h.owner(), face, "InvalidGroup.NotFound", "*")
	ask[ec2api.AssociateSecurityGroupVpcResult](h.desk, h.owner(), &join{GroupId: group, VpcId: second})
	h.done(&ec2api.DeleteSubnetRequest{SubnetId: subnet})
	h.done(&ec2api.DeleteVpcRequest{VpcId: second})
	if got := ask[ec2api.DescribeSecurityGroupVpcAssociationsResult](h.desk, h.owner(), &ec2api.DescribeSecurityGroupVpcAssociationsRequest{}).SecurityGroupVpcAssociations; len(got) != 0 {
		t.Errorf("left %+v", got)
	}
	ask[ec2api.DeleteSecurityGroupResult](h.desk, h.owner(), &ec2api.DeleteSecurityGroupRequest{GroupId: group})
}
