package blockdev

import (
	"context"
	"crypto/subtle"
	"fmt"
	"io"
	"iter"
	"os"

	"github.com/kagimori/kagimori/internal/blockdev/crypt"
	"github.com/kagimori/kagimori/internal/secret"
)

// newHeader is the header of an empty volume as spec wants it. With a key it has a check value.
func newHeader(spec Spec, kind Kind) (*header, error) {
	h := &header{kind: kind, size: spec.Size, id: spec.ID, encryption: spec.Encryption.clone()}
	if err := h.validate(); err != nil {
		return nil, err
	}
	if spec.Key == nil {
		return h, nil
	}
	if spec.Encryption == nil {
		return nil, ErrPlain
	}
	check, err := checkOf(spec.Key)
	h.keyCheck = check
	return h, err
}

func checkOf(key secret.Bytes) ([32]byte, error) {
	c, err := crypt.New(key)
	if err != nil {
		return [32]byte{}, err
	}
	defer c.Wipe()
	return keyCheck(c)
}

// Create makes an empty volume: the file appears complete or not at all, and is durable when Create
// returns. Errors: fs.ErrExist; ErrPlain for a key without encryption; crypt.ErrKeySize and
// crypt.ErrWeakKey; others for a bad spec or from the system.
func Create(dir *os.Root, spec Spec) error {
	h, err := newHeader(spec, KindVolume)
	if err != nil {
		return err
	}
	h.clean, h.mapSum = true, newBitmap(h).sum()
	return makeFile(dir, h, func(disk) error { return nil })
}

// CreateFrom makes a volume with the content of src, encrypting it under spec.Key if spec asks for
// encryption. The volume appears only when it is complete. Errors: as Create and Hydrate, and
// ErrNeedsKey for encryption without a key.
func CreateFrom(ctx context.Context, dir *os.Root, spec Spec, src Source, progress Progress) error {
	return createFrom(ctx, dir, spec, KindVolume, src, progress)
}

// CreateSnapshotFrom makes a snapshot with the content of src, with the rules of CreateFrom.
func CreateSnapshotFrom(ctx context.Context, dir *os.Root, spec Spec, src Source, progress Progress) error {
	return createFrom(ctx, dir, spec, KindSnapshot, src, progress)
}

func createFrom(ctx context.Context, dir *os.Root, spec Spec, kind Kind, src Source, progress Progress) error {
	h, err := newHeader(spec, KindVolume)
	if err != nil {
		return err
	}
	if spec.Encryption != nil && spec.Key == nil {
		return ErrNeedsKey
	}
	return makeFile(dir, h, func(d disk) error {
		v, err := newVolume(&file{disk: keepOpen{d}, header: h}, spec.Key)
		if err != nil {
			return err
		}
		err = Hydrate(ctx, v, src, progress)
		if closeErr := v.Close(); err == nil {
			err = closeErr
		}
		if err != nil || kind == KindVolume {
			return err
		}
		h.kind = kind
		for range 2 { // both copies: the older one may not say that it is a volume
			if err := writeHeader(d, h); err != nil {
				return err
			}
		}
		return nil
	})
}

// keepOpen is a disk that stays open when the volume on it is closed.
type keepOpen struct{ disk }

func (keepOpen) Close() error { return nil }

// Hydrate copies the written extents of src to dst, which should be new: what src does not have stays
// as it is. It flushes dst in the end. progress may be nil. An interrupted copy leaves dst partly
// filled. Errors: ErrTooSmall, the cause of a cancelled ctx, and those of reading and writing.
func Hydrate(ctx context.Context, dst *Volume, src Source, progress Progress) error {
	if src.Size() > dst.Size() {
		return ErrTooSmall
	}
	buf := make([]byte, BlockSize)
	defer clear(buf) // it holds plaintext
	err := eachBlock(ctx, src.Extents(), progress, func(off, n int64) error {
		if k, err := src.ReadAt(buf[:n], off); int64(k) < n {
			if err == nil {
				err = io.ErrUnexpectedEOF
			}
			return fmt.Errorf("blockdev: source not read: %w", err)
		}
		_, err := dst.WriteAt(buf[:n], off)
		return err
	})
	if err != nil {
		return err
	}
	return dst.Flush()
}

