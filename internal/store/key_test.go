package store_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/store"
)

func TestKey(t *testing.T) {
	for _, tt := range []struct {
		parts []string
		want  string
	}{
		{nil, ""},
		{[]string{""}, "\x00"},
		{[]string{"a"}, "a\x00"},
		{[]string{"us-east-1", "111122223333"}, "us-east-1\x00111122223333\x00"},
		{[]string{"", ""}, "\x00\x00"},
		{[]string{"a\x00b", "\x01"}, "a\x01\x01b\x00\x01\x02\x00"},
		{[]string{"鍵\xff\x02"}, "鍵\xff\x02\x00"},
	} {
		got := store.Key(tt.parts...)
		if got != tt.want {
			t.Errorf("Key(%q) = %q; want %q", tt.parts, got, tt.want)
		}
		if back := store.SplitKey(got); !slices.Equal(back, tt.parts) {
			t.Errorf("SplitKey(%q) = %q; want %q", got, back, tt.parts)
		}
	}
}

// sign is -1, 0 or 1 for the order of two tuples.
func sign(a, b []string) int { return slices.Compare(a, b) }

func TestKeyOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	tuple := func() []string {
		out := make([]string, rng.IntN(4))
		for i := range out {
			b := make([]byte, rng.IntN(4))
			for j := range b {
				b[j] = []byte{0, 1, 2, 3, 'a', 0xff}[rng.IntN(6)]
			}
			out[i] = string(b)
		}
		return out
	}
	for range 20_000 {
		a, b := tuple(), tuple()
		if got, want := strings.Compare(store.Key(a...), store.Key(b...)), sign(a, b); got != want {
			t.Fatalf("%q and %q: keys compare %d, tuples %d", a, b, got, want)
		}
		if got, want := strings.HasPrefix(store.Key(a...), store.Key(b...)), len(b) <= len(a) && slices.Equal(a[:len(b)], b); got != want {
			t.Fatalf("%q starts with %q: %v by key, %v by parts", a, b, got, want)
		}
	}
}

func FuzzKey(f *testing.F) {
	f.Add("a", "b", "c", "d")
	f.Add("", "\x00", "\x01", "\x01\x02")
	f.Add("a\x00", "a", "a\x01", "\xff")
	f.Add("\x01\x01", "\x00\x00", "鍵", "")
	f.Fuzz(func(t *testing.T, a, b, c, d string) {
		x, y := []string{a, b}, []string{c, d}
		for _, parts := range [][]string{x, y, {a}, {a, b, c, d}} {
			if back := store.SplitKey(store.Key(parts...)); !slices.Equal(back, parts) {
				t.Errorf("%q came back as %q", parts, back)
			}
		}
		if got, want := strings.Compare(store.Key(x...), store.Key(y...)), sign(x, y); got != want {
			t.Errorf("%q and %q: keys compare %d, tuples %d", x, y, got, want)
		}
		store.SplitKey(a) // whatever it is, no panic
	})
}

func TestBounds(t *testing.T) {
	for _, tt := range []struct {
		r      store.Range
		lo, hi string
	}{
		{store.Range{}, "", ""},
		{store.Range{Prefix: "ab"}, "ab", "ac"},
		{store.Range{Prefix: "a\xff\xff"}, "a\xff\xff", "b"},
		{store.Range{Prefix: "\xff"}, "\xff", ""},
		{store.Range{Prefix: "\x7f"}, "\x7f", "\x80"}, // bytes, not characters
		{store.Range{After: "k"}, "k\x00", ""},
		{store.Range{Prefix: "a", After: "ab"}, "ab\x00", "b"},
		{store.Range{Prefix: "b", After: "a"}, "b", "c"},
		{store.Range{After: "k", Reverse: true}, "", "k"},
		{store.Range{Prefix: "a", After: "ab", Reverse: true}, "a", "ab"},
		{store.Range{Prefix: "a", After: "c", Reverse: true}, "a", "b"},
		{store.Range{Prefix: "\xff", After: "\xff\xff", Reverse: true}, "\xff", "\xff\xff"},
	} {
		lo, hi := tt.r.Bounds()
		if diff := cmp.Diff([]string{tt.lo, tt.hi}, []string{lo, hi}); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", tt.r, diff)
		}
	}
}

func FuzzBounds(f *testing.F) {
	f.Add("a", "ab", "abc", false)
	f.Add("\xff", "", "\xff\xff", true)
	f.Add("", "k", "k", false)
	f.Add("b", "a", "ba", true)
	f.Fuzz(func(t *testing.T, prefix, after, key string, reverse bool) {
		r := store.Range{Prefix: prefix, After: after, Reverse: reverse}
		want := strings.HasPrefix(key, prefix) && (after == "" || reverse && key < after || !reverse && key > after)
		lo, hi := r.Bounds()
		if got := key >= lo && (hi == "" || key < hi); got != want {
			t.Errorf("%q in %+v: %v by its bounds %q to %q, %v by definition", key, r, got, lo, hi, want)
		}
	})
}
