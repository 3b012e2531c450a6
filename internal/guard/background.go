package guard

import (
	"context"

	"github.com/kagimori/kagimori/internal/store"
)

// Read runs fn on a snapshot, for the work of services that is no call of anybody.
func (g *Guard) Read(ctx context.Context, fn func(store.Tx) error) error {
	return g.cfg.Store.View(ctx, fn)
}

// Change runs fn in a transaction without a record: bookkeeping that follows from calls which
// were decided and recorded. It must not change what a caller could not have changed by a call.
func (g *Guard) Change(ctx context.Context, fn func(store.Tx) error) error {
	return g.cfg.Store.Update(ctx, fn)
}

// Begin runs fn in a transaction of a call that does not carry its record: the first of several,
// after which the call can still fail. There may be several such, with what they decide kept together.
// The last one is an Update, or none if it failed.
func (g *Guard) Begin(ctx context.Context, c *Call, fn func(store.Tx) error) error {
	before := c.evidence.mark()
	return g.cfg.Store.Update(ctx, func(tx store.Tx) error {
		c.evidence.reset(before)
		return fn(tx)
	})
}

// LinkCause remembers that the recorded request explains what became of a resource (an instance,
// a volume, a scaling activity).
func (g *Guard) LinkCause(tx store.Tx, account, region, resource, requestID string) error {
	return g.cfg.Trail.LinkCause(tx, account, region, resource, requestID)
}

// UnlinkCause forgets what explains a resource that is kept no longer.
func (g *Guard) UnlinkCause(tx store.Tx, account, region, resource string) error {
	return g.cfg.Trail.UnlinkCause(tx, account, region, resource)
}

// PassCause lets what explains one resource explain another too.
func (g *Guard) PassCause(tx store.Tx, account, region, from, to string) error {
	id, ok, err := g.cfg.Trail.Cause(tx, account, region, from)
	if err != nil || !ok {
		return err
	}
	return g.cfg.Trail.LinkCause(tx, account, region, to, id)
}
