package ec2

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/blockdev"
	"github.com/kagimori/kagimori/internal/ec2/hosts"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/store"
)

// A census is what the store knows when the service starts.
type census struct {
	revision  store.Revision
	jobs      map[string]*job // by subject
	instances []instanceRecord
	volumes   map[string]volumeRecord
	foreign   map[string]bool // volumes of hosts that are not this process's
	snapshots map[string]snapshotRecord
	discards  []string // ids of deleted snapshots whose file may still be there
	leftovers []leftoverRecord
	tokens    [][]string // keys of client tokens that are old
}

// Start goes on where the last process stopped: it removes what interrupted work left in the
// folder of volumes, has the volumes of running instances opened again (KMS is asked, as the
// instance), and takes up jobs. KMS must serve.
func (s *Service) Start(ctx context.Context) error {
	if err := s.inherit(ctx); err != nil {
		return err
	}
	if err := s.openHost(ctx); err != nil {
		return err
	}
	if err := s.dropBatches(ctx); err != nil {
		return err
	}
	known, err := s.count(ctx)
	if err != nil {
		return err
	}
	if err := s.sweepFiles(known); err != nil {
		return err
	}
	if err := s.dropTokens(ctx, known.tokens); err != nil {
		return err
	}
	for _, v := range known.volumes {
		if v.State == volumeDeleting {
			if err := s.endVolume(ctx, &v); err != nil {
				return err
			}
		}
	}
	for _, v := range known.volumes {
		s.advanceLater(&v)
	}
	if s.room == nil { // else it was done host by host
		if err := s.reopenAll(ctx, known); err != nil {
			return err
		}
	}
	for i := range known.instances {
		if err := s.resume(ctx, known, &known.instances[i]); err != nil {
			return err
		}
	}
	for _, j := range known.jobs {
		// Attachments end before anybody can stop or end their instance: a call that makes one holds
		// the instance locked too.
		if instance := j.State.Spec().InstanceID; instance != "" && instance != j.Subject {
			s.work(j)
		} else {
			s.schedule(j)
		}
	}
	for _, l := range known.leftovers {
		s.scheduleLeftover(l)
	}
	for _, r := range known.snapshots {
		switch {
		case r.Storing != "":
			if s.ours(r.Storing) {
				s.settleStored(r)
			}
		case r.State == snapshotPending && !r.Done.IsZero(): // copies have jobs
			s.completeLater(r)
		}
	}
	for _, id := range known.discards {
		s.discard(id)
	}
	s.listen(known.revision)
	s.watchRoom()
	s.watchMachines()
	if err := s.resumeTasks(ctx); err != nil {
		return err
	}
	return s.resumeRequests(ctx)
}

// Stop lets running work end, begins none, and closes all volumes: their keys are gone from
// memory. What takes longer than Config.StopWait is cut off as by a crash: the next Start goes on with
// jobs, and puts snapshots into error that were being stored. The clock's timers may still fire; they
// find nothing to do.
func (s *Service) Stop() {
	s.deaf()
	patience, done := context.WithTimeout(context.Background(), s.stopWait)
	defer done()
	inTime := context.AfterFunc(patience, func() {
		s.log.Warn("work on volumes and snapshots is cut off: it took too long", "waited", s.stopWait)
		s.cut()
	})
	s.life.end()
	inTime()
	s.cut()
	if s.room != nil {
		return // the host lives on
	}
	s.host.Close()
}

// openHost makes the host ready, or the hosts of a cluster.
func (s *Service) openHost(ctx context.Context) error {
	if s.room != nil {
		return s.openRoom(ctx)
	}
	if _, err := blockdev.Sweep(s.volumes); err != nil {
		return err
	}
	return s.enroll(ctx)
}

// endVolume goes on with a volume that is being deleted, again and again while its host cannot be reached.
func (s *Service) endVolume(ctx context.Context, v *volumeRecord) error {
	err := s.removeVolume(ctx, v.Region, v.Account, v.ID)
	if errors.Is(err, hosts.ErrAway) {
		s.clock.AfterFunc(retryJob, func() {
			if s.life.enter() {
				defer s.life.leave()
				s.unlessInterrupted("a volume stays in state deleting", v.ID, s.endVolume(s.running, v))
			}
		})
		return nil
	}
	return err
}

