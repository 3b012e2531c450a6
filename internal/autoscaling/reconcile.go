package autoscaling

import (
	"context"
	"errors"
	"slices"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// batch bounds what one pass changes; what is left is done by the next.
const batch = 10

// seeTogether is about how many instances EC2 is asked at once: so few that it need not read all of
// the account.
const seeTogether = 30

// sight is what a pass knows of its group: the records, and what EC2 says of the instances.
type sight struct {
	place
	group   groupRecord
	members []memberRecord
	seen    map[string]ec2api.Instance
	// launched are the types of instances that this pass started, refusals what EC2 said of launches.
	launched map[string]string
	refusals map[string]*apierr.Error
}

// reconcile looks at a group once: it settles what became of its instances, then launches or
// terminates towards the desired capacity, and sets the time of the next look.
func (s *Service) reconcile(ctx context.Context, p place) {
	if err := s.runSchedule(ctx, p); err != nil {
		s.trouble(p, err)
		return
	}
	if err := s.predict(ctx, p); err != nil {
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
	todo, err := s.settle(ctx, v)
	if err != nil {
		s.trouble(p, err)
		return
	}
	s.run(ctx, v, as, todo)
	if err := s.scale(ctx, v, as); err != nil {
		s.trouble(p, err)
		return
	}
	if err := s.forgetOld(ctx, p); err != nil {
		s.trouble(p, err)
		return
	}
	if _, err := s.look(ctx, v); err != nil {
		s.trouble(p, err)
		return
	}
	if now := s.g.Now(); !v.nextDeadline(now).IsZero() {
		s.wake(p, v.nextDeadline(now).Sub(now))
	}
}

// trouble reports a failure that is not the user's and tries again.
func (s *Service) trouble(p place, err error) {
	if err == nil || store.Over(err) || errors.Is(err, context.Canceled) {
		return
	}
	store.Report(context.Background(), s.log, "an Auto Scaling group was not looked at; it will be again", err, "group", p.Name)
	s.wake(p, s.timing.RetryFirst)
}

func (s *Service) newCall(p place) *guard.Call {
	return &guard.Call{
		ID: guard.NewRequestID(), Service: "autoscaling", Operation: "Reconcile", Region: p.Region, Time: s.g.Now(),
		Caller: guard.Caller{Identity: directory.ServiceIdentity(Principal), InvokedBy: Principal, SourceAccount: p.Account},
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

// active are the members that count for the capacity. One that was launched ahead counts when it
// serves.
func (v *sight) active() []memberRecord {
	return slices.DeleteFunc(slices.Clone(v.members), func(m memberRecord) bool { return !m.live() || m.Extra })
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
	for part := range slices.Chunk(v.members, seeTogether) {
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

// scale launches or terminates towards the desired capacity, replaces what is to be replaced and
// keeps the warm pool.
func (s *Service) scale(ctx context.Context, v *sight, as guard.Caller) error {
	if err := s.resume(ctx, v, as); err != nil {
		return err
	}
	g := &v.group
	switch {
	case g.Name == "": // deleted meanwhile
		return nil
	case g.Deleting && len(v.members) == 0:
		return s.drop(ctx, v.place)
	case g.Deleting:
		left := slices.DeleteFunc(slices.Clone(v.members), func(m memberRecord) bool { return m.terminating() || m.State == stateDetaching })
		return s.scaleIn(ctx, v, as, left, 0)
	}
	if err := s.refresh(ctx, v, as); err != nil {
		return err
	}
	active := v.active()
	missing := g.Desired - capacityOf(active)
	var err error
	switch {
	case missing > 0 && g.suspended(processLaunch), missing < 0 && g.suspended(processTerminate):
	case missing > 0:
		err = s.grow(ctx, v, as, active, missing)
	case missing < 0:
		err = s.scaleIn(ctx, v, as, active, g.Desired)
	default:
		err = s.replace(ctx, v, as, active)
	}
	if err != nil {
		return err
	}
	if _, err := s.look(ctx, v); err != nil {
		return err
	}
	return s.fillPool(ctx, v, as)
}

// grow brings more into service: first from the warm pool, then by launches.
func (s *Service) grow(ctx context.Context, v *sight, as guard.Caller, active []memberRecord, missing int32) error {
	missing, err := s.draw(ctx, v, as, missing)
	if err != nil || missing <= 0 {
		return err
	}
	if wait := v.group.Retry.Next.Sub(s.g.Now()); wait > 0 {
		s.wake(v.place, wait)
		return nil
	}
	if len(v.active()) != len(active) || v.group.Pool != nil {
		if _, err := s.look(ctx, v); err != nil {
			return err
		}
		active = v.active()
	}
	return s.scaleOut(ctx, v, as, wanted{have: active, missing: missing})
}

// scaleIn takes instances out of service until the capacity is down to target; of a group that is
// being deleted, all.
func (s *Service) scaleIn(ctx context.Context, v *sight, as guard.Caller, active []memberRecord, target int32) error {
	have := capacityOf(active)
	if over, any := s.overdue(v, have-target); any && !v.group.Deleting {
		return s.takeOutDue(ctx, v, as, over)
	}
	victims := choose(&v.group, s.g.Now(), active, target)
	return s.takeOut(ctx, v, as, victims, func(m *memberRecord) string {
		have -= m.weight()
		return takenFor(int(have+m.weight()), int(have))
	})
}

// takeOut begins the termination of instances and asks EC2 for it. Without causes they are what
// the warm pool has too many of.
func (s *Service) takeOut(ctx context.Context, v *sight, as guard.Caller, victims []memberRecord, cause func(*memberRecord) string) error {
	why := map[string]string{}
	for _, m := range victims {
		why[m.ID] = "an instance was taken out of the warm pool in response to a difference between desired and actual warm pool capacity."
		if cause != nil {
			why[m.ID] = cause(&m)
		}
	}
	var todo errands
	for part := range slices.Chunk(victims, batch) {
		var more errands
		err := s.g.Change(ctx, func(tx store.Tx) error {
			more = errands{}
			g, ok, err := groupTable.Get(tx, v.key()...)
			if err != nil || !ok {
				return err
			}
			// What a user changed since the group was looked at may be a reason to choose otherwise.
			resized := g.Desired != v.group.Desired && !g.Deleting
			for _, seen := range part {
				m, ok, err := memberTable.Get(tx, v.Region, v.Account, v.Name, seen.ID)
				if err != nil {
					return err
				}
				if !ok || m.terminating() || !sameAs(&m, &seen) || resized {
					s.wake(v.place, 0)
					continue
				}
				causes := append(slices.Clone(g.Causes), sentence(s.g.Now(), why[m.ID]),
					sentence(s.g.Now(), "instance "+m.ID+" was selected for termination."))
				g.Causes = nil
				m.Reuse = !m.Warm && m.State == stateInService && g.why(&m, s.g.Now()) == "" && m.Health == healthy && g.Pool.reuses()
				what, err := s.beginTermination(tx, v.place, &g, m, causes)
				if err != nil {
					return err
				}
				if m.Reuse && what == terminate {
					what = none
					s.wake(v.place, 0)
				}
				more.add(what, m.ID)
			}
			return s.put(tx, g)
		})
		if err != nil {
			return err
		}
		todo.join(more)
	}
	s.run(ctx, v, as, todo)
	return nil
}

// sameAs reports whether a member is as it was seen when it was chosen to be taken out.
func sameAs(m, seen *memberRecord) bool {
	return m.State == seen.State && m.Protected == seen.Protected && m.Warm == seen.Warm
}

// drop removes a group that has no instances left, and none that EC2 may be starting.
func (s *Service) drop(ctx context.Context, p place) error {
	more := false
	err := s.g.Change(ctx, func(tx store.Tx) error {
		more = false
		// It may be gone meanwhile, and another of its name be there.
		if g, ok, err := groupTable.Get(tx, p.key()...); err != nil || !ok || !g.Deleting || len(g.Launching) > 0 {
			return err
		}
		if left, err := members(tx, p); err != nil || len(left) > 0 {
			return err
		}
		var err error
		if more, err = dropChildren(tx, p); err != nil || more {
			return err
		}
		return dropGroup(tx, p)
	})
	if more {
		s.wake(p, 0)
	}
	return err
}
