package app

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// stretch finds the next data of a file from an offset on; from is size if there is none. A file
// system that knows no holes has one stretch.
func stretch(f *os.File, at, size int64) (from, to int64, err error) {
	if at >= size {
		return size, size, nil
	}
	from, err = unix.Seek(int(f.Fd()), at, unix.SEEK_DATA)
	switch {
	case errors.Is(err, unix.ENXIO):
		return size, size, nil
	case err != nil:
		return at, size, nil
	}
	to, err = unix.Seek(int(f.Fd()), from, unix.SEEK_HOLE)
	if err != nil || to > size {
		to = size
	}
	return min(from, size), to, nil
}
