package bolt_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/store/bolt"
)

// What bbolt would believe, and answer with what is not so or end the process, is refused by Open.
func TestPagesThatHideOrMislead(t *testing.T) {
	file, want := filledStore(t)
	size := os.Getpagesize()
	e := binary.NativeEndian
	number := func(at, page int) int { return page*size + at }
	newest := 0
	if e.Uint64(file[number(16+48, 1):]) > e.Uint64(file[number(16+48, 0):]) {
		newest = 1
	}
	meta := file[newest*size:]
	free := int(e.Uint64(meta[16+32:]))
	leaf, branch, unused := 0, 0, 0
	isFree := map[int]bool{free: true}
	for i := range int(e.Uint16(file[number(10, free):])) {
		p := int(e.Uint64(file[number(16+8*i, free):]))
		isFree[p] = true
		if e.Uint64(file[number(0, p):]) == uint64(p) && e.Uint16(file[number(8, p):]) == 2 { // as it was when it was used
			unused = p
		}
	}
	for p := 2; p < int(e.Uint64(meta[16+40:])); p++ {
		if count := e.Uint16(file[number(10, p):]); isFree[p] || count < 3 {
			continue
		} else if e.Uint16(file[number(8, p):]) == 2 && count > 8 {
			leaf = p
		} else if e.Uint16(file[number(8, p):]) == 1 {
			branch = p
		}
	}
	if leaf == 0 || branch == 0 || unused == 0 {
		t.Fatalf("pages: leaf %d, branch %d, free %d", leaf, branch, unused)
	}
	fewer := func(page int) func([]byte) {
		return func(f []byte) { e.PutUint16(f[number(10, page):], e.Uint16(f[number(10, page):])-2) }
	}
	for _, test := range []struct {
		name, says string
		change     func(file []byte)
	}{
		{"the newest of the first pages", "may be a change older", func(f []byte) { f[number(78, newest)] ^= 1 }},
		{"the other of the first pages", "may be a change older", func(f []byte) { f[number(16+48, 1-newest)] ^= 1 }},
		{"a leaf with fewer records", "is not where it should be", fewer(leaf)},
		{"a branch with fewer pages", "is not where it should be", fewer(branch)},
		{"a branch that leads to an old page", "is used twice", func(f []byte) { e.PutUint64(f[number(16+8, branch):], uint64(unused)) }},
		{"a branch that leads out of the file", "is not there", func(f []byte) { f[number(16+8+6, branch)] ^= 1 }},
		{"a key far behind its page", "is not where it should be", func(f []byte) { f[number(16+7, leaf)] ^= 0x20 }},
		{"a page that belongs to another", "its head makes no sense", func(f []byte) { f[number(0, leaf)] ^= 1 }},
		{"a page with many more", "its head makes no sense", func(f []byte) { e.PutUint32(f[number(12, leaf):], 1<<31) }},
		{"a list of free pages without one", "neither used nor free", func(f []byte) {
			list := f[number(16, free):]
			copy(list, list[8:size-16])
			e.PutUint16(f[number(10, free):], e.Uint16(f[number(10, free):])-1)
		}},
		{"a list of free pages with one in use", "used twice", func(f []byte) { // in order
			at := 16
			for i := 0; int(e.Uint64(f[number(at, free):])) < leaf && i < int(e.Uint16(f[number(10, free):])); i++ {
				at += 8
			}
			list := f[number(at, free):]
			copy(list[8:size-at], bytes.Clone(list))
			e.PutUint64(list, uint64(leaf))
			e.PutUint16(f[number(10, free):], e.Uint16(f[number(10, free):])+1)
		}},
		{"a list of free pages that is endless", "is longer than its pages", func(f []byte) {
			e.PutUint16(f[number(10, free):], 0xFFFF)
			e.PutUint64(f[number(16, free):], 1<<40)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			damaged := bytes.Clone(file)
			test.change(damaged)
			path := filepath.Join(t.TempDir(), "store")
			if err := os.WriteFile(path, damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := bolt.Open(bolt.Config{Path: path, NoSync: true})
			if err == nil {
				refused, wrong := compare(t, s, want)
				t.Fatalf("it is opened; then %d refused, and %v", refused, errors.Join(wrong, s.Close()))
			}
			if !errors.Is(err, store.ErrCorrupt) || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), "page ") {
				t.Errorf("%v", err)
			}
			if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, damaged) {
				t.Errorf("the file was changed (%v)", err)
			}
		})
	}
}

