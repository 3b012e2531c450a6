package trail

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"
)

// entry is a record in the index: what look-ups ask for, and where the rest is.
type entry struct {
	head
	seq     uint64
	segment int
	offset  int64
	length  int // with the line's end
}

// index holds the newest records of the log.
type index struct {
	limit int

	mu       sync.RWMutex
	entries  []entry        // oldest first; guarded by mu
	requests map[string]int // entries per request id; guarded by mu
	dropped  bool           // older ones are in the segments only; guarded by mu
}

func newIndex(limit int) index { return index{limit: limit, requests: map[string]int{}} }

func (x *index) add(entries []entry) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for i := range entries {
		x.requests[entries[i].RequestID]++
	}
	x.entries = append(x.entries, entries...)
	if over := len(x.entries) - x.limit; over > 0 {
		n := min(len(x.entries), over+x.limit/10) // a tenth more, to do this seldom
		for i := range x.entries[:n] {
			if id := x.entries[i].RequestID; x.requests[id] > 1 {
				x.requests[id]--
			} else {
				delete(x.requests, id)
			}
		}
		x.entries = slices.Delete(x.entries, 0, n)
		x.dropped = true
	}
}

// A border is where the index ends: older records are in this segment and the ones before it, with
// sequence numbers below seq. The zero border says that there are none to look for.
type border struct {
	seq     uint64
	segment int
}

// find returns the matching entries, newest first, and where to look for others.
func (x *index) find(f *Filter) (out []entry, rest border) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if x.dropped {
		rest = border{math.MaxUint64, math.MaxInt}
		if len(x.entries) > 0 {
			rest = border{x.entries[0].seq, x.entries[0].segment}
		}
	}
	if f.RequestID != "" && x.requests[f.RequestID] == 0 {
		return nil, rest
	}
	end := len(x.entries)
	if f.Before > 0 {
		end, _ = slices.BinarySearchFunc(x.entries, f.Before, func(e entry, seq uint64) int { return cmp.Compare(e.seq, seq) })
	}
	for i := end - 1; i >= 0; i-- {
		if !f.match(&x.entries[i].head) {
			continue
		}
		out = append(out, x.entries[i])
		if f.Limit > 0 && len(out) == f.Limit {
			return out, border{}
		}
	}
	// The records of one request lie close together: those found far from the border are all.
	if f.RequestID != "" && len(out) > 0 && out[len(out)-1].seq-x.entries[0].seq > uint64(x.limit/10) {
		return out, border{}
	}
	return out, rest
}

// A span is what a segment holds, noted in the header of a compressed one so that look-ups need
// not read all of it. Verify does not rely on it.
type span struct {
	from, until time.Time // of the records; zero if not known
	oldest      uint64    // lowest sequence number; 0 if not known
}

func (s *span) add(h *head) {
	if s.oldest == 0 {
		s.from, s.until, s.oldest = h.EventTime, h.EventTime, h.Kagimori.Sequence
		return
	}
	s.oldest = min(s.oldest, h.Kagimori.Sequence)
	if h.EventTime.Before(s.from) {
		s.from = h.EventTime
	}
	if h.EventTime.After(s.until) {
		s.until = h.EventTime
	}
}

// String is the note in the header.
func (s span) String() string {
	return fmt.Sprintf("kagimori 1 %d %d %d", s.oldest, s.from.Unix(), s.until.Unix())
}

// parseSpan reads a note; a foreign one says nothing.
func parseSpan(note string) span {
	var (
		s           span
		from, until int64
	)
	if _, err := fmt.Sscanf(note, "kagimori 1 %d %d %d", &s.oldest, &from, &until); err != nil || s.oldest == 0 {
		return span{}
	}
	s.from, s.until = time.Unix(from, 0), time.Unix(until, 0)
	return s
}

// misses reports that no record of the segment can match.
func (s span) misses(f *Filter, before uint64) bool {
	return s.oldest != 0 && (s.oldest >= before || !f.Since.IsZero() && s.until.Before(f.Since) || !f.Until.IsZero() && s.from.After(f.Until))
}

func (t *Trail) measure(n int) (span, error) {
	var s span
	err := t.lines(context.Background(), n, func(line []byte, _ int64) error {
		if h, ok := decodeHead(line); ok && h.Kagimori != nil {
			s.add(&h)
		}
		return nil
	})
	return s, err
}
