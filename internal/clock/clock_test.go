package clock_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/clock"
)

// journal notes what ran when, in service time since its start.
type journal struct {
	c     *clock.Clock
	start time.Time

	mu    sync.Mutex
	lines []string // guarded by mu
}

func newJournal(c *clock.Clock) *journal { return &journal{c: c, start: c.Now()} }

func (j *journal) note(name string) {
	now := j.c.Now().Sub(j.start)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, fmt.Sprintf("%s %s", name, now))
}

func (j *journal) at(d time.Duration, name string) *clock.Timer {
	return j.c.AfterFunc(d, func() { j.note(name) })
}

func (j *journal) want(t *testing.T, lines ...string) {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	if d := cmp.Diff(lines, j.lines); d != "" {
		t.Error(d)
	}
}

func advance(t *testing.T, c *clock.Clock, d time.Duration) {
	t.Helper()
	if err := c.Advance(t.Context(), d); err != nil {
		t.Error(err)
	}
}

func TestNowFollowsTheWallClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clock.New()
		defer c.Stop()
		if got := c.Now(); got != time.Now().UTC().Round(0) || got.Location() != time.UTC {
			t.Errorf("now is %s", got)
		}
		time.Sleep(time.Hour)
		if got := c.Now(); got != time.Now().UTC().Round(0) {
			t.Errorf("an hour later it is %s", got)
		}
		advance(t, c, 24*time.Hour)
		time.Sleep(time.Minute)
		if got := c.Now(); got != time.Now().Add(24*time.Hour).UTC().Round(0) {
			t.Errorf("a day and a minute later it is %s", got)
		}
	})
}

func TestTimersFireByThemselves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clock.New()
		defer c.Stop()
		j := newJournal(c)
		j.at(3*time.Second, "c")
		j.at(time.Second, "a")
		j.at(2*time.Second, "b")
		j.at(-time.Hour, "past")
		time.Sleep(2500 * time.Millisecond)
		synctest.Wait()
		j.want(t, "past 0s", "a 1s", "b 2s")
		time.Sleep(time.Second)
		synctest.Wait()
		j.want(t, "past 0s", "a 1s", "b 2s", "c 3s")
	})
}

func TestAdvanceFiresInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clock.New()
		defer c.Stop()
		j := newJournal(c)
		j.at(7*24*time.Hour, "week")
		for i := range 5 { // of the same time: in the order they were set
			j.at(time.Hour, fmt.Sprint("hour-", i))
		}
		j.at(time.Minute, "minute")
		j.at(8*24*time.Hour, "later")
		advance(t, c, 7*24*time.Hour)
		j.want(t, "minute 1m0s", "hour-0 1h0m0s", "hour-1 1h0m0s", "hour-2 1h0m0s", "hour-3 1h0m0s", "hour-4 1h0m0s", "week 168h0m0s")
		if got := c.Now().Sub(j.start); got != 7*24*time.Hour {
			t.Errorf("time moved by %s", got)
		}
		// The rest of the time passes on the wall.
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		j.mu.Lock()
		defer j.mu.Unlock()
		if last := j.lines[len(j.lines)-1]; last != "later 192h0m0s" {
			t.Errorf("last is %s", last)
		}
	})
}

// A loop that sets its timer anew runs at each of its times, mixed with others in order.
func TestAdvanceFollowsChains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clock.New()
		defer c.Stop()
		j := newJournal(c)
		var loop func()
		loop = func() {
			j.note("loop")
			c.AfterFunc(20*time.Second, loop)
		}
		c.AfterFunc(20*time.Second, loop)
		j.at(30*time.Second, "once")
		advance(t, c, time.Minute)
		j.want(t, "loop 20s", "once 30s", "loop 40s", "loop 1m0s")
	})
}

// Each function ends before the next begins, though wall time passes while it runs.
func TestAdvanceRunsOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clock.New()
		defer c.Stop()
		var running atomic.Int32
		var ran []int
		for i := range 4 {
			c.AfterFunc(time.Duration(i)*time.Second, func() {
				if running.Add(1) != 1 {
					t.Error("two functions run at once")
				}
				time.Sleep(10 * time.Second) // wall time: the next is due meanwhile
				ran = append(ran, i)
				running.Add(-1)
			})
		}
		advance(t, c, 5*time.Second)
		if d := cmp.Diff([]int{0, 1, 2, 3}, ran); d != "" {
			t.Error(d)
		}
	})
}

// Time does not move while something that the wall clock started still runs.
func TestAdvanceWaitsForWhatRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clock.New()
		defer c.Stop()
		j := newJournal(c)
		c.Go(func() {
			time.Sleep(time.Second)
			j.note("work")
			c.Go(func() { j.note("more") })
		})
		done := c.Busy()
		time.AfterFunc(2*time.Second, func() {
			j.note("loop")
			done()
			done()
		})
		j.at(time.Hour, "timer")
		advance(t, c, time.Hour)
		j.want(t, "work 1s", "more 1s", "loop 2s", "timer 1h0m0s")
	})
}

func TestWorkStartedByTimersIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clock.New()
		defer c.Stop()
		j := newJournal(c)
		c.AfterFunc(time.Minute, func() {
			c.Go(func() {
				time.Sleep(time.Second)
				j.note("started")
			})
		})
		advance(t, c, time.Minute)
		j.want(t, "started 1m1s")
		if err := c.Wait(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestConcurrentAdvances(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clock.New()
		defer c.Stop()
		j := newJournal(c)
		j.at(time.Hour, "a")
		j.at(2*time.Hour, "b")
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() { advance(t, c, time.Hour) })
		}
		wg.Wait()
		j.want(t, "a 1h0m0s", "b 2h0m0s")
		if got := c.Now().Sub(j.start); got != 2*time.Hour {
			t.Errorf("time moved by %s", got)
		}
	})
}

func TestAdvanceEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clock.New()
		defer c.Stop()
		j := newJournal(c)
		c.AfterFunc(time.Minute, func() { time.Sleep(time.Hour) })
		j.at(2*time.Minute, "next")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := c.Advance(ctx, time.Hour); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if err := c.Advance(ctx, time.Hour); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with an ended context: %v", err)
		}
		if got := c.Now().Sub(j.start); got != time.Minute+time.Second {
			t.Errorf("time is at %s", got)
		}
		j.want(t)
		time.Sleep(59 * time.Second) // timers fire by themselves again
		synctest.Wait()
		j.want(t, "next 2m0s")
	})
}

func TestAdvanceByNothingAndBackwards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clock.New()
		defer c.Stop()
		j := newJournal(c)
		j.at(0, "due")
		advance(t, c, 0)
		j.want(t, "due 0s")
		if err := c.Advance(t.Context(), -1); !errors.Is(err, clock.ErrBackwards) {
			t.Errorf("backwards: %v", err)
		}
		if c.Now() != j.start {
			t.Error("time moved")
		}
	})
}

func TestTimerStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clock.New()
		defer c.Stop()
		j := newJournal(c)
		a := j.at(time.Second, "a")
		b := j.at(2*time.Second, "b")
		if !a.Stop() || a.Stop() {
			t.Error("Stop is true once")
		}
		advance(t, c, time.Minute)
		if b.Stop() {
			t.Error("Stop of a timer that fired is true")
		}
		j.want(t, "b 2s")
	})
}

func TestSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clock.New()
		defer c.Stop()
		woke := make(chan error, 1)
		go func() { woke <- c.Sleep(t.Context(), time.Hour) }()
		synctest.Wait()
		advance(t, c, time.Hour)
		if err := <-woke; err != nil {
			t.Errorf("sleep: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := c.Sleep(ctx, time.Hour); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("sleep with a deadline: %v", err)
		}
	})
}

func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clock.New()
		j := newJournal(c)
		c.Go(func() {
			time.Sleep(time.Minute)
			j.note("running")
			j.at(0, "set after the stop")
		})
		pending := j.at(time.Second*90, "pending")
		c.Stop()
		j.want(t, "running 1m0s")
		if pending.Stop() || j.at(0, "new").Stop() {
			t.Error("a timer waits after Stop")
		}
		if c.Go(func() { j.note("go") }) {
			t.Error("Go runs after Stop")
		}
		advance(t, c, time.Hour)
		c.Stop()
		j.want(t, "running 1m0s")
	})
}

func TestWaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clock.New()
		defer c.Stop()
		defer c.Busy()()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := c.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}

// Outside a bubble, with many goroutines, for the race detector.
func TestConcurrentUse(t *testing.T) {
	c := clock.New()
	var fired atomic.Int32
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			for k := range 50 {
				timer := c.AfterFunc(time.Duration(k)*time.Millisecond, func() { fired.Add(1) })
				if k%5 == i%5 && timer.Stop() {
					fired.Add(1)
				}
				c.Now()
			}
			if err := c.Advance(t.Context(), time.Second); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	c.Stop()
	if n := fired.Load(); n != 1000 {
		t.Errorf("%d of 1000 timers fired or were stopped", n)
	}
}

// Settle waits for what is due soon, for what that sets off in turn, and for nothing that is due later.
func TestSettleFollowsWhatIsSetOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clock.New()
		defer c.Stop()
		j := newJournal(c)
		c.AfterFunc(time.Millisecond, func() {
			time.Sleep(time.Second) // the work itself
			j.note("volume")
			c.AfterFunc(2*time.Millisecond, func() { j.note("instance") })
		})
		j.at(time.Hour, "later")
		if err := c.Settle(t.Context(), 2*time.Millisecond); err != nil {
			t.Error(err)
		}
		j.want(t, "volume 1.001s", "instance 1.003s")
	})
}

func TestSettleEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clock.New()
		defer c.Stop()
		c.AfterFunc(0, func() { time.Sleep(time.Hour) })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if err := c.Settle(ctx, time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("it says %v", err)
		}
		if d := time.Since(start); d != time.Second {
			t.Errorf("it took %s", d)
		}
	})
}

// Those that settle do not wait for each other, nor for work that no timer began.
func TestSettleTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clock.New()
		defer c.Stop()
		defer c.Busy()()
		j := newJournal(c)
		j.at(time.Millisecond, "once")
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				if err := c.Settle(t.Context(), 2*time.Millisecond); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		j.want(t, "once 1ms")
	})
}