// eachBlock calls f for the extents, split into blocks, until ctx ends, and tells progress.
func eachBlock(ctx context.Context, extents iter.Seq[Extent], progress Progress, f func(off, n int64) error) error {
	if progress == nil {
		progress = func(int64, int64) {}
	}
	// The extents of an open source may change, so the total is that of one look.
	var todo []Extent
	var total, done int64
	for e := range extents {
		todo = append(todo, e)
		total += e.Length
	}
	progress(0, total)
	for _, e := range todo {
		for off, n := range blocks(e.Offset, e.Length) {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err := f(off, n); err != nil {
				return err
			}
			done += n
			progress(done, total)
		}
	}
	return nil
}

// Blocks are the numbers of the 512 KiB blocks of src that were at least partly written, ascending.
func Blocks(src Source) iter.Seq[int64] {
	return func(yield func(int64) bool) {
		next := int64(0)
		for e := range src.Extents() {
			if e.Length == 0 {
				continue
			}
			for i := max(next, e.Offset/BlockSize); i <= (e.Offset+e.Length-1)/BlockSize; i++ {
				if !yield(i) {
					return
				}
				next = i + 1
			}
		}
	}
}

// Snapshot makes a snapshot of a volume that nobody has open ([Volume.Snapshot] is for open ones). The
// written sectors are copied as they are, ciphertext stays ciphertext, so no key is needed; the
// snapshot has the volume's data key, wrapped under the same context. File systems that can share
// blocks between files do. Errors: fs.ErrNotExist, fs.ErrExist, ErrBusy, ErrCorrupt, ErrVersion.
func Snapshot(dir *os.Root, volumeID, snapshotID string) error {
	f, err := openFile(dir, volumeID, true)
	if err != nil {
		return err
	}
	defer f.Close()
	if f.kind != KindVolume {
		return fmt.Errorf("volume %s: %w", volumeID, ErrReadOnly)
	}
	m, err := f.loadMap()
	if err != nil {
		return fmt.Errorf("volume %s: %w", volumeID, err)
	}
	return snapshot(context.Background(), dir, f.disk, f.header, m, snapshotID)
}

// Snapshot makes a snapshot of the open volume as it is at this moment. Changes wait until the copy is
// done, reads go on. Errors: fs.ErrExist, ErrClosed, and those of Flush.
func (v *Volume) Snapshot(ctx context.Context, dir *os.Root, snapshotID string) error {
	if v.info.Kind != KindVolume {
		return ErrReadOnly
	}
	if err := v.enter(); err != nil {
		return err
	}
	defer v.leave()
	v.freeze.Lock()
	defer v.freeze.Unlock()
	if err := v.flush(); err != nil {
		return err
	}
	v.flushing.Lock()
	h := *v.header
	v.flushing.Unlock()
	return snapshot(ctx, dir, v.disk, &h, v.bits, snapshotID)
}

func snapshot(ctx context.Context, dir *os.Root, src disk, sh *header, m *bitmap, id string) error {
	h := &header{kind: KindSnapshot, size: sh.size, id: id, encryption: sh.encryption.clone(), keyCheck: sh.keyCheck}
	return makeFile(dir, h, func(d disk) error { return copyRaw(ctx, d, h, src, sh, m, nil) })
}

// A Copy says what to make from a snapshot.
type Copy struct {
	From    string       // id of the snapshot
	FromKey secret.Bytes // its data key, if the content must be encrypted anew
	// To is what to make. A size of 0 means that of the snapshot, a smaller one is an error. With the
	// DataKeyID of the snapshot the content is copied as it is and no key is needed (one that is given
	// is checked); To.Encryption.WrappedKey is then the same data key, wrapped for the new id.
	To       Spec
	Progress Progress // may be nil
}

