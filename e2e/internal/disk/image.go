//go:build linux

package disk

import (
	"errors"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
)

const page = 4096

// content of a file: the pages that are no holes.
type content struct {
	size  int64
	pages map[int64][]byte
}

func newContent() *content { return &content{pages: map[int64][]byte{}} }

func (c *content) clone() *content { // pages are replaced, never changed
	return &content{c.size, maps.Clone(c.pages)}
}

func (c *content) change(s Step) {
	switch s.Kind {
	case Write:
		c.write(s.Data, s.At)
	case Punch:
		c.punch(s.At, min(s.At+s.Size, c.size))
	case Truncate:
		if s.Size < c.size {
			c.punch(s.Size, c.size)
		}
		c.size = s.Size
	}
}

func (c *content) write(data []byte, at int64) {
	c.size = max(c.size, at+int64(len(data)))
	for len(data) > 0 {
		n, off := at/page, at%page
		k := min(int64(len(data)), page-off)
		p := make([]byte, page)
		copy(p, c.pages[n])
		copy(p[off:], data[:k])
		c.pages[n] = p
		data, at = data[k:], at+k
	}
}

func (c *content) punch(from, to int64) {
	for from < to {
		n, off := from/page, from%page
		k := min(to-from, page-off)
		switch {
		case k == page:
			delete(c.pages, n)
		case c.pages[n] != nil:
			p := slices.Clone(c.pages[n])
			clear(p[off : off+k])
			c.pages[n] = p
		}
		from += k
	}
}

// An Image is a folder as a power cut may leave it.
type Image struct {
	Files map[string]*content
	Dirs  map[string]bool
}

// reachable reports whether all folders above a name are there.
func (m *Image) reachable(name string) bool {
	for dir := path.Dir(name); ; dir = path.Dir(dir) {
		if !m.Dirs[dir] {
			return false
		}
		if dir == "." {
			return true
		}
	}
}

// Write makes the folder.
func (m *Image) Write(folder string) error {
	for _, dir := range slices.Sorted(maps.Keys(m.Dirs)) {
		if err := os.MkdirAll(filepath.Join(folder, dir), 0o700); err != nil {
			return err
		}
	}
	for name, c := range m.Files {
		if err := c.save(filepath.Join(folder, name)); err != nil {
			return err
		}
	}
	return nil
}

func (c *content) save(name string) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	err = f.Truncate(c.size)
	for n, p := range c.pages {
		if n*page < c.size {
			_, werr := f.WriteAt(p[:min(page, c.size-n*page)], n*page)
			err = errors.Join(err, werr)
		}
	}
	return errors.Join(err, f.Close())
}

// load reads a file, without its holes.
func load(name string) (*content, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	c := newContent()
	c.size = info.Size()
	for at := int64(0); at < c.size; {
		from, to, err := dataAfter(f, at, c.size)
		if err != nil {
			return nil, err
		}
		if at = to; from == to {
			break
		}
		buf := make([]byte, to-from)
		if _, err := io.ReadFull(io.NewSectionReader(f, from, to-from), buf); err != nil {
			return nil, err
		}
		c.write(buf, from)
	}
	return c, nil
}
