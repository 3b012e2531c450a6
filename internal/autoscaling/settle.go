package autoscaling

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/store"
)

// settle brings the members' states in line with what EC2 says. It returns what is to be asked of
// EC2 then.
func (s *Service) settle(ctx context.Context, v *sight) (todo errands, err error) {
	for part := range slices.Chunk(v.members, batch) {
		var more errands
		err = s.g.Change(ctx, func(tx store.Tx) error {
			more = errands{}
			g, ok, err := groupTable.Get(tx, v.key()...)
			if err != nil || !ok {
				return err
			}
			for _, m := range part {
				m, ok, err := memberTable.Get(tx, v.Region, v.Account, v.Name, m.ID)
				if err != nil {
					return err
				}
				if !ok {
					continue
				}
				what, err := s.settleMember(tx, v, &g, m)
				if err != nil {
					return err
				}
				more.add(what, m.ID)
			}
			return s.put(tx, g)
		})
		if err != nil {
			return errands{}, err
		}
		todo.join(more)
	}
	_, err = s.look(ctx, v)
	return todo, err
}

// condition is what EC2 says of an instance.
type condition struct {
	state  string
	reason string // the message of its StateReason
}

func (c condition) running() bool { return c.state == ec2api.InstanceStateNameRunning }
func (c condition) gone() bool    { return c.state == ec2api.InstanceStateNameTerminated }
func (c condition) is(states ...string) bool {
	return slices.Contains(states, c.state)
}

func (v *sight) condition(id string) condition {
	inst, exists := v.seen[id]
	if !exists || inst.State == nil {
		return condition{state: ec2api.InstanceStateNameTerminated}
	}
	c := condition{state: api.Val(inst.State.Name)}
	if inst.StateReason != nil {
		c.reason = api.Val(inst.StateReason.Message)
	}
	return c
}

// settleMember applies what EC2 says to one member and tells what to ask of EC2.
func (s *Service) settleMember(tx store.Tx, v *sight, g *groupRecord, m memberRecord) (errand, error) {
	is := v.condition(m.ID)
	switch {
	case m.terminating():
		return s.settleTerminating(tx, v, g, m, is)
	case m.pending():
		return s.settlePending(tx, v, g, m, is)
	case m.State == stateEnteringStandby:
		m.State = stateStandby
		return none, s.finishMember(tx, v, m)
	case m.State == stateDetaching:
		return detach, nil
	case m.State == stateStandby && is.gone(): // standby is not checked, but nothing is left of it
		return s.beginTermination(tx, v.place, g, m, []string{sentence(s.g.Now(), causeHealth)})
	case m.Warm && !is.is(restOf(m.State)):
		return s.beginTermination(tx, v.place, g, m, []string{sentence(s.g.Now(), causeHealth)})
	case m.State == stateInService && (!is.running() && !g.suspended(processHealthCheck) || m.Health == unhealthy):
		return s.unwell(tx, v, g, m, is)
	}
	return none, nil
}

// unwell is a member in service whose instance stopped, or of which the user said so. With an
// instance maintenance policy that launches first, an instance that still runs waits for that.
func (s *Service) unwell(tx store.Tx, v *sight, g *groupRecord, m memberRecord, is condition) (errand, error) {
	before := m
	m.Health = unhealthy
	cause := causeHealth
	if is.running() {
		cause = causeSetHealth
	}
	switch {
	case g.suspended(processReplaceUnhealthy) || g.suspended(processTerminate):
	case is.running() && g.MaintenanceMax > 100:
		m.Replace = replaceHealth
	default:
		return s.beginTermination(tx, v.place, g, m, []string{sentence(s.g.Now(), cause)})
	}
	if before.Health == m.Health && before.Replace == m.Replace {
		return none, nil
	}
	return none, putMember(tx, v.place, m)
}

