package kms

import (
	"context"
	"time"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// defaultRotation is how often material rotates if nobody says, in days, and how often that of AWS
// managed keys does. Source: KMS Developer Guide, "Rotate AWS KMS keys".
const defaultRotation = 365

// A rotation is the setting for automatic rotation of a key.
type rotation struct {
	Days    int32     `json:"days"`
	Enabled time.Time `json:"enabled"` // when it was turned on, or its period set
}

// next is when rotation is due.
func (r *rotation) next() time.Time { return r.Enabled.AddDate(0, 0, int(r.Days)) }

// EnableKeyRotation turns automatic rotation on or gives it another period.
// Source: KMS API Reference, EnableKeyRotation.
func (s *Service) EnableKeyRotation(ctx context.Context, c *guard.Call, in *kmsapi.EnableKeyRotationRequest) error {
	days := int32(defaultRotation)
	var more func(*authz.Part)
	if in.RotationPeriodInDays != nil {
		days = *in.RotationPeriodInDays
		more = func(p *authz.Part) { p.Context.Set("kms:rotationperiodindays", itoa(days)) }
	}
	return s.change(ctx, c, in.KeyId, "kms:EnableKeyRotation", opRotation, more, func(_ store.Tx, k *keyRecord) error {
		k.Rotation = &rotation{Days: days, Enabled: s.g.Now().Truncate(time.Millisecond)}
		return nil
	})
}

// DisableKeyRotation turns automatic rotation off. That it was off is no error.
func (s *Service) DisableKeyRotation(ctx context.Context, c *guard.Call, in *kmsapi.DisableKeyRotationRequest) error {
	return s.change(ctx, c, in.KeyId, "kms:DisableKeyRotation", opRotation, nil, func(_ store.Tx, k *keyRecord) error {
		k.Rotation = nil
		return nil
	})
}

// GetKeyRotationStatus reports the setting for automatic rotation: always on for AWS managed keys,
// always off for keys that are not symmetric, and off while a key waits for its deletion.
// Source: KMS API Reference, GetKeyRotationStatus.
func (s *Service) GetKeyRotationStatus(ctx context.Context, c *guard.Call, in *kmsapi.GetKeyRotationStatusRequest) (*kmsapi.GetKeyRotationStatusResponse, error) {
	var out *kmsapi.GetKeyRotationStatusResponse
	err := s.read(ctx, c, in.KeyId, "kms:GetKeyRotationStatus", func(_ store.Tx, k *keyView) error {
		out = &kmsapi.GetKeyRotationStatusResponse{KeyId: &k.arn, KeyRotationEnabled: new(false)}
		switch {
		case k.State == kmsapi.KeyStatePendingDeletion:
		case k.Manager == kmsapi.KeyManagerTypeAWS:
			const period = defaultRotation * 24 * time.Hour
			next := k.Created.Add((s.g.Now().Sub(k.Created)/period + 1) * period)
			out.KeyRotationEnabled, out.RotationPeriodInDays, out.NextRotationDate = new(true), new(int32(defaultRotation)), &next
		case k.Rotation != nil:
			out.KeyRotationEnabled, out.RotationPeriodInDays, out.NextRotationDate = new(true), &k.Rotation.Days, new(k.Rotation.next())
		}
		return nil
	})
	return out, err
}
