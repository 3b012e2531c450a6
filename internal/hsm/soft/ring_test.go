package soft_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/hsm/soft"
	"github.com/kagimori/kagimori/internal/secret"
)

// rings are keyrings of all forms.
func rings(t testing.TB) (out []secret.Bytes) {
	t.Helper()
	r, err := soft.NewRootKey()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	note := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
		b, err := r.EncodeRing()
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, b)
	}
	note(nil)
	note(r.BeginEpoch(t.Context()))
	note(r.RenewSessions(t.Context(), time.Unix(1e9, 0), false))
	note(r.RenewSessions(t.Context(), time.Unix(1e9, 0), true))
	return out
}

// Every form of a keyring comes back as it was; cut or with a byte more it is none.
func TestKeyringForms(t *testing.T) {
	for i, ring := range rings(t) {
		r, err := soft.DecodeRing(slices.Clone(ring))
		check(t, err)
		again, err := r.EncodeRing()
		check(t, errors.Join(err, r.Close()))
		if !bytes.Equal(again, ring) {
			t.Errorf("ring %d comes back as another", i)
		}
		for n := range ring {
			if r, err := soft.DecodeRing(slices.Clone(ring[:n])); err == nil {
				t.Errorf("the first %d bytes of ring %d are one: %v", n, i, r.Close())
			}
		}
		if r, err := soft.DecodeRing(append(slices.Clone(ring), 0)); err == nil {
			t.Errorf("ring %d and a byte is one: %v", i, r.Close())
		}
	}
}

// FuzzKeyring: what is read as a keyring is written as the same bytes.
func FuzzKeyring(f *testing.F) {
	for _, ring := range rings(f) {
		f.Add([]byte(ring))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := soft.DecodeRing(slices.Clone(data))
		if err != nil {
			return
		}
		again, err := r.EncodeRing()
		if err != nil || !bytes.Equal(again, data) {
			t.Errorf("read of %x, written as %x, %v", data, []byte(again), err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
}
