package ec2_test

import (
	"testing"

	"github.com/kagimori/kagimori/internal/api/ec2api"
)

// What there is none of is listed like anything else: decided, tried dry, with names and filters that exist.
func TestWhatThereIsNoneOf(t *testing.T) {
	d := newDesk(t)
	me := d.root(mine)
	if all := ask[ec2api.DescribeVpnGatewaysResult](d, me, &ec2api.DescribeVpnGatewaysRequest{
		Filters: []ec2api.Filter{filter("attachment.vpc-id", "vpc-1"), filter("tag:Name", "x")},
	}); len(all.VpnGateways) != 0 {
		t.Errorf("%+v", all)
	}
	for _, missing := range []struct {
		in         any
		code, says string
	}{
		{&ec2api.DescribeVpnGatewaysRequest{VpnGatewayIds: []string{"vgw-1"}}, "InvalidVpnGatewayID", "The vpnGateway ID 'vgw-1' does not exist"},
		{&ec2api.DescribeVpnConnectionsRequest{VpnConnectionIds: []string{"vpn-1"}}, "InvalidVpnConnectionID", "The vpnConnection ID 'vpn-1' does not exist"},
		{&ec2api.DescribeCustomerGatewaysRequest{CustomerGatewayIds: []string{"cgw-1"}}, "InvalidCustomerGatewayID", "The ID 'cgw-1' does not exist"},
		{&ec2api.DescribeTransitGatewaysRequest{TransitGatewayIds: []string{"tgw-1"}}, "InvalidTransitGatewayID", "Transit Gateway tgw-1 was deleted or does not exist."},
		{&ec2api.DescribeTransitGatewayAttachmentsRequest{TransitGatewayAttachmentIds: []string{"tgw-attach-1"}}, "InvalidTransitGatewayAttachmentID",
			"Transit Gateway Attachment tgw-attach-1 was deleted or does not exist."},
		{&ec2api.DescribeVpcEndpointServiceConfigurationsRequest{ServiceIds: []string{"vpce-svc-1"}}, "InvalidVpcEndpointServiceId",
			"The ID 'vpce-svc-1' does not exist"},
		{&ec2api.DescribeClientVpnEndpointsRequest{ClientVpnEndpointIds: []string{"cvpn-endpoint-1"}}, "InvalidClientVpnEndpointId", "Endpoint cvpn-endpoint-1 does not exist"},
		{&ec2api.DescribeCarrierGatewaysRequest{CarrierGatewayIds: []string{"cagw-1"}}, "InvalidCarrierGatewayID", "The ID 'cagw-1' does not exist"},
	} {
		d.refuse(me, missing.in, missing.code+".NotFound", missing.says)
	}
	d.refuse(me, &ec2api.DescribeFlowLogsRequest{Filter: []ec2api.Filter{filter("colour", "red")}}, "InvalidParameterValue", "The filter 'colour' is invalid")
	d.refuse(me, &ec2api.DescribeTransitGatewaysRequest{NextToken: new("x")}, "InvalidNextToken", "*")
	d.refuse(me, &ec2api.DescribeTransitGatewaysRequest{DryRun: new(true), TransitGatewayIds: []string{"tgw-0123456789abcdef0"}}, "DryRunOperation", "*")
	somebody := d.allowed("somebody", `"ec2:DescribeVpcs"`, `"*"`, "")
	for _, in := range []any{&ec2api.DescribeVpnGatewaysRequest{}, &ec2api.DescribeVpnConnectionsRequest{VpnConnectionIds: []string{"vpn-1"}}, &ec2api.DescribeVpcClassicLinkRequest{}} {
		d.refuse(somebody, in, "UnauthorizedOperation", "*")
	}
}

// Clients from the days of EC2-Classic ask whether a VPC is linked to it.
func TestClassicLink(t *testing.T) {
	d := newDesk(t)
	me, id := d.root(mine), d.newVPC("10.0.0.0/16")
	links := ask[ec2api.DescribeVpcClassicLinkResult](d, me, &ec2api.DescribeVpcClassicLinkRequest{VpcIds: []string{id}}).Vpcs
	if len(links) != 1 || *links[0].VpcId != id || *links[0].ClassicLinkEnabled || links[0].Tags == nil {
		t.Errorf("%+v", links)
	}
	if linked := ask[ec2api.DescribeVpcClassicLinkResult](d, me, &ec2api.DescribeVpcClassicLinkRequest{
		Filters: []ec2api.Filter{filter("is-classic-link-enabled", "true")},
	}).Vpcs; len(linked) != 0 {
		t.Errorf("%+v", linked)
	}
	names := ask[ec2api.DescribeVpcClassicLinkDnsSupportResult](d, me, &ec2api.DescribeVpcClassicLinkDnsSupportRequest{}).Vpcs
	if len(names) != 2 || *names[0].ClassicLinkDnsSupported { // the default VPC and the new one
		t.Errorf("%+v", names)
	}
	missing := []string{"vpc-0123456789abcdef0"}
	d.refuse(me, &ec2api.DescribeVpcClassicLinkRequest{VpcIds: missing}, "InvalidVpcID.NotFound", "The vpc ID 'vpc-0123456789abcdef0' does not exist")
	d.refuse(me, &ec2api.DescribeVpcClassicLinkDnsSupportRequest{VpcIds: missing}, "InvalidVpcID.NotFound", "*")
}

// AWS's prefix lists are the same ones under both operations.
func TestManagedPrefixLists(t *testing.T) {
	d := newDesk(t)
	me := d.root(mine)
	name := filter("prefix-list-name", "*.s3")
	old := ask[ec2api.DescribePrefixListsResult](d, me, &ec2api.DescribePrefixListsRequest{Filters: []ec2api.Filter{name}}).PrefixLists
	lists := ask[ec2api.DescribeManagedPrefixListsResult](d, me, &ec2api.DescribeManagedPrefixListsRequest{Filters: []ec2api.Filter{name, filter("owner-id", "AWS")}}).PrefixLists
	if len(lists) != 1 || len(old) != 1 || *lists[0].PrefixListId != *old[0].PrefixListId || *lists[0].PrefixListName != *old[0].PrefixListName {
		t.Errorf("%+v %+v", lists, old)
	}
	d.refuse(me, &ec2api.DescribeManagedPrefixListsRequest{PrefixListIds: []string{"pl-00000000"}}, "InvalidPrefixListID.NotFound", "*")
}

// Parts of VPCs show an empty list of tags if they have none, as in AWS's examples.
func TestPartsOfVPCsShowTheirTags(t *testing.T) {
	d := newDesk(t)
	me := d.root(mine)
	gateways := ask[ec2api.DescribeInternetGatewaysResult](d, me, &ec2api.DescribeInternetGatewaysRequest{}).InternetGateways
	tables := ask[ec2api.DescribeRouteTablesResult](d, me, &ec2api.DescribeRouteTablesRequest{}).RouteTables
	acls := ask[ec2api.DescribeNetworkAclsResult](d, me, &ec2api.DescribeNetworkAclsRequest{}).NetworkAcls
	if len(gateways) != 1 || gateways[0].Tags == nil || len(tables) != 1 || tables[0].Tags == nil || len(acls) != 1 || acls[0].Tags == nil {
		t.Errorf("%+v %+v %+v", gateways, tables, acls)
	}
}
