// Package instancetype is the instance types as EC2 offers them: what they are, where they are, which of them have the
// attributes that somebody asks for, and what they can not do. What they are made of is in package hardware.
package instancetype

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/ec2/zone"
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
		"DescribeInstanceTypes":                    guard.Handle(s.DescribeInstanceTypes),
		"DescribeSpotPriceHistory":                 guard.Handle(s.DescribeSpotPriceHistory),
		"GetSpotPlacementScores":                   guard.Handle(s.GetSpotPlacementScores),
		"DescribeInstanceTypeOfferings":            guard.Handle(s.DescribeInstanceTypeOfferings),
		"DescribeReservedInstancesOfferings":       guard.Handle(s.DescribeReservedInstancesOfferings),
		"GetInstanceTypesFromInstanceRequirements": guard.Handle(s.GetInstanceTypesFromInstanceRequirements),
	}
}

// typePage is the most types of an answer, and how many there are if nobody says.
const typePage = 100

// DescribeInstanceTypes describes the types that can be launched: every region offers all.
// Source: EC2 API Reference, DescribeInstanceTypes.
func (s *Service) DescribeInstanceTypes(ctx context.Context, c *guard.Call, in *ec2api.DescribeInstanceTypesRequest) (*ec2api.DescribeInstanceTypesResult, error) {
	out := new(ec2api.DescribeInstanceTypesResult)
	err := idiom.ViewList(ctx, s.g, c, "ec2:DescribeInstanceTypes", in.DryRun, func(store.Tx) error {
		types, err := namedTypes(in.InstanceTypes)
		if err != nil {
			return err
		}
		items := make([]ec2api.InstanceTypeInfo, len(types))
		for n, t := range types {
			items[n] = t.wire()
			if api.Val(in.IncludeUnsupportedInRegion) {
				items[n].SupportedInRegion = new(true)
			}
		}
		if items, err = idiom.Keep(typeFields, in.Filters, items); err != nil {
			return err
		}
		name := func(t ec2api.InstanceTypeInfo) string { return *t.InstanceType }
		most := cmp.Or(api.Val(in.MaxResults), typePage)
		out.InstanceTypes, out.NextToken, err = idiom.Page(c.Operation, items, name, idiom.Limits{Least: 5, Most: typePage}, &most, in.NextToken)
		return err
	})
	return out, err
}

// namedTypes are the types with the names, each once; without names all.
func namedTypes(names []string) ([]Type, error) {
	if len(names) == 0 {
		return All(), nil
	}
	var out []Type
	var unknown []string
	for n, name := range names {
		switch t, ok := Lookup(name); {
		case !ok:
			unknown = append(unknown, name)
		case !slices.Contains(names[:n], name):
			out = append(out, t)
		}
	}
	if len(unknown) > 0 {
		return nil, apierr.Newf("InvalidInstanceType", "The following supplied instance types do not exist: [%s]", strings.Join(unknown, ", "))
	}
	return out, nil
}

var offeringFields = idiom.Fields[ec2api.InstanceTypeOffering]{
	"instance-type": func(o ec2api.InstanceTypeOffering) []string { return idiom.One(*o.InstanceType) },
	"location":      func(o ec2api.InstanceTypeOffering) []string { return idiom.One(*o.Location) },
}

// DescribeInstanceTypeOfferings tells where types can be launched: everywhere.
func (s *Service) DescribeInstanceTypeOfferings(ctx context.Context, c *guard.Call, in *ec2api.DescribeInstanceTypeOfferingsRequest) (*ec2api.DescribeInstanceTypeOfferingsResult, error) {
	out := new(ec2api.DescribeInstanceTypeOfferingsResult)
	err := idiom.ViewList(ctx, s.g, c, "ec2:DescribeInstanceTypeOfferings", in.DryRun, func(store.Tx) error {
		kind := api.Val(in.LocationType)
		locations := []string{c.Region}
		switch kind {
		case "", "region":
			kind = "region"
		case "availability-zone", "availability-zone-id":
			locations = nil
			for _, z := range zone.Of(c.Region) {
				if kind == "availability-zone" {
					locations = append(locations, z.Name)
				} else {
					locations = append(locations, z.ID)
				}
			}
		case "outpost":
			locations = nil
		default:
			return idiom.InvalidValue("Value (%s) for parameter locationType is invalid. Valid values are region, availability-zone, availability-zone-id, outpost.", kind)
		}
		var items []ec2api.InstanceTypeOffering
		for _, t := range All() {
			for _, l := range locations {
				items = append(items, ec2api.InstanceTypeOffering{InstanceType: new(t.Name), LocationType: &kind, Location: &l})
			}
		}
		items, err := idiom.Keep(offeringFields, in.Filters, items)
		if err != nil {
			return err
		}
		key := func(o ec2api.InstanceTypeOffering) string { return store.Key(*o.InstanceType, *o.Location) }
		out.InstanceTypeOfferings, out.NextToken, err = idiom.Page(c.Operation, items, key, idiom.Limits{Least: 5, Most: 1000}, in.MaxResults, in.NextToken)
		return err
	})
	return out, err
}
