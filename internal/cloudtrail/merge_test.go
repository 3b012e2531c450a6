package cloudtrail_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/cloudtrailapi"
	"github.com/kagimori/kagimori/internal/cloudtrail"
	"github.com/kagimori/kagimori/internal/guard/guardtest"
	"github.com/kagimori/kagimori/internal/trail"
)

// A node is a log that others ask.
type node struct {
	recs []trail.Record // oldest first
	down bool
}

func (n *node) source(name string) cloudtrail.Source {
	return cloudtrail.Source{Node: name, Each: func(_ context.Context, f trail.Filter) iter.Seq2[trail.Record, error] {
		return func(yield func(trail.Record, error) bool) {
			if n.down {
				yield(trail.Record{}, fmt.Errorf("%w: it is off", cloudtrail.ErrUnavailable))
				return
			}
			for _, r := range slices.Backward(n.recs) {
				if (f.Before == 0 || r.Kagimori.Sequence < f.Before) && (f.Until.IsZero() || !r.EventTime.After(f.Until)) && !yield(r, nil) {
					return
				}
			}
		}
	}}
}

// nodes are three logs with an event each second, by turns.
func nodes(k *kit, total int) []*node {
	all := []*node{{}, {}, {}}
	for i := range total {
		n := all[i%3]
		n.recs = append(n.recs, trail.Record{
			EventName: "Op", EventID: fmt.Sprint(i), AWSRegion: "us-west-2", RecipientAccountID: account, UserIdentity: trail.UserIdentity{AccountID: account},
			EventTime: k.Guard.Now().Add(time.Duration(i-total) * time.Second).Truncate(time.Second), Kagimori: trail.Extension{Sequence: uint64(len(n.recs) + 1)},
		})
	}
	return all
}

func newNodesKit(t *testing.T, total int) (*kit, []*node) {
	w := guardtest.New(t)
	k := &kit{World: w, t: t}
	all := nodes(k, total)
	k.events = cloudtrail.New(cloudtrail.Config{Guard: w.Guard, Trail: w.Trail, Tokens: w.Module.Box("token"), Sources: func(context.Context) ([]cloudtrail.Source, error) {
		var out []cloudtrail.Source
		for i, n := range all {
			out = append(out, n.source(fmt.Sprint("node-", i)))
		}
		return out, nil
	}})
	return k, all
}

// pages asks for all pages and returns the ids of their events. between is called after each.
func (k *kit) pages(size int32, between func(page int)) (ids []string) {
	k.t.Helper()
	in := attributes("EventName", "Op")
	in.LookupAttributes = nil
	for page := range 100 {
		in.MaxResults = &size
		out := k.lookup(account, in)
		if len(out.Events) > int(size) {
			k.t.Fatalf("a page of %d", len(out.Events))
		}
		for _, e := range out.Events {
			ids = append(ids, *e.EventId)
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			return ids
		}
		if between != nil {
			between(page)
		}
	}
	k.t.Fatal("no end")
	return nil
}

func down(n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprint(n-1-i))
	}
	return out
}

// The logs of all nodes are one history, newest first, whatever the pages.
func TestNodesAreOneHistory(t *testing.T) {
	k, all := newNodesKit(t, 40)
	for _, size := range []int32{1, 3, 7, 39, 40, 50} {
		if got := k.pages(size, nil); !slices.Equal(got, down(40)) {
			t.Errorf("pages of %d: %v", size, got)
		}
	}
	all[1].recs = nil // has nothing
	if got := k.pages(5, nil); len(got) != 27 {
		t.Errorf("%d events", len(got))
	}
}

// A node that is down is said to be, once, and does not keep the others from answering. What it has follows
// when it comes back, as far as it is older.
func TestANodeIsDown(t *testing.T) {
	k, all := newNodesKit(t, 30)
	all[2].down = true
	for _, size := range []int32{1, 2, 4, 50} {
		got := k.pages(size, nil)
		if len(got) != 21 || !slices.Contains(got[:2], "unavailable-node-2") {
			t.Errorf("pages of %d: %d events, %v", size, len(got), got)
		}
	}
	out := k.lookup(account, &cloudtrailapi.LookupEventsRequest{})
	e := out.Events[0]
	if *e.EventName != "NodeUnavailable" || *e.EventSource != "kagimori.amazonaws.com" || *e.Resources[0].ResourceName != "node-2" {
		t.Errorf("%+v", e)
	}
	got := k.pages(6, func(page int) { all[2].down = page < 1 })
	var missing []string
	for _, id := range down(30) {
		if !slices.Contains(got, id) {
			missing = append(missing, id)
		}
	}
	if !slices.Equal(missing, []string{"29", "26", "23", "20", "17", "14"}) || len(got) != 31-len(missing) {
		t.Errorf("missing %v of %v", missing, got)
	}
	all[2].down = false
	got = k.pages(6, func(page int) { all[0].down = page == 1 }) // goes on where it was
	for _, id := range append(down(30), "unavailable-node-0") {
		if !slices.Contains(got, id) {
			t.Errorf("%s is missing", id)
		}
	}
	if len(got) != 31 {
		t.Errorf("%v", got)
	}
}

// Another error is an error.
func TestABrokenLog(t *testing.T) {
	w := guardtest.New(t)
	k := &kit{World: w, t: t}
	k.events = cloudtrail.New(cloudtrail.Config{Guard: w.Guard, Tokens: w.Module.Box("token"), Sources: func(context.Context) ([]cloudtrail.Source, error) {
		return []cloudtrail.Source{{Node: "a", Each: func(context.Context, trail.Filter) iter.Seq2[trail.Record, error] {
			return func(yield func(trail.Record, error) bool) { yield(trail.Record{}, trail.ErrBroken) }
		}}}, nil
	}})
	if _, err := k.try(k.Lookup(account+"ADMIN"), &cloudtrailapi.LookupEventsRequest{}); !errors.Is(err, trail.ErrBroken) {
		t.Error(err)
	}
}
