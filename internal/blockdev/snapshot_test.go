package blockdev_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/blockdev"
	"github.com/kagimori/kagimori/internal/secret"
)

// sample makes a closed volume with some content and gives what it reads as.
func sample(t *testing.T, dir *blockdev.Shelf, id string, size int64, key uint64) []byte {
	t.Helper()
	create(t, dir, id, size, key)
	v := open(t, dir, id, key)
	want := make([]byte, size)
	for i, off := range []int64{0, 300 * kib, 700*kib + 17, size - 5000} {
		p := random(uint64(i)+50, 4999)
		write(t, v, p, off)
		copy(want[off:], p)
	}
	must(t, v.Trim(300*kib, sector))
	clear(want[300*kib : 300*kib+sector])
	must(t, v.Close())
	return want
}

func TestSnapshot(t *testing.T) {
	for _, key := range []uint64{0, 1} {
		dir, _ := folder(t)
		want := sample(t, dir, "vol-1", 2*mib, key)
		must(t, blockdev.Snapshot(dir, "vol-1", "snap-1"))
		must(t, blockdev.Check(dir, "snap-1"))

		vol, err := blockdev.ReadInfo(dir, "vol-1")
		must(t, err)
		snap, err := blockdev.ReadInfo(dir, "snap-1")
		must(t, err)
		vol.ID, vol.Kind = "snap-1", blockdev.KindSnapshot
		if diff := cmp.Diff(vol, snap); diff != "" {
			t.Errorf("info (-volume +snapshot):\n%s", diff)
		}
		// The volume goes on, the snapshot stays.
		v := open(t, dir, "vol-1", key)
		write(t, v, random(1, mib), 0)
		must(t, v.Close())
		s := open(t, dir, "snap-1", key)
		same(t, "snapshot", read(t, s, 0, 2*mib), want)
		same(t, "snapshot, opened twice", read(t, open(t, dir, "snap-1", key), 0, 2*mib), want)
		_, err = s.WriteAt([]byte("x"), 0)
		wantErr(t, err, blockdev.ErrReadOnly)
		wantErr(t, s.Trim(0, sector), blockdev.ErrReadOnly)
		wantErr(t, s.WriteZeroes(0, sector), blockdev.ErrReadOnly)
		wantErr(t, s.Snapshot(t.Context(), dir, "snap-2"), blockdev.ErrReadOnly)
		must(t, s.Flush())
		if _, use := stored(t, dir, "block/"); use != 7*sector {
			t.Errorf("a snapshot of 7 sectors takes %d bytes", use)
		}
		sound(t, dir)
	}
}

func TestSnapshotKeepsCiphertext(t *testing.T) {
	dir, path := folder(t)
	sample(t, dir, "vol-1", 2*mib, 1)
	must(t, blockdev.Snapshot(dir, "vol-1", "snap-1"))
	vol, err := os.ReadFile(rawFile(path, "vol-1"))
	must(t, err)
	blocks, _ := stored(t, dir, "block/")
	same(t, "first sectors", object(t, dir, blocks[0])[:2*sector], vol[mib:mib+2*sector])
	_, err = blockdev.Open(dir, "snap-1", dataKey(2))
	wantErr(t, err, blockdev.ErrWrongKey)
}

func TestSnapshotErrors(t *testing.T) {
	dir, _ := folder(t)
	sample(t, dir, "vol-1", 2*mib, 1)
	must(t, blockdev.Snapshot(dir, "vol-1", "snap-1"))
	wantErr(t, blockdev.Snapshot(dir, "vol-1", "snap-1"), fs.ErrExist)
	wantErr(t, blockdev.Snapshot(dir, "vol-2", "snap-2"), fs.ErrNotExist)
	wantErr(t, blockdev.Snapshot(dir, "snap-1", "snap-2"), blockdev.ErrReadOnly)
}

