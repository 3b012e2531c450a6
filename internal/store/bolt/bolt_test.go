package bolt_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	bbolt "go.etcd.io/bbolt"

	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/store/bolt"
	"github.com/kagimori/kagimori/internal/store/storetest"
)

func open(t testing.TB, cfg bolt.Config) *bolt.Store {
	t.Helper()
	if cfg.Path == "" {
		cfg.Path = filepath.Join(t.TempDir(), "store")
	}
	s, err := bolt.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeStore(t, s) })
	return s
}

func closeStore(t testing.TB, s *bolt.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func put(t testing.TB, s *bolt.Store, key, data string) {
	t.Helper()
	if err := s.Update(t.Context(), func(tx store.Tx) error { return tx.Put("b", key, []byte(data)) }); err != nil {
		t.Fatalf("Update: %v", err)
	}
}

// get is "-" if there is nothing.
func get(t testing.TB, s *bolt.Store, key string) (data string, rev store.Revision) {
	t.Helper()
	data = "-"
	err := s.View(t.Context(), func(tx store.Tx) error {
		v, ok, err := tx.Get("b", key)
		if ok {
			data, rev = string(v.Data), v.Rev
		}
		return err
	})
	if err != nil {
		t.Fatalf("View: %v", err)
	}
	return data, rev
}

func revision(t testing.TB, s *bolt.Store) (rev store.Revision) {
	t.Helper()
	if err := s.View(t.Context(), func(tx store.Tx) error { rev = tx.Revision(); return nil }); err != nil {
		t.Fatal(err)
	}
	return rev
}

// checked is a store whose file is checked before it closes.
type checked struct {
	*bolt.Store
	t *testing.T
}

func (c checked) Close() error {
	if err := c.Check(); err != nil && !errors.Is(err, store.ErrClosed) {
		c.t.Errorf("Check: %v", err)
	}
	return c.Store.Close()
}

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return checked{open(t, bolt.Config{NoSync: true}), t} })
	storetest.Compaction(t, func(t *testing.T, history int) store.Store {
		return open(t, bolt.Config{HistoryLimit: history})
	})
}

func TestReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	for round := range 3 {
		s := open(t, bolt.Config{Path: path})
		before := revision(t, s)
		if round > 0 {
			for e, err := range s.Watch(t.Context(), "b", before-1) {
				if !errors.Is(err, store.ErrCompacted) {
					t.Errorf("a watch from before the store was opened: %+v, %v", e, err)
				}
				break
			}
		}
		if want := store.Revision(2 * round); before != want {
			t.Errorf("round %d starts at revision %d; want %d", round, before, want)
		}
		for i := range round {
			if got, rev := get(t, s, fmt.Sprint(i)); got != fmt.Sprint("v", i) || rev != store.Revision(2*i+1) {
				t.Errorf("round %d: key %d is %q at revision %d", round, i, got, rev)
			}
		}
		put(t, s, fmt.Sprint(round), fmt.Sprint("v", round))
		put(t, s, "other", "")
		closeStore(t, s)
	}
	left, err := filepath.Glob(path + "*")
	if err != nil || len(left) != 1 {
		t.Errorf("files: %q, %v", left, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v; want mode 0600", info.Mode(), err)
	}
}

// Updates that wait while another one runs are committed together, and see each other.
func TestGroupCommit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	synctest.Test(t, func(t *testing.T) {
		s := open(t, bolt.Config{Path: path})
		const n = 40
		gate := make(chan struct{})
		var all sync.WaitGroup
		all.Go(func() {
			if err := s.Update(t.Context(), func(tx store.Tx) error { <-gate; return tx.Put("b", "first", nil) }); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		revs := make([]store.Revision, n)
		for i := range n {
			all.Go(func() {
				err := s.Update(t.Context(), func(tx store.Tx) error {
					v, _, err := tx.Get("b", "list")
					revs[i] = v.Rev
					if err = errors.Join(err, tx.Put("b", "list", append(bytes.Clone(v.Data), 'x'))); err != nil || i%4 != 0 {
						return err
					}
					return errOwn
				})
				if (i%4 == 0) != errors.Is(err, errOwn) {
					t.Errorf("update %d: %v", i, err)
				}
			})
		}
		synctest.Wait()
		before := s.Stats()
		close(gate)
		all.Wait()
		after := s.Stats()
		if after.Commits != before.Commits+1 || after.Updates != before.Updates+n+1 {
			t.Errorf("before %+v, after %+v; want all in one commit", before, after)
		}
		want := n * 3 / 4
		if got, rev := get(t, s, "list"); len(got) != want || rev != store.Revision(want+1) {
			t.Errorf("%d updates left their mark, the last at revision %d; want %d", len(got), rev, want)
		}
		distinct := map[store.Revision]bool{}
		for i, rev := range revs {
			if i%4 != 0 {
				distinct[rev] = true
			}
		}
		if len(distinct) != want {
			t.Errorf("%d revisions seen by %d updates: each has its own", len(distinct), want)
		}
	})
}

var errOwn = errors.New("the closure's own error")

// A caller who gives up while queued is answered at once, and its closure never runs.
func TestCancelWhileQueued(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	synctest.Test(t, func(t *testing.T) {
		s := open(t, bolt.Config{Path: path})
		gate := make(chan struct{})
		var first sync.WaitGroup
		first.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			err := s.Update(ctx, func(tx store.Tx) error {
				cancel() // too late
				<-gate
				return tx.Put("b", "first", nil)
			})
			if err != nil {
				t.Errorf("cancelled after it started: %v", err)
			}
		})
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		queued := make(chan error, 1)
		go func() {
			queued <- s.Update(ctx, func(store.Tx) error { t.Error("the closure ran"); return nil })
		}()
		synctest.Wait()
		cancel()
		if err := <-queued; !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled while queued: %v", err)
		}
		close(gate)
		first.Wait()
		if got, _ := get(t, s, "first"); got != "" {
			t.Errorf("first: %q", got)
		}
	})
}

