package nbd_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"math/big"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kagimori/kagimori/internal/blockdev/nbd"
)

const unsupported, policy, invalid, tlsRequired, unknown, tooBig = 1<<31 + 1, 1<<31 + 2, 1<<31 + 3, 1<<31 + 5, 1<<31 + 6, 1<<31 + 9

func TestOptions(t *testing.T) {
	name := str(exportName)
	long := str(strings.Repeat("x", 4097))
	tests := []struct {
		name   string
		option uint32
		data   string
		want   []uint32
	}{
		{"list", 3, "", []uint32{policy}},
		{"list with data", 3, "x", []uint32{invalid}},
		{"TLS that is not configured", 5, "", []uint32{policy}},
		{"TLS with data", 5, "x", []uint32{invalid}},
		{"peek at an export", 4, "", []uint32{unsupported}},
		{"extended headers", 11, "", []uint32{unsupported}},
		{"unknown", 1 << 20, "some data", []uint32{unsupported}},
		{"structured with data", 8, "x", []uint32{invalid}},
		{"info", 6, name + "\x00\x01\x00\x03", []uint32{3, 3, 1}},
		{"info with name and description", 6, name + "\x00\x02\x00\x01\x00\x02", []uint32{3, 3, 3, 3, 1}},
		{"info of nothing", 6, str("vol-2") + "\x00\x00", []uint32{unknown}},
		{"empty info", 6, "", []uint32{invalid}},
		{"info without its kinds", 6, name + "\x00\x07", []uint32{invalid}},
		{"info with more", 6, name + "\x00\x00x", []uint32{invalid}},
		{"name longer than the data", 6, "\xff\xff\xff\xffname", []uint32{invalid}},
		{"name of 4097", 6, long + "\x00\x00", []uint32{invalid}},
		{"go to nothing", 7, str("") + "\x00\x00", []uint32{unknown}},
		{"meta before structured", 10, name + "\x00\x00\x00\x00", []uint32{invalid}},
		{"malformed meta", 10, name, []uint32{invalid}},
		{"too many queries", 9, name + "\xff\xff\xff\xff", []uint32{invalid}},
		{"too long", 6, strings.Repeat("x", 20<<10), []uint32{tooBig}},
	}
	s := serve(t, nbd.Config{}, nbd.Export{Device: volume(t), Description: "a disk"})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := s.dial(t, 3)
			c.option(tt.option, tt.data)
			for _, want := range tt.want {
				c.wantReply(tt.option, want)
			}
			c.option(2, "") // the negotiation goes on, until the client leaves
			c.wantReply(2, 1)
			c.gone()
		})
	}
}

func TestMetaContexts(t *testing.T) {
	name := str(exportName)
	tests := []struct {
		name   string
		option uint32
		data   string
		want   []uint32
	}{
		{"list all", 9, name + "\x00\x00\x00\x00", []uint32{4, 1}},
		{"list a namespace", 9, name + "\x00\x00\x00\x01" + str("base:"), []uint32{4, 1}},
		{"list another", 9, name + "\x00\x00\x00\x01" + str("qemu:"), []uint32{1}},
		{"choose nothing", 10, name + "\x00\x00\x00\x00", []uint32{1}},
		{"choose a namespace", 10, name + "\x00\x00\x00\x01" + str("base:"), []uint32{1}},
		{"choose two", 10, name + "\x00\x00\x00\x02" + str("qemu:dirty") + str("base:allocation"), []uint32{4, 1}},
		{"choose for nothing", 10, str("x") + "\x00\x00\x00\x00", []uint32{unknown}},
	}
	s := serve(t, nbd.Config{}, nbd.Export{Device: volume(t)})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := s.dial(t, 3)
			c.structured()
			c.option(tt.option, tt.data)
			for _, want := range tt.want {
				c.wantReply(tt.option, want)
			}
		})
	}
	// A later, failing choice takes the earlier one back.
	c := s.dial(t, 3)
	c.structured()
	c.chooseAllocation()
	c.option(10, name)
	c.wantReply(10, invalid)
	c.chooseAllocation()
	c.option(10, str("x")+"\x00\x00\x00\x00")
	c.wantReply(10, unknown)
	c.begin()
	c.request(0, status, 1, 0, 4096, nil)
	if got := c.chunk(1); got.kind != 1<<15+1 {
		t.Errorf("status without a context: %v", got)
	}
}

func TestExportNameOption(t *testing.T) {
	s := serve(t, nbd.Config{}, nbd.Export{Device: volume(t)})
	for flags, padding := range map[uint32]int{1: 124, 3: 0} {
		c := s.dial(t, flags)
		c.option(1, exportName)
		b := c.get(10 + padding)
		if binary.BigEndian.Uint64(b) != volumeSize || !bytes.Equal(b[10:], make([]byte, padding)) {
			t.Errorf("client flags %d: %x", flags, b)
		}
		c.request(0, read, 1, 0, 10, nil)
		if code, _ := c.simple(1, 10); code != 0 {
			t.Errorf("client flags %d: error %d", flags, code)
		}
	}
	c := s.dial(t, 3)
	c.option(1, "vol-2")
	c.gone()
}

