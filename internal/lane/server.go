// Package lane serves ordinary HTTP/1.1 requests at less cost than net/http, and leaves all others to
// it.
//
// An ordinary request is what AWS's SDKs send nearly always: POST, a short header of plain ASCII lines, a
// body of a length that was told. The grammar that is read here is a part of net/http's, on which every
// reader of HTTP agrees; anything else (another method or version, chunks, Expect, Upgrade, folded lines,
// a bare line feed, two lengths, a long header) makes the connection net/http's, with what was read of
// it, from the beginning of that request on and for good. So nothing is refused here, and nothing is
// understood otherwise than there. Handlers see the same requests, and clients the same answers.
//
// What is saved, and why, is in docs/design/009-http.md.
package lane

import (
	"context"
	"crypto/tls"
	"errors"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// A Server is an [http.Server] with a shorter way for ordinary requests. Safe for concurrent use.
type Server struct {
	std   *http.Server
	tls   *tls.Config   // nil without TLS
	ended chan struct{} // closed when no new connections are to be taken

	mu        sync.Mutex
	listeners map[net.Listener]struct{} // guarded by mu
	conns     map[*conn]struct{}        // guarded by mu
	closed    bool                      // Close has been called; guarded by mu
	down      atomic.Bool
	date      atomic.Pointer[date]
	outputs   sync.Pool // of *[]byte
}

// New makes a server with the handler, the bounds, the configuration of TLS and the log of std, which it
// takes over. Of std's hooks none is called for ordinary requests.
func New(std *http.Server) *Server {
	return &Server{std: std, tls: offered(std), ended: make(chan struct{}), listeners: map[net.Listener]struct{}{}, conns: map[*conn]struct{}{}}
}

// Serve answers on l, with TLS if the server has a configuration of it, until Shutdown or Close. Its error is
// [http.ErrServerClosed] then.
func (s *Server) Serve(l net.Listener) error {
	rest := &handoff{conns: make(chan net.Conn), ended: s.ended, address: l.Addr()}
	if !s.track(l) {
		_ = l.Close()
		return http.ErrServerClosed
	}
	defer s.untrack(l)
	var aside sync.WaitGroup
	aside.Go(func() { _ = s.std.Serve(rest) }) // ends with ErrServerClosed only: rest has no errors of its own
	aside.Go(s.watch)
	defer aside.Wait()
	pause := time.Duration(0)
	for {
		c, err := l.Accept()
		switch {
		case s.down.Load():
			if err == nil {
				_ = c.Close()
			}
			return http.ErrServerClosed
		case temporary(err):
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			s.logf("lane: no connection can be taken, waiting %v: %v", pause, err)
			select {
			case <-time.After(pause):
			case <-s.ended:
			}
			continue
		case err != nil:
			_ = s.Close()
			return err
		}
		pause = 0
		if s.tls != nil {
			c = tls.Server(c, s.tls)
		}
		go s.newConn(c, rest).serve()
	}
}

// temporary reports whether a later attempt to take a connection may succeed: something ran out, or the
// client was gone already.
func temporary(err error) bool {
	for _, e := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// offered is the configuration of TLS, which offers both versions of HTTP; nil if there is none. net/http
// makes itself one in any case, later.
func offered(std *http.Server) *tls.Config {
	if std.TLSConfig == nil {
		return nil
	}
	cfg := std.TLSConfig.Clone()
	if len(cfg.NextProtos) == 0 {
		cfg.NextProtos = []string{"h2", "http/1.1"}
	}
	std.TLSConfig = cfg.Clone()
	return cfg
}

func (s *Server) track(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down.Load() {
		return false
	}
	s.listeners[l] = struct{}{}
	return true
}

func (s *Server) untrack(l net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, l)
}

// stop takes no new connections. A second one does nothing.
func (s *Server) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.down.Swap(true) {
		close(s.ended)
	}
	for l := range s.listeners {
		_ = l.Close()
	}
}

// freshConn is how long a connection without a request yet is left alone when the server ends: a client may
// be about to send one. It is net/http's.
const freshConn = 5 * time.Second

// Shutdown takes no new connections, closes those that are idle, and waits until the others are, or for
// ctx.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stop()
	err := s.std.Shutdown(ctx)
	pause := time.Millisecond
	for s.closeIdle() > 0 {
		select {
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-time.After(pause):
			pause = min(2*pause, 100*time.Millisecond)
		}
	}
	return err
}

// closeIdle closes idle connections and returns how many there are otherwise.
func (s *Server) closeIdle() (busy int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		if state := c.state.Load(); state == idle || state == fresh && time.Since(c.accepted) > freshConn {
			c.end()
			continue
		}
		busy++
	}
	return busy
}

// Close closes everything at once.
func (s *Server) Close() error {
	s.stop()
	s.mu.Lock()
	s.closed = true
	for c := range s.conns {
		c.end()
	}
	s.mu.Unlock()
	return s.std.Close()
}

func (s *Server) logf(format string, args ...any) {
	if s.std.ErrorLog != nil {
		s.std.ErrorLog.Printf(format, args...)
		return
	}
	log.Printf(format, args...)
}

// date is the Date header of a second.
type date struct {
	second int64
	text   string
}

// now is the time as the Date header has it.
func (s *Server) now(t time.Time) string {
	d := s.date.Load()
	if second := t.Unix(); d == nil || d.second != second {
		d = &date{second, t.UTC().Format(http.TimeFormat)}
		s.date.Store(d)
	}
	return d.text
}

// A handoff is a listener of connections that are net/http's from now on.
type handoff struct {
	conns   chan net.Conn
	ended   chan struct{}
	address net.Addr
}

func (h *handoff) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.ended:
		return nil, http.ErrServerClosed
	}
}

func (h *handoff) Close() error   { return nil }
func (h *handoff) Addr() net.Addr { return h.address }

// give hands a connection over, or closes it if nobody takes it.
func (h *handoff) give(c net.Conn) {
	select {
	case h.conns <- c:
	case <-h.ended:
		_ = c.Close()
	}
}

// resumed is a connection of which something was read.
type resumed struct {
	net.Conn
	read []byte
}

func (c *resumed) Read(b []byte) (int, error) {
	if len(c.read) > 0 {
		n := copy(b, c.read)
		clear(c.read[:n])
		c.read = c.read[n:]
		return n, nil
	}
	return c.Conn.Read(b)
}

// CloseWrite is the connection's, if it has one.
func (c *resumed) CloseWrite() error { return closeWrite(c.Conn) }

func closeWrite(c net.Conn) error {
	for {
		if w, ok := c.(interface{ CloseWrite() error }); ok {
			return w.CloseWrite()
		}
		under, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			return errors.ErrUnsupported
		}
		c = under.NetConn()
	}
}

// secured is one with TLS, as net/http looks for it.
type secured struct {
	resumed
	state *tls.ConnectionState
}

func (c *secured) ConnectionState() tls.ConnectionState { return *c.state }
