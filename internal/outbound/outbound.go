// Package outbound is the one client for URLs that tenants supply: external key stores, sets of
// web keys, webhooks.
//
// It speaks HTTP/1.1 over TLS (an exchange that got stuck takes its connection along, and no other
// exchange with it), follows no redirect, uses no proxy of the environment, and bounds time and
// size of every exchange. Names are resolved here and the address that is dialled is the one that
// was checked, so a name that changes its address between two look-ups (DNS rebinding) gains
// nothing. Addresses that are not of the public internet are refused unless the operator lists
// them: a tenant must not reach the server's own network through the server.
package outbound

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Errors. What [Client.Do] returns wraps one of them, or else is about the request itself.
var (
	// ErrURL: the URL is not https, or has user information.
	ErrURL = errors.New("outbound: not a URL that may be called")
	// ErrRefused: every address of the host is one that the operator does not allow.
	ErrRefused = errors.New("outbound: the address is not allowed")
	// ErrUnreachable: the name has no address, or nothing accepts a connection there.
	ErrUnreachable = errors.New("outbound: no connection")
	// ErrTLS: the connection is there, but not with a certificate that is good for the host.
	ErrTLS = errors.New("outbound: no TLS")
	// ErrTimeout: the exchange did not end in its time.
	ErrTimeout = errors.New("outbound: no answer in time")
	// ErrTooLarge: the body of the answer is longer than its bound.
	ErrTooLarge = errors.New("outbound: answer too large")
	// ErrBroken: the connection broke, or what came is not HTTP.
	ErrBroken = errors.New("outbound: the exchange failed")
)

// Config of a [Client]. The zero Config reaches the public internet and trusts the system's roots.
type Config struct {
	// Allow are the addresses outside the public internet that may be dialled.
	Allow []netip.Prefix
	// Connect gives hosts the address ("10.0.0.7:8443") that is dialled for them, whatever the URL's
	// port; the certificate must still be one of the host. The operator who lists a host here allows
	// its address.
	Connect map[string]string
	// Roots are trusted; nil is the system's.
	Roots *x509.CertPool
	// Resolve finds the addresses of a name; nil asks the system.
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)
}

// Limits of one exchange. Both are needed.
type Limits struct {
	Time time.Duration // from the dial to the end of the body
	Body int64         // bytes of the answer's body
}

// An Answer is what came back. A redirect is an answer like any other.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// A Client makes requests. Safe for concurrent use.
type Client struct {
	cfg  Config
	http *http.Client
}

// New makes a Client.
func New(cfg Config) *Client {
	c := &Client{cfg: cfg}
	if c.cfg.Resolve == nil {
		c.cfg.Resolve = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	c.http = &http.Client{
		Transport: &http.Transport{
			DialContext:    func(context.Context, string, string) (net.Conn, error) { return nil, ErrURL },
			DialTLSContext: c.dialTLS,
			MaxIdleConns:   256, MaxIdleConnsPerHost: 32, IdleConnTimeout: 90 * time.Second, MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c
}

// Close drops the connections that are kept for later.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Do makes a request and reads the whole answer.
func (c *Client) Do(ctx context.Context, r *http.Request, l Limits) (Answer, error) {
	if r.URL.Scheme != "https" || r.URL.Hostname() == "" || r.URL.User != nil {
		return Answer{}, ErrURL
	}
	ctx, cancel := context.WithTimeoutCause(ctx, l.Time, ErrTimeout)
	defer cancel()
	resp, err := c.http.Do(r.WithContext(ctx))
	if err != nil {
		return Answer{}, classify(ctx, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, l.Body+1))
	switch {
	case err != nil:
		return Answer{}, classify(ctx, err)
	case int64(len(body)) > l.Body:
		return Answer{}, ErrTooLarge
	}
	return Answer{Status: resp.StatusCode, Header: resp.Header, Body: body}, nil
}

// classify says what went wrong, without the URL: the caller knows it, and a log need not.
func classify(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	for _, known := range []error{ErrURL, ErrRefused, ErrUnreachable, ErrTLS, ErrTimeout} {
		if errors.Is(err, known) {
			return err
		}
	}
	return fmt.Errorf("%w: %w", ErrBroken, err)
}

// dialTLS connects to a host and proves that it is the host.
func (c *Client) dialTLS(ctx context.Context, _, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, ErrURL
	}
	raw, err := c.dial(ctx, host, port)
	if err != nil {
		return nil, err
	}
	conn := tls.Client(raw, &tls.Config{
		ServerName: host, RootCAs: c.cfg.Roots, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
	})
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %w", ErrTLS, err), raw.Close())
	}
	return conn, nil
}

// dial tries the addresses of a host that may be dialled, in the order of the resolver.
func (c *Client) dial(ctx context.Context, host, port string) (net.Conn, error) {
	if to, listed := c.cfg.Connect[strings.ToLower(host)]; listed {
		conn, err := dialOne(ctx, to, 1)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
		}
		return conn, nil
	}
	addrs, err := c.addresses(ctx, host)
	if err != nil {
		return nil, err
	}
	addrs = slices.DeleteFunc(addrs, func(a netip.Addr) bool { return !c.Allowed(a) })
	failure := ErrRefused
	for i, a := range addrs {
		conn, err := dialOne(ctx, net.JoinHostPort(a.Unmap().String(), port), len(addrs)-i)
		if err == nil {
			return conn, nil
		}
		failure = fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	return nil, failure
}

// dialOne dials the first of n addresses that are left. It takes its share of the time, so that an
// address that swallows packets does not keep the others from being tried.
func dialOne(ctx context.Context, address string, n int) (net.Conn, error) {
	if end, ok := ctx.Deadline(); ok && n > 1 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(end)/time.Duration(n))
		defer cancel()
	}
	var d net.Dialer
	return d.DialContext(ctx, "tcp", address)
}

func (c *Client) addresses(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	addrs, err := c.cfg.Resolve(ctx, host)
	if err == nil && len(addrs) == 0 {
		err = errors.New("the name has no address")
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	return addrs, nil
}
