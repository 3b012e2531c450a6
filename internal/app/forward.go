package app

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/api/kagimoriapi"
	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/wire/restjson"
)

const (
	// forwardedHeader carries what a node says of a request that it passes on, sealed: who asked, and how.
	forwardedHeader = "Kagimori-Forwarded"
	// declinedHeader is in the answer of a node that does not work: it did nothing.
	declinedHeader = "Kagimori-Declined"
	forwardBox     = "forwarded request"
	// forwardBody bounds the body of a request that is passed on; the gateway takes less.
	forwardBody = 16 << 20
	// forwardWait is how long a request waits for a node that works, when there is none for a moment.
	forwardWait = 8 * time.Second
	// forwardFresh is how old what a node says may be.
	forwardFresh = 30 * time.Second
)

// A forwarder passes requests for the shift on to the node that works.
type forwarder struct {
	s    *server
	box  hsm.Box
	http *http.Client
	own  *restjson.Codec // knows the paths of this server's own operations, which every node has a part of
}

func newForwarder(s *server, box hsm.Box, t *tls.Config) (*forwarder, error) {
	own, err := restjson.New(kagimoriapi.Service())
	if err != nil {
		return nil, err
	}
	return &forwarder{s: s, box: box, http: peerClient(t), own: own}, nil
}

// peerClient is what a node asks the others with.
func peerClient(t *tls.Config) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			TLSClientConfig: t, DisableCompression: true, MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Minute,
			DialContext: (&net.Dialer{Timeout: 2 * time.Second}).DialContext, ForceAttemptHTTP2: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// asked is what a node says of a request that it passes on.
type asked struct {
	From   string    `json:"from"` // address of the client
	Secure bool      `json:"secure,omitempty"`
	At     time.Time `json:"at"`
}

// binding ties what is said to one request: it is of no use with another.
func binding(r *http.Request) []byte {
	h := sha256.New()
	for _, part := range []string{r.Method, r.Host, r.URL.RequestURI(), r.Header.Get("Authorization"), r.Header.Get("X-Amz-Date")} {
		sum := sha256.Sum256([]byte(part))
		h.Write(sum[:])
	}
	return h.Sum(nil)
}

// ServeHTTP answers a request here, or has the node answer it that works.
func (f *forwarder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	sealed := r.Header.Get(forwardedHeader)
	r.Header.Del(forwardedHeader)
	forwarded := sealed != "" && f.accept(sealed, r)
	if !forwarded && !f.wanted(r) {
		f.s.handler.ServeHTTP(w, r)
		return
	}
	f.s.comeToRest(r.Context()) // before the call is in: what is inside waits for nothing
	ctx, leave, here := f.s.enter(r.Context())
	switch {
	case here:
		defer leave()
		r = r.WithContext(ctx)
	case forwarded:
		w.Header().Set(declinedHeader, "true")
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	case f.pass(w, r):
		return
	}
	f.s.handler.ServeHTTP(w, r)
}

// accept believes what a node of the cluster says.
func (f *forwarder) accept(sealed string, r *http.Request) bool {
	raw, err := base64.StdEncoding.DecodeString(sealed)
	if err != nil {
		return false
	}
	plain, err := f.box.Open(raw, binding(r))
	var a asked
	if err != nil || json.Unmarshal(plain, &a) != nil || time.Since(a.At).Abs() > forwardFresh {
		return false
	}
	r.RemoteAddr, r.TLS = a.From, nil
	if a.Secure {
		r.TLS = &tls.ConnectionState{}
	}
	return true
}

// wanted reports whether the request is for the shift. It is not verified yet: a request that says
// another service than it is signed for is refused wherever it goes.
func (f *forwarder) wanted(r *http.Request) bool {
	scope := ""
	if _, after, ok := strings.Cut(r.Header.Get("Authorization"), "Credential="); ok {
		scope, _, _ = strings.Cut(after, ",")
	} else if r.URL.RawQuery != "" {
		scope = r.URL.Query().Get("X-Amz-Credential")
	}
	if strings.Count(scope, "/") < 4 { // ID/date/region/service/aws4_request
		return false
	}
	service := scope[:strings.LastIndexByte(scope, '/')]
	service = service[strings.LastIndexByte(service, '/')+1:]
	if service == ownOps {
		op, _ := f.own.Route(r.Method, r.URL.EscapedPath())
		return op != nil && f.s.idle.ops[ownOps][op.Name] != nil
	}
	return f.s.idle.ops[service] != nil
}

// pass passes a request on. It reports false, with the request as it was, if no node works.
func (f *forwarder) pass(w http.ResponseWriter, r *http.Request) bool {
	body, err := io.ReadAll(io.LimitReader(r.Body, forwardBody+1))
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(body), r.Body), r.Body}
	if err != nil || len(body) > forwardBody {
		return false // the gateway says what is wrong
	}
	ctx, cancel := context.WithTimeout(r.Context(), forwardWait)
	defer cancel()
	for f.s.work.Load() == nil {
		rec, err := f.s.whoWorks(ctx)
		if err != nil {
			return false
		}
		if rec.URL != "" && rec.Node != f.s.store.node.id {
			answered, err := f.send(w, r, rec.URL, body)
			if answered {
				return true
			}
			if err != nil {
				f.s.keeper.log.Warn("a request could not be passed on", "node", rec.Node, "error", err)
				return false
			}
		}
		if f.s.clock.Sleep(ctx, 50*time.Millisecond) != nil {
			return false
		}
	}
	return false // this node works by now
}

// send has a node answer. Neither an answer nor an error: that node does not work, or is not there, and
// has done nothing.
func (f *forwarder) send(w http.ResponseWriter, r *http.Request, base string, body []byte) (answered bool, err error) {
	out, err := http.NewRequestWithContext(r.Context(), r.Method, strings.TrimSuffix(base, "/")+r.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		return false, err
	}
	out.Header = r.Header.Clone()
	for _, h := range []string{"Connection", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Expect"} {
		out.Header.Del(h)
	}
	if _, named := out.Header["User-Agent"]; !named {
		out.Header["User-Agent"] = nil // as it was
	}
	out.Host = r.Host
	plain, err := json.Marshal(asked{r.RemoteAddr, r.TLS != nil, time.Now()})
	if err != nil {
		return false, err
	}
	out.Header.Set(forwardedHeader, base64.StdEncoding.EncodeToString(f.box.Seal(plain, binding(r))))
	resp, err := f.http.Do(out)
	if err != nil {
		if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
			err = nil
		}
		return false, err
	}
	defer resp.Body.Close()
	if resp.Header.Get(declinedHeader) != "" {
		return false, nil
	}
	for _, h := range []string{"Connection", "Keep-Alive", "Transfer-Encoding"} {
		resp.Header.Del(h)
	}
	maps.Copy(w.Header(), resp.Header)
	w.WriteHeader(resp.StatusCode)
	if _, err := io.Copy(w, resp.Body); err != nil {
		panic(http.ErrAbortHandler) // the client sees that it is not whole
	}
	return true, nil
}

// checkPeerURL refuses what other nodes cannot use.
func checkPeerURL(raw string) error {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" {
		return errors.New("the address of this node for the others is a URL such as https://node1.example:4566, not " + raw)
	}
	return nil
}
