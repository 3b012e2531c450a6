package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
)

type tlsConfig = tls.Config

// check refuses flags that do not go together, and addresses that would give the server away.
func (f *serveFlags) check() error {
	host, _, err := net.SplitHostPort(f.listen)
	if err != nil {
		return fmt.Errorf("--listen %q is not an address such as 127.0.0.1:4566", f.listen)
	}
	switch local := isLoopback(host); {
	case (f.tlsCert == "") != (f.tlsKey == ""):
		return errors.New("--tls-cert and --tls-key go together")
	case f.tlsClientCA != "" && f.tlsCert == "":
		return errors.New("--tls-client-ca goes with --tls-cert and --tls-key")
	case f.tlsClientCA != "" && f.store.store != "":
		return errors.New("--tls-client-ca does not go with --store: the nodes have no certificates for each other")
	case f.store.store == "" && (f.peerURL != "" || f.peerCA != ""):
		return errors.New("--peer-url and --peer-ca go with --store")
	case !f.dev && f.devAllowRemote:
		return errors.New("--dev-allow-remote is for --dev")
	case !f.dev && len(f.allowedHosts) > 0:
		return errors.New("--allowed-host is for --dev")
	case !slices.Contains([]string{"", "strong", "eventual"}, f.consistency):
		return fmt.Errorf("--dev-consistency %q is neither strong nor eventual", f.consistency)
	case !f.dev && f.consistency == "eventual":
		return errors.New("--dev-consistency=eventual is for --dev")
	case !slices.Contains([]string{"", "instant", "visible"}, f.pace):
		return fmt.Errorf("--dev-pace %q is neither instant nor visible", f.pace)
	case !f.dev && f.pace == "visible":
		return errors.New("--dev-pace is for --dev")
	case f.dev && !local && !f.devAllowRemote:
		return fmt.Errorf("--dev listens on the loopback only, not on %s: everybody knows its credentials (see --dev-allow-remote)", f.listen)
	case !f.dev && !local && f.tlsCert == "":
		return fmt.Errorf("%s can be reached from other machines, which needs TLS: give --tls-cert and --tls-key", f.listen)
	}
	return f.private.check()
}

// isLoopback reports whether only this machine reaches a host to listen on. Other names than
// localhost may mean anything.
func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

func listen(ctx context.Context, address string) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("the address %s is in use by another program", address)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("this user may not listen on %s", address)
	case err != nil:
		if o, ok := errors.AsType[*net.OpError](err); ok {
			err = o.Err
		}
		return nil, fmt.Errorf("cannot listen on %s: %w", address, err)
	}
	return l, nil
}

// tls reads the certificate; nil without one.
func (f *serveFlags) tls() (*tlsConfig, error) {
	if f.tlsCert == "" {
		return nil, nil
	}
	least, err := tlsVersion(f.tlsMin)
	if err != nil {
		return nil, err
	}
	f.tlsFiles = &tlsFiles{cert: f.tlsCert, key: f.tlsKey, clientCA: f.tlsClientCA, least: least}
	if _, err := f.tlsFiles.load(); err != nil {
		return nil, failed(err)
	}
	return f.tlsFiles.config(), nil
}

// serverTLS is the configuration of a listener with the certificate and key in files.
func serverTLS(certFile, keyFile string) (*tlsConfig, error) {
	cert, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, failed(fmt.Errorf("the certificate %s with the key %s cannot be used: %w", certFile, keyFile, err))
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}, nil
}
