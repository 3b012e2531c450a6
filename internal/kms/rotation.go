package kms

import (
	"context"
	"time"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/guard/permit"
	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/store"
)

// Numbers of rotation. Source: KMS Developer Guide, "Rotate AWS KMS keys".
const (
	// defaultRotation is how often material rotates if nobody says, in days, and how often that of
	// AWS managed keys does.
	defaultRotation = 365
	// maxOnDemand is how often a key rotates on demand in its life.
	maxOnDemand = 25
	// closeToAutomatic is how long before an automatic rotation there is none on demand.
	closeToAutomatic = 20 * time.Minute
)

// A rotation is the setting for automatic rotation of a key.
type rotation struct {
	Days int32 `json:"days"`
	// Enabled is when the period began: when it was turned on or set, or when material last
	// rotated by it.
	Enabled time.Time `json:"enabled"`
}

// next is when rotation is due.
func (r *rotation) next() time.Time { return r.Enabled.AddDate(0, 0, int(r.Days)) }

// A rotated is when material of a key became the current one, and why. The first material of a key
// has none.
type rotated struct {
	MaterialID string    `json:"materialId"`
	Date       time.Time `json:"date"`
	Type       string    `json:"type"` // AUTOMATIC or ON_DEMAND
}

// due is when the key rotates by itself; zero if it does not. Only enabled keys that are no replicas do: one that was
// disabled, or waited for its deletion, when it was due does so when it is enabled again.
func (k *keyRecord) due() time.Time {
	if k.Rotation == nil || k.State != kmsapi.KeyStateEnabled || !k.primary() {
		return time.Time{}
	}
	return k.Rotation.next()
}

// rotate makes new material the current one.
func (k *keyRecord) rotate(m hsm.Material, now time.Time, kind string) {
	k.Materials = append(k.Materials[:len(k.Materials):len(k.Materials)], m)
	k.Rotations = append(k.Rotations[:len(k.Rotations):len(k.Rotations)], rotated{m.ID, now.Truncate(time.Millisecond), kind})
}

// EnableKeyRotation turns automatic rotation on or gives it another period.
// Source: KMS API Reference, EnableKeyRotation.
func (s *Service) EnableKeyRotation(ctx context.Context, c *guard.Call, in *kmsapi.EnableKeyRotationRequest) error {
	days := int32(defaultRotation)
	var more func(*authz.Part)
	if in.RotationPeriodInDays != nil {
		days = *in.RotationPeriodInDays
		more = func(p *authz.Part) { p.Context.Set("kms:rotationperiodindays", itoa(days)) }
	}
	return s.setRotation(ctx, c, in.KeyId, "kms:EnableKeyRotation", more, func() *rotation {
		return &rotation{Days: days, Enabled: s.g.Now().Truncate(time.Millisecond)}
	})
}

// DisableKeyRotation turns automatic rotation off. That it was off is no error.
func (s *Service) DisableKeyRotation(ctx context.Context, c *guard.Call, in *kmsapi.DisableKeyRotationRequest) error {
	return s.setRotation(ctx, c, in.KeyId, "kms:DisableKeyRotation", nil, func() *rotation { return nil })
}

// setRotation changes the setting of a key, and of the replicas that share it.
func (s *Service) setRotation(ctx context.Context, c *guard.Call, keyID *string, action string, more func(*authz.Part), setting func() *rotation) error {
	return s.change(ctx, c, keyID, action, opRotation, more, func(tx store.Tx, k *keyRecord) error {
		if !k.primary() {
			return notPrimary(k)
		}
		k.Rotation = setting()
		return k.eachRelated(tx, func(r *keyRecord) error {
			r.Rotation = k.Rotation
			return nil
		})
	})
}

// GetKeyRotationStatus reports the setting for automatic rotation: always on for AWS managed keys,
// always off for keys that are not symmetric, and off while a key waits for its deletion.
// Source: KMS API Reference, GetKeyRotationStatus.
func (s *Service) GetKeyRotationStatus(ctx context.Context, c *guard.Call, in *kmsapi.GetKeyRotationStatusRequest) (*kmsapi.GetKeyRotationStatusResponse, error) {
	var out *kmsapi.GetKeyRotationStatusResponse
	err := s.read(ctx, c, in.KeyId, "kms:GetKeyRotationStatus", func(_ store.Tx, k *keyView) error {
		if k.external() || k.Store != "" {
			return wrongOrigin(k.keyRecord)
		}
		out = &kmsapi.GetKeyRotationStatusResponse{KeyId: &k.arn, KeyRotationEnabled: new(false)}
		if k.Rotation != nil && k.Deletion.IsZero() && k.State != kmsapi.KeyStatePendingReplicaDeletion {
			out.KeyRotationEnabled, out.RotationPeriodInDays, out.NextRotationDate = new(true), &k.Rotation.Days, new(k.Rotation.next())
		}
		return nil
	})
	return out, err
}

