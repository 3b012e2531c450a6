package trail_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/trail"
)

// packedSegment is a packed segment, the lines that are in it, and its log.
func packedSegment(t *testing.T) (f folder, tr *trail.Trail, data, lines []byte) {
	t.Helper()
	f = newFolder(t)
	tr = f.open(t, func(c *trail.Config) { c.MaxSegment = 600 << 10 })
	rec := 0
	for !slices.Contains(f.files(t), segment(3)) {
		appendRecords(t, tr, rec, rec+100)
		rec += 100
	}
	f.waitPacked(t, 1)
	data, err := os.ReadFile(filepath.Join(f.path, segment(1)+packed))
	if err != nil {
		t.Fatal(err)
	}
	return f, tr, data, f.read(t, segment(1)+packed)
}

// A packed segment is read as it was, and one that was cut off never is, wherever that was: S2 itself does not tell
// that blocks at the end are missing.
func TestPackedSegments(t *testing.T) {
	f, tr, data, lines := packedSegment(t)
	if !trail.IsPacked(data) || trail.IsPacked(data[:9]) || trail.IsPacked(lines) {
		t.Error("what is packed is not known by how it begins")
	}
	read := func(data []byte) ([]byte, error) {
		r, err := trail.Unpack(bytes.NewReader(data))
		if err != nil {
			return nil, err
		}
		return io.ReadAll(r)
	}
	if got, err := read(data); err != nil || !bytes.Equal(got, lines) {
		t.Errorf("%d bytes instead of %d, %v", len(got), len(lines), err)
	}
	for cut := len(data) - 1; cut > 0; cut -= 1 + cut/100 {
		if _, err := read(data[:cut]); err == nil && cut > 60 { // the note is whole
			t.Errorf("cut off at %d of %d bytes: no error", cut, len(data))
		}
	}
	blocks := 0
	for at := 10; at < len(data); blocks++ { // the stream's own header is before it
		if blocks > 1 { // the note, and the first block
			f.write(t, segment(1)+packed, data[:at])
			if err := tr.Verify(t.Context()); !errors.Is(err, trail.ErrBroken) || !strings.Contains(err.Error(), "segment 1") {
				t.Errorf("cut off after %d blocks: %v", blocks, err)
			}
		}
		at += 4 + int(data[at+1]) + int(data[at+2])<<8 + int(data[at+3])<<16
	}
	if blocks < 4 {
		t.Errorf("only %d blocks", blocks)
	}
}

// Whatever a packed segment holds is read or refused.
func FuzzUnpack(f *testing.F) {
	f.Add([]byte("\xff\x06\x00\x00S2sTwO"))
	f.Add([]byte("\xff\x06\x00\x00S2sTwO\x80\x15\x00\x00kagimori 2 1 5 9 4000"))
	f.Add([]byte("\xff\x06\x00\x00S2sTwO\x80\x13\x00\x00kagimori 2 1 5 9 -1\x01\x06\x00\x00\x00\x00\x00\x00{}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := trail.Unpack(bytes.NewReader(data))
		if err != nil {
			return
		}
		if n, err := io.Copy(io.Discard, r); err == nil && n > 0 && !trail.IsPacked(data) {
			t.Error("lines of what is not packed")
		}
	})
}
