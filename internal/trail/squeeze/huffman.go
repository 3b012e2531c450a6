package squeeze

import (
	"cmp"
	"encoding/binary"
	"io"
	"math/bits"
	"slices"
)

// Alphabets of RFC 1951, sections 3.2.5 to 3.2.7.
const (
	endOfBlock = 256
	literals   = 286
	distances  = 30
	lengths    = 19 // codes of the lengths of codes
	maxCode    = 15
	maxLength  = 7 // of the codes of lengths
)

// order is that in which the lengths of the codes of lengths come. Source: RFC 1951, section 3.2.7.
var order = [lengths]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// lengthCode is the code of the length of a match less 3, and how many bits of it follow.
func lengthCode(l uint32) (code, extra uint32) {
	switch {
	case l < 8:
		return 257 + l, 0
	case l == longest-3:
		return 285, 0
	}
	n := uint32(bits.Len32(l)) - 1
	return 257 + 4*(n-1) + l>>(n-2)&3, n - 2
}

// distanceCode is that of a distance less 1.
func distanceCode(d uint32) (code, extra uint32) {
	if d < 4 {
		return d, 0
	}
	n := uint32(bits.Len32(d)) - 1
	return 2*n + d>>(n-1)&1, n - 1
}

// A code is a symbol's: its bits, the first one lowest, and how many.
type code struct {
	bits uint16
	n    uint8
}

// A bitWriter gathers bits.
type bitWriter struct {
	w   io.Writer
	b   []byte
	acc uint64
	n   uint // in acc; fewer than 32
	err error
}

// put takes at most 32 bits.
func (o *bitWriter) put(v uint32, n uint8) {
	o.acc |= uint64(v) << o.n
	if o.n += uint(n); o.n >= 32 {
		o.b = binary.LittleEndian.AppendUint32(o.b, uint32(o.acc))
		o.acc >>= 32
		o.n -= 32
	}
}

// align goes on at the next whole byte.
func (o *bitWriter) align() {
	for ; o.n > 0; o.n -= min(o.n, 8) {
		o.b = append(o.b, byte(o.acc))
		o.acc >>= 8
	}
}

func (o *bitWriter) flush() {
	if o.err == nil {
		_, o.err = o.w.Write(o.b)
	}
	o.b = o.b[:0]
}

// block writes a block with codes of its own.
func (o *bitWriter) block(tokens []uint32, last bool) {
	var lit [literals]uint32
	var dist [distances]uint32
	for _, t := range tokens {
		if t&isMatch == 0 {
			lit[t]++
			continue
		}
		l, _ := lengthCode(t >> 15 & 0xff)
		d, _ := distanceCode(t & 0x7fff)
		lit[l]++
		dist[d]++
	}
	lit[0], lit[endOfBlock] = lit[0]+1, 1   // there are two codes at least
	dist[0], dist[1] = dist[0]+1, dist[1]+1 // of these too
	var litCodes [literals]code
	var distCodes [distances]code
	assign(litCodes[:], lit[:], maxCode)
	assign(distCodes[:], dist[:], maxCode)
	o.codes(litCodes[:], distCodes[:], last)
	for _, t := range tokens {
		if t&isMatch == 0 {
			c := litCodes[t]
			o.put(uint32(c.bits), c.n)
			continue
		}
		n, far := t>>15&0xff, t&0x7fff
		l, extra := lengthCode(n)
		c := litCodes[l]
		o.put(uint32(c.bits)|n&(1<<extra-1)<<c.n, c.n+uint8(extra))
		d, extra := distanceCode(far)
		c = distCodes[d]
		o.put(uint32(c.bits)|far&(1<<extra-1)<<c.n, c.n+uint8(extra))
	}
	o.put(uint32(litCodes[endOfBlock].bits), litCodes[endOfBlock].n)
}

// codes writes the beginning of a block: the lengths of its codes.
func (o *bitWriter) codes(lit, dist []code, last bool) {
	var used [lengths]uint32
	for _, c := range [][]code{lit, dist} {
		for i := range c {
			used[c[i].n]++
		}
	}
	used[0], used[1] = used[0]+1, used[1]+1 // there are two at least
	var codes [lengths]code
	assign(codes[:], used[:], maxLength)
	final := uint32(0)
	if last {
		final = 1
	}
	const dynamic = 2
	o.put(final|dynamic<<1|(literals-257)<<3|(distances-1)<<8|(lengths-4)<<13, 17)
	for _, i := range order {
		o.put(uint32(codes[i].n), 3)
	}
	for _, c := range [][]code{lit, dist} {
		for i := range c {
			l := codes[c[i].n]
			o.put(uint32(l.bits), l.n)
		}
	}
}

// assign gives the symbols that occur their codes, none longer than most. There are two at least.
func assign(codes []code, used []uint32, most int) {
	var syms []int
	for s, n := range used {
		if n > 0 {
			syms = append(syms, s)
		}
	}
	slices.SortStableFunc(syms, func(a, b int) int { return cmp.Compare(used[a], used[b]) })
	count := limit(depths(syms, used), most)
	// The longest codes are of what occurs least.
	i := 0
	for n := most; n > 0; n-- {
		for range count[n] {
			codes[syms[i]].n = uint8(n)
			i++
		}
	}
	// Source: RFC 1951, section 3.2.2.
	var next [maxCode + 1]uint16
	for n := 1; n <= most; n++ {
		next[n] = (next[n-1] + uint16(count[n-1])) << 1
	}
	for s := range codes {
		if n := codes[s].n; n > 0 {
			codes[s].bits = bits.Reverse16(next[n]) >> (16 - n)
			next[n]++
		}
	}
}

// depths counts how many symbols are how deep in Huffman's tree: they come in ascending order of their use.
func depths(syms []int, used []uint32) []int {
	type node struct {
		weight uint64
		parent int
	}
	nodes := make([]node, len(syms), 2*len(syms))
	for i, s := range syms {
		nodes[i].weight = uint64(used[s])
	}
	leaf, inner := 0, len(syms)
	least := func() int { // of what has no parent yet
		if leaf < len(syms) && (inner >= len(nodes) || nodes[leaf].weight <= nodes[inner].weight) {
			leaf++
			return leaf - 1
		}
		inner++
		return inner - 1
	}
	for range len(syms) - 1 {
		a, b := least(), least()
		nodes[a].parent, nodes[b].parent = len(nodes), len(nodes)
		nodes = append(nodes, node{weight: nodes[a].weight + nodes[b].weight})
	}
	depth := make([]int, len(nodes))
	count := make([]int, len(syms)+1)
	for i := len(nodes) - 2; i >= 0; i-- {
		depth[i] = depth[nodes[i].parent] + 1
		if i < len(syms) {
			count[depth[i]]++
		}
	}
	return count
}

// limit makes codes that are too long short enough: their tree keeps as many leaves.
func limit(count []int, most int) []int {
	out := make([]int, most+1)
	full := 0 // of 1<<most
	for n, c := range count {
		out[min(n, most)] += c
		full += c << (most - min(n, most))
	}
	out[0] = 0
	for ; full > 1<<most; full-- {
		n := most - 1
		for out[n] == 0 {
			n--
		}
		out[n]-- // becomes a node with itself and one of the longest below
		out[n+1] += 2
		out[most]--
	}
	return out
}
