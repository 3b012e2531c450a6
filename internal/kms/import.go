package kms

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/guard/permit"
	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/store"
)

// Times of imported material. Source: API Reference, GetParametersForImport, ImportKeyMaterial.
const (
	parametersLive = 24 * time.Hour
	maxMaterial    = 365 * 24 * time.Hour
)

// errMaterial has a text of ours.
var errMaterial = apierr.New("IncorrectKeyMaterialException", "The key material in the request is not that which the KMS key requires.")

// external finds a key whose material is imported, decides an action on it and checks it.
func (s *Service) externalKey(ctx context.Context, c *guard.Call, keyID *string, action string, more func(*authz.Part)) (k resolved, p permit.Permit, _ error) {
	return k, p, s.g.View(ctx, c, func(tx store.Tx) (err error) {
		if k, err = s.resolve(tx, c, keyID, false); err != nil {
			return err
		}
		c.Touch(k.arn, k.Account, keyType)
		part := k.part(c, action)
		if more != nil {
			more(&part)
		}
		if p, err = s.authorize(tx, c, k.keyView, part, false); err != nil {
			return err
		}
		if !k.external() {
			return wrongOrigin(k.keyRecord)
		}
		return k.check(opEdit)
	})
}

// wraps reports whether an algorithm with a wrapping key takes material of a spec: RSA private keys need an AES key between, and
// so do those of P-521 with the shortest wrapping key.
// Source: KMS API Reference, GetParametersForImport.
func wraps(algorithm, wrapping, spec string) bool {
	direct := strings.HasPrefix(algorithm, "RSAES_")
	switch {
	case strings.HasPrefix(spec, "RSA_"):
		return !direct
	case spec == kmsapi.KeySpecECC_NIST_P521:
		return !direct || wrapping != kmsapi.WrappingKeySpecRSA_2048
	}
	return true
}

// GetParametersForImport makes a wrapping key for material that is to be imported.
func (s *Service) GetParametersForImport(ctx context.Context, c *guard.Call, in *kmsapi.GetParametersForImportRequest) (*kmsapi.GetParametersForImportResponse, error) {
	k, p, err := s.externalKey(ctx, c, in.KeyId, "kms:GetParametersForImport", func(p *authz.Part) {
		p.Context.Set("kms:wrappingalgorithm", *in.WrappingAlgorithm)
		p.Context.Set("kms:wrappingkeyspec", *in.WrappingKeySpec)
	})
	if err != nil {
		return nil, err
	}
	if !wraps(*in.WrappingAlgorithm, *in.WrappingKeySpec, k.Spec) {
		return nil, apierr.Newf("UnsupportedOperationException", "Wrapping algorithm %s with wrapping key spec %s is not supported for key material of a KMS key with key spec %s.",
			*in.WrappingAlgorithm, *in.WrappingKeySpec, k.Spec)
	}
	until := s.g.Now().Add(parametersLive).Truncate(time.Millisecond)
	use := hsm.Use{Action: "kms:GetParametersForImport", KeyARN: k.arn}
	public, token, err := s.hsm.ImportParameters(ctx, p, use, hsm.Spec(*in.WrappingKeySpec), *in.WrappingAlgorithm, until)
	if errors.Is(err, hsm.ErrUnsupported) {
		return nil, apierr.Newf("UnsupportedOperationException", "Wrapping algorithm %s with wrapping key spec %s is not supported.", *in.WrappingAlgorithm, *in.WrappingKeySpec)
	}
	if err != nil {
		return nil, err
	}
	return &kmsapi.GetParametersForImportResponse{KeyId: &k.arn, ImportToken: token, PublicKey: public, ParametersValidTo: &until}, nil
}

