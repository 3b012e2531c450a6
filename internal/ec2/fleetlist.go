package ec2

import (
	"context"
	"slices"

	json "github.com/go-json-experiment/json"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// activity says how far a fleet has come. Source: EC2 API Reference, FleetData, ActivityStatus.
func (f *fleetRecord) activity(n *fleetCensus) string {
	full := n.onDemand >= float64(f.OnDemand) && n.spot >= float64(f.Spot)
	switch {
	case f.State == fleetTerminating && len(n.members)+n.ending > 0:
		return "pending_termination"
	case full || f.Type == fleetRequest && f.Done:
		return "fulfilled"
	case len(f.Errors) > 0:
		return "error"
	}
	return "pending_fulfillment"
}

// shownState is the state of a fleet: a deleted one without instances is only deleted.
func (f *fleetRecord) shownState(n *fleetCensus) string {
	if !f.live() && len(n.members)+n.ending == 0 {
		return fleetDeleted
	}
	return f.State
}

// wire is a fleet as answers carry it.
func (f *fleetRecord) wire(r *roster) (*ec2api.FleetData, error) {
	n, err := r.census(f.ID)
	if err != nil {
		return nil, err
	}
	w := new(ec2api.FleetData)
	if err := json.Unmarshal(f.Config, w); err != nil { // requests and answers have the same members
		return nil, err
	}
	w.FleetId, w.Type, w.CreateTime, w.FleetState, w.ActivityStatus = &f.ID, &f.Type, &f.Created, new(f.shownState(n)), new(f.activity(n))
	w.FulfilledCapacity, w.FulfilledOnDemandCapacity = new(n.onDemand+n.spot), new(n.onDemand)
	w.ExcessCapacityTerminationPolicy = &f.Excess
	if w.TerminateInstancesWithExpiration == nil {
		w.TerminateInstancesWithExpiration = new(false)
	}
	if w.ReplaceUnhealthyInstances == nil {
		w.ReplaceUnhealthyInstances = new(false)
	}
	t := w.TargetCapacitySpecification
	t.OnDemandTargetCapacity, t.SpotTargetCapacity = &f.OnDemand, &f.Spot
	if t.DefaultTargetCapacityType == nil {
		t.DefaultTargetCapacityType = new("on-demand")
	}
	if w.SpotOptions == nil {
		w.SpotOptions = &ec2api.SpotOptions{}
	}
	w.SpotOptions.AllocationStrategy = shownStrategy(f.SpotBy)
	if w.SpotOptions.InstanceInterruptionBehavior == nil {
		w.SpotOptions.InstanceInterruptionBehavior = new("terminate")
	}
	if f.SpotBy == ec2api.SpotAllocationStrategyLowestPrice && w.SpotOptions.InstancePoolsToUseCount == nil {
		w.SpotOptions.InstancePoolsToUseCount = new(int32(1))
	}
	if w.OnDemandOptions == nil {
		w.OnDemandOptions = &ec2api.OnDemandOptions{}
	}
	w.OnDemandOptions.AllocationStrategy = shownStrategy(f.OnDemandBy)
	if f.Type != fleetInstant {
		return w, nil
	}
	w.ExcessCapacityTerminationPolicy = nil
	all, err := r.all(f.ID)
	if err != nil {
		return nil, err
	}
	made, err := f.instances(all)
	if err != nil {
		return nil, err
	}
	for _, i := range made {
		w.Instances = append(w.Instances, ec2api.DescribeFleetsInstances{
			LaunchTemplateAndOverrides: i.LaunchTemplateAndOverrides, Lifecycle: i.Lifecycle, InstanceIds: i.InstanceIds, InstanceType: i.InstanceType,
		})
	}
	bugs, err := f.errors()
	for _, b := range bugs {
		w.Errors = append(w.Errors, ec2api.DescribeFleetError(b))
	}
	return w, err
}

var fleetFields = fields[ec2api.FleetData]{
	"activity-status": func(f ec2api.FleetData) []string { return oneOf(*f.ActivityStatus) },
	"fleet-state":     func(f ec2api.FleetData) []string { return oneOf(*f.FleetState) },
	"type":            func(f ec2api.FleetData) []string { return oneOf(*f.Type) },
	"excess-capacity-termination-policy": func(f ec2api.FleetData) []string {
		return boolOf(api.Val(f.ExcessCapacityTerminationPolicy) == "termination")
	},
	"replace-unhealthy-instances": func(f ec2api.FleetData) []string { return boolOf(*f.ReplaceUnhealthyInstances) },
}

// DescribeFleets lists EC2 Fleets; those of the type instant only by their ids.
// Source: EC2 API Reference, DescribeFleets.
func (s *Service) DescribeFleets(ctx context.Context, c *guard.Call, in *ec2api.DescribeFleetsRequest) (*ec2api.DescribeFleetsResult, error) {
	out := &ec2api.DescribeFleetsResult{}
	id := func(f ec2api.FleetData) string { return *f.FleetId }
	err := s.viewList(ctx, c, "ec2:DescribeFleets", in.DryRun, func(tx store.Tx) error {
		var items []ec2api.FleetData
		fleets, err := rosterOfAll(tx, c.Region, c.Account())
		if err != nil {
			return err
		}
		for r, err := range fleetTable.Scan(tx, c.Region, c.Account()) {
			if err != nil {
				return err
			}
			f := r.Value
			if f.spotFleet() || f.Type == fleetInstant && !slices.Contains(in.FleetIds, f.ID) {
				continue
			}
			w, err := f.wire(fleets)
			if err != nil {
				return err
			}
			items = append(items, *w)
		}
		items, err = pick(items, in.FleetIds, id, errFleet)
		if err != nil {
			return err
		}
		items, err = sift(tx, c, fleetFields, in.Filters, items, func(f *ec2api.FleetData) (string, *[]ec2api.Tag) { return *f.FleetId, &f.Tags })
		if err != nil {
			return err
		}
		out.Fleets, out.NextToken, err = paginate(c.Operation, items, id, limits{1, 1000}, in.MaxResults, in.NextToken)
		return err
	})
	return out, err
}

// active are the running instances of a fleet.
func (f *fleetRecord) active(tx store.Tx) ([]ec2api.ActiveInstance, error) {
	r := rosterOf(tx, f.Region, f.Account)
	n, err := r.census(f.ID)
	if err != nil {
		return nil, err
	}
	out := []ec2api.ActiveInstance{}
	for _, m := range n.members {
		i, _, err := r.instance(m.Instance)
		if err != nil {
			return nil, err
		}
		out = append(out, ec2api.ActiveInstance{
			InstanceId: &m.Instance, InstanceType: &m.Type, InstanceHealth: new("healthy"), SpotInstanceRequestId: api.Opt(i.spotRequest()),
		})
	}
	return out, nil
}

var activeFields = fields[ec2api.ActiveInstance]{
	"instance-type": func(i ec2api.ActiveInstance) []string { return oneOf(*i.InstanceType) },
}

// viewFleet runs fn in a snapshot after the call's action on a fleet has been decided.
func (s *Service) viewFleet(ctx context.Context, c *guard.Call, kind string, id *string, flag *bool, fn func(tx store.Tx) error) error {
	return s.g.View(ctx, c, func(tx store.Tx) error {
		tags, err := tagsOf(tx, c.Region, c.Account(), api.Val(id))
		if err != nil {
			return err
		}
		if _, err := s.g.Allow(tx, c, s.part(c, "ec2:"+c.Operation, kind+"/"+api.Val(id), tags)); err != nil {
			return err
		}
		if err := dryRun(flag); err != nil {
			return err
		}
		return fn(tx)
	})
}

// DescribeFleetInstances lists the running instances of a fleet; not of one of the type instant.
// Source: EC2 API Reference, DescribeFleetInstances.
func (s *Service) DescribeFleetInstances(ctx context.Context, c *guard.Call, in *ec2api.DescribeFleetInstancesRequest) (*ec2api.DescribeFleetInstancesResult, error) {
	out := &ec2api.DescribeFleetInstancesResult{FleetId: in.FleetId}
	err := s.viewFleet(ctx, c, "fleet", in.FleetId, in.DryRun, func(tx store.Tx) error {
		f, ok, err := fleetTable.Get(tx, c.Region, c.Account(), api.Val(in.FleetId))
		switch {
		case err != nil:
			return err
		case !ok || f.spotFleet():
			return errFleet(api.Val(in.FleetId))
		case f.Type == fleetInstant:
			return apierr.New("InvalidParameterValue", "DescribeFleetInstances does not support fleets of type instant. Use DescribeFleets.")
		}
		items, err := f.active(tx)
		if err != nil {
			return err
		}
		if items, err = keep(activeFields, in.Filters, items); err != nil {
			return err
		}
		out.ActiveInstances, out.NextToken, err = paginate(c.Operation, items, func(i ec2api.ActiveInstance) string { return *i.InstanceId }, limits{1, 1000}, in.MaxResults, in.NextToken)
		return err
	})
	return out, err
}
