package kms

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/envelope"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/guard/permit"
	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/store"
)

const symmetric = "SYMMETRIC_DEFAULT"

// errDryRun is what a request with DryRun gets that would have succeeded.
var errDryRun = apierr.New("DryRunOperationException", "The request would have succeeded, but the DryRun option is set.")

// errCiphertext has no message, as at AWS.
var errCiphertext = apierr.New("InvalidCiphertextException", "")

// A side is one key of a cryptographic operation.
type side struct {
	op      string // name in messages: "Encrypt", "ReEncryptTo"
	action  string // "kms:Encrypt"
	alg     string
	context map[string]string
	key     resolved
	permit  permit.Permit
}

func (s *Service) newSide(op string, alg *string, context map[string]string) (side, error) {
	sd := side{op: op, action: "kms:" + op, alg: api.Val(alg), context: context}
	if sd.alg == "" {
		sd.alg = symmetric
	}
	if len(context) > 0 && sd.alg != symmetric {
		return sd, apierr.Validation("EncryptionContext is not supported for asymmetric keys.")
	}
	if len(envelope.CanonicalContext(context)) > envelope.MaxContext {
		return sd, apierr.Validation("EncryptionContext is larger than %d bytes.", envelope.MaxContext)
	}
	return sd, nil
}

// part is the evaluation of a side, with the condition keys of cryptographic operations.
func (s *Service) cryptoPart(tx store.Tx, c *guard.Call, sd *side) (authz.Part, error) {
	c.Touch(sd.key.arn, sd.key.Account, "AWS::KMS::Key")
	p, err := s.part(tx, c, sd.key.keyView, sd.action)
	if err != nil {
		return p, err
	}
	p.Context.Set("kms:encryptionalgorithm", sd.alg)
	requestAlias(&p.Context, sd.key)
	encryptionContext(&p, sd.context)
	return p, nil
}

func encryptionContext(p *authz.Part, context map[string]string) {
	if len(context) == 0 {
		return
	}
	p.EncryptionContext = context
	for k, v := range context {
		p.Context.Set("kms:encryptioncontext:"+k, v)
	}
	p.Context.SetList("kms:encryptioncontextkeys", slices.Sorted(maps.Keys(context)))
}

func (sd *side) usable() error {
	if err := sd.key.checkUse(sd.op, kmsapi.KeyUsageTypeENCRYPT_DECRYPT, sd.alg); err != nil {
		return err
	}
	return opUse.check(sd.key.keyView)
}

func (sd *side) use() hsm.Use { return hsm.Use{Action: sd.action, KeyARN: sd.key.arn} }

// header is the header of a ciphertext made under the current material.
func (sd *side) header() envelope.Header {
	return envelope.Header{
		Region: sd.key.Region, Account: sd.key.Account, KeyID: sd.key.ID, MaterialID: sd.key.current().ID, Algorithm: sd.alg,
	}
}

// aad is what a ciphertext is bound to; asymmetric encryption has none.
func (sd *side) aad(h envelope.Header) []byte {
	if sd.alg != symmetric {
		return nil
	}
	return h.Bind(envelope.CanonicalContext(sd.context))
}

// blob wraps raw ciphertext; asymmetric ciphertext goes out as it is, for it is made to be used
// outside KMS too.
func (sd *side) blob(h envelope.Header, raw []byte) ([]byte, error) {
	if sd.alg != symmetric {
		return raw, nil
	}
	return envelope.Marshal(h, raw)
}

// byIdentifier finds the key of a side by the identifier in the request.
func (s *Service) byIdentifier(c *guard.Call, sd *side, keyID *string) func(store.Tx) error {
	return func(tx store.Tx) (err error) {
		sd.key, err = s.resolve(tx, c, keyID, true)
		return err
	}
}

// begin finds the key of a one-sided operation, decides and checks the key, on one snapshot.
func (s *Service) begin(ctx context.Context, c *guard.Call, sd *side, tokens []string, dryRun *bool, find func(store.Tx) error) error {
	if err := s.checkTokens(tokens); err != nil {
		return err
	}
	return s.g.View(ctx, c, func(tx store.Tx) error {
		if err := find(tx); err != nil {
			return err
		}
		p, err := s.cryptoPart(tx, c, sd)
		if err != nil {
			return err
		}
		permits, err := s.g.Authorize(tx, c, guard.Check{Parts: []authz.Part{p}, DryRun: api.Val(dryRun)})
		if err != nil {
			return err
		}
		sd.permit = permits[0]
		return sd.usable()
	})
}

