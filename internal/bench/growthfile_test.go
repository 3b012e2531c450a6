package bench

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"

	bbolt "go.etcd.io/bbolt"

	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/store/bolt"
)

// What is read of the file of a store that is open says as much as bbolt itself when it is closed.
func TestUsedPages(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s, err := bolt.Open(bolt.Config{Path: path, NoSync: true, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	change := func(fn func(store.Tx, string) error) {
		t.Helper()
		for i := 0; i < 2000; i += 50 {
			err := s.Update(context.Background(), func(tx store.Tx) error {
				for j := i; j < i+50; j++ {
					if err := fn(tx, fmt.Sprintf("%05d", j)); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	change(func(tx store.Tx, key string) error { return tx.Put("b", key, make([]byte, 1000)) })
	full, errFull := usedPages(path)
	change(func(tx store.Tx, key string) error { return tx.Delete("b", key) })
	empty, errEmpty := usedPages(path)
	if errFull != nil || errEmpty != nil || full < 2_000_000 || full > 10_000_000 || empty > full/10 {
		t.Errorf("%d bytes with 2 MB of records, %d without (%v, %v)", full, empty, errFull, errEmpty)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true, PreLoadFreelist: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.View(func(tx *bbolt.Tx) error {
		if want := tx.Size() - int64(db.Stats().FreePageN)*int64(db.Info().PageSize); empty != want {
			t.Errorf("%d bytes, bbolt says %d", empty, want)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
