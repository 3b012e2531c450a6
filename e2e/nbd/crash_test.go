package nbd_test

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	slot  = 12 << 10 // of one write; three sectors
	slots = 512
)

// pattern is the content of a slot in a round.
func pattern(round, i int) []byte {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], uint64(round)<<32|uint64(i))
	return bytes.Repeat(b[:], slot/8)
}

// writer writes slots, one after the other, with FUA or with a flush now and then, and remembers which were
// acknowledged as durable.
func writer(t *testing.T, uri string, round int, fua bool, acknowledged []int) {
	u, err := url.Parse(uri)
	must(t, err)
	c, err := net.Dial("unix", u.Query().Get("socket"))
	must(t, err)
	defer c.Close()
	name := strings.TrimPrefix(u.Path, "/")
	greeting := make([]byte, 18)
	if _, err := c.Read(greeting); err != nil {
		return // killed already
	}
	hello := binary.BigEndian.AppendUint32(nil, 3)
	hello = binary.BigEndian.AppendUint32(append(hello, "IHAVEOPT"...), 1) // EXPORT_NAME
	hello = append(binary.BigEndian.AppendUint32(hello, uint32(len(name))), name...)
	if _, err := c.Write(hello); err != nil {
		return
	}
	if _, err := c.Read(make([]byte, 10)); err != nil {
		return
	}
	var waiting []int // writes that are not durable yet
	for n := 0; ; n++ {
		i := n % slots
		flags := uint16(0)
		if fua {
			flags = 1
		}
		if !ask(c, flags, write, uint64(n), i*slot, pattern(round+n/slots, i)) {
			return
		}
		waiting = append(waiting, n)
		if !fua {
			if len(waiting) < flushEvery {
				continue
			}
			if !ask(c, 0, flush, uint64(n), 0, nil) {
				return
			}
		}
		for _, n := range waiting {
			acknowledged[n%slots] = round + n/slots
		}
		waiting = waiting[:0]
	}
}

// Commands of the transmission phase.
const (
	write = 1
	flush = 3
)

// flushEvery is how many writes without FUA go before a flush.
const flushEvery = 16

// ask makes a request and reports whether it was acknowledged.
func ask(c net.Conn, flags, command uint16, cookie uint64, offset int, data []byte) bool {
	req := binary.BigEndian.AppendUint32(nil, 0x25609513)
	req = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(req, flags), command)
	req = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(req, cookie), uint64(offset))
	req = append(binary.BigEndian.AppendUint32(req, uint32(len(data))), data...)
	if _, err := c.Write(req); err != nil {
		return false
	}
	answer := make([]byte, 16)
	k, err := c.Read(answer)
	return err == nil && k == 16 && binary.BigEndian.Uint32(answer[4:]) == 0
}

// TestKill9 kills the server while a client writes with FUA, or flushes what it wrote: what was acknowledged is
// there, whole.
func TestKill9(t *testing.T) {
	d := newDisk(t)
	acknowledged := make([]int, slots)
	total := 0
	for round := range 6 {
		uri := d.export()
		done := make(chan struct{})
		go func() {
			defer close(done)
			writer(t, uri, (round+1)*100000, round%2 == 0, acknowledged)
		}()
		<-time.After(time.Duration(200+137*round) * time.Millisecond) // some moment is the test
		d.restart()
		<-done
		d.await("running")
		back := filepath.Join(t.TempDir(), "back")
		out, err := exec.CommandContext(t.Context(), "qemu-img", "dd", "-f", "raw", "-O", "raw", "bs=12288", "count=512", "if="+d.export("--read-only"), "of="+back).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		got, err := os.ReadFile(back)
		must(t, err)
		for i, want := range acknowledged {
			if want == 0 {
				continue
			}
			total++
			// A later write may have come through without its acknowledgement, whole or in part of its
			// 512-byte pieces.
			for p := 0; p < slot; p += 512 {
				piece := got[i*slot+p : i*slot+p+512]
				if !bytes.Equal(piece, pattern(want, i)[:512]) && !bytes.Equal(piece, pattern(max(want+1, (round+1)*100000), i)[:512]) {
					t.Fatalf("round %d: slot %d has lost the acknowledged write %d: %x", round, i, want, piece[:16])
				}
			}
		}
	}
	d.server.Stop()
	if out, errs, err := d.kagimori("volume", "check", "--data", d.dir); err != nil {
		t.Errorf("check: %s%s", out, errs)
	}
	if total == 0 {
		t.Error("nothing was ever acknowledged")
	}
}
