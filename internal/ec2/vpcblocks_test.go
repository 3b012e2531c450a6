package ec2_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
)

// TestVPCsHaveMoreRanges: subnets and local routes are of all of them, and a range goes when no subnet is in it.
func TestVPCsHaveMoreRanges(t *testing.T) {
	d := newDesk(t)
	me := d.root(mine)
	vpc := d.newVPC("10.0.0.0/16")
	add := func(cidr string) *ec2api.AssociateVpcCidrBlockRequest {
		return &ec2api.AssociateVpcCidrBlockRequest{VpcId: &vpc, CidrBlock: &cidr}
	}
	d.refuse(me, &ec2api.CreateSubnetRequest{VpcId: &vpc, CidrBlock: new("10.1.1.0/24")}, "InvalidSubnet.Range", "*")
	made := ask[ec2api.AssociateVpcCidrBlockResult](d, me, add("10.1.2.3/16")).CidrBlockAssociation
	if *made.CidrBlock != "10.1.0.0/16" || *made.CidrBlockState.State != "associating" {
		t.Errorf("made %+v", made)
	}
	subnet := d.newSubnet(vpc, "10.1.1.0/24")
	found := ask[ec2api.DescribeVpcsResult](d, me, &ec2api.DescribeVpcsRequest{Filters: []ec2api.Filter{filter("cidr-block-association.cidr-block", "10.1.0.0/16")}}).Vpcs
	if len(found) != 1 || *found[0].CidrBlock != "10.0.0.0/16" || len(found[0].CidrBlockAssociationSet) != 2 || *found[0].CidrBlockAssociationSet[1].AssociationId != *made.AssociationId {
		t.Fatalf("found %+v", found)
	}
	routes := ask[ec2api.DescribeRouteTablesResult](d, me, &ec2api.DescribeRouteTablesRequest{Filters: []ec2api.Filter{filter("vpc-id", vpc)}}).RouteTables[0]
	if len(routes.Routes) != 2 || *routes.Routes[1].DestinationCidrBlock != "10.1.0.0/16" || *routes.Routes[1].GatewayId != "local" {
		t.Errorf("routes %+v", routes.Routes)
	}
	d.refuse(me, &ec2api.DeleteRouteRequest{RouteTableId: routes.RouteTableId, DestinationCidrBlock: new("10.1.0.0/16")}, "InvalidParameterValue", "*")
	d.refuse(me, add("10.1.128.0/20"), "InvalidVpc.Range", "*")
	d.refuse(me, add("192.168.0.0/16"), "InvalidVpc.Range", "*")
	d.refuse(me, &ec2api.AssociateVpcCidrBlockRequest{VpcId: &vpc}, "InvalidParameterCombination", "*")
	d.refuse(me, &ec2api.AssociateVpcCidrBlockRequest{VpcId: &vpc, Ipv4IpamPoolId: new("ipam-pool-0")}, "UnsupportedOperation", "*")
	d.refuse(me, &ec2api.AssociateVpcCidrBlockRequest{VpcId: new("vpc-00000000"), CidrBlock: new("10.9.0.0/16")}, "InvalidVpcID.NotFound", "*")
	for _, cidr := range []string{"10.2.0.0/16", "10.3.0.0/16", "100.64.0.0/16"} {
		ask[ec2api.AssociateVpcCidrBlockResult](d, me, add(cidr))
	}
	d.refuse(me, add("10.5.0.0/16"), "CidrLimitExceeded", "*")
	gone := &ec2api.DisassociateVpcCidrBlockRequest{AssociationId: made.AssociationId}
	d.refuse(me, gone, "InvalidCidrBlock.InUse", "*")
	d.refuse(me, &ec2api.DisassociateVpcCidrBlockRequest{AssociationId: found[0].CidrBlockAssociationSet[0].AssociationId}, "OperationNotPermitted", "*")
	d.done(&ec2api.DeleteSubnetRequest{SubnetId: &subnet})
	if out := ask[ec2api.DisassociateVpcCidrBlockResult](d, me, gone); *out.VpcId != vpc || *out.CidrBlockAssociation.CidrBlock != "10.1.0.0/16" || out.Ipv6CidrBlockAssociation != nil {
		t.Errorf("gone %+v", out)
	}
	d.refuse(me, gone, "InvalidVpcCidrBlockAssociationID.NotFound", "*")
	d.done(&ec2api.DeleteVpcRequest{VpcId: &vpc})
}

