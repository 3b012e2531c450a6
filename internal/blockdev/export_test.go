package blockdev

import (
	"sync/atomic"

	"github.com/kagimori/kagimori/internal/objects"
	"github.com/kagimori/kagimori/internal/secret"
)

// Disk is what a volume needs of the system.
type Disk = disk

// SlotSize is the room for one header copy.
const SlotSize = slotSize

// OpenDisk opens the volume on d, like Open.
func OpenDisk(d Disk, key secret.Bytes) (*Volume, error) {
	h, err := readHeader(d)
	if err != nil {
		return nil, err
	}
	return newVolume(&file{disk: d, header: h}, key)
}

// ReencodeHeader parses a header and encodes it again.
func ReencodeHeader(b []byte) ([]byte, Info, error) {
	h, err := parseHeader(b)
	if err != nil {
		return nil, Info{}, err
	}
	return h.encode(), h.info(), nil
}

// CopyRange copies n bytes between disks, as snapshots do.
var CopyRange = copyRange

// Objects are where the shelf keeps snapshots.
func (s *Shelf) Objects() objects.Store { return s.objects }

// ReencodeIndex parses an index and encodes it again.
func ReencodeIndex(b []byte) ([]byte, error) {
	x, err := parseIndex(b)
	if err != nil {
		return nil, err
	}
	return x.encode(), nil
}

// CountReads counts the bytes that are read from the volume's file from now on. Nobody uses the volume.
func (v *Volume) CountReads() *atomic.Int64 {
	c := &countedDisk{disk: v.disk}
	v.disk = c
	return &c.n
}

type countedDisk struct {
	disk
	n atomic.Int64
}

func (d *countedDisk) ReadAt(p []byte, off int64) (int, error) {
	n, err := d.disk.ReadAt(p, off)
	d.n.Add(int64(n))
	return n, err
}
