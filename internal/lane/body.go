package lane

import (
	"io"
	"net/http"
	"sync"
	"time"
)

// body is that of one request. Whoever keeps it longer reads nothing of the next.
type body struct {
	c     *conn
	mu    sync.Mutex
	left  int64 // guarded by mu
	slow  bool  // there is a bound of time for the rest; guarded by mu
	ended bool  // guarded by mu
	// broken is whether the rest does not come; guarded by mu
	broken bool
}

// Read reads what was read ahead first, and the rest straight from the connection.
func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		return 0, http.ErrBodyReadAfterClose
	}
	return b.read(p)
}

func (b *body) read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	if len(p) == 0 {
		return 0, nil
	}
	c := b.c
	p = p[:min(int64(len(p)), b.left)]
	var n int
	var err error
	if c.r < c.w {
		n = copy(p, c.buf[c.r:c.w])
		c.r += n
	} else {
		if !b.slow {
			b.slow = true
			c.setReadBy(after(time.Unix(0, c.began.Load()), c.s.std.ReadTimeout))
		}
		n, err = c.rw.Read(p)
	}
	b.left -= int64(n)
	switch {
	case b.left == 0:
		err = io.EOF
	case err == io.EOF:
		err = io.ErrUnexpectedEOF
	}
	b.broken = err != nil && err != io.EOF
	return n, err
}

// Close ends reading. The rest of the body is passed over when the answer begins.
func (b *body) Close() error {
	b.end()
	return nil
}

func (b *body) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
}

// pass passes over what nobody read, unless that is much: long. It is broken if it does not come.
func (b *body) pass() (broken, long bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.left == 0 || b.broken || b.left > maxDiscard {
		return b.broken, !b.broken && b.left > 0
	}
	room := make([]byte, 4<<10)
	defer clear(room)
	for b.left > 0 && !b.broken {
		_, _ = b.read(room)
	}
	return b.broken, false
}
