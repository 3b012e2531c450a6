package ec2

import (
	"cmp"
	"context"
	"slices"
	"strings"

	json "github.com/go-json-experiment/json"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/ec2/instancetype"
	"github.com/kagimori/kagimori/internal/ec2/keypairs"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// spotFleetOperations are the handlers of Spot Fleet requests.
func (s *Service) spotFleetOperations() map[string]guard.Handler {
	return map[string]guard.Handler{
		"RequestSpotFleet":                guard.Handle(s.RequestSpotFleet),
		"DescribeSpotFleetRequests":       guard.Handle(s.DescribeSpotFleetRequests),
		"DescribeSpotFleetInstances":      guard.Handle(s.DescribeSpotFleetInstances),
		"DescribeSpotFleetRequestHistory": guard.Handle(s.DescribeSpotFleetRequestHistory),
		"CancelSpotFleetRequests":         guard.Handle(s.CancelSpotFleetRequests),
		"ModifySpotFleetRequest":          guard.Handle(s.ModifySpotFleetRequest),
	}
}

func errSpotFleet(id string) error {
	if !wellFormed("sfr-", id) {
		return apierr.Newf("InvalidSpotFleetRequestId.Malformed", "The spot fleet request ID '%s' is malformed", id)
	}
	return apierr.Newf("InvalidSpotFleetRequestId.NotFound", "The spot fleet request ID '%s' does not exist", id)
}

// spotStrategies are the names of allocation strategies: those of Spot Fleets, and of EC2 Fleets.
var spotStrategies = map[string]string{
	"lowestPrice": "lowest-price", "diversified": "diversified", "capacityOptimized": "capacity-optimized",
	"capacityOptimizedPrioritized": "capacity-optimized-prioritized", "priceCapacityOptimized": "price-capacity-optimized",
}

// newSpotFleet reads a request for a Spot Fleet, with all but its pools.
func (s *Service) newSpotFleet(c *guard.Call, d *ec2api.SpotFleetRequestConfigData) (fleetRecord, error) {
	bad := func(what string) error { return apierr.New("InvalidSpotFleetRequestConfig", what) }
	if d == nil {
		return fleetRecord{}, apierr.New("MissingParameter", "The request must contain the parameter SpotFleetRequestConfig")
	}
	total, onDemand := api.Val(d.TargetCapacity), api.Val(d.OnDemandTargetCapacity)
	f := fleetRecord{
		Region: c.Region, Account: c.Account(), ID: fleetID("sfr"), Type: cmp.Or(api.Val(d.Type), fleetMaintain), State: fleetSubmitted, Created: s.g.Now(),
		OnDemand: onDemand, Spot: total - onDemand, OnDemandBy: "lowest-price", From: api.Val(d.ValidFrom), Until: api.Val(d.ValidUntil),
		SpotBy: spotStrategies[cmp.Or(api.Val(d.AllocationStrategy), "lowestPrice")], EndToo: api.Val(d.TerminateInstancesWithExpiration), Excess: "termination",
	}
	if api.Val(d.OnDemandAllocationStrategy) == "prioritized" {
		f.OnDemandBy = "prioritized"
	}
	if strings.EqualFold(api.Val(d.ExcessCapacityTerminationPolicy), "noTermination") {
		f.Excess = "no-termination"
	}
	switch {
	case api.Val(d.IamFleetRole) == "":
		return f, apierr.New("MissingParameter", "The request must contain the parameter IamFleetRole")
	case d.TargetCapacity == nil:
		return f, apierr.New("MissingParameter", "The request must contain the parameter TargetCapacity")
	case total < 0 || onDemand < 0 || onDemand > total:
		return f, bad("Parameter: SpotFleetRequestConfig.TargetCapacity is invalid.")
	case f.Type != fleetRequest && f.Type != fleetMaintain:
		return f, bad("Parameter: SpotFleetRequestConfig.Type is invalid.")
	case f.SpotBy == "":
		return f, bad("Parameter: SpotFleetRequestConfig.AllocationStrategy is invalid.")
	case (len(d.LaunchSpecifications) == 0) == (len(d.LaunchTemplateConfigs) == 0):
		return f, bad("Exactly one of LaunchSpecifications and LaunchTemplateConfigs is needed.")
	case !f.Until.IsZero() && !f.Until.After(f.Created):
		return f, bad("Parameter: SpotFleetRequestConfig.ValidUntil is in the past.")
	case !f.Until.IsZero() && !f.Until.After(f.From):
		return f, bad("Parameter: SpotFleetRequestConfig.ValidUntil is not after ValidFrom.")
	case !strings.HasPrefix(api.Val(d.IamFleetRole), "arn:"):
		return f, bad("Parameter: SpotFleetRequestConfig.IamFleetRole is invalid.")
	case d.InstancePoolsToUseCount != nil && f.SpotBy != ec2api.SpotAllocationStrategyLowestPrice:
		return f, bad("InstancePoolsToUseCount option is only available with the lowestPrice allocation strategy.")
	}
	err := checkSpotFleet(c, f.Type, d)
	if err != nil {
		return f, err
	}
	plain := *d
	plain.TagSpecifications = nil
	f.Config, err = json.Marshal(plain, json.OmitZeroStructFields(true), json.Deterministic(true))
	return f, err
}

// spotFleetPools are the choices of a Spot Fleet.
func (s *Service) spotFleetPools(tx store.Tx, c *guard.Call, d *ec2api.SpotFleetRequestConfigData) ([]fleetPool, error) {
	if len(d.LaunchTemplateConfigs) > 0 {
		var configs []ec2api.FleetLaunchTemplateConfigRequest
		for _, one := range d.LaunchTemplateConfigs {
			config, err := convert[ec2api.FleetLaunchTemplateConfigRequest](one)
			if err != nil {
				return nil, err
			}
			for n := range config.Overrides {
				config.Overrides[n].MaxPrice = cmp.Or(one.Overrides[n].SpotPrice, d.SpotPrice)
			}
			configs = append(configs, *config)
		}
		return s.poolsOf(tx, c, configs, d.TargetCapacityUnitType)
	}
	var out []fleetPool
	for n := range d.LaunchSpecifications {
		l := &d.LaunchSpecifications[n]
		types := []instancetype.Match{{Name: api.Val(l.InstanceType)}}
		if l.InstanceRequirements != nil && api.Val(l.InstanceType) != "" {
			return nil, instancetype.ErrTypeAndRequirements()
		}
		if l.InstanceRequirements != nil {
			r, err := convert[ec2api.InstanceRequirementsRequest](l.InstanceRequirements)
			if err != nil {
				return nil, err
			}
			img, err := s.lookupImage(tx, c, api.Val(l.ImageId))
			if err != nil {
				return nil, err
			}
			if err := instancetype.CheckFactors(r); err != nil {
				return nil, err
			}
			types = instancetype.Meeting(r, img.Architecture, api.Val(d.TargetCapacityUnitType))
		}
		for _, m := range types {
			typ := m.Name
			for subnet := range strings.SplitSeq(api.Val(l.SubnetId), ",") {
				p := fleetPool{Type: typ, Barred: m.Barred, Weight: max(1, unitsOf(api.Val(d.TargetCapacityUnitType), typ)), Priority: float64(n), MaxPrice: cmp.Or(api.Val(l.SpotPrice), api.Val(d.SpotPrice))}
				if w := api.Val(l.WeightedCapacity); w > 0 {
					p.Weight = w
				}
				var err error
				if p.Launch, err = specLaunch(l, typ, strings.TrimSpace(subnet)); err != nil {
					return nil, err
				}
				out = append(out, p)
			}
		}
	}
	if len(out) == 0 || len(out) > maxPools {
		return nil, apierr.New("InvalidSpotFleetRequestConfig", "The launch specifications give no instance type, or too many.")
	}
	return out, nil
}

func specLaunch(l *ec2api.SpotFleetLaunchSpecification, typ, subnet string) (storedLaunch, error) {
	run := ec2api.RunInstancesRequest{
		ImageId: l.ImageId, InstanceType: &typ, KeyName: l.KeyName, SubnetId: api.Opt(subnet), EbsOptimized: l.EbsOptimized,
		BlockDeviceMappings: l.BlockDeviceMappings, IamInstanceProfile: l.IamInstanceProfile, NetworkInterfaces: l.NetworkInterfaces, UserData: l.UserData,
		KernelId: l.KernelId, RamdiskId: l.RamdiskId,
	}
	for _, g := range l.SecurityGroups {
		run.SecurityGroupIds = append(run.SecurityGroupIds, api.Val(g.GroupId))
	}
	if m := l.Monitoring; m != nil {
		run.Monitoring = &ec2api.RunInstancesMonitoringEnabled{Enabled: m.Enabled}
	}
	if p := l.Placement; p != nil {
		run.Placement = &ec2api.Placement{AvailabilityZone: p.AvailabilityZone, GroupName: p.GroupName, Tenancy: p.Tenancy}
	}
	for _, t := range l.TagSpecifications {
		run.TagSpecifications = append(run.TagSpecifications, ec2api.TagSpecification(t))
	}
	return storeLaunch(run)
}

// allowSpotFleet decides ec2:RequestSpotFleet and the right to pass the fleet's role.
// Source: Service Authorization Reference, "Actions defined by Amazon EC2", RequestSpotFleet; EC2
// User Guide, "Spot Fleet permissions".
func (s *Service) allowSpotFleet(tx store.Tx, c *guard.Call, f *fleetRecord, role string, tags []tag) error {
	const action = "ec2:RequestSpotFleet"
	p := s.part(c, action, "spot-fleet-request/*", nil)
	addRequestTags(&p, tags)
	pass := authz.PassRole(role, c.Account(), spotFleetService.principal)
	parts := s.withTags(c, []authz.Part{p, pass}, "spot-fleet-request", tags)
	templates, err := s.fleetTemplates(tx, c, f)
	if err != nil {
		return err
	}
	parts = append(parts, templates...)
	pl, err := s.firstPlan(tx, c, f)
	if err != nil {
		return err
	}
	if pl != nil {
		own, err := s.tagsFor(tx, c, pl.uses())
		if err != nil {
			return err
		}
		img, sub := s.part(c, action, "image/"+pl.image.ID, own[pl.image.ID]), s.part(c, action, "subnet/"+pl.subnet.ID, own[pl.subnet.ID])
		pl.image.describe(&img)
		pl.subnet.describe(&sub)
		parts = append(parts, img, sub)
		for _, g := range pl.groups {
			p := s.part(c, action, "security-group/"+g.ID, own[g.ID])
			g.describe(&p)
			parts = append(parts, p)
		}
		if k := pl.key; k != nil {
			parts = append(parts, keypairs.Part(c, action, k.Name, k, own[k.ID]))
		}
		if pl.profile != nil {
			parts = append(parts, pl.profile.passRole(c.Account()))
		}
	}
	_, err = s.g.Authorize(tx, c, guard.Check{Parts: parts})
	return err
}

// RequestSpotFleet makes a Spot Fleet request, which EC2 Spot Fleet looks after as its
// service-linked role. Source: EC2 API Reference, RequestSpotFleet.
func (s *Service) RequestSpotFleet(ctx context.Context, c *guard.Call, in *ec2api.RequestSpotFleetRequest) (*ec2api.RequestSpotFleetResponse, error) {
	d := in.SpotFleetRequestConfig
	f, err := s.newSpotFleet(c, d)
	if err != nil {
		return nil, err
	}
	specs, err := tagSpecs(c, d.TagSpecifications, "spot-fleet-request")
	if err != nil {
		return nil, err
	}
	tags := specs["spot-fleet-request"]
	prepare := func(tx store.Tx) (err error) {
		if f.Pools, err = s.spotFleetPools(tx, c, d); err != nil {
			return err
		}
		if err := f.checkSize(); err != nil {
			return err
		}
		return s.allowSpotFleet(tx, c, &f, *d.IamFleetRole, tags)
	}
	if !api.Val(in.DryRun) {
		if err := s.g.View(ctx, c, prepare); err != nil {
			return nil, err
		}
		if err := s.needRole(ctx, c, spotFleetService); err != nil {
			return nil, err
		}
	}
	token := idiom.NewToken(api.Val(d.ClientToken), idiom.Fingerprint(string(f.Config)))
	seen := ""
	err = s.g.Update(ctx, c, func(tx store.Tx) (err error) {
		if err := prepare(tx); err != nil {
			return err
		}
		if err := dryRun(in.DryRun); err != nil {
			return err
		}
		if seen, err = token.Seen(tx, c); err != nil || seen != "" {
			return err
		}
		f.History = nil
		f.note(f.Created, event{Type: "fleetRequestChange", Sub: "submitted"})
		c.Touch(s.resourceARN(c, "spot-fleet-request/"+f.ID), c.Account(), "AWS::EC2::SpotFleet")
		if err := putTags(tx, f.Region, f.Account, f.ID, tags); err != nil {
			return err
		}
		if err := token.Remember(tx, c, s.g.Now(), f.ID); err != nil {
			return err
		}
		return putFleet(tx, f)
	})
	switch {
	case err != nil:
		return nil, err
	case seen != "":
		return &ec2api.RequestSpotFleetResponse{SpotFleetRequestId: &seen}, nil
	}
	s.fleetStart(&f)
	return &ec2api.RequestSpotFleetResponse{SpotFleetRequestId: &f.ID}, nil
}

// spotState is the state of a Spot Fleet request: cancelled where others are deleted.
func spotState(state string) *string { return new(strings.Replace(state, "deleted", "cancelled", 1)) }

// DescribeSpotFleetRequests lists Spot Fleet requests.
func (s *Service) DescribeSpotFleetRequests(ctx context.Context, c *guard.Call, in *ec2api.DescribeSpotFleetRequestsRequest) (*ec2api.DescribeSpotFleetRequestsResponse, error) {
	out := &ec2api.DescribeSpotFleetRequestsResponse{}
	id := func(f ec2api.SpotFleetRequestConfig) string { return *f.SpotFleetRequestId }
	err := s.viewList(ctx, c, "ec2:DescribeSpotFleetRequests", in.DryRun, func(tx store.Tx) error {
		var items []ec2api.SpotFleetRequestConfig
		fleets, err := rosterOfAll(tx, c.Region, c.Account())
		if err != nil {
			return err
		}
		for r, err := range fleetTable.Scan(tx, c.Region, c.Account()) {
			if err != nil {
				return err
			}
			if f := r.Value; f.spotFleet() {
				w, err := f.spotWire(fleets)
				if err != nil {
					return err
				}
				items = append(items, w)
			}
		}
		items, err = pick(items, in.SpotFleetRequestIds, id, errSpotFleet)
		if err != nil {
			return err
		}
		items, err = sift(tx, c, fields[ec2api.SpotFleetRequestConfig]{}, nil, items,
			func(f *ec2api.SpotFleetRequestConfig) (string, *[]ec2api.Tag) { return *f.SpotFleetRequestId, &f.Tags })
		if err != nil {
			return err
		}
		out.SpotFleetRequestConfigs, out.NextToken, err = paginate(c.Operation, items, id, limits{1, 1000}, in.MaxResults, in.NextToken)
		return err
	})
	return out, err
}

func (f *fleetRecord) spotWire(r *roster) (ec2api.SpotFleetRequestConfig, error) {
	n, err := r.census(f.ID)
	if err != nil {
		return ec2api.SpotFleetRequestConfig{}, err
	}
	d := new(ec2api.SpotFleetRequestConfigData)
	if err := json.Unmarshal(f.Config, d); err != nil {
		return ec2api.SpotFleetRequestConfig{}, err
	}
	d.Type, d.FulfilledCapacity, d.OnDemandFulfilledCapacity = &f.Type, new(n.onDemand+n.spot), new(n.onDemand)
	if d.AllocationStrategy == nil {
		d.AllocationStrategy = new("lowestPrice")
	}
	if d.ExcessCapacityTerminationPolicy == nil {
		d.ExcessCapacityTerminationPolicy = new("default")
	}
	if d.InstanceInterruptionBehavior == nil {
		d.InstanceInterruptionBehavior = new("terminate")
	}
	return ec2api.SpotFleetRequestConfig{
		SpotFleetRequestId: &f.ID, SpotFleetRequestConfig: d, SpotFleetRequestState: spotState(f.shownState(n)), CreateTime: &f.Created, ActivityStatus: new(f.activity(n)),
	}, nil
}

// spotFleetNamed finds a Spot Fleet request of the caller.
func spotFleetNamed(tx store.Tx, c *guard.Call, id string) (fleetRecord, error) {
	f, ok, err := fleetTable.Get(tx, c.Region, c.Account(), id)
	if err == nil && (!ok || !f.spotFleet()) {
		err = errSpotFleet(id)
	}
	return f, err
}

// DescribeSpotFleetInstances lists the running instances of a Spot Fleet.
func (s *Service) DescribeSpotFleetInstances(ctx context.Context, c *guard.Call, in *ec2api.DescribeSpotFleetInstancesRequest) (*ec2api.DescribeSpotFleetInstancesResponse, error) {
	out := &ec2api.DescribeSpotFleetInstancesResponse{SpotFleetRequestId: in.SpotFleetRequestId}
	err := s.viewFleet(ctx, c, "spot-fleet-request", in.SpotFleetRequestId, in.DryRun, func(tx store.Tx) error {
		f, err := spotFleetNamed(tx, c, api.Val(in.SpotFleetRequestId))
		if err != nil {
			return err
		}
		items, err := f.active(tx)
		if err != nil {
			return err
		}
		out.ActiveInstances, out.NextToken, err = paginate(c.Operation, items, func(i ec2api.ActiveInstance) string { return *i.InstanceId }, limits{1, 1000}, in.MaxResults, in.NextToken)
		return err
	})
	return out, err
}

// DescribeSpotFleetRequestHistory tells what happened to a Spot Fleet since a time.
func (s *Service) DescribeSpotFleetRequestHistory(ctx context.Context, c *guard.Call, in *ec2api.DescribeSpotFleetRequestHistoryRequest) (*ec2api.DescribeSpotFleetRequestHistoryResponse, error) {
	if in.StartTime == nil {
		return nil, apierr.New("MissingParameter", "The request must contain the parameter StartTime")
	}
	out := &ec2api.DescribeSpotFleetRequestHistoryResponse{SpotFleetRequestId: in.SpotFleetRequestId, StartTime: in.StartTime, LastEvaluatedTime: new(s.g.Now())}
	err := s.viewFleet(ctx, c, "spot-fleet-request", in.SpotFleetRequestId, in.DryRun, func(tx store.Tx) error {
		out.HistoryRecords = []ec2api.HistoryRecord{}
		f, err := spotFleetNamed(tx, c, api.Val(in.SpotFleetRequestId))
		if err != nil {
			return err
		}
		page, next, err := f.historyPage(c.Operation, func(e *event) bool {
			return !e.At.Before(*in.StartTime) && (api.Val(in.EventType) == "" || strings.EqualFold(*in.EventType, e.Type))
		}, in.MaxResults, in.NextToken)
		for _, e := range page {
			out.HistoryRecords = append(out.HistoryRecords, ec2api.HistoryRecord{EventType: &e.Type, Timestamp: &e.At, EventInformation: e.wire()})
		}
		out.NextToken = next
		return err
	})
	return out, err
}

// CancelSpotFleetRequests ends Spot Fleet requests, with their instances or without.
// Source: EC2 API Reference, CancelSpotFleetRequests.
func (s *Service) CancelSpotFleetRequests(ctx context.Context, c *guard.Call, in *ec2api.CancelSpotFleetRequestsRequest) (*ec2api.CancelSpotFleetRequestsResponse, error) {
	if in.TerminateInstances == nil {
		return nil, apierr.New("MissingParameter", "The request must contain the parameter TerminateInstances")
	}
	out := &ec2api.CancelSpotFleetRequestsResponse{}
	done, bad, err := s.endFleets(ctx, c, in.SpotFleetRequestIds, "spot-fleet-request", *in.TerminateInstances, in.DryRun)
	for _, f := range done {
		out.SuccessfulFleetRequests = append(out.SuccessfulFleetRequests, ec2api.CancelSpotFleetRequestsSuccessItem{
			SpotFleetRequestId: &f.ID, CurrentSpotFleetRequestState: spotState(f.State), PreviousSpotFleetRequestState: spotState(f.was),
		})
	}
	codes := map[string]string{"fleetIdDoesNotExist": "fleetRequestIdDoesNotExist", "fleetNotInDeletableState": "fleetRequestNotInCancellableState"}
	for _, id := range slices.Sorted(slices.Values(in.SpotFleetRequestIds)) {
		if why, ok := bad[id]; ok {
			if why[0] == "fleetIdDoesNotExist" {
				why[1] = "The spot fleet request ID '" + id + "' does not exist"
			}
			out.UnsuccessfulFleetRequests = append(out.UnsuccessfulFleetRequests, ec2api.CancelSpotFleetRequestsErrorItem{
				SpotFleetRequestId: &id, Error: &ec2api.CancelSpotFleetRequestsError{Code: new(codes[why[0]]), Message: &why[1]},
			})
		}
	}
	return out, err
}
