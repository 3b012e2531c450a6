// Package zone is which regions and availability zones there are.
package zone

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// A Service answers questions about them. Safe for concurrent use.
type Service struct{ g *guard.Guard }

// New makes a Service.
func New(g *guard.Guard) *Service { return &Service{g} }

// Operations are the handlers.
func (s *Service) Operations() map[string]guard.Handler {
	return map[string]guard.Handler{
		"DescribeAvailabilityZones": guard.Handle(s.DescribeAvailabilityZones),
		"DescribeRegions":           guard.Handle(s.DescribeRegions),

		"ModifyAvailabilityZoneGroup": guard.Handle(s.ModifyAvailabilityZoneGroup),
	}
}

// A Zone is an availability zone of a region.
type Zone struct {
	Name string // us-west-2a
	ID   string // usw2-az1
}

// regionLetters are the zones of the regions, by the last letter of their names. Which zone id
// hides behind a name is different for each AWS account; here they are numbered in order.
// Source: AWS Global Infrastructure, "Regions and Availability Zones".
var regionLetters = map[string]string{
	"us-east-1": "abcdef", "us-east-2": "abc", "us-west-1": "ac", "us-west-2": "abcd",
	"ca-central-1": "abd", "sa-east-1": "abc",
	"eu-central-1": "abc", "eu-west-1": "abc", "eu-west-2": "abc", "eu-west-3": "abc", "eu-north-1": "abc",
	"ap-northeast-1": "acd", "ap-northeast-2": "abcd", "ap-northeast-3": "abc",
	"ap-southeast-1": "abc", "ap-southeast-2": "abc", "ap-south-1": "abc",
	// Regions that an account must opt in to.
	"af-south-1": "abc", "ap-east-1": "abc", "ap-south-2": "abc", "ap-southeast-3": "abc", "ap-southeast-4": "abc",
	"ap-southeast-5": "abc", "ap-southeast-7": "abc", "ca-west-1": "abc", "eu-central-2": "abc", "eu-south-1": "abc",
	"eu-south-2": "abc", "il-central-1": "abc", "me-central-1": "abc", "me-south-1": "abc", "mx-central-1": "abc",
}

// optIn are the regions of regionLetters that an account must opt in to.
var optIn = map[string]bool{
	"af-south-1": true, "ap-east-1": true, "ap-south-2": true, "ap-southeast-3": true, "ap-southeast-4": true,
	"ap-southeast-5": true, "ap-southeast-7": true, "ca-west-1": true, "eu-central-2": true, "eu-south-1": true,
	"eu-south-2": true, "il-central-1": true, "me-central-1": true, "me-south-1": true, "mx-central-1": true,
}

// Of gives the zones of a region, in order. A region that is not known has three.
func Of(region string) []Zone {
	letters, ok := regionLetters[region]
	if !ok {
		letters = "abc"
	}
	prefix := zonePrefix(region)
	zones := make([]Zone, len(letters))
	for i := range letters {
		zones[i] = Zone{Name: region + letters[i:i+1], ID: prefix + "-az" + strconv.Itoa(i+1)}
	}
	return zones
}

// Regions are the names of all regions, in order.
func Regions() []string { return slices.Sorted(maps.Keys(regionLetters)) }

// ErrRegion is the error about a region that there is not.
func ErrRegion(name string) error { return idiom.InvalidValue("Invalid region: [%s]", name) }

// zonePrefix shortens a region's name as zone ids do: us-west-2 is usw2, ap-northeast-1 is apne1.
func zonePrefix(region string) string {
	parts := strings.Split(region, "-")
	if len(parts) != 3 {
		return strings.ReplaceAll(region, "-", "")
	}
	return parts[0] + strings.NewReplacer("north", "n", "south", "s", "east", "e", "west", "w", "central", "c").Replace(parts[1]) + parts[2]
}

// wire is the zone as answers carry it. Source: EC2 User Guide, "Describe your Availability Zones"; EC2 API Reference, AvailabilityZone.
func (z Zone) wire(region string) ec2api.AvailabilityZone {
	_, turn, _ := strings.Cut(z.ID, "-az")
	out := ec2api.AvailabilityZone{
		ZoneName: &z.Name, ZoneId: &z.ID, RegionName: &region, GroupName: new(region + "-zg-" + turn), NetworkBorderGroup: &region,
		State: new("available"), OptInStatus: new("opt-in-not-required"), ZoneType: new("availability-zone"),
		Messages: []ec2api.AvailabilityZoneMessage{},
	}
	if p, ok := places[region]; ok {
		out.GroupLongName = new(p.name + " " + turn)
		out.Geography = []ec2api.AvailabilityZoneGeography{{Name: &p.country}}
		if p.state != "" {
			out.SubGeography = []ec2api.AvailabilityZoneSubGeography{{Name: &p.state}}
		}
	}
	return out
}

