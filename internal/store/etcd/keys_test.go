package etcd_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/store/etcd"
)

// names that could be taken for one another.
var (
	buckets = []string{"a", "aa", "a/b", "a\x01", "b", "\xff", "a\xff"}
	keys    = []string{"k", "k\x00", "k\x00\xff", "\x00", "\x01", "\xff", "\xff\xff", "kk", "k\x01", "é"}
)

// A pair's key in etcd says which pair it is; the order of a bucket's pairs is that of their keys, and the
// bounds of a bucket hold all of its pairs and nothing else.
func TestKeysSayWhatTheyAre(t *testing.T) {
	for _, p := range []etcd.Space{"", "p/", "\xff"} {
		lo, hi := p.Data()
		if own := p.Own("floor"); own >= lo {
			t.Errorf("%q is among the pairs", own)
		}
		for _, b := range buckets {
			from, to := p.Bounds(b, store.Range{})
			for _, other := range buckets {
				for _, k := range keys {
					at := p.Key(other, k)
					if inside := at >= from && at < to; inside != (other == b) {
						t.Errorf("%q of %q: in the bounds of %q: %v", k, other, b, inside)
					}
					if at < lo || hi != "\x00" && at >= hi {
						t.Errorf("%q of %q is not among the pairs", k, other)
					}
					if gotB, gotK, ok := p.Split(at); !ok || gotB != other || gotK != k {
						t.Errorf("%q of %q is %q of %q", k, other, gotK, gotB)
					}
				}
			}
			sorted := slices.Sorted(slices.Values(keys))
			if !slices.IsSortedFunc(sorted, func(x, y string) int { return strings.Compare(p.Key(b, x), p.Key(b, y)) }) {
				t.Errorf("the order of %q is another in etcd", b)
			}
		}
		for _, foreign := range []string{"x/k", string(p) + "\x00lease", string(p) + "no end"} {
			if b, k, ok := p.Split(foreign); ok && (p != "" || !strings.Contains(foreign, "\x00") || b == "") {
				t.Errorf("%q is %q of %q", foreign, k, b)
			}
		}
	}
}

// The bounds of a range hold what the range does.
func TestBounds(t *testing.T) {
	p := etcd.Space("p/")
	random := rand.New(rand.NewPCG(1, 2))
	any := func() string {
		if random.IntN(3) == 0 {
			return ""
		}
		return keys[random.IntN(len(keys))]
	}
	for range 3000 {
		r := store.Range{Prefix: any(), After: any(), Reverse: random.IntN(2) == 0}
		lo, hi := r.Bounds()
		from, to := p.Bounds("b", r)
		for _, k := range keys {
			want := k >= lo && (hi == "" || k < hi)
			if got := p.Key("b", k) >= from && p.Key("b", k) < to; got != want {
				t.Fatalf("%+v: %q is in: %v, want %v", r, k, got, want)
			}
		}
	}
}

func FuzzKeys(f *testing.F) {
	f.Add("bucket", "key")
	f.Add("a\x00b", "\x00\xff")
	f.Fuzz(func(t *testing.T, bucket, key string) {
		p := etcd.Space("p/")
		if bucket == "" || bucket[0] == 0 || key == "" {
			return
		}
		if b, k, ok := p.Split(p.Key(bucket, key)); !ok || b != bucket || k != key {
			t.Errorf("%q of %q is %q of %q, %v", key, bucket, k, b, ok)
		}
		if from, to := p.Bounds(bucket, store.Range{}); p.Key(bucket, key) < from || p.Key(bucket, key) >= to {
			t.Errorf("%q of %q is outside its bucket", key, bucket)
		}
	})
}

// What the cluster says is one of the contract's errors, and whether it may have had an effect is known.
func TestReasons(t *testing.T) {
	for _, tt := range []struct {
		err      error
		want     error
		definite bool
	}{
		{rpctypes.ErrRequestTooLarge, store.ErrTooLarge, true},
		{rpctypes.ErrTooManyOps, store.ErrTooLarge, true},
		{rpctypes.ErrNoSpace, store.ErrUnavailable, true},
		{rpctypes.ErrNoLeader, store.ErrUnavailable, false},
		{rpctypes.ErrTimeout, store.ErrUnavailable, false},
		{context.DeadlineExceeded, store.ErrUnavailable, false},
		{context.Canceled, store.ErrUnavailable, false},
		{status.Error(codes.InvalidArgument, "x"), store.ErrUnavailable, true},
		{status.Error(codes.Unavailable, "x"), store.ErrUnavailable, false},
		{fmt.Errorf("%w: x", store.ErrCorrupt), store.ErrCorrupt, false},
		{errors.New("x"), store.ErrUnavailable, false},
	} {
		if got := etcd.Reason(tt.err); !errors.Is(got, tt.want) {
			t.Errorf("%v: %v", tt.err, got)
		}
		if got := etcd.Definite(tt.err); got != tt.definite {
			t.Errorf("%v: definite %v", tt.err, got)
		}
	}
	if etcd.Reason(nil) != nil {
		t.Error("no error is one")
	}
	if err := etcd.Reason(rpctypes.ErrPermissionDenied); errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "refuses the user") {
		t.Errorf("a refused user: %v", err)
	}
}
