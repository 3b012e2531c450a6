package autoscaling

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/store"
)

// batch bounds what one pass changes; what is left is done by the next.
const batch = 10

// sight is what a pass knows of its group: the records, and what EC2 says of the instances.
type sight struct {
	place
	group   groupRecord
	members []memberRecord
	seen    map[string]ec2api.Instance
}

// reconcile looks at a group once: it settles what became of its instances, then launches or
// terminates towards the desired capacity, and sets the time of the next look.
func (s *Service) reconcile(ctx context.Context, p place) {
	if err := s.runSchedule(ctx, p); err != nil {
		s.trouble(p, err)
		return
	}
	v := &sight{place: p}
	found, err := s.look(ctx, v)
	if err != nil || !found {
		s.trouble(p, err)
		return
	}
	call := s.newCall(p)
	as, err := s.session(ctx, call, v.group.Role)
	if err != nil {
		s.unassumable(ctx, v, call, err)
		return
	}
	if err := s.observe(ctx, v, call, as); err != nil {
		s.trouble(p, err)
		return
	}
	end, err := s.settle(ctx, v)
	if err != nil {
		s.trouble(p, err)
		return
	}
	s.terminate(ctx, v, as, end)
	if err := s.scale(ctx, v, as); err != nil {
		s.trouble(p, err)
	}
}

// trouble reports a failure that is not the user's and tries again.
func (s *Service) trouble(p place, err error) {
	if err == nil || errors.Is(err, store.ErrClosed) || errors.Is(err, context.Canceled) {
		return
	}
	s.log.Error("an Auto Scaling group was not looked at; it will be again", "group", p.Name, "error", err)
	s.wake(p, s.timing.RetryFirst)
}

func (s *Service) newCall(p place) *guard.Call {
	return &guard.Call{
		ID: guard.NewRequestID(), Service: "autoscaling", Operation: "Reconcile", Region: p.Region, Time: s.g.Now(),
		Caller: guard.Caller{Identity: directory.ServiceIdentity(Principal), InvokedBy: Principal},
	}
}

// session is the identity under which the group works.
func (s *Service) session(ctx context.Context, call *guard.Call, role string) (guard.Caller, error) {
	id, err := s.roles.AssumeServiceRole(ctx, call, Principal, role, sessionName)
	return guard.Caller{Identity: id, InvokedBy: Principal, UserAgent: Principal, Secure: true}, err
}

func (s *Service) look(ctx context.Context, v *sight) (found bool, err error) {
	err = s.g.Read(ctx, func(tx store.Tx) error {
		if v.group, found, err = groupTable.Get(tx, v.key()...); err != nil || !found {
			return err
		}
		v.members, err = members(tx, v.place)
		return err
	})
	return found, err
}

// active are the members that stay.
func (v *sight) active() []memberRecord {
	return slices.DeleteFunc(slices.Clone(v.members), func(m memberRecord) bool { return m.State == stateTerminating })
}

// capacityOf is what members count for.
func capacityOf(all []memberRecord) (n int32) {
	for _, m := range all {
		n += m.weight()
	}
	return n
}

// observe asks EC2 about the instances.
func (s *Service) observe(ctx context.Context, v *sight, call *guard.Call, as guard.Caller) error {
	v.seen = map[string]ec2api.Instance{}
	for part := range slices.Chunk(v.members, 100) {
		ids := make([]string, len(part))
		for i, m := range part {
			ids[i] = m.ID
		}
		in := &ec2api.DescribeInstancesRequest{Filters: []ec2api.Filter{{Name: new("instance-id"), Values: ids}}}
		out, err := s.compute.DescribeInstances(ctx, call, as, in)
		if err != nil {
			return err
		}
		for _, r := range out.Reservations {
			for _, i := range r.Instances {
				v.seen[api.Val(i.InstanceId)] = i
			}
		}
	}
	return nil
}

// settle brings the members' states in line with what EC2 says. It returns the instances that
// have to be terminated.
func (s *Service) settle(ctx context.Context, v *sight) (end []string, err error) {
	for part := range slices.Chunk(v.members, batch) {
		var more []string
		err = s.g.Change(ctx, func(tx store.Tx) error {
			more = nil
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
				stop, err := s.settleMember(tx, v, &g, m)
				if err != nil {
					return err
				}
				if stop {
					more = append(more, m.ID)
				}
			}
			return s.put(tx, g)
		})
		if err != nil {
			return nil, err
		}
		end = append(end, more...)
	}
	_, err = s.look(ctx, v)
	return end, err
}

// settleMember applies what EC2 says to one member and reports whether to terminate it.
func (s *Service) settleMember(tx store.Tx, v *sight, g *groupRecord, m memberRecord) (stop bool, err error) {
	inst, exists := v.seen[m.ID]
	state := ec2api.InstanceStateNameTerminated
	if exists && inst.State != nil {
		state = api.Val(inst.State.Name)
	}
	now := s.g.Now()
	gone := state == ec2api.InstanceStateNameTerminated
	running := state == ec2api.InstanceStateNameRunning
	switch {
	case m.State == statePending && running:
		m.State, m.Served = stateInService, now
		g.Retry = retry{}
		done := launch.ActivitySuccessful(m.ID)
		if err := end(tx, v.place, m.Activity, now, done); err != nil {
			return false, err
		}
		m.Activity = ""
		return false, putMember(tx, v.place, m)
	case m.State == statePending && state != ec2api.InstanceStateNamePending:
		return false, s.diedPending(tx, v, g, m, inst)
	case m.State == stateInService && (!running && !g.suspended(processHealthCheck) || m.Health == unhealthy):
		if g.suspended(processReplaceUnhealthy) || g.suspended(processTerminate) {
			m.Health = unhealthy
			return false, putMember(tx, v.place, m)
		}
		cause := causeHealth
		if running {
			cause = causeSetHealth
		}
		m.Health = unhealthy
		return true, s.beginTermination(tx, v.place, g, m, []string{sentence(now, cause)})
	case m.State == stateTerminating && gone:
		if err := end(tx, v.place, m.Activity, now, launch.Activity{StatusCode: autoscalingapi.ScalingActivityStatusCodeSuccessful}); err != nil {
			return false, err
		}
		return false, deleteMember(tx, v.place, m.ID)
	case m.State == stateTerminating && state != ec2api.InstanceStateNameShuttingDown:
		return true, nil // the request to terminate was lost
	}
	return false, nil
}

