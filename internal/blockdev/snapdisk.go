package blockdev

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"slices"
	"sync"
)

// A snapDisk shows a snapshot as the file that a volume with its content has: where its sectors are in a
// file, they are read from the objects. It cannot be written.
type snapDisk struct {
	shelf *Shelf
	index *index

	mu     sync.Mutex
	recent []loadedBlock // the latest last; guarded by mu
	closed bool          // guarded by mu
}

type loadedBlock struct {
	block int64
	data  []byte // its written sectors, as they are in the object
}

// openSnapshot is the snapshot as a file. Closing it lets go of it.
func openSnapshot(ctx context.Context, s *Shelf, id string) (*file, error) {
	x, err := s.pin(ctx, id)
	if err != nil {
		return nil, err
	}
	h := *x.header
	return &file{disk: &snapDisk{shelf: s, index: x}, header: &h, index: x}, nil
}

// blockData reads the object of an entry and verifies it.
func (s *Shelf) blockData(ctx context.Context, x *index, e *entry) ([]byte, error) {
	data, err := s.get(ctx, x.object(e), 0, -1)
	if err != nil {
		return nil, fmt.Errorf("blockdev: block %d of %s not read: %w", e.block, x.id, err)
	}
	if sha256.Sum256(data) != e.sum || int64(len(data)) != e.sectors.count()*SectorSize {
		return nil, fmt.Errorf("snapshot %s: %w", x.id, corrupt(fmt.Sprintf("block %d has other content than it had", e.block)))
	}
	return data, nil
}

// keptBlocks is how many blocks an open snapshot keeps in memory.
const keptBlocks = 2 * workers

func (d *snapDisk) load(e *entry) ([]byte, error) {
	d.mu.Lock()
	for _, b := range d.recent {
		if b.block == int64(e.block) {
			d.mu.Unlock()
			return b.data, nil
		}
	}
	d.mu.Unlock()
	data, err := d.shelf.blockData(context.Background(), d.index, e)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.recent) == keptBlocks {
		d.recent = slices.Delete(d.recent, 0, 1)
	}
	d.recent = append(d.recent, loadedBlock{int64(e.block), data})
	return data, nil
}

// ReadAt reads sectors and parts of them. What is not a written sector reads as zeros.
func (d *snapDisk) ReadAt(p []byte, off int64) (int, error) {
	data := d.index.dataOffset()
	n := int64(len(p))
	if end := d.index.fileSize(); off >= end {
		return 0, io.EOF
	} else if n > end-off {
		n = end - off
	}
	clear(p[:n])
	for o, k := range blocks(max(0, off-data), n-max(0, data-off)) {
		e := d.index.find(o / BlockSize)
		if e == nil {
			continue
		}
		stored, err := d.load(e)
		if err != nil {
			return 0, err
		}
		from := o % BlockSize
		for at := from; at < from+k; {
			sector := at / SectorSize
			next, set := e.sectors.run(sector, (from+k+SectorSize-1)/SectorSize)
			end := min(next*SectorSize, from+k)
			if set {
				copy(p[o-from+at+data-off:][:end-at], stored[e.sectors.before(sector)*SectorSize+at%SectorSize:])
			}
			at = end
		}
	}
	if n < int64(len(p)) {
		return int(n), io.EOF
	}
	return int(n), nil
}

func (d *snapDisk) WriteAt([]byte, int64) (int, error) { return 0, ErrReadOnly }
func (d *snapDisk) Sync() error                        { return nil }
func (d *snapDisk) Punch(int64, int64) error           { return nil }
func (d *snapDisk) Size() (int64, error)               { return d.index.fileSize(), nil }
func (d *snapDisk) NextData(off int64) (int64, error)  { return off, nil }
func (d *snapDisk) NextHole(int64) (int64, error)      { return d.index.fileSize(), nil }

// Close lets the snapshot be removed.
func (d *snapDisk) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.closed {
		d.closed, d.recent = true, nil
		d.shelf.unpin(d.index.id)
	}
	return nil
}
