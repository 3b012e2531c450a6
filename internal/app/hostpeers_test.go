package app_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kagimori/kagimori/internal/app"
	"github.com/kagimori/kagimori/internal/blockdev"
	"github.com/kagimori/kagimori/internal/ec2/hosts"
	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/hsm/hsmtest"
	"github.com/kagimori/kagimori/internal/objects"
	"github.com/kagimori/kagimori/internal/store/memory"
)

const passHeader = "X-Kagimori-Pass"

// A letter is a request to a host on its way.
type letter struct {
	pass string
	body []byte
}

// A carrier is the network between nodes: it keeps what is sent, and gives what a function answers.
type carrier struct {
	sent   []letter
	answer func(letter) (int, []byte)
}

// RoundTrip implements [http.RoundTripper].
func (c *carrier) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	l := letter{r.Header.Get(passHeader), body}
	c.sent = append(c.sent, l)
	code, answer := c.answer(l)
	return &http.Response{StatusCode: code, Body: io.NopCloser(bytes.NewReader(answer)), Request: r}, nil
}

// deliver gives a letter to a host.
func deliver(to http.Handler, l letter) (int, []byte) {
	r := httptest.NewRequest(http.MethodPost, "/_kagimori/host", bytes.NewReader(l.body))
	r.Header.Set(passHeader, l.pass)
	w := httptest.NewRecorder()
	to.ServeHTTP(w, r)
	return w.Code, w.Body.Bytes()
}

// postOffice is two hosts that know one seal.
type postOffice struct {
	t        *testing.T
	near     http.Handler
	far      http.Handler
	ask      hosts.Call // of the node of near
	stranger hosts.Call // of one that has another seal
	line     *carrier
}

const nearURL, farURL = "https://near.example:4566", "https://far.example:4566"

func newPostOffice(t *testing.T) *postOffice {
	t.Helper()
	agent := func(name string) *hosts.Agent {
		var roots [2]*os.Root
		for i := range roots {
			root, err := os.OpenRoot(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = root.Close() })
			roots[i] = root
		}
		a, err := hosts.NewAgent(hosts.AgentConfig{
			Name: name, Store: memory.New(memory.Config{}), Volumes: blockdev.NewShelf(roots[0], objects.NewFolder(roots[1])), Now: time.Now, Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		a.Start(t.Context())
		t.Cleanup(a.Stop)
		return a
	}
	p := &postOffice{t: t, line: &carrier{}}
	c := &http.Client{Transport: p.line}
	box := func(m hsm.Module) hsm.Box { return m.Box("request to a host") }
	shared, other := hsmtest.New(t), hsmtest.New(t)
	p.near, p.ask = app.HostPeers(box(shared), nearURL, agent("near"), c)
	p.far, _ = app.HostPeers(box(shared), farURL, agent("far"), c)
	_, p.stranger = app.HostPeers(box(other), nearURL, nil, c)
	return p
}

const attendance = `{"op":"attend","token":1}`

// letter is a request that is not delivered.
func (p *postOffice) letter(by hosts.Call, url string) letter {
	p.t.Helper()
	p.line.answer = func(letter) (int, []byte) { return http.StatusTeapot, nil }
	if _, err := by(p.t.Context(), url, []byte(attendance)); err == nil {
		p.t.Error("a node that does not answer gave an answer")
	}
	return p.line.sent[len(p.line.sent)-1]
}

func (p *postOffice) want(what string, to http.Handler, l letter, code int) {
	p.t.Helper()
	got, body := deliver(to, l)
	if got != code || code != http.StatusOK && len(body) > 0 {
		p.t.Errorf("%s: %d with %d bytes, want %d", what, got, len(body), code)
	}
}

// TestARequestToAHostIsForItAloneAndOnce: what is sealed for another host, comes again, is old or of the future,
// changed, or of who does not know the seal, is refused without a word.
func TestARequestToAHostIsForItAloneAndOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPostOffice(t)
		p.line.answer = func(l letter) (int, []byte) { return deliver(p.far, l) }
		out, err := p.ask(t.Context(), farURL, []byte(attendance))
		if err != nil || !strings.Contains(string(out), `"life":`) {
			t.Fatalf("%s, %v", out, err)
		}
		first := p.line.sent[0]
		if bytes.Contains(first.body, []byte("attend")) {
			t.Error("the request can be read on the way")
		}
		p.want("a second time", p.far, first, http.StatusForbidden)
		time.Sleep(29 * time.Second)
		p.want("a second time, later", p.far, first, http.StatusForbidden)

		l, m := p.letter(p.ask, farURL), p.letter(p.ask, nearURL)
		p.want("for another host", p.near, l, http.StatusForbidden)
		p.want("for another host, with a pass for this one", p.near, letter{m.pass, l.body}, http.StatusForbidden)
		p.want("with a pass for another host", p.far, letter{m.pass, l.body}, http.StatusForbidden)
		p.want("with an earlier pass for this host", p.far, letter{first.pass, l.body}, http.StatusOK) // a pass lets nobody do anything
		p.want("by who does not know the seal", p.far, p.letter(p.stranger, farURL), http.StatusForbidden)
		l = p.letter(p.ask, farURL)
		p.want("without a pass", p.far, letter{"", l.body}, http.StatusForbidden)
		p.want("a pass alone", p.far, letter{l.pass, nil}, http.StatusForbidden)
		p.want("its pass as the request", p.far, letter{l.pass, []byte(l.pass)}, http.StatusForbidden)
		for at := range l.body {
			bad := bytes.Clone(l.body)
			bad[at] ^= 1 << (at % 8)
			p.want("a bit is changed", p.far, letter{l.pass, bad}, http.StatusForbidden)
		}
		p.want("cut", p.far, letter{l.pass, l.body[:len(l.body)-1]}, http.StatusForbidden)

		time.Sleep(29 * time.Second)
		p.want("in time", p.far, l, http.StatusOK)
		l = p.letter(p.ask, farURL)
		time.Sleep(31 * time.Second)
		p.want("too late", p.far, l, http.StatusForbidden)
		p.want("too late, with a fresh pass", p.far, letter{p.letter(p.ask, farURL).pass, l.body}, http.StatusForbidden)
	})
}

