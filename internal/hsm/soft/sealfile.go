package soft

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/kagimori/kagimori/internal/secret"
)

const (
	sealFormat  = 2
	maxSealFile = 256 << 10
)

// sealFile is the JSON of a seal file: the keyring, encrypted under a random seal key, and the seal
// key once in each slot. Who can write the file can only make the keys unavailable, or put back an
// older file of the same directory: the keyring authenticates all other fields, so that no slot and
// no recipient can be slipped in by someone who does not have the seal key.
type sealFile struct {
	Format     int    `json:"format"`
	Generation uint64 `json:"generation"` // grows with each change, from 1
	// Epochs are those whose keys the keyring has; the last one wraps new material.
	Epochs  []uint64 `json:"epochs"`
	Slots   []Slot   `json:"slots"`
	Keyring []byte   `json:"keyring"`
	// Digest is SHA-256 over the other fields. It finds accidents, so that a damaged file is
	// not reported as a wrong passphrase; it stops no attacker.
	Digest []byte `json:"digest"`
}

// header covers every field but the keyring and the digest in one unambiguous order.
func (f sealFile) header() []byte {
	var h []byte
	number := func(n int) { h = binary.BigEndian.AppendUint64(h, uint64(n)) }
	field := func(b string) {
		number(len(b))
		h = append(h, b...)
	}
	field("kagimori seal")
	number(f.Format)
	h = binary.BigEndian.AppendUint64(h, f.Generation)
	number(len(f.Epochs))
	for _, e := range f.Epochs {
		h = binary.BigEndian.AppendUint64(h, e)
	}
	number(len(f.Slots))
	for _, s := range f.Slots {
		field(string(s.Kind))
		number(len(s.Params))
		for _, k := range slices.Sorted(maps.Keys(s.Params)) {
			field(k)
			field(s.Params[k])
		}
		field(string(s.Sealed))
	}
	return h
}

func (f sealFile) digest() []byte {
	h := sha256.New()
	h.Write(f.header())
	h.Write(f.Keyring)
	return h.Sum(nil)
}

// close encrypts the keyring.
func (f *sealFile) close(sealKey *secret.Locked, ring secret.Bytes) error {
	return sealKey.Use(func(key secret.Bytes) error {
		x, err := newXAES(key)
		if err != nil {
			return err
		}
		f.Keyring = x.seal(nil, ring, f.header())
		return nil
	})
}

// open decrypts the keyring.
func (f *sealFile) open(sealKey secret.Bytes) (*RootKey, error) {
	if len(sealKey) != keySize {
		return nil, errors.New("is damaged: its seal key has another length")
	}
	x, err := newXAES(sealKey)
	if err != nil {
		return nil, err
	}
	ring, err := x.open(f.Keyring, f.header())
	if err != nil {
		return nil, errors.New("is damaged: its seal key does not open its keyring")
	}
	r, err := decodeRing(ring)
	if err == nil && !slices.Equal(r.Epochs(), f.Epochs) {
		return nil, errors.Join(errRing, r.Close())
	}
	return r, err
}

func (f sealFile) encode() ([]byte, error) {
	f.Digest = f.digest()
	data, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("soft: seal: %w", err)
	}
	return append(data, '\n'), nil
}

// sealFile1 is the format of kagimori's step 1: the root key itself, in one slot.
type sealFile1 struct {
	Format int    `json:"format"`
	Kind   Kind   `json:"kind"`
	Epoch  uint64 `json:"epoch"` // of the root key, from 1
	// Check is the key-check value: an HKDF output that says nothing about the key.
	Check  []byte `json:"check"`
	Sealed []byte `json:"sealed"`
	Digest []byte `json:"digest"`
}

func (f sealFile1) digest() []byte {
	h := sha256.New()
	field := func(b []byte) {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(b))))
		h.Write(b)
	}
	field(binary.BigEndian.AppendUint64(nil, uint64(f.Format)))
	field([]byte(f.Kind))
	field(binary.BigEndian.AppendUint64(nil, f.Epoch))
	field(f.Check)
	field(f.Sealed)
	return h.Sum(nil)
}

// open makes a keyring of the root key.
func (f sealFile1) open(raw secret.Bytes) (*RootKey, error) {
	if len(raw) != keySize {
		raw.Wipe()
		return nil, errors.New("is damaged: its root key has another length")
	}
	key, err := secret.LockedFrom(raw)
	if err != nil {
		return nil, err
	}
	var check secret.Bytes
	err = key.Use(func(b secret.Bytes) error {
		check, err = derive(b, fmt.Sprintf("check/%d/%s", f.Epoch, f.Kind))
		return err
	})
	if err != nil || !check.Equal(f.Check) {
		return nil, errors.Join(errors.New("is damaged: its root key does not match its check value"), err, key.Close())
	}
	return upgrade(key, f.Epoch)
}

var errNotSeal = errors.New("is damaged: it is not the JSON of a seal file")

// decodeSeal reads a seal file. Its errors continue a sentence that begins with the path. A file of
// format 1 comes with the one slot that it is, and as old.
func decodeSeal(data []byte) (f sealFile, old *sealFile1, err error) {
	if len(data) > maxSealFile {
		return sealFile{}, nil, fmt.Errorf("is damaged: a seal file has at most %d bytes", maxSealFile)
	}
	// The version first: a newer file may have other fields.
	var v struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(data, &v); err != nil || v.Format < 1 {
		return sealFile{}, nil, errNotSeal
	}
	if v.Format > sealFormat {
		return sealFile{}, nil, fmt.Errorf("was written by a newer kagimori (seal format %d; this one knows %d)", v.Format, sealFormat)
	}
	into := any(&f)
	if v.Format == 1 {
		old = &sealFile1{}
		into = old
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return sealFile{}, nil, errNotSeal
	}
	if _, err := dec.Token(); err != io.EOF {
		return sealFile{}, nil, errors.New("is damaged: something follows the seal")
	}
	sound := false
	if old != nil {
		sound = bytes.Equal(old.Digest, old.digest()) && old.Epoch > 0
		f = sealFile{Format: 1, Epochs: []uint64{old.Epoch}, Slots: []Slot{{Kind: old.Kind, Sealed: old.Sealed}}, Digest: old.Digest}
	} else {
		sound = bytes.Equal(f.Digest, f.digest()) && len(f.Epochs) > 0 && len(f.Slots) > 0
	}
	if !sound {
		return sealFile{}, nil, errors.New("is damaged: its digest does not match")
	}
	return f, old, nil
}
