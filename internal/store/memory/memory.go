// Package memory is a store for tests. It keeps the contract of package store and is strict about
// it, so that code which runs on it runs on any engine:
//   - every closure of Update runs at least twice; what the first run wrote is thrown away;
//   - commits are optimistic: what was read, ranges included, is checked for changes since, and
//     conflicts are also made up at random;
//   - it panics in the caller if a transaction (or an iteration of it) is used after its closure
//     returned, if the store is called from within a transaction, or if a byte slice is changed
//     that may not be.
package memory

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"sync"

	"github.com/kagimori/kagimori/internal/store"
)

// Config of a [Store]. The zero Config is strict.
type Config struct {
	// Seed of the made-up conflicts.
	Seed uint64
	// ConflictRate is the share of commits that meet a made-up conflict; 0.1 if 0, none if
	// negative. One Update meets at most three of them, so 1 is a valid rate.
	ConflictRate float64
	// RunOnce leaves out the first run that is thrown away; for benchmarks.
	RunOnce bool
	// HistoryLimit is how many changes watches can go back; 10000 if 0.
	HistoryLimit int
}

const maxMadeUp = 3 // conflicts in one Update

// Store is the engine; it implements [store.Store]. Safe for concurrent use.
type Store struct {
	cfg     Config
	history *store.History
	open    sync.WaitGroup // running transactions

	mu      sync.Mutex
	rng     *rand.Rand          // guarded by mu
	rev     store.Revision      // guarded by mu
	buckets map[string]bucket   // guarded by mu; replaced by each commit, not changed
	inTx    map[uint64]struct{} // goroutines that are inside a transaction; guarded by mu
	stats   Stats               // guarded by mu
	closed  bool                // guarded by mu
}

// Stats count what happened so far.
type Stats struct {
	Runs      int // of closures given to Update, those thrown away included
	Conflicts int // real ones
	MadeUp    int // conflicts made up
}

// New makes an empty store.
func New(cfg Config) *Store {
	if cfg.ConflictRate == 0 {
		cfg.ConflictRate = 0.1
	}
	if cfg.HistoryLimit <= 0 {
		cfg.HistoryLimit = 10000
	}
	return &Store{
		cfg: cfg, history: store.NewHistory(cfg.HistoryLimit, 0),
		rng: rand.New(rand.NewPCG(cfg.Seed, 1)), inTx: map[uint64]struct{}{},
	}
}

// Stats returns the counts so far.
func (s *Store) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

// Close implements [store.Store]. It panics if a value that the store handed out was changed.
func (s *Store) Close() error {
	s.mu.Lock()
	again := s.closed
	s.closed = true
	s.mu.Unlock()
	if again {
		return nil
	}
	s.open.Wait()
	s.history.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, b := range s.buckets {
		for _, e := range b {
			e.verify(name)
		}
	}
	return nil
}

// Watch implements [store.Store].
func (s *Store) Watch(ctx context.Context, bucket string, from store.Revision) iter.Seq2[store.Event, error] {
	return s.history.Watch(ctx, bucket, from)
}

// enter begins a transaction of this goroutine; leave ends it.
func (s *Store) enter(ctx context.Context) (leave func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	id := goroutine()
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, nested := s.inTx[id]; nested {
		panic("memory: the store was called from within a transaction")
	}
	if s.closed {
		return nil, store.ErrClosed
	}
	s.inTx[id] = struct{}{}
	s.open.Add(1)
	return func() {
		s.mu.Lock()
		delete(s.inTx, id)
		s.mu.Unlock()
		s.open.Done()
	}, nil
}

// View implements [store.Store].
func (s *Store) View(ctx context.Context, fn func(store.Tx) error) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	t := &tx{snap: s.snapshot()}
	t.Tx = readOnly{t.snap}
	return t.run(fn)
}

// Update implements [store.Store].
func (s *Store) Update(ctx context.Context, fn func(store.Tx) error) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if !s.cfg.RunOnce {
		_, _ = s.attempt(fn) // whatever it says: the second run counts
	}
	for madeUp := 0; ; {
		t, err := s.attempt(fn)
		if err != nil {
			return err
		}
		done, invented := s.commit(t, madeUp < maxMadeUp)
		if done {
			return nil
		}
		if invented {
			madeUp++
		}
	}
}

func (s *Store) attempt(fn func(store.Tx) error) (*tx, error) {
	t := &tx{snap: s.snapshot()}
	t.overlay = store.NewOverlay(t.snap)
	t.Tx = t.overlay
	s.mu.Lock()
	s.stats.Runs++
	s.mu.Unlock()
	err := t.run(fn)
	if limit := t.overlay.End(); err == nil {
		err = limit
	}
	return t, err
}

func (s *Store) snapshot() *snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &snapshot{rev: s.rev, buckets: s.buckets, keys: map[[2]string]store.Revision{}}
}

// commit applies the writes of a transaction if nothing that it read has changed. mayInvent allows
// a made-up conflict.
func (s *Store) commit(t *tx, mayInvent bool) (done, invented bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if mayInvent && s.rng.Float64() < s.cfg.ConflictRate {
		s.stats.MadeUp++
		return false, true
	}
	if !t.snap.unchanged(s.buckets) {
		s.stats.Conflicts++
		return false, false
	}
	writes := t.overlay.Writes()
	if len(writes) == 0 {
		return true, false
	}
	s.rev++
	next := maps.Clone(s.buckets)
	if next == nil {
		next = map[string]bucket{}
	}
	changes := make([]store.Change, 0, len(writes))
	copied := ""
	for _, w := range writes { // sorted by bucket
		if w.Bucket != copied {
			copied = w.Bucket
			next[copied] = next[copied].clone()
		}
		next[copied] = next[copied].apply(w, s.rev)
		changes = append(changes, w.Change(s.rev))
	}
	s.buckets = next
	s.history.Add(changes)
	return true, false
}

// changed is the panic for a slice that somebody changed.
func changed(what, bucket, key string) {
	panic(fmt.Sprintf("memory: %s of %q in %q was changed", what, key, bucket))
}
