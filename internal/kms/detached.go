package kms

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"strings"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/xks"
)

// A detached ciphertext is one in the parts that an external key store proxy gives KMS: what the
// module makes (some bytes, the ciphertext, its tag), cut so that it fits. The initialization vector
// is what stands right before the ciphertext; the metadata has the rest of what stands before it and
// the beginning of the id of the material:
//
//	material       7 bytes
//	head           up to 13 bytes, of which the first is the module's version
//
// The id as a whole is bound to the ciphertext by the associated data, and the head by the module. So
// nothing of the metadata can be changed.
const (
	detachedMaterial = 7
	detachedIV       = 12
	// detachedMagic begins the associated data, and that of no other ciphertext.
	detachedMagic = "KX\x01"
)

// detachedAAD binds a ciphertext to the caller's associated data and the material.
func detachedAAD(m hsm.Material, aad []byte) []byte {
	out := make([]byte, 0, len(detachedMagic)+len(m.ID)+2+len(aad))
	out = append(out, detachedMagic...)
	out = append(out, m.ID...)
	out = binary.BigEndian.AppendUint16(out, uint16(len(aad))) // at most xks.MaxAAD
	return append(out, aad...)
}

// detach cuts what the module made of n bytes.
func detach(m hsm.Material, raw []byte, n int) (xks.Sealed, error) {
	id, err := hex.DecodeString(m.ID)
	head := len(raw) - n - xks.TagSize - detachedIV
	if err != nil || len(id) < detachedMaterial || head < 1 || detachedMaterial+head > xks.MaxMetadata {
		return xks.Sealed{}, apierr.New("UnsupportedOperationException", "The module's ciphertext has no detached form.").Because(err)
	}
	metadata := append([]byte{}, id[:detachedMaterial]...)
	metadata = append(metadata, raw[:head]...)
	return xks.Sealed{
		Metadata: metadata, IV: raw[head : head+detachedIV], Ciphertext: raw[head+detachedIV : len(raw)-xks.TagSize], Tag: raw[len(raw)-xks.TagSize:],
	}, nil
}

// attach undoes detach and finds the material.
func (k *keyRecord) attach(s *xks.Sealed) (m hsm.Material, raw []byte, ok bool) {
	if len(s.Metadata) < detachedMaterial || len(s.IV) != detachedIV || len(s.Tag) != xks.TagSize {
		return m, nil, false
	}
	prefix := hex.EncodeToString(s.Metadata[:detachedMaterial])
	for _, m := range k.Materials {
		if strings.HasPrefix(m.ID, prefix) {
			raw = append(raw, s.Metadata[detachedMaterial:]...)
			raw = append(raw, s.IV...)
			raw = append(raw, s.Ciphertext...)
			return m, append(raw, s.Tag...), true
		}
	}
	return m, nil, false
}

// detachedSide begins an operation on detached ciphertexts. Keys that are in an external key store
// themselves are refused: two stores could be each other's.
func (s *Service) detachedSide(ctx context.Context, c *guard.Call, action string, keyID *string) (side, error) {
	sd, err := s.newSide(action, nil, nil)
	if err != nil {
		return sd, err
	}
	err = s.begin(ctx, c, &sd, nil, nil, func(tx store.Tx) (err error) {
		sd.key, err = s.resolveFor(tx, c, sd.action, keyID, false)
		return err
	}, func() error {
		if sd.key.Store != "" {
			return apierr.Newf("InvalidKeyUsageException", "%s is in an external key store itself.", sd.key.arn)
		}
		return sd.usable()
	})
	return sd, err
}

// EncryptDetached is kms:Encrypt for a proxy: the ciphertext is in parts, and bound to aad instead
// of an encryption context.
func (s *Service) EncryptDetached(ctx context.Context, c *guard.Call, in *kmsapi.EncryptRequest, aad []byte) (xks.Sealed, error) {
	sd, err := s.detachedSide(ctx, c, "kms:Encrypt", in.KeyId)
	if err != nil {
		return xks.Sealed{}, err
	}
	m := sd.key.current()
	raw, err := s.hsm.Encrypt(ctx, sd.permit, sd.use(), m, symmetric, in.Plaintext, detachedAAD(m, aad))
	if err != nil {
		return xks.Sealed{}, cryptoError(err)
	}
	s.used(ctx, c, "Encrypt", sd.key.keyView)
	return detach(m, raw, len(in.Plaintext))
}

// DecryptDetached is kms:Decrypt of what EncryptDetached made.
func (s *Service) DecryptDetached(ctx context.Context, c *guard.Call, in *kmsapi.DecryptRequest, sealed xks.Sealed, aad []byte) (secret.Bytes, error) {
	sd, err := s.detachedSide(ctx, c, "kms:Decrypt", in.KeyId)
	if err != nil {
		return nil, err
	}
	m, raw, ok := sd.key.attach(&sealed)
	if !ok {
		return nil, errCiphertext
	}
	plain, err := s.hsm.Decrypt(ctx, sd.permit, sd.use(), m, symmetric, raw, detachedAAD(m, aad))
	if err != nil {
		return nil, cryptoError(err)
	}
	s.used(ctx, c, "Decrypt", sd.key.keyView)
	return plain, nil
}
