// Package late is a store in which others see changes of some buckets only after a while, as clients
// of AWS see those of IAM. It serves development: clients' retries can be tested with it.
//
// Updates read and write the truth, so that what is refused as existing or missing is so, and nothing
// is lost. Views, and what [store.Settled] gives of an update, show a key as it was before the
// changes of the last while.
package late

import (
	"context"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kagimori/kagimori/internal/store"
)

// Config of a [Store].
type Config struct {
	Store   store.Store
	Buckets []string // whose changes come late
	Delay   time.Duration
	Now     func() time.Time // nil is time.Now
}

// A Store shows changes late. Safe for concurrent use.
type Store struct {
	store.Store
	cfg     Config
	buckets map[string]bool
	mu      sync.Mutex
	images  map[place][]image // oldest first
}

type place struct{ bucket, key string }

// An image is what a key was before a change.
type image struct {
	changed time.Time
	was     store.Value
	present bool
}

// New makes a Store.
func New(cfg Config) *Store {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Store{Store: cfg.Store, cfg: cfg, buckets: map[string]bool{}, images: map[place][]image{}}
	for _, b := range cfg.Buckets {
		s.buckets[b] = true
	}
	return s
}

// View runs fn on a snapshot in which changes come late.
func (s *Store) View(ctx context.Context, fn func(store.Tx) error) error {
	return s.Store.View(ctx, func(tx store.Tx) error { return fn(&lagging{tx, s}) })
}

// Update runs fn on the truth.
func (s *Store) Update(ctx context.Context, fn func(store.Tx) error) error {
	var was map[place]image
	err := s.Store.Update(ctx, func(tx store.Tx) error {
		was = map[place]image{}
		return fn(&writing{tx, s, was})
	})
	if err != nil || store.Prompt(ctx) {
		return err
	}
	now := s.cfg.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for p, i := range was {
		i.changed = now
		s.images[p] = append(s.images[p], i)
	}
	for p, list := range s.images { // few: those of the last while
		list = slices.DeleteFunc(list, func(i image) bool { return now.Sub(i.changed) >= s.cfg.Delay })
		if s.images[p] = list; len(list) == 0 {
			delete(s.images, p)
		}
	}
	return nil
}

// past are the keys of a bucket that changed in the last while, as they were before.
func (s *Store) past(bucket string) map[string]image {
	if !s.buckets[bucket] {
		return nil
	}
	now := s.cfg.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]image{}
	for p, list := range s.images {
		if p.bucket != bucket {
			continue
		}
		for _, i := range list {
			if now.Sub(i.changed) < s.cfg.Delay {
				out[p.key] = i
				break
			}
		}
	}
	return out
}

// writing is the Tx of an update: it remembers what it changes.
type writing struct {
	store.Tx
	s   *Store
	was map[place]image
}

// Level is that of the store.
func (w *writing) Level() int {
	level, _ := store.Level(w.Tx)
	return level
}

// Settled is what others see.
func (w *writing) Settled() store.Tx { return &lagging{w.Tx, w.s} }

func (w *writing) remember(bucket, key string) error {
	p := place{bucket, key}
	if _, done := w.was[p]; done || !w.s.buckets[bucket] {
		return nil
	}
	v, ok, err := w.Tx.Get(bucket, key)
	if err == nil {
		w.was[p] = image{was: v, present: ok}
	}
	return err
}

// Put implements store.Tx.
func (w *writing) Put(bucket, key string, data []byte) error {
	if err := w.remember(bucket, key); err != nil {
		return err
	}
	return w.Tx.Put(bucket, key, data)
}

// Delete implements store.Tx.
func (w *writing) Delete(bucket, key string) error {
	if err := w.remember(bucket, key); err != nil {
		return err
	}
	return w.Tx.Delete(bucket, key)
}

// lagging is a Tx that reads the past.
type lagging struct {
	store.Tx
	s *Store
}

// Get implements store.Tx.
func (l *lagging) Get(bucket, key string) (store.Value, bool, error) {
	if i, changed := l.s.past(bucket)[key]; changed {
		return i.was, i.present, nil
	}
	return l.Tx.Get(bucket, key)
}

// Scan implements store.Tx.
func (l *lagging) Scan(bucket string, r store.Range) iter.Seq2[store.Pair, error] {
	past := l.s.past(bucket)
	if len(past) == 0 {
		return l.Tx.Scan(bucket, r)
	}
	return func(yield func(store.Pair, error) bool) {
		all := map[string]store.Value{}
		whole := r
		whole.Limit = 0
		for p, err := range l.Tx.Scan(bucket, whole) {
			if err != nil {
				yield(store.Pair{}, err)
				return
			}
			all[p.Key] = p.Value
		}
		lo, hi := r.Bounds()
		for key, i := range past {
			if key < lo || hi != "" && key >= hi {
				continue
			}
			if delete(all, key); i.present {
				all[key] = i.was
			}
		}
		keys := slices.SortedFunc(maps.Keys(all), func(a, b string) int {
			if r.Reverse {
				a, b = b, a
			}
			return strings.Compare(a, b)
		})
		for n, key := range keys {
			if r.Limit > 0 && n == r.Limit || !yield(store.Pair{Key: key, Value: all[key]}, nil) {
				return
			}
		}
	}
}
