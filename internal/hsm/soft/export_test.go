package soft

import (
	"encoding/json"

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
	return m.cache.entries.Len()
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

// WithRecipients changes the recipients of a seal file, with a digest that fits.
func WithRecipients(data []byte, to string) ([]byte, error) {
	f, _, err := decodeSeal(data)
	if err != nil {
		return nil, err
	}
	f.Slots[0].Params[paramRecipients] = to
	return f.encode()
}

// Format1 makes a plain seal file of the first format, material that it wrapped, and something that
// its box "access key" sealed.
func Format1(raw secret.Bytes, arn string) (data []byte, mat hsm.Material, boxed []byte, err error) {
	f := sealFile1{Format: 1, Kind: PlainFile, Epoch: 1, Sealed: raw}
	if f.Check, err = derive(raw, "check/1/plain-file"); err != nil {
		return nil, mat, nil, err
	}
	f.Digest = f.digest()
	if data, err = json.Marshal(f); err != nil {
		return nil, mat, nil, err
	}
	key, err := derive(raw, "wrap")
	if err != nil {
		return nil, mat, nil, err
	}
	x, err := newXAES(key)
	if err != nil {
		return nil, mat, nil, err
	}
	material := random(keySize)
	mat = hsm.Material{Spec: specSymmetric}
	if mat.ID, err = materialID(arn, material); err != nil {
		return nil, mat, nil, err
	}
	head := []byte{1, 0, 0, 0, 0, 0, 0, 0, 1}
	mat.Wrapped = x.seal(head, material, wrapAAD(head, arn, mat))
	if key, err = derive(raw, "box/access key"); err != nil {
		return nil, mat, nil, err
	}
	if x, err = newXAES(key); err != nil {
		return nil, mat, nil, err
	}
	return data, mat, x.seal([]byte{boxVersion}, []byte("boxed"), nil), nil
}

// DecodeRing reads a keyring, which it wipes, and EncodeRing is what it is written as.
var DecodeRing = decodeRing

// EncodeRing writes a keyring with all its epochs.
func (r *RootKey) EncodeRing() (secret.Bytes, error) { return r.encode(r.Epochs()) }

// Derive is derive.
func Derive(key []byte, label string) ([]byte, error) { return derive(key, label) }

// Labels is the beginning of all labels.
const Labels = labels