// A snapshot of an open volume is one moment: while pairs of sectors are always written together by
// one call, it never has only one of a pair.
func TestSnapshotOfOpenVolume(t *testing.T) {
	dir, _ := folder(t)
	create(t, dir, "vol-1", 2*mib, 1)
	v := open(t, dir, "vol-1", 1)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	started := make(chan struct{})
	go func() {
		for i := byte(1); ; i++ {
			// Across a block boundary, so the write has two parts.
			if _, err := v.WriteAt(bytes.Repeat([]byte{i}, int(2*sector)), 512*kib-sector); err != nil || ctx.Err() != nil {
				done <- err
				return
			}
			if i == 1 {
				close(started)
			}
			if i == 255 {
				i = 1
			}
		}
	}()
	<-started
	for _, id := range []string{"snap-1", "snap-2", "snap-3"} {
		must(t, v.Snapshot(t.Context(), dir, id))
		pair := read(t, open(t, dir, id, 1), 512*kib-sector, 2*sector)
		if pair[0] == 0 || bytes.Count(pair, pair[:1]) != len(pair) {
			t.Errorf("%s caught half a write", id)
		}
	}
	stop()
	must(t, <-done)
}

func TestCreateFromSnapshot(t *testing.T) {
	other := encryption(2)
	rewrapped := encryption(1)
	rewrapped.ContextID, rewrapped.WrappedKey = "vol-2", random(77, 190)
	tests := []struct {
		name     string
		from     uint64 // key of the snapshot
		fromKey  secret.Bytes
		to       blockdev.Spec
		open     uint64
		contains bool // the same ciphertext
	}{
		{"plain to plain", 0, nil, blockdev.Spec{ID: "vol-2"}, 0, true},
		{"plain to larger plain", 0, nil, blockdev.Spec{ID: "vol-2", Size: 40 * gib}, 0, true},
		{"plain to encrypted", 0, nil, blockdev.Spec{ID: "vol-2", Encryption: other, Key: dataKey(2)}, 2, false},
		{"same data key", 1, nil, blockdev.Spec{ID: "vol-2", Encryption: rewrapped}, 1, true},
		{"same data key, larger, checked", 1, nil, blockdev.Spec{ID: "vol-2", Size: 40 * gib, Encryption: rewrapped, Key: dataKey(1)}, 1, true},
		{"other key", 1, dataKey(1), blockdev.Spec{ID: "vol-2", Size: 3 * mib, Encryption: other, Key: dataKey(2)}, 2, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir, path := folder(t)
			want := sample(t, dir, "vol-1", 2*mib, tt.from)
			must(t, blockdev.Snapshot(dir, "vol-1", "snap-1"))
			var steps []int64
			var total int64
			progress := func(done, all int64) { steps, total = append(steps, done), all }
			copyOf := blockdev.Copy{From: "snap-1", FromKey: tt.fromKey, To: tt.to, Progress: progress}
			must(t, blockdev.CreateFromSnapshot(t.Context(), dir, copyOf))
			must(t, blockdev.Check(dir, "vol-2"))

			info, err := blockdev.ReadInfo(dir, "vol-2")
			must(t, err)
			wantInfo := blockdev.Info{
				ID: "vol-2", Kind: blockdev.KindVolume, Size: max(2*mib, tt.to.Size), Encryption: tt.to.Encryption,
				DataOffset: info.DataOffset, Clean: true,
			}
			if diff := cmp.Diff(wantInfo, info); diff != "" {
				t.Errorf("info (-want +got):\n%s", diff)
			}
			if len(steps) < 3 || steps[0] != 0 || steps[len(steps)-1] != total || !slices.IsSorted(steps) || total != 7*sector {
				t.Errorf("progress %v of %d", steps, total)
			}
			v := open(t, dir, "vol-2", tt.open)
			same(t, "content", read(t, v, 0, 2*mib), want)
			write(t, v, []byte("writable"), 0)
			must(t, v.Close())

			sound(t, dir)
			blocks, _ := stored(t, dir, "block/")
			snap := object(t, dir, blocks[len(blocks)-1])
			last := read(t, fileAt(t, rawFile(path, "vol-2")), info.DataOffset+2*mib-sector, sector)
			if bytes.Equal(last, snap[len(snap)-int(sector):]) != tt.contains {
				t.Errorf("same bytes on disk: want %v", tt.contains)
			}
		})
	}
}

