package trail_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/trail"
)

func mac(secret string) func([]byte) []byte {
	return func(data []byte) []byte {
		sum := sha256.Sum256(append([]byte(secret), data...))
		return sum[:]
	}
}

// Each change of the files is seen, by the running server and by the next.
func TestVerify(t *testing.T) {
	join := func(lines [][]byte) []byte { return append(bytes.TrimSpace(bytes.Join(lines, nil)), '\n') }
	for _, tt := range []struct {
		name   string
		change func(f folder, lines [][]byte)
		text   string // of the error; "" if the log is good
		later  bool   // seen by the running server only: the end is gone
	}{
		{"nothing", func(folder, [][]byte) {}, "", false},
		{"record changed", func(f folder, l [][]byte) {
			l[1] = bytes.Replace(l[1], []byte("192.0.2.1"), []byte("192.0.2.2"), 1)
			f.writePacked(t, 1, packed, join(l))
		}, "record 3 does not follow record 2", false},
		{"record removed", func(f folder, l [][]byte) { f.writePacked(t, 1, packed, join(slices.Delete(l, 1, 2))) }, "record 3 does not follow record 1", false},
		{"first record removed", func(f folder, l [][]byte) { f.writePacked(t, 1, packed, join(l[1:])) }, "record 2 does not follow record 0", false},
		{"records swapped", func(f folder, l [][]byte) { l[0], l[1] = l[1], l[0]; f.writePacked(t, 1, packed, join(l)) }, "record 2 does not follow", false},
		{"record put in", func(f folder, l [][]byte) { f.writePacked(t, 1, packed, join(slices.Insert(l, 1, l[0]))) }, "record 1 does not follow record 1", false},
		{"line is no record", func(f folder, l [][]byte) { l[1] = []byte("x\n"); f.writePacked(t, 1, packed, join(l)) }, "a line is no record", false},
		{"checkpoint changed", func(f folder, l [][]byte) {
			i := len(l) - 1
			l[i] = bytes.Replace(l[i], []byte(`"time":"2026`), []byte(`"time":"2027`), 1)
			f.writePacked(t, 1, packed, join(l))
		}, "is not signed by this server", false},
		{"checkpoint without signature", func(f folder, l [][]byte) {
			i := len(l) - 1
			l[i] = append(l[i][:bytes.Index(l[i], []byte(`,"mac"`))], "}}\n"...)
			f.writePacked(t, 1, packed, join(l))
		}, "is not signed by this server", false},
		{"checkpoint removed", func(f folder, l [][]byte) { f.writePacked(t, 1, packed, join(l[:len(l)-1])) }, "does not follow", false},
		{"checkpoint moved", func(f folder, l [][]byte) {
			f.write(t, segment(2), join(append(f.lines(t, 2), l[len(l)-1])))
		}, "a checkpoint does not follow record", false},
		{"segment removed", func(f folder, _ [][]byte) {
			if err := os.Remove(filepath.Join(f.path, segment(2))); err != nil {
				t.Fatal(err)
			}
		}, "segment 2 is missing", false},
		{"end removed", func(f folder, _ [][]byte) { f.write(t, segment(3), nil) }, "the newest records are missing", true},
		{"last segment removed", func(f folder, _ [][]byte) {
			if err := os.Remove(filepath.Join(f.path, segment(3))); err != nil {
				t.Fatal(err)
			}
		}, "segment 3 is missing", true},
		{"compressed segment damaged", func(f folder, _ [][]byte) {
			data, err := os.ReadFile(filepath.Join(f.path, segment(1)+packed))
			if err != nil {
				t.Fatal(err)
			}
			data[len(data)/2] ^= 0x55
			f.write(t, segment(1)+packed, data)
		}, "segment 1", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFolder(t)
			keyed := func(c *trail.Config) { c.Key, c.MaxSegment = mac("k"), 2500 }
			tr := f.open(t, keyed)
			for i := 0; !slices.Contains(f.files(t), segment(3)); i++ {
				appendRecords(t, tr, i, i+1)
			}
			waitFor(t, "the first segment compressed", func() bool {
				return slices.Contains(f.files(t), segment(1)+packed) && !slices.Contains(f.files(t), segment(1))
			})
			verify(t, tr)
			tt.change(f, split(f.read(t, segment(1)+packed)))
			check := func(when string, err error) {
				t.Helper()
				if tt.text == "" && err != nil || tt.text != "" && (!errors.Is(err, trail.ErrBroken) || !strings.Contains(err.Error(), tt.text)) {
					t.Errorf("%s: %v", when, err)
				}
			}
			check("running", tr.Verify(t.Context()))
			if !tt.later {
				_ = tr.Close() // may complain of files that are gone
				check("opened anew", f.open(t, keyed).Verify(t.Context()))
			}
		})
	}
}

func TestVerifyWithAnotherKey(t *testing.T) {
	f := newFolder(t)
	tr := f.open(t, func(c *trail.Config) { c.Key = mac("a") })
	appendRecords(t, tr, 0, 2)
	closeTrail(t, tr)
	if err := f.open(t, func(c *trail.Config) { c.Key = mac("b") }).Verify(t.Context()); !errors.Is(err, trail.ErrBroken) {
		t.Errorf("another key: %v", err)
	}
	verify(t, f.open(t, nil)) // without a key signatures are not looked at
}

// A damaged log opens, keeps what it has and goes on; the damage stays visible.
func TestDamagedLogGoesOn(t *testing.T) {
	for _, tt := range []struct {
		name   string
		damage func(l [][]byte)
		kept   []string
	}{
		{"middle", func(l [][]byte) { l[1] = []byte("\x00\x00\n") }, []string{"9", "2", "0"}},
		{"end", func(l [][]byte) { l[2] = []byte("{}\n"); l[3] = nil }, []string{"9", "1", "0"}},
		{"all", func(l [][]byte) { l[0], l[1], l[2], l[3] = []byte("x\n"), nil, nil, nil }, []string{"9"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFolder(t)
			tr := f.open(t, nil)
			appendRecords(t, tr, 0, 3)
			closeTrail(t, tr)
			lines := f.lines(t, 1)
			tt.damage(lines)
			damaged := bytes.Join(lines, nil)
			f.write(t, segment(1), damaged)

			tr = f.open(t, nil)
			appendRecords(t, tr, 9, 10)
			if d := cmp.Diff(tt.kept, ids(t, tr, trail.Filter{})); d != "" {
				t.Error(d)
			}
			if err := tr.Verify(t.Context()); !errors.Is(err, trail.ErrBroken) {
				t.Errorf("Verify says %v", err)
			}
			closeTrail(t, tr)
			if !bytes.Equal(damaged, f.read(t, segment(1))) {
				t.Error("the damaged segment was changed")
			}
			appendRecords(t, f.open(t, nil), 10, 11) // in the new segment
			if d := cmp.Diff([]string{segment(1), segment(2)}, f.files(t)); d != "" {
				t.Error(d)
			}
		})
	}
}
