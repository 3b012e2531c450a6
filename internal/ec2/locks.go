package ec2

import (
	"hash/maphash"
	"slices"
	"sync"
)

// Locks keep attaching and detaching apart from everything else that happens to an instance's
// volumes: they consist of several transactions. Instances may share a lock.
type locks struct {
	seed maphash.Seed
	mu   [64]sync.Mutex
}

func newLocks() *locks { return &locks{seed: maphash.MakeSeed()} }

// lock takes the locks of instances. Who holds locks may not take more.
func (l *locks) lock(ids ...string) (unlock func()) {
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
