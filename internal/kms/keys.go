package kms

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/guard/permit"
	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/keyrule"
	"github.com/kagimori/kagimori/internal/store"
)

// customIDTag fixes the id of a new key where Config.CustomIDs allows it.
const customIDTag = "_custom_id_"

// CreateKey makes a key with its material, policy and tags.
func (s *Service) CreateKey(ctx context.Context, c *guard.Call, in *kmsapi.CreateKeyRequest) (*kmsapi.CreateKeyResponse, error) {
	k, err := s.newKey(c, in)
	if err != nil {
		return nil, err
	}
	var p permit.Permit
	authorize := func(tx store.Tx) error {
		permits, err := s.g.Authorize(tx, c, guard.Check{Parts: createParts(c, k, in)})
		if err == nil {
			p = permits[0]
		}
		return err
	}
	if err := s.g.View(ctx, c, authorize); err != nil {
		return nil, err
	}
	if err := s.setPolicy(ctx, k, in.Policy); err != nil {
		return nil, err
	}
	if k.Store != "" {
		if err := s.checkExternalKey(ctx, c, k); err != nil {
			return nil, err
		}
	}
	if k.external() {
		k.settle()
	} else {
		m, err := s.hsm.Generate(ctx, p, k.arn(), hsm.Spec(k.Spec))
		if err != nil {
			return nil, cryptoError(err)
		}
		k.Materials = []hsm.Material{m}
	}
	var out *kmsapi.CreateKeyResponse
	err = s.g.Update(ctx, c, func(tx store.Tx) error {
		if err := authorize(tx); err != nil {
			return err
		}
		if _, exists, err := keyTable.Get(tx, k.Region, k.Account, k.ID); err != nil {
			return err
		} else if exists {
			return apierr.Newf("AlreadyExistsException", "Key %s already exists", k.arn())
		}
		if in.Policy != nil && !api.Val(in.BypassPolicyLockoutSafetyCheck) {
			if err := s.checkLockout(tx, c, k); err != nil {
				return err
			}
		}
		if k.Store != "" {
			if err := k.enter(tx, c); err != nil {
				return err
			}
		}
		out = &kmsapi.CreateKeyResponse{KeyMetadata: k.metadata()}
		c.Respond(out)
		c.Touch(k.arn(), k.Account, keyType)
		made := *k
		if _, err := freshen(s.hsm, &made); err != nil {
			return err
		}
		return keyTable.Put(tx, made, k.Region, k.Account, k.ID)
	})
	return out, err
}

// newKey checks the parameters of CreateKey against each other.
func (s *Service) newKey(c *guard.Call, in *kmsapi.CreateKeyRequest) (*keyRecord, error) {
	k := &keyRecord{
		ID: guard.NewRequestID(), Region: c.Region, Account: c.Account(), Description: api.Val(in.Description),
		Usage: api.Val(in.KeyUsage), Spec: api.Val(in.KeySpec), Origin: api.Val(in.Origin),
		Manager: kmsapi.KeyManagerTypeCUSTOMER, State: kmsapi.KeyStateEnabled, Created: s.g.Now().Truncate(time.Millisecond),
		Store: api.Val(in.CustomKeyStoreId), XksKey: api.Val(in.XksKeyId),
	}
	if in.KeySpec != nil && in.CustomerMasterKeySpec != nil {
		return nil, apierr.Validation("You cannot specify KeySpec and CustomerMasterKeySpec in the same request. CustomerMasterKeySpec is deprecated.")
	}
	if k.Spec == "" {
		k.Spec = api.Val(in.CustomerMasterKeySpec)
	}
	if k.Spec == "" {
		k.Spec = kmsapi.KeySpecSYMMETRIC_DEFAULT
	}
	if k.Usage == "" {
		if k.Spec != kmsapi.KeySpecSYMMETRIC_DEFAULT {
			return nil, apierr.Validation("You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.")
		}
		k.Usage = kmsapi.KeyUsageTypeENCRYPT_DECRYPT
	}
	if k.Origin == "" {
		k.Origin = "AWS_KMS"
	}
	if api.Val(in.MultiRegion) {
		k.ID, k.Multi = multiRegionID(k.ID), &multiRegion{Primary: k.Region}
	}
	if err := checkSupported(k, in); err != nil {
		return nil, err
	}
	var err error
	if k.Tags, err = createTags(in.Tags); err != nil {
		return nil, err
	}
	for _, t := range k.Tags {
		if t.Key == customIDTag && s.custom {
			if !keyrule.IsKeyID(t.Value) || strings.HasPrefix(t.Value, multiRegionPrefix) != (k.Multi != nil) {
				return nil, apierr.Validation("%s must be a key id", customIDTag)
			}
			k.ID = strings.ToLower(t.Value)
		}
	}
	return k, nil
}

