package trail_test

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/trail"
)

// commitAll makes changes with the records from to until, each as the guard does.
func commitAll(t testing.TB, s store.Store, tr *trail.Trail, from, until int) {
	t.Helper()
	for i := from; i < until; i++ {
		if err := commit(t, s, tr, record(i)); err != nil {
			t.Fatal(err)
		}
		tr.Kick()
	}
}

// Records of changes are in the log at once, in the order of the commits and of what else is
// appended; the store forgets them later, many with one commit.
func TestDrainForgetsTogether(t *testing.T) {
	for _, sync := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			f, s := newFolder(t), newStore(t)
			tr := f.open(t, func(c *trail.Config) { c.Store, c.Sync = s, sync })
			logged := func() int {
				synctest.Wait()
				return bytes.Count(f.read(t, segment(1)), []byte("\n"))
			}
			for i := range 10 {
				commitAll(t, s, tr, 2*i, 2*i+1)
				if n := logged(); n != 2*i+1 {
					t.Fatalf("%d records in the log after %d changes", n, i+1)
				}
				appendRecords(t, tr, 2*i+1, 2*i+2)
			}
			if n := outboxSize(t, s); n != 10 {
				t.Errorf("%d records wait", n)
			}
			before := s.updates.Load()
			time.Sleep(100 * time.Millisecond)
			synctest.Wait()
			if n, commits := outboxSize(t, s), s.updates.Load()-before; n != 0 || commits != 1 {
				t.Errorf("a moment later %d records wait, after %d commits", n, commits)
			}
			time.Sleep(time.Hour)
			if commits := s.updates.Load() - before; commits != 1 {
				t.Errorf("%d commits without changes", commits)
			}
			if d := cmp.Diff(numbers(0, 20), ids(t, tr, trail.Filter{})); d != "" {
				t.Error(d)
			}
			verify(t, tr)
		})
	}
}

// The outbox stays short however fast changes come.
func TestDrainForgetsManyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := newFolder(t), newStore(t)
		tr := f.open(t, withStore(s))
		for i := range 1000 {
			commitAll(t, s, tr, i, i+1)
			synctest.Wait()
			if n := outboxSize(t, s); n > 2*store.MaxOps {
				t.Fatalf("%d records wait", n)
			}
		}
		if commits := s.updates.Load() - 1000; commits > 10 {
			t.Errorf("the outbox took %d commits of its own", commits)
		}
		if d := cmp.Diff(numbers(0, 1000), ids(t, tr, trail.Filter{})); d != "" {
			t.Error(d)
		}
	})
}

// A look-up shows the change before it, and does not wait for the disk or a commit.
func TestFindBeforeTheStoreForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := newFolder(t), newStore(t)
		tr := f.open(t, withStore(s))
		if err := commit(t, s, tr, record(1)); err != nil { // nobody kicks
			t.Fatal(err)
		}
		for range 2 {
			if d := cmp.Diff([]string{"1"}, ids(t, tr, trail.Filter{})); d != "" {
				t.Error(d)
			}
		}
		if commits := s.updates.Load(); commits != 1 {
			t.Errorf("looking up took %d commits", commits-1)
		}
		if err := tr.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := outboxSize(t, s); n != 0 {
			t.Errorf("%d records wait after Flush", n)
		}
	})
}

// The store is down when it should forget; it does when it is back.
func TestDrainFailsAndGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := newFolder(t), newStore(t)
		tr := f.open(t, withStore(s))
		commitAll(t, s, tr, 0, 3)
		synctest.Wait()
		s.broken.Store(true)
		time.Sleep(10 * time.Second)
		if n := outboxSize(t, s); n != 3 {
			t.Errorf("%d records wait", n)
		}
		s.broken.Store(false)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if n := outboxSize(t, s); n != 0 {
			t.Errorf("%d records wait after the store is back", n)
		}
		if d := cmp.Diff(numbers(0, 3), ids(t, tr, trail.Filter{})); d != "" {
			t.Error(d)
		}
		verify(t, tr)
	})
}

// The power fails while records are in the log and in the outbox: of the log any part may be on the
// disk, with half a line. Each record is there once.
func TestPowerFailsBeforeTheStoreForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := newFolder(t), newStore(t)
		tr := f.open(t, withStore(s))
		appendRecords(t, tr, 0, 1)
		if err := tr.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		size := len(f.read(t, segment(1)))
		commitAll(t, s, tr, 1, 6)
		synctest.Wait()
		data := f.read(t, segment(1))
		if n := outboxSize(t, s); n != 5 || len(data) <= size {
			t.Fatalf("%d records wait, the log has %d bytes", n, len(data))
		}
		waiting := s.contents(t)
		for at := size; at <= len(data); at += max(1, (len(data)-size)/23) {
			g, after := newFolder(t), newStore(t)
			after.fill(t, waiting)
			g.write(t, segment(1), data[:at])
			tr := g.open(t, withStore(after))
			if d := cmp.Diff(numbers(0, 6), ids(t, tr, trail.Filter{})); d != "" {
				t.Errorf("%d bytes: %s", at, d)
			}
			if n := outboxSize(t, after); n != 0 {
				t.Errorf("%d bytes: %d records wait", at, n)
			}
			verify(t, tr)
			closeTrail(t, tr)
		}
	})
}