// TestAnAnswerIsForItsRequest: that of another request, a changed one, or a stranger's is no answer.
func TestAnAnswerIsForItsRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPostOffice(t)
		var before []byte
		for what, change := range map[string]func([]byte) []byte{
			"of another request": func([]byte) []byte { return before },
			"changed":            func(b []byte) []byte { b[len(b)-1] ^= 1; return b },
			"nothing":            func([]byte) []byte { return nil },
		} {
			p.line.answer = func(l letter) (int, []byte) {
				code, b := deliver(p.far, l)
				before = bytes.Clone(b)
				return code, b
			}
			if _, err := p.ask(t.Context(), farURL, []byte(attendance)); err != nil {
				t.Fatal(err)
			}
			p.line.answer = func(l letter) (int, []byte) {
				code, b := deliver(p.far, l)
				return code, change(b)
			}
			if out, err := p.ask(t.Context(), farURL, []byte(attendance)); err == nil {
				t.Errorf("%s: %q is taken", what, out)
			}
		}
	})
}

// unread fails a test that reads it.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body of a stranger's request is read")
	return 0, errors.New("read")
}

// TestAStrangersBodyIsNotRead: it may be large.
func TestAStrangersBodyIsNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPostOffice(t)
		old := p.letter(p.ask, farURL).pass
		time.Sleep(31 * time.Second)
		for _, pass := range []string{"", "!", "AAAA", old, p.letter(p.stranger, farURL).pass, p.letter(p.ask, nearURL).pass} {
			r := httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/_kagimori/host", unread{t})
			r.Header.Set(passHeader, pass)
			w := httptest.NewRecorder()
			p.far.ServeHTTP(w, r)
			if w.Code != http.StatusForbidden {
				t.Errorf("the pass %q is answered %d", pass, w.Code)
			}
		}
	})
}
