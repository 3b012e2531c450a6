//go:build !linux

package blockdev

import (
	"errors"
	"os"
)

// Punch keeps the space: the map alone says that it is free.
func (d osDisk) Punch(int64, int64) error { return nil }

// NextData finds no holes.
func (d osDisk) NextData(off int64) (int64, error) { return off, nil }

// NextHole finds no holes.
func (d osDisk) NextHole(int64) (int64, error) { return d.Size() }

// lock does nothing here: the operator sees to it that one server uses the folder.
func lock(*os.File, bool) error { return nil }

func kernelCopy(*os.File, int64, *os.File, int64, int64) (int64, error) {
	return 0, errors.ErrUnsupported
}
