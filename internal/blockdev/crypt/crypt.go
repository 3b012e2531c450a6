// Package crypt encrypts the sectors of a volume with AES-256-XTS (IEEE Std 1619).
//
// A data key has 64 bytes: the first 32 encrypt the data, the last 32 the tweak. A data unit is a
// sector of 4096 bytes, and its tweak is the number of the sector on the volume as 64-bit
// little-endian integer, then 64 zero bits: what dm-crypt calls plain64.
//
// dm-crypt counts sectors of 512 bytes for the tweak even when its data unit is larger, unless it is
// asked to count in data units (iv_large_sectors). We count in 4096-byte sectors: that is what IEEE
// 1619 describes ("consecutive data units have consecutive tweaks") and what every XTS library does
// with its sector number. cryptsetup therefore needs --iv-large-sectors to read our volumes; package
// blockdev has the whole command.
//
// XTS hides what a sector holds but does not protect it from being changed: whoever can write the
// ciphertext can put garbage into 16-byte blocks, or old content back, unnoticed.
package crypt

import (
	"crypto/aes"
	"crypto/subtle"
	"errors"

	"github.com/kagimori/kagimori/internal/secret"
)

const (
	// KeySize is the size of a data key in bytes: two AES-256 keys.
	KeySize = 64
	// SectorSize is the data unit in bytes.
	SectorSize = 4096

	halfSize  = KeySize / 2
	blockSize = aes.BlockSize
)

var (
	// ErrKeySize means that a data key does not have 64 bytes.
	ErrKeySize = errors.New("crypt: a data key has 64 bytes")
	// ErrWeakKey means that both halves of a data key are the same. XTS with equal keys is open to a
	// chosen-ciphertext attack, and a random key never looks like that.
	ErrWeakKey = errors.New("crypt: the halves of the data key are equal")
	// ErrSectorSize means that a buffer does not have the length of sectors, or of the other buffer.
	ErrSectorSize = errors.New("crypt: a buffer is not whole sectors of 4096 bytes, or not as long as the other")
	// ErrWiped means that the cipher has no key any more.
	ErrWiped = errors.New("crypt: the key was wiped")
)

// A Cipher encrypts and decrypts sectors under one data key. It may be used by several goroutines at
// a time.
//
// On amd64 with AES instructions the expanded key is in locked memory outside the Go heap; elsewhere it is
// on the heap, where Wipe overwrites it.
type Cipher struct{ engine engine }

// New makes a Cipher from a 64-byte data key, which it does not keep: the caller wipes it. Errors:
// [ErrKeySize], [ErrWeakKey].
func New(key secret.Bytes) (*Cipher, error) {
	if len(key) != KeySize {
		return nil, ErrKeySize
	}
	if subtle.ConstantTimeCompare(key[:halfSize], key[halfSize:]) == 1 {
		return nil, ErrWeakKey
	}
	e, err := newEngine(key)
	if err != nil {
		return nil, err
	}
	return &Cipher{e}, nil
}

// Encrypt encrypts src, whole sectors of which the first has the given number, into dst. Both are
// equally long, and are the same or do not overlap. On an error ([ErrSectorSize], [ErrWiped]) dst is
// untouched.
func (c *Cipher) Encrypt(dst, src []byte, sector uint64) error {
	if len(dst) != len(src) || len(src)%SectorSize != 0 {
		return ErrSectorSize
	}
	return c.engine.encrypt(dst, src, sector)
}

// Decrypt is the inverse of Encrypt, with the same rules.
func (c *Cipher) Decrypt(dst, src []byte, sector uint64) error {
	if len(dst) != len(src) || len(src)%SectorSize != 0 {
		return ErrSectorSize
	}
	return c.engine.decrypt(dst, src, sector)
}

// EncryptSector is Encrypt for exactly one sector.
func (c *Cipher) EncryptSector(dst, src []byte, sector uint64) error {
	if len(src) != SectorSize {
		return ErrSectorSize
	}
	return c.Encrypt(dst, src, sector)
}

// DecryptSector is Decrypt for exactly one sector.
func (c *Cipher) DecryptSector(dst, src []byte, sector uint64) error {
	if len(src) != SectorSize {
		return ErrSectorSize
	}
	return c.Decrypt(dst, src, sector)
}

// Wipe overwrites the expanded keys and makes the cipher unusable; it waits for calls that run. Wiping
// twice does nothing. Registers and stack slots are out of reach.
func (c *Cipher) Wipe() { c.engine.wipe() }
