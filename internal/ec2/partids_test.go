package ec2_test

import (
	"testing"

	"github.com/kagimori/kagimori/internal/api/ec2api"
)

// TestTagsOfWhatAVPCHas: what EC2 makes with a VPC is tagged like anything else, and what is not there
// has the code of its kind.
func TestTagsOfWhatAVPCHas(t *testing.T) {
	d := newDesk(t)
	me := d.root(mine)
	gateway := ask[ec2api.DescribeInternetGatewaysResult](d, me, &ec2api.DescribeInternetGatewaysRequest{}).InternetGateways[0].InternetGatewayId
	acl := ask[ec2api.DescribeNetworkAclsResult](d, me, &ec2api.DescribeNetworkAclsRequest{}).NetworkAcls[0].NetworkAclId
	table := ask[ec2api.DescribeRouteTablesResult](d, me, &ec2api.DescribeRouteTablesRequest{}).RouteTables[0].RouteTableId
	_, err := d.try(me, &ec2api.CreateTagsRequest{Resources: []string{*gateway, *acl, *table}, Tags: tagList("a", "b")})
	d.Must(err)
	kinds := map[string]bool{}
	for _, tag := range ask[ec2api.DescribeTagsResult](d, me, &ec2api.DescribeTagsRequest{}).Tags {
		kinds[*tag.ResourceType] = true
	}
	if !kinds["internet-gateway"] || !kinds["network-acl"] || !kinds["route-table"] {
		t.Errorf("tagged: %v", kinds)
	}
	if tags := ask[ec2api.DescribeNetworkAclsResult](d, me, &ec2api.DescribeNetworkAclsRequest{}).NetworkAcls[0].Tags; len(tags) != 1 {
		t.Errorf("%d tags of the network ACL", len(tags))
	}
	for id, code := range map[string]string{
		"igw-0123456789abcdef0": "InvalidInternetGatewayID.NotFound", "acl-0123456789abcdef0": "InvalidNetworkAclID.NotFound",
		"rtb-0123456789abcdef0": "InvalidRouteTableID.NotFound", "nat-0123456789abcdef0": "NatGatewayNotFound", "tgw-0123456789abcdef0": "InvalidID",
	} {
		d.refuse(me, &ec2api.CreateTagsRequest{Resources: []string{id}, Tags: tagList("a", "b")}, code, "*")
	}
	d.refuse(me, &ec2api.DeleteSecurityGroupRequest{GroupId: new("foo")}, "InvalidGroupId.Malformed", "*")
	d.refuse(me, &ec2api.DeleteSecurityGroupRequest{GroupId: new("sg-0123456789abcdef0")}, "InvalidGroup.NotFound", "*")
	d.refuse(me, &ec2api.CreateSecurityGroupRequest{GroupName: new("sg-x"), Description: new("x")}, "InvalidParameterValue", "*")
}
