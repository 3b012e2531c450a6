package soft

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/guard/permit"
	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/secret"
)

const wrapVersion = 1

// Generate makes material for a key. Symmetric and HMAC material is raw bytes, asymmetric is
// PKCS#8; it leaves wrapped. The specs are those of KMS; another gives hsm.ErrUnsupported. The id is a function of the key id (the last part of the ARN)
// and the material, so related multi-Region keys show the same id, as at AWS.
func (m *Module) Generate(ctx context.Context, p permit.Permit, keyARN string, spec hsm.Spec) (hsm.Material, error) {
	if err := spend(p, hsm.Use{Action: "kms:CreateKey", KeyARN: "*"}, "kms:CreateKey"); err != nil {
		return hsm.Material{}, err
	}
	if keyARN == "" {
		return hsm.Material{}, errors.New("hsm: material is made for a key ARN")
	}
	return m.newMaterial(ctx, keyARN, spec)
}

// Rotate makes more material for a key, once it is sure that what it has is the key's own.
func (m *Module) Rotate(ctx context.Context, p permit.Permit, use hsm.Use, mat hsm.Material) (hsm.Material, error) {
	if err := spend(p, use, "kms:RotateKeyOnDemand", "kms:RotateKey"); err != nil {
		return hsm.Material{}, err
	}
	if mat.Spec != specSymmetric {
		return hsm.Material{}, hsm.ErrUnsupported
	}
	if _, err := m.use(use.KeyARN, mat); err != nil {
		return hsm.Material{}, err
	}
	return m.newMaterial(ctx, use.KeyARN, mat.Spec)
}

// Replicate wraps material anew for a related multi-Region key.
func (m *Module) Replicate(_ context.Context, p permit.Permit, use hsm.Use, ms []hsm.Material, toARN string) ([]hsm.Material, error) {
	if err := spend(p, use, "kms:ReplicateKey", "kms:SynchronizeMultiRegionKey"); err != nil {
		return nil, err
	}
	if !related(use.KeyARN, toARN) {
		return nil, hsm.ErrUnsupported
	}
	var out []hsm.Material
	for _, mat := range ms {
		raw, err := m.root.unwrap(use.KeyARN, mat)
		if err != nil {
			return nil, err
		}
		defer raw.Wipe()
		if mat.Wrapped, err = m.root.wrap(toARN, mat, raw); err != nil {
			return nil, err
		}
		out = append(out, mat)
	}
	return out, nil
}

// related reports whether two ARNs differ in their Region alone and are of multi-Region keys.
func related(a, b string) bool {
	const regionAt = 3 // arn:partition:kms:REGION:account:key/id
	x, y := strings.Split(a, ":"), strings.Split(b, ":")
	if len(x) != 6 || len(y) != 6 || x[regionAt] == y[regionAt] || !strings.HasPrefix(x[5], "key/mrk-") {
		return false
	}
	x[regionAt] = y[regionAt]
	return slices.Equal(x, y)
}

func (m *Module) newMaterial(ctx context.Context, keyARN string, spec hsm.Spec) (hsm.Material, error) {
	raw, public, err := m.generate(ctx, spec)
	if err != nil {
		return hsm.Material{}, err
	}
	defer raw.Wipe()
	return m.wrapNew(keyARN, spec, raw, public)
}

// wrapNew makes material of bytes.
func (m *Module) wrapNew(keyARN string, spec hsm.Spec, raw secret.Bytes, public []byte) (_ hsm.Material, err error) {
	out := hsm.Material{Spec: spec, Public: public}
	if out.ID, err = materialID(keyARN, raw); err != nil {
		return hsm.Material{}, err
	}
	if out.Wrapped, err = m.root.wrap(keyARN, out, raw); err != nil {
		return hsm.Material{}, err
	}
	return out, nil
}

// materialID is keyed by the material itself, so it says nothing about it, and does not depend on
// the root key: the same material imported again has the same id, whatever happened to the root.
func materialID(keyARN string, raw secret.Bytes) (string, error) {
	id, err := derive(raw, "id/"+keyARN[strings.LastIndexByte(keyARN, '/')+1:])
	return hex.EncodeToString(id), err
}

// wrap encrypts material: version, epoch (8 bytes, big endian), then XAES-256-GCM.
func (r *RootKey) wrap(keyARN string, m hsm.Material, raw secret.Bytes) ([]byte, error) {
	epoch := r.newest()
	x, err := r.wrapping(epoch)
	if err != nil {
		return nil, err
	}
	head := binary.BigEndian.AppendUint64([]byte{wrapVersion}, epoch)
	return x.seal(head, raw, wrapAAD(head, keyARN, m)), nil
}

const wrapHead = 1 + 8

