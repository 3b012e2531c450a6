package kms

import (
	"sync"
	"time"

	"github.com/kagimori/kagimori/internal/clock"
)

// An alarm is the one timer that waits for the next of things that are due some day, in the service's time.
type alarm struct {
	mu    sync.Mutex // guards the rest
	at    time.Time  // zero: no timer
	timer *clock.Timer
}

// longestWait is how long an alarm waits at a time: timers do not follow a wall clock that is set, forward or back.
// What it starts finds out whether anything is due.
const longestWait = 24 * time.Hour

// set makes f run at a time, or sooner, if it would not anyhow. It has to call rang, and set the alarm again.
func (a *alarm) set(c *clock.Clock, at time.Time, f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.at.IsZero():
	case !at.Before(a.at):
		return
	default:
		a.timer.Stop()
	}
	a.at = at
	a.timer = c.AfterFunc(min(max(0, at.Sub(c.Now())), longestWait), f)
}

// rang says that the alarm went off.
func (a *alarm) rang() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.at = time.Time{}
}
