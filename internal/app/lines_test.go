package app_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kagimori/kagimori/internal/app"
	"github.com/kagimori/kagimori/internal/blockdev"
	"github.com/kagimori/kagimori/internal/ec2/hosts"
	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/hsm/hsmtest"
	"github.com/kagimori/kagimori/internal/lane"
	"github.com/kagimori/kagimori/internal/objects"
	"github.com/kagimori/kagimori/internal/store/memory"
)

// A lineLab is a node whose host holds a volume for an instance, behind a wire that can be touched.
type lineLab struct {
	t    *testing.T
	url  string     // as the node knows itself, and others reach it
	dial hosts.Dial // of another node
	box  hsm.Box
	a    *hosts.Agent
	life string

	mu    sync.Mutex
	hello []string                      // that came
	touch func(toServer bool, b []byte) // what passes, unless nil; may change it
}

const (
	labVolume   = "vol-0123456789abcdef0"
	labInstance = "i-0123456789abcdef0"
	lineHeader  = "X-Kagimori-Line"
)

func newLineLab(t *testing.T, secure bool) *lineLab {
	t.Helper()
	l := &lineLab{t: t}
	var roots [2]*os.Root
	for i := range roots {
		root, err := os.OpenRoot(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = root.Close() })
		roots[i] = root
	}
	var err error
	l.a, err = hosts.NewAgent(hosts.AgentConfig{
		Name: "far", Store: memory.New(memory.Config{}), Volumes: blockdev.NewShelf(roots[0], objects.NewFolder(roots[1])), Now: time.Now, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	l.a.Start(t.Context())
	t.Cleanup(l.a.Stop)
	l.life = l.ask(`{"op":"attend","token":1}`)
	l.ask(fmt.Sprintf(`{"op":"create","token":1,"life":%q,"file":{"id":%q,"size":1048576}}`, l.life, labVolume))
	l.ask(fmt.Sprintf(`{"op":"hold","token":1,"life":%q,"id":%q,"instance":%q}`, l.life, labVolume, labInstance))

	m := hsmtest.New(t)
	l.box = m.Box("line between hosts")
	var far http.Handler
	std := app.HTTPServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.mu.Lock()
		l.hello = append(l.hello, r.Header.Get(lineHeader))
		l.mu.Unlock()
		far.ServeHTTP(w, r)
	}), slog.New(slog.DiscardHandler))
	var trust *tls.Config
	scheme := "http://"
	if secure {
		made := httptest.NewTLSServer(nil) // for its certificate
		defer made.Close()
		std.TLSConfig = &tls.Config{Certificates: made.TLS.Certificates}
		trust = &tls.Config{RootCAs: x509.NewCertPool()}
		trust.RootCAs.AddCert(made.Certificate())
		scheme = "https://"
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := lane.New(std)
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
	})
	l.url = scheme + l.wire(listener.Addr().String())
	far, _ = app.Lines(l.box, l.url, l.a, nil)
	_, l.dial = app.Lines(l.box, "http://near.example:4566", nil, trust)
	return l
}

// wire is a listener whose connections go on to another address.
func (l *lineLab) wire(to string) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				_ = c.Close()
				continue
			}
			carry := func(to, from net.Conn, toServer bool) {
				defer to.Close()
				defer from.Close()
				for buf := make([]byte, 128<<10); ; {
					n, err := from.Read(buf)
					if err != nil {
						return
					}
					l.mu.Lock()
					if l.touch != nil {
						l.touch(toServer, buf[:n])
					}
					l.mu.Unlock()
					if _, err := to.Write(buf[:n]); err != nil {
						return
					}
				}
			}
			go carry(far, c, true)
			go carry(c, far, false)
		}
	}()
	return listener.Addr().String()
}

func (l *lineLab) touched(f func(toServer bool, b []byte)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.touch = f
}

// ask asks the host for something, and gives its life if it tells.
func (l *lineLab) ask(request string) string {
	l.t.Helper()
	var out struct{ Fault, Text, Life string }
	if err := json.Unmarshal(l.a.Serve(l.t.Context(), []byte(request)), &out); err != nil || out.Fault != "" {
		l.t.Fatalf("%s: %+v, %v", request, out, err)
	}
	return out.Life
}

// A labClient speaks NBD.
type labClient struct{ net.Conn }

