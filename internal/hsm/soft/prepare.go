package soft

import (
	"bytes"
	"crypto/aes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"sync/atomic"
	"weak"

	"filippo.io/mldsa"
	"github.com/emmansun/gmsm/sm2"

	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/secret"
)

// ready is unwrapped material in the form that its operations need: the field of its spec is set.
// It never changes.
type ready struct {
	held secret.Held // SYMMETRIC_DEFAULT: see heldXAES; HMAC_*: the key; freed otherwise
	// schedule finds the key schedule that an earlier request made, until the garbage collection that
	// would have taken it anyway: it costs more to make than the encryption that it is for.
	schedule atomic.Pointer[weak.Pointer[xaes]]
	*private // of all other specs
}

// A private is a private key, of one kind.
type private struct {
	rsa     *rsa.PrivateKey    // RSA_*
	ec      *ecdsa.PrivateKey  // ECC_NIST_P*
	ed      ed25519.PrivateKey // ECC_NIST_EDWARDS25519
	koblitz *koblitz           // ECC_SECG_P256K1
	sm2     *sm2.PrivateKey    // SM2
	lattice *mldsa.PrivateKey  // ML_DSA_*
	kem     kem                // ML_KEM_*
}

// heldSize is the room for a key in the arena: an HMAC key, or a key of messages and its subkey.
const heldSize = 64

// short reports whether material of the spec is bytes that an arena holds.
func short(spec hsm.Spec) bool { return spec == specSymmetric || hmacBytes[spec] != 0 }

// working gives the bytes that operations of a short spec need, from its material.
func working(spec hsm.Spec, raw secret.Bytes) (secret.Bytes, *xaes, error) {
	if spec != specSymmetric {
		return bytes.Clone(raw), nil, nil
	}
	key, err := derive(raw, "message")
	if err != nil {
		return nil, nil, err
	}
	defer key.Wipe()
	x, err := newXAES(key)
	if err != nil {
		return nil, nil, err
	}
	return append(append(make(secret.Bytes, 0, heldSize), key...), x.k1[:]...), x, nil
}

// heldXAES is the cipher of what working made for SYMMETRIC_DEFAULT.
func heldXAES(b secret.Bytes) (*xaes, error) {
	block, err := aes.NewCipher(b[:keySize])
	if err != nil {
		return nil, err
	}
	return &xaes{block: block, k1: [aes.BlockSize]byte(b[keySize:])}, nil
}

// cipher is the cipher of held material; ok is false if it was freed. again is whether the next request will find the
// key schedule, as far as that can be told.
func (r *ready) cipher(again bool) (x *xaes, ok bool, err error) {
	if w := r.schedule.Load(); w != nil {
		if x = w.Value(); x != nil {
			return x, true, nil
		}
	}
	b, ok := r.held.Acquire()
	if !ok {
		return nil, false, nil
	}
	defer r.held.Release()
	if x, err = heldXAES(b); err == nil && again {
		r.schedule.Store(new(weak.Make(x)))
	}
	return x, true, err
}

// prepare reads the bytes of material that was unwrapped, which it does not keep. Not for short specs.
func prepare(spec hsm.Spec, raw secret.Bytes) (*ready, error) {
	switch {
	case rsaBits[spec] != 0, curves[spec] != nil, spec == specEd25519:
		return prepareStandard(raw)
	}
	key, err := parsePrivate(spec, raw)
	if err != nil {
		return nil, hsm.ErrMaterial
	}
	defer key.Wipe()
	r := &ready{private: &private{}}
	switch {
	case spec == specKoblitz:
		var ok bool
		if r.koblitz, ok = newKoblitz(key); !ok {
			return nil, hsm.ErrMaterial
		}
	case spec == specSM2:
		r.sm2, err = sm2.NewPrivateKey(key)
	case latticeSigners[spec] != mldsa.Parameters{}:
		r.lattice, err = mldsa.NewPrivateKey(latticeSigners[spec], key)
	case kems[spec] != nil:
		r.kem, err = kems[spec](key)
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
		return &ready{private: &private{rsa: key}}, nil
	case *ecdsa.PrivateKey:
		return &ready{private: &private{ec: key}}, nil
	case ed25519.PrivateKey:
		return &ready{private: &private{ed: key}}, nil
	}
	return nil, hsm.ErrMaterial
}
