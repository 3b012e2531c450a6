package kms

import (
	"errors"
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/kagimori/kagimori/internal/hsm"
)

// A key is read by every use of it, and of many keys most are not in memory. So its record is not JSON but
// numbered fields, in the wire format of Protocol Buffers (protobuf.dev, "Encoding"), which is written and
// read here field by field. Absent fields are zero.

// Fields of a key. A number is never used for something else again.
const (
	keyFieldID protowire.Number = iota + 1
	keyFieldRegion
	keyFieldAccount
	keyFieldDescription
	keyFieldUsage
	keyFieldSpec
	keyFieldOrigin
	keyFieldManager
	keyFieldState
	keyFieldCreated
	keyFieldDeletion
	keyFieldWindow
	keyFieldMulti
	keyFieldRotation
	keyFieldRotated
	keyFieldPolicy
	keyFieldPolicyID
	keyFieldTag
	keyFieldAlias
	keyFieldMaterial
	keyFieldPending
	keyFieldImport
	keyFieldGrants
	keyFieldStore
	keyFieldXksKey
)

// Fields of what is in a key; those of pairs are the first two.
const (
	partFirst protowire.Number = iota + 1
	partSecond
	partThird
	partFourth
)

func appendText(b []byte, n protowire.Number, s string) []byte {
	if s == "" {
		return b
	}
	return protowire.AppendString(protowire.AppendTag(b, n, protowire.BytesType), s)
}

// appendBytes tells nothing from nil: bytes that are there and empty are a field.
func appendBytes(b []byte, n protowire.Number, data []byte) []byte {
	if data == nil {
		return b
	}
	return protowire.AppendBytes(protowire.AppendTag(b, n, protowire.BytesType), data)
}

func appendNumber(b []byte, n protowire.Number, v int64) []byte {
	if v == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, n, protowire.VarintType), protowire.EncodeZigZag(v))
}

// packer appends what can fail.
type packer struct {
	out []byte
	err error
}

// time appends a time as [time.Time.AppendBinary] does: exactly, with its offset.
func (p *packer) time(n protowire.Number, t time.Time) {
	if t.IsZero() {
		return
	}
	var buf [20]byte
	data, err := t.AppendBinary(buf[:0])
	p.err = errors.Join(p.err, err)
	p.out = appendBytes(p.out, n, data)
}

// part appends a field of fields.
func (p *packer) part(n protowire.Number, fields func(*packer)) {
	var in packer
	fields(&in)
	p.err = errors.Join(p.err, in.err)
	p.out = protowire.AppendBytes(protowire.AppendTag(p.out, n, protowire.BytesType), in.out)
}

func (p *packer) text(n protowire.Number, s string) { p.out = appendText(p.out, n, s) }

func (p *packer) material(n protowire.Number, m *hsm.Material) {
	p.part(n, func(p *packer) {
		p.text(partFirst, m.ID)
		p.text(partSecond, string(m.Spec))
		p.out = appendBytes(p.out, partThird, m.Wrapped)
		p.out = appendBytes(p.out, partFourth, m.Public)
	})
}

// pairs appends a field a pair.
func (p *packer) pairs(n protowire.Number, m map[string]string) {
	for _, k := range slices.Sorted(maps.Keys(m)) {
		p.part(n, func(p *packer) {
			p.text(partFirst, k)
			p.text(partSecond, m[k])
		})
	}
}

func appendKey(dst []byte, k *keyRecord) ([]byte, error) {
	p := &packer{out: dst}
	p.text(keyFieldPolicy, k.Policy) // first: who reads a key takes it out of the record before the rest
	p.text(keyFieldID, k.ID)
	p.text(keyFieldRegion, k.Region)
	p.text(keyFieldAccount, k.Account)
	p.text(keyFieldDescription, k.Description)
	p.text(keyFieldUsage, k.Usage)
	p.text(keyFieldSpec, k.Spec)
	p.text(keyFieldOrigin, k.Origin)
	p.text(keyFieldManager, k.Manager)
	p.text(keyFieldState, k.State)
	p.time(keyFieldCreated, k.Created)
	p.time(keyFieldDeletion, k.Deletion)
	p.out = appendNumber(p.out, keyFieldWindow, int64(k.Window))
	if m := k.Multi; m != nil {
		p.part(keyFieldMulti, func(p *packer) {
			p.text(partFirst, m.Primary)
			for _, r := range m.Replicas {
				p.out = appendBytes(p.out, partSecond, []byte(r))
			}
		})
	}
	if r := k.Rotation; r != nil {
		p.part(keyFieldRotation, func(p *packer) {
			p.out = appendNumber(p.out, partFirst, int64(r.Days))
			p.time(partSecond, r.Enabled)
		})
	}
	for _, r := range k.Rotations {
		p.part(keyFieldRotated, func(p *packer) {
			p.text(partFirst, r.MaterialID)
			p.time(partSecond, r.Date)
			p.text(partThird, r.Type)
		})
	}
	p.pairs(keyFieldPolicyID, k.PolicyIDs)
	for _, t := range k.Tags {
		p.part(keyFieldTag, func(p *packer) {
			p.text(partFirst, t.Key)
			p.text(partSecond, t.Value)
		})
	}
	for _, a := range k.Aliases {
		p.out = appendBytes(p.out, keyFieldAlias, []byte(a))
	}
	for i := range k.Materials {
		p.material(keyFieldMaterial, &k.Materials[i])
	}
	if k.Pending != nil {
		p.material(keyFieldPending, k.Pending)
	}
	for _, id := range slices.Sorted(maps.Keys(k.Imports)) {
		p.part(keyFieldImport, func(p *packer) {
			p.text(partFirst, id)
			p.text(partSecond, k.Imports[id].Description)
			p.time(partThird, k.Imports[id].Expires)
		})
	}
	p.out = appendNumber(p.out, keyFieldGrants, int64(k.Grants))
	p.text(keyFieldStore, k.Store)
	p.text(keyFieldXksKey, k.XksKey)
	return p.out, p.err
}