func fileAt(t *testing.T, path string) io.ReaderAt {
	t.Helper()
	f, err := os.Open(path)
	must(t, err)
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func TestCreateFromSnapshotErrors(t *testing.T) {
	cancelled, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("the launch was given up")
	cancel(cause)
	tests := []struct {
		name string
		ctx  context.Context
		c    blockdev.Copy
		want error
	}{
		{"decrypting", nil, blockdev.Copy{From: "snap-e", FromKey: dataKey(1)}, blockdev.ErrUnencrypted},
		{"smaller", nil, blockdev.Copy{From: "snap-p", To: blockdev.Spec{Size: mib}}, blockdev.ErrTooSmall},
		{"no such snapshot", nil, blockdev.Copy{From: "snap-x"}, fs.ErrNotExist},
		{"no key to write", nil, blockdev.Copy{From: "snap-p", To: blockdev.Spec{Encryption: encryption(2)}}, blockdev.ErrNeedsKey},
		{"no key to read", nil, blockdev.Copy{From: "snap-e", To: blockdev.Spec{Encryption: encryption(2), Key: dataKey(2)}}, blockdev.ErrNeedsKey},
		{"wrong key to read", nil, blockdev.Copy{From: "snap-e", FromKey: dataKey(3), To: blockdev.Spec{Encryption: encryption(2), Key: dataKey(2)}}, blockdev.ErrWrongKey},
		{"claims the same data key", nil, blockdev.Copy{From: "snap-e", To: blockdev.Spec{Encryption: encryption(1), Key: dataKey(2)}}, blockdev.ErrWrongKey},
		{"key for plain", nil, blockdev.Copy{From: "snap-p", To: blockdev.Spec{Key: dataKey(2)}}, blockdev.ErrPlain},
		{"cancelled raw copy", cancelled, blockdev.Copy{From: "snap-p"}, cause},
		{"cancelled encryption", cancelled, blockdev.Copy{From: "snap-p", To: blockdev.Spec{Encryption: encryption(2), Key: dataKey(2)}}, cause},
		{"exists", nil, blockdev.Copy{From: "snap-p", To: blockdev.Spec{ID: "vol-p"}}, fs.ErrExist},
		{"from a volume", nil, blockdev.Copy{From: "vol-p"}, nil},
	}
	dir, path := folder(t)
	sample(t, dir, "vol-p", 2*mib, 0)
	must(t, blockdev.Snapshot(dir, "vol-p", "snap-p"))
	sample(t, dir, "vol-e", 2*mib, 1)
	must(t, blockdev.Snapshot(dir, "vol-e", "snap-e"))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.ctx == nil {
				tt.ctx = t.Context()
			}
			if tt.c.To.ID == "" {
				tt.c.To.ID = "vol-new"
			}
			err := blockdev.CreateFromSnapshot(tt.ctx, dir, tt.c)
			if err == nil {
				t.Fatal("made")
			}
			if tt.want != nil {
				wantErr(t, err, tt.want)
			}
			if entries, err := os.ReadDir(path); err != nil || len(entries) != 4 {
				t.Errorf("%d files in the folder, want 4 (%v)", len(entries), err)
			}
		})
	}
}

func TestCopySnapshot(t *testing.T) {
	dir, _ := folder(t)
	want := sample(t, dir, "vol-1", 2*mib, 1)
	must(t, blockdev.Snapshot(dir, "vol-1", "snap-1"))
	for id, c := range map[string]blockdev.Copy{
		"snap-same":  {To: blockdev.Spec{Encryption: encryption(1)}},
		"snap-other": {FromKey: dataKey(1), To: blockdev.Spec{Encryption: encryption(2), Key: dataKey(2)}},
	} {
		c.From, c.To.ID = "snap-1", id
		must(t, blockdev.CopySnapshot(t.Context(), dir, c))
		must(t, blockdev.Check(dir, id))
		info, err := blockdev.ReadInfo(dir, id)
		must(t, err)
		if info.Kind != blockdev.KindSnapshot {
			t.Errorf("%s is no snapshot", id)
		}
		key := uint64(1)
		if id == "snap-other" {
			key = 2
		}
		same(t, id, read(t, open(t, dir, id, key), 0, 2*mib), want)
	}
}