// ImportKeyMaterial gives an external key material, new or again.
// Source: KMS Developer Guide, "Importing key material for AWS KMS keys".
func (s *Service) ImportKeyMaterial(ctx context.Context, c *guard.Call, in *kmsapi.ImportKeyMaterialRequest) (*kmsapi.ImportKeyMaterialResponse, error) {
	if err := s.checkExpiration(in); err != nil {
		return nil, err
	}
	more := func(p *authz.Part) {
		if in.ExpirationModel != nil {
			p.Context.Set("kms:expirationmodel", *in.ExpirationModel)
		}
		if in.ValidTo != nil {
			p.Context.Set("kms:validto", in.ValidTo.UTC().Format(time.RFC3339))
		}
	}
	k, p, err := s.externalKey(ctx, c, in.KeyId, "kms:ImportKeyMaterial", more)
	if err != nil {
		return nil, err
	}
	m, err := s.hsm.Import(ctx, p, hsm.Use{Action: "kms:ImportKeyMaterial", KeyARN: k.arn}, hsm.Spec(k.Spec), in.ImportToken, in.EncryptedKeyMaterial, s.g.Now())
	if err != nil {
		return nil, importError(err)
	}
	out := &kmsapi.ImportKeyMaterialResponse{KeyId: &k.arn}
	if k.Spec == kmsapi.KeySpecSYMMETRIC_DEFAULT {
		out.KeyMaterialId = &m.ID
	}
	err = s.change(ctx, c, in.KeyId, "kms:ImportKeyMaterial", opEdit, more, func(tx store.Tx, rec *keyRecord) error {
		c.Respond(out)
		rec.own()
		fresh, err := s.hsm.Rewrap(rec.arn(), m)
		if err != nil {
			return err
		}
		return rec.take(tx, in, fresh)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func importError(err error) error {
	switch {
	case errors.Is(err, hsm.ErrToken):
		return apierr.New("InvalidImportTokenException", "")
	case errors.Is(err, hsm.ErrTokenExpired):
		return apierr.New("ExpiredImportTokenException", "")
	case errors.Is(err, hsm.ErrImport):
		return errMaterial
	}
	return cryptoError(err)
}

// checkExpiration checks when material is to expire.
func (s *Service) checkExpiration(in *kmsapi.ImportKeyMaterialRequest) error {
	expires := in.ExpirationModel == nil || *in.ExpirationModel == kmsapi.ExpirationModelTypeKEY_MATERIAL_EXPIRES
	switch {
	case expires && in.ValidTo == nil:
		return apierr.Validation("A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES")
	case !expires && in.ValidTo != nil:
		return apierr.Validation("A validTo date must not be set if the ExpirationModel is KEY_MATERIAL_DOES_NOT_EXPIRE")
	case expires && (!in.ValidTo.After(s.g.Now()) || in.ValidTo.Sub(s.g.Now()) > maxMaterial):
		return apierr.Validation("The validTo date must be in the future and at most 365 days away.")
	case in.KeyMaterialId != nil && in.ImportType != nil && *in.ImportType == kmsapi.ImportTypeNEW_KEY_MATERIAL:
		return apierr.Validation("KeyMaterialId cannot be specified when ImportType is NEW_KEY_MATERIAL.")
	}
	return nil
}

// take puts imported material where it belongs.
func (k *keyRecord) take(tx store.Tx, in *kmsapi.ImportKeyMaterialRequest, m hsm.Material) error {
	known := k.byMaterialID(m.ID)
	isNew := in.ImportType != nil && *in.ImportType == kmsapi.ImportTypeNEW_KEY_MATERIAL || in.ImportType == nil && len(k.Materials) == 0
	switch {
	case in.KeyMaterialId != nil && *in.KeyMaterialId != m.ID:
		return errMaterial
	case known != nil && (!isNew || known.Wrapped == nil || k.Spec != kmsapi.KeySpecSYMMETRIC_DEFAULT):
		*known = m // again
	case !isNew, known != nil:
		return errMaterial
	case !k.primary():
		return notPrimary(k)
	case len(k.Materials) == 0:
		k.Materials = []hsm.Material{m}
	case k.Spec != kmsapi.KeySpecSYMMETRIC_DEFAULT:
		return errMaterial
	case k.Pending != nil:
		return apierr.Newf("KMSInvalidStateException", "New key material (id: %s) cannot be imported into KMS key %s, because another key material (id: %s) is pending rotation.", m.ID, k.arn(), k.Pending.ID)
	default:
		k.Pending = &m
	}
	im := k.Imports[m.ID]
	if in.KeyMaterialDescription != nil {
		im.Description = *in.KeyMaterialDescription
	}
	if im.Expires = (time.Time{}); in.ValidTo != nil {
		im.Expires = in.ValidTo.Truncate(time.Millisecond)
	}
	k.Imports[m.ID] = im
	k.settle()
	if known != nil {
		return nil
	}
	// Replicas learn what they have to have.
	return k.eachRelated(tx, func(r *keyRecord) error {
		r.own()
		if k.Pending != nil && k.Pending.ID == m.ID {
			r.Pending = new(empty(m))
		} else {
			r.Materials = append(r.Materials, empty(m))
		}
		r.settle()
		return nil
	})
}

// DeleteImportedKeyMaterial removes material; the key keeps its place for it.
func (s *Service) DeleteImportedKeyMaterial(ctx context.Context, c *guard.Call, in *kmsapi.DeleteImportedKeyMaterialRequest) (*kmsapi.DeleteImportedKeyMaterialResponse, error) {
	var (
		out  *kmsapi.DeleteImportedKeyMaterialResponse
		gone map[string]hsm.Material // with bytes, by the ARN of the key
	)
	err := s.change(ctx, c, in.KeyId, "kms:DeleteImportedKeyMaterial", opRead, nil, func(tx store.Tx, k *keyRecord) error {
		out, gone = &kmsapi.DeleteImportedKeyMaterialResponse{KeyId: new(k.arn())}, map[string]hsm.Material{}
		c.Respond(out)
		if !k.external() {
			return wrongOrigin(k)
		}
		k.own()
		id := k.current().ID
		if in.KeyMaterialId != nil {
			id = *in.KeyMaterialId
		}
		m := k.byMaterialID(id)
		if m == nil {
			if in.KeyMaterialId != nil {
				return notFound("Key material '%s' does not exist", id)
			}
			return nil // nothing was ever imported
		}
		if k.Spec == kmsapi.KeySpecSYMMETRIC_DEFAULT {
			out.KeyMaterialId = &id
		}
		if isImported(m) {
			gone[k.arn()] = *m
		}
		wasPending := k.Pending == m
		if wasPending && !k.primary() {
			*k.Pending = empty(*k.Pending) // the primary still waits for it
			delete(k.Imports, id)
			return noteDestroyed(tx, s.g.Now(), len(gone))
		}
		k.drop(id)
		k.settle()
		if wasPending { // withdrawn, wherever it was imported
			err := k.eachRelated(tx, func(r *keyRecord) error {
				if m := r.byMaterialID(id); isImported(m) {
					gone[r.arn()] = *m
				}
				r.own()
				r.drop(id)
				return nil
			})
			if err != nil {
				return err
			}
		}
		return noteDestroyed(tx, s.g.Now(), len(gone))
	})
	if err != nil {
		return nil, err
	}
	for keyARN, m := range gone {
		s.forget(keyARN, m)
	}
	return out, nil
}

// expire removes the material whose time has come.
func (s *Service) expire(ctx context.Context, due, region, account, id string) error {
	c := &guard.Call{
		ID: guard.NewRequestID(), Service: "kms", Operation: "DeleteExpiredKeyMaterial", Region: region, Time: s.g.Now(),
		Caller: guard.Caller{Identity: serviceIdentity, InvokedBy: "AWS Internal"},
	}
	var gone []hsm.Material
	var keyARN string
	err := s.g.Update(ctx, c, func(tx store.Tx) error {
		gone = nil
		k, found, err := keyTable.Get(tx, region, account, id)
		if err != nil {
			return err
		}
		if !found || k.wake().UTC().Format(dueFormat) != due {
			return errNotRotating
		}
		keyARN = k.arn()
		c.Touch(keyARN, account, keyType)
		before := k
		k.own()
		for id, im := range before.Imports {
			if im.Expires.IsZero() || im.Expires.After(s.g.Now()) {
				continue
			}
			if m := k.byMaterialID(id); isImported(m) {
				gone = append(gone, *m)
			}
			if k.Pending != nil && k.Pending.ID == id {
				*k.Pending = empty(*k.Pending) // it can be imported again
				delete(k.Imports, id)
				continue
			}
			k.drop(id)
		}
		k.settle()
		if err := noteDestroyed(tx, s.g.Now(), len(gone)); err != nil {
			return err
		}
		if err := reschedule(tx, &before, &k); err != nil {
			return err
		}
		return keyTable.Put(tx, k, region, account, id)
	})
	if errors.Is(err, errNotRotating) {
		return s.forgetRotation(ctx, due, region, account, id)
	}
	if err == nil {
		s.forget(keyARN, gone...)
	}
	return err
}
