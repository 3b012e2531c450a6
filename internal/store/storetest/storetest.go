// Package storetest is the conformance suite of package store: every engine passes it.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/store"
)

// Run tests an engine. open returns an empty store; the suite closes it.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	tests := []struct {
		name string
		run  func(t *testing.T, s store.Store)
	}{
		{"Atomicity", atomicity},
		{"OwnWrites", ownWrites},
		{"OwnDeletes", ownDeletes},
		{"Values", values},
		{"Keys", keys},
		{"Revisions", revisions},
		{"ReadOnly", readOnly},
		{"Ended", ended},
		{"Snapshot", snapshotStays},
		{"Panic", panics},
		{"Goexit", goexit},
		{"Cancel", cancel},
		{"Closed", closed},
		{"LimitReads", limitReads},
		{"LimitWrites", limitWrites},
		{"LimitBytes", limitBytes},
		{"LimitIgnored", limitIgnored},
		{"ScanEdges", scanEdges},
		{"ScanOwnWrites", scanOwnWrites},
		{"ScanModel", scanModel},
		{"WriteSkew", writeSkew},
		{"Phantom", phantom},
		{"Counter", counter},
		{"Transfer", transfer},
		{"Watch", watch},
		{"WatchResume", watchResume},
		{"WatchConcurrent", watchConcurrent},
		{"WatchClose", watchClose},
		{"TableVersions", tableVersions},
		{"TablePage", tablePage},
		{"CachedFresh", cachedFresh},
		{"MemosTrue", memosTrue},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := open(t)
			t.Cleanup(func() {
				if err := s.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			})
			tt.run(t, s)
		})
	}
}

// Compaction tests that a watch tells when changes are no longer kept. open returns an empty store
// that keeps the given number of changes.
func Compaction(t *testing.T, open func(t *testing.T, history int) store.Store) {
	s := open(t, 4)
	defer s.Close()
	for i := range 10 {
		put(t, s, "b", fmt.Sprint(i), "v")
	}
	var all []store.Event
	for e, err := range s.Watch(t.Context(), "b", 0) {
		if !errors.Is(err, store.ErrCompacted) {
			t.Fatalf("watch from the start: %+v, %v; want ErrCompacted", e, err)
		}
		break
	}
	now := revision(t, s)
	for e, err := range s.Watch(t.Context(), "b", now-4) {
		if err != nil {
			t.Fatal(err)
		}
		if all = append(all, e); len(all) == 4 {
			break
		}
	}
	if len(all) != 4 || all[0].Key != "6" || all[3].Key != "9" {
		t.Errorf("watch of what is kept: %+v", all)
	}

	// A slow watch falls out while it looks at its first change.
	got := 0
	var last error
	for _, err := range s.Watch(t.Context(), "b", now-1) {
		if last = err; err != nil {
			continue
		}
		got++
		for i := range 10 {
			put(t, s, "b", fmt.Sprint(i), "w")
		}
	}
	if got != 1 || !errors.Is(last, store.ErrCompacted) {
		t.Errorf("a slow watch saw %d changes and then %v; want 1 and ErrCompacted", got, last)
	}
}

// update runs fn, which must succeed.
func update(t *testing.T, s store.Store, fn func(store.Tx) error) {
	t.Helper()
	if err := s.Update(t.Context(), fn); err != nil {
		t.Fatalf("Update: %v", err)
	}
}

func put(t *testing.T, s store.Store, bucket, key, data string) {
	t.Helper()
	update(t, s, func(tx store.Tx) error { return tx.Put(bucket, key, []byte(data)) })
}

func view(t *testing.T, s store.Store, fn func(store.Tx) error) {
	t.Helper()
	if err := s.View(t.Context(), fn); err != nil {
		t.Fatalf("View: %v", err)
	}
}

// get reads outside of a test's own transaction; "-" if there is nothing.
func get(t *testing.T, s store.Store, bucket, key string) (data string, rev store.Revision) {
	t.Helper()
	view(t, s, func(tx store.Tx) error {
		v, ok, err := tx.Get(bucket, key)
		if data, rev = string(v.Data), v.Rev; !ok {
			data = "-"
		}
		return err
	})
	return data, rev
}

func revision(t *testing.T, s store.Store) (rev store.Revision) {
	t.Helper()
	view(t, s, func(tx store.Tx) error { rev = tx.Revision(); return nil })
	return rev
}

// scan lists "key=data" of a range.
func scan(tx store.Tx, bucket string, r store.Range) ([]string, error) {
	out := []string{}
	for p, err := range tx.Scan(bucket, r) {
		if err != nil {
			return out, err
		}
		out = append(out, p.Key+"="+string(p.Data))
	}
	return out, nil
}

func wantScan(t *testing.T, tx store.Tx, r store.Range, want ...string) {
	t.Helper()
	got, err := scan(tx, "b", r)
	if err != nil {
		t.Errorf("Scan(%+v): %v", r, err)
	}
	if want == nil {
		want = []string{}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Scan(%+v) (-want +got):\n%s", r, diff)
	}
	whole := keysOf(t, tx, r)
	r.KeysOnly = true
	if diff := cmp.Diff(whole, keysOf(t, tx, r)); diff != "" {
		t.Errorf("Scan(%+v) beside one with data (-want +got):\n%s", r, diff)
	}
}

