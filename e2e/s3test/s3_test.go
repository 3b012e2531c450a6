package s3test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"crypto/tls"

	"github.com/kagimori/kagimori/internal/blockdev"
	"github.com/kagimori/kagimori/internal/objects"
	"github.com/kagimori/kagimori/internal/objects/objectstest"
	"github.com/kagimori/kagimori/internal/objects/s3"
	"github.com/kagimori/kagimori/internal/outbound"
)

const bucket = "kagimori-snapshots"

// A gateway is a running versitygw.
type gateway struct {
	url   string
	roots *x509.CertPool
	cert  tls.Certificate
	dir   string // of its files, while the tests run
}

var gw gateway

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "kagimori-s3test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	stop, err := gw.start(dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, "the gateway does not run:", err)
		return 1
	}
	defer stop()
	return m.Run()
}

// start builds the gateway and runs it over a folder.
func (g *gateway) start(dir string) (stop func(), err error) {
	g.dir = dir
	bin := filepath.Join(dir, "versitygw")
	if out, err := exec.Command("go", "build", "-o", bin, "github.com/versity/versitygw/cmd/versitygw").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	if err := g.certificate(dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(dir, "data", bucket), 0o700); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		return nil, err
	}
	cmd := exec.Command(bin, "--access", "AKIDTEST", "--secret", "sectest", "--port", address, "--quiet",
		"--cert", filepath.Join(dir, "cert.pem"), "--key", filepath.Join(dir, "key.pem"), "posix", filepath.Join(dir, "data"))
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	g.url = "https://" + address
	for range 1200 {
		if conn, err := net.DialTimeout("tcp", address, time.Second); err == nil {
			_ = conn.Close()
			return func() { _ = cmd.Process.Kill(); <-ended }, nil
		}
		select {
		case err := <-ended:
			return nil, fmt.Errorf("%w: %s", err, &log)
		case <-time.After(50 * time.Millisecond):
		}
	}
	return nil, errors.Join(errors.New("it does not listen"), cmd.Process.Kill())
}

func (g *gateway) certificate(dir string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "gateway"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return err
	}
	g.roots = x509.NewCertPool()
	g.roots.AddCert(cert)
	g.cert = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, "cert.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600),
		os.WriteFile(filepath.Join(dir, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
}

func (g *gateway) config(endpoint, prefix string) s3.Config {
	return s3.Config{
		Endpoint: endpoint, Bucket: bucket, Prefix: prefix, AccessKeyID: "AKIDTEST", SecretAccessKey: "sectest",
		Outbound: outbound.Config{Roots: g.roots},
	}
}

func (g *gateway) bucket(t *testing.T, prefix string) *s3.Bucket {
	t.Helper()
	b, err := s3.New(g.config(g.url, prefix))
	must(t, err)
	return b
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestABucketIsAStoreOfObjects(t *testing.T) {
	objectstest.Run(t, gw.bucket(t, "store/one"))
	objectstest.Run(t, gw.bucket(t, ""))
}

func TestAPlaceHasOneOwner(t *testing.T) {
	a, b := gw.bucket(t, "owned"), gw.bucket(t, "owned")
	must(t, a.Claim(t.Context(), "first"))
	must(t, b.Claim(t.Context(), "first"))
	if err := b.Claim(t.Context(), "second"); err == nil {
		t.Error("two data directories share a place")
	}
	must(t, gw.bucket(t, "elsewhere").Claim(t.Context(), "second"))
	must(t, a.List(t.Context(), "", func(o objects.Object) error { return errors.New("the owner is listed: " + o.Name) }))
}

func TestWrongCredentialsAreSaidInASentence(t *testing.T) {
	cfg := gw.config(gw.url, "x")
	cfg.SecretAccessKey = "wrong-secret"
	b, err := s3.New(cfg)
	must(t, err)
	_, err = b.Get(t.Context(), "a", 0, -1)
	if err == nil || !strings.Contains(err.Error(), "SignatureDoesNotMatch") || strings.Contains(err.Error(), "wrong-secret") {
		t.Errorf("got %v", err)
	}
	cfg.Outbound.Roots = x509.NewCertPool()
	b, err = s3.New(cfg)
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := b.Put(ctx, "a", nil); !errors.Is(err, outbound.ErrTLS) {
		t.Errorf("a server that is not trusted: %v", err)
	}
	for _, endpoint := range []string{"http://127.0.0.1:9000", "ftp://x", "https://user:pass@x"} {
		cfg.Endpoint = endpoint
		if _, err := s3.New(cfg); err == nil {
			t.Errorf("the endpoint %s is taken", endpoint)
		}
	}
}

// flaky is the gateway behind a proxy that breaks things.
func flaky(t *testing.T, spoil func(n int64, w http.ResponseWriter, r *http.Request) bool) string {
	t.Helper()
	target, err := url.Parse(gw.url)
	must(t, err)
	var n atomic.Int64
	proxy := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Host = r.In.Host },
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: gw.roots}},
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !spoil(n.Add(1), w, r) {
			proxy.ServeHTTP(w, r)
		}
	})}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{gw.cert}})
	must(t, err)
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close() })
	return "https://" + l.Addr().String()
}

