package kms

import (
	"context"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
)

// DeriveSharedSecret agrees on a secret with the holder of another key pair.
func (s *Service) DeriveSharedSecret(ctx context.Context, c *guard.Call, in *kmsapi.DeriveSharedSecretRequest) (*kmsapi.DeriveSharedSecretResponse, error) {
	to, err := s.recipient(c, in.Recipient)
	if err != nil {
		return nil, err
	}
	u := keyUse{
		op: "DeriveSharedSecret", usage: kmsapi.KeyUsageTypeKEY_AGREEMENT, alg: api.Val(in.KeyAgreementAlgorithm),
		keyID: in.KeyId, tokens: in.GrantTokens, dryRun: in.DryRun,
	}
	u.more = func(p *authz.Part) {
		p.Context.Set("kms:keyagreementalgorithm", u.alg)
		to.conditions(p)
	}
	if err := u.begin(ctx, s, c); err != nil {
		return nil, err
	}
	shared, err := s.hsm.DeriveSharedSecret(ctx, u.permit, u.use(), u.key.current(), in.PublicKey)
	if err != nil {
		return nil, cryptoError(err)
	}
	s.used(ctx, c, u.op, u.key.keyView)
	out := &kmsapi.DeriveSharedSecretResponse{KeyId: &u.key.arn, KeyAgreementAlgorithm: &u.alg, KeyOrigin: &u.key.Origin}
	out.SharedSecret, out.CiphertextForRecipient, err = to.answer(shared)
	return out, err
}

// Encapsulate makes a secret that the holder of the key finds from the ciphertext.
func (s *Service) Encapsulate(ctx context.Context, c *guard.Call, in *kmsapi.EncapsulateRequest) (*kmsapi.EncapsulateResponse, error) {
	u := keyUse{
		op: "Encapsulate", usage: kmsapi.KeyUsageTypeENCAPSULATE_DECAPSULATE, alg: api.Val(in.EncapsulationAlgorithm),
		keyID: in.KeyId, tokens: in.GrantTokens, dryRun: in.DryRun,
	}
	if err := u.begin(ctx, s, c); err != nil {
		return nil, err
	}
	if err := u.dry(); err != nil {
		return nil, err
	}
	shared, ciphertext, err := s.hsm.Encapsulate(ctx, u.permit, u.use(), u.key.current())
	if err != nil {
		return nil, cryptoError(err)
	}
	s.used(ctx, c, u.op, u.key.keyView)
	return &kmsapi.EncapsulateResponse{
		KeyId: &u.key.arn, EncapsulationAlgorithm: &u.alg, SharedSecret: shared, SharedSecretCiphertextBlob: ciphertext,
	}, nil
}

// Decapsulate finds the secret in a ciphertext. A ciphertext of the right length that is wrong
// gives a secret that nobody else has.
func (s *Service) Decapsulate(ctx context.Context, c *guard.Call, in *kmsapi.DecapsulateRequest) (*kmsapi.DecapsulateResponse, error) {
	u := keyUse{
		op: "Decapsulate", usage: kmsapi.KeyUsageTypeENCAPSULATE_DECAPSULATE, alg: api.Val(in.EncapsulationAlgorithm),
		keyID: in.KeyId, tokens: in.GrantTokens, dryRun: in.DryRun,
	}
	if err := u.begin(ctx, s, c); err != nil {
		return nil, err
	}
	if len(in.SharedSecretCiphertextBlob) != capsuleSize[u.key.Spec] {
		return nil, errCiphertext
	}
	if err := u.dry(); err != nil {
		return nil, err
	}
	shared, err := s.hsm.Decapsulate(ctx, u.permit, u.use(), u.key.current(), in.SharedSecretCiphertextBlob)
	if err != nil {
		return nil, cryptoError(err)
	}
	s.used(ctx, c, u.op, u.key.keyView)
	return &kmsapi.DecapsulateResponse{KeyId: &u.key.arn, EncapsulationAlgorithm: &u.alg, SharedSecret: shared}, nil
}

// capsuleSize is the length of the ciphertexts of ML-KEM. Source: FIPS 203, table 3.
var capsuleSize = map[string]int{"ML_KEM_512": 768, "ML_KEM_768": 1088, "ML_KEM_1024": 1568}
