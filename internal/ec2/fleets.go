package ec2

import (
	"cmp"
	"context"
	"slices"
	"time"

	json "github.com/go-json-experiment/json"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/ec2/template"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// fleetOperations are the handlers of EC2 Fleets.
func (s *Service) fleetOperations() map[string]guard.Handler {
	return map[string]guard.Handler{
		"CreateFleet":            guard.Handle(s.CreateFleet),
		"DeleteFleets":           guard.Handle(s.DeleteFleets),
		"DescribeFleets":         guard.Handle(s.DescribeFleets),
		"DescribeFleetInstances": guard.Handle(s.DescribeFleetInstances),
		"ModifyFleet":            guard.Handle(s.ModifyFleet),
		"DescribeFleetHistory":   guard.Handle(s.DescribeFleetHistory),
	}
}

// fleetID is an id of AWS's form: a prefix and a UUID.
func fleetID(prefix string) string { return prefix + "-" + guard.NewRequestID() }

// targets divides the capacity of a fleet. Source: EC2 API Reference, TargetCapacitySpecificationRequest.
func targets(t *ec2api.TargetCapacitySpecificationRequest) (onDemand, spot int32, err error) {
	if t == nil || t.TotalTargetCapacity == nil {
		return 0, 0, apierr.New("MissingParameter", "The request must contain the parameter TotalTargetCapacity")
	}
	total := *t.TotalTargetCapacity
	onDemand, spot = api.Val(t.OnDemandTargetCapacity), api.Val(t.SpotTargetCapacity)
	switch kind := cmp.Or(api.Val(t.DefaultTargetCapacityType), "on-demand"); {
	case total < 0 || onDemand < 0 || spot < 0:
		return 0, 0, invalidValue("Target capacities are not negative.")
	case total > maxFleet && slices.Contains([]string{"", ec2api.TargetCapacityUnitTypeUnits}, api.Val(t.TargetCapacityUnitType)):
		return 0, 0, apierr.Newf("InvalidTargetCapacity", "The target capacity is limited to %d here.", maxFleet)
	case onDemand+spot > total:
		return 0, 0, apierr.New("InvalidTargetCapacitySpecification", "OnDemandTargetCapacity and SpotTargetCapacity together are more than TotalTargetCapacity")
	case kind == "spot":
		spot = total - onDemand
	case kind == "on-demand":
		onDemand = total - spot
	default:
		return 0, 0, invalidValue("Value (%s) for parameter DefaultTargetCapacityType is invalid. Valid values: spot, on-demand.", kind)
	}
	return onDemand, spot, nil
}

// lowestPrice is how answers, and Terraform, write the default allocation strategy: not as the model
// of the API has it. Source: EC2 User Guide, "Describe your EC2 Fleet", example.
const lowestPrice = "lowestPrice"

// plainStrategy is a strategy as the model has it.
func plainStrategy(name string) string { return cmp.Or(spotStrategies[name], name) }

func shownStrategy(name string) *string {
	if name == ec2api.SpotAllocationStrategyLowestPrice {
		name = lowestPrice
	}
	return &name
}

// newFleet reads a request for a fleet, with all but its pools.
func (s *Service) newFleet(c *guard.Call, in *ec2api.CreateFleetRequest) (fleetRecord, error) {
	f := fleetRecord{
		Region: c.Region, Account: c.Account(), ID: fleetID("fleet"), Type: cmp.Or(api.Val(in.Type), fleetMaintain), State: fleetSubmitted, Created: s.g.Now(),
		OnDemandBy: ec2api.FleetOnDemandAllocationStrategyLowestPrice, SpotBy: ec2api.SpotAllocationStrategyLowestPrice,
		Excess: cmp.Or(api.Val(in.ExcessCapacityTerminationPolicy), "termination"), From: api.Val(in.ValidFrom), Until: api.Val(in.ValidUntil),
		EndToo: api.Val(in.TerminateInstancesWithExpiration),
	}
	if f.Until.Unix() == 0 { // as AWS shows a fleet without an end
		f.Until = time.Time{}
	}
	var err error
	if f.OnDemand, f.Spot, err = targets(in.TargetCapacitySpecification); err != nil {
		return f, err
	}
	if o := in.OnDemandOptions; o != nil {
		f.OnDemandBy = plainStrategy(cmp.Or(api.Val(o.AllocationStrategy), f.OnDemandBy))
	}
	if o := in.SpotOptions; o != nil {
		f.SpotBy = plainStrategy(cmp.Or(api.Val(o.AllocationStrategy), f.SpotBy))
	}
	switch {
	case !slices.Contains([]string{fleetInstant, fleetRequest, fleetMaintain}, f.Type):
		return f, invalidValue("Value (%s) for parameter Type is invalid. Valid values: request, maintain, instant.", f.Type)
	case f.OnDemandBy != ec2api.FleetOnDemandAllocationStrategyLowestPrice && f.OnDemandBy != ec2api.FleetOnDemandAllocationStrategyPrioritized:
		return f, invalidValue("Value (%s) for parameter AllocationStrategy is invalid.", f.OnDemandBy)
	case !slices.Contains([]string{
		ec2api.SpotAllocationStrategyLowestPrice, ec2api.SpotAllocationStrategyDiversified, ec2api.SpotAllocationStrategyCapacityOptimized,
		ec2api.SpotAllocationStrategyCapacityOptimizedPrioritized, ec2api.SpotAllocationStrategyPriceCapacityOptimized,
	}, f.SpotBy):
		return f, invalidValue("Value (%s) for parameter AllocationStrategy is invalid.", f.SpotBy)
	case f.Excess != "termination" && f.Excess != "no-termination":
		return f, invalidValue("Value (%s) for parameter ExcessCapacityTerminationPolicy is invalid.", f.Excess)
	case !f.Until.IsZero() && !f.Until.After(f.Created):
		return f, invalidValue("ValidUntil must be in the future")
	case f.Type == fleetInstant && (!f.From.IsZero() || !f.Until.IsZero() || in.ExcessCapacityTerminationPolicy != nil || in.ReplaceUnhealthyInstances != nil && *in.ReplaceUnhealthyInstances):
		return f, apierr.New("InvalidParameterCombination", "A fleet of type instant has no validity, excess capacity termination policy or replacement of unhealthy instances.")
	case !f.Until.IsZero() && !f.Until.After(f.From):
		return f, invalidValue("ValidUntil must be after ValidFrom")
	case in.SpotOptions != nil && in.SpotOptions.InstancePoolsToUseCount != nil && f.SpotBy != ec2api.SpotAllocationStrategyLowestPrice:
		return f, apierr.New("InvalidFleetConfig", "InstancePoolsToUseCount option is only available with the lowestPrice allocation strategy.")
	}
	if err := checkOptions(c, f.Type, in); err != nil {
		return f, err
	}
	plain := *in
	plain.ClientToken, plain.DryRun, plain.TagSpecifications = nil, nil, nil
	f.Config, err = json.Marshal(plain, json.OmitZeroStructFields(true), json.Deterministic(true))
	return f, err
}

// allowFleet decides ec2:CreateFleet, and ec2:RunInstances for the first of its choices that can be
// launched at all. Source: Service Authorization Reference, "Actions defined by Amazon EC2",
// CreateFleet; EC2 User Guide, "EC2 Fleet prerequisites".
func (s *Service) allowFleet(tx store.Tx, c *guard.Call, f *fleetRecord, tags []tag) error {
	p, inst := s.part(c, "ec2:CreateFleet", "fleet/*", nil), s.part(c, "ec2:CreateFleet", "instance/*", nil)
	addRequestTags(&p, tags)
	addRequestTags(&inst, f.Tags)
	pl, err := s.firstPlan(tx, c, f)
	if err != nil {
		return err
	}
	parts := s.withTags(c, []authz.Part{p}, "fleet", tags)
	templates, err := s.fleetTemplates(tx, c, f)
	if err != nil {
		return err
	}
	parts = append(parts, templates...)
	var job *job
	if pl != nil {
		record := s.newInstance(c, pl, 0)
		instanceContext(&inst, &record)
		made, err := s.draftAll(c, pl)
		if err != nil {
			return err
		}
		job = made[0].job
		own, err := s.tagsFor(tx, c, pl.uses())
		if err != nil {
			return err
		}
		img, sub := s.part(c, "ec2:CreateFleet", "image/"+pl.image.ID, own[pl.image.ID]), s.part(c, "ec2:CreateFleet", "subnet/"+pl.subnet.ID, own[pl.subnet.ID])
		pl.image.describe(&img)
		pl.subnet.describe(&sub)
		parts = append(parts, img, sub)
		if g := pl.placement; g != nil {
			p := s.part(c, "ec2:CreateFleet", "placement-group/"+g.Name, own[g.ID])
			g.Describe(&p)
			parts = append(parts, p)
		}
		for n, v := range job.State.Volumes() {
			p := s.newVolumePart(c, "ec2:CreateFleet", &pl.devices[n], v.Encrypted, pl.subnet, pl.tags["volume"])
			addRequestTags(&p, f.VolumeTags)
			if id := pl.devices[n].keyID; id != "" {
				p.Context.Set("ec2:kmskeyid", id)
			}
			parts = append(parts, p)
		}
	}
	parts = append(parts, inst)
	if _, err := s.g.Authorize(tx, c, guard.Check{Parts: parts}); err != nil || pl == nil {
		return err
	}
	return s.allowRun(tx, c, pl, job)
}

// fleetTemplates are the evaluations of the call's action on the launch templates of a fleet.
func (s *Service) fleetTemplates(tx store.Tx, c *guard.Call, f *fleetRecord) ([]authz.Part, error) {
	var ids []string
	tx = store.Remembering(tx) // many choices of few templates
	for n := range f.Pools {
		in, err := f.Pools[n].Launch.request()
		if err != nil {
			return nil, err
		}
		if in.LaunchTemplate == nil {
			continue
		}
		t, _, err := template.Resolve(tx, c, in.LaunchTemplate)
		if err != nil {
			return nil, err
		}
		ids = append(ids, t.ID)
	}
	slices.Sort(ids)
	var parts []authz.Part
	for _, id := range slices.Compact(ids) {
		tags, err := tagsOf(tx, c.Region, c.Account(), id)
		if err != nil {
			return nil, err
		}
		parts = append(parts, s.part(c, "ec2:"+c.Operation, "launch-template/"+id, tags))
	}
	return parts, nil
}

// firstPlan is the plan of the first choice that can be launched; nil if none can.
func (s *Service) firstPlan(tx store.Tx, c *guard.Call, f *fleetRecord) (*launchPlan, error) {
	tx = store.Remembering(tx) // many choices of few records
	for n := range f.Pools {
		in, err := f.Pools[n].Launch.request()
		if err != nil {
			return nil, err
		}
		in.MinCount, in.MaxCount = new(int32(1)), new(int32(1))
		pl, err := s.plan(tx, c, in)
		if err == nil {
			return pl, nil
		}
		if apierr.Code(err) == "" {
			return nil, err
		}
	}
	return nil, nil
}

// CreateFleet makes a fleet. One of the type instant launches at once, as the caller, and tells what
// it got; the others are looked after by EC2 Fleet, as its service-linked role.
// Source: EC2 API Reference, CreateFleet.
func (s *Service) CreateFleet(ctx context.Context, c *guard.Call, in *ec2api.CreateFleetRequest) (*ec2api.CreateFleetResult, error) {
	f, err := s.newFleet(c, in)
	if err != nil {
		return nil, err
	}
	specs, err := tagSpecs(c, in.TagSpecifications, "fleet", "instance", "volume")
	if err != nil {
		return nil, err
	}
	f.Tags, f.VolumeTags = specs["instance"], specs["volume"]
	prepare := func(tx store.Tx) (err error) {
		if f.Pools, err = s.poolsOf(tx, c, in.LaunchTemplateConfigs, in.TargetCapacitySpecification.TargetCapacityUnitType); err != nil {
			return err
		}
		if err := f.checkSize(); err != nil {
			return err
		}
		return s.allowFleet(tx, c, &f, specs["fleet"])
	}
	if f.Type != fleetInstant && !api.Val(in.DryRun) {
		if err := s.g.View(ctx, c, prepare); err != nil {
			return nil, err
		}
		if err := s.needRole(ctx, c, fleetService); err != nil {
			return nil, err
		}
	}
	token := idiom.NewToken(api.Val(in.ClientToken), idiom.Fingerprint(string(f.Config), in.TagSpecifications))
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
		if f.History = nil; f.Type == fleetInstant {
			f.State = fleetActive
		}
		f.note(f.Created, event{Type: "fleetRequestChange", Sub: "submitted"})
		c.Touch(s.resourceARN(c, "fleet/"+f.ID), c.Account(), "AWS::EC2::EC2Fleet")
		if err := putTags(tx, f.Region, f.Account, f.ID, specs["fleet"]); err != nil {
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
		return s.knownFleet(ctx, c, seen)
	case f.Type != fleetInstant:
		s.fleetStart(&f)
		return &ec2api.CreateFleetResult{FleetId: &f.ID}, nil
	}
	return s.fillInstant(ctx, c, &f, in)
}

// knownFleet is the answer to a request that was made before.
func (s *Service) knownFleet(ctx context.Context, c *guard.Call, id string) (*ec2api.CreateFleetResult, error) {
	out := &ec2api.CreateFleetResult{FleetId: &id}
	return out, s.g.View(ctx, c, func(tx store.Tx) error {
		f, ok, err := fleetTable.Get(tx, c.Region, c.Account(), id)
		if err != nil || !ok || f.Type != fleetInstant {
			return err
		}
		members, err := rosterOf(tx, f.Region, f.Account).all(f.ID)
		if err != nil {
			return err
		}
		if out.Instances, err = f.instances(members); err != nil {
			return err
		}
		out.Errors, err = f.errors()
		return err
	})
}

// fillInstant launches the instances of a fleet of the type instant, as the caller.
func (s *Service) fillInstant(ctx context.Context, c *guard.Call, f *fleetRecord, in *ec2api.CreateFleetRequest) (*ec2api.CreateFleetResult, error) {
	defer s.fleetLocks.Lock(f.ID)()
	r := &filling{f: f, parent: c, as: c.Caller, census: &fleetCensus{perPool: map[int]int{}}}
	if err := s.fillFleet(ctx, r); err != nil {
		return nil, err
	}
	f.Errors = r.bugs
	if r.census.onDemand < float64(onDemandLimits(in.OnDemandOptions).least) || r.census.spot < float64(spotLimits(in.SpotOptions).least) { // all or nothing
		var ids []string
		for _, m := range r.made {
			ids = append(ids, m.Instance)
		}
		if err := s.terminateAs(ctx, c, c.Caller, ids); err != nil {
			return nil, err
		}
		r.made = nil
	}
	err := s.g.Change(ctx, func(tx store.Tx) error {
		now, ok, err := fleetTable.Get(tx, f.Region, f.Account, f.ID)
		if err != nil || !ok {
			return err
		}
		now.Errors, now.Done = f.Errors, true
		return putFleet(tx, now)
	})
	if err != nil {
		return nil, err
	}
	out := &ec2api.CreateFleetResult{FleetId: &f.ID}
	if out.Instances, err = f.instances(r.made); err != nil {
		return nil, err
	}
	out.Errors, err = f.errors()
	return out, err
}

func lifecycleOf(spot bool) *string {
	return new(map[bool]string{true: "spot", false: "on-demand"}[spot])
}

// choice is a pool as answers tell it.
func (f *fleetRecord) choice(pool int) (*ec2api.LaunchTemplateAndOverridesResponse, error) {
	out := &ec2api.LaunchTemplateAndOverridesResponse{}
	if p := &f.Pools[pool]; p.Template != nil {
		out.LaunchTemplateSpecification, out.Overrides = &ec2api.FleetLaunchTemplateSpecification{}, &ec2api.FleetLaunchTemplateOverrides{}
		if err := json.Unmarshal(p.Template, out.LaunchTemplateSpecification); err != nil {
			return nil, err
		}
		return out, json.Unmarshal(p.Overrides, out.Overrides)
	}
	return out, nil
}

// instances are those of a fleet as CreateFleet answers them: together by pool.
func (f *fleetRecord) instances(members []memberRecord) ([]ec2api.CreateFleetInstance, error) {
	out := []ec2api.CreateFleetInstance{}
	place := map[[2]int]int{}
	for _, m := range members {
		at := [2]int{m.Pool, map[bool]int{true: 1}[m.Spot]}
		n, ok := place[at]
		if !ok {
			choice, err := f.choice(m.Pool)
			if err != nil {
				return nil, err
			}
			n = len(out)
			place[at] = n
			out = append(out, ec2api.CreateFleetInstance{
				LaunchTemplateAndOverrides: choice, Lifecycle: lifecycleOf(m.Spot), InstanceType: &m.Type, SubnetId: &m.Subnet, AvailabilityZone: &m.Zone, AvailabilityZoneId: &m.ZoneID,
			})
		}
		out[n].InstanceIds = append(out[n].InstanceIds, m.Instance)
	}
	return out, nil
}

func (f *fleetRecord) errors() ([]ec2api.CreateFleetError, error) {
	out := []ec2api.CreateFleetError{}
	for _, b := range f.Errors {
		choice, err := f.choice(b.Pool)
		if err != nil {
			return nil, err
		}
		out = append(out, ec2api.CreateFleetError{LaunchTemplateAndOverrides: choice, Lifecycle: lifecycleOf(b.Spot), ErrorCode: &b.Code, ErrorMessage: &b.Message})
	}
	return out, nil
}
