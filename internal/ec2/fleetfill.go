package ec2

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// maxFleetWait is the longest pause between two attempts of a fleet whose launches fail.
const maxFleetWait = 15 * time.Minute

// A filling is one round of launches of a fleet.
type filling struct {
	f      *fleetRecord
	parent *guard.Call
	as     guard.Caller
	census *fleetCensus
	made   []memberRecord
	bugs   []fleetBug
	capped bool // nothing is launched any more because of what it would cost
}

// fillFleet launches what a fleet lacks: its On-Demand capacity first. A pool that fails is left out for
// the rest of the round.
func (s *Service) fillFleet(ctx context.Context, r *filling) error {
	for _, spot := range []bool{false, true} {
		failed := map[int]bool{}
		for {
			pool, count, err := r.choose(spot, failed)
			if err != nil {
				return err
			}
			if pool < 0 {
				break
			}
			err = s.fillFrom(ctx, r, pool, count, spot)
			if interrupted(err) {
				return err
			}
			if err != nil {
				failed[pool] = true
				r.bugs = append(r.bugs, fleetBug{pool, spot, cmp.Or(apierr.Code(err), "InternalError"), messageOf(err)})
			}
		}
	}
	return nil
}

// messageOf is what a client is told of an error.
func messageOf(err error) string {
	if e, ok := errors.AsType[*apierr.Error](err); ok {
		return e.Message
	}
	return "An internal error has occurred"
}

// withFleetTags are the tags of a launch template with those that the fleet has for what it launches.
func withFleetTags(specs []ec2api.TagSpecification, kind string, tags []tag) []ec2api.TagSpecification {
	if len(tags) == 0 {
		return specs
	}
	return mergeTags(specs, []ec2api.TagSpecification{{ResourceType: &kind, Tags: apiTags(tagMap(tags))}})
}

// fillFrom launches instances of one pool.
func (s *Service) fillFrom(ctx context.Context, r *filling, pool, count int, spot bool) error {
	f, p := r.f, &r.f.Pools[pool]
	in, err := p.Launch.request()
	if err != nil {
		return err
	}
	in.MinCount, in.MaxCount = new(int32(count)), new(int32(count))
	in.ClientToken = new(fmt.Sprintf("%s-%d-%d", f.ID, f.Made, pool))
	in.InstanceMarketOptions = nil
	if spot {
		in.InstanceMarketOptions = &ec2api.InstanceMarketOptionsRequest{MarketType: new(ec2api.MarketTypeSpot), SpotOptions: &ec2api.SpotMarketOptions{}}
		if p.MaxPrice != "" {
			in.InstanceMarketOptions.SpotOptions.MaxPrice = &p.MaxPrice
		}
	}
	in.TagSpecifications = withFleetTags(in.TagSpecifications, "instance", f.Tags)
	in.TagSpecifications = withFleetTags(in.TagSpecifications, "volume", f.VolumeTags)
	out, err := s.runAs(ctx, r.parent, r.as, in, "")
	if err != nil {
		return err
	}
	var members []memberRecord
	err = s.g.Change(ctx, func(tx store.Tx) error {
		members = nil
		now, ok, err := fleetTable.Get(tx, f.Region, f.Account, f.ID)
		if err != nil || !ok {
			return err
		}
		for n := range out.Instances {
			i := &out.Instances[n]
			m := memberRecord{
				Fleet: f.ID, Instance: *i.InstanceId, Pool: pool, Spot: spot, Weight: p.Weight, Made: s.g.Now(), Type: *i.InstanceType,
				Subnet: *i.SubnetId, Zone: *i.Placement.AvailabilityZone, ZoneID: *i.Placement.AvailabilityZoneId,
			}
			members = append(members, m)
			if err := s.putMember(tx, f, m); err != nil {
				return err
			}
			now.note(m.Made, event{Type: "instanceChange", Sub: "launched", Instance: m.Instance})
		}
		now.Made += len(members)
		f.Made, f.History = now.Made, now.History
		return putFleet(tx, now)
	})
	if err != nil {
		return err
	}
	for _, m := range members {
		r.made = append(r.made, m)
		r.census.members = append(r.census.members, m)
		r.census.perPool[pool]++
		if spot {
			r.census.spot += m.Weight
		} else {
			r.census.onDemand += m.Weight
		}
	}
	return nil
}

