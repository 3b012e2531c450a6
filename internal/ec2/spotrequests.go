package ec2

import (
	"cmp"
	"context"
	"crypto/rand"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/ec2/keypairs"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// spotLife is how long a request is valid if it does not say. Source: EC2 API Reference,
// RequestSpotInstances, ValidUntil.
const spotLife = 7 * 24 * time.Hour

// spotOperations are the handlers of Spot Instance requests.
func (s *Service) spotOperations() map[string]guard.Handler {
	return map[string]guard.Handler{
		"RequestSpotInstances":         guard.Handle(s.RequestSpotInstances),
		"DescribeSpotInstanceRequests": guard.Handle(s.DescribeSpotInstanceRequests),
		"CancelSpotInstanceRequests":   guard.Handle(s.CancelSpotInstanceRequests),

		"CreateSpotDatafeedSubscription":   guard.Handle(s.CreateSpotDatafeedSubscription),
		"DescribeSpotDatafeedSubscription": guard.Handle(s.DescribeSpotDatafeedSubscription),
		"DeleteSpotDatafeedSubscription":   guard.HandleVoid(s.DeleteSpotDatafeedSubscription),
	}
}

// randomSpotID is the id of a Spot Instance request: AWS's have eight letters and digits.
func randomSpotID() string { return "sir-" + strings.ToLower(rand.Text()[:8]) }

// spotLaunch is the launch that a request asks for.
func spotLaunch(in *ec2api.RequestSpotInstancesRequest) ec2api.RunInstancesRequest {
	l := in.LaunchSpecification
	run := ec2api.RunInstancesRequest{
		ImageId: l.ImageId, InstanceType: l.InstanceType, KeyName: l.KeyName, SubnetId: l.SubnetId, EbsOptimized: l.EbsOptimized,
		SecurityGroupIds: l.SecurityGroupIds, SecurityGroups: l.SecurityGroups, BlockDeviceMappings: l.BlockDeviceMappings,
		IamInstanceProfile: l.IamInstanceProfile, NetworkInterfaces: l.NetworkInterfaces, UserData: l.UserData, Monitoring: l.Monitoring,
		KernelId: l.KernelId, RamdiskId: l.RamdiskId, MinCount: new(int32(1)), MaxCount: new(int32(1)),
		InstanceMarketOptions: &ec2api.InstanceMarketOptionsRequest{MarketType: new(ec2api.MarketTypeSpot), SpotOptions: &ec2api.SpotMarketOptions{
			SpotInstanceType: in.Type, InstanceInterruptionBehavior: in.InstanceInterruptionBehavior,
		}},
	}
	if p := l.Placement; p != nil {
		run.Placement = &ec2api.Placement{
			AvailabilityZone: p.AvailabilityZone, AvailabilityZoneId: p.AvailabilityZoneId, GroupName: p.GroupName, Tenancy: p.Tenancy,
		}
	}
	return run
}

// checkSpotRequest reports what is wrong with a request itself, and fills its defaults in.
func (s *Service) checkSpotRequest(in *ec2api.RequestSpotInstancesRequest) error {
	if in.LaunchSpecification == nil {
		return apierr.New("MissingParameter", "The request must contain the parameter LaunchSpecification")
	}
	if in.Type == nil {
		in.Type = new(ec2api.SpotInstanceTypeOneTime)
	}
	count, now := api.Val(in.InstanceCount), s.g.Now()
	switch {
	case *in.Type != ec2api.SpotInstanceTypeOneTime && *in.Type != ec2api.SpotInstanceTypePersistent:
		return invalidValue("Value (%s) for parameter type is invalid. Valid values: one-time, persistent.", *in.Type)
	case in.InstanceCount != nil && count < 1:
		return invalidValue("Value (%d) for parameter instanceCount is invalid. Minimum is 1.", count)
	case count > togetherInstances:
		return apierr.New("MaxSpotInstanceCountExceeded", "Max spot instance count exceeded")
	case in.BlockDurationMinutes != nil:
		return apierr.New("UnsupportedOperation", "Spot Instances with a defined duration are no longer available.")
	case in.ValidUntil != nil && !in.ValidUntil.After(now):
		return invalidValue("Value (%s) for parameter validUntil is invalid. It is in the past.", in.ValidUntil.UTC().Format(time.RFC3339))
	case in.ValidFrom != nil && in.ValidUntil != nil && !in.ValidUntil.After(*in.ValidFrom):
		return invalidValue("validUntil must be later than validFrom")
	}
	if p := api.Val(in.SpotPrice); p != "" {
		if v, err := strconv.ParseFloat(p, 64); err != nil || !(v > 0) {
			return invalidValue("Invalid value '%s' for spotPrice.", p)
		}
	}
	return nil
}

// RequestSpotInstances asks for Spot Instances. EC2 Spot launches them, as its service-linked role,
// some time later. Source: EC2 API Reference, RequestSpotInstances.
func (s *Service) RequestSpotInstances(ctx context.Context, c *guard.Call, in *ec2api.RequestSpotInstancesRequest) (*ec2api.RequestSpotInstancesResult, error) {
	if err := s.checkSpotRequest(in); err != nil {
		return nil, err
	}
	specs, err := tagSpecs(c, in.TagSpecifications, spotKind)
	if err != nil {
		return nil, err
	}
	tags := specs[spotKind]
	run := spotLaunch(in)
	kept, err := storeLaunch(run)
	if err != nil {
		return nil, err
	}
	if !api.Val(in.DryRun) {
		if err := s.needSpotRole(ctx, c, &run, tags); err != nil {
			return nil, err
		}
	}
	hash := idiom.Fingerprint(string(kept.Members), in.SpotPrice, in.InstanceCount, in.Type, in.InstanceInterruptionBehavior, in.LaunchGroup, in.AvailabilityZoneGroup, in.ValidFrom, in.ValidUntil, in.TagSpecifications)
	var out []ec2api.SpotInstanceRequest
	var made []spotRecord
	err = s.g.Update(ctx, c, func(tx store.Tx) error {
		out, made = nil, nil
		pl, err := s.allowSpot(tx, c, &run, tags)
		if err != nil {
			return err
		}
		if err := dryRun(in.DryRun); err != nil {
			return err
		}
		known, _, err := knownToken(tx, c, c.Operation, in.ClientToken, hash)
		if err != nil {
			return err
		}
		for _, id := range known.IDs {
			r, _, err := spotTable.Get(tx, c.Region, c.Account(), id)
			if err != nil {
				return err
			}
			w, err := r.wire(tagMap(tags))
			if err != nil {
				return err
			}
			out = append(out, w)
		}
		if len(out) > 0 {
			return nil
		}
		var ids []string
		for range max(1, api.Val(in.InstanceCount)) {
			r := s.newSpot(c, in, pl, kept)
			made, ids = append(made, r), append(ids, r.ID)
			w, err := r.wire(tagMap(tags))
			if err != nil {
				return err
			}
			out = append(out, w)
			if err := putSpot(tx, r); err != nil {
				return err
			}
			if err := putTags(tx, r.Region, r.Account, r.ID, tags); err != nil {
				return err
			}
		}
		if in.ClientToken == nil {
			return nil
		}
		return idiom.Tokens.Put(tx, idiom.TokenRecord{Hash: hash, IDs: ids, Made: s.g.Now()}, c.Region, c.Account(), c.Operation, *in.ClientToken)
	})
	if err != nil {
		return nil, err
	}
	for _, r := range made {
		s.spotLater(r, max(s.timing.Volume, r.From.Sub(s.g.Now())))
	}
	return &ec2api.RequestSpotInstancesResult{SpotInstanceRequests: out}, nil
}

// needSpotRole makes the role of EC2 Spot, once the request itself has been allowed.
func (s *Service) needSpotRole(ctx context.Context, c *guard.Call, run *ec2api.RunInstancesRequest, tags []tag) error {
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		_, err := s.allowSpot(tx, c, run, tags)
		return err
	})
	if err != nil {
		return err
	}
	return s.needRole(ctx, c, spotService)
}

