package app

import (
	"context"
	"crypto/tls"
	"net"

	"github.com/kagimori/kagimori/internal/blockdev/nbd"
)

// ServeNBD serves exported volumes to clients of NBD on l until ctx ends. If t is not nil, clients have
// to take TLS before they may name a volume.
func (a *App) ServeNBD(ctx context.Context, l net.Listener, t *tls.Config) error {
	s, err := nbd.NewServer(nbd.Config{
		Find: func(name string) (nbd.Export, bool) {
			if s := a.current.Load(); s != nil {
				if s.agent != nil { // a node's own host, whoever works
					return s.agent.Exported(name)
				}
				if w := s.work.Load(); w != nil {
					return w.ec2.Exported(name)
				}
			}
			return nbd.Export{}, false
		},
		TLS: t, RequireTLS: t != nil, Logger: a.cfg.Logger,
	})
	if err != nil {
		return err
	}
	return s.Serve(ctx, l)
}
