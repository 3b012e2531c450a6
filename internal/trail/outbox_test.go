package trail_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/store/memory"
	"github.com/kagimori/kagimori/internal/trail"
)

// faulty is a store that refuses changes when told to.
type faulty struct {
	store.Store
	broken  atomic.Bool
	updates atomic.Int64 // how many were let through
}

var errStore = errors.New("the store is down")

func (s *faulty) Update(ctx context.Context, fn func(store.Tx) error) error {
	if s.broken.Load() {
		return errStore
	}
	s.updates.Add(1)
	return s.Store.Update(ctx, fn)
}

// contents are the records that wait in the store.
func (s *faulty) contents(t testing.TB) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	err := s.View(t.Context(), func(tx store.Tx) error {
		for p, err := range tx.Scan("trail/outbox", store.Range{}) {
			if err != nil {
				return err
			}
			out[p.Key] = p.Data
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// fill has the records wait in this store, one commit each.
func (s *faulty) fill(t testing.TB, contents map[string][]byte) {
	t.Helper()
	for _, key := range slices.Sorted(maps.Keys(contents)) {
		if err := s.Update(t.Context(), func(tx store.Tx) error { return tx.Put("trail/outbox", key, contents[key]) }); err != nil {
			t.Fatal(err)
		}
	}
}

func newStore(t testing.TB) *faulty {
	t.Helper()
	s := &faulty{Store: memory.New(memory.Config{})}
	t.Cleanup(func() { _ = s.Close() }) // has nothing to lose
	return s
}

func withStore(s store.Store) func(*trail.Config) { return func(c *trail.Config) { c.Store = s } }

// commit makes a change with its record.
func commit(t testing.TB, s store.Store, tr *trail.Trail, rec *trail.Record) error {
	t.Helper()
	return s.Update(t.Context(), func(tx store.Tx) error {
		if err := tx.Put("things", "x"+rec.EventID, []byte("x")); err != nil {
			return err
		}
		return tr.PutTx(tx, rec)
	})
}

// outboxSize is the number of records that wait in the store.
func outboxSize(t testing.TB, s *faulty) int {
	t.Helper()
	return len(s.contents(t))
}

// crashed is the folder as the next process would find it. It is copied again when the names
// changed meanwhile: segments are compressed in the background.
func (f folder) crashed(t testing.TB) folder {
	t.Helper()
	for {
		g := newFolder(t)
		names, gone := f.files(t), false
		for _, name := range names {
			data, err := os.ReadFile(filepath.Join(f.path, name))
			if errors.Is(err, fs.ErrNotExist) {
				gone = true
			} else if err != nil {
				t.Fatal(err)
			}
			g.write(t, name, data)
		}
		if !gone && slices.Equal(names, f.files(t)) {
			return g
		}
	}
}

func TestOutboxKeepsTheOrderOfCommits(t *testing.T) {
	f, s := newFolder(t), newStore(t)
	tr := f.open(t, withStore(s))
	var want []string
	for i := range 120 { // more than one transaction takes out; ids and times run backwards
		r := record(200 - i)
		if err := commit(t, s, tr, r); err != nil {
			t.Fatal(err)
		}
		want = append([]string{strconv.Itoa(200 - i)}, want...)
	}
	if err := tr.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, ids(t, tr, trail.Filter{})); d != "" {
		t.Error(d)
	}
	if n := outboxSize(t, s); n != 0 {
		t.Errorf("%d records wait", n)
	}
	verify(t, tr)
}

func TestOutboxUnderConcurrentCommits(t *testing.T) {
	f, s := newFolder(t), newStore(t)
	tr := f.open(t, withStore(s))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 10 {
				err := s.Update(t.Context(), func(tx store.Tx) error {
					v, _, err := tx.Get("counter", "n")
					if err != nil {
						return err
					}
					n, _ := strconv.Atoi(string(v.Data)) // 0 the first time
					if err := tx.Put("counter", "n", strconv.AppendInt(nil, int64(n+1), 10)); err != nil {
						return err
					}
					return tr.PutTx(tx, record(n))
				})
				if err != nil {
					t.Error(err)
				}
				tr.Kick()
			}
		})
	}
	wg.Wait()
	if d := cmp.Diff(numbers(0, 80), ids(t, tr, trail.Filter{})); d != "" {
		t.Error(d)
	}
	verify(t, tr)
}

