package trail_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/trail"
)

// The same look-ups from the index, from segments behind a short index, and from compressed ones.
func TestFind(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*trail.Config)
		reopen bool
	}{
		{"index", nil, false},
		{"index, opened anew", nil, true},
		{"short index", func(c *trail.Config) { c.Recent = 10 }, false},
		{"short index, opened anew", func(c *trail.Config) { c.Recent = 10 }, true},
		{"many segments", func(c *trail.Config) { c.MaxSegment = 3000 }, true},
		{"short index, many segments", func(c *trail.Config) { c.Recent, c.MaxSegment = 10, 3000 }, false},
		{"short index, many segments, opened anew", func(c *trail.Config) { c.Recent, c.MaxSegment = 10, 3000 }, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFolder(t)
			tr := f.open(t, tt.change)
			for i := range 60 {
				r := record(i)
				if i%20 == 7 {
					r.ErrorCode, r.ErrorMessage = "AccessDeniedException", "no"
				}
				if err := tr.Append(r); err != nil {
					t.Fatal(err)
				}
			}
			if tt.reopen {
				closeTrail(t, tr)
				tr = f.open(t, tt.change)
			}
			at := func(i int) time.Time { return epoch.Truncate(time.Second).Add(time.Duration(i) * time.Second) }
			for _, q := range []struct {
				name string
				f    trail.Filter
				want []string
			}{
				{"all", trail.Filter{}, numbers(0, 60)},
				{"limit", trail.Filter{Limit: 3}, numbers(57, 60)},
				{"long limit", trail.Filter{Limit: 30}, numbers(30, 60)},
				{"request", trail.Filter{RequestID: "request-3"}, []string{"3"}},
				{"new request", trail.Filter{RequestID: "request-59"}, []string{"59"}},
				{"unknown request", trail.Filter{RequestID: "request-"}, nil},
				{"errors", trail.Filter{ErrorOnly: true}, []string{"47", "27", "7"}},
				{"times", trail.Filter{Since: at(10), Until: at(13)}, numbers(10, 14)},
				{"since", trail.Filter{Since: at(58)}, numbers(58, 60)},
				{"until", trail.Filter{Until: at(1)}, numbers(0, 2)},
				{"resource", trail.Filter{ResourceARN: "arn:key/4", Limit: 2}, []string{"59", "54"}},
				{"principal", trail.Filter{PrincipalARN: "arn:aws:iam::111122223333:user/u1", Until: at(5)}, []string{"4", "1"}},
				{"name", trail.Filter{EventName: "Decrypt", Until: at(4)}, []string{"3", "1"}},
				{"caller's account", trail.Filter{Account: "111122223333", Limit: 1}, []string{"59"}},
				{"resource's account", trail.Filter{Account: "444455556666", Until: at(0)}, []string{"0"}},
				{"another account", trail.Filter{Account: "999999999999"}, nil},
				{"before", trail.Filter{Before: 11}, numbers(0, 10)},
				{"before and limit", trail.Filter{Before: 51, Limit: 2}, numbers(48, 50)},
				{"before the first", trail.Filter{Before: 1}, nil},
				{"before what is not there yet", trail.Filter{Before: 1000, Limit: 1}, numbers(59, 60)},
				{"region", trail.Filter{Region: "eu-west-1", Limit: 1}, numbers(59, 60)},
				{"another region", trail.Filter{Region: "us-west-1"}, nil},
				{"no such name", trail.Filter{EventName: "Sign"}, nil},
			} {
				if d := cmp.Diff(q.want, ids(t, tr, q.f)); d != "" {
					t.Errorf("%s: %s", q.name, d)
				}
			}
		})
	}
}

