// Package clock is the service clock: what time it is for keys, instances and groups. It follows
// the wall clock until Advance moves it, which only a development server and tests do. Tokens and
// signatures do not follow it.
package clock

import (
	"container/heap"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// A Clock is safe for concurrent use. Functions given to AfterFunc and Go run in goroutines of
// their own, which Advance, Wait and Stop wait for: such a function must end, must not call one of
// the three, and sets a new timer rather than sleep, or it waits for itself. Make one with New.
type Clock struct {
	wall   func() time.Time
	moving chan struct{} // holds a token while Advance runs: one at a time
	offset atomic.Int64  // service time minus wall time, a Duration; never shrinks; changed with mu held

	mu      sync.Mutex
	timers  timerHeap     // guarded by mu
	seq     int           // of the next timer; guarded by mu
	wake    *time.Timer   // fires when the first timer is due; nil while Advance runs; guarded by mu
	held    bool          // Advance runs and starts the timers itself; guarded by mu
	busy    int           // functions that run; guarded by mu
	idle    chan struct{} // closed when busy gets 0; nil while nobody waits; guarded by mu
	fired   int           // functions of timers among them; guarded by mu
	quiet   chan struct{} // closed when fired gets 0; nil while nobody waits; guarded by mu
	stopped bool          // guarded by mu
}

// ErrBackwards is what Advance says of a negative duration.
var ErrBackwards = errors.New("clock: service time only moves forward")

// New makes a clock that shows the wall time.
func New() *Clock { return NewOn(time.Now) }

// NewOn makes a clock that shows the time of a wall clock of the caller's, which may jump as one does that somebody
// sets: timers do not follow it.
func NewOn(wall func() time.Time) *Clock { return &Clock{wall: wall, moving: make(chan struct{}, 1)} }

// Now is the service time, in UTC and without a monotonic reading: equal times are ==.
func (c *Clock) Now() time.Time {
	return c.wall().Add(time.Duration(c.offset.Load())).UTC().Round(0)
}

// now is for timers. It keeps the monotonic reading, so that they do not follow a wall clock that is set; what a timer
// starts looks at Now, which may not be there yet, and then waits again.
func (c *Clock) now() time.Time { return time.Now().Add(time.Duration(c.offset.Load())).UTC() }

// A Timer is a function that waits for its time.
type Timer struct {
	c     *Clock
	due   time.Time
	seq   int
	index int // in the heap; -1 when it fired or was stopped
	f     func()
}

// Stop keeps the function from running; false if it already began or was stopped.
func (t *Timer) Stop() bool {
	t.c.mu.Lock()
	defer t.c.mu.Unlock()
	if t.index < 0 {
		return false
	}
	heap.Remove(&t.c.timers, t.index)
	t.c.arm()
	return true
}

// AfterFunc runs f in its own goroutine when d of service time has passed. After Stop it never runs.
func (c *Clock) AfterFunc(d time.Duration, f func()) *Timer {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &Timer{c: c, due: c.now().Add(max(d, 0)), seq: c.seq, index: -1, f: f}
	c.seq++
	if c.stopped {
		return t
	}
	heap.Push(&c.timers, t)
	c.arm()
	return t
}

// Sleep waits for d of service time; it fails with the context's error. It does not hold Advance
// up, and what the sleeper does next is not waited for unless it says so with Busy.
func (c *Clock) Sleep(ctx context.Context, d time.Duration) error {
	done := make(chan struct{})
	t := c.AfterFunc(d, func() { close(done) })
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		t.Stop()
		return ctx.Err()
	}
}

// arm sets the wall timer for the first service timer. mu is held.
func (c *Clock) arm() {
	if c.wake != nil {
		c.wake.Stop()
		c.wake = nil
	}
	if len(c.timers) > 0 && !c.stopped && !c.held {
		c.wake = time.AfterFunc(c.timers[0].due.Sub(c.now()), c.fire)
	}
}

// fire starts every timer that is due.
func (c *Clock) fire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.timers) > 0 && !c.stopped && !c.held && !c.timers[0].due.After(c.now()) {
		c.ring(heap.Pop(&c.timers).(*Timer))
	}
	c.arm()
}

// ring starts the function of a timer that is due. mu is held.
func (c *Clock) ring(t *Timer) {
	c.fired++
	c.start(func() {
		defer c.rung()
		t.f()
	})
}

func (c *Clock) rung() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fired--
	if c.fired == 0 && c.quiet != nil {
		close(c.quiet)
		c.quiet = nil
	}
}

