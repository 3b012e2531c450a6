package cloudtrail

import (
	"context"
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
	from, ok := s.position(c, in)
	if !ok {
		return nil, invalidToken()
	}
	all, stop, err := s.streams(ctx, f, &from)
	if err != nil {
		return nil, err
	}
	defer stop()
	p := page{limit: limit, position: from}
	for p.examined < maxExamined && !p.more {
		one, err := newest(all, p.down)
		if err != nil {
			return nil, err
		}
		if one == nil {
			break
		}
		rec, ok := one.rec.For(c.Account())
		if ok && match(&rec) {
			if p.full() {
				p.more = true
				continue
			}
			e, err := event(&rec)
			if err != nil {
				return nil, err
			}
			out.Events = append(out.Events, e)
			p.events++
		}
		p.cover(one)
		one.pull()
	}
	if p.more || p.examined == maxExamined {
		p.begin(all)
		out.NextToken = s.token(c, in, &p.position)
	}
	for _, node := range p.missing {
		out.Events = append(out.Events, unavailable(node, s.g.Now()))
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
	return f, nil
}

// A page is what an answer has so far.
type page struct {
	position
	limit    int
	events   int // that are not said to be missing
	examined int
	missing  []string // nodes that could not be asked, and were not told of before
	more     bool
}

// full reports whether the page has no room for another event.
func (p *page) full() bool { return p.events+len(p.missing) >= p.limit }

// down notes that a node could not be asked: on this page, or if that is full on the next, which asks again.
func (p *page) down(node string) {
	switch {
	case slices.Contains(p.Down, node):
	case p.full():
		p.more = true
	default:
		p.Down, p.missing = append(p.Down, node), append(p.missing, node)
	}
}

// cover notes that the page covers the next record of a log.
func (p *page) cover(one *stream) {
	if p.Seen == nil {
		p.Seen = map[string]uint64{}
	}
	p.Seen[one.node], p.Until = one.rec.Kagimori.Sequence, one.rec.EventTime.Unix()
	p.examined++
}

// begin has the next page begin with the next record of the logs that none was taken of.
func (p *page) begin(all []*stream) {
	for _, one := range all {
		if _, seen := p.Seen[one.node]; one.ok && !seen {
			if p.Seen == nil {
				p.Seen = map[string]uint64{}
			}
			p.Seen[one.node] = one.rec.Kagimori.Sequence + 1
		}
	}
}
