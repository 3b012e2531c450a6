package bolt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"strings"

	bolt "go.etcd.io/bbolt"

	"github.com/kagimori/kagimori/internal/store"
)

// What bbolt writes, as its file has it ("The database file" in its documentation, and internal/common): two pages that
// say where everything is, which are written in turn, and trees of pages. A page is a head (number, kind, how many
// elements, how many more pages belong to it), the elements, and what they say, one directly behind the other. bbolt believes
// what it reads there and what is mapped: where it makes no sense it panics or faults, on a goroutine of its own when it
// checks, and where it does make sense, hidden elements or an old page are a wrong answer. So it is read here with bounds.
const (
	pageHead    = 16
	elementSize = 16
	metaSize    = 56 // without its checksum

	metaMagic   = 0xED0CDAED
	metaVersion = 2

	branchPage = 0x01
	leafPage   = 0x02
	freePage   = 0x10

	bucketElement = 0x01
	bucketHead    = 16 // of a bucket's value: root, sequence; the only page follows if there is no root
	manyElements  = 0xFFFF

	mostOfPage = 16 << 20 // bytes; a value has 1 MB at most, a page has few that are so large
)

// A meta is what one of the first two pages says.
type meta struct {
	pageSize         int64
	root, free, high uint64 // pages; high is the first that is not used
	txid             uint64
}

// parseMeta reads a page; ok is false if its checksum is of something else.
func parseMeta(page []byte) (m meta, ok bool) {
	e := binary.NativeEndian
	if len(page) < pageHead+metaSize+8 {
		return m, false
	}
	b := page[pageHead:]
	h := fnv.New64a()
	h.Write(b[:metaSize])
	if e.Uint32(b) != metaMagic || e.Uint32(b[4:]) != metaVersion || e.Uint64(b[metaSize:]) != h.Sum64() {
		return m, false
	}
	m = meta{pageSize: int64(e.Uint32(b[8:])), root: e.Uint64(b[16:]), free: e.Uint64(b[32:]), high: e.Uint64(b[40:]), txid: e.Uint64(b[48:])}
	return m, m.pageSize >= pageHead+metaSize+8
}

// newestMeta reads both of these pages. They are good in every file: one is written as a whole, in less than a sector of
// a disk, while the other is not touched. bbolt would go back to the other one if one is damaged, and with it to before
// the last change, which may be what took a right away.
func newestMeta(file io.ReaderAt, pageSize int64) (meta, error) {
	var of [2]meta
	for i := range of {
		page, ok := make([]byte, pageHead+metaSize+8), false
		if _, err := file.ReadAt(page, int64(i)*pageSize); err != nil {
			return meta{}, fmt.Errorf("page %d: %w", i, err)
		}
		if of[i], ok = parseMeta(page); !ok || of[i].pageSize != pageSize {
			return meta{}, fmt.Errorf("page %d, one of two that say where everything is, is damaged, and the other may be a change older", i)
		}
	}
	if of[1].txid > of[0].txid {
		return of[1], nil
	}
	return of[0], nil
}

// metaOf is what a transaction goes by.
func metaOf(tx *bolt.Tx) (m meta, err error) {
	var first firstPage
	if _, err := tx.WriteTo(&first); first == nil {
		return m, err
	}
	m, ok := parseMeta(first)
	if !ok {
		return m, errors.New("the first page makes no sense")
	}
	return m, nil
}

// firstPage keeps what is written first, and wants no more.
type firstPage []byte

func (f *firstPage) Write(p []byte) (int, error) {
	if *f == nil {
		*f = bytes.Clone(p)
	}
	return 0, io.ErrShortWrite
}

// pages are those of a file as of one moment.
type pages struct {
	file io.ReaderAt
	meta
	free, used bitmap
	errs       []error
}

type bitmap []uint64

func (b bitmap) has(n uint64) bool { return b[n/64]&(1<<(n%64)) != 0 }
func (b bitmap) add(n uint64)      { b[n/64] |= 1 << (n % 64) }

// freePages reads the list of free pages.
func freePages(file io.ReaderAt, size int64, m meta) (*pages, error) {
	if m.high < 4 || m.high > uint64(size/m.pageSize) {
		return nil, fmt.Errorf("it has %d bytes and should have %d pages of %d", size, m.high, m.pageSize)
	}
	p := &pages{file: file, meta: m, free: make(bitmap, m.high/64+1), used: make(bitmap, m.high/64+1)}
	list, count, err := p.read(m.free, freePage)
	if err != nil {
		return nil, fmt.Errorf("the list of free pages: %w", err)
	}
	ids, n := list[pageHead:], uint64(count)
	if count == manyElements {
		n, ids = binary.NativeEndian.Uint64(ids), ids[8:]
	}
	if n > uint64(len(ids)/8) {
		return nil, fmt.Errorf("the list of free pages, page %d, is longer than its pages", m.free)
	}
	last := uint64(1)
	for i := range n {
		id := binary.NativeEndian.Uint64(ids[8*i:])
		if id <= last || id >= m.high || p.used.has(id) {
			return nil, fmt.Errorf("the list of free pages, page %d, has page %d, which cannot be", m.free, id)
		}
		p.free.add(id)
		last = id
	}
	return p, nil
}

