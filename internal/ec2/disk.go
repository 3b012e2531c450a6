package ec2

import (
	"context"
	"errors"
	"io"

	"github.com/kagimori/kagimori/internal/store"
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

// Disk is the content of an attached volume, as its instances see it.
func (s *Service) Disk(ctx context.Context, account, region, volumeID string) (Disk, error) {
	err := s.g.Read(ctx, func(tx store.Tx) error {
		_, ok, err := volumeTable.Get(tx, region, account, volumeID)
		if err == nil && !ok {
			err = errNoVolume(volumeID)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return s.host.disk(volumeID)
}

// A hostDisk is a held volume whose file is opened when something is to be done.
type hostDisk struct {
	h    *host
	id   string
	size int64
}

// disk is the content of a held volume. Error: ErrNotHeld.
func (h *host) disk(id string) (*hostDisk, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	e := h.held[id]
	if e == nil {
		return nil, ErrNotHeld
	}
	return &hostDisk{h, id, e.size}, nil
}

// ReadAt reads, as io.ReaderAt.
func (d *hostDisk) ReadAt(p []byte, off int64) (int, error) {
	v, done, err := d.h.use(d.id)
	if err != nil {
		return 0, err
	}
	defer done()
	return v.ReadAt(p, off)
}

// WriteAt writes, as io.WriterAt.
func (d *hostDisk) WriteAt(p []byte, off int64) (int, error) {
	v, done, err := d.h.use(d.id)
	if err != nil {
		return 0, err
	}
	defer done()
	return v.WriteAt(p, off)
}

// Size is the volume's when the disk was asked for.
func (d *hostDisk) Size() int64 { return d.size }

// Flush makes what was written durable. A file that was closed meanwhile is durable already.
func (d *hostDisk) Flush() error {
	v, done, err := d.h.use(d.id)
	if err != nil {
		return err
	}
	defer done()
	return v.Flush()
}

// Trim gives space back.
func (d *hostDisk) Trim(off, n int64) error {
	v, done, err := d.h.use(d.id)
	if err != nil {
		return err
	}
	defer done()
	return v.Trim(off, n)
}

// WriteZeroes makes a range read as zeros.
func (d *hostDisk) WriteZeroes(off, n int64) error {
	v, done, err := d.h.use(d.id)
	if err != nil {
		return err
	}
	defer done()
	return v.WriteZeroes(off, n)
}

// Written says what was ever written; of a volume that cannot be opened nobody knows.
func (d *hostDisk) Written(off, n int64) (length int64, written bool) {
	v, done, err := d.h.use(d.id)
	if err != nil {
		return n, true
	}
	defer done()
	return v.Written(off, n)
}