// createTags are the tags of a new key.
func createTags(given []kmsapi.Tag) ([]tag, error) {
	tags, err := newTags(nil, given)
	if e, ok := errors.AsType[*apierr.Error](err); ok && e.Code == "LimitExceededException" {
		return nil, apierr.New("TagException", "Too many tags")
	}
	return tags, err
}

func checkSupported(k *keyRecord, in *kmsapi.CreateKeyRequest) error {
	switch algs, known := keyrule.Algorithms(k.Spec, k.Usage); {
	case !known || !keyrule.InRegion(k.Spec, k.Region):
		return notHere("KeySpec", "keySpec", k.Spec, k.Region)
	case algs == nil:
		return apierr.Validation("KeyUsage %s is not compatible with KeySpec %s", k.Usage, k.Spec)
	case k.external() && !importable[k.Spec]:
		return apierr.Validation("KeySpec %s is not supported for Origin %s", k.Spec, k.Origin)
	}
	return k.checkStore(in)
}

// importable are the specs of keys with imported material. Source: KMS Developer Guide, "Importing
// key material for AWS KMS keys", Supported KMS keys; newer specs are not listed there yet.
var importable = map[string]bool{
	"SYMMETRIC_DEFAULT": true, "RSA_2048": true, "RSA_3072": true, "RSA_4096": true, "ECC_NIST_P256": true, "ECC_NIST_P384": true,
	"ECC_NIST_P521": true, "ECC_SECG_P256K1": true, "HMAC_224": true, "HMAC_256": true, "HMAC_384": true, "HMAC_512": true,
}

// notHere refuses a spec that the Region does not have in the words for one that there is not.
func notHere(shape, member, spec, region string) error {
	var here []string
	for _, v := range kmsapi.Service().Constraints[shape].Enum {
		if keyrule.InRegion(v, region) {
			here = append(here, v)
		}
	}
	return apierr.Validation("1 validation error detected: Value '%s' at '%s' failed to satisfy constraint: Member must satisfy enum value set: [%s]",
		spec, member, strings.Join(here, ", "))
}

func createParts(c *guard.Call, k *keyRecord, in *kmsapi.CreateKeyRequest) []authz.Part {
	rule := k.rule()
	p := rule.CreatePart(in.BypassPolicyLockoutSafetyCheck)
	requestTags(&p.Context, in.Tags)
	for _, t := range in.Tags { // a request that creates with tags carries those of the resource to be
		p.Context.Set("aws:resourcetag/"+api.Val(t.TagKey), api.Val(t.TagValue))
	}
	parts := []authz.Part{p}
	if len(in.Tags) > 0 {
		t := authz.Part{Action: "kms:TagResource", Resource: authz.Resource{ARN: k.arn(), Account: k.Account}}
		requestTags(&t.Context, in.Tags)
		parts = append(parts, t)
	}
	return parts
}

