package lane_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/lane"
)

// A dialled connection has had one request, so that the next one finds it waiting.
type dialled struct {
	*net.TCPConn
	r *bufio.Reader
}

func dial(t *testing.T, address string) dialled {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	d := dialled{c.(*net.TCPConn), bufio.NewReader(c)}
	d.ask(t, post("first"))
	return d
}

func (d dialled) ask(t *testing.T, raw string) string {
	t.Helper()
	if _, err := io.WriteString(d, raw); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(d.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func repeat(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(err)
	}
	_, _ = w.Write(body)
}

// Requests that come whole, in parts and several at once follow each other on one connection.
func TestTurns(t *testing.T) {
	d := dial(t, start(t, lane.New(settings(http.HandlerFunc(repeat)))))
	large := strings.Repeat("x", 20<<10)
	for _, body := range []string{"a", "", large, "b", large, large, "c"} {
		if got := d.ask(t, post(body)); got != body {
			t.Fatalf("%d bytes: %.20q", len(body), got)
		}
	}
	if got := d.ask(t, post("one")+post("two")); got != "one" {
		t.Fatal(got)
	}
	res, err := http.ReadResponse(d.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(res.Body); err != nil || string(body) != "two" {
		t.Fatal(string(body), err)
	}
	raw := post("slowly")
	for i := range len(raw) - 1 {
		if _, err := io.WriteString(d, raw[i:i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if got := d.ask(t, raw[len(raw)-1:]); got != "slowly" {
		t.Fatal(got)
	}
}

// A request that took longer than its body may is followed by another one: what bounds the body does not bound the next request.
func TestTurnAfterSlowRequest(t *testing.T) {
	const bound = 50 * time.Millisecond
	std := settings(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		repeat(w, r)
		if r.Header.Get("X-Wait") != "" {
			<-time.After(2 * bound)
		}
	}))
	std.ReadTimeout = bound
	d := dial(t, start(t, lane.New(std)))
	large := strings.Repeat("x", 20<<10) // more than is read with the header
	if got := d.ask(t, post(large, "X-Wait: 1")); got != large {
		t.Fatalf("%.20q", got)
	}
	if got := d.ask(t, post("next")); got != "next" {
		t.Fatal(got)
	}
}

// A client that ends its side with a request gets the answer, and then the end.
func TestEndWithRequest(t *testing.T) {
	d := dial(t, start(t, lane.New(settings(http.HandlerFunc(repeat)))))
	hold(t, d.TCPConn) // what is written goes out with the end
	if _, err := io.WriteString(d, post("last")); err != nil {
		t.Fatal(err)
	}
	if err := d.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(d.r); err != nil || !strings.HasSuffix(string(got), "last") {
		t.Errorf("%q, %v", got, err)
	}
}

// Close does not wait for a request that is served.
func TestCloseWhileServed(t *testing.T) {
	began, release := make(chan struct{}), make(chan struct{})
	srv := lane.New(settings(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Wait") != "" {
			close(began)
			<-release
		}
	})))
	d := dial(t, start(t, srv))
	if _, err := io.WriteString(d, post("a", "X-Wait: 1")); err != nil {
		t.Fatal(err)
	}
	<-began
	if err := srv.Close(); err != nil { // for ever, if it waited
		t.Error(err)
	}
	close(release)
	if _, err := io.Copy(io.Discard, d.r); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection goes on")
	}
}
