package soft

import (
	"context"
	"crypto/aes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash"
	"time"

	"github.com/kagimori/kagimori/internal/guard/permit"
	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/secret"
)

// wrappings are the wrapping algorithms: the hash of OAEP, and whether an AES key lies between.
// Source: KMS Developer Guide, "Importing key material", Select a wrapping algorithm.
var wrappings = map[string]struct {
	hash func() hash.Hash
	aes  bool
}{
	"RSAES_OAEP_SHA_1": {sha1.New, false}, "RSAES_OAEP_SHA_256": {sha256.New, false},
	"RSA_AES_KEY_WRAP_SHA_1": {sha1.New, true}, "RSA_AES_KEY_WRAP_SHA_256": {sha256.New, true},
}

// importToken is what a token holds, sealed for the ARN of one key.
type importToken struct {
	Algorithm string    `json:"algorithm"`
	Until     time.Time `json:"until"`
	Private   []byte    `json:"private"` // PKCS#8
}

const importPurpose = "kms import token"

// ImportParameters makes a wrapping key. Nothing is kept of it: its private half is in the token.
func (m *Module) ImportParameters(ctx context.Context, p permit.Permit, use hsm.Use, spec hsm.Spec, alg string, until time.Time) (public, token []byte, _ error) {
	if err := spend(p, use, "kms:GetParametersForImport"); err != nil {
		return nil, nil, err
	}
	if rsaBits[spec] == 0 || wrappings[alg].hash == nil {
		return nil, nil, hsm.ErrUnsupported
	}
	if err := m.allowsHash(alg); err != nil {
		return nil, nil, err
	}
	if m.closed.Load() {
		return nil, nil, hsm.ErrSealed
	}
	private, public, err := m.generate(ctx, spec)
	if err != nil {
		return nil, nil, err
	}
	defer private.Wipe()
	plain, err := json.Marshal(importToken{alg, until, private})
	if err != nil {
		return nil, nil, fmt.Errorf("hsm: import token: %w", err)
	}
	defer clear(plain)
	return public, m.Box(importPurpose).Seal(plain, []byte(use.KeyARN)), nil
}

// Import unwraps material that somebody else made, and wraps it as its own.
func (m *Module) Import(_ context.Context, p permit.Permit, use hsm.Use, spec hsm.Spec, token, wrapped []byte, now time.Time) (hsm.Material, error) {
	if err := spend(p, use, "kms:ImportKeyMaterial"); err != nil {
		return hsm.Material{}, err
	}
	plain, err := m.Box(importPurpose).Open(token, []byte(use.KeyARN))
	if err != nil {
		return hsm.Material{}, hsm.ErrToken
	}
	defer clear(plain)
	var t importToken
	if err := json.Unmarshal(plain, &t); err != nil {
		return hsm.Material{}, hsm.ErrToken
	}
	defer clear(t.Private)
	if err := m.allowsHash(t.Algorithm); err != nil { // a token from before the profile was on
		return hsm.Material{}, err
	}
	if !now.Before(t.Until) {
		return hsm.Material{}, hsm.ErrTokenExpired
	}
	given, err := t.unwrap(wrapped)
	if err != nil {
		return hsm.Material{}, err
	}
	defer given.Wipe()
	if err := m.allows(spec); err != nil {
		return hsm.Material{}, err
	}
	raw, public, err := canonical(spec, given)
	if err != nil {
		return hsm.Material{}, err
	}
	defer raw.Wipe()
	return m.wrapNew(use.KeyARN, spec, raw, public)
}