func TestKickAndClose(t *testing.T) {
	f, s := newFolder(t), newStore(t)
	tr := f.open(t, withStore(s))
	if err := commit(t, s, tr, record(1)); err != nil {
		t.Fatal(err)
	}
	tr.Kick()
	waitFor(t, "line in the log", func() bool { return bytes.Contains(f.read(t, segment(1)), []byte("request-1")) })
	waitFor(t, "empty outbox", func() bool { return outboxSize(t, s) == 0 })
	if err := commit(t, s, tr, record(2)); err != nil { // nobody kicks
		t.Fatal(err)
	}
	closeTrail(t, tr)
	if !bytes.Contains(f.read(t, segment(1)), []byte("request-2")) || outboxSize(t, s) != 0 {
		t.Error("Close did not move the outbox")
	}
	if err := commit(t, s, tr, record(3)); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestAbortedChangesLeaveNoRecord(t *testing.T) {
	f, s := newFolder(t), newStore(t)
	tr := f.open(t, withStore(s))
	err := s.Update(t.Context(), func(tx store.Tx) error {
		if err := tr.PutTx(tx, record(1)); err != nil {
			return err
		}
		return errStore
	})
	if !errors.Is(err, errStore) {
		t.Fatal(err)
	}
	if got := ids(t, tr, trail.Filter{}); got != nil {
		t.Errorf("recorded: %v", got)
	}
}

// The server dies after the records reached the log and before they left the outbox; others were
// appended in between, more than the index holds.
func TestCrashBetweenAppendAndRemoval(t *testing.T) {
	for _, before := range []int{0, 3} {
		f, s := newFolder(t), newStore(t)
		small := func(c *trail.Config) { c.Store, c.Recent, c.MaxSegment = s, 2, 3000 }
		tr := f.open(t, small)
		appendRecords(t, tr, 0, before)
		for i := 10; i < 13; i++ {
			if err := commit(t, s, tr, record(i)); err != nil {
				t.Fatal(err)
			}
		}
		s.broken.Store(true)
		if err := tr.Flush(t.Context()); !errors.Is(err, errStore) {
			t.Fatalf("flush: %v", err)
		}
		appendRecords(t, tr, 20, 30)
		want := append(append(numbers(20, 30), numbers(10, 13)...), numbers(0, before)...)
		check := func(when string, tr *trail.Trail) {
			t.Helper()
			if d := cmp.Diff(want, ids(t, tr, trail.Filter{})); d != "" {
				t.Errorf("%s: %s", when, d)
			}
			verify(t, tr)
		}
		check("not removed yet", tr) // Find tries once more
		if n := outboxSize(t, s); n != 3 {
			t.Errorf("%d records wait", n)
		}
		crashed := f.crashed(t)
		s.broken.Store(false)
		check("after the crash", crashed.open(t, small))
		if n := outboxSize(t, s); n != 0 {
			t.Errorf("%d records wait after the crash", n)
		}
	}
}

// Only a part had reached the log.
func TestCrashBeforeAppend(t *testing.T) {
	f, s := newFolder(t), newStore(t)
	tr := f.open(t, withStore(s))
	appendRecords(t, tr, 0, 2)
	if err := commit(t, s, tr, record(5)); err != nil {
		t.Fatal(err)
	}
	s.broken.Store(true)
	if err := tr.Flush(t.Context()); !errors.Is(err, errStore) {
		t.Fatal(err)
	}
	s.broken.Store(false)
	if err := commit(t, s, tr, record(6)); err != nil { // still in the store only
		t.Fatal(err)
	}
	tr2 := f.crashed(t).open(t, withStore(s))
	if d := cmp.Diff([]string{"6", "5", "1", "0"}, ids(t, tr2, trail.Filter{})); d != "" {
		t.Error(d)
	}
	verify(t, tr2)
}

// The folder was lost, the store was not: what waits there is recorded in the new log.
func TestOutboxOfALostLog(t *testing.T) {
	f, s := newFolder(t), newStore(t)
	tr := f.open(t, withStore(s))
	appendRecords(t, tr, 0, 5)
	if err := commit(t, s, tr, record(7)); err != nil {
		t.Fatal(err)
	}
	g := newFolder(t)
	s.broken.Store(true)
	_, err := trail.Open(trail.Config{Dir: g.root, Store: s}) // dies when the record is in the new log
	if !errors.Is(err, errStore) {
		t.Fatal(err)
	}
	s.broken.Store(false)
	tr2 := g.open(t, withStore(s))
	if d := cmp.Diff([]string{"7"}, ids(t, tr2, trail.Filter{})); d != "" {
		t.Error(d)
	}
}

func TestPutTxRefuses(t *testing.T) {
	f, s := newFolder(t), newStore(t)
	tr := f.open(t, withStore(s))
	r := record(1)
	r.EventID = ""
	if err := commit(t, s, tr, r); err == nil || !strings.Contains(err.Error(), "no event id") {
		t.Errorf("no event id: %v", err)
	}
	r = record(1)
	r.ResponseElements = []byte("{")
	if err := commit(t, s, tr, r); err == nil {
		t.Error("bad JSON was put")
	}
	if err := commit(t, s, newFolder(t).open(t, nil), record(1)); err == nil {
		t.Error("a record was put without a store")
	}
}

func TestFlushEndsWithItsContext(t *testing.T) {
	f, s := newFolder(t), newStore(t)
	tr := f.open(t, withStore(s))
	if err := commit(t, s, tr, record(1)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := tr.Flush(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if d := cmp.Diff([]string{"1"}, ids(t, tr, trail.Filter{})); d != "" {
		t.Error(d)
	}
}

func TestCauses(t *testing.T) {
	f, s := newFolder(t), newStore(t)
	tr := f.open(t, withStore(s))
	link := func(account, region, resource, request string) error {
		return s.Update(t.Context(), func(tx store.Tx) error { return tr.LinkCause(tx, account, region, resource, request) })
	}
	for _, request := range []string{"r1", "r2"} { // the later one counts
		if err := link("111122223333", "eu-west-1", "i-1", request); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		account, region, resource, want string
	}{
		{"111122223333", "eu-west-1", "i-1", "r2"}, {"111122223333", "eu-west-2", "i-1", ""}, {"444455556666", "eu-west-1", "i-1", ""},
		{"111122223333", "eu-west-1", "i-2", ""},
	} {
		err := s.View(t.Context(), func(tx store.Tx) error {
			got, ok, err := tr.Cause(tx, tt.account, tt.region, tt.resource)
			if got != tt.want || ok != (tt.want != "") {
				t.Errorf("%+v: %q, %t", tt, got, ok)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}