func (s *Service) count(ctx context.Context) (*census, error) {
	known := &census{}
	err := s.g.Read(ctx, func(tx store.Tx) error {
		*known = census{revision: tx.Revision(), jobs: map[string]*job{}, volumes: map[string]volumeRecord{}, foreign: map[string]bool{}, snapshots: map[string]snapshotRecord{}}
		for r, err := range jobTable.Scan(tx) {
			if err != nil {
				return err
			}
			if !s.ours(r.Value.Host) {
				continue
			}
			known.jobs[r.Value.Subject] = &job{jobRecord: r.Value, caller: r.Value.Caller.Caller, saved: r.Value.State.Step().Seq}
		}
		for r, err := range instanceTable.Scan(tx) {
			if err != nil {
				return err
			}
			if s.ours(r.Value.Host) {
				known.instances = append(known.instances, r.Value)
			}
		}
		for r, err := range volumeTable.Scan(tx) {
			if err != nil {
				return err
			}
			if s.ours(r.Value.Host) {
				known.volumes[r.Value.ID] = r.Value
			} else {
				known.foreign[r.Value.ID] = true
			}
		}
		for r, err := range snapshotTable.own.Scan(tx) {
			if err != nil {
				return err
			}
			known.snapshots[r.Value.ID] = r.Value
		}
		for r, err := range discardTable.Scan(tx) {
			if err != nil {
				return err
			}
			known.discards = append(known.discards, r.Value.ID)
		}
		for r, err := range leftoverTable.Scan(tx) {
			if err != nil {
				return err
			}
			known.leftovers = append(known.leftovers, r.Value)
		}
		for r, err := range idiom.Tokens.Scan(tx) {
			if err != nil {
				return err
			}
			if s.g.Now().Sub(r.Value.Made) > idiom.TokenLife {
				known.tokens = append(known.tokens, r.Key)
			}
		}
		return nil
	})
	return known, err
}

func (s *Service) dropTokens(ctx context.Context, keys [][]string) error {
	for batch := range slices.Chunk(keys, store.MaxOps/2) {
		err := s.g.Change(ctx, func(tx store.Tx) error {
			for _, key := range batch {
				if err := idiom.Tokens.Delete(tx, key...); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// sweepFiles removes the files of volumes and snapshots that nobody knows: made by a step or a call
// that the store never saw the end of, and whose job is over.
func (s *Service) sweepFiles(known *census) error {
	if s.room != nil {
		return nil // each host does it when it is taken up
	}
	ids, err := blockdev.List(s.volumes)
	if err != nil {
		return err
	}
	wanted := map[string]bool{}
	for _, j := range known.jobs {
		for _, v := range j.State.Volumes() {
			wanted[v.VolumeID] = true
		}
	}
	for _, id := range known.discards {
		wanted[id] = true
	}
	for _, id := range ids {
		_, isVolume := known.volumes[id]
		_, isSnapshot := known.snapshots[id]
		ours := strings.HasPrefix(id, "vol-") || strings.HasPrefix(id, "snap-")
		if isVolume || isSnapshot || wanted[id] || known.foreign[id] || !ours {
			continue
		}
		if err := s.host.Remove(id); err != nil {
			return err
		}
	}
	return nil
}

// resume sets the timers of an instance that does not run.
func (s *Service) resume(ctx context.Context, known *census, i *instanceRecord) error {
	if known.jobs[i.ID] != nil {
		return nil
	}
	switch i.State {
	case stopped: // a volume attached while it was stopped may hold a grant still
		for _, d := range i.Devices {
			v := known.volumes[d.Volume]
			if s.absent(i.Host) {
				break
			}
			if p := v.plug(i.ID); v.Work == "" && p != nil && p.Grant.ID != "" {
				return s.redo(ctx, known, i, launch.StopInstances)
			}
		}
	case shuttingDown:
		s.clock.AfterFunc(s.timing.Stop, func() { s.bury(i.Region, i.Account, i.ID) })
	case terminated:
		wait := max(0, i.Ended.Add(s.timing.Forget).Sub(s.g.Now()))
		s.clock.AfterFunc(wait, func() { s.forget(i.Region, i.Account, i.ID) })
	}
	return nil
}

// redo drives an operation on an instance as a whole. Volumes with work of their own are left to that.
func (s *Service) redo(ctx context.Context, known *census, i *instanceRecord, op launch.Operation) error {
	spec, err := i.spec(op, func(id string) (volumeRecord, bool, error) {
		v, ok := known.volumes[id]
		return v, ok && v.Work == "", nil
	})
	if err != nil {
		return err
	}
	j, err := newJob(spec, i.ID, guard.NewRequestID(), ownCaller(), s.g.Now())
	if err != nil {
		return err
	}
	j.Host = i.Host
	end, err := s.drive(ctx, j)
	if err != nil {
		return err
	}
	return s.finish(ctx, j, end)
}

// absent reports whether a host cannot be asked for anything now.
func (s *Service) absent(host string) bool {
	_, empty := s.rack(host).(hosts.Empty)
	return s.room != nil && empty
}
