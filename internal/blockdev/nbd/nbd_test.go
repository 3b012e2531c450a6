package nbd_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/kagimori/kagimori/internal/blockdev"
	"github.com/kagimori/kagimori/internal/blockdev/nbd"
)

const (
	read, write, disconnect, flush, trim, zeroes, status = 0, 1, 2, 3, 4, 6, 7
	fua, noHole, df, reqOne, fastZero                    = 1, 2, 4, 8, 16
)

func TestReadAndWrite(t *testing.T) {
	s := serve(t, nbd.Config{}, nbd.Export{Device: volume(t)})
	c := s.dial(t, 3)
	if f := c.begin(); f != 0x96d {
		t.Errorf("transmission flags %#x", f)
	}
	data := random(1, 70000)
	c.request(fua, write, 1, 12345, uint32(len(data)), data)
	c.ok(1)
	c.request(0, read, 2, 12345, uint32(len(data)), nil)
	if code, got := c.simple(2, len(data)); code != 0 || !bytes.Equal(got, data) {
		t.Errorf("error %d, or other data", code)
	}
	c.request(0, flush, 3, 0, 0, nil)
	c.ok(3)
	c.request(0, zeroes, 4, 12345, 100, nil)
	c.ok(4)
	c.request(noHole|fua, zeroes, 5, 12445, 600<<10, nil)
	c.ok(5)
	c.request(0, trim, 6, 0, 8192, nil)
	c.ok(6)
	c.request(0, read, 7, 8192, 4096+100+1000, nil)
	if code, got := c.simple(7, 4096+100+1000); code != 0 || !bytes.Equal(got, make([]byte, len(got))) {
		t.Errorf("error %d, or not zeros", code)
	}
	c.request(0, disconnect, 8, 0, 0, nil)
	c.gone()
}

func TestErrors(t *testing.T) {
	data := make([]byte, 16)
	tests := []struct {
		name           string
		flags, command uint16
		off            uint64
		n              uint32
		data           []byte
		readOnly       bool
		want           uint32
	}{
		{"read beyond the end", 0, read, volumeSize - 8, 16, nil, false, 22},
		{"read far beyond", 0, read, 1<<64 - 8, 16, nil, false, 22},
		{"write beyond the end", 0, write, volumeSize - 8, 16, data, false, 28},
		{"zeroes beyond the end", 0, zeroes, volumeSize, 1, nil, false, 28},
		{"trim beyond the end", 0, trim, 0, 1<<32 - 1, nil, false, 22},
		{"read of too much", 0, read, 0, 33 << 20, nil, false, 75},
		{"unknown command", 0, 99, 0, 0, nil, false, 22},
		{"cache", 0, 5, 0, 16, nil, false, 22},
		{"unknown flag", 1 << 9, read, 0, 16, nil, false, 22},
		{"flag of another command", noHole, write, 0, 16, data, false, 22},
		{"DF without structured replies", df, read, 0, 16, nil, false, 22},
		{"status that was not negotiated", 0, status, 0, 16, nil, false, 22},
		{"flush with a range", 0, flush, 0, 1, nil, false, 22},
		{"fast zeros that take space", noHole | fastZero, zeroes, 0, 16, nil, false, 95},
		{"write, read-only", 0, write, 0, 16, data, true, 1},
		{"trim, read-only", 0, trim, 0, 16, nil, true, 1},
		{"zeroes, read-only", 0, zeroes, 0, 16, nil, true, 1},
	}
	v := volume(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := serve(t, nbd.Config{}, nbd.Export{Device: v, ReadOnly: tt.readOnly}).dial(t, 3)
			if f := c.begin(); f&2 != 0 != tt.readOnly {
				t.Errorf("transmission flags %#x", f)
			}
			c.request(tt.flags, tt.command, 7, tt.off, tt.n, tt.data)
			if code, _ := c.simple(7, int(tt.n)); code != tt.want {
				t.Errorf("error %d, want %d", code, tt.want)
			}
			c.request(0, read, 8, 0, 16, nil) // the connection goes on
			if code, _ := c.simple(8, 16); code != 0 {
				t.Errorf("the next request fails: %d", code)
			}
		})
	}
}