// start runs f as work that waiters wait for. mu is held.
func (c *Clock) start(f func()) {
	c.busy++
	go func() {
		defer c.finished()
		f()
	}()
}

func (c *Clock) finished() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy--
	if c.busy == 0 && c.idle != nil {
		close(c.idle)
		c.idle = nil
	}
}

// Busy says that work has begun that Advance, Wait and Stop are to wait for, until done is called.
// Calling done again does nothing.
func (c *Clock) Busy() (done func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy++
	return sync.OnceFunc(c.finished)
}

// Go runs f in its own goroutine as work that Advance, Wait and Stop wait for. It reports false,
// and does not run f, after Stop.
func (c *Clock) Go(f func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return false
	}
	c.start(f)
	return true
}

// Wait returns when nothing runs; it fails with the context's error.
func (c *Clock) Wait(ctx context.Context) error {
	c.mu.Lock()
	if c.busy == 0 {
		c.mu.Unlock()
		return nil
	}
	if c.idle == nil {
		c.idle = make(chan struct{})
	}
	idle := c.idle
	c.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Settle returns when no function of a timer runs, and no timer is due within d: what these set off in
// turn is over too. It fails with the context's error. Timers wait while Advance runs, and so does Settle
// for those that Advance started alone.
func (c *Clock) Settle(ctx context.Context, d time.Duration) error {
	for {
		quiet, wait := c.unsettled(d)
		if quiet == nil && wait == 0 {
			return nil
		}
		var due <-chan time.Time // not a timer of the clock's, for which others would wait again
		if wait > 0 {
			due = time.After(wait)
		}
		select {
		case <-quiet:
		case <-due:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// unsettled is what Settle has to wait for: that functions end, or that time passes; neither if it is done.
func (c *Clock) unsettled(d time.Duration) (quiet <-chan struct{}, wait time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.fired > 0:
		if c.quiet == nil {
			c.quiet = make(chan struct{})
		}
		return c.quiet, 0
	case c.stopped || c.held || len(c.timers) == 0:
		return nil, 0
	}
	if due := c.timers[0].due.Sub(c.now()); due <= d {
		return nil, max(due, time.Nanosecond)
	}
	return nil, 0
}

// Advance moves service time forward by d. The timers that come due on the way run in the order of
// their times (those of one time in the order they were set), each to its end before the next, and
// find Now at their time; so do timers that these set. It returns when nothing runs.
//
// If ctx ends first, time stands where the last timer that was started found it.
func (c *Clock) Advance(ctx context.Context, d time.Duration) error {
	if d < 0 {
		return ErrBackwards
	}
	select {
	case c.moving <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-c.moving }()
	target := c.hold()
	defer c.release()
	target = target.Add(d)
	for {
		// What the wall clock started must end too before time moves.
		if err := c.Wait(ctx); err != nil {
			return err
		}
		if !c.step(target) {
			return c.Wait(ctx)
		}
	}
}

// hold keeps timers from being started by the wall clock and returns the time.
func (c *Clock) hold() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held = true
	c.arm()
	return c.now()
}

func (c *Clock) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held = false
	c.arm()
}

// step moves time to the first timer that is due by the target and starts it; without one, to the
// target.
func (c *Clock) step(target time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped || len(c.timers) == 0 || c.timers[0].due.After(target) {
		c.offset.Add(int64(max(0, target.Sub(c.now()))))
		return false
	}
	t := heap.Pop(&c.timers).(*Timer)
	c.offset.Add(int64(max(0, t.due.Sub(c.now()))))
	c.ring(t)
	return true
}

// Stop drops all timers, now and later, and waits for what runs.
func (c *Clock) Stop() {
	c.mu.Lock()
	c.stopped = true
	for _, t := range c.timers {
		t.index = -1
	}
	c.timers = nil
	c.arm()
	c.mu.Unlock()
	_ = c.Wait(context.Background()) // has no end to fail with
}

// timerHeap orders timers by time, then by age.
type timerHeap []*Timer

func (h timerHeap) Len() int { return len(h) }

func (h timerHeap) Less(i, j int) bool {
	if h[i].due.Equal(h[j].due) {
		return h[i].seq < h[j].seq
	}
	return h[i].due.Before(h[j].due)
}

func (h timerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push implements heap.Interface.
func (h *timerHeap) Push(x any) {
	t := x.(*Timer)
	t.index = len(*h)
	*h = append(*h, t)
}

// Pop implements heap.Interface.
func (h *timerHeap) Pop() any {
	old := *h
	t := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	t.index = -1
	return t
}
