package main

import (
	"bytes"
	"context"
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
	"syscall"
	"testing"
	"time"
)

// certify writes a certificate for 127.0.0.1 that is its own authority, and its key.
func certify(t *testing.T, dir, name string, serial int64) (cert, key string, pair tls.Certificate) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	pk, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key")
	c, p := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pk})
	if err := os.WriteFile(cert, c, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(key, p, 0o600); err != nil {
		t.Fatal(err)
	}
	if pair, err = tls.X509KeyPair(c, p); err != nil {
		t.Fatal(err)
	}
	return cert, key, pair
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// A new certificate is shown to new connections, those that are open stay, and a bad one changes nothing.
func TestTheCertificateIsReloaded(t *testing.T) {
	dir := t.TempDir()
	cert, key, _ := certify(t, dir, "server", 1)
	newCert, newKey, _ := certify(t, dir, "next", 2)
	f := &tlsFiles{cert: cert, key: key, least: tls.VersionTLS13}
	if _, err := f.load(); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	ctx, stop := context.WithCancel(t.Context())
	again, watched, served := make(chan os.Signal), make(chan struct{}), make(chan error, 1)
	go func() { f.watch(ctx, again, slog.New(slog.NewTextHandler(&log, nil))); close(watched) }()
	go func() {
		served <- serveHTTP(ctx, l, f.config(), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }), slog.New(slog.DiscardHandler))
	}()
	dial := func(most uint16) (*tls.Conn, error) {
		return tls.Dial("tcp", l.Addr().String(), &tls.Config{InsecureSkipVerify: true, MaxVersion: most, NextProtos: []string{"http/1.1"}}) // the serial number is what is looked at
	}
	serial := func(c *tls.Conn) int64 { return c.ConnectionState().PeerCertificates[0].SerialNumber.Int64() }
	old, err := dial(0)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	if serial(old) != 1 {
		t.Fatalf("certificate %d", serial(old))
	}
	if _, err := dial(tls.VersionTLS12); err == nil {
		t.Error("TLS 1.2 is spoken below the least version")
	}
	if err := os.WriteFile(cert, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	again <- syscall.SIGHUP
	again <- syscall.SIGHUP // the first one is done
	c, err := dial(0)
	if err != nil || serial(c) != 1 {
		t.Fatalf("after a bad certificate: %v", err)
	}
	_ = c.Close()
	copyFile(t, newCert, cert)
	copyFile(t, newKey, key)
	again <- syscall.SIGHUP
	again <- syscall.SIGHUP
	if c, err = dial(0); err != nil || serial(c) != 2 {
		t.Fatalf("after a new certificate: %v", err)
	}
	_ = c.Close()
	if _, err := io.WriteString(old, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	head := make([]byte, 15)
	if _, err := io.ReadFull(old, head); err != nil || string(head) != "HTTP/1.1 200 OK" {
		t.Errorf("the connection that was open: %q, %v", head, err)
	}
	stop()
	<-watched
	if err := <-served; err != nil {
		t.Error(err)
	}
	if !bytes.Contains(log.Bytes(), []byte("not taken")) || !bytes.Contains(log.Bytes(), []byte("a new certificate")) {
		t.Errorf("log: %s", &log)
	}
}

// With client authorities, who has no certificate under one of them gets no connection.
func TestClientsNeedACertificate(t *testing.T) {
	dir := t.TempDir()
	cert, key, _ := certify(t, dir, "server", 1)
	ca, _, client := certify(t, dir, "client", 2)
	_, _, stranger := certify(t, dir, "stranger", 3)
	f := &tlsFiles{cert: cert, key: key, clientCA: ca}
	if _, err := f.load(); err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", f.config())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if c.(*tls.Conn).Handshake() == nil {
				_, _ = c.Write([]byte("in"))
			}
			_ = c.Close()
		}
	}()
	for _, tt := range []struct {
		name  string
		certs []tls.Certificate
		in    bool
	}{{"its client", []tls.Certificate{client}, true}, {"a stranger", []tls.Certificate{stranger}, false}, {"nobody", nil, false}} {
		c, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{InsecureSkipVerify: true, Certificates: tt.certs})
		got := ""
		if err == nil {
			b, _ := io.ReadAll(c)
			got = string(b)
			_ = c.Close()
		}
		if (got == "in") != tt.in {
			t.Errorf("%s: %q, %v", tt.name, got, err)
		}
	}
	if _, err := tlsVersion("1.1"); err == nil {
		t.Error("TLS 1.1 is taken")
	}
}
