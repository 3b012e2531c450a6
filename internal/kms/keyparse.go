package kms

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/kagimori/kagimori/internal/hsm"
)

var errPacked = errors.New("a record that no kagimori wrote")

// A field is one as it is found: text or a number.
type field struct {
	n    protowire.Number
	kind protowire.Type
	text string
	num  int64
}

// fields calls each with the fields of a message. Texts are parts of it.
func fields(data string, each func(field) error) error {
	for len(data) > 0 {
		f, size := nextField(data)
		if size < 0 {
			return errPacked
		}
		data = data[size:]
		if err := each(f); err != nil {
			return err
		}
	}
	return nil
}

// texts is fields of a message that has no numbers.
func texts(data string, each func(field) error) error {
	return fields(data, func(f field) error {
		if f.kind != protowire.BytesType {
			return errPacked
		}
		return each(f)
	})
}

// nextField is the first field, and its size; negative if there is none.
func nextField(data string) (f field, size int) {
	tag, n := varint(data)
	if n <= 0 || tag>>3 == 0 || tag>>3 > uint64(protowire.MaxValidNumber) {
		return f, -1
	}
	f.n, f.kind = protowire.Number(tag>>3), protowire.Type(tag&7)
	v, m := varint(data[n:])
	if m <= 0 {
		return f, -1
	}
	size = n + m
	switch f.kind {
	case protowire.VarintType:
		f.num = protowire.DecodeZigZag(v)
		return f, size
	case protowire.BytesType:
		if v > uint64(len(data)-size) {
			return f, -1
		}
		f.text = data[size : size+int(v)]
		return f, size + int(v)
	}
	return f, -1
}

// varint is [protowire.ConsumeVarint] of a string.
func varint(s string) (v uint64, n int) {
	const most = 10
	for i := range min(len(s), most) {
		b := s[i]
		if i == most-1 && b > 1 {
			return 0, -1
		}
		v |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			return v, i + 1
		}
	}
	return 0, -1
}

func (f field) time(t *time.Time) error {
	if t.UnmarshalBinary([]byte(f.text)) != nil {
		return errPacked
	}
	return nil
}

// number sets a number of 32 bits.
func (f field) number(to *int32) error {
	if *to = int32(f.num); int64(*to) != f.num {
		return errPacked
	}
	return nil
}

func (f field) material(m *hsm.Material) error {
	return texts(f.text, func(f field) error {
		switch f.n {
		case partFirst:
			m.ID = f.text
		case partSecond:
			m.Spec = hsm.Spec(f.text)
		case partThird:
			m.Wrapped = []byte(f.text)
		case partFourth:
			m.Public = []byte(f.text)
		default:
			return errPacked
		}
		return nil
	})
}

// strings sets the fields of a message that has nothing but texts, the first, second and third.
func (f field) strings(to ...*string) error {
	return texts(f.text, func(f field) error {
		if int(f.n) > len(to) {
			return errPacked
		}
		*to[f.n-1] = f.text
		return nil
	})
}

// pair puts a pair into a map.
func (f field) pair(to *map[string]string) error {
	var k, v string
	if err := f.strings(&k, &v); err != nil {
		return err
	}
	if *to == nil {
		*to = map[string]string{}
	}
	(*to)[k] = v
	return nil
}

func parseKey(data []byte, k *keyRecord) error {
	return parseShared(data, k, func(text []byte) string { return string(text) })
}

// parseShared is parseKey with the policy's text from where texts of policies are: most keys have the same.
func parseShared(data []byte, k *keyRecord, policy func(text []byte) string) error {
	*k = keyRecord{room: k.room}
	rest, text, err := withoutPolicy(data)
	if err != nil {
		return err
	}
	// All other texts are parts of one.
	if err := fields(rest, func(f field) error { return k.set(f) }); err != nil {
		return err
	}
	k.Policy = policy(text)
	if k.ID == "" || k.Region == "" || k.Account == "" {
		return fmt.Errorf("%w: a key without a name", errPacked)
	}
	return nil
}

// withoutPolicy takes the policy out of a record, which has at most one.
func withoutPolicy(data []byte) (rest string, policy []byte, err error) {
	for at := data; len(at) > 0; {
		number, kind, size := protowire.ConsumeField(at)
		if size < 0 {
			return "", nil, errPacked
		}
		if number == keyFieldPolicy && kind == protowire.BytesType {
			_, _, head := protowire.ConsumeTag(at)
			policy, _ = protowire.ConsumeBytes(at[head:])
			var b strings.Builder
			b.Grow(len(data) - size)
			b.Write(data[:len(data)-len(at)])
			b.Write(at[size:])
			return b.String(), policy, nil
		}
		at = at[size:]
	}
	return string(data), nil, nil
}

