package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/pflag"

	"github.com/kagimori/kagimori/internal/app"
)

// nbdFlags are the flags of serve about exported volumes.
type nbdFlags struct {
	listen    []string
	cert, key string
}

func (f *nbdFlags) register(fl *pflag.FlagSet) {
	fl.StringArrayVar(&f.listen, "nbd", nil, "`unix:PATH` or address where clients of NBD use exported volumes; see kagimori volume (repeatable)")
	fl.StringVar(&f.cert, "nbd-tls-cert", "", "`file` with the certificate chain of these addresses, in PEM (default that of --tls-cert)")
	fl.StringVar(&f.key, "nbd-tls-key", "", "`file` with the certificate's key, in PEM (default that of --tls-key)")
}

// An nbdListener is one place where clients of NBD are served.
type nbdListener struct {
	net.Listener
	tls *tls.Config // nil: none
}

// listeners takes the addresses. Over a network that others share, the names of exports, which are
// secrets, and the data need TLS.
func (f *nbdFlags) listeners(ctx context.Context, cert, key string) (all []nbdListener, err error) {
	defer func() {
		if err != nil {
			closeAll(all)
			all = nil
		}
	}()
	if f.cert != "" || f.key != "" {
		cert, key = f.cert, f.key
		if len(f.listen) == 0 || cert == "" || key == "" {
			return nil, errors.New("--nbd-tls-cert and --nbd-tls-key go together, with --nbd")
		}
	}
	for _, text := range f.listen {
		if path, ok := strings.CutPrefix(text, "unix:"); ok {
			l, err := listenUnix(ctx, path)
			if err != nil {
				return all, failed(err)
			}
			all = append(all, nbdListener{l, nil})
			continue
		}
		host, _, err := net.SplitHostPort(text)
		if err != nil {
			return all, fmt.Errorf("--nbd %q is not like unix:/run/kagimori/nbd.sock or 127.0.0.1:10809", text)
		}
		var cfg *tls.Config
		if cert != "" {
			if cfg, err = serverTLS(cert, key); err != nil {
				return all, err
			}
			cfg.NextProtos = nil
		} else if !isLoopback(host) {
			return all, fmt.Errorf("%s can be reached from other machines, which needs TLS: give --nbd-tls-cert and --nbd-tls-key", text)
		}
		l, err := listen(ctx, text)
		if err != nil {
			return all, failed(err)
		}
		all = append(all, nbdListener{l, cfg})
	}
	return all, nil
}

// listenUnix listens on a socket that only this user may use. One that a dead server left is replaced.
func listenUnix(ctx context.Context, path string) (net.Listener, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() == fs.ModeSocket {
		var d net.Dialer
		c, err := d.DialContext(ctx, "unix", path)
		if err == nil {
			_ = c.Close()
			return nil, fmt.Errorf("the socket %s is in use by another program", path)
		}
		if errors.Is(err, syscall.ECONNREFUSED) {
			if err := os.Remove(path); err != nil {
				return nil, err
			}
		}
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on the socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func closeAll(all []nbdListener) {
	for _, l := range all {
		_ = l.Close()
	}
}

// address is the listener's as clients are told.
func (l nbdListener) address() string {
	kind := "tcp:"
	switch {
	case l.Addr().Network() == "unix":
		kind = "unix:"
	case l.tls != nil:
		kind = "tls:"
	}
	return kind + l.Addr().String()
}

// serveNBD serves exported volumes at all addresses until ctx ends; failure of one ends them all.
func serveNBD(ctx context.Context, a *app.App, all []nbdListener, failing func()) error {
	ended := make(chan error, len(all))
	for _, l := range all {
		go func() {
			err := a.ServeNBD(ctx, l, l.tls)
			if err != nil {
				failing()
			}
			ended <- err
		}()
	}
	var errs []error
	for range all {
		errs = append(errs, <-ended)
	}
	return errors.Join(errs...)
}
