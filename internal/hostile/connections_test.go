package hostile_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/app"
	"github.com/kagimori/kagimori/internal/testkit"
	"github.com/kagimori/kagimori/internal/wire/client"
)

// crowd is how many connections there are: 10,000, or fewer in the short form.
func crowd() int {
	if os.Getenv("HOSTILE") != "" {
		return 10_000
	}
	return 600
}

// A guest is a well-behaved client, over HTTP/1.1 in the clear and HTTP/2 over TLS.
type guest []*client.Client

func newGuest(t *testing.T, c child) guest {
	t.Helper()
	var out guest
	for _, url := range []string{"http://" + c.clear, "https://" + c.tls} {
		k, err := client.New(url, testkit.Region, testkit.Admin(account), kmsapi.Service())
		if err != nil {
			t.Fatal(err)
		}
		tr := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} // that of the test's own
		t.Cleanup(tr.CloseIdleConnections)
		k.HTTP = &http.Client{Transport: tr, Timeout: time.Minute}
		out = append(out, k)
	}
	return out
}

// served checks that the guest is served, on connections that are there and on new ones.
func (g guest) served(t *testing.T, while string) {
	t.Helper()
	for _, k := range g {
		for range 3 {
			var out kmsapi.GenerateRandomResponse
			if err := k.Do(t.Context(), "GenerateRandom", &kmsapi.GenerateRandomRequest{NumberOfBytes: new(int32(32))}, &out); err != nil || len(out.Plaintext) != 32 {
				t.Fatalf("while %s: %v", while, err)
			}
		}
		k.HTTP.CloseIdleConnections()
	}
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

const post = "POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: TrentService.ListKeys\r\nContent-Type: application/x-amz-json-1.1\r\n"

// manners are ways to hold a connection. Each has the server wait.
var manners = []struct {
	name string
	tls  bool
	say  string
}{
	{"says nothing", false, ""},
	{"begins a request", false, "POST / HT"},
	{"sends a header slowly", false, "POST / HTTP/1.1\r\nHost: localhost\r\nX-Slow: a"},
	{"sends a body slowly", false, post + "Content-Length: 1000000\r\n\r\n{"},
	{"sends chunks slowly", false, post + "Transfer-Encoding: chunked\r\n\r\n5\r\n{"},
	{"keeps alive", false, post + "Content-Length: 2\r\n\r\n{}"},
	{"says nothing to TLS", true, ""},
	{"begins a handshake", true, "\x16\x03\x01\x02\x00\x01\x00"},
}

// Thousands of connections that say little are open and the good client is served; the server lets go of
// each in its time, and of what it used for it.
func TestManyConnections(t *testing.T) {
	patience := 3 * time.Second
	if crowd() == 10_000 {
		patience = time.Minute
	}
	c := startChild(t, patience)
	g := newGuest(t, c)
	g.served(t, "nothing happens")
	before := c.uses(t)
	conns := make([]net.Conn, crowd())
	for i := range conns {
		m := manners[i%len(manners)]
		to := c.clear
		if m.tls {
			to = c.tls
		}
		conn, err := net.Dial("tcp", to)
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, m.say); err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		conns[i] = conn
		if i%(len(conns)/10) == 0 {
			g.served(t, fmt.Sprintf("%d connections are open", i))
		}
	}
	g.served(t, "all connections are open")
	now := c.uses(t)
	t.Logf("%d connections, %d descriptors, %d goroutines, %d KiB", len(conns), now.Descriptors, now.Goroutines, now.Heap>>10)
	if crowd() == 10_000 && now.Descriptors < crowd() {
		t.Errorf("only %d descriptors are open at once", now.Descriptors)
	}
	if now.Heap > before.Heap+uint64(len(conns))*64<<10 {
		t.Errorf("%d connections take %d MiB", len(conns), (now.Heap-before.Heap)>>20)
	}
	for i, conn := range conns { // nobody closes but the server
		_ = conn.SetReadDeadline(time.Now().Add(5 * time.Minute))
		if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("who %s is not let go of", manners[i%len(manners)].name)
			break
		}
	}
	g.served(t, "all connections are gone")
	c.calms(t, before)
}

