package soft

import (
	"crypto/fips140"
	"fmt"

	"github.com/kagimori/kagimori/internal/hsm"
)

// Approved reports whether a spec has only algorithms that are approved and that Go's Cryptographic
// Module implements: AES, HMAC, RSA, ECDSA and ECDH on the NIST curves, Ed25519. Not approved are
// secp256k1 and SM2; ML-DSA and ML-KEM are approved (FIPS 203, 204), but ML-DSA and ML-KEM-512 come
// from other modules here, and Go's ML-KEM is in no validated version yet. Sources: SP 800-186, FIPS
// 186-5; Go documentation, "FIPS 140-3 Compliance".
func Approved(spec hsm.Spec) bool {
	return short(spec) || rsaBits[spec] != 0 || curves[spec] != nil || spec == specEd25519
}

// FIPS tells whether Go's Cryptographic Module runs in FIPS 140-3 mode, and its version.
func FIPS() (on bool, version string) { return fips140.Enabled(), fips140.Version() }

// allows refuses specs that the profile does not have.
func (m *Module) allows(spec hsm.Spec) error {
	if m.approved && !Approved(spec) {
		return fmt.Errorf("%w: %s", hsm.ErrNotApproved, spec)
	}
	return nil
}

// allowsHash refuses SHA-1 in encryption and key wrapping: Go's module does not take it for approved.
func (m *Module) allowsHash(alg string) error {
	if m.approved && (alg == "RSAES_OAEP_SHA_1" || alg == "RSA_AES_KEY_WRAP_SHA_1") {
		return fmt.Errorf("%w: %s", hsm.ErrNotApproved, alg)
	}
	return nil
}
