package kms

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/keyrule"
)

// Sign signs a message of up to 4096 bytes, or a digest.
func (s *Service) Sign(ctx context.Context, c *guard.Call, in *kmsapi.SignRequest) (*kmsapi.SignResponse, error) {
	u := keyUse{op: "Sign", alg: api.Val(in.SigningAlgorithm), keyID: in.KeyId, tokens: in.GrantTokens, dryRun: in.DryRun}
	msg := hsm.Message{Type: messageType(in.MessageType), Bytes: in.Message}
	if err := u.signing(ctx, s, c, msg); err != nil {
		return nil, err
	}
	if err := u.dry(); err != nil {
		return nil, err
	}
	sig, err := s.hsm.Sign(ctx, u.permit, u.use(), u.key.current(), u.alg, msg)
	if err != nil {
		return nil, cryptoError(err)
	}
	s.used(ctx, c, u.op, u.key.keyView)
	return &kmsapi.SignResponse{KeyId: &u.key.arn, Signature: sig, SigningAlgorithm: &u.alg}, nil
}

// Verify checks a signature; one that is not good is an error.
func (s *Service) Verify(ctx context.Context, c *guard.Call, in *kmsapi.VerifyRequest) (*kmsapi.VerifyResponse, error) {
	u := keyUse{op: "Verify", alg: api.Val(in.SigningAlgorithm), keyID: in.KeyId, tokens: in.GrantTokens, dryRun: in.DryRun}
	msg := hsm.Message{Type: messageType(in.MessageType), Bytes: in.Message}
	if err := u.signing(ctx, s, c, msg); err != nil {
		return nil, err
	}
	err := s.hsm.Verify(ctx, u.permit, u.use(), u.key.current(), u.alg, msg, in.Signature)
	if err != nil {
		return nil, cryptoError(err)
	}
	s.used(ctx, c, u.op, u.key.keyView)
	return &kmsapi.VerifyResponse{KeyId: &u.key.arn, SignatureValid: new(true), SigningAlgorithm: &u.alg}, nil
}

func messageType(given *string) string {
	if given == nil {
		return hsm.Raw
	}
	return *given
}

// signing is all of Sign and Verify but the key's work.
func (u *keyUse) signing(ctx context.Context, s *Service, c *guard.Call, msg hsm.Message) error {
	u.usage = kmsapi.KeyUsageTypeSIGN_VERIFY
	u.more = func(p *authz.Part) {
		p.Context.Set("kms:signingalgorithm", u.alg)
		p.Context.Set("kms:messagetype", msg.Type)
	}
	if err := u.begin(ctx, s, c); err != nil {
		return err
	}
	return checkMessage(u.alg, msg)
}

// checkMessage refuses a type of message that the algorithm does not sign, and a digest that is
// none of its hash. Source: API Reference, Sign, MessageType and SigningAlgorithm; the texts about
// types are ours.
func checkMessage(alg string, msg hsm.Message) error {
	takes := []string{hsm.Raw, hsm.Digest}
	switch alg {
	case "ED25519_SHA_512":
		takes = []string{hsm.Raw}
	case "ED25519_PH_SHA_512":
		takes = []string{hsm.Digest}
	case "ML_DSA_SHAKE_256":
		takes = []string{hsm.Raw, hsm.ExternalMu}
	}
	switch {
	case !slices.Contains(takes, msg.Type):
		return apierr.Validation("MessageType %s is not valid for algorithm %s; it takes %s.", msg.Type, alg, strings.Join(takes, " or "))
	case msg.Type != hsm.Raw && len(msg.Bytes) != digestSize(alg):
		return apierr.Validation("Digest is invalid length for algorithm %s.", alg)
	}
	return nil
}

func digestSize(alg string) int {
	switch {
	case alg == "ML_DSA_SHAKE_256", strings.HasSuffix(alg, "SHA_512"):
		return sha512.Size
	case strings.HasSuffix(alg, "SHA_384"):
		return sha512.Size384
	}
	return sha256.Size // and SM3
}

// GetPublicKey gives the public key of an asymmetric key, to be used outside KMS.
func (s *Service) GetPublicKey(ctx context.Context, c *guard.Call, in *kmsapi.GetPublicKeyRequest) (*kmsapi.GetPublicKeyResponse, error) {
	u := keyUse{op: "GetPublicKey", keyID: in.KeyId, tokens: in.GrantTokens, check: func(k *keyView) error {
		if k.Spec == kmsapi.KeySpecSYMMETRIC_DEFAULT || k.Usage == kmsapi.KeyUsageTypeGENERATE_VERIFY_MAC {
			return apierr.Newf("UnsupportedOperationException", "%s key spec is %s which is not valid for GetPublicKey.", k.arn, k.Spec)
		}
		return nil
	}}
	if err := u.begin(ctx, s, c); err != nil {
		return nil, err
	}
	key := u.key
	der, err := s.hsm.PublicKey(ctx, u.permit, u.use(), key.current())
	if err != nil {
		return nil, cryptoError(err)
	}
	out := &kmsapi.GetPublicKeyResponse{
		KeyId: &key.arn, PublicKey: der, KeySpec: &key.Spec, CustomerMasterKeySpec: &key.Spec, KeyUsage: &key.Usage,
	}
	algs, _ := keyrule.Algorithms(key.Spec, key.Usage)
	switch key.Usage {
	case kmsapi.KeyUsageTypeENCRYPT_DECRYPT:
		out.EncryptionAlgorithms = algs
	case kmsapi.KeyUsageTypeSIGN_VERIFY:
		out.SigningAlgorithms = algs
	case kmsapi.KeyUsageTypeKEY_AGREEMENT:
		out.KeyAgreementAlgorithms = algs
	case kmsapi.KeyUsageTypeENCAPSULATE_DECAPSULATE:
		out.EncapsulationAlgorithms = algs
	}
	return out, nil
}
