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

// writer writes slots with FUA, one after the other, and remembers which were acknowledged.
func writer(t *testing.T, uri string, round int, acknowledged []int) {
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
	for n := 0; ; n++ {
		i := n % slots
		req := binary.BigEndian.AppendUint32(nil, 0x25609513)
		req = binary.BigEndian.AppendUint32(req, 1<<16|1) // FUA, WRITE
		req = binary.BigEndian.AppendUint64(req, uint64(n))
		req = binary.BigEndian.AppendUint64(req, uint64(i*slot))
		req = append(binary.BigEndian.AppendUint32(req, slot), pattern(round+n/slots, i)...)
		if _, err := c.Write(req); err != nil {
			return
		}
		answer := make([]byte, 16)
		if k, err := c.Read(answer); err != nil || k < 16 || binary.BigEndian.Uint32(answer[4:]) != 0 {
			return
		}
		acknowledged[i] = round + n/slots
	}
}

// TestKill9 kills the server while a client writes with FUA: what was acknowledged is there, whole.
func TestKill9(t *testing.T) {
	d := newDisk(t)
	acknowledged := make([]int, slots)
	total := 0
	for round := range 6 {
		uri := d.export()
		done := make(chan struct{})
		go func() {
			defer close(done)
			writer(t, uri, (round+1)*100000, acknowledged)
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
