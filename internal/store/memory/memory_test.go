package memory_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/store/memory"
	"github.com/kagimori/kagimori/internal/store/storetest"
)

func TestConformance(t *testing.T) {
	for name, cfg := range map[string]memory.Config{
		"strict": {}, "plain": {ConflictRate: -1, RunOnce: true}, "conflicts": {ConflictRate: 1},
	} {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, func(*testing.T) store.Store { return memory.New(cfg) })
		})
	}
	storetest.Compaction(t, func(_ *testing.T, history int) store.Store {
		return memory.New(memory.Config{HistoryLimit: history})
	})
}

func put(t *testing.T, s store.Store, key, data string) {
	t.Helper()
	if err := s.Update(t.Context(), func(tx store.Tx) error { return tx.Put("b", key, []byte(data)) }); err != nil {
		t.Fatal(err)
	}
}

func TestRuns(t *testing.T) {
	for _, tt := range []struct {
		name string
		cfg  memory.Config
		want int
	}{
		{"twice", memory.Config{ConflictRate: -1}, 2},
		{"once", memory.Config{ConflictRate: -1, RunOnce: true}, 1},
		{"always a conflict", memory.Config{ConflictRate: 1}, 5},
	} {
		s := memory.New(tt.cfg)
		runs := 0
		for _, want := range []error{nil, errOwn} {
			runs = 0
			err := s.Update(t.Context(), func(tx store.Tx) error { runs++; return errors.Join(tx.Put("b", "k", nil), want) })
			if !errors.Is(err, want) {
				t.Errorf("%s: Update = %v; want %v", tt.name, err, want)
			}
			if want == nil && runs != tt.want {
				t.Errorf("%s: %d runs; want %d", tt.name, runs, tt.want)
			}
		}
	}
}

var errOwn = errors.New("the closure's own error")