func TestNames(t *testing.T) {
	s := serve(t, nbd.Config{Names: func() []string { return []string{"a", "bc"} }}, nbd.Export{Device: volume(t)})
	c := s.dial(t, 3)
	c.option(3, "")
	for _, want := range []string{"a", "bc"} {
		if d := c.wantReply(3, 2); string(d) != str(want) {
			t.Errorf("listed %q, want %q", d, want)
		}
	}
	c.wantReply(3, 1)
}

// What leaves no next message ends the connection.
func TestHangsUp(t *testing.T) {
	s := serve(t, nbd.Config{}, nbd.Export{Device: volume(t)})
	tests := map[string]func(c *client){
		"oldstyle client":        func(*client) {},
		"no magic":               func(c *client) { c.put("IHAVEOPX", uint32(3), uint32(0)) },
		"option of 4 GiB":        func(c *client) { c.put("IHAVEOPT", uint32(6), uint32(1<<32-1)) },
		"export name of 1 MiB":   func(c *client) { c.put("IHAVEOPT", uint32(1), uint32(1<<20)) },
		"request without magic":  func(c *client) { c.begin(); c.put(make([]byte, 28)) },
		"write of 4 GiB":         func(c *client) { c.begin(); c.request(0, write, 1, 0, 1<<32-1, nil) },
		"disconnect":             func(c *client) { c.begin(); c.request(0, disconnect, 1, 0, 0, nil) },
		"export name of nothing": func(c *client) { c.option(1, "") },
	}
	for name, f := range tests {
		t.Run(name, func(t *testing.T) {
			flags := uint32(3)
			if name == "oldstyle client" {
				flags = 0
			}
			c := s.dial(t, flags)
			f(c)
			c.gone()
		})
	}
	t.Run("no end", func(t *testing.T) {
		c := s.dial(t, 3)
		for range 128 {
			c.option(8, "")
			c.wantReply(8, 1)
		}
		c.gone()
	})
	s.wg.Wait()
}

func TestHandshakeTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, nbd.Config{Handshake: 5 * time.Second}, nbd.Export{Device: volume(t)})
		begun := time.Now()
		s.dial(t, 3).gone()
		if took := time.Since(begun); took != 5*time.Second {
			t.Errorf("hung up after %v", took)
		}
	})
}

func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"nbd.test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	must(t, err)
	cert, err := x509.ParseCertificate(der)
	must(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

func TestTLS(t *testing.T) {
	cert, pool := certificate(t)
	s := serve(t, nbd.Config{TLS: &tls.Config{Certificates: []tls.Certificate{cert}}, RequireTLS: true}, nbd.Export{Device: volume(t)})
	c := s.dial(t, 3)
	for option, data := range map[uint32]string{3: "", 6: str(exportName) + "\x00\x00", 7: str(exportName) + "\x00\x00", 8: "", 77: ""} {
		c.option(option, data)
		c.wantReply(option, tlsRequired)
	}
	c.option(5, "")
	c.wantReply(5, 1)
	tc := tls.Client(c.Conn, &tls.Config{RootCAs: pool, ServerName: "nbd.test"})
	must(t, tc.Handshake())
	sc := &client{t, tc}
	sc.option(5, "")
	sc.wantReply(5, invalid)
	sc.begin()
	data := random(4, 300<<10)
	sc.request(fua, write, 1, 4096, uint32(len(data)), data)
	sc.ok(1)
	sc.request(0, read, 2, 4096, uint32(len(data)), nil)
	if code, got := sc.simple(2, len(data)); code != 0 || !bytes.Equal(got, data) {
		t.Errorf("error %d, or other data", code)
	}
	old := s.dial(t, 3)
	old.option(1, exportName)
	old.gone()
}

// Messages that somebody put between the client's words and the TLS handshake are not believed.
func TestTLSInjection(t *testing.T) {
	cert, _ := certificate(t)
	s := serve(t, nbd.Config{TLS: &tls.Config{Certificates: []tls.Certificate{cert}}}, nbd.Export{Device: volume(t)})
	c := s.dial(t, 3)
	c.put("IHAVEOPT", uint32(5), uint32(0), "IHAVEOPT", uint32(8), uint32(0))
	c.gone()
}

// What was negotiated before TLS is forgotten.
func TestTLSForgets(t *testing.T) {
	cert, pool := certificate(t)
	s := serve(t, nbd.Config{TLS: &tls.Config{Certificates: []tls.Certificate{cert}}}, nbd.Export{Device: volume(t)})
	c := s.dial(t, 3)
	c.structured()
	c.chooseAllocation()
	c.option(5, "")
	c.wantReply(5, 1)
	tc := tls.Client(c.Conn, &tls.Config{RootCAs: pool, ServerName: "nbd.test"})
	must(t, tc.Handshake())
	sc := &client{t, tc}
	sc.begin()
	sc.request(0, status, 1, 0, 4096, nil)
	if code, _ := sc.simple(1, 0); code != 22 {
		t.Errorf("status: error %d", code)
	}
}

func TestTLSIsConfigured(t *testing.T) {
	if _, err := nbd.NewServer(nbd.Config{RequireTLS: true}); err == nil {
		t.Error("TLS is required, there is none, and that is fine")
	}
}
