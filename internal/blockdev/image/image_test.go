package image_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/blockdev"
	"github.com/kagimori/kagimori/internal/blockdev/image"
	"github.com/kagimori/kagimori/internal/secret"
)

func TestCatalogue(t *testing.T) {
	all := image.Catalogue()
	var ids []string
	for _, e := range all {
		ids = append(ids, e.ID, e.SnapshotID, e.Name)
		ids = append(ids, e.SSMNames...)
		if !regexp.MustCompile(`^ami-([0-9a-f]{8}|[0-9a-f]{17})$`).MatchString(e.ID) {
			t.Errorf("id %q", e.ID)
		}
		if !regexp.MustCompile(`^snap-[0-9a-f]{17}$`).MatchString(e.SnapshotID) {
			t.Errorf("snapshot id %q", e.SnapshotID)
		}
		if y := e.CreationDate.Year(); y < 2016 || y > 2025 {
			t.Errorf("%s was created in %d", e.Name, y)
		}
		size, arch := int64(8), e.Architecture
		if strings.Contains(e.Name, "minimal") && strings.HasPrefix(e.Name, "amzn2") {
			size = 2
		}
		device, owner := "/dev/xvda", "137112412989"
		switch {
		case strings.HasPrefix(e.Name, "ubuntu/"):
			device, owner, arch = "/dev/sda1", "099720109477", strings.Replace(arch, "x86_64", "amd64", 1)
		case strings.HasPrefix(e.Name, "debian-"):
			owner, arch = "136693071363", strings.Replace(arch, "x86_64", "amd64", 1)
		}
		if !strings.Contains(e.Name, arch) || e.RootDevice != device || e.SizeGiB != size ||
			e.Owner != "amazon" || e.OwnerID != owner || e.Description == "" {
			t.Errorf("incomplete: %+v", e)
		}
		for _, id := range []string{e.ID, e.SnapshotID} {
			if got, ok := image.Find(id); !ok || got.Name != e.Name {
				t.Errorf("%s finds %q, %v", id, got.Name, ok)
			}
		}
	}
	for _, id := range []string{"ami-12c6146b", "ami-03cf127a", "ami-fa7cdd89", "ami-f4cf1d8d"} {
		if _, ok := image.Find(id); !ok {
			t.Errorf("%s is missing", id)
		}
	}
	slices.Sort(ids)
	if n := len(ids); len(slices.Compact(ids)) != n {
		t.Error("an id, a name or a parameter is there twice")
	}
	for _, pattern := range []string{
		`^al2023-ami-2023\..*-kernel-6\.1-x86_64$`, `^al2023-ami-2023\..*-kernel-6\.1-arm64$`, `^amzn2-ami-hvm-2\.0\..*-x86_64-gp2$`,
		`^amzn2-ami-minimal-hvm-`, `^ubuntu/images/hvm-ssd/ubuntu-jammy-22\.04-amd64-server-`,
		`^ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24\.04-arm64-server-`, `^debian-12-amd64-`,
	} {
		if !slices.ContainsFunc(all, func(e image.Entry) bool { return regexp.MustCompile(pattern).MatchString(e.Name) }) {
			t.Errorf("no image is called %s", pattern)
		}
	}
	all[0].ID = "changed"
	if diff := cmp.Diff("ami-12c6146b", image.Catalogue()[0].ID); diff != "" {
		t.Error("the catalogue can be changed from outside")
	}
}

// The parameters name the newest image of their kind.
func TestParametersNameTheNewest(t *testing.T) {
	for _, e := range image.Catalogue() {
		family, _, _ := strings.Cut(e.Name, e.CreationDate.Format("20060102"))
		family, _, _ = strings.Cut(family, ".")
		for _, other := range image.Catalogue() {
			newer := other.CreationDate.After(e.CreationDate) && strings.HasPrefix(other.Name, family) && other.Architecture == e.Architecture
			if newer && len(e.SSMNames) > 0 {
				t.Errorf("%s has a parameter, but %s is newer", e.Name, other.Name)
			}
		}
	}
}

func TestUnknown(t *testing.T) {
	for _, id := range []string{"", "ami-00000000", "snap-00000000000000000"} {
		if _, err := image.Open(id); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: %v", id, err)
		}
		if _, ok := image.Find(id); ok {
			t.Errorf("%q was found", id)
		}
	}
}

