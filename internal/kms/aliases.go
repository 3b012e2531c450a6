package kms

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

const aliasPrefix = "alias/"

// maxAliases is the most aliases that a key has.
const maxAliases = 50

// checkNewAlias refuses names that a customer cannot give to an alias.
func checkNewAlias(name string) error {
	if !strings.HasPrefix(name, aliasPrefix) {
		return apierr.Validation("Alias must start with the prefix \"alias/\". Please see https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html")
	}
	return checkAlias(name)
}

// checkAlias refuses names that are not an alias of a customer.
func checkAlias(name string) error {
	switch {
	case !strings.HasPrefix(name, aliasPrefix):
		return apierr.Validation("Invalid identifier")
	case strings.HasPrefix(name, "alias/aws/"):
		return apierr.New("NotAuthorizedException", "")
	case len(name) == len(aliasPrefix):
		return apierr.Validation("Alias must not be blank")
	case strings.Contains(name, ":"):
		return apierr.Validation("%s contains invalid characters for an alias", name)
	}
	return nil
}

// aliasPart is the half of an alias operation that only IAM policies can allow.
func aliasPart(c *guard.Call, action, name string) authz.Part {
	return authz.Part{Action: action, Resource: authz.Resource{ARN: arn.KMSAlias(c.Region, c.Account(), name), Account: c.Account()}}
}

// target finds the key that an alias is to point to: a customer key of the caller's account.
func (s *Service) target(tx store.Tx, c *guard.Call, id *string) (*keyView, error) {
	if v := api.Val(id); strings.HasPrefix(v, "alias/") || strings.Contains(v, ":alias/") {
		return nil, apierr.Validation("Aliases must refer to keys. Not aliases")
	}
	k, err := s.resolve(tx, c, id, false)
	if err != nil {
		return nil, err
	}
	if k.Account != c.Account() {
		return nil, s.hidden(tx, c, "kms:"+c.Operation, k.arn, k.Account)
	}
	return k.keyView, nil
}

// CreateAlias gives a key another name.
func (s *Service) CreateAlias(ctx context.Context, c *guard.Call, in *kmsapi.CreateAliasRequest) error {
	name := api.Val(in.AliasName)
	if err := checkNewAlias(name); err != nil {
		return err
	}
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		k, err := s.target(tx, c, in.TargetKeyId)
		if err != nil {
			return err
		}
		c.Touch(k.arn, k.Account, keyType)
		c.Touch(arn.KMSAlias(c.Region, c.Account(), name), c.Account(), keyType)
		affects(c, k)
		if _, err := s.g.Authorize(tx, c, guard.Check{Parts: []authz.Part{aliasPart(c, "kms:CreateAlias", name), k.part(c, "kms:CreateAlias")}}); err != nil {
			return err
		}
		if _, exists, err := aliasTable.Get(tx, c.Region, c.Account(), name); err != nil {
			return err
		} else if exists {
			return apierr.Newf("AlreadyExistsException", "An alias with the name %s already exists", arn.KMSAlias(c.Region, c.Account(), name))
		}
		if err := k.check(opCreateAlias); err != nil {
			return err
		}
		now := s.g.Now().Truncate(time.Millisecond)
		if err := addAlias(tx, *k.keyRecord, name); err != nil {
			return err
		}
		return aliasTable.Put(tx, aliasRecord{name, k.ID, now, now}, c.Region, c.Account(), name)
	})
}

func addAlias(tx store.Tx, k keyRecord, name string) error {
	if len(k.Aliases) >= maxAliases {
		return apierr.Newf("LimitExceededException", "Key %s already has %d aliases", k.arn(), maxAliases)
	}
	k.Aliases = append(slices.Clone(k.Aliases), name)
	return keyTable.Put(tx, k, k.Region, k.Account, k.ID)
}

func removeAlias(tx store.Tx, k keyRecord, name string) error {
	k.Aliases = slices.DeleteFunc(slices.Clone(k.Aliases), func(a string) bool { return a == name })
	return keyTable.Put(tx, k, k.Region, k.Account, k.ID)
}

// UpdateAlias points an alias to another key of the same kind.
func (s *Service) UpdateAlias(ctx context.Context, c *guard.Call, in *kmsapi.UpdateAliasRequest) error {
	name := api.Val(in.AliasName)
	if err := checkAlias(name); err != nil {
		return err
	}
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		a, found, err := aliasTable.Get(tx, c.Region, c.Account(), name)
		if err != nil {
			return err
		}
		if !found {
			return notFound("Alias %s is not found.", arn.KMSAlias(c.Region, c.Account(), name))
		}
		to, err := s.target(tx, c, in.TargetKeyId)
		if err != nil {
			return err
		}
		from, err := s.byID(tx, c, "kms:"+c.Operation, c.Region, c.Account(), a.KeyID)
		if err != nil {
			return err
		}
		c.Touch(arn.KMSAlias(c.Region, c.Account(), name), c.Account(), keyType)
		affects(c, to)
		parts := []authz.Part{aliasPart(c, "kms:UpdateAlias", name)}
		for _, k := range []*keyView{from.keyView, to} {
			c.Touch(k.arn, k.Account, keyType)
			parts = append(parts, k.part(c, "kms:UpdateAlias"))
		}
		if _, err := s.g.Authorize(tx, c, guard.Check{Parts: parts}); err != nil {
			return err
		}
		if err := to.check(opCreateAlias); err != nil {
			return err
		}
		if err := sameKind(arn.KMSAlias(c.Region, c.Account(), name), from.keyView, to); err != nil {
			return err
		}
		a.Updated = s.g.Now().Truncate(time.Millisecond)
		if from.ID != to.ID {
			a.KeyID = to.ID
			if err := removeAlias(tx, *from.keyRecord, name); err != nil {
				return err
			}
			if err := addAlias(tx, *to.keyRecord, name); err != nil {
				return err
			}
		}
		return aliasTable.Put(tx, a, c.Region, c.Account(), name)
	})
}

