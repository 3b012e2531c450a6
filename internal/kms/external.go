package kms

import (
	"maps"
	"slices"
	"time"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/hsm"
)

// external is the Origin of keys whose material is imported.
const external = "EXTERNAL"

// An imported is what is known of imported material beside itself. Material of an external key
// that was deleted, expired or, of a replica, not imported yet is without its wrapped bytes.
type imported struct {
	Description string    `json:"description,omitempty"`
	Expires     time.Time `json:"expires,omitzero"` // zero: never, or not imported
}

func (k *keyRecord) external() bool { return k.Origin == external }

// wrongOrigin refuses what keys of an origin cannot do.
func wrongOrigin(k *keyRecord) error {
	return apierr.Newf("UnsupportedOperationException", "%s origin is %s which is not valid for this operation.", k.arn(), k.Origin)
}

func isImported(m *hsm.Material) bool { return m != nil && m.Wrapped != nil }

// whole reports whether all material that belongs to the key for good is there.
func (k *keyRecord) whole() bool {
	return len(k.Materials) > 0 && !slices.ContainsFunc(k.Materials, func(m hsm.Material) bool { return m.Wrapped == nil })
}

// settle gives an external key the state that its material calls for.
func (k *keyRecord) settle() {
	switch {
	case !k.external():
	case k.State == kmsapi.KeyStatePendingImport && k.whole():
		k.State = kmsapi.KeyStateEnabled
	case (k.State == kmsapi.KeyStateEnabled || k.State == kmsapi.KeyStateDisabled) && !k.whole():
		k.State = kmsapi.KeyStatePendingImport
	}
}

// byMaterialID finds material of a key, the one that is pending rotation included.
func (k *keyRecord) byMaterialID(id string) *hsm.Material {
	for i := range k.Materials {
		if k.Materials[i].ID == id {
			return &k.Materials[i]
		}
	}
	if k.Pending != nil && k.Pending.ID == id {
		return k.Pending
	}
	return nil
}

// own makes the parts of a record its own that would be shared with the one it was read with.
func (k *keyRecord) own() {
	k.Materials = slices.Clone(k.Materials)
	if k.Pending != nil {
		k.Pending = new(*k.Pending)
	}
	imports := map[string]imported{}
	maps.Copy(imports, k.Imports)
	k.Imports = imports
}

// empty is material whose bytes are elsewhere, or gone.
func empty(m hsm.Material) hsm.Material {
	m.Wrapped = nil
	return m
}

// drop removes the bytes of material. Material that waited for its rotation goes altogether.
func (k *keyRecord) drop(id string) {
	if k.Pending != nil && k.Pending.ID == id {
		k.Pending = nil
		delete(k.Imports, id)
		return
	}
	if m := k.byMaterialID(id); m != nil {
		*m = empty(*m)
		im := k.Imports[id]
		im.Expires = time.Time{}
		k.Imports[id] = im
	}
}

// expiry is when the first material expires; zero if none does.
func (k *keyRecord) expiry() (first time.Time) {
	for _, im := range k.Imports {
		if e := im.Expires; !e.IsZero() && (first.IsZero() || e.Before(first)) {
			first = e
		}
	}
	return first
}

// wake is when something happens to the key by itself: material of an external key expires,
// another rotates.
func (k *keyRecord) wake() time.Time {
	if k.external() {
		return k.expiry()
	}
	return k.due()
}

// expiration is what metadata says of a key whose material is all there.
func (k *keyRecord) expiration(m *kmsapi.KeyMetadata) {
	if !k.external() || !k.whole() {
		return
	}
	var first time.Time
	for i := range k.Materials {
		if e := k.Imports[k.Materials[i].ID].Expires; !e.IsZero() && (first.IsZero() || e.Before(first)) {
			first = e
		}
	}
	m.ExpirationModel = new(kmsapi.ExpirationModelTypeKEY_MATERIAL_DOES_NOT_EXPIRE)
	if !first.IsZero() {
		m.ExpirationModel, m.ValidTo = new(kmsapi.ExpirationModelTypeKEY_MATERIAL_EXPIRES), &first
	}
}
