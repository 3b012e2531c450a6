package ec2_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/api/ec2api"
)

func TestEveryAccountHasADefaultVPC(t *testing.T) {
	d := newDesk(t)
	vpc := ask[ec2api.DescribeVpcsResult](d, d.root(mine), &ec2api.DescribeVpcsRequest{Filters: []ec2api.Filter{filter("isDefault", "true")}}).Vpcs
	if len(vpc) != 1 || *vpc[0].CidrBlock != "172.31.0.0/16" || *vpc[0].OwnerId != mine {
		t.Fatalf("got %+v", vpc)
	}
	again := ask[ec2api.DescribeVpcsResult](d, d.root(mine), &ec2api.DescribeVpcsRequest{VpcIds: []string{*vpc[0].VpcId}}).Vpcs
	if *again[0].VpcId != *vpc[0].VpcId {
		t.Error("the id changes")
	}
	other := ask[ec2api.DescribeVpcsResult](d, d.root(theirs), &ec2api.DescribeVpcsRequest{}).Vpcs
	if *other[0].VpcId == *vpc[0].VpcId {
		t.Error("two accounts share a VPC")
	}
	d.refuse(d.root(theirs), &ec2api.DescribeVpcsRequest{VpcIds: []string{*vpc[0].VpcId}}, "InvalidVpcID.NotFound", "The vpc ID '"+*vpc[0].VpcId+"' does not exist")

	tests := []struct {
		attribute string
		want      ec2api.DescribeVpcAttributeResult
	}{
		{"enableDnsSupport", ec2api.DescribeVpcAttributeResult{EnableDnsSupport: &ec2api.AttributeBooleanValue{Value: new(true)}}},
		{"enableDnsHostnames", ec2api.DescribeVpcAttributeResult{EnableDnsHostnames: &ec2api.AttributeBooleanValue{Value: new(true)}}},
		{"enableNetworkAddressUsageMetrics", ec2api.DescribeVpcAttributeResult{EnableNetworkAddressUsageMetrics: &ec2api.AttributeBooleanValue{Value: new(false)}}},
	}
	for _, tt := range tests {
		tt.want.VpcId = vpc[0].VpcId
		got := ask[ec2api.DescribeVpcAttributeResult](d, d.root(mine), &ec2api.DescribeVpcAttributeRequest{VpcId: vpc[0].VpcId, Attribute: &tt.attribute})
		if diff := cmp.Diff(&tt.want, got); diff != "" {
			t.Errorf("%s: %s", tt.attribute, diff)
		}
	}
	d.refuse(d.root(theirs), &ec2api.DescribeVpcAttributeRequest{VpcId: vpc[0].VpcId, Attribute: new("enableDnsSupport")}, "InvalidVpcID.NotFound", "*")
}

func TestSubnetsCoverTheZonesWithoutOverlap(t *testing.T) {
	d := newDesk(t)
	zones := ask[ec2api.DescribeAvailabilityZonesResult](d, d.root(mine), &ec2api.DescribeAvailabilityZonesRequest{
		Filters: []ec2api.Filter{filter("state", "available")},
	}).AvailabilityZones
	subnets := ask[ec2api.DescribeSubnetsResult](d, d.root(mine), &ec2api.DescribeSubnetsRequest{}).Subnets
	if len(zones) != 4 || len(subnets) != 4 {
		t.Fatalf("%d zones, %d subnets", len(zones), len(subnets))
	}
	vpc := netip.MustParsePrefix("172.31.0.0/16")
	var seen []netip.Prefix
	for _, n := range subnets {
		if !slices.ContainsFunc(zones, func(z ec2api.AvailabilityZone) bool {
			return *z.ZoneName == *n.AvailabilityZone && *z.ZoneId == *n.AvailabilityZoneId
		}) {
			t.Errorf("no zone %s (%s)", *n.AvailabilityZone, *n.AvailabilityZoneId)
		}
		p := netip.MustParsePrefix(*n.CidrBlock)
		if !vpc.Overlaps(p) || slices.ContainsFunc(seen, p.Overlaps) {
			t.Errorf("subnet %s lies wrong", p)
		}
		seen = append(seen, p)
	}
	if *zones[0].ZoneName != "us-west-2a" || *zones[0].ZoneId != "usw2-az1" || *zones[0].ZoneType != "availability-zone" {
		t.Errorf("first zone %s %s", *zones[0].ZoneName, *zones[0].ZoneId)
	}
	one := ask[ec2api.DescribeSubnetsResult](d, d.root(mine), &ec2api.DescribeSubnetsRequest{Filters: []ec2api.Filter{
		filter("vpc-id", *subnets[0].VpcId), filter("default-for-az", "true"), filter("availability-zone", "us-west-2c", "us-west-2x"),
	}}).Subnets
	if len(one) != 1 || *one[0].AvailabilityZoneId != "usw2-az3" {
		t.Errorf("got %d subnets", len(one))
	}
	d.refuse(d.root(mine), &ec2api.DescribeSubnetsRequest{SubnetIds: []string{"subnet-12345678"}}, "InvalidSubnetID.NotFound", "The subnet ID 'subnet-12345678' does not exist")
}

