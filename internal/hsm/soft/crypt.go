package soft

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"

	"github.com/emmansun/gmsm/sm2"

	"github.com/kagimori/kagimori/internal/guard/permit"
	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/secret"
)

const (
	algSymmetric = "SYMMETRIC_DEFAULT"
	// maxDataKey is the longest data key.
	maxDataKey = 4096
	rawVersion = 1 // of symmetric ciphertext
	algSM2PKE  = "SM2PKE"
	maxSM2     = 1024 // source: KMS API Reference, Encrypt
)

// oaep has the hash of each asymmetric algorithm; MGF1 uses the same, the label is empty.
// Source: KMS Developer Guide, "Key spec reference".
var oaep = map[string]func() hash.Hash{"RSAES_OAEP_SHA_1": sha1.New, "RSAES_OAEP_SHA_256": sha256.New}

// Encrypt encrypts under the material. Symmetric ciphertext is a version byte, then what xaes
// makes, with aad as it is: the version is in the label of the key.
func (m *Module) Encrypt(_ context.Context, p permit.Permit, use hsm.Use, mat hsm.Material, alg string, plaintext secret.Bytes, aad []byte) ([]byte, error) {
	if err := spend(p, use, "kms:Encrypt"); err != nil {
		return nil, err
	}
	return m.encrypt(use, mat, alg, plaintext, aad)
}

// Decrypt undoes Encrypt.
func (m *Module) Decrypt(_ context.Context, p permit.Permit, use hsm.Use, mat hsm.Material, alg string, ciphertext, aad []byte) (secret.Bytes, error) {
	dry, err := rehearse(p, use, "kms:Decrypt")
	if err != nil {
		return nil, err
	}
	plain, err := m.decrypt(use.KeyARN, mat, alg, ciphertext, aad)
	if err == nil && dry != nil {
		plain.Wipe()
		return nil, dry
	}
	return plain, err
}

// GenerateDataKey makes 1 to 4096 random bytes and encrypts them under symmetric material.
func (m *Module) GenerateDataKey(_ context.Context, p permit.Permit, use hsm.Use, mat hsm.Material, n int, aad []byte) (secret.Bytes, []byte, error) {
	const silent = "kms:GenerateDataKeyWithoutPlaintext"
	if err := spend(p, use, "kms:GenerateDataKey", silent); err != nil {
		return nil, nil, err
	}
	if n < 1 {
		return nil, nil, fmt.Errorf("hsm: a data key of %d bytes", n)
	}
	if n > maxDataKey {
		return nil, nil, hsm.ErrTooLong
	}
	drawn := random(n + contextSize) // in one call of the system
	plain, context := drawn[:n:n], drawn[n:]
	ciphertext, err := m.encryptSymmetric(use, mat, context, plain, aad)
	if err != nil || use.Action == silent {
		plain.Wipe()
		plain = nil
	}
	return plain, ciphertext, err
}

// GenerateDataKeyPair makes a key pair and encrypts its private key under symmetric material.
func (m *Module) GenerateDataKeyPair(ctx context.Context, p permit.Permit, use hsm.Use, mat hsm.Material, pair hsm.Spec, aad []byte) (hsm.DataKeyPair, error) {
	const silent = "kms:GenerateDataKeyPairWithoutPlaintext"
	if err := spend(p, use, "kms:GenerateDataKeyPair", silent); err != nil {
		return hsm.DataKeyPair{}, err
	}
	if !pairs(pair) {
		return hsm.DataKeyPair{}, hsm.ErrUnsupported
	}
	// The key first: making a pair is work that a key which is none should not cost.
	if err := encrypts(mat.Spec, algSymmetric, aad); err != nil {
		return hsm.DataKeyPair{}, err
	}
	if _, err := m.use(use.KeyARN, mat); err != nil {
		return hsm.DataKeyPair{}, err
	}
	private, public, err := m.generate(ctx, pair)
	if err != nil {
		return hsm.DataKeyPair{}, err
	}
	ciphertext, err := m.encrypt(use, mat, algSymmetric, private, aad)
	if err != nil || use.Action == silent {
		private.Wipe()
		private = nil
	}
	if err != nil {
		return hsm.DataKeyPair{}, err
	}
	return hsm.DataKeyPair{Public: public, Private: private, Ciphertext: ciphertext}, nil
}

// pairs reports whether data key pairs of the spec exist: all asymmetric specs but ML-DSA. Source:
// KMS API Reference, GenerateDataKeyPair, KeyPairSpec.
func pairs(spec hsm.Spec) bool {
	return rsaBits[spec] != 0 || curves[spec] != nil || spec == specEd25519 || points[spec] != nil || kems[spec] != nil
}

// PublicKey gives the public key that was wrapped with the material. It is in the clear beside the
// material, so only unwrapping proves that nobody swapped it.
func (m *Module) PublicKey(_ context.Context, p permit.Permit, use hsm.Use, mat hsm.Material) ([]byte, error) {
	if err := spend(p, use, "kms:GetPublicKey"); err != nil {
		return nil, err
	}
	if len(mat.Public) == 0 {
		return nil, hsm.ErrUnsupported
	}
	if _, err := m.use(use.KeyARN, mat); err != nil {
		return nil, err
	}
	return bytes.Clone(mat.Public), nil
}