// Encrypt encrypts up to 4096 bytes.
func (s *Service) Encrypt(ctx context.Context, c *guard.Call, in *kmsapi.EncryptRequest) (*kmsapi.EncryptResponse, error) {
	sd, err := s.newSide("Encrypt", in.EncryptionAlgorithm, in.EncryptionContext)
	if err != nil {
		return nil, err
	}
	if err := s.forwardedManaged(ctx, c, in.KeyId); err != nil {
		return nil, err
	}
	if err := s.begin(ctx, c, &sd, in.GrantTokens, in.DryRun, s.byIdentifier(c, &sd, in.KeyId)); err != nil {
		return nil, err
	}
	if limit := maxPlaintext(sd.key.Spec, sd.alg); len(in.Plaintext) > limit {
		return nil, apierr.Validation("Algorithm %s and key spec %s cannot encrypt data larger than %d bytes.", sd.alg, sd.key.Spec, limit)
	}
	if api.Val(in.DryRun) {
		return nil, errDryRun
	}
	h := sd.header()
	raw, err := s.hsm.Encrypt(ctx, sd.permit, sd.use(), sd.key.current(), sd.alg, in.Plaintext, sd.aad(h))
	if err != nil {
		return nil, err
	}
	blob, err := sd.blob(h, raw)
	if err != nil {
		return nil, err
	}
	return &kmsapi.EncryptResponse{CiphertextBlob: blob, KeyId: &sd.key.arn, EncryptionAlgorithm: &sd.alg}, nil
}

// maxPlaintext is the most bytes that a key can encrypt. Source: API Reference, Encrypt.
func maxPlaintext(spec, alg string) int {
	modulus := map[string]int{"RSA_2048": 256, "RSA_3072": 384, "RSA_4096": 512}[spec]
	switch {
	case modulus == 0:
		return 4096
	case alg == "RSAES_OAEP_SHA_1":
		return modulus - 2*20 - 2
	}
	return modulus - 2*32 - 2
}

// source finds the key that made a ciphertext and checks it against the key that the caller
// named, if any. It leaves the raw ciphertext, the material and the associated data.
func (s *Service) source(tx store.Tx, c *guard.Call, sd *side, keyID *string, blob []byte) (h envelope.Header, raw []byte, err error) {
	if keyID != nil {
		if sd.key, err = s.resolve(tx, c, keyID, true); err != nil {
			return h, nil, err
		}
	}
	if sd.alg != symmetric {
		if keyID == nil {
			return h, nil, apierr.Validation("KeyId is required when the ciphertext was encrypted under an asymmetric KMS key.")
		}
		return h, blob, nil
	}
	h, raw, err = envelope.Parse(blob)
	if err != nil {
		if keyID == nil {
			return h, nil, errCiphertext
		}
		return envelope.Header{}, nil, nil // decided first, refused after
	}
	if keyID == nil {
		k, found, err := s.keys.Shared(tx, c.Region, h.Account, h.KeyID)
		if err != nil {
			return h, nil, err
		}
		if !found {
			return h, nil, apierr.New("AccessDeniedException",
				"The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not allowed to access.")
		}
		sd.key = resolved{keyView: k}
	}
	return h, raw, nil
}

// matches refuses a ciphertext that another key made than the one decided on.
func (sd *side) matches(h envelope.Header, raw []byte) (hsm.Material, error) {
	if sd.alg != symmetric {
		return sd.key.current(), nil
	}
	if raw == nil {
		return hsm.Material{}, errCiphertext
	}
	m, known := sd.key.material(h.MaterialID)
	if h.Account != sd.key.Account || h.KeyID != sd.key.ID || !known {
		return m, apierr.New("IncorrectKeyException", "The key ID in the request does not identify a CMK that can perform this operation.")
	}
	return m, nil
}

// ignoreCiphertext reports whether a dry run asks for the authorization alone.
func ignoreCiphertext(dryRun *bool, modifiers []string) bool {
	return api.Val(dryRun) && slices.Contains(modifiers, "IGNORE_CIPHERTEXT")
}

// Decrypt decrypts what Encrypt, ReEncrypt or GenerateDataKey made.
func (s *Service) Decrypt(ctx context.Context, c *guard.Call, in *kmsapi.DecryptRequest) (*kmsapi.DecryptResponse, error) {
	sd, err := s.newSide("Decrypt", in.EncryptionAlgorithm, in.EncryptionContext)
	if err != nil {
		return nil, err
	}
	if err := noRecipient(in.Recipient); err != nil {
		return nil, err
	}
	ignore := ignoreCiphertext(in.DryRun, in.DryRunModifiers)
	if in.CiphertextBlob == nil && (!ignore || in.KeyId == nil) {
		return nil, apierr.Validation("1 validation error detected: Value null at 'ciphertextBlob' failed to satisfy constraint: Member must not be null")
	}
	var (
		h   envelope.Header
		raw []byte
	)
	err = s.begin(ctx, c, &sd, in.GrantTokens, in.DryRun, func(tx store.Tx) (err error) {
		h, raw, err = s.source(tx, c, &sd, in.KeyId, in.CiphertextBlob)
		return err
	})
	if err != nil {
		return nil, s.ciphertextDenial(c, &sd, in.KeyId, err)
	}
	if ignore {
		return nil, errDryRun
	}
	m, err := sd.matches(h, raw)
	if err != nil {
		return nil, err
	}
	if api.Val(in.DryRun) {
		return nil, errDryRun
	}
	plain, err := s.hsm.Decrypt(ctx, sd.permit, sd.use(), m, sd.alg, raw, sd.aad(h))
	if err != nil {
		return nil, cryptoError(err)
	}
	out := &kmsapi.DecryptResponse{KeyId: &sd.key.arn, Plaintext: plain, EncryptionAlgorithm: &sd.alg}
	if sd.alg == symmetric {
		out.KeyMaterialId = &m.ID
	}
	return out, nil
}

