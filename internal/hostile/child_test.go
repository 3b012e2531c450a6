package hostile_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/app"
	"github.com/kagimori/kagimori/internal/lane"
)

// childData is the environment variable that has the test's program serve the data directory that it names,
// so that a server's descriptors are counted apart from those of its clients.
const childData = "KAGIMORI_HOSTILE_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childData); dir != "" {
		if err := serveChild(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// childPatience has how long the child waits for a head, instead of the 10 s of every listener; the other
// bounds are in proportion. So their end can be waited for, or a crowd gathers before it.
const childPatience = "KAGIMORI_HOSTILE_PATIENCE"

// serveChild serves until its standard input ends: in the clear, over TLS, and what it uses.
func serveChild(dir string) error {
	logger := slog.New(slog.DiscardHandler)
	a, err := app.Open(context.Background(), app.Config{Data: dir, Dev: true, Version: "test", NoSync: true, Logger: logger, MaxConcurrent: 256})
	if err != nil {
		return err
	}
	defer func() { _ = a.Close() }()
	patience, err := time.ParseDuration(os.Getenv(childPatience))
	if err != nil {
		return err
	}
	cert, err := certificate()
	if err != nil {
		return err
	}
	handlers := []http.Handler{a.Handler(), a.Handler(), http.HandlerFunc(usage)}
	for i, h := range handlers {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		srv := app.HTTPServer(h, logger)
		srv.ReadHeaderTimeout, srv.ReadTimeout, srv.IdleTimeout, srv.WriteTimeout = patience, 2*patience, 2*patience, 12*patience
		if i == 1 {
			srv.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2", "http/1.1"}}
		}
		go func() { _ = lane.New(srv).Serve(l) }()
		fmt.Println(l.Addr())
	}
	_, _ = bufio.NewReader(os.Stdin).ReadByte() // until the test ends
	return nil
}

// certificate is one of localhost that signs itself.
func certificate() (c tls.Certificate, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return c, err
	}
	t := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

// used is what a server uses.
type used struct {
	Goroutines, Descriptors int
	Heap                    uint64 // bytes that live
}

// usage answers with what the process uses.
func usage(w http.ResponseWriter, _ *http.Request) {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_ = json.NewEncoder(w).Encode(used{runtime.NumGoroutine(), len(fds), m.HeapAlloc + m.StackInuse})
}

// A child is a server in a process of its own.
type child struct{ clear, tls, stats string }

func startChild(t *testing.T, patience time.Duration) child {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), childData+"="+t.TempDir(), childPatience+"="+patience.String())
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the server ended: %v", err)
		}
	})
	var c child
	r := bufio.NewReader(out)
	for _, to := range []*string{&c.clear, &c.tls, &c.stats} {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		*to = strings.TrimSpace(line)
	}
	return c
}

// uses is what the server uses now.
func (c child) uses(t *testing.T) used {
	t.Helper()
	res, err := http.Get("http://" + c.stats)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var u used
	if err := json.NewDecoder(res.Body).Decode(&u); err != nil {
		t.Fatal(err)
	}
	return u
}

// calms waits until the server uses about what it used before.
func (c child) calms(t *testing.T, before used) {
	t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var now used
	for range 600 {
		if now = c.uses(t); now.Goroutines <= before.Goroutines+20 && now.Descriptors <= before.Descriptors+20 && now.Heap <= before.Heap+16<<20 {
			return
		}
		<-tick.C
	}
	t.Errorf("the server used %+v before and %+v after", before, now)
}
