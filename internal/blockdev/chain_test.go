package blockdev_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/kagimori/kagimori/internal/blockdev"
	"github.com/kagimori/kagimori/internal/secret"
)

const block = int64(blockdev.BlockSize)

// fill makes a closed volume whose blocks are all written.
func fill(t testing.TB, dir *blockdev.Shelf, id string, blocks int64, key uint64) []byte {
	t.Helper()
	create(t, dir, id, blocks*block, key)
	want := random(7, blocks*block)
	v := open(t, dir, id, key)
	write(t, v, want, 0)
	must(t, v.Close())
	return want
}

func TestASnapshotHasOnlyWhatChanged(t *testing.T) {
	for _, key := range []uint64{0, 1} {
		dir, _ := folder(t)
		want := fill(t, dir, "vol-1", 16, key)
		grows := func(what string, by int) {
			t.Helper()
			have, _ := stored(t, dir, "block/")
			if len(have) != by {
				t.Errorf("after %s there are %d blocks, want %d", what, len(have), by)
			}
		}
		must(t, blockdev.Snapshot(dir, "vol-1", "snap-1"))
		grows("the first snapshot", 16)
		must(t, blockdev.Snapshot(dir, "vol-1", "snap-2"))
		grows("a snapshot without changes", 16)

		v := open(t, dir, "vol-1", key)
		write(t, v, []byte("changed"), 3*block+100)
		must(t, v.Trim(5*block, block))
		must(t, v.Trim(6*block, sector))
		write(t, v, want[7*block:7*block+sector], 7*block) // as it was
		must(t, v.Snapshot(t.Context(), dir, "snap-3"))
		grows("a snapshot of the open volume", 18) // 3 and 6; 5 is empty, 7 is as it was
		write(t, v, []byte("again"), 3*block)
		must(t, v.Close())
		v = open(t, dir, "vol-1", key)
		must(t, v.Grow(dir, 20*block))
		write(t, v, []byte("beyond"), 19*block)
		must(t, v.Close())
		must(t, blockdev.Grow(dir, "vol-1", 24*block))
		must(t, blockdev.Snapshot(dir, "vol-1", "snap-4"))
		grows("a snapshot of the larger volume", 20) // 3 and 19
		same(t, "the first", read(t, open(t, dir, "snap-1", key), 0, 16*block), want)
		s := open(t, dir, "snap-4", key)
		same(t, "text of the last", read(t, s, 19*block, 6), []byte("beyond"))
		same(t, "hole of the last", read(t, s, 5*block, block), make([]byte, block))
		sound(t, dir)
	}
}

func TestAVolumeOfASnapshotSharesItsBlocks(t *testing.T) {
	dir, _ := folder(t)
	fill(t, dir, "vol-1", 8, 1)
	must(t, blockdev.Snapshot(dir, "vol-1", "snap-1"))
	e := encryption(1)
	must(t, blockdev.CreateFromSnapshot(t.Context(), dir, blockdev.Copy{From: "snap-1", To: blockdev.Spec{ID: "vol-2", Encryption: e}}))
	v := open(t, dir, "vol-2", 1)
	write(t, v, []byte("x"), 0)
	must(t, v.Close())
	must(t, blockdev.Snapshot(dir, "vol-2", "snap-2"))
	must(t, blockdev.CopySnapshot(t.Context(), dir, blockdev.Copy{From: "snap-2", To: blockdev.Spec{ID: "snap-3", Encryption: e}}))
	if names, _ := stored(t, dir, "block/"); len(names) != 9 {
		t.Errorf("%d blocks, want 9", len(names))
	}
	for _, id := range []string{"snap-1", "snap-2"} {
		must(t, blockdev.Remove(dir, id))
	}
	sound(t, dir)
	if names, _ := stored(t, dir, "block/"); len(names) != 8 {
		t.Errorf("without the first two there are %d blocks, want 8", len(names))
	}
	// Under another data key nothing can be shared.
	c := blockdev.Copy{From: "snap-3", FromKey: dataKey(1), To: blockdev.Spec{ID: "snap-4", Encryption: encryption(2), Key: dataKey(2)}}
	must(t, blockdev.CopySnapshot(t.Context(), dir, c))
	must(t, blockdev.Remove(dir, "snap-3"))
	same(t, "copy", read(t, open(t, dir, "snap-4", 2), 0, 1), []byte("x"))
	sound(t, dir)
}