// Every listener has all bounds on time, and one on headers.
func TestListenersHaveBounds(t *testing.T) {
	srv := app.HTTPServer(http.NotFoundHandler(), slog.New(slog.DiscardHandler))
	if srv.ReadHeaderTimeout <= 0 || srv.ReadTimeout <= 0 || srv.WriteTimeout <= 0 || srv.IdleTimeout <= 0 || srv.MaxHeaderBytes <= 0 || srv.MaxHeaderBytes > 64<<10 {
		t.Errorf("%+v", srv)
	}
}

// exchange sends bytes and reads answers until the connection ends or nothing comes any more.
func exchange(t *testing.T, conn net.Conn, send io.Reader) (answers []string) {
	t.Helper()
	go func() {
		_, _ = io.Copy(conn, send)
		if half, ok := conn.(*net.TCPConn); ok {
			_ = half.CloseWrite()
		}
	}()
	_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
	r := bufio.NewReader(conn)
	for {
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			return answers
		}
		body, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		answers = append(answers, fmt.Sprintf("%d %s", res.StatusCode, body))
	}
}

// endless repeats a text up to a bound.
type endless struct {
	text string
	left int
}

func (e *endless) Read(p []byte) (int, error) {
	if e.left <= 0 {
		return 0, io.EOF
	}
	n := 0
	for n+len(e.text) <= len(p) && e.left > 0 {
		n += copy(p[n:], e.text)
		e.left -= len(e.text)
	}
	return n, nil
}