func TestStructuredReplies(t *testing.T) {
	v := volume(t)
	data := random(2, 128<<10)
	_, err := v.WriteAt(data, 1<<20)
	must(t, err)
	_, err = v.WriteAt(data[:4096], 1<<20+132<<10) // after a hole of one sector
	must(t, err)
	c := serve(t, nbd.Config{}, nbd.Export{Device: v}).dial(t, 3)
	c.structured()
	if f := c.begin(); f&(1<<7) == 0 {
		t.Errorf("transmission flags %#x: no DF", f)
	}
	c.request(0, read, 1, 0, 2<<20, nil)
	hole := c.chunk(1)
	if hole.flags != 0 || hole.kind != 2 || binary.BigEndian.Uint64(hole.payload) != 0 || binary.BigEndian.Uint32(hole.payload[8:]) != 1<<20 {
		t.Errorf("first chunk %v", hole)
	}
	content := c.chunk(1)
	if content.kind != 1 || binary.BigEndian.Uint64(content.payload) != 1<<20 || len(content.payload) != 8+136<<10 ||
		!bytes.Equal(content.payload[8:8+len(data)], data) || !bytes.Equal(content.payload[8+132<<10:], data[:4096]) {
		t.Errorf("second chunk of kind %d with %d bytes", content.kind, len(content.payload))
	}
	if last := c.chunk(1); last.flags != 1 || last.kind != 2 || binary.BigEndian.Uint32(last.payload[8:]) != 1<<20-136<<10 {
		t.Errorf("last chunk %v", last)
	}
	c.request(df, read, 2, 1<<20-4096, 8192, nil)
	if one := c.chunk(2); one.flags != 1 || one.kind != 1 || !bytes.Equal(one.payload[8:], append(make([]byte, 4096), data[:4096]...)) {
		t.Errorf("with DF: a chunk of kind %d, flags %d", one.kind, one.flags)
	}
	c.request(0, read, 3, volumeSize, 1, nil)
	if bad := c.chunk(3); bad.flags != 1 || bad.kind != 1<<15+1 || binary.BigEndian.Uint32(bad.payload) != 22 {
		t.Errorf("beyond the end: %v", bad)
	}
	c.request(0, read, 4, 0, 0, nil)
	if none := c.chunk(4); none.flags != 1 || none.kind != 0 {
		t.Errorf("nothing read: %v", none)
	}
	c.request(0, write, 5, 0, 3, []byte("abc"))
	c.ok(5)
}

func TestBlockStatus(t *testing.T) {
	v := volume(t)
	_, err := v.WriteAt(random(2, 8192), 64<<10)
	must(t, err)
	c := serve(t, nbd.Config{}, nbd.Export{Device: v}).dial(t, 3)
	c.structured()
	c.chooseAllocation()
	c.begin()
	extents := func(flags uint16, off uint64, n uint32) []uint32 {
		c.request(flags, status, 1, off, n, nil)
		got := c.chunk(1)
		if got.flags != 1 || got.kind != 5 || binary.BigEndian.Uint32(got.payload) != 1 {
			t.Fatalf("chunk %v", got)
		}
		var e []uint32
		for b := got.payload[4:]; len(b) > 0; b = b[4:] {
			e = append(e, binary.BigEndian.Uint32(b))
		}
		return e
	}
	tests := []struct {
		flags uint16
		off   uint64
		n     uint32
		want  []uint32
	}{
		{0, 0, volumeSize, []uint32{64 << 10, 3, 8192, 0, volumeSize - 72<<10, 3}},
		{reqOne, 0, volumeSize, []uint32{64 << 10, 3}},
		{0, 64<<10 + 10, 20, []uint32{20, 0}},
		{0, 72<<10 - 1, 2, []uint32{1, 0, 1, 3}},
	}
	for _, tt := range tests {
		if got := extents(tt.flags, tt.off, tt.n); !equal(got, tt.want) {
			t.Errorf("%d bytes at %d: %v, want %v", tt.n, tt.off, got, tt.want)
		}
	}
	c.request(0, status, 1, 0, 0, nil)
	if bad := c.chunk(1); bad.kind != 1<<15+1 {
		t.Errorf("status of nothing: %v", bad)
	}
}