// settlePending is a member on its way into service, or into the warm pool.
func (s *Service) settlePending(tx store.Tx, v *sight, g *groupRecord, m memberRecord, is condition) (errand, error) {
	now := s.g.Now()
	switch {
	case m.Untagged && !is.gone():
		return tag, nil
	case m.Starting && is.is(ec2api.InstanceStateNameStopping, ec2api.InstanceStateNameStopped):
		return start, nil
	case m.State == stateWarmedProceed:
		return s.settleStopping(tx, v, g, m, is)
	case !is.running() && !is.is(ec2api.InstanceStateNamePending):
		return s.diedPending(tx, v, g, m, is)
	case !is.running():
		return none, nil
	case m.State == statePending || m.State == stateWarmedPending:
		if g.wait(&m, onLaunch, now) {
			m.State += waitSuffix
			if err := s.midAction(tx, v.place, g, &m, 60); err != nil {
				return none, err
			}
			return none, putMember(tx, v.place, m)
		}
	default:
		had := len(m.Waits)
		over, out := g.waited(&m, onLaunch, now)
		switch {
		case out.abandoned != "":
			return s.abandoned(tx, v, g, m, out)
		case !over && had == len(m.Waits):
			return none, nil
		case !over:
			return none, putMember(tx, v.place, m)
		}
	}
	return s.ready(tx, v, g, m)
}

// ready is a launch that is through: the instance serves, or rests in the warm pool.
func (s *Service) ready(tx store.Tx, v *sight, g *groupRecord, m memberRecord) (errand, error) {
	g.Retry = retry{}
	m.Starting = false
	if !m.Warm {
		m.State, m.Served, m.Extra = stateInService, s.g.Now(), false
		return none, s.finishMember(tx, v, m)
	}
	if g.Pool.state() == poolRunning {
		m.State = stateWarmedRunning
		return none, s.finishMember(tx, v, m)
	}
	m.State = stateWarmedProceed
	return stop, putMember(tx, v.place, m)
}

// finishMember ends the activity about a member well.
func (s *Service) finishMember(tx store.Tx, v *sight, m memberRecord) error {
	if err := end(tx, v.place, m.Activity, s.g.Now(), launch.Activity{StatusCode: autoscalingapi.ScalingActivityStatusCodeSuccessful}); err != nil {
		return err
	}
	m.Activity = ""
	return putMember(tx, v.place, m)
}

// diedPending is a launch that failed after EC2 had accepted it. An instance that only stopped, as
// one of the warm pool whose volumes could not be opened again, is terminated.
func (s *Service) diedPending(tx store.Tx, v *sight, g *groupRecord, m memberRecord, is condition) (errand, error) {
	died := launch.ActivityDied(m.ID, is.reason)
	if a, ok, err := getActivity(tx, v.place, m.Activity); err != nil {
		return none, err
	} else if ok {
		died.Description = a.Description + ".  Status Reason: " + died.StatusMessage
	}
	if err := end(tx, v.place, m.Activity, s.g.Now(), died); err != nil {
		return none, err
	}
	if err := s.g.PassCause(tx, g.Account, g.Region, m.ID, m.Activity); err != nil {
		return none, err
	}
	s.failed(g)
	if is.is(ec2api.InstanceStateNameTerminated, ec2api.InstanceStateNameShuttingDown) {
		return none, deleteMember(tx, v.place, m.ID)
	}
	m.Activity = ""
	return s.beginTermination(tx, v.place, g, m, []string{sentence(s.g.Now(), causeHealth)})
}

// abandoned is a launch that a lifecycle hook gave up: its instance is terminated, and the next
// launch waits, as after any failure. Source: User Guide, "Considerations and limitations for
// lifecycle hooks".
func (s *Service) abandoned(tx store.Tx, v *sight, g *groupRecord, m memberRecord, out outcome) (errand, error) {
	as := launch.ActivityAbandoned(m.ID, out.abandoned)
	if out.timedOut {
		as = launch.ActivityHookTimeout(m.ID, out.abandoned)
	}
	if a, ok, err := getActivity(tx, v.place, m.Activity); err != nil {
		return none, err
	} else if ok {
		as.Description = a.Description + ".  Status Reason: " + as.StatusMessage
	}
	if err := end(tx, v.place, m.Activity, s.g.Now(), as); err != nil {
		return none, err
	}
	m.Activity = ""
	s.failed(g)
	return s.beginTermination(tx, v.place, g, m, []string{sentence(s.g.Now(), causeAbandoned)})
}

