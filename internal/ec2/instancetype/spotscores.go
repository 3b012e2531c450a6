package instancetype

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/ec2/zone"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// Scores: capacity never lacks here, so that only the choice of types makes one low. AWS says that it is below enoughTypes
// types, or if all are sizes of one family; not how low. Source: EC2 User Guide, "Spot placement score", Limitations.
const (
	highScore   = 10
	lowScore    = 3
	noScore     = 1 // of types that there are no Spot Instances of
	enoughTypes = 3
	topScores   = 10 // regions or zones in an answer
)

// GetSpotPlacementScores tells how likely it is that a region, or a zone, has the Spot capacity that is asked for: those
// of the caller's region first, then by name. The capacity does not change the score.
// Source: EC2 API Reference, GetSpotPlacementScores.
func (s *Service) GetSpotPlacementScores(ctx context.Context, c *guard.Call, in *ec2api.GetSpotPlacementScoresRequest) (*ec2api.GetSpotPlacementScoresResult, error) {
	out := new(ec2api.GetSpotPlacementScoresResult)
	return out, idiom.ViewList(ctx, s.g, c, "ec2:"+c.Operation, in.DryRun, func(store.Tx) error {
		types, err := scoredTypes(in)
		if err != nil {
			return err
		}
		regions, err := scoredRegions(c, in)
		if err != nil {
			return err
		}
		items, score := []ec2api.SpotPlacementScore{}, scoreOf(types)
		for _, name := range regions {
			if !api.Val(in.SingleAvailabilityZone) {
				items = append(items, ec2api.SpotPlacementScore{Region: &name, Score: &score})
				continue
			}
			for _, z := range zone.Of(name) {
				items = append(items, ec2api.SpotPlacementScore{Region: &name, AvailabilityZoneId: &z.ID, Score: &score})
			}
		}
		items = items[:min(len(items), topScores)]
		place := map[string]int{}
		id := func(p ec2api.SpotPlacementScore) string { return cmp.Or(api.Val(p.AvailabilityZoneId), *p.Region) }
		for n, p := range items {
			place[id(p)] = n
		}
		key := func(p ec2api.SpotPlacementScore) string { return fmt.Sprintf("%02d", place[id(p)]) }
		out.SpotPlacementScores, out.NextToken, err = idiom.Page(c.Operation, items, key, idiom.AnyPage, in.MaxResults, in.NextToken)
		return err
	})
}

// scoredRegions are the regions that a request names, or all: the caller's first.
func scoredRegions(c *guard.Call, in *ec2api.GetSpotPlacementScoresRequest) ([]string, error) {
	regions := zone.Regions()
	for _, name := range in.RegionNames {
		if !slices.Contains(regions, name) {
			return nil, zone.ErrRegion(name)
		}
	}
	if len(in.RegionNames) > 0 {
		regions = slices.DeleteFunc(regions, func(name string) bool { return !slices.Contains(in.RegionNames, name) })
	}
	if at := slices.Index(regions, c.Region); at > 0 {
		regions = slices.Insert(slices.Delete(regions, at, at+1), 0, c.Region)
	}
	return regions, nil
}

// scoredTypes are the types that a request names or describes.
func scoredTypes(in *ec2api.GetSpotPlacementScoresRequest) ([]Type, error) {
	with := in.InstanceRequirementsWithMetadata
	if unit := api.Val(in.TargetCapacityUnitType); unit != "" && !slices.Contains([]string{"vcpu", "memory-mib", "units"}, unit) {
		return nil, idiom.InvalidValue("Value (%s) for parameter targetCapacityUnitType is invalid.", unit)
	}
	switch {
	case len(in.InstanceTypes) > 0 && with != nil:
		return nil, apierr.New("InvalidParameterCombination", "InstanceTypes and InstanceRequirementsWithMetadata cannot be specified together.")
	case len(in.InstanceTypes) > 0:
		return namedTypes(in.InstanceTypes)
	case with == nil || with.InstanceRequirements == nil:
		return nil, apierr.New("MissingParameter", "The request must contain the parameter InstanceTypes or InstanceRequirementsWithMetadata.InstanceRequirements")
	}
	if err := checkKinds(with.ArchitectureTypes, with.VirtualizationTypes); err != nil {
		return nil, err
	}
	asked := *with.InstanceRequirements
	asked.RequireHibernateSupport = nil // it is not for this operation. Source: EC2 API Reference, InstanceRequirementsRequest.
	if err := cmp.Or(CheckRequirements(&ec2api.RequestLaunchTemplateData{InstanceRequirements: &asked}), CheckFactors(&asked)); err != nil {
		return nil, err
	}
	some := func(asked []string, has func(string) bool) bool {
		return len(asked) == 0 || slices.ContainsFunc(asked, has)
	}
	return slices.DeleteFunc(All(), func(t Type) bool {
		return !some(with.ArchitectureTypes, t.Runs) || !t.meets(&asked) ||
			!some(with.VirtualizationTypes, func(v string) bool { return slices.Contains(t.Virtualization(), v) })
	}), nil
}

func scoreOf(types []Type) int32 {
	spot, families := 0, map[string]bool{}
	for _, t := range types {
		if t.Spot() {
			spot, families[t.Family.Name] = spot+1, true
		}
	}
	switch {
	case spot == 0:
		return noScore
	case spot < enoughTypes || len(families) == 1:
		return lowScore
	}
	return highScore
}
