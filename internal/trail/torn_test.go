package trail_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/trail"
)

// After a power cut the end of the log may have zeros where the disk had not got to: what is before them stays, the
// rest is put aside, and the log is whole.
func TestTornSectors(t *testing.T) {
	f := newFolder(t)
	tr := f.open(t, nil)
	appendRecords(t, tr, 0, 3)
	whole := f.read(t, segment(1))
	closeTrail(t, tr)
	second := bytes.IndexByte(whole, '\n') + 1
	third := bytes.LastIndexByte(whole[:len(whole)-1], '\n') + 1
	for _, tt := range []struct {
		name     string
		from, to int
		kept     int
	}{
		{"the middle of the last line", third + 10, third + 50, 2},
		{"the beginning of the last line", third, third + 50, 2},
		{"its end", len(whole) - 5, len(whole), 2},
		{"one byte", third + 10, third + 11, 2},
		{"from the second to the third", second + 10, third + 10, 1},
		{"the second, and the third is there", second, third, 1},
		{"all", 0, len(whole), 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFolder(t)
			torn := bytes.Clone(whole)
			clear(torn[tt.from:tt.to])
			f.write(t, segment(1), torn)
			s := newStore(t)
			tr := f.open(t, withStore(s))
			appendRecords(t, tr, 9, 10)
			verify(t, tr)
			if d := cmp.Diff(append([]string{"9"}, numbers(0, tt.kept)...), ids(t, tr, trail.Filter{})); d != "" {
				t.Error(d)
			}
			if aside := f.read(t, segment(1)+".torn"); !bytes.HasSuffix(torn, aside) || bytes.IndexByte(aside, 0) < 0 {
				t.Errorf("put aside: %q", aside)
			}
			closeTrail(t, tr)
			verify(t, f.open(t, withStore(s)))
		})
	}
}

// Zeros in what was on the disk, as the store says, are nobody's power cut: they stay as they are, and are told.
func TestDamageIsNotTorn(t *testing.T) {
	f, s := newFolder(t), newStore(t)
	tr := f.open(t, withStore(s))
	appendRecords(t, tr, 0, 3)
	if err := commit(t, s, tr, record(3)); err != nil {
		t.Fatal(err)
	}
	if err := tr.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	closeTrail(t, tr)
	damaged := f.read(t, segment(1))
	clear(damaged[20:40])
	f.write(t, segment(1), damaged)
	tr = f.open(t, withStore(s))
	if err := tr.Verify(t.Context()); err == nil {
		t.Error("a record that was changed is not found")
	}
	if now := f.read(t, segment(1)); !bytes.Equal(now[:len(damaged)], damaged) || slices.Contains(f.files(t), segment(1)+".torn") {
		t.Errorf("files %v", f.files(t))
	}
}
