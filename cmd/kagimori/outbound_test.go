package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// An authority makes certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t}
	a.cert, a.key = a.issue("authority", true)
	return a
}

func (a *authority) issue(name string, isCA bool) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: isCA, BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	parent, signer := tmpl, key
	if a.cert != nil {
		parent, signer = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, key.Public(), signer)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, key
}

// file writes PEM.
func (a *authority) file(kind string, der []byte) string {
	a.t.Helper()
	path := filepath.Join(a.t.TempDir(), kind+".pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		a.t.Fatal(err)
	}
	return path
}

func TestTheProxyTakesOnlyKMSIfToldSo(t *testing.T) {
	ours, other := newAuthority(t), newAuthority(t)
	cert, key := ours.issue("keys.example.com", false)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	f := networkFlags{xksListen: "127.0.0.1:0", xksCert: ours.file("CERTIFICATE", cert.Raw), xksKey: ours.file("PRIVATE KEY", der), xksClientCA: ours.file("CERTIFICATE", ours.cert.Raw)}
	l, cfg, err := f.proxyListener(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	ctx := t.Context()
	go func() {
		ended <- serveHTTP(ctx, l, cfg, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }), slog.New(slog.DiscardHandler))
	}()
	t.Cleanup(func() {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	roots := x509.NewCertPool()
	roots.AddCert(ours.cert)
	get := func(who *authority, name string) error {
		conf := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
		if who != nil {
			c, k := who.issue(name, false)
			conf.Certificates = []tls.Certificate{{Certificate: [][]byte{c.Raw}, PrivateKey: k}}
		}
		tr := &http.Transport{TLSClientConfig: conf}
		defer tr.CloseIdleConnections()
		resp, err := (&http.Client{Transport: tr}).Get("https://" + l.Addr().String())
		if err != nil {
			return err
		}
		_, err = io.ReadAll(resp.Body)
		_ = resp.Body.Close() // it was read
		return err
	}
	if err := get(ours, "cks.kms.us-east-1.amazonaws.com"); err != nil {
		t.Errorf("KMS: %v", err)
	}
	for name, err := range map[string]error{
		"nobody": get(nil, ""), "another name": get(ours, "kms.us-east-1.amazonaws.com"), "a longer name": get(ours, "cks.kms.us-east-1.amazonaws.com.example.com"),
		"another authority": get(other, "cks.kms.us-east-1.amazonaws.com"),
	} {
		if err == nil {
			t.Errorf("%s got in", name)
		}
	}
}
