package live

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/keyrule"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/scenario/format"
)

// noStatements stands for a key policy that could not be read.
const noStatements = `{"Version":"2012-10-17","Statement":[]}`

// unseenID stands for the id of a key of which nothing could be read.
const unseenID = "ffffffff-ffff-ffff-ffff-ffffffffffff"

// key reads the key that an identifier of the launch names, if there is one; path is the place of the
// identifier, for when nobody can tell which key that is.
func (r *reader) key(given, path string) error {
	name, err := keyrule.Identify(given, r.sc.Region, r.home().id)
	if err != nil {
		return nil // another region's, or no identifier: whoever checks says so
	}
	if name.Alias == "" {
		return r.keyOf(arn.KMSKey(r.sc.Region, name.Account, name.ID), nil)
	}
	owner := r.access(name.Account)
	standard := name.Alias == launch.AWSManagedAlias && name.Account == r.home().id // whoever checks knows its policy
	if owner != nil {
		aliases, err := r.aliases(owner)
		if err == nil {
			for id, names := range aliases {
				if slices.Contains(names, name.Alias) {
					return r.keyOf(arn.KMSKey(r.sc.Region, name.Account, id), nil)
				}
			}
			return nil // there is no such alias
		}
		if err := r.unread(err); err != nil {
			return err
		}
	} else {
		owner = r.home()
	}
	out, err := r.describe(owner, arn.KMSAlias(r.sc.Region, name.Account, name.Alias))
	switch {
	case is(err, "NotFoundException"):
		return nil
	case err != nil && standard:
		return r.unread(err)
	case err != nil:
		return r.unread(fmt.Errorf("which key %s is: %w", given, err), path)
	}
	return r.keyOf(api.Val(out.Arn), []string{name.Alias})
}

func (r *reader) describe(a *account, id string) (*kmsapi.KeyMetadata, error) {
	out, err := ask[kmsapi.DescribeKeyResponse](r.ctx, r.Session, a, "kms", "DescribeKey", &kmsapi.DescribeKeyRequest{KeyId: &id})
	if err != nil {
		return nil, err
	}
	return out.KeyMetadata, nil
}

// aliases are the names of an account's keys, by key id.
func (r *reader) aliases(a *account) (map[string][]string, error) {
	out := map[string][]string{}
	err := pages(func(marker *string) (*string, error) {
		list, err := ask[kmsapi.ListAliasesResponse](r.ctx, r.Session, a, "kms", "ListAliases", &kmsapi.ListAliasesRequest{Marker: marker})
		if err != nil {
			return nil, err
		}
		for _, e := range list.Aliases {
			if id := api.Val(e.TargetKeyId); id != "" {
				out[id] = append(out[id], api.Val(e.AliasName))
			}
		}
		return list.NextMarker, nil
	})
	return out, err
}

// keyOf reads a key by its ARN. aliases are what is known of its names if they cannot be listed.
func (r *reader) keyOf(name string, aliases []string) error {
	a, err := arn.Parse(name)
	if err != nil || a.Type() != "key" || a.Region != r.sc.Region || r.sc.Key(name) != nil {
		return nil
	}
	if err := r.account(a.Account); err != nil {
		return err
	}
	k := format.Key{
		ARN: name, Account: a.Account, Region: a.Region, Manager: format.ManagerCustomer, Spec: "SYMMETRIC_DEFAULT", Usage: "ENCRYPT_DECRYPT", State: "Enabled",
		Aliases: aliases, Tags: map[string]string{}, Policy: format.Document(noStatements),
	}
	path := fmt.Sprintf("/keys/%d", len(r.sc.Keys))
	owner := r.access(a.Account)
	asker := owner
	if owner == nil {
		asker = r.home() // who may be allowed to look at a foreign key
	}
	meta, err := r.describe(asker, name)
	switch {
	case is(err, "NotFoundException"):
		return nil
	case err != nil:
		if err := r.unread(r.foreign(owner, a.Account, err), path+"/state", path+"/spec", path+"/usage"); err != nil {
			return err
		}
	default:
		k.Manager, k.Spec, k.Usage, k.State = api.Val(meta.KeyManager), api.Val(meta.KeySpec), api.Val(meta.KeyUsage), api.Val(meta.KeyState)
	}
	r.sc.Keys = append(r.sc.Keys, k)
	at := &r.sc.Keys[len(r.sc.Keys)-1]
	if err := errors.Join(r.keyPolicy(at, owner, path), r.keyGrants(at, owner, asker, path)); err != nil {
		return err
	}
	return errors.Join(r.keyNames(at, owner, path), r.named(string(at.Policy)))
}

// foreign explains why something of an account could not be read if there are no credentials for it.
func (r *reader) foreign(owner *account, id string, err error) error {
	if owner != nil || err == nil {
		return err
	}
	return fmt.Errorf("%w (%w)", noAccess(id), err)
}

