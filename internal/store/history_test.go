package store_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/kagimori/kagimori/internal/store"
)

func change(rev store.Revision, size int) store.Change {
	return store.Change{Bucket: "b", Event: store.Event{Rev: rev, Key: fmt.Sprint(rev), Data: make([]byte, size)}}
}

// first is the first thing a watch says: a revision or an error.
func first(t *testing.T, h *store.History, from store.Revision) (store.Revision, error) {
	t.Helper()
	for e, err := range h.Watch(t.Context(), "b", from) {
		return e.Rev, err
	}
	t.Fatal("the watch said nothing")
	return 0, nil
}

func TestHistoryLimit(t *testing.T) {
	h := store.NewHistory(10, 5)
	for rev := store.Revision(6); rev <= 205; rev++ {
		h.Add([]store.Change{change(rev, 1)})
		oldest := max(6, rev-min(rev, 9)) // of the ten newest
		if got, err := first(t, h, oldest-1); got != oldest || err != nil {
			t.Fatalf("at %d, after %d: %d, %v", rev, oldest-1, got, err)
		}
		if _, err := first(t, h, oldest-2); !errors.Is(err, store.ErrCompacted) {
			t.Fatalf("at %d, after %d: %v; want ErrCompacted", rev, oldest-2, err)
		}
	}
}

// A commit of which a part was dropped cannot be told any more.
func TestHistoryDropsWholeCommits(t *testing.T) {
	h := store.NewHistory(3, 0)
	h.Add([]store.Change{change(1, 1), change(1, 1)})
	h.Add([]store.Change{change(2, 1), change(2, 1)})
	if _, err := first(t, h, 0); !errors.Is(err, store.ErrCompacted) {
		t.Errorf("with half of revision 1: %v", err)
	}
	if got, err := first(t, h, 1); got != 2 || err != nil {
		t.Errorf("revision 2: %d, %v", got, err)
	}
	h.Add([]store.Change{change(3, 1), change(3, 1), change(3, 1), change(3, 1)})
	if _, err := first(t, h, 2); !errors.Is(err, store.ErrCompacted) {
		t.Errorf("a commit larger than the history: %v", err)
	}
}

func TestHistoryBytes(t *testing.T) {
	h := store.NewHistory(1000, 0)
	for rev := store.Revision(1); rev <= 100; rev++ {
		h.Add([]store.Change{change(rev, 1<<20)})
	}
	if _, err := first(t, h, 30); !errors.Is(err, store.ErrCompacted) {
		t.Errorf("100 MiB are all kept: %v", err)
	}
	if got, err := first(t, h, 40); got != 41 || err != nil {
		t.Errorf("the newest 60 MiB: %d, %v", got, err)
	}
}

// A watch may start ahead of the store.
func TestHistoryAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := store.NewHistory(10, 0)
		got := make(chan store.Revision, 1)
		go func() {
			rev, err := first(t, h, 2)
			if err != nil {
				t.Error(err)
			}
			got <- rev
		}()
		for rev := store.Revision(1); rev <= 3; rev++ {
			synctest.Wait()
			h.Add([]store.Change{change(rev, 1)})
		}
		if rev := <-got; rev != 3 {
			t.Errorf("after revision 2: %d", rev)
		}
		h.Close()
		h.Close()
		if _, err := first(t, h, 3); !errors.Is(err, store.ErrClosed) {
			t.Errorf("closed: %v", err)
		}
		if got, err := first(t, h, 1); got != 2 || err != nil {
			t.Errorf("what a closed history still has: %d, %v", got, err)
		}
	})
}
