package directory

import (
	"context"
	"errors"
	"strings"

	"github.com/kagimori/kagimori/internal/store"
)

// An owner is whose an access key is, and its secret, sealed.
type owner struct {
	id     Identity
	sealed []byte
}

// A search finds the owner of an access key. Each request needs one; they are used again.
type search struct {
	d           *Directory
	accessKeyID string
	account     string // whose user admin has the key, in development; "": the key is a record
	tx          store.Tx
	found       *owner
	view        func(store.Tx) error
	make        func() (*owner, error)
}

// ownerOf is whose an access key is, and whether the account is open, on one snapshot. account is that whose user
// admin has it, in development, or "".
func (d *Directory) ownerOf(ctx context.Context, accessKeyID, account string) (*owner, error) {
	s, ok := d.searches.Get().(*search)
	if !ok {
		s = &search{d: d}
		s.view, s.make = s.look, s.owner
	}
	s.accessKeyID, s.account = accessKeyID, account
	err := d.cfg.Store.View(ctx, s.view)
	o := s.found
	s.accessKeyID, s.account, s.tx, s.found = "", "", nil, nil
	d.searches.Put(s)
	return o, err
}

// look asks a snapshot, which may remember the owner.
func (s *search) look(tx store.Tx) (err error) {
	s.tx = tx
	s.found, err = s.d.owners.Get(tx, s.make, s.accessKeyID)
	return err
}

// owner reads who it is.
func (s *search) owner() (o *owner, err error) {
	if s.account != "" {
		o, err = s.d.devOwner(s.tx, s.account, s.accessKeyID)
	} else {
		o, err = s.d.owner(s.tx, s.accessKeyID)
	}
	if err == nil && o.id.Principal.Account != "" {
		o.id.Open, err = s.d.isOpen(s.tx, o.id.Principal.Account)
	}
	return o, err
}

func (d *Directory) owner(tx store.Tx, accessKeyID string) (*owner, error) {
	key, ok, err := AccessKeys.Get(tx, accessKeyID)
	if err != nil {
		return nil, err
	}
	if !ok || key.Inactive {
		return nil, ErrUnknownAccessKey
	}
	o := &owner{sealed: key.Sealed}
	if key.User == "" {
		o.id = d.rootIdentity(key.Account)
	} else if o.id, err = d.userIdentity(tx, key.Account, key.User, key.UserID); err != nil {
		return nil, err
	}
	o.id.AccessKeyID = key.ID
	return o, nil
}

// devOwner is the user admin of an account, or nobody yet while there is none.
func (d *Directory) devOwner(tx store.Tx, account, accessKeyID string) (*owner, error) {
	account, accessKeyID = strings.Clone(account), strings.Clone(accessKeyID) // kept longer than the request
	id, err := d.userIdentity(tx, account, "admin", "")
	if errors.Is(err, ErrUnknownAccessKey) {
		id, err = Identity{}, nil
	}
	if err != nil {
		return nil, err
	}
	id.AccessKeyID = accessKeyID
	return &owner{id: id}, nil
}
