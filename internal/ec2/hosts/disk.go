package hosts

import (
	"errors"
	"io"
)

// A Disk is the content of a volume that the host holds.
type Disk interface {
	io.ReaderAt
	io.WriterAt
	Size() int64
	Flush() error
}

// ErrNotHeld is what a Disk says of a volume that the host does not hold: no running instance has it
// attached.
var ErrNotHeld = errors.New("ec2: the host does not hold this volume")

// A heldDisk is a held volume whose file is opened when something is to be done.
type heldDisk struct {
	h    *Host
	id   string
	size int64
}

// Disk is the content of a held volume. Error: ErrNotHeld.
func (h *Host) Disk(id string) (Disk, error) {
	d, err := h.disk(id)
	if err != nil {
		return nil, err
	}
	return d, nil
}

func (h *Host) disk(id string) (*heldDisk, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	e := h.held[id]
	if e == nil {
		return nil, ErrNotHeld
	}
	return &heldDisk{h, id, e.size}, nil
}

// ReadAt reads, as io.ReaderAt.
func (d *heldDisk) ReadAt(p []byte, off int64) (int, error) {
	v, done, err := d.h.use(d.id)
	if err != nil {
		return 0, err
	}
	defer done()
	return v.ReadAt(p, off)
}

// WriteAt writes, as io.WriterAt.
func (d *heldDisk) WriteAt(p []byte, off int64) (int, error) {
	v, done, err := d.h.use(d.id)
	if err != nil {
		return 0, err
	}
	defer done()
	return v.WriteAt(p, off)
}

// Size is the volume's when the disk was asked for.
func (d *heldDisk) Size() int64 { return d.size }

// Flush makes what was written durable. A file that was closed meanwhile is durable already.
func (d *heldDisk) Flush() error {
	v, done, err := d.h.use(d.id)
	if err != nil {
		return err
	}
	defer done()
	return v.Flush()
}

// Trim gives space back.
func (d *heldDisk) Trim(off, n int64) error {
	v, done, err := d.h.use(d.id)
	if err != nil {
		return err
	}
	defer done()
	return v.Trim(off, n)
}

// WriteZeroes makes a range read as zeros.
func (d *heldDisk) WriteZeroes(off, n int64) error {
	v, done, err := d.h.use(d.id)
	if err != nil {
		return err
	}
	defer done()
	return v.WriteZeroes(off, n)
}

// Written says what was ever written; of a volume that cannot be opened nobody knows.
func (d *heldDisk) Written(off, n int64) (length int64, written bool) {
	v, done, err := d.h.use(d.id)
	if err != nil {
		return n, true
	}
	defer done()
	return v.Written(off, n)
}
