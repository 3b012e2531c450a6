package soft

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"fmt"

	"filippo.io/mldsa"
	"github.com/emmansun/gmsm/sm2"

	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/secret"
)

// Specs that Generate makes. Source: KMS Developer Guide, "Key spec reference".
const (
	specSymmetric = hsm.Spec("SYMMETRIC_DEFAULT")
	specEd25519   = hsm.Spec("ECC_NIST_EDWARDS25519")
	specKoblitz   = hsm.Spec("ECC_SECG_P256K1")
	specSM2       = hsm.Spec("SM2")
)

// rsaBits, curves, hmacBytes and latticeSigners are compiled tables of the other specs; kems has
// those of ML-KEM.
var (
	rsaBits = map[hsm.Spec]int{"RSA_2048": 2048, "RSA_3072": 3072, "RSA_4096": 4096}
	curves  = map[hsm.Spec]elliptic.Curve{
		"ECC_NIST_P256": elliptic.P256(), "ECC_NIST_P384": elliptic.P384(), "ECC_NIST_P521": elliptic.P521(),
	}
	hmacBytes      = map[hsm.Spec]int{"HMAC_224": 28, "HMAC_256": 32, "HMAC_384": 48, "HMAC_512": 64}
	latticeSigners = map[hsm.Spec]mldsa.Parameters{
		"ML_DSA_44": mldsa.MLDSA44(), "ML_DSA_65": mldsa.MLDSA65(), "ML_DSA_87": mldsa.MLDSA87(),
	}
)

// generate makes the bytes of new material, and the public key in DER of an asymmetric spec. It
// gives up only while it waits for its turn, and only if the context ends.
func (m *Module) generate(ctx context.Context, spec hsm.Spec) (raw secret.Bytes, public []byte, err error) {
	if err := m.allows(spec); err != nil {
		return nil, nil, err
	}
	if rsaBits[spec] != 0 {
		select {
		case m.making <- struct{}{}:
			defer func() { <-m.making }()
		case <-ctx.Done():
			return nil, nil, context.Cause(ctx)
		}
	}
	size := hmacBytes[spec]
	if spec == specSymmetric {
		size = keySize
	}
	if size > 0 {
		return random(size), nil, nil
	}
	if raw, public, err = generatePair(spec); err != nil {
		return nil, nil, fmt.Errorf("hsm: generate %s: %w", spec, err)
	}
	return raw, public, nil
}

// generatePair makes a key pair: PKCS#8 and SubjectPublicKeyInfo.
func generatePair(spec hsm.Spec) (raw secret.Bytes, public []byte, err error) {
	var key crypto.Signer
	switch {
	case rsaBits[spec] != 0:
		key, err = rsa.GenerateKey(rand.Reader, rsaBits[spec])
	case curves[spec] != nil:
		key, err = ecdsa.GenerateKey(curves[spec], rand.Reader)
	case spec == specEd25519:
		_, key, err = ed25519.GenerateKey(rand.Reader)
	default:
		return generateOther(spec)
	}
	if err != nil {
		return nil, nil, err
	}
	if public, err = x509.MarshalPKIXPublicKey(key.Public()); err != nil {
		return nil, nil, err
	}
	raw, err = x509.MarshalPKCS8PrivateKey(key)
	return raw, public, err
}

// generateOther makes a pair of what crypto/x509 does not know.
func generateOther(spec hsm.Spec) (raw secret.Bytes, public []byte, err error) {
	var private secret.Bytes
	switch {
	case spec == specKoblitz:
		number := blind().Bytes()
		defer clear(number[:])
		key, _ := newKoblitz(number[:])
		private, public = bytes.Clone(number[:]), key.public.SerializeUncompressed()
	case spec == specSM2:
		key, err := sm2.GenerateKey(rand.Reader)
		if err != nil {
			return nil, nil, err
		}
		point, err := sm2.PublicKeyToECDH(&key.PublicKey)
		if err != nil {
			return nil, nil, err
		}
		private, public = key.D.FillBytes(make([]byte, 32)), point.Bytes()
	case latticeSigners[spec] != mldsa.Parameters{}:
		private = random(mldsa.PrivateKeySize)
		key, err := mldsa.NewPrivateKey(latticeSigners[spec], private)
		if err != nil {
			return nil, nil, err
		}
		public = key.PublicKey().Bytes()
	case kems[spec] != nil:
		private = random(kemSeed)
		k, err := kems[spec](private)
		if err != nil {
			return nil, nil, err
		}
		public = k.public()
	default:
		return nil, nil, hsm.ErrUnsupported
	}
	defer private.Wipe()
	if raw, err = marshalPrivate(spec, private, public); err != nil {
		return nil, nil, err
	}
	public, err = marshalPublic(spec, public)
	return raw, public, err
}

func random(n int) secret.Bytes {
	b := make(secret.Bytes, n)
	rand.Read(b) // never fails: crypto/rand ends the program instead
	return b
}
