package blockdev

import (
	"crypto/sha256"
	"encoding/binary"
	"iter"
	"math/bits"
	"sync/atomic"
)

const (
	pageBytes   = 4096
	pageWords   = pageBytes / 8
	pageSectors = pageBytes * 8
)

// bitmap is the allocation map in memory: 32 MiB for each TiB that was written, nothing for pages
// without a bit. All methods may run at the same time; who changes the bits of a block holds its
// stripe lock (see Volume), so check-then-act within a block is safe, too.
type bitmap struct {
	sectors int64
	pages   []atomic.Pointer[page]
}

// page has the bits of 128 MiB of the volume.
type page struct {
	words [pageWords]atomic.Uint64
	dirty atomic.Bool // changed since it was last taken for writing
}

func newBitmap(h *header) *bitmap {
	return &bitmap{sectors: h.sectors(), pages: make([]atomic.Pointer[page], h.mapPages())}
}

// load fills page i from its bytes on disk.
func (b *bitmap) load(i int64, raw []byte) {
	p := new(page)
	for w := range p.words {
		p.words[w].Store(binary.LittleEndian.Uint64(raw[w*8:]))
	}
	b.pages[i].Store(p)
}

// bytes are the page as it is on disk.
func (p *page) bytes() []byte {
	raw := make([]byte, 0, pageBytes)
	for w := range p.words {
		raw = binary.LittleEndian.AppendUint64(raw, p.words[w].Load())
	}
	return raw
}

// words calls f with each word that has bits of the sectors [from, to), and a mask of those bits. A
// page that does not exist is made if create is set, else skipped.
func (b *bitmap) words(from, to int64, create bool, f func(p *page, w *atomic.Uint64, mask uint64)) {
	for s := from; s < to; {
		slot := &b.pages[s/pageSectors]
		p := slot.Load()
		if p == nil {
			if !create {
				s = (s/pageSectors + 1) * pageSectors
				continue
			}
			slot.CompareAndSwap(nil, new(page))
			p = slot.Load()
		}
		end := min(to, (s/64+1)*64)
		mask := ^uint64(0) >> (64 - (end - s)) << (s % 64)
		f(p, &p.words[s%pageSectors/64], mask)
		s = end
	}
}

// set marks the sectors [from, to) as written.
func (b *bitmap) set(from, to int64) {
	b.words(from, to, true, func(p *page, w *atomic.Uint64, mask uint64) {
		if w.Or(mask)&mask != mask {
			p.dirty.Store(true)
		}
	})
}

// clear marks the sectors [from, to) as holes and reports whether one was not.
func (b *bitmap) clear(from, to int64) (changed bool) {
	b.words(from, to, false, func(p *page, w *atomic.Uint64, mask uint64) {
		if w.And(^mask)&mask != 0 {
			p.dirty.Store(true)
			changed = true
		}
	})
	return changed
}

// run tells whether sector from < to was written, and where the run of sectors like it ends; to ends
// every run.
func (b *bitmap) run(from, to int64) (end int64, set bool) {
	for s := from; s < to; {
		p := b.pages[s/pageSectors].Load()
		next, word := (s/64+1)*64, uint64(0)
		if p == nil {
			next = (s/pageSectors + 1) * pageSectors
		} else {
			word = p.words[s%pageSectors/64].Load()
		}
		if s == from {
			set = word>>(s%64)&1 == 1
		}
		if set {
			word = ^word
		}
		if word >>= s % 64; word != 0 {
			return min(to, s+int64(bits.TrailingZeros64(word))), set
		}
		s = next
	}
	return to, set
}

// runs are the runs of written sectors in order, as [from, to).
func (b *bitmap) runs() iter.Seq2[int64, int64] {
	return func(yield func(from, to int64) bool) {
		for s := int64(0); s < b.sectors; {
			end, set := b.run(s, b.sectors)
			if set && !yield(s, end) {
				return
			}
			s = end
		}
	}
}

// taken are pages as they were at some moment, by number, in the form they have on disk.
type taken map[int64][]byte

// take gives the pages that changed since they were last taken.
func (b *bitmap) take() taken {
	t := taken{}
	for i := range b.pages {
		// The mark goes first: a bit that is set meanwhile marks the page again.
		if p := b.pages[i].Load(); p != nil && p.dirty.Swap(false) {
			t[int64(i)] = p.bytes()
		}
	}
	return t
}

// all gives every page, without marking it as taken.
func (b *bitmap) all() taken {
	t := taken{}
	for i := range b.pages {
		if p := b.pages[i].Load(); p != nil {
			t[int64(i)] = p.bytes()
		}
	}
	return t
}

// add takes the pages of the given extents (of bytes), too, changed or not.
func (b *bitmap) add(t taken, extents []Extent) {
	for _, e := range extents {
		for i := e.Offset / SectorSize / pageSectors; i <= (e.Offset+e.Length-1)/SectorSize/pageSectors; i++ {
			if p := b.pages[i].Load(); p != nil && t[i] == nil {
				t[i] = p.bytes()
			}
		}
	}
}

// giveBack marks pages that were taken but not written as changed again.
func (b *bitmap) giveBack(t taken) {
	for i := range t {
		b.pages[i].Load().dirty.Store(true)
	}
}

// has tells whether the bit of sector s is set in the pages taken; ok is false if its page is not
// among them.
func (t taken) has(s int64) (set, ok bool) {
	raw, ok := t[s/pageSectors]
	if !ok {
		return false, false
	}
	bit := s % pageSectors
	return raw[bit/8]>>(bit%8)&1 == 1, true
}

// sum is the checksum of the map: SHA-256 over number and bytes of each page that has a bit, so it
// does not depend on which empty pages exist.
func (b *bitmap) sum() (sum [32]byte) {
	h := sha256.New()
	var empty [pageBytes]byte
	for i := range b.pages {
		p := b.pages[i].Load()
		if p == nil {
			continue
		}
		if raw := p.bytes(); string(raw) != string(empty[:]) {
			_, _ = h.Write(binary.LittleEndian.AppendUint64(nil, uint64(i)))
			_, _ = h.Write(raw)
		}
	}
	return [32]byte(h.Sum(nil))
}

// overrun reports whether a bit beyond the last sector is set, which no writer does.
func (b *bitmap) overrun() bool {
	found := false
	b.words(b.sectors, int64(len(b.pages))*pageSectors, false, func(_ *page, w *atomic.Uint64, mask uint64) {
		found = found || w.Load()&mask != 0
	})
	return found
}

// block are the written sectors of a block.
func (b *bitmap) block(n int64) (set sectorSet) {
	first := n * blockSectors
	p := b.pages[first/pageSectors].Load()
	if p == nil {
		return set
	}
	for w := range set {
		set[w] = p.words[first%pageSectors/64+int64(w)].Load()
	}
	return set
}