// settleTerminating is a member on its way out.
func (s *Service) settleTerminating(tx store.Tx, v *sight, g *groupRecord, m memberRecord, is condition) (errand, error) {
	if m.State == stateTerminating+waitSuffix || m.State == stateWarmedTerminating+waitSuffix {
		had := len(m.Waits)
		over, _ := g.waited(&m, onTerminate, s.g.Now())
		switch {
		case !over && !g.Deleting && had == len(m.Waits):
			return none, nil
		case !over && !g.Deleting:
			return none, putMember(tx, v.place, m)
		}
		m.State, m.Waits = m.State[:len(m.State)-len(waitSuffix)]+proceedSuffix, nil
		if err := putMember(tx, v.place, m); err != nil {
			return none, err
		}
	}
	switch {
	case is.gone():
		if err := end(tx, v.place, m.Activity, s.g.Now(), launch.Activity{StatusCode: autoscalingapi.ScalingActivityStatusCodeSuccessful}); err != nil {
			return none, err
		}
		return none, deleteMember(tx, v.place, m.ID)
	case m.Reuse && is.running() && !g.Deleting && g.Pool.reuses():
		return s.toPool(tx, v, m)
	case !is.is(ec2api.InstanceStateNameShuttingDown):
		return terminate, nil // also if the request to terminate was lost
	}
	return none, nil
}

// failed puts off the next launch. Instances that fail together count once. After a day without a
// success launching is suspended until a user resumes it.
func (s *Service) failed(g *groupRecord) {
	now := s.g.Now()
	if now.Before(g.Retry.Next) {
		return
	}
	if g.Retry.Failures == 0 {
		g.Retry.Since = now
	}
	if now.Sub(g.Retry.Since) >= s.timing.SuspendAfter {
		g.suspend(processLaunch, suspendedAt("Administratively", now))
	}
	delay := s.timing.RetryMax
	if n := g.Retry.Failures; n < 20 {
		delay = min(delay, s.timing.RetryFirst<<n)
	}
	g.Retry.Failures++
	delay += time.Duration(s.timing.Jitter * (2*rand.Float64() - 1) * float64(delay))
	g.Retry.Next = now.Add(delay)
}

// beginTermination starts the activity that takes an instance out. It tells whether EC2 is to be
// asked at once: not while the instance waits at a lifecycle hook.
func (s *Service) beginTermination(tx store.Tx, p place, g *groupRecord, m memberRecord, causes []string) (errand, error) {
	now := s.g.Now()
	description := "Terminating EC2 instance: " + m.ID
	if m.Warm {
		description = "Terminating EC2 instance from warm pool: " + m.ID
	}
	a := newActivity(g, now, description, causes, m.Subnet, m.Zone)
	a.Instance = m.ID
	if m.Activity != "" {
		if err := end(tx, p, m.Activity, now, launch.Activity{StatusCode: autoscalingapi.ScalingActivityStatusCodeCancelled}); err != nil {
			return none, err
		}
	}
	if m.Health == unhealthy && m.live() {
		g.Replace++
	}
	what := terminate
	m.State, m.Activity, m.Starting, m.Extra, m.Waits = stateTerminating, a.ID, false, false, nil
	if m.Warm {
		m.State = stateWarmedTerminating
	}
	if !g.Deleting && g.wait(&m, onTerminate, now) {
		m.State += waitSuffix
		a.Status, a.Progress = autoscalingapi.ScalingActivityStatusCodeMidLifecycleAction, 60
		what = none
		if err := s.announceWaits(tx, p, g, &m, &a, onTerminate); err != nil {
			return none, err
		}
	}
	if err := addActivity(tx, p, a); err != nil {
		return none, err
	}
	return what, putMember(tx, p, m)
}
