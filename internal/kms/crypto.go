package kms

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/envelope"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/guard/permit"
	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/keyrule"
	"github.com/kagimori/kagimori/internal/store"
)

const (
	symmetric = "SYMMETRIC_DEFAULT"
	// materialNote is what the record of an operation calls the material of its key.
	materialNote = "keyMaterialId"
)

// errDryRun is what a request with DryRun gets that would have succeeded.
var errDryRun = apierr.New("DryRunOperationException", "The request would have succeeded, but the DryRun option is set.")

// These have no message, as at AWS.
var (
	errCiphertext = apierr.New("InvalidCiphertextException", "")
	errSignature  = apierr.New("KMSInvalidSignatureException", "")
	errMAC        = apierr.New("KMSInvalidMacException", "")
	errPublicKey  = apierr.New("ValidationException", "") // of DeriveSharedSecret
)

// errForeignCiphertext is for a ciphertext whose key does not exist here or is not the caller's to
// know about. Source: re:Post and issue reports of Decrypt; the text is AWS's.
var errForeignCiphertext = apierr.New("AccessDeniedException",
	"The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not allowed to access.")

// A side is one key of a cryptographic operation.
type side struct {
	op      string // name in messages: "Encrypt", "ReEncryptTo"
	action  string // "kms:Encrypt"
	alg     string
	context map[string]string
	bound   []byte // the context, as ciphertexts are bound to it
	pair    string // KeyPairSpec, of data key pairs
	to      *recipient
	key     resolved
	permit  permit.Permit
}

// newSide begins an operation with a key, named by its action.
func (s *Service) newSide(action string, alg *string, context map[string]string) (side, error) {
	sd := side{op: strings.TrimPrefix(action, "kms:"), action: action, alg: api.Val(alg), context: context, bound: envelope.CanonicalContext(context)}
	if sd.alg == "" {
		sd.alg = symmetric
	}
	if len(context) > 0 && sd.alg != symmetric {
		return sd, apierr.Validation("EncryptionContext is not supported for asymmetric keys.")
	}
	if len(sd.bound) > envelope.MaxContext {
		return sd, apierr.Validation("EncryptionContext is larger than %d bytes.", envelope.MaxContext)
	}
	return sd, nil
}

// part is the evaluation of a side, with the condition keys of cryptographic operations.
func cryptoPart(c *guard.Call, sd *side) authz.Part {
	c.Touch(sd.key.arn, sd.key.Account, keyType)
	p := sd.key.part(c, sd.action)
	p.Context.Set("kms:encryptionalgorithm", sd.alg)
	if sd.pair != "" {
		p.Context.Set("kms:datakeypairspec", sd.pair)
	}
	requestAlias(&p.Context, sd.key)
	sd.to.conditions(&p)
	keyrule.EncryptionContext(&p, sd.context)
	return p
}

func (sd *side) usable() error {
	rule := sd.key.rule()
	if err := rule.CheckUse(sd.op, kmsapi.KeyUsageTypeENCRYPT_DECRYPT, sd.alg); err != nil {
		return err
	}
	return opUse.Check(&rule)
}

func (sd *side) use() hsm.Use { return hsm.Use{Action: sd.action, KeyARN: sd.key.arn} }

// header is the header of a ciphertext made under the current material.
func (sd *side) header() envelope.Header {
	h := sd.key.header()
	h.Algorithm = sd.alg
	return h
}

// aad is what a ciphertext that is made is bound to; asymmetric encryption has none.
func (sd *side) aad() []byte {
	if sd.alg != symmetric {
		return nil
	}
	return append(slices.Clip(sd.key.head), sd.bound...)
}

// sealing is how a side encrypts: the use, and what the ciphertext is bound to. A symmetric ciphertext is
// made in one piece with its header, if no key store is to see it first.
func (sd *side) sealing(h envelope.Header) (use hsm.Use, aad []byte) {
	use, aad = sd.use(), sd.aad()
	if sd.alg == symmetric && sd.key.store == nil {
		use.Before = h.Head(aad)
	}
	return use, aad
}

// sealed is the blob of what sealing led to.
func (sd *side) sealed(use hsm.Use, h envelope.Header, raw []byte) ([]byte, error) {
	if use.Before != nil && len(raw) <= envelope.MaxBlob {
		return raw, nil
	}
	return sd.blob(h, raw[len(use.Before):])
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
		sd.key, err = s.resolveFor(tx, c, sd.action, keyID, true)
		return err
	}
}

// begin finds the key of a one-sided operation, decides and checks the key, on one snapshot.
func (s *Service) begin(ctx context.Context, c *guard.Call, sd *side, tokens []string, dryRun *bool, find func(store.Tx) error, check func() error) error {
	if err := s.checkTokens(tokens); err != nil {
		return err
	}
	return s.g.View(ctx, c, func(tx store.Tx) (err error) {
		if err := find(tx); err != nil {
			return err
		}
		if sd.permit, err = s.authorize(tx, c, sd.key.keyView, cryptoPart(c, sd), api.Val(dryRun)); err != nil {
			return err
		}
		return check()
	})
}

// cryptoError turns the module's refusals into KMS's.
func cryptoError(err error) error {
	switch {
	case errors.Is(err, permit.ErrDryRun):
		return errDryRun
	case errors.Is(err, hsm.ErrCiphertext):
		return errCiphertext
	case errors.Is(err, hsm.ErrSignature):
		return errSignature
	case errors.Is(err, hsm.ErrMAC):
		return errMAC
	case errors.Is(err, hsm.ErrPublicKey):
		return errPublicKey
	case errors.Is(err, hsm.ErrNotApproved):
		return apierr.New("UnsupportedOperationException", "The algorithm is not approved, and this server runs with its FIPS profile.")
	}
	return err
}
