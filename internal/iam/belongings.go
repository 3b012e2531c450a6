package iam

import (
	"context"
	"slices"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// belongings are what a user has beside access keys. A user that has any cannot be deleted.
type belongings struct {
	Login        *login               `json:"login,omitempty"`
	MFA          []string             `json:"mfa,omitempty"` // names of virtual devices
	SSH          []sshKey             `json:"ssh,omitempty"`
	Certificates []signingCertificate `json:"certificates,omitempty"`
	Credentials  []serviceCredential  `json:"credentials,omitempty"`
}

// belongingsTable is by (account, unique id of the user); the root user's id is its account's.
var belongingsTable = store.Table[belongings]{Bucket: "iam/belongings", Version: 1}

func (o owner) key() []string {
	if o.id == "" {
		return []string{o.account, o.account}
	}
	return []string{o.account, o.id}
}

// owned decides the operation on a user, or without a name on the caller, and reads what it has.
func (s *Service) owned(tx store.Tx, c *guard.Call, name *string) (owner, belongings, error) {
	o, err := s.keyOwner(tx, c, name, c.Operation, nil)
	if err != nil {
		return o, belongings{}, err
	}
	b, _, err := belongingsTable.Get(tx, o.key()...)
	return o, b, err
}

// readOwned runs fn on what a user has after deciding the operation.
func (s *Service) readOwned(ctx context.Context, c *guard.Call, name *string, fn func(owner, belongings) error) error {
	return s.g.View(ctx, c, func(tx store.Tx) error {
		o, b, err := s.owned(tx, c, name)
		if err != nil {
			return err
		}
		return fn(o, b)
	})
}

// changeOwned lets fn change what a user has after deciding the operation.
func (s *Service) changeOwned(ctx context.Context, c *guard.Call, name *string, fn func(store.Tx, owner, *belongings) error) error {
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		o, b, err := s.owned(tx, c, name)
		if err != nil {
			return err
		}
		if err := fn(tx, o, &b); err != nil {
			return err
		}
		return belongingsTable.Put(tx, b, o.key()...)
	})
}

// removable refuses to delete a user that has any belongings. The texts are as reported by users.
func (b *belongings) removable() error {
	first := ""
	switch {
	case b.Login != nil:
		first = "delete login profile"
	case len(b.MFA) > 0:
		first = "delete MFA device"
	case len(b.Certificates) > 0:
		first = "delete certificates"
	case len(b.SSH)+len(b.Credentials) > 0:
		first = "remove referenced objects"
	default:
		return nil
	}
	return apierr.Newf(codeConflict, "Cannot delete entity, must %s first.", first)
}

// pageOwned is one page of what a user has, sorted by id.
func pageOwned[T any](s *Service, c *guard.Call, o owner, all []T, id func(T) string, marker *string, items *int32) (shown []T, truncated *bool, next *string, err error) {
	pg, err := s.page(c, o.account+" "+o.id, marker, items)
	if err != nil {
		return nil, nil, nil, err
	}
	all = slices.SortedFunc(slices.Values(all), func(a, b T) int {
		switch x, y := id(a), id(b); {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	})
	shown, last := cut(pg, all, id)
	truncated, next = s.end(pg, last)
	return shown, truncated, next, nil
}

// checkStatus refuses the one value of StatusType that nobody may set.
func checkStatus(status *string) error {
	if api.Val(status) == "Expired" {
		return apierr.New(codeInvalid, "The status can be set to Active or Inactive.")
	}
	return nil
}
