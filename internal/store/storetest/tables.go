package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/store"
)

type person struct {
	Name string
	Age  int
}

var people = store.Table[person]{
	Bucket: "people", Version: 2,
	Upgrade: func(version uint8, data []byte) ([]byte, error) {
		if version != 1 {
			return nil, fmt.Errorf("format %d was never written", version)
		}
		return bytes.ReplaceAll(data, []byte(`"Title"`), []byte(`"Name"`)), nil
	},
}

func tableVersions(t *testing.T, s store.Store) {
	update(t, s, func(tx store.Tx) error {
		return errors.Join(
			people.Put(tx, person{"Aiko", 30}, "jp", "a"),
			tx.Put("people", store.Key("jp", "old"), []byte("\x01"+`{"Title":"Bunta","Age":4}`)),
			tx.Put("people", store.Key("x", "older"), []byte("\x00{}")),
			tx.Put("people", store.Key("x", "newer"), []byte("\x03{}")),
			tx.Put("people", store.Key("x", "broken"), []byte("\x02{")),
			tx.Put("people", store.Key("x", "empty"), nil),
		)
	})
	view(t, s, func(tx store.Tx) error {
		rec, ok, err := people.Load(tx, "jp", "a")
		want := store.Record[person]{Key: []string{"jp", "a"}, Rev: tx.Revision(), Value: person{"Aiko", 30}}
		if diff := cmp.Diff(want, rec); diff != "" || !ok || err != nil {
			t.Errorf("Load: %v, %v (-want +got):\n%s", ok, err, diff)
		}
		if p, ok, err := people.Get(tx, "jp", "old"); p != (person{"Bunta", 4}) || !ok || err != nil {
			t.Errorf("record of an older format: %v, %v, %v", p, ok, err)
		}
		if _, ok, err := people.Get(tx, "jp", "none"); ok || err != nil {
			t.Errorf("no record: %v, %v", ok, err)
		}
		for key, text := range map[string]string{
			"older": "format 0 was never written", "newer": "knows up to 2", "broken": "JSON", "empty": "empty record",
		} {
			_, ok, err := people.Get(tx, "x", key)
			if ok || !errors.Is(err, store.ErrCorrupt) || !strings.Contains(err.Error(), text) {
				t.Errorf("%s: %v, %v; want ErrCorrupt with %q", key, ok, err, text)
			}
		}
		stuck := store.Table[person]{Bucket: "people", Version: 2}
		if _, _, err := stuck.Get(tx, "jp", "old"); !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("older format without Upgrade: %v", err)
		}
		n := 0
		for _, err := range people.Scan(tx, "x") {
			if n++; !errors.Is(err, store.ErrCorrupt) {
				t.Errorf("scan of a broken record: %v", err)
			}
		}
		if n != 1 {
			t.Errorf("a scan went on after a broken record: %d", n)
		}
		_, _, err = people.Page(tx, []string{"x"}, "", 10)
		wantErr(t, "page with a broken record", err, store.ErrCorrupt)
		return nil
	})
	update(t, s, func(tx store.Tx) error { return people.Delete(tx, "jp", "a") })
	view(t, s, func(tx store.Tx) error {
		if _, ok, err := people.Get(tx, "jp", "a"); ok || err != nil {
			t.Errorf("deleted record: %v, %v", ok, err)
		}
		return nil
	})
}

