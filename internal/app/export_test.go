package app

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"

	"github.com/kagimori/kagimori/internal/ec2/hosts"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/kms"
	"github.com/kagimori/kagimori/internal/store"
)

// Accepts reports whether a node believes what a header says of a request that another one passed on.
func Accepts(box hsm.Box, header string, r *http.Request) bool {
	return (&forwarder{box: box}).accept(header, r)
}

// Disk is the content of an attached volume, as its instance sees it.
func (a *App) Disk(ctx context.Context, account, region, volume string) (hosts.Disk, error) {
	return a.current.Load().work.Load().ec2.Disk(ctx, account, region, volume)
}

// KeysOf is KMS as EC2 calls it, with EC2's guard.
func KeysOf(g *guard.Guard, k *kms.Service) keys { return keys{g, k} }

// Fence is that of a lease.
func Fence(l holding) func(context.Context) (context.Context, error) { return fence(l) }

// Starting is a store that is waited for until started is called.
func Starting(st store.Store, log *slog.Logger) (_ store.Store, started func()) {
	s := newStarting(st, log)
	return s, func() { s.started.Store(true) }
}

// HostPeers is what carries requests to the hosts of other nodes, and what serves those of this one at url.
func HostPeers(box hsm.Box, url string, agent *hosts.Agent, c *http.Client) (http.Handler, hosts.Call) {
	p := &hostPeers{box: box, url: url, agent: agent, http: c}
	return p, p.call
}

// Lines is what connects machines with volumes of other nodes, and what serves those of this one at url.
func Lines(box hsm.Box, url string, agent *hosts.Agent, t *tls.Config) (http.Handler, hosts.Dial) {
	l := newLines(box, url, t, 0)
	l.agent = agent
	return l, l.dial
}

// LineConn is one end of a line.
func LineConn(both io.ReadWriteCloser, box hsm.Box, session string, near bool) net.Conn {
	return newLineConn(both, box, []byte(session), near, hosts.DefaultPatience/2, func() {})
}
