package app

import (
	"context"
	"errors"
	"time"

	"github.com/kagimori/kagimori/internal/store"
)

// timeRecord remembers how far the clock of a development server was moved, so that a restart
// does not take it back: what was written under the later time would lie in the future.
type timeRecord struct {
	Ahead time.Duration `json:"ahead"` // of the wall clock
}

var timeTable = store.Table[timeRecord]{Bucket: "app/time", Version: 1}

const timeKey = "clock"

// endOfTime is as far as the clock of a development server moves: how far it is ahead has to fit a
// time.Duration, which holds 292 years.
var endOfTime = time.Date(2300, 1, 1, 0, 0, 0, 0, time.UTC)

// errTime is a time that the clock does not move to, as the client is told.
type errTime string

// Error is the sentence.
func (e errTime) Error() string { return string(e) }

// Advance moves the service time of a development server forward; see clock.Clock.
func (a *App) Advance(ctx context.Context, d time.Duration) error {
	if !a.cfg.Dev {
		return errors.New("app: only a development server's clock moves")
	}
	a.gate.RLock()
	defer a.gate.RUnlock()
	s := a.current.Load()
	if s == nil {
		return errClosed
	}
	return s.advance(ctx, d)
}

// Now is the service time.
func (a *App) Now() time.Time {
	if s := a.current.Load(); s != nil {
		return s.clock.Now()
	}
	return time.Now().UTC()
}

func (s *server) advance(ctx context.Context, d time.Duration) error {
	now := s.clock.Now()
	switch {
	case d < 0:
		return errTime("service time only moves forward")
	case d > endOfTime.Sub(now):
		return errTime("service time ends with the year 2299")
	}
	ahead := time.Until(now) + d
	err := s.store.Update(ctx, func(tx store.Tx) error { return timeTable.Put(tx, timeRecord{ahead}, timeKey) })
	if err != nil {
		return err
	}
	return s.clock.Advance(ctx, d)
}

// catchUp moves the clock to where the last process had it.
func (s *server) catchUp(ctx context.Context) error {
	var rec timeRecord
	err := s.store.View(ctx, func(tx store.Tx) (err error) {
		rec, _, err = timeTable.Get(tx, timeKey)
		return err
	})
	if err != nil || rec.Ahead <= 0 {
		return err
	}
	return s.clock.Advance(ctx, rec.Ahead)
}
