package storetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/store"
)

func scanEdges(t *testing.T, s store.Store) {
	view(t, s, func(tx store.Tx) error { wantScan(t, tx, store.Range{}); return nil }) // no bucket
	update(t, s, func(tx store.Tx) error {
		for _, k := range []string{"a", "ab", "abc", "b", "\xfe\xff", "\xff", "\xff\xff", "\xff\xff\xff"} {
			if err := tx.Put("b", k, nil); err != nil {
				return err
			}
		}
		return errors.Join(tx.Put("a", "other", nil), tx.Put("c", "other", nil), tx.Put("bb", "other", nil))
	})
	tests := []struct {
		name string
		r    store.Range
		want string
	}{
		{"all", store.Range{}, "a ab abc b \xfe\xff \xff \xff\xff \xff\xff\xff"},
		{"all reversed", store.Range{Reverse: true}, "\xff\xff\xff \xff\xff \xff \xfe\xff b abc ab a"},
		{"prefix", store.Range{Prefix: "ab"}, "ab abc"},
		{"prefix reversed", store.Range{Prefix: "ab", Reverse: true}, "abc ab"},
		{"prefix of nothing", store.Range{Prefix: "ac"}, ""},
		{"prefix ff", store.Range{Prefix: "\xff"}, "\xff \xff\xff \xff\xff\xff"},
		{"prefix ff ff reversed", store.Range{Prefix: "\xff\xff", Reverse: true}, "\xff\xff\xff \xff\xff"},
		{"prefix fe ff", store.Range{Prefix: "\xfe\xff"}, "\xfe\xff"},
		{"prefix fe ff reversed", store.Range{Prefix: "\xfe\xff", Reverse: true}, "\xfe\xff"},
		{"after a key", store.Range{After: "ab"}, "abc b \xfe\xff \xff \xff\xff \xff\xff\xff"},
		{"after no key", store.Range{After: "aa"}, "ab abc b \xfe\xff \xff \xff\xff \xff\xff\xff"},
		{"after the last", store.Range{After: "\xff\xff\xff"}, ""},
		{"after within prefix", store.Range{Prefix: "a", After: "ab"}, "abc"},
		{"after before prefix", store.Range{Prefix: "ab", After: "a"}, "ab abc"},
		{"after behind prefix", store.Range{Prefix: "a", After: "b"}, ""},
		{"reversed after a key", store.Range{After: "abc", Reverse: true}, "ab a"},
		{"reversed after no key", store.Range{After: "aa", Reverse: true}, "a"},
		{"reversed after the first", store.Range{After: "a", Reverse: true}, ""},
		{"reversed after within prefix", store.Range{Prefix: "a", After: "abc", Reverse: true}, "ab a"},
		{"reversed after behind prefix", store.Range{Prefix: "a", After: "z", Reverse: true}, "abc ab a"},
		{"reversed after before prefix", store.Range{Prefix: "ab", After: "a", Reverse: true}, ""},
		{"limit", store.Range{Limit: 2}, "a ab"},
		{"limit reversed", store.Range{Limit: 2, Reverse: true}, "\xff\xff\xff \xff\xff"},
		{"limit of all", store.Range{Prefix: "a", Limit: 3}, "a ab abc"},
		{"limit of more", store.Range{Prefix: "a", Limit: 4}, "a ab abc"},
		{"everything", store.Range{Prefix: "a", After: "a", Limit: 1}, "ab"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			view(t, s, func(tx store.Tx) error {
				got, err := scanKeys(tx, tt.r)
				if got != tt.want {
					t.Errorf("Scan(%+v) = %q; want %q", tt.r, got, tt.want)
				}
				return err
			})
		})
	}
	view(t, s, func(tx store.Tx) error {
		seq := tx.Scan("b", store.Range{Limit: 3})
		for range 2 { // the same scan again, the first time not to its end
			n := 0
			for p, err := range seq {
				if err != nil {
					return err
				}
				if n++; n == 2 && p.Key != "ab" {
					t.Errorf("second key: %q", p.Key)
				}
				if n == 2 {
					break
				}
			}
		}
		return nil
	})
}

func scanKeys(tx store.Tx, r store.Range) (string, error) {
	var out []string
	for p, err := range tx.Scan("b", r) {
		if err != nil {
			return "", err
		}
		out = append(out, p.Key)
	}
	return strings.Join(out, " "), nil
}

