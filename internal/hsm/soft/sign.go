package soft

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha512"
	"strings"

	"filippo.io/mldsa"
	"filippo.io/mldsa/mldsacrypto"
	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/sm3"

	"github.com/kagimori/kagimori/internal/guard/permit"
	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/secret"
)

// Signing algorithms that take more than a hash to describe.
const (
	algEd25519   = "ED25519_SHA_512"
	algEd25519ph = "ED25519_PH_SHA_512"
	algLattice   = "ML_DSA_SHAKE_256"
	algSM2       = "SM2DSA"
)

// rsaSigning and ecdsaSigning have the hash of each algorithm; curveSigning has the algorithm of
// each curve. Source: KMS Developer Guide, "Key spec reference".
var (
	rsaSigning = map[string]crypto.Hash{
		"RSASSA_PKCS1_V1_5_SHA_256": crypto.SHA256, "RSASSA_PKCS1_V1_5_SHA_384": crypto.SHA384, "RSASSA_PKCS1_V1_5_SHA_512": crypto.SHA512,
		"RSASSA_PSS_SHA_256": crypto.SHA256, "RSASSA_PSS_SHA_384": crypto.SHA384, "RSASSA_PSS_SHA_512": crypto.SHA512,
	}
	ecdsaSigning = map[string]crypto.Hash{"ECDSA_SHA_256": crypto.SHA256, "ECDSA_SHA_384": crypto.SHA384, "ECDSA_SHA_512": crypto.SHA512}
	curveSigning = map[hsm.Spec]string{
		"ECC_NIST_P256": "ECDSA_SHA_256", "ECC_NIST_P384": "ECDSA_SHA_384", "ECC_NIST_P521": "ECDSA_SHA_512", specKoblitz: "ECDSA_SHA_256",
	}
)

// muSize is the size of the message representative of ML-DSA.
const muSize = 64

// pss is as at AWS: MGF1 with the same hash, a salt as long as the hash.
var pss = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}

// Sign signs under asymmetric material.
func (m *Module) Sign(_ context.Context, p permit.Permit, use hsm.Use, mat hsm.Material, alg string, msg hsm.Message) ([]byte, error) {
	if err := spend(p, use, "kms:Sign"); err != nil {
		return nil, err
	}
	k, in, err := m.signing(use.KeyARN, mat, alg, msg)
	if err != nil {
		return nil, err
	}
	switch {
	case k.rsa != nil && strings.HasPrefix(alg, "RSASSA_PSS_"):
		return rsa.SignPSS(rand.Reader, k.rsa, rsaSigning[alg], in, pss)
	case k.rsa != nil:
		return rsa.SignPKCS1v15(rand.Reader, k.rsa, rsaSigning[alg], in)
	case k.ec != nil:
		return ecdsa.SignASN1(rand.Reader, k.ec, in)
	case k.koblitz != nil:
		return k.koblitz.sign(in), nil
	case k.sm2 != nil:
		return sm2.SignASN1(rand.Reader, k.sm2, in, nil)
	case k.ed != nil:
		return k.ed.Sign(nil, in, edOptions(alg))
	}
	opts := crypto.Hash(0)
	if msg.Type == hsm.ExternalMu {
		opts = mldsacrypto.MLDSAMu
	}
	return k.lattice.Sign(nil, in, opts)
}

// Verify checks a signature with the public half of the material.
func (m *Module) Verify(_ context.Context, p permit.Permit, use hsm.Use, mat hsm.Material, alg string, msg hsm.Message, signature []byte) error {
	dry, err := rehearse(p, use, "kms:Verify")
	if err != nil {
		return err
	}
	k, in, err := m.signing(use.KeyARN, mat, alg, msg)
	if err != nil {
		return err
	}
	if !k.verifies(alg, msg.Type, in, signature) {
		return hsm.ErrSignature
	}
	return dry
}