// ReEncrypt decrypts on one side and encrypts on the other.
func (m *Module) ReEncrypt(_ context.Context, from, to hsm.Side) ([]byte, error) {
	dryFrom, err := rehearse(from.Permit, from.Use, "kms:ReEncryptFrom")
	if err != nil {
		return nil, err
	}
	dryTo, err := rehearse(to.Permit, to.Use, "kms:ReEncryptTo")
	if err != nil {
		return nil, err
	}
	plain, err := m.decrypt(from.Use.KeyARN, from.Material, from.Alg, from.In, from.AAD)
	if err != nil {
		return nil, err
	}
	defer plain.Wipe()
	if dry := cmp.Or(dryFrom, dryTo); dry != nil {
		return nil, dry
	}
	return m.encrypt(to.Use, to.Material, to.Alg, plain, to.AAD)
}

func (m *Module) encrypt(use hsm.Use, mat hsm.Material, alg string, plaintext secret.Bytes, aad []byte) ([]byte, error) {
	if alg == algSymmetric {
		return m.encryptSymmetric(use, mat, random(contextSize), plaintext, aad)
	}
	if err := errors.Join(encrypts(mat.Spec, alg, aad), m.allowsHash(alg)); err != nil {
		return nil, err
	}
	k, err := m.use(use.KeyARN, mat)
	if err != nil {
		return nil, err
	}
	if alg == algSM2PKE {
		switch {
		case len(plaintext) > maxSM2:
			return nil, hsm.ErrTooLong
		case len(plaintext) == 0:
			return nil, fmt.Errorf("%w: SM2 cannot encrypt nothing", hsm.ErrUnsupported)
		}
		return encryptSM2(k.sm2, plaintext)
	}
	out, err := rsa.EncryptOAEP(oaep[alg](), rand.Reader, &k.rsa.PublicKey, plaintext, nil)
	if errors.Is(err, rsa.ErrMessageTooLong) {
		return nil, hsm.ErrTooLong
	}
	return out, err
}

// encryptSymmetric is encrypt with symmetric material. context is of contextSize random bytes, for this message alone.
func (m *Module) encryptSymmetric(use hsm.Use, mat hsm.Material, context []byte, plaintext secret.Bytes, aad []byte) ([]byte, error) {
	if err := errors.Join(encrypts(mat.Spec, algSymmetric, aad), m.allowsHash(algSymmetric)); err != nil {
		return nil, err
	}
	x, err := m.messages(use.KeyARN, mat)
	if err != nil {
		return nil, err
	}
	if len(plaintext) > hsm.MaxSymmetric {
		return nil, hsm.ErrTooLong
	}
	out := make([]byte, 0, len(use.Before)+1+xaesOverhead+len(plaintext))
	out = append(append(out, use.Before...), rawVersion)
	return x.sealIn(out, context, plaintext, aad), nil
}

// encryptSM2 tries what it made. The library errs where the key stream of a message is zero (it goes
// on with a wrong point) or equal to the message (it refuses the ciphertext): once in 2^(8n) each for
// n bytes, which one-byte messages meet. The latter, from other software, is refused here too.
func encryptSM2(key *sm2.PrivateKey, plaintext secret.Bytes) ([]byte, error) {
	const tries = 16
	for range tries {
		out, err := sm2.EncryptASN1(rand.Reader, &key.PublicKey, plaintext)
		if err != nil {
			return nil, err
		}
		if back, err := sm2.Decrypt(key, out); err == nil && plaintext.Equal(back) {
			return out, nil
		}
	}
	return nil, errors.New("hsm: SM2 encryption failed")
}

func (m *Module) decrypt(arn string, mat hsm.Material, alg string, ciphertext, aad []byte) (secret.Bytes, error) {
	if err := errors.Join(encrypts(mat.Spec, alg, aad), m.allowsHash(alg)); err != nil {
		return nil, err
	}
	if alg == algSymmetric {
		x, err := m.messages(arn, mat)
		if err != nil {
			return nil, err
		}
		if len(ciphertext) == 0 || ciphertext[0] != rawVersion {
			return nil, hsm.ErrCiphertext
		}
		return x.open(ciphertext[1:], aad)
	}
	k, err := m.use(arn, mat)
	if err != nil {
		return nil, err
	}
	if alg == algSM2PKE {
		if len(ciphertext) == 0 || ciphertext[0] != 0x30 { // only ASN.1, as Encrypt makes
			return nil, hsm.ErrCiphertext
		}
		out, err := sm2.Decrypt(k.sm2, ciphertext)
		if err != nil {
			return nil, hsm.ErrCiphertext
		}
		return out, nil
	}
	out, err := rsa.DecryptOAEP(oaep[alg](), nil, k.rsa, ciphertext, nil)
	if err != nil {
		return nil, hsm.ErrCiphertext
	}
	if out == nil {
		out = []byte{} // an empty secret is not an absent one
	}
	return out, nil
}

// encrypts reports whether a key of this spec encrypts with the algorithm. Asymmetric encryption
// cannot bind associated data, so it is refused and not dropped.
func encrypts(spec hsm.Spec, alg string, aad []byte) error {
	switch {
	case spec == specSymmetric && alg == algSymmetric:
		return nil
	case rsaBits[spec] != 0 && oaep[alg] != nil && len(aad) == 0:
		return nil
	case spec == specSM2 && alg == algSM2PKE && len(aad) == 0:
		return nil
	}
	return hsm.ErrUnsupported
}
