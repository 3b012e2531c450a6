package main

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"
)

// tlsFiles is the configuration of a listener whose certificate, key and authorities are in files. What
// changes there counts for new connections; those that are open stay.
type tlsFiles struct {
	cert, key string
	clientCA  string // clients need a certificate of an authority in it, besides what they sign; "" asks for none
	least     uint16 // version of TLS; 0 is 1.2

	current atomic.Pointer[tls.Config]
	sum     [sha256.Size]byte // of what current was made of; used by one goroutine
}

// tlsPoll is how often the files are looked at. A signal has them looked at at once.
const tlsPoll = 10 * time.Second

// load reads the files. It reports whether there was anything new; what is wrong changes nothing.
func (f *tlsFiles) load() (changed bool, err error) {
	h := sha256.New()
	var parts [3][]byte
	for i, path := range []string{f.cert, f.key, f.clientCA} {
		if path == "" {
			continue
		}
		if parts[i], err = os.ReadFile(path); err != nil {
			return false, fmt.Errorf("the certificate %s with the key %s cannot be used: %w", f.cert, f.key, err)
		}
		part := sha256.Sum256(parts[i])
		h.Write(part[:])
	}
	var sum [sha256.Size]byte
	if h.Sum(sum[:0]); sum == f.sum && f.current.Load() != nil {
		return false, nil
	}
	pair, err := tls.X509KeyPair(parts[0], parts[1])
	clear(parts[1])
	if err != nil {
		return false, fmt.Errorf("the certificate %s with the key %s cannot be used: %w", f.cert, f.key, err)
	}
	cfg := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: max(f.least, tls.VersionTLS12), NextProtos: []string{"h2", "http/1.1"}}
	if f.clientCA != "" {
		cfg.ClientCAs = x509.NewCertPool()
		if !cfg.ClientCAs.AppendCertsFromPEM(parts[2]) {
			return false, fmt.Errorf("there are no certificates in %s", f.clientCA)
		}
		cfg.ClientAuth = tls.RequireAndVerifyClientCert
	}
	f.sum = sum
	f.current.Store(cfg)
	return true, nil
}

// config is what a listener is given: each connection gets what was read last.
func (f *tlsFiles) config() *tls.Config {
	c := f.current.Load().Clone()
	c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return f.current.Load(), nil }
	return c
}

// watch follows the files until ctx ends. again has them read at once.
func (f *tlsFiles) watch(ctx context.Context, again <-chan os.Signal, logger *slog.Logger) {
	tick := time.NewTicker(tlsPoll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-again:
		}
		switch changed, err := f.load(); {
		case err != nil:
			logger.Error("the certificate is not taken: the one before stays", "error", err)
		case changed:
			logger.Info("a new certificate is shown to new connections", "file", f.cert)
		}
	}
}

// tlsVersion reads the flag for the least version.
func tlsVersion(text string) (uint16, error) {
	switch text {
	case "", "1.2":
		return tls.VersionTLS12, nil
	case "1.3":
		return tls.VersionTLS13, nil
	}
	return 0, fmt.Errorf("--tls-min-version %q is neither 1.2 nor 1.3", text)
}
