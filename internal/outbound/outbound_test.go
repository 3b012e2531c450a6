package outbound_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/outbound"
)

func TestOnlyThePublicInternetIsAllowed(t *testing.T) {
	c := outbound.New(outbound.Config{})
	for _, a := range []string{
		"127.0.0.1", "127.255.0.1", "0.0.0.0", "0.1.2.3", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254",
		"100.64.0.1", "198.18.0.1", "224.0.0.1", "255.255.255.255", "240.0.0.1", "192.0.2.1", "::", "::1", "fe80::1", "fe80::1%eth0",
		"fc00::1", "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "2002:7f00:1::",
		"::7f00:1", "2001:db8::1", "fec0::1",
	} {
		if c.Allowed(netip.MustParseAddr(a)) {
			t.Errorf("%s may be dialled", a)
		}
	}
	for _, a := range []string{"8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8"} {
		if !c.Allowed(netip.MustParseAddr(a)) {
			t.Errorf("%s may not be dialled", a)
		}
	}
	if c.Allowed(netip.Addr{}) {
		t.Error("no address may be dialled")
	}
	c = outbound.New(outbound.Config{Allow: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}})
	if !c.Allowed(netip.MustParseAddr("10.1.2.3")) || !c.Allowed(netip.MustParseAddr("::ffff:10.1.2.3")) || c.Allowed(netip.MustParseAddr("10.2.0.1")) {
		t.Error("the operator's list does not count")
	}
}

// A site is a TLS server for example.com, and how to reach it.
type site struct {
	srv   *httptest.Server
	roots *x509.CertPool
	port  string
}

func newSite(t *testing.T, h http.HandlerFunc) site {
	t.Helper()
	s := site{srv: httptest.NewTLSServer(h), roots: x509.NewCertPool()}
	t.Cleanup(s.srv.Close)
	s.roots.AddCert(s.srv.Certificate())
	_, s.port, _ = net.SplitHostPort(s.srv.Listener.Addr().String())
	return s
}

func do(t *testing.T, cfg outbound.Config, url string, l outbound.Limits) (outbound.Answer, error) {
	t.Helper()
	c := outbound.New(cfg)
	t.Cleanup(c.Close)
	r, err := http.NewRequest(http.MethodPost, url, strings.NewReader("body"))
	if err != nil {
		t.Fatal(err)
	}
	return c.Do(t.Context(), r, l)
}

var generous = outbound.Limits{Time: 30 * time.Second, Body: 1 << 10}

func loopback() []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} }

func to(addrs ...string) func(context.Context, string) ([]netip.Addr, error) {
	return func(context.Context, string) (out []netip.Addr, _ error) {
		for _, a := range addrs {
			out = append(out, netip.MustParseAddr(a))
		}
		return out, nil
	}
}

func TestExchange(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Host", r.Host)
		w.WriteHeader(http.StatusTeapot)
		w.Write(append([]byte("got "), body...))
	})
	a, err := do(t, outbound.Config{Roots: s.roots, Allow: loopback(), Resolve: to("127.0.0.1")}, "https://example.com:"+s.port+"/x", generous)
	if err != nil || a.Status != http.StatusTeapot || string(a.Body) != "got body" || a.Header.Get("X-Host") != "example.com:"+s.port {
		t.Errorf("%d %q, %v", a.Status, a.Body, err)
	}
	a, err = do(t, outbound.Config{Roots: s.roots, Allow: loopback(), Resolve: to("10.0.0.1", "127.0.0.9", "127.0.0.1")}, "https://example.com:"+s.port, generous)
	if err != nil || a.Status != http.StatusTeapot {
		t.Errorf("after an address where nobody listens: %d, %v", a.Status, err)
	}
	a, err = do(t, outbound.Config{Roots: s.roots, Connect: map[string]string{"example.com": s.srv.Listener.Addr().String()}}, "https://EXAMPLE.com/x", generous)
	if err != nil || a.Status != http.StatusTeapot {
		t.Errorf("through the operator's address: %d, %v", a.Status, err)
	}
}

