package kms

import (
	"context"
	"slices"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/envelope"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/keyrule"
	"github.com/kagimori/kagimori/internal/store"
)

// Encrypt encrypts up to 4096 bytes.
func (s *Service) Encrypt(ctx context.Context, c *guard.Call, in *kmsapi.EncryptRequest) (*kmsapi.EncryptResponse, error) {
	sd, err := s.newSide("kms:Encrypt", in.EncryptionAlgorithm, in.EncryptionContext)
	if err != nil {
		return nil, err
	}
	in.EncryptionAlgorithm = &sd.alg // the record has it always
	if err := s.forwardedManaged(ctx, c, in.KeyId); err != nil {
		return nil, err
	}
	if err := s.begin(ctx, c, &sd, in.GrantTokens, in.DryRun, s.byIdentifier(c, &sd, in.KeyId), sd.usable); err != nil {
		return nil, err
	}
	if limit := maxPlaintext(sd.key.Spec, sd.alg); len(in.Plaintext) > limit {
		return nil, apierr.Validation("Algorithm %s and key spec %s cannot encrypt data larger than %d bytes.", sd.alg, sd.key.Spec, limit)
	}
	if api.Val(in.DryRun) {
		return nil, errDryRun
	}
	h := sd.header()
	use, aad := sd.sealing(h)
	raw, err := s.hsm.Encrypt(ctx, sd.permit, use, sd.key.current(), sd.alg, in.Plaintext, aad)
	if err != nil {
		return nil, cryptoError(err)
	}
	if raw, err = s.toStore(ctx, c, &sd, raw); err != nil {
		return nil, err
	}
	blob, err := sd.sealed(use, h, raw)
	if err != nil {
		return nil, err
	}
	s.used(ctx, c, "Encrypt", sd.key.keyView)
	sd.note(c, materialNote, sd.key.current())
	return &kmsapi.EncryptResponse{CiphertextBlob: blob, KeyId: &sd.key.arn, EncryptionAlgorithm: &sd.alg}, nil
}

// maxPlaintext is the most bytes that a key can encrypt. Source: API Reference, Encrypt.
func maxPlaintext(spec, alg string) int {
	modulus := map[string]int{"RSA_2048": 256, "RSA_3072": 384, "RSA_4096": 512}[spec]
	switch {
	case spec == "SM2":
		return 1024
	case modulus == 0:
		return 4096
	case alg == "RSAES_OAEP_SHA_1":
		return modulus - 2*20 - 2
	}
	return modulus - 2*32 - 2
}

// An input is a ciphertext from a request, taken apart.
type input struct {
	header envelope.Header
	raw    []byte // nil if a symmetric ciphertext is none of ours
	aad    []byte // what it is bound to, if it is what it says; asymmetric encryption has none
}

func (sd *side) parse(blob []byte) input {
	if sd.alg != symmetric {
		return input{raw: blob}
	}
	h, raw, err := envelope.Parse(blob)
	if err != nil {
		return input{} // decided first, refused after
	}
	return input{h, raw, envelope.Bound(blob, raw, sd.bound)}
}

// source finds the key that is to open a ciphertext: the one that the caller named or else the
// one that the ciphertext names. A bare key id may be one of another account if the ciphertext
// says so. Source: API Reference, Decrypt, KeyId.
func (s *Service) source(tx store.Tx, c *guard.Call, sd *side, keyID *string, in input) (err error) {
	switch {
	case keyID != nil:
		if keyrule.IsKeyID(*keyID) && in.header.KeyID == *keyID {
			keyID = new(arn.KMSKey(c.Region, in.header.Account, *keyID))
		}
		sd.key, err = s.resolveFor(tx, c, "", keyID, true)
		return err
	case sd.alg != symmetric:
		return apierr.Validation("KeyId is required when the ciphertext was encrypted under an asymmetric KMS key.")
	case in.raw == nil:
		return errCiphertext
	}
	k, found, err := s.keys.Shared(tx, c.Region, in.header.Account, in.header.KeyID)
	switch {
	case err == nil && found:
		sd.key, err = inStore(tx, k)
	case err == nil:
		err = noSource(c, sd, in.header)
	}
	return err
}

// noSource refuses a ciphertext of a key that does not exist here. One of another account is decided
// like one that does, for the evidence of the refusal must not tell which is the case.
func noSource(c *guard.Call, sd *side, h envelope.Header) error {
	if h.Account == c.Account() || c.Caller.Principal.Type == authz.Service {
		return errForeignCiphertext
	}
	sd.key = absentKey(c.Region, h.Account, h.KeyID)
	return nil
}

