package app_test

import (
	"crypto/rand"
	"encoding/base64"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/app"
	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/testkit"
)

// glass seals nothing, so that what is inside is fuzzed too.
type glass struct{ tag string }

func (g glass) Seal(plain, aad []byte) []byte { return append([]byte(g.tag+string(aad)), plain...) }

func (g glass) Open(sealed, aad []byte) ([]byte, error) {
	if n := len(g.tag) + len(aad); len(sealed) >= n && string(sealed[:n]) == g.tag+string(aad) {
		return sealed[n:], nil
	}
	return nil, hsm.ErrCiphertext
}

// Nobody but a node says who asked: what a client puts there changes nothing, whatever it is.
func FuzzForwarded(f *testing.F) {
	r := httptest.NewRequest("POST", "/", nil)
	key := rand.Text() // that clients do not have
	now := time.Now().Format(time.RFC3339Nano)
	for _, seed := range []string{`{"from":"192.0.2.7:1","secure":true,"at":"` + now + `"}`, `{"from":"x","at":"2020-01-01T00:00:00Z"}`, `{}`, `null`, `[`, ""} {
		f.Add(base64.StdEncoding.EncodeToString(glass{}.Seal([]byte(seed), nil)))
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		was := r.RemoteAddr
		if app.Accepts(glass{key}, header, r) || r.RemoteAddr != was || r.TLS != nil {
			t.Fatal("a client spoke for a node")
		}
		in := httptest.NewRequest("POST", "/", nil)
		if !app.Accepts(glass{}, header, in) && in.RemoteAddr != httptest.NewRequest("POST", "/", nil).RemoteAddr {
			t.Fatal("what was refused counts")
		}
	})
}

// A backup that was changed restores nothing, and nothing is written elsewhere.
func FuzzRestore(f *testing.F) {
	s := testkit.Start(f, testkit.Options{})
	path := filepath.Join(f.TempDir(), "backup")
	o, err := app.OpenSealer(f.Context(), app.Config{Data: s.Data()})
	if err != nil {
		f.Fatal(err)
	}
	out, err := os.Create(path)
	if err != nil {
		f.Fatal(err)
	}
	var seal []byte
	if err := o.Backup(f.Context(), true, func(b []byte) error { seal = b; return nil }, out); err != nil {
		f.Fatal(err)
	}
	_, _ = out.Close(), o.Close()
	good, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		backup := filepath.Join(dir, "backup")
		if err := os.WriteFile(backup, data, 0o600); err != nil {
			t.Fatal(err)
		}
		there := filepath.Join(dir, "restored")
		err := restore(t, there, backup, seal)
		if err == nil && string(data) != string(good) {
			t.Log("another packing of the same backup") // gzip has many
		}
		left, rerr := os.ReadDir(dir)
		if rerr != nil {
			t.Fatal(rerr)
		}
		for _, e := range left {
			if e.Name() != "backup" && (e.Name() != "restored" || err != nil) {
				t.Errorf("%v leaves %s", err, e.Name())
			}
		}
	})
}
