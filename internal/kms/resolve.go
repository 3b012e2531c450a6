package kms

import (
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/keyrule"
	"github.com/kagimori/kagimori/internal/store"
)

// resolved is a key with the alias it was called by, if any.
type resolved struct {
	*keyView
	alias string       // alias name of the request: kms:RequestAlias
	store *storeRecord // its custom key store, or nil
}

// part is that of the key, which another account is told by the alias that it used.
func (r resolved) part(c *guard.Call, action string) authz.Part {
	p := r.keyView.part(c, action)
	if r.alias != "" {
		p.ShownAs = arn.KMSAlias(r.Region, r.Account, r.alias)
	}
	return p
}

// resolve finds the key that an identifier names: a key id, a key ARN and, if aliases are
// accepted, an alias name or alias ARN. Ids and names are of the caller's account and region.
func (s *Service) resolve(tx store.Tx, c *guard.Call, id *string, aliases bool) (resolved, error) {
	return s.resolveFor(tx, c, "kms:"+c.Operation, id, aliases)
}

// resolveFor is resolve for one of the actions of an operation that needs several. Without an action a
// key of another account that does not exist is one that nobody may use, for the decision to refuse.
func (s *Service) resolveFor(tx store.Tx, c *guard.Call, action string, id *string, aliases bool) (resolved, error) {
	given := api.Val(id)
	name, err := keyrule.Identify(given, c.Region, c.Account())
	switch {
	case err != nil:
		return resolved{}, err
	case name.Alias == "":
		return s.byID(tx, c, action, c.Region, name.Account, name.ID)
	case !aliases:
		return resolved{}, apierr.New("InvalidArnException", "Key Aliases are not supported for this operation.")
	}
	return s.byAlias(tx, c, action, c.Region, name.Account, name.Alias)
}

func (s *Service) byID(tx store.Tx, c *guard.Call, action, region, account, id string) (resolved, error) {
	k, found, err := s.keys.Shared(tx, region, account, id)
	if err != nil {
		return resolved{}, err
	}
	if found {
		return inStore(tx, k)
	}
	keyARN := arn.KMSKey(region, account, id)
	if account != c.Account() && action == "" && c.Caller.Principal.Type != authz.Service {
		return absentKey(region, account, id), nil
	}
	if account != c.Account() {
		return resolved{}, s.hidden(tx, c, action, keyARN, account)
	}
	return resolved{}, keyrule.NoKey(keyARN)
}

func (s *Service) byAlias(tx store.Tx, c *guard.Call, action, region, account, name string) (resolved, error) {
	a, found, err := aliasTable.Get(tx, region, account, name)
	if err != nil {
		return resolved{}, err
	}
	if !found {
		aliasARN := arn.KMSAlias(region, account, name)
		if account != c.Account() && action == "" && c.Caller.Principal.Type != authz.Service {
			r := absentKey(region, account, guard.NewRequestID())
			r.alias = name
			return r, nil
		}
		if account != c.Account() {
			return resolved{}, s.hidden(tx, c, action, aliasARN, account)
		}
		return resolved{}, keyrule.NoAlias(aliasARN)
	}
	r, err := s.byID(tx, c, action, region, account, a.KeyID)
	r.alias = name
	return r, err
}

// absentKey stands for a key that does not exist: without a policy nobody may use it.
func absentKey(region, account, id string) resolved {
	v := &keyView{keyRecord: &keyRecord{Region: region, Account: account, ID: id}, arn: arn.KMSKey(region, account, id)}
	return resolved{keyView: v}
}

// hidden refuses a resource of another account that does not exist in the words used for one
// that may not be used, so that existence does not leak. A service is told the truth: it has no
// account, and has to know whether a grant that it retires is gone.
func (s *Service) hidden(tx store.Tx, c *guard.Call, action, resource, account string) error {
	c.Touch(resource, account, keyType)
	if c.Caller.Principal.Type == authz.Service {
		return notFound("Key '%s' or what was asked of it does not exist", resource)
	}
	part := authz.Part{Action: action, Resource: authz.Resource{ARN: resource, Account: account}, Authoritative: true}
	if a, err := arn.Parse(resource); err == nil && strings.HasPrefix(a.Resource, "alias/") {
		part.Resource.ARN, part.ShownAs = arn.KMSKey(c.Region, account, guard.NewRequestID()), resource
	}
	_, err := s.g.Allow(tx, c, part)
	if err == nil {
		err = keyrule.NoKey(resource)
	}
	return err
}
