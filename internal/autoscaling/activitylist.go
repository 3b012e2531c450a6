package autoscaling

import (
	"context"
	"slices"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// fetchTogether is how many activities one transaction reads.
const fetchTogether = 80

// activityListing is what a request for activities has found out so far.
type activityListing struct {
	place                       // Name is "" for all groups
	alive     map[string]string // groups that are there, or the one that is named: ARNs
	deleted   bool              // tell of groups that are gone too
	limit     int
	after     string   // key of the last activity shown
	afterOpen bool     // it was one in progress
	open      []string // those in progress, newest first
	ids       []string // to be shown, in this order
	more      bool     // others follow
	picks     activityPick
}

// DescribeScalingActivities lists activities, those in progress first, then the newest.
func (s *Service) DescribeScalingActivities(ctx context.Context, c *guard.Call, in *autoscalingapi.DescribeScalingActivitiesType) (*autoscalingapi.ActivitiesType, error) {
	limit, err := bound(in.MaxRecords, 100, 100)
	if err != nil {
		return nil, err
	}
	if len(in.ActivityIds) > maxNamedActivities {
		return nil, validation("The number of activity ids that may be passed in is limited to %d", maxNamedActivities)
	}
	l := activityListing{place: place{c.Region, c.Account(), api.Val(in.AutoScalingGroupName)}, deleted: api.Val(in.IncludeDeletedGroups), limit: limit}
	if l.picks, err = activityFilter(in); err != nil {
		return nil, err
	}
	prefix := store.Key(l.Region, l.Account)
	from, err := after(in.NextToken, prefix)
	if err != nil {
		return nil, err
	}
	l.after, l.afterOpen = from, false
	if parts := store.SplitKey(from); len(parts) == 5 { // with a mark behind it
		l.after, l.afterOpen = store.Key(parts[:4]...), true
	}
	out := &autoscalingapi.ActivitiesType{Activities: []autoscalingapi.Activity{}}
	for { // until the page is full: a filter leaves others out
		err = s.listing(ctx, c, func(tx store.Tx) error {
			l.ids, l.more = nil, false
			return l.find(tx, in.ActivityIds)
		})
		if err != nil {
			return nil, err
		}
		if err := s.tellActivities(ctx, &l, out); err != nil {
			return nil, err
		}
		if l.limit = limit - len(out.Activities); l.picks == nil || !l.more || l.limit == 0 {
			return out, nil
		}
	}
}

// maxNamedActivities is how many activities one request may name. Source: API Reference,
// DescribeScalingActivities.
const maxNamedActivities = 50

// find finds the ids of the activities to show; those in progress are told by their groups.
func (l *activityListing) find(tx store.Tx, named []string) error {
	if err := l.findOpen(tx); err != nil {
		return err
	}
	if len(named) > 0 {
		ids := slices.Compact(slices.Sorted(slices.Values(named)))
		slices.SortFunc(ids, byOrder)
		l.cut(ids)
		return nil
	}
	if l.after == "" || l.afterOpen {
		l.cut(l.open)
		if l.more {
			return nil
		}
		l.after = ""
	}
	add := func(id string) bool {
		if slices.Contains(l.open, id) {
			return true
		}
		if len(l.ids) == l.limit {
			l.more = true
			return false
		}
		l.ids = append(l.ids, id)
		return true
	}
	if l.Name != "" {
		r := store.Range{Prefix: store.Key(l.key()...)}
		if parts := store.SplitKey(l.after); len(parts) == 4 {
			r.After = store.Key(append(l.key(), parts[2:]...)...)
		}
		return scan(tx, activityOf, r, func(key []string, arn *string) bool {
			return !l.deleted && l.alive[l.Name] != *arn || add(key[4])
		})
	}
	return scan(tx, activityTable, store.Range{Prefix: store.Key(l.Region, l.Account), After: l.after}, func(_ []string, a *activityRecord) bool {
		return !l.deleted && l.alive[a.Group] != a.GroupARN || add(a.ID)
	})
}

func byOrder(a, b string) int {
	return slices.Compare([]string{activityOrder(a), a}, []string{activityOrder(b), b})
}

// cut adds those of ids, in their order, that come after the last one shown.
func (l *activityListing) cut(ids []string) {
	l.ids = nil
	for _, id := range ids {
		if store.Key(l.Region, l.Account, activityOrder(id), id) <= l.after {
			continue
		}
		if len(l.ids) == l.limit {
			l.more = true
			return
		}
		l.ids = append(l.ids, id)
	}
}

// findOpen finds the groups, and the activities in progress.
func (l *activityListing) findOpen(tx store.Tx) error {
	l.alive, l.open = map[string]string{}, nil
	var err error
	see := func(_ []string, g *groupRecord) bool {
		l.alive[g.Name] = g.arn()
		l.open = append(l.open, g.Launching...)
		return true
	}
	prefix := []string{l.Region, l.Account}
	if l.Name == "" {
		err = scan(tx, groupTable, store.Range{Prefix: store.Key(prefix...)}, see)
	} else {
		prefix = l.key()
		g, ok, failed := groupTable.Get(tx, prefix...)
		if err = failed; ok {
			see(nil, &g)
		} else if err == nil && !l.deleted {
			err = notFound(l.Name)
		}
	}
	if err != nil {
		return err
	}
	err = scan(tx, memberTable, store.Range{Prefix: store.Key(prefix...)}, func(_ []string, m *memberRecord) bool {
		if m.Activity != "" {
			l.open = append(l.open, m.Activity)
		}
		return true
	})
	slices.SortFunc(l.open, byOrder)
	l.open = slices.Compact(l.open)
	return err
}

// tellActivities reads the activities that were found, and adds them to the answer.
func (s *Service) tellActivities(ctx context.Context, l *activityListing, out *autoscalingapi.ActivitiesType) error {
	for part := range slices.Chunk(l.ids, fetchTogether) {
		var found []activityRecord
		err := s.g.Read(ctx, func(tx store.Tx) error {
			found = nil
			for _, id := range part {
				a, ok, err := getActivity(tx, l.place, id)
				if err != nil {
					return err
				}
				if ok {
					found = append(found, a)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, a := range found {
			gone := l.alive[a.Group] != a.GroupARN
			if l.Name != "" && a.Group != l.Name || gone && !l.deleted || s.g.Now().Sub(a.Start) >= activityAge || l.picks != nil && !l.picks(&a) {
				continue
			}
			out.Activities = append(out.Activities, a.describe(gone))
		}
	}
	out.NextToken = nil
	if l.more {
		last := l.ids[len(l.ids)-1]
		key := []string{l.Region, l.Account, activityOrder(last), last}
		l.after, l.afterOpen = store.Key(key...), slices.Contains(l.open, last)
		if l.afterOpen {
			key = append(key, "open")
		}
		out.NextToken = token(store.Key(key...))
	}
	return nil
}

// FailedActivity tells when and why an activity failed; ok is false if there is none that did.
func (s *Service) FailedActivity(tx store.Tx, region, account, id string) (at time.Time, why string, ok bool, err error) {
	a, ok, err := getActivity(tx, place{Region: region, Account: account}, id)
	return a.End, a.Message, ok && !a.open() && a.Message != "", err
}