func (l *lineLab) client(instance string) (labClient, error) {
	c, err := l.dial(l.t.Context(), l.url, labVolume, instance)
	if err != nil {
		return labClient{}, err
	}
	l.t.Cleanup(func() { _ = c.Close() })
	if _, err := io.ReadFull(c, make([]byte, 18)); err != nil {
		return labClient{}, err
	}
	out := append([]byte("\x00\x00\x00\x03IHAVEOPT\x00\x00\x00\x01"), 0, 0, 0, byte(len(labVolume)))
	if _, err := c.Write(append(out, labVolume...)); err != nil {
		return labClient{}, err
	}
	_, err = io.ReadFull(c, make([]byte, 10))
	return labClient{c}, err
}

func (c labClient) do(command uint16, off uint64, n uint32, data []byte) ([]byte, error) {
	b := binary.BigEndian.AppendUint32(nil, 0x25609513)
	b = binary.BigEndian.AppendUint16(append(b, 0, 0), command)
	b = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b, 1), off)
	b = binary.BigEndian.AppendUint32(b, n)
	if _, err := c.Write(append(b, data...)); err != nil {
		return nil, err
	}
	head := make([]byte, 16)
	if _, err := io.ReadFull(c, head); err != nil {
		return nil, err
	}
	if code := binary.BigEndian.Uint32(head[4:]); code != 0 {
		return nil, fmt.Errorf("error %d", code)
	}
	if command != 0 {
		return nil, nil
	}
	out := make([]byte, n)
	_, err := io.ReadFull(c, out)
	return out, err
}

// TestALine carries sectors of any size between nodes, of which nothing can be read on the way, until the host lets
// go of the volume for the instance.
func TestALine(t *testing.T) {
	for name, secure := range map[string]bool{"plain": false, "TLS": true} {
		t.Run(name, func(t *testing.T) { testLine(t, newLineLab(t, secure)) })
	}
}

func testLine(t *testing.T, l *lineLab) {
	secret := bytes.Repeat([]byte("what a guest wrote. "), 20000)[:384<<10]
	var passed bytes.Buffer
	l.touched(func(_ bool, b []byte) { passed.Write(b) })
	c, err := l.client(labInstance)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.do(1, 4096, uint32(len(secret)), secret); err != nil {
		t.Fatal(err)
	}
	if _, err := c.do(3, 0, 0, nil); err != nil {
		t.Fatal(err)
	}
	got, err := c.do(0, 4096, uint32(len(secret)), nil)
	if err != nil || !bytes.Equal(got, secret) {
		t.Errorf("%d bytes come back, %v", len(got), err)
	}
	l.mu.Lock()
	if passed.Len() < 2*len(secret) || bytes.Contains(passed.Bytes(), []byte("guest")) || bytes.Contains(passed.Bytes(), []byte("NBDMAGIC")) {
		t.Error("the sectors can be read on the way")
	}
	l.mu.Unlock()

	again, err := l.client(labInstance) // its machine begins anew: the line before ends
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.do(1, 0, 512, make([]byte, 512)); err == nil {
		t.Error("two lines of one instance")
	}
	if _, err := again.do(0, 0, 512, nil); err != nil {
		t.Error(err)
	}
	l.ask(fmt.Sprintf(`{"op":"release","token":1,"life":%q,"id":%q,"instance":%q}`, l.life, labVolume, labInstance))
	if _, err := again.do(1, 0, 512, make([]byte, 512)); err == nil {
		t.Error("a line outlives the hold")
	}
	if _, err := l.client(labInstance); err == nil {
		t.Error("a line without a hold")
	}
}

// TestStrangersGetNoLine: who does not know the seal, or repeats what a node said, or says it to another one.
func TestStrangersGetNoLine(t *testing.T) {
	l := newLineLab(t, false)
	if _, err := l.client("i-other"); err == nil {
		t.Error("a line for an instance that the volume is not held for")
	}
	c, err := l.client(labInstance)
	if err != nil {
		t.Fatal(err)
	}
	l.mu.Lock()
	hello := l.hello[len(l.hello)-1]
	l.mu.Unlock()
	send := func(hello, upgrade string) int {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, l.url+"/", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set(lineHeader, hello)
		if upgrade != "" {
			req.Header.Set("Connection", "Upgrade")
			req.Header.Set("Upgrade", upgrade)
		}
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.StatusCode
	}
	for what, hello := range map[string]string{"nothing": "", "no base64": "!", "no seal": "AAAA", "a second time": hello} {
		if got := send(hello, "kagimori-line"); got != http.StatusForbidden {
			t.Errorf("%s: %d", what, got)
		}
	}
	_, stranger := app.Lines(hsmtest.New(t).Box("line between hosts"), "http://near.example", nil, nil)
	if _, err := stranger(t.Context(), l.url, labVolume, labInstance); err == nil {
		t.Error("a stranger has a line")
	}
	elsewhere, _ := app.Lines(l.box, "http://elsewhere.example", l.a, nil)
	other := httptest.NewServer(elsewhere)
	defer other.Close()
	if _, err := l.dial(t.Context(), other.URL, labVolume, labInstance); err == nil {
		t.Error("a line to a node that has another address")
	}
	fake := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "kagimori-line")
		w.Header().Set(lineHeader, hello)
		w.WriteHeader(http.StatusSwitchingProtocols)
	}))
	defer fake.Close()
	if _, err := l.dial(t.Context(), fake.URL, labVolume, labInstance); err == nil {
		t.Error("a line to who does not know the seal")
	}
	if _, err := c.do(0, 0, 512, nil); err != nil {
		t.Errorf("strangers ended the line of a node: %v", err)
	}
}