// putMember stores that an instance is of a fleet; a tag of AWS says so too.
func (s *Service) putMember(tx store.Tx, f *fleetRecord, m memberRecord) error {
	key := "aws:ec2:fleet-id"
	if f.spotFleet() {
		key = "aws:ec2spot:fleet-request-id"
	}
	if err := putTags(tx, f.Region, f.Account, m.Instance, []tag{{Key: key, Value: f.ID}}); err != nil {
		return err
	}
	if err := fleetOf.Put(tx, f.ID, f.Region, f.Account, m.Instance); err != nil {
		return err
	}
	return memberTable.Put(tx, m, f.Region, f.Account, f.ID, m.Instance)
}

// fleetLater looks after a fleet after a while.
func (s *Service) fleetLater(f *fleetRecord, wait time.Duration) {
	region, account, id := f.Region, f.Account, f.ID
	s.clock.AfterFunc(wait, func() { s.tendFleet(region, account, id) })
}

// tendFleet launches what a fleet of the types request and maintain lacks, and ends what it has too
// much of, as its service-linked role.
func (s *Service) tendFleet(region, account, id string) {
	if !s.life.enter() {
		return
	}
	defer s.life.leave()
	defer s.fleetLocks.Lock(id)()
	ctx := context.Background()
	r := &filling{}
	err := s.g.Change(ctx, func(tx store.Tx) error {
		f, ok, err := fleetTable.Get(tx, region, account, id)
		if err != nil || !ok {
			return err
		}
		if f.live() && !f.Until.IsZero() && !s.g.Now().Before(f.Until) {
			f.end(s.g.Now(), f.EndToo)
			if err := putFleet(tx, f); err != nil {
				return err
			}
		} else if f.State == fleetSubmitted {
			f.State = fleetActive
			f.note(s.g.Now(), event{Type: "fleetRequestChange", Sub: "active"})
			if err := putFleet(tx, f); err != nil {
				return err
			}
		}
		r.f = &f
		r.census, err = rosterOf(tx, region, account).census(id)
		return err
	})
	if err != nil || r.f == nil {
		s.unlessInterrupted("a fleet was not looked after", id, err)
		return
	}
	r.parent, r.as, err = s.serviceCall(ctx, r.f.service(), region, account, "CreateFleet")
	if err == nil {
		err = s.tend(ctx, r)
	}
	if interrupted(err) {
		return
	}
	s.settleFleet(ctx, r, err)
}

// tend does a round of a fleet's work.
func (s *Service) tend(ctx context.Context, r *filling) error {
	f := r.f
	var surplus []string
	switch {
	case f.State == fleetTerminating:
		for _, m := range r.census.members {
			surplus = append(surplus, m.Instance)
		}
	case !f.live() || f.Type == fleetRequest && f.Done:
	default:
		if f.Excess == "termination" {
			surplus = r.census.surplus(f)
		}
		if err := s.terminateAs(ctx, r.parent, r.as, surplus); err != nil {
			return err
		}
		return s.fillFleet(ctx, r)
	}
	return s.terminateAs(ctx, r.parent, r.as, surplus)
}

// surplus are the newest instances above a fleet's targets.
func (n *fleetCensus) surplus(f *fleetRecord) []string {
	var out []string
	onDemand, spot := n.onDemand-float64(f.OnDemand), n.spot-float64(f.Spot)
	for i := len(n.members) - 1; i >= 0; i-- {
		m := &n.members[i]
		over := &onDemand
		if m.Spot {
			over = &spot
		}
		if *over >= m.Weight {
			*over -= m.Weight
			out = append(out, m.Instance)
		}
	}
	return out
}

