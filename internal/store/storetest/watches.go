package storetest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/store"
)

// collect takes n changes of a watch.
func collect(t *testing.T, s store.Store, bucket string, from store.Revision, n int) []store.Event {
	t.Helper()
	var out []store.Event
	for e, err := range s.Watch(t.Context(), bucket, from) {
		if err != nil {
			t.Fatalf("Watch: %v", err)
		}
		if out = append(out, e); len(out) == n {
			return out
		}
	}
	t.Fatalf("watch ended after %d changes", len(out))
	return nil
}

func watch(t *testing.T, s store.Store) {
	put(t, s, "b", "z", "first")
	update(t, s, func(tx store.Tx) error {
		return errors.Join(tx.Put("b", "y", []byte("v")), tx.Put("a", "x", nil), tx.Put("b", "x", nil), tx.Delete("b", "z"))
	})
	if err := s.Update(t.Context(), func(tx store.Tx) error {
		return errors.Join(tx.Put("b", "never", nil), errOwn)
	}); !errors.Is(err, errOwn) {
		t.Fatal(err)
	}
	put(t, s, "b", "last", "v")
	got := collect(t, s, "b", 0, 5)
	one, two, three := got[0].Rev, got[1].Rev, got[4].Rev
	want := []store.Event{
		{Rev: one, Key: "z", Data: []byte("first")},
		{Rev: two, Key: "x", Data: []byte{}},
		{Rev: two, Key: "y", Data: []byte("v")},
		{Rev: two, Key: "z", Deleted: true},
		{Rev: three, Key: "last", Data: []byte("v")},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	if !(0 < one && one < two && two < three) {
		t.Errorf("revisions %d, %d, %d", one, two, three)
	}
	if _, rev := get(t, s, "b", "y"); rev != two {
		t.Errorf("a change has revision %d, its value %d", two, rev)
	}
}

func watchResume(t *testing.T, s store.Store) {
	for i := range 600 { // more than an engine hands over at a time
		put(t, s, "b", fmt.Sprint(i), "v")
	}
	all := collect(t, s, "b", 0, 600)
	for i, e := range all {
		if e.Key != fmt.Sprint(i) {
			t.Fatalf("change %d is of %s", i, e.Key)
		}
	}
	for _, i := range []int{0, 1, 300, 598} {
		if e := collect(t, s, "b", all[i].Rev, 1)[0]; e.Key != fmt.Sprint(i+1) {
			t.Errorf("after revision %d: %s; want %d", all[i].Rev, e.Key, i+1)
		}
	}

	// A watch that waits sees what comes, and ends with its context.
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	from, next := revision(t, s), make(chan store.Event)
	go func() {
		defer close(next)
		for e, err := range s.Watch(ctx, "b", from) {
			if err != nil {
				t.Errorf("watch: %v", err)
			}
			next <- e
		}
	}()
	for i := range 3 {
		put(t, s, "other", "k", "v")
		put(t, s, "b", "k", fmt.Sprint(i))
		if e := <-next; string(e.Data) != fmt.Sprint(i) {
			t.Errorf("waiting watch: %+v", e)
		}
	}
	stop()
	if e, ok := <-next; ok {
		t.Errorf("after its context ended: %+v", e)
	}
}

// watchConcurrent follows a counter that many increment: each step once and in order.
func watchConcurrent(t *testing.T, s store.Store) {
	const workers, each = 8, 20
	seen := make(chan []store.Event)
	go func() { seen <- collect(t, s, "b", 0, workers*each) }()
	together(workers, func(int) {
		for range each {
			if err := s.Update(t.Context(), func(tx store.Tx) error {
				n, err := number(tx, "n")
				return errors.Join(err, putNumber(tx, "n", n+1))
			}); err != nil {
				t.Error(err)
			}
		}
	})
	last := store.Revision(0)
	for i, e := range <-seen {
		if string(e.Data) != strconv.Itoa(i+1) || e.Rev <= last {
			t.Fatalf("change %d: %s at revision %d after %d", i, e.Data, e.Rev, last)
		}
		last = e.Rev
	}
}

func watchClose(t *testing.T, s store.Store) {
	put(t, s, "b", "k", "v")
	ended := make(chan error)
	first := make(chan struct{})
	go func() {
		var last error
		for _, err := range s.Watch(t.Context(), "b", 0) {
			if last = err; err == nil {
				close(first)
			}
		}
		ended <- last
	}()
	<-first
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "the end of a watch", <-ended, store.ErrClosed)
}
