package blockdev_test

import (
	"context"
	"errors"
	"io/fs"
	"testing"

	"github.com/kagimori/kagimori/internal/blockdev"
)

// begin begins a snapshot of a volume that is open, or of a closed one.
func begin(t *testing.T, dir *blockdev.Shelf, v *blockdev.Volume, id string) *blockdev.Pending {
	t.Helper()
	var p *blockdev.Pending
	var err error
	if v != nil {
		p, err = v.Begin(t.Context(), dir, id)
	} else {
		p, err = blockdev.Begin(dir, "vol-1", id)
	}
	must(t, err)
	return p
}

// A snapshot is of the moment of Begin, whatever happens to its volume until it is stored.
func TestASnapshotIsOfTheMomentOfBegin(t *testing.T) {
	for name, happen := range map[string]func(t *testing.T, dir *blockdev.Shelf, v *blockdev.Volume) *blockdev.Volume{
		"nothing": func(_ *testing.T, _ *blockdev.Shelf, v *blockdev.Volume) *blockdev.Volume { return v },
		"written and closed": func(t *testing.T, _ *blockdev.Shelf, v *blockdev.Volume) *blockdev.Volume {
			write(t, v, random(9, 2*block), 0)
			must(t, v.Close())
			return v
		},
		"closed, opened again and written": func(t *testing.T, dir *blockdev.Shelf, v *blockdev.Volume) *blockdev.Volume {
			must(t, v.Close())
			v = open(t, dir, "vol-1", 1)
			write(t, v, random(9, 2*block), block)
			must(t, v.Trim(3*block, block))
			must(t, v.Flush())
			return v
		},
		"grown in its place": func(t *testing.T, dir *blockdev.Shelf, v *blockdev.Volume) *blockdev.Volume {
			must(t, v.Grow(dir, 3*gib))
			write(t, v, random(9, 2*block), 0)
			return v
		},
		"grown into another file": func(t *testing.T, dir *blockdev.Shelf, v *blockdev.Volume) *blockdev.Volume {
			must(t, v.Grow(dir, 64*gib))
			write(t, v, random(9, 2*block), 0)
			return v
		},
		"grown while it is closed": func(t *testing.T, dir *blockdev.Shelf, v *blockdev.Volume) *blockdev.Volume {
			must(t, v.Close())
			must(t, blockdev.Grow(dir, "vol-1", 64*gib))
			v = open(t, dir, "vol-1", 1)
			write(t, v, random(9, 2*block), 0)
			return v
		},
		"removed": func(t *testing.T, dir *blockdev.Shelf, v *blockdev.Volume) *blockdev.Volume {
			wantErr(t, blockdev.Remove(dir, "vol-1"), blockdev.ErrBusy)
			must(t, v.Close())
			must(t, blockdev.Remove(dir, "vol-1"))
			create(t, dir, "vol-1", gib, 1)
			return v
		},
	} {
		for _, held := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				dir, _ := folder(t)
				want := fill(t, dir, "vol-1", 8, 1)
				must(t, blockdev.Snapshot(dir, "vol-1", "snap-1"))
				var v *blockdev.Volume
				if held {
					v = open(t, dir, "vol-1", 1)
				}
				p := begin(t, dir, v, "snap-2")
				if !held {
					v = open(t, dir, "vol-1", 1)
				}
				_, err := blockdev.Open(dir, "vol-1", dataKey(1))
				wantErr(t, err, blockdev.ErrBusy)
				v = happen(t, dir, v)
				must(t, p.Store(t.Context(), nil))
				same(t, "snapshot", read(t, open(t, dir, "snap-2", 1), 0, 8*block), want)
				must(t, v.Close())
				// What changed since is in the next one.
				after := open(t, dir, "vol-1", 1)
				want = read(t, after, 0, 8*block)
				must(t, after.Close())
				must(t, blockdev.Snapshot(dir, "vol-1", "snap-3"))
				same(t, "the next", read(t, open(t, dir, "snap-3", 1), 0, 8*block), want)
				sound(t, dir)
			})
		}
	}
}

// Several snapshots of a volume are stored at a time, and end in any order or not at all.
func TestSnapshotsOfAVolumeOverlap(t *testing.T) {
	for order := range 8 {
		dir, _ := folder(t)
		want := [3][]byte{fill(t, dir, "vol-1", 4, 1)}
		v := open(t, dir, "vol-1", 1)
		must(t, v.Snapshot(t.Context(), dir, "snap-0"))
		write(t, v, []byte("a"), 0)
		want[0] = read(t, v, 0, 4*block)
		p := begin(t, dir, v, "snap-1")
		write(t, v, []byte("b"), block)
		want[1] = read(t, v, 0, 4*block)
		q := begin(t, dir, v, "snap-2")
		write(t, v, []byte("c"), 2*block)
		want[2] = read(t, v, 0, 4*block)
		last := map[bool]func(*blockdev.Pending, string){
			true:  func(p *blockdev.Pending, _ string) { must(t, p.Store(t.Context(), nil)) },
			false: func(p *blockdev.Pending, _ string) { p.Drop() },
		}
		ends := []func(){func() { last[order&2 == 0](p, "snap-1") }, func() { last[order&4 == 0](q, "snap-2") }}
		ends[order&1]()
		ends[1-order&1]()
		must(t, v.Snapshot(t.Context(), dir, "snap-3"))
		for n, id := range []string{"snap-1", "snap-2", "snap-3"} {
			if n < 2 && order&(2<<n) != 0 {
				_, err := blockdev.ReadInfo(dir, id)
				wantErr(t, err, fs.ErrNotExist)
				continue
			}
			same(t, id, read(t, open(t, dir, id, 1), 0, 4*block), want[n])
		}
		must(t, v.Close())
		sound(t, dir)
	}
}

// A snapshot that is given up leaves nothing, and the next one has what changed before it.
func TestAStorageThatIsCancelledLeavesNothing(t *testing.T) {
	dir, _ := folder(t)
	want := fill(t, dir, "vol-1", 8, 1)
	must(t, blockdev.Snapshot(dir, "vol-1", "snap-1"))
	v := open(t, dir, "vol-1", 1)
	write(t, v, []byte("xx"), block-1)
	copy(want[block-1:], "xx")
	p := begin(t, dir, v, "snap-2")
	if p.Size() != v.Size() || p.Waiting() != 2*block {
		t.Errorf("%d bytes wait, of a volume of %d", p.Waiting(), p.Size())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	write(t, v, []byte("y"), 1) // saves what was there
	if err := p.Store(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	want[1] = 'y'
	must(t, v.Snapshot(t.Context(), dir, "snap-2"))
	same(t, "the next", read(t, open(t, dir, "snap-2", 1), 0, 8*block), want)
	must(t, v.Close())
	sound(t, dir)
	if names, _ := stored(t, dir, ""); len(names) != 2+8+2 {
		t.Errorf("%d objects, want 12", len(names))
	}
}