// image is a Source made of pieces.
type image struct {
	size   int64
	pieces map[int64][]byte
}

func (m image) Size() int64 { return m.size }

func (m image) Extents() iter.Seq[blockdev.Extent] {
	return func(yield func(blockdev.Extent) bool) {
		offs := []int64{}
		for off := range m.pieces {
			offs = append(offs, off)
		}
		slices.Sort(offs)
		for _, off := range offs {
			if !yield(blockdev.Extent{Offset: off, Length: int64(len(m.pieces[off]))}) {
				return
			}
		}
	}
}

func (m image) ReadAt(p []byte, off int64) (int, error) {
	for o, b := range m.pieces {
		if off >= o && off+int64(len(p)) <= o+int64(len(b)) {
			return copy(p, b[off-o:]), nil
		}
	}
	return 0, io.ErrUnexpectedEOF
}

func TestHydrate(t *testing.T) {
	dir, path := folder(t)
	src := image{size: 8 * gib, pieces: map[int64][]byte{
		0: random(1, mib), 600*mib + 5: random(2, 100), 8*gib - 3: random(3, 3), gib: {},
	}}
	spec := blockdev.Spec{ID: "vol-1", Size: 8 * gib, Encryption: encryption(1), Key: dataKey(1)}
	must(t, blockdev.CreateFrom(t.Context(), dir, spec, src, nil))
	v := open(t, dir, "vol-1", 1)
	for off, want := range src.pieces {
		same(t, "piece", read(t, v, off, int64(len(want))), want)
	}
	same(t, "around a piece", read(t, v, 600*mib-100, 105), make([]byte, 105))
	if diff := cmp.Diff([]int64{0, 1, 1200, 16383}, slices.Collect(blockdev.Blocks(v))); diff != "" {
		t.Errorf("blocks (-want +got):\n%s", diff)
	}
	if use := diskUse(t, rawFile(path, "vol-1")); use > 4*mib {
		t.Errorf("8 GiB with 1 MiB of content take %d bytes", use)
	}
}

func TestHydrateErrors(t *testing.T) {
	dir, path := folder(t)
	broken := blockdev.Spec{ID: "vol-1", Size: mib}
	src := lyingSource{image{size: mib, pieces: map[int64][]byte{0: random(1, sector)}}}
	wantErr(t, blockdev.CreateFrom(t.Context(), dir, broken, src, nil), io.ErrUnexpectedEOF)
	big := image{size: 2 * mib}
	wantErr(t, blockdev.CreateFrom(t.Context(), dir, broken, big, nil), blockdev.ErrTooSmall)
	outside := image{size: mib, pieces: map[int64][]byte{mib: {1}}}
	wantErr(t, blockdev.CreateFrom(t.Context(), dir, broken, outside, nil), blockdev.ErrRange)
	broken.Encryption = encryption(1)
	wantErr(t, blockdev.CreateFrom(t.Context(), dir, broken, image{size: mib}, nil), blockdev.ErrNeedsKey)
	noFiles(t, path)
}

// lyingSource has an extent that it cannot read.
type lyingSource struct{ image }

func (lyingSource) ReadAt([]byte, int64) (int, error) { return 0, nil }

func TestCopyRange(t *testing.T) {
	path := t.TempDir()
	want := random(1, 3*mib)
	must(t, os.WriteFile(path+"/a", want, 0o600))
	a := &memDisk{now: want}
	b := &memDisk{now: make([]byte, 4*mib)}
	must(t, blockdev.CopyRange(b, mib/2, a, 100, 2*mib))
	same(t, "copied", b.now[mib/2:][:2*mib], want[100:][:2*mib])
	if err := blockdev.CopyRange(b, 0, a, 2*mib, 2*mib); err == nil {
		t.Error("copied more than there is")
	}
	must(t, blockdev.CopyRange(b, 0, a, 0, 0))
}
