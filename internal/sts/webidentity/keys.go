package webidentity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"math/big"
)

// A key is one that an issuer signs with.
type key struct {
	id, alg string // alg is "" if the set does not say
	public  crypto.PublicKey
}

// jwk is a key as sets have it. Source: RFC 7518, section 6.
type jwk struct {
	Kty, Kid, Use, Alg, Crv string
	N, E, X, Y              string
}

// minRSA is the shortest modulus that is taken, in bits. Source: RFC 7518, section 3.3.
const minRSA = 2048

// readKeys reads a set of keys. Those that cannot sign, or are of a kind that is not taken, are left
// out.
func readKeys(data []byte) ([]key, error) {
	var set struct{ Keys []json.RawMessage }
	if err := json.Unmarshal(data, &set); err != nil {
		return nil, ErrKeys
	}
	var keys []key
	for _, raw := range set.Keys {
		var j jwk
		if json.Unmarshal(raw, &j) != nil || j.Use != "" && j.Use != "sig" {
			continue
		}
		if public := j.public(); public != nil {
			keys = append(keys, key{j.Kid, j.Alg, public})
		}
	}
	if len(keys) == 0 {
		return nil, ErrKeys
	}
	return keys, nil
}

// public is the key itself, or nil.
func (j *jwk) public() crypto.PublicKey {
	switch j.Kty {
	case "RSA":
		n, e := number(j.N), number(j.E)
		if n == nil || e == nil || !e.IsInt64() || e.Int64() < 3 || e.Int64() >= 1<<31 || n.BitLen() < minRSA || n.BitLen() > 4*minRSA {
			return nil
		}
		return &rsa.PublicKey{N: n, E: int(e.Int64())}
	case "EC":
		curve := map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}[j.Crv]
		x, y := number(j.X), number(j.Y)
		if curve == nil || x == nil || y == nil {
			return nil
		}
		size := (curve.Params().BitSize + 7) / 8
		if x.BitLen() > size*8 || y.BitLen() > size*8 {
			return nil
		}
		point := make([]byte, 1+2*size)
		point[0] = 4
		x.FillBytes(point[1 : 1+size])
		y.FillBytes(point[1+size:])
		public, err := ecdsa.ParseUncompressedPublicKey(curve, point)
		if err != nil {
			return nil
		}
		return public
	}
	return nil
}

func number(text string) *big.Int {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(raw) == 0 {
		return nil
	}
	return new(big.Int).SetBytes(raw)
}

// algorithms are those that are taken, with their hashes. None is symmetric: what verifies a token
// must not make one. Source: IAM User Guide, "Create an OpenID Connect (OIDC) identity provider in IAM".
var algorithms = map[string]struct {
	hash  crypto.Hash
	curve elliptic.Curve // nil of RSA
}{
	"RS256": {crypto.SHA256, nil}, "RS384": {crypto.SHA384, nil}, "RS512": {crypto.SHA512, nil},
	"ES256": {crypto.SHA256, elliptic.P256()}, "ES384": {crypto.SHA384, elliptic.P384()}, "ES512": {crypto.SHA512, elliptic.P521()},
}

// verified reports whether the token is signed with the key.
func (t *Token) verified(k *key) bool {
	alg, ok := algorithms[t.alg]
	if !ok || k.alg != "" && k.alg != t.alg {
		return false
	}
	h := alg.hash.New()
	h.Write(t.signed)
	digest := h.Sum(nil)
	switch public := k.public.(type) {
	case *rsa.PublicKey:
		return alg.curve == nil && rsa.VerifyPKCS1v15(public, alg.hash, digest, t.signature) == nil
	case *ecdsa.PublicKey:
		if alg.curve != public.Curve {
			return false
		}
		size := (public.Curve.Params().BitSize + 7) / 8
		if len(t.signature) != 2*size {
			return false
		}
		return ecdsa.Verify(public, digest, new(big.Int).SetBytes(t.signature[:size]), new(big.Int).SetBytes(t.signature[size:]))
	}
	return false
}
