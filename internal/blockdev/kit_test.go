package blockdev_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/kagimori/kagimori/internal/blockdev"
	"github.com/kagimori/kagimori/internal/objects"
	"github.com/kagimori/kagimori/internal/secret"
)

const (
	kib    = int64(1) << 10
	mib    = int64(1) << 20
	gib    = int64(1) << 30
	sector = int64(blockdev.SectorSize)
)

// random is a reproducible stream of bytes.
func random(seed uint64, n int64) []byte {
	var s [32]byte
	s[0], s[1], s[2] = byte(seed), byte(seed>>8), byte(seed>>16)
	b := make([]byte, n)
	_, _ = rand.NewChaCha8(s).Read(b)
	return b
}

func dataKey(seed uint64) secret.Bytes { return random(seed+1<<16, 64) }

// encryption under data key number seed.
func encryption(seed uint64) *blockdev.Encryption {
	return &blockdev.Encryption{
		KeyARN:    "arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
		DataKeyID: "arn:aws:kms:us-west-2:111122223333:key/" + string(rune('a'+seed)),
		ContextID: "vol-0a1b2c3d4e5f60718", WrappedKey: random(seed+99, 184),
	}
}

// folder is a shelf, and the path of its volumes.
func folder(t testing.TB) (*blockdev.Shelf, string) {
	t.Helper()
	path := t.TempDir()
	return blockdev.NewShelf(root(t, path), objects.NewFolder(root(t, t.TempDir()))), path
}

func root(t testing.TB, path string) *os.Root {
	t.Helper()
	dir, err := os.OpenRoot(path)
	must(t, err)
	t.Cleanup(func() { _ = dir.Close() })
	return dir
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got error %v, want %v", err, want)
	}
}

func create(t testing.TB, dir *blockdev.Shelf, id string, size int64, key uint64) {
	t.Helper()
	spec := blockdev.Spec{ID: id, Size: size}
	if key != 0 {
		spec.Encryption, spec.Key = encryption(key), dataKey(key)
	}
	must(t, blockdev.Create(dir, spec))
}

// open opens volume id under data key number key; 0 is plain.
func open(t testing.TB, dir *blockdev.Shelf, id string, key uint64) *blockdev.Volume {
	t.Helper()
	var k secret.Bytes
	if key != 0 {
		k = dataKey(key)
	}
	v, err := blockdev.Open(dir, id, k)
	must(t, err)
	t.Cleanup(func() { _ = v.Close() })
	return v
}

func write(t testing.TB, v *blockdev.Volume, p []byte, off int64) {
	t.Helper()
	n, err := v.WriteAt(p, off)
	if err != nil || n != len(p) {
		t.Fatalf("wrote %d of %d bytes at %d: %v", n, len(p), off, err)
	}
}

func read(t testing.TB, r io.ReaderAt, off, n int64) []byte {
	t.Helper()
	// Leftovers in the buffer must not shine through.
	p := bytes.Repeat([]byte{0xAA}, int(n))
	k, err := r.ReadAt(p, off)
	if err != nil || int64(k) != n {
		t.Fatalf("read %d of %d bytes at %d: %v", k, n, off, err)
	}
	return p
}

func same(t testing.TB, what string, got, want []byte) {
	t.Helper()
	if bytes.Equal(got, want) {
		return
	}
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			t.Fatalf("%s: byte %d of %d is %#x, want %#x", what, i, len(want), got[i], want[i])
		}
	}
	t.Fatalf("%s: %d bytes, want %d", what, len(got), len(want))
}

func rawFile(path, id string) string { return filepath.Join(path, id+".kvol") }

// stored are the objects of a shelf below a prefix, in order, and how many bytes they take.
func stored(t testing.TB, dir *blockdev.Shelf, prefix string) (names []string, size int64) {
	t.Helper()
	must(t, dir.Objects().List(t.Context(), prefix, func(o objects.Object) error {
		names, size = append(names, o.Name), size+o.Size
		return nil
	}))
	slices.Sort(names)
	return names, size
}

