package lane

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// States of a connection.
const (
	fresh int32 = iota // no request yet
	busy
	idle
)

const (
	// inBuffer is the room for what was read: most requests fit with their body.
	inBuffer = 8 << 10
	// slack is how much earlier than it should be a long deadline may be: it is not set for each request.
	slack = 5 * time.Second
	// maxDiscard is how much of a body that nobody read is read for the next request's sake. It is net/http's.
	maxDiscard = 256 << 10
	// atLeast is how much of a further request there has to be to be answered. It is net/http's.
	atLeast = 4
	// lingering is how long a connection that ends before its client was done writing is read from: a reset
	// could overtake the answer. It is net/http's.
	lingering = 500 * time.Millisecond
)

// conn is a connection.
type conn struct {
	s        *Server
	rest     *handoff
	rw       net.Conn
	tls      *tls.ConnectionState
	remote   string
	accepted time.Time
	state    atomic.Int32
	began    atomic.Int64 // of the request that is served, in Unix nanoseconds; between requests of the last, negative
	looked   int64        // began when watch last looked at the idle connection; guarded by s.mu
	cancel   context.CancelFunc

	buf             []byte
	r, w            int  // buf[r:w] is not used yet
	over            bool // turns served the last request
	readBy, writeBy time.Time

	blank  http.Request // what all requests have
	req    http.Request
	url    url.URL
	header http.Header
	values []string
	body   *body
	res    response
}

func (s *Server) newConn(rw net.Conn, rest *handoff) *conn {
	c := &conn{s: s, rest: rest, rw: rw, accepted: time.Now(), remote: rw.RemoteAddr().String(), header: http.Header{}}
	ctx := context.WithValue(context.Background(), http.ServerContextKey, s.std)
	ctx, c.cancel = context.WithCancel(context.WithValue(ctx, http.LocalAddrContextKey, rw.LocalAddr()))
	c.blank = *new(http.Request).WithContext(ctx)
	c.blank.Method, c.blank.Proto, c.blank.ProtoMajor, c.blank.ProtoMinor = http.MethodPost, "HTTP/1.1", 1, 1
	c.blank.RemoteAddr, c.blank.Header, c.blank.URL = c.remote, c.header, &c.url
	c.res = response{c: c, header: http.Header{}}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns[c] = struct{}{}; s.closed { // meanwhile
		_ = rw.Close()
	}
	return c
}

// end closes the connection, of which a request may be served: that keeps turns, and Close waits for it.
func (c *conn) end() { go func() { _ = c.rw.Close() }() }

// forget has the server know the connection no more.
func (c *conn) forget() {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	delete(c.s.conns, c)
}

// serve answers requests until the connection ends or is net/http's.
func (c *conn) serve() {
	defer c.cancel()
	ours := true
	defer func() {
		if v := recover(); v != nil && v != http.ErrAbortHandler {
			c.s.logf("lane: panic serving %s: %v\n%s", c.remote, v, debug.Stack())
		}
		c.forget()
		if ours {
			clear(c.buf)
			clear(c.res.out) // of a handler that panicked
			_ = c.rw.Close()
		}
	}()
	if !c.handshake() {
		return
	}
	if c.tls != nil && c.tls.NegotiatedProtocol == "h2" {
		ours = false
		c.forget()
		c.rest.give(c.rw)
		return
	}
	c.buf = make([]byte, inBuffer)
	raw := c.direct()
	for {
		if raw != nil && c.r == c.w && c.state.Load() != fresh {
			if c.used(); c.idles() || raw.Read(c.turns) != nil || c.over {
				return
			}
		}
		head, err := c.await()
		if err != nil {
			return
		}
		if head == 0 || !c.parse(string(c.buf[c.r:c.r+head])) {
			ours = false
			c.forget()
			c.giveUp()
			return
		}
		c.r += head + len(endOfLine)
		if !c.exchange() {
			return
		}
	}
}

// handshake is that of TLS, if there is TLS.
func (c *conn) handshake() bool {
	t, ok := c.rw.(*tls.Conn)
	if !ok {
		return true
	}
	_ = t.SetDeadline(after(c.accepted, c.s.std.ReadHeaderTimeout)) // an error shows in the handshake
	if err := t.Handshake(); err != nil {
		if e, ok := errors.AsType[tls.RecordHeaderError](err); ok && e.Conn != nil && looksLikeHTTP(e.RecordHeader) {
			_, _ = io.WriteString(e.Conn, "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n")
			_ = e.Conn.Close()
		}
		c.s.logf("lane: TLS handshake with %s: %v", c.remote, err)
		return false
	}
	_ = t.SetDeadline(time.Time{})
	c.tls = new(t.ConnectionState())
	c.blank.TLS = c.tls
	return true
}