// A request may have several records, on both sides of the index's border.
func TestGetSpreadRequests(t *testing.T) {
	for _, recent := range []int{2, 3, 4, 5, 20000} {
		f := newFolder(t)
		tr := f.open(t, func(c *trail.Config) { c.Recent, c.MaxSegment = recent, 1500 })
		for i := range 12 {
			r := record(i)
			if i >= 4 && i < 9 {
				r.RequestID = "launch"
			}
			if err := tr.Append(r); err != nil {
				t.Fatal(err)
			}
		}
		recs, err := tr.Get(t.Context(), "launch")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range recs {
			got = append(got, r.EventID)
		}
		if d := cmp.Diff([]string{"event-8", "event-7", "event-6", "event-5", "event-4"}, got); d != "" {
			t.Errorf("with %d in the index: %s", recent, d)
		}
		if recs, err := tr.Get(t.Context(), ""); len(recs) != 0 || err != nil {
			t.Errorf("no request: %d records, %v", len(recs), err)
		}
	}
}

// Texts that JSON escapes are found in segments too.
func TestFindEscaped(t *testing.T) {
	f := newFolder(t)
	tr := f.open(t, func(c *trail.Config) { c.Recent = 1 })
	odd := "a\"b\\c<&>\u2028é\n"
	r := record(0)
	r.RequestID, r.UserIdentity.ARN = odd, odd
	if err := tr.Append(r); err != nil {
		t.Fatal(err)
	}
	appendRecords(t, tr, 1, 5)
	for _, q := range []trail.Filter{{RequestID: odd}, {PrincipalARN: odd}} {
		if recs, err := tr.Find(t.Context(), q); err != nil || len(recs) != 1 || recs[0].RequestID != odd {
			t.Errorf("%+v: %d records, %v", q, len(recs), err)
		}
	}
}

// Many records come in parts, each once and in order, whatever the index forgets meanwhile.
func TestEach(t *testing.T) {
	const total = 1000
	for _, recent := range []int{300, 600, 20000} {
		f := newFolder(t)
		tr := f.open(t, func(c *trail.Config) { c.Recent, c.MaxSegment = recent, 100_000 })
		appendRecords(t, tr, 0, total)
		next, added := total-1, total
		for rec, err := range tr.Each(t.Context(), trail.Filter{Before: total + 1}) {
			if err != nil {
				t.Fatal(err)
			}
			if want := fmt.Sprintf("request-%d", next); rec.RequestID != want {
				t.Fatalf("%d in the index: %s, want %s", recent, rec.RequestID, want)
			}
			if next--; next%2 == 0 && added < total+400 {
				if err := tr.Append(record(added)); err != nil {
					t.Fatal(err)
				}
				added++
			}
		}
		if next != -1 {
			t.Errorf("%d in the index: ends before %d", recent, next)
		}
		n := 0
		for range tr.Each(t.Context(), trail.Filter{}) {
			if n++; n == 700 { // one may stop anywhere
				break
			}
		}
		if n != 700 {
			t.Errorf("%d in the index: %d records", recent, n)
		}
	}
}

func TestFindEndsWithItsContext(t *testing.T) {
	tr := newFolder(t).open(t, nil)
	appendRecords(t, tr, 0, 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := tr.Find(ctx, trail.Filter{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := tr.Verify(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Verify: %v", err)
	}
}

// Look-ups, appends and rotations at once.
func TestFindWhileAppending(t *testing.T) {
	f := newFolder(t)
	tr := f.open(t, func(c *trail.Config) { c.Recent, c.MaxSegment = 50, 5000 })
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 300 {
			if err := tr.Append(record(i)); err != nil {
				t.Error(err)
			}
		}
	}()
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		recs, err := tr.Find(t.Context(), trail.Filter{})
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range recs {
			if want := fmt.Sprintf("request-%d", len(recs)-1-i); r.RequestID != want {
				t.Fatalf("record %d of %d is %s", i, len(recs), r.RequestID)
			}
		}
		verify(t, tr)
	}
}

func BenchmarkGet(b *testing.B) {
	tr := newFolder(b).open(b, nil)
	appendRecords(b, tr, 0, 20000)
	for _, id := range []string{"request-19999", "request-0", "request-x"} {
		b.Run(id, func(b *testing.B) {
			for b.Loop() {
				if _, err := tr.Get(b.Context(), id); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
