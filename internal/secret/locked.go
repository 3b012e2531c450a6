package secret

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"sync"
)

// ErrClosed is returned for a [Locked] buffer that was closed.
var ErrClosed = errors.New("secret: buffer is closed")

// Locked is a secret of fixed size in memory of its own, outside the Go heap where the system
// allows it: never swapped out, left out of core dumps, and overwritten when closed. It prints
// as "[redacted]". Safe for concurrent use. The zero value is closed.
//
// It protects the long-lived copy only. What a cipher computes from the bytes (an AES key
// schedule) lives on the Go heap and goes away with the garbage collector.
type Locked struct {
	mu      sync.RWMutex
	region  *region // nil when closed; guarded by mu
	cleanup runtime.Cleanup
}

// region is the memory of a Locked. data is the front part of mem.
type region struct {
	data, mem []byte
	pinned    bool
}

// NewLocked makes a buffer of n > 0 zero bytes. A system that refuses to pin memory (a low
// RLIMIT_MEMLOCK) does not make it fail: see [Locked.Pinned].
func NewLocked(n int) (*Locked, error) {
	if n < 1 {
		return nil, errors.New("secret: a locked buffer has at least one byte")
	}
	r, err := allocate(n)
	if err != nil {
		return nil, fmt.Errorf("secret: no memory for a locked buffer: %w", err)
	}
	l := &Locked{region: r}
	l.cleanup = runtime.AddCleanup(l, func(r *region) { _ = r.release() }, r)
	return l, nil
}

// LockedFrom moves b, which may not be empty, into a new buffer and wipes b.
func LockedFrom(b Bytes) (*Locked, error) {
	l, err := NewLocked(len(b))
	if err == nil {
		copy(l.region.data, b)
	}
	b.Wipe()
	return l, err
}

// Use calls f with the bytes, which f may change but not keep. Several calls may run at the same
// time; Wipe and Close wait for them, so f may not call those. The result is that of f, or
// [ErrClosed].
func (l *Locked) Use(f func(Bytes) error) error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.region == nil {
		return ErrClosed
	}
	return f(l.region.data)
}

// Len is the size in bytes, 0 after Close.
func (l *Locked) Len() int {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.region == nil {
		return 0
	}
	return len(l.region.data)
}

// Pinned reports whether the system promised to keep the bytes out of the swap space.
func (l *Locked) Pinned() bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.region != nil && l.region.pinned
}

// Wipe overwrites the bytes with zeros; the buffer stays usable.
func (l *Locked) Wipe() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.region != nil {
		clear(l.region.mem)
	}
}

// Close wipes the bytes and gives the memory back. Closing twice does nothing.
func (l *Locked) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.region == nil {
		return nil
	}
	l.cleanup.Stop()
	r := l.region
	l.region = nil
	if err := r.release(); err != nil {
		return fmt.Errorf("secret: memory not given back: %w", err)
	}
	return nil
}

// Format prints "[redacted]" whatever the verb.
func (*Locked) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, redacted) }

// LogValue is "[redacted]".
func (*Locked) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText gives "[redacted]".
func (*Locked) MarshalText() ([]byte, error) { return []byte(redacted), nil }
