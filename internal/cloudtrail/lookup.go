package cloudtrail

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/cloudtrailapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/trail"
)

const (
	history     = 90 * 24 * time.Hour // how far back events can be looked up
	defaultPage = 50
	// maxExamined bounds what one request reads: a page may come early, or empty, with a token.
	maxExamined = 10_000
)

// LookupEvents finds events of the last 90 days, newest first.
func (s *Service) LookupEvents(ctx context.Context, c *guard.Call, in *cloudtrailapi.LookupEventsRequest) (*cloudtrailapi.LookupEventsResponse, error) {
	if err := s.allow(ctx, c, "*"); err != nil {
		return nil, err
	}
	f, err := s.filter(c, in)
	if err != nil {
		return nil, err
	}
	out := &cloudtrailapi.LookupEventsResponse{Events: []cloudtrailapi.Event{}}
	if in.EventCategory != nil { // of insights, which there are none
		return out, nil
	}
	match := matcher(in.LookupAttributes)
	limit := defaultPage
	if in.MaxResults != nil {
		limit = int(*in.MaxResults)
	}
	var last uint64 // sequence number of the last record that the page covers
	examined := 0
	for stored, err := range s.trail.Each(ctx, f) {
		if err != nil {
			return nil, fmt.Errorf("cloudtrail: %w", err)
		}
		rec, ok := stored.For(c.Account())
		if ok && match(&rec) {
			if len(out.Events) == limit {
				out.NextToken = s.token(c, in, last)
				break
			}
			e, err := event(&rec)
			if err != nil {
				return nil, err
			}
			out.Events = append(out.Events, e)
		}
		last = stored.Kagimori.Sequence
		if examined++; examined == maxExamined {
			out.NextToken = s.token(c, in, last)
			break
		}
	}
	// The log's order is that of the commits, which may differ from that of the times by little.
	slices.SortStableFunc(out.Events, func(a, b cloudtrailapi.Event) int { return b.EventTime.Compare(*a.EventTime) })
	return out, nil
}

// filter is what the trail can select by itself, from where the request's token left off.
func (s *Service) filter(c *guard.Call, in *cloudtrailapi.LookupEventsRequest) (trail.Filter, error) {
	f := trail.Filter{Account: c.Account(), Region: c.Region, Since: s.g.Now().Add(-history), Until: api.Val(in.EndTime)}
	if start := api.Val(in.StartTime); start.After(f.Since) {
		f.Since = start
	}
	switch {
	case in.StartTime != nil && in.EndTime != nil && in.StartTime.After(*in.EndTime):
		return f, apierr.New("InvalidTimeRangeException", "The start time of the look-up is after its end time.")
	case len(in.LookupAttributes) > 1:
		return f, apierr.New("InvalidLookupAttributesException", "A look-up takes one attribute.")
	}
	for _, a := range in.LookupAttributes {
		if api.Val(a.AttributeKey) == cloudtrailapi.LookupAttributeKeyEventName {
			f.EventName = api.Val(a.AttributeValue)
		}
	}
	if t := api.Val(in.NextToken); t != "" {
		before, ok := s.openToken(c, in, t)
		if !ok {
			return f, invalidToken()
		}
		f.Before = before
	}
	return f, nil
}
