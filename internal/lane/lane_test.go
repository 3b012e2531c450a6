package lane_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/lane"
)

// seen is a request as its handler sees it.
type seen struct {
	Method, Proto, Host, URI, Path, RawPath, Query string
	Header, Trailer                                http.Header
	Length                                         int64
	Encoding                                       []string
	Close                                          bool
	Body, Err                                      string
}

// echo answers with the request as it sees it.
func echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	s := seen{
		Method: r.Method, Proto: r.Proto, Host: r.Host, URI: r.RequestURI, Path: r.URL.Path, RawPath: r.URL.RawPath, Query: r.URL.RawQuery,
		Header: r.Header, Trailer: r.Trailer, Length: r.ContentLength, Encoding: r.TransferEncoding, Close: r.Close, Body: string(body),
	}
	if err != nil {
		s.Err = err.Error()
	}
	out, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(out)))
	_, _ = w.Write(out)
}

// A server is one of the two, on a loopback address.
type server interface {
	Serve(net.Listener) error
	Close() error
}

func settings(h http.Handler) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, IdleTimeout: 2 * time.Minute, WriteTimeout: 2 * time.Minute,
		MaxHeaderBytes: 64 << 10, ErrorLog: log.New(io.Discard, "", 0),
	}
}

func start(tb testing.TB, s server) (address string) {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	tb.Cleanup(func() {
		_ = s.Close()
		if err := <-ended; err != http.ErrServerClosed {
			tb.Errorf("Serve ended with %v", err)
		}
	})
	return l.Addr().String()
}

// An answer is one of a connection, without what differs from moment to moment.
type answer struct {
	Status  string
	Header  http.Header
	Length  int64
	Chunked bool
	Close   bool
	Body    string
	Err     string
}

// talk writes bytes to a server, ends its side, and reads the answers. With a first request it waits for that one's answer before.
func talk(tb testing.TB, address, first string, raw []byte) (all []answer) {
	tb.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		tb.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		tb.Fatal(err)
	}
	r := bufio.NewReader(c)
	if first != "" {
		if _, err := io.WriteString(c, first); err != nil {
			tb.Fatal(err)
		}
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			tb.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, res.Body); err != nil {
			tb.Fatal(err)
		}
	}
	written := make(chan struct{})
	defer func() { <-written }()
	go func() {
		defer close(written)
		_, _ = c.Write(raw) // a server may have answered and gone before
		_ = c.(*net.TCPConn).CloseWrite()
	}()
	for {
		if _, err := r.Peek(1); err != nil {
			return all
		}
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			return append(all, answer{Err: err.Error()})
		}
		body, err := io.ReadAll(res.Body)
		res.Header.Del("Date")
		a := answer{res.Status, res.Header, res.ContentLength, len(res.TransferEncoding) > 0, res.Close, string(body), ""}
		if err != nil {
			a.Err = err.Error()
		}
		all = append(all, a)
	}
}

// pair is both servers with one handler.
type pair struct{ std, lane string }

func newPair(tb testing.TB, h http.HandlerFunc) pair {
	tb.Helper()
	return pair{start(tb, settings(h)), start(tb, lane.New(settings(h)))}
}

// same reports how the servers' answers differ.
func (p pair) same(tb testing.TB, first string, raw []byte) {
	tb.Helper()
	if diff := cmp.Diff(talk(tb, p.std, first, raw), talk(tb, p.lane, first, raw)); diff != "" {
		tb.Errorf("%q: answers differ (-net/http +lane):\n%s", raw, diff)
	}
}

// post is a request with further lines in its header.
func post(body string, lines ...string) string {
	return fmt.Sprintf("POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: %d\r\n%s\r\n%s", len(body), strings.Join(append(lines, ""), "\r\n"), body)
}