// keysOf are the keys of a range, with their revisions.
func keysOf(t *testing.T, tx store.Tx, r store.Range) map[string]store.Revision {
	t.Helper()
	all := map[string]store.Revision{}
	for p, err := range tx.Scan("b", r) {
		if err != nil {
			t.Fatalf("Scan(%+v): %v", r, err)
		}
		all[p.Key] = p.Rev
	}
	return all
}

func wantErr(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v; want %v", what, err, want)
	}
}

var errOwn = errors.New("the closure's own error")

func atomicity(t *testing.T, s store.Store) {
	put(t, s, "a", "k", "old")
	before := revision(t, s)
	err := s.Update(t.Context(), func(tx store.Tx) error {
		for _, b := range []string{"a", "b", "c"} {
			if err := tx.Put(b, "k", []byte("new")); err != nil {
				return err
			}
		}
		return errOwn
	})
	if err != errOwn {
		t.Errorf("Update = %v; want the closure's own error as it is", err)
	}
	for b, want := range map[string]string{"a": "old", "b": "-", "c": "-"} {
		if got, _ := get(t, s, b, "k"); got != want {
			t.Errorf("%s after a failed update: %q; want %q", b, got, want)
		}
	}
	if after := revision(t, s); after != before {
		t.Errorf("revision went from %d to %d in a failed update", before, after)
	}
	update(t, s, func(tx store.Tx) error {
		return errors.Join(tx.Put("a", "k", []byte("1")), tx.Put("b", "k", []byte("2")), tx.Delete("a", "gone"))
	})
	a, revA := get(t, s, "a", "k")
	b, revB := get(t, s, "b", "k")
	if a != "1" || b != "2" || revA != revB {
		t.Errorf("after an update: %q (revision %d), %q (revision %d)", a, revA, b, revB)
	}
}

func ownWrites(t *testing.T, s store.Store) {
	put(t, s, "b", "k", "old")
	update(t, s, func(tx store.Tx) error {
		for i := range 3 {
			want := fmt.Sprint("new", i)
			if err := tx.Put("b", "k", []byte(want)); err != nil {
				return err
			}
			v, ok, err := tx.Get("b", "k")
			if err != nil || !ok || string(v.Data) != want || v.Rev != 0 {
				t.Errorf("own write: %q, revision %d, %v, %v; want %q, 0", v.Data, v.Rev, ok, err, want)
			}
		}
		return nil
	})
	if got, _ := get(t, s, "b", "k"); got != "new2" {
		t.Errorf("the last of several writes should stay, got %q", got)
	}
}

func ownDeletes(t *testing.T, s store.Store) {
	put(t, s, "b", "k", "old")
	update(t, s, func(tx store.Tx) error {
		if err := errors.Join(tx.Delete("b", "k"), tx.Delete("b", "never"), tx.Delete("none", "k")); err != nil {
			return err
		}
		if _, ok, err := tx.Get("b", "k"); ok || err != nil {
			t.Errorf("own deletion: %v, %v", ok, err)
		}
		return tx.Put("b", "back", []byte("x"))
	})
	if got, _ := get(t, s, "b", "k"); got != "-" {
		t.Errorf("deleted key is there: %q", got)
	}
	update(t, s, func(tx store.Tx) error {
		return errors.Join(tx.Delete("b", "back"), tx.Put("b", "back", []byte("y")))
	})
	if got, _ := get(t, s, "b", "back"); got != "y" {
		t.Errorf("deleted and put again: %q", got)
	}
}

func values(t *testing.T, s store.Store) {
	buf := []byte("first")
	update(t, s, func(tx store.Tx) error {
		return errors.Join(tx.Put("b", "k", buf), tx.Put("b", "nil", nil), tx.Put("b", "empty", []byte{}))
	})
	copy(buf, "XXXXX") // allowed: the transaction has ended
	var kept store.Value
	view(t, s, func(tx store.Tx) (err error) {
		kept, _, err = tx.Get("b", "k")
		for _, k := range []string{"nil", "empty"} {
			v, ok, err := tx.Get("b", k)
			if err != nil || !ok || v.Data == nil || len(v.Data) != 0 {
				t.Errorf("%s: %#v, %v, %v; want an empty slice that is not nil", k, v.Data, ok, err)
			}
		}
		return err
	})
	for i := range 50 {
		put(t, s, "b", "k", fmt.Sprint("other", i))
	}
	if string(kept.Data) != "first" {
		t.Errorf("a value kept after its transaction became %q", kept.Data)
	}
}

