package store

import "context"

// Settled is the transaction as others see it, where that is not the same: a store may show changes
// late (package late).
func Settled(tx Tx) Tx {
	if l, ok := tx.(interface{ Settled() Tx }); ok {
		return l.Settled()
	}
	return tx
}

type promptly struct{}

// Promptly marks updates that everybody sees at once, even where a store shows changes late: what the
// server itself sets up.
func Promptly(ctx context.Context) context.Context { return context.WithValue(ctx, promptly{}, true) }

// Prompt reports whether a context is so marked.
func Prompt(ctx context.Context) bool { return ctx.Value(promptly{}) != nil }
