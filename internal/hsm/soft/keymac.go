package soft

import (
	"context"
	"crypto"
	"crypto/hmac"
	_ "crypto/sha256" // SHA-224, SHA-256
	_ "crypto/sha512" // SHA-384, SHA-512

	"github.com/kagimori/kagimori/internal/guard/permit"
	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/secret"
)

// A macScheme is the one algorithm of an HMAC spec.
type macScheme struct {
	alg  string
	hash crypto.Hash
}

// macs has the algorithm of each HMAC spec. Source: KMS Developer Guide, "Key spec reference".
var macs = map[hsm.Spec]macScheme{
	"HMAC_224": {"HMAC_SHA_224", crypto.SHA224}, "HMAC_256": {"HMAC_SHA_256", crypto.SHA256},
	"HMAC_384": {"HMAC_SHA_384", crypto.SHA384}, "HMAC_512": {"HMAC_SHA_512", crypto.SHA512},
}

// GenerateMAC authenticates a message under HMAC material.
func (m *Module) GenerateMAC(_ context.Context, p permit.Permit, use hsm.Use, mat hsm.Material, alg string, message secret.Bytes) ([]byte, error) {
	if err := spend(p, use, "kms:GenerateMac"); err != nil {
		return nil, err
	}
	return m.keyMAC(use.KeyARN, mat, alg, message)
}

// VerifyMAC compares in constant time.
func (m *Module) VerifyMAC(_ context.Context, p permit.Permit, use hsm.Use, mat hsm.Material, alg string, message secret.Bytes, mac []byte) error {
	dry, err := rehearse(p, use, "kms:VerifyMac")
	if err != nil {
		return err
	}
	want, err := m.keyMAC(use.KeyARN, mat, alg, message)
	if err != nil {
		return err
	}
	if !hmac.Equal(want, mac) {
		return hsm.ErrMAC
	}
	return dry
}

func (m *Module) keyMAC(arn string, mat hsm.Material, alg string, message secret.Bytes) ([]byte, error) {
	scheme := macs[mat.Spec]
	if scheme.alg != alg || alg == "" {
		return nil, hsm.ErrUnsupported
	}
	var out []byte
	err := m.with(arn, mat, func(key secret.Bytes) error {
		h := hmac.New(scheme.hash.New, key)
		h.Write(message)
		out = h.Sum(nil)
		return nil
	})
	return out, err
}
