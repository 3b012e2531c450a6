package soft

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// write puts a new seal in place so that a crash leaves the whole seal or none: a temporary file,
// fsync, the name, fsync of the directory.
func (s Seal) write(data []byte) error {
	if s.Shared != nil {
		return s.createShared(data)
	}
	defer clear(data)
	temp := s.temp()
	err := s.writeTemp(temp, data)
	if err == nil {
		err = s.place(temp)
	}
	// Nothing reads the temporary file, but it may hold the key: it goes, whatever happened.
	err = errors.Join(err, ignoreMissing(s.on().remove(temp)))
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
	err := s.on().link(temp, s.name())
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, fs.ErrPermission) {
		err = s.on().rename(temp, s.name())
	}
	if err != nil {
		return err
	}
	if err := s.on().sync(); err != nil {
		return errors.Join(err, s.on().remove(s.name()))
	}
	return nil
}

// replace puts data in place of the seal file that has the digest, so that a crash leaves the old
// or the new one whole. Then the bytes of the old one are overwritten where they lie, unless the
// file has another name too; a file system that copies on write, and a flash disk, may keep them
// all the same. done reports that the new file is in place, though perhaps not for good.
func (s Seal) replace(data, digest []byte) (done bool, err error) {
	if s.Shared != nil {
		return s.replaceShared(data, digest)
	}
	old, err := s.on().open(s.name())
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
	if err := s.sweep(); err != nil {
		return false, s.explain("written", err)
	}
	temp := s.temp()
	if err := s.writeTemp(temp, data); err != nil {
		return false, s.explain("written", errors.Join(err, ignoreMissing(s.on().remove(temp))))
	}
	if err := s.on().rename(temp, s.name()); err != nil {
		return false, s.explain("written", errors.Join(err, ignoreMissing(s.on().remove(temp))))
	}
	if err := s.on().sync(); err != nil {
		return true, s.explain("written", err)
	}
	return true, overwrite(old, len(was))
}

// overwrite writes zeros over a file that lost its only name.
func overwrite(f sealOut, n int) error {
	if f.links() > 0 {
		return nil
	}
	_, err := f.WriteAt(make([]byte, n), 0)
	return errors.Join(err, f.Sync())
}

// tempMark is in the names of files that are to become the seal file.
const tempMark = ".tmp-"

func (s Seal) temp() string { return s.name() + tempMark + rand.Text() }

// sweep removes what a crash left behind: a file that was to become the seal has the keys of epochs
// that may have ended since.
func (s Seal) sweep() error {
	entries, err := fs.ReadDir(s.Dir.FS(), ".")
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), s.name()+tempMark) || !e.Type().IsRegular() {
			continue
		}
		fi, err := e.Info()
		if err != nil {
			return err
		}
		f, err := s.on().open(e.Name())
		if err != nil {
			return err
		}
		if err = s.on().remove(e.Name()); err == nil {
			err = overwrite(f, int(fi.Size()))
		}
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	return nil
}

func (s Seal) writeTemp(name string, data []byte) error {
	f, err := s.on().create(name)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