// newSpot is a request, with nothing stored.
func (s *Service) newSpot(c *guard.Call, in *ec2api.RequestSpotInstancesRequest, pl *launchPlan, kept storedLaunch) spotRecord {
	now := s.g.Now()
	r := spotRecord{
		Region: c.Region, Account: c.Account(), ID: randomSpotID(), Type: *in.Type, Created: now, Price: cmp.Or(api.Val(in.SpotPrice), pl.kind.OnDemandPrice()),
		Interruption: cmp.Or(api.Val(in.InstanceInterruptionBehavior), "terminate"), From: api.Val(in.ValidFrom), Until: api.Val(in.ValidUntil),
		Group: api.Val(in.LaunchGroup), ZoneGroup: api.Val(in.AvailabilityZoneGroup), Launch: &kept, Spec: pl.named(),
	}
	if r.Until.IsZero() {
		r.Until = now.Add(spotLife)
	}
	if v, err := strconv.ParseFloat(r.Price, 64); err == nil {
		r.Price = strconv.FormatFloat(v, 'f', 6, 64)
	}
	r.to(now, spotOpen, "pending-evaluation")
	if r.From.After(now) {
		r.to(now, spotOpen, "not-scheduled-yet")
	}
	return r
}

// allowSpot works out what a request asks for and decides ec2:RequestSpotInstances on it.
// Source: Service Authorization Reference, "Actions defined by Amazon EC2", RequestSpotInstances.
func (s *Service) allowSpot(tx store.Tx, c *guard.Call, run *ec2api.RunInstancesRequest, tags []tag) (*launchPlan, error) {
	const action = "ec2:RequestSpotInstances"
	pl, err := s.plan(tx, c, run)
	if err != nil {
		return nil, err
	}
	own, err := s.tagsFor(tx, c, pl.uses())
	if err != nil {
		return nil, err
	}
	p := s.part(c, action, spotKind+"/*", nil)
	addRequestTags(&p, tags)
	parts := []authz.Part{p}
	img := s.part(c, action, "image/"+pl.image.ID, own[pl.image.ID])
	pl.image.describe(&img)
	parts = append(parts, img)
	sub := s.part(c, action, "subnet/"+pl.subnet.ID, own[pl.subnet.ID])
	pl.subnet.describe(&sub)
	parts = append(parts, sub)
	for _, g := range pl.groups {
		p := s.part(c, action, "security-group/"+g.ID, own[g.ID])
		g.describe(&p)
		parts = append(parts, p)
	}
	if k := pl.key; k != nil {
		parts = append(parts, keypairs.Part(c, action, k.Name, k, own[k.ID]))
	}
	if g := pl.placement; g != nil {
		p := s.part(c, action, "placement-group/"+g.Name, own[g.ID])
		g.Describe(&p)
		parts = append(parts, p)
	}
	for n := range pl.devices {
		if d := &pl.devices[n]; d.named {
			parts = append(parts, s.snapshotPart(c, action, d.snapshot, own[d.snapshot.ID]))
		}
	}
	if pl.profile != nil {
		parts = append(parts, pl.profile.passRole(c.Account()))
	}
	_, err = s.g.Authorize(tx, c, guard.Check{Parts: s.withTags(c, parts, spotKind, tags)})
	return pl, err
}

