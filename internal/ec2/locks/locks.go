// Package locks is mutexes by name.
package locks

import (
	"hash/maphash"
	"slices"
	"sync"
)

// Locks keep apart what consists of several transactions and is about the same things: an instance and its volumes, a
// fleet, the file of a volume. Names may share a lock.
type Locks struct {
	seed maphash.Seed
	mu   [64]sync.Mutex
}

// New makes Locks that nobody holds.
func New() *Locks { return &Locks{seed: maphash.MakeSeed()} }

// Lock takes those of some names. Who holds locks may not take more.
func (l *Locks) Lock(ids ...string) (unlock func()) {
	var need []uint64
	for _, id := range ids {
		need = append(need, maphash.String(l.seed, id)%uint64(len(l.mu)))
	}
	slices.Sort(need) // one order for all, so that nobody waits in a circle
	need = slices.Compact(need)
	for _, n := range need {
		l.mu[n].Lock()
	}
	return func() {
		for _, n := range need {
			l.mu[n].Unlock()
		}
	}
}