// looksLikeHTTP reports whether a client spoke HTTP where TLS was expected.
func looksLikeHTTP(b [5]byte) bool {
	switch string(b[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO":
		return true
	}
	return false
}

// giveUp makes the connection net/http's, with what was read. Ends of lines that follow an earlier request are passed over, as
// net/http does after its own: old clients send them after a body.
func (c *conn) giveUp() {
	for n := 0; n < atLeast && c.began.Load() != 0 && c.r < c.w && (c.buf[c.r] == '\r' || c.buf[c.r] == '\n'); n++ {
		c.r++
	}
	_ = c.rw.SetDeadline(time.Time{}) // net/http has its own
	r := resumed{c.rw, c.buf[c.r:c.w]}
	if c.tls != nil {
		c.rest.give(&secured{r, c.tls})
		return
	}
	c.rest.give(&r)
}

const endOfLine, endOfHeader = "\r\n", "\r\n\r\n"

// await reads until the header of a request is there, and returns its length without the empty line at its
// end: 0 if it is longer than what is ordinary.
func (c *conn) await() (int, error) {
	c.used()
	if c.w == 0 {
		if err := c.first(); err != nil {
			return 0, err
		}
	}
	isFirst := c.state.Swap(busy) == fresh
	bounded := isFirst // from when it was accepted on
	for looked := 0; ; {
		if i := bytes.Index(c.buf[looked:c.w], []byte(endOfHeader)); i >= 0 {
			return looked + i + len(endOfLine), nil
		}
		if looked = max(0, c.w-3); c.w == len(c.buf) || c.w >= atLeast && !begins(c.buf[:c.w]) {
			return 0, nil
		}
		if !bounded {
			bounded = true
			c.setReadBy(after(time.Now(), c.s.std.ReadHeaderTimeout))
		}
		err := c.fill()
		if err == io.EOF && (isFirst || c.w >= atLeast) {
			return 0, nil // net/http answers it
		}
		if err != nil {
			return 0, err
		}
	}
}

// used moves what is not used yet to the front, and leaves nothing behind of what was.
func (c *conn) used() {
	if c.r > 0 {
		n := copy(c.buf, c.buf[c.r:c.w])
		clear(c.buf[n:c.w])
		c.r, c.w = 0, n
	}
}

// turns serves requests while each comes whole, with one read, and waits for the next without a read that finds nothing. It
// is for [syscall.RawConn]: false asks to be called when there is more. True leaves the rest to serve: a request that did not come
// whole, an end, or, if over is set, nothing. What a client sent together with its end is served, and the end is watch's to find.
//
// Nothing in it may read otherwise from the connection, whose reading is locked.
func (c *conn) turns(fd uintptr) bool {
	n, again := receive(fd, c.buf)
	if again {
		return false
	}
	if n == 0 {
		return true
	}
	c.w = n
	c.state.Store(busy)
	end := bytes.Index(c.buf[:n], []byte(endOfHeader))
	if end < 0 || !c.parse(string(c.buf[:end+len(endOfLine)])) || c.req.ContentLength > int64(n-end-len(endOfHeader)) {
		return true
	}
	c.r = end + len(endOfHeader)
	if c.over = !c.exchange(); c.over || c.r < c.w {
		return true
	}
	c.used()
	return c.idles()
}

// begins reports whether a part of a header may become that of an ordinary request. What may not is
// net/http's at once, which may have an answer already.
func begins(part []byte) bool {
	const post = "POST /"
	if n := min(len(part), len(post)); string(part[:n]) != post[:n] {
		return false
	}
	for i, b := range part {
		if b == '\n' && part[i-1] != '\r' { // not the first: that is a P
			return false
		}
	}
	return true
}

// first waits for the beginning of a request.
func (c *conn) first() error {
	if c.state.Load() == fresh {
		c.setReadBy(after(c.accepted, c.s.std.ReadHeaderTimeout))
		return c.fill()
	}
	if c.idles() {
		return http.ErrServerClosed
	}
	return c.fill()
}

// idles makes the connection idle, and reports whether it is over.
func (c *conn) idles() bool {
	idleFor := c.s.std.IdleTimeout
	if by := after(time.Now(), idleFor); c.readBy.Before(by.Add(-early(idleFor))) || c.readBy.After(by) {
		c.setReadBy(by)
	}
	c.state.Store(idle)
	c.over = c.s.down.Load()
	return c.over
}

// fill reads more.
func (c *conn) fill() error {
	n, err := c.rw.Read(c.buf[c.w:])
	if c.w += n; n > 0 {
		return nil // an error comes again
	}
	return err
}

// after is a while after t; never if that is 0.
func after(t time.Time, while time.Duration) time.Time {
	if while == 0 {
		return time.Time{}
	}
	return t.Add(while)
}

// early is how much of a while may be missing: of a short one little.
func early(while time.Duration) time.Duration { return min(slack, while/8) }

func (c *conn) setReadBy(t time.Time) {
	c.readBy = t
	_ = c.rw.SetReadDeadline(t) // an error shows when it is read
}

// exchange serves the request that was parsed, and reports whether there may be another one.
func (c *conn) exchange() bool {
	now := time.Now()
	if by := after(now, c.s.std.WriteTimeout); c.writeBy.Before(by.Add(-early(c.s.std.WriteTimeout))) {
		c.writeBy = by
		_ = c.rw.SetWriteDeadline(by) // an error shows when it is written
	}
	c.began.Store(now.UnixNano())
	c.res.reset(now)
	c.s.std.Handler.ServeHTTP(&c.res, &c.req)
	c.res.finish()
	c.body.end()
	c.began.Store(-now.UnixNano())
	if c.res.err != nil || c.res.last || c.res.quits {
		if c.res.err == nil && c.body.left > 0 {
			c.linger()
		}
		return false
	}
	return true
}

// linger waits for the client to take the answer, or to have written what it is about to.
func (c *conn) linger() {
	_ = closeWrite(c.rw) // else the client sees the end a moment later
	c.setReadBy(time.Now().Add(lingering))
	_, _ = io.Copy(io.Discard, c.rw) // whatever it is
}
