package lane_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kagimori/kagimori/internal/lane"
)

// pipes is a listener in memory.
type pipes struct {
	conns chan net.Conn
	ended chan struct{}
}

func newPipes() *pipes { return &pipes{make(chan net.Conn), make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.ended:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	select {
	case <-p.ended:
	default:
		close(p.ended)
	}
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p *pipes) dial() net.Conn {
	ours, theirs := net.Pipe()
	p.conns <- theirs
	return ours
}

// closedAfter is how long it takes until the other side closes a connection.
func closedAfter(c net.Conn) time.Duration {
	began := time.Now()
	_, _ = io.Copy(io.Discard, c)
	return time.Since(began)
}

// Slow clients are cut off when net/http cuts them off.
func TestTimes(t *testing.T) {
	const answered = "\r\n\r\nok"
	for name, tc := range map[string]struct {
		send  string // before it waits for the answer, if there is one
		then  string // after that
		least time.Duration
		most  time.Duration
	}{
		"nothing sent":       {"", "", 10 * time.Second, 10 * time.Second},
		"idle":               {post("a"), "", 2 * time.Minute, 2 * time.Minute},
		"half a header":      {"", "POST / HTTP/1.1\r\nHo", 10 * time.Second, 10 * time.Second},
		"half a next header": {post("a"), "POST / HTTP/1.1\r\nHo", 10 * time.Second, 10 * time.Second},
		"half a GET":         {"", "GET / HTTP/1.1\r\nHo", 10 * time.Second, 10 * time.Second},
		"half a body":        {"", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc", time.Minute, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newPipes()
				srv := lane.New(settings(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if _, err := io.Copy(io.Discard, r.Body); err != nil {
						panic(http.ErrAbortHandler)
					}
					fmt.Fprint(w, "ok")
				})))
				ended := make(chan error)
				go func() { ended <- srv.Serve(l) }()
				c := l.dial()
				if tc.send != "" {
					if _, err := io.WriteString(c, tc.send); err != nil {
						t.Fatal(err)
					}
					r, got := bufio.NewReader(c), ""
					for !strings.HasSuffix(got, answered) {
						b, err := r.ReadByte()
						if err != nil {
							t.Fatal(err)
						}
						got += string(b)
					}
				}
				if tc.then != "" {
					if _, err := io.WriteString(c, tc.then); err != nil {
						t.Fatal(err)
					}
				}
				if d := closedAfter(c); d < tc.least || d > tc.most {
					t.Errorf("closed after %v", d)
				}
				_ = srv.Close()
				if err := <-ended; err != http.ErrServerClosed {
					t.Error(err)
				}
			})
		})
	}
}

// Short deadlines are those of each request: an earlier one's does not end a later one.
func TestShortTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		std := settings(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") }))
		std.WriteTimeout, std.IdleTimeout = time.Second, 2*time.Second
		srv := lane.New(std)
		ended := make(chan error)
		go func() { ended <- srv.Serve(l) }()
		c := l.dial()
		r := bufio.NewReader(c)
		for i := range 8 {
			if _, err := io.WriteString(c, post("a")); err != nil {
				t.Fatalf("request %d: %v", i, err)
			}
			res, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatalf("request %d: %v", i, err)
			}
			if body, err := io.ReadAll(res.Body); err != nil || string(body) != "ok" {
				t.Fatalf("request %d: %q, %v", i, body, err)
			}
			time.Sleep(1500 * time.Millisecond) // of the bubble
		}
		_ = srv.Close()
		if err := <-ended; err != http.ErrServerClosed {
			t.Error(err)
		}
	})
}