func (k *ready) verifies(alg, kind string, in, signature []byte) bool {
	switch {
	case k.rsa != nil && strings.HasPrefix(alg, "RSASSA_PSS_"):
		return rsa.VerifyPSS(&k.rsa.PublicKey, rsaSigning[alg], in, signature, pss) == nil
	case k.rsa != nil:
		return rsa.VerifyPKCS1v15(&k.rsa.PublicKey, rsaSigning[alg], in, signature) == nil
	case k.ec != nil:
		return ecdsa.VerifyASN1(&k.ec.PublicKey, in, signature)
	case k.koblitz != nil:
		return k.koblitz.verify(in, signature)
	case k.sm2 != nil:
		return sm2.VerifyASN1(&k.sm2.PublicKey, in, signature)
	case k.ed != nil:
		return ed25519.VerifyWithOptions(k.ed.Public().(ed25519.PublicKey), in, signature, edOptions(alg)) == nil
	case kind == hsm.ExternalMu:
		return verifyMu(k.lattice.PublicKey(), in, signature)
	}
	return mldsa.Verify(k.lattice.PublicKey(), in, signature, nil) == nil
}

func edOptions(alg string) *ed25519.Options {
	if alg == algEd25519ph {
		return &ed25519.Options{Hash: crypto.SHA512}
	}
	return &ed25519.Options{}
}

// signing gives the key for an algorithm, and what the algorithm works on: a digest, or the
// message where the algorithm hashes by itself.
func (m *Module) signing(arn string, mat hsm.Material, alg string, msg hsm.Message) (*ready, []byte, error) {
	if !signs(mat.Spec, alg) || !takes(alg, msg.Type) {
		return nil, nil, hsm.ErrUnsupported
	}
	k, err := m.use(arn, mat)
	if err != nil {
		return nil, nil, err
	}
	in, err := k.represent(alg, msg)
	return k, in, err
}

// signs reports whether a key of the spec signs with the algorithm.
func signs(spec hsm.Spec, alg string) bool {
	switch {
	case rsaBits[spec] != 0:
		return rsaSigning[alg] != 0
	case curveSigning[spec] != "":
		return curveSigning[spec] == alg
	case spec == specEd25519:
		return alg == algEd25519 || alg == algEd25519ph
	case spec == specSM2:
		return alg == algSM2
	}
	return alg == algLattice && latticeSigners[spec] != mldsa.Parameters{}
}

// takes reports whether an algorithm takes messages of a type. Source: KMS API Reference, Sign,
// MessageType and SigningAlgorithm.
func takes(alg, kind string) bool {
	switch kind {
	case "", hsm.Raw:
		return alg != algEd25519ph
	case hsm.Digest:
		return alg != algEd25519 && alg != algLattice
	}
	return kind == hsm.ExternalMu && alg == algLattice
}

// represent is what is signed of a message.
func (k *ready) represent(alg string, msg hsm.Message) (secret.Bytes, error) {
	given := msg.Type == hsm.Digest || msg.Type == hsm.ExternalMu
	sized := func(n int) (secret.Bytes, error) {
		if len(msg.Bytes) != n {
			return nil, hsm.ErrDigest
		}
		return msg.Bytes, nil
	}
	switch {
	case alg == algEd25519ph:
		// KMS hashes what it is given, though it is a digest. Source: KMS Developer Guide, "Key spec
		// reference", Supported signing algorithms for ECC key specs.
		if _, err := sized(sha512.Size); err != nil {
			return nil, err
		}
		sum := sha512.Sum512(msg.Bytes)
		return sum[:], nil
	case alg == algEd25519, alg == algLattice && !given:
		return msg.Bytes, nil
	case alg == algLattice:
		return sized(muSize)
	case alg == algSM2 && given:
		return sized(sm3.Size)
	case alg == algSM2:
		return sm2.CalculateSM2Hash(&k.sm2.PublicKey, msg.Bytes, nil) // the default distinguishing id
	}
	hash := rsaSigning[alg]
	if hash == 0 {
		hash = ecdsaSigning[alg]
	}
	if given {
		return sized(hash.Size())
	}
	h := hash.New()
	h.Write(msg.Bytes)
	return h.Sum(nil), nil
}
