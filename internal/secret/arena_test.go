package secret_test

import (
	"bytes"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/kagimori/kagimori/internal/secret"
)

func TestArena(t *testing.T) {
	a, err := secret.NewArena(2, 32)
	if err != nil {
		t.Fatal(err)
	}
	one, ok := a.Hold(secret.Bytes("one"))
	if !ok {
		t.Fatal("no room in an empty arena")
	}
	two, _ := a.Hold(secret.Bytes(strings.Repeat("2", 32)))
	if _, ok := a.Hold(secret.Bytes("three")); ok {
		t.Error("the bound does not bind")
	}
	if used, slots := a.Used(); used != 2 || slots != 2 {
		t.Errorf("%d of %d used", used, slots)
	}
	b, ok := one.Acquire()
	if !ok || string(b) != "one" {
		t.Fatalf("acquired %q, %v", []byte(b), ok)
	}
	one.Free()
	if string(b) != "one" {
		t.Error("wiped under its reader")
	}
	if _, ok := one.Acquire(); ok {
		t.Error("acquired what was freed")
	}
	if _, ok := a.Hold(secret.Bytes("three")); ok {
		t.Error("a slot that is read was given away")
	}
	one.Release()
	if !bytes.Equal(b, make([]byte, 3)) {
		t.Error("not wiped")
	}
	if _, ok := a.Hold(secret.Bytes(strings.Repeat("x", 33))); ok {
		t.Error("held more than a slot")
	}
	three, ok := a.Hold(secret.Bytes("three"))
	if !ok {
		t.Error("the slot did not come back")
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if _, ok := a.Hold(secret.Bytes("x")); ok {
		t.Error("a closed arena holds")
	}
	if b, ok := two.Acquire(); !ok || b[0] != '2' {
		t.Error("what is owned went with Close")
	}
	two.Release()
	two.Free()
	three.Free()
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	for _, n := range [][2]int{{0, 1}, {1, 0}, {1, 5000}} {
		if _, err := secret.NewArena(n[0], n[1]); err == nil {
			t.Errorf("made an arena of %v", n)
		}
	}
}

// Readers never see a secret of another, whatever is freed and held meanwhile.
func TestArenaAtOnce(t *testing.T) {
	a, err := secret.NewArena(4, 64)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			mine := bytes.Repeat([]byte{byte(g + 1)}, 64)
			for range 500 {
				h, ok := a.Hold(mine)
				if !ok {
					continue
				}
				var readers sync.WaitGroup
				for range 2 {
					readers.Go(func() {
						if b, ok := h.Acquire(); ok {
							if !bytes.Equal(b, mine) {
								t.Error("another secret")
							}
							h.Release()
						}
					})
				}
				h.Free()
				readers.Wait()
			}
		})
	}
	wg.Wait()
	if used, _ := a.Used(); used != 0 {
		t.Errorf("%d slots are lost", used)
	}
}

// The kernel knows the slab as locked and left out of dumps.
func TestArenaIsLockedAndNotDumped(t *testing.T) {
	smaps := func() (n int) {
		data, err := os.ReadFile("/proc/self/smaps")
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			if strings.HasPrefix(line, "VmFlags:") && strings.Contains(line, " lo") && strings.Contains(line, " dd") {
				n++
			}
		}
		return n
	}
	before := smaps()
	a, err := secret.NewArena(1024, 64)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if !a.Pinned() {
		t.Fatal("the memlock limit is below 64 KiB; raise it (ulimit -l) to test this")
	}
	if after := smaps(); after <= before {
		t.Errorf("locked mappings without dump: %d before, %d after", before, after)
	}
}
