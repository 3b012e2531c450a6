package nbd_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/blockdev"
	"github.com/kagimori/kagimori/internal/blockdev/nbd"
)

const (
	volumeSize = 4 << 20
	exportName = "vol-1"
)

// The numbers below are written anew from the protocol, not taken from the package.

func random(seed uint64, n int) []byte {
	var s [32]byte
	binary.LittleEndian.PutUint64(s[:], seed)
	b := make([]byte, n)
	_, _ = rand.NewChaCha8(s).Read(b)
	return b
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// volume is a new encrypted volume, open.
func volume(t testing.TB) *blockdev.Volume {
	t.Helper()
	root, err := os.OpenRoot(t.TempDir())
	must(t, err)
	t.Cleanup(func() { _ = root.Close() })
	dir := blockdev.NewShelf(root, nil)
	e := &blockdev.Encryption{
		KeyARN: "arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab", DataKeyID: "d",
		ContextID: exportName, WrappedKey: []byte("wrapped"),
	}
	must(t, blockdev.Create(dir, blockdev.Spec{ID: exportName, Size: volumeSize, Encryption: e, Key: random(9, 64)}))
	v, err := blockdev.Open(dir, exportName, random(9, 64))
	must(t, err)
	t.Cleanup(func() { _ = v.Close() })
	return v
}

// serving is a server with one export, and what happened to the connections.
type serving struct {
	*nbd.Server
	wg sync.WaitGroup
}

func serve(t testing.TB, cfg nbd.Config, e nbd.Export) *serving {
	t.Helper()
	cfg.Find = func(name string) (nbd.Export, bool) { return e, name == exportName }
	s, err := nbd.NewServer(cfg)
	must(t, err)
	sv := &serving{Server: s}
	t.Cleanup(sv.wg.Wait)
	return sv
}

// client speaks the protocol, one message at a time.
type client struct {
	t testing.TB
	net.Conn
}

// dial is a client after the greeting.
func (s *serving) dial(t testing.TB, flags uint32) *client {
	t.Helper()
	a, b := net.Pipe()
	s.wg.Go(func() { _ = s.ServeConn(t.Context(), b) })
	t.Cleanup(func() { _ = a.Close() })
	must(t, a.SetDeadline(time.Now().Add(time.Minute)))
	c := &client{t, a}
	c.want("greeting", []byte("NBDMAGICIHAVEOPT\x00\x03"))
	c.put(flags)
	return c
}

// put sends values, big-endian, in one write.
func (c *client) put(values ...any) {
	c.t.Helper()
	var b bytes.Buffer
	for _, v := range values {
		if s, ok := v.(string); ok {
			v = []byte(s)
		}
		must(c.t, binary.Write(&b, binary.BigEndian, v))
	}
	_, err := c.Write(b.Bytes())
	must(c.t, err)
}

func (c *client) get(n int) []byte {
	c.t.Helper()
	b := make([]byte, n)
	_, err := io.ReadFull(c, b)
	must(c.t, err)
	return b
}

func (c *client) want(what string, want []byte) {
	c.t.Helper()
	if got := c.get(len(want)); !bytes.Equal(got, want) {
		c.t.Fatalf("%s: got %q, want %q", what, got, want)
	}
}

// gone fails the test unless the server hangs up without another word.
func (c *client) gone() {
	c.t.Helper()
	if b, err := io.ReadAll(c); len(b) != 0 || err != nil {
		c.t.Fatalf("got %q, %v; want the end of the connection", b, err)
	}
}

func (c *client) option(option uint32, data string) {
	c.t.Helper()
	c.put("IHAVEOPT", option, uint32(len(data)), data)
}

// reply is one reply to an option.
func (c *client) reply(option uint32) (kind uint32, data []byte) {
	c.t.Helper()
	b := c.get(20)
	if binary.BigEndian.Uint64(b) != 0x3e889045565a9 || binary.BigEndian.Uint32(b[8:]) != option {
		c.t.Fatalf("not a reply to option %d: %x", option, b)
	}
	return binary.BigEndian.Uint32(b[12:]), c.get(int(binary.BigEndian.Uint32(b[16:])))
}

func (c *client) wantReply(option, kind uint32) []byte {
	c.t.Helper()
	k, data := c.reply(option)
	if k != kind {
		c.t.Fatalf("option %d: reply %#x (%q), want %#x", option, k, data, kind)
	}
	return data
}

func str(s string) string { return string(binary.BigEndian.AppendUint32(nil, uint32(len(s)))) + s }

func (c *client) structured() {
	c.t.Helper()
	c.option(8, "")
	c.wantReply(8, 1)
}

func (c *client) chooseAllocation() {
	c.t.Helper()
	c.option(10, str(exportName)+"\x00\x00\x00\x01"+str("base:allocation"))
	if d := c.wantReply(10, 4); string(d[4:]) != "base:allocation" {
		c.t.Fatalf("context %q", d)
	}
	c.wantReply(10, 1)
}

// begin chooses the export; the result is its transmission flags.
func (c *client) begin() uint16 {
	c.t.Helper()
	c.option(7, str(exportName)+"\x00\x00")
	for {
		kind, data := c.reply(7)
		switch {
		case kind == 3 && data[1] == 0:
			if n := binary.BigEndian.Uint64(data[2:]); n != volumeSize {
				c.t.Fatalf("size %d", n)
			}
			flags := binary.BigEndian.Uint16(data[10:])
			defer func() { c.wantReply(7, 1) }()
			return flags
		case kind != 3:
			c.t.Fatalf("GO: %#x %q", kind, data)
		}
	}
}

func (c *client) request(flags, command uint16, cookie, off uint64, n uint32, data []byte) {
	c.t.Helper()
	c.put(uint32(0x25609513), flags, command, cookie, off, n, data)
}

// simple reads a simple reply with n bytes of data and returns its error.
func (c *client) simple(cookie uint64, n int) (code uint32, data []byte) {
	c.t.Helper()
	b := c.get(16)
	if binary.BigEndian.Uint32(b) != 0x67446698 || binary.BigEndian.Uint64(b[8:]) != cookie {
		c.t.Fatalf("not a simple reply to %d: %x", cookie, b)
	}
	if code = binary.BigEndian.Uint32(b[4:]); code == 0 {
		data = c.get(n)
	}
	return code, data
}

func (c *client) ok(cookie uint64) {
	c.t.Helper()
	if code, _ := c.simple(cookie, 0); code != 0 {
		c.t.Fatalf("request %d: error %d", cookie, code)
	}
}

type chunk struct {
	flags, kind uint16
	payload     []byte
}

func (c *client) chunk(cookie uint64) chunk {
	c.t.Helper()
	b := c.get(20)
	if binary.BigEndian.Uint32(b) != 0x668e33ef || binary.BigEndian.Uint64(b[8:]) != cookie {
		c.t.Fatalf("not a chunk for %d: %x", cookie, b)
	}
	return chunk{binary.BigEndian.Uint16(b[4:]), binary.BigEndian.Uint16(b[6:]), c.get(int(binary.BigEndian.Uint32(b[16:])))}
}
