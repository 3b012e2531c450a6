package trail_test

import (
	"encoding/json"
	"math"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/trail"
)

// limitFiles lets no file of the process grow beyond size bytes until the test ends, as a full
// disk would: writes beyond are cut and fail. It returns what lifts the limit.
func limitFiles(t *testing.T, size int64) (lift func()) {
	t.Helper()
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	signal.Ignore(syscall.SIGXFSZ)
	limit := old
	limit.Cur = uint64(size)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	lift = func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(func() { lift(); signal.Reset(syscall.SIGXFSZ) })
	return lift
}

// appendLarge makes the log larger than the notes that go test keeps of the files a test opens: the
// limit is not for those.
func appendLarge(t *testing.T, tr *trail.Trail, i int) {
	t.Helper()
	r := record(i)
	r.Kagimori.Decisions = []json.RawMessage{[]byte(`"` + strings.Repeat("x", 2<<20) + `"`)}
	if err := tr.Append(r); err != nil {
		t.Fatal(err)
	}
}

func (f folder) size(t *testing.T, name string) int64 {
	t.Helper()
	info, err := os.Stat(filepath.Join(f.path, name))
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

func TestFullDisk(t *testing.T) {
	f, s := newFolder(t), newStore(t)
	tr := f.open(t, withStore(s))
	appendLarge(t, tr, 0)
	appendRecords(t, tr, 1, 2)
	size := f.size(t, segment(1))

	lift := limitFiles(t, size+100) // a part of a line fits
	if err := tr.Append(record(2)); err == nil {
		t.Error("an append succeeded on a full disk")
	}
	if err := commit(t, s, tr, record(3)); err != nil { // the first change is not refused yet: its record is in the store
		t.Error(err)
	}
	if err := tr.Flush(t.Context()); err == nil {
		t.Error("a flush succeeded on a full disk")
	}
	if err := commit(t, s, tr, record(4)); err == nil {
		t.Error("a change without a record succeeded")
	}
	if now := f.size(t, segment(1)); now != size {
		t.Errorf("%d bytes of failed writes are left", now-size)
	}
	if d := cmp.Diff(numbers(0, 2), ids(t, tr, trail.Filter{})); d != "" { // look-ups go on
		t.Error(d)
	}

	lift()
	appendRecords(t, tr, 5, 6)
	waitFor(t, "recovery", func() bool { return commit(t, s, tr, record(6)) == nil })
	got := ids(t, tr, trail.Filter{})
	if len(got) != 5 || got[0] != "6" {
		t.Errorf("recorded %v", got)
	}
	verify(t, tr)
	closeTrail(t, tr)
	verify(t, f.open(t, withStore(s)))
}

// The disk fills up at the moment of a rotation.
func TestFullDiskAtRotation(t *testing.T) {
	f := newFolder(t)
	tr := f.open(t, func(c *trail.Config) { c.MaxSegment = 1 << 20 })
	appendLarge(t, tr, 0)
	lift := limitFiles(t, f.size(t, segment(1))+10) // the checkpoint does not fit
	for range 2 {
		if err := tr.Append(record(1)); err == nil {
			t.Error("an append succeeded on a full disk")
		}
	}
	lift()
	appendRecords(t, tr, 1, 4)
	if d := cmp.Diff(numbers(0, 4), ids(t, tr, trail.Filter{Limit: math.MaxInt})); d != "" {
		t.Error(d)
	}
	verify(t, tr)
}