// TestIPv6Ranges: Amazon gives a VPC one, and subnets have parts of it.
func TestIPv6Ranges(t *testing.T) {
	d := newDesk(t)
	me := d.root(mine)
	vpc := ask[ec2api.CreateVpcResult](d, me, &ec2api.CreateVpcRequest{CidrBlock: new("10.0.0.0/16"), AmazonProvidedIpv6CidrBlock: new(true)}).Vpc
	vpc = &ask[ec2api.DescribeVpcsResult](d, me, &ec2api.DescribeVpcsRequest{VpcIds: []string{*vpc.VpcId}}).Vpcs[0]
	six := vpc.Ipv6CidrBlockAssociationSet[0]
	whole := netip.MustParsePrefix(*six.Ipv6CidrBlock)
	part := func(n byte) *string {
		a := whole.Addr().As16()
		a[7] = n
		return new(netip.PrefixFrom(netip.AddrFrom16(a), 64).String())
	}
	if whole.Bits() != 56 || *six.NetworkBorderGroup != region || *six.Ipv6Pool != "Amazon" || *six.IpSource != "amazon" {
		t.Errorf("range %+v", six)
	}
	first := ask[ec2api.CreateSubnetResult](d, me, &ec2api.CreateSubnetRequest{VpcId: vpc.VpcId, CidrBlock: new("10.0.0.0/24"), Ipv6CidrBlock: part(1)}).Subnet
	if s := first.Ipv6CidrBlockAssociationSet; len(s) != 1 || *s[0].Ipv6CidrBlock != *part(1) {
		t.Errorf("subnet %+v", first)
	}
	d.refuse(me, &ec2api.CreateSubnetRequest{VpcId: vpc.VpcId, CidrBlock: new("10.0.1.0/24"), Ipv6CidrBlock: part(1)}, "InvalidSubnet.Conflict", "*")
	second := d.newSubnet(*vpc.VpcId, "10.0.1.0/24")
	join := func(cidr *string) *ec2api.AssociateSubnetCidrBlockRequest {
		return &ec2api.AssociateSubnetCidrBlockRequest{SubnetId: &second, Ipv6CidrBlock: cidr}
	}
	d.refuse(me, join(part(1)), "InvalidSubnet.Conflict", "*")
	d.refuse(me, join(new("2001:db9::/64")), "InvalidSubnet.Range", "*")
	d.refuse(me, join(nil), "MissingParameter", "*")
	made := ask[ec2api.AssociateSubnetCidrBlockResult](d, me, join(part(2)))
	if *made.SubnetId != second || *made.Ipv6CidrBlockAssociation.Ipv6CidrBlockState.State != "associating" {
		t.Errorf("made %+v", made)
	}
	d.refuse(me, join(part(3)), "InvalidParameterValue", "*")
	found := ask[ec2api.DescribeSubnetsResult](d, me, &ec2api.DescribeSubnetsRequest{Filters: []ec2api.Filter{filter("ipv6-cidr-block-association.ipv6-cidr-block", *part(2))}}).Subnets
	if len(found) != 1 || *found[0].SubnetId != second {
		t.Errorf("found %+v", found)
	}
	routes := ask[ec2api.DescribeRouteTablesResult](d, me, &ec2api.DescribeRouteTablesRequest{Filters: []ec2api.Filter{filter("vpc-id", *vpc.VpcId)}}).RouteTables[0].Routes
	if !slices.ContainsFunc(routes, func(r ec2api.Route) bool { return api.Val(r.DestinationIpv6CidrBlock) == whole.String() }) {
		t.Errorf("routes %+v", routes)
	}
	gone := &ec2api.DisassociateVpcCidrBlockRequest{AssociationId: six.AssociationId}
	d.refuse(me, gone, "InvalidCidrBlock.InUse", "*")
	for _, id := range []*string{made.Ipv6CidrBlockAssociation.AssociationId, first.Ipv6CidrBlockAssociationSet[0].AssociationId} {
		ask[ec2api.DisassociateSubnetCidrBlockResult](d, me, &ec2api.DisassociateSubnetCidrBlockRequest{AssociationId: id})
		d.refuse(me, &ec2api.DisassociateSubnetCidrBlockRequest{AssociationId: id}, "InvalidSubnetCidrBlockAssociationID.NotFound", "*")
	}
	if out := ask[ec2api.DisassociateVpcCidrBlockResult](d, me, gone); out.Ipv6CidrBlockAssociation == nil || out.CidrBlockAssociation != nil {
		t.Errorf("gone %+v", out)
	}
	added := ask[ec2api.AssociateVpcCidrBlockResult](d, me, &ec2api.AssociateVpcCidrBlockRequest{VpcId: vpc.VpcId, AmazonProvidedIpv6CidrBlock: new(true), Ipv6CidrBlockNetworkBorderGroup: new(region)})
	shown := ask[ec2api.DescribeVpcsResult](d, me, &ec2api.DescribeVpcsRequest{Filters: []ec2api.Filter{
		filter("ipv6-cidr-block-association.association-id", *added.Ipv6CidrBlockAssociation.AssociationId), filter("ipv6-cidr-block-association.state", "associated"),
	}}).Vpcs
	if len(shown) != 1 || len(shown[0].Ipv6CidrBlockAssociationSet) != 1 {
		t.Errorf("shown %+v", shown)
	}
}
