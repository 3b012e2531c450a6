package soft

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"

	"filippo.io/mldsa"
	"github.com/emmansun/gmsm/sm2"

	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/secret"
)

// ready is unwrapped material in the form that its operations need: the field of its spec is set.
// It never changes.
type ready struct {
	messages *xaes              // SYMMETRIC_DEFAULT
	rsa      *rsa.PrivateKey    // RSA_*
	ec       *ecdsa.PrivateKey  // ECC_NIST_P*
	ed       ed25519.PrivateKey // ECC_NIST_EDWARDS25519
	koblitz  *koblitz           // ECC_SECG_P256K1
	sm2      *sm2.PrivateKey    // SM2
	lattice  *mldsa.PrivateKey  // ML_DSA_*
	kem      kem                // ML_KEM_*
	mac      secret.Bytes       // HMAC_*
}

// prepare reads the bytes of material that was unwrapped, which it does not keep.
func prepare(spec hsm.Spec, raw secret.Bytes) (*ready, error) {
	switch {
	case spec == specSymmetric:
		key, err := derive(raw, "message")
		if err != nil {
			return nil, err
		}
		defer key.Wipe()
		x, err := newXAES(key)
		return &ready{messages: x}, err
	case hmacBytes[spec] != 0:
		return &ready{mac: bytes.Clone(raw)}, nil
	case rsaBits[spec] != 0, curves[spec] != nil, spec == specEd25519:
		return prepareStandard(raw)
	}
	private, err := parsePrivate(spec, raw)
	if err != nil {
		return nil, hsm.ErrMaterial
	}
	defer private.Wipe()
	r := &ready{}
	switch {
	case spec == specKoblitz:
		var ok bool
		if r.koblitz, ok = newKoblitz(private); !ok {
			return nil, hsm.ErrMaterial
		}
	case spec == specSM2:
		r.sm2, err = sm2.NewPrivateKey(private)
	case latticeSigners[spec] != mldsa.Parameters{}:
		r.lattice, err = mldsa.NewPrivateKey(latticeSigners[spec], private)
	case kems[spec] != nil:
		r.kem, err = kems[spec](private)
	default:
		return nil, hsm.ErrUnsupported
	}
	if err != nil {
		return nil, hsm.ErrMaterial
	}
	return r, nil
}

func prepareStandard(raw secret.Bytes) (*ready, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(raw)
	if err != nil {
		return nil, hsm.ErrMaterial
	}
	switch key := parsed.(type) {
	case *rsa.PrivateKey:
		return &ready{rsa: key}, nil
	case *ecdsa.PrivateKey:
		return &ready{ec: key}, nil
	case ed25519.PrivateKey:
		return &ready{ed: key}, nil
	}
	return nil, hsm.ErrMaterial
}
