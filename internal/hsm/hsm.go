// Package hsm is the boundary around key material. Material leaves it only wrapped; every
// method that uses KMS key material spends a permit, which only a positive decision makes.
package hsm

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kagimori/kagimori/internal/guard/permit"
	"github.com/kagimori/kagimori/internal/secret"
)

// MaxSymmetric is the most bytes that a symmetric key encrypts: what every external key store proxy
// takes, which is more than KMS takes from its callers. Source: XKS Proxy API Specification,
// "Encrypt".
const MaxSymmetric = 4300

// Errors.
var (
	// ErrSealed: the module holds no root key yet.
	ErrSealed = errors.New("hsm: sealed")
	// ErrWrongSeal: the passphrase or key file does not open the seal.
	ErrWrongSeal = errors.New("hsm: the seal does not open with this passphrase or key")
	// ErrCiphertext: not a ciphertext of this material, altered, or another associated data.
	ErrCiphertext = errors.New("hsm: invalid ciphertext")
	// ErrUnsupported: the spec cannot do this.
	ErrUnsupported = errors.New("hsm: operation not supported by the key spec")
	// ErrNotApproved: the FIPS profile has no such algorithm. It is ErrUnsupported too.
	ErrNotApproved = fmt.Errorf("%w: not approved in the FIPS profile", ErrUnsupported)
	// ErrMaterial: the wrapped material is damaged, or is of another module or another key.
	ErrMaterial = errors.New("hsm: key material does not belong to this module or key")
	// ErrEnded: the wrapping key of the material was destroyed. It is ErrMaterial too.
	ErrEnded = fmt.Errorf("%w: its seal epoch has ended", ErrMaterial)
	// ErrTooLong: the plaintext is longer than the key spec can encrypt.
	ErrTooLong = errors.New("hsm: plaintext too long")
	// ErrDigest: what is to be signed has not the length that the algorithm's hash has.
	ErrDigest = errors.New("hsm: digest of another length")
	// ErrSignature: not a signature of this message under this key and algorithm.
	ErrSignature = errors.New("hsm: invalid signature")
	// ErrMAC: not the code of this message under this key and algorithm.
	ErrMAC = errors.New("hsm: invalid message authentication code")
	// ErrPublicKey: not a DER SubjectPublicKeyInfo of a point on the key's curve.
	ErrPublicKey = errors.New("hsm: invalid public key")
	// ErrToken: not an import token of this module for this key.
	ErrToken = errors.New("hsm: invalid import token")
	// ErrTokenExpired: the import token was good until some time ago.
	ErrTokenExpired = errors.New("hsm: import token expired")
	// ErrImport: what was unwrapped is no material of the key spec.
	ErrImport = errors.New("hsm: not key material of the spec")
)

// Spec names follow KMS KeySpec: SYMMETRIC_DEFAULT, RSA_2048, ECC_NIST_P256, HMAC_256, ...
type Spec string

// A Message is what is signed, in one of the forms of KMS MessageType.
type Message struct {
	// Type is RAW (the zero value means it too), DIGEST or EXTERNAL_MU.
	Type  string
	Bytes secret.Bytes
}

// Message types. Source: KMS API Reference, Sign, MessageType.
const (
	Raw        = "RAW"
	Digest     = "DIGEST"
	ExternalMu = "EXTERNAL_MU" // ML-DSA: 64 bytes
)

// Material is key material wrapped under the module's root key. It is bound to the resource
// (key ARN) it was made for and useless without the module.
type Material struct {
	ID      string `json:"id"` // 64 lower-case hex digits: KMS KeyMaterialId
	Spec    Spec   `json:"spec"`
	Wrapped []byte `json:"wrapped"` // versioned
	// Public is the DER SubjectPublicKeyInfo of an asymmetric key.
	Public []byte `json:"public,omitempty"`
}