// A volume that was not closed, or whose file of changes is lost, has snapshots that are right all the same,
// and still share what did not change: its blocks are compared.
func TestWithoutKnownChangesBlocksAreCompared(t *testing.T) {
	for _, lose := range []func(t *testing.T, dir *blockdev.Shelf, path string){
		func(t *testing.T, _ *blockdev.Shelf, path string) { must(t, os.Remove(path+"/vol-1.kchg")) },
		func(t *testing.T, _ *blockdev.Shelf, path string) {
			must(t, os.WriteFile(path+"/vol-1.kchg", []byte("kagichgs, or not"), 0o600))
		},
		func(t *testing.T, dir *blockdev.Shelf, _ string) { must(t, blockdev.Remove(dir, "snap-2")) },
	} {
		dir, path := folder(t)
		want := fill(t, dir, "vol-1", 8, 1)
		must(t, blockdev.Snapshot(dir, "vol-1", "snap-1"))
		must(t, blockdev.Snapshot(dir, "vol-1", "snap-2"))
		v := open(t, dir, "vol-1", 1)
		write(t, v, []byte("x"), block)
		want[block] = 'x'
		must(t, v.Close())
		lose(t, dir, path)
		must(t, blockdev.Snapshot(dir, "vol-1", "snap-3"))
		if names, _ := stored(t, dir, "block/"); len(names) != 9 {
			t.Errorf("%d blocks, want 9", len(names))
		}
		same(t, "content", read(t, open(t, dir, "snap-3", 1), 0, 8*block), want)
		sound(t, dir)
	}
}

// The process is killed while a volume is open that has changed since its snapshot: what is known of changes
// does not count any more.
func TestChangesAreNotForgottenInACrash(t *testing.T) {
	dir, path := folder(t)
	want := fill(t, dir, "vol-1", 4, 1)
	must(t, blockdev.Snapshot(dir, "vol-1", "snap-1"))
	crashed, crashedPath := folder(t)
	v := open(t, dir, "vol-1", 1)
	write(t, v, []byte("not flushed"), 2*block)
	copy(want[2*block:], "not flushed")
	must(t, os.CopyFS(crashedPath, os.DirFS(path)))
	crashed = blockdev.NewShelf(crashed.Root, dir.Objects())
	must(t, blockdev.Snapshot(crashed, "vol-1", "snap-2"))
	same(t, "content", read(t, open(t, crashed, "snap-2", 1), 0, 4*block), want)
	must(t, v.Close())
}

// A chain is a random sequence of operations on volumes and snapshots, and what they must hold.
type chain struct {
	*testing.T
	rng     *rand.Rand
	dir     *blockdev.Shelf
	volumes map[string]content
	snaps   map[string]content
	open    map[string]*blockdev.Volume
	next    int
}

type content struct {
	key  uint64 // 0 is plain
	data []byte
}

func (c content) clone() content { return content{c.key, bytes.Clone(c.data)} }

func (c *chain) name(kind string) string {
	c.next++
	return fmt.Sprintf("%s-%d", kind, c.next)
}

func pick[V any](c *chain, from map[string]V) string {
	ids := slices.Sorted(maps.Keys(from))
	if len(ids) == 0 {
		return ""
	}
	return ids[c.rng.IntN(len(ids))]
}

func keyOfNumber(n uint64) secret.Bytes {
	if n == 0 {
		return nil
	}
	return dataKey(n)
}

func encryptionOf(n uint64) *blockdev.Encryption {
	if n == 0 {
		return nil
	}
	return encryption(n)
}

func (c *chain) create() {
	id, key := c.name("vol"), uint64(c.rng.IntN(3))
	size := (1 + c.rng.Int64N(6)) * block
	create(c.T, c.dir, id, size, key)
	c.volumes[id] = content{key, make([]byte, size)}
}

