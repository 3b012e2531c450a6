package blockdev_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/kagimori/kagimori/internal/blockdev"
	"github.com/kagimori/kagimori/internal/objects"
)

// A fragile store is one in memory that knows what was not synced, and can die: from some request on it does
// nothing any more.
type fragile struct {
	mu      sync.Mutex
	now     map[string][]byte
	durable map[string][]byte
	pending []pendingObject
	left    int // requests until it dies; negative: it does not
}

type pendingObject struct {
	name string
	data []byte // nil: deleted
}

var errDied = errors.New("the process died")

func newFragile() *fragile {
	return &fragile{now: map[string][]byte{}, durable: map[string][]byte{}, left: -1}
}

// alive counts a request. The caller holds mu.
func (f *fragile) alive() error {
	if f.left == 0 {
		return errDied
	}
	f.left--
	return nil
}

func (f *fragile) Put(_ context.Context, name string, data []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.alive(); err != nil {
		return err
	}
	data = append([]byte{}, data...)
	f.now[name] = data
	f.pending = append(f.pending, pendingObject{name, data})
	return nil
}

func (f *fragile) Get(_ context.Context, name string, off, n int64) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.alive(); err != nil {
		return nil, err
	}
	data, ok := f.now[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	data = data[min(off, int64(len(data))):]
	if n >= 0 {
		data = data[:min(n, int64(len(data)))]
	}
	return bytes.Clone(data), nil
}

func (f *fragile) Delete(_ context.Context, name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.alive(); err != nil {
		return err
	}
	delete(f.now, name)
	f.pending = append(f.pending, pendingObject{name, nil})
	return nil
}

