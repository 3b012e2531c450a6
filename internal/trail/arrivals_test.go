package trail_test

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/trail"
)

// watched is a store whose watches do what a test wants.
type watched struct {
	*faulty
	watches atomic.Int64
	// pass is what becomes of an event: an error ends the watch.
	pass func(n int, e store.Event) error
}

func (s *watched) Watch(ctx context.Context, bucket string, from store.Revision) iter.Seq2[store.Event, error] {
	s.watches.Add(1)
	return func(yield func(store.Event, error) bool) {
		n := 0
		for e, err := range s.faulty.Watch(ctx, bucket, from) {
			if n++; err == nil {
				if err = s.pass(n, e); err != nil {
					e = store.Event{}
				}
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// Whatever the watch misses, each record is in the log once, in the order of the commits.
func TestWatchMisses(t *testing.T) {
	tests := map[string]struct {
		pass    func(n int, e store.Event) error
		watches int64 // at least
	}{
		"nothing":             {func(int, store.Event) error { return nil }, 1},
		"everything":          {func(int, store.Event) error { return store.ErrCompacted }, 10},
		"all but a few":       {func(n int, _ store.Event) error { return map[bool]error{n > 3: store.ErrCompacted}[true] }, 5},
		"it cannot be used":   {func(n int, _ store.Event) error { return map[bool]error{n > 5: store.ErrUnavailable}[true] }, 5},
		"it ends for good":    {func(n int, _ store.Event) error { return map[bool]error{n > 5: store.ErrClosed}[true] }, 1},
		"it tells much later": {func(int, store.Event) error { time.Sleep(3 * time.Second); return nil }, 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFolder(t)
				s := &watched{faulty: newStore(t), pass: tt.pass}
				tr := f.open(t, withStore(s))
				for i := range 60 {
					commitAll(t, s, tr, i, i+1)
					switch i % 3 {
					case 0:
						time.Sleep(time.Duration(i) * 100 * time.Millisecond)
					case 1:
						if err := tr.Flush(t.Context()); err != nil {
							t.Fatal(err)
						}
					}
				}
				time.Sleep(time.Hour)
				synctest.Wait()
				if n := bytes.Count(f.read(t, segment(1)), []byte("\n")); n != 60 {
					t.Errorf("%d lines in the log", n)
				}
				if d := cmp.Diff(numbers(0, 60), ids(t, tr, trail.Filter{})); d != "" {
					t.Error(d)
				}
				if n := outboxSize(t, s.faulty); n != 0 {
					t.Errorf("%d records wait", n)
				}
				if n := s.watches.Load(); n < tt.watches {
					t.Errorf("%d watches", n)
				}
				verify(t, tr)
			})
		})
	}
}

// More comes than is kept until it is moved.
func TestManyArriveAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 5000
		f := newFolder(t)
		s := &watched{faulty: newStore(t), pass: func(n int, _ store.Event) error {
			if n == 1 {
				time.Sleep(time.Minute)
			}
			return nil
		}}
		tr := f.open(t, func(c *trail.Config) { c.Store, c.Recent = s, 1 })
		synctest.Wait()
		for from := 0; from < n; from += 50 {
			err := s.Update(t.Context(), func(tx store.Tx) error {
				for i := range 50 {
					r := record(from + i)
					r.EventID = fmt.Sprintf("event-%06d", from+i)
					if err := tr.PutTx(tx, r); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Hour) // nobody kicks
		synctest.Wait()
		if d := cmp.Diff(numbers(0, n), ids(t, tr, trail.Filter{})); d != "" {
			t.Error(d)
		}
		if n := outboxSize(t, s.faulty); n != 0 {
			t.Errorf("%d records wait", n)
		}
		verify(t, tr)
	})
}
