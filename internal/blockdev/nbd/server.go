package nbd

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"
)

// A Device is what an export serves; *blockdev.Volume is one. All methods may be called by several
// goroutines at a time. Errors that mean something to clients are those of package blockdev and of the
// system.
type Device interface {
	ReadAt(p []byte, off int64) (int, error)
	WriteAt(p []byte, off int64) (int, error)
	// Size in bytes; it does not change while the device is served.
	Size() int64
	// Flush returns when every change that was complete before the call is durable.
	Flush() error
	// Trim may make n bytes at off read as zeros, WriteZeroes does.
	Trim(off, n int64) error
	WriteZeroes(off, n int64) error
	// Written reports whether what is at off was ever written, and for how many bytes, up to n > 0, the
	// same holds. What was not written reads as zeros.
	Written(off, n int64) (length int64, written bool)
}

// An Export is a device under a name.
type Export struct {
	Device      Device
	Description string // for people
	ReadOnly    bool
	// Done is closed when the export ends. Nil: it ends with the server.
	Done <-chan struct{}
}

// Config of a [Server].
type Config struct {
	// Find is asked for the export of that name. ok is false if there is none, or none for this client.
	Find func(name string) (e Export, ok bool)
	// Names are listed for clients that ask. Nil: listing is refused.
	Names func() []string
	// TLS, if not nil, is offered to clients; RequireTLS refuses all else to clients that do not take it.
	TLS        *tls.Config
	RequireTLS bool
	// Connections is the most connections at a time; 0 means 64.
	Connections int
	// Handshake is how long a client may take to choose an export; 0 means 30 seconds.
	Handshake time.Duration
	Logger    *slog.Logger
}

// A Server serves exports. Safe for concurrent use.
type Server struct {
	cfg   Config
	slots chan struct{}
}

// NewServer makes a server. It fails if TLS is required and not configured.
func NewServer(cfg Config) (*Server, error) {
	if cfg.RequireTLS && cfg.TLS == nil {
		return nil, errors.New("nbd: TLS is required and not configured")
	}
	if cfg.Connections == 0 {
		cfg.Connections = 64
	}
	if cfg.Handshake == 0 {
		cfg.Handshake = 30 * time.Second
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Server{cfg: cfg, slots: make(chan struct{}, cfg.Connections)}, nil
}

// Serve answers clients of l until ctx ends; it closes l, and returns when all connections are closed.
// A connection that is one too many is closed at once.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	defer l.Close()
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel() // before the wait
	for {
		c, err := l.Accept()
		if ctx.Err() != nil {
			if err == nil {
				_ = c.Close()
			}
			return nil
		}
		if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
			continue
		}
		if err != nil {
			return fmt.Errorf("nbd: %w", err)
		}
		select {
		case s.slots <- struct{}{}:
		default:
			s.cfg.Logger.Warn("an NBD connection too many", "most", s.cfg.Connections)
			_ = c.Close()
			continue
		}
		running.Go(func() {
			defer func() { <-s.slots }()
			if err := s.ServeConn(ctx, c); err != nil && ctx.Err() == nil {
				s.cfg.Logger.Debug("an NBD connection ended", "error", err)
			}
		})
	}
}

// ServeConn answers one client until it leaves, the export or ctx ends; it closes c. The error tells
// why the connection ended, nil if the client left in good order.
func (s *Server) ServeConn(ctx context.Context, c net.Conn) error {
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	if err := c.SetDeadline(time.Now().Add(s.cfg.Handshake)); err != nil {
		return fmt.Errorf("nbd: %w", err)
	}
	h := &handshake{cfg: &s.cfg, conn: c, in: bufio.NewReaderSize(c, 4096)}
	e, err := h.negotiate(ctx)
	if err != nil || e == nil {
		return err
	}
	if err := c.SetDeadline(time.Time{}); err != nil {
		return fmt.Errorf("nbd: %w", err)
	}
	t := newTransmission(h.conn, h.in, *e, h.structured, h.allocation)
	if e.Done != nil {
		ended := make(chan struct{})
		defer close(ended)
		go func() {
			select {
			case <-e.Done:
				t.end()
				_ = c.Close()
			case <-ended:
			}
		}()
	}
	return t.run()
}
