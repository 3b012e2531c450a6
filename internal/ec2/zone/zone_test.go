package zone_test

import (
	"slices"
	"testing"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/ec2/ec2test"
	"github.com/kagimori/kagimori/internal/ec2/zone"
	"github.com/kagimori/kagimori/internal/guard"
)

func newDesk(t *testing.T) *ec2test.Desk {
	return ec2test.New(t, func(g *guard.Guard) map[string]guard.Handler { return zone.New(g).Operations() })
}

func TestZonesOfARegion(t *testing.T) {
	for region, want := range map[string][]zone.Zone{
		"us-west-1":      {{"us-west-1a", "usw1-az1"}, {"us-west-1c", "usw1-az2"}},
		"ap-northeast-1": {{"ap-northeast-1a", "apne1-az1"}, {"ap-northeast-1c", "apne1-az2"}, {"ap-northeast-1d", "apne1-az3"}},
		"me-central-1":   {{"me-central-1a", "mec1-az1"}, {"me-central-1b", "mec1-az2"}, {"me-central-1c", "mec1-az3"}},
		"mars-north-9":   {{"mars-north-9a", "marsn9-az1"}, {"mars-north-9b", "marsn9-az2"}, {"mars-north-9c", "marsn9-az3"}},
		"here":           {{"herea", "here-az1"}, {"hereb", "here-az2"}, {"herec", "here-az3"}},
	} {
		if got := zone.Of(region); !slices.Equal(got, want) {
			t.Errorf("%s has %v, want %v", region, got, want)
		}
	}
}

func TestDescribeAvailabilityZones(t *testing.T) {
	d := newDesk(t)
	for name, tt := range map[string]struct {
		in   ec2api.DescribeAvailabilityZonesRequest
		want []string
	}{
		"all":                             {ec2api.DescribeAvailabilityZonesRequest{}, []string{"us-west-2a", "us-west-2b", "us-west-2c", "us-west-2d"}},
		"by name":                         {ec2api.DescribeAvailabilityZonesRequest{ZoneNames: []string{"us-west-2c", "us-west-2a"}}, []string{"us-west-2a", "us-west-2c"}},
		"by id":                           {ec2api.DescribeAvailabilityZonesRequest{ZoneIds: []string{"usw2-az4"}}, []string{"us-west-2d"}},
		"by filter":                       {ec2api.DescribeAvailabilityZonesRequest{Filters: []ec2api.Filter{ec2test.Filter("state", "available"), ec2test.Filter("zone-id", "usw2-az[12]", "usw2-az?")}}, []string{"us-west-2a", "us-west-2b", "us-west-2c", "us-west-2d"}},
		"of a type that there is none of": {ec2api.DescribeAvailabilityZonesRequest{Filters: []ec2api.Filter{ec2test.Filter("zone-type", "local-zone")}}, nil},
	} {
		var got []string
		for _, z := range ec2test.Ask[ec2api.DescribeAvailabilityZonesResult](d, d.Root(), &tt.in).AvailabilityZones {
			got = append(got, *z.ZoneName)
			if *z.RegionName != "us-west-2" || *z.ZoneType != "availability-zone" || *z.State != "available" || *z.OptInStatus != "opt-in-not-required" {
				t.Errorf("%s: %+v", name, z)
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
	d.Refuse(d.Root(), &ec2api.DescribeAvailabilityZonesRequest{ZoneNames: []string{"us-west-2z"}}, "InvalidParameterValue", "Invalid availability zone: [us-west-2z]")
	d.Refuse(d.Root(), &ec2api.DescribeAvailabilityZonesRequest{ZoneIds: []string{"use1-az1"}}, "InvalidParameterValue", "Invalid availability zone-id: [use1-az1]")
	d.Refuse(d.Root(), &ec2api.DescribeAvailabilityZonesRequest{DryRun: new(true)}, "DryRunOperation", "*")
	d.Refuse(d.Allowed("u", `"ec2:DescribeRegions"`, `"*"`, ""), &ec2api.DescribeAvailabilityZonesRequest{}, "UnauthorizedOperation", "*")
}

func TestDescribeRegions(t *testing.T) {
	d := newDesk(t)
	all := ec2test.Ask[ec2api.DescribeRegionsResult](d, d.Root(), &ec2api.DescribeRegionsRequest{}).Regions
	status := map[string]string{}
	for _, r := range all {
		status[*r.RegionName] = *r.OptInStatus
		if *r.Endpoint != "ec2."+*r.RegionName+".amazonaws.com" {
			t.Errorf("%s is at %s", *r.RegionName, *r.Endpoint)
		}
	}
	if len(all) < 30 || status["us-east-1"] != "opt-in-not-required" || status["ap-east-1"] != "opted-in" {
		t.Errorf("%v", status)
	}
	got := ec2test.Ask[ec2api.DescribeRegionsResult](d, d.Root(), &ec2api.DescribeRegionsRequest{
		Filters: []ec2api.Filter{ec2test.Filter("opt-in-status", "opt-in-not-required"), ec2test.Filter("region-name", "us-*")},
	}).Regions
	var names []string
	for _, r := range got {
		names = append(names, *r.RegionName)
	}
	if want := []string{"us-east-1", "us-east-2", "us-west-1", "us-west-2"}; !slices.Equal(names, want) {
		t.Errorf("got %v", names)
	}
	d.Refuse(d.Root(), &ec2api.DescribeRegionsRequest{RegionNames: []string{"mars-1"}}, "InvalidParameterValue", "Invalid region: [mars-1]")
}

// Source: EC2 User Guide, "Describe your Availability Zones".
func TestZonesTellWhereTheyAre(t *testing.T) {
	d := newDesk(t)
	in := &ec2api.DescribeAvailabilityZonesRequest{Filters: []ec2api.Filter{ec2test.Filter("group-name", "us-west-2-zg-3"), ec2test.Filter("group-long-name", "US West (Oregon) 3")}}
	zones := ec2test.Ask[ec2api.DescribeAvailabilityZonesResult](d, d.Root(), in).AvailabilityZones
	if len(zones) != 1 || *zones[0].ZoneName != "us-west-2c" || *zones[0].Geography[0].Name != "United States of America" || *zones[0].SubGeography[0].Name != "Oregon" {
		t.Errorf("found %+v", zones)
	}
	for _, r := range ec2test.Ask[ec2api.DescribeRegionsResult](d, d.Root(), &ec2api.DescribeRegionsRequest{}).Regions {
		if *r.Geography[0].Name == "" {
			t.Errorf("where is %s?", *r.RegionName)
		}
	}
}