var zoneFields = idiom.Fields[ec2api.AvailabilityZone]{
	"zone-name":            func(z ec2api.AvailabilityZone) []string { return idiom.One(*z.ZoneName) },
	"zone-id":              func(z ec2api.AvailabilityZone) []string { return idiom.One(*z.ZoneId) },
	"zone-type":            func(z ec2api.AvailabilityZone) []string { return idiom.One(*z.ZoneType) },
	"region-name":          func(z ec2api.AvailabilityZone) []string { return idiom.One(*z.RegionName) },
	"group-name":           func(z ec2api.AvailabilityZone) []string { return idiom.One(*z.GroupName) },
	"network-border-group": func(z ec2api.AvailabilityZone) []string { return idiom.One(*z.NetworkBorderGroup) },
	"opt-in-status":        func(z ec2api.AvailabilityZone) []string { return idiom.One(*z.OptInStatus) },
	"state":                func(z ec2api.AvailabilityZone) []string { return idiom.One(*z.State) },
	"message":              func(ec2api.AvailabilityZone) []string { return nil },
	"group-long-name":      func(z ec2api.AvailabilityZone) []string { return idiom.One(api.Val(z.GroupLongName)) },
	"parent-zone-id":       func(ec2api.AvailabilityZone) []string { return nil },
	"parent-zone-name":     func(ec2api.AvailabilityZone) []string { return nil },
}

// DescribeAvailabilityZones lists the zones of the region.
func (s *Service) DescribeAvailabilityZones(ctx context.Context, c *guard.Call, in *ec2api.DescribeAvailabilityZonesRequest) (*ec2api.DescribeAvailabilityZonesResult, error) {
	out := new(ec2api.DescribeAvailabilityZonesResult)
	err := idiom.ViewList(ctx, s.g, c, "ec2:DescribeAvailabilityZones", in.DryRun, func(store.Tx) error {
		var items []ec2api.AvailabilityZone
		for _, z := range Of(c.Region) {
			items = append(items, z.wire(c.Region))
		}
		items, err := idiom.Pick(items, in.ZoneNames, func(z ec2api.AvailabilityZone) string { return *z.ZoneName }, ErrUnknown)
		if err != nil {
			return err
		}
		items, err = idiom.Pick(items, in.ZoneIds, func(z ec2api.AvailabilityZone) string { return *z.ZoneId }, func(id string) error {
			return idiom.InvalidValue("Invalid availability zone-id: [%s]", id)
		})
		if err != nil {
			return err
		}
		out.AvailabilityZones, err = idiom.Keep(zoneFields, in.Filters, items)
		return err
	})
	return out, err
}

var regionFields = idiom.Fields[ec2api.Region]{
	"region-name":   func(r ec2api.Region) []string { return idiom.One(*r.RegionName) },
	"endpoint":      func(r ec2api.Region) []string { return idiom.One(*r.Endpoint) },
	"opt-in-status": func(r ec2api.Region) []string { return idiom.One(*r.OptInStatus) },
}

// DescribeRegions lists the regions. Every account has opted in to those that ask for it.
func (s *Service) DescribeRegions(ctx context.Context, c *guard.Call, in *ec2api.DescribeRegionsRequest) (*ec2api.DescribeRegionsResult, error) {
	out := new(ec2api.DescribeRegionsResult)
	err := idiom.ViewList(ctx, s.g, c, "ec2:DescribeRegions", in.DryRun, func(store.Tx) error {
		var items []ec2api.Region
		for _, name := range Regions() {
			status := "opt-in-not-required"
			if optIn[name] {
				status = "opted-in"
			}
			items = append(items, ec2api.Region{
				RegionName: &name, OptInStatus: &status, Endpoint: new("ec2." + name + ".amazonaws.com"),
				Geography: []ec2api.RegionGeography{{Name: new(places[name].country)}},
			})
		}
		items, err := idiom.Pick(items, in.RegionNames, func(r ec2api.Region) string { return *r.RegionName }, ErrRegion)
		if err != nil {
			return err
		}
		out.Regions, err = idiom.Keep(regionFields, in.Filters, items)
		return err
	})
	return out, err
}

// ErrUnknown is the error about a zone that the region does not have.
func ErrUnknown(name string) error {
	return idiom.InvalidValue("Invalid availability zone: [%s]", name)
}
