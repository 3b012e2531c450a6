// Package squeeze writes gzip of lines that are much alike, as those of a log are, at half the cost of a
// writer for everything, and as small. Anything that reads gzip reads it.
//
// The next line is mostly what the line before was at the same distance, except where a number, a time or an
// id differs. So the last distance is tried first, and soon again after it failed; only then is anything
// searched for.
//
// Sources: RFC 1951 and RFC 1952.
package squeeze

import (
	"encoding/binary"
	"hash/crc32"
	"io"
	"math/bits"
)

const (
	window   = 32 << 10  // how far back a match may be
	room     = 256 << 10 // of a block, beside the window
	word     = 8         // the shortest match
	longest  = 258
	ahead    = 72 // how far the last distance is tried again: more than a hash in hex
	hashBits = 13
	step     = 32 // of what a match covers, so many bytes apart can be found later
)

// A Writer compresses. Its methods are for one goroutine at a time.
type Writer struct {
	out   bitWriter
	begun bool
	note  string
	sum   uint32
	size  uint32

	buf     []byte // of the window, what comes, or both
	at      int    // buf[at:] is not written yet
	base    uint32 // where buf begins in all that came
	rep     int    // the last distance; 0 is none
	checked int    // up to there the last distance does not come back
	table   [1 << hashBits]uint32
	tokens  []uint32 // a byte, or a match: see match
}

// NewWriter makes a Writer, with a comment for the header, in ASCII.
func NewWriter(w io.Writer, comment string) *Writer {
	return &Writer{out: bitWriter{w: w}, note: comment, buf: make([]byte, 0, window+room)}
}

// Write takes more.
func (w *Writer) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		m := copy(w.free(), p)
		w.took(m)
		p = p[m:]
	}
	return n, w.out.err
}

// ReadFrom takes all that comes, without a copy in between.
func (w *Writer) ReadFrom(r io.Reader) (n int64, err error) {
	for w.out.err == nil {
		m, err := r.Read(w.free())
		w.took(m)
		n += int64(m)
		if err == io.EOF {
			break
		}
		if err != nil {
			return n, err
		}
	}
	return n, w.out.err
}

// free is room for more.
func (w *Writer) free() []byte {
	if len(w.buf) == cap(w.buf) {
		w.block(false)
	}
	return w.buf[len(w.buf):cap(w.buf)]
}

// took says how much of what free gave was filled.
func (w *Writer) took(n int) {
	all := w.buf[:len(w.buf)+n]
	w.sum = crc32.Update(w.sum, crc32.IEEETable, all[len(w.buf):])
	w.size += uint32(n)
	w.buf = all
}

// Close writes the rest, and does not close what is written to.
func (w *Writer) Close() error {
	w.block(true)
	w.out.align()
	w.out.b = binary.LittleEndian.AppendUint32(w.out.b, w.sum)
	w.out.b = binary.LittleEndian.AppendUint32(w.out.b, w.size)
	w.out.flush()
	return w.out.err
}

// header is that of a file of gzip.
func (w *Writer) header() {
	const deflate, hasComment, unknown = 8, 1 << 4, 255
	w.out.b = append(w.out.b, 0x1f, 0x8b, deflate, 0, 0, 0, 0, 0, 0, unknown)
	if w.note != "" {
		w.out.b[3] = hasComment
		w.out.b = append(append(w.out.b, w.note...), 0)
	}
}

// block writes what is in the buffer and keeps its end for the next one.
func (w *Writer) block(last bool) {
	if !w.begun {
		w.begun = true
		w.header()
	}
	w.tokens = w.tokens[:0]
	w.find()
	w.out.block(w.tokens, last)
	w.out.flush()
	if over := len(w.buf) - window; over > 0 {
		copy(w.buf, w.buf[over:])
		w.buf = w.buf[:window]
		w.base += uint32(over)
		w.checked -= over
	}
	w.at = len(w.buf)
}

func load(b []byte, i int) uint64 { return binary.LittleEndian.Uint64(b[i : i+word]) }

func hashOf(x uint64) uint64 { return x * 0x9e3779b97f4a7c15 >> (64 - hashBits) }

// find makes tokens of what is not written yet.
func (w *Writer) find() {
	b, p, end := w.buf, w.at, len(w.buf)-word
	for p <= end {
		x := load(b, p)
		d := w.rep
		if d == 0 || d > p || load(b, p-d) != x {
			if n := w.again(p, end); n > 0 {
				w.literals(b[p : p+n])
				w.table[hashOf(x)] = w.base + uint32(p)
				p += n
				continue
			}
			h := hashOf(x)
			here := w.base + uint32(p)
			d = int(here - w.table[h])
			w.table[h] = here
			if d == 0 || d > window || d > p || load(b, p-d) != x {
				w.tokens = append(w.tokens, uint32(b[p]))
				p++
				continue
			}
			w.rep, w.checked = d, 0
		}
		n := same(b, p, d)
		for q := p; q < p+n && q <= end; q += step {
			w.table[hashOf(load(b, q))] = w.base + uint32(q)
		}
		w.match(n, d)
		p += n
	}
	w.literals(b[p:])
}

// again is how far from p the last distance comes back; 0 if it does not soon.
func (w *Writer) again(p, end int) int {
	b, d := w.buf, w.rep
	if d == 0 || d > p || p < w.checked {
		return 0
	}
	for n := 1; n <= ahead && p+n <= end; n++ {
		if load(b, p+n) == load(b, p+n-d) {
			return n
		}
	}
	w.checked = p + ahead
	return 0
}

// same is how many bytes at p are those at the distance before, of which there is a word.
func same(b []byte, p, d int) int {
	n := word
	for ; p+n+word <= len(b); n += word {
		if x := load(b, p+n) ^ load(b, p+n-d); x != 0 {
			return n + bits.TrailingZeros64(x)/8
		}
	}
	for p+n < len(b) && b[p+n] == b[p+n-d] {
		n++
	}
	return n
}

func (w *Writer) literals(b []byte) {
	for _, c := range b {
		w.tokens = append(w.tokens, uint32(c))
	}
}

// isMatch marks a token that is a match: its length less 3 from bit 15 on, and its distance less 1.
const isMatch = 1 << 31

func (w *Writer) match(n, d int) {
	for n > 0 {
		m := min(n, longest)
		if rest := n - m; rest > 0 && rest < 3 { // too short for one of its own
			m -= 3
		}
		w.tokens = append(w.tokens, isMatch|uint32(m-3)<<15|uint32(d-1))
		n -= m
	}
}