// spotLater evaluates a request after a while.
func (s *Service) spotLater(r spotRecord, wait time.Duration) {
	s.clock.AfterFunc(wait, func() { s.evaluateSpot(r.Region, r.Account, r.ID) })
}

// evaluateSpot launches the instance of an open request, as the role of EC2 Spot. Nothing is
// interrupted here and prices do not change: a price that is too low stays so.
func (s *Service) evaluateSpot(region, account, id string) {
	if !s.life.enter() {
		return
	}
	defer s.life.leave()
	ctx := context.Background()
	var r spotRecord
	ready := false
	err := s.g.Change(ctx, func(tx store.Tx) (err error) {
		var ok bool
		r, ok, err = spotTable.Get(tx, region, account, id)
		ready = ok && r.State == spotOpen && r.Launch != nil
		if err != nil || !ready {
			return err
		}
		if r.expire(s.g.Now()) {
			ready = false
			return putSpot(tx, r)
		}
		return nil
	})
	if err != nil || !ready {
		s.unlessInterrupted("a Spot Instance request was not evaluated", id, err)
		return
	}
	in, err := r.Launch.request()
	if err != nil {
		s.unlessInterrupted("a Spot Instance request was not evaluated", id, err)
		return
	}
	in.InstanceMarketOptions.SpotOptions.MaxPrice, in.ClientToken = &r.Price, new(id+"-"+strconv.FormatInt(r.Updated.Unix(), 10))
	call, as, err := s.serviceCall(ctx, spotService, region, account, "RequestSpotInstances")
	var made *ec2api.Reservation
	if err == nil {
		made, err = s.runAs(ctx, call, as, in, id)
	}
	if interrupted(err) {
		return
	}
	s.unlessInterrupted("a Spot Instance request was not settled", id, s.g.Change(ctx, func(tx store.Tx) error {
		r, ok, gone := spotTable.Get(tx, region, account, id)
		if gone != nil || !ok || r.State != spotOpen && err != nil {
			return gone
		}
		now := s.g.Now()
		switch code := apierr.Code(err); {
		case err == nil && r.State == spotOpen:
			r.to(now, spotActive, "fulfilled")
		case err == nil: // cancelled meanwhile
			r.to(now, spotCancelled, "request-canceled-and-instance-running")
		case code == "SpotMaxPriceTooLow":
			r.to(now, spotOpen, "price-too-low")
		default:
			r.to(now, spotFailed, "bad-parameters")
			r.Fault = &reason{Code: cmp.Or(code, "InternalError"), Message: err.Error()}
		}
		if err == nil {
			i := made.Instances[0]
			r.Instance, r.Zone, r.ZoneID = *i.InstanceId, *i.Placement.AvailabilityZone, *i.Placement.AvailabilityZoneId
		}
		return putSpot(tx, r)
	}))
}

func (s *Service) unlessInterrupted(trouble, id string, err error) {
	if err != nil && !interrupted(err) {
		s.log.Error(trouble, "id", id, "error", err)
	}
}

