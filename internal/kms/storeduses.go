package kms

import "time"

const (
	// storedSets and storedWays bound the keys of which it is known without asking when their last use was
	// stored: two million, in 8 bytes each, from when more keys are in use than are kept exactly. A set is a line of
	// the processor's cache, and of a million keys one in a hundred finds no place in its set.
	storedSets = 1 << 18
	storedWays = 8
)

// storedUses remember when the last uses of keys were stored, by the hash of the key. It forgets: then the store
// is asked. The zero storedUses is empty.
type storedUses struct {
	sets [][storedWays]storedUse
	base time.Time // what minutes are counted from: what was stored before is of no use
	next uint8     // the way that gives room next
}

// A storedUse is 40 bits of the key's hash, beside those that choose the set, and the minute of the use, which is
// counted from 1. 0 is none. One key in 10^11 is taken for another, and its use is stored up to a step later.
type storedUse uint64

const (
	minuteBits = 24
	minuteMask = 1<<minuteBits - 1
)

func (s *storedUses) set(hash uint64) (tag storedUse, set *[storedWays]storedUse) {
	return storedUse(hash &^ minuteMask), &s.sets[hash%storedSets]
}

// at is when the last use of a key was stored, to the minute, or zero if that is not known.
func (s *storedUses) at(hash uint64) time.Time {
	if s.sets == nil {
		return time.Time{}
	}
	tag, set := s.set(hash)
	for _, u := range set {
		if u&^minuteMask == tag && u&minuteMask != 0 {
			return s.base.Add(time.Duration(u&minuteMask-1) * time.Minute)
		}
	}
	return time.Time{}
}

// note remembers when the last use of a key was stored.
func (s *storedUses) note(hash uint64, at time.Time) {
	if s.sets == nil {
		s.sets, s.base = make([][storedWays]storedUse, storedSets), at.Add(-2*usesStep)
	}
	minute := at.Sub(s.base)/time.Minute + 1
	if at.Before(s.base) || minute > minuteMask { // long ago, or the clock was set: the store is asked
		minute = 0
	}
	tag, set := s.set(hash)
	to := -1
	for i, u := range set {
		if u&minuteMask != 0 && u&^minuteMask == tag {
			to = i
			break
		}
		if u&minuteMask == 0 && to < 0 {
			to = i
		}
	}
	if to < 0 {
		s.next++
		to = int(s.next % storedWays)
	}
	set[to] = tag | storedUse(minute)
}