func tablePage(t *testing.T, s store.Store) {
	// Keys whose order depends on tuples: no part may run into the next.
	tuples := [][]string{{"a", "1"}, {"a", "10"}, {"a", "2"}, {"a", "2", "x"}, {"a\x00", "1"}, {"a\x01", "1"}, {"ab", "1"}, {"b", ""}}
	update(t, s, func(tx store.Tx) error {
		for i, k := range tuples {
			if err := people.Put(tx, person{Age: i}, k...); err != nil {
				return err
			}
		}
		return nil
	})
	pages := func(limit int, prefix ...string) (got [][]string, sizes []int) {
		after := ""
		for {
			var recs []store.Record[person]
			view(t, s, func(tx store.Tx) (err error) {
				recs, after, err = people.Page(tx, prefix, after, limit)
				return err
			})
			for _, r := range recs {
				got = append(got, r.Key)
				if k := tuples[r.Value.Age]; !cmp.Equal(k, r.Key) {
					t.Errorf("record of %q came as %q", k, r.Key)
				}
			}
			if sizes = append(sizes, len(recs)); after == "" {
				return got, sizes
			}
		}
	}
	for _, tt := range []struct {
		limit  int
		prefix []string
		want   [][]string
		sizes  []int
	}{
		{0, nil, tuples, []int{8}},
		{3, nil, tuples, []int{3, 3, 2}},
		{4, nil, tuples, []int{4, 4}},
		{100, nil, tuples, []int{8}},
		{2, []string{"a"}, tuples[:4], []int{2, 2}},
		{1, []string{"a", "2"}, tuples[2:4], []int{1, 1}},
		{1, []string{"a\x00"}, tuples[4:5], []int{1}},
		{1, []string{"none"}, nil, []int{0}},
	} {
		got, sizes := pages(tt.limit, tt.prefix...)
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%q by %d (-want +got):\n%s", tt.prefix, tt.limit, diff)
		}
		if diff := cmp.Diff(tt.sizes, sizes); diff != "" {
			t.Errorf("%q by %d, sizes (-want +got):\n%s", tt.prefix, tt.limit, diff)
		}
	}
	// The record that a page ended with is deleted before the next one is asked for.
	var next string
	view(t, s, func(tx store.Tx) (err error) { _, next, err = people.Page(tx, nil, "", 2); return err })
	update(t, s, func(tx store.Tx) error { return people.Delete(tx, "a", "10") })
	view(t, s, func(tx store.Tx) error {
		recs, _, err := people.Page(tx, nil, next, 1)
		if len(recs) != 1 || !cmp.Equal(recs[0].Key, []string{"a", "2"}) {
			t.Errorf("after a deleted record: %+v", recs)
		}
		return err
	})
}

// cachedFresh checks that a Cached never shows a value that is not the transaction's.
func cachedFresh(t *testing.T, s store.Store) {
	built := 0
	c := store.NewCached(people, 2, func(p person) (string, error) {
		built++
		if p.Age < 0 {
			return "", errOwn
		}
		return fmt.Sprint(p.Name, " ", p.Age), nil
	})
	shared := func(tx store.Tx, key, want string) {
		t.Helper()
		got, ok, err := c.Shared(tx, key)
		if got != want || ok != (want != "") || err != nil {
			t.Errorf("%s: %q, %v, %v; want %q", key, got, ok, err, want)
		}
	}
	read := func(key, want string) {
		t.Helper()
		view(t, s, func(tx store.Tx) error { shared(tx, key, want); return nil })
	}
	read("a", "")
	update(t, s, func(tx store.Tx) error {
		err := c.Put(tx, person{"A", 1}, "a")
		shared(tx, "a", "A 1")
		return err
	})
	before := built
	read("a", "A 1")
	read("a", "A 1")
	if built != before+1 {
		t.Errorf("built %d times for two reads", built-before)
	}
	err := s.Update(t.Context(), func(tx store.Tx) error {
		err := c.Put(tx, person{"A", 2}, "a")
		shared(tx, "a", "A 2") // its own, which nobody else may see
		return errors.Join(err, errOwn)
	})
	wantErr(t, "Update", err, errOwn)
	read("a", "A 1")
	update(t, s, func(tx store.Tx) error { return c.Put(tx, person{"A", 3}, "a") })
	read("a", "A 3")
	update(t, s, func(tx store.Tx) error {
		return errors.Join(c.Put(tx, person{"B", 1}, "b"), c.Put(tx, person{"C", 1}, "c"), c.Put(tx, person{"D", -1}, "d"))
	})
	for range 2 { // more than fit
		read("a", "A 3")
		read("b", "B 1")
		read("c", "C 1")
	}
	view(t, s, func(tx store.Tx) error {
		_, ok, err := c.Shared(tx, "d")
		if ok || !errors.Is(err, errOwn) {
			t.Errorf("a value that cannot be built: %v, %v", ok, err)
		}
		return nil
	})
	update(t, s, func(tx store.Tx) error { return c.Delete(tx, "a") })
	read("a", "")
}
