package image_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/blockdev/image"
)

func TestExt2Refuses(t *testing.T) {
	many := map[string]string{}
	for i := range 60 {
		many[fmt.Sprintf("f%d", i)] = ""
	}
	long := map[string]string{}
	for i := range 20 {
		long[fmt.Sprintf("%0250d", i)] = ""
	}
	for name, files := range map[string]map[string]string{
		"absolute path":     {"/etc/x": ""},
		"no path":           {"": ""},
		"up":                {"a/../b": ""},
		"long name":         {strings.Repeat("x", 256): ""},
		"a file as folder":  {"a": "", "a/b": ""},
		"a folder as file":  {"lost+found": ""},
		"large file":        {"a": strings.Repeat("x", 12*4096+1)},
		"more than inodes":  many,
		"too many to list":  long,
		"folder of nothing": {"a/": ""},
	} {
		if _, err := image.BuildExt2(files, [16]byte{}, time.Unix(0, 0)); err == nil {
			t.Errorf("%s: made", name)
		}
	}
}

func TestExt2Corners(t *testing.T) {
	fsck, debugfs := tool(t, "e2fsck"), tool(t, "debugfs")
	large := strings.Repeat("0123456789abcdef", 12*256)
	b, err := image.BuildExt2(map[string]string{
		"empty": "", "block": large[:4096], "block1": large[:4097], "largest": large, "deep/er/and/deeper": "x",
		"sub/" + strings.Repeat("n", 255): "long name",
	}, [16]byte{1}, time.Unix(1e9, 0))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, 4<<20); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), fsck, "-f", "-n", file).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	for name, want := range map[string]string{"largest": large, "block1": large[:4097], "deep/er/and/deeper": "x", "empty": ""} {
		if out, err := exec.CommandContext(t.Context(), debugfs, "-R", "cat "+name, file).Output(); err != nil || string(out) != want {
			t.Errorf("%s: %d bytes, want %d (%v)", name, len(out), len(want), err)
		}
	}
}