// text is the field of the record that is a text of this number, or nil.
func (k *keyRecord) text(n protowire.Number) *string {
	switch n {
	case keyFieldID:
		return &k.ID
	case keyFieldRegion:
		return &k.Region
	case keyFieldAccount:
		return &k.Account
	case keyFieldDescription:
		return &k.Description
	case keyFieldUsage:
		return &k.Usage
	case keyFieldSpec:
		return &k.Spec
	case keyFieldOrigin:
		return &k.Origin
	case keyFieldManager:
		return &k.Manager
	case keyFieldState:
		return &k.State
	case keyFieldStore:
		return &k.Store
	case keyFieldXksKey:
		return &k.XksKey
	}
	return nil
}

// set takes one field of a record.
func (k *keyRecord) set(f field) error {
	if f.kind == protowire.VarintType {
		return k.setNumber(f)
	}
	if to := k.text(f.n); to != nil {
		*to = f.text
		return nil
	}
	switch f.n {
	case keyFieldCreated:
		return f.time(&k.Created)
	case keyFieldDeletion:
		return f.time(&k.Deletion)
	case keyFieldAlias:
		if k.room != nil && k.Aliases == nil {
			k.Aliases = k.room.aliases[:0]
		}
		k.Aliases = append(k.Aliases, f.text)
		return nil
	case keyFieldMaterial:
		if k.room != nil && k.Materials == nil {
			k.Materials = k.room.materials[:0]
		}
		k.Materials = append(k.Materials, hsm.Material{})
		return f.material(&k.Materials[len(k.Materials)-1])
	case keyFieldTag:
		if k.room != nil && k.Tags == nil {
			k.Tags = k.room.tags[:0]
		}
		k.Tags = append(k.Tags, tag{})
		t := &k.Tags[len(k.Tags)-1]
		return f.strings(&t.Key, &t.Value)
	}
	return k.setRare(f)
}

func (k *keyRecord) setNumber(f field) error {
	switch f.n {
	case keyFieldWindow:
		return f.number(&k.Window)
	case keyFieldGrants:
		k.Grants = int(f.num)
		return nil
	}
	return errPacked
}

// setRare takes what most keys have not.
func (k *keyRecord) setRare(f field) error {
	switch f.n {
	case keyFieldMulti:
		k.Multi = &multiRegion{}
		return texts(f.text, func(f field) error {
			switch f.n {
			case partFirst:
				k.Multi.Primary = f.text
			case partSecond:
				k.Multi.Replicas = append(k.Multi.Replicas, f.text)
			default:
				return errPacked
			}
			return nil
		})
	case keyFieldRotation:
		k.Rotation = &rotation{}
		return fields(f.text, func(f field) error {
			switch {
			case f.n == partFirst && f.kind == protowire.VarintType:
				return f.number(&k.Rotation.Days)
			case f.n == partSecond && f.kind == protowire.BytesType:
				return f.time(&k.Rotation.Enabled)
			}
			return errPacked
		})
	case keyFieldRotated:
		var r rotated
		err := texts(f.text, func(f field) error {
			switch f.n {
			case partFirst:
				r.MaterialID = f.text
			case partSecond:
				return f.time(&r.Date)
			case partThird:
				r.Type = f.text
			default:
				return errPacked
			}
			return nil
		})
		k.Rotations = append(k.Rotations, r)
		return err
	case keyFieldPolicyID:
		return f.pair(&k.PolicyIDs)
	case keyFieldPending:
		k.Pending = &hsm.Material{}
		return f.material(k.Pending)
	case keyFieldImport:
		return k.setImport(f)
	}
	return errPacked
}

func (k *keyRecord) setImport(f field) error {
	var (
		id string
		in imported
	)
	err := texts(f.text, func(f field) error {
		switch f.n {
		case partFirst:
			id = f.text
		case partSecond:
			in.Description = f.text
		case partThird:
			return f.time(&in.Expires)
		default:
			return errPacked
		}
		return nil
	})
	if k.Imports == nil {
		k.Imports = map[string]imported{}
	}
	k.Imports[id] = in
	return err
}
