package soft

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"

	sm2ecdh "github.com/emmansun/gmsm/ecdh"

	"github.com/kagimori/kagimori/internal/guard/permit"
	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/secret"
)

// DeriveSharedSecret is ECDH of SP 800-56A with the curves of NIST, and with that of SM2.
func (m *Module) DeriveSharedSecret(_ context.Context, p permit.Permit, use hsm.Use, mat hsm.Material, peer []byte) (secret.Bytes, error) {
	dry, err := rehearse(p, use, "kms:DeriveSharedSecret")
	if err != nil {
		return nil, err
	}
	shared, err := m.agree(use, mat, peer)
	if err == nil && dry != nil {
		shared.Wipe()
		return nil, dry
	}
	return shared, err
}

func (m *Module) agree(use hsm.Use, mat hsm.Material, peer []byte) (secret.Bytes, error) {
	if curves[mat.Spec] == nil && mat.Spec != specSM2 {
		return nil, hsm.ErrUnsupported
	}
	k, err := m.use(use.KeyARN, mat)
	if err != nil {
		return nil, err
	}
	if mat.Spec == specSM2 {
		return k.agreeSM2(peer)
	}
	parsed, err := x509.ParsePKIXPublicKey(peer)
	if err != nil {
		return nil, hsm.ErrPublicKey
	}
	theirs, ok := parsed.(*ecdsa.PublicKey)
	if !ok || theirs.Curve != k.ec.Curve {
		return nil, hsm.ErrPublicKey
	}
	point, err := theirs.ECDH()
	if err != nil {
		return nil, hsm.ErrPublicKey
	}
	ours, err := k.ec.ECDH()
	if err != nil {
		return nil, err
	}
	return ours.ECDH(point)
}

func (k *ready) agreeSM2(peer []byte) (secret.Bytes, error) {
	der, err := parsePublic(specSM2, peer)
	if err != nil {
		return nil, hsm.ErrPublicKey
	}
	point, err := sm2ecdh.P256().NewPublicKey(der)
	if err != nil {
		return nil, hsm.ErrPublicKey
	}
	ours, err := k.sm2.ECDH()
	if err != nil {
		return nil, err
	}
	return ours.ECDH(point)
}
