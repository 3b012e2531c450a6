package gateway

import (
	"sync"
	"time"
)

// A sampler lets through the first few events of each minute and counts the others, so that
// whoever can reach the server cannot fill its log. The zero sampler is ready.
type sampler struct {
	mu      sync.Mutex
	start   time.Time // of the minute; guarded by mu
	taken   int       // in the minute; guarded by mu
	dropped int       // since one was taken; guarded by mu
}

const sampled = 10 // events a minute

// take reports whether the event is of the sample, and how many before it were not.
func (s *sampler) take(now time.Time) (ok bool, dropped int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.start.IsZero() || now.Sub(s.start) >= time.Minute || now.Before(s.start) {
		s.start, s.taken = now, 0
	}
	if s.taken == sampled {
		s.dropped++
		return false, 0
	}
	s.taken++
	dropped, s.dropped = s.dropped, 0
	return true, dropped
}