func TestDefaultGroupAndMainRouteTable(t *testing.T) {
	d := newDesk(t)
	vpc := *ask[ec2api.DescribeVpcsResult](d, d.root(mine), &ec2api.DescribeVpcsRequest{}).Vpcs[0].VpcId
	groups := ask[ec2api.DescribeSecurityGroupsResult](d, d.root(mine), &ec2api.DescribeSecurityGroupsRequest{
		Filters: []ec2api.Filter{filter("group-name", "default"), filter("vpc-id", vpc)},
	}).SecurityGroups
	if len(groups) != 1 || *groups[0].IpPermissions[0].UserIdGroupPairs[0].GroupId != *groups[0].GroupId {
		t.Errorf("got %+v", groups)
	}
	d.refuse(d.root(mine), &ec2api.DescribeSecurityGroupsRequest{GroupIds: []string{"sg-12345678"}}, "InvalidGroup.NotFound", "The security group 'sg-12345678' does not exist")
	d.refuse(d.root(mine), &ec2api.DescribeSecurityGroupsRequest{GroupIds: []string{"web"}}, "InvalidGroupId.Malformed", `Invalid id: "web" (expecting "sg-...")`)
	d.refuse(d.root(mine), &ec2api.DescribeSecurityGroupsRequest{GroupIds: []string{""}}, "InvalidParameterValue", "Value () for parameter groupId is invalid. The value cannot be empty")
	d.refuse(d.root(mine), &ec2api.DescribeSecurityGroupsRequest{GroupNames: []string{"web"}}, "InvalidGroup.NotFound", "The security group 'web' does not exist in default VPC '"+vpc+"'")

	tables := ask[ec2api.DescribeRouteTablesResult](d, d.root(mine), &ec2api.DescribeRouteTablesRequest{
		Filters: []ec2api.Filter{filter("association.main", "true"), filter("vpc-id", vpc), filter("route.destination-cidr-block", "0.0.0.0/0")},
	}).RouteTables
	if len(tables) != 1 || len(tables[0].Routes) != 2 {
		t.Errorf("got %+v", tables)
	}
	none := ask[ec2api.DescribeRouteTablesResult](d, d.root(mine), &ec2api.DescribeRouteTablesRequest{
		Filters: []ec2api.Filter{filter("association.main", "false")},
	}).RouteTables
	if len(none) != 0 {
		t.Errorf("got %d tables", len(none))
	}
}

func TestDescribingNeedsPermission(t *testing.T) {
	d := newDesk(t)
	nobody := d.User(mine, "nobody")
	vpc := *ask[ec2api.DescribeVpcsResult](d, d.root(mine), &ec2api.DescribeVpcsRequest{}).Vpcs[0].VpcId
	requests := []any{
		&ec2api.DescribeVpcsRequest{}, &ec2api.DescribeSubnetsRequest{}, &ec2api.DescribeRouteTablesRequest{}, &ec2api.DescribeSecurityGroupsRequest{},
		&ec2api.DescribeVpcAttributeRequest{VpcId: &vpc, Attribute: new("enableDnsSupport")},
		&ec2api.DescribeAvailabilityZonesRequest{}, &ec2api.DescribeRegionsRequest{}, &ec2api.DescribeInstanceTypesRequest{},
		&ec2api.DescribeInstanceTypeOfferingsRequest{}, &ec2api.DescribeImagesRequest{}, &ec2api.DescribeSnapshotsRequest{},
		&ec2api.DescribeTagsRequest{}, &ec2api.DescribeLaunchTemplatesRequest{},
		&ec2api.DescribeLaunchTemplateVersionsRequest{Versions: []string{"$Latest"}},
		&ec2api.GetEbsDefaultKmsKeyIdRequest{}, &ec2api.GetEbsEncryptionByDefaultRequest{}, &ec2api.EnableEbsEncryptionByDefaultRequest{},
		&ec2api.DisableEbsEncryptionByDefaultRequest{}, &ec2api.ResetEbsDefaultKmsKeyIdRequest{},
		&ec2api.ModifyEbsDefaultKmsKeyIdRequest{KmsKeyId: new("alias/data")},
	}
	for _, in := range requests {
		d.refuse(nobody, in, "UnauthorizedOperation", "*")
	}
	elsewhere := d.allowed("elsewhere", `"ec2:Describe*"`, `"*"`, `{"StringEquals":{"ec2:Region":"eu-west-1"}}`)
	d.refuse(elsewhere, &ec2api.DescribeVpcsRequest{}, "UnauthorizedOperation", "*")
	here := d.allowed("here", `"ec2:Describe*"`, `"*"`, `{"StringEquals":{"ec2:Region":"us-west-2"}}`)
	ask[ec2api.DescribeVpcsResult](d, here, &ec2api.DescribeVpcsRequest{})
}

func TestDryRunAnswersAfterTheDecision(t *testing.T) {
	d := newDesk(t)
	in := &ec2api.DescribeInstanceTypesRequest{DryRun: new(true)}
	d.refuse(d.root(mine), in, "DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
	d.refuse(d.User(mine, "nobody"), in, "UnauthorizedOperation", "*")
	d.refuse(d.root(mine), &ec2api.EnableEbsEncryptionByDefaultRequest{DryRun: new(true)}, "DryRunOperation", "*")
	if *ask[ec2api.GetEbsEncryptionByDefaultResult](d, d.root(mine), &ec2api.GetEbsEncryptionByDefaultRequest{}).EbsEncryptionByDefault {
		t.Error("a dry run changed the setting")
	}
}
