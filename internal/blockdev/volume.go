package blockdev

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"iter"
	"math"
	"os"
	"sync"
	"sync/atomic"

	"github.com/kagimori/kagimori/internal/blockdev/crypt"
	"github.com/kagimori/kagimori/internal/secret"
)

const (
	blockSectors = BlockSize / SectorSize
	stripes      = 64
)

// A Volume is an open volume, or an open snapshot that can only be read. All methods may be called by
// several goroutines at a time.
//
// A read or write is atomic for other calls within one 512 KiB block; longer ones are split at block
// boundaries.
type Volume struct {
	disk   disk
	cipher *crypt.Cipher // nil: plain
	bits   *bitmap
	size   int64
	data   int64 // offset of sector 0 in the file
	info   Info

	// gate is held shared by every call and exclusively by Close and Grow, which may change everything above.
	gate   sync.RWMutex
	closed bool // guarded by gate

	// freeze is held shared by what changes content and exclusively where Snapshot begins and ends.
	freeze sync.RWMutex

	snapping sync.Mutex               // one Begin at a time
	lease    atomic.Pointer[lease]    // of the file, for snapshots that are being stored; changes under freeze
	newest   atomic.Pointer[taking]   // the last snapshot that was begun, while it is being stored; changes under freeze
	changed  atomic.Pointer[blockSet] // blocks that changed since base, nil: not known; replaced under freeze
	base     string                   // the last snapshot, or what the volume was made of; "" if not known; guarded by flushing
	// baseMoved tells that the file of changes is of another base; guarded by flushing.
	baseMoved bool
	dir       *os.Root // for the file of changes; nil: none is kept
	shelf     *Shelf   // nil: the file is nobody else's

	// stripe i guards content and bits of the blocks whose number modulo stripes is i.
	stripe [stripes]sync.RWMutex

	// flushing serializes flushes and header writes.
	flushing sync.Mutex
	header   *header // guarded by flushing; its clean flag is also in open
	open     atomic.Bool
	// failed is set when the system refused to make data durable: what is on disk is unknown then, and
	// a later fsync may wrongly succeed. No more changes are accepted.
	failed atomic.Pointer[error]

	trimming sync.Mutex
	trimmed  []Extent // sectors whose space may be given back after the next flush; guarded by trimming

	buffers sync.Pool // *[BlockSize]byte
}

// Open opens a volume, which nobody else may have open, or a snapshot, which others may read too.
// key is the 64-byte data key of an encrypted volume and nil for a plain one; it is not kept, the
// caller wipes it.
//
// A wrong key is found by a check value in the header: the beginning of a known sector, encrypted
// with the key under sector number 2^64-1, which no volume has. A volume that was made without its
// key gets the check value the first time it is opened; it is empty until then.
//
// Errors: fs.ErrNotExist, ErrBusy, ErrCorrupt, ErrVersion, ErrNeedsKey, ErrPlain, ErrWrongKey, and
// crypt.ErrKeySize or crypt.ErrWeakKey for what cannot be a key.
func Open(dir *Shelf, id string, key secret.Bytes) (*Volume, error) {
	f, err := openFile(dir, id, true)
	if err != nil {
		return nil, err
	}
	// What is known of changes holds for the header as it is: newVolume may write another.
	known := changes{}
	if f.kind == KindVolume {
		known = loadChanges(dir.Root, f.header)
	}
	generation := f.generation
	v, err := newVolume(f, key)
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("volume %s: %w", id, err)
	}
	v.shelf, v.dir, v.base, v.baseMoved = dir, dir.Root, known.base, v.header.generation != generation
	v.changed.Store(known.set)
	return v, nil
}

// changes is what is known of the volume.
func (v *Volume) changes() changes {
	v.flushing.Lock()
	defer v.flushing.Unlock()
	return changes{v.base, v.changed.Load()}
}

// changing is told of a block that is about to change. The caller holds its lock.
func (v *Volume) changing(block int64) {
	v.lease.Load().rescue(block)
	if c := v.changed.Load(); c != nil {
		c.add(block)
	}
}