// unwrap undoes wrap; hsm.ErrMaterial if m is not what wrap made for this ARN, or its epoch has ended.
func (r *RootKey) unwrap(keyARN string, m hsm.Material) (secret.Bytes, error) {
	if len(m.Wrapped) < wrapHead || m.Wrapped[0] != wrapVersion {
		return nil, hsm.ErrMaterial
	}
	head := m.Wrapped[:wrapHead]
	x, err := r.wrapping(binary.BigEndian.Uint64(head[1:])) // what is no wrapped material has some number too
	if err != nil {
		return nil, err
	}
	raw, err := x.open(m.Wrapped[wrapHead:], wrapAAD(head, keyARN, m))
	if err != nil {
		return nil, hsm.ErrMaterial
	}
	return raw, nil
}

// Rewrap brings wrapped material under the newest epoch; what is under it already, and material
// whose bytes are elsewhere, stays as it is.
func (m *Module) Rewrap(keyARN string, mat hsm.Material) (hsm.Material, error) {
	if len(mat.Wrapped) >= wrapHead && binary.BigEndian.Uint64(mat.Wrapped[1:]) == m.root.newest() || len(mat.Wrapped) == 0 {
		return mat, nil
	}
	raw, err := m.root.unwrap(keyARN, mat)
	if err != nil {
		return hsm.Material{}, err
	}
	defer raw.Wipe()
	mat.Wrapped, err = m.root.wrap(keyARN, mat, raw)
	return mat, err
}

// wrapAAD ties wrapped material to all that is stored beside it: version and epoch, ARN, id, spec
// and public key, each with its length, so no two sets give the same bytes.
func wrapAAD(head []byte, keyARN string, m hsm.Material) []byte {
	const lengths = 4 * 4
	b := make([]byte, 0, len(head)+lengths+len(keyARN)+len(m.ID)+len(m.Spec)+len(m.Public))
	b = append(b, head...)
	for _, s := range [...]string{keyARN, m.ID, string(m.Spec)} {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
	}
	return append(binary.BigEndian.AppendUint32(b, uint32(len(m.Public))), m.Public...)
}

// use unwraps material, or finds it in the cache. The ARN is that of the decision. For short specs
// there is with.
func (m *Module) use(keyARN string, mat hsm.Material) (*ready, error) {
	if short(mat.Spec) {
		return nil, m.with(keyARN, mat, func(secret.Bytes) error { return nil })
	}
	if err := m.allows(mat.Spec); err != nil {
		return nil, err
	}
	if r, _ := m.cache.get(keyARN, mat); r != nil {
		return r, nil
	}
	raw, err := m.root.unwrap(keyARN, mat)
	if err != nil {
		return nil, err
	}
	defer raw.Wipe()
	r, err := prepare(mat.Spec, raw)
	if err != nil {
		return nil, err
	}
	if m.cache.welcome(mat) {
		m.cache.put(keyARN, mat, r)
	}
	return r, nil
}

// with calls f with the working bytes of material of a short spec, which f may not keep: those in the
// arena, or unwrapped for the moment if there is no room.
func (m *Module) with(keyARN string, mat hsm.Material, f func(secret.Bytes) error) error {
	if r, _ := m.cache.get(keyARN, mat); r != nil {
		if b, ok := r.held.Acquire(); ok { // else it was evicted in between
			defer r.held.Release()
			return f(b)
		}
	}
	b, _, err := m.ready(keyARN, mat)
	if err != nil {
		return err
	}
	defer b.Wipe()
	return f(b)
}

// ready unwraps the working bytes of material of a short spec, with the cipher if it is symmetric, and keeps
// a copy for the next time if there is room. The caller wipes them.
func (m *Module) ready(keyARN string, mat hsm.Material) (secret.Bytes, *xaes, error) {
	if err := m.allows(mat.Spec); err != nil {
		return nil, nil, err
	}
	raw, err := m.root.unwrap(keyARN, mat)
	if err != nil {
		return nil, nil, err
	}
	defer raw.Wipe()
	b, x, err := working(mat.Spec, raw)
	if err != nil {
		return nil, nil, err
	}
	if m.cache.welcome(mat) {
		if r := new(ready); m.hold(&r.held, b) {
			m.cache.put(keyARN, mat, r)
		}
	}
	return b, x, nil
}

// hold finds room in the arena, which may need one that was used longer ago to go.
func (m *Module) hold(h *secret.Held, b secret.Bytes) bool {
	if m.arena.HoldIn(h, b) {
		return true
	}
	m.cache.evict()
	return m.arena.HoldIn(h, b)
}

// messages is the cipher of symmetric material. It is with, but on the hot path, without a closure.
func (m *Module) messages(keyARN string, mat hsm.Material) (*xaes, error) {
	if r, soon := m.cache.get(keyARN, mat); r != nil {
		if x, ok, err := r.cipher(soon); ok {
			return x, err
		}
	}
	b, x, err := m.ready(keyARN, mat)
	b.Wipe()
	if err == nil && x == nil {
		err = hsm.ErrUnsupported
	}
	return x, err
}

// Forget drops the unwrapped material of a deleted key.
func (m *Module) Forget(keyARN string, mat hsm.Material) { m.cache.drop(keyARN, mat) }
