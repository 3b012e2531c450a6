package qemu

import (
	"sync"
	"time"

	"github.com/kagimori/kagimori/internal/machine"
)

// consoleSize is how much of a console is kept. Source: EC2 API Reference, GetConsoleOutput: "the
// most recent 64 KB".
const consoleSize = 64 << 10

// A ring keeps the end of what is written to it. Safe for concurrent use.
type ring struct {
	mu   sync.Mutex
	buf  []byte // at most twice consoleSize
	last time.Time
}

// Write keeps p. It never fails.
func (r *ring) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.buf = append(r.buf, p...)
	if over := len(r.buf) - 2*consoleSize; over > 0 {
		r.buf = append(r.buf[:0], r.buf[len(r.buf)-consoleSize:]...)
	}
	r.last = time.Now()
	return len(p), nil
}

func (r *ring) console() (machine.Console, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	tail := r.buf[max(0, len(r.buf)-consoleSize):]
	return machine.Console{Output: append([]byte(nil), tail...), At: r.last}, len(tail) > 0
}
