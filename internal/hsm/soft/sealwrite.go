package soft

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
)

// write puts a new seal in place so that a crash leaves the whole seal or none: a temporary file,
// fsync, the name, fsync of the directory.
func (s Seal) write(data []byte) error {
	defer clear(data)
	temp := s.name() + ".tmp-" + rand.Text()
	err := s.writeTemp(temp, data)
	if err == nil {
		err = s.place(temp)
	}
	// Nothing reads the temporary file, but it may hold the key: it goes, whatever happened.
	err = errors.Join(err, ignoreMissing(s.Dir.Remove(temp)))
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrExist):
		return ErrSealExists
	}
	return s.explain("written", err)
}

// place gives the temporary file its name. Link and not rename, because a link never replaces
// a seal that appeared meanwhile; only a file system without links gets a rename.
func (s Seal) place(temp string) error {
	err := s.Dir.Link(temp, s.name())
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, fs.ErrPermission) {
		err = s.Dir.Rename(temp, s.name())
	}
	if err != nil {
		return err
	}
	if err := syncDir(s.Dir); err != nil {
		return errors.Join(err, s.Dir.Remove(s.name()))
	}
	return nil
}

// replace puts data in place of the seal file that has the digest, so that a crash leaves the old
// or the new one whole. Then the bytes of the old one are overwritten where they lie, unless the
// file has another name too; a file system that copies on write, and a flash disk, may keep them
// all the same. done reports that the new file is in place, though perhaps not for good.
func (s Seal) replace(data, digest []byte) (done bool, err error) {
	old, err := s.Dir.OpenFile(s.name(), os.O_RDWR, 0)
	if err != nil {
		return false, s.explain("read", err)
	}
	defer old.Close()
	was, _, err := s.read()
	if err != nil {
		return false, err
	}
	defer clear(was)
	f, _, err := decodeSeal(was)
	if err != nil {
		return false, fmt.Errorf("%s %w", s.path(), err)
	}
	if !bytes.Equal(f.Digest, digest) {
		return false, fmt.Errorf("%s was changed by somebody else meanwhile; nothing was done", s.path())
	}
	temp := s.name() + ".tmp-" + rand.Text()
	if err := s.writeTemp(temp, data); err != nil {
		return false, s.explain("written", errors.Join(err, ignoreMissing(s.Dir.Remove(temp))))
	}
	if err := s.Dir.Rename(temp, s.name()); err != nil {
		return false, s.explain("written", errors.Join(err, ignoreMissing(s.Dir.Remove(temp))))
	}
	if err := syncDir(s.Dir); err != nil {
		return true, s.explain("written", err)
	}
	return true, overwrite(old, len(was))
}

// overwrite writes zeros over a file that lost its only name.
func overwrite(f *os.File, n int) error {
	if links(f) > 0 {
		return nil
	}
	_, err := f.WriteAt(make([]byte, n), 0)
	return errors.Join(err, f.Sync())
}

func (s Seal) writeTemp(name string, data []byte) error {
	f, err := s.Dir.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// syncDir makes the new name last. Windows cannot sync directories and does not need it.
func syncDir(dir *os.Root) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := dir.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
