package iam

import (
	"context"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// An owner of access keys: a user or the account's root user.
type owner struct {
	account, name, id string // name and id are "" for root
}

// keyOwner decides an action on the credentials of a user; without a name, of the caller, who may be
// the root user. extra adds condition keys of the request.
func (s *Service) keyOwner(tx store.Tx, c *guard.Call, name *string, action string, extra func(*authz.Context)) (owner, error) {
	me := c.Caller.Principal
	if name == nil {
		switch me.Type {
		case authz.User:
			name = &me.Username
		case authz.Root:
			part := authz.Part{Action: "iam:" + action, Resource: s.resource(me.ARN, me.Account, nil)}
			if extra != nil {
				extra(&part.Context)
			}
			_, err := s.g.Allow(tx, c, part)
			return owner{account: me.Account}, err
		default:
			return owner{}, mustNameUser()
		}
	}
	p, err := s.authorized(tx, c, userKind, name, action, extra)
	if err != nil {
		return owner{}, err
	}
	return owner{p.account, p.label, p.user.ID}, nil
}

// CreateAccessKey makes a long-term credential. Its secret is shown this once.
func (s *Service) CreateAccessKey(ctx context.Context, c *guard.Call, in *iamapi.CreateAccessKeyRequest) (*iamapi.CreateAccessKeyResponse, error) {
	var out *iamapi.CreateAccessKeyResponse
	err := s.g.Update(ctx, c, func(tx store.Tx) error {
		o, err := s.keyOwner(tx, c, in.UserName, "CreateAccessKey", nil)
		if err != nil {
			return err
		}
		keys, err := s.dir.UserAccessKeys(tx, o.account, o.name)
		if err != nil {
			return err
		}
		if len(keys) >= maxAccessKeys {
			return exceeded("Cannot exceed quota for AccessKeysPerUser: %d", maxAccessKeys)
		}
		key, sec, err := s.dir.NewAccessKey(tx, o.account, o.name, o.id)
		if err != nil {
			return err
		}
		out = &iamapi.CreateAccessKeyResponse{AccessKey: &iamapi.AccessKey{
			UserName: api.Opt(key.User), AccessKeyId: &key.ID, Status: new(status(key)), SecretAccessKey: &sec, CreateDate: created(key),
		}}
		c.Respond(out)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// created is when a key was made, to the second, as IAM shows it.
func created(k directory.AccessKey) *time.Time { return new(k.Created.UTC().Truncate(time.Second)) }

func status(k directory.AccessKey) string {
	if k.Inactive {
		return iamapi.StatusTypeInactive
	}
	return iamapi.StatusTypeActive
}

// ListAccessKeys lists the access keys of a user, or of the caller, without their secrets.
func (s *Service) ListAccessKeys(ctx context.Context, c *guard.Call, in *iamapi.ListAccessKeysRequest) (*iamapi.ListAccessKeysResponse, error) {
	var out *iamapi.ListAccessKeysResponse
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		o, err := s.keyOwner(tx, c, in.UserName, "ListAccessKeys", nil)
		if err != nil {
			return err
		}
		pg, err := s.page(c, o.account+" "+o.id, in.Marker, in.MaxItems)
		if err != nil {
			return err
		}
		keys, err := s.dir.UserAccessKeys(tx, o.account, o.name)
		if err != nil {
			return err
		}
		out = &iamapi.ListAccessKeysResponse{AccessKeyMetadata: []iamapi.AccessKeyMetadata{}}
		shown, last := cut(pg, keys, func(k directory.AccessKey) string { return k.ID })
		for _, k := range shown {
			out.AccessKeyMetadata = append(out.AccessKeyMetadata, iamapi.AccessKeyMetadata{
				UserName: api.Opt(k.User), AccessKeyId: &k.ID, Status: new(status(k)), CreateDate: created(k),
			})
		}
		out.IsTruncated, out.Marker = s.end(pg, last)
		return nil
	})
	return out, err
}

// UpdateAccessKey makes an access key active or inactive.
func (s *Service) UpdateAccessKey(ctx context.Context, c *guard.Call, in *iamapi.UpdateAccessKeyRequest) error {
	if api.Val(in.Status) == iamapi.StatusTypeExpired {
		return apierr.New("ValidationError", "The status of an access key can be set to Active or Inactive.")
	}
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		key, err := s.accessKey(tx, c, in.UserName, api.Val(in.AccessKeyId), "UpdateAccessKey")
		if err != nil {
			return err
		}
		key.Inactive = api.Val(in.Status) == iamapi.StatusTypeInactive
		return directory.AccessKeys.Put(tx, key, key.ID)
	})
}

// DeleteAccessKey removes an access key.
func (s *Service) DeleteAccessKey(ctx context.Context, c *guard.Call, in *iamapi.DeleteAccessKeyRequest) error {
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		key, err := s.accessKey(tx, c, in.UserName, api.Val(in.AccessKeyId), "DeleteAccessKey")
		if err != nil {
			return err
		}
		return s.dir.DeleteAccessKey(tx, key)
	})
}

// accessKey finds an access key of the user after deciding the action.
func (s *Service) accessKey(tx store.Tx, c *guard.Call, user *string, id, action string) (directory.AccessKey, error) {
	o, err := s.keyOwner(tx, c, user, action, nil)
	if err != nil {
		return directory.AccessKey{}, err
	}
	key, ok, err := directory.AccessKeys.Get(tx, id)
	if err != nil {
		return key, err
	}
	if !ok || key.Account != o.account || key.UserID != o.id {
		return key, noSuchEntity("The Access Key with id %s cannot be found.", id)
	}
	return key, nil
}
