package kms

import (
	"context"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
)

// GenerateMac authenticates a message of up to 4096 bytes.
func (s *Service) GenerateMac(ctx context.Context, c *guard.Call, in *kmsapi.GenerateMacRequest) (*kmsapi.GenerateMacResponse, error) {
	u := keyUse{op: "GenerateMac", alg: api.Val(in.MacAlgorithm), keyID: in.KeyId, tokens: in.GrantTokens, dryRun: in.DryRun}
	if err := u.mac(ctx, s, c); err != nil {
		return nil, err
	}
	if err := u.dry(); err != nil {
		return nil, err
	}
	mac, err := s.hsm.GenerateMAC(ctx, u.permit, u.use(), u.key.current(), u.alg, in.Message)
	if err != nil {
		return nil, cryptoError(err)
	}
	s.used(ctx, c, u.op, u.key.keyView)
	return &kmsapi.GenerateMacResponse{Mac: mac, MacAlgorithm: &u.alg, KeyId: &u.key.arn}, nil
}

// VerifyMac checks an authentication code; one that is not good is an error.
func (s *Service) VerifyMac(ctx context.Context, c *guard.Call, in *kmsapi.VerifyMacRequest) (*kmsapi.VerifyMacResponse, error) {
	u := keyUse{op: "VerifyMac", alg: api.Val(in.MacAlgorithm), keyID: in.KeyId, tokens: in.GrantTokens, dryRun: in.DryRun}
	if err := u.mac(ctx, s, c); err != nil {
		return nil, err
	}
	if err := s.hsm.VerifyMAC(ctx, u.permit, u.use(), u.key.current(), u.alg, in.Message, in.Mac); err != nil {
		return nil, cryptoError(err)
	}
	s.used(ctx, c, u.op, u.key.keyView)
	return &kmsapi.VerifyMacResponse{KeyId: &u.key.arn, MacValid: new(true), MacAlgorithm: &u.alg}, nil
}

func (u *keyUse) mac(ctx context.Context, s *Service, c *guard.Call) error {
	u.usage = kmsapi.KeyUsageTypeGENERATE_VERIFY_MAC
	u.more = func(p *authz.Part) { p.Context.Set("kms:macalgorithm", u.alg) }
	return u.begin(ctx, s, c)
}