func equal(a, b []uint32) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// An export that ends takes its connections along; the volume can then be closed.
func TestExportEnds(t *testing.T) {
	v, done := volume(t), make(chan struct{})
	s := serve(t, nbd.Config{}, nbd.Export{Device: v, Done: done})
	c := s.dial(t, 3)
	c.begin()
	c.request(0, write, 1, 0, 3, []byte("abc"))
	c.ok(1)
	close(done)
	c.gone()
	s.wg.Wait()
	again := s.dial(t, 3)
	again.option(7, str(exportName)+"\x00\x00")
	again.wantReply(7, 1<<31+6)
	must(t, v.Close())
}

// A volume that was closed under its clients says so.
func TestVolumeClosed(t *testing.T) {
	v := volume(t)
	c := serve(t, nbd.Config{}, nbd.Export{Device: v}).dial(t, 3)
	c.begin()
	must(t, v.Close())
	for i, command := range []uint16{read, flush, trim, zeroes} {
		n := uint32(16)
		if command == flush {
			n = 0
		}
		c.request(0, command, uint64(i), 0, n, nil)
		if code, _ := c.simple(uint64(i), int(n)); code != 108 {
			t.Errorf("command %d: error %d", command, code)
		}
	}
}

// failing is a device that cannot do anything.
type failing struct{ err error }

func (f failing) ReadAt([]byte, int64) (int, error)  { return 0, f.err }
func (f failing) WriteAt([]byte, int64) (int, error) { return 0, f.err }
func (f failing) Size() int64                        { return volumeSize }
func (f failing) Flush() error                       { return f.err }
func (f failing) Trim(int64, int64) error            { return f.err }
func (f failing) WriteZeroes(int64, int64) error     { return f.err }
func (f failing) Written(_, n int64) (int64, bool)   { return n, true }

func TestDeviceErrors(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want uint32
	}{{errors.New("broken"), 5}, {blockdev.ErrClosed, 108}, {blockdev.ErrReadOnly, 1}, {blockdev.ErrRange, 22}, {syscall.ENOSPC, 28}} {
		c := serve(t, nbd.Config{}, nbd.Export{Device: failing{tt.err}}).dial(t, 3)
		c.structured()
		c.begin()
		c.request(0, write, 1, 0, 1, []byte("x"))
		if code, _ := c.simple(1, 0); code != tt.want {
			t.Errorf("%v: write gives %d, want %d", tt.err, code, tt.want)
		}
		c.request(0, read, 2, 0, 1, nil)
		if got := c.chunk(2); got.kind != 1<<15+1 || binary.BigEndian.Uint32(got.payload) != tt.want {
			t.Errorf("%v: read gives %v, want %d", tt.err, got, tt.want)
		}
	}
}

// Many requests on several connections at a time, over a real socket, and all answered before the
// client's disconnect is.
func TestConcurrency(t *testing.T) {
	v := volume(t)
	s := serve(t, nbd.Config{}, nbd.Export{Device: v})
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	must(t, err)
	s.wg.Go(func() { _ = s.Serve(t.Context(), l) })
	const conns, requests, size = 3, 100, 9000
	done := make(chan struct{})
	for k := range conns {
		go func() {
			defer func() { done <- struct{}{} }()
			nc, err := net.Dial("unix", l.Addr().String())
			if err != nil {
				t.Error(err)
				return
			}
			defer nc.Close()
			c := &client{t, nc}
			c.want("greeting", []byte("NBDMAGICIHAVEOPT\x00\x03"))
			c.put(uint32(3))
			c.begin()
			go func() {
				for i := range requests {
					slot := i*conns + k
					c.request(0, write, uint64(i), uint64(slot*size), size, random(uint64(slot), size))
				}
				c.request(0, disconnect, 0, 0, 0, nil)
			}()
			for range requests {
				if b := c.get(16); binary.BigEndian.Uint32(b[4:]) != 0 {
					t.Errorf("a write failed: %x", b)
				}
			}
			c.gone()
		}()
	}
	for range conns {
		<-done
	}
	got := make([]byte, size)
	for slot := range conns * requests {
		_, err := v.ReadAt(got, int64(slot*size))
		must(t, err)
		if !bytes.Equal(got, random(uint64(slot), size)) {
			t.Fatalf("write %d is not there", slot)
		}
	}
}