// read reads a page, and those that belong to it, of one of some kinds. They are used from now on.
func (p *pages) read(id uint64, kinds uint16) (page []byte, count int, err error) {
	if id < 2 || id >= p.high {
		return nil, 0, fmt.Errorf("page %d is not there", id)
	}
	head := make([]byte, p.pageSize)
	if _, err := p.file.ReadAt(head, int64(id)*p.pageSize); err != nil {
		return nil, 0, fmt.Errorf("page %d: %w", id, err)
	}
	e := binary.NativeEndian
	kind, more := e.Uint16(head[8:]), uint64(e.Uint32(head[12:]))
	most := uint64(mostOfPage / p.pageSize)
	if kind == freePage {
		most = p.high * 8 / uint64(p.pageSize)
	}
	if e.Uint64(head) != id || kind&kinds == 0 || kind&(kind-1) != 0 || more >= p.high-id || more > most {
		return nil, 0, fmt.Errorf("page %d is damaged: its head makes no sense", id)
	}
	for n := id; n <= id+more; n++ {
		if p.free.has(n) || p.used.has(n) {
			return nil, 0, fmt.Errorf("page %d is used twice", n)
		}
		p.used.add(n)
	}
	if more > 0 {
		head = append(head, make([]byte, int64(more)*p.pageSize)...)
		if _, err := p.file.ReadAt(head[p.pageSize:], int64(id+1)*p.pageSize); err != nil {
			return nil, 0, fmt.Errorf("page %d: %w", id, err)
		}
	}
	return head, int(e.Uint16(head[10:])), nil
}

// wrong notes a damage.
func (p *pages) wrong(format string, a ...any) {
	if len(p.errs) < tellDamages {
		p.errs = append(p.errs, fmt.Errorf(format, a...))
	}
}

// walk reads all trees, and finds whether each page is in one of them or free.
func (p *pages) walk() []error {
	p.tree(p.root, bounds{})
	for id := uint64(2); id < p.high && len(p.errs) == 0; id++ { // what is below a damaged page is not reached
		if !p.used.has(id) && !p.free.has(id) {
			p.wrong("page %d is neither used nor free", id)
		}
	}
	return p.errs
}

// bounds are the keys that a page may have: from lo, below hi unless that is nil.
type bounds struct{ lo, hi []byte }

func (b bounds) has(key []byte) bool {
	return bytes.Compare(key, b.lo) >= 0 && (b.hi == nil || bytes.Compare(key, b.hi) < 0)
}

// tree reads a page and what is below it.
func (p *pages) tree(id uint64, in bounds) {
	page, count, err := p.read(id, branchPage|leafPage)
	if err != nil {
		p.wrong("%w", err)
		return
	}
	if err := p.elements(page, count, in); err != nil {
		p.wrong("page %d is damaged: %w", id, err)
	}
}

// elements reads what is on a page, and goes on below.
func (p *pages) elements(page []byte, count int, in bounds) error {
	e := binary.NativeEndian
	branch := e.Uint16(page[8:]) == branchPage
	at := pageHead + count*elementSize // where an element's data are: directly behind those of the one before
	if branch && count == 0 || at > len(page) {
		return fmt.Errorf("it cannot have %d elements", count)
	}
	type child struct {
		id  uint64
		key []byte
	}
	var children []child
	var last []byte
	for i := range count {
		from := pageHead + i*elementSize
		el := page[from:]
		flags, pos, keyed, valued, below := e.Uint32(el), e.Uint32(el[4:]), int64(e.Uint32(el[8:])), int64(e.Uint32(el[12:])), uint64(0)
		if branch {
			flags, pos, keyed, valued, below = 0, e.Uint32(el), int64(e.Uint32(el[4:])), 0, e.Uint64(el[8:])
		}
		if int64(from)+int64(pos) != int64(at) || keyed == 0 || int64(at)+keyed+valued > int64(len(page)) || flags&^bucketElement != 0 {
			return fmt.Errorf("element %d of %d is not where it should be", i, count)
		}
		key := page[at : at+int(keyed)]
		value := page[at+int(keyed) : at+int(keyed+valued)]
		at += int(keyed + valued)
		if i > 0 && bytes.Compare(last, key) >= 0 || !in.has(key) && !(branch && i == 0) { // a branch's first may be of what went
			return fmt.Errorf("its keys are not in order at %q", strings.Join(store.SplitKey(string(key)), "/"))
		}
		last = key
		switch {
		case branch:
			children = append(children, child{below, key})
		case flags == bucketElement:
			if err := p.bucket(value); err != nil {
				return fmt.Errorf("bucket %q: %w", key, err)
			}
		}
	}
	for i, c := range children {
		b := bounds{lo: c.key, hi: in.hi}
		if i == 0 {
			b.lo = in.lo
		}
		if i+1 < len(children) {
			b.hi = children[i+1].key
		}
		p.tree(c.id, b)
	}
	return nil
}

// bucket reads a bucket that is an element's value.
func (p *pages) bucket(value []byte) error {
	if len(value) < bucketHead {
		return errors.New("it is cut off")
	}
	if root := binary.NativeEndian.Uint64(value); root != 0 {
		p.tree(root, bounds{})
		return nil
	}
	page := value[bucketHead:]
	if len(page) < pageHead || binary.NativeEndian.Uint16(page[8:]) != leafPage {
		return errors.New("its only page makes no sense")
	}
	return p.elements(page, int(binary.NativeEndian.Uint16(page[10:])), bounds{})
}

// structure is an error if the file's pages, of which no others are being written, are not what bbolt made; of a large
// file only those are read that say where everything is, and which are free.
func structure(file io.ReaderAt, size, pageSize int64) error {
	m, err := newestMeta(file, pageSize)
	if err != nil {
		return err
	}
	p, err := freePages(file, size, m)
	if err != nil {
		return err
	}
	if int64(m.high)*m.pageSize > smallStore {
		return nil
	}
	if errs := p.walk(); len(errs) > 1 {
		return fmt.Errorf("%w (and %d more)", errs[0], len(errs)-1)
	} else if len(errs) == 1 {
		return errs[0]
	}
	return nil
}
