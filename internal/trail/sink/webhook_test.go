package sink_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/outbound"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/trail/sink"
)

var hookSecret = secret.Bytes("a secret of the webhook")

// hook is a webhook behind a server of TLS as example.com.
func hook(t testing.TB, h http.HandlerFunc) (sink.Target, *httptest.Server) {
	t.Helper()
	srv := httptest.NewTLSServer(h)
	t.Cleanup(srv.Close)
	pool := x509.NewCertPool()
	pool.AddCert(srv.Certificate())
	client := outbound.New(outbound.Config{Roots: pool, Connect: map[string]string{"example.com": srv.Listener.Addr().String()}})
	t.Cleanup(client.Close)
	return sink.NewWebhook(sink.WebhookConfig{URL: "https://example.com/hook?token=1", Secret: hookSecret, Node: "node-1", Client: client, Limits: outbound.Limits{Time: 10 * time.Second, Body: 1 << 10}}), srv
}

// signed reads a request and checks its signature.
func signed(r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	stamp, sum, ok := strings.Cut(r.Header.Get(sink.HeaderSignature), ",v1=")
	at, err := strconv.ParseInt(strings.TrimPrefix(stamp, "t="), 10, 64)
	if !ok || err != nil || time.Since(time.Unix(at, 0)).Abs() > time.Minute {
		return nil, fmt.Errorf("signature %q", r.Header.Get(sink.HeaderSignature))
	}
	want := sink.Sign(hookSecret, at, r.Header.Get(sink.HeaderNode), r.Header.Get(sink.HeaderFirst), r.Header.Get(sink.HeaderLast), body)
	if sum != hex.EncodeToString(want) {
		return nil, errors.New("another signature")
	}
	return body, nil
}

// A batch is one signed request, which says which lines it has.
func TestWebhook(t *testing.T) {
	w := newWorld(t, 3000)
	w.add(t, 30)
	lines := w.lines(t)
	var got []byte
	f, _ := hook(t, func(rw http.ResponseWriter, r *http.Request) {
		body, err := signed(r)
		if err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/x-ndjson" || r.Header.Get(sink.HeaderNode) != "node-1" {
			t.Errorf("%v %v", err, r.Header)
		}
		if len(got) == 0 && (r.Header.Get(sink.HeaderFirst) != "1" || r.Header.Get(sink.HeaderLast) != fmt.Sprint(lines[19].Sequence)) {
			t.Errorf("%v", r.Header)
		}
		got = append(got, body...)
		rw.WriteHeader(http.StatusNoContent)
	})
	send(t, f, true, lines[:20]...)
	send(t, f, false, lines[20:]...)
	shut(t, f)
	checkCopy(t, bytes.Split(bytes.TrimSpace(got), []byte("\n")), 1, 30)
}

// What is not a 2xx keeps nothing: an error that does not have the URL, which may be a secret.
func TestWebhookRefuses(t *testing.T) {
	w := newWorld(t, 0)
	w.add(t, 3)
	var status atomic.Int32
	asked := 0
	f, srv := hook(t, func(rw http.ResponseWriter, r *http.Request) {
		asked++
		rw.Header().Set("Location", "https://example.com/elsewhere")
		rw.Header().Set("Retry-After", "7")
		rw.WriteHeader(int(status.Load()))
	})
	for _, code := range []int{302, 307, 400, 401, 404, 413, 429, 500, 503} {
		status.Store(int32(code))
		err := f.Send(t.Context(), sink.Batch{Lines: w.lines(t)[:1]})
		if err == nil || !strings.Contains(err.Error(), strconv.Itoa(code)) || strings.Contains(err.Error(), "example.com") {
			t.Errorf("%d: %v", code, err)
		}
		wait, asks := errors.AsType[*sink.WaitError](err)
		if asks != (code == 429 || code == 503) || asks && wait.Wait != 7*time.Second {
			t.Errorf("%d: wait %v", code, wait)
		}
	}
	if asked != 9 {
		t.Errorf("%d requests: a redirect was followed", asked)
	}
	srv.Close()
	if err := f.Send(t.Context(), sink.Batch{Lines: w.lines(t)}); err == nil || strings.Contains(err.Error(), "token") {
		t.Error(err)
	}
}

// A server that takes less at once gets less.
func TestWebhookTakesLess(t *testing.T) {
	w := newWorld(t, 0)
	w.add(t, 30)
	var got [][]byte
	requests := 0
	f, _ := hook(t, func(rw http.ResponseWriter, r *http.Request) {
		requests++
		body, err := signed(r)
		if err != nil {
			t.Error(err)
		}
		lines := bytes.Split(bytes.TrimSpace(body), []byte("\n"))
		if len(lines) > 8 {
			rw.WriteHeader(http.StatusRequestEntityTooLarge)
			return
		}
		got = append(got, lines...)
	})
	send(t, f, true, w.lines(t)...)
	checkCopy(t, got, 1, 30)
	if requests != 2+5 {
		t.Errorf("%d requests", requests)
	}
}

// A webhook does not lead into the server's own network, whatever its name resolves to.
func TestWebhookIsNoWayIn(t *testing.T) {
	asked := 0
	_, srv := hook(t, func(http.ResponseWriter, *http.Request) { asked++ })
	w := newWorld(t, 0)
	w.add(t, 1)
	_, port, _ := strings.Cut(srv.Listener.Addr().String(), ":")
	for _, host := range []string{"127.0.0.1", "localhost", "[::1]", "inside.example", "169.254.169.254"} {
		client := outbound.New(outbound.Config{Resolve: func(context.Context, string) ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
		}})
		f := sink.NewWebhook(sink.WebhookConfig{URL: "https://" + host + ":" + port, Secret: hookSecret, Client: client, Limits: outbound.Limits{Time: time.Second, Body: 1}})
		if err := f.Send(t.Context(), sink.Batch{Lines: w.lines(t)}); !errors.Is(err, outbound.ErrRefused) {
			t.Errorf("%s: %v", host, err)
		}
		client.Close()
	}
	if asked != 0 {
		t.Errorf("%d requests", asked)
	}
}
