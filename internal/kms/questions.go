package kms

import (
	"iter"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/keyrule"
	"github.com/kagimori/kagimori/internal/store"
)

// Questions answers what a service asks that explains decisions about keys. Nothing here is
// decided: whoever asks has decided that the answer may be given.
type Questions struct{ s *Service }

// Questions are those about the keys of the service.
func (s *Service) Questions() Questions { return Questions{s} }

// Key is a key as it bears on a decision, without its grants; ok is false if there is none.
func (q Questions) Key(tx store.Tx, keyARN string) (_ authz.Part, ok bool, _ error) {
	a, err := arn.Parse(keyARN)
	if err != nil || a.Service != "kms" || a.Type() != "key" {
		return authz.Part{}, false, nil
	}
	k, ok, err := q.s.keys.Shared(tx, a.Region, a.Account, a.ID())
	if err != nil || !ok {
		return authz.Part{}, false, err
	}
	return authz.Part{
		Resource: k.resource(), Policy: k.policy, Authoritative: true, Context: new(k.rule()).Context(),
	}, true, nil
}

// Rule is a key as the rules of its kind and state see it; ok is false if there is none.
func (q Questions) Rule(tx store.Tx, keyARN string) (_ keyrule.Key, ok bool, _ error) {
	a, err := arn.Parse(keyARN)
	if err != nil || a.Service != "kms" || a.Type() != "key" {
		return keyrule.Key{}, false, nil
	}
	k, ok, err := q.s.keys.Shared(tx, a.Region, a.Account, a.ID())
	if err != nil || !ok {
		return keyrule.Key{}, false, err
	}
	return k.rule(), true, nil
}

// Resolve is [Service.ResolveKey] within a transaction: it makes no key. Of the alias of a managed key
// that is not there yet, made is false.
func (q Questions) Resolve(tx store.Tx, region, account, id string) (keyARN string, made bool, _ error) {
	name, err := keyrule.Identify(id, region, account)
	if err != nil {
		return "", false, err
	}
	if name.Alias == "" {
		keyARN = arn.KMSKey(region, name.Account, name.ID)
		_, found, err := q.s.keys.Shared(tx, region, name.Account, name.ID)
		if err == nil && !found && name.Account == account {
			err = keyrule.NoKey(keyARN)
		}
		return keyARN, found, err
	}
	alias, found, err := aliasTable.Get(tx, region, name.Account, name.Alias)
	switch {
	case err != nil:
		return "", false, err
	case !found && predefinedName(name.Alias) && name.Account == account:
		return "", false, nil
	case !found:
		keyARN, err := q.s.noAlias(region, account, name.Account, name.Alias)
		return keyARN, false, err
	}
	return arn.KMSKey(region, name.Account, alias.KeyID), true, nil
}

// Grants yields the grants of a key.
func (q Questions) Grants(tx store.Tx, keyARN string) iter.Seq2[authz.Grant, error] {
	return func(yield func(authz.Grant, error) bool) {
		a, err := arn.Parse(keyARN)
		if err != nil {
			return
		}
		for r, err := range grantTable.Scan(tx, a.Region, a.Account, a.ID()) {
			if !yield(r.Value.authz(), err) || err != nil {
				return
			}
		}
	}
}

// Grant is one grant of a key; ok is false if it has none with the id.
func (q Questions) Grant(tx store.Tx, keyARN, id string) (_ authz.Grant, ok bool, _ error) {
	a, err := arn.Parse(keyARN)
	if err != nil {
		return authz.Grant{}, false, nil
	}
	g, ok, err := grantTable.Get(tx, a.Region, a.Account, a.ID(), id)
	return g.authz(), ok, err
}

// Keys yields the ARNs of the keys of an account in a Region.
func (q Questions) Keys(tx store.Tx, region, account string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for r, err := range keyTable.Scan(tx, region, account) {
			if !yield(r.Value.arn(), err) || err != nil {
				return
			}
		}
	}
}

// Granted yields the ARNs of the keys of other accounts in a Region with grants for a principal, by
// unique id or ARN; a key may come more than once.
func (q Questions) Granted(tx store.Tx, region, account, grantee string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for r, err := range grantTable.Scan(tx, region) {
			g := &r.Value
			if err == nil && (g.Account == account || g.granteeKey() != grantee && g.Grantee != grantee) {
				continue
			}
			if !yield(arn.KMSKey(g.Region, g.Account, g.KeyID), err) || err != nil {
				return
			}
		}
	}
}