func TestRefusals(t *testing.T) {
	var asked atomic.Int32
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.Write(bytes.Repeat([]byte("x"), 2000))
	})
	direct := "https://127.0.0.1:" + s.port + "/"
	for name, c := range map[string]struct {
		cfg  outbound.Config
		url  string
		want error
	}{
		"loopback":           {outbound.Config{Roots: s.roots}, direct, outbound.ErrRefused},
		"loopback in v6":     {outbound.Config{Roots: s.roots}, "https://[::ffff:127.0.0.1]:" + s.port + "/", outbound.ErrRefused},
		"name of loopback":   {outbound.Config{Roots: s.roots, Resolve: to("127.0.0.1")}, "https://example.com:" + s.port, outbound.ErrRefused},
		"metadata service":   {outbound.Config{Resolve: to("169.254.169.254", "::1", "10.0.0.1")}, "https://example.com", outbound.ErrRefused},
		"localhost":          {outbound.Config{Roots: s.roots}, "https://localhost:" + s.port, outbound.ErrRefused},
		"in the clear":       {outbound.Config{Allow: loopback()}, "http://127.0.0.1:" + s.port, outbound.ErrURL},
		"with a password":    {outbound.Config{Allow: loopback()}, "https://a:b@127.0.0.1:" + s.port, outbound.ErrURL},
		"nobody's":           {outbound.Config{Allow: loopback(), Roots: x509.NewCertPool()}, direct, outbound.ErrTLS},
		"another host's":     {outbound.Config{Allow: loopback(), Roots: s.roots, Resolve: to("127.0.0.1")}, "https://another.test:" + s.port, outbound.ErrTLS},
		"no address":         {outbound.Config{Resolve: to()}, "https://example.com", outbound.ErrUnreachable},
		"too much":           {outbound.Config{Allow: loopback(), Roots: s.roots}, direct, outbound.ErrTooLarge},
		"the site elsewhere": {outbound.Config{Connect: map[string]string{"example.com": "127.0.0.1:1"}}, "https://example.com", outbound.ErrUnreachable},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := do(t, c.cfg, c.url, generous); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("the site was asked %d times", n)
	}
}

// A name that changes its address is checked at every dial, and what was checked is dialled.
func TestRebinding(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") })
	var n atomic.Int32
	c := outbound.New(outbound.Config{Roots: s.roots, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")},
		Resolve: func(context.Context, string) ([]netip.Addr, error) {
			if n.Add(1) == 1 {
				return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
			}
			return []netip.Addr{netip.MustParseAddr("127.0.0.2")}, nil
		}})
	defer c.Close()
	get := func() error {
		r, err := http.NewRequest(http.MethodGet, "https://example.com:"+s.port, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Close = true
		_, err = c.Do(t.Context(), r, generous)
		return err
	}
	if err := get(); err != nil {
		t.Fatal(err)
	}
	if err := get(); !errors.Is(err, outbound.ErrRefused) {
		t.Errorf("after the name moved: %v", err)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	var asked atomic.Int32
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	})
	a, err := do(t, outbound.Config{Roots: s.roots, Allow: loopback()}, "https://127.0.0.1:"+s.port, generous)
	if err != nil || a.Status != http.StatusTemporaryRedirect || asked.Load() != 1 {
		t.Errorf("%d, %v, asked %d times", a.Status, err, asked.Load())
	}
}

func TestTimeIsBounded(t *testing.T) {
	end := make(chan struct{})
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(200)
		w.(http.Flusher).Flush() // the head in time, the body never
		<-end
	})
	defer close(end)
	_, err := do(t, outbound.Config{Roots: s.roots, Allow: loopback()}, "https://127.0.0.1:"+s.port, outbound.Limits{Time: 50 * time.Millisecond, Body: 10})
	if !errors.Is(err, outbound.ErrTimeout) {
		t.Errorf("got %v", err)
	}
	mute, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	_, err = do(t, outbound.Config{Allow: loopback()}, "https://"+mute.Addr().String(), outbound.Limits{Time: 50 * time.Millisecond, Body: 10})
	if !errors.Is(err, outbound.ErrTimeout) {
		t.Errorf("no handshake: %v", err)
	}
}
