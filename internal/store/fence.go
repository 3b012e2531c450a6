package store

import "context"

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