// newVolume takes over f if it succeeds.
func newVolume(f *file, key secret.Bytes) (_ *Volume, err error) {
	v := &Volume{
		disk: f.disk, size: f.size, data: f.dataOffset(), info: f.info(), header: f.header,
		buffers: sync.Pool{New: func() any { return new([BlockSize]byte) }},
	}
	v.lease.Store(f.lease)
	v.open.Store(!f.clean)
	switch encrypted := f.encryption != nil; {
	case encrypted && key == nil:
		return nil, ErrNeedsKey
	case !encrypted && key != nil:
		return nil, ErrPlain
	case encrypted:
		if v.cipher, err = crypt.New(key); err != nil {
			return nil, err
		}
		defer func() {
			if err != nil {
				v.cipher.Wipe()
			}
		}()
		if err := v.checkKey(); err != nil {
			return nil, err
		}
	}
	v.bits, err = f.loadMap()
	return v, err
}

// checkKey compares the cipher with the header's check value, and adds one where it is missing.
func (v *Volume) checkKey() error {
	check, err := keyCheck(v.cipher)
	if err != nil {
		return err
	}
	switch {
	case v.header.keyCheck != [32]byte{}:
		if subtle.ConstantTimeCompare(check[:], v.header.keyCheck[:]) != 1 {
			return ErrWrongKey
		}
		return nil
	case v.info.Kind == KindSnapshot:
		return nil // never written, so nothing that a wrong key could garble
	}
	v.header.keyCheck = check
	return writeHeader(v.disk, v.header)
}

// keyCheck is the value that tells data keys apart. Both halves of the key go into it.
func keyCheck(c *crypt.Cipher) (check [32]byte, err error) {
	sector := make([]byte, SectorSize)
	copy(sector, "kagimori data key check, version 1")
	err = c.EncryptSector(sector, sector, math.MaxUint64)
	return [32]byte(sector), err
}

// Info is what the header says.
func (v *Volume) Info() Info {
	v.gate.RLock()
	i := v.info
	v.gate.RUnlock()
	i.Encryption = i.Encryption.clone()
	i.Clean = !v.open.Load()
	return i
}

// Size in bytes.
func (v *Volume) Size() int64 {
	v.gate.RLock()
	defer v.gate.RUnlock()
	return v.size
}

// Extents are the ranges that were written, in units of 4096 bytes. A change during the iteration may
// or may not be seen.
func (v *Volume) Extents() iter.Seq[Extent] {
	return func(yield func(Extent) bool) {
		v.gate.RLock()
		bits := v.bits // Grow puts another one there
		v.gate.RUnlock()
		for from, to := range bits.runs() {
			if !yield(Extent{from * SectorSize, (to - from) * SectorSize}) {
				return
			}
		}
	}
}

// Written reports whether the sector at off was ever written, and for how many bytes, up to n, the same
// holds. What was not written reads as zeros. Outside the volume nothing is written.
func (v *Volume) Written(off, n int64) (length int64, written bool) {
	if n <= 0 || v.inside(off, n) != nil {
		return n, false
	}
	next, set := v.bits.run(off/SectorSize, (off+n+SectorSize-1)/SectorSize)
	return min(n, next*SectorSize-off), set
}

// enter begins a call that does not change anything; leave ends it.
func (v *Volume) enter() error {
	v.gate.RLock()
	if v.closed {
		v.gate.RUnlock()
		return ErrClosed
	}
	return nil
}

func (v *Volume) leave() { v.gate.RUnlock() }

// enterChange begins a call that changes content; leaveChange ends it.
func (v *Volume) enterChange() error {
	if v.info.Kind == KindSnapshot {
		return ErrReadOnly
	}
	if err := v.enter(); err != nil {
		return err
	}
	v.freeze.RLock()
	err := v.failure()
	if err == nil {
		err = v.markOpen()
	}
	if err != nil {
		v.leaveChange()
	}
	return err
}

func (v *Volume) leaveChange() {
	v.freeze.RUnlock()
	v.leave()
}

func (v *Volume) failure() error {
	if p := v.failed.Load(); p != nil {
		return *p
	}
	return nil
}

// fail makes the volume refuse further changes.
func (v *Volume) fail(err error) error {
	err = fmt.Errorf("blockdev: not durable, no more changes until it is opened again: %w", err)
	v.failed.CompareAndSwap(nil, &err)
	return err
}

// markOpen says in the header, before the first change, that the map is about to differ from its
// checksum.
func (v *Volume) markOpen() error {
	if v.open.Load() {
		return nil
	}
	v.flushing.Lock()
	defer v.flushing.Unlock()
	if v.open.Load() {
		return nil
	}
	v.header.clean, v.header.mapSum = false, [32]byte{}
	if err := writeHeader(v.disk, v.header); err != nil {
		return v.fail(err)
	}
	v.open.Store(true)
	return nil
}

