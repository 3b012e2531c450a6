package autoscaling

import (
	"context"
	"slices"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// maxNamed is how many instances one request can move.
// Source: API Reference, EnterStandby, ExitStandby, AttachInstances, DetachInstances.
const maxNamed = 20

// A move takes instances of a group from one state to another, as a user asks.
type move struct {
	from     []string // states of the instances that can be moved
	to       string
	describe func(id string) string              // of the activity
	cause    func(id, sizes string) string       // of the activity; sizes tells how the capacity changes
	change   func(*memberRecord)                 // besides the state
	status   string                              // of the activity as it begins
	progress int32                               // of the activity as it begins
	step     int32                               // by which an instance changes the capacity in service: 1 or -1
	sized    bool                                // the desired capacity changes with it
	count    func(g *groupRecord, n int32) error // changes the desired capacity, or refuses
}

// moveInstances makes a move with all instances or none.
func (s *Service) moveInstances(ctx context.Context, c *guard.Call, group *string, ids []string, mv move) ([]autoscalingapi.Activity, error) {
	switch {
	case len(ids) == 0:
		return nil, validation("At least one instance must be named.")
	case len(ids) > maxNamed:
		return nil, validation("The number of instances cannot be more than %d.", maxNamed)
	}
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	var out []autoscalingapi.Activity
	var at place
	err := s.g.Update(ctx, c, func(tx store.Tx) error {
		out = []autoscalingapi.Activity{}
		g, err := s.load(tx, c, api.Val(group), "autoscaling:"+c.Operation, nil)
		if err != nil {
			return err
		}
		if at = g.place(); g.Deleting {
			return beingDeleted(&g)
		}
		all, err := members(tx, at)
		if err != nil {
			return err
		}
		moved, units, err := mv.pick(&g, all, ids)
		if err != nil {
			return err
		}
		have := capacityOf(serving(all))
		if err := mv.count(&g, units); err != nil {
			return err
		}
		for _, m := range moved {
			now := s.g.Now()
			sizes := ""
			if mv.counts(&m) {
				sizes = resized(have, have+mv.step*m.weight())
				have += mv.step * m.weight()
			}
			a := newActivity(&g, now, mv.describe(m.ID), []string{sentence(now, mv.cause(m.ID, sizes))}, m.Subnet, m.Zone)
			a.Instance, a.Status, a.Progress = m.ID, mv.status, mv.progress
			if m.Activity != "" {
				if err := end(tx, at, m.Activity, now, cancelled); err != nil {
					return err
				}
			}
			m.State, m.Activity, m.Waits = mv.to, a.ID, nil
			if mv.change != nil {
				mv.change(&m)
			}
			if err := addActivity(tx, at, a); err != nil {
				return err
			}
			if err := putMember(tx, at, m); err != nil {
				return err
			}
			out = append(out, a.describe(false))
		}
		return s.put(tx, g)
	})
	if err == nil {
		s.wake(at, s.timing.Detect)
	}
	return out, err
}

// counts reports whether the desired capacity changes with a member: one on standby or in the warm
// pool is no part of it.
func (mv *move) counts(m *memberRecord) bool { return mv.sized && (mv.step > 0 || m.live()) }

// resized is the end of a cause: how the capacity changes.
func resized(from, to int32) string {
	if to > from {
		return ", increasing the capacity from " + itoa(from) + " to " + itoa(to)
	}
	return ", shrinking the capacity from " + itoa(from) + " to " + itoa(to)
}

// pick finds the instances that are named, and what they count for.
func (mv *move) pick(g *groupRecord, all []memberRecord, ids []string) (moved []memberRecord, units int32, err error) {
	for _, id := range ids {
		i := slices.IndexFunc(all, func(m memberRecord) bool { return m.ID == id })
		if i < 0 {
			return nil, 0, validation("The instance %s is not part of Auto Scaling group %s.", id, g.Name)
		}
		if !slices.Contains(mv.from, all[i].State) {
			return nil, 0, validation("The instance %s is not in %s.", id, mv.from[0])
		}
		moved = append(moved, all[i])
		if mv.counts(&all[i]) {
			units += all[i].weight()
		}
	}
	return moved, units, nil
}

// beingDeleted is the refusal of what makes no sense for a group that is being deleted.
func beingDeleted(g *groupRecord) error {
	return validation("The Auto Scaling group %s is being deleted.", g.Name)
}

// serving are the members that count.
func serving(all []memberRecord) []memberRecord {
	return slices.DeleteFunc(slices.Clone(all), func(m memberRecord) bool { return !m.live() })
}

// fewer takes units off the desired capacity, if asked to; what says what for.
func fewer(decrement *bool, what string) func(*groupRecord, int32) error {
	return func(g *groupRecord, n int32) error {
		if !api.Val(decrement) {
			return nil
		}
		if g.Desired-n < g.Min {
			return validation("AutoScalingGroup %s has min-size=%d, max-size=%d, and desired-size=%d. To %s %d instance, please update the "+
				"AutoScalingGroup sizes appropriately.", g.Name, g.Min, g.Max, g.Desired, what, n)
		}
		g.Desired -= n
		return nil
	}
}

// more adds units to the desired capacity.
func more(what string) func(*groupRecord, int32) error {
	return func(g *groupRecord, n int32) error {
		if g.Desired+n > g.Max {
			return validation("AutoScalingGroup %s has min-size=%d, max-size=%d, and desired-size=%d. To %s %d more instance, please update the "+
				"AutoScalingGroup sizes appropriately.", g.Name, g.Min, g.Max, g.Desired, what, n)
		}
		g.Desired += n
		return nil
	}
}

// EnterStandby takes instances out of service without ending them. Others take their place unless
// the desired capacity goes down with them.
func (s *Service) EnterStandby(ctx context.Context, c *guard.Call, in *autoscalingapi.EnterStandbyQuery) (*autoscalingapi.EnterStandbyAnswer, error) {
	out, err := s.moveInstances(ctx, c, in.AutoScalingGroupName, in.InstanceIds, move{
		from: []string{stateInService}, to: stateEnteringStandby,
		describe: func(id string) string { return "Moving EC2 instance to Standby: " + id },
		cause: func(id, sizes string) string {
			return "instance " + id + " was moved to standby in response to a user request" + sizes + "."
		},
		change: func(m *memberRecord) { m.Replace = "" },
		status: autoscalingapi.ScalingActivityStatusCodeInProgress, progress: 50, step: -1, sized: api.Val(in.ShouldDecrementDesiredCapacity),
		count: fewer(in.ShouldDecrementDesiredCapacity, "place into standby"),
	})
	return &autoscalingapi.EnterStandbyAnswer{Activities: out}, err
}

// ExitStandby puts instances back into service, past the launch hooks of the group; the desired
// capacity goes up with them.
func (s *Service) ExitStandby(ctx context.Context, c *guard.Call, in *autoscalingapi.ExitStandbyQuery) (*autoscalingapi.ExitStandbyAnswer, error) {
	out, err := s.moveInstances(ctx, c, in.AutoScalingGroupName, in.InstanceIds, move{
		from: []string{stateStandby}, to: statePending,
		describe: func(id string) string { return "Moving EC2 instance out of Standby: " + id },
		cause: func(id, sizes string) string {
			return "instance " + id + " was moved out of standby in response to a user request" + sizes + "."
		},
		change: func(m *memberRecord) { m.Health = healthy },
		status: autoscalingapi.ScalingActivityStatusCodePreInService, progress: 30, step: 1, sized: true,
		count: more("return from standby"),
	})
	return &autoscalingapi.ExitStandbyAnswer{Activities: out}, err
}

// DetachInstances lets instances go: they run on, outside of the group.
func (s *Service) DetachInstances(ctx context.Context, c *guard.Call, in *autoscalingapi.DetachInstancesQuery) (*autoscalingapi.DetachInstancesAnswer, error) {
	out, err := s.moveInstances(ctx, c, in.AutoScalingGroupName, in.InstanceIds, move{
		from:     []string{stateInService, stateStandby, stateWarmedStopped, stateWarmedRunning, stateWarmedHibernated},
		to:       stateDetaching,
		describe: func(id string) string { return "Detaching EC2 instance: " + id },
		cause: func(id, sizes string) string {
			return "instance " + id + " was detached in response to a user request" + sizes + "."
		},
		change: func(m *memberRecord) { m.Warm = false },
		status: autoscalingapi.ScalingActivityStatusCodeInProgress, progress: 50, step: -1, sized: api.Val(in.ShouldDecrementDesiredCapacity),
		count: fewer(in.ShouldDecrementDesiredCapacity, "detach"),
	})
	return &autoscalingapi.DetachInstancesAnswer{Activities: out}, err
}
