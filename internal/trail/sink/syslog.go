package sink

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/kagimori/kagimori/internal/trail"
)

// A SyslogConfig is that of a sink to a syslog server: each line is the text of a message of its own.
// Sources: RFC 5424 (messages), RFC 5425 (TLS), RFC 5426 (UDP), RFC 6587, section 3.4.1 (octet counting).
type SyslogConfig struct {
	Network string // unix, udp, tcp or tls
	Address string // a path, or host:port
	TLS     *tls.Config
	// Facility is the number of it: RFC 5424, table 1.
	Facility int
	App      string // "kagimori" if empty
	Version  string // of the program
	Hostname string // os.Hostname if empty
	// Dial connects to a server; nil is net.Dialer's.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Facilities are the names of facilities, by their numbers.
func Facilities() []string {
	return []string{"kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp", "audit", "alert", "clock",
		"local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"}
}

const (
	severity = 6 // informational
	// maxDatagram is the most that one of UDP over IPv4 carries.
	maxDatagram = 65507
	// resendWithin is how long ago lines may have been written to a connection that broke, so that they
	// are written to the next once more: nobody says whether they arrived.
	resendWithin = 30 * time.Second
	maxSequence  = 1<<31 - 1 // of the meta element's sequenceId
)

// syslog is the target.
type syslog struct {
	cfg  SyslogConfig
	conn net.Conn
	dead *atomic.Bool // the other side closed conn
	seq  int          // of the last message

	last   []byte // the messages that were written last, in frames
	lastAt time.Time
}

// NewSyslog makes the target of a syslog server, which need not be there yet.
func NewSyslog(cfg SyslogConfig) Target {
	if cfg.App == "" {
		cfg.App = "kagimori"
	}
	if cfg.Dial == nil {
		cfg.Dial = new(net.Dialer).DialContext
	}
	if cfg.Hostname == "" {
		cfg.Hostname, _ = os.Hostname()
	}
	cfg.App, cfg.Hostname, cfg.Version = header(cfg.App, 48), header(cfg.Hostname, 255), strings.NewReplacer(`\`, `\\`, `"`, `\"`, `]`, `\]`).Replace(cfg.Version)
	return &syslog{cfg: cfg}
}

// header is a text as a field of the header takes it: visible ASCII, "-" if there is none.
func header(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if r <= ' ' || r >= 127 {
			return '_'
		}
		return r
	}, s)
	if len(s) > most {
		s = s[:most]
	}
	if s == "" {
		return "-"
	}
	return s
}

// Close implements [Target].
func (t *syslog) Close() error { return t.hangUp() }

func (t *syslog) hangUp() error {
	if t.conn == nil {
		return nil
	}
	err := t.conn.Close()
	t.conn = nil
	if errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) {
		return nil // the other side was faster
	}
	return err
}

// stream says that messages are counted out, one after the other, on a connection.
func (t *syslog) stream() bool { return t.cfg.Network == "tcp" || t.cfg.Network == "tls" }

// Send implements [Target]. Syslog knows no acknowledgement: what is written counts as delivered. Of a
// connection that turns out to be broken, the last batch is written once more.
func (t *syslog) Send(ctx context.Context, b Batch) error {
	if t.conn != nil && t.dead.Load() {
		if err := t.hangUp(); err != nil {
			return err
		}
	}
	fresh := t.conn == nil
	if fresh {
		if err := t.dial(ctx); err != nil {
			return err
		}
	}
	if end, ok := ctx.Deadline(); ok {
		if err := t.conn.SetWriteDeadline(end); err != nil {
			return err
		}
	}
	if fresh && t.stream() {
		if len(t.last) > 0 && time.Since(t.lastAt) < resendWithin {
			if _, err := t.conn.Write(t.last); err != nil {
				return errors.Join(err, t.hangUp())
			}
		}
	}
	if !t.stream() {
		for _, l := range b.Lines {
			if err := t.datagram(l); err != nil {
				return errors.Join(err, t.hangUp())
			}
		}
		return nil
	}
	t.last = t.last[:0]
	for _, l := range b.Lines {
		m := t.message(l, l.Text)
		t.last = strconv.AppendInt(t.last, int64(len(m)), 10)
		t.last = append(append(t.last, ' '), m...)
	}
	if _, err := t.conn.Write(t.last); err != nil {
		t.last = t.last[:0] // the batch comes again
		return errors.Join(err, t.hangUp())
	}
	t.lastAt = time.Now()
	return nil
}

// datagram sends one message. One that is too long is told of by another, so that the others follow.
func (t *syslog) datagram(l Line) error {
	m := t.message(l, l.Text)
	err := error(syscall.EMSGSIZE)
	if t.cfg.Network != "udp" || len(m) <= maxDatagram {
		_, err = t.conn.Write(m)
	}
	if errors.Is(err, syscall.EMSGSIZE) {
		text, _ := json.Marshal(map[string]any{"omitted": fmt.Sprintf("a record of %d bytes", len(l.Text)), "sequence": l.Sequence, "sha256": l.Hash, "previous": l.Previous})
		_, err = t.conn.Write(t.message(l, text))
	}
	return err
}

// message is a line as a message with a text.
func (t *syslog) message(l Line, text []byte) []byte {
	name, at, ok := trail.EventOf(l.Text)
	if !ok {
		at = time.Now()
	}
	if t.seq++; t.seq > maxSequence {
		t.seq = 1
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "<%d>1 %s %s %s %d %s [origin software=\"kagimori\" swVersion=\"%s\"][meta sequenceId=\"%d\"] ", t.cfg.Facility*8+severity,
		at.UTC().Format(time.RFC3339), t.cfg.Hostname, t.cfg.App, os.Getpid(), header(name, 32), t.cfg.Version, t.seq)
	b.Write(text)
	return b.Bytes()
}

func (t *syslog) dial(ctx context.Context) error {
	network := map[string]string{"unix": "unixgram", "udp": "udp", "tcp": "tcp", "tls": "tcp"}[t.cfg.Network]
	if network == "" {
		return fmt.Errorf("syslog has no network %q", t.cfg.Network)
	}
	c, err := t.cfg.Dial(ctx, network, t.cfg.Address)
	if err != nil {
		return err
	}
	if t.cfg.Network == "tls" {
		cfg := t.cfg.TLS.Clone()
		if cfg.ServerName == "" {
			cfg.ServerName, _, _ = net.SplitHostPort(t.cfg.Address)
		}
		secured := tls.Client(c, cfg)
		if err := secured.HandshakeContext(ctx); err != nil {
			return errors.Join(err, c.Close())
		}
		c = secured
	}
	t.conn, t.dead = c, new(atomic.Bool)
	if dead := t.dead; t.stream() {
		go func() { // servers say nothing; the end of the connection is all that comes
			_, _ = io.Copy(io.Discard, c)
			dead.Store(true)
			_ = c.Close()
		}()
	}
	return nil
}
