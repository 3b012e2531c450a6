package blockdev_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"syscall"
	"testing"

	"github.com/kagimori/kagimori/internal/blockdev"
)

const piece = 512 // what a disk writes at once

// history is what each piece of a volume may hold after a crash.
type history struct {
	now   []byte
	older map[int][][]byte // values since the last flush, the flushed one first
}

func newHistory(size int64) *history {
	return &history{now: make([]byte, size), older: map[int][][]byte{}}
}

func (h *history) write(p []byte, off int64) {
	first, last := int(off/piece), int((off+int64(len(p))-1)/piece)
	for i := first; i <= last && len(p) > 0; i++ {
		h.older[i] = append(h.older[i], bytes.Clone(h.now[i*piece:(i+1)*piece]))
	}
	copy(h.now[off:], p)
}

func (h *history) flushed() { clear(h.older) }

func (h *history) check(got []byte) error {
	for i := range len(got) / piece {
		p := got[i*piece : (i+1)*piece]
		ok := bytes.Equal(p, h.now[i*piece:(i+1)*piece])
		for _, o := range h.older[i] {
			ok = ok || bytes.Equal(p, o)
		}
		if !ok {
			return fmt.Errorf("piece %d (sector %d) holds what nobody wrote there", i, i*piece/int(sector))
		}
	}
	return nil
}

// A power cut at any moment leaves a volume that opens, has everything that was flushed, and shows
// old or new content elsewhere, never noise.
func TestPowerCut(t *testing.T) {
	for _, key := range []uint64{0, 1} {
		for seed := range uint64(8) {
			t.Run(fmt.Sprintf("key %d, seed %d", key, seed), func(t *testing.T) { powerCut(t, key, seed) })
		}
	}
}

func powerCut(t *testing.T, key, seed uint64) {
	const size = mib
	dir, path := folder(t)
	create(t, dir, "vol-1", size, key)
	disk := newMemDisk(t, path, "vol-1")
	r := rand.New(rand.NewPCG(seed, key))
	h := newHistory(size)
	cut := func() *memDisk {
		t.Helper()
		after := disk.lose(r)
		v, err := blockdev.OpenDisk(after, keyOf(key))
		must(t, err)
		if err := h.check(read(t, v, 0, size)); err != nil {
			t.Fatal(err)
		}
		return after
	}
	for range 4 { // lives between power cuts
		v, err := blockdev.OpenDisk(disk, keyOf(key))
		must(t, err)
		disk.trap = func() {
			if r.IntN(3) == 0 {
				cut()
			}
		}
		for range 20 {
			off := r.Int64N(size)
			n := r.Int64N(min(size-off, 5*sector)) + 1
			switch r.IntN(5) {
			case 0, 1:
				p := random(r.Uint64(), n)
				h.write(p, off)
				write(t, v, p, off)
			case 2:
				from, to := (off+sector-1)/sector*sector, (off+n)/sector*sector
				if from < to {
					h.write(make([]byte, to-from), from)
				}
				must(t, v.Trim(off, n))
			case 3:
				h.write(make([]byte, n), off)
				must(t, v.WriteZeroes(off, n))
			case 4:
				must(t, v.Flush())
				h.flushed()
			}
			same(t, "before the cut", read(t, v, 0, size), h.now)
		}
		disk.trap = nil
		disk = cut()
		// The next life starts from what this one left.
		v, err = blockdev.OpenDisk(disk, keyOf(key))
		must(t, err)
		h.now = read(t, v, 0, size)
		h.flushed()
	}
}

func keyOf(key uint64) []byte {
	if key == 0 {
		return nil
	}
	return dataKey(key)
}

func TestFlushThatFails(t *testing.T) {
	dir, path := folder(t)
	create(t, dir, "vol-1", mib, 1)
	disk := newMemDisk(t, path, "vol-1")
	v, err := blockdev.OpenDisk(disk, dataKey(1))
	must(t, err)
	write(t, v, random(1, 3*sector), 0)
	must(t, v.Flush())
	write(t, v, random(2, sector), 0)
	disk.err = syscall.EIO
	wantErr(t, v.Flush(), syscall.EIO)
	// The system may forget what it failed to write and answer success next time: we do not.
	disk.err = nil
	wantErr(t, v.Flush(), syscall.EIO)
	_, err = v.WriteAt([]byte("x"), 0)
	wantErr(t, err, syscall.EIO)
	wantErr(t, v.Trim(0, sector), syscall.EIO)
	same(t, "reads go on", read(t, v, sector, 2*sector), random(1, 3*sector)[sector:])
	wantErr(t, v.Close(), syscall.EIO)

	again, err := blockdev.OpenDisk(disk, dataKey(1))
	must(t, err)
	write(t, again, []byte("x"), 0)
	must(t, again.Close())
}