// opens checks, after the decision, that the key can open the ciphertext: that it is the one that
// made it, and usable.
func (sd *side) opens(in input) error {
	if sd.key.policy == nil { // absent: no decision lets it come to this
		return errForeignCiphertext
	}
	if sd.alg == symmetric && in.raw != nil && (in.header.Account != sd.key.Account || in.header.KeyID != sd.key.ID) {
		return apierr.New("IncorrectKeyException", "The key ID in the request does not identify a CMK that can perform this operation.")
	}
	return sd.usable()
}

// material finds the material that made the ciphertext.
func (sd *side) material(in input) (hsm.Material, error) {
	if in.raw == nil {
		return hsm.Material{}, errCiphertext
	}
	if sd.alg != symmetric {
		return sd.key.current(), nil
	}
	m, known := sd.key.keyRecord.material(in.header.MaterialID)
	if !known {
		return m, errCiphertext
	}
	return m, nil
}

// checkCiphertext refuses a request without ciphertext, unless it is a dry run that asks for the
// authorization of a named key alone, which ignore reports.
func checkCiphertext(blob []byte, keyID *string, dryRun *bool, modifiers []string) (ignore bool, err error) {
	ignore = api.Val(dryRun) && slices.Contains(modifiers, kmsapi.DryRunModifierTypeIGNORE_CIPHERTEXT)
	if blob == nil && (!ignore || keyID == nil) {
		return ignore, apierr.Validation("1 validation error detected: Value null at 'ciphertextBlob' failed to satisfy constraint: Member must not be null")
	}
	return ignore, nil
}

// Decrypt decrypts what Encrypt, ReEncrypt or GenerateDataKey made.
func (s *Service) Decrypt(ctx context.Context, c *guard.Call, in *kmsapi.DecryptRequest) (*kmsapi.DecryptResponse, error) {
	sd, err := s.newSide("kms:Decrypt", in.EncryptionAlgorithm, in.EncryptionContext)
	if err != nil {
		return nil, err
	}
	in.EncryptionAlgorithm = &sd.alg // the record has it always
	if sd.to, err = s.recipient(c, in.Recipient); err != nil {
		return nil, err
	}
	ignore, err := checkCiphertext(in.CiphertextBlob, in.KeyId, in.DryRun, in.DryRunModifiers)
	if err != nil {
		return nil, err
	}
	ct := sd.parse(in.CiphertextBlob)
	err = s.begin(ctx, c, &sd, in.GrantTokens, in.DryRun,
		func(tx store.Tx) error { return s.source(tx, c, &sd, in.KeyId, ct) },
		func() error { return sd.opens(ct) })
	if err != nil {
		return nil, s.ciphertextDenial(c, &sd, in.KeyId, err)
	}
	if ignore {
		return nil, errDryRun
	}
	m, err := sd.material(ct)
	if err != nil {
		return nil, err
	}
	if api.Val(in.DryRun) && sd.key.Store != "" { // the proxy knows no dry runs
		return nil, errDryRun
	}
	if ct.raw, err = s.fromStore(ctx, c, &sd, ct.raw); err != nil {
		return nil, err
	}
	plain, err := s.hsm.Decrypt(ctx, sd.permit, sd.use(), m, sd.alg, ct.raw, ct.aad)
	if err != nil {
		return nil, cryptoError(err)
	}
	out := &kmsapi.DecryptResponse{KeyId: &sd.key.arn, EncryptionAlgorithm: &sd.alg}
	if out.Plaintext, out.CiphertextForRecipient, err = sd.to.answer(plain); err != nil {
		return nil, err
	}
	s.used(ctx, c, "Decrypt", sd.key.keyView)
	sd.note(c, materialNote, m)
	if sd.alg == symmetric && sd.to == nil {
		out.KeyMaterialId = sd.materialID(m)
	}
	return out, nil
}

// ciphertextDenial hides which key a ciphertext belongs to from a caller of another account that
// named no key and may not use it.
func (s *Service) ciphertextDenial(c *guard.Call, sd *side, keyID *string, err error) error {
	d, denied := guard.Denied(err)
	if !denied || keyID != nil || d.Decision.Part > 0 || sd.key.Account == c.Account() {
		return err
	}
	return errForeignCiphertext
}
