package soft

import (
	"container/list"
	"sync"

	"github.com/kagimori/kagimori/internal/hsm"
)

// cache keeps the material that was used last ready for use. A hit needs the whole of what
// unwrapping would have authenticated to be equal, not a hash of it, so a hit proves as much as
// unwrapping does. An entry that goes is only forgotten: a request may still be using it, and
// a key schedule has no bytes of ours to wipe.
type cache struct {
	size int

	mu     sync.Mutex // guards the rest
	byKey  map[cacheKey]*list.Element
	recent *list.List // of *cacheEntry, the last used first
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
	return &cache{size: size, byKey: make(map[cacheKey]*list.Element), recent: list.New()}
}

// get returns nil for what is not there.
func (c *cache) get(arn string, m hsm.Material) *ready {
	c.mu.Lock()
	defer c.mu.Unlock()
	// Written in place, the conversions do not copy.
	e := c.byKey[cacheKey{arn: arn, id: m.ID, wrapped: string(m.Wrapped), public: string(m.Public), spec: m.Spec}]
	if e == nil {
		return nil
	}
	c.recent.MoveToFront(e)
	return e.Value.(*cacheEntry).ready
}

// drop forgets one entry.
func (c *cache) drop(arn string, m hsm.Material) {
	k := cacheKey{arn: arn, id: m.ID, wrapped: string(m.Wrapped), public: string(m.Public), spec: m.Spec}
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.byKey[k]; e != nil {
		delete(c.byKey, k)
		c.recent.Remove(e)
	}
}

func (c *cache) put(arn string, m hsm.Material, r *ready) {
	k := cacheKey{arn: arn, id: m.ID, wrapped: string(m.Wrapped), public: string(m.Public), spec: m.Spec}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.byKey[k] != nil {
		return
	}
	c.byKey[k] = c.recent.PushFront(&cacheEntry{k, r})
	if c.recent.Len() > c.size {
		delete(c.byKey, c.recent.Remove(c.recent.Back()).(*cacheEntry).key)
	}
}

// close forgets everything and keeps nothing from now on.
func (c *cache) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	clear(c.byKey)
	c.recent.Init()
}
