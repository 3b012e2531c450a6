package org

import (
	"context"
	"time"

	"github.com/kagimori/kagimori/internal/api/organizationsapi"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// Accounts that may be closed within a time: a fifth of the organization's, but so many at least and
// at most. Source: AWS Organizations API Reference, CloseAccount.
const (
	closingTime = 30 * 24 * time.Hour
	minClosed   = 250
	maxClosed   = 1000
)

// CloseAccount closes a member account: nobody of it can sign in any more. It stays a member, as at AWS,
// where it is suspended for 90 days. Source: AWS Organizations API Reference, CloseAccount.
func (s *Service) CloseAccount(ctx context.Context, c *guard.Call, in *organizationsapi.CloseAccountRequest) error {
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		o, err := s.open(tx, c, on(*in.AccountId).featured())
		if err != nil {
			return err
		}
		m, ok, err := s.dir.KnownMember(tx, o, *in.AccountId)
		switch {
		case err != nil:
			return err
		case !ok:
			return errNoAccount
		case m.Account == o.Management:
			return errCloseManagement
		case !m.Closed.IsZero():
			return errClosed
		}
		members, err := s.dir.Members(tx, o)
		if err != nil {
			return err
		}
		recent := 0
		for _, x := range members {
			if !x.Closed.IsZero() && s.now().Sub(x.Closed) < closingTime {
				recent++
			}
		}
		if recent >= max(minClosed, min(len(members)/5, maxClosed)) {
			return errCloseQuota
		}
		m.Closed = s.now()
		return s.dir.PutMember(tx, o, m)
	})
}

// state is an account's status and the finer state that replaces it, in which AWS alone suspends accounts.
// Source: AWS Organizations User Guide, "Monitor the state of your AWS accounts".
func state(m *directory.Member) (status, state string) {
	if m.Closed.IsZero() {
		return organizationsapi.AccountStatusACTIVE, organizationsapi.AccountStateACTIVE
	}
	return organizationsapi.AccountStatusSUSPENDED, organizationsapi.AccountStateCLOSED
}
