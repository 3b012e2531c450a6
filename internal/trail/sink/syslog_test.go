package sink_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/leodido/go-syslog/v4/rfc5424"

	"github.com/kagimori/kagimori/internal/trail"
	"github.com/kagimori/kagimori/internal/trail/sink"
)

// checkMessage reads a message as others do.
func checkMessage(t testing.TB, raw []byte, want sink.Line) {
	t.Helper()
	m, err := rfc5424.NewParser().Parse(raw)
	if err != nil {
		t.Fatalf("%.120s: %v", raw, err)
	}
	sm := m.(*rfc5424.SyslogMessage)
	name, at, _ := trail.EventOf(want.Text)
	if *sm.Priority != 13*8+6 || *sm.Appname != "keys" || *sm.Hostname != "host" || *sm.MsgID != name || !sm.Timestamp.Equal(at) || *sm.Message != string(want.Text) {
		t.Errorf("%.160s", raw)
	}
	sd := *sm.StructuredData
	if sd["origin"]["swVersion"] != `v1"]` || sd["meta"]["sequenceId"] == "" {
		t.Errorf("%v", sd)
	}
}

func syslogConfig(network, address string) sink.SyslogConfig {
	return sink.SyslogConfig{Network: network, Address: address, Facility: 13, App: "keys", Hostname: "host", Version: `v1"]`}
}

// Each line is one datagram; one that is too long is told of.
func TestSyslogDatagrams(t *testing.T) {
	for _, network := range []string{"unixgram", "udp"} {
		address := "127.0.0.1:0"
		if network == "unixgram" {
			address = filepath.Join(t.TempDir(), "log")
		}
		l, err := net.ListenPacket(network, address)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		w := newWorld(t, 0)
		w.add(t, 5)
		if err := w.log.Append(&trail.Record{EventName: "Long", UserAgent: strings.Repeat("y", 1<<20)}); err != nil {
			t.Fatal(err)
		}
		w.add(t, 1)
		f := sink.NewSyslog(syslogConfig(strings.TrimSuffix(network, "gram"), l.LocalAddr().String()))
		lines := w.lines(t)
		send(t, f, true, lines...)
		for i, line := range lines {
			buf := make([]byte, 1<<16)
			if err := l.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
			n, _, err := l.ReadFrom(buf)
			if err != nil {
				t.Fatal(err)
			}
			if i != 5 {
				checkMessage(t, buf[:n], line)
			} else if !bytes.Contains(buf[:n], []byte(`"omitted":"a record of `)) || !bytes.Contains(buf[:n], []byte(line.Hash)) || !bytes.Contains(buf[:n], []byte(`"sequence":6`)) {
				t.Errorf("%s: %s", network, buf[:n])
			}
		}
		shut(t, f)
	}
}

// frames reads what is counted out on a connection until it ends.
func frames(c net.Conn) <-chan []byte {
	out := make(chan []byte, 1000)
	go func() {
		defer close(out)
		r := bufio.NewReader(c)
		for {
			n, err := r.ReadString(' ')
			if err != nil {
				return
			}
			length, err := strconv.Atoi(strings.TrimSpace(n))
			if err != nil {
				return
			}
			m := make([]byte, length)
			if _, err := io.ReadFull(r, m); err != nil {
				return
			}
			out <- m
		}
	}()
	return out
}

func next(t testing.TB, c <-chan []byte) []byte {
	t.Helper()
	select {
	case m, ok := <-c:
		if ok {
			return m
		}
	case <-time.After(time.Minute):
	}
	t.Fatal("no message")
	return nil
}

// certificates of a server of TLS for example.com.
func certificates(t testing.TB) (*tls.Config, *x509.CertPool) {
	t.Helper()
	srv := httptest.NewTLSServer(nil)
	defer srv.Close()
	pool := x509.NewCertPool()
	pool.AddCert(srv.Certificate())
	return &tls.Config{Certificates: srv.TLS.Certificates}, pool
}

// On connections messages are counted out. After one broke, the last batch comes once more on the next.
func TestSyslogConnections(t *testing.T) {
	for _, network := range []string{"tcp", "tls"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		cfg := syslogConfig(network, l.Addr().String())
		if network == "tls" {
			server, pool := certificates(t)
			l, cfg.TLS = tls.NewListener(l, server), &tls.Config{RootCAs: pool, ServerName: "example.com"}
		}
		conns := make(chan net.Conn, 10)
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				conns <- c
			}
		}()
		w := newWorld(t, 0)
		w.add(t, 30)
		lines := w.lines(t)
		f := sink.NewSyslog(cfg)
		sent := make(chan error, 1)
		go func() { sent <- f.Send(context.Background(), sink.Batch{Lines: lines[:10]}) }()
		c := <-conns
		got := frames(c)
		for _, line := range lines[:10] {
			checkMessage(t, next(t, got), line)
		}
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		go func() {
			for { // until the sink has seen that the connection ended
				err := f.Send(context.Background(), sink.Batch{Lines: lines[10:20]})
				if err == nil && len(conns) > 0 {
					sent <- nil
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
		}()
		c = <-conns
		conns <- c
		got = frames(c)
		first := next(t, got)
		at := 0
		if bytes.HasSuffix(first, lines[10].Text) {
			at = 10
		}
		checkMessage(t, first, lines[at])
		for _, line := range lines[at+1 : 20] {
			checkMessage(t, next(t, got), line)
		}
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
		shut(t, f)
	}
}

// A server that does not prove that it is the one is told nothing.
func TestSyslogOfAnotherServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	server, _ := certificates(t)
	heard := make(chan int64, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		n, _ := io.Copy(io.Discard, tls.Server(c, server))
		heard <- n
	}()
	cfg := syslogConfig("tls", l.Addr().String())
	cfg.TLS = &tls.Config{RootCAs: x509.NewCertPool()}
	w := newWorld(t, 0)
	w.add(t, 1)
	f := sink.NewSyslog(cfg)
	if err := f.Send(t.Context(), sink.Batch{Lines: w.lines(t)}); err == nil {
		t.Error("the server was believed")
	}
	if n := <-heard; n != 0 {
		t.Errorf("%d bytes were heard", n)
	}
	shut(t, f)
	for network, address := range map[string]string{"unix": filepath.Join(t.TempDir(), "none"), "tcp": l.Addr().String()} {
		l.Close()
		f := sink.NewSyslog(syslogConfig(network, address))
		if err := f.Send(t.Context(), sink.Batch{Lines: w.lines(t)}); err == nil {
			t.Errorf("%s: sent to nobody", network)
		}
		shut(t, f)
	}
}
