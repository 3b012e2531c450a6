package autoscaling

import (
	"context"
	"slices"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/store"
)

// States of the instances of a warm pool. Source: API Reference, WarmPoolConfiguration.
const (
	poolStopped    = autoscalingapi.WarmPoolStateStopped
	poolRunning    = autoscalingapi.WarmPoolStateRunning
	poolHibernated = autoscalingapi.WarmPoolStateHibernated
)

// poolRecord is a warm pool, kept with its group.
type poolRecord struct {
	State    string
	Min      int32
	Prepared int32 // MaxGroupPreparedCapacity; -1: the group's maximum
	Reuse    bool  `json:",omitempty"`
	ReuseSet bool  `json:",omitempty"` // a policy was given
	Deleting bool  `json:",omitempty"`
}

func (p *poolRecord) state() string {
	if p == nil {
		return poolStopped
	}
	return p.State
}

func (p *poolRecord) reuses() bool { return p != nil && p.Reuse && !p.Deleting }

// size is how many instances the pool is to hold: what the group is prepared for and does not use.
// Source: User Guide, "Warm pools for Amazon EC2 Auto Scaling", Warm pool size.
func (p *poolRecord) size(g *groupRecord) int32 {
	switch {
	case p == nil || p.Deleting || g.Deleting:
		return 0
	case p.Prepared >= 0:
		return max(p.Min, p.Prepared-g.Desired)
	}
	return max(p.Min, g.Max-g.Desired)
}

func (p *poolRecord) describe() *autoscalingapi.WarmPoolConfiguration {
	if p == nil {
		return nil
	}
	out := &autoscalingapi.WarmPoolConfiguration{MinSize: &p.Min, PoolState: &p.State}
	if p.Prepared >= 0 {
		out.MaxGroupPreparedCapacity = &p.Prepared
	}
	if p.ReuseSet {
		out.InstanceReusePolicy = &autoscalingapi.InstanceReusePolicy{ReuseOnScaleIn: &p.Reuse}
	}
	if p.Deleting {
		out.Status = new(autoscalingapi.WarmPoolStatusPendingDelete)
	}
	return out
}

// PutWarmPool gives a group a warm pool or changes it. What a change does not name takes its
// default again. Source: API Reference, PutWarmPool.
func (s *Service) PutWarmPool(ctx context.Context, c *guard.Call, in *autoscalingapi.PutWarmPoolType) (*autoscalingapi.PutWarmPoolAnswer, error) {
	var at place
	err := s.g.Update(ctx, c, func(tx store.Tx) error {
		g, err := s.load(tx, c, api.Val(in.AutoScalingGroupName), "autoscaling:PutWarmPool", nil)
		if err != nil {
			return err
		}
		at = g.place()
		if err := g.canWarm(tx); err != nil {
			return err
		}
		if g.Pool != nil && g.Pool.Deleting {
			return validation("The warm pool of the Auto Scaling group %s is being deleted.", g.Name)
		}
		if g.Refresh.active() {
			return apierr.New("InstanceRefreshInProgress", "An active instance refresh is in progress and blocks changes of the warm pool.")
		}
		p := poolRecord{State: poolStopped, Prepared: -1}
		set(&p.State, in.PoolState)
		set(&p.Min, in.MinSize)
		set(&p.Prepared, in.MaxGroupPreparedCapacity)
		if r := in.InstanceReusePolicy; r != nil {
			p.Reuse, p.ReuseSet = api.Val(r.ReuseOnScaleIn), true
		}
		if p.Prepared >= 0 && p.Prepared < p.Min {
			return validation("MaxGroupPreparedCapacity must not be less than the MinSize of the warm pool.")
		}
		g.Pool = &p
		return s.put(tx, g)
	})
	if err == nil {
		s.wake(at, 0)
	}
	return &autoscalingapi.PutWarmPoolAnswer{}, err
}

// canWarm refuses warm pools of groups that launch Spot Instances, which cannot be stopped, and of
// those whose instances have weights.
func (g *groupRecord) canWarm(tx store.Tx) error {
	config, err := g.config(tx)
	if err != nil {
		return err
	}
	if m := g.Mixed; m != nil {
		weighted := slices.ContainsFunc(m.Overrides, func(o overrideRecord) bool { return o.Weight != "" })
		if m.Percent < 100 || weighted {
			return noWarmPool()
		}
	}
	if config != nil && config.Params.SpotPrice != nil {
		return noWarmPool()
	}
	return nil
}

