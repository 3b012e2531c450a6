package autoscaling

import (
	"context"
	"slices"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// An errand is something to ask of EC2 about an instance.
type errand int

const (
	none errand = iota
	terminate
	start  // an instance of the warm pool
	stop   // an instance for the warm pool
	tag    // an instance that was attached
	detach // take the group's tag from an instance, and then forget it
)

// errands are instances by what is to be asked about them. They are asked after the records say
// so, and each can be asked twice: a server that stops in between asks again.
type errands map[errand][]string

func (e *errands) add(what errand, id string) {
	if what == none {
		return
	}
	if *e == nil {
		*e = errands{}
	}
	(*e)[what] = append((*e)[what], id)
}

func (e *errands) join(more errands) {
	for what, ids := range more {
		for _, id := range ids {
			e.add(what, id)
		}
	}
}

// run does the errands. A refusal is not final: the next pass asks again.
func (s *Service) run(ctx context.Context, v *sight, as guard.Caller, todo errands) {
	for _, what := range []errand{terminate, stop, start, tag, detach} {
		for part := range slices.Chunk(todo[what], batch) {
			if err := s.ask(ctx, v, as, what, part); err != nil {
				store.Report(ctx, s.log, "EC2 did not do what a group needs", err, "group", v.Name, "instances", part)
				s.wake(v.place, s.timing.RetryFirst)
			}
		}
	}
}

func (s *Service) ask(ctx context.Context, v *sight, as guard.Caller, what errand, ids []string) error {
	call := s.newCall(v.place)
	ours := []ec2api.Tag{{Key: new(groupTag), Value: &v.Name}}
	switch what {
	case terminate:
		_, err := s.compute.TerminateInstances(ctx, call, as, &ec2api.TerminateInstancesRequest{InstanceIds: ids})
		return err
	case stop:
		in := &ec2api.StopInstancesRequest{InstanceIds: ids}
		if v.group.Pool.state() == poolHibernated {
			in.Hibernate = new(true)
		}
		_, err := s.compute.StopInstances(ctx, call, as, in)
		if apierr.Code(err) == "UnsupportedHibernationConfiguration" { // launched without it
			in.Hibernate = nil
			_, err = s.compute.StopInstances(ctx, call, as, in)
		}
		return err
	case start:
		return s.startAll(ctx, v, as, ids)
	case tag:
		if err := s.compute.CreateTags(ctx, call, as, &ec2api.CreateTagsRequest{Resources: ids, Tags: append(ours, v.group.propagated()...)}); err != nil {
			return err
		}
		defer s.wake(v.place, s.timing.Detect)
		return s.changeMembers(ctx, v, ids, func(tx store.Tx, m memberRecord) error {
			m.Untagged = false
			return putMember(tx, v.place, m)
		})
	case detach:
		err := s.compute.DeleteTags(ctx, call, as, &ec2api.DeleteTagsRequest{Resources: ids, Tags: ours})
		if e, ok := apiError(err); err != nil && (!ok || e.Code != "InvalidInstanceID.NotFound") {
			return err
		}
		defer s.wake(v.place, 0)
		return s.changeMembers(ctx, v, ids, func(tx store.Tx, m memberRecord) error {
			if m.State != stateDetaching {
				return nil
			}
			if err := s.finishMember(tx, v, m); err != nil {
				return err
			}
			return deleteMember(tx, v.place, m.ID)
		})
	}
	return nil
}

// groupTag is the tag that tells an instance's group.
const groupTag = "aws:autoscaling:groupName"

// propagated are the tags that a group gives its instances.
func (g *groupRecord) propagated() []ec2api.Tag {
	var out []ec2api.Tag
	for _, t := range g.Tags {
		if t.Propagate {
			out = append(out, ec2api.Tag{Key: &t.Key, Value: &t.Value})
		}
	}
	return out
}

// changeMembers changes the records of instances that are there.
func (s *Service) changeMembers(ctx context.Context, v *sight, ids []string, change func(store.Tx, memberRecord) error) error {
	return s.g.Change(ctx, func(tx store.Tx) error {
		for _, id := range ids {
			m, ok, err := memberTable.Get(tx, v.Region, v.Account, v.Name, id)
			if err != nil {
				return err
			}
			if !ok {
				continue
			}
			if err := change(tx, m); err != nil {
				return err
			}
		}
		return nil
	})
}

// startAll starts instances of the warm pool, one by one: what becomes of each shows later. An
// instance that EC2 refuses at once is a launch that failed.
func (s *Service) startAll(ctx context.Context, v *sight, as guard.Caller, ids []string) error {
	for _, id := range ids {
		call := s.newCall(v.place)
		_, err := s.compute.StartInstances(ctx, call, as, &ec2api.StartInstancesRequest{InstanceIds: []string{id}})
		refusal, ours := apiError(err)
		if err != nil && !ours {
			return err
		}
		if ours && refusal.Code == "IncorrectInstanceState" { // it is still stopping, or just starting: ask again
			s.wake(v.place, s.timing.RetryFirst)
			continue
		}
		err = s.g.Change(ctx, func(tx store.Tx) error {
			m, ok, err := memberTable.Get(tx, v.Region, v.Account, v.Name, id)
			if err != nil || !ok || !m.Starting {
				return err
			}
			m.Starting = false
			if refusal == nil {
				return putMember(tx, v.place, m)
			}
			g, ok, err := groupTable.Get(tx, v.key()...)
			if err != nil || !ok {
				return err
			}
			if err := s.g.LinkCause(tx, g.Account, g.Region, id, call.ID); err != nil {
				return err
			}
			if _, err := s.diedPending(tx, v, &g, m, condition{state: ec2api.InstanceStateNameStopped, reason: refusal.Message}); err != nil {
				return err
			}
			return s.put(tx, g)
		})
		if err != nil {
			return err
		}
		s.wake(v.place, s.timing.Detect)
	}
	return nil
}
