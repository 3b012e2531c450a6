package cloudtrail

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/kagimori/kagimori/internal/trail"
)

// ErrUnavailable is wrapped by what a [Source] yields that cannot be asked now.
var ErrUnavailable = errors.New("cloudtrail: the log cannot be asked")

// A Source is the log of one node.
type Source struct {
	Node string // "" is the only one
	// Each is that of a trail.
	Each func(ctx context.Context, f trail.Filter) iter.Seq2[trail.Record, error]
}

// position is how far a look-up came: what a token has.
type position struct {
	// Seen are the lowest sequence numbers that pages covered, by node.
	Seen map[string]uint64 `json:"seen,omitempty"`
	// Until is the time of the last record of the pages, in Unix seconds: the log of a node that was not
	// asked before goes on there, and not with what is newer. 0 without a page.
	Until int64 `json:"until,omitempty"`
	// Down are the nodes that the pages said could not be asked.
	Down []string `json:"down,omitempty"`
}

// A stream is the log of a node during a look-up.
type stream struct {
	node string
	next func() (trail.Record, error, bool)
	stop func()
	rec  trail.Record // the next one
	err  error
	ok   bool // rec is there
}

func (s *stream) pull() { s.rec, s.err, s.ok = s.next() }

// streams begin to read the logs of all nodes from a position. stop ends them.
func (s *Service) streams(ctx context.Context, f trail.Filter, p *position) (all []*stream, stop func(), err error) {
	sources, err := s.sources(ctx)
	if err != nil {
		return nil, nil, err
	}
	var wait sync.WaitGroup
	for _, source := range sources {
		from := f
		seen, asked := p.Seen[source.Node]
		if from.Before = seen; !asked && p.Until > 0 {
			if until := time.Unix(p.Until, 0); from.Until.IsZero() || until.Before(from.Until) {
				from.Until = until
			}
		}
		one := &stream{node: source.Node}
		one.next, one.stop = iter.Pull2(source.Each(ctx, from))
		all = append(all, one)
		wait.Go(one.pull)
	}
	wait.Wait()
	return all, func() {
		for _, one := range all {
			one.stop()
		}
	}, nil
}

// newest is the stream whose next record is the newest; nil if all ended. A node that cannot be asked ends,
// and is told of by down.
func newest(all []*stream, down func(node string)) (*stream, error) {
	var first *stream
	for _, one := range all {
		switch {
		case one.ok && one.err != nil && errors.Is(one.err, ErrUnavailable) && one.node != "":
			one.ok = false
			down(one.node)
		case one.ok && one.err != nil:
			return nil, fmt.Errorf("cloudtrail: %w", one.err)
		case one.ok && (first == nil || one.rec.EventTime.After(first.rec.EventTime)):
			first = one
		}
	}
	return first, nil
}
