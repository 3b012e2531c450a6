package storetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/kagimori/kagimori/internal/store"
)

// memory has values made of several buckets, one of another, with store.Memo and store.Cached.
type memory struct {
	leaf, pair, all store.Memo[string]
	cached          *store.Cached[string, string]
	wide            *store.Cached[string, string] // with room for more than a store remembers
}

var memoBuckets = [...]string{"m0", "m1", "m2", "m3"}

const memoTable = "m3" // the bucket whose records are of a table

// of is what a bucket has; remember is whether it may be remembered.
func (m *memory) of(tx store.Tx, bucket string, remember bool) (string, error) {
	read := func() (string, error) {
		var out strings.Builder
		for p, err := range tx.Scan(bucket, store.Range{}) {
			if err != nil {
				return "", err
			}
			fmt.Fprintf(&out, "%s=%s;", p.Key, p.Data)
		}
		return out.String(), nil
	}
	if !remember {
		return read()
	}
	return m.leaf.Get(tx, read, bucket)
}

// two is what two buckets have, and one record.
func (m *memory) two(tx store.Tx, a, b string, remember bool) (string, error) {
	read := func() (string, error) {
		x, err := m.of(tx, a, remember)
		if err != nil {
			return "", err
		}
		y, err := m.of(tx, b, remember)
		if err != nil {
			return "", err
		}
		z, err := m.record(tx, remember)
		return x + "/" + y + "/" + z, err
	}
	if !remember {
		return read()
	}
	return m.pair.Get(tx, read, a, b)
}

// record is one of the table.
func (m *memory) record(tx store.Tx, remember bool) (string, error) {
	if remember {
		v, _, err := m.cached.Shared(tx, "k")
		if err != nil {
			return "", err
		}
		w, _, err := m.wide.Shared(tx, "k")
		return v + "," + w, err
	}
	v, _, err := m.cached.Get(tx, "k")
	return v + "," + v, err
}

// everything is made of others, some of which are remembered already, and of a record of its own.
func (m *memory) everything(tx store.Tx, remember bool) (string, error) {
	read := func() (string, error) {
		v, _, err := tx.Get("m2", "a")
		if err != nil {
			return "", err
		}
		x, err := m.two(tx, "m0", "m1", remember)
		if err != nil {
			return "", err
		}
		y, err := m.of(tx, "m0", remember) // read before, by what was just made
		return string(v.Data) + "!" + x + "!" + y, err
	}
	if !remember {
		return read()
	}
	return m.all.Get(tx, read)
}

// check compares what is remembered with what is there.
func (m *memory) check(tx store.Tx, rng *rand.Rand) error {
	a, b := memoBuckets[rng.IntN(3)], memoBuckets[rng.IntN(3)]
	for i := range 3 {
		var ask func(remember bool) (string, error)
		switch (i + rng.IntN(2)) % 4 {
		case 0:
			ask = func(remember bool) (string, error) { return m.of(tx, a, remember) }
		case 1:
			ask = func(remember bool) (string, error) { return m.two(tx, a, b, remember) }
		case 2:
			ask = func(remember bool) (string, error) { return m.everything(tx, remember) }
		default:
			ask = func(remember bool) (string, error) { return m.record(tx, remember) }
		}
		got, err := ask(true)
		if err != nil {
			return err
		}
		want, err := ask(false)
		if err != nil {
			return err
		}
		if got != want {
			return fmt.Errorf("at revision %d: %q is remembered, %q is there", tx.Revision(), got, want)
		}
	}
	return nil
}

// memosTrue: what is remembered is what is there, whatever others change meanwhile, and whatever the transaction
// itself or those that fail do.
func memosTrue(t *testing.T, s store.Store) {
	same := func(v string) (string, error) { return v, nil }
	m := &memory{
		leaf: store.NewMemo[string](), pair: store.NewMemo[string](), all: store.NewMemo[string](),
		cached: store.NewCached(store.Table[string]{Bucket: memoTable, Version: 1}, 10, same),
		wide:   store.NewCached(store.Table[string]{Bucket: memoTable, Version: 1}, 1<<20, same),
	}
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(i), 7))
			for n := range 60 {
				if rng.IntN(3) > 0 {
					err := s.View(t.Context(), func(tx store.Tx) error { return m.check(tx, rng) })
					if err != nil && !store.Passing(err) {
						t.Error(err)
					}
					continue
				}
				seed := rng.Uint64() // closures run more than once
				err := s.Update(t.Context(), func(tx store.Tx) error {
					rng := rand.New(rand.NewPCG(seed, 8))
					if err := m.check(tx, rng); err != nil {
						return err
					}
					bucket, key, value := memoBuckets[rng.IntN(len(memoBuckets))], string('a'+rune(rng.IntN(3))), fmt.Sprint(i, n)
					var err error
					switch {
					case bucket == memoTable:
						err = m.cached.Put(tx, value, "k")
					case rng.IntN(3) == 0:
						err = tx.Delete(bucket, key)
					default:
						err = tx.Put(bucket, key, []byte(value))
					}
					if err != nil {
						return err
					}
					if err := m.check(tx, rng); err != nil {
						return err
					}
					if rng.IntN(4) == 0 {
						return errOwn
					}
					return nil
				})
				if err != nil && !errors.Is(err, errOwn) && !store.Passing(err) {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}