// TestATouchedLineEnds: with a bit changed, in either direction, nothing more is read or written.
func TestATouchedLineEnds(t *testing.T) {
	for _, toServer := range []bool{true, false} {
		l := newLineLab(t, false)
		c, err := l.client(labInstance)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.do(1, 0, 512, bytes.Repeat([]byte{7}, 512)); err != nil {
			t.Fatal(err)
		}
		l.touched(func(to bool, b []byte) {
			if to == toServer && len(b) > 100 { // no pulse
				b[len(b)-1] ^= 1
			}
		})
		if _, err := c.do(1, 0, 4096, bytes.Repeat([]byte{9}, 4096)); err == nil {
			if _, err := c.do(0, 0, 4096, nil); err == nil {
				t.Errorf("to the server %v: a changed frame is taken", toServer)
			}
		}
		l.touched(nil)
		c, err = l.client(labInstance)
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.do(0, 0, 1, nil)
		if want := map[bool]byte{true: 7, false: 9}[toServer]; err != nil || got[0] != want {
			t.Errorf("to the server %v: the volume has %v, %v; want %d", toServer, got, err, want)
		}
	}
}

// TestASilentLineEnds, and one whose ends say that they are there does not, however long nothing is asked.
func TestASilentLineEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		box := hsmtest.New(t).Box("line between hosts")
		ends := func() (near, far net.Conn, mute func()) {
			a, b := net.Pipe()
			c, d := net.Pipe()
			stop := make(chan struct{})
			carry := func(to, from net.Conn) {
				for buf := make([]byte, 4096); ; {
					n, err := from.Read(buf)
					if err != nil {
						_ = to.Close()
						return
					}
					select {
					case <-stop: // it is lost
					default:
						_, _ = to.Write(buf[:n])
					}
				}
			}
			go carry(c, b)
			go carry(b, c)
			return app.LineConn(a, box, "session", true), app.LineConn(d, box, "session", false), func() { close(stop) }
		}
		near, far, mute := ends()
		go func() {
			time.Sleep(time.Hour)
			_, _ = far.Write([]byte("late"))
		}()
		buf := make([]byte, 10)
		if n, err := near.Read(buf); err != nil || string(buf[:n]) != "late" {
			t.Fatalf("%q, %v", buf[:n], err)
		}
		begun := time.Now()
		mute()
		for what, end := range map[string]net.Conn{"near": near, "far": far} {
			if _, err := end.Read(buf); err == nil {
				t.Errorf("%s: something comes", what)
			}
		}
		if took := time.Since(begun); took < 10*time.Second || took > 31*time.Second {
			t.Errorf("a dead line ends after %s", took)
		}
		if _, err := near.Write([]byte("x")); err == nil {
			t.Error("a line that ended takes more")
		}
		_ = far.Close()

		// Frames of another line, or in another order, are not taken.
		near, far, mute = ends()
		mute()
		_ = near.Close()
		_ = far.Close()
		a, b := net.Pipe()
		other := app.LineConn(a, box, "another", true)
		mine := app.LineConn(b, box, "session", false)
		go func() { _, _ = other.Write([]byte("x")) }()
		if _, err := mine.Read(buf); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("a frame of another line is taken: %v", err)
		}
		_ = other.Close()
		_ = mine.Close()
	})
}

// TestADialIsBounded by its context.
func TestADialIsBounded(t *testing.T) {
	l := newLineLab(t, false)
	mute := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer mute.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := l.dial(ctx, mute.URL, labVolume, labInstance); err == nil {
		t.Error("a node that does not answer has a line")
	}
}