// The first run is thrown away: it must not be seen.
func TestFirstRunLeavesNothing(t *testing.T) {
	s := memory.New(memory.Config{ConflictRate: -1})
	runs := 0
	err := s.Update(t.Context(), func(tx store.Tx) error {
		if runs++; runs == 1 {
			return tx.Put("b", "first", nil)
		}
		if _, ok, err := tx.Get("b", "first"); ok || err != nil {
			t.Errorf("second run sees the first: %v, %v", ok, err)
		}
		return tx.Put("b", "second", nil)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.View(t.Context(), func(tx store.Tx) error {
		for p := range tx.Scan("b", store.Range{}) {
			if p.Key != "second" || tx.Revision() != 1 {
				t.Errorf("%s at revision %d", p.Key, tx.Revision())
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func TestSeed(t *testing.T) {
	madeUp := func(seed uint64) string {
		s := memory.New(memory.Config{Seed: seed, ConflictRate: 0.5})
		var out strings.Builder
		for range 20 {
			put(t, s, "k", "v")
			fmt.Fprint(&out, s.Stats().MadeUp, " ")
		}
		return out.String()
	}
	if a, b := madeUp(1), madeUp(1); a != b {
		t.Errorf("one seed, two courses: %s and %s", a, b)
	}
	if a, b := madeUp(1), madeUp(2); a == b {
		t.Errorf("two seeds, one course: %s", a)
	}
}

// other changes something while a transaction runs, from another goroutine.
func other(t *testing.T, s store.Store, fn func(store.Tx) error) {
	t.Helper()
	done := make(chan error)
	go func() { done <- s.Update(t.Context(), fn) }()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// Each read that another commit makes untrue is a conflict; others are not.
func TestConflicts(t *testing.T) {
	get := func(key string) func(store.Tx) {
		return func(tx store.Tx) { _, _, _ = tx.Get("b", key) }
	}
	scan := func(r store.Range, n int) func(store.Tx) {
		return func(tx store.Tx) {
			for range tx.Scan("b", r) {
				if n--; n == 0 {
					return
				}
			}
		}
	}
	change := func(key string) func(store.Tx) error {
		return func(tx store.Tx) error { return tx.Put("b", key, []byte("changed")) }
	}
	remove := func(key string) func(store.Tx) error {
		return func(tx store.Tx) error { return tx.Delete("b", key) }
	}
	tests := []struct {
		name     string
		read     func(store.Tx)
		meantime func(store.Tx) error
		conflict bool
	}{
		{"a value read", get("m"), change("m"), true},
		{"a value read and deleted", get("m"), remove("m"), true},
		{"nothing read, then put", get("none"), change("none"), true},
		{"another key", get("m"), change("c"), false},
		{"another bucket", get("m"), func(tx store.Tx) error { return tx.Put("c", "m", nil) }, false},
		{"written but not read", func(tx store.Tx) { _ = tx.Put("b", "m", nil) }, change("m"), false},
		{"own write read", func(tx store.Tx) { _ = tx.Put("b", "m", nil); get("m")(tx) }, change("m"), false},
		{"in a range", scan(store.Range{}, 0), change("m"), true},
		{"new in a range", scan(store.Range{Prefix: "m"}, 0), change("mm"), true},
		{"gone from a range", scan(store.Range{}, 0), remove("z"), true},
		{"in an empty range", scan(store.Range{Prefix: "x"}, 0), change("x"), true},
		{"outside of a range", scan(store.Range{Prefix: "m"}, 0), change("n"), false},
		{"beyond a limit", scan(store.Range{Limit: 2}, 0), change("y"), false},
		{"before a limit", scan(store.Range{Limit: 2}, 0), change("b"), true},
		{"beyond the end of a loop", scan(store.Range{}, 2), change("y"), false},
		{"before the end of a loop", scan(store.Range{}, 2), change("b"), true},
		{"reversed, beyond a limit", scan(store.Range{Limit: 1, Reverse: true}, 0), change("b"), false},
		{"reversed, before a limit", scan(store.Range{Limit: 1, Reverse: true}, 0), change("zz"), true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := memory.New(memory.Config{ConflictRate: -1, RunOnce: true})
			for _, k := range []string{"a", "c", "m", "z"} {
				put(t, s, k, "v")
			}
			runs := 0
			err := s.Update(t.Context(), func(tx store.Tx) error {
				tt.read(tx)
				if runs++; runs == 1 {
					other(t, s, tt.meantime)
				}
				return tx.Put("b", "result", nil)
			})
			if err != nil {
				t.Fatal(err)
			}
			if got := runs == 2; got != tt.conflict || got != (s.Stats().Conflicts == 1) {
				t.Errorf("%d runs, %d conflicts; want a conflict: %v", runs, s.Stats().Conflicts, tt.conflict)
			}
		})
	}
}

// Each misuse panics and says what it was.
func TestMisuse(t *testing.T) {
	tests := []struct {
		name string
		do   func(s *memory.Store)
		want string
	}{
		{"Get after the end", func(s *memory.Store) { _, _, _ = leak(t, s.View).Get("b", "k") }, "after its closure returned"},
		{"Put after the end", func(s *memory.Store) { _ = leak(t, s.Update).Put("b", "k", nil) }, "after its closure returned"},
		{"Delete after the end", func(s *memory.Store) { _ = leak(t, s.Update).Delete("b", "k") }, "after its closure returned"},
		{"Scan after the end", func(s *memory.Store) { leak(t, s.View).Scan("b", store.Range{}) }, "after its closure returned"},
		{"Revision after the end", func(s *memory.Store) { leak(t, s.View).Revision() }, "after its closure returned"},
		{"iteration after the end", func(s *memory.Store) {
			var seq func(func(store.Pair, error) bool)
			_ = s.View(t.Context(), func(tx store.Tx) error { seq = tx.Scan("b", store.Range{}); return nil })
			for range seq {
				t.Error("an iteration went on")
			}
		}, "after its closure returned"},
		{"Update in Update", func(s *memory.Store) {
			_ = s.Update(t.Context(), func(store.Tx) error {
				return s.Update(t.Context(), func(store.Tx) error { return nil })
			})
		}, "within a transaction"},
		{"View in Update", func(s *memory.Store) {
			_ = s.Update(t.Context(), func(store.Tx) error {
				return s.View(t.Context(), func(store.Tx) error { return nil })
			})
		}, "within a transaction"},
		{"Update in View", func(s *memory.Store) {
			_ = s.View(t.Context(), func(store.Tx) error {
				return s.Update(t.Context(), func(store.Tx) error { return nil })
			})
		}, "within a transaction"},
		{"read value changed", func(s *memory.Store) {
			_ = s.View(t.Context(), func(tx store.Tx) error {
				v, _, err := tx.Get("b", "k")
				v.Data[0]++
				return err
			})
		}, `value that was read of "k" in "b"`},
		{"scanned value changed", func(s *memory.Store) {
			_ = s.Update(t.Context(), func(tx store.Tx) error {
				for p := range tx.Scan("b", store.Range{}) {
					p.Data[0]++
				}
				return nil
			})
		}, `value that was read of "k" in "b"`},
		{"put slice changed", func(s *memory.Store) {
			_ = s.Update(t.Context(), func(tx store.Tx) error {
				data := []byte("v")
				err := tx.Put("b", "new", data)
				data[0]++
				return err
			})
		}, `slice given to Put of "new" in "b"`},
		{"kept value changed, seen by Get", func(s *memory.Store) {
			keep(t, s)[0]++
			_ = s.View(t.Context(), func(tx store.Tx) error { _, _, err := tx.Get("b", "k"); return err })
		}, `value that was read of "k" in "b"`},
		{"kept value changed, seen by Scan", func(s *memory.Store) {
			keep(t, s)[0]++
			_ = s.View(t.Context(), func(tx store.Tx) error {
				for range tx.Scan("b", store.Range{}) {
					t.Error("a changed value was handed out")
				}
				return nil
			})
		}, `value that was read of "k" in "b"`},
		{"kept value changed, seen by Close", func(s *memory.Store) {
			keep(t, s)[0]++
			_ = s.Close()
		}, `value that was read of "k" in "b"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := memory.New(memory.Config{})
			put(t, s, "k", "value")
			defer func() {
				if got := fmt.Sprint(recover()); !strings.Contains(got, tt.want) {
					t.Errorf("panic %q; want %q in it", got, tt.want)
				}
			}()
			tt.do(s)
			t.Error("no panic")
		})
	}
}

// leak returns a transaction that has ended.
func leak(t *testing.T, begin func(context.Context, func(store.Tx) error) error) (leaked store.Tx) {
	if err := begin(t.Context(), func(tx store.Tx) error { leaked = tx; return nil }); err != nil {
		t.Fatal(err)
	}
	return leaked
}

// keep returns a value that was read, after its transaction.
func keep(t *testing.T, s store.Store) (kept []byte) {
	err := s.View(t.Context(), func(tx store.Tx) error {
		v, _, err := tx.Get("b", "k")
		kept = v.Data
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return kept
}

// A panic in a closure leaves the goroutine free to use the store again.
func TestAfterPanic(t *testing.T) {
	s := memory.New(memory.Config{})
	for range 2 {
		func() {
			defer func() {
				if p := recover(); p != errOwn {
					t.Errorf("recovered %v", p)
				}
			}()
			_ = s.Update(t.Context(), func(store.Tx) error { panic(errOwn) })
		}()
	}
	put(t, s, "k", "v")
	if err := s.Close(); err != nil { // does not wait for the transactions that panicked
		t.Error(err)
	}
}