// A Module makes and uses key material. Safe for concurrent use.
//
// A method with a permit spends it before it does anything else. A permit that refuses (its error
// is wrapped, see package permit) leaves nothing done. Each method serves the actions it is for
// and no other: a permit for kms:Encrypt, or for kms:DescribeKey, does not decrypt.
// Those are permit.ErrMismatch too. Only the permit of a dry run lets Decrypt, ReEncrypt, Verify, VerifyMAC
// and DeriveSharedSecret find out whether their input is good: they fail as they would, or with
// permit.ErrDryRun and no result.
type Module interface {
	// Generate makes new material for the key ARN. The permit is for kms:CreateKey on "*".
	Generate(ctx context.Context, p permit.Permit, keyARN string, spec Spec) (Material, error)
	// Rotate makes more material for the key that has m. Only symmetric encryption keys rotate.
	// Actions: kms:RotateKeyOnDemand, and kms:RotateKey, which is KMS's own doing.
	Rotate(ctx context.Context, p permit.Permit, use Use, m Material) (Material, error)
	// Replicate wraps the material of a multi-Region key for the related key toARN, which has the same
	// account and key id (an "mrk-" id), so the material keeps its ids. Another key is ErrUnsupported.
	// Actions: kms:ReplicateKey, and kms:SynchronizeMultiRegionKey, which is KMS's own doing.
	Replicate(ctx context.Context, p permit.Permit, use Use, ms []Material, toARN string) ([]Material, error)
	// ImportParameters makes a wrapping key pair of an RSA spec for material on its way here, to be
	// wrapped by a KMS WrappingAlgorithm. The token has what Import needs, for this key and until
	// then. Action: kms:GetParametersForImport.
	ImportParameters(ctx context.Context, p permit.Permit, use Use, spec Spec, alg string, until time.Time) (public, token []byte, err error)
	// Import makes material of the spec from wrapped bytes: raw for symmetric and HMAC keys, else
	// PKCS#8. The same bytes give the same material id for the same key id. ErrToken,
	// ErrTokenExpired, ErrCiphertext if it cannot be unwrapped, ErrImport. Action:
	// kms:ImportKeyMaterial.
	Import(ctx context.Context, p permit.Permit, use Use, spec Spec, token, wrapped []byte, now time.Time) (Material, error)
	// Encrypt encrypts under m. aad is the canonical encryption context. The result is the raw
	// ciphertext; package envelope adds the header. alg is a KMS EncryptionAlgorithm. Only
	// SYMMETRIC_DEFAULT takes aad; another algorithm with aad is ErrUnsupported. Action:
	// kms:Encrypt.
	Encrypt(ctx context.Context, p permit.Permit, use Use, m Material, alg string, plaintext secret.Bytes, aad []byte) ([]byte, error)
	// Decrypt undoes Encrypt. ErrCiphertext for anything not made by it with the same aad.
	// Action: kms:Decrypt.
	Decrypt(ctx context.Context, p permit.Permit, use Use, m Material, alg string, ciphertext, aad []byte) (secret.Bytes, error)
	// GenerateDataKey makes n >= 1 random bytes and encrypts them like Encrypt. The plaintext is
	// nil if use.Action is kms:GenerateDataKeyWithoutPlaintext, the other action of this method
	// besides kms:GenerateDataKey.
	GenerateDataKey(ctx context.Context, p permit.Permit, use Use, m Material, n int, aad []byte) (plaintext secret.Bytes, ciphertext []byte, err error)
	// GenerateDataKeyPair makes a key pair of the spec and encrypts its private key (PKCS#8) like
	// Encrypt. public is DER SubjectPublicKeyInfo. The private key is nil in plaintext if use.Action
	// is kms:GenerateDataKeyPairWithoutPlaintext, the other action of this method besides
	// kms:GenerateDataKeyPair.
	GenerateDataKeyPair(ctx context.Context, p permit.Permit, use Use, m Material, pair Spec, aad []byte) (DataKeyPair, error)
	// ReEncrypt decrypts under one key and encrypts under another without the plaintext leaving
	// the module. It spends both permits. Actions: kms:ReEncryptFrom, kms:ReEncryptTo.
	ReEncrypt(ctx context.Context, from, to Side) ([]byte, error)
	// PublicKey is the public key of asymmetric material, in DER, proved to be the material's own.
	// Action: kms:GetPublicKey.
	PublicKey(ctx context.Context, p permit.Permit, use Use, m Material) ([]byte, error)
	// Sign signs with a KMS SigningAlgorithm. A message type that the algorithm does not take is
	// ErrUnsupported. Action: kms:Sign.
	Sign(ctx context.Context, p permit.Permit, use Use, m Material, alg string, msg Message) ([]byte, error)
	// Verify returns ErrSignature for anything but a signature of the message. Action: kms:Verify.
	Verify(ctx context.Context, p permit.Permit, use Use, m Material, alg string, msg Message, signature []byte) error
	// GenerateMAC authenticates a message with a KMS MacAlgorithm. Action: kms:GenerateMac.
	GenerateMAC(ctx context.Context, p permit.Permit, use Use, m Material, alg string, message secret.Bytes) ([]byte, error)
	// VerifyMAC returns ErrMAC for anything but what GenerateMAC makes. Action: kms:VerifyMac.
	VerifyMAC(ctx context.Context, p permit.Permit, use Use, m Material, alg string, message secret.Bytes, mac []byte) error
	// DeriveSharedSecret is ECDH with a peer's public key (DER SubjectPublicKeyInfo): the
	// x-coordinate of the product. Action: kms:DeriveSharedSecret.
	DeriveSharedSecret(ctx context.Context, p permit.Permit, use Use, m Material, peer []byte) (secret.Bytes, error)
	// Encapsulate makes a secret of 32 bytes that Decapsulate finds from the ciphertext. Action:
	// kms:Encapsulate.
	Encapsulate(ctx context.Context, p permit.Permit, use Use, m Material) (shared secret.Bytes, ciphertext []byte, err error)
	// Decapsulate undoes Encapsulate. It returns ErrCiphertext only for a ciphertext of another
	// length; one that is wrong gives a secret that nobody else has (FIPS 203, implicit rejection).
	// Action: kms:Decapsulate.
	Decapsulate(ctx context.Context, p permit.Permit, use Use, m Material, ciphertext []byte) (secret.Bytes, error)
	// Forget drops what memory holds of material, after its key was deleted. It needs no permit:
	// material that is wrapped still can be unwrapped again.
	Forget(keyARN string, m Material)
	// Rewrap brings wrapped material under the module's newest wrapping key, so that the older ones
	// can be destroyed; most often that is where it is. Whoever stores material that was made before
	// their transaction began rewraps it in the transaction. It needs no permit: it uses nothing
	// that was not there, for what it was there for.
	Rewrap(keyARN string, m Material) (Material, error)
	// Random returns n random bytes.
	Random(n int) secret.Bytes
	// Box seals other secrets (session tokens, cursors, encoded messages) under a subkey bound to
	// the purpose. Boxes of one purpose on several nodes open each other's.
	Box(purpose string) Box
	// Pseudonyms gives texts names that only the module can tell from random ones: of one purpose, the same
	// text has the same on every node. Those of a closed module are zero.
	Pseudonyms(purpose string) func(text string) [16]byte
}

// Use names what a permit must have been made for.
type Use struct {
	Action string // "kms:Decrypt"
	KeyARN string
	// Before comes before the ciphertext that Encrypt and GenerateDataKey make under a symmetric key, in one
	// piece with it. It saves a copy, and changes nothing else: what binds it is in the associated data.
	Before []byte
}

// A DataKeyPair is a key pair for use outside the module.
type DataKeyPair struct {
	Public     []byte       // DER SubjectPublicKeyInfo
	Private    secret.Bytes // PKCS#8, or nil
	Ciphertext []byte       // of Private
}

// A Side of ReEncrypt. In holds the ciphertext for the source side.
type Side struct {
	Permit   permit.Permit
	Use      Use
	Material Material
	Alg      string
	In       []byte
	AAD      []byte
}

// A Box seals short secrets. Sealed bytes are versioned and authenticated.
type Box interface {
	Seal(plaintext, aad []byte) []byte
	// Open returns ErrCiphertext for anything that Seal did not make with the same aad.
	Open(sealed, aad []byte) ([]byte, error)
}
