package blockdev_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/blockdev"
	"github.com/kagimori/kagimori/internal/blockdev/crypt"
)

// slot0 is the header copy at the start of a new volume file.
func slot0(t testing.TB, spec blockdev.Spec) []byte {
	t.Helper()
	dir, path := folder(t)
	must(t, blockdev.Create(dir, spec))
	f, err := os.Open(rawFile(path, spec.ID))
	must(t, err)
	defer f.Close()
	b := make([]byte, blockdev.SlotSize)
	_, err = f.ReadAt(b, 0)
	must(t, err)
	return b
}

// seal puts the right checksum over a changed header.
func seal(b []byte) []byte {
	n := binary.LittleEndian.Uint32(b[12:])
	sum := sha256.Sum256(b[:n-sha256.Size])
	copy(b[n-sha256.Size:], sum[:])
	return b
}

func TestReadInfo(t *testing.T) {
	dir, _ := folder(t)
	largest := &blockdev.Encryption{
		KeyARN: strings.Repeat("k", 2048), DataKeyID: strings.Repeat("d", 256), ContextID: strings.Repeat("c", 256),
		WrappedKey: random(1, blockdev.MaxWrappedKey),
	}
	tests := []struct {
		spec blockdev.Spec
		data int64
	}{
		{blockdev.Spec{ID: "plain", Size: sector}, mib},
		{blockdev.Spec{ID: "vol-0a1b2c3d4e5f60718", Size: 8 * gib, Encryption: encryption(1)}, mib},
		{blockdev.Spec{ID: strings.Repeat("x", 128), Size: 100 * gib, Encryption: largest, Key: dataKey(1)}, 4 * mib},
		{blockdev.Spec{ID: "a_b-c.D", Size: 1024 * gib, Encryption: &blockdev.Encryption{KeyARN: "k", WrappedKey: []byte{1}}}, 33 * mib},
	}
	for _, tt := range tests {
		t.Run(tt.spec.ID, func(t *testing.T) {
			must(t, blockdev.Create(dir, tt.spec))
			got, err := blockdev.ReadInfo(dir, tt.spec.ID)
			must(t, err)
			want := blockdev.Info{
				ID: tt.spec.ID, Kind: blockdev.KindVolume, Size: tt.spec.Size, Encryption: tt.spec.Encryption, DataOffset: tt.data, Clean: true,
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("info (-want +got):\n%s", diff)
			}
			must(t, blockdev.Check(dir, tt.spec.ID))
		})
	}
	_, err := blockdev.ReadInfo(dir, "vol-9")
	wantErr(t, err, fs.ErrNotExist)
	ids, err := blockdev.List(dir)
	must(t, err)
	if diff := cmp.Diff([]string{"a_b-c.D", "plain", "vol-0a1b2c3d4e5f60718", strings.Repeat("x", 128)}, ids); diff != "" {
		t.Errorf("list (-want +got):\n%s", diff)
	}
}

