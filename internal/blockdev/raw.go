package blockdev

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// Seal makes a snapshot of a volume that nobody has open, in its place: from then on it never changes.
// Blocks that it did not change since it was made of a snapshot are shared with that. Sealing a
// snapshot again does nothing. Errors: fs.ErrNotExist, ErrBusy, ErrCorrupt, ErrVersion.
func Seal(dir *Shelf, id string) error {
	f, err := openFile(dir, id, true)
	if err != nil {
		return err
	}
	defer f.Close()
	if f.index != nil {
		return nil
	}
	m, err := f.loadMap()
	if err != nil {
		return fmt.Errorf("volume %s: %w", id, err)
	}
	// One that is there already was made by an attempt that did not come to its end: the file may have
	// changed since.
	if err := dir.release(context.Background(), id); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := dir.snapshotFile(context.Background(), f.header, id, loadChanges(dir.Root, f.header), f.source(m)); err != nil {
		return err
	}
	return unlink(dir.Root, id)
}

// A raw file is the content of a snapshot as it is on disk, for work that needs no key.
type raw struct {
	*file
	bits *bitmap
}

func openRaw(dir *Shelf, id string) (*raw, error) {
	f, err := openFile(dir, id, true)
	if err != nil {
		return nil, err
	}
	if f.kind != KindSnapshot {
		_ = f.Close()
		return nil, fmt.Errorf("blockdev: %s is not a snapshot", id)
	}
	m, err := f.loadMap()
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("snapshot %s: %w", id, err)
	}
	return &raw{f, m}, nil
}

// sectorsOf are the first sector of a block and the one after its last.
func (r *raw) sectorsOf(block int64) (from, to int64) {
	from = block * blockSectors
	return from, min(from+blockSectors, r.sectors())
}

// next is the first block from block on of which some sector was written; -1 if there is none.
func (r *raw) next(block int64) int64 {
	from := block * blockSectors
	if from >= r.sectors() {
		return -1
	}
	end, set := r.bits.run(from, r.sectors())
	switch {
	case set:
		return block
	case end >= r.sectors():
		return -1
	}
	return end / blockSectors
}

// WrittenBlocks calls fn for the numbers of the 512 KiB blocks of a snapshot, from the given one on, that
// were at least partly written, ascending, until fn returns false. No key is needed. Errors: as [Open],
// but none about keys.
func WrittenBlocks(dir *Shelf, id string, from int64, fn func(block int64) bool) error {
	r, err := openRaw(dir, id)
	if err != nil {
		return err
	}
	defer r.Close()
	for b := r.next(from); b >= 0; b = r.next(b + 1) {
		if !fn(b) {
			return nil
		}
	}
	return nil
}

// FullSize is how many bytes the blocks of a snapshot have that were at least partly written, wherever they
// are kept; what it takes itself may be less. Errors: as [WrittenBlocks].
func FullSize(dir *Shelf, id string) (int64, error) {
	n := int64(0)
	err := WrittenBlocks(dir, id, 0, func(int64) bool { n++; return true })
	return n * BlockSize, err
}

// A Change is a block that differs between two snapshots.
type Change struct {
	Block         int64
	First, Second bool // whether the snapshot has data there
}

// ChangedBlocks calls fn for the 512 KiB blocks, from the given one on, that differ between two snapshots
// under one data key, or two plain ones, ascending, until fn returns false. What was not written counts as
// different from what was. No key is needed: equal sectors have equal ciphertext. Errors: as
// [WrittenBlocks].
func ChangedBlocks(dir *Shelf, first, second string, from int64, fn func(Change) bool) error {
	a, err := openRaw(dir, first)
	if err != nil {
		return err
	}
	defer a.Close()
	b, err := openRaw(dir, second)
	if err != nil {
		return err
	}
	defer b.Close()
	bufs := [2][]byte{make([]byte, BlockSize), make([]byte, BlockSize)}
	na, nb := a.next(from), b.next(from)
	for na >= 0 || nb >= 0 {
		n := na
		if na < 0 || nb >= 0 && nb < na {
			n = nb
		}
		c := Change{Block: n, First: na == n, Second: nb == n}
		same := false
		if c.First && c.Second {
			if same, err = sameBlock(a, b, n, bufs); err != nil {
				return err
			}
		}
		if !same && !fn(c) {
			return nil
		}
		if c.First {
			na = a.next(n + 1)
		}
		if c.Second {
			nb = b.next(n + 1)
		}
	}
	return nil
}

// sameBlock compares the written sectors of a block.
func sameBlock(a, b *raw, block int64, bufs [2][]byte) (bool, error) {
	from, to := a.sectorsOf(block)
	if _, end := b.sectorsOf(block); end != to {
		return false, nil
	}
	if a.index != nil && b.index != nil {
		x, y := a.index.find(block), b.index.find(block)
		return x.sectors == y.sectors && x.sum == y.sum, nil
	}
	for s := from; s < to; {
		enda, seta := a.bits.run(s, to)
		endb, setb := b.bits.run(s, to)
		end := min(enda, endb)
		if seta != setb {
			return false, nil
		}
		if seta {
			n := (end - s) * SectorSize
			for i, r := range []*raw{a, b} {
				if _, err := r.ReadAt(bufs[i][:n], r.dataOffset()+s*SectorSize); err != nil && err != io.EOF {
					return false, fmt.Errorf("blockdev: block %d of %s not read: %w", block, r.id, err)
				}
			}
			if !bytes.Equal(bufs[0][:n], bufs[1][:n]) {
				return false, nil
			}
		}
		s = end
	}
	return true, nil
}
