package soft

import (
	"container/list"
	"encoding/binary"
	"sync"

	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/sieve"
)

// cache keeps the material that was used last ready for use. A hit needs the whole of what
// unwrapping would have authenticated to be equal, not a hash of it, so a hit proves as much as
// unwrapping does. An entry that goes is forgotten, and its place in the arena freed: it is wiped once
// the requests that still use it are done. Once the cache is full, only what is used again soon is kept: of
// keys that are used once each, none would be there long enough.
type cache struct {
	size int

	mu     sync.Mutex               // guards the rest
	byKey  map[string]*list.Element // by the wrapped bytes, which nearly always tell
	recent *list.List               // of *cacheEntry, the last used first
	again  *sieve.Sieve
	closed bool
}

// cacheKey is public data: nothing in it is secret.
type cacheKey struct {
	arn, id, wrapped, public string
	spec                     hsm.Spec
}

type cacheEntry struct {
	key   cacheKey
	ready *ready
}

func newCache(size int) *cache {
	const lately = 4
	return &cache{size: size, byKey: make(map[string]*list.Element), recent: list.New(), again: sieve.New(lately * size)}
}

// find returns the entry whose whole key this is, or nil. The caller holds mu.
func (c *cache) find(arn string, m hsm.Material) *list.Element {
	e := c.byKey[string(m.Wrapped)]
	if e == nil {
		return nil
	}
	k := &e.Value.(*cacheEntry).key
	if k.arn != arn || k.id != m.ID || k.public != string(m.Public) || k.spec != m.Spec {
		return nil
	}
	return e
}

// get returns nil for what is not there.
func (c *cache) get(arn string, m hsm.Material) *ready {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.find(arn, m)
	if e == nil {
		return nil
	}
	c.recent.MoveToFront(e)
	return e.Value.(*cacheEntry).ready
}

// drop forgets one entry.
func (c *cache) drop(arn string, m hsm.Material) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.find(arn, m); e != nil {
		c.remove(e)
	}
}

// remove forgets an entry. The caller holds mu.
func (c *cache) remove(e *list.Element) {
	old := c.recent.Remove(e).(*cacheEntry)
	delete(c.byKey, old.key.wrapped)
	old.ready.free()
}

// free gives up the place in the arena.
func (r *ready) free() {
	if r.held != nil {
		r.held.Free()
	}
}

// evict forgets the entry that was used longest ago.
func (c *cache) evict() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.recent.Back(); e != nil {
		c.remove(e)
	}
}

// welcome reports whether material is to be kept: there is room, or it was used before.
func (c *cache) welcome(m hsm.Material) bool {
	const random = wrapHead + 8 // behind the head, wrapped material begins with random bytes
	if len(m.Wrapped) < random {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.recent.Len() < c.size || c.again.Again(binary.LittleEndian.Uint64(m.Wrapped[wrapHead:]))
}

// put keeps what was made ready, or frees it if it is there already.
func (c *cache) put(arn string, m hsm.Material, r *ready) {
	k := cacheKey{arn: arn, id: m.ID, wrapped: string(m.Wrapped), public: string(m.Public), spec: m.Spec}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.byKey[k.wrapped] != nil {
		r.free()
		return
	}
	c.byKey[k.wrapped] = c.recent.PushFront(&cacheEntry{k, r})
	if c.recent.Len() > c.size {
		c.remove(c.recent.Back())
	}
}

// close forgets everything and keeps nothing from now on.
func (c *cache) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for c.recent.Len() > 0 {
		c.remove(c.recent.Back())
	}
}