// DescribeKey gives a key's metadata. An AWS managed key that does not exist yet is made.
func (s *Service) DescribeKey(ctx context.Context, c *guard.Call, in *kmsapi.DescribeKeyRequest) (*kmsapi.DescribeKeyResponse, error) {
	if err := s.checkTokens(in.GrantTokens); err != nil {
		return nil, err
	}
	if err := s.describedManaged(ctx, c, api.Val(in.KeyId)); err != nil {
		return nil, err
	}
	var out *kmsapi.DescribeKeyResponse
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		k, err := s.resolve(tx, c, in.KeyId, true)
		if err != nil {
			return err
		}
		c.Touch(k.arn, k.Account, keyType)
		p := k.part(c, "kms:DescribeKey")
		requestAlias(&p.Context, k)
		if _, err := s.authorize(tx, c, k.keyView, p, false); err != nil {
			return err
		}
		out = &kmsapi.DescribeKeyResponse{KeyMetadata: k.metadata()}
		return nil
	})
	return out, err
}

func requestAlias(ctx *authz.Context, k resolved) {
	if k.alias != "" {
		ctx.Set("kms:requestalias", k.alias)
	}
}

// UpdateKeyDescription replaces the description.
func (s *Service) UpdateKeyDescription(ctx context.Context, c *guard.Call, in *kmsapi.UpdateKeyDescriptionRequest) error {
	return s.change(ctx, c, in.KeyId, "kms:UpdateKeyDescription", opEdit, nil, func(_ store.Tx, k *keyRecord) error {
		k.Description = api.Val(in.Description)
		return nil
	})
}

// EnableKey makes a disabled key usable.
func (s *Service) EnableKey(ctx context.Context, c *guard.Call, in *kmsapi.EnableKeyRequest) error {
	return s.change(ctx, c, in.KeyId, "kms:EnableKey", opSwitch, nil, func(_ store.Tx, k *keyRecord) error {
		k.State = kmsapi.KeyStateEnabled
		return nil
	})
}

// DisableKey makes a key unusable until EnableKey.
func (s *Service) DisableKey(ctx context.Context, c *guard.Call, in *kmsapi.DisableKeyRequest) error {
	return s.change(ctx, c, in.KeyId, "kms:DisableKey", opSwitch, nil, func(_ store.Tx, k *keyRecord) error {
		k.State = kmsapi.KeyStateDisabled
		return nil
	})
}

// read decides an action on a key and hands the key to fn, on a snapshot.
func (s *Service) read(ctx context.Context, c *guard.Call, keyID *string, action string, fn func(store.Tx, *keyView) error) error {
	return s.g.View(ctx, c, func(tx store.Tx) error {
		k, err := s.resolve(tx, c, keyID, false)
		if err != nil {
			return err
		}
		if err := s.allow(tx, c, k.keyView, action); err != nil {
			return err
		}
		if err := k.check(opRead); err != nil {
			return err
		}
		return fn(tx, k.keyView)
	})
}

// ListKeys lists the keys of the caller's account in the region.
func (s *Service) ListKeys(ctx context.Context, c *guard.Call, in *kmsapi.ListKeysRequest) (*kmsapi.ListKeysResponse, error) {
	pg, err := s.page(in.Marker, in.Limit, 100, 1000, c.Region, c.Account())
	if err != nil {
		return nil, err
	}
	out := &kmsapi.ListKeysResponse{}
	err = s.g.View(ctx, c, func(tx store.Tx) error {
		if err := s.allowAny(tx, c, "kms:ListKeys"); err != nil {
			return err
		}
		out.Keys = []kmsapi.KeyListEntry{}
		recs, next, err := list(tx, keyTable, pg, nil)
		for _, r := range recs {
			out.Keys = append(out.Keys, kmsapi.KeyListEntry{KeyId: &r.ID, KeyArn: new(r.arn())})
		}
		out.Truncated, out.NextMarker = s.more(next)
		return err
	})
	return out, err
}
