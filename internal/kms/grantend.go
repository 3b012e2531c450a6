package kms

import (
	"context"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/keyrule"
	"github.com/kagimori/kagimori/internal/store"
)

// checkGrantID wants an id to have the form of those of grants.
func checkGrantID(id string) error {
	if len(id) != grantIDLen || !keyrule.IsHex(id) {
		return apierr.New("InvalidGrantIdException", "")
	}
	return nil
}

// grantByID reads a grant of a key.
func grantByID(tx store.Tx, k *keyView, id string) (grantRecord, error) {
	if err := checkGrantID(id); err != nil {
		return grantRecord{}, err
	}
	g, found, err := grantTable.Get(tx, k.Region, k.Account, k.ID, id)
	if err == nil && !found {
		err = notFound("Grant ID %s not found", id)
	}
	return g, err
}

// RevokeGrant ends a grant.
func (s *Service) RevokeGrant(ctx context.Context, c *guard.Call, in *kmsapi.RevokeGrantRequest) error {
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		k, err := s.resolve(tx, c, in.KeyId, false)
		if err != nil {
			return err
		}
		c.Touch(k.arn, k.Account, keyType)
		affects(c, k.keyView)
		p := k.part(c, "kms:RevokeGrant")
		grantIsForAWSResource(c, &p)
		if _, err := s.authorize(tx, c, k.keyView, p, api.Val(in.DryRun)); err != nil {
			return err
		}
		g, err := grantByID(tx, k.keyView, api.Val(in.GrantId))
		if err != nil {
			return err
		}
		if api.Val(in.DryRun) {
			return errDryRun
		}
		return s.deleteGrant(tx, k.keyView, g)
	})
}

// RetireGrant lets those whom a grant itself names end it.
func (s *Service) RetireGrant(ctx context.Context, c *guard.Call, in *kmsapi.RetireGrantRequest) error {
	var named []string
	switch {
	case in.GrantToken != nil && in.KeyId == nil && in.GrantId == nil:
		parts, err := s.openToken(*in.GrantToken)
		if err != nil {
			return err
		}
		named = parts
	case in.GrantToken == nil && in.KeyId != nil && in.GrantId != nil:
	default:
		return apierr.Validation("Grant token OR (grant ID, key ID) must be specified")
	}
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		id := in.KeyId
		grantID := api.Val(in.GrantId)
		if named != nil {
			id, grantID = new(arn.KMSKey(named[0], named[1], named[2])), named[3]
		}
		k, err := s.resolve(tx, c, id, false)
		if err != nil {
			return err
		}
		g, err := grantByID(tx, k.keyView, grantID)
		if err != nil && k.Account != c.Account() {
			// Who has nothing to do with the key does not learn whether it exists.
			return s.hidden(tx, c, "kms:RetireGrant", k.arn, k.Account)
		}
		if err != nil {
			return err
		}
		c.Touch(k.arn, k.Account, keyType)
		affects(c, k.keyView)
		c.Note("grantId", grantID)
		p := k.part(c, "kms:RetireGrant") // other grants do not matter
		p.Target = new(g.authz())
		g.terms().DescribeConstraint(&p)
		if _, err := s.g.Authorize(tx, c, guard.Check{Parts: []authz.Part{p}, DryRun: api.Val(in.DryRun)}); err != nil {
			return err
		}
		if api.Val(in.DryRun) {
			return errDryRun
		}
		return s.deleteGrant(tx, k.keyView, g)
	})
}
