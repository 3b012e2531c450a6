package kms

import (
	"context"
	"time"

	"github.com/kagimori/kagimori/internal/store"
)

// Due are the buckets that say when something is to be done to keys, each with what is told of their
// changes: where several nodes serve, one does it, and the others may have asked for it.
func (s *Service) Due() map[string]func(store.Event) {
	return map[string]func(store.Event){
		deletionTable.Bucket: func(e store.Event) {
			if e.Deleted {
				return
			}
			r, err := deletionTable.Decode(store.Pair{Key: e.Key, Value: store.Value{Data: e.Data, Rev: e.Rev}})
			if err != nil {
				s.log.Error("a key that is to be deleted has an unreadable date", "error", err)
				return
			}
			s.deleteAt(r.Value)
		},
		rotationTable.Bucket: func(e store.Event) {
			if e.Deleted {
				return
			}
			if t, err := time.Parse(dueFormat, store.SplitKey(e.Key)[0]); err == nil {
				s.wakeAt(t)
			}
		},
	}
}

// Recheck looks at everything that [Service.Due] may have told of.
func (s *Service) Recheck(ctx context.Context) error {
	s.wakeAt(s.g.Now()) // which looks for the first that is due
	return s.awaitDeletions(ctx)
}

// awaitDeletions waits for the time of each key that is to be deleted.
func (s *Service) awaitDeletions(ctx context.Context) error {
	var due []time.Time
	err := s.g.Read(ctx, func(tx store.Tx) error {
		due = nil
		for r, err := range deletionTable.Scan(tx) {
			if err != nil {
				return err
			}
			due = append(due, r.Value)
		}
		return nil
	})
	for _, t := range due {
		s.deleteAt(t)
	}
	return err
}