// Who has no backup can go on from the other first page, as docs/operations.md says.
func TestOtherFirstPage(t *testing.T) {
	file, want := filledStore(t)
	size, e := os.Getpagesize(), binary.NativeEndian
	newest := 0
	if e.Uint64(file[size+16+48:]) > e.Uint64(file[16+48:]) {
		newest = 1
	}
	for bad, undone := range map[int]int{newest: 1, 1 - newest: 0} { // the last change was the deletion of a record of beta
		damaged := bytes.Clone(file)
		damaged[bad*size+70] ^= 4
		path := filepath.Join(t.TempDir(), "store")
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := bolt.Open(bolt.Config{Path: path}); !errors.Is(err, store.ErrCorrupt) {
			t.Fatalf("it is opened: %v", err)
		}
		copy(damaged[bad*size:(bad+1)*size], damaged[(1-bad)*size:])
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		s := open(t, bolt.Config{Path: path, NoSync: true})
		more := -len(want["beta"])
		err := s.View(t.Context(), func(tx store.Tx) error {
			for _, err := range tx.Scan("beta", store.Range{}) {
				if err != nil {
					return err
				}
				more++
			}
			return nil
		})
		if err != nil || more != undone {
			t.Errorf("page %d was damaged, the newest is %d: beta has %d records more than in the end (%v)", bad, newest, more, err)
		}
		put(t, s, "new", "value")
		put(t, s, "newer", "value")
		if err := s.Check(); err != nil {
			t.Error(err)
		}
		closeStore(t, s)
	}
}

// A file that Open takes can be read, checked and changed, or says that it is damaged; none ends the process.
func FuzzPages(f *testing.F) {
	path := filepath.Join(f.TempDir(), "store")
	s, err := bolt.Open(bolt.Config{Path: path, NoSync: true})
	if err != nil {
		f.Fatal(err)
	}
	for i := range 12 {
		err := s.Update(f.Context(), func(tx store.Tx) error { return tx.Put("b", fmt.Sprint("key-", i), bytes.Repeat([]byte{byte(i)}, 900)) })
		if err != nil {
			f.Fatal(err)
		}
	}
	var file bytes.Buffer
	if err := errors.Join(s.Backup(&file), s.Close()); err != nil {
		f.Fatal(err)
	}
	size := os.Getpagesize()
	for at := 0; at < file.Len(); at += 371 {
		damaged := bytes.Clone(file.Bytes())
		damaged[at] ^= 1 << (at % 8)
		f.Add(damaged)
	}
	f.Add(file.Bytes())
	f.Fuzz(func(t *testing.T, file []byte) {
		if len(file) < 4*size || len(file) > 64*size {
			return
		}
		file = bytes.Clone(file)
		bolt.Resum(file, size)
		path := filepath.Join(t.TempDir(), "store")
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := bolt.Open(bolt.Config{Path: path, NoSync: true})
		if err != nil {
			if !errors.Is(err, store.ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		sorted := func(what string, err error) {
			if err != nil && !errors.Is(err, store.ErrCorrupt) {
				t.Errorf("%s: %v", what, err)
			}
		}
		sorted("Check", s.Check())
		sorted("a scan", s.View(t.Context(), func(tx store.Tx) error {
			for _, err := range tx.Scan("b", store.Range{}) {
				if err != nil {
					return err
				}
			}
			return nil
		}))
		sorted("a change", s.Update(t.Context(), func(tx store.Tx) error { return tx.Put("b", "key-5", []byte("new")) }))
		sorted("Close", s.Close())
	})
}