// requests are those that matter, and whether they are ordinary.
var requests = map[string]struct {
	raw      string
	ordinary bool
}{
	"of an SDK":             {post(`{"KeyId":"x"}`, "User-Agent: aws-sdk-go-v2/1", "X-Amz-Date: 20260304T050607Z", "X-Amz-Target: TrentService.Decrypt", "Authorization: AWS4-HMAC-SHA256 Credential=a/b, Signature=c"), true},
	"lower case":            {post("a", "x-amz-target: TrentService.Decrypt", "user-AGENT:x", "x-AMZ-date:\t y \t"), true},
	"twice":                 {post("a", "X-A: 1", "x-a: 2", "X-B: ", "X-A: 3"), true},
	"two at once":           {post("a") + post("bc", "X-B: 2"), true},
	"close":                 {post("a", "Connection: close") + post("never"), true},
	"Close":                 {post("a", "Connection: CLOSE") + post("never"), true},
	"keep alive":            {post("a", "Connection: Keep-Alive") + post("b"), true},
	"no body":               {post("") + post("b"), true},
	"path and query":        {"POST /a%2Fb/%E3%81%82?x=%20&y HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", true},
	"path with dots":        {"POST /a/../b/./c// HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", true},
	"Host with port":        {"POST / HTTP/1.1\r\nHost: [::1]:4566\r\nContent-Length: 0\r\n\r\n", true},
	"body cut off":          {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc", true},
	"large body":            {post(strings.Repeat("x", 100_000)) + post("b"), true},
	"many lines":            {post("a", slicesOf("X-L%d: v", 60)...), true},
	"more lines":            {post("a", slicesOf("X-L%d: v", 70)...), false},
	"long header":           {post("a", "X-Long: "+strings.Repeat("x", 20_000)), false},
	"too long header":       {post("a", "X-Long: "+strings.Repeat("x", 200_000)), false},
	"GET":                   {"GET /?Action=x HTTP/1.1\r\nHost: a\r\n\r\n" + post("b"), false},
	"ordinary, then GET":    {post("a") + "GET / HTTP/1.1\r\nHost: a\r\n\r\n" + post("b"), false},
	"HEAD":                  {"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", false},
	"post":                  {"post / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", false},
	"HTTP/1.0":              {"POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", false},
	"HTTP/2.0":              {"POST / HTTP/2.0\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", false},
	"h2 preface":            {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", false},
	"no length":             {"POST / HTTP/1.1\r\nHost: a\r\n\r\n", false},
	"chunks":                {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n" + post("b"), false},
	"chunks and length":     {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n" + post("b"), false},
	"length, then chunks":   {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: identity\r\n\r\nabc", false},
	"two lengths":           {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", false},
	"the same length twice": {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nab", false},
	"list of lengths":       {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\na", false},
	"length with sign":      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na", false},
	"length in hex":         {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\na", false},
	"negative length":       {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\na", false},
	"empty length":          {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \r\n\r\na", false},
	"huge length":           {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\na", false},
	"no host":               {"POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\na", false},
	"empty host":            {"POST / HTTP/1.1\r\nHost:\r\nContent-Length: 1\r\n\r\na", false},
	"two hosts":             {"POST / HTTP/1.1\r\nHost: a\r\nHost: b\r\nContent-Length: 1\r\n\r\na", false},
	"host with a slash":     {"POST / HTTP/1.1\r\nHost: a/b\r\nContent-Length: 1\r\n\r\na", false},
	"absolute":              {"POST http://b/x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\na", false},
	"two slashes":           {"POST //b/x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\na", false},
	"fragment":              {"POST /a#b HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\na", false},
	"bad escape":            {"POST /%zz HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\na", false},
	"space in target":       {"POST /a b HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\na", false},
	"space before colon":    {post("a", "X-A : 1"), false},
	"Length with space":     {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length : 1\r\n\r\na", false},
	"folded":                {post("a", "X-A: 1", " 2"), false},
	"line feeds":            {"POST / HTTP/1.1\nHost: a\nContent-Length: 1\n\na", false},
	"one line feed":         {"POST / HTTP/1.1\r\nHost: a\nContent-Length: 1\r\n\r\na", false},
	"carriage return":       {post("a", "X-A: 1\r2"), false},
	"zero byte":             {post("a", "X-A: 1\x002"), false},
	"other bytes":           {post("a", "X-A: \xe3\x81\x82"), false},
	"no name":               {post("a", ": 1"), false},
	"no colon":              {post("a", "X-A"), false},
	"empty line first":      {"\r\n" + post("a"), false},
	"Expect":                {post("a", "Expect: 100-continue"), false},
	"Expect another":        {post("a", "Expect: coffee"), false},
	"Upgrade":               {post("a", "Connection: Upgrade", "Upgrade: h2c"), false},
	"Connection names":      {post("a", "Connection: keep-alive, X-A", "X-A: 1"), false},
	"Connection twice":      {post("a", "Connection: keep-alive", "Connection: close") + post("b"), false},
	"Trailer":               {post("a", "Trailer: X-A"), false},
	"Pragma":                {post("a", "Pragma: no-cache"), false},
	"half a header":         {"POST / HTTP/1.1\r\nHost: a\r\nContent-Le", false},
	"nothing":               {"", false},
}

func slicesOf(format string, n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprintf(format, i))
	}
	return out
}

// Each request is understood, and answered, as net/http does: the first of a connection, and a later one.
func TestSame(t *testing.T) {
	p := newPair(t, echo)
	for name, r := range requests {
		for _, first := range []string{"", post("first", "X-First: 1")} {
			t.Run(fmt.Sprintf("%s, first %v", name, first == ""), func(t *testing.T) {
				t.Parallel()
				p.same(t, first, []byte(r.raw))
			})
		}
	}
}

// Requests that are said to be ordinary are those that are not net/http's.
func TestOrdinary(t *testing.T) {
	for name, r := range requests {
		t.Run(name, func(t *testing.T) {
			ordinary := true
			address := start(t, lane.New(settings(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, theirs := w.(http.Hijacker)
				ordinary = ordinary && !theirs
			}))))
			if answers := talk(t, address, "", []byte(r.raw)); len(answers) == 0 || answers[0].Status != "200 OK" {
				ordinary = false // refused, by net/http
			}
			if ordinary != r.ordinary {
				t.Errorf("%q: ordinary is %v", r.raw, ordinary)
			}
		})
	}
}

// FuzzSame compares what both servers make of any bytes.
func FuzzSame(f *testing.F) {
	for _, r := range requests {
		if len(r.raw) < 4000 {
			f.Add([]byte(r.raw))
		}
	}
	p := newPair(f, echo)
	f.Fuzz(func(t *testing.T, raw []byte) {
		if len(raw) > 64<<10 {
			return
		}
		p.same(t, "", raw)
	})
}
