package blockdev

import (
	"fmt"
	"io"
	"iter"
	"sync"
)

// blocks splits a range at the boundaries of 512 KiB blocks, as offset and length.
func blocks(off, n int64) iter.Seq2[int64, int64] {
	return func(yield func(off, n int64) bool) {
		for end := off + n; off < end; {
			next := min(end, (off/BlockSize+1)*BlockSize)
			if !yield(off, next-off) {
				return
			}
			off = next
		}
	}
}

// lockOf is the lock of the block with sector s.
func (v *Volume) lockOf(s int64) *sync.RWMutex { return &v.stripe[s/blockSectors%stripes] }

func (v *Volume) inside(off, n int64) error {
	if off < 0 || n < 0 || off > v.size || n > v.size-off {
		return fmt.Errorf("%w: %d bytes at %d of %d", ErrRange, n, off, v.size)
	}
	return nil
}

// ReadAt fills p with what is at off. Sectors that were never written are zeros. It reads less than
// len(p) bytes only at the end of the volume, with io.EOF. Errors: ErrRange for a negative offset,
// ErrClosed.
func (v *Volume) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, v.inside(off, 0)
	}
	if err := v.enter(); err != nil {
		return 0, err
	}
	defer v.leave()
	n, short := int64(len(p)), false
	if off > v.size || n > v.size-off {
		n, short = max(0, v.size-off), true
	}
	done := 0
	for o, k := range blocks(off, n) {
		if err := v.readBlock(p[done:done+int(k)], o); err != nil {
			return done, err
		}
		done += int(k)
	}
	if short {
		return done, io.EOF
	}
	return done, nil
}

// readBlock reads p, which lies within one block.
func (v *Volume) readBlock(p []byte, off int64) error {
	mu := v.lockOf(off / SectorSize)
	mu.RLock()
	defer mu.RUnlock()
	end := off + int64(len(p))
	for s := off / SectorSize; off < end; {
		next, set := v.bits.run(s, (end+SectorSize-1)/SectorSize)
		part := p[:min(end, next*SectorSize)-off]
		if !set {
			clear(part)
		} else if err := v.readRun(part, off); err != nil {
			return err
		}
		p, off, s = p[len(part):], off+int64(len(part)), next
	}
	return nil
}

// readRun reads p from sectors that were all written.
func (v *Volume) readRun(p []byte, off int64) error {
	if v.cipher == nil {
		return v.fileRead(p, off)
	}
	if off%SectorSize != 0 || len(p)%SectorSize != 0 {
		// Sectors decrypt as a whole: read around.
		buf := v.buffers.Get().(*[BlockSize]byte)
		defer v.buffers.Put(buf)
		start := off / SectorSize * SectorSize
		whole := buf[:roundUp(off+int64(len(p)), SectorSize)-start]
		if err := v.readSectors(whole, start); err != nil {
			return err
		}
		copy(p, whole[off-start:])
		return nil
	}
	return v.readSectors(p, off)
}

// readSectors reads whole sectors that were written.
func (v *Volume) readSectors(p []byte, off int64) error {
	if err := v.fileRead(p, off); err != nil || v.cipher == nil {
		return err
	}
	return v.cipher.Decrypt(p, p, uint64(off/SectorSize))
}

func (v *Volume) fileRead(p []byte, off int64) error {
	if n, err := v.disk.ReadAt(p, v.data+off); n < len(p) {
		return fmt.Errorf("blockdev: read at %d: %w", off, err)
	}
	return nil
}

// WriteAt writes p at off, any length at any offset. It is durable after the next Flush. If it fails,
// n bytes were written, and the block after them may hold a mix of old and new. Errors: ErrRange if
// not all of p is inside (then nothing is written), ErrReadOnly, ErrClosed, or what the system says.
func (v *Volume) WriteAt(p []byte, off int64) (n int, err error) {
	if err := v.inside(off, int64(len(p))); err != nil {
		return 0, err
	}
	if err := v.enterChange(); err != nil {
		return 0, err
	}
	defer v.leaveChange()
	for o, k := range blocks(off, int64(len(p))) {
		if err := v.writeBlock(p[n:n+int(k)], o); err != nil {
			return n, err
		}
		n += int(k)
	}
	return n, nil
}

// writeBlock writes p, which lies within one block: the data first, then the bits.
func (v *Volume) writeBlock(p []byte, off int64) error {
	mu := v.lockOf(off / SectorSize)
	mu.Lock()
	defer mu.Unlock()
	return v.writeLocked(p, off)
}

