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
	cause    func(id, from, to string) string    // of the activity
	change   func(*memberRecord)                 // besides the state
	status   string                              // of the activity as it begins
	progress int32                               // of the activity as it begins
	step     int32                               // by which an instance changes the capacity in service: 1 or -1
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
		at = g.place()
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
			a := newActivity(&g, now, mv.describe(m.ID), []string{sentence(now, mv.cause(m.ID, itoa(have), itoa(have+mv.step*m.weight())))}, "", m.Zone)
			have += mv.step * m.weight()
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
		units += all[i].weight()
	}
	return moved, units, nil
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
		cause: func(id, from, to string) string {
			return "instance " + id + " was moved to standby in response to a user request, shrinking the capacity from " + from + " to " + to + "."
		},
		change: func(m *memberRecord) { m.Replace = "" },
		status: autoscalingapi.ScalingActivityStatusCodeInProgress, progress: 50, step: -1,
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
		cause: func(id, from, to string) string {
			return "instance " + id + " was moved out of standby in response to a user request, increasing the capacity from " + from + " to " + to + "."
		},
		change: func(m *memberRecord) { m.Health = healthy },
		status: autoscalingapi.ScalingActivityStatusCodePreInService, progress: 30, step: 1,
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
		cause: func(id, from, to string) string {
			return "instance " + id + " was detached in response to a user request, shrinking the capacity from " + from + " to " + to + "."
		},
		change: func(m *memberRecord) { m.Warm = false },
		status: autoscalingapi.ScalingActivityStatusCodeInProgress, progress: 50, step: -1,
		count: fewer(in.ShouldDecrementDesiredCapacity, "detach"),
	})
	return &autoscalingapi.DetachInstancesAnswer{Activities: out}, err
}
