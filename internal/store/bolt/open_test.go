package bolt_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	bbolt "go.etcd.io/bbolt"

	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/store/bolt"
)

// writeFile makes a file with random bytes.
func writeFile(t *testing.T, path string, size int) {
	t.Helper()
	data := make([]byte, size)
	_, _ = rand.Read(data)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// setMeta changes the meta bucket of a new store.
func setMeta(t *testing.T, path, key, value string) {
	t.Helper()
	closeStore(t, open(t, bolt.Config{Path: path}))
	edit(t, path, func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte("\x00kagimori")).Put([]byte(key), []byte(value))
	})
}

func TestOpenForeign(t *testing.T) {
	tests := []struct {
		name string
		make func(t *testing.T, path string)
		want string
	}{
		{"text", func(t *testing.T, path string) {
			if err := os.WriteFile(path, []byte("my diary\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "is not a kagimori store"},
		{"random", func(t *testing.T, path string) { writeFile(t, path, 100_000) }, "is not a kagimori store"},
		{"empty", func(t *testing.T, path string) { writeFile(t, path, 0) }, "is empty"},
		{"folder", func(t *testing.T, path string) {
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}, "is not a file"},
		{"empty bbolt", func(t *testing.T, path string) {
			edit(t, path, func(*bbolt.Tx) error { return nil })
		}, "is not a kagimori store"},
		{"other bbolt", func(t *testing.T, path string) {
			edit(t, path, func(tx *bbolt.Tx) error { _, err := tx.CreateBucket([]byte("diary")); return err })
		}, "is not a kagimori store"},
		{"other bbolt without free list", func(t *testing.T, path string) {
			db, err := bbolt.Open(path, 0o600, &bbolt.Options{NoFreelistSync: true})
			if err != nil {
				t.Fatal(err)
			}
			err = db.Update(func(tx *bbolt.Tx) error { _, err := tx.CreateBucket([]byte("diary")); return err })
			if err := errors.Join(err, db.Close()); err != nil {
				t.Fatal(err)
			}
		}, "is not a kagimori store"},
		{"other magic", func(t *testing.T, path string) { setMeta(t, path, "magic", "kagimori queue") }, "is not a kagimori store"},
		{"newer format", func(t *testing.T, path string) { setMeta(t, path, "format", "\x03") }, "has format 3, written by a newer kagimori"},
		{"no format", func(t *testing.T, path string) { setMeta(t, path, "format", "") }, "does not say its format"},
		{"cut off", func(t *testing.T, path string) {
			closeStore(t, open(t, bolt.Config{Path: path}))
			if err := os.Truncate(path, 3*int64(os.Getpagesize())); err != nil {
				t.Fatal(err)
			}
		}, "cut off|damaged"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "file")
			tt.make(t, path)
			before, _ := os.ReadFile(path) // nothing for a folder
			s, err := bolt.Open(bolt.Config{Path: path})
			if s != nil || !errors.Is(err, store.ErrCorrupt) {
				t.Fatalf("Open: %v; want ErrCorrupt", err)
			}
			text := err.Error()
			if !containsAny(text, tt.want) || !strings.Contains(text, path) || strings.Contains(text, "\n") {
				t.Errorf("Open: %q; want one sentence with %q and the path", text, tt.want)
			}
			if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
				t.Error("the file was changed")
			}
			if left, _ := filepath.Glob(path + "?*"); len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}

// containsAny reports whether s has one of several texts, which | separates.
func containsAny(s, texts string) bool {
	for t := range strings.SplitSeq(texts, "|") {
		if strings.Contains(s, t) {
			return true
		}
	}
	return false
}

// Damage to a file gives an error or is not met by opening it. It never ends the process.
func TestOpenDamaged(t *testing.T) {
	s := open(t, bolt.Config{NoSync: true})
	for i := range 200 {
		put(t, s, strings.Repeat("k", i+1), strings.Repeat("v", 300))
	}
	for i := range 100 {
		if err := s.Update(t.Context(), func(tx store.Tx) error { return tx.Delete("b", strings.Repeat("k", i+1)) }); err != nil {
			t.Fatal(err)
		}
	}
	var whole bytes.Buffer // without the room that the file has at its end
	if err := s.Backup(&whole); err != nil {
		t.Fatal(err)
	}
	data := whole.Bytes()
	page := os.Getpagesize()
	bad := filepath.Join(t.TempDir(), "bad")
	opened, found, refused := 0, 0, 0
	try := func(what string, n int, damaged []byte) {
		if err := os.WriteFile(bad, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := bolt.Open(bolt.Config{Path: bad, NoSync: true})
		switch {
		case err == nil:
			opened++
			if err := s.Check(); errors.Is(err, store.ErrCorrupt) {
				found++
			} else if err != nil {
				t.Errorf("%s %d: Check: %v", what, n, err)
			}
			closeStore(t, s)
		case errors.Is(err, store.ErrCorrupt):
			refused++
		default:
			t.Errorf("%s %d: %v", what, n, err)
		}
	}
	for n := 0; n*page < len(data); n++ {
		damaged := bytes.Clone(data)
		for i := n * page; i < min((n+1)*page, len(damaged)); i++ {
			damaged[i] = byte(i*7 + n)
		}
		try("page", n, damaged)
		try("cut off at page", n, data[:n*page])
	}
	if refused < 3*len(data)/page/2 || opened == 0 || found > 0 { // all that were cut off, and all pages in use; free ones may have anything on them
		t.Errorf("%d damaged files were refused, %d opened, %d of them found by Check", refused, opened, found)
	}
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "file"), 10)
	if err := os.Symlink(filepath.Join(dir, "nowhere"), filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{
		"no folder": filepath.Join(dir, "none", "store"), "folder is a file": filepath.Join(dir, "file", "store"),
		"link to nothing": filepath.Join(dir, "link"),
	} {
		_, err := bolt.Open(bolt.Config{Path: path})
		if err == nil || errors.Is(err, store.ErrCorrupt) || errors.Is(err, store.ErrLocked) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v; want a plain error", name, err)
		} else if !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v; want the path in it", name, err)
		}
	}
	if os.Getuid() == 0 {
		return // may write everywhere
	}
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	if _, err := bolt.Open(bolt.Config{Path: filepath.Join(dir, "store")}); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("a folder that cannot be written: %v", err)
	}
}

func TestOpenLocked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	s := open(t, bolt.Config{Path: path})
	begin := time.Now()
	_, err := bolt.Open(bolt.Config{Path: path})
	if took := time.Since(begin); !errors.Is(err, store.ErrLocked) || took > time.Minute {
		t.Errorf("Open: %v after %v; want ErrLocked after about a second", err, took)
	}
	put(t, s, "k", "v") // the owner is not disturbed
	closeStore(t, s)
	if got, _ := get(t, open(t, bolt.Config{Path: path}), "k"); got != "v" {
		t.Errorf("after the owner: %q", got)
	}
}

// Several start at the same time on nothing: one gets the store, and all mean the same file.
func TestOpenTogether(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() {
			s, err := bolt.Open(bolt.Config{Path: path, LockTimeout: time.Minute})
			if err != nil {
				t.Error(err)
				return
			}
			err = s.Update(t.Context(), func(tx store.Tx) error {
				v, _, err := tx.Get("b", "k")
				return errors.Join(err, tx.Put("b", "k", append(bytes.Clone(v.Data), 'x')))
			})
			if err := errors.Join(err, s.Close()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got, _ := get(t, open(t, bolt.Config{Path: path}), "k"); got != "xxxxxx" {
		t.Errorf("after all: %q", got)
	}
}
