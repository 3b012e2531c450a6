package ec2

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	json "github.com/go-json-experiment/json"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// ModifyFleet changes the target capacity of a fleet that maintains it.
// Source: EC2 API Reference, ModifyFleet.
func (s *Service) ModifyFleet(ctx context.Context, c *guard.Call, in *ec2api.ModifyFleetRequest) (*ec2api.ModifyFleetResult, error) {
	if err := checkContext(c, in.Context); err != nil {
		return nil, err
	}
	var f fleetRecord
	err := s.g.Update(ctx, c, func(tx store.Tx) error {
		id := api.Val(in.FleetId)
		tags, err := tagsOf(tx, c.Region, c.Account(), id)
		if err != nil {
			return err
		}
		var ok bool
		if f, ok, err = fleetTable.Get(tx, c.Region, c.Account(), id); err != nil {
			return err
		}
		p := s.part(c, "ec2:ModifyFleet", "fleet/"+id, tags)
		if in.ExcessCapacityTerminationPolicy != nil {
			setAttribute(&p, "ExcessCapacityTerminationPolicy", *in.ExcessCapacityTerminationPolicy)
		}
		c.Touch(p.Resource.ARN, c.Account(), "AWS::EC2::EC2Fleet")
		parts := []authz.Part{p}
		if ok && len(in.LaunchTemplateConfigs) > 0 {
			unit, err := f.unit(in.TargetCapacitySpecification)
			if err != nil {
				return err
			}
			if f.Pools, err = s.poolsOf(tx, c, in.LaunchTemplateConfigs, unit); err != nil {
				return err
			}
			templates, err := s.fleetTemplates(tx, c, &f)
			if err != nil {
				return err
			}
			parts = append(parts, templates...)
		}
		if _, err := s.g.Authorize(tx, c, guard.Check{Parts: parts}); err != nil {
			return err
		}
		switch {
		case !ok || f.spotFleet():
			return errFleet(id)
		case f.Type != fleetMaintain:
			return apierr.New("InvalidParameterValue", "Only fleets of type maintain can be modified.")
		case !f.live():
			return apierr.Newf("IncorrectState", "The fleet %s is not in a modifiable state.", id)
		}
		if err := dryRun(in.DryRun); err != nil {
			return err
		}
		var config ec2api.CreateFleetRequest
		if err := json.Unmarshal(f.Config, &config); err != nil {
			return err
		}
		if t := in.TargetCapacitySpecification; t != nil {
			t = keepDefault(t, config.TargetCapacitySpecification)
			if f.OnDemand, f.Spot, err = targets(t); err != nil {
				return err
			}
			config.TargetCapacitySpecification = t
		}
		if err := f.checkSize(); err != nil {
			return err
		}
		if v := in.ExcessCapacityTerminationPolicy; v != nil {
			f.Excess, config.ExcessCapacityTerminationPolicy = *v, v
		}
		if len(in.LaunchTemplateConfigs) > 0 {
			config.LaunchTemplateConfigs = in.LaunchTemplateConfigs
		}
		if f.Config, err = json.Marshal(config, json.OmitZeroStructFields(true), json.Deterministic(true)); err != nil {
			return err
		}
		f.Done, f.Failures = false, 0
		return putFleet(tx, f)
	})
	if err != nil {
		return nil, err
	}
	s.fleetLater(&f, s.timing.Volume)
	return &ec2api.ModifyFleetResult{Return: new(true)}, nil
}

// unit is what a fleet's capacity is counted in, as a change says it or else the fleet.
func (f *fleetRecord) unit(to *ec2api.TargetCapacitySpecificationRequest) (*string, error) {
	if to != nil && to.TargetCapacityUnitType != nil {
		return to.TargetCapacityUnitType, nil
	}
	if f.spotFleet() {
		var d ec2api.SpotFleetRequestConfigData
		err := json.Unmarshal(f.Config, &d)
		return d.TargetCapacityUnitType, err
	}
	var config ec2api.CreateFleetRequest
	if err := json.Unmarshal(f.Config, &config); err != nil || config.TargetCapacitySpecification == nil {
		return nil, err
	}
	return config.TargetCapacitySpecification.TargetCapacityUnitType, nil
}

// keepDefault is a new target capacity of a fleet; what it does not say of the kind of capacity stays.
func keepDefault(to, was *ec2api.TargetCapacitySpecificationRequest) *ec2api.TargetCapacitySpecificationRequest {
	out := *to
	if was == nil {
		return &out
	}
	if out.DefaultTargetCapacityType == nil {
		out.DefaultTargetCapacityType = was.DefaultTargetCapacityType
	}
	if out.TargetCapacityUnitType == nil {
		out.TargetCapacityUnitType = was.TargetCapacityUnitType
	}
	return &out
}