// A disk that is full when the map is written loses nothing once there is room.
func TestFullDisk(t *testing.T) {
	dir, path := folder(t)
	create(t, dir, "vol-1", mib, 1)
	disk := newMemDisk(t, path, "vol-1")
	v, err := blockdev.OpenDisk(disk, dataKey(1))
	must(t, err)
	want := random(1, 3*sector)
	write(t, v, want, 8*sector)
	must(t, v.Trim(8*sector, sector))
	clear(want[:sector])
	disk.writes = syscall.ENOSPC
	_, err = v.WriteAt([]byte("x"), 0)
	wantErr(t, err, syscall.ENOSPC)
	wantErr(t, v.Flush(), syscall.ENOSPC)
	disk.writes = nil
	must(t, v.Flush())
	after, err := blockdev.OpenDisk(disk.lose(rand.New(rand.NewPCG(1, 1))), dataKey(1))
	must(t, err)
	same(t, "after the flush", read(t, after, 8*sector, 3*sector), want)
	same(t, "the write that failed", read(t, after, 0, sector), make([]byte, sector))
	must(t, v.Close())
}

// A volume file that was cut off at any length is refused, not misread.
func TestTruncated(t *testing.T) {
	dir, path := folder(t)
	create(t, dir, "vol-1", mib, 1)
	v := open(t, dir, "vol-1", 1)
	write(t, v, random(1, mib), 0)
	must(t, v.Close())
	whole, err := os.ReadFile(rawFile(path, "vol-1"))
	must(t, err)
	cuts := []int64{0, 1, 8, 100, 511, 512, blockdev.SlotSize - 1, blockdev.SlotSize, 2*blockdev.SlotSize - 1, 2 * blockdev.SlotSize,
		2*blockdev.SlotSize + 5, mib - 1, mib, mib + 1, 2*mib - sector, 2*mib - 1}
	for _, n := range cuts {
		must(t, os.WriteFile(rawFile(path, "vol-1"), whole[:n], 0o600))
		_, err := blockdev.Open(dir, "vol-1", dataKey(1))
		wantErr(t, err, blockdev.ErrCorrupt)
		_, err = blockdev.ReadInfo(dir, "vol-1")
		wantErr(t, err, blockdev.ErrCorrupt)
		wantErr(t, blockdev.Check(dir, "vol-1"), blockdev.ErrCorrupt)
		wantErr(t, blockdev.Snapshot(dir, "vol-1", "snap-1"), blockdev.ErrCorrupt)
	}
	must(t, blockdev.Remove(dir, "vol-1"))
	noFiles(t, path)
}

// Whichever header copy is torn, the other one carries the volume.
func TestTornHeader(t *testing.T) {
	for slot := range int64(2) {
		for _, state := range []string{"closed", "open"} {
			t.Run(fmt.Sprintf("copy %d of a volume left %s", slot, state), func(t *testing.T) {
				dir, path := folder(t)
				create(t, dir, "vol-1", mib, 1)
				v := open(t, dir, "vol-1", 1)
				want := random(1, mib)
				write(t, v, want, 0)
				must(t, v.Flush())
				if state == "closed" {
					must(t, v.Close())
				}
				b, err := os.ReadFile(rawFile(path, "vol-1"))
				must(t, err)
				copy(b[slot*blockdev.SlotSize+40:], random(5, 600))
				disk := &memDisk{now: b, durable: bytes.Clone(b)}
				again, err := blockdev.OpenDisk(disk, dataKey(1))
				if state == "open" && errors.Is(err, blockdev.ErrCorrupt) {
					// The copy that says "in use" is the newer one. Lost after the map was written, which
					// is no crash but rot, it leaves a checksum that does not match.
					return
				}
				must(t, err)
				same(t, "content", read(t, again, 0, mib), want)
				write(t, again, want[:100], 7)
				must(t, again.Close())
				again, err = blockdev.OpenDisk(disk, dataKey(1))
				must(t, err)
				same(t, "content", read(t, again, 7, 100), want[:100])
			})
		}
	}
}

func TestBothHeadersTorn(t *testing.T) {
	dir, path := folder(t)
	create(t, dir, "vol-1", mib, 0)
	disk := newMemDisk(t, path, "vol-1")
	for slot := range int64(2) {
		disk.now[slot*blockdev.SlotSize+33] ^= 1
	}
	_, err := blockdev.OpenDisk(disk, nil)
	wantErr(t, err, blockdev.ErrCorrupt)
}