// RotateKeyOnDemand makes new material the current one now. It leaves the automatic schedule alone.
// Source: KMS API Reference, RotateKeyOnDemand.
func (s *Service) RotateKeyOnDemand(ctx context.Context, c *guard.Call, in *kmsapi.RotateKeyOnDemandRequest) (*kmsapi.RotateKeyOnDemandResponse, error) {
	var (
		k resolved
		p permit.Permit
	)
	err := s.g.View(ctx, c, func(tx store.Tx) (err error) {
		if k, err = s.resolve(tx, c, in.KeyId, false); err != nil {
			return err
		}
		c.Touch(k.arn, k.Account, keyType)
		if p, err = s.authorize(tx, c, k.keyView, k.part(c, "kms:RotateKeyOnDemand"), false); err != nil {
			return err
		}
		if err := k.check(opRotateNow); err != nil {
			return err
		}
		if !k.primary() {
			return notPrimary(k.keyRecord)
		}
		if err := s.rotatesOnDemand(k.keyRecord); err != nil || !k.external() {
			return err
		}
		return k.readyToRotate(tx)
	})
	if err != nil {
		return nil, err
	}
	if k.external() {
		return s.rotateExternal(ctx, c, in.KeyId)
	}
	m, err := s.hsm.Rotate(ctx, p, hsm.Use{Action: "kms:RotateKeyOnDemand", KeyARN: k.arn}, k.current())
	if err != nil {
		return nil, cryptoError(err)
	}
	copies, err := s.synchronize(ctx, k.keyRecord, m)
	if err != nil {
		return nil, err
	}
	out := &kmsapi.RotateKeyOnDemandResponse{KeyId: &k.arn}
	err = s.change(ctx, c, in.KeyId, "kms:RotateKeyOnDemand", opRotateNow, nil, func(tx store.Tx, rec *keyRecord) error {
		if err := s.rotatesOnDemand(rec); err != nil {
			return err
		}
		if rec.current().ID != k.current().ID || !rec.sameRelations(k.keyRecord) {
			return apierr.Newf("ConflictException", "%s is being rotated.", k.arn)
		}
		c.Respond(out)
		return s.rotateAll(tx, rec, m, copies, s.g.Now(), kmsapi.RotationTypeON_DEMAND)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// rotateExternal makes the imported material that is pending rotation the current one.
func (s *Service) rotateExternal(ctx context.Context, c *guard.Call, keyID *string) (*kmsapi.RotateKeyOnDemandResponse, error) {
	var out *kmsapi.RotateKeyOnDemandResponse
	err := s.change(ctx, c, keyID, "kms:RotateKeyOnDemand", opRotateNow, nil, func(tx store.Tx, k *keyRecord) error {
		if err := s.rotatesOnDemand(k); err != nil {
			return err
		}
		if err := k.readyToRotate(tx); err != nil {
			return err
		}
		out = &kmsapi.RotateKeyOnDemandResponse{KeyId: new(k.arn())}
		c.Respond(out)
		now := s.g.Now()
		advance := func(r *keyRecord) error {
			m := *r.Pending
			r.Pending = nil
			r.rotate(m, now, kmsapi.RotationTypeON_DEMAND)
			return nil
		}
		if err := k.eachRelated(tx, advance); err != nil {
			return err
		}
		return advance(k)
	})
	return out, err
}

// pendingState is the KeyMaterialState of the material that is pending rotation: related keys have
// to have it all.
func (k *keyRecord) pendingState(tx store.Tx) (string, error) {
	here := isImported(k.Pending)
	for _, region := range k.others() {
		r, _, err := keyTable.Get(tx, region, k.Account, k.ID)
		if err != nil {
			return "", err
		}
		here = here && isImported(r.Pending)
	}
	if here {
		return kmsapi.KeyMaterialStatePENDING_ROTATION, nil
	}
	return kmsapi.KeyMaterialStatePENDING_MULTI_REGION_IMPORT_AND_ROTATION, nil
}

// readyToRotate refuses an external key without material that is pending rotation.
func (k *keyRecord) readyToRotate(tx store.Tx) error {
	state := ""
	var err error
	if k.Pending != nil {
		state, err = k.pendingState(tx)
	}
	if err == nil && state != kmsapi.KeyMaterialStatePENDING_ROTATION {
		err = apierr.Newf("KMSInvalidStateException", "No available key material pending rotation for the key: %s.", k.arn())
	}
	return err
}

// rotatesOnDemand refuses a key that has rotated too often, or will by itself in a moment.
func (s *Service) rotatesOnDemand(k *keyRecord) error {
	n := 0
	for _, r := range k.Rotations {
		if r.Type == kmsapi.RotationTypeON_DEMAND {
			n++
		}
	}
	if n >= maxOnDemand {
		return apierr.Newf("LimitExceededException", "The on-demand rotations limit has been reached for the given keyId. No more on-demand rotations can be performed for this key: %s", k.arn())
	}
	if due := k.due(); !due.IsZero() && due.Sub(s.g.Now()) < closeToAutomatic {
		return apierr.Newf("ConflictException", "Automatic rotation of %s is in progress or about to begin.", k.arn())
	}
	return nil
}

// ListKeyRotations lists the rotations of a key, oldest first, or all of its material.
// Source: KMS API Reference, ListKeyRotations.
func (s *Service) ListKeyRotations(ctx context.Context, c *guard.Call, in *kmsapi.ListKeyRotationsRequest) (*kmsapi.ListKeyRotationsResponse, error) {
	all := in.IncludeKeyMaterial != nil && *in.IncludeKeyMaterial == kmsapi.IncludeKeyMaterialALL_KEY_MATERIAL
	scope := kmsapi.IncludeKeyMaterialROTATIONS_ONLY
	if all {
		scope = kmsapi.IncludeKeyMaterialALL_KEY_MATERIAL
	}
	pg, err := s.page(in.Marker, in.Limit, 100, 1000, "rotations", scope, *in.KeyId)
	if err != nil {
		return nil, err
	}
	out := &kmsapi.ListKeyRotationsResponse{}
	err = s.read(ctx, c, in.KeyId, "kms:ListKeyRotations", func(tx store.Tx, k *keyView) error {
		if k.Spec != kmsapi.KeySpecSYMMETRIC_DEFAULT {
			return apierr.New("UnsupportedOperationException", "")
		}
		if k.Store != "" {
			return wrongOrigin(k.keyRecord)
		}
		out.Rotations = []kmsapi.RotationsListEntry{}
		end, last, seen := next{}, "", pg.after == ""
		n := len(k.Materials)
		if k.Pending != nil && all {
			n++
		}
		for i := range n {
			e, isRotation, err := k.entry(tx, i)
			if err != nil {
				return err
			}
			switch {
			case !seen:
				seen = *e.KeyMaterialId == pg.after
				continue
			case !isRotation && !all:
				continue
			case len(out.Rotations) == pg.limit:
				end = next{pg.prefix, last}
			}
			if end.last != "" {
				break
			}
			out.Rotations = append(out.Rotations, e)
			last = *e.KeyMaterialId
		}
		if !seen {
			return errMarker
		}
		out.Truncated, out.NextMarker = s.more(end)
		return nil
	})
	return out, err
}

// entry describes a key's material, the one that is pending rotation last; it is a rotation unless
// it is the first or pending.
func (k *keyRecord) entry(tx store.Tx, i int) (e kmsapi.RotationsListEntry, isRotation bool, err error) {
	m, state := k.Pending, ""
	switch {
	case i == len(k.Materials):
		if state, err = k.pendingState(tx); err != nil {
			return e, false, err
		}
	case i == len(k.Materials)-1:
		m, state = &k.Materials[i], kmsapi.KeyMaterialStateCURRENT
	default:
		m, state = &k.Materials[i], kmsapi.KeyMaterialStateNON_CURRENT
	}
	e = kmsapi.RotationsListEntry{KeyId: &k.ID, KeyMaterialId: &m.ID, KeyMaterialState: &state}
	for j := range k.Rotations {
		if r := &k.Rotations[j]; r.MaterialID == m.ID {
			e.RotationDate, e.RotationType, isRotation = &r.Date, &r.Type, true
		}
	}
	if !k.external() {
		return e, isRotation, nil
	}
	im := k.Imports[m.ID]
	if im.Description != "" {
		e.KeyMaterialDescription = &im.Description
	}
	e.ImportState = new(kmsapi.ImportStatePENDING_IMPORT)
	if isImported(m) {
		e.ImportState, e.ExpirationModel = new(kmsapi.ImportStateIMPORTED), new(kmsapi.ExpirationModelTypeKEY_MATERIAL_DOES_NOT_EXPIRE)
		if !im.Expires.IsZero() {
			e.ExpirationModel, e.ValidTo = new(kmsapi.ExpirationModelTypeKEY_MATERIAL_EXPIRES), &im.Expires
		}
	}
	return e, isRotation, nil
}
