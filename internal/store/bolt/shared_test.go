package bolt_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/store/bolt"
)

// text is a memo of a record's text, which counts how often it is made.
type text struct {
	memo store.Memo[string]
	made atomic.Int64
}

func (g *text) in(tx store.Tx, key string) (string, error) {
	return g.memo.Get(tx, func() (string, error) {
		g.made.Add(1)
		v, ok, err := tx.Get("b", key)
		if err == nil && !ok {
			err = errors.New("missing")
		}
		return string(v.Data), err
	}, key)
}

// What is made of some buckets stays true when others change, for views and for updates, and no longer.
func TestMemosOutliveChangesOfOtherBuckets(t *testing.T) {
	s := open(t, bolt.Config{Path: filepath.Join(t.TempDir(), "db"), NoSync: true})
	put(t, s, "k", "1")
	g := text{memo: store.NewMemo[string]()}
	ask := func(want string, made int64) func(store.Tx) error {
		return func(tx store.Tx) error {
			got, err := g.in(tx, "k")
			if n := g.made.Load(); got != want || n != made {
				t.Errorf("at %d: %q, made %d times; want %q, %d", tx.Revision(), got, n, want, made)
			}
			return err
		}
	}
	elsewhere := func(tx store.Tx) error { return tx.Put("elsewhere", "k", []byte("x")) }
	and := func(fns ...func(store.Tx) error) func(store.Tx) error {
		return func(tx store.Tx) (err error) {
			for _, fn := range fns {
				err = errors.Join(err, fn(tx))
			}
			return err
		}
	}
	put := func(key, data string) func(store.Tx) error {
		return func(tx store.Tx) error { return tx.Put("b", key, []byte(data)) }
	}
	steps := []struct {
		update bool
		fn     func(store.Tx) error
	}{
		{false, ask("1", 1)},
		{true, elsewhere},
		{false, ask("1", 1)},
		{true, and(elsewhere, ask("1", 1))},
		{true, and(ask("1", 1), put("other", ""), ask("1", 2))}, // what it wrote may bear on it
		{true, and(ask("1", 3), elsewhere)},
		{false, ask("1", 3)},
		{true, put("k", "2")},
		{true, and(elsewhere, ask("2", 4))},
		{false, ask("2", 4)},
	}
	for i, step := range steps {
		do := s.View
		if step.update {
			do = s.Update
		}
		if err := do(t.Context(), step.fn); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
	}
}

func TestViewsRememberUntilSomethingChanges(t *testing.T) {
	s := open(t, bolt.Config{Path: filepath.Join(t.TempDir(), "db"), NoSync: true})
	put(t, s, "k", "1")
	g := text{memo: store.NewMemo[string]()}
	want := func(data string, made int64) {
		t.Helper()
		for range 3 {
			err := s.View(t.Context(), func(tx store.Tx) error {
				got, err := g.in(tx, "k")
				if got != data {
					t.Errorf("%q, want %q", got, data)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if n := g.made.Load(); n != made {
			t.Errorf("made %d times, want %d", n, made)
		}
	}
	want("1", 1)
	put(t, s, "k", "2")
	want("2", 2)
	other := text{memo: store.NewMemo[string]()}
	for range 2 { // an error is not remembered
		err := s.View(t.Context(), func(tx store.Tx) error { _, err := other.in(tx, "none"); return err })
		if err == nil {
			t.Error("no error")
		}
	}
	if n := other.made.Load(); n != 2 {
		t.Errorf("made %d times, want 2", n)
	}
	err := s.Update(t.Context(), func(tx store.Tx) error { // one that writes remembers nothing
		if err := tx.Put("b", "k", []byte("3")); err != nil {
			return err
		}
		got, err := g.in(tx, "k")
		if got != "3" {
			t.Errorf("%q, want its own write", got)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A view that goes on while changes are committed keeps its snapshot, and the file may grow meanwhile:
// nothing holds a commit up but views that run.
func TestSharedViewsAndCommits(t *testing.T) {
	s := open(t, bolt.Config{Path: filepath.Join(t.TempDir(), "db"), NoSync: true})
	put(t, s, "large", string(make([]byte, 1<<20-100))) // so that the file need not grow under the view
	put(t, s, "k", "0")
	err := s.View(t.Context(), func(tx store.Tx) error {
		put(t, s, "k", "1")
		v, _, err := tx.Get("b", "k")
		if string(v.Data) != "0" {
			t.Errorf("%q: the snapshot moved", v.Data)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	g := text{memo: store.NewMemo[string]()}
	ctx, stop := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			last := 0
			for ctx.Err() == nil {
				err := s.View(ctx, func(tx store.Tx) error {
					data, err := g.in(tx, "n")
					if err != nil {
						return err
					}
					n, err := strconv.Atoi(data[:8])
					if n < last {
						t.Errorf("%d after %d", n, last)
					}
					last = n
					return err
				})
				if err != nil && ctx.Err() == nil && err.Error() != "missing" {
					t.Error(err)
				}
			}
		})
	}
	large := make([]byte, 200<<10)
	for i := range 30 { // the file grows
		copy(large, fmt.Sprintf("%08d", i))
		put(t, s, "n", string(large))
		put(t, s, fmt.Sprint("n", i), string(large))
		if err := s.View(t.Context(), func(tx store.Tx) error {
			data, err := g.in(tx, "n")
			if want := string(large[:8]); data[:8] != want {
				t.Errorf("%s after %s was written", data[:8], want)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	readers.Wait()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.View(t.Context(), func(store.Tx) error { return nil }); !errors.Is(err, store.ErrClosed) {
		t.Errorf("%v, want ErrClosed", err)
	}
}
