package objects

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync"
)

// tempDir holds what is being written.
const tempDir = ".writing"

// A Folder is a Store in a folder: an object is a file of its name.
type Folder struct {
	root *os.Root

	syncing sync.Mutex // one Sync at a time: none returns while another has taken its folders
	mu      sync.Mutex
	dirty   map[string]bool // folders with names that came or went since the last Sync; guarded by mu
}

// NewFolder is the store in a folder, which stays the caller's to close.
func NewFolder(root *os.Root) *Folder { return &Folder{root: root, dirty: map[string]bool{}} }

// Put implements [Store]. The content is on disk before the name is.
func (f *Folder) Put(_ context.Context, name string, data []byte) error {
	if err := CheckName(name); err != nil {
		return err
	}
	temp := tempDir + "/" + rand.Text()
	err := f.write(temp, data)
	if err == nil {
		err = f.place(temp, name)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("objects: %s not written: %w", name, err), f.forget(temp))
	}
	return nil
}

// place gives a finished file its name. A folder that became empty may be going away: then again.
func (f *Folder) place(temp, name string) (err error) {
	for range 100 {
		if err = f.root.MkdirAll(path.Dir(name), 0o700); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		f.changed(name)
		if err = f.root.Rename(temp, name); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return err
}

func (f *Folder) write(name string, data []byte) error {
	if err := f.root.MkdirAll(tempDir, 0o700); err != nil {
		return err
	}
	w, err := f.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	if err == nil {
		err = w.Sync()
	}
	return errors.Join(err, w.Close())
}

// changed remembers the folders that Sync has to write for a name.
func (f *Folder) changed(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for dir := path.Dir(name); ; dir = path.Dir(dir) {
		f.dirty[dir] = true
		if dir == "." {
			return
		}
	}
}

// Get implements [Store].
func (f *Folder) Get(_ context.Context, name string, off, n int64) ([]byte, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	r, err := f.root.Open(name)
	if err != nil {
		return nil, fmt.Errorf("objects: %w", err)
	}
	defer r.Close()
	info, err := r.Stat()
	if err != nil {
		return nil, fmt.Errorf("objects: %w", err)
	}
	rest := max(0, info.Size()-off)
	if n < 0 || n > rest {
		n = rest
	}
	data := make([]byte, n)
	if k, err := r.ReadAt(data, off); int64(k) < n {
		return nil, fmt.Errorf("objects: %s not read: %w", name, errors.Join(err, io.ErrUnexpectedEOF))
	}
	return data, nil
}

// Delete implements [Store]. A folder that became empty goes, too.
func (f *Folder) Delete(_ context.Context, name string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	f.changed(name)
	if err := f.forget(name); err != nil {
		return err
	}
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if f.root.Remove(dir) != nil { // most likely it is not empty
			return nil
		}
	}
	return nil
}

func (f *Folder) forget(name string) error {
	if err := f.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("objects: %s not deleted: %w", name, err)
	}
	return nil
}

// List implements [Store].
func (f *Folder) List(_ context.Context, prefix string, fn func(Object) error) error {
	dir := strings.TrimSuffix(prefix, "/")
	if dir == "" {
		dir = "."
	} else if err := CheckName(dir); err != nil {
		return err
	}
	return fs.WalkDir(f.root.FS(), dir, func(name string, e fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist): // it went meanwhile
			return nil
		case err != nil:
			return fmt.Errorf("objects: %w", err)
		case e.IsDir() && name == tempDir:
			return fs.SkipDir
		case !e.Type().IsRegular():
			return nil
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("objects: %w", err)
		}
		return fn(Object{name, info.Size()})
	})
}

// Sync implements [Store].
func (f *Folder) Sync(context.Context) error {
	f.syncing.Lock()
	defer f.syncing.Unlock()
	f.mu.Lock()
	dirs := f.dirty
	f.dirty = map[string]bool{}
	f.mu.Unlock()
	for dir := range dirs {
		if err := f.syncDir(dir); err != nil {
			f.mu.Lock()
			for d := range dirs {
				f.dirty[d] = true
			}
			f.mu.Unlock()
			return fmt.Errorf("objects: folder not written: %w", err)
		}
	}
	return nil
}

func (f *Folder) syncDir(dir string) error {
	d, err := f.root.Open(dir)
	if errors.Is(err, fs.ErrNotExist) { // emptied and removed: the one above says so
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Recover implements [Store].
func (f *Folder) Recover(context.Context) error {
	if err := f.root.RemoveAll(tempDir); err != nil {
		return fmt.Errorf("objects: %w", err)
	}
	return nil
}
