package ec2

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// typePage is the most types of an answer, and how many there are if nobody says.
const typePage = 100

// DescribeInstanceTypes describes the types that can be launched: every region offers all.
// Source: EC2 API Reference, DescribeInstanceTypes.
func (s *Service) DescribeInstanceTypes(ctx context.Context, c *guard.Call, in *ec2api.DescribeInstanceTypesRequest) (*ec2api.DescribeInstanceTypesResult, error) {
	out := new(ec2api.DescribeInstanceTypesResult)
	err := s.viewList(ctx, c, "ec2:DescribeInstanceTypes", in.DryRun, func(store.Tx) error {
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
		if items, err = keep(typeFields, in.Filters, items); err != nil {
			return err
		}
		name := func(t ec2api.InstanceTypeInfo) string { return *t.InstanceType }
		most := cmp.Or(api.Val(in.MaxResults), typePage)
		out.InstanceTypes, out.NextToken, err = paginate(c.Operation, items, name, limits{5, typePage}, &most, in.NextToken)
		return err
	})
	return out, err
}

// namedTypes are the types with the names, each once; without names all.
func namedTypes(names []string) ([]instanceType, error) {
	if len(names) == 0 {
		return instanceTypes(), nil
	}
	var out []instanceType
	var unknown []string
	for n, name := range names {
		switch t, ok := lookupType(name); {
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

var offeringFields = fields[ec2api.InstanceTypeOffering]{
	"instance-type": func(o ec2api.InstanceTypeOffering) []string { return oneOf(*o.InstanceType) },
	"location":      func(o ec2api.InstanceTypeOffering) []string { return oneOf(*o.Location) },
}

// DescribeInstanceTypeOfferings tells where types can be launched: everywhere.
func (s *Service) DescribeInstanceTypeOfferings(ctx context.Context, c *guard.Call, in *ec2api.DescribeInstanceTypeOfferingsRequest) (*ec2api.DescribeInstanceTypeOfferingsResult, error) {
	out := new(ec2api.DescribeInstanceTypeOfferingsResult)
	err := s.viewList(ctx, c, "ec2:DescribeInstanceTypeOfferings", in.DryRun, func(store.Tx) error {
		kind := api.Val(in.LocationType)
		locations := []string{c.Region}
		switch kind {
		case "", "region":
			kind = "region"
		case "availability-zone", "availability-zone-id":
			locations = nil
			for _, z := range zonesOf(c.Region) {
				if kind == "availability-zone" {
					locations = append(locations, z.Name)
				} else {
					locations = append(locations, z.ID)
				}
			}
		case "outpost":
			locations = nil
		default:
			return invalidValue("Value (%s) for parameter locationType is invalid. Valid values are region, availability-zone, availability-zone-id, outpost.", kind)
		}
		var items []ec2api.InstanceTypeOffering
		for _, t := range instanceTypes() {
			for _, l := range locations {
				items = append(items, ec2api.InstanceTypeOffering{InstanceType: new(t.Name), LocationType: &kind, Location: &l})
			}
		}
		items, err := keep(offeringFields, in.Filters, items)
		if err != nil {
			return err
		}
		key := func(o ec2api.InstanceTypeOffering) string { return store.Key(*o.InstanceType, *o.Location) }
		out.InstanceTypeOfferings, out.NextToken, err = paginate(c.Operation, items, key, limits{5, 1000}, in.MaxResults, in.NextToken)
		return err
	})
	return out, err
}
