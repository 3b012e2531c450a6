package kms

import (
	"hash/maphash"
	"time"
)

const (
	// storedSets and storedWays bound the keys of which it is known without asking when their last use was
	// stored: a million, in 16 bytes each, from when more keys are in use than are kept exactly.
	storedSets = 1 << 18
	storedWays = 4
)

// storedUses remember when the last uses of keys were stored, by the hash of the key. It forgets: then the store
// is asked. The zero storedUses is empty.
type storedUses struct {
	seed maphash.Seed
	sets [][storedWays]storedUse
	next uint8 // the way that gives room next
}

type storedUse struct {
	hash uint64
	at   int64 // in milliseconds; 0: none
}

func (s *storedUses) set(key usedKey) (hash uint64, set *[storedWays]storedUse) {
	hash = maphash.Comparable(s.seed, key)
	return hash, &s.sets[hash%storedSets]
}

// at is when the last use of a key was stored, or zero if that is not known.
func (s *storedUses) at(key usedKey) time.Time {
	if s.sets == nil {
		return time.Time{}
	}
	hash, set := s.set(key)
	for _, u := range set {
		if u.hash == hash && u.at != 0 {
			return time.UnixMilli(u.at)
		}
	}
	return time.Time{}
}

// note remembers when the last use of a key was stored.
func (s *storedUses) note(key usedKey, at time.Time) {
	if s.sets == nil {
		s.seed, s.sets = maphash.MakeSeed(), make([][storedWays]storedUse, storedSets)
	}
	hash, set := s.set(key)
	to := -1
	for i, u := range set {
		if u.hash == hash || u.at == 0 && to < 0 {
			to = i
		}
	}
	if to < 0 {
		s.next++
		to = int(s.next % storedWays)
	}
	set[to] = storedUse{hash, at.UnixMilli()}
}
