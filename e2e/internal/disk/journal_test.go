//go:build linux

package disk_test

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/kagimori/kagimori/e2e/internal/disk"
)

// A test process with this variable writes to the folder that it names.
const writerEnv = "KAGIMORI_TEST_DISK_WRITER"

func TestMain(m *testing.M) {
	disk.Launch()
	if folder := os.Getenv(writerEnv); folder != "" {
		if err := write(folder); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// write makes a file that is synced with its name, one without its name, and one that is not synced, and cuts one off.
func write(folder string) error {
	for _, name := range []string{"whole", "nameless", "loose"} {
		f, err := os.OpenFile(filepath.Join(folder, name+".new"), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
		if err != nil {
			return err
		}
		if _, err := f.WriteString(strings.Repeat(name, 2000)); err != nil {
			return err
		}
		if name != "loose" {
			if err := f.Sync(); err != nil {
				return err
			}
		}
		if err := os.Rename(f.Name(), filepath.Join(folder, name)); err != nil {
			return err
		}
		if name == "whole" {
			d, err := os.Open(folder)
			if err != nil {
				return err
			}
			if err := d.Sync(); err != nil {
				return err
			}
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	return os.Truncate(filepath.Join(folder, "whole"), 9999)
}

// ran is a disk that write was run on.
func ran(t *testing.T, rule disk.Rule) (*disk.Disk, error) {
	t.Helper()
	folder := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), writerEnv+"="+folder)
	d, err := disk.StartWith(cmd, folder, rule)
	if err != nil {
		t.Fatal(err)
	}
	err = cmd.Wait()
	d.Wait()
	return d, err
}

// after are the files of an image, with their sizes.
func after(t *testing.T, img *disk.Image) string {
	t.Helper()
	folder := t.TempDir()
	if err := img.Write(folder); err != nil {
		t.Fatal(err)
	}
	var out []string
	err := filepath.WalkDir(folder, func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			data, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			out = append(out, fmt.Sprintf("%s:%d", d.Name(), len(strings.TrimRight(string(data), "\x00"))))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(out, " ")
}

// What a real process does is noted, and what a power cut may leave of it follows from its fsyncs.
func TestCut(t *testing.T) {
	d, err := ran(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	if odd := d.Odd(); len(odd) > 0 {
		t.Errorf("not understood: %v", odd)
	}
	rnd := rand.New(rand.NewPCG(1, 1))
	if got, want := after(t, d.Cut(d.Len(), disk.Nothing, rnd)), "loose:10000 nameless:16000 whole:9999"; got != want {
		t.Errorf("if nothing is lost: %s, want %s", got, want)
	}
	if got, want := after(t, d.Cut(d.Len(), disk.All, rnd)), "whole:10000"; got != want {
		t.Errorf("if all is lost: %s, want %s", got, want)
	}
	seen := map[string]bool{}
	for n := range d.Len() + 1 {
		for _, loss := range disk.Losses() {
			img := after(t, d.Cut(n, loss, rnd))
			seen[img] = true
			if n == d.Len() && !strings.Contains(img, "whole:10000") && !strings.Contains(img, "whole:9999") {
				t.Errorf("what was synced is lost: %s", img)
			}
		}
	}
	if len(seen) < 8 {
		t.Errorf("only these were left: %v", seen)
	}
}

// What was written before an fsync that failed is lost, whatever a later one says.
func TestLostWrites(t *testing.T) {
	j := disk.NewJournal()
	file := j.File()
	for _, s := range []disk.Step{
		{Kind: disk.Link, File: file, Name: "f"}, {Kind: disk.SyncDir, Name: "."},
		{Kind: disk.Write, File: file, Data: []byte("first")}, {Kind: disk.Sync, File: file},
		{Kind: disk.Write, File: file, Data: []byte("second"), At: 5}, {Kind: disk.Lost, File: file},
		{Kind: disk.Write, File: file, Data: []byte("third"), At: 11}, {Kind: disk.Sync, File: file},
	} {
		j.Add(s)
	}
	folder := t.TempDir()
	if err := j.Cut(j.Len(), disk.All, nil).Write(folder); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(folder, "f"))
	if want := "first\x00\x00\x00\x00\x00\x00third"; string(got) != want || err != nil {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
}

// A rule makes calls fail, and the program sees that.
func TestRules(t *testing.T) {
	for name, rule := range map[string]disk.Rule{
		"full": func(s disk.Step, pages int) disk.Answer {
			if s.Kind == disk.Write && pages > 0 {
				return disk.Answer{Err: syscall.ENOSPC}
			}
			return disk.Answer{}
		},
		"broken": func(s disk.Step, _ int) disk.Answer {
			if s.Kind == disk.Sync {
				return disk.Answer{Err: syscall.EIO}
			}
			return disk.Answer{}
		},
	} {
		if _, err := ran(t, rule); err == nil {
			t.Errorf("%s: the program did not notice", name)
		}
	}
}
