package soft_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/guard/permittest"
	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/hsm/hsmtest"
	"github.com/kagimori/kagimori/internal/hsm/soft"
	"github.com/kagimori/kagimori/internal/secret"
)

// workFactor makes scrypt quick.
const workFactor = 10

func dataDir(t *testing.T) *os.Root {
	t.Helper()
	dir, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dir.Close() })
	return dir
}

// sealed is a place for a seal and what opens it.
type sealed struct {
	soft.Seal
	locks []soft.Lock
}

func (s sealed) create(t *testing.T) (*soft.RootKey, error) {
	return soft.Create(t.Context(), s.Seal, s.locks...)
}

func (s sealed) unseal(t *testing.T) (*soft.RootKey, error) {
	return soft.Unseal(t.Context(), s.Seal, s.locks...)
}

func passphrase(text string) soft.Lock {
	return soft.PassphraseLock{Passphrase: secret.Bytes(text), WorkFactor: workFactor}
}

// identity is of age, made for this test.
const identity = "AGE-SECRET-KEY-1RT3W952030TKFATEH57EJQQ5YHV09TXLPATJ8YGW50D8QHT0W07Q3PTUQ7"

func ageLock(t *testing.T) soft.Lock {
	t.Helper()
	l, err := soft.ParseAgeIdentities("# a key\n" + identity + "\n")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// seals are one of each kind.
func seals(t *testing.T) map[string]sealed {
	return map[string]sealed{
		"plain-file": {soft.Seal{Dir: dataDir(t)}, []soft.Lock{soft.PlainLock{}}},
		"passphrase": {soft.Seal{Dir: dataDir(t)}, []soft.Lock{passphrase("correct horse")}},
		"age":        {soft.Seal{Dir: dataDir(t)}, []soft.Lock{ageLock(t)}},
		"two":        {soft.Seal{Dir: dataDir(t)}, []soft.Lock{passphrase("correct horse"), ageLock(t)}},
	}
}

// module opens a module on a root key, which tells whether two root keys are the same.
func module(t *testing.T, root *soft.RootKey, err error) *soft.Module {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	m, err := soft.Open(soft.Config{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

// What was made before the restart opens after it.
func TestSealedRootSurvives(t *testing.T) {
	for name, seal := range seals(t) {
		t.Run(name, func(t *testing.T) {
			root, err := seal.create(t)
			first := module(t, root, err)
			box := first.Box("tokens").Seal([]byte("token"), nil)
			const keyARN = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
			mat := hsmtest.Generate(t, first, keyARN, "SYMMETRIC_DEFAULT")
			use := hsm.Use{Action: "kms:Encrypt", KeyARN: keyARN}
			ct, err := first.Encrypt(t.Context(), permittest.New(use.Action, keyARN), use, mat, "SYMMETRIC_DEFAULT", secret.Bytes("secret"), nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := first.Close(); err != nil {
				t.Fatal(err)
			}

			root, err = seal.unseal(t)
			second := module(t, root, err)
			if got, err := second.Box("tokens").Open(box, nil); err != nil || string(got) != "token" {
				t.Errorf("box: %q, %v", got, err)
			}
			use.Action = "kms:Decrypt"
			got, err := second.Decrypt(t.Context(), permittest.New(use.Action, keyARN), use, mat, "SYMMETRIC_DEFAULT", ct, nil)
			if err != nil || string(got) != "secret" {
				t.Errorf("ciphertext: %d bytes, %v", len(got), err)
			}
			if got := second.Root().Epochs(); !slices.Equal(got, []uint64{1}) {
				t.Errorf("epochs %v", got)
			}
		})
	}
}

func TestSealFileIsPrivate(t *testing.T) {
	for name, seal := range seals(t) {
		t.Run(name, func(t *testing.T) {
			root, err := seal.create(t)
			module(t, root, err)
			fi, err := seal.Dir.Stat("seal.json")
			if err != nil || fi.Mode().Perm() != 0o600 {
				t.Errorf("mode %v, %v", fi.Mode(), err)
			}
			left, err := fs.Glob(seal.Dir.FS(), "*")
			if err != nil || len(left) != 1 {
				t.Errorf("files %v, %v", left, err)
			}
		})
	}
}

func TestCreateNeverReplaces(t *testing.T) {
	for name, seal := range seals(t) {
		t.Run(name, func(t *testing.T) {
			root, err := seal.create(t)
			module(t, root, err)
			before, err := seal.Dir.ReadFile("seal.json")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := seal.create(t); !errors.Is(err, soft.ErrSealExists) || !errors.Is(err, fs.ErrExist) {
				t.Errorf("got %v, want ErrSealExists", err)
			}
			after, err := seal.Dir.ReadFile("seal.json")
			if err != nil || string(before) != string(after) {
				t.Errorf("the seal changed, %v", err)
			}
		})
	}
}

// Of many that seal one directory at once a single one succeeds, and its key is the one there.
func TestCreateAtOnce(t *testing.T) {
	seal := seals(t)["plain-file"]
	type result struct {
		root *soft.RootKey
		err  error
	}
	results := make(chan result)
	for range 8 {
		go func() {
			root, err := seal.create(t)
			results <- result{root, err}
		}()
	}
	var won []*soft.RootKey
	for range 8 {
		r := <-results
		if r.err == nil {
			won = append(won, r.root)
		} else if !errors.Is(r.err, soft.ErrSealExists) {
			t.Errorf("got %v", r.err)
		}
	}
	if len(won) != 1 {
		t.Fatalf("%d succeeded", len(won))
	}
	box := module(t, won[0], nil).Box("x").Seal([]byte("y"), nil)
	root, err := seal.unseal(t)
	if _, err := module(t, root, err).Box("x").Open(box, nil); err != nil {
		t.Error(err)
	}
}

func TestUnsealRefuses(t *testing.T) {
	rewrite := func(change func(map[string]any)) func(t *testing.T, seal *sealed) {
		return func(t *testing.T, seal *sealed) {
			data, err := seal.Dir.ReadFile("seal.json")
			if err != nil {
				t.Fatal(err)
			}
			var m map[string]any
			if err := json.Unmarshal(data, &m); err != nil {
				t.Fatal(err)
			}
			change(m)
			if data, err = json.Marshal(m); err != nil {
				t.Fatal(err)
			}
			if err := seal.Dir.WriteFile("seal.json", data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	write := func(text string) func(t *testing.T, seal *sealed) {
		return func(t *testing.T, seal *sealed) {
			if err := seal.Dir.WriteFile("seal.json", []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	tests := map[string]struct {
		kind  string
		spoil func(t *testing.T, seal *sealed)
		want  error
		text  string
	}{
		"no seal":          {"plain-file", func(t *testing.T, s *sealed) { s.File = "other.json" }, soft.ErrNoSeal, ""},
		"wrong passphrase": {"passphrase", func(t *testing.T, s *sealed) { s.locks = []soft.Lock{passphrase("wrong horse")} }, hsm.ErrWrongSeal, ""},
		"empty passphrase": {"passphrase", func(t *testing.T, s *sealed) { s.locks = []soft.Lock{passphrase("")} }, nil, "the passphrase is empty"},
		"asked for plain":  {"passphrase", func(t *testing.T, s *sealed) { s.locks = []soft.Lock{soft.PlainLock{}} }, nil, `is a seal of kind "passphrase", but "plain-file" was asked for`},
		"asked for a passphrase": {"plain-file", func(t *testing.T, s *sealed) { s.locks = []soft.Lock{passphrase("x")} }, nil,
			`is a seal of kind "plain-file", but "passphrase" was asked for`},
		"no lock":      {"plain-file", func(t *testing.T, s *sealed) { s.locks = nil }, nil, "needs a lock"},
		"no directory": {"plain-file", func(t *testing.T, s *sealed) { s.Dir = nil }, nil, "needs a directory"},
		"open to others": {"plain-file", func(t *testing.T, s *sealed) {
			if err := s.Dir.Chmod("seal.json", 0o640); err != nil {
				t.Fatal(err)
			}
		}, nil, "others may read"},
		"not JSON":       {"plain-file", write("seal"), nil, "is damaged"},
		"empty":          {"plain-file", write(""), nil, "is damaged"},
		"too long":       {"plain-file", write(strings.Repeat(" ", 1<<19)), nil, "is damaged"},
		"newer":          {"plain-file", rewrite(func(m map[string]any) { m["format"] = 3 }), nil, "was written by a newer kagimori"},
		"other epoch":    {"plain-file", rewrite(func(m map[string]any) { m["epochs"] = []int{2} }), nil, "its digest does not match"},
		"other key":      {"plain-file", rewrite(func(m map[string]any) { m["keyring"] = strings.Repeat("A", 43) + "=" }), nil, "its digest does not match"},
		"unknown member": {"plain-file", rewrite(func(m map[string]any) { m["more"] = 1 }), nil, "is damaged"},
		"a folder": {"plain-file", func(t *testing.T, s *sealed) {
			if err := errors.Join(s.Dir.Remove("seal.json"), s.Dir.Mkdir("seal.json", 0o700)); err != nil {
				t.Fatal(err)
			}
		}, nil, "is not a file"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			seal := seals(t)[tt.kind]
			root, err := seal.create(t)
			module(t, root, err)
			dir := seal.Dir
			tt.spoil(t, &seal)
			root, err = seal.unseal(t)
			if err == nil || root != nil {
				t.Fatalf("got a root key, %v", err)
			}
			if tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if !strings.Contains(err.Error(), tt.text) || strings.Count(err.Error(), "\n") > 0 {
				t.Errorf("got %q, want %q in it", err, tt.text)
			}
			if strings.HasPrefix(tt.text, "is ") && !strings.HasPrefix(err.Error(), filepath.Join(dir.Name(), "seal.json")) {
				t.Errorf("%q does not name the file", err)
			}
		})
	}
}

// A failed Create leaves no seal and no temporary file that holds the key.
func TestFailedCreateLeavesNothing(t *testing.T) {
	dir := dataDir(t)
	_, err := soft.Create(t.Context(), soft.Seal{Dir: dir, File: "none/seal.json"}, soft.PlainLock{})
	if err == nil || !strings.HasPrefix(err.Error(), filepath.Join(dir.Name(), "none", "seal.json")+" cannot be written") {
		t.Errorf("got %v", err)
	}
	if left, err := fs.Glob(dir.FS(), "*"); err != nil || len(left) != 0 {
		t.Errorf("files %v, %v", left, err)
	}
}

// The module forgets what it is told to forget, and only that; wrapped material opens again.
func TestForget(t *testing.T) {
	root, err := soft.NewRootKey()
	m := module(t, root, err)
	arns := []string{"arn:aws:kms:eu-central-1:111122223333:key/a", "arn:aws:kms:eu-central-1:111122223333:key/b"}
	mats := map[string]hsm.Material{}
	encrypt := func(arn string) {
		t.Helper()
		use := hsm.Use{Action: "kms:Encrypt", KeyARN: arn}
		if _, err := m.Encrypt(t.Context(), permittest.New(use.Action, arn), use, mats[arn], "SYMMETRIC_DEFAULT", secret.Bytes("x"), nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, a := range arns {
		mats[a] = hsmtest.Generate(t, m, a, "SYMMETRIC_DEFAULT")
		encrypt(a)
	}
	want := func(n int) {
		t.Helper()
		if got := m.Cached(); got != n {
			t.Errorf("%d keys are ready, want %d", got, n)
		}
	}
	want(2)
	m.Forget(arns[0], mats[arns[0]])
	want(1)
	m.Forget(arns[0], mats[arns[0]]) // again
	m.Forget(arns[0], mats[arns[1]]) // of another key
	want(1)
	encrypt(arns[0])
	want(2)
}

// After Close nothing opens and nothing is ready.
func TestClosedModule(t *testing.T) {
	root, err := soft.NewRootKey()
	m := module(t, root, err)
	box := m.Box("x")
	sealed := box.Seal([]byte("y"), nil)
	if err := errors.Join(m.Close(), m.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := box.Open(sealed, nil); !errors.Is(err, hsm.ErrSealed) {
		t.Errorf("box: %v", err)
	}
	if box.Seal([]byte("y"), nil) != nil || m.Box("x").Seal([]byte("y"), nil) != nil {
		t.Error("a closed module seals")
	}
	_, err = m.Generate(t.Context(), permittest.New("kms:CreateKey", "*"), "arn:aws:kms:eu-central-1:111122223333:key/a", "SYMMETRIC_DEFAULT")
	if !errors.Is(err, hsm.ErrSealed) {
		t.Errorf("Generate: %v", err)
	}
	if _, err := soft.Open(soft.Config{}); !errors.Is(err, hsm.ErrSealed) {
		t.Errorf("without a root key: %v", err)
	}
}
