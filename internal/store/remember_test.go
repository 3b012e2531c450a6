package store_test

import (
	"testing"

	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/store/memory"
)

// TestRemembering: a record is read once, and what is written is seen.
func TestRemembering(t *testing.T) {
	s := memory.New(memory.Config{})
	defer s.Close()
	put := func(tx store.Tx, key, value string) {
		t.Helper()
		if err := tx.Put("b", key, []byte(value)); err != nil {
			t.Fatal(err)
		}
	}
	get := func(tx store.Tx, key, want string) {
		t.Helper()
		v, ok, err := tx.Get("b", key)
		if err != nil || ok != (want != "") || string(v.Data) != want {
			t.Fatalf("%s: %q, %t, %v; want %q", key, v.Data, ok, err, want)
		}
	}
	if err := s.Update(t.Context(), func(tx store.Tx) error { put(tx, "k", "v"); return nil }); err != nil {
		t.Fatal(err)
	}
	err := s.Update(t.Context(), func(tx store.Tx) error {
		r := store.Remembering(tx)
		for range 2 * store.MaxOps {
			get(r, "k", "v")
			get(r, "missing", "")
		}
		put(r, "k", "w")
		put(r, "missing", "m")
		get(r, "k", "w")
		get(r, "missing", "m")
		if err := r.Delete("b", "k"); err != nil {
			return err
		}
		get(r, "k", "")
		n := 0
		for p, err := range r.Scan("b", store.Range{}) {
			if n++; err != nil || p.Key != "missing" {
				t.Errorf("scan: %+v, %v", p, err)
			}
		}
		if n != 1 || r.Revision() != tx.Revision() {
			t.Errorf("%d pairs, revision %d", n, r.Revision())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
