package kms

import (
	"context"
	"fmt"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/keyrule"
	"github.com/kagimori/kagimori/internal/store"
)

// ResolveKey turns any form of key identifier into the key's ARN for a service that looks names
// up for an account. It decides nothing and tells nothing else of the key; alias/aws/ebs is made
// on first use. Whether a key of another account exists is not told: its ARN is its own answer, and an
// alias that is not there means a key that is not there.
func (s *Service) ResolveKey(ctx context.Context, region, account, id string) (string, error) {
	name, err := keyrule.Identify(id, region, account)
	if err != nil {
		return "", err
	}
	if name.Alias == "" {
		return s.keyARN(ctx, region, account, name.Account, name.ID)
	}
	owner, res := name.Account, name.Alias
	c := &guard.Call{
		ID: guard.NewRequestID(), Service: "kms", Operation: "DescribeKey", Region: region, ReadOnly: true, Time: s.g.Now(),
		Caller: guard.Caller{Identity: directory.Identity{Principal: authz.Principal{Account: account}}},
		Input:  &kmsapi.DescribeKeyRequest{KeyId: &id},
	}
	if err := s.ensureManaged(ctx, c, id); err != nil {
		return "", err
	}
	var (
		alias aliasRecord
		found bool
	)
	err = s.g.Read(ctx, func(tx store.Tx) (err error) {
		alias, found, err = aliasTable.Get(tx, region, owner, res)
		return err
	})
	if err != nil {
		return "", err
	}
	if !found {
		return s.noAlias(region, account, owner, res)
	}
	return arn.KMSKey(region, owner, alias.KeyID), nil
}

// noAlias is what an alias that does not exist means to an account: its own, nothing; one of another
// account, a key that nobody may use, always the same one, for a key that others keep from the account
// looks like that.
func (s *Service) noAlias(region, account, owner, name string) (string, error) {
	aliasARN := arn.KMSAlias(region, owner, name)
	if owner == account {
		return "", keyrule.NoAlias(aliasARN)
	}
	id := s.absent(aliasARN)
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return arn.KMSKey(region, owner, fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])), nil
}

// keyARN is the ARN of a key id, which must exist in the account that asks.
func (s *Service) keyARN(ctx context.Context, region, account, owner, id string) (string, error) {
	keyARN := arn.KMSKey(region, owner, id)
	if owner != account {
		return keyARN, nil
	}
	return keyARN, s.g.Read(ctx, func(tx store.Tx) error {
		_, found, err := s.keys.Shared(tx, region, owner, id)
		if err == nil && !found {
			err = keyrule.NoKey(keyARN)
		}
		return err
	})
}

// ManagedByAWS reports whether a key, by its ARN, is one that AWS manages. A key that does not
// exist is not. It decides nothing, like ResolveKey.
func (s *Service) ManagedByAWS(ctx context.Context, keyARN string) (managed bool, err error) {
	a, err := arn.Parse(keyARN)
	if err != nil {
		return false, apierr.Newf("InvalidArnException", "Invalid arn %s", keyARN)
	}
	err = s.g.Read(ctx, func(tx store.Tx) error {
		k, found, err := s.keys.Shared(tx, a.Region, a.Account, a.ID())
		managed = found && k.managed()
		return err
	})
	return managed, err
}
