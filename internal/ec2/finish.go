package ec2

import (
	"context"
	"fmt"

	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/store"
)

// An aftermath is what has to happen once the end of a job is written down.
type aftermath struct {
	changed string // instance whose state changed, or ""
	next    *job   // work that follows at once
	dying   bool   // the changed instance shuts down: terminated after Timing.Stop
	ended   bool   // it is terminated: forgotten after Timing.Forget
	host    string // that it was on, when it is terminated
}

// finish writes down how a job ended, in one transaction with the end of the job.
func (s *Service) finish(ctx context.Context, j *job, end launch.Step) error {
	return s.finishIn(ctx, j, end, s.g.Change)
}

// finishAs is finish for a job that a call waits for: the record of the call is in the transaction.
func (s *Service) finishAs(ctx context.Context, c *guard.Call, j *job, end launch.Step) error {
	return s.finishIn(ctx, j, end, func(ctx context.Context, fn func(store.Tx) error) error { return s.g.Update(ctx, c, fn) })
}

func (s *Service) finishIn(ctx context.Context, j *job, end launch.Step, change func(context.Context, func(store.Tx) error) error) error {
	left := s.leftovers(j, end.Left)
	var after aftermath
	err := change(ctx, func(tx store.Tx) (err error) {
		after = aftermath{}
		if err := jobTable.Delete(tx, j.key()...); err != nil {
			return err
		}
		for _, l := range left {
			if err := leftoverTable.Put(tx, l, l.key()...); err != nil {
				return err
			}
		}
		if explains(j, end) {
			if err := s.linkCause(tx, j); err != nil {
				return err
			}
		}
		switch spec := j.State.Spec(); {
		case spec.Operation == launch.CreateVolume:
			return s.finishVolume(tx, j, end)
		case j.copies():
			return s.finishCopy(tx, j, end)
		case j.Subject != spec.InstanceID: // about one volume
			return s.finishPlug(tx, j, end)
		}
		after, err = s.finishInstance(tx, j, end)
		return err
	})
	if err != nil {
		return err
	}
	for _, l := range left {
		s.scheduleLeftover(l)
	}
	s.follow(ctx, j.Region, j.Account, after)
	return nil
}

// follow does what an aftermath says.
func (s *Service) follow(ctx context.Context, region, account string, after aftermath) {
	if after.next != nil {
		s.schedule(after.next)
	}
	id := after.changed
	if id == "" {
		return
	}
	if after.dying {
		s.clock.AfterFunc(s.timing.Stop, func() { s.bury(region, account, id) })
	}
	if after.ended {
		s.counted(after.host, -1)
		s.clock.AfterFunc(s.timing.Forget, func() { s.forget(region, account, id) })
		s.instanceEnded(region, account, id)
	}
	s.changed(ctx, region, account, id)
}

// explains reports whether a job tells what became of its subject: it failed, or made it.
func explains(j *job, end launch.Step) bool {
	if end.Fail != nil {
		return end.Fail.Cause != causeTerminated
	}
	op := j.operation()
	return op == launch.RunInstances || op == launch.CreateVolume || j.copies()
}

// linkCause lets the request explain what became of the job's subject and volumes.
func (s *Service) linkCause(tx store.Tx, j *job) error {
	if err := s.g.LinkCause(tx, j.Account, j.Region, j.Subject, j.Request); err != nil {
		return err
	}
	for _, v := range j.State.Volumes() {
		if v.VolumeID == j.Subject {
			continue
		}
		if err := s.g.LinkCause(tx, j.Account, j.Region, v.VolumeID, j.Request); err != nil {
			return err
		}
	}
	return nil
}

