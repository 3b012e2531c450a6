package trail_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/kagimori/kagimori/internal/trail"
)

// TestParts reads files of sizes around those of parts.
func TestParts(t *testing.T) {
	for _, size := range []int{0, 1, 1 << 20, 1<<20 + 1, 3<<20 - 1} {
		f, want := partsFile(t, size)
		var got []byte
		if err := trail.EachPart(f, int64(size), func(b []byte) error { got = append(got, b...); return nil }); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes: %d, %v", size, len(got), err)
		}
	}
}

// TestCutOffPart cuts a file off while it is read: an error, and no end of the process.
func TestCutOffPart(t *testing.T) {
	const size = 3 << 20
	f, _ := partsFile(t, size)
	sum := byte(0)
	err := trail.EachPart(f, size, func(b []byte) error {
		for _, c := range b {
			sum += c
		}
		return f.Truncate(1 << 20)
	})
	if err == nil {
		t.Error("what is not there was read")
	}
}

// TestPartRefused ends with the error of who reads.
func TestPartRefused(t *testing.T) {
	f, _ := partsFile(t, 2<<20)
	refused, calls := errors.New("refused"), 0
	if err := trail.EachPart(f, 2<<20, func([]byte) error { calls++; return refused }); !errors.Is(err, refused) || calls != 1 {
		t.Errorf("%v after %d", err, calls)
	}
}

func partsFile(t *testing.T, size int) (*os.File, []byte) {
	t.Helper()
	want := bytes.Repeat([]byte("0123456789\n"), size/11+1)[:size]
	name := filepath.Join(t.TempDir(), "segment")
	if err := os.WriteFile(name, want, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f, want
}