// ciphertextDenial hides which key a ciphertext belongs to from a caller of another account that
// named no key and may not use it.
func (s *Service) ciphertextDenial(c *guard.Call, sd *side, keyID *string, err error) error {
	if _, denied := guard.Denied(err); !denied || keyID != nil || sd.key.Account == c.Account() {
		return err
	}
	return apierr.New("AccessDeniedException",
		"The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not allowed to access.")
}

// ReEncrypt moves a ciphertext to another key or encryption context.
func (s *Service) ReEncrypt(ctx context.Context, c *guard.Call, in *kmsapi.ReEncryptRequest) (*kmsapi.ReEncryptResponse, error) {
	from, err := s.newSide("ReEncryptFrom", in.SourceEncryptionAlgorithm, in.SourceEncryptionContext)
	if err != nil {
		return nil, err
	}
	to, err := s.newSide("ReEncryptTo", in.DestinationEncryptionAlgorithm, in.DestinationEncryptionContext)
	if err != nil {
		return nil, err
	}
	if err := s.checkTokens(in.GrantTokens); err != nil {
		return nil, err
	}
	ignore := ignoreCiphertext(in.DryRun, in.DryRunModifiers)
	if in.CiphertextBlob == nil && (!ignore || in.SourceKeyId == nil) {
		return nil, apierr.Validation("1 validation error detected: Value null at 'ciphertextBlob' failed to satisfy constraint: Member must not be null")
	}
	if err := s.forwardedManaged(ctx, c, in.DestinationKeyId); err != nil {
		return nil, err
	}
	var (
		h   envelope.Header
		raw []byte
	)
	err = s.g.View(ctx, c, func(tx store.Tx) (err error) {
		if h, raw, err = s.source(tx, c, &from, in.SourceKeyId, in.CiphertextBlob); err != nil {
			return err
		}
		if to.key, err = s.resolve(tx, c, in.DestinationKeyId, true); err != nil {
			return err
		}
		return s.authorizeBoth(tx, c, &from, &to, api.Val(in.DryRun))
	})
	if err != nil {
		return nil, s.ciphertextDenial(c, &from, in.SourceKeyId, err)
	}
	if ignore {
		return nil, errDryRun
	}
	m, err := from.matches(h, raw)
	if err != nil {
		return nil, err
	}
	if api.Val(in.DryRun) {
		return nil, errDryRun
	}
	toHeader := to.header()
	out, err := s.hsm.ReEncrypt(ctx,
		hsm.Side{Permit: from.permit, Use: from.use(), Material: m, Alg: from.alg, In: raw, AAD: from.aad(h)},
		hsm.Side{Permit: to.permit, Use: to.use(), Material: to.key.current(), Alg: to.alg, AAD: to.aad(toHeader)})
	if err != nil {
		return nil, cryptoError(err)
	}
	blob, err := to.blob(toHeader, out)
	if err != nil {
		return nil, err
	}
	resp := &kmsapi.ReEncryptResponse{
		CiphertextBlob: blob, SourceKeyId: &from.key.arn, KeyId: &to.key.arn,
		SourceEncryptionAlgorithm: &from.alg, DestinationEncryptionAlgorithm: &to.alg,
	}
	if from.alg == symmetric {
		resp.SourceKeyMaterialId = &m.ID
	}
	if to.alg == symmetric {
		resp.DestinationKeyMaterialId = new(to.key.current().ID)
	}
	return resp, nil
}

func (s *Service) authorizeBoth(tx store.Tx, c *guard.Call, from, to *side, dryRun bool) error {
	same := from.key.arn == to.key.arn
	var parts []authz.Part
	for _, sd := range []*side{from, to} {
		p, err := s.cryptoPart(tx, c, sd)
		if err != nil {
			return err
		}
		p.Context.SetBool("kms:reencryptonsamekey", same)
		parts = append(parts, p)
	}
	permits, err := s.g.Authorize(tx, c, guard.Check{Parts: parts, DryRun: dryRun})
	if err != nil {
		return err
	}
	from.permit, to.permit = permits[0], permits[1]
	if err := from.usable(); err != nil {
		return err
	}
	return to.usable()
}

