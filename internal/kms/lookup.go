package kms

import (
	"context"
	"strings"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// ResolveKey turns any form of key identifier into the key's ARN for a service that looks names
// up for an account. It decides nothing and tells nothing else of the key; alias/aws/ebs is made
// on first use. Whether a key of another account exists is not told: its ARN is its own answer.
func (s *Service) ResolveKey(ctx context.Context, region, account, id string) (string, error) {
	owner, res := account, id
	if strings.HasPrefix(id, "arn:") {
		a, err := arn.Parse(id)
		if err != nil || a.Service != "kms" || a.Partition != arn.Partition || !arn.IsAccount(a.Account) {
			return "", apierr.Newf("InvalidArnException", "Invalid arn %s", id)
		}
		if a.Region != region {
			return "", notFound("Invalid arn %s", a.Region)
		}
		owner, res = a.Account, strings.TrimPrefix(a.Resource, "key/")
	}
	if !strings.HasPrefix(res, "alias/") {
		return s.keyARN(ctx, region, account, owner, res)
	}
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
	err := s.g.Read(ctx, func(tx store.Tx) (err error) {
		alias, found, err = aliasTable.Get(tx, region, owner, res)
		return err
	})
	if err == nil && !found {
		err = notFound("Alias %s is not found.", arn.KMSAlias(region, owner, res))
	}
	return arn.KMSKey(region, owner, alias.KeyID), err
}

// keyARN is the ARN of a key id, which must exist in the account that asks.
func (s *Service) keyARN(ctx context.Context, region, account, owner, id string) (string, error) {
	if !isKeyID(id) {
		return "", notFound("Invalid keyId '%s'", id)
	}
	keyARN := arn.KMSKey(region, owner, id)
	if owner != account {
		return keyARN, nil
	}
	return keyARN, s.g.Read(ctx, func(tx store.Tx) error {
		_, found, err := s.keys.Shared(tx, region, owner, id)
		if err == nil && !found {
			err = notFound("Key '%s' does not exist", keyARN)
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
		managed = found && k.resource.AWSManaged
		return err
	})
	return managed, err
}