func TestReadAt(t *testing.T) {
	d, err := image.Open("ami-12c6146b")
	if err != nil {
		t.Fatal(err)
	}
	if d.Size() != 8<<30 {
		t.Errorf("size %d", d.Size())
	}
	ext := slices.Collect(d.Extents())
	if len(ext) != 1 || ext[0].Offset != 0 || ext[0].Length%blockdev.SectorSize != 0 || ext[0].Length > 256<<10 {
		t.Fatalf("extents %v", ext)
	}
	used := ext[0].Length
	buf := bytes.Repeat([]byte{0xAA}, 2*blockdev.SectorSize)
	if n, err := d.ReadAt(buf, used-blockdev.SectorSize); n != len(buf) || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if bytes.Equal(buf[:blockdev.SectorSize], make([]byte, blockdev.SectorSize)) || !bytes.Equal(buf[blockdev.SectorSize:], make([]byte, blockdev.SectorSize)) {
		t.Error("the used part ends elsewhere")
	}
	for _, tt := range []struct {
		off  int64
		want int
		err  error
	}{{d.Size() - 10, 10, io.EOF}, {d.Size(), 0, io.EOF}, {d.Size() + 1, 0, io.EOF}, {d.Size() - int64(len(buf)), len(buf), nil}, {-1, 0, fs.ErrInvalid}} {
		if n, err := d.ReadAt(buf, tt.off); n != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("reading at %d: %d, %v", tt.off, n, err)
		}
	}
	sb := make([]byte, 1024)
	if _, err := d.ReadAt(sb, 1024); err != nil || binary.LittleEndian.Uint16(sb[56:]) != 0xef53 {
		t.Errorf("no ext2 superblock (%v)", err)
	}
}

func content(t *testing.T, src blockdev.Source, n int64) []byte {
	t.Helper()
	b := make([]byte, n)
	if _, err := src.ReadAt(b, 0); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestDisksAreStableAndDiffer(t *testing.T) {
	seen := map[string]string{}
	for _, e := range image.Catalogue() {
		first, err := image.Open(e.ID)
		if err != nil {
			t.Fatal(err)
		}
		second, err := image.Open(e.SnapshotID)
		if err != nil {
			t.Fatal(err)
		}
		b := content(t, first, 1<<20)
		if !bytes.Equal(b, content(t, second, 1<<20)) {
			t.Errorf("%s differs from its snapshot", e.ID)
		}
		if other, ok := seen[string(b)]; ok {
			t.Errorf("%s is the same as %s", e.ID, other)
		}
		seen[string(b)] = e.ID
	}
}

// The tools of e2fsprogs find nothing to complain about and read the files, also from a volume that
// was encrypted, closed and opened again.
func TestFileSystem(t *testing.T) {
	fsck, debugfs := tool(t, "e2fsck"), tool(t, "debugfs")
	for _, e := range image.Catalogue() {
		src, err := image.Open(e.ID)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "disk")
		if err := os.WriteFile(file, content(t, throughVolume(t, src), 4<<20), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.CommandContext(t.Context(), fsck, "-f", "-n", file).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", e.ID, err, out)
		}
		for path, want := range map[string]string{"/etc/os-release": "kagimori sample disk", "/etc/image-id": e.Name, "/etc/hostname": "localhost"} {
			out, err := exec.CommandContext(t.Context(), debugfs, "-R", "cat "+path, file).Output()
			if err != nil || !strings.Contains(string(out), want) {
				t.Errorf("%s: %s holds %q, %v", e.ID, path, out, err)
			}
		}
	}
}

func tool(t *testing.T, name string) string {
	t.Helper()
	for _, dir := range []string{"", "/sbin/", "/usr/sbin/"} {
		if p, err := exec.LookPath(dir + name); err == nil {
			return p
		}
	}
	t.Fatalf("%s is not installed: apt-get install e2fsprogs", name)
	return ""
}

func throughVolume(t *testing.T, src blockdev.Source) *blockdev.Volume {
	t.Helper()
	dir, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dir.Close() })
	shelf := blockdev.NewShelf(dir, nil)
	key := make(secret.Bytes, 64)
	key[0] = 1
	spec := blockdev.Spec{
		ID: "vol-1", Size: src.Size(), Key: key,
		Encryption: &blockdev.Encryption{KeyARN: "arn:aws:kms:us-west-2:111122223333:key/k", WrappedKey: []byte("wrapped")},
	}
	if err := blockdev.CreateFrom(t.Context(), shelf, spec, src, nil); err != nil {
		t.Fatal(err)
	}
	v, err := blockdev.Open(shelf, "vol-1", key)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = v.Close() })
	return v
}
