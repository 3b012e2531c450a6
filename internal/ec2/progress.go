package ec2

import (
	"strconv"
	"sync"

	"github.com/kagimori/kagimori/internal/blockdev"
)

// A progressBook knows how far copies of snapshots are, which only this process needs to know. Safe for
// concurrent use.
type progressBook struct {
	mu      sync.Mutex
	percent map[string]int64 // by snapshot; guarded by mu
}

func newProgressBook() *progressBook { return &progressBook{percent: map[string]int64{}} }

// watch is told of the copying of a snapshot. Less than the whole is at most 99 percent.
func (b *progressBook) watch(id string) blockdev.Progress {
	return func(done, total int64) {
		b.mu.Lock()
		defer b.mu.Unlock()
		if total > 0 {
			b.percent[id] = min(99, done*100/total)
		}
	}
}

func (b *progressBook) forget(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.percent, id)
}

// of is the progress of a snapshot: of one that is being copied what was seen last.
func (b *progressBook) of(r *snapshotRecord) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p, ok := b.percent[r.ID]; ok && r.State == snapshotPending {
		return strconv.FormatInt(p, 10) + "%"
	}
	return r.progress()
}