// keyPolicy reads the policy of a key, which only its own account may do.
//
// Source: KMS API Reference, GetKeyPolicy, "Cross-account use: No".
func (r *reader) keyPolicy(k *format.Key, owner *account, path string) error {
	if owner == nil {
		return r.unread(noAccess(k.Account), path+"/policy")
	}
	out, err := ask[kmsapi.GetKeyPolicyResponse](r.ctx, r.Session, owner, "kms", "GetKeyPolicy", &kmsapi.GetKeyPolicyRequest{KeyId: &k.ARN})
	if err != nil {
		return r.unread(err, path+"/policy")
	}
	k.Policy = format.Document(api.Val(out.Policy))
	return nil
}

// keyGrants reads the grants of a key that somebody made, without those of running instances and of
// services.
func (r *reader) keyGrants(k *format.Key, owner, asker *account, path string) error {
	if k.Manager == format.ManagerAWS {
		return nil // of an AWS managed key they are made by services alone
	}
	err := pages(func(marker *string) (*string, error) {
		list, err := ask[kmsapi.ListGrantsResponse](r.ctx, r.Session, asker, "kms", "ListGrants", &kmsapi.ListGrantsRequest{KeyId: &k.ARN, Marker: marker})
		if err != nil {
			return nil, err
		}
		for _, e := range list.Grants {
			if err := r.grant(k, &e); err != nil {
				return nil, err
			}
		}
		return list.NextMarker, nil
	})
	return r.unread(r.foreign(owner, k.Account, err), path+"/grants")
}

func (r *reader) grant(k *format.Key, e *kmsapi.GrantListEntry) error {
	grantee := api.Val(e.GranteePrincipal)
	if e.GranteeServicePrincipal != nil || strings.Contains(grantee, ":assumed-role/aws:ec2-infrastructure/") || !strings.HasPrefix(grantee, "arn:") {
		return nil
	}
	g := format.Grant{ID: api.Val(e.GrantId), GranteePrincipal: grantee, Operations: e.Operations, Status: format.GrantActive}
	if issuer, err := arn.Parse(api.Val(e.IssuingAccount)); err == nil && arn.IsAccount(issuer.Account) && issuer.Account != k.Account {
		g.IssuingAccount = issuer.Account
		if err := r.account(issuer.Account); err != nil {
			return err
		}
	}
	if c := e.Constraints; c != nil {
		g.Constraints = &format.Constraints{EncryptionContextSubset: c.EncryptionContextSubset, EncryptionContextEquals: c.EncryptionContextEquals}
		if c.SourceArn != nil {
			r.note("the grant %s on %s is limited to the source %s too", g.ID, k.ARN, *c.SourceArn)
		}
	}
	k.Grants = append(k.Grants, g)
	return nil
}

// keyNames reads aliases and tags.
func (r *reader) keyNames(k *format.Key, owner *account, path string) error {
	if owner == nil {
		return r.unread(noAccess(k.Account), path+"/tags")
	}
	aliases, err := r.aliases(owner)
	if err != nil {
		if err := r.unread(err, path+"/aliases"); err != nil {
			return err
		}
	} else {
		a, _ := arn.Parse(k.ARN)
		k.Aliases = aliases[a.ID()]
	}
	if k.Manager == format.ManagerAWS {
		return nil // has no tags
	}
	err = pages(func(marker *string) (*string, error) {
		list, err := ask[kmsapi.ListResourceTagsResponse](r.ctx, r.Session, owner, "kms", "ListResourceTags", &kmsapi.ListResourceTagsRequest{KeyId: &k.ARN, Marker: marker})
		if err != nil {
			return nil, err
		}
		for _, t := range list.Tags {
			k.Tags[api.Val(t.TagKey)] = api.Val(t.TagValue)
		}
		return list.NextMarker, nil
	})
	return r.unread(err, path+"/tags")
}

// unseenKey stands for the key of something encrypted whose key could not be read.
func (r *reader) unseenKey(owner string, why error) (string, error) {
	name := arn.KMSKey(r.sc.Region, owner, unseenID)
	if r.sc.Key(name) != nil {
		return name, nil
	}
	if err := r.account(owner); err != nil {
		return "", err
	}
	path := fmt.Sprintf("/keys/%d", len(r.sc.Keys))
	r.sc.Keys = append(r.sc.Keys, format.Key{
		ARN: name, Account: owner, Region: r.sc.Region, Manager: format.ManagerCustomer, Spec: "SYMMETRIC_DEFAULT", Usage: "ENCRYPT_DECRYPT", State: "Enabled",
		Tags: map[string]string{}, Policy: format.Document(noStatements),
	})
	return name, r.unread(why, path)
}
