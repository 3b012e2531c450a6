package ec2

import (
	"context"
	"sync"

	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/store"
)

// reopeners is how many instances have their volumes opened again at the same time.
const reopeners = 8

// reopenAll has the host hold the volumes of running instances again, whose data keys it lost with its
// memory: KMS is asked as each instance.
func (s *Service) reopenAll(ctx context.Context, known *census) error {
	var (
		work  sync.WaitGroup
		mu    sync.Mutex
		first error
	)
	turn := make(chan struct{}, reopeners)
	for n := range known.instances {
		i := &known.instances[n]
		if i.State != running || known.jobs[i.ID] != nil {
			continue
		}
		turn <- struct{}{}
		work.Go(func() {
			defer func() { <-turn }()
			if err := s.reopen(ctx, known, i); err != nil {
				mu.Lock()
				defer mu.Unlock()
				if first == nil {
					first = err
				}
			}
		})
	}
	work.Wait()
	return first
}

// reopen does it for one instance. Each volume is tried by itself; those with work of their own are left
// to that.
func (s *Service) reopen(ctx context.Context, known *census, i *instanceRecord) error {
	spec, err := i.spec(launch.ReopenVolumes, func(id string) (volumeRecord, bool, error) {
		v, ok := known.volumes[id]
		return v, ok && v.Work == "" && s.opensAgain(v, i.ID), nil
	})
	if err != nil {
		return err
	}
	request := guard.NewRequestID()
	failed := map[string]*launch.Fail{}
	changed := false
	for _, d := range spec.Devices {
		j, err := newJob(spec.Only(d.Name), i.ID, request, ownCaller(), s.g.Now())
		if err != nil {
			return err
		}
		j.Host = i.Host
		end, err := s.drive(ctx, j)
		if err != nil {
			return err
		}
		failed[d.VolumeID] = end.Fail
		changed = changed || (end.Fail != nil) != (known.volumes[d.VolumeID].State == volumeError)
	}
	if changed {
		if err := s.settleReopened(ctx, i, request, failed); err != nil {
			return err
		}
	}
	s.bootSoon(i)
	return nil
}

// settleReopened writes down which volumes of a running instance could be opened again: the others are in
// error until they can. Without its root volume an instance does not run: it stops, as it would when its
// hardware failed.
func (s *Service) settleReopened(ctx context.Context, was *instanceRecord, request string, failed map[string]*launch.Fail) error {
	var after aftermath
	err := s.g.Change(ctx, func(tx store.Tx) error {
		after = aftermath{}
		i, ok, err := instanceTable.Get(tx, was.Region, was.Account, was.ID)
		if err != nil || !ok {
			return err
		}
		var rootless *launch.Fail
		for id, fail := range failed {
			v, ok, err := volumeTable.Get(tx, i.Region, i.Account, id)
			if err != nil {
				return err
			}
			if !ok {
				continue
			}
			if v.State = volumeInUse; fail != nil {
				v.State = volumeError
				if err := s.g.LinkCause(tx, i.Account, i.Region, id, request); err != nil {
					return err
				}
				if p := v.plug(i.ID); p != nil && p.Device == i.RootDevice {
					rootless = fail
				}
			}
			if err := putVolume(tx, v); err != nil {
				return err
			}
		}
		if rootless == nil || i.State != running || i.Work != "" {
			return nil
		}
		if err := s.g.LinkCause(tx, i.Account, i.Region, i.ID, request); err != nil {
			return err
		}
		i.State, after.changed = stopping, i.ID
		s.blame(&i, rootless)
		after.next, err = s.beginRelease(tx, &i, readVolumes(tx, i.Region, i.Account), launch.StopInstances, request, s.g.Now())
		if err != nil {
			return err
		}
		return putInstance(tx, i)
	})
	if err != nil {
		return err
	}
	s.follow(ctx, was.Region, was.Account, after)
	return nil
}
