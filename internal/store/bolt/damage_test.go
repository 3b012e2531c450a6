package bolt_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/store/bolt"
)

// contents are what a store of the tests of damage has: by bucket and key.
type contents map[string]map[string]string

// filledStore makes a file with records on many pages of several buckets.
func filledStore(t *testing.T) (file []byte, want contents) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "store")
	s := open(t, bolt.Config{Path: path, NoSync: true})
	want = contents{"alpha": {}, "beta": {}, "gamma": {}, "small": {}}
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range 900 {
		bucket := []string{"alpha", "beta", "gamma"}[i%3]
		if i < 3 {
			bucket = "small"
		}
		key, data := fmt.Sprintf("key-%04d", rnd.IntN(9000)), strings.Repeat(fmt.Sprint(i, " "), 1+rnd.IntN(40))
		err := s.Update(t.Context(), func(tx store.Tx) error { return tx.Put(bucket, key, []byte(data)) })
		if err != nil {
			t.Fatal(err)
		}
		want[bucket][key] = data
	}
	for key := range maps.Clone(want["beta"]) { // pages become free
		if len(want["beta"]) < 150 {
			break
		}
		if err := s.Update(t.Context(), func(tx store.Tx) error { return tx.Delete("beta", key) }); err != nil {
			t.Fatal(err)
		}
		delete(want["beta"], key)
	}
	closeStore(t, s)
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return file, want
}

// compare reads everything, and what is not there, in all ways, and tells what is wrong: what may be wrong is that a
// read fails with ErrCorrupt, which is counted.
func compare(t *testing.T, s *bolt.Store, want contents) (refused int, wrong error) {
	t.Helper()
	sorted := func(err error) {
		switch {
		case errors.Is(err, store.ErrCorrupt):
			refused++
		case err != nil:
			wrong = errors.Join(wrong, err)
		}
	}
	for bucket, records := range want {
		keys := slices.Sorted(maps.Keys(records))
		err := s.View(t.Context(), func(tx store.Tx) error {
			for _, key := range keys {
				v, ok, err := tx.Get(bucket, key)
				if sorted(err); err == nil && (!ok || string(v.Data) != records[key]) {
					wrong = errors.Join(wrong, fmt.Errorf("%s of %s is %.20q, %v", key, bucket, v.Data, ok))
				}
				v, ok, err = tx.Get(bucket, key+"x")
				if sorted(err); err == nil && ok {
					wrong = errors.Join(wrong, fmt.Errorf("%sx of %s is %q", key, bucket, v.Data))
				}
			}
			for _, r := range []store.Range{{}, {Reverse: true}, {Prefix: "key-3"}, {Prefix: "key-3", Reverse: true}, {After: keys[len(keys)/2]}} {
				var got []string
				var failed error
				for p, err := range tx.Scan(bucket, r) {
					if failed = err; err != nil {
						break
					}
					if string(p.Data) != records[p.Key] {
						wrong = errors.Join(wrong, fmt.Errorf("a scan of %s says that %.20q is %.20q", bucket, p.Key, p.Data))
					}
					got = append(got, p.Key)
				}
				should := slices.DeleteFunc(slices.Clone(keys), func(k string) bool { return !strings.HasPrefix(k, r.Prefix) || r.After != "" && k <= r.After })
				if r.Reverse {
					slices.Reverse(should)
				}
				if sorted(failed); failed == nil && !slices.Equal(got, should) {
					wrong = errors.Join(wrong, fmt.Errorf("a scan of %s gives %d records of %d", bucket, len(got), len(should)))
				}
			}
			return nil
		})
		sorted(err)
	}
	return refused, wrong
}

// A byte of the file that is another than was written leads to refusals, never to a wrong answer or to a crash.
// Check finds it if anything met it.
func TestDamagedPages(t *testing.T) {
	file, want := filledStore(t)
	seed := rand.Uint64()
	t.Logf("seed %d, %d bytes", seed, len(file))
	rnd := rand.New(rand.NewPCG(seed, 0))
	used := bytes.TrimRight(file, "\x00")
	refusedOpen, met, unmet := 0, 0, 0
	for range 40 {
		at, bit := rnd.IntN(len(used)), byte(1)<<rnd.IntN(8)
		damaged := bytes.Clone(file)
		damaged[at] ^= bit
		path := filepath.Join(t.TempDir(), "store")
		if err := errors.Join(os.WriteFile(path, damaged[:len(used)], 0o600), os.Truncate(path, int64(len(file)))); err != nil {
			t.Fatal(err)
		}
		where := fmt.Sprintf("bit %#x of byte %d (page %d, %d)", bit, at, at/os.Getpagesize(), at%os.Getpagesize())
		s, err := bolt.Open(bolt.Config{Path: path, NoSync: true})
		if err != nil {
			if refusedOpen++; !errors.Is(err, store.ErrCorrupt) {
				t.Errorf("%s: Open: %v", where, err)
			}
			continue
		}
		refused, wrong := compare(t, s, want)
		if wrong != nil {
			t.Errorf("%s: %v", where, wrong)
		}
		checked := s.Check()
		if refused > 0 && !errors.Is(checked, store.ErrCorrupt) {
			t.Errorf("%s: Check: %v", where, checked)
		}
		if refused > 0 {
			met++
		} else {
			unmet++
		}
		// A change is made or refused; what is read afterwards is as true as before.
		next := contents{}
		for b, records := range want {
			next[b] = maps.Clone(records)
		}
		for i := range 20 {
			key := fmt.Sprintf("key-%04d", 100*i)
			err := s.Update(t.Context(), func(tx store.Tx) error { return tx.Put("alpha", key, []byte("new")) })
			switch {
			case err == nil:
				next["alpha"][key] = "new"
			case !errors.Is(err, store.ErrCorrupt):
				t.Errorf("%s: an update: %v", where, err)
			}
		}
		if checked == nil { // else the rest may be refused
			if _, wrong := compare(t, s, next); wrong != nil {
				t.Errorf("%s: after updates: %v", where, wrong)
			}
		}
		if err := s.Close(); err != nil {
			t.Errorf("%s: Close: %v", where, err)
		}
	}
	t.Logf("refused by Open %d, met by reads %d, not met %d", refusedOpen, met, unmet)
	if met == 0 {
		t.Error("no damage was met")
	}
}

// Values of a store of format 1, without checksums, are read as they are.
func TestFormat1(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	s := open(t, bolt.Config{Path: path})
	put(t, s, "a", "new")
	closeStore(t, s)
	bolt.MakeFormat1(t, path, "b", "old", "a value of before")
	s = open(t, bolt.Config{Path: path})
	if got, _ := get(t, s, "old"); string(got) != "a value of before" {
		t.Errorf("an old value is %q", got)
	}
	if err := s.Check(); err != nil {
		t.Error(err)
	}
	put(t, s, "old", "now")
	if got, _ := get(t, s, "old"); string(got) != "now" {
		t.Errorf("an old value that was written anew is %q", got)
	}
	closeStore(t, s)
}