// unwrap opens material with the private key of the token.
func (t *importToken) unwrap(wrapped []byte) (secret.Bytes, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(t.Private)
	key, ok := parsed.(*rsa.PrivateKey)
	if err != nil || !ok {
		return nil, hsm.ErrToken
	}
	how := wrappings[t.Algorithm]
	if how.hash == nil || len(wrapped) < key.Size() || !how.aes && len(wrapped) != key.Size() {
		return nil, hsm.ErrCiphertext
	}
	out, err := rsa.DecryptOAEP(how.hash(), rand.Reader, key, wrapped[:key.Size()], nil)
	if err != nil {
		return nil, hsm.ErrCiphertext
	}
	if !how.aes {
		return out, nil
	}
	defer clear(out)
	return unwrapKWP(out, wrapped[key.Size():])
}

// unwrapKWP is AES key unwrap with padding, RFC 5649, with a key of 256 bits or what else AES has.
func unwrapKWP(key, wrapped []byte) (secret.Bytes, error) {
	block, err := aes.NewCipher(key)
	if err != nil || len(wrapped) < 16 || len(wrapped)%8 != 0 {
		return nil, hsm.ErrCiphertext
	}
	n := len(wrapped)/8 - 1
	out := append(secret.Bytes(nil), wrapped[8:]...)
	var a, b [aes.BlockSize]byte // a[:8] is the register
	copy(a[:8], wrapped)
	if n == 1 {
		copy(b[:], wrapped)
		block.Decrypt(b[:], b[:])
		copy(a[:8], b[:8])
		copy(out, b[8:])
	} else {
		for j := 5; j >= 0; j-- {
			for i := n; i >= 1; i-- {
				binary.BigEndian.PutUint64(b[:8], binary.BigEndian.Uint64(a[:8])^uint64(n*j+i))
				copy(b[8:], out[8*(i-1):])
				block.Decrypt(b[:], b[:])
				copy(a[:8], b[:8])
				copy(out[8*(i-1):8*i], b[8:])
			}
		}
	}
	size := int64(binary.BigEndian.Uint32(a[4:8]))
	if binary.BigEndian.Uint32(a[:4]) != 0xa65959a6 || size <= 8*int64(n-1) || size > 8*int64(n) {
		out.Wipe()
		return nil, hsm.ErrCiphertext
	}
	for _, pad := range out[size:] {
		if pad != 0 {
			out.Wipe()
			return nil, hsm.ErrCiphertext
		}
	}
	return out[:size], nil
}

// canonical checks that bytes are material of a spec and gives them in the one form that Generate
// has too, with the public key.
func canonical(spec hsm.Spec, given secret.Bytes) (raw secret.Bytes, public []byte, _ error) {
	size := hmacBytes[spec]
	if spec == specSymmetric {
		size = keySize
	}
	if size > 0 {
		if len(given) != size {
			return nil, nil, hsm.ErrImport
		}
		return append(secret.Bytes(nil), given...), nil, nil
	}
	if spec == specKoblitz {
		private, err := parsePrivate(spec, given)
		if err != nil {
			return nil, nil, hsm.ErrImport
		}
		defer private.Wipe()
		key, ok := newKoblitz(private)
		if !ok {
			return nil, nil, hsm.ErrImport
		}
		point := key.public.SerializeUncompressed()
		if raw, err = marshalPrivate(spec, private, point); err != nil {
			return nil, nil, err
		}
		public, err = marshalPublic(spec, point)
		return raw, public, err
	}
	r, err := prepareStandard(given)
	if err != nil {
		return nil, nil, hsm.ErrImport
	}
	var key, half any
	switch {
	case r.rsa != nil && rsaBits[spec] != 0 && r.rsa.N.BitLen() == rsaBits[spec]:
		key, half = r.rsa, &r.rsa.PublicKey
	case r.ec != nil && curves[spec] == r.ec.Curve:
		key, half = r.ec, r.ec.Public().(*ecdsa.PublicKey)
	default:
		return nil, nil, hsm.ErrImport
	}
	if raw, err = x509.MarshalPKCS8PrivateKey(key); err != nil {
		return nil, nil, hsm.ErrImport
	}
	public, err = x509.MarshalPKIXPublicKey(half)
	return raw, public, err
}