// with has a volume open.
func (c *chain) with(id string, fn func(v *blockdev.Volume, want []byte)) {
	v := c.open[id]
	if v == nil {
		v = open(c.T, c.dir, id, c.volumes[id].key)
		defer func() { must(c.T, v.Close()) }()
	}
	fn(v, c.volumes[id].data)
}

func (c *chain) change() {
	id := pick(c, c.volumes)
	if id == "" {
		return
	}
	c.with(id, func(v *blockdev.Volume, want []byte) {
		for range 1 + c.rng.IntN(4) {
			off := c.rng.Int64N(int64(len(want)))
			n := min(int64(len(want))-off, 1+c.rng.Int64N(3*sector))
			switch c.rng.IntN(5) {
			case 0:
				off, n = off/sector*sector, (n+sector-1)/sector*sector
				n = min(n, int64(len(want))-off)
				must(c.T, v.Trim(off, n))
				clear(want[off : off+n])
			case 1:
				off = off / block * block
				must(c.T, v.WriteZeroes(off, block))
				clear(want[off : off+block])
			default:
				p := random(c.rng.Uint64(), n)
				write(c.T, v, p, off)
				copy(want[off:], p)
			}
		}
	})
}

func (c *chain) toggle() {
	id := pick(c, c.volumes)
	if id == "" {
		return
	}
	if v := c.open[id]; v != nil {
		must(c.T, v.Close())
		delete(c.open, id)
		return
	}
	c.open[id] = open(c.T, c.dir, id, c.volumes[id].key)
}

func (c *chain) grow() {
	id := pick(c, c.volumes)
	if id == "" || len(c.volumes[id].data) > 20*int(block) {
		return
	}
	w := c.volumes[id]
	w.data = append(w.data, make([]byte, block)...)
	c.volumes[id] = w
	if v := c.open[id]; v != nil {
		must(c.T, v.Grow(c.dir, int64(len(w.data))))
		return
	}
	must(c.T, blockdev.Grow(c.dir, id, int64(len(w.data))))
}

func (c *chain) snapshot() {
	id := pick(c, c.volumes)
	if id == "" {
		return
	}
	snap := c.name("snap")
	c.snaps[snap] = c.volumes[id].clone()
	if v := c.open[id]; v != nil {
		must(c.T, v.Snapshot(c.Context(), c.dir, snap))
		return
	}
	must(c.T, blockdev.Snapshot(c.dir, id, snap))
}

// copyOf is a copy of a snapshot under its data key or another one.
func (c *chain) copyOf(from, to string) (blockdev.Copy, content) {
	w := c.snaps[from].clone()
	out := blockdev.Copy{From: from, To: blockdev.Spec{ID: to}}
	if c.rng.IntN(3) == 0 {
		out.FromKey, w.key = keyOfNumber(w.key), uint64(1+c.rng.IntN(2))
		out.To.Key = dataKey(w.key)
	}
	out.To.Encryption = encryptionOf(w.key)
	return out, w
}

func (c *chain) copySnapshot() {
	if from := pick(c, c.snaps); from != "" {
		id := c.name("snap")
		in, w := c.copyOf(from, id)
		must(c.T, blockdev.CopySnapshot(c.Context(), c.dir, in))
		c.snaps[id] = w
	}
}

func (c *chain) restore() {
	if from := pick(c, c.snaps); from != "" {
		id := c.name("vol")
		in, w := c.copyOf(from, id)
		must(c.T, blockdev.CreateFromSnapshot(c.Context(), c.dir, in))
		c.volumes[id] = w
	}
}

func (c *chain) seal() {
	id := pick(c, c.volumes)
	if id == "" || c.open[id] != nil {
		return
	}
	must(c.T, blockdev.Seal(c.dir, id))
	c.snaps[id] = c.volumes[id]
	delete(c.volumes, id)
}

func (c *chain) remove() {
	if id := pick(c, c.volumes); c.rng.IntN(3) == 0 && id != "" && c.open[id] == nil {
		must(c.T, blockdev.Remove(c.dir, id))
		delete(c.volumes, id)
		return
	}
	if id := pick(c, c.snaps); id != "" {
		must(c.T, blockdev.Remove(c.dir, id))
		delete(c.snaps, id)
	}
}