func object(t testing.TB, dir *blockdev.Shelf, name string) []byte {
	t.Helper()
	b, err := dir.Objects().Get(t.Context(), name, 0, -1)
	must(t, err)
	return b
}

// sound fails if a snapshot or volume is damaged, or an object belongs to nobody.
func sound(t testing.TB, dir *blockdev.Shelf) {
	t.Helper()
	c := blockdev.NewChecker(dir)
	ids, err := blockdev.List(dir)
	must(t, err)
	for _, id := range ids {
		if err := c.Check(t.Context(), id); err != nil && !errors.Is(err, blockdev.ErrBusy) {
			t.Errorf("%s: %v", id, err)
		}
	}
	orphans, err := c.Orphans(t.Context())
	must(t, err)
	if len(orphans) > 0 {
		t.Errorf("orphans: %v", orphans)
	}
	for _, prefix := range []string{"work/", "gone/"} {
		if names, _ := stored(t, dir, prefix); len(names) > 0 {
			t.Errorf("left behind: %v", names)
		}
	}
}

func noFiles(t testing.TB, path string) {
	t.Helper()
	entries, err := os.ReadDir(path)
	must(t, err)
	for _, e := range entries {
		t.Errorf("left behind: %s", e.Name())
	}
}

func extents(src blockdev.Source) (list []blockdev.Extent) {
	for e := range src.Extents() {
		list = append(list, e)
	}
	return list
}

// memDisk is a disk in memory that remembers what was not synced, and can lose power.
type memDisk struct {
	now     []byte   // as the running system sees it
	durable []byte   // as of the last sync
	pending []change // since then, in order
	err     error    // what Sync answers
	writes  error    // what WriteAt answers
	trap    func()   // called before each sync
}

type change struct {
	off  int64
	data []byte
}

func newMemDisk(t testing.TB, path, id string) *memDisk {
	t.Helper()
	b, err := os.ReadFile(rawFile(path, id))
	must(t, err)
	return &memDisk{now: b, durable: bytes.Clone(b)}
}

func (d *memDisk) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(d.now).ReadAt(p, off)
}

func (d *memDisk) WriteAt(p []byte, off int64) (int, error) {
	if d.writes != nil {
		return 0, d.writes
	}
	if off < 0 || off+int64(len(p)) > int64(len(d.now)) {
		return 0, fs.ErrInvalid
	}
	copy(d.now[off:], p)
	d.pending = append(d.pending, change{off, bytes.Clone(p)})
	return len(p), nil
}

func (d *memDisk) Punch(off, n int64) error {
	_, err := d.WriteAt(make([]byte, n), off)
	return err
}

func (d *memDisk) Sync() error {
	if d.trap != nil {
		d.trap()
	}
	if d.err != nil {
		return d.err
	}
	for _, c := range d.pending {
		copy(d.durable[c.off:], c.data)
	}
	d.pending = nil
	return nil
}

func (d *memDisk) Close() error                      { return nil }
func (d *memDisk) Size() (int64, error)              { return int64(len(d.now)), nil }
func (d *memDisk) NextData(off int64) (int64, error) { return off, nil }
func (d *memDisk) NextHole(int64) (int64, error)     { return int64(len(d.now)), nil }

// lose is the disk after a power cut: of what was not synced, any 512-byte piece may be there or not.
func (d *memDisk) lose(r *rand.Rand) *memDisk {
	after := bytes.Clone(d.durable)
	for _, c := range d.pending {
		whole, none := r.IntN(3) == 0, r.IntN(3) == 0
		for i := 0; i < len(c.data); i += 512 {
			if whole || !none && r.IntN(2) == 0 {
				copy(after[c.off+int64(i):], c.data[i:min(len(c.data), i+512)])
			}
		}
	}
	return &memDisk{now: after, durable: bytes.Clone(after)}
}
