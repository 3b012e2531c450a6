package app

import (
	"context"
	"fmt"
	"maps"
	"sync"

	"github.com/kagimori/kagimori/internal/autoscaling"
	"github.com/kagimori/kagimori/internal/ebs"
	"github.com/kagimori/kagimori/internal/ec2"
	"github.com/kagimori/kagimori/internal/guard"
)

// A shift is the services that work by themselves and remember in memory what they do: instances,
// volumes, snapshots and groups. In a cluster one node has it at a time, under a lease; with each new
// lease it begins anew, from what the store has, as after a crash.
type shift struct {
	ec2    *ec2.Service
	ebs    *ebs.Service
	groups *autoscaling.Service
	ops    map[string]map[string]guard.Handler // by service, or part of one

	mu    sync.Mutex
	over  bool           // guarded by mu
	calls sync.WaitGroup // that are being served
}

// enter lets a call in, unless the shift is over.
func (w *shift) enter() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over {
		return false
	}
	w.calls.Add(1)
	return true
}

// drain lets no call in any more, and those that are in end.
func (w *shift) drain() {
	w.mu.Lock()
	w.over = true
	w.mu.Unlock()
	w.calls.Wait()
}

type shiftKey struct{}

// enter takes a call in, if this node works, until leave is called.
func (s *server) enter(ctx context.Context) (_ context.Context, leave func(), ok bool) {
	w := s.work.Load()
	if w == nil || !w.enter() {
		return ctx, nil, false
	}
	return context.WithValue(ctx, shiftKey{}, w), w.calls.Done, true
}

// Parts of services that a shift serves.
const (
	computeOps = "ec2"
	blockOps   = "ebs"
	groupOps   = "autoscaling"
	ownOps     = "kagimori" // exports and metrics
)

func (w *shift) ready() *shift {
	w.ops = map[string]map[string]guard.Handler{
		computeOps: w.ec2.Operations(), blockOps: w.ebs.Operations(), groupOps: w.groups.Operations(),
		ownOps: together(w.ec2.ExportOperations(), w.groups.Metrics()),
	}
	return w
}

// start begins the work that nobody asks for, lowest service first: instances, then groups.
func (w *shift) start(ctx context.Context) error {
	if err := w.ec2.Start(ctx); err != nil {
		return fmt.Errorf("the volumes cannot be taken up: %w", err)
	}
	if err := w.ebs.Start(ctx); err != nil {
		return err
	}
	return w.groups.Start(ctx)
}

// stop lets what runs end, and closes all volumes.
func (w *shift) stop() {
	w.groups.Stop()
	w.ebs.Stop()
	w.ec2.Stop()
}

// working are the operations of a part, as whoever works at the time of the call serves them.
func (s *server) working(part string) map[string]guard.Handler {
	ops := maps.Clone(s.idle.ops[part])
	for name := range ops {
		ops[name] = func(ctx context.Context, c *guard.Call, in any) (any, error) {
			w, entered := ctx.Value(shiftKey{}).(*shift)
			if !entered {
				s.comeToRest(ctx)
				inside, leave, ok := s.enter(ctx)
				if !ok {
					return nil, serviceUnavailable()
				}
				defer leave()
				ctx, w = inside, inside.Value(shiftKey{}).(*shift)
			}
			return w.ops[part][name](ctx, c, in)
		}
	}
	return ops
}

// comeToRest waits, on a server where things happen at once, until they have: what others than the caller set off
// meanwhile bounds how long.
func (s *server) comeToRest(ctx context.Context) {
	if !s.instant {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, restBound)
	defer cancel()
	_ = s.clock.Settle(ctx, 2*atOnce) // at worst the caller sees a state on the way, as without it
}

// together are the operations of a service that several packages serve.
func together(parts ...map[string]guard.Handler) map[string]guard.Handler {
	all := map[string]guard.Handler{}
	for _, p := range parts {
		maps.Copy(all, p)
	}
	return all
}