// noWarmPool is in AWS's words, with its apostrophe, as reported by users.
func noWarmPool() error {
	return validation("You can’t add a warm pool to an Auto Scaling group that has a mixed instances policy or a launch template or launch configuration that requests Spot Instances.")
}

// DescribeWarmPool tells a group's warm pool and the instances in it.
func (s *Service) DescribeWarmPool(ctx context.Context, c *guard.Call, in *autoscalingapi.DescribeWarmPoolType) (*autoscalingapi.DescribeWarmPoolAnswer, error) {
	limit, err := bound(in.MaxRecords, 50, 50)
	if err != nil {
		return nil, err
	}
	prefix := store.Key(c.Region, c.Account(), api.Val(in.AutoScalingGroupName))
	from, err := after(in.NextToken, prefix)
	if err != nil {
		return nil, err
	}
	out := &autoscalingapi.DescribeWarmPoolAnswer{}
	return out, s.listing(ctx, c, func(tx store.Tx) error {
		out.Instances, out.NextToken, out.WarmPoolConfiguration = []autoscalingapi.Instance{}, nil, nil
		g, err := s.named(tx, c, in.AutoScalingGroupName)
		if err != nil {
			return err
		}
		out.WarmPoolConfiguration = g.Pool.describe()
		last := ""
		for r, err := range memberTable.ScanRange(tx, store.Range{Prefix: prefix, After: from}) {
			if err != nil {
				return err
			}
			if !r.Value.Warm {
				continue
			}
			if len(out.Instances) == limit {
				out.NextToken = token(last)
				break
			}
			out.Instances = append(out.Instances, r.Value.describe())
			last = store.Key(r.Key...)
		}
		return nil
	})
}

// DeleteWarmPool takes a warm pool away: an empty one, or, with force, after its instances have
// been terminated.
func (s *Service) DeleteWarmPool(ctx context.Context, c *guard.Call, in *autoscalingapi.DeleteWarmPoolType) (*autoscalingapi.DeleteWarmPoolAnswer, error) {
	var at place
	err := s.g.Update(ctx, c, func(tx store.Tx) error {
		g, err := s.load(tx, c, api.Val(in.AutoScalingGroupName), "autoscaling:DeleteWarmPool", nil)
		if err != nil {
			return err
		}
		at = g.place()
		if g.Pool == nil {
			return validation("No warm pool found for Auto Scaling group %s", g.Name)
		}
		all, err := members(tx, at)
		if err != nil {
			return err
		}
		warm := slices.ContainsFunc(all, func(m memberRecord) bool { return m.Warm })
		switch {
		case warm && !api.Val(in.ForceDelete):
			return apierr.New("ResourceInUse", "You cannot delete a warm pool while there are instances still in the warm pool.")
		case warm || len(g.Launching) > 0:
			p := *g.Pool
			p.Deleting = true
			g.Pool = &p
		default:
			g.Pool = nil
		}
		return s.put(tx, g)
	})
	if err == nil {
		s.wake(at, 0)
	}
	return &autoscalingapi.DeleteWarmPoolAnswer{}, err
}

// settleStopping is a member that EC2 stops for the warm pool.
func (s *Service) settleStopping(tx store.Tx, v *sight, g *groupRecord, m memberRecord, is condition) (errand, error) {
	switch {
	case is.running():
		return stop, nil
	case is.gone():
		return s.diedPending(tx, v, g, m, is)
	case !is.is(restOf(stateWarmedStopped)):
		return none, nil
	}
	m.State = stateWarmedStopped
	if g.Pool.state() == poolHibernated {
		m.State = stateWarmedHibernated
	}
	return none, s.finishMember(tx, v, m)
}

// toPool sends a member that a smaller group has no use for into the warm pool, past the launch
// hooks. Source: User Guide, "Lifecycle state transitions for instances in a warm pool".
func (s *Service) toPool(tx store.Tx, v *sight, m memberRecord) (errand, error) {
	m.State, m.Warm, m.Reuse, m.Replace = stateWarmedPending, true, false, ""
	a, ok, err := getActivity(tx, v.place, m.Activity)
	if err != nil {
		return none, err
	}
	if ok {
		a.Description = "Moving EC2 instance to warm pool: " + m.ID
		if err := putActivity(tx, v.place, a); err != nil {
			return none, err
		}
	}
	s.wake(v.place, 0)
	return none, putMember(tx, v.place, m)
}

