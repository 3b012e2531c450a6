package late_test

import (
	"slices"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/store/late"
	"github.com/kagimori/kagimori/internal/store/memory"
	"github.com/kagimori/kagimori/internal/store/storetest"
)

func TestWithoutBucketsItIsLikeAnyStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store {
		return late.New(late.Config{Store: memory.New(memory.Config{Seed: 1}), Delay: time.Hour})
	})
}

// A clock that tests move.
type clock struct{ now time.Time }

type world struct {
	t *testing.T
	s *late.Store
	c clock
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, c: clock{time.Unix(1800000000, 0)}}
	inner := memory.New(memory.Config{Seed: 1})
	t.Cleanup(func() {
		if err := inner.Close(); err != nil {
			t.Error(err)
		}
	})
	w.s = late.New(late.Config{Store: inner, Buckets: []string{"users"}, Delay: 3 * time.Second, Now: func() time.Time { return w.c.now }})
	return w
}

func (w *world) update(fn func(store.Tx) error) {
	w.t.Helper()
	if err := w.s.Update(w.t.Context(), fn); err != nil {
		w.t.Fatal(err)
	}
}

func put(bucket, key, value string) func(store.Tx) error {
	return func(tx store.Tx) error { return tx.Put(bucket, key, []byte(value)) }
}

// shows wants views to have these pairs, "key=value".
func (w *world) shows(bucket string, want ...string) {
	w.t.Helper()
	var got []string
	err := w.s.View(w.t.Context(), func(tx store.Tx) error {
		got = nil
		for p, err := range tx.Scan(bucket, store.Range{}) {
			if err != nil {
				return err
			}
			v, ok, err := tx.Get(bucket, p.Key)
			if err != nil || !ok || string(v.Data) != string(p.Data) {
				w.t.Errorf("the scan has %s=%s, a read %s, %v, %v", p.Key, p.Data, v.Data, ok, err)
			}
			got = append(got, p.Key+"="+string(p.Data))
		}
		return nil
	})
	if err != nil || !slices.Equal(got, want) {
		w.t.Errorf("shown are %v, want %v (%v)", got, want, err)
	}
}

func TestChangesComeLate(t *testing.T) {
	w := newWorld(t)
	w.update(put("users", "a", "1"))
	w.update(put("keys", "a", "1"))
	w.shows("users")
	w.shows("keys", "a=1")
	w.c.now = w.c.now.Add(2 * time.Second)
	w.update(put("users", "a", "2"))
	w.update(put("users", "b", "1"))
	w.shows("users")
	w.c.now = w.c.now.Add(time.Second)
	w.shows("users", "a=1")
	w.update(func(tx store.Tx) error { return tx.Delete("users", "a") })
	w.c.now = w.c.now.Add(2 * time.Second)
	w.shows("users", "a=2", "b=1")
	w.c.now = w.c.now.Add(time.Second)
	w.shows("users", "b=1")
}

func TestUpdatesKnowTheTruth(t *testing.T) {
	w := newWorld(t)
	w.update(put("users", "a", "1"))
	w.update(func(tx store.Tx) error {
		if _, ok, err := tx.Get("users", "a"); err != nil || !ok {
			t.Errorf("an update does not see what is there: %v", err)
		}
		if _, ok, err := store.Settled(tx).Get("users", "a"); err != nil || ok {
			t.Errorf("others see it already: %v", err)
		}
		return nil
	})
	if err := w.s.Update(store.Promptly(t.Context()), put("users", "b", "1")); err != nil {
		t.Fatal(err)
	}
	w.shows("users", "b=1")
}
