package kms

import (
	"context"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// ListGrants lists a key's grants, all or those of one grantee or id.
func (s *Service) ListGrants(ctx context.Context, c *guard.Call, in *kmsapi.ListGrantsRequest) (*kmsapi.ListGrantsResponse, error) {
	var out *kmsapi.ListGrantsResponse
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		k, err := s.resolve(tx, c, in.KeyId, false)
		if err != nil {
			return err
		}
		c.Touch(k.arn, k.Account, "AWS::KMS::Key")
		p, err := s.part(tx, c, k.keyView, "kms:ListGrants")
		if err != nil {
			return err
		}
		grantIsForAWSResource(c, &p)
		if _, err := s.g.Allow(tx, c, p); err != nil {
			return err
		}
		if in.GranteeServicePrincipal != nil && c.Caller.Principal.Type != authz.Service {
			return apierr.Validation("GranteeServicePrincipal can be used by AWS services only.")
		}
		pg, err := s.page(in.Marker, in.Limit, 50, k.Region, k.Account, k.ID)
		if err != nil {
			return err
		}
		recs, end, err := list(tx, grantTable, pg, func(r store.Record[grantRecord]) bool {
			return (in.GrantId == nil || r.Value.ID == *in.GrantId) &&
				(in.GranteePrincipal == nil || r.Value.Grantee == *in.GranteePrincipal)
		})
		if err != nil {
			return err
		}
		out = &kmsapi.ListGrantsResponse{Grants: []kmsapi.GrantListEntry{}}
		for _, g := range recs {
			e, err := s.grantEntry(tx, g)
			if err != nil {
				return err
			}
			out.Grants = append(out.Grants, e)
		}
		out.Truncated, out.NextMarker = s.more(end)
		return nil
	})
	return out, err
}

// ListRetirableGrants lists the grants in the region that a principal of the caller's account may
// retire, whoever owns their keys.
func (s *Service) ListRetirableGrants(ctx context.Context, c *guard.Call, in *kmsapi.ListRetirableGrantsRequest) (*kmsapi.ListGrantsResponse, error) {
	who := api.Val(in.RetiringPrincipal)
	if in.RetiringServicePrincipal != nil {
		return nil, apierr.Validation("RetiringServicePrincipal can be used by AWS services only.")
	}
	a, err := arn.Parse(who)
	if err != nil {
		return nil, apierr.Newf("InvalidArnException", "ARN %s is not a valid principal", who)
	}
	var out *kmsapi.ListGrantsResponse
	err = s.g.View(ctx, c, func(tx store.Tx) error {
		_, err := s.g.Allow(tx, c, authz.Part{Action: "kms:ListRetirableGrants", Resource: authz.Resource{ARN: who, Account: a.Account}})
		if err != nil {
			return err
		}
		id, known, err := s.dir.Resolve(tx, who)
		if err != nil {
			return err
		}
		if !known || a.Account != c.Account() {
			return apierr.Newf("InvalidArnException", "ARN does not refer to a valid principal: %s", who)
		}
		if id == "" {
			id = who
		}
		pg, err := s.page(in.Marker, in.Limit, 50, c.Region, id)
		if err != nil {
			return err
		}
		out = &kmsapi.ListGrantsResponse{Grants: []kmsapi.GrantListEntry{}}
		end := next{}
		for r, err := range retiringTable.ScanRange(tx, store.Range{Prefix: pg.prefix, After: pg.after}) {
			if err != nil {
				return err
			}
			if len(out.Grants) == pg.limit {
				end.prefix = pg.prefix
				break
			}
			g, found, err := grantTable.Get(tx, c.Region, r.Key[2], r.Key[3], r.Key[4])
			if err != nil {
				return err
			}
			if !found {
				continue
			}
			e, err := s.grantEntry(tx, g)
			if err != nil {
				return err
			}
			out.Grants = append(out.Grants, e)
			end.last = store.Key(r.Key...)
		}
		if end.prefix == "" {
			end = next{}
		}
		out.Truncated, out.NextMarker = s.more(end)
		return nil
	})
	return out, err
}

// grantEntry is a grant as lists show it. A deleted principal shows as its unique id.
func (s *Service) grantEntry(tx store.Tx, g grantRecord) (kmsapi.GrantListEntry, error) {
	e := kmsapi.GrantListEntry{
		KeyId: new(arn.KMSKey(g.Region, g.Account, g.KeyID)), GrantId: &g.ID, Name: &g.Name, CreationDate: &g.Created,
		IssuingAccount: new(arn.Root(g.Issuer)), Operations: g.Operations,
	}
	grantee, err := s.shown(tx, g.Grantee, g.GranteeID)
	if err != nil {
		return e, err
	}
	if g.GranteeService {
		e.GranteeServicePrincipal = &grantee
	} else {
		e.GranteePrincipal = &grantee
	}
	if g.Retiring != "" {
		retiring, err := s.shown(tx, g.Retiring, g.RetiringID)
		if err != nil {
			return e, err
		}
		if g.RetiringSvc {
			e.RetiringServicePrincipal = &retiring
		} else {
			e.RetiringPrincipal = &retiring
		}
	}
	if g.Equals != nil || g.Subset != nil || g.SourceARN != "" {
		e.Constraints = &kmsapi.GrantConstraints{
			EncryptionContextEquals: g.Equals, EncryptionContextSubset: g.Subset, SourceArn: api.Opt(g.SourceARN),
		}
	}
	return e, nil
}

func (s *Service) shown(tx store.Tx, who, id string) (string, error) {
	if id == "" {
		return who, nil
	}
	_, lives, err := s.dir.ByID(tx, id)
	if err != nil || lives {
		return who, err
	}
	return id, nil
}