func (v *Volume) writeLocked(p []byte, off int64) error {
	v.changing(off / BlockSize)
	end := off + int64(len(p))
	start, stop := off/SectorSize*SectorSize, roundUp(end, SectorSize)
	whole := p
	if aligned := start == off && stop == end; !aligned || v.cipher != nil {
		buf := v.buffers.Get().(*[BlockSize]byte)
		defer v.buffers.Put(buf)
		whole = buf[:stop-start]
		// What is around p in its first and last sector stays.
		if off != start {
			if err := v.oldSector(whole[:SectorSize], start); err != nil {
				return err
			}
		}
		if last := stop - SectorSize; end != stop && (last != start || off == start) {
			if err := v.oldSector(whole[last-start:], last); err != nil {
				return err
			}
		}
		if v.cipher != nil {
			if err := v.encryptInto(whole, p, off-start, start); err != nil {
				return err
			}
		} else {
			copy(whole[off-start:], p)
		}
	}
	if _, err := v.disk.WriteAt(whole, v.data+start); err != nil {
		return fmt.Errorf("blockdev: write at %d: %w", off, err)
	}
	v.bits.set(start/SectorSize, stop/SectorSize)
	return nil
}

// encryptInto puts p into whole at the offset at and encrypts whole, the sectors from start on.
// Sectors that p covers entirely are encrypted straight from p.
func (v *Volume) encryptInto(whole, p []byte, at, start int64) error {
	for i := int64(0); i < int64(len(whole)); i += SectorSize {
		dst := whole[i : i+SectorSize]
		src := dst
		if from, to := i-at, i-at+SectorSize; from >= 0 && to <= int64(len(p)) {
			src = p[from:to]
		} else {
			copy(dst[max(0, -from):], p[max(0, from):min(to, int64(len(p)))])
		}
		if err := v.cipher.EncryptSector(dst, src, uint64((start+i)/SectorSize)); err != nil {
			return err
		}
	}
	return nil
}

// oldSector reads one sector before it is changed; a hole is zeros.
func (v *Volume) oldSector(p []byte, off int64) error {
	if _, set := v.bits.run(off/SectorSize, off/SectorSize+1); !set {
		clear(p)
		return nil
	}
	return v.readSectors(p, off)
}

// Trim forgets n bytes at off: they read as zeros afterwards, and their space is given back with the
// next Flush. Only whole 4096-byte sectors inside the range are forgotten; the rest stays as it is.
// Errors as for WriteAt.
func (v *Volume) Trim(off, n int64) error {
	if err := v.inside(off, n); err != nil {
		return err
	}
	if err := v.enterChange(); err != nil {
		return err
	}
	defer v.leaveChange()
	v.trim(roundUp(off, SectorSize), (off+n)/SectorSize*SectorSize)
	return nil
}

// trim makes the sectors of [from, to), both multiples of the sector size, holes.
func (v *Volume) trim(from, to int64) {
	for off := from; off < to; {
		// Whole runs of holes need no lock and no work.
		if next, set := v.bits.run(off/SectorSize, to/SectorSize); !set {
			off = next * SectorSize
			continue
		}
		end := min(to, (off/BlockSize+1)*BlockSize)
		v.trimBlock(off, end)
		off = end
	}
}

func (v *Volume) trimBlock(from, to int64) {
	mu := v.lockOf(from / SectorSize)
	mu.Lock()
	defer mu.Unlock()
	v.changing(from / BlockSize)
	if !v.bits.clear(from/SectorSize, to/SectorSize) {
		return
	}
	v.trimming.Lock()
	defer v.trimming.Unlock()
	if last := len(v.trimmed) - 1; last >= 0 && v.trimmed[last].Offset+v.trimmed[last].Length == from {
		v.trimmed[last].Length += to - from
		return
	}
	v.trimmed = append(v.trimmed, Extent{from, to - from})
}

// WriteZeroes makes n bytes at off read as zeros, without using space for whole sectors. Errors as for
// WriteAt.
func (v *Volume) WriteZeroes(off, n int64) error {
	if err := v.inside(off, n); err != nil {
		return err
	}
	if err := v.enterChange(); err != nil {
		return err
	}
	defer v.leaveChange()
	end := off + n
	from, to := roundUp(off, SectorSize), end/SectorSize*SectorSize
	if from > to { // all of it within one sector
		return v.zeroPart(off, end)
	}
	if err := v.zeroPart(off, from); err != nil {
		return err
	}
	v.trim(from, to)
	return v.zeroPart(to, end)
}

// zeroPart zeroes a part of one sector, unless the sector is a hole.
func (v *Volume) zeroPart(from, to int64) error {
	if from >= to {
		return nil
	}
	mu := v.lockOf(from / SectorSize)
	mu.Lock()
	defer mu.Unlock()
	if _, set := v.bits.run(from/SectorSize, from/SectorSize+1); !set {
		return nil
	}
	var zeros [SectorSize]byte
	return v.writeLocked(zeros[:to-from], from)
}
