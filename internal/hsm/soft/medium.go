package soft

import (
	"errors"
	"os"
	"runtime"
)

// A medium is what a seal file is written by, in steps between which the power may fail.
type medium interface {
	create(name string) (sealOut, error) // a new file that only the owner reads
	open(name string) (sealOut, error)   // one that is there, to write
	link(from, to string) error
	rename(from, to string) error
	remove(name string) error
	sync() error // makes names last
}

// A sealOut is a file that is being written.
type sealOut interface {
	Write(p []byte) (int, error)
	WriteAt(p []byte, at int64) (int, error)
	Sync() error
	Close() error
	links() uint64 // names that the file has
}

// on is what the seal is written by.
func (s Seal) on() medium {
	if s.medium != nil {
		return s.medium
	}
	return folder{s.Dir}
}

// A folder is the medium that there is.
type folder struct{ dir *os.Root }

type folderFile struct{ *os.File }

func (f folderFile) links() uint64 { return links(f.File) }

func (d folder) create(name string) (sealOut, error) {
	return opened(d.dir.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600))
}

func (d folder) open(name string) (sealOut, error) {
	return opened(d.dir.OpenFile(name, os.O_RDWR, 0))
}

func opened(f *os.File, err error) (sealOut, error) {
	if err != nil {
		return nil, err
	}
	return folderFile{f}, nil
}

func (d folder) link(from, to string) error   { return d.dir.Link(from, to) }
func (d folder) rename(from, to string) error { return d.dir.Rename(from, to) }
func (d folder) remove(name string) error     { return d.dir.Remove(name) }

// sync makes names last. Windows cannot sync directories and does not need it.
func (d folder) sync() error {
	if runtime.GOOS == "windows" {
		return nil
	}
	f, err := d.dir.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
