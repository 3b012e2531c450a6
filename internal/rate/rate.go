// Package rate bounds how often an account may ask: token buckets, one for each account, Region and quota,
// as AWS documents them for its services.
package rate

import (
	"hash/maphash"
	"math"
	"sync"
	"time"
)

// A Limit is the size of a bucket and how fast it fills. The zero Limit limits nothing.
//
// Source: Amazon EC2 Developer Guide, "Request throttling for the Amazon EC2 API" (how throttling is applied).
type Limit struct {
	PerSecond float64 // tokens that come back in a second
	Burst     float64 // tokens of a full bucket; at least 1 counts
}

// An Asker is whose bucket it is.
type Asker struct{ Account, Region string }

type key struct {
	Asker
	quota string
}

// bucket is what is left of a quota. A full one is as good as none.
type bucket struct {
	tokens float64
	at     time.Time // when tokens were counted
}

const (
	shards = 16
	// maxBuckets bounds a shard, so that nobody fills the memory. One that is dropped is full again.
	maxBuckets = 4096
)

type shard struct {
	mu      sync.Mutex
	buckets map[key]bucket // guarded by mu
}

// A Limiter holds the buckets. Safe for concurrent use.
type Limiter struct {
	now    func() time.Time
	seed   maphash.Seed
	shards [shards]shard
}

// New makes a Limiter with all buckets full. now is a clock that never goes back; nil is time.Now.
func New(now func() time.Time) *Limiter {
	if now == nil {
		now = time.Now
	}
	l := &Limiter{now: now, seed: maphash.MakeSeed()}
	for i := range l.shards {
		l.shards[i].buckets = map[key]bucket{}
	}
	return l
}

// Take takes a token out of the bucket of a quota. Without one it says how long to wait for one.
func (l *Limiter) Take(who Asker, quota string, limit Limit) (wait time.Duration, ok bool) {
	if limit.PerSecond <= 0 {
		return 0, true
	}
	k := key{who, quota}
	s := &l.shards[maphash.Comparable(l.seed, k)%shards]
	size := math.Max(limit.Burst, 1)
	now := l.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	b, known := s.buckets[k]
	if !known {
		if len(s.buckets) >= maxBuckets {
			s.drop()
		}
		b = bucket{tokens: size, at: now}
	}
	b.tokens = math.Min(size, b.tokens+math.Max(0, now.Sub(b.at).Seconds())*limit.PerSecond)
	b.at = now
	if ok = b.tokens >= 1; ok {
		b.tokens--
	} else {
		wait = time.Duration((1 - b.tokens) / limit.PerSecond * float64(time.Second))
	}
	s.buckets[k] = b
	return wait, ok
}

// drop makes room for new buckets: half of them go, those that were used longest ago rather than others.
func (s *shard) drop() {
	var oldest, newest time.Time
	for _, b := range s.buckets {
		if oldest.IsZero() || b.at.Before(oldest) {
			oldest = b.at
		}
		if b.at.After(newest) {
			newest = b.at
		}
	}
	middle := oldest.Add(newest.Sub(oldest) / 2)
	for k, b := range s.buckets {
		if !b.at.After(middle) {
			delete(s.buckets, k)
		}
	}
	for k := range s.buckets { // all of one moment
		if len(s.buckets) <= maxBuckets/2 {
			return
		}
		delete(s.buckets, k)
	}
}

// Buckets is how many buckets are kept.
func (l *Limiter) Buckets() (n int) {
	for i := range l.shards {
		l.shards[i].mu.Lock()
		n += len(l.shards[i].buckets)
		l.shards[i].mu.Unlock()
	}
	return n
}
