package blockdev

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Grow makes a volume larger that nobody has open ([Volume.Grow] is for open ones). The new space reads
// as zeros. The volume has its old size or, when Grow returns, durably the new one. A size that the volume
// has already, or a smaller one, changes nothing. Errors: fs.ErrNotExist, ErrBusy, ErrReadOnly for a snapshot,
// ErrCorrupt, ErrVersion, and those of the system.
func Grow(dir *Shelf, id string, size int64) error {
	f, err := openFile(dir, id, true)
	if err != nil {
		return err
	}
	if f.kind != KindVolume {
		return errors.Join(fmt.Errorf("volume %s: %w", id, ErrReadOnly), f.Close())
	}
	m, err := f.loadMap()
	if err != nil {
		return errors.Join(fmt.Errorf("volume %s: %w", id, err), f.Close())
	}
	known := loadChanges(dir.Root, f.header)
	d, h, _, err := grow(dir.Root, f.disk, f.header, m, size)
	if err == nil && h != f.header && known.base != "" {
		_ = saveChanges(dir.Root, h, changes{known.base, known.set.grown(h.size)})
	}
	if d != f.disk {
		dir.part(f.lease)
		return errors.Join(err, d.Close(), f.Close())
	}
	return errors.Join(err, f.Close())
}

// Grow makes the open volume larger, with the promises of the function Grow. Other calls wait meanwhile.
func (v *Volume) Grow(dir *Shelf, size int64) error {
	if v.info.Kind != KindVolume {
		return ErrReadOnly
	}
	v.gate.Lock()
	defer v.gate.Unlock()
	if v.closed {
		return ErrClosed
	}
	if err := v.flush(); err != nil {
		return err
	}
	d, h, m, err := grow(dir.Root, v.disk, v.header, v.bits, size)
	if err != nil {
		return err
	}
	if c := v.changed.Load(); c != nil && h.size > v.size {
		v.changed.Store(c.grown(h.size))
	}
	v.baseMoved = v.baseMoved || h.generation != v.header.generation
	if d != v.disk {
		old := v.lease.Swap(nil)
		dir.part(old)
		_ = dir.giveBack(v.disk, old)
	}
	v.disk, v.header, v.bits, v.size, v.data = d, h, m, h.size, h.dataOffset()
	v.info = (&file{disk: d, header: h}).info()
	v.open.Store(!h.clean)
	return nil
}

// grow gives the disk, header and map of the volume with the new size; the old ones if nothing changed or it
// failed. A disk that was replaced is the caller's to close: it is gone from the folder.
func grow(dir *os.Root, d disk, old *header, m *bitmap, size int64) (disk, *header, *bitmap, error) {
	if size <= old.size {
		return d, old, m, nil
	}
	h := *old
	h.size = size
	if err := h.validate(); err != nil {
		return d, old, m, err
	}
	bits := newBitmap(&h)
	for i := range m.pages {
		bits.pages[i].Store(m.pages[i].Load())
	}
	if f, ok := d.(osDisk); ok && h.dataOffset() == old.dataOffset() {
		// The length first: a header never promises more than there is.
		err := f.Truncate(h.fileSize())
		if err == nil {
			err = f.Sync()
		}
		for range 2 {
			if err == nil {
				err = writeHeader(d, &h)
			}
		}
		if err != nil {
			return d, old, m, fmt.Errorf("blockdev: not grown: %w", err)
		}
		return d, &h, bits, nil
	}
	moved, err := rebuild(dir, &h, d, old, bits)
	if err != nil {
		return d, old, m, err
	}
	return moved, &h, bits, nil
}

// rebuild copies a volume into a new file with header h, which takes the place of the old one at once.
func rebuild(dir *os.Root, h *header, src disk, sh *header, m *bitmap) (_ disk, err error) {
	temp := tempPrefix + h.id + "-" + rand.Text()
	f, err := dir.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("blockdev: %w", err)
	}
	defer func() {
		if err == nil {
			return
		}
		err = errors.Join(err, f.Close())
		if rmErr := dir.Remove(temp); rmErr != nil && !errors.Is(rmErr, fs.ErrNotExist) {
			err = errors.Join(err, rmErr)
		}
	}()
	if err := lock(f, true); err != nil {
		return nil, err
	}
	if err := f.Truncate(h.fileSize()); err != nil {
		return nil, fmt.Errorf("blockdev: %w", err)
	}
	d := osDisk{f}
	for range 2 {
		if err := writeHeader(d, h); err != nil {
			return nil, err
		}
	}
	if err := copyRaw(context.Background(), d, h, src, sh, m, nil); err != nil {
		return nil, err
	}
	if err := dir.Rename(temp, h.id+suffix); err != nil {
		return nil, fmt.Errorf("blockdev: %w", err)
	}
	return d, syncDir(dir)
}
