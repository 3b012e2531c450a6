package kms

import (
	"context"
	"time"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// managedRotation is how often AWS managed keys rotate, in days. Source: KMS Developer Guide,
// "Rotate AWS KMS keys".
const managedRotation = 365

// GetKeyRotationStatus reports automatic rotation: off for customer keys, which cannot turn it on
// here yet, and on for AWS managed keys.
func (s *Service) GetKeyRotationStatus(ctx context.Context, c *guard.Call, in *kmsapi.GetKeyRotationStatusRequest) (*kmsapi.GetKeyRotationStatusResponse, error) {
	var out *kmsapi.GetKeyRotationStatusResponse
	err := s.read(ctx, c, in.KeyId, "kms:GetKeyRotationStatus", func(_ store.Tx, k *keyView) error {
		if k.Spec != kmsapi.KeySpecSYMMETRIC_DEFAULT {
			return apierr.New("UnsupportedOperationException", "")
		}
		out = &kmsapi.GetKeyRotationStatusResponse{KeyId: &k.arn, KeyRotationEnabled: new(false)}
		if k.Manager == kmsapi.KeyManagerTypeAWS {
			const period = managedRotation * 24 * time.Hour
			next := k.Created.Add((s.g.Now().Sub(k.Created)/period + 1) * period)
			out.KeyRotationEnabled, out.RotationPeriodInDays, out.NextRotationDate = new(true), new(int32(managedRotation)), &next
		}
		return nil
	})
	return out, err
}