// Too much of anything is refused with a status that says so, the connection ends, and memory does not
// follow what was announced.
func TestOversizedRequests(t *testing.T) {
	c := startChild(t, 3*time.Second)
	g := newGuest(t, c)
	g.served(t, "nothing happens")
	before := c.uses(t)
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	_, _ = io.CopyN(z, zeros{}, 64<<20)
	_ = z.Close()
	for _, tt := range []struct {
		name string
		send io.Reader
		want string
	}{
		{"a long header", io.MultiReader(strings.NewReader("GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: "), &endless{"aaaa", 8 << 20}), "431"},
		{"many headers", io.MultiReader(strings.NewReader("GET / HTTP/1.1\r\nHost: localhost\r\n"), &endless{"a: b\r\n", 8 << 20}), "431"},
		{"a long request line", io.MultiReader(strings.NewReader("GET /"), &endless{"aaaa", 8 << 20}), "431"},
		{"a body that is announced", strings.NewReader(post + "Content-Length: 999999999999\r\n\r\n{"), "413"},
		{"a body that is sent", io.MultiReader(strings.NewReader(post+"Content-Length: 67108864\r\n\r\n"), &endless{"    ", 64 << 20}), "413"},
		{"endless chunks", io.MultiReader(strings.NewReader(post+"Transfer-Encoding: chunked\r\n\r\n"), &endless{"1\r\n \r\n", 32 << 20}), "413"},
		{"a long chunk extension", io.MultiReader(strings.NewReader(post+"Transfer-Encoding: chunked\r\n\r\n1;"), &endless{"aaaa", 8 << 20}), "400"},
		{"a bomb", io.MultiReader(strings.NewReader(fmt.Sprintf("%sContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n", post, bomb.Len())), &bomb), "400"},
		{"a trailer without end", io.MultiReader(strings.NewReader(post+"Transfer-Encoding: chunked\r\n\r\n0\r\n"), &endless{"X-A: b\r\n", 8 << 20}), "400"},
	} {
		got := exchange(t, dial(t, c.clear), tt.send)
		if len(got) > 1 || len(got) == 1 && !strings.HasPrefix(got[0], tt.want+" ") {
			t.Errorf("%s: %.200q", tt.name, got)
		}
		g.served(t, tt.name)
		c.calms(t, before)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// One request is never two: what a proxy could read in another way is refused, or ends its connection so
// that what follows is nobody's.
func TestSmuggledRequests(t *testing.T) {
	c := startChild(t, 10*time.Second)
	g := newGuest(t, c)
	const inner = "POST /smuggled HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
	chunked := "0\r\n\r\n" + inner
	for name, send := range map[string]string{
		"length and chunks":                   post + fmt.Sprintf("Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n", len(chunked)) + chunked,
		"chunks and length":                   post + fmt.Sprintf("Transfer-Encoding: chunked\r\nContent-Length: %d\r\n\r\n", len(chunked)) + chunked,
		"two lengths":                         post + "Content-Length: 0\r\nContent-Length: " + fmt.Sprint(len(inner)) + "\r\n\r\n" + inner,
		"two lengths in one":                  post + "Content-Length: 0, " + fmt.Sprint(len(inner)) + "\r\n\r\n" + inner,
		"a signed length":                     post + "Content-Length: +0\r\n\r\n" + inner,
		"a length in hexadecimal":             post + "Content-Length: 0x0\r\n\r\n" + inner,
		"a length with a space":               post + "Content-Length : 0\r\n\r\n" + inner,
		"an unknown encoding":                 post + "Transfer-Encoding: xchunked\r\n\r\n" + chunked,
		"two encodings":                       post + "Transfer-Encoding: chunked, identity\r\n\r\n" + chunked,
		"encodings twice":                     post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n" + chunked,
		"an encoding with a tab":              post + "Transfer-Encoding:\tchunked\r\n\r\n" + chunked,
		"an encoding with VT":                 post + "Transfer-Encoding: \vchunked\r\n\r\n" + chunked,
		"a folded encoding":                   post + "Transfer-Encoding:\r\n chunked\r\n\r\n" + chunked,
		"a bare CR":                           post + "X-A: b\rContent-Length: 5\r\nContent-Length: 0\r\n\r\n" + inner,
		"a NUL":                               post + "X-A: \x00\r\nContent-Length: 0\r\n\r\n" + inner,
		"a chunk size with LF":                post + "Transfer-Encoding: chunked\r\n\r\n0\n\n" + inner,
		"a chunk size of sixteen digits more": post + "Transfer-Encoding: chunked\r\n\r\n00000000000000000\r\n\r\n" + inner,
		"a negative chunk":                    post + "Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n" + inner,
		"an extension with LF":                post + "Transfer-Encoding: chunked\r\n\r\n0;a\nb\r\n\r\n" + inner,
		"HTTP/1.0 with chunks":                strings.Replace(post, "1.1", "1.0", 1) + "Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked,
		"no name":                             post + ": chunked\r\nContent-Length: 0\r\n\r\n" + inner,
		"two hosts":                           post + "Host: other\r\nContent-Length: 0\r\n\r\n" + inner,
		"an upgrade to h2c":                   post + "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked,
		"h2 without asking":                   "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + inner,
	} {
		got := exchange(t, dial(t, c.clear), strings.NewReader(send))
		if len(got) > 1 {
			t.Errorf("%s: %d answers: %.300q", name, len(got), got)
		}
	}
	// Requests one after the other, on the other hand, are that many.
	two := strings.Repeat(post+"Content-Length: 2\r\n\r\n{}", 50)
	if got := exchange(t, dial(t, c.clear), strings.NewReader(two)); len(got) != 50 {
		t.Errorf("%d answers to 50 requests in a row", len(got))
	}
	g.served(t, "nothing more comes")
}

// What is no TLS, or bad TLS, ends; what speaks in the clear to it is told so.
func TestMalformedTLS(t *testing.T) {
	c := startChild(t, time.Second)
	g := newGuest(t, c)
	g.served(t, "nothing happens")
	before := c.uses(t)
	for name, send := range map[string]string{
		"HTTP in the clear":      post + "Content-Length: 0\r\n\r\n",
		"noise":                  strings.Repeat("\xde\xad\xbe\xef", 1000),
		"an empty record":        "\x16\x03\x01\x00\x00",
		"a record too long":      "\x16\x03\x01\xff\xff" + strings.Repeat("a", 70000),
		"a hello too long":       "\x16\x03\x01\x40\x00\x01\xff\xff\xff" + strings.Repeat("a", 16380),
		"a hello of zeros":       "\x16\x03\x01\x00\x2e\x01\x00\x00\x2a\x03\x03" + strings.Repeat("\x00", 40),
		"many empty records":     strings.Repeat("\x16\x03\x03\x00\x00", 5000),
		"alerts":                 strings.Repeat("\x15\x03\x03\x00\x02\x01\x00", 500),
		"data before handshakes": "\x17\x03\x03\x00\x05hello",
		"SSL 2":                  "\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10",
	} {
		conn := dial(t, c.tls)
		_, _ = io.WriteString(conn, send)
		_ = conn.(*net.TCPConn).CloseWrite()
		_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
		answer, err := io.ReadAll(conn)
		if errors.Is(err, os.ErrDeadlineExceeded) || strings.HasPrefix(string(answer), "HTTP/1.1 200") {
			t.Errorf("%s: %q, %v", name, answer, err)
		}
	}
	for _, v := range []uint16{tls.VersionTLS10, tls.VersionTLS11} {
		conn := tls.Client(dial(t, c.tls), &tls.Config{InsecureSkipVerify: true, MinVersion: v, MaxVersion: v})
		if err := conn.Handshake(); err == nil {
			t.Errorf("TLS of version %x is spoken", v)
		}
	}
	g.served(t, "all that is over")
	c.calms(t, before)
}

// h2 is a connection of HTTP/2 after its first frames.
func h2(t *testing.T, c child) (*http2.Framer, net.Conn) {
	t.Helper()
	conn := tls.Client(dial(t, c.tls), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	_ = conn.SetDeadline(time.Now().Add(2 * time.Minute))
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	f := http2.NewFramer(conn, conn)
	if err := f.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, conn) }()
	return f, conn
}

// Frames that cost the server more than the client end the connection, or are borne.
func TestHTTP2Floods(t *testing.T) {
	c := startChild(t, time.Second)
	g := newGuest(t, c)
	g.served(t, "nothing happens")
	before := c.uses(t)
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for _, h := range [][2]string{{":method", "POST"}, {":scheme", "https"}, {":authority", "localhost"}, {":path", "/"}, {"x-amz-target", "TrentService.ListKeys"}, {"content-type", "application/x-amz-json-1.1"}} {
		_ = enc.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]})
	}
	head := bytes.Clone(block.Bytes())
	n := crowd() * 2
	for name, flood := range map[string]func(f *http2.Framer, i uint32) error{
		"rapid resets": func(f *http2.Framer, i uint32) error {
			err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i + 1, BlockFragment: head, EndHeaders: true, EndStream: true})
			if err == nil {
				err = f.WriteRSTStream(2*i+1, http2.ErrCodeCancel)
			}
			return err
		},
		"continuations": func(f *http2.Framer, i uint32) error {
			if i == 0 {
				return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: head})
			}
			return f.WriteContinuation(1, false, bytes.Repeat([]byte{0x00, 1, 'a', 1, 'b'}, 1000))
		},
		"streams without end": func(f *http2.Framer, i uint32) error {
			return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i + 1, BlockFragment: head, EndHeaders: true})
		},
		"settings": func(f *http2.Framer, i uint32) error {
			return f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: i + 1})
		},
		"pings": func(f *http2.Framer, _ uint32) error { return f.WritePing(false, [8]byte{}) },
		"priorities": func(f *http2.Framer, i uint32) error {
			return f.WritePriority(2*i+1, http2.PriorityParam{StreamDep: 0})
		},
		"empty data": func(f *http2.Framer, i uint32) error {
			if i == 0 {
				return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: head, EndHeaders: true})
			}
			return f.WriteData(1, false, nil)
		},
		"frames of no type": func(f *http2.Framer, i uint32) error { return f.WriteRawFrame(http2.FrameType(0xfe), 0, i, nil) },
	} {
		f, conn := h2(t, c)
		for i := range uint32(n) {
			if flood(f, i) != nil {
				break // the server ended it
			}
			if i == uint32(n)/2 {
				g.served(t, name)
			}
		}
		g.served(t, name)
		if now := c.uses(t); now.Goroutines > before.Goroutines+600 || now.Heap > before.Heap+64<<20 {
			t.Errorf("%s: %+v, before %+v", name, now, before)
		}
		_ = conn.Close()
		c.calms(t, before)
	}
}