func scanOwnWrites(t *testing.T, s store.Store) {
	update(t, s, func(tx store.Tx) error {
		return errors.Join(tx.Put("b", "b", []byte("1")), tx.Put("b", "d", []byte("2")), tx.Put("b", "f", []byte("3")))
	})
	update(t, s, func(tx store.Tx) error {
		err := errors.Join(tx.Put("b", "a", []byte("own")), tx.Put("b", "c", []byte("own")), tx.Put("b", "d", []byte("over")),
			tx.Delete("b", "f"), tx.Put("b", "g", []byte("own")), tx.Put("z", "c", nil), tx.Put("a", "c", nil))
		wantScan(t, tx, store.Range{}, "a=own", "b=1", "c=own", "d=over", "g=own")
		wantScan(t, tx, store.Range{Reverse: true}, "g=own", "d=over", "c=own", "b=1", "a=own")
		wantScan(t, tx, store.Range{Limit: 3}, "a=own", "b=1", "c=own")
		wantScan(t, tx, store.Range{Limit: 2, Reverse: true}, "g=own", "d=over")
		wantScan(t, tx, store.Range{After: "b", Limit: 2}, "c=own", "d=over")
		wantScan(t, tx, store.Range{After: "d"}, "g=own")
		wantScan(t, tx, store.Range{After: "d", Reverse: true}, "c=own", "b=1", "a=own")
		wantScan(t, tx, store.Range{Prefix: "f"})
		wantScan(t, tx, store.Range{Prefix: "g", Limit: 1}, "g=own")

		seq := tx.Scan("b", store.Range{Prefix: "x"})
		err = errors.Join(err, tx.Put("b", "x", nil))
		for p := range seq {
			t.Errorf("a scan shows a write made after it was called: %q", p.Key)
		}
		for p, scanErr := range tx.Scan("b", store.Range{}) { // deletes what it meets
			err = errors.Join(err, scanErr, tx.Delete("b", p.Key))
		}
		wantScan(t, tx, store.Range{})
		return err
	})
	view(t, s, func(tx store.Tx) error { wantScan(t, tx, store.Range{}); return nil })
}

// scanModel compares random transactions with a map.
func scanModel(t *testing.T, s store.Store) {
	rng := rand.New(rand.NewPCG(7, 7))
	model := map[string]string{}
	key := func() string {
		k := make([]byte, 1+rng.IntN(3))
		for i := range k {
			k[i] = []byte{0, 1, 'a', 'b', 0xfe, 0xff}[rng.IntN(6)]
		}
		return string(k)
	}
	maybe := func() string {
		if rng.IntN(2) == 0 {
			return ""
		}
		return key()
	}
	filler := strings.Repeat("x", 200) // for several pages
	for round := range 150 {
		type op struct {
			key, data string
			del       bool
		}
		ops := make([]op, rng.IntN(12))
		for i := range ops {
			ops[i] = op{key(), fmt.Sprint(filler, round, i), rng.IntN(3) == 0}
		}
		ranges := make([]store.Range, 8)
		for i := range ranges {
			ranges[i] = store.Range{Prefix: maybe(), After: maybe(), Limit: rng.IntN(5), Reverse: rng.IntN(2) == 0}
		}
		compare := func(tx store.Tx) {
			t.Helper()
			for _, r := range ranges {
				got, err := scan(tx, "b", r)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(modelScan(model, r), got); diff != "" {
					t.Fatalf("round %d, %+v (-want +got):\n%s", round, r, diff)
				}
			}
		}
		update(t, s, func(tx store.Tx) error {
			for _, o := range ops {
				var err error
				if o.del {
					err = tx.Delete("b", o.key)
					delete(model, o.key)
				} else {
					err = tx.Put("b", o.key, []byte(o.data))
					model[o.key] = o.data
				}
				if err != nil {
					return err
				}
			}
			compare(tx)
			return nil
		})
		view(t, s, func(tx store.Tx) error { compare(tx); return nil })
	}
}

// modelScan is a range by its definition.
func modelScan(model map[string]string, r store.Range) []string {
	var keys []string
	for k := range model {
		after := r.After == "" || !r.Reverse && k > r.After || r.Reverse && k < r.After
		if strings.HasPrefix(k, r.Prefix) && after {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	if r.Reverse {
		slices.Reverse(keys)
	}
	if r.Limit > 0 && len(keys) > r.Limit {
		keys = keys[:r.Limit]
	}
	out := []string{}
	for _, k := range keys {
		out = append(out, k+"="+model[k])
	}
	return out
}
