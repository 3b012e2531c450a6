// Package objectstest says what a store of objects does.
package objectstest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"testing"

	"github.com/kagimori/kagimori/internal/objects"
)

// Run tests a store, which must be empty and is empty afterwards.
func Run(t *testing.T, s objects.Store) {
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	list := func(prefix string) (names []string) {
		t.Helper()
		must(s.List(ctx, prefix, func(o objects.Object) error {
			names = append(names, fmt.Sprint(o.Name, " ", o.Size))
			return nil
		}))
		slices.Sort(names)
		return names
	}
	want := func(what string, got, want any) {
		t.Helper()
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	want("an empty store", list(""), []string(nil))
	want("what is below nothing", list("no/such/"), []string(nil))
	big := bytes.Repeat([]byte("0123456789abcdef"), 32<<10)
	must(s.Put(ctx, "a/1", []byte("one")))
	must(s.Put(ctx, "a/2", nil))
	must(s.Put(ctx, "ab/3", big))
	must(s.Put(ctx, "a/1", []byte("two")))
	must(s.Sync(ctx))
	want("all", list(""), []string{"a/1 3", "a/2 0", "ab/3 524288"})
	want("below a", list("a/"), []string{"a/1 3", "a/2 0"})
	for _, r := range []struct {
		name   string
		off, n int64
		want   []byte
	}{
		{"a/1", 0, -1, []byte("two")}, {"a/1", 1, 1, []byte("w")}, {"a/1", 1, 100, []byte("wo")}, {"a/1", 3, 5, nil}, {"a/2", 0, -1, nil},
		{"a/2", 0, 10, nil}, {"ab/3", 0, -1, big}, {"ab/3", 500000, 16, big[500000:500016]},
	} {
		got, err := s.Get(ctx, r.name, r.off, r.n)
		must(err)
		if !bytes.Equal(got, r.want) {
			t.Errorf("%s from %d, %d bytes: %d bytes, want %d", r.name, r.off, r.n, len(got), len(r.want))
		}
	}
	if _, err := s.Get(ctx, "a/none", 0, -1); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what is not there: %v", err)
	}
	for _, name := range []string{"", "../x", "a//b", "/a"} {
		if err := s.Put(ctx, name, nil); !errors.Is(err, objects.ErrName) {
			t.Errorf("the name %q: %v", name, err)
		}
	}
	stop := errors.New("enough")
	if err := s.List(ctx, "", func(objects.Object) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("a list that was stopped: %v", err)
	}
	many(t, ctx, s)
	for _, name := range []string{"a/1", "a/2", "ab/3", "ab/3"} {
		must(s.Delete(ctx, name))
	}
	must(s.Sync(ctx))
	want("in the end", list(""), []string(nil))
	must(s.Recover(ctx))
}

// many writes, lists and deletes at once.
func many(t *testing.T, ctx context.Context, s objects.Store) {
	t.Helper()
	var wait sync.WaitGroup
	each := func(do func(name string) error) {
		for w := range 8 {
			wait.Go(func() {
				for i := range 16 {
					if err := do(fmt.Sprintf("m/%d/%d", w%4, w*100+i)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wait.Wait()
	}
	each(func(name string) error {
		if err := s.Put(ctx, name, []byte(name)); err != nil {
			return err
		}
		got, err := s.Get(ctx, name, 0, -1)
		if err == nil && string(got) != name {
			err = fmt.Errorf("%s holds %q", name, got)
		}
		return err
	})
	n := 0
	if err := s.List(ctx, "m/", func(objects.Object) error { n++; return nil }); err != nil || n != 128 {
		t.Errorf("%d objects, %v, want 128", n, err)
	}
	each(func(name string) error { return s.Delete(ctx, name) })
}
