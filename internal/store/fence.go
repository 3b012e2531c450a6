package store

import (
	"context"
	"errors"
)

// A Fence is a lease as its holder has it: its name, and a token that no later holder has. An update
// under a fence commits only while the lease is still that holder's, and fails with ErrFenced
// otherwise. Engines that one process has for itself have no leases and ignore fences.
type Fence struct {
	Lease string
	Token uint64
}

type fenceKey struct{}

// WithFence has updates run under a fence.
func WithFence(ctx context.Context, f Fence) context.Context {
	return context.WithValue(ctx, fenceKey{}, f)
}

// FenceOf is the fence of a context; ok is false if there is none.
func FenceOf(ctx context.Context) (f Fence, ok bool) {
	f, ok = ctx.Value(fenceKey{}).(Fence)
	return f, ok
}

// Over reports whether an error says that this process does not work any more, because the store was
// closed or its lease is over. Who goes on is the next start, or another node: there is nothing to do or
// to say about it.
func Over(err error) bool { return errors.Is(err, ErrClosed) || errors.Is(err, ErrFenced) }