// sameKind refuses to point an alias from one key to another that cannot take its place.
// Source: API Reference, UpdateAlias.
func sameKind(alias string, from, to *keyView) error {
	switch {
	case from.Usage != to.Usage:
		return apierr.Validation("Alias %s cannot be changed from a CMK with key usage %s to a CMK with key usage %s.", alias, from.Usage, to.Usage)
	case (from.Spec == kmsapi.KeySpecSYMMETRIC_DEFAULT) != (to.Spec == kmsapi.KeySpecSYMMETRIC_DEFAULT):
		return apierr.Validation("Alias %s cannot be changed from a symmetric CMK to an asymmetric CMK or vice versa.", alias)
	}
	return nil
}

// DeleteAlias removes an alias; the key stays.
func (s *Service) DeleteAlias(ctx context.Context, c *guard.Call, in *kmsapi.DeleteAliasRequest) error {
	name := api.Val(in.AliasName)
	if err := checkAlias(name); err != nil {
		return err
	}
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		a, found, err := aliasTable.Get(tx, c.Region, c.Account(), name)
		if err != nil {
			return err
		}
		if !found {
			return notFound("Alias %s is not found.", arn.KMSAlias(c.Region, c.Account(), name))
		}
		k, err := s.byID(tx, c, "kms:"+c.Operation, c.Region, c.Account(), a.KeyID)
		if err != nil {
			return err
		}
		c.Touch(arn.KMSAlias(c.Region, c.Account(), name), c.Account(), keyType)
		c.Touch(k.arn, k.Account, keyType)
		affects(c, k.keyView)
		if _, err := s.g.Authorize(tx, c, guard.Check{Parts: []authz.Part{aliasPart(c, "kms:DeleteAlias", name), k.part(c, "kms:DeleteAlias")}}); err != nil {
			return err
		}
		if err := removeAlias(tx, *k.keyRecord, name); err != nil {
			return err
		}
		return aliasTable.Delete(tx, c.Region, c.Account(), name)
	})
}

// ListAliases lists the aliases of the account and region, or those of one key. AWS aliases whose
// key does not exist yet are listed without a key.
func (s *Service) ListAliases(ctx context.Context, c *guard.Call, in *kmsapi.ListAliasesRequest) (*kmsapi.ListAliasesResponse, error) {
	pg, err := s.page(in.Marker, in.Limit, 50, 100, c.Region, c.Account())
	if err != nil {
		return nil, err
	}
	out := &kmsapi.ListAliasesResponse{}
	err = s.g.View(ctx, c, func(tx store.Tx) error {
		if err := s.allowAny(tx, c, "kms:ListAliases"); err != nil {
			return err
		}
		only := ""
		if in.KeyId != nil {
			k, err := s.resolve(tx, c, in.KeyId, false)
			if err != nil {
				return err
			}
			if k.Account != c.Account() {
				return s.hidden(tx, c, "kms:ListAliases", k.arn, k.Account)
			}
			only = k.ID
		}
		recs, end, err := list(tx, aliasTable, pg, func(r store.Record[aliasRecord]) bool { return only == "" || r.Value.KeyID == only })
		if err != nil {
			return err
		}
		if only == "" {
			if recs, end, err = withPredefined(tx, c, pg, recs, end); err != nil {
				return err
			}
		}
		out.Aliases = make([]kmsapi.AliasListEntry, 0, len(recs))
		for _, a := range recs {
			e := kmsapi.AliasListEntry{AliasName: &a.Name, AliasArn: new(arn.KMSAlias(c.Region, c.Account(), a.Name))}
			if a.KeyID != "" {
				e.TargetKeyId, e.CreationDate, e.LastUpdatedDate = &a.KeyID, &a.Created, &a.Updated
			}
			out.Aliases = append(out.Aliases, e)
		}
		out.Truncated, out.NextMarker = s.more(end)
		return nil
	})
	return out, err
}

// withPredefined adds the predefined aliases that have no key yet in their places to a page of aliases.
func withPredefined(tx store.Tx, c *guard.Call, pg paging, recs []aliasRecord, end next) ([]aliasRecord, next, error) {
	for _, pre := range predefinedKeys() {
		key := store.Key(c.Region, c.Account(), pre.alias())
		if pg.after >= key || end.last != "" && key > end.last {
			continue
		}
		i, found := slices.BinarySearchFunc(recs, pre.alias(), func(r aliasRecord, name string) int { return strings.Compare(r.Name, name) })
		if !found {
			recs = slices.Insert(recs, i, aliasRecord{Name: pre.alias()})
		}
	}
	if len(recs) > pg.limit {
		recs = recs[:pg.limit]
		end = next{pg.prefix, store.Key(c.Region, c.Account(), recs[pg.limit-1].Name)}
	}
	return recs, end, nil
}
