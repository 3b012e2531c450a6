// Package webtoken makes the keys of an issuer of web tokens, signs tokens with them, and writes what
// others verify them by. Only STS and its tests use it; the keys at rest are STS's to seal.
//
// Sources: RFC 7515, 7517, 7518, 7519; OpenID Connect Discovery 1.0; STS API Reference,
// GetWebIdentityToken.
package webtoken

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
)

// Algorithms of signatures. Source: STS API Reference, GetWebIdentityToken, SigningAlgorithm.
const (
	RS256 = "RS256"
	ES384 = "ES384"
)

// Algorithms lists them.
func Algorithms() []string { return []string{RS256, ES384} }

const rsaBits = 2048

// A Key signs tokens.
type Key struct {
	ID, Algorithm string
	signer        crypto.Signer
}

// Generate makes a key of an algorithm, and its private half in PKCS #8.
func Generate(algorithm string) (k *Key, private []byte, err error) {
	var signer crypto.Signer
	switch algorithm {
	case RS256:
		signer, err = rsa.GenerateKey(rand.Reader, rsaBits)
	case ES384:
		signer, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	default:
		return nil, nil, fmt.Errorf("webtoken: no algorithm %q", algorithm)
	}
	if err != nil {
		return nil, nil, err
	}
	if private, err = x509.MarshalPKCS8PrivateKey(signer); err != nil {
		return nil, nil, err
	}
	k, err = newKey(algorithm, signer)
	return k, private, err
}

// Read is a key from its private half.
func Read(algorithm string, private []byte) (*Key, error) {
	key, err := x509.ParsePKCS8PrivateKey(private)
	if err != nil {
		return nil, err
	}
	switch key := key.(type) {
	case *rsa.PrivateKey:
		if algorithm == RS256 {
			return newKey(algorithm, key)
		}
	case *ecdsa.PrivateKey:
		if algorithm == ES384 && key.Curve == elliptic.P384() {
			return newKey(algorithm, key)
		}
	}
	return nil, fmt.Errorf("webtoken: the key is not one for %s", algorithm)
}

// newKey names a key by its public half.
func newKey(algorithm string, signer crypto.Signer) (*Key, error) {
	public, err := x509.MarshalPKIXPublicKey(signer.Public())
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(public)
	return &Key{ID: base64.RawURLEncoding.EncodeToString(sum[:12]), Algorithm: algorithm, signer: signer}, nil
}

// Sign makes a token of claims.
func (k *Key) Sign(claims any) (string, error) {
	header, err := json.Marshal(map[string]string{"alg": k.Algorithm, "kid": k.ID, "typ": "JWT"})
	if err != nil {
		return "", err
	}
	body, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	signed := base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString(body)
	var signature []byte
	switch key := k.signer.(type) {
	case *rsa.PrivateKey:
		sum := sha256.Sum256([]byte(signed))
		signature, err = rsa.SignPKCS1v15(nil, key, crypto.SHA256, sum[:])
	case *ecdsa.PrivateKey:
		sum := sha512.Sum384([]byte(signed))
		var r, s *big.Int
		if r, s, err = ecdsa.Sign(rand.Reader, key, sum[:]); err == nil {
			signature = make([]byte, 96)
			r.FillBytes(signature[:48])
			s.FillBytes(signature[48:])
		}
	}
	if err != nil {
		return "", err
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

// jwk is a public key as a set shows it.
type jwk struct {
	Kty string `json:"kty"`
	Kid string `json:"kid"`
	Use string `json:"use"`
	Alg string `json:"alg"`
	N   string `json:"n,omitempty"`
	E   string `json:"e,omitempty"`
	Crv string `json:"crv,omitempty"`
	X   string `json:"x,omitempty"`
	Y   string `json:"y,omitempty"`
}

// Set is the public halves of keys, a JSON Web Key Set.
func Set(keys []*Key) ([]byte, error) {
	set := struct {
		Keys []jwk `json:"keys"`
	}{Keys: []jwk{}}
	text := base64.RawURLEncoding.EncodeToString
	for _, k := range keys {
		j := jwk{Kid: k.ID, Use: "sig", Alg: k.Algorithm}
		switch public := k.signer.Public().(type) {
		case *rsa.PublicKey:
			j.Kty, j.N, j.E = "RSA", text(public.N.Bytes()), text(big.NewInt(int64(public.E)).Bytes())
		case *ecdsa.PublicKey:
			point, err := public.Bytes()
			if err != nil {
				return nil, err
			}
			half := (len(point) - 1) / 2
			j.Kty, j.Crv, j.X, j.Y = "EC", "P-384", text(point[1:1+half]), text(point[1+half:])
		}
		set.Keys = append(set.Keys, j)
	}
	return json.Marshal(set)
}

// Paths of the documents below an issuer's URL.
const (
	DiscoveryPath = "/.well-known/openid-configuration"
	KeysPath      = "/.well-known/jwks.json"
)

// Discovery is what an issuer says of itself.
func Discovery(issuer string) ([]byte, error) {
	return json.Marshal(map[string]any{
		"issuer": issuer, "jwks_uri": issuer + KeysPath, "response_types_supported": []string{"id_token"},
		"subject_types_supported": []string{"public"}, "id_token_signing_alg_values_supported": Algorithms(),
		"claims_supported": []string{"iss", "sub", "aud", "exp", "iat", "jti"},
	})
}