// draw takes up to missing units of capacity from the warm pool. It returns what is still missing.
func (s *Service) draw(ctx context.Context, v *sight, as guard.Caller, missing int32) (int32, error) {
	ready := slices.DeleteFunc(slices.Clone(v.members), func(m memberRecord) bool { return !m.resting() || m.Replace != "" })
	if len(ready) == 0 || v.group.Pool == nil || v.group.Pool.Deleting {
		return missing, nil
	}
	ready = evenly(ready, v.active(), min(len(ready), int(missing), batch))
	have := capacityOf(v.active())
	var todo errands
	err := s.g.Change(ctx, func(tx store.Tx) error {
		todo = errands{}
		g, ok, err := groupTable.Get(tx, v.key()...)
		if err != nil || !ok {
			return err
		}
		from := have
		for _, m := range ready {
			m, ok, err := memberTable.Get(tx, v.Region, v.Account, v.Name, m.ID)
			if err != nil {
				return err
			}
			if !ok || !m.resting() {
				continue
			}
			now := s.g.Now()
			a := newActivity(&g, now, "Launching a new EC2 instance from warm pool: "+m.ID, s.launchCauses(&g, int(from), int(from+1)), m.Subnet, m.Zone)
			a.Instance, a.Progress = m.ID, 30
			from++
			m.Starting = m.State != stateWarmedRunning
			m.State, m.Warm, m.Activity, m.Scaled = statePending, false, a.ID, g.Scaled
			if m.Starting {
				todo.add(start, m.ID)
			}
			if err := addActivity(tx, v.place, a); err != nil {
				return err
			}
			if err := putMember(tx, v.place, m); err != nil {
				return err
			}
		}
		v.group = g
		return s.put(tx, g)
	})
	if err != nil {
		return missing, err
	}
	s.run(ctx, v, as, todo)
	s.wake(v.place, s.timing.Detect)
	return missing - int32(len(ready)), nil
}

// evenly picks n of the instances that are ready, each for the zone that has the fewest.
func evenly(ready, active []memberRecord, n int) []memberRecord {
	zones := map[string]int{}
	for _, m := range active {
		zones[m.Zone]++
	}
	var out []memberRecord
	for range n {
		i := 0
		for j := range ready {
			if zones[ready[j].Zone] < zones[ready[i].Zone] {
				i = j
			}
		}
		out = append(out, ready[i])
		zones[ready[i].Zone]++
		ready = slices.Delete(ready, i, i+1)
	}
	return out
}

// fillPool brings the warm pool to its size.
func (s *Service) fillPool(ctx context.Context, v *sight, as guard.Caller) error {
	g := &v.group
	if g.Pool == nil || g.Deleting {
		return nil
	}
	var warm []memberRecord
	left, coming := false, int32(0)
	for _, m := range v.members {
		left = left || m.Warm
		if m.Reuse && m.terminating() {
			coming++ // it returns when its hooks are done
		}
		if m.Warm && !m.terminating() {
			warm = append(warm, m)
		}
	}
	want := g.Pool.size(g)
	switch {
	case g.Pool.Deleting && !left:
		return s.dropPool(ctx, v)
	case int32(len(warm)) > want && !g.suspended(processTerminate):
		return s.takeOut(ctx, v, as, warm[want:], nil)
	case int32(len(warm))+coming < want && !g.suspended(processLaunch):
		if wait := g.Retry.Next.Sub(s.g.Now()); wait > 0 {
			s.wake(v.place, wait)
			return nil
		}
		return s.scaleOut(ctx, v, as, wanted{have: warm, missing: want - coming - int32(len(warm)), warm: true})
	}
	return nil
}

// dropPool forgets a warm pool that is empty.
func (s *Service) dropPool(ctx context.Context, v *sight) error {
	return s.g.Change(ctx, func(tx store.Tx) error {
		g, ok, err := groupTable.Get(tx, v.key()...)
		if err != nil || !ok || g.Pool == nil || !g.Pool.Deleting {
			return err
		}
		g.Pool = nil
		return s.put(tx, g)
	})
}

var cancelled = launch.Activity{StatusCode: autoscalingapi.ScalingActivityStatusCodeCancelled}
