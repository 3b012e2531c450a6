package app_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/app"
	"github.com/kagimori/kagimori/internal/hsm/soft"
	"github.com/kagimori/kagimori/internal/testkit"
)

// The audit log is verified through the server that runs and without one, and what was changed or cut off is
// found.
func TestTheTrailIsVerified(t *testing.T) {
	s := testkit.Start(t, testkit.Options{Data: t.TempDir(), Configure: forReal})
	locks := []soft.Lock{soft.PassphraseLock{Passphrase: []byte("open sesame")}}
	verify := func(since string) (string, error) {
		o, err := app.OpenSealer(t.Context(), app.Config{Data: s.Data(), Locks: locks})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := o.Close(); err != nil {
				t.Error(err)
			}
		}()
		return o.VerifyTrail(t.Context(), since)
	}
	c := s.As(credentials(t, s.Data()))
	for range 3 {
		testkit.Must(c.KMS, "ListKeys", &kmsapi.ListKeysRequest{})
	}
	end, err := verify("")
	if err != nil || !strings.Contains(end, ":") {
		t.Fatalf("while it is served: %q, %v", end, err)
	}
	testkit.Must(c.KMS, "ListKeys", &kmsapi.ListKeysRequest{})
	if _, err := verify("nonsense"); err == nil {
		t.Error("an end that is none is taken")
	}
	s.Stop()
	last, err := verify(end)
	if err != nil || last == end {
		t.Fatalf("while nobody serves it: %q, %v", last, err)
	}
	segments, err := filepath.Glob(filepath.Join(s.Data(), "trail", "trail-*.jsonl"))
	if err != nil || len(segments) == 0 {
		t.Fatalf("%v, %v", segments, err)
	}
	file := segments[0]
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(whole, []byte("\n"))
	for name, data := range map[string][]byte{
		"cut off": bytes.Join(lines[:2], nil), "changed": bytes.Replace(whole, []byte("ListKeys"), []byte("ListKeyz"), 1),
		"a record removed": bytes.Join(append(append([][]byte{}, lines[:1]...), lines[2:]...), nil),
	} {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := verify(last); err == nil || !strings.Contains(err.Error(), "chain of records is broken") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
