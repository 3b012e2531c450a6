package kms

import (
	"encoding/json"
	"fmt"

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

// RepackKey reads a packed key and packs it again.
func RepackKey(data []byte) ([]byte, error) {
	var k keyRecord
	if err := parseKey(data, &k); err != nil {
		return nil, err
	}
	return appendKey(nil, &k)
}

// PackKey packs a key of its JSON, and UnpackKey gives the JSON.
func PackKey(text []byte) ([]byte, error) {
	var k keyRecord
	if err := json.Unmarshal(text, &k); err != nil {
		return nil, err
	}
	return appendKey(nil, &k)
}

// UnpackKey is the JSON of a packed key.
func UnpackKey(data []byte) ([]byte, error) {
	var k keyRecord
	if err := parseKey(data, &k); err != nil {
		return nil, err
	}
	return json.Marshal(k)
}