func TestCreateRefuses(t *testing.T) {
	with := func(f func(*blockdev.Spec)) blockdev.Spec {
		s := blockdev.Spec{ID: "vol-1", Size: mib, Encryption: encryption(1)}
		f(&s)
		return s
	}
	tests := []struct {
		name string
		spec blockdev.Spec
		want error // nil: any
	}{
		{"no id", with(func(s *blockdev.Spec) { s.ID = "" }), nil},
		{"a path", with(func(s *blockdev.Spec) { s.ID = "a/b" }), nil},
		{"a hidden file", with(func(s *blockdev.Spec) { s.ID = ".new-x" }), nil},
		{"a long id", with(func(s *blockdev.Spec) { s.ID = strings.Repeat("x", 129) }), nil},
		{"no size", with(func(s *blockdev.Spec) { s.Size = 0 }), nil},
		{"negative size", with(func(s *blockdev.Spec) { s.Size = -sector }), nil},
		{"half a sector", with(func(s *blockdev.Spec) { s.Size = sector + 512 }), nil},
		{"too large", with(func(s *blockdev.Spec) { s.Size = blockdev.MaxSize + sector }), nil},
		{"no key ARN", with(func(s *blockdev.Spec) { s.Encryption.KeyARN = "" }), nil},
		{"long key ARN", with(func(s *blockdev.Spec) { s.Encryption.KeyARN = strings.Repeat("k", 2049) }), nil},
		{"long data key id", with(func(s *blockdev.Spec) { s.Encryption.DataKeyID = strings.Repeat("k", 257) }), nil},
		{"long context id", with(func(s *blockdev.Spec) { s.Encryption.ContextID = strings.Repeat("k", 257) }), nil},
		{"no wrapped key", with(func(s *blockdev.Spec) { s.Encryption.WrappedKey = nil }), nil},
		{"long wrapped key", with(func(s *blockdev.Spec) { s.Encryption.WrappedKey = make([]byte, 6145) }), nil},
		{"key without encryption", with(func(s *blockdev.Spec) { s.Encryption, s.Key = nil, dataKey(1) }), blockdev.ErrPlain},
		{"short key", with(func(s *blockdev.Spec) { s.Key = dataKey(1)[:32] }), crypt.ErrKeySize},
		{"weak key", with(func(s *blockdev.Spec) { s.Key = make([]byte, 64) }), crypt.ErrWeakKey},
	}
	dir, path := folder(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := blockdev.Create(dir, tt.spec)
			if err == nil {
				t.Fatal("made")
			}
			if tt.want != nil {
				wantErr(t, err, tt.want)
			}
			noFiles(t, path)
		})
	}
}

func TestCreateNeverReplaces(t *testing.T) {
	dir, _ := folder(t)
	create(t, dir, "vol-1", mib, 1)
	write(t, open(t, dir, "vol-1", 1), []byte("mine"), 0)
	wantErr(t, blockdev.Create(dir, blockdev.Spec{ID: "vol-1", Size: 2 * mib}), fs.ErrExist)
	info, err := blockdev.ReadInfo(dir, "vol-1")
	must(t, err)
	if info.Size != mib || info.Encryption == nil || info.Clean {
		t.Errorf("the volume changed: %+v", info)
	}
}

func TestOneWriterOnly(t *testing.T) {
	dir, _ := folder(t)
	create(t, dir, "vol-1", mib, 1)
	v := open(t, dir, "vol-1", 1)
	_, err := blockdev.Open(dir, "vol-1", dataKey(1))
	wantErr(t, err, blockdev.ErrBusy)
	wantErr(t, blockdev.Remove(dir, "vol-1"), blockdev.ErrBusy)
	wantErr(t, blockdev.Check(dir, "vol-1"), blockdev.ErrBusy)
	wantErr(t, blockdev.Snapshot(dir, "vol-1", "snap-1"), blockdev.ErrBusy)
	_, err = blockdev.ReadInfo(dir, "vol-1") // looking is free
	must(t, err)
	must(t, v.Close())
	must(t, blockdev.Remove(dir, "vol-1"))
	wantErr(t, blockdev.Remove(dir, "vol-1"), fs.ErrNotExist)
	wantErr(t, blockdev.Remove(dir, "../vol-1"), fs.ErrNotExist)
}

func TestSweep(t *testing.T) {
	dir, path := folder(t)
	create(t, dir, "vol-1", mib, 0)
	for _, name := range []string{".new-vol-2-ABC", ".new-vol-3-DEF"} {
		must(t, os.WriteFile(path+"/"+name, []byte("half a file"), 0o600))
	}
	must(t, os.WriteFile(path+"/notes.txt", nil, 0o600))
	ids, err := blockdev.List(dir)
	must(t, err)
	if diff := cmp.Diff([]string{"vol-1"}, ids); diff != "" {
		t.Errorf("list (-want +got):\n%s", diff)
	}
	if n, err := blockdev.Sweep(dir); n != 2 || err != nil {
		t.Errorf("swept %d files, %v; want 2", n, err)
	}
	entries, err := os.ReadDir(path)
	must(t, err)
	if len(entries) != 2 {
		t.Errorf("%d files left, want the volume and the notes", len(entries))
	}
}

