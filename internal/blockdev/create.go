package blockdev

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"sync"

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
func Create(dir *Shelf, spec Spec) error {
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
func CreateFrom(ctx context.Context, dir *Shelf, spec Spec, src Source, progress Progress) error {
	return createFrom(ctx, dir, spec, KindVolume, src, progress)
}

// CreateSnapshotFrom makes a snapshot with the content of src, with the rules of CreateFrom.
func CreateSnapshotFrom(ctx context.Context, dir *Shelf, spec Spec, src Source, progress Progress) error {
	return createFrom(ctx, dir, spec, KindSnapshot, src, progress)
}

func createFrom(ctx context.Context, dir *Shelf, spec Spec, kind Kind, src Source, progress Progress) error {
	h, err := newHeader(spec, KindVolume)
	if err != nil {
		return err
	}
	if spec.Encryption != nil && spec.Key == nil {
		return ErrNeedsKey
	}
	fill := func(d disk) error {
		v, err := newVolume(&file{disk: keepOpen{d}, header: h}, spec.Key)
		if err != nil {
			return err
		}
		err = Hydrate(ctx, v, src, progress)
		if closeErr := v.Close(); err == nil {
			err = closeErr
		}
		return err
	}
	if kind == KindVolume {
		return makeFile(dir, h, fill)
	}
	if known, err := dir.knows(ctx, h.id); err != nil || known {
		return errors.Join(err, fmt.Errorf("blockdev: snapshot %s: %w", h.id, fs.ErrExist))
	}
	return makeTemp(dir, h, fill, func(f *os.File, _ string) error {
		src := &file{disk: osDisk{f}, header: h}
		m, err := src.loadMap()
		if err != nil {
			return err
		}
		return dir.snapshotFile(ctx, h, h.id, changes{}, src.source(m))
	})
}

// snapshotFile makes a snapshot of a file that nobody changes, with what is known of its changes.
func (s *Shelf) snapshotFile(ctx context.Context, of *header, id string, c changes, from source) error {
	h := &header{size: of.size, id: id, encryption: of.encryption.clone(), keyCheck: of.keyCheck}
	volume := ""
	if of.kind == KindVolume && of.id != id {
		volume = of.id
	}
	base, known, err := s.baseFor(ctx, volume, of, c)
	if err != nil {
		return err
	}
	if base != nil {
		defer s.unpin(base.id)
	}
	t, err := s.begin(ctx, h, volume, base, from, nil)
	if err != nil {
		return err
	}
	t.choose(known)
	return t.finish(ctx, t.run(ctx))
}

// baseFor finds the snapshot that a new one of a volume may share blocks with, and pins it; nil if there is
// none. known are the blocks that may differ from it, nil if that is not known.
func (s *Shelf) baseFor(ctx context.Context, volume string, of *header, c changes) (base *index, known *blockSet, err error) {
	if c.base != "" {
		own := false
		if own, err = s.own(ctx, c.base); err == nil && own {
			base, err = s.pin(ctx, c.base)
		}
		switch {
		case err == nil && !own:
		case err == nil && sameKey(base.header, of):
			return base, c.set, nil
		case err == nil:
			s.unpin(base.id)
		case !errors.Is(err, fs.ErrNotExist) && !damaged(err):
			return nil, nil, err
		}
	}
	if volume == "" {
		return nil, nil, nil
	}
	id, err := s.latest(ctx, volume, of)
	if err != nil || id == "" {
		return nil, nil, err
	}
	base, err = s.pin(ctx, id)
	if errors.Is(err, fs.ErrNotExist) || damaged(err) {
		return nil, nil, nil // everything is saved, then
	}
	return base, nil, err
}

// keepOpen is a disk that stays open when the volume on it is closed.
type keepOpen struct{ disk }

func (keepOpen) Close() error { return nil }

// Hydrate copies the written extents of src to dst, which should be new: what src does not have stays
// as it is. It flushes dst in the end. progress may be nil. An interrupted copy leaves dst partly
// filled. Several blocks are on their way at a time. Errors: ErrTooSmall, the cause of a cancelled ctx, and
// those of reading and writing.
func Hydrate(ctx context.Context, dst *Volume, src Source, progress Progress) error {
	if src.Size() > dst.Size() {
		return ErrTooSmall
	}
	buffers := sync.Pool{New: func() any { return new([BlockSize]byte) }}
	err := eachBlock(ctx, src.Extents(), progress, func(off, n int64) error {
		buf := buffers.Get().(*[BlockSize]byte)
		defer buffers.Put(buf)
		defer clear(buf[:n]) // it holds plaintext
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

// eachBlock calls f for the extents, split into blocks, several at a time, until ctx ends, and tells
// progress.
func eachBlock(ctx context.Context, extents iter.Seq[Extent], progress Progress, f func(off, n int64) error) error {
	if progress == nil {
		progress = func(int64, int64) {}
	}
	// The extents of an open source may change, so the total is that of one look.
	var todo []Extent
	var total, done int64
	for e := range extents {
		for off, n := range blocks(e.Offset, e.Length) {
			todo = append(todo, Extent{off, n})
		}
		total += e.Length
	}
	progress(0, total)
	var telling sync.Mutex
	return parallel(ctx, len(todo), func(i int) error {
		if err := f(todo[i].Offset, todo[i].Length); err != nil {
			return err
		}
		telling.Lock()
		defer telling.Unlock()
		done += todo[i].Length
		progress(done, total)
		return nil
	})
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
func CreateFromSnapshot(ctx context.Context, dir *Shelf, c Copy) error {
	return copySnapshot(ctx, dir, c, KindVolume)
}

// CopySnapshot makes another snapshot from a snapshot, with the rules of CreateFromSnapshot.
func CopySnapshot(ctx context.Context, dir *Shelf, c Copy) error {
	return copySnapshot(ctx, dir, c, KindSnapshot)
}

func copySnapshot(ctx context.Context, dir *Shelf, c Copy, kind Kind) error {
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
	src, err := newVolume(&file{disk: keepOpen{f.disk}, header: f.header, index: f.index}, c.FromKey)
	if err != nil {
		return fmt.Errorf("snapshot %s: %w", c.From, err)
	}
	defer src.Close()
	return createFrom(ctx, dir, c.To, kind, src, c.Progress)
}

// copyAsIs copies a snapshot under its own data key, or a plain one to a plain volume.
func copyAsIs(ctx context.Context, dir *Shelf, f *file, c Copy, kind Kind) error {
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
	if kind == KindSnapshot {
		return dir.copyShared(ctx, h, f, m, c.Progress)
	}
	err = makeFile(dir, h, func(d disk) error { return copyRaw(ctx, d, h, f.disk, f.header, m, c.Progress) })
	if err == nil && f.index != nil && sameKey(h, f.header) {
		// A snapshot of the new volume shares what it does not change.
		_ = saveChanges(dir.Root, h, changes{c.From, newBlockSet(h.size)})
	}
	return err
}

// copyShared makes a snapshot with the blocks of another: none is copied that is an object already.
func (s *Shelf) copyShared(ctx context.Context, h *header, f *file, m *bitmap, progress Progress) error {
	base := f.index
	if own, err := s.own(ctx, f.id); err != nil || !own {
		if base = nil; err != nil {
			return err
		}
	}
	t, err := s.begin(ctx, h, "", base, f.source(m), progress)
	if err != nil {
		return err
	}
	none := newBlockSet(f.size)
	if base == nil {
		none = nil
	}
	t.choose(none)
	return t.finish(ctx, t.run(ctx))
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