// Answers that do not come, and answers of a server in trouble, are asked for again.
func TestRequestsAreRetried(t *testing.T) {
	endpoint := flaky(t, func(n int64, w http.ResponseWriter, r *http.Request) bool {
		switch n % 4 {
		case 1:
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		case 2:
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_ = conn.Close()
			}
			return true
		}
		return false
	})
	b, err := s3.New(gw.config(endpoint, "retried"))
	must(t, err)
	must(t, b.Put(t.Context(), "a", []byte("text")))
	got, err := b.Get(t.Context(), "a", 0, -1)
	must(t, err)
	if string(got) != "text" {
		t.Errorf("read %q", got)
	}
	must(t, b.Delete(t.Context(), "a"))
}

// What changes on the way is noticed, there and back.
func TestChangedContentIsNoticed(t *testing.T) {
	endpoint := flaky(t, func(_ int64, w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return false
			}
			if i := bytes.Index(body, []byte("precious")); i >= 0 {
				body[i] ^= 1
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
		}
		return false
	})
	b, err := s3.New(gw.config(endpoint, "spoiled"))
	must(t, err)
	if err := b.Put(t.Context(), "a", []byte("precious")); err == nil {
		t.Error("an object was written that is not what was sent")
	}
	if _, err := gw.bucket(t, "spoiled").Get(t.Context(), "a", 0, -1); err == nil {
		t.Error("it is there")
	}
}

// Snapshots in a bucket: incremental, restored, removed; an upload that was interrupted leaves nothing once the
// next process has looked.
func TestSnapshotsInABucket(t *testing.T) {
	const block = blockdev.BlockSize
	root, err := os.OpenRoot(t.TempDir())
	must(t, err)
	defer root.Close()
	store := gw.bucket(t, "chain")
	shelf := blockdev.NewShelf(root, store)
	want := make([]byte, 12*block)
	_, _ = rand.Read(want)
	must(t, blockdev.Create(shelf, blockdev.Spec{ID: "vol-1", Size: 1 << 30}))
	change := func(off int64, p []byte) {
		t.Helper()
		v, err := blockdev.Open(shelf, "vol-1", nil)
		must(t, err)
		_, err = v.WriteAt(p, off)
		must(t, errors.Join(err, v.Close()))
	}
	count := func(prefix string) (n int) {
		t.Helper()
		must(t, store.List(t.Context(), prefix, func(objects.Object) error { n++; return nil }))
		return n
	}
	change(0, want)
	must(t, blockdev.Snapshot(shelf, "vol-1", "snap-1"))
	change(3*block, []byte("second"))
	must(t, blockdev.Snapshot(shelf, "vol-1", "snap-2"))
	if n := count("block/"); n != 13 {
		t.Errorf("%d blocks, want 13", n)
	}

	cut := flaky(t, func(n int64, w http.ResponseWriter, r *http.Request) bool {
		if n > 8 {
			w.WriteHeader(http.StatusForbidden)
		}
		return n > 8
	})
	broken, err := s3.New(gw.config(cut, "chain"))
	must(t, err)
	change(0, bytes.Repeat([]byte("x"), 8*block))
	if err := blockdev.Snapshot(blockdev.NewShelf(root, broken), "vol-1", "snap-3"); err == nil {
		t.Fatal("a snapshot was made through a broken line")
	}
	if count("work/") == 0 {
		t.Error("nothing announces the snapshot that was not made")
	}
	shelf = blockdev.NewShelf(root, store)
	_, err = blockdev.Sweep(shelf)
	must(t, err)
	if n, w := count("block/"), count("work/"); n != 13 || w != 0 {
		t.Errorf("after a sweep there are %d blocks and %d announcements, want 13 and 0", n, w)
	}

	must(t, blockdev.Remove(shelf, "snap-1"))
	must(t, blockdev.Check(shelf, "snap-2"))
	must(t, blockdev.CreateFromSnapshot(t.Context(), shelf, blockdev.Copy{From: "snap-2", To: blockdev.Spec{ID: "vol-2"}}))
	copy(want[3*block:], "second")
	v, err := blockdev.Open(shelf, "vol-2", nil)
	must(t, err)
	got := make([]byte, len(want))
	_, err = v.ReadAt(got, 0)
	must(t, errors.Join(err, v.Close()))
	if !bytes.Equal(got, want) {
		t.Error("the volume has other content than the snapshot")
	}
	must(t, blockdev.Remove(shelf, "snap-2"))
	if n := count(""); n != 0 {
		t.Errorf("%d objects are left", n)
	}
	if ids, err := blockdev.List(shelf); err != nil || !slices.Equal(ids, []string{"vol-1", "vol-2"}) {
		t.Errorf("there are %v, %v", ids, err)
	}
}