// A closure that ends its goroutine takes nobody along: those of its batch run again.
func TestGoexitInBatch(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	synctest.Test(t, func(t *testing.T) {
		s := open(t, bolt.Config{Path: path})
		gate := make(chan struct{})
		var all sync.WaitGroup
		runs := 0
		start := func(fn func(store.Tx) error) {
			all.Go(func() {
				if err := s.Update(t.Context(), fn); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait() // in this order
		}
		start(func(tx store.Tx) error { <-gate; runs++; return tx.Put("b", "1", nil) })
		start(func(tx store.Tx) error { return tx.Put("b", "2", nil) })
		start(func(store.Tx) error { runtime.Goexit(); return nil })
		start(func(tx store.Tx) error { return tx.Put("b", "3", nil) })
		close(gate)
		all.Wait()
		for _, k := range []string{"1", "2", "3"} {
			if got, _ := get(t, s, k); got != "" {
				t.Errorf("key %s: %q", k, got)
			}
		}
		if runs != 2 {
			t.Errorf("the first closure ran %d times; want 2", runs)
		}
	})
}

// Close lets what runs finish and refuses what waits.
func TestCloseWithQueue(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	synctest.Test(t, func(t *testing.T) {
		s := open(t, bolt.Config{Path: path})
		gate := make(chan struct{})
		running := make(chan error, 1)
		go func() {
			running <- s.Update(t.Context(), func(tx store.Tx) error { <-gate; return tx.Put("b", "k", nil) })
		}()
		synctest.Wait()
		closed := make(chan error, 1)
		go func() { closed <- s.Close() }()
		synctest.Wait()
		if err := s.Update(t.Context(), func(store.Tx) error { return nil }); !errors.Is(err, store.ErrClosed) {
			t.Errorf("while closing: %v", err)
		}
		select {
		case err := <-closed:
			t.Errorf("Close did not wait: %v", err)
		default:
		}
		close(gate)
		if err := errors.Join(<-running, <-closed); err != nil {
			t.Error(err)
		}
		if got, _ := get(t, open(t, bolt.Config{Path: path}), "k"); got != "" {
			t.Errorf("what ran while closing: %q", got)
		}
	})
}

func TestPanicIsLogged(t *testing.T) {
	var log bytes.Buffer
	s := open(t, bolt.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	func() {
		defer func() {
			if p := recover(); p != errOwn {
				t.Errorf("recovered %v", p)
			}
		}()
		_ = s.Update(t.Context(), func(store.Tx) error { panic(errOwn) })
	}()
	if got := log.String(); !strings.Contains(got, "TestPanicIsLogged") || strings.Contains(got, errOwn.Error()) {
		t.Errorf("log should have the stack but not the value:\n%s", got)
	}
}

func TestBackup(t *testing.T) {
	s := open(t, bolt.Config{})
	for i := range 100 {
		put(t, s, fmt.Sprint(i), strings.Repeat("x", 500))
	}
	path := filepath.Join(t.TempDir(), "copy")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Backup(f), f.Close()); err != nil {
		t.Fatal(err)
	}
	put(t, s, "later", "")
	c := open(t, bolt.Config{Path: path})
	if err := c.Check(); err != nil {
		t.Error(err)
	}
	if got, _ := get(t, c, "99"); len(got) != 500 || revision(t, c) != 100 {
		t.Errorf("copy: %q at revision %d", got, revision(t, c))
	}
	if got, _ := get(t, c, "later"); got != "-" {
		t.Errorf("copy has what came later: %q", got)
	}
	if err := s.Backup(brokenWriter{}); err == nil || !strings.Contains(err.Error(), errOwn.Error()) {
		t.Errorf("Backup to a broken writer: %v", err)
	}
	closeStore(t, s)
	for name, err := range map[string]error{"Backup": s.Backup(&bytes.Buffer{}), "Check": s.Check()} {
		if !errors.Is(err, store.ErrClosed) {
			t.Errorf("%s of a closed store: %v", name, err)
		}
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errOwn }

// If the last step of a commit fails, nobody knows what the disk has: the store stops.
func TestHalfwayFailureStopsTheStore(t *testing.T) {
	s := open(t, bolt.Config{})
	put(t, s, "k", "v")
	if err := bolt.FailHalfway(s, errOwn); !errors.Is(err, errOwn) {
		t.Fatal(err)
	}
	for name, call := range map[string]func(context.Context, func(store.Tx) error) error{"View": s.View, "Update": s.Update} {
		err := call(t.Context(), func(store.Tx) error { t.Error("the closure ran"); return nil })
		if !errors.Is(err, store.ErrClosed) || !errors.Is(err, errOwn) {
			t.Errorf("%s: %v; want ErrClosed and the cause", name, err)
		}
	}
}

// edit changes a closed store file with bbolt itself.
func edit(t *testing.T, path string, fn func(*bbolt.Tx) error) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Update(fn), db.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestShortValue(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	s := open(t, bolt.Config{Path: path})
	put(t, s, "k", "v")
	closeStore(t, s)
	edit(t, path, func(tx *bbolt.Tx) error { return tx.Bucket([]byte("b")).Put([]byte("k"), []byte("short")) })
	s = open(t, bolt.Config{Path: path})
	err := s.View(t.Context(), func(tx store.Tx) error {
		_, ok, err := tx.Get("b", "k")
		if ok || !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("Get: %v, %v", ok, err)
		}
		for _, err := range tx.Scan("b", store.Range{}) {
			return err
		}
		return nil
	})
	if !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("Scan: %v", err)
	}
}
