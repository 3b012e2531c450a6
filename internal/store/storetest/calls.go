package storetest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/kagimori/kagimori/internal/store"
)

func panics(t *testing.T, s store.Store) {
	for name, call := range map[string]func(context.Context, func(store.Tx) error) error{"Update": s.Update, "View": s.View} {
		got, _ := catch(func() error {
			return call(t.Context(), func(tx store.Tx) error {
				_ = tx.Put("b", "k", []byte("v")) // refused in a View
				panic("the closure's own panic")
			})
		})
		if got != "the closure's own panic" {
			t.Errorf("panic in %s: %v", name, got)
		}
	}
	if got, _ := get(t, s, "b", "k"); got != "-" {
		t.Errorf("a panicking update wrote %q", got)
	}
	put(t, s, "b", "k", "after") // the engine still works
}

// goexit is what t.Fatal does in a closure. Other updates must not suffer.
func goexit(t *testing.T, s store.Store) {
	var others sync.WaitGroup
	for i := range 8 {
		others.Go(func() {
			if err := s.Update(t.Context(), func(tx store.Tx) error { return tx.Put("b", fmt.Sprint(i), nil) }); err != nil {
				t.Error(err)
			}
		})
	}
	returned := true
	var exits sync.WaitGroup
	exits.Go(func() {
		_ = s.Update(t.Context(), func(tx store.Tx) error {
			_ = tx.Put("b", "exit", nil)
			runtime.Goexit()
			return nil
		})
		returned = false
	})
	exits.Wait()
	others.Wait()
	if !returned {
		t.Error("Update returned although its closure ended the goroutine")
	}
	view(t, s, func(tx store.Tx) error {
		got, err := scan(tx, "b", store.Range{})
		if len(got) != 8 {
			t.Errorf("after the others: %q", got)
		}
		return err
	})
}

func cancel(t *testing.T, s store.Store) {
	gone, stop := context.WithCancel(t.Context())
	stop()
	never := func(store.Tx) error { t.Error("the closure ran"); return nil }
	wantErr(t, "Update", s.Update(gone, never), context.Canceled)
	wantErr(t, "View", s.View(gone, never), context.Canceled)
	for range s.Watch(gone, "b", 0) {
		t.Error("a watch that was cancelled yielded something")
	}

	// Cancelled while it runs: it may commit or not, but says which.
	during, stop := context.WithCancel(t.Context())
	err := s.Update(during, func(tx store.Tx) error {
		stop()
		return tx.Put("b", "k", []byte("v"))
	})
	got, _ := get(t, s, "b", "k")
	if committed := got == "v"; committed != (err == nil) {
		t.Errorf("Update = %v, and the value is %q", err, got)
	}
}

func closed(t *testing.T, s store.Store) {
	put(t, s, "b", "k", "v")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	never := func(store.Tx) error { t.Error("the closure ran"); return nil }
	wantErr(t, "Update", s.Update(t.Context(), never), store.ErrClosed)
	wantErr(t, "View", s.View(t.Context(), never), store.ErrClosed)
	if err := s.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

func limitReads(t *testing.T, s store.Store) {
	put(t, s, "b", "k", "v")
	read := func(scans, gets int) error {
		return s.Update(t.Context(), func(tx store.Tx) error {
			for range scans {
				if _, err := scan(tx, "b", store.Range{}); err != nil {
					return err
				}
			}
			for range gets {
				if _, _, err := tx.Get("b", "k"); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := read(store.MaxOps/2, store.MaxOps/2); err != nil {
		t.Errorf("%d reads: %v", store.MaxOps, err)
	}
	wantErr(t, "a Get too many", read(0, store.MaxOps+1), store.ErrTooLarge)
	wantErr(t, "a Scan too many", read(store.MaxOps+1, 0), store.ErrTooLarge)
	update(t, s, func(tx store.Tx) error { // own writes are no reads
		if err := tx.Put("b", "own", nil); err != nil {
			return err
		}
		for range store.MaxOps + 1 {
			if _, _, err := tx.Get("b", "own"); err != nil {
				return err
			}
		}
		return nil
	})
	view(t, s, func(tx store.Tx) error { // a View has no limit
		for range 3 * store.MaxOps {
			if _, _, err := tx.Get("b", "k"); err != nil {
				return err
			}
		}
		return nil
	})
}

func limitWrites(t *testing.T, s store.Store) {
	write := func(n int) error {
		return s.Update(t.Context(), func(tx store.Tx) error {
			for i := range n {
				var err error
				if i%2 == 0 {
					err = tx.Put("b", fmt.Sprint(i), nil)
				} else {
					err = tx.Delete("b", fmt.Sprint(i))
				}
				if err = errors.Join(err, tx.Put("b", "0", []byte("again"))); err != nil {
					return err // overwriting is no further write
				}
			}
			return nil
		})
	}
	wantErr(t, "a write too many", write(store.MaxOps+1), store.ErrTooLarge)
	if got, _ := get(t, s, "b", "0"); got != "-" {
		t.Errorf("a transaction that was too large wrote %q", got)
	}
	if err := write(store.MaxOps); err != nil {
		t.Errorf("%d writes: %v", store.MaxOps, err)
	}
}

func limitBytes(t *testing.T, s store.Store) {
	fits := make([]byte, store.MaxBytes-len("b")-len("k"))
	update(t, s, func(tx store.Tx) error {
		for range 3 { // the same key again counts once
			if err := tx.Put("b", "k", fits); err != nil {
				return err
			}
		}
		return nil
	})
	for name, fn := range map[string]func(store.Tx) error{
		"one byte more": func(tx store.Tx) error { return tx.Put("b", "kk", fits) },
		"far more":      func(tx store.Tx) error { return tx.Put("b", "k", make([]byte, 2*store.MaxBytes)) },
		"two halves": func(tx store.Tx) error {
			half := make([]byte, store.MaxBytes/2)
			return errors.Join(tx.Put("b", "1", half), tx.Put("b", "2", half))
		},
	} {
		wantErr(t, name, s.Update(t.Context(), fn), store.ErrTooLarge)
	}
	update(t, s, func(tx store.Tx) error { // what was overwritten or deleted does not count
		if err := errors.Join(tx.Put("b", "k", fits), tx.Delete("b", "k")); err != nil {
			return err
		}
		return tx.Put("b", "1", make([]byte, store.MaxBytes/2))
	})
}

// limitIgnored has closures that carry on after an error.
func limitIgnored(t *testing.T, s store.Store) {
	tests := []struct {
		name string
		fn   func(store.Tx)
		want error
	}{
		{"write", func(tx store.Tx) { _ = tx.Put("b", "big", make([]byte, store.MaxBytes)) }, store.ErrTooLarge},
		{"key", func(tx store.Tx) { _ = tx.Put("b", "", nil) }, store.ErrKey},
		{"read", func(tx store.Tx) {
			for range store.MaxOps + 1 {
				_, _, _ = tx.Get("b", "none")
			}
		}, store.ErrTooLarge},
	}
	for _, tt := range tests {
		err := s.Update(t.Context(), func(tx store.Tx) error {
			err := tx.Put("b", "k", []byte("v"))
			tt.fn(tx)
			return err
		})
		wantErr(t, "ignored limit of a "+tt.name, err, tt.want)
	}
	if got, _ := get(t, s, "b", "k"); got != "-" {
		t.Errorf("a transaction that broke a limit wrote %q", got)
	}
}
