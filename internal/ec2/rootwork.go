package ec2

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/store"
)

// replacePause is how long a task waits for what it needs.
const replacePause = time.Second

// replaceLater goes on with a task once its new volume may be there.
func (s *Service) replaceLater(t rootTask) {
	s.clock.AfterFunc(max(replacePause, s.timing.Volume), func() { s.replaceRoot(t) })
}

// replaceRoot takes a task as far as it goes. It looks at what there is each time, so that a process that
// died in between changes nothing.
func (s *Service) replaceRoot(t rootTask) {
	if !s.life.enter() {
		return // the next start goes on
	}
	defer s.life.leave()
	defer s.locks.Lock(t.Instance, t.Old, t.New)()
	ctx := s.running
	for {
		more, err := s.replaceStep(ctx, &t)
		switch {
		case interrupted(err):
			return
		case err != nil:
			store.Report(ctx, s.log, "a root volume is not replaced yet", err, "task", t.ID)
			s.clock.AfterFunc(retryJob, func() { s.replaceRoot(t) })
			return
		case !more:
			return
		}
	}
}

// A rootView is what a task finds.
type rootView struct {
	task     rootTask
	instance instanceRecord
	old, new volumeRecord
	// there tells whether the volumes exist.
	oldThere, newThere bool
}

func (s *Service) viewRoot(ctx context.Context, t *rootTask) (v rootView, err error) {
	err = s.g.Read(ctx, func(tx store.Tx) (err error) {
		v = rootView{}
		if v.task, _, err = rootTaskTable.Get(tx, t.key()...); err != nil {
			return err
		}
		if v.instance, _, err = instanceTable.Get(tx, t.Region, t.Account, t.Instance); err != nil {
			return err
		}
		if v.old, v.oldThere, err = volumeTable.Get(tx, t.Region, t.Account, t.Old); err != nil {
			return err
		}
		v.new, v.newThere, err = volumeTable.Get(tx, t.Region, t.Account, t.New)
		return err
	})
	return v, err
}

// replaceStep does the next thing; more tells that there is another one at once.
func (s *Service) replaceStep(ctx context.Context, t *rootTask) (more bool, err error) {
	v, err := s.viewRoot(ctx, t)
	if err != nil || !v.task.open() {
		return false, err
	}
	*t = v.task
	i := &v.instance
	oldIn, newIn := v.old.plug(i.ID) != nil, v.new.plug(i.ID) != nil
	switch {
	case !v.newThere: // it could not be made
		return false, s.endReplace(ctx, t, taskFailed)
	case i.State != running || i.Doomed:
		return false, s.giveUpReplace(ctx, t, &v, oldIn)
	case v.new.State == volumeCreating || v.old.Work != "" || v.new.Work != "" || i.Work != "":
		s.clock.AfterFunc(replacePause, func() { s.replaceRoot(*t) })
		return false, nil
	case oldIn:
		return true, s.swapOut(ctx, t, &v.old)
	case !newIn:
		return s.swapIn(ctx, t, &v.new)
	}
	if err := s.endReplace(ctx, t, taskSucceeded); err != nil {
		return false, err
	}
	s.changed(ctx, i.Region, i.Account, i.ID)
	if t.DeleteOld && v.oldThere && len(v.old.Plugs) == 0 {
		return false, s.removeVolume(ctx, t.Region, t.Account, t.Old)
	}
	return false, nil
}

// giveUpReplace ends a task whose instance does not run any more.
func (s *Service) giveUpReplace(ctx context.Context, t *rootTask, v *rootView, oldIn bool) error {
	if len(v.new.Plugs) == 0 {
		if v.new.State == volumeCreating {
			s.clock.AfterFunc(replacePause, func() { s.replaceRoot(*t) })
			return nil
		}
		if err := s.removeVolume(ctx, t.Region, t.Account, t.New); err != nil {
			return err
		}
	}
	if oldIn {
		return s.endReplace(ctx, t, taskFailed)
	}
	return s.endReplace(ctx, t, taskFailedDetached)
}

// rootCall is the EC2 call that the requests of a task are part of.
func (s *Service) rootCall(t *rootTask) *guard.Call {
	return &guard.Call{
		ID: t.Request, Service: "ec2", Operation: "CreateReplaceRootVolumeTask", Region: t.Region, Caller: t.Caller.Caller, Time: s.g.Now(),
	}
}