// crash forgets what the process knows.
func (c *chain) crash() {
	for id, v := range c.open {
		must(c.T, v.Close())
		delete(c.open, id)
	}
	c.dir = blockdev.NewShelf(c.dir.Root, c.dir.Objects())
	_, err := blockdev.Sweep(c.dir)
	must(c.T, err)
}

func (c *chain) verify() {
	c.Helper()
	for id, w := range c.snaps {
		s := open(c.T, c.dir, id, w.key)
		same(c.T, id, read(c.T, s, 0, int64(len(w.data))), w.data)
		must(c.T, s.Close())
	}
	for id, w := range c.volumes {
		c.with(id, func(v *blockdev.Volume, _ []byte) { same(c.T, id, read(c.T, v, 0, int64(len(w.data))), w.data) })
	}
	sound(c.T, c.dir)
}

// TestChainsAgreeWithAModel: after any sequence of operations, in any order of removals, every snapshot and
// volume holds what it must, and no object is left that belongs to nobody.
func TestChainsAgreeWithAModel(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			dir, _ := folder(t)
			c := &chain{
				T: t, rng: rand.New(rand.NewPCG(seed, 7)), dir: dir, volumes: map[string]content{}, snaps: map[string]content{},
				open: map[string]*blockdev.Volume{},
			}
			ops := []func(){
				c.create, c.change, c.change, c.change, c.toggle, c.grow, c.snapshot, c.snapshot, c.snapshot, c.copySnapshot, c.restore,
				c.seal, c.remove, c.remove, c.crash,
			}
			for range 60 {
				ops[c.rng.IntN(len(ops))]()
			}
			c.verify()
			c.crash()
			for len(c.snaps)+len(c.volumes) > 0 {
				c.remove()
				if c.rng.IntN(8) == 0 {
					c.verify()
				}
			}
			if names, _ := stored(t, c.dir, ""); len(names) > 0 {
				t.Errorf("left behind: %v", names)
			}
		})
	}
}

func TestDamagedBlocksAreFound(t *testing.T) {
	dir, _ := folder(t)
	fill(t, dir, "vol-1", 4, 1)
	must(t, blockdev.Snapshot(dir, "vol-1", "snap-1"))
	must(t, blockdev.Snapshot(dir, "vol-1", "snap-2"))
	names, _ := stored(t, dir, "block/")
	bad := object(t, dir, names[1])
	bad[5000] ^= 1
	must(t, dir.Objects().Put(t.Context(), names[1], bad))
	for _, id := range []string{"snap-1", "snap-2"} {
		wantErr(t, blockdev.Check(dir, id), blockdev.ErrCorrupt)
	}
	v := open(t, dir, "snap-1", 1)
	_, err := v.ReadAt(make([]byte, 10), block)
	wantErr(t, err, blockdev.ErrCorrupt)
	must(t, dir.Objects().Delete(t.Context(), names[0]))
	_, err = v.ReadAt(make([]byte, 10), 0)
	wantErr(t, err, fs.ErrNotExist)
	must(t, dir.Objects().Put(t.Context(), "block/snap-9-aaaaaaaaaa/00000000", []byte("x")))
	orphans, err := blockdev.NewChecker(dir).Orphans(t.Context())
	must(t, err)
	if !slices.Equal(orphans, []string{"block/snap-9-aaaaaaaaaa/00000000"}) {
		t.Errorf("orphans are %v", orphans)
	}
}

func TestASnapshotInUseIsNotRemoved(t *testing.T) {
	dir, _ := folder(t)
	fill(t, dir, "vol-1", 1, 0)
	must(t, blockdev.Snapshot(dir, "vol-1", "snap-1"))
	s := open(t, dir, "snap-1", 0)
	wantErr(t, blockdev.Remove(dir, "snap-1"), blockdev.ErrBusy)
	must(t, s.Close())
	must(t, blockdev.Remove(dir, "snap-1"))
	wantErr(t, blockdev.Remove(dir, "snap-1"), fs.ErrNotExist)
	if names, _ := stored(t, dir, ""); len(names) > 0 {
		t.Errorf("left behind: %v", names)
	}
}