// DescribeSpotInstanceRequests lists Spot Instance requests.
func (s *Service) DescribeSpotInstanceRequests(ctx context.Context, c *guard.Call, in *ec2api.DescribeSpotInstanceRequestsRequest) (*ec2api.DescribeSpotInstanceRequestsResult, error) {
	out := &ec2api.DescribeSpotInstanceRequestsResult{}
	id := func(r ec2api.SpotInstanceRequest) string { return *r.SpotInstanceRequestId }
	err := s.viewList(ctx, c, "ec2:DescribeSpotInstanceRequests", in.DryRun, func(tx store.Tx) error {
		var items []ec2api.SpotInstanceRequest
		for rec, err := range spotTable.Scan(tx, c.Region, c.Account()) {
			if err != nil {
				return err
			}
			r := rec.Value
			r.expire(s.g.Now())
			w, err := r.wire(nil)
			if err != nil {
				return err
			}
			items = append(items, w)
		}
		items, err := pick(items, in.SpotInstanceRequestIds, id, errSpotRequest)
		if err != nil {
			return err
		}
		items, err = sift(tx, c, spotFields(), in.Filters, items,
			func(r *ec2api.SpotInstanceRequest) (string, *[]ec2api.Tag) { return *r.SpotInstanceRequestId, &r.Tags })
		if err != nil {
			return err
		}
		out.SpotInstanceRequests, out.NextToken, err = paginate(c.Operation, items, id, limits{5, 1000}, in.MaxResults, in.NextToken)
		return err
	})
	return out, err
}

func errSpotRequest(id string) error {
	if rest, ok := strings.CutPrefix(id, "sir-"); !ok || len(rest) != 8 {
		return apierr.Newf("InvalidSpotInstanceRequestID.Malformed", "The spot instance request ID '%s' is malformed", id)
	}
	return apierr.Newf("InvalidSpotInstanceRequestID.NotFound", "The spot instance request ID '%s' does not exist", id)
}

// CancelSpotInstanceRequests cancels requests; their instances go on, but stopped ones are terminated.
// Source: EC2 API Reference, CancelSpotInstanceRequests.
func (s *Service) CancelSpotInstanceRequests(ctx context.Context, c *guard.Call, in *ec2api.CancelSpotInstanceRequestsRequest) (*ec2api.CancelSpotInstanceRequestsResult, error) {
	ids := slices.Compact(slices.Sorted(slices.Values(in.SpotInstanceRequestIds)))
	switch {
	case len(ids) == 0:
		return nil, apierr.New("MissingParameter", "The request must contain the parameter spotInstanceRequestId")
	case len(ids) > togetherVolumes:
		return nil, invalidValue("You can specify up to %d requests in a single request.", togetherVolumes)
	}
	out := &ec2api.CancelSpotInstanceRequestsResult{}
	var stopped []string
	err := s.g.Update(ctx, c, func(tx store.Tx) error {
		out.CancelledSpotInstanceRequests, stopped = nil, nil
		var parts []authz.Part
		var found []spotRecord
		var missing error
		for _, id := range ids {
			r, ok, err := spotTable.Get(tx, c.Region, c.Account(), id)
			if err != nil {
				return err
			}
			if !ok && missing == nil {
				missing = errSpotRequest(id)
			}
			tags, err := tagsOf(tx, c.Region, c.Account(), id)
			if err != nil {
				return err
			}
			found, parts = append(found, r), append(parts, s.part(c, "ec2:CancelSpotInstanceRequests", spotKind+"/"+id, tags))
		}
		if _, err := s.g.Authorize(tx, c, guard.Check{Parts: parts}); err != nil {
			return err
		}
		if missing != nil {
			return missing
		}
		if err := dryRun(in.DryRun); err != nil {
			return err
		}
		for n := range found {
			r := &found[n]
			switch r.State {
			case spotOpen:
				r.to(s.g.Now(), spotCancelled, "canceled-before-fulfillment")
			case spotActive:
				r.to(s.g.Now(), spotCancelled, "request-canceled-and-instance-running")
			case spotDisabled:
				r.to(s.g.Now(), spotCancelled, "request-canceled-and-instance-running")
				stopped = append(stopped, r.Instance)
			}
			state := r.State
			if state == spotFailed {
				state = spotClosed // as the answer's states have it
			}
			out.CancelledSpotInstanceRequests = append(out.CancelledSpotInstanceRequests,
				ec2api.CancelledSpotInstanceRequest{SpotInstanceRequestId: &r.ID, State: &state})
			if err := putSpot(tx, *r); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	region, account := c.Region, c.Account()
	for _, id := range stopped {
		s.clock.AfterFunc(s.timing.Volume, func() { s.endSpot(region, account, id) })
	}
	return out, nil
}
