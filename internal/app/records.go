package app

import (
	"context"

	"github.com/kagimori/kagimori/internal/trail"
)

// Records are those of the audit log that a filter selects, newest first. It is for whoever runs
// the server in its own process; clients ask the kagimori and CloudTrail services.
func (a *App) Records(ctx context.Context, f trail.Filter) ([]trail.Record, error) {
	a.gate.RLock()
	defer a.gate.RUnlock()
	s := a.current.Load()
	if s == nil {
		return nil, errClosed
	}
	return s.trail.Find(ctx, f)
}