// settleFleet stores the outcome of a round and plans the next if the fleet lacks something still.
func (s *Service) settleFleet(ctx context.Context, r *filling, failed error) {
	var again time.Duration
	err := s.g.Change(ctx, func(tx store.Tx) error {
		again = 0
		f, ok, err := fleetTable.Get(tx, r.f.Region, r.f.Account, r.f.ID)
		if err != nil || !ok || !f.live() {
			return err
		}
		bugs := r.bugs
		if failed != nil {
			bugs = append(bugs, fleetBug{Code: cmp.Or(apierr.Code(failed), "InternalError"), Message: messageOf(failed)})
		}
		f.Errors = bugs
		for _, b := range bugs {
			f.note(s.g.Now(), event{Type: "error", Sub: b.Code, Said: b.Message})
		}
		n, err := rosterOf(tx, f.Region, f.Account).census(f.ID)
		if err != nil {
			return err
		}
		switch full := n.onDemand >= float64(f.OnDemand) && n.spot >= float64(f.Spot); {
		case full:
			f.Done = true
		case f.Type == fleetRequest && f.Done:
		case r.capped && len(bugs) == 0: // it waits until an instance ends or the fleet is changed
		case len(bugs) > 0:
			f.Failures++
			again = fleetWait(f.Failures)
		default:
			again = s.timing.Volume
		}
		return putFleet(tx, f)
	})
	s.unlessInterrupted("a fleet was not settled", r.f.ID, err)
	if again > 0 {
		s.fleetLater(r.f, again)
	}
}

// fleetWait is the pause after so many failures: from 5 s, doubling.
func fleetWait(failures int) time.Duration {
	if failures > 8 {
		return maxFleetWait
	}
	return min(maxFleetWait, 5*time.Second<<max(0, failures-1))
}

// fleetEnded notes that an instance of a fleet is gone; a fleet that maintains its capacity replaces
// it, the later the more often its instances failed.
func (s *Service) fleetEnded(region, account, instance string) {
	var f fleetRecord
	replace := false
	wait := s.timing.Volume
	err := s.g.Change(context.Background(), func(tx store.Tx) error {
		replace = false
		id, ok, err := fleetOf.Get(tx, region, account, instance)
		if err != nil || !ok {
			return err
		}
		if f, ok, err = fleetTable.Get(tx, region, account, id); err != nil || !ok {
			return err
		}
		i, _, err := instanceTable.Get(tx, region, account, instance)
		if err != nil {
			return err
		}
		if m, ok, err := memberTable.Get(tx, region, account, id, instance); err != nil {
			return err
		} else if ok {
			m.Gone = true
			if err := memberTable.Put(tx, m, region, account, id, instance); err != nil {
				return err
			}
		}
		f.note(s.g.Now(), event{Type: "instanceChange", Sub: "terminated", Instance: instance})
		if i.Reason != nil && *i.Reason != reasonTerminate {
			f.Failures++
			wait = fleetWait(f.Failures)
		} else {
			f.Failures = 0
		}
		replace = f.live() && f.Type == fleetMaintain
		return putFleet(tx, f)
	})
	s.unlessInterrupted("a fleet was not told of the end of its instance", instance, err)
	if replace {
		s.fleetLater(&f, wait)
	}
}

// end deletes a fleet, with its instances or without.
func (f *fleetRecord) end(now time.Time, instances bool) {
	f.State, f.Ended = fleetRunning, now
	if instances {
		f.State = fleetTerminating
	}
	f.note(now, event{Type: "fleetRequestChange", Sub: "cancelled"})
}

// resumeRequests sets the timers of fleets and of open Spot Instance requests after a restart.
func (s *Service) resumeRequests(ctx context.Context) error {
	var spots []spotRecord
	var fleets []fleetRecord
	err := s.g.Read(ctx, func(tx store.Tx) error {
		spots, fleets = nil, nil
		for r, err := range spotTable.Scan(tx) {
			if err != nil {
				return err
			}
			if r.Value.State == spotOpen {
				spots = append(spots, r.Value)
			}
		}
		for r, err := range fleetTable.Scan(tx) {
			if err != nil {
				return err
			}
			if f := r.Value; f.Type != fleetInstant && (f.live() || f.State == fleetTerminating) {
				fleets = append(fleets, f)
			}
		}
		return nil
	})
	for _, r := range spots {
		s.spotLater(r, max(s.timing.Volume, r.From.Sub(s.g.Now())))
	}
	for n := range fleets {
		s.fleetStart(&fleets[n])
	}
	return err
}

// fleetStart sets the timers of a fleet: its beginning, and its end if it has one.
func (s *Service) fleetStart(f *fleetRecord) {
	s.fleetLater(f, max(s.timing.Volume, f.From.Sub(s.g.Now())))
	if !f.Until.IsZero() {
		s.fleetLater(f, max(s.timing.Volume, f.Until.Sub(s.g.Now())))
	}
}
