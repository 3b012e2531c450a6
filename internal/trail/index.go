package trail

import (
	"cmp"
	"hash/maphash"
	"math"
	"slices"
	"sync"
)

// entry is a record in the index: where it is, and of what look-ups ask for the time and hashes. It
// holds no pointers, so that the collector has nothing to do with the many that there are; two texts
// with one hash, or more resources than there is room for, show when the record is read.
type entry struct {
	seq     uint64
	offset  int64
	time    int64 // Unix
	segment int32
	length  int32 // with the line's end
	failed  bool
	many    bool // has more resources than are here

	request, name, region, principal, recipient uint64
	resources                                   [maxIndexed]indexedResource
}

// maxIndexed is how many resources of a record the index has; few records have more.
const maxIndexed = 2

type indexedResource struct{ arn, account uint64 }

// index holds the newest records of the log.
type index struct {
	limit int
	seed  maphash.Seed

	mu      sync.RWMutex
	entries []entry // oldest first; guarded by mu
	dropped bool    // older ones are in the segments only; guarded by mu
}

func newIndex(limit int) index { return index{limit: limit, seed: maphash.MakeSeed()} }

func (x *index) hash(s string) uint64 { return maphash.String(x.seed, s) }

// entry notes a record with its place.
func (x *index) entry(h *head, seq uint64, segment int, offset int64, length int) entry {
	e := entry{
		seq: seq, offset: offset, time: h.EventTime.Unix(), segment: int32(segment), length: int32(length), failed: h.ErrorCode != "",
		many: len(h.Resources) > maxIndexed, request: x.hash(h.RequestID), name: x.hash(h.EventName), region: x.hash(h.AWSRegion),
		principal: x.hash(h.UserIdentity.ARN), recipient: x.hash(h.RecipientAccountID),
	}
	for i := range h.Resources[:min(maxIndexed, len(h.Resources))] {
		r := &h.Resources[i]
		e.resources[i] = indexedResource{x.hash(r.ARN), x.hash(r.AccountID)}
	}
	return e
}

// A probe is a filter as the index sees it.
type probe struct {
	*Filter
	request, name, region, principal, account, resource uint64
	since, until                                        int64
}

func (x *index) probe(f *Filter) probe {
	p := probe{
		Filter: f, request: x.hash(f.RequestID), name: x.hash(f.EventName), region: x.hash(f.Region), principal: x.hash(f.PrincipalARN),
		account: x.hash(f.Account), resource: x.hash(f.ResourceARN), since: math.MinInt64, until: math.MaxInt64,
	}
	if !f.Since.IsZero() {
		p.since = f.Since.Unix()
		if f.Since.Nanosecond() > 0 {
			p.since++
		}
	}
	if !f.Until.IsZero() {
		p.until = f.Until.Unix()
	}
	return p
}

// match reports whether a record may be one that the filter selects.
func (p *probe) match(e *entry) bool {
	if p.RequestID != "" && e.request != p.request || p.EventName != "" && e.name != p.name || p.Region != "" && e.region != p.region ||
		p.PrincipalARN != "" && e.principal != p.principal || p.ErrorOnly && !e.failed || e.time < p.since || e.time > p.until {
		return false
	}
	if p.Account != "" && e.recipient != p.account && !e.has(func(r *indexedResource) bool { return r.account == p.account }) {
		return false
	}
	return p.ResourceARN == "" || e.has(func(r *indexedResource) bool { return r.arn == p.resource })
}

func (e *entry) has(match func(*indexedResource) bool) bool {
	for i := range e.resources {
		if match(&e.resources[i]) {
			return true
		}
	}
	return e.many
}

func (x *index) add(entries []entry) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.entries = append(x.entries, entries...)
	if over := len(x.entries) - x.limit; over > 0 {
		n := min(len(x.entries), over+x.limit/10) // a tenth more, to do this seldom
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
			rest = border{x.entries[0].seq, int(x.entries[0].segment)}
		}
	}
	p := x.probe(f)
	end := len(x.entries)
	if f.Before > 0 {
		end, _ = slices.BinarySearchFunc(x.entries, f.Before, func(e entry, seq uint64) int { return cmp.Compare(e.seq, seq) })
	}
	for i := end - 1; i >= 0; i-- {
		if !p.match(&x.entries[i]) {
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
