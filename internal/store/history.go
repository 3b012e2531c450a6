package store

import (
	"context"
	"iter"
	"sort"
	"sync"
)

// historyBytes bounds the data a History holds on to, whatever the number of changes.
const historyBytes = 64 << 20

// watchChunk is how many changes a watch takes at a time.
const watchChunk = 256

// A History keeps the newest changes of a store for its watches. Safe for concurrent use.
type History struct {
	limit int

	mu     sync.Mutex
	start  Revision      // changes after this revision are all kept; guarded by mu
	first  uint64        // number of the oldest change kept, counted from the first ever; guarded by mu
	kept   []Change      // oldest first, after the dropped ones; guarded by mu
	gone   int           // number of dropped changes that still take up room in kept; guarded by mu
	bytes  int           // of data kept; guarded by mu
	more   chan struct{} // closed at the next Add or Close; nil if no watch waits; guarded by mu
	closed bool          // guarded by mu
}

// A Change is an [Event] of a bucket.
type Change struct {
	Bucket string
	Event
}

// NewHistory keeps at most limit changes; start is the revision of the store.
func NewHistory(limit int, start Revision) *History { return &History{limit: limit, start: start} }

// Add appends changes in the order of their revisions. It keeps their data, which may not change
// any more.
func (h *History) Add(changes []Change) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.kept = append(h.kept, changes...)
	for i := range changes {
		h.bytes += len(changes[i].Data)
	}
	for n := len(h.kept) - h.gone; n > h.limit || h.bytes > historyBytes && n > 0; n-- {
		old := &h.kept[h.gone]
		h.start = old.Rev
		h.bytes -= len(old.Data)
		*old = Change{}
		h.gone++
		h.first++
	}
	if h.gone > h.limit { // moved only now and then, so that Add stays cheap
		n := copy(h.kept, h.kept[h.gone:])
		clear(h.kept[n:])
		h.kept, h.gone = h.kept[:n], 0
	}
	h.wake()
}

func (h *History) wake() {
	if h.more != nil {
		close(h.more)
		h.more = nil
	}
}

// Reset forgets all changes, and begins anew at a revision: watches that run learn ErrCompacted, since
// there may have been changes that were never told.
func (h *History) Reset(start Revision) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.first += uint64(len(h.kept)-h.gone) + 1 // beyond what any watch has seen
	h.start, h.kept, h.gone, h.bytes = start, nil, 0, 0
	h.wake()
}

// Close ends all watches.
func (h *History) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	h.wake()
}

// Watch implements Store.Watch.
func (h *History) Watch(ctx context.Context, bucket string, from Revision) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		next, err := h.seek(from)
		for err == nil {
			if ctx.Err() != nil {
				return
			}
			var batch []Event
			var more <-chan struct{}
			batch, next, more, err = h.read(bucket, from, next)
			for _, e := range batch {
				if !yield(e, nil) {
					return
				}
			}
			if more == nil {
				continue
			}
			select {
			case <-ctx.Done():
				return
			case <-more:
			}
		}
		yield(Event{}, err)
	}
}

// seek is the number of the first change after a revision.
func (h *History) seek(from Revision) (uint64, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if from < h.start {
		return 0, ErrCompacted
	}
	live := h.kept[h.gone:]
	i := sort.Search(len(live), func(i int) bool { return live[i].Rev > from })
	return h.first + uint64(i), nil
}

// read takes changes of a bucket from number next on. If there are none, more tells when to look
// again. The check against from is for a watch that starts ahead of the store.
func (h *History) read(bucket string, from Revision, next uint64) (batch []Event, after uint64, more <-chan struct{}, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if next < h.first {
		return nil, next, nil, ErrCompacted
	}
	live := h.kept[h.gone:]
	i := int(next - h.first)
	for ; i < len(live) && len(batch) < watchChunk; i++ {
		if c := &live[i]; c.Bucket == bucket && c.Rev > from {
			batch = append(batch, c.Event)
		}
	}
	after = h.first + uint64(i)
	switch {
	case i < len(live) || len(batch) > 0:
		return batch, after, nil, nil
	case h.closed:
		return nil, after, nil, ErrClosed
	}
	if h.more == nil {
		h.more = make(chan struct{})
	}
	return nil, after, h.more, nil
}
