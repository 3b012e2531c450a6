package main

import (
	"fmt"
	"net"
	"sync"

	"github.com/spf13/pflag"

	"github.com/kagimori/kagimori/internal/app"
	"github.com/kagimori/kagimori/internal/rate"
)

// loadFlags bound what the server takes on.
type loadFlags struct {
	mode        string
	limits      []string
	requests    int
	connections int
}

func (f *loadFlags) register(fl *pflag.FlagSet) {
	fl.StringVar(&f.mode, "rate-limits", "", "how often an account may ask: off, aws (AWS's default quotas), or high, ten times those and 100 a second at least (default high; off with --dev)")
	fl.StringArrayVar(&f.limits, "rate-limit", nil, "`QUOTA=N/BURST` requests a second of an account and Region, such as kms:CreateKey=5/20, kms:cryptographic=1000 or iam:*=0, which is no limit (repeatable)")
	numberVar(fl, &f.requests, "max-requests", 1024, "most `requests` that are served at once; others are throttled (0: no bound)")
	numberVar(fl, &f.connections, "max-connections", 16384, "most `connections` that are open at once; others wait (0: no bound)")
}

// configure adds what the flags say to the server's configuration.
func (f *loadFlags) configure(cfg *app.Config) (err error) {
	mode := f.mode
	if mode == "" {
		if mode = string(rate.High); cfg.Dev {
			mode = string(rate.Off)
		}
	}
	if cfg.Quotas.Mode, err = rate.ParseMode(mode); err != nil {
		return fmt.Errorf("--rate-limits: %w", err)
	}
	cfg.Quotas.Set = map[string]rate.Limit{}
	for _, text := range f.limits {
		quota, l, err := rate.ParseSet(text)
		if err != nil {
			return fmt.Errorf("--rate-limit: %w", err)
		}
		cfg.Quotas.Set[quota] = l
	}
	cfg.MaxConcurrent = f.requests
	return nil
}

// limited is a listener with at most n connections open; 0 is no bound.
func limited(l net.Listener, n int) net.Listener {
	if n <= 0 {
		return l
	}
	return &limitedListener{Listener: l, places: make(chan struct{}, n), closed: make(chan struct{})}
}

// limitedListener accepts a connection once there is a place for it.
type limitedListener struct {
	net.Listener
	places  chan struct{}
	closed  chan struct{}
	closing sync.Once
}

func (l *limitedListener) Accept() (net.Conn, error) {
	select {
	case l.places <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.places
		return nil, err
	}
	return &placedConn{Conn: c, leave: sync.OnceFunc(func() { <-l.places })}, nil
}

func (l *limitedListener) Close() error {
	l.closing.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// placedConn gives its place back.
type placedConn struct {
	net.Conn
	leave func()
}

func (c *placedConn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}

// NetConn is the connection below.
func (c *placedConn) NetConn() net.Conn { return c.Conn }