func TestHeaderDamage(t *testing.T) {
	good := slot0(t, blockdev.Spec{ID: "vol-1", Size: mib, Encryption: encryption(1)})
	n := int(binary.LittleEndian.Uint32(good[12:]))
	for i := range n {
		b := bytes.Clone(good)
		b[i] ^= 0x10
		if _, _, err := blockdev.ReencodeHeader(b); err == nil {
			t.Errorf("byte %d may be anything", i)
		}
	}
	for _, tt := range []struct {
		name string
		edit func(b []byte)
		want error
	}{
		{"later version", func(b []byte) { b[8] = 2 }, blockdev.ErrVersion},
		{"unknown kind", func(b []byte) { b[24] = 3 }, blockdev.ErrCorrupt},
		{"unknown flag", func(b []byte) { b[25] |= 0x80 }, blockdev.ErrCorrupt},
		{"encrypted without the flag", func(b []byte) { b[25] &^= 1 }, blockdev.ErrCorrupt},
		{"sector size", func(b []byte) { b[29] = 2 }, blockdev.ErrCorrupt},
		{"negative size", func(b []byte) { b[39] = 0x80 }, blockdev.ErrCorrupt},
		{"checksum of an open volume", func(b []byte) { b[25] &^= 2 }, blockdev.ErrCorrupt},
		{"id with a slash", func(b []byte) { b[123] = '/' }, blockdev.ErrCorrupt},
		{"text past the end", func(b []byte) { b[121] = 0xff }, blockdev.ErrCorrupt},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := bytes.Clone(good)
			tt.edit(b)
			_, _, err := blockdev.ReencodeHeader(seal(b))
			wantErr(t, err, tt.want)
		})
	}
}

func TestFileOfAnotherName(t *testing.T) {
	dir, path := folder(t)
	create(t, dir, "vol-1", mib, 1)
	must(t, os.Rename(rawFile(path, "vol-1"), rawFile(path, "vol-2")))
	_, err := blockdev.Open(dir, "vol-2", dataKey(1))
	wantErr(t, err, blockdev.ErrCorrupt)
}

func TestLaterVersionNextToOurs(t *testing.T) {
	dir, path := folder(t)
	create(t, dir, "vol-1", mib, 0)
	disk := newMemDisk(t, path, "vol-1")
	slot := disk.now[:blockdev.SlotSize]
	slot[8] = 2
	seal(slot)
	_, err := blockdev.OpenDisk(disk, nil)
	wantErr(t, err, blockdev.ErrVersion)
}

func TestCheck(t *testing.T) {
	tests := []struct {
		name   string
		damage func(b []byte)
		want   error
	}{
		{"nothing", func([]byte) {}, nil},
		{"a bit of the map", func(b []byte) { b[2*blockdev.SlotSize+3] ^= 1 }, blockdev.ErrCorrupt},
		{"a bit beyond the end", func(b []byte) { b[2*blockdev.SlotSize+4095] ^= 0x80 }, blockdev.ErrCorrupt},
		{"one header copy", func(b []byte) { clear(b[:600]) }, nil},
		{"both header copies", func(b []byte) { clear(b[:2*blockdev.SlotSize]) }, blockdev.ErrCorrupt},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir, path := folder(t)
			create(t, dir, "vol-1", mib, 1)
			v := open(t, dir, "vol-1", 1)
			write(t, v, random(1, 100*sector), 0)
			must(t, v.Flush())
			must(t, v.Close())
			b, err := os.ReadFile(rawFile(path, "vol-1"))
			must(t, err)
			// Headers alternate: make the copies equally new, so that losing one loses nothing.
			if tt.name == "one header copy" && binary.LittleEndian.Uint64(b[16:]) > binary.LittleEndian.Uint64(b[blockdev.SlotSize+16:]) {
				copy(b[blockdev.SlotSize:2*blockdev.SlotSize], b[:blockdev.SlotSize])
			}
			tt.damage(b)
			must(t, os.WriteFile(rawFile(path, "vol-1"), b, 0o600))
			if err := blockdev.Check(dir, "vol-1"); tt.want == nil {
				must(t, err)
			} else {
				wantErr(t, err, tt.want)
			}
		})
	}
	dir, _ := folder(t)
	wantErr(t, blockdev.Check(dir, "vol-1"), fs.ErrNotExist)
}