// Shutdown lets a request end, says so in its answer, and closes idle connections.
func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		srv := lane.New(settings(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/slow" {
				time.Sleep(3 * time.Second) // of the bubble
			}
			fmt.Fprint(w, "ok")
		})))
		ended := make(chan error)
		go func() { ended <- srv.Serve(l) }()
		idle, busy := l.dial(), l.dial()
		if _, err := io.WriteString(idle, post("a")); err != nil {
			t.Fatal(err)
		}
		idleReader := bufio.NewReader(idle)
		if res, err := http.ReadResponse(idleReader, nil); err != nil || res.Close {
			t.Fatal(res, err)
		} else if _, err := io.ReadAll(res.Body); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(busy, strings.Replace(post("a"), "POST /", "POST /slow", 1)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		began := time.Now()
		down := make(chan error)
		go func() { down <- srv.Shutdown(t.Context()) }()
		if _, err := idleReader.ReadByte(); err != io.EOF {
			t.Errorf("the idle connection: %v", err)
		}
		res, err := http.ReadResponse(bufio.NewReader(busy), nil)
		if err != nil || !res.Close {
			t.Fatal(res, err)
		}
		if body, err := io.ReadAll(res.Body); err != nil || string(body) != "ok" {
			t.Error(string(body), err)
		}
		if err := <-down; err != nil || time.Since(began) > 4*time.Second {
			t.Errorf("Shutdown: %v after %v", err, time.Since(began))
		}
		if err := <-ended; err != http.ErrServerClosed {
			t.Error(err)
		}
		if err := srv.Serve(newPipes()); err != http.ErrServerClosed {
			t.Errorf("Serve after Shutdown: %v", err)
		}
	})
}

// Shutdown gives up when its context ends.
func TestShutdownCutShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, release := newPipes(), make(chan struct{})
		srv := lane.New(settings(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release })))
		ended := make(chan error)
		go func() { ended <- srv.Serve(l) }()
		c := l.dial()
		if _, err := io.WriteString(c, post("a")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := srv.Shutdown(ctx); err == nil {
			t.Error("Shutdown says that it is done")
		}
		_ = srv.Close()
		close(release)
		<-ended
	})
}

// With TLS a client gets the version of HTTP that it asks for, and handlers see how it came.
func TestTLS(t *testing.T) {
	made := httptest.NewUnstartedServer(nil) // for its certificate
	made.EnableHTTP2 = true
	made.StartTLS()
	defer made.Close()
	std := settings(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, theirs := w.(http.Hijacker)
		fmt.Fprint(w, r.Proto, " ", r.TLS != nil && r.TLS.HandshakeComplete, " ", theirs)
	}))
	std.TLSConfig = &tls.Config{Certificates: made.TLS.Certificates}
	address := start(t, lane.New(std))
	pool := x509.NewCertPool()
	pool.AddCert(made.Certificate())
	for _, tc := range []struct{ proto, method, want string }{
		{"h2", "POST", "HTTP/2.0 true false"},
		{"http/1.1", "POST", "HTTP/1.1 true false"},
		{"http/1.1", "GET", "HTTP/1.1 true true"},
		{"", "POST", "HTTP/1.1 true false"},
	} {
		tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: "example.com"}, ForceAttemptHTTP2: tc.proto == "h2"}
		if tc.proto == "http/1.1" {
			tr.TLSClientConfig.NextProtos = []string{"http/1.1"}
		}
		req, err := http.NewRequestWithContext(t.Context(), tc.method, "https://"+address+"/", strings.NewReader("abc"))
		if err != nil {
			t.Fatal(err)
		}
		res, err := tr.RoundTrip(req)
		if err != nil {
			t.Fatal(tc, err)
		}
		if body, err := io.ReadAll(res.Body); err != nil || string(body) != tc.want {
			t.Errorf("%s by %q: %q, %v", tc.method, tc.proto, body, err)
		}
		_ = res.Body.Close()
		tr.CloseIdleConnections()
	}
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, post("a")); err != nil {
		t.Fatal(err)
	}
	if got, _ := io.ReadAll(c); !strings.Contains(string(got), "HTTP request to an HTTPS server") {
		t.Errorf("plain HTTP is answered with %q", got)
	}
}

// The context of a long request ends when its client has gone.
func TestClientGone(t *testing.T) {
	began, ended := make(chan struct{}), make(chan struct{})
	address := start(t, lane.New(settings(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(began)
		<-r.Context().Done()
		close(ended)
	}))))
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, post("a")); err != nil {
		t.Fatal(err)
	}
	<-began
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Error("the request goes on")
	}
}
