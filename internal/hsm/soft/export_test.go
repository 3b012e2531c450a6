package soft

import (
	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/secret"
)

// OpenXAES opens nonce, ciphertext and tag under a key of 32 bytes.
func OpenXAES(key, sealed, aad []byte) ([]byte, error) {
	x, err := newXAES(key)
	if err != nil {
		return nil, err
	}
	return x.open(sealed, aad)
}

// SealXAES is what the module encrypts with.
func SealXAES(key, plaintext, aad []byte) ([]byte, error) {
	x, err := newXAES(key)
	if err != nil {
		return nil, err
	}
	return x.seal(nil, plaintext, aad), nil
}

// Cached is the number of keys that are ready for use.
func (m *Module) Cached() int {
	m.cache.mu.Lock()
	defer m.cache.mu.Unlock()
	return m.cache.recent.Len()
}

// VerifyMu is the verification of ML-DSA from a message representative.
var VerifyMu = verifyMu

// Codecs of keys that crypto/x509 does not know.
var (
	MarshalPrivate = marshalPrivate
	ParsePrivate   = parsePrivate
	MarshalPublic  = marshalPublic
	ParsePublic    = parsePublic
)

// Wrap makes material of given bytes, as Generate does of random ones.
func (m *Module) Wrap(arn string, spec hsm.Spec, raw secret.Bytes, public []byte) (hsm.Material, error) {
	out := hsm.Material{Spec: spec, Public: public}
	var err error
	if out.ID, err = materialID(arn, raw); err != nil {
		return out, err
	}
	out.Wrapped, err = m.root.wrap(arn, out, raw)
	return out, err
}

// HoldGeneration takes all turns to make RSA keys until the result is called.
func (m *Module) HoldGeneration() (release func()) {
	for range cap(m.making) {
		m.making <- struct{}{}
	}
	return func() {
		for range cap(m.making) {
			<-m.making
		}
	}
}

// UnwrapKWP is AES key unwrap with padding.
var UnwrapKWP = unwrapKWP
