package ec2

import (
	"context"
	"errors"
	"time"

	"github.com/kagimori/kagimori/internal/blockdev"
	"github.com/kagimori/kagimori/internal/ec2/hosts"
	"github.com/kagimori/kagimori/internal/store"
)

// A discardRecord is the file of a snapshot that was deleted. Work that reads it goes on: a volume
// being filled needs its snapshot only until then.
// Source: Amazon EBS User Guide, "Delete an Amazon EBS snapshot".
type discardRecord struct {
	ID   string    `json:"id"`
	Made time.Time `json:"made"`
}

// discardTable is keyed by snapshot id, which is unique everywhere.
var discardTable = store.Table[discardRecord]{Bucket: "ec2/discard", Version: 1}

// forgetSnapshot deletes a snapshot's record and tags, and marks its file. Call discard after the
// transaction.
func (s *Service) forgetSnapshot(tx store.Tx, r *snapshotRecord) error {
	if err := snapshotTable.remove(tx, r.Region, r.Owner, r.ID); err != nil {
		return err
	}
	if err := dropTags(tx, r.Region, r.Owner, r.ID); err != nil {
		return err
	}
	return discardTable.Put(tx, discardRecord{r.ID, s.g.Now()}, r.ID)
}

// discard removes the file of a deleted snapshot as soon as no work reads or makes it.
func (s *Service) discard(id string) {
	if !s.life.enter() {
		return // the next start does it
	}
	defer s.life.leave()
	done, err := s.tryDiscard(context.Background(), id)
	if !interrupted(err) {
		store.Report(s.running, s.log, "the file of a deleted snapshot stays for now", err, "snapshot", id)
	}
	if !done && !interrupted(err) {
		s.clock.AfterFunc(retryJob, func() { s.discard(id) })
	}
}

func (s *Service) tryDiscard(ctx context.Context, id string) (done bool, err error) {
	if s.storage.has(id) {
		return false, nil // whoever stores it finds that it was deleted
	}
	err = s.g.Read(ctx, func(tx store.Tx) error {
		done = true
		for r, err := range jobTable.Scan(tx) {
			if err != nil {
				return err
			}
			if r.Value.reads(id) || r.Value.makes(id) {
				done = false
			}
		}
		return nil
	})
	if err != nil || !done {
		return false, err
	}
	done, err = s.removeSnapshot(ctx, id)
	switch {
	case errors.Is(err, blockdev.ErrBusy), errors.Is(err, hosts.ErrAway), err == nil && !done:
		return false, nil
	case err != nil:
		return false, err
	}
	return true, s.g.Change(ctx, func(tx store.Tx) error { return discardTable.Delete(tx, id) })
}
