package autoscaling

import (
	"context"
	"math"
	"strconv"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// cooling is the time after a change of the capacity in which simple policies wait.
// Source: User Guide, "Scaling cooldowns for Amazon EC2 Auto Scaling".
type cooling struct {
	Since time.Time
	For   int32 // seconds
}

// cooled reports whether the cooldown is over: it begins when the instances of the change are there.
func (g *groupRecord) cooled(now time.Time, all []memberRecord) bool {
	if g.Cooling.Since.IsZero() {
		return true
	}
	since := g.Cooling.Since
	for _, m := range all {
		if m.pending() && !m.Warm || m.terminating() {
			return false
		}
		if m.Served.After(since) && !m.Launched.Before(g.Cooling.Since) {
			since = m.Served
		}
	}
	return len(g.Launching) == 0 && !now.Before(since.Add(time.Duration(g.Cooling.For)*time.Second))
}

// inCooldown is the refusal of who asked to honor the cooldown.
func inCooldown(g *groupRecord) error {
	return apierr.Newf("ScalingActivityInProgress", "Scaling activity initiated at %s is in progress or cooling down, and blocks this action",
		g.Cooling.Since.UTC().Format("2006-01-02T15:04:05Z"))
}

// resize gives the group another desired capacity within its limits, for a reason that is a sentence
// up to "changing". It reports whether anything changed.
func (g *groupRecord) resize(now time.Time, want int32, reason string) bool {
	want = min(max(want, g.Min), g.Max)
	if want == g.Desired {
		return false
	}
	g.Causes = []string{sentence(now, reason+" changing the desired capacity from "+itoa(g.Desired)+" to "+itoa(want)+".")}
	g.Desired, g.Retry, g.Scaled = want, retry{}, false
	return true
}

// scale is resize for a step or target tracking policy: the instances that it adds warm up.
func (g *groupRecord) scale(now time.Time, want int32, reason string) bool {
	before := g.Desired
	if !g.resize(now, want, reason) {
		return false
	}
	g.Scaled = g.Desired > before
	return true
}

// adjusted is the capacity that an adjustment makes of another. A percentage is rounded towards
// zero, but never to nothing. Source: User Guide, "Step and simple scaling policies: Scaling
// adjustment types".
func adjusted(have int32, typ string, by, least int32) int32 {
	n := int64(by)
	switch typ {
	case exactCapacity:
		return max(0, by)
	case percentInCapacity:
		n = int64(have) * int64(by) / 100
		switch m := max(1, int64(least)); {
		case by > 0:
			n = max(n, m)
		case by < 0:
			n = min(n, -m)
		}
	}
	return int32(min(max(int64(have)+n, 0), math.MaxInt32))
}

// stepFor is the step of a policy for how far a metric is beyond the threshold: on the far side of
// it the outer bound is excluded. Source: User Guide, "Step and simple scaling policies".
func stepFor(steps []autoscalingapi.StepAdjustment, beyond float64) (int32, bool) {
	for i := range steps {
		lower, upper := bounds(&steps[i])
		if beyond >= 0 && lower <= beyond && beyond < upper || beyond < 0 && lower < beyond && beyond <= upper {
			return api.Val(steps[i].ScalingAdjustment), true
		}
	}
	return 0, false
}

// warming is the capacity of instances that do not count yet for a policy.
func (r *policyRecord) warming(g *groupRecord, all []memberRecord, now time.Time) (n int32) {
	there := int32(0)
	for _, m := range all {
		switch {
		case m.State == stateInService && now.Before(m.Served.Add(r.warmup(g, m.Scaled))):
			n += m.weight()
			there += m.weight()
		case m.State == stateInService:
			there += m.weight()
		case m.live():
			n += m.weight()
			there += m.weight()
		}
	}
	return n + max(0, g.Desired-there) // what is still to be launched
}

// A trigger is why a policy acts: an alarm, or, without one, a user's request.
type trigger struct {
	alarm            string
	value, threshold float64
}

func (t trigger) reason(policy string) string {
	if t.alarm == "" {
		return "a user request executed policy " + policy
	}
	return "a monitor alarm " + t.alarm + " in state ALARM triggered policy " + policy
}

// act has a simple or step policy change its group. A step policy does not count instances that
// are warming up when it adds more, and takes none away meanwhile.
// Source: User Guide, "Step and simple scaling policies: Instance warmup".
func (s *Service) act(g *groupRecord, r *policyRecord, all []memberRecord, t trigger) (bool, error) {
	p, now := &r.Params, s.g.Now()
	least := api.Val(p.MinAdjustmentMagnitude)
	set(&least, p.MinAdjustmentStep)
	typ := api.Val(p.AdjustmentType)
	if *p.PolicyType == simpleScaling {
		changed := g.resize(now, adjusted(g.Desired, typ, api.Val(p.ScalingAdjustment), least), t.reason(r.Name))
		if changed {
			cool := g.Cooldown
			set(&cool, p.Cooldown)
			g.Cooling = cooling{now, cool}
		}
		return changed, nil
	}
	by, ok := stepFor(p.StepAdjustments, t.value-t.threshold)
	if !ok {
		return false, validation("No step adjustment found for metric value %s and breach threshold %s.", number(t.value), number(t.threshold))
	}
	cold := r.warming(g, all, now)
	want := adjusted(g.Desired, typ, by, least)
	switch {
	case want > g.Desired && typ != exactCapacity:
		want = max(g.Desired, adjusted(g.Desired-cold, typ, by, least))
	case want < g.Desired && cold > 0:
		return false, nil
	}
	return g.scale(now, want, t.reason(r.Name)), nil
}

func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// ExecutePolicy has a simple or step policy act now.
func (s *Service) ExecutePolicy(ctx context.Context, c *guard.Call, in *autoscalingapi.ExecutePolicyType) error {
	var at place
	err := s.g.Update(ctx, c, func(tx store.Tx) error {
		g, r, err := s.findPolicy(tx, c, in.AutoScalingGroupName, api.Val(in.PolicyName), "autoscaling:ExecutePolicy")
		if err != nil {
			return err
		}
		at = g.place()
		typ := api.Val(r.Params.PolicyType)
		switch {
		case typ != simpleScaling && typ != stepScaling:
			return validation("Policies of type %s cannot be executed.", typ)
		case !r.enabled():
			return validation("Policy %s is disabled.", r.Name)
		case typ == stepScaling && (in.MetricValue == nil || in.BreachThreshold == nil):
			return validation("MetricValue and BreachThreshold are required for policy type %s.", typ)
		case typ == simpleScaling && (in.MetricValue != nil || in.BreachThreshold != nil):
			return validation("MetricValue and BreachThreshold are not supported for policy type %s.", typ)
		case typ == stepScaling && api.Val(in.HonorCooldown):
			return validation("HonorCooldown is not supported for policy type %s.", typ)
		case g.Deleting:
			return apierr.New("ScalingActivityInProgress", "The AutoScalingGroup is being deleted.")
		}
		all, err := members(tx, at)
		if err != nil {
			return err
		}
		if api.Val(in.HonorCooldown) && !g.cooled(s.g.Now(), all) {
			return inCooldown(&g)
		}
		if _, err := s.act(&g, &r, all, trigger{value: api.Val(in.MetricValue), threshold: api.Val(in.BreachThreshold)}); err != nil {
			return err
		}
		return s.put(tx, g)
	})
	if err == nil {
		s.wake(at, 0)
	}
	return err
}
