package ec2

import (
	"context"
	"errors"
	"io/fs"
	"sync"

	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/blockdev"
	"github.com/kagimori/kagimori/internal/ec2/hosts"
	"github.com/kagimori/kagimori/internal/store"
)

// defaultAtOnce is how many bytes of changed blocks CreateSnapshot stores before it answers, if nobody says.
const defaultAtOnce = 16 << 20

// Why a snapshot is in error whose blocks are not all stored.
const (
	storingFailed      = "The data of the snapshot could not be stored"
	storingInterrupted = "The server ended before the data of the snapshot was stored"
)

// A storage knows the snapshots whose blocks this process is storing. Safe for concurrent use.
type storage struct {
	mu      sync.Mutex
	running map[string]storing // by snapshot; guarded by mu
}

type storing struct {
	volume string
	cancel context.CancelFunc
}

func newStorage() *storage { return &storage{running: map[string]storing{}} }

func (b *storage) add(r *snapshotRecord, cancel context.CancelFunc) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.running[r.ID] = storing{r.VolumeID, cancel}
}

func (b *storage) remove(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.running, id)
}

func (b *storage) has(id string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, ok := b.running[id]
	return ok
}

// cancel has nobody store a snapshot any more.
func (b *storage) cancel(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if w, ok := b.running[id]; ok {
		w.cancel()
	}
}

// of counts the snapshots of a volume.
func (b *storage) of(volume string) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, w := range b.running {
		if w.volume == volume {
			n++
		}
	}
	return n
}

// snapshotsAtATime refuses more snapshots of a volume than may be pending.
// Source: Amazon EBS User Guide, "Quotas for Amazon EBS": five, of hard disks one.
func (s *Service) snapshotsAtATime(v *volumeRecord) error {
	most := 5
	if v.Type == "st1" || v.Type == "sc1" {
		most = 1
	}
	if s.storage.of(v.ID) >= most {
		return apierr.New("ConcurrentSnapshotLimitExceeded", "Maximum allowed in-progress snapshots for a single volume exceeded.")
	}
	return nil
}

// storeLater stores the blocks of a snapshot whose record says that this host does.
func (s *Service) storeLater(r snapshotRecord, p hosts.Taking) {
	if !s.life.enter() {
		p.Drop() // the next start finds that it is not there
		return
	}
	ctx, cancel := context.WithCancel(s.running)
	s.storage.add(&r, cancel)
	go func() {
		defer s.life.leave()
		defer cancel()
		err := p.Store(ctx, s.progress.watch(r.ID))
		if err != nil && ctx.Err() == nil {
			s.log.Error("a snapshot was not stored", "snapshot", r.ID, "volume", r.VolumeID, "error", err)
		}
		if err != nil && s.running.Err() != nil {
			return // the next start finds that it is not there
		}
		message := ""
		if err != nil {
			message = storingFailed
		}
		s.stored(r, func() (string, error) { return message, nil })
		s.progress.forget(r.ID)
	}()
}

// settleStored ends a snapshot that an earlier process was storing. It is whole if it is there at all.
func (s *Service) settleStored(r snapshotRecord) {
	s.stored(r, func() (string, error) {
		switch _, err := blockdev.ReadInfo(s.volumes, r.ID); {
		case errors.Is(err, fs.ErrNotExist):
			return storingInterrupted, nil
		case errors.Is(err, blockdev.ErrCorrupt):
			return storingFailed, nil
		default:
			return "", err
		}
	})
}

// stored writes down how the storing of a snapshot ended: outcome says what went wrong, or "". What
// was deleted meanwhile is removed.
func (s *Service) stored(r snapshotRecord, outcome func() (message string, err error)) {
	id := r.ID
	s.later("the end of a snapshot is not written down yet", id, func(ctx context.Context) (aftermath, error) {
		message, err := outcome()
		if err != nil {
			return aftermath{}, err
		}
		ok, done := false, snapshotRecord{}
		err = s.g.Change(ctx, func(tx store.Tx) (err error) {
			if done, ok, err = snapshotTable.own.Get(tx, r.Region, r.Owner, id); err != nil || !ok || done.Storing == "" {
				return err
			}
			done.Storing = ""
			switch {
			case message != "":
				done.State, done.Message = snapshotError, message
			default:
				s.weigh(&done)
				if now := s.g.Now(); !done.Done.After(now) {
					done.State, done.Done = snapshotCompleted, now
				}
			}
			if err := putSnapshot(tx, done); err != nil {
				return err
			}
			return s.settleImage(tx, done.Region, done.Owner, done.Image)
		})
		if err != nil {
			return aftermath{}, err
		}
		s.storage.remove(id)
		switch {
		case !ok:
			s.discard(id)
		case done.State == snapshotPending:
			s.completeLater(done)
		}
		return aftermath{}, nil
	}, r.Region, r.Owner)
}
