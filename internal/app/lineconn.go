package app

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/kagimori/kagimori/internal/hsm"
)

const (
	// lineFrame is the most that one frame carries, and lineSealed the most bytes that it has.
	lineFrame  = 64 << 10
	lineSealed = lineFrame + 256
)

// errLineForged: a frame is not the next one that the other end sent.
var errLineForged = errors.New("app: a frame between hosts is not what was sent")

// A lineConn is one end of a line. Each frame is sealed for its place: it is good once, in one direction of one
// line. Nothing of a line that broke is taken for whole: what ends early ends with an error. Safe for a reader
// and several writers.
type lineConn struct {
	both    io.ReadWriteCloser
	box     hsm.Box
	session []byte // of both ends
	near    bool   // the end that dialed
	silence time.Duration
	release func()

	in    []byte // what of a frame is not read yet
	frame []byte
	read  uint64 // frames

	mu    sync.Mutex // of those who write
	wrote uint64     // frames; guarded by mu

	close sync.Once
	over  chan struct{}
	err   error // of closing
}

func newLineConn(both io.ReadWriteCloser, box hsm.Box, session []byte, near bool, silence time.Duration, release func()) *lineConn {
	c := &lineConn{both: both, box: box, session: session, near: near, silence: silence, release: release, over: make(chan struct{})}
	go c.pulse()
	return c
}

// place ties a frame to where it belongs.
func (c *lineConn) place(near bool, n uint64) []byte {
	out := append([]byte("line frame "), c.session...)
	if near {
		out = append(out, 1)
	} else {
		out = append(out, 0)
	}
	return binary.BigEndian.AppendUint64(out, n)
}

// pulse says that this end is there, until the line ends.
func (c *lineConn) pulse() {
	t := time.NewTicker(linePulse)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			if c.send(nil) != nil {
				_ = c.Close()
				return
			}
		case <-c.over:
			return
		}
	}
}

func (c *lineConn) send(p []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	sealed := c.box.Seal(p, c.place(c.near, c.wrote))
	if sealed == nil {
		return hsm.ErrSealed
	}
	c.wrote++
	out := append(binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(sealed)), uint32(len(sealed))), sealed...)
	_, err := c.both.Write(out)
	return err
}

// Write implements [net.Conn].
func (c *lineConn) Write(p []byte) (n int, err error) {
	for n < len(p) {
		part := p[n:min(len(p), n+lineFrame)]
		if err := c.send(part); err != nil {
			_ = c.Close() // a frame may have gone in part
			return n, err
		}
		n += len(part)
	}
	return n, nil
}

// Read implements [net.Conn]. An end from which nothing comes for too long is given up.
func (c *lineConn) Read(p []byte) (int, error) {
	for len(c.in) == 0 {
		var err error
		if c.in, err = c.next(); err != nil {
			_ = c.Close()
			return 0, err
		}
	}
	n := copy(p, c.in)
	c.in = c.in[n:]
	return n, nil
}

func (c *lineConn) next() ([]byte, error) {
	late := time.AfterFunc(c.silence, func() { _ = c.Close() })
	defer late.Stop()
	var head [4]byte
	if _, err := io.ReadFull(c.both, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > lineSealed {
		return nil, errLineForged
	}
	if uint32(cap(c.frame)) < n {
		c.frame = make([]byte, lineSealed)
	}
	frame := c.frame[:n]
	if _, err := io.ReadFull(c.both, frame); err != nil {
		return nil, err
	}
	plain, err := c.box.Open(frame, c.place(!c.near, c.read))
	if err != nil {
		return nil, errLineForged
	}
	c.read++
	return plain, nil
}

// Close ends the line.
func (c *lineConn) Close() error {
	c.close.Do(func() {
		close(c.over)
		c.err = c.both.Close()
		c.release()
	})
	return c.err
}

// A lineAddr is no address: a line is known by what it serves.
type lineAddr struct{}

// Network implements [net.Addr].
func (lineAddr) Network() string { return "line" }

// String implements [net.Addr].
func (lineAddr) String() string { return "line" }

// LocalAddr implements [net.Conn].
func (*lineConn) LocalAddr() net.Addr { return lineAddr{} }

// RemoteAddr implements [net.Conn].
func (*lineConn) RemoteAddr() net.Addr { return lineAddr{} }

// SetDeadline does nothing: an end that says nothing is given up as it is.
func (*lineConn) SetDeadline(time.Time) error { return nil }

// SetReadDeadline does nothing.
func (*lineConn) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing.
func (*lineConn) SetWriteDeadline(time.Time) error { return nil }
