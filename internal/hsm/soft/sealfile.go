package soft

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/kagimori/kagimori/internal/secret"
)

const (
	sealFormat  = 1
	maxSealFile = 64 << 10
)

// sealFile is the JSON of a seal file. Who can write the file can only make the key unavailable:
// the check value depends on the root key, the kind and the epoch, so none of them can be
// exchanged by someone who does not have the root key.
type sealFile struct {
	Format int    `json:"format"`
	Kind   Kind   `json:"kind"`
	Epoch  uint64 `json:"epoch"` // of the root key, from 1
	// Check is the key-check value: an HKDF output that says nothing about the key.
	Check []byte `json:"check"`
	// Sealed is the root key (plain-file) or an age file that holds it (passphrase).
	Sealed []byte `json:"sealed"`
	// Digest is SHA-256 over the other fields. It finds accidents, so that a damaged file is
	// not reported as a wrong passphrase; it stops no attacker.
	Digest []byte `json:"digest"`
}

// digest covers every field in one unambiguous order.
func (f sealFile) digest() []byte {
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

// checkValue tells whether this is the root key of a seal of this kind and epoch.
func (r *RootKey) checkValue(kind Kind) (secret.Bytes, error) {
	return r.subkey(fmt.Sprintf("check/%d/%s", r.epoch, kind))
}

func encodeSeal(f sealFile) ([]byte, error) {
	f.Format = sealFormat
	f.Digest = f.digest()
	data, err := json.MarshalIndent(f, "", "  ")
	clear(f.Sealed)
	if err != nil {
		return nil, fmt.Errorf("soft: seal: %w", err)
	}
	return append(data, '\n'), nil
}

// decodeSeal reads a seal file. Its errors continue a sentence that begins with the path.
func decodeSeal(data []byte) (sealFile, error) {
	if len(data) > maxSealFile {
		return sealFile{}, fmt.Errorf("is damaged: a seal file has at most %d bytes", maxSealFile)
	}
	// The version first: a newer file may have other fields.
	var v struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(data, &v); err != nil || v.Format < 1 {
		return sealFile{}, errors.New("is damaged: it is not the JSON of a seal file")
	}
	if v.Format > sealFormat {
		return sealFile{}, fmt.Errorf("was written by a newer kagimori (seal format %d; this one knows %d)", v.Format, sealFormat)
	}
	var f sealFile
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&f); err != nil {
		return sealFile{}, errors.New("is damaged: it is not the JSON of a seal file")
	}
	if _, err := dec.Token(); err != io.EOF {
		return sealFile{}, errors.New("is damaged: something follows the seal")
	}
	if !bytes.Equal(f.Digest, f.digest()) || f.Epoch == 0 {
		return sealFile{}, errors.New("is damaged: its digest does not match")
	}
	return f, nil
}