func keys(t *testing.T, s store.Store) {
	long := string(make([]byte, store.MaxKey+1))
	for name, k := range map[string][2]string{
		"no bucket": {"", "k"}, "no key": {"b", ""}, "reserved bucket": {"\x00kagimori", "k"},
		"long bucket": {"b" + long, "k"}, "long key": {"b", long},
	} {
		err := s.Update(t.Context(), func(tx store.Tx) error { return tx.Put(k[0], k[1], nil) })
		wantErr(t, "Put with "+name, err, store.ErrKey)
		err = s.Update(t.Context(), func(tx store.Tx) error { return tx.Delete(k[0], k[1]) })
		wantErr(t, "Delete with "+name, err, store.ErrKey)
		view(t, s, func(tx store.Tx) error {
			if v, ok, err := tx.Get(k[0], k[1]); ok || err != nil {
				t.Errorf("Get with %s: %v, %v, %v; want nothing", name, v, ok, err)
			}
			return nil
		})
	}
	for _, k := range []string{"\x00", "\xff\xff", "鍵", long[:store.MaxKey]} {
		put(t, s, "b", k, "v")
		if got, _ := get(t, s, "b", k); got != "v" {
			t.Errorf("key of %d bytes: %q", len(k), got)
		}
	}
}

func revisions(t *testing.T, s store.Store) {
	if rev := revision(t, s); rev != 0 {
		t.Errorf("revision of an empty store: %d", rev)
	}
	var last store.Revision
	for i := range 20 {
		put(t, s, "b", "k", fmt.Sprint(i))
		_, rev := get(t, s, "b", "k")
		if rev <= last || rev != revision(t, s) {
			t.Errorf("commit %d has revision %d after %d; the store says %d", i, rev, last, revision(t, s))
		}
		last = rev
	}
	update(t, s, func(tx store.Tx) error {
		_, _, err := tx.Get("b", "k")
		if tx.Revision() != last {
			t.Errorf("revision in an update: %d; want %d", tx.Revision(), last)
		}
		return err
	})
	if rev := revision(t, s); rev != last {
		t.Errorf("an update that wrote nothing moved the revision from %d to %d", last, rev)
	}
}

func readOnly(t *testing.T, s store.Store) {
	put(t, s, "b", "k", "v")
	view(t, s, func(tx store.Tx) error {
		wantErr(t, "Put in a View", tx.Put("b", "k", []byte("w")), store.ErrReadOnly)
		wantErr(t, "Delete in a View", tx.Delete("b", "k"), store.ErrReadOnly)
		return nil
	})
	if err := s.View(t.Context(), func(store.Tx) error { return errOwn }); err != errOwn {
		t.Errorf("View = %v; want the closure's own error", err)
	}
	if got, _ := get(t, s, "b", "k"); got != "v" {
		t.Errorf("a View changed the value to %q", got)
	}
}

// ended uses transactions that have ended: an engine answers ErrEnded or panics.
func ended(t *testing.T, s store.Store) {
	put(t, s, "b", "k", "v")
	var leaked store.Tx
	leak := func(tx store.Tx) error { leaked = tx; return nil }
	for name, begin := range map[string]func(context.Context, func(store.Tx) error) error{"View": s.View, "Update": s.Update} {
		if err := begin(t.Context(), leak); err != nil {
			t.Fatal(err)
		}
		for what, use := range map[string]func() error{
			"Get":    func() error { _, _, err := leaked.Get("b", "k"); return err },
			"Put":    func() error { return leaked.Put("b", "k", []byte("late")) },
			"Delete": func() error { return leaked.Delete("b", "k") },
			"Scan":   func() error { _, err := scan(leaked, "b", store.Range{}); return err },
		} {
			panicked, err := catch(use)
			if panicked == nil && !errors.Is(err, store.ErrEnded) {
				t.Errorf("%s after %s: %v; want ErrEnded or a panic", what, name, err)
			}
		}
	}
	if got, _ := get(t, s, "b", "k"); got != "v" {
		t.Errorf("a write after the end came through: %q", got)
	}
}

// catch runs fn and returns what it panicked with, nil if it did not.
func catch(fn func() error) (panicked any, err error) {
	defer func() { panicked = recover() }()
	return nil, fn()
}

func snapshotStays(t *testing.T, s store.Store) {
	put(t, s, "b", "k", "old")
	started, changed := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(changed)
		<-started
		if err := s.Update(t.Context(), func(tx store.Tx) error {
			return errors.Join(tx.Put("b", "k", []byte("new")), tx.Put("b", "l", nil), tx.Put("c", "k", nil))
		}); err != nil {
			t.Error(err)
		}
	}()
	view(t, s, func(tx store.Tx) error {
		before := tx.Revision()
		close(started)
		<-changed
		wantScan(t, tx, store.Range{}, "k=old")
		if _, ok, err := tx.Get("c", "k"); ok || err != nil {
			t.Errorf("a snapshot shows a later bucket: %v, %v", ok, err)
		}
		if tx.Revision() != before {
			t.Errorf("revision of a snapshot went from %d to %d", before, tx.Revision())
		}
		return nil
	})
	if got, _ := get(t, s, "b", "k"); got != "new" {
		t.Errorf("after the snapshot: %q", got)
	}
}
