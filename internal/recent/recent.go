// Package recent keeps the values that were used last, for caches of very many: what the garbage collector has to
// look at does not grow with them but for what the values themselves point to. Values lie in blocks, beside what
// orders them, and are found by a number.
package recent

import "github.com/kagimori/kagimori/internal/sieve"

// A List holds at most so many values, by the hash of their keys. Two keys may have one hash: the later takes the place
// of the earlier, and whoever asks for a value looks whether it is the one that was meant. It is for one goroutine at a
// time.
type List[V any] struct {
	limit  int
	again  *sieve.Sieve
	at     map[uint64]int32 // where the value of a hash is
	blocks [][]node[V]
	free   int32 // the first place that a value has left, or none
	// head and tail are the places of the values that were used last, and longest ago; none if there are no values.
	head, tail int32
}

// node is a place of a value. next is also that of the next free place.
type node[V any] struct {
	val        V
	hash       uint64
	prev, next int32
}

const (
	none      = -1
	blockSize = 1 << 8
)

// New makes a list for at most limit values, at least one.
func New[V any](limit int) *List[V] {
	const lately = 4
	limit = max(limit, 1)
	return &List[V]{limit: limit, again: sieve.New(lately * limit), at: map[uint64]int32{}, free: none, head: none, tail: none}
}

// Welcome reports whether a value is worth keeping: there is room, or it was asked for before. Of values that come by
// once each, a full list would keep none for long enough.
func (l *List[V]) Welcome(hash uint64) bool { return l.Len() < l.limit || l.again.Again(hash) }

// Len is the number of values.
func (l *List[V]) Len() int { return len(l.at) }

// Get is the value of a hash, used now, or nil. It may be changed in its place, until the list changes.
func (l *List[V]) Get(hash uint64) *V {
	at, ok := l.at[hash]
	if !ok {
		return nil
	}
	if at != l.head {
		l.unlink(at)
		l.link(at)
	}
	return &l.node(at).val
}

// Peek is the value of a hash, or nil, which is not used by it.
func (l *List[V]) Peek(hash uint64) *V {
	if at, ok := l.at[hash]; ok {
		return &l.node(at).val
	}
	return nil
}

// Put keeps a value, used now. What gave room for it comes back: what the hash had before, or else what was used
// longest ago, if there are too many.
func (l *List[V]) Put(hash uint64, val V) (gone V, was bool) {
	gone, was = l.Remove(hash)
	if !was && l.Len() >= l.limit {
		gone, was = l.RemoveOldest()
	}
	at := l.place()
	n := l.node(at)
	n.val, n.hash = val, hash
	l.at[hash] = at
	l.link(at)
	return gone, was
}

// Remove forgets the value of a hash, which comes back if there was one.
func (l *List[V]) Remove(hash uint64) (gone V, was bool) {
	at, ok := l.at[hash]
	if !ok {
		return gone, false
	}
	return l.take(at), true
}

// RemoveOldest forgets the value that was used longest ago, which comes back if there was one.
func (l *List[V]) RemoveOldest() (gone V, was bool) {
	if l.tail == none {
		return gone, false
	}
	return l.take(l.tail), true
}

func (l *List[V]) take(at int32) V {
	l.unlink(at)
	n := l.node(at)
	gone := n.val
	delete(l.at, n.hash)
	*n = node[V]{next: l.free}
	l.free = at
	return gone
}

// place is a free one.
func (l *List[V]) place() int32 {
	if l.free == none {
		first := int32(len(l.blocks) * blockSize)
		block := make([]node[V], min(blockSize, l.limit-int(first)))
		for i := range block {
			block[i].next = first + int32(i) + 1
		}
		block[len(block)-1].next = none
		l.blocks, l.free = append(l.blocks, block), first
	}
	at := l.free
	l.free = l.node(at).next
	return at
}

func (l *List[V]) node(at int32) *node[V] { return &l.blocks[at/blockSize][at%blockSize] }

// link makes a value the one that was used last.
func (l *List[V]) link(at int32) {
	n := l.node(at)
	n.prev, n.next = none, l.head
	if l.head == none {
		l.tail = at
	} else {
		l.node(l.head).prev = at
	}
	l.head = at
}

func (l *List[V]) unlink(at int32) {
	n := l.node(at)
	if n.prev == none {
		l.head = n.next
	} else {
		l.node(n.prev).next = n.next
	}
	if n.next == none {
		l.tail = n.prev
	} else {
		l.node(n.next).prev = n.prev
	}
}
