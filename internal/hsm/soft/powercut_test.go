package soft_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/hsm/soft"
)

// states opens what may be left of a directory by power cuts, each different state of the seal file
// once, and counts them. open is told what is there.
func states(t *testing.T, r *soft.Recorder, open func(soft.Seal) error) (different int) {
	t.Helper()
	seen := map[[32]byte]bool{}
	for files := range r.Cuts {
		seal, there := files["seal.json"]
		sum := sha256.Sum256(fmt.Appendf(nil, "%t %s", there, seal))
		if seen[sum] {
			continue
		}
		seen[sum] = true
		dir := dataDir(t)
		for name, data := range files {
			if err := os.WriteFile(filepath.Join(dir.Name(), name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := open(soft.Seal{Dir: dir}); err != nil {
			t.Errorf("after %d states: %v", len(seen), err)
		}
	}
	return len(seen)
}

// A power cut while the first seal is made leaves no seal or a whole one.
func TestPowerCutWhileSealing(t *testing.T) {
	s := soft.Seal{Dir: dataDir(t)}
	s, r := s.Record(t)
	root, err := soft.Create(t.Context(), s, passphrase("correct horse"))
	module(t, root, err)
	n := states(t, r, func(s soft.Seal) error {
		root, err := soft.Unseal(t.Context(), s, passphrase("correct horse"))
		if errors.Is(err, soft.ErrNoSeal) {
			return nil
		}
		return errors.Join(err, closed(root))
	})
	if n != 2 {
		t.Errorf("%d different states of the seal file, want none and the whole", n)
	}
}

func closed(r *soft.RootKey) error {
	if r == nil {
		return nil
	}
	return r.Close()
}

// A power cut while a seal changes leaves the old or the new one, whole: one of them opens, with all
// the epochs that anything is wrapped under.
func TestPowerCutWhileResealing(t *testing.T) {
	for name, change := range map[string]func(*testing.T, *soft.RootKey) error{
		"new epoch":    func(t *testing.T, r *soft.RootKey) error { return r.BeginEpoch(t.Context()) },
		"new lock":     func(t *testing.T, r *soft.RootKey) error { return r.Reseal(t.Context(), passphrase("new")) },
		"add":          func(t *testing.T, r *soft.RootKey) error { return r.AddLock(t.Context(), passphrase("new")) },
		"session keys": func(t *testing.T, r *soft.RootKey) error { return r.RenewSessions(t.Context(), time.Now(), false) },
		"epoch and end": func(t *testing.T, r *soft.RootKey) error {
			return errors.Join(r.BeginEpoch(t.Context()), r.EndEpochs(t.Context()))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := soft.Seal{Dir: dataDir(t)}
			root, err := soft.Create(t.Context(), s, passphrase("old"))
			module(t, root, err)
			before, err := s.Dir.ReadFile("seal.json")
			if err != nil {
				t.Fatal(err)
			}
			s, r := s.Record(t)
			root.Rehome(s)
			if err := change(t, root); err != nil {
				t.Fatal(err)
			}
			opened := map[string]bool{}
			states(t, r, func(s soft.Seal) error {
				root, err := soft.Unseal(t.Context(), s, passphrase("old"), passphrase("new"))
				if err != nil {
					return err
				}
				opened[fmt.Sprint(root.Epochs(), len(root.Status().Slots), root.Status().Generation)] = true
				return root.Close()
			})
			if len(opened) < 2 {
				t.Errorf("only these were seen: %v", opened)
			}
			if after, err := s.Dir.ReadFile("seal.json"); err != nil || bytes.Equal(before, after) {
				t.Errorf("nothing changed, %v", err)
			}
		})
	}
}

// What a crash left beside the seal has keys of epochs: the next change of the seal overwrites and
// removes it.
func TestLeftoversOfACrashGo(t *testing.T) {
	s := soft.Seal{Dir: dataDir(t)}
	root, err := soft.Create(t.Context(), s, soft.PlainLock{})
	module(t, root, err)
	left, err := s.Dir.ReadFile("seal.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"seal.json.tmp-ABCDEF", "another.tmp-ABCDEF"} {
		if err := s.Dir.WriteFile(name, left, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f, err := s.Dir.Open("seal.json.tmp-ABCDEF")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := root.BeginEpoch(t.Context()); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(s.Dir.Name())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if !slices.Equal(names, []string{"another.tmp-ABCDEF", "seal.json"}) {
		t.Errorf("there are %s", strings.Join(names, ", "))
	}
	got := make([]byte, len(left))
	if _, err := f.ReadAt(got, 0); err != nil || !bytes.Equal(got, make([]byte, len(left))) {
		t.Errorf("what was left is not overwritten, %v", err)
	}
}