// CreateFromSnapshot makes a volume from a snapshot. The volume appears only when it is complete.
// Errors: fs.ErrNotExist for the snapshot, fs.ErrExist, ErrTooSmall, ErrUnencrypted for a plain copy
// of an encrypted snapshot, ErrNeedsKey, ErrWrongKey, and those of Create and Hydrate.
func CreateFromSnapshot(ctx context.Context, dir *os.Root, c Copy) error {
	return copySnapshot(ctx, dir, c, KindVolume)
}

// CopySnapshot makes another snapshot from a snapshot, with the rules of CreateFromSnapshot.
func CopySnapshot(ctx context.Context, dir *os.Root, c Copy) error {
	return copySnapshot(ctx, dir, c, KindSnapshot)
}

func copySnapshot(ctx context.Context, dir *os.Root, c Copy, kind Kind) error {
	f, err := openFile(dir, c.From, true)
	if err != nil {
		return err
	}
	defer f.Close()
	if f.kind != KindSnapshot {
		return fmt.Errorf("blockdev: %s is not a snapshot", c.From)
	}
	if c.To.Size == 0 {
		c.To.Size = f.size
	}
	if c.To.Size < f.size {
		return ErrTooSmall
	}
	from, to := f.encryption, c.To.Encryption
	switch {
	case from != nil && to == nil:
		return ErrUnencrypted
	case from == nil && to == nil, from != nil && from.DataKeyID != "" && from.DataKeyID == to.DataKeyID:
		return copyAsIs(ctx, dir, f, c, kind)
	}
	if from != nil && c.FromKey == nil {
		return fmt.Errorf("snapshot %s: %w", c.From, ErrNeedsKey)
	}
	src, err := newVolume(&file{disk: keepOpen{f.disk}, header: f.header}, c.FromKey)
	if err != nil {
		return fmt.Errorf("snapshot %s: %w", c.From, err)
	}
	defer src.Close()
	return createFrom(ctx, dir, c.To, kind, src, c.Progress)
}

// copyAsIs copies a snapshot under its own data key, or a plain one to a plain volume.
func copyAsIs(ctx context.Context, dir *os.Root, f *file, c Copy, kind Kind) error {
	h, err := newHeader(c.To, kind)
	if err != nil {
		return err
	}
	none := [32]byte{}
	if h.keyCheck != none && f.keyCheck != none && subtle.ConstantTimeCompare(h.keyCheck[:], f.keyCheck[:]) != 1 {
		return ErrWrongKey
	}
	if f.keyCheck != none {
		h.keyCheck = f.keyCheck
	}
	m, err := f.loadMap()
	if err != nil {
		return fmt.Errorf("snapshot %s: %w", c.From, err)
	}
	return makeFile(dir, h, func(d disk) error { return copyRaw(ctx, d, h, f.disk, f.header, m, c.Progress) })
}

// copyRaw copies the written sectors and the map to the new file d with header h, and closes it
// properly. The sectors keep their numbers, so their ciphertext stays valid.
func copyRaw(ctx context.Context, d disk, h *header, src disk, sh *header, m *bitmap, progress Progress) error {
	extents := (&Volume{bits: m}).Extents()
	err := eachBlock(ctx, extents, progress, func(off, n int64) error {
		if err := copyRange(d, h.dataOffset()+off, src, sh.dataOffset()+off, n); err != nil {
			return fmt.Errorf("blockdev: copy at %d: %w", off, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := writePages(d, m.all()); err != nil {
		return err
	}
	if err := d.Sync(); err != nil {
		return fmt.Errorf("blockdev: %w", err)
	}
	h.clean, h.mapSum = true, m.sum()
	return writeHeader(d, h)
}
