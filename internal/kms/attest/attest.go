// Package attest reads attestation documents of AWS Nitro Enclaves and of NitroTPM, and encrypts for
// the key that a document names.
//
// A document is believed if its signature is that of a certificate whose chain ends in a trusted
// root. Who may do what because of it is for a key policy to say.
//
// Sources: AWS Nitro Enclaves User Guide, "Verifying the root of trust"; Amazon EC2 User Guide,
// "Validate a NitroTPM Attestation Document"; RFC 9052 (COSE), RFC 5652 (CMS).
package attest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/fxamacker/cbor/v2"
)

// AWSRoot is the SHA-256 fingerprint of AWS's root certificate for attestation, whose subject is
// "aws.nitro-enclaves". Source: AWS Nitro Enclaves User Guide, "Verifying the root of trust".
const AWSRoot = "641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b"

// MaxDocument is the most bytes of a document that are looked at. Source: KMS API Reference,
// RecipientInfo.
const MaxDocument = 262144

// ErrInvalid is wrapped by every error of [Verifier.Verify].
var ErrInvalid = errors.New("attest: not a valid attestation document")

// A Verifier knows which roots to believe. Safe for concurrent use.
type Verifier struct {
	roots []string // fingerprints
	now   func() time.Time
	dec   cbor.DecMode
}

// NewVerifier makes a Verifier that believes in roots by their SHA-256 fingerprints in hexadecimal,
// and in AWS's if there are none. now is the wall clock; nil is time.Now.
func NewVerifier(now func() time.Time, roots ...string) *Verifier {
	if len(roots) == 0 {
		roots = []string{AWSRoot}
	}
	if now == nil {
		now = time.Now
	}
	dec, err := cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden, UTF8: cbor.UTF8RejectInvalid,
		MaxNestedLevels: 8, MaxArrayElements: 64, MaxMapPairs: 64,
	}.DecMode()
	if err != nil {
		panic(err) // constant options
	}
	return &Verifier{roots: roots, now: now, dec: dec}
}

// Fingerprint is the name of a root certificate.
func Fingerprint(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	return hex.EncodeToString(sum[:])
}

// A Document is a verified attestation document.
type Document struct {
	// ModuleID is the Nitro hypervisor module that made it.
	ModuleID string
	// TPM tells that it is of NitroTPM, not of an enclave.
	TPM bool
	// PCRs are the measurements by register, in lower-case hexadecimal.
	PCRs map[int]string

	key *rsa.PublicKey
}

// sign1 is COSE_Sign1. Source: RFC 9052, section 4.2.
type sign1 struct {
	_           struct{} `cbor:",toarray"`
	Protected   []byte
	Unprotected map[any]any
	Payload     []byte
	Signature   []byte
}

// es384 is the COSE algorithm of documents. Source: RFC 9053, table 1.
const es384 = -35

// payload is the signed part of a document.
type payload struct {
	ModuleID  string         `cbor:"module_id"`
	Timestamp uint64         `cbor:"timestamp"`
	Digest    string         `cbor:"digest"`
	PCRs      map[int][]byte `cbor:"pcrs"`
	TPMPCRs   map[int][]byte `cbor:"nitrotpm_pcrs"`
	Cert      []byte         `cbor:"certificate"`
	CABundle  [][]byte       `cbor:"cabundle"`
	PublicKey []byte         `cbor:"public_key"`
	UserData  []byte         `cbor:"user_data"`
	Nonce     []byte         `cbor:"nonce"`
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrInvalid, fmt.Errorf(format, args...))
}

// Verify reads a document. The public key in it, without which nothing can be encrypted for the
// sender, has to be there.
func (v *Verifier) Verify(doc []byte) (*Document, error) {
	if len(doc) > MaxDocument {
		return nil, invalid("it has %d bytes", len(doc))
	}
	s, p, err := v.parse(doc)
	if err != nil {
		return nil, err
	}
	out, err := p.check()
	if err != nil {
		return nil, err
	}
	leaf, err := v.chain(p)
	if err != nil {
		return nil, err
	}
	if err := s.verify(leaf); err != nil {
		return nil, err
	}
	if out.key, err = recipientKey(p.PublicKey); err != nil {
		return nil, err
	}
	return out, nil
}

