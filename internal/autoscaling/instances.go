package autoscaling

import (
	"context"
	"slices"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// memberOfCall finds the group of an instance and decides an action on it.
func (s *Service) memberOfCall(tx store.Tx, c *guard.Call, id, action string) (groupRecord, memberRecord, error) {
	name, found, err := memberOf.Get(tx, c.Region, c.Account(), id)
	if err != nil {
		return groupRecord{}, memberRecord{}, err
	}
	if !found {
		if err := s.allowList(tx, c, action); err != nil {
			return groupRecord{}, memberRecord{}, err
		}
		return groupRecord{}, memberRecord{}, validation("Instance Id not found - No managed instance found for instance ID: %s", id)
	}
	g, err := s.load(tx, c, name, action, nil)
	if err != nil {
		return g, memberRecord{}, err
	}
	m, _, err := memberTable.Get(tx, c.Region, c.Account(), name, id)
	return g, m, err
}

// TerminateInstanceInAutoScalingGroup ends an instance and, if asked, does not replace it.
func (s *Service) TerminateInstanceInAutoScalingGroup(ctx context.Context, c *guard.Call, in *autoscalingapi.TerminateInstanceInAutoScalingGroupType) (*autoscalingapi.ActivityType, error) {
	var (
		out *autoscalingapi.ActivityType
		v   sight
	)
	what := none
	id := api.Val(in.InstanceId)
	err := s.g.Update(ctx, c, func(tx store.Tx) error {
		g, m, err := s.memberOfCall(tx, c, id, "autoscaling:TerminateInstanceInAutoScalingGroup")
		if err != nil {
			return err
		}
		if m.terminating() {
			return apierr.Newf("ScalingActivityInProgress", "Scaling activity %s is in progress and blocks this action", m.Activity)
		}
		sizes := ""
		if api.Val(in.ShouldDecrementDesiredCapacity) && m.live() {
			if g.Desired-m.weight() < g.Min {
				return validation("Currently, desiredSize equals minSize (%d). Terminating instance without replacement will violate group's min size constraint. Either set shouldDecrementDesiredCapacity flag to false or lower group's min size.", g.Min)
			}
			all, err := members(tx, g.place())
			if err != nil {
				return err
			}
			have := capacityOf(serving(all))
			sizes = resized(have, have-m.weight())
			g.Desired -= m.weight()
		}
		v.place = g.place()
		if what, err = s.beginTermination(tx, v.place, &g, m, []string{sentence(s.g.Now(), "instance "+id+" was taken out of service in response to a user request"+sizes+".")}); err != nil {
			return err
		}
		m, _, err = memberTable.Get(tx, v.Region, v.Account, v.Name, id)
		if err != nil {
			return err
		}
		a, _, err := getActivity(tx, v.place, m.Activity)
		if err != nil {
			return err
		}
		v.group = g
		out = &autoscalingapi.ActivityType{Activity: new(a.describe(false))}
		return s.put(tx, g)
	})
	if err != nil {
		return nil, err
	}
	call := s.newCall(v.place)
	as, err := s.session(ctx, call, v.group.Role)
	if err == nil && what == terminate {
		err = s.ask(ctx, &v, as, what, []string{id})
	}
	store.Report(ctx, s.log, "an instance was not terminated at once", err, "instance", id) // the loop asks again
	s.wake(v.place, s.timing.Detect)
	return out, nil
}

// SetInstanceHealth tells the group what the user knows of an instance. In the grace period of an
// instance bad news is not heard, unless the caller says so.
// Source: API Reference, SetInstanceHealth, ShouldRespectGracePeriod.
func (s *Service) SetInstanceHealth(ctx context.Context, c *guard.Call, in *autoscalingapi.SetInstanceHealthQuery) error {
	status := api.Val(in.HealthStatus)
	if status != healthy && status != unhealthy {
		return validation("Valid instance health states are: [%s, %s].", healthy, unhealthy)
	}
	var p place
	err := s.g.Update(ctx, c, func(tx store.Tx) error {
		g, m, err := s.memberOfCall(tx, c, api.Val(in.InstanceId), "autoscaling:SetInstanceHealth")
		if err != nil {
			return err
		}
		p = g.place()
		graced := s.g.Now().Before(m.Served.Add(time.Duration(g.GracePeriod) * time.Second))
		if status == unhealthy && graced && (in.ShouldRespectGracePeriod == nil || *in.ShouldRespectGracePeriod) {
			return nil
		}
		m.Health = status
		return putMember(tx, p, m)
	})
	if err == nil {
		s.wake(p, s.timing.Detect)
	}
	return err
}

// SetInstanceProtection protects instances from being taken out when the group shrinks. Which states it takes users
// have reported: neither instances on their way in or out nor those of a warm pool.
func (s *Service) SetInstanceProtection(ctx context.Context, c *guard.Call, in *autoscalingapi.SetInstanceProtectionQuery) (*autoscalingapi.SetInstanceProtectionAnswer, error) {
	if len(in.InstanceIds) > 50 {
		return nil, validation("At most 50 instances can be named.")
	}
	var at place
	err := s.g.Update(ctx, c, func(tx store.Tx) error {
		g, err := s.load(tx, c, api.Val(in.AutoScalingGroupName), "autoscaling:SetInstanceProtection", nil)
		if err != nil {
			return err
		}
		at = g.place()
		all, err := members(tx, g.place())
		if err != nil {
			return err
		}
		for _, id := range in.InstanceIds {
			i := slices.IndexFunc(all, func(m memberRecord) bool { return m.ID == id })
			if i < 0 {
				return validation("The instance %s is not part of Auto Scaling group %s.", id, g.Name)
			}
			if !slices.Contains([]string{stateInService, stateEnteringStandby, stateStandby}, all[i].State) {
				return validation("The instance %s is not in InService or EnteringStandby or Standby.", id)
			}
			all[i].Protected = api.Val(in.ProtectedFromScaleIn)
			if err := putMember(tx, g.place(), all[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil { // the group may have waited for it
		s.wake(at, s.timing.Detect)
	}
	return &autoscalingapi.SetInstanceProtectionAnswer{}, err
}
