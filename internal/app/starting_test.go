package app_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kagimori/kagimori/internal/app"
	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/store/memory"
)

// A stale store cannot be used until a time.
type stale struct {
	store.Store
	until time.Time
}

func (s *stale) refuse() error {
	if time.Now().Before(s.until) {
		return fmt.Errorf("%w: what this node knows may be older than 1s", store.ErrUnavailable)
	}
	return nil
}

func (s *stale) View(ctx context.Context, fn func(store.Tx) error) error {
	if err := s.refuse(); err != nil {
		return err
	}
	return s.Store.View(ctx, fn)
}

func (s *stale) Update(ctx context.Context, fn func(store.Tx) error) error {
	if err := s.refuse(); err != nil {
		return err
	}
	return s.Store.Update(ctx, fn)
}

// TestANodeThatStartsWaitsForItsStore, tells that it does, and ends with a sentence if that takes too long.
// One that has started waits no more: whoever asks is told.
func TestANodeThatStartsWaitsForItsStore(t *testing.T) {
	put := func(tx store.Tx) error { return tx.Put("b", "k", []byte("v")) }
	nothing := func(store.Tx) error { return nil }
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			name  string
			away  time.Duration
			takes time.Duration
			lines int
			ends  bool
		}{
			{"fresh at once", 0, 0, 0, false},
			{"stale for a moment", 3 * time.Second, 3 * time.Second, 1, false},
			{"stale for longer", 35 * time.Second, 35 * time.Second, 4, false},
			{"stale for too long", time.Hour, time.Minute, 6, true},
		} {
			var out bytes.Buffer
			log := slog.New(slog.NewTextHandler(&out, nil))
			under := &stale{memory.New(memory.Config{}), time.Now().Add(c.away)}
			st, started := app.Starting(under, log)
			begun := time.Now()
			err := st.Update(t.Context(), put)
			if c.ends {
				if !errors.Is(err, store.ErrUnavailable) || !strings.HasPrefix(err.Error(), "the node did not start: for 1m0s the store in etcd could not be used: ") {
					t.Errorf("%s: %v", c.name, err)
				}
			} else if err := errors.Join(err, st.View(t.Context(), func(tx store.Tx) error {
				if _, ok, err := tx.Get("b", "k"); !ok || err != nil {
					return fmt.Errorf("not there: %w", err)
				}
				return nil
			})); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			if took := time.Since(begun).Round(time.Second); took != c.takes {
				t.Errorf("%s: it took %s, want %s", c.name, took, c.takes)
			}
			if n := strings.Count(out.String(), "the node waits for the store"); n != c.lines {
				t.Errorf("%s: %d lines, want %d", c.name, n, c.lines)
			}
			started()
			under.until = time.Now().Add(time.Second)
			begun = time.Now()
			if err := st.View(t.Context(), nothing); !errors.Is(err, store.ErrUnavailable) || time.Since(begun) != 0 {
				t.Errorf("%s: once it has started: %v after %s", c.name, err, time.Since(begun))
			}
		}
	})
}

// TestAStartCanBeGivenUp while it waits.
func TestAStartCanBeGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st, _ := app.Starting(&stale{memory.New(memory.Config{}), time.Now().Add(time.Hour)}, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		begun := time.Now()
		if err := st.View(ctx, func(store.Tx) error { return nil }); !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != 5*time.Second {
			t.Errorf("%v after %s", err, time.Since(begun))
		}
	})
}