// diedPending is a launch that failed after EC2 had accepted it.
func (s *Service) diedPending(tx store.Tx, v *sight, g *groupRecord, m memberRecord, inst ec2api.Instance) error {
	reason := ""
	if inst.StateReason != nil {
		reason = api.Val(inst.StateReason.Message)
	}
	if err := end(tx, v.place, m.Activity, s.g.Now(), launch.ActivityDied(m.ID, reason)); err != nil {
		return err
	}
	if err := s.g.PassCause(tx, g.Account, g.Region, m.ID, m.Activity); err != nil {
		return err
	}
	s.failed(g)
	return deleteMember(tx, v.place, m.ID)
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

// beginTermination starts the activity that takes an instance out.
func (s *Service) beginTermination(tx store.Tx, p place, g *groupRecord, m memberRecord, causes []string) error {
	a := newActivity(g, s.g.Now(), "Terminating EC2 instance: "+m.ID, causes, "", m.Zone)
	a.Instance = m.ID
	if m.Activity != "" {
		if err := end(tx, p, m.Activity, s.g.Now(), launch.Activity{StatusCode: autoscalingapi.ScalingActivityStatusCodeCancelled}); err != nil {
			return err
		}
	}
	m.State, m.Activity = stateTerminating, a.ID
	if m.Health == unhealthy {
		g.Replace++
	}
	if err := putActivity(tx, p, a); err != nil {
		return err
	}
	return putMember(tx, p, m)
}

// terminate asks EC2 to end instances. A refusal is not final: the next pass asks again.
func (s *Service) terminate(ctx context.Context, v *sight, as guard.Caller, ids []string) {
	for part := range slices.Chunk(ids, batch) {
		call := s.newCall(v.place)
		if _, err := s.compute.TerminateInstances(ctx, call, as, &ec2api.TerminateInstancesRequest{InstanceIds: part}); err != nil {
			s.log.Error("instances were not terminated", "group", v.Name, "error", err)
			s.wake(v.place, s.timing.RetryFirst)
		}
	}
}

// scale launches or terminates towards the desired capacity.
func (s *Service) scale(ctx context.Context, v *sight, as guard.Caller) error {
	if err := s.resume(ctx, v, as); err != nil {
		return err
	}
	g, active := &v.group, v.active()
	if g.Name == "" { // deleted meanwhile
		return nil
	}
	missing := g.Desired - capacityOf(active)
	switch {
	case g.Deleting:
		return s.scaleIn(ctx, v, as, active, 0)
	case missing > 0 && g.suspended(processLaunch), missing < 0 && g.suspended(processTerminate):
		return nil
	case missing < 0:
		return s.scaleIn(ctx, v, as, active, g.Desired)
	case missing == 0:
		return nil
	}
	if wait := g.Retry.Next.Sub(s.g.Now()); wait > 0 {
		s.wake(v.place, wait)
		return nil
	}
	return s.scaleOut(ctx, v, as, active, missing)
}

// scaleIn takes instances out of service until the capacity is down to target; of a group that is
// being deleted, all.
func (s *Service) scaleIn(ctx context.Context, v *sight, as guard.Caller, active []memberRecord, target int32) error {
	if len(v.members) == 0 && v.group.Deleting {
		return s.drop(ctx, v.place)
	}
	victims := choose(&v.group, s.g.Now(), active, target)
	have := capacityOf(active)
	var ids []string
	for i, part := 0, slices.Collect(slices.Chunk(victims, batch)); i < len(part); i++ {
		err := s.g.Change(ctx, func(tx store.Tx) error {
			ids = ids[:i*batch]
			g, ok, err := groupTable.Get(tx, v.key()...)
			if err != nil || !ok {
				return err
			}
			from := have
			for _, m := range part[i] {
				causes := append(slices.Clone(g.Causes), sentence(s.g.Now(), takenFor(int(from), int(from-m.weight()))),
					sentence(s.g.Now(), "instance "+m.ID+" was selected for termination."))
				g.Causes = nil
				from -= m.weight()
				if err := s.beginTermination(tx, v.place, &g, m, causes); err != nil {
					return err
				}
				ids = append(ids, m.ID)
			}
			return s.put(tx, g)
		})
		if err != nil {
			return err
		}
		for _, m := range part[i] {
			have -= m.weight()
		}
	}
	s.terminate(ctx, v, as, ids)
	return nil
}

// drop removes a group that has no instances left, and none that EC2 may be starting.
func (s *Service) drop(ctx context.Context, p place) error {
	more := false
	err := s.g.Change(ctx, func(tx store.Tx) error {
		more = false
		if g, _, err := groupTable.Get(tx, p.key()...); err != nil || len(g.Launching) > 0 {
			return err
		}
		if left, err := members(tx, p); err != nil || len(left) > 0 {
			return err
		}
		var err error
		if more, err = dropChildren(tx, p); err != nil || more {
			return err
		}
		return groupTable.Delete(tx, p.key()...)
	})
	if more {
		s.wake(p, 0)
	}
	return err
}