func (v *Verifier) parse(doc []byte) (*sign1, *payload, error) {
	const tag18 = 0xd2 // COSE_Sign1 may be tagged
	if len(doc) > 0 && doc[0] == tag18 {
		doc = doc[1:]
	}
	var s sign1
	if err := v.dec.Unmarshal(doc, &s); err != nil {
		return nil, nil, invalid("it is no COSE_Sign1: %w", err)
	}
	var protected map[int]int
	if err := v.dec.Unmarshal(s.Protected, &protected); err != nil || len(protected) != 1 || protected[1] != es384 {
		return nil, nil, invalid("its algorithm is not ES384")
	}
	if len(s.Unprotected) > 0 {
		return nil, nil, invalid("it has an unprotected header")
	}
	var p payload
	if err := v.dec.Unmarshal(s.Payload, &p); err != nil {
		return nil, nil, invalid("its payload: %w", err)
	}
	return &s, &p, nil
}

// Limits of the parts of a document.
const (
	maxCert  = 1024
	maxField = 1024
	pcrs     = 32 // registers 0 to 31
	tpmPCRs  = 24
)

// check applies the rules about the parts of a document.
func (p *payload) check() (*Document, error) {
	out := &Document{ModuleID: p.ModuleID, PCRs: map[int]string{}}
	registers, most := p.PCRs, pcrs
	if p.TPMPCRs != nil {
		out.TPM, registers, most = true, p.TPMPCRs, tpmPCRs
	}
	switch {
	case p.ModuleID == "":
		return nil, invalid("module_id is empty")
	case p.Digest != "SHA384":
		return nil, invalid("digest is %q", p.Digest)
	case p.Timestamp == 0:
		return nil, invalid("timestamp is missing")
	case p.PCRs != nil && p.TPMPCRs != nil:
		return nil, invalid("it is of an enclave and of a NitroTPM")
	case len(registers) == 0 || len(registers) > most:
		return nil, invalid("it has %d PCRs", len(registers))
	case len(p.Cert) == 0 || len(p.Cert) > maxCert || len(p.CABundle) == 0:
		return nil, invalid("it has no certificates")
	case len(p.PublicKey) > maxField || len(p.UserData) > maxField || len(p.Nonce) > maxField:
		return nil, invalid("public_key, user_data or nonce is too long")
	}
	for _, c := range p.CABundle {
		if len(c) == 0 || len(c) > maxCert {
			return nil, invalid("a certificate of its cabundle has %d bytes", len(c))
		}
	}
	for i, value := range registers {
		if i < 0 || i >= most || !slices.Contains([]int{32, 48, 64}, len(value)) {
			return nil, invalid("PCR%d has %d bytes", i, len(value))
		}
		out.PCRs[i] = hex.EncodeToString(value)
	}
	return out, nil
}

// chain verifies the certificates, of which the first of the bundle is the root.
func (v *Verifier) chain(p *payload) (*x509.Certificate, error) {
	leaf, err := x509.ParseCertificate(p.Cert)
	if err != nil {
		return nil, invalid("certificate: %w", err)
	}
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	for i, der := range p.CABundle {
		c, err := x509.ParseCertificate(der)
		switch {
		case err != nil:
			return nil, invalid("cabundle: %w", err)
		case i > 0:
			between.AddCert(c)
		case !slices.Contains(v.roots, Fingerprint(c)):
			return nil, invalid("its root is not trusted")
		default:
			roots.AddCert(c)
		}
	}
	_, err = leaf.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: v.now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err != nil {
		return nil, invalid("certificate: %w", err)
	}
	return leaf, nil
}

// verify checks the signature. Source: RFC 9052, section 4.4; RFC 9053, section 2.1.
func (s *sign1) verify(leaf *x509.Certificate) error {
	key, ok := leaf.PublicKey.(*ecdsa.PublicKey)
	const half = 48
	if !ok || key.Curve != elliptic.P384() || len(s.Signature) != 2*half {
		return invalid("its signature is not of P-384")
	}
	signed, err := SigStructure(s.Protected, s.Payload)
	if err != nil {
		return err
	}
	sum := sha512.Sum384(signed)
	r, t := new(big.Int).SetBytes(s.Signature[:half]), new(big.Int).SetBytes(s.Signature[half:])
	if !ecdsa.Verify(key, sum[:], r, t) {
		return invalid("its signature is wrong")
	}
	return nil
}

// SigStructure is what is signed of a COSE_Sign1.
func SigStructure(protected, payload []byte) ([]byte, error) {
	return cbor.Marshal([]any{"Signature1", protected, []byte{}, payload})
}

// recipientKey reads the public_key of a document.
func recipientKey(der []byte) (*rsa.PublicKey, error) {
	if len(der) == 0 {
		return nil, invalid("it has no public_key")
	}
	parsed, err := x509.ParsePKIXPublicKey(der)
	key, ok := parsed.(*rsa.PublicKey)
	if err != nil || !ok {
		return nil, invalid("its public_key is no RSA key")
	}
	if n := key.N.BitLen(); n < 2048 || n > 4096 {
		return nil, invalid("its public_key has %d bits", n)
	}
	return key, nil
}