// GenerateDataKey makes a data key: in plaintext, and encrypted under a key.
func (s *Service) GenerateDataKey(ctx context.Context, c *guard.Call, in *kmsapi.GenerateDataKeyRequest) (*kmsapi.GenerateDataKeyResponse, error) {
	if err := noRecipient(in.Recipient); err != nil {
		return nil, err
	}
	sd, plain, blob, err := s.dataKey(ctx, c, "GenerateDataKey", in)
	if err != nil {
		return nil, err
	}
	return &kmsapi.GenerateDataKeyResponse{
		CiphertextBlob: blob, Plaintext: plain, KeyId: &sd.key.arn, KeyMaterialId: new(sd.key.current().ID),
	}, nil
}

// GenerateDataKeyWithoutPlaintext makes a data key that only Decrypt reveals.
func (s *Service) GenerateDataKeyWithoutPlaintext(ctx context.Context, c *guard.Call, in *kmsapi.GenerateDataKeyWithoutPlaintextRequest) (*kmsapi.GenerateDataKeyWithoutPlaintextResponse, error) {
	sd, _, blob, err := s.dataKey(ctx, c, "GenerateDataKeyWithoutPlaintext", &kmsapi.GenerateDataKeyRequest{
		KeyId: in.KeyId, EncryptionContext: in.EncryptionContext, NumberOfBytes: in.NumberOfBytes, KeySpec: in.KeySpec,
		GrantTokens: in.GrantTokens, DryRun: in.DryRun,
	})
	if err != nil {
		return nil, err
	}
	return &kmsapi.GenerateDataKeyWithoutPlaintextResponse{
		CiphertextBlob: blob, KeyId: &sd.key.arn, KeyMaterialId: new(sd.key.current().ID),
	}, nil
}

func (s *Service) dataKey(ctx context.Context, c *guard.Call, op string, in *kmsapi.GenerateDataKeyRequest) (side, secret.Bytes, []byte, error) {
	sd, err := s.newSide(op, nil, in.EncryptionContext)
	if err != nil {
		return sd, nil, nil, err
	}
	if (in.KeySpec == nil) == (in.NumberOfBytes == nil) {
		return sd, nil, nil, apierr.Validation("Please specify either number of bytes or key spec.")
	}
	n := int(api.Val(in.NumberOfBytes))
	switch api.Val(in.KeySpec) {
	case "AES_256":
		n = 32
	case "AES_128":
		n = 16
	}
	if err := s.forwardedManaged(ctx, c, in.KeyId); err != nil {
		return sd, nil, nil, err
	}
	if err := s.begin(ctx, c, &sd, in.GrantTokens, in.DryRun, s.byIdentifier(c, &sd, in.KeyId)); err != nil {
		return sd, nil, nil, err
	}
	if api.Val(in.DryRun) {
		return sd, nil, nil, errDryRun
	}
	h := sd.header()
	plain, raw, err := s.hsm.GenerateDataKey(ctx, sd.permit, sd.use(), sd.key.current(), n, sd.aad(h))
	if err != nil {
		return sd, nil, nil, err
	}
	blob, err := sd.blob(h, raw)
	return sd, plain, blob, err
}

// GenerateRandom returns random bytes.
func (s *Service) GenerateRandom(ctx context.Context, c *guard.Call, in *kmsapi.GenerateRandomRequest) (*kmsapi.GenerateRandomResponse, error) {
	if in.NumberOfBytes == nil {
		return nil, apierr.Validation("NumberOfBytes is required.")
	}
	if err := noRecipient(in.Recipient); err != nil {
		return nil, err
	}
	if in.CustomKeyStoreId != nil {
		return nil, apierr.New("UnsupportedOperationException", "kagimori has no custom key stores yet.")
	}
	err := s.g.View(ctx, c, func(tx store.Tx) error { return s.allowAny(tx, c, "kms:GenerateRandom") })
	if err != nil {
		return nil, err
	}
	return &kmsapi.GenerateRandomResponse{Plaintext: s.hsm.Random(int(*in.NumberOfBytes))}, nil
}

func noRecipient(r *kmsapi.RecipientInfo) error {
	if r != nil {
		return apierr.New("UnsupportedOperationException", "kagimori does not read attestation documents yet.")
	}
	return nil
}

// cryptoError turns the module's refusals into KMS's.
func cryptoError(err error) error {
	if errors.Is(err, hsm.ErrCiphertext) {
		return errCiphertext
	}
	return err
}
