package secret_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/kagimori/kagimori/internal/secret"
)

const marker = "correct horse battery staple"

func locked(t *testing.T) *secret.Locked {
	t.Helper()
	l, err := secret.LockedFrom(secret.Bytes(marker))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func contents(t *testing.T, l *secret.Locked) string {
	t.Helper()
	var s string
	if err := l.Use(func(b secret.Bytes) error { s = string(b); return nil }); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestLockedMovesTheBytes(t *testing.T) {
	from := secret.Bytes(marker)
	l, err := secret.LockedFrom(from)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if got := contents(t, l); got != marker {
		t.Errorf("holds %d bytes that differ from what was put in", len(got))
	}
	if !bytes.Equal(from, make([]byte, len(marker))) {
		t.Error("the source was not wiped")
	}
	if l.Len() != len(marker) {
		t.Errorf("Len = %d, want %d", l.Len(), len(marker))
	}
}

func TestLockedSizes(t *testing.T) {
	for _, n := range []int{1, 32, 4095, 4096, 4097, 70000} {
		l, err := secret.NewLocked(n)
		if err != nil {
			t.Fatalf("%d bytes: %v", n, err)
		}
		err = l.Use(func(b secret.Bytes) error {
			if len(b) != n || cap(b) != n {
				t.Errorf("len %d, cap %d, want %d", len(b), cap(b), n)
			}
			b[0], b[n-1] = 1, 1 // the last byte is ours to write
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, n := range []int{0, -1} {
		if _, err := secret.NewLocked(n); err == nil {
			t.Errorf("a buffer of %d bytes was made", n)
		}
	}
	if _, err := secret.LockedFrom(nil); err == nil {
		t.Error("an empty buffer was made")
	}
}

func TestLockedIsPinnedWhereItCanBe(t *testing.T) {
	l := locked(t)
	if runtime.GOOS != "linux" && l.Pinned() {
		t.Error("claims to be pinned without a way to do it")
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if l.Pinned() {
		t.Error("pinned after Close")
	}
}

func TestLockedWipe(t *testing.T) {
	l := locked(t)
	l.Wipe()
	if got := contents(t, l); got != string(make([]byte, len(marker))) {
		t.Error("bytes left after Wipe")
	}
	if err := l.Use(func(b secret.Bytes) error { b[0] = 'x'; return nil }); err != nil {
		t.Errorf("not usable after Wipe: %v", err)
	}
}

func TestLockedClose(t *testing.T) {
	l := locked(t)
	for range 2 {
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Use(func(secret.Bytes) error { t.Error("called"); return nil }); !errors.Is(err, secret.ErrClosed) {
		t.Errorf("Use after Close: %v, want ErrClosed", err)
	}
	l.Wipe() // nothing to wipe, nothing to crash
	if l.Len() != 0 {
		t.Errorf("Len after Close = %d", l.Len())
	}
	if err := new(secret.Locked).Use(nil); !errors.Is(err, secret.ErrClosed) {
		t.Errorf("Use of the zero value: %v, want ErrClosed", err)
	}
}

func TestLockedReturnsTheErrorOfUse(t *testing.T) {
	want := errors.New("mine")
	if err := locked(t).Use(func(secret.Bytes) error { return want }); !errors.Is(err, want) {
		t.Errorf("got %v", err)
	}
}

// Close waits for running uses; no use sees memory that is gone.
func TestLockedCloseWaitsForUses(t *testing.T) {
	l := locked(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for {
				err := l.Use(func(b secret.Bytes) error {
					if string(b) != marker {
						t.Error("saw other bytes")
					}
					return nil
				})
				if errors.Is(err, secret.ErrClosed) {
					return
				}
			}
		})
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	wg.Wait()
}

func TestLockedPrintsNothing(t *testing.T) {
	l := locked(t)
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "secret", l)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "secret", l)
	js, err := json.Marshal(map[string]any{"secret": l})
	if err != nil {
		t.Fatal(err)
	}
	out := []string{log.String(), string(js)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		out = append(out, fmt.Sprintf(verb, l), fmt.Sprintf(verb, struct{ L *secret.Locked }{l}))
	}
	for _, s := range out {
		if strings.Contains(s, marker) || strings.Contains(s, "99 111 114") || strings.Contains(s, fmt.Sprintf("%x", marker)) {
			t.Errorf("shown: %s", s)
		}
		if !strings.Contains(s, "redacted") {
			t.Errorf("%q does not say that it hides something", s)
		}
	}
}