// Flush returns when every change that was complete before the call is durable. If the system fails to
// make data durable, the volume accepts no more changes: nobody can say what was lost.
func (v *Volume) Flush() error {
	if err := v.enter(); err != nil {
		return err
	}
	defer v.leave()
	return v.flush()
}

// flush is Flush for who is inside already.
func (v *Volume) flush() error {
	if v.info.Kind == KindSnapshot {
		return nil
	}
	v.flushing.Lock()
	defer v.flushing.Unlock()
	if err := v.failure(); err != nil {
		return err
	}
	// The order is the whole point. Trims are taken before pages, so that the pages have their cleared
	// bits; pages before the data is synced, so that the data of each bit is durable when the bit is
	// written; the space of trimmed sectors goes last.
	trimmed := v.takeTrimmed()
	pages := v.bits.take()
	v.bits.add(pages, trimmed)
	if err := v.disk.Sync(); err != nil {
		return v.fail(err)
	}
	if len(pages) == 0 {
		return nil
	}
	if err := writePages(v.disk, pages); err != nil {
		// Most likely the disk is full. Nothing is lost: the next flush tries again.
		v.bits.giveBack(pages)
		v.trimming.Lock()
		defer v.trimming.Unlock()
		v.trimmed = append(v.trimmed, trimmed...)
		return err
	}
	if err := v.disk.Sync(); err != nil {
		return v.fail(err)
	}
	v.punch(trimmed, pages)
	return nil
}

func (v *Volume) takeTrimmed() []Extent {
	v.trimming.Lock()
	defer v.trimming.Unlock()
	t := v.trimmed
	v.trimmed = nil
	return t
}

// punch gives the space of trimmed sectors back, if their bits are clear both on disk (in pages) and
// now: a sector may have been written again, and trimmed yet again, since. Space that cannot be given
// back is no reason to fail.
func (v *Volume) punch(trimmed []Extent, durable taken) {
	for _, e := range trimmed {
		for off, n := range blocks(e.Offset, e.Length) {
			v.punchBlock(off/SectorSize, (off+n)/SectorSize, durable)
		}
	}
}

func (v *Volume) punchBlock(from, to int64, durable taken) {
	mu := v.lockOf(from)
	mu.Lock()
	defer mu.Unlock()
	free := func(s int64) bool {
		set, ok := durable.has(s)
		_, now := v.bits.run(s, s+1)
		return ok && !set && !now
	}
	for s := from; s < to; s++ {
		start := s
		for s < to && free(s) {
			s++
		}
		if s > start {
			_ = v.disk.Punch(v.data+start*SectorSize, (s-start)*SectorSize)
		}
	}
}

// Close flushes, marks the volume as properly closed, wipes the key and gives the file free. It waits
// for running calls. Closing twice does nothing. The volume is closed and the key is wiped whatever
// the error; the error is that of the flush.
func (v *Volume) Close() error {
	v.gate.Lock()
	defer v.gate.Unlock()
	if v.closed {
		return nil
	}
	v.closed = true
	err := v.settle()
	if v.cipher != nil {
		v.cipher.Wipe()
	}
	v.buffers = sync.Pool{} // they may hold plaintext: let go of it
	if v.shelf == nil {
		return errors.Join(err, v.disk.Close())
	}
	return errors.Join(err, v.shelf.giveBack(v.disk, v.lease.Load()))
}

// settle flushes and marks the volume clean, so that what is on disk is all there is.
func (v *Volume) settle() error {
	if err := v.flush(); err != nil {
		return err
	}
	v.flushing.Lock()
	defer v.flushing.Unlock()
	if v.open.Load() {
		v.header.clean, v.header.mapSum = true, v.bits.sum()
		if err := writeHeader(v.disk, v.header); err != nil {
			return v.fail(err)
		}
		v.open.Store(false)
	} else if !v.baseMoved {
		return nil
	}
	if v.dir != nil && v.newest.Load() == nil { // else what changed is counted from a snapshot that is not there
		// Without it the next snapshot compares all blocks: that costs time, and nothing else.
		_ = saveChanges(v.dir, v.header, changes{v.base, v.changed.Load()})
	}
	v.baseMoved = false
	return nil
}
