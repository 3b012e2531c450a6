package blockdev_test

import (
	"compress/gzip"
	"io"
	"os"
	"testing"

	"github.com/kagimori/kagimori/internal/blockdev"
)

// testdata/*.kvol.gz are a volume and its snapshot as files, which the last kagimori before chains of objects wrote,
// under data key 1.
func legacy(t *testing.T, path string, ids ...string) {
	t.Helper()
	for _, id := range ids {
		f, err := os.Open("testdata/" + id + ".kvol.gz")
		must(t, err)
		z, err := gzip.NewReader(f)
		must(t, err)
		data, err := io.ReadAll(z)
		must(t, err)
		must(t, f.Close())
		must(t, os.WriteFile(rawFile(path, id), data, 0o600))
	}
}

// A snapshot that is a file can be read as it is, and becomes objects at the next start. Then the volume shares
// its blocks.
func TestSnapshotsThatAreFilesAreAdopted(t *testing.T) {
	dir, path := folder(t)
	legacy(t, path, "vol-1", "snap-1")
	want := make([]byte, 2*mib)
	copy(want[600*kib:], random(41, 5000))
	copy(want[2*mib-100:], random(42, 100))
	s := open(t, dir, "snap-1", 1)
	same(t, "as a file", read(t, s, 0, 2*mib), want)
	must(t, s.Close())
	for range 2 {
		_, err := blockdev.Sweep(dir)
		must(t, err)
		if _, err := os.Stat(rawFile(path, "snap-1")); !os.IsNotExist(err) {
			t.Errorf("the file of the snapshot is there: %v", err)
		}
		dir = blockdev.NewShelf(dir.Root, dir.Objects())
		s := open(t, dir, "snap-1", 1)
		same(t, "as objects", read(t, s, 0, 2*mib), want)
		must(t, s.Close())
	}
	info, err := blockdev.ReadInfo(dir, "snap-1")
	must(t, err)
	if info.Kind != blockdev.KindSnapshot || info.Encryption == nil || info.Encryption.ContextID != "vol-0a1b2c3d4e5f60718" {
		t.Errorf("it says %+v", info)
	}
	must(t, blockdev.Snapshot(dir, "vol-1", "snap-2"))
	must(t, blockdev.Snapshot(dir, "vol-1", "snap-3"))
	if names, _ := stored(t, dir, "block/"); len(names) != 4 {
		t.Errorf("%d blocks", len(names)) // a file does not say of which volume it was: the first one after it is whole
	}
	must(t, blockdev.Remove(dir, "snap-1"))
	sound(t, dir)
}
