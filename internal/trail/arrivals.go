package trail

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/kagimori/kagimori/internal/store"
)

// arrivalsKept bounds what is kept of the outbox's changes until they are moved.
const arrivalsKept = 1024

// arrivals are entries of the outbox as a watch tells of them, so that it need not be read to find what is new:
// most of what is in it was moved already. Safe for concurrent use.
type arrivals struct {
	mu       sync.Mutex
	watching bool          // guarded by mu
	events   []store.Event // in the order of the commits; guarded by mu
	gaps     uint64        // how many times something may have been missed; guarded by mu
	closed   uint64        // the gaps up to this one are closed: the outbox was read since; guarded by mu
}

// complete reports whether everything is told.
func (a *arrivals) complete() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.whole()
}

// whole is complete; mu is held.
func (a *arrivals) whole() bool { return a.watching && a.gaps == a.closed }

// begin is called before a watch begins, and end when it ended.
func (a *arrivals) begin() { a.set(true) }
func (a *arrivals) end()   { a.set(false) }

func (a *arrivals) set(watching bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.watching, a.events = watching, nil
	a.gaps++
}

func (a *arrivals) add(e store.Event) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.events) == arrivalsKept {
		a.events = nil
		a.gaps++
	}
	a.events = append(a.events, e)
}

// take returns what came since the last time; ok is false if that may not be all.
func (a *arrivals) take() (events []store.Event, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.whole() {
		return nil, false
	}
	events, a.events = a.events, nil
	return events, true
}

// miss says that something that was taken was not moved.
func (a *arrivals) miss() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.gaps++
}

// missed is to be called before the outbox is read, and filled with what it returned when all that was found up to a
// revision is moved.
func (a *arrivals) missed() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.gaps
}

func (a *arrivals) filled(missed uint64, rev store.Revision) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = missed
	n := 0
	for n < len(a.events) && a.events[n].Rev <= rev {
		n++
	}
	a.events = a.events[n:]
}

// follow keeps a watch on the outbox.
func (t *Trail) follow(ctx context.Context) {
	for {
		err := t.watch(ctx)
		t.arrivals.end()
		t.wake()
		if errors.Is(err, store.ErrClosed) || ctx.Err() != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(retryAfter):
		}
	}
}

// watch has what comes into the outbox moved, until the watch ends. What was there before it is read.
func (t *Trail) watch(ctx context.Context) error {
	var from store.Revision
	err := t.cfg.Store.View(ctx, func(tx store.Tx) error {
		from = tx.Revision()
		return nil
	})
	if err != nil {
		return err
	}
	t.arrivals.begin()
	t.wake()
	for e, err := range t.cfg.Store.Watch(ctx, t.outbox.Bucket, from) {
		if err != nil {
			return err
		}
		if !e.Deleted {
			t.arrivals.add(e)
			t.wake()
		}
	}
	return ctx.Err()
}
