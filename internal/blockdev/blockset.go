package blockdev

import (
	"math/bits"
	"sync/atomic"
)

// A blockSet is a set of blocks of a volume. All methods may run at the same time.
type blockSet struct{ words []atomic.Uint64 }

func blockCount(size int64) int64 { return (size + BlockSize - 1) / BlockSize }

// newBlockSet is an empty set for a volume of a size.
func newBlockSet(size int64) *blockSet {
	return &blockSet{make([]atomic.Uint64, (blockCount(size)+63)/64)}
}

func (s *blockSet) add(block int64) {
	if w := &s.words[block/64]; w.Load()>>(block%64)&1 == 0 {
		w.Or(1 << (block % 64))
	}
}

func (s *blockSet) has(block int64) bool {
	return s.words[block/64].Load()>>(block%64)&1 == 1
}

// take removes a block and reports whether it was there.
func (s *blockSet) take(block int64) bool {
	bit := uint64(1) << (block % 64)
	return s.words[block/64].And(^bit)&bit != 0
}

// addAll adds the blocks of a set that is not larger.
func (s *blockSet) addAll(other *blockSet) {
	for i := range other.words {
		s.words[i].Or(other.words[i].Load())
	}
}

// list are the blocks, ascending.
func (s *blockSet) list() []int64 {
	var out []int64
	for i := range s.words {
		for w := s.words[i].Load(); w != 0; w &= w - 1 {
			out = append(out, int64(i)*64+int64(bits.TrailingZeros64(w)))
		}
	}
	return out
}

// grown is a copy for a volume of a larger size.
func (s *blockSet) grown(size int64) *blockSet {
	n := newBlockSet(size)
	n.addAll(s)
	return n
}