// swapOut detaches the old root volume.
func (s *Service) swapOut(ctx context.Context, t *rootTask, old *volumeRecord) error {
	var j *job
	err := s.g.Change(ctx, func(tx store.Tx) (err error) {
		v, ok, err := volumeTable.Get(tx, old.key()...)
		if err != nil || !ok {
			return gone(old.ID, err)
		}
		p := v.plug(t.Instance)
		if p == nil {
			return gone(old.ID, nil)
		}
		v.Plugs = slices.Clone(v.Plugs)
		v.plug(t.Instance).State, v.Work = plugDetaching, launch.DetachVolume
		t.State = taskInProgress
		if err := rootTaskTable.Put(tx, *t, t.key()...); err != nil {
			return err
		}
		j, err = s.plugJob(tx, s.rootCall(t), launch.DetachVolume, &v, t.Instance)
		return err
	})
	if err != nil {
		return err
	}
	_, err = s.driveOn(ctx, j)
	return err
}

// driveOn drives a job to its end and writes that down. A job that was interrupted goes on by itself.
func (s *Service) driveOn(ctx context.Context, j *job) (launch.Step, error) {
	end, err := s.drive(ctx, j)
	if err == nil {
		err = s.finish(ctx, j, end)
	}
	if err != nil && !interrupted(err) {
		s.schedule(j)
	}
	return end, err
}

// swapIn attaches the new root volume.
func (s *Service) swapIn(ctx context.Context, t *rootTask, made *volumeRecord) (more bool, err error) {
	var j *job
	err = s.g.Change(ctx, func(tx store.Tx) (err error) {
		v, ok, err := volumeTable.Get(tx, made.key()...)
		if err != nil || !ok {
			return gone(made.ID, err)
		}
		v.Plugs = append(slices.Clone(v.Plugs), plug{
			Instance: t.Instance, Device: t.Device, State: plugAttaching, Since: s.g.Now(), DeleteOnTermination: t.DeleteNew,
		})
		v.State, v.Work = volumeInUse, launch.AttachVolume
		t.State = taskInProgress
		if err := rootTaskTable.Put(tx, *t, t.key()...); err != nil {
			return err
		}
		j, err = s.plugJob(tx, s.rootCall(t), launch.AttachVolume, &v, t.Instance)
		return err
	})
	if err != nil {
		return false, err
	}
	end, err := s.driveOn(ctx, j)
	if err != nil || end.Fail == nil {
		return err == nil, err
	}
	if err := s.removeVolume(ctx, t.Region, t.Account, t.New); err != nil {
		return false, err
	}
	return false, s.endReplace(ctx, t, taskFailedDetached)
}

// endReplace writes down how a task ended. The root device comes first among those of the instance again.
func (s *Service) endReplace(ctx context.Context, t *rootTask, state string) error {
	return s.g.Change(ctx, func(tx store.Tx) error {
		t.State, t.Done = state, s.g.Now()
		if err := rootTaskTable.Put(tx, *t, t.key()...); err != nil {
			return err
		}
		i, ok, err := instanceTable.Get(tx, t.Region, t.Account, t.Instance)
		if err != nil || !ok || state != taskSucceeded {
			return err
		}
		if at := i.device(t.New); at > 0 {
			d := i.Devices[at]
			i.Devices = slices.Insert(slices.Delete(slices.Clone(i.Devices), at, at+1), 0, d)
		}
		return putInstance(tx, i)
	})
}

// resumeTasks goes on with the tasks that the last process left.
func (s *Service) resumeTasks(ctx context.Context) error {
	var open []rootTask
	err := s.g.Read(ctx, func(tx store.Tx) error {
		open = nil
		for r, err := range rootTaskTable.Scan(tx) {
			if err != nil {
				return err
			}
			if r.Value.open() && s.ours(r.Value.Host) {
				open = append(open, r.Value)
			}
		}
		return nil
	})
	for _, t := range open {
		s.replaceLater(t)
	}
	if errors.Is(err, store.ErrClosed) {
		return nil
	}
	return err
}