// finishInstance ends the work of an operation on an instance as a whole.
func (s *Service) finishInstance(tx store.Tx, j *job, end launch.Step) (after aftermath, err error) {
	i, ok, err := instanceTable.Get(tx, j.Region, j.Account, j.Subject)
	if err != nil || !ok {
		return after, err
	}
	if end.Fail == nil && j.operation() != launch.TerminateInstances {
		if err := s.keepGrants(tx, j); err != nil {
			return after, err
		}
	}
	i.Work = ""
	was := i.State
	switch op := j.operation(); {
	case op == launch.RunInstances && end.Fail != nil:
		i.Devices = nil // the volumes are gone
		if !i.Doomed {
			i.State, after.dying = shuttingDown, true
			s.blame(&i, end.Fail)
			break
		}
		i.State, i.Ended, after.ended, i.Doomed = terminated, s.g.Now(), true, false
	case op == launch.TerminateInstances:
		i.State, i.Ended, after.ended, i.Doomed = terminated, s.g.Now(), true, false
	case i.Doomed:
		after.next, err = s.beginRelease(tx, &i, readVolumes(tx, i.Region, i.Account), launch.TerminateInstances, guard.NewRequestID(), s.g.Now())
	case op == launch.StopInstances:
		i.State = stopped
		i.closePublic()
	case op == launch.StartInstances && end.Fail != nil:
		i.State = stopped
		i.closePublic()
		s.blame(&i, end.Fail)
	default:
		i.State, i.Reason, i.Transition = running, nil, ""
	}
	if err != nil {
		return after, err
	}
	if i.State != was {
		after.changed, after.host = i.ID, i.Host
		if err := s.spotFollows(tx, &i); err != nil {
			return after, err
		}
	}
	return after, putInstance(tx, i)
}

// blame sets the reasons of an instance that failed on a key, or on something else.
func (s *Service) blame(i *instanceRecord, fail *launch.Fail) {
	if fail.Action == "" && fail.Phase != launch.PhaseResolveKey {
		const code = "Server.InternalError"
		i.Reason = &reason{code, code + ": Internal error on launch"}
		i.Transition = code
		return
	}
	code, message := launch.StateReason(s.reason)
	i.Reason, i.Transition = &reason{code, message}, launch.StateTransitionReason(s.reason)
}

// keepGrants writes down what a completed job learnt about the volumes: their keys, and the grants
// that attachments hold now.
func (s *Service) keepGrants(tx store.Tx, j *job) error {
	stopped := j.operation() == launch.StopInstances
	for _, l := range j.State.Volumes() {
		v, ok, err := volumeTable.Get(tx, j.Region, j.Account, l.VolumeID)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		p := v.plug(j.Subject)
		if p == nil {
			continue
		}
		v.learn(l)
		p.State, p.Grant = plugAttached, l.Attach
		if stopped {
			p.Grant = launch.GrantRef{}
		} else {
			v.State = volumeInUse
		}
		if err := putVolume(tx, v); err != nil {
			return err
		}
	}
	return nil
}

// finishVolume ends CreateVolume: the volume is available, or it is gone.
func (s *Service) finishVolume(tx store.Tx, j *job, end launch.Step) error {
	v, ok, err := volumeTable.Get(tx, j.Region, j.Account, j.Subject)
	if err != nil || !ok {
		return err
	}
	if end.Fail != nil {
		if err := volumeTable.Delete(tx, v.key()...); err != nil {
			return err
		}
		return dropTags(tx, v.Region, v.Account, v.ID)
	}
	v.learn(j.State.Volumes()[0])
	v.State, v.Work = volumeAvailable, ""
	if v.FastRestored, err = s.fastRestored(tx, &v); err != nil {
		return err
	}
	return putVolume(tx, v)
}

// finishPlug ends AttachVolume and DetachVolume, and the rest that follows an attachment to a
// stopped instance.
func (s *Service) finishPlug(tx store.Tx, j *job, end launch.Step) error {
	v, ok, err := volumeTable.Get(tx, j.Region, j.Account, j.Subject)
	if err != nil || !ok {
		return err
	}
	v.Work = ""
	instance := j.State.Spec().InstanceID
	p := v.plug(instance)
	switch op := j.operation(); {
	case op == launch.DetachVolume || end.Fail != nil:
		v.pull(instance)
	case p == nil:
		return fmt.Errorf("ec2: volume %s was attached to %s and is not", v.ID, instance)
	case op == launch.StopInstances:
		p.Grant = launch.GrantRef{}
	default:
		v.State, p.State, p.Grant = volumeInUse, plugAttached, j.State.Volumes()[0].Attach
	}
	return putVolume(tx, v)
}