// A file that was copied by a tool that drops data shows up.
func TestCheckFindsLostSectors(t *testing.T) {
	dir, path := folder(t)
	create(t, dir, "vol-1", 4*mib, 1)
	v := open(t, dir, "vol-1", 1)
	write(t, v, random(1, 4*mib), 0)
	must(t, v.Close())
	b, err := os.ReadFile(rawFile(path, "vol-1"))
	must(t, err)
	must(t, os.Remove(rawFile(path, "vol-1")))
	f, err := os.Create(rawFile(path, "vol-1"))
	must(t, err)
	_, err = f.Write(b[:2*mib])
	must(t, err)
	_, err = f.WriteAt(b[3*mib:], 3*mib)
	must(t, err)
	must(t, f.Close())
	if diskUse(t, rawFile(path, "vol-1")) > int64(len(b))-mib/2 {
		t.Fatal("the file system of the temporary folder has no holes in files: set TMPDIR to one that has")
	}
	wantErr(t, blockdev.Check(dir, "vol-1"), blockdev.ErrCorrupt)
}

func FuzzHeader(f *testing.F) {
	for _, s := range []blockdev.Spec{
		{ID: "plain", Size: sector}, {ID: "vol-1", Size: 8 * gib, Encryption: encryption(1)},
		{ID: "vol-2", Size: blockdev.MaxSize / 1024, Encryption: encryption(2), Key: dataKey(2)},
	} {
		f.Add(slot0(f, s), true)
	}
	f.Add([]byte("kagimori"), false)
	f.Fuzz(func(t *testing.T, b []byte, fix bool) {
		b = bytes.Clone(b)
		// Random bytes never have the right checksum: help some of them past it.
		if fix && len(b) > 16 {
			if n := int64(binary.LittleEndian.Uint32(b[12:])); n >= sha256.Size && n <= int64(len(b)) {
				seal(b)
			}
		}
		again, info, err := blockdev.ReencodeHeader(b)
		if err != nil {
			return
		}
		if !bytes.Equal(again, b[:len(again)]) {
			t.Fatalf("encodes to other bytes")
		}
		_, info2, err := blockdev.ReencodeHeader(again)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(info, info2); diff != "" {
			t.Error(diff)
		}
		if info.Size <= 0 || info.DataOffset < mib {
			t.Errorf("nonsense accepted: %+v", info)
		}
	})
}

// FuzzIndex: whatever the bytes are, an index is refused or is the same when it is written again.
func FuzzIndex(f *testing.F) {
	dir, _ := folder(f)
	fill(f, dir, "vol-1", 3, 1)
	for _, id := range []string{"snap-1", "snap-2"} {
		must(f, blockdev.Snapshot(dir, "vol-1", id))
		v := open(f, dir, "vol-1", 1)
		write(f, v, []byte(id), block)
		must(f, v.Close())
		b, err := dir.Objects().Get(f.Context(), "index/"+id, 0, -1)
		must(f, err)
		f.Add(b)
	}
	f.Add([]byte("kagiindx"))
	f.Fuzz(func(t *testing.T, b []byte) {
		again, err := blockdev.ReencodeIndex(b)
		if err != nil {
			if !errors.Is(err, blockdev.ErrCorrupt) && !errors.Is(err, blockdev.ErrVersion) {
				t.Errorf("error %v", err)
			}
			return
		}
		if !bytes.Equal(again, b) {
			t.Error("an index is another one when it is written again")
		}
	})
}
