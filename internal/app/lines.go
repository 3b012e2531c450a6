package app

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/ec2/hosts"
	"github.com/kagimori/kagimori/internal/hsm"
)

const (
	// linePath is where a node is asked for a volume of its host, by a node that runs a machine with it.
	linePath = "/_kagimori/host/line"
	lineBox  = "line between hosts"
	// lineHeader carries what is asked for, and the answer.
	lineHeader = "X-Kagimori-Line"
	// lineProtocol is what the connection is upgraded to.
	lineProtocol = "kagimori-line"
	// lineWait is how long a node may take to answer.
	lineWait = 10 * time.Second
	// linePulse is how often both ends say that they are there, and lineSilence how long either is waited for at least.
	linePulse   = time.Second / 2
	lineSilence = 4 * linePulse
)

// Lines connect machines of one node with volumes of another: the bytes of NBD, sealed frame by frame under a key
// of the seal, on a connection that was one of HTTP. Safe for concurrent use.
type lines struct {
	box     hsm.Box
	url     string // of this node
	agent   *hosts.Agent
	http    *http.Client
	silence time.Duration
	once    onlyOnce
}

// A lineHello is what is asked for.
type lineHello struct {
	Volume   string `json:"volume"`
	Instance string `json:"instance"`
}

func newLines(box hsm.Box, url string, t *tls.Config, patience time.Duration) *lines {
	return &lines{
		box: box, url: url, silence: max(lineSilence, cmp.Or(patience, hosts.DefaultPatience)/2),
		http: &http.Client{
			Transport: &http.Transport{ // of HTTP/1.1: other versions cannot be left
				TLSClientConfig: t.Clone(), TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{},
				DialContext: (&net.Dialer{Timeout: 2 * time.Second}).DialContext, DisableKeepAlives: true,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

func lineTo(url string) []byte       { return []byte("line to " + url) }
func lineAnswer(nonce []byte) []byte { return append([]byte("line answer "), nonce...) }

// dial implements [hosts.Dial].
func (l *lines) dial(ctx context.Context, url, volume, instance string) (net.Conn, error) {
	plain := make([]byte, stampSize)
	binary.BigEndian.PutUint64(plain, uint64(time.Now().UnixNano()))
	_, _ = rand.Read(plain[8:]) // never fails
	nonce := bytes.Clone(plain[8:])
	hello, err := json.Marshal(lineHello{volume, instance})
	if err != nil {
		return nil, err
	}
	// The request lives as long as the line, so that only the wait for its answer is bounded.
	whole, cancel := context.WithCancel(context.WithoutCancel(ctx))
	late := time.AfterFunc(lineWait, cancel)
	defer late.Stop()
	defer context.AfterFunc(ctx, cancel)()
	req, err := http.NewRequestWithContext(whole, http.MethodPost, strings.TrimSuffix(url, "/")+linePath, http.NoBody)
	if err != nil {
		cancel()
		return nil, err
	}
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", lineProtocol)
	req.Header.Set(lineHeader, base64.StdEncoding.EncodeToString(l.box.Seal(append(plain, hello...), lineTo(url))))
	resp, err := l.http.Do(req)
	if err != nil {
		cancel()
		return nil, err
	}
	c, err := l.connected(resp, nonce, cancel)
	if err != nil {
		_ = resp.Body.Close()
		cancel()
		return nil, fmt.Errorf("the node at %s: %w", url, err)
	}
	return c, nil
}

// connected is the line that a node answered with.
func (l *lines) connected(resp *http.Response, nonce []byte, release func()) (*lineConn, error) {
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return nil, fmt.Errorf("it answers %d", resp.StatusCode)
	}
	both, ok := resp.Body.(io.ReadWriteCloser)
	sealed, err := base64.StdEncoding.DecodeString(resp.Header.Get(lineHeader))
	if err != nil || !ok {
		return nil, errors.New("it does not answer as a node")
	}
	theirs, err := l.box.Open(sealed, lineAnswer(nonce))
	if err != nil || len(theirs) != nonceSize {
		return nil, errors.New("its answer is not one of a node")
	}
	return newLineConn(both, l.box, append(nonce, theirs...), true, l.silence, release), nil
}

// ServeHTTP takes a line from another node.
func (l *lines) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	sealed, err := base64.StdEncoding.DecodeString(r.Header.Get(lineHeader))
	if err != nil {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	plain, err := l.box.Open(sealed, lineTo(l.url))
	var hello lineHello
	if err != nil || len(plain) < stampSize || !l.once.first(plain) || json.Unmarshal(plain[stampSize:], &hello) != nil {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	if r.Header.Get("Upgrade") != lineProtocol {
		w.WriteHeader(http.StatusUpgradeRequired)
		return
	}
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		w.WriteHeader(http.StatusHTTPVersionNotSupported)
		return
	}
	nonce, ours := plain[8:stampSize], make([]byte, nonceSize)
	_, _ = rand.Read(ours) // never fails
	answer := base64.StdEncoding.EncodeToString(l.box.Seal(ours, lineAnswer(nonce)))
	_ = conn.SetDeadline(time.Time{}) // the server's, for a request
	if _, err := io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "+lineProtocol+"\r\n"+lineHeader+": "+answer+"\r\n\r\n"); err != nil {
		_ = conn.Close()
		return
	}
	both := struct {
		io.Reader
		io.WriteCloser
	}{buffered, conn}
	c := newLineConn(both, l.box, append(bytes.Clone(nonce), ours...), false, l.silence, func() {})
	go func() { // it ends when the host lets go of the volume for the instance
		_ = l.agent.ServeLine(context.Background(), c, hello.Volume, hello.Instance) // the other end sees it
	}()
}
