package app

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/kagimori/kagimori/internal/ec2/hosts"
	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/machine"
)

const (
	// hostPath is where a node is asked for something by the node that works.
	hostPath = "/_kagimori/host"
	hostBox  = "request to a host"
	// hostBody bounds a request: it may name all volumes and snapshots.
	hostBody = 256 << 20
	// hostPass is the header that shows, before the body is read, that a node asks.
	hostPass = "X-Kagimori-Pass"
	// hostFresh is how old a request may be.
	hostFresh = 30 * time.Second
)

// Host peers carry requests to the hosts of other nodes: sealed under a key of the seal, for one node and one
// answer, since data keys are among them. Safe for concurrent use.
type hostPeers struct {
	box   hsm.Box
	url   string // of this node
	agent *hosts.Agent
	http  *http.Client
	once  onlyOnce
}

const (
	nonceSize = 16
	stampSize = 8 + nonceSize // time and nonce, before the request
)

func asking(url string) []byte           { return []byte("to " + url) }
func passing(url string) []byte          { return []byte("pass to " + url) }
func answering(nonce []byte) []byte      { return append([]byte("answer "), nonce...) }
func stampOf(plain []byte) (t time.Time) { return time.Unix(0, int64(binary.BigEndian.Uint64(plain))) }

// Call implements [hosts.Call].
func (p *hostPeers) call(ctx context.Context, url string, request []byte) ([]byte, error) {
	plain := make([]byte, stampSize, stampSize+len(request))
	binary.BigEndian.PutUint64(plain, uint64(time.Now().UnixNano()))
	_, _ = rand.Read(plain[8:]) // never fails
	nonce := bytes.Clone(plain[8:])
	pass := base64.StdEncoding.EncodeToString(p.box.Seal(plain, passing(url)))
	plain = append(plain, request...)
	sealed := p.box.Seal(plain, asking(url))
	clear(plain)
	out, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(url, "/")+hostPath, bytes.NewReader(sealed))
	if err != nil {
		return nil, err
	}
	out.Header.Set(hostPass, pass)
	resp, err := p.http.Do(out)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, hostBody))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the node at %s answers %d", url, resp.StatusCode)
	}
	return p.box.Open(body, answering(nonce))
}

// ServeHTTP does what the node that works asks of this one.
func (p *hostPeers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !p.passes(r.Header.Get(hostPass)) {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, hostBody))
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	plain, err := p.box.Open(body, asking(p.url))
	if err != nil || len(plain) < stampSize || !p.once.first(plain) {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	defer clear(plain)
	answer := p.agent.Serve(r.Context(), plain[stampSize:])
	_, _ = w.Write(p.box.Seal(answer, answering(plain[8:stampSize]))) // nobody may be there any more
}

// passes reports whether a node asks that knows the seal: a body may be large, and is not read for others.
func (p *hostPeers) passes(pass string) bool {
	sealed, err := base64.StdEncoding.DecodeString(pass)
	if err != nil {
		return false
	}
	stamp, err := p.box.Open(sealed, passing(p.url))
	return err == nil && len(stamp) == stampSize && time.Since(stampOf(stamp)).Abs() <= hostFresh
}

// An onlyOnce lets each request in once. The zero value has seen none. Safe for concurrent use.
type onlyOnce struct {
	mu   sync.Mutex
	used map[[nonceSize]byte]time.Time // guarded by mu
}

// first reports whether a request, which begins with its time and nonce, is fresh and came for the first time.
func (p *onlyOnce) first(plain []byte) bool {
	now, at := time.Now(), stampOf(plain)
	if now.Sub(at).Abs() > hostFresh {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.used == nil {
		p.used = map[[nonceSize]byte]time.Time{}
	}
	for n, t := range p.used {
		if now.Sub(t) > 2*hostFresh {
			delete(p.used, n)
		}
	}
	nonce := [nonceSize]byte(plain[8:stampSize])
	_, again := p.used[nonce]
	p.used[nonce] = now
	return !again
}

// newAgent makes the host of this node, and what asks those of the others.
func (s *server) newAgent(cfg Config, module hsm.Module, volumes *shelfPlace, machines func() machine.Driver) error {
	n := s.store.node
	if n == nil {
		return nil
	}
	s.lines = newLines(module.Box(lineBox), n.cfg.URL, n.cfg.PeerTLS, cfg.HostPatience)
	var err error
	s.agent, err = hosts.NewAgent(hosts.AgentConfig{
		Name: n.id, URL: n.cfg.URL, Shelf: volumes.shared, Store: s.shared, Volumes: volumes.Shelf, Now: s.clock.Now, Patience: cfg.HostPatience, ExportAddresses: cfg.NBD, Logger: cfg.Logger,
		Machines: machines(), Dial: s.lines.dial,
	})
	if err != nil {
		return fmt.Errorf("the volumes cannot be taken up: %w", err)
	}
	s.lines.agent = s.agent
	s.hostPeers = &hostPeers{box: module.Box(hostBox), url: n.cfg.URL, agent: s.agent, http: peerClient(n.cfg.PeerTLS)}
	return nil
}

// askPeer implements [hosts.Call].
func (s *server) askPeer(ctx context.Context, url string, request []byte) ([]byte, error) {
	return s.hostPeers.call(ctx, url, request)
}
