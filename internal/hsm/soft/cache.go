package soft

import (
	"hash/maphash"
	"sync"

	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/recent"
)

// cache keeps the material that was used last ready for use. A hit needs the whole of what
// unwrapping would have authenticated to be equal, not a hash of it, so a hit proves as much as
// unwrapping does. An entry that goes is forgotten, and its place in the arena freed: it is wiped once
// the requests that still use it are done. Once the cache is full, only what is used again soon is kept: of
// keys that are used once each, none would be there long enough.
type cache struct {
	seed maphash.Seed

	mu      sync.Mutex               // guards the rest
	entries *recent.List[cacheEntry] // by the hash of the wrapped bytes, which nearly always tell
	uses    uint32                   // so many, modulo 2^32
	closed  bool
}

// A cacheEntry is what is ready, under what unwrapping would have authenticated: public data, none of it secret.
type cacheEntry struct {
	arn, id, wrapped, public string
	spec                     hsm.Spec
	ready                    *ready
	last                     uint32 // of the uses of the cache, that of the entry
}

func newCache(size int) *cache {
	return &cache{seed: maphash.MakeSeed(), entries: recent.New[cacheEntry](size)}
}

func (c *cache) hash(m hsm.Material) uint64 { return maphash.Bytes(c.seed, m.Wrapped) }

func (e *cacheEntry) is(arn string, m hsm.Material) bool {
	return e.wrapped == string(m.Wrapped) && e.arn == arn && e.id == m.ID && e.public == string(m.Public) && e.spec == m.Spec
}

// get returns nil for what is not there. soon is whether it was used not long ago.
func (c *cache) get(arn string, m hsm.Material) (r *ready, soon bool) {
	const long = 1 << 14 // uses of any keys
	hash := c.hash(m)
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries.Get(hash)
	if e == nil || !e.is(arn, m) {
		return nil, false
	}
	c.uses++
	soon = c.uses-e.last < long
	e.last = c.uses
	return e.ready, soon
}

// drop forgets one entry.
func (c *cache) drop(arn string, m hsm.Material) {
	hash := c.hash(m)
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entries.Peek(hash); e != nil && e.is(arn, m) {
		c.forget(c.entries.Remove(hash))
	}
}

// forget frees an entry that went, if any did.
func (c *cache) forget(e cacheEntry, went bool) {
	if went {
		e.ready.held.Free()
	}
}

// evict forgets the entry that was used longest ago.
func (c *cache) evict() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forget(c.entries.RemoveOldest())
}

// welcome reports whether material is to be kept: there is room, or it was used before.
func (c *cache) welcome(m hsm.Material) bool {
	hash := c.hash(m)
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.entries.Welcome(hash)
}

// put keeps what was made ready, or frees it if it is there already.
func (c *cache) put(arn string, m hsm.Material, r *ready) {
	hash := c.hash(m)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.entries.Peek(hash) != nil {
		r.held.Free()
		return
	}
	c.forget(c.entries.Put(hash, cacheEntry{
		arn: arn, id: m.ID, wrapped: string(m.Wrapped), public: string(m.Public), spec: m.Spec, ready: r, last: c.uses,
	}))
}

// close forgets everything and keeps nothing from now on.
func (c *cache) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for c.entries.Len() > 0 {
		c.forget(c.entries.RemoveOldest())
	}
}
