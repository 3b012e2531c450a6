package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/kagimori/kagimori/internal/store"
)

const (
	// startPatience is how long a node that starts waits for a store in etcd that it can use.
	startPatience = time.Minute
	startAgain    = 100 * time.Millisecond
	startTold     = 10 * time.Second // how often the log says that it waits
)

// A startingStore is the store of a cluster while a node starts: it is waited for if it cannot be used for the
// moment, because the cluster looks for a leader, say, or the machine is so busy that what the node knows is
// too old. Everything that a start does can be done again, as after a crash. Once the node has started who
// asks is told.
type startingStore struct {
	store.Store
	log     *slog.Logger
	begun   time.Time
	started atomic.Bool
	told    atomic.Int64 // when the log last said so, since begun
}

func newStarting(st store.Store, log *slog.Logger) *startingStore {
	return &startingStore{Store: st, log: log, begun: time.Now()}
}

// View implements [store.Store].
func (s *startingStore) View(ctx context.Context, fn func(store.Tx) error) error {
	if s.started.Load() {
		return s.Store.View(ctx, fn)
	}
	return s.surely(ctx, func() error { return s.Store.View(ctx, fn) })
}

// Update implements [store.Store].
func (s *startingStore) Update(ctx context.Context, fn func(store.Tx) error) error {
	return s.surely(ctx, func() error { return s.Store.Update(ctx, fn) })
}

func (s *startingStore) surely(ctx context.Context, do func() error) error {
	for {
		err := do()
		if err == nil || s.started.Load() || !store.Passing(err) {
			return err
		}
		waited := time.Since(s.begun)
		if waited >= startPatience {
			return fmt.Errorf("the node did not start: for %s the store in etcd could not be used: %w", startPatience, err)
		}
		if last := s.told.Load(); (last == 0 || waited-time.Duration(last) >= startTold) && s.told.CompareAndSwap(last, int64(waited)+1) {
			s.log.Warn("the node waits for the store before it starts", "error", err, "for-at-most", startPatience-waited)
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(startAgain):
		}
	}
}
