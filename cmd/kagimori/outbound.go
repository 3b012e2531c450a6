package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kagimori/kagimori/internal/app"
	"github.com/kagimori/kagimori/internal/kms/attest"
	"github.com/kagimori/kagimori/internal/outbound"
)

// networkFlags are the flags of serve about what it reaches, and about its external key store proxy.
type networkFlags struct {
	allow, connect  []string
	ca              string
	patience        time.Duration
	attestation     string
	events          string
	xksListen       string
	xksCert, xksKey string
	xksClientCA     string
}

func (f *networkFlags) register(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringArrayVar(&f.allow, "outbound-allow", nil, "`network` outside the public internet, such as 10.1.0.0/16, that URLs of tenants may lead to (repeatable)")
	fl.StringArrayVar(&f.connect, "outbound-connect", nil, "`HOST=ADDRESS:PORT` that is dialled for a host in URLs of tenants, whatever its name resolves to (repeatable)")
	fl.StringVar(&f.ca, "outbound-ca", "", "`file` with certificates, in PEM, to trust for URLs of tenants beside the system's")
	fl.StringVar(&f.attestation, "attestation-roots", "", "`file` with root certificates, in PEM, of attestation documents to believe instead of AWS's")
	fl.StringVar(&f.events, "events", "", "`file:PATH or URL` (https) that gets an event, as EventBridge does, of each instance that a group launches, fails to launch or terminates")
	spanVar(fl, &f.patience, "xks-timeout", 0, "how `long` to wait for external key store proxies (default 250ms, as AWS KMS)")
	fl.StringVar(&f.xksListen, "xks-listen", "", "`address` to answer on as an external key store proxy, with TLS; see kagimori xks")
	fl.StringVar(&f.xksCert, "xks-tls-cert", "", "`file` with the proxy's certificate chain, in PEM (default that of --tls-cert)")
	fl.StringVar(&f.xksKey, "xks-tls-key", "", "`file` with the key of the proxy's certificate, in PEM (default that of --tls-key)")
	fl.StringVar(&f.xksClientCA, "xks-client-ca", "", "`file` with certificates, in PEM: the proxy's clients have to be AWS KMS under one of them")
}

// configure adds what the flags say to the server's configuration.
func (f *networkFlags) configure(cfg *app.Config) error {
	o := outbound.Config{Connect: map[string]string{}}
	for _, text := range f.allow {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return fmt.Errorf("--outbound-allow %q is not a network such as 10.1.0.0/16", text)
		}
		o.Allow = append(o.Allow, p)
	}
	for _, text := range f.connect {
		host, to, ok := strings.Cut(text, "=")
		if _, _, err := net.SplitHostPort(to); err != nil || !ok || host == "" {
			return fmt.Errorf("--outbound-connect %q is not like keys.example.com=10.1.2.3:8443", text)
		}
		o.Connect[strings.ToLower(host)] = to
	}
	var err error
	if f.ca != "" {
		base, sysErr := x509.SystemCertPool()
		if sysErr != nil {
			base = x509.NewCertPool()
		}
		o.Roots, err = certificates(f.ca, base)
	}
	if f.events != "" {
		if err := app.ParseEvents(f.events); err != nil {
			return fmt.Errorf("--events: %w", err)
		}
	}
	cfg.Outbound, cfg.XKSPatience, cfg.Events = o, f.patience, f.events
	if err == nil && f.attestation != "" {
		cfg.AttestationRoots, err = fingerprints(f.attestation)
	}
	return failed(err)
}

// fingerprints are those of the certificates in a file.
func fingerprints(path string) (all []string, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("the certificates %s cannot be read: %w", path, err)
	}
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("a certificate in %s cannot be read: %w", path, err)
		}
		all = append(all, attest.Fingerprint(cert))
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("there are no certificates in %s", path)
	}
	return all, nil
}

// certificates adds those of a file to a pool.
func certificates(path string, pool *x509.CertPool) (*x509.CertPool, error) {
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("the certificates %s cannot be read: %w", path, err)
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("there are no certificates in %s", path)
	}
	return pool, nil
}

// isKMS is the name in the certificate with which AWS KMS comes to a proxy. Source: XKS Proxy API
// Specification, "Authentication", mutual TLS.
var isKMS = regexp.MustCompile(`^cks\.kms\.[a-z0-9-]+\.amazonaws\.com(\.cn)?$`)

// proxyTLS is the configuration of the proxy's listener.
func (f *networkFlags) proxyTLS(cert, key string) (*tls.Config, error) {
	if f.xksCert != "" || f.xksKey != "" {
		cert, key = f.xksCert, f.xksKey
	}
	if cert == "" || key == "" {
		return nil, errors.New("--xks-listen needs TLS: give --xks-tls-cert and --xks-tls-key")
	}
	cfg, err := serverTLS(cert, key)
	if err != nil || f.xksClientCA == "" {
		return cfg, err
	}
	if cfg.ClientCAs, err = certificates(f.xksClientCA, x509.NewCertPool()); err != nil {
		return nil, failed(err)
	}
	cfg.ClientAuth = tls.RequireAndVerifyClientCert
	cfg.VerifyConnection = func(s tls.ConnectionState) error {
		c := s.PeerCertificates[0]
		if slices.ContainsFunc(append(c.DNSNames, c.Subject.CommonName), isKMS.MatchString) {
			return nil
		}
		return errors.New("the client is not AWS KMS")
	}
	return cfg, nil
}

// proxyListener is where the proxy answers; nil if it is not asked for.
func (f *networkFlags) proxyListener(ctx context.Context, cert, key string) (net.Listener, *tls.Config, error) {
	if f.xksListen == "" {
		if f.xksCert != "" || f.xksKey != "" || f.xksClientCA != "" {
			return nil, nil, errors.New("--xks-tls-cert, --xks-tls-key and --xks-client-ca are for --xks-listen")
		}
		return nil, nil, nil
	}
	cfg, err := f.proxyTLS(cert, key)
	if err != nil {
		return nil, nil, err
	}
	l, err := listen(ctx, f.xksListen)
	return l, cfg, failed(err)
}
