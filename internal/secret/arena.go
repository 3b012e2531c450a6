package secret

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
)

// An Arena holds a bounded number of short secrets in one slab of memory outside the Go heap: never
// swapped out where the system allows it, left out of core dumps, wiped when they go. Safe for
// concurrent use.
type Arena struct {
	size    int
	pinned  bool
	region  *region
	cleanup runtime.Cleanup

	mu     sync.Mutex // guards the rest
	free   []int32    // offsets in slots
	used   int
	closed bool
}

// A Held is a secret in an arena. Whoever made it frees it once; readers acquire and release it in
// between, so that no reader sees another secret in its place. The zero value is freed.
type Held struct {
	arena *Arena
	at    int32
	n     int32
	refs  atomic.Int32 // owned while it has an owner, and one a reader
}

const owned = 1 << 30

// NewArena makes an arena of n slots of size bytes each.
func NewArena(n, size int) (*Arena, error) {
	if n < 1 || size < 1 || n > 1<<24 || size > 1<<12 {
		return nil, errors.New("secret: an arena has 1 to 2^24 slots of 1 to 4096 bytes")
	}
	r, err := allocate(n * size)
	if err != nil {
		return nil, fmt.Errorf("secret: no memory for an arena: %w", err)
	}
	a := &Arena{size: size, pinned: r.pinned, region: r, free: make([]int32, 0, n)}
	for i := range n {
		a.free = append(a.free, int32(n-1-i))
	}
	a.cleanup = runtime.AddCleanup(a, func(r *region) { _ = r.release() }, r)
	return a, nil
}

// Pinned reports whether the system promised to keep the slab out of the swap space.
func (a *Arena) Pinned() bool { return a.pinned }

// Used and Slots tell how full the arena is.
func (a *Arena) Used() (used, slots int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.used, a.used + len(a.free)
}

// Hold copies b into the arena; b stays the caller's to wipe. ok is false if there is no room, if b
// is longer than a slot, or after Close: then the secret is not held.
func (a *Arena) Hold(b Bytes) (h *Held, ok bool) {
	h = new(Held)
	if !a.HoldIn(h, b) {
		return nil, false
	}
	return h, true
}

// HoldIn is Hold for who has room for a Held, which nobody uses yet: the zero Held. It stays that if the secret is not held.
func (a *Arena) HoldIn(h *Held, b Bytes) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed || len(a.free) == 0 || len(b) > a.size {
		return false
	}
	h.arena, h.at, h.n = a, a.free[len(a.free)-1], int32(len(b))
	a.free = a.free[:len(a.free)-1]
	a.used++
	copy(h.bytes(), b)
	h.refs.Store(owned)
	return true
}

// Close wipes all secrets that nobody reads, the others when their last reader is done; the memory
// goes back with the last of them. Closing twice does nothing.
func (a *Arena) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil
	}
	a.closed = true
	return a.end()
}

// end gives the memory back once the arena is closed and empty. The caller holds mu.
func (a *Arena) end() error {
	if !a.closed || a.used > 0 {
		return nil
	}
	a.cleanup.Stop()
	return a.region.release()
}

func (h *Held) bytes() []byte {
	from := int(h.at) * h.arena.size
	return h.arena.region.data[from : from+int(h.n) : from+int(h.n)]
}

// Acquire gives the bytes until Release, to read only. ok is false once the secret was freed.
func (h *Held) Acquire() (b Bytes, ok bool) {
	for {
		n := h.refs.Load()
		if n < owned {
			return nil, false
		}
		if h.refs.CompareAndSwap(n, n+1) {
			return h.bytes(), true
		}
	}
}

// Release ends a successful Acquire.
func (h *Held) Release() { h.drop(1) }

// Free is the owner's: the secret is wiped, at once or when its last reader releases it. The zero Held has none.
func (h *Held) Free() {
	if h.arena != nil {
		h.drop(owned)
	}
}

func (h *Held) drop(n int32) {
	if h.refs.Add(-n) > 0 {
		return
	}
	a := h.arena
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.region.data[int(h.at)*a.size:][:a.size])
	a.free = append(a.free, h.at)
	a.used--
	_ = a.end() // a mapping that the system does not take back is no reason to fail a reader
}
