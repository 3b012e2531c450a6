package nbd_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/blockdev"
	"github.com/kagimori/kagimori/internal/blockdev/nbd"
)

// memory is a device that notices what should never reach one.
type memory struct {
	t  *testing.T
	mu sync.Mutex
	b  []byte
}

func (m *memory) check(off, n int64) {
	if off < 0 || n < 0 || off+n > int64(len(m.b)) {
		m.t.Errorf("%d bytes at %d reached the device", n, off)
	}
}

func (m *memory) ReadAt(p []byte, off int64) (int, error) {
	m.check(off, int64(len(p)))
	m.mu.Lock()
	defer m.mu.Unlock()
	return copy(p, m.b[off:]), nil
}

func (m *memory) WriteAt(p []byte, off int64) (int, error) {
	m.check(off, int64(len(p)))
	m.mu.Lock()
	defer m.mu.Unlock()
	return copy(m.b[off:], p), nil
}

func (m *memory) Size() int64             { return int64(len(m.b)) }
func (m *memory) Flush() error            { return nil }
func (m *memory) Trim(off, n int64) error { m.check(off, n); return nil }

func (m *memory) WriteZeroes(off, n int64) error {
	m.check(off, n)
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.b[off : off+n])
	return nil
}

func (m *memory) Written(off, n int64) (int64, bool) {
	m.check(off, n)
	return min(n, 4096-off%4096), off/4096%2 == 0
}

// script is a connection whose other end said all it has to say.
type script struct {
	net.Conn
	in  *bytes.Reader
	out bytes.Buffer
}

func (s *script) Read(p []byte) (int, error)  { return s.in.Read(p) }
func (s *script) Write(p []byte) (int, error) { return s.out.Write(p) }
func (s *script) Close() error                { return nil }
func (s *script) SetDeadline(time.Time) error { return nil }

// FuzzServer plays any bytes to a server: it ends, asks nothing impossible of its device, and
// its replies to options are whole.
func FuzzServer(f *testing.F) {
	option := func(o uint32, data string) string {
		b := binary.BigEndian.AppendUint32([]byte("IHAVEOPT"), o)
		return string(binary.BigEndian.AppendUint32(b, uint32(len(data)))) + data
	}
	request := func(flags, command uint16, off uint64, n uint32) string {
		b := binary.BigEndian.AppendUint32(nil, 0x25609513)
		b = binary.BigEndian.AppendUint16(b, flags)
		b = binary.BigEndian.AppendUint16(b, command)
		b = binary.BigEndian.AppendUint64(b, 1)
		b = binary.BigEndian.AppendUint64(b, off)
		return string(binary.BigEndian.AppendUint32(b, n))
	}
	begin := "\x00\x00\x00\x03" + option(8, "") + option(10, str(exportName)+"\x00\x00\x00\x01"+str("base:allocation")) + option(7, str(exportName)+"\x00\x00")
	for _, s := range []string{
		"", "\x00\x00\x00\x03", "\x00\x00\x00\x01" + option(1, exportName) + request(0, read, 0, 4096),
		begin + request(0, read, 0, 9000) + request(fua, write, 8, 4) + "data" + request(0, flush, 0, 0) + request(0, disconnect, 0, 0),
		begin + request(noHole, zeroes, 100, 4000) + request(0, trim, 0, 1<<16) + request(reqOne, status, 0, 1<<16) + request(df, read, 1<<63, 1<<31),
		"\x00\x00\x00\x03" + option(5, "") + option(3, "") + option(6, str("")+"\x00\x01\x00\x01") + option(2, ""),
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		m := &memory{t: t, b: make([]byte, 1<<16)}
		s, err := nbd.NewServer(nbd.Config{Find: func(name string) (nbd.Export, bool) { return nbd.Export{Device: m}, name == exportName }})
		if err != nil {
			t.Fatal(err)
		}
		c := &script{in: bytes.NewReader(in)}
		_ = s.ServeConn(context.Background(), c)
		if !bytes.HasPrefix(c.out.Bytes(), []byte("NBDMAGICIHAVEOPT\x00\x03")) {
			t.Fatalf("greeting %q", c.out.Bytes())
		}
		b := c.out.Bytes()[18:]
		for len(b) >= 20 && binary.BigEndian.Uint64(b) == 0x3e889045565a9 {
			n := binary.BigEndian.Uint32(b[16:])
			if uint64(n)+20 > uint64(len(b)) {
				t.Fatalf("a reply of %d bytes is cut short", n)
			}
			b = b[20+n:]
		}
	})
}

var _ nbd.Device = (*blockdev.Volume)(nil)
