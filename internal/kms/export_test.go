package kms

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"github.com/kagimori/kagimori/internal/store"
)

// OpenOuter takes apart what a key in an external key store encrypted.
var OpenOuter = openOuter

// StoredKey is the stored record of a key in the words of its JSON.
func StoredKey(tx store.Tx, region, account, id string) (map[string]any, error) {
	rec, found, err := keyTable.Get(tx, region, account, id)
	if err != nil || !found {
		return nil, fmt.Errorf("key %s: %w", id, err)
	}
	data, err := json.Marshal(rec)
	if err != nil {
		return nil, err
	}
	var out map[string]any
	return out, json.Unmarshal(data, &out)
}

// StoreKey undoes StoredKey.
func StoreKey(tx store.Tx, rec map[string]any, region, account, id string) error {
	data, err := json.Marshal(rec)
	if err != nil {
		return err
	}
	var k keyRecord
	if err := json.Unmarshal(data, &k); err != nil {
		return err
	}
	return keyTable.Put(tx, k, region, account, id)
}

// Packing is how records are packed: Repack reads a packed one and packs it again, Pack packs one of its JSON, and
// Unpack gives the JSON.
type Packing struct {
	Repack, Pack, Unpack func(data []byte) ([]byte, error)
}

func packing[T any](add func([]byte, *T) ([]byte, error), parse func([]byte, *T) error) Packing {
	return Packing{
		Repack: func(data []byte) ([]byte, error) {
			var rec T
			if err := parse(data, &rec); err != nil {
				return nil, err
			}
			return add(nil, &rec)
		},
		Pack: func(text []byte) ([]byte, error) {
			var rec T
			if err := json.Unmarshal(text, &rec); err != nil {
				return nil, err
			}
			return add(nil, &rec)
		},
		Unpack: func(data []byte) ([]byte, error) {
			var rec T
			if err := parse(data, &rec); err != nil {
				return nil, err
			}
			return json.Marshal(rec)
		},
	}
}

// KeyPacking is how keys are packed.
func KeyPacking() Packing { return packing(appendKey, parseKey) }

// GrantPacking is how grants are packed.
func GrantPacking() Packing { return packing(appendGrant, parseGrant) }

// StoredUses remember when the last uses of keys were stored.
type StoredUses struct{ uses storedUses }

// Note remembers a time, and At tells it, or zero.
func (s *StoredUses) Note(id string, at time.Time) { s.uses.note(hashOf(id), at) }

// At is when the last use was stored.
func (s *StoredUses) At(id string) time.Time { return s.uses.at(hashOf(id)) }

func hashOf(id string) uint64 {
	sum := sha256.Sum256([]byte(id))
	return binary.BigEndian.Uint64(sum[:])
}
