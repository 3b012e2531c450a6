package blockdev

import (
	"errors"
	"io"
	"os"
)

// disk is the file below a volume: what a volume needs of the system, so that tests can put a
// machine that loses power in its place.
type disk interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Size in bytes.
	Size() (int64, error)
	// Sync returns when everything written before is durable.
	Sync() error
	// Punch gives the space of a range back where the system can; the range may read as zeros or as
	// before.
	Punch(off, n int64) error
	// NextData is the first offset >= off that is not in a hole, and NextHole the first that is, at
	// most the size. A system that cannot tell says that all is data.
	NextData(off int64) (int64, error)
	NextHole(off int64) (int64, error)
}

// osDisk is a disk in a file.
type osDisk struct{ *os.File }

func (d osDisk) Size() (int64, error) {
	fi, err := d.Stat()
	if err != nil {
		return 0, err
	}
	return fi.Size(), nil
}

// copyRange copies n bytes between files, by the kernel where both are files on one machine: file
// systems with reflinks then share the blocks.
func copyRange(dst disk, dstOff int64, src disk, srcOff, n int64) error {
	d, ok1 := dst.(osDisk)
	s, ok2 := src.(osDisk)
	if ok1 && ok2 {
		done, err := kernelCopy(d.File, dstOff, s.File, srcOff, n)
		if err == nil && done == n {
			return nil
		}
		if err != nil && !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
		dstOff, srcOff, n = dstOff+done, srcOff+done, n-done
	}
	if n == 0 {
		return nil
	}
	_, err := io.CopyN(io.NewOffsetWriter(dst, dstOff), io.NewSectionReader(src, srcOff, n), n)
	return err
}