// wellFormed reports whether an id is a prefix and a UUID.
func wellFormed(prefix, id string) bool {
	rest, ok := strings.CutPrefix(id, prefix)
	return ok && len(rest) == 36 && strings.Count(rest, "-") == 4 && strings.Trim(rest, "0123456789abcdef-") == ""
}

func errFleet(id string) error {
	if !wellFormed("fleet-", id) {
		return apierr.Newf("InvalidFleetId.Malformed", "The fleet ID '%s' is malformed", id)
	}
	return apierr.Newf("InvalidFleetId.NotFound", "The fleet ID '%s' does not exist", id)
}

// DeleteFleets deletes fleets, with their instances or without.
// Source: EC2 API Reference, DeleteFleets.
func (s *Service) DeleteFleets(ctx context.Context, c *guard.Call, in *ec2api.DeleteFleetsRequest) (*ec2api.DeleteFleetsResult, error) {
	if in.TerminateInstances == nil {
		return nil, apierr.New("MissingParameter", "The request must contain the parameter TerminateInstances")
	}
	out := &ec2api.DeleteFleetsResult{}
	done, bad, err := s.endFleets(ctx, c, in.FleetIds, "fleet", *in.TerminateInstances, in.DryRun)
	for _, f := range done {
		out.SuccessfulFleetDeletions = append(out.SuccessfulFleetDeletions, ec2api.DeleteFleetSuccessItem{
			FleetId: &f.ID, CurrentFleetState: &f.State, PreviousFleetState: &f.was,
		})
	}
	for _, id := range slices.Sorted(maps.Keys(bad)) {
		why := bad[id]
		out.UnsuccessfulFleetDeletions = append(out.UnsuccessfulFleetDeletions, ec2api.DeleteFleetErrorItem{
			FleetId: &id, Error: &ec2api.DeleteFleetError{Code: &why[0], Message: &why[1]},
		})
	}
	return out, err
}

type endedFleet struct {
	fleetRecord
	was string
}

// endFleets ends fleets of a kind; those that it cannot end it tells with the reason.
func (s *Service) endFleets(ctx context.Context, c *guard.Call, ids []string, kind string, instances bool, flag *bool) (done []endedFleet, bad map[string][2]string, err error) {
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	if len(ids) == 0 {
		return nil, nil, apierr.New("MissingParameter", "The request must contain the fleet IDs")
	}
	if len(ids) > 25 && instances || len(ids) > togetherVolumes {
		return nil, nil, invalidValue("You can specify up to 25 fleets in a single request.")
	}

	err = s.g.Update(ctx, c, func(tx store.Tx) error {
		done, bad = nil, map[string][2]string{}
		var parts []authz.Part
		for _, id := range ids {
			tags, err := tagsOf(tx, c.Region, c.Account(), id)
			if err != nil {
				return err
			}
			parts = append(parts, s.part(c, "ec2:"+c.Operation, kind+"/"+id, tags))
		}
		if _, err := s.g.Authorize(tx, c, guard.Check{Parts: parts}); err != nil {
			return err
		}
		if err := dryRun(flag); err != nil {
			return err
		}
		for _, id := range ids {
			f, ok, err := fleetTable.Get(tx, c.Region, c.Account(), id)
			switch {
			case err != nil:
				return err
			case !ok || f.spotFleet() != (kind == "spot-fleet-request"):
				bad[id] = [2]string{"fleetIdDoesNotExist", "The fleet ID '" + id + "' does not exist"}
				continue
			case !f.live() && (f.State != fleetRunning || !instances): // it has ended so already
				done = append(done, endedFleet{f, f.State})
				continue
			case f.Type == fleetInstant && !instances:
				bad[id] = [2]string{"fleetNotInDeletableState", "A fleet of type instant is deleted with its instances only"}
				continue
			}
			was := f.State
			f.end(s.g.Now(), instances)
			done = append(done, endedFleet{f, was})
			if err := putFleet(tx, f); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	for n := range done {
		f := &done[n].fleetRecord
		switch {
		case f.Type == fleetInstant: // there is no role that could do it
			if err := s.endInstant(ctx, c, f); err != nil {
				return nil, nil, err
			}
		case instances:
			s.fleetLater(f, time.Millisecond)
		}
	}
	return done, bad, nil
}

// endInstant terminates the instances of a fleet of the type instant, as the caller.
func (s *Service) endInstant(ctx context.Context, c *guard.Call, f *fleetRecord) error {
	var ids []string
	err := s.g.Read(ctx, func(tx store.Tx) error {
		ids = nil
		n, err := rosterOf(tx, f.Region, f.Account).census(f.ID)
		if err != nil {
			return err
		}
		for _, m := range n.members {
			ids = append(ids, m.Instance)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.terminateAs(ctx, c, c.Caller, ids)
}
