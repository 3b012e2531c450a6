// Package sieve tells what was asked for before, in little memory that does not grow: caches keep what is
// asked for again, and leave out what comes by once, however much of it there is.
package sieve

// A Sieve remembers about as many values as it has places, of four bytes each, which it takes when it is
// first asked. It is for one goroutine at a time.
type Sieve struct {
	n    int
	seen []uint32
}

// New makes a sieve of n places, at least one.
func New(n int) *Sieve { return &Sieve{n: max(n, 1)} }

// Again reports whether the value was seen before, as far as the sieve remembers; one in four thousand
// millions is taken for another. From now on it was seen.
func (s *Sieve) Again(hash uint64) bool {
	if s.seen == nil {
		s.seen = make([]uint32, s.n)
	}
	at := &s.seen[hash%uint64(len(s.seen))]
	tag := uint32(hash>>32) | 1 // not 0, which is a free place
	if *at == tag {
		return true
	}
	*at = tag
	return false
}
