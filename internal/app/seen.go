package app

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/hsm/soft"
	"github.com/kagimori/kagimori/internal/store"
)

// A nodeStore is the store of a cluster as the services of a node see it. Every transaction reads the
// seal's record and has this node's keyring follow it: what a closure wraps is wrapped under the epoch
// that its transaction saw, and does not commit if that is not the newest one any more.
type nodeStore struct {
	store.Store
	root    *soft.RootKey
	adopted atomic.Uint64 // the revision of the record that the keyring has
	// followed is the revision of a state that reads need not look at again: nothing has changed since.
	followed atomic.Uint64
	// format is that of the store, and formatAt the revision of the record that says so.
	format, formatAt atomic.Int64
	// resealed is told that the seal was made anew, under locks that have to be tried.
	resealed func(seal []byte)
	// out: none of this node's locks opens the seal.
	out atomic.Bool
}

// View implements [store.Store].
func (n *nodeStore) View(ctx context.Context, fn func(store.Tx) error) error {
	return clientError(n.Store.View(ctx, func(tx store.Tx) error {
		if rev := uint64(tx.Revision()); rev != n.followed.Load() {
			if err := n.follow(ctx, tx); err != nil {
				return err
			}
			n.followed.Store(rev)
		}
		return fn(tx)
	}))
}

// Update implements [store.Store].
func (n *nodeStore) Update(ctx context.Context, fn func(store.Tx) error) error {
	return clientError(n.Store.Update(ctx, func(tx store.Tx) error {
		if err := n.follow(ctx, tx); err != nil {
			return err
		}
		return fn(tx)
	}))
}

var errSealedOut = errors.New("app: the seal was made anew and this node cannot open it")

// follow brings the keyring to where the transaction's seal is.
func (n *nodeStore) follow(ctx context.Context, tx store.Tx) error {
	get := tx.Get
	if o, ok := tx.(*store.Overlay); ok {
		get = o.Aside // the closure's reads are all its own
	}
	if err := n.level(tx, get); err != nil {
		return err
	}
	raw, ok, err := get(sealBucket, store.Key(sealKey))
	if err != nil || !ok || uint64(raw.Rev) <= n.adopted.Load() {
		return err
	}
	if n.out.Load() {
		return errSealedOut
	}
	rec, err := sealTable.Decode(store.Pair{Key: store.Key(sealKey), Value: raw})
	if err != nil {
		return err
	}
	err = n.root.Adopt(ctx, rec.Value.Seal)
	if errors.Is(err, soft.ErrOtherLocks) {
		n.resealed(rec.Value.Seal)
		return errors.Join(errSealedOut, err)
	}
	if err == nil {
		for old := n.adopted.Load(); uint64(raw.Rev) > old && !n.adopted.CompareAndSwap(old, uint64(raw.Rev)); old = n.adopted.Load() {
		}
	}
	return err
}

// clientError is what a client is told of a store that cannot be used now: to try again.
func clientError(err error) error {
	if err == nil || !errors.Is(err, store.ErrUnavailable) && !errors.Is(err, store.ErrFenced) && !errors.Is(err, errSealedOut) && !errors.Is(err, errOutdated) {
		return err
	}
	return &unavailableError{cause: err}
}

// An unavailableError is an error of the store with what a client is told of it.
type unavailableError struct{ cause error }

// Error is the cause, for the log.
func (e *unavailableError) Error() string { return e.cause.Error() }

// Unwrap gives both.
func (e *unavailableError) Unwrap() []error { return []error{serviceUnavailable(), e.cause} }

// serviceUnavailable is the common error of that name. Source: KMS API Reference, "Common Errors".
func serviceUnavailable() *apierr.Error {
	e := apierr.New("ServiceUnavailable", "The request has failed due to a temporary failure of the server.").WithStatus(503)
	e.Server = true
	return e
}