func (f *fragile) List(_ context.Context, prefix string, fn func(objects.Object) error) error {
	f.mu.Lock()
	if err := f.alive(); err != nil {
		f.mu.Unlock()
		return err
	}
	all := maps.Clone(f.now)
	f.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if strings.HasPrefix(name, prefix) {
			if err := fn(objects.Object{Name: name, Size: int64(len(all[name]))}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *fragile) Sync(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.alive(); err != nil {
		return err
	}
	f.durable, f.pending = maps.Clone(f.now), nil
	return nil
}

func (f *fragile) Recover(context.Context) error { return nil }

// reborn is the store that the next process finds: everything that was done, or after a power cut what was
// synced and any part of the rest.
func (f *fragile) reborn(r *rand.Rand, powerCut bool) *fragile {
	f.mu.Lock()
	defer f.mu.Unlock()
	after := newFragile()
	after.now = maps.Clone(f.now)
	if powerCut {
		after.now = maps.Clone(f.durable)
		for _, p := range f.pending {
			if r.IntN(2) == 0 {
				continue
			}
			if p.data == nil {
				delete(after.now, p.name)
			} else {
				after.now[p.name] = p.data
			}
		}
	}
	after.durable = maps.Clone(after.now)
	return after
}

// TestAChainSurvivesItsProcess: the process dies, or the power goes, at each request to the store in turn while a
// snapshot is made, copied, sealed or removed. What was acknowledged before is whole, what was not is there whole
// or not at all, and after the next start nothing is left that belongs to nobody.
func TestAChainSurvivesItsProcess(t *testing.T) {
	for _, powerCut := range []bool{false, true} {
		for name, act := range map[string]func(t *testing.T, dir *blockdev.Shelf) (made, gone string, err error){
			"snapshot": func(_ *testing.T, dir *blockdev.Shelf) (string, string, error) {
				return "snap-new", "", blockdev.Snapshot(dir, "vol-1", "snap-new")
			},
			"copy": func(t *testing.T, dir *blockdev.Shelf) (string, string, error) {
				return "snap-new", "", blockdev.CopySnapshot(t.Context(), dir, blockdev.Copy{From: "snap-2", To: blockdev.Spec{ID: "snap-new"}})
			},
			"re-encrypting copy": func(t *testing.T, dir *blockdev.Shelf) (string, string, error) {
				to := blockdev.Spec{ID: "snap-new", Encryption: encryption(2), Key: dataKey(2)}
				return "snap-new", "", blockdev.CopySnapshot(t.Context(), dir, blockdev.Copy{From: "snap-2", To: to})
			},
			"seal": func(_ *testing.T, dir *blockdev.Shelf) (string, string, error) {
				return "vol-2", "", blockdev.Seal(dir, "vol-2")
			},
			"remove the first": func(_ *testing.T, dir *blockdev.Shelf) (string, string, error) {
				return "", "snap-1", blockdev.Remove(dir, "snap-1")
			},
			"remove the last": func(_ *testing.T, dir *blockdev.Shelf) (string, string, error) {
				return "", "snap-2", blockdev.Remove(dir, "snap-2")
			},
			"remove a copy": func(_ *testing.T, dir *blockdev.Shelf) (string, string, error) {
				return "", "snap-3", blockdev.Remove(dir, "snap-3")
			},
		} {
			t.Run(fmt.Sprintf("%s, power cut %v", name, powerCut), func(t *testing.T) {
				t.Parallel()
				r := rand.New(rand.NewPCG(1, 2))
				for at := 0; ; at++ {
					if dieAt(t, r, at, powerCut, act) {
						return
					}
					if at > 300 {
						t.Fatal("it never ends")
					}
				}
			})
		}
	}
}

// dieAt dies at one request and reports whether the act was done before.
func dieAt(t *testing.T, r *rand.Rand, at int, powerCut bool, act func(*testing.T, *blockdev.Shelf) (string, string, error)) (done bool) {
	t.Helper()
	volumes := root(t, t.TempDir())
	store := newFragile()
	dir := blockdev.NewShelf(volumes, store)
	want := map[string][]byte{}
	create(t, dir, "vol-1", 6*block, 0)
	content := make([]byte, 6*block)
	change := func(b byte, blocks ...int64) {
		v := open(t, dir, "vol-1", 0)
		for _, n := range blocks {
			write(t, v, bytes.Repeat([]byte{b}, int(sector)), n*block)
			copy(content[n*block:], bytes.Repeat([]byte{b}, int(sector)))
		}
		must(t, v.Close())
	}
	change(1, 0, 1, 2)
	must(t, blockdev.Snapshot(dir, "vol-1", "snap-1"))
	want["snap-1"] = bytes.Clone(content)
	change(2, 1, 3)
	must(t, blockdev.Snapshot(dir, "vol-1", "snap-2"))
	want["snap-2"] = bytes.Clone(content)
	must(t, blockdev.CopySnapshot(t.Context(), dir, blockdev.Copy{From: "snap-1", To: blockdev.Spec{ID: "snap-3"}}))
	want["snap-3"] = want["snap-1"]
	must(t, blockdev.CreateFromSnapshot(t.Context(), dir, blockdev.Copy{From: "snap-2", To: blockdev.Spec{ID: "vol-2"}}))
	v := open(t, dir, "vol-2", 0)
	write(t, v, []byte{9}, 4*block)
	must(t, v.Close())
	sealed := bytes.Clone(content)
	sealed[4*block] = 9
	change(3, 2, 5)

	store.left = at
	made, gone, err := act(t, dir)
	store.left = -1
	next := store.reborn(r, powerCut)
	dir = blockdev.NewShelf(volumes, next)
	if _, err := blockdev.Sweep(dir); err != nil {
		t.Fatalf("dead at request %d: %v", at, err)
	}
	ids, listErr := blockdev.List(dir)
	must(t, listErr)
	switch {
	case made == "vol-2":
		want[made] = sealed
	case made != "":
		want[made] = bytes.Clone(content)
		if strings.HasPrefix(t.Name(), "TestAChainSurvivesItsProcess/copy") || strings.Contains(t.Name(), "re-encrypting") {
			want[made] = want["snap-2"]
		}
		if err != nil && !slices.Contains(ids, made) {
			delete(want, made)
		}
	case gone != "":
		if err == nil && slices.Contains(ids, gone) {
			t.Errorf("dead at request %d: what was removed is there", at)
		}
		if !slices.Contains(ids, gone) {
			delete(want, gone)
		}
	}
	for id, data := range want {
		key := uint64(0)
		if id == "snap-new" && strings.Contains(t.Name(), "re-encrypting") {
			key = 2
		}
		s := open(t, dir, id, key)
		same(t, fmt.Sprintf("dead at request %d: %s", at, id), read(t, s, 0, int64(len(data))), data)
		must(t, s.Close())
	}
	sound(t, dir)
	// What died can be done again.
	if err != nil && made != "" && !slices.Contains(ids, made) || err != nil && made == "vol-2" {
		_, _, err2 := act(t, dir)
		must(t, err2)
		sound(t, dir)
	}
	return err == nil
}
