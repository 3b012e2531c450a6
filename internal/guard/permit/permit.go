// Package permit is the right to use key material once.
//
// Only a positive decision makes a [Permit]: New needs a token that no service can obtain.
// Each method of hsm that touches key material spends one.
package permit

import (
	"errors"
	"sync/atomic"

	"github.com/kagimori/kagimori/internal/guard/internal/mint"
)

// Errors of [Permit.Spend].
var (
	ErrNone     = errors.New("permit: no decision allowed this use")
	ErrDryRun   = errors.New("permit: a dry run gets nothing that key material makes")
	ErrMismatch = errors.New("permit: made for another action or resource")
	ErrSpent    = errors.New("permit: already used")
)

// A Permit allows one use of key material, for one action on one resource in one request.
// The zero Permit allows nothing. Copies share the single use.
type Permit struct{ s *state }

type state struct {
	action, resource, request string
	dryRun                    bool
	spent                     atomic.Bool
}

// New makes a permit. It panics if the token is the zero token.
func New(t mint.Token, action, resource, request string, dryRun bool) Permit {
	if !t.Real() {
		panic("permit: forged token")
	}
	return Permit{&state{action: action, resource: resource, request: request, dryRun: dryRun}}
}

// Spend uses the permit up. It fails for the zero permit, for a dry run, for another action or
// resource than decided, and for the second use.
func (p Permit) Spend(action, resource string) error {
	switch {
	case p.s == nil:
		return ErrNone
	case p.s.action != action || p.s.resource != resource:
		return ErrMismatch
	case p.s.spent.Swap(true):
		return ErrSpent
	case p.s.dryRun:
		return ErrDryRun
	}
	return nil
}

// Request is the id of the request that was decided, or "".
func (p Permit) Request() string {
	if p.s == nil {
		return ""
	}
	return p.s.request
}
