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
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

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
	// ErrSectorSize means that a buffer is not exactly one sector long.
	ErrSectorSize = errors.New("crypt: a buffer is not one sector of 4096 bytes")
	// ErrWiped means that the cipher has no key any more.
	ErrWiped = errors.New("crypt: the key was wiped")
)

// A Cipher encrypts and decrypts sectors under one data key. It may be used by several goroutines at
// a time; Wipe excludes all other uses.
type Cipher struct {
	data, tweak cipher.Block // nil after Wipe
	masks       sync.Pool    // *mask
}

// mask is the tweak of each 16-byte block of one sector. It lives in a pool because the AES
// interface makes it escape: allocating 4 KiB for each sector costs more than the encryption's XOR.
type mask [SectorSize]byte

// New makes a Cipher from a 64-byte data key, which it does not keep: the caller wipes it. Errors:
// [ErrKeySize], [ErrWeakKey].
func New(key secret.Bytes) (*Cipher, error) {
	if len(key) != KeySize {
		return nil, ErrKeySize
	}
	if subtle.ConstantTimeCompare(key[:halfSize], key[halfSize:]) == 1 {
		return nil, ErrWeakKey
	}
	data, err := aes.NewCipher(key[:halfSize])
	if err != nil {
		return nil, fmt.Errorf("crypt: %w", err)
	}
	tweak, err := aes.NewCipher(key[halfSize:])
	if err != nil {
		return nil, fmt.Errorf("crypt: %w", err)
	}
	return &Cipher{data: data, tweak: tweak, masks: sync.Pool{New: func() any { return new(mask) }}}, nil
}

// EncryptSector encrypts src, the sector with the given number, into dst. Both have 4096 bytes and
// are the same or do not overlap. On an error ([ErrSectorSize], [ErrWiped]) dst is untouched.
func (c *Cipher) EncryptSector(dst, src []byte, sector uint64) error {
	m, err := c.mask(dst, src, sector)
	if err != nil {
		return err
	}
	subtle.XORBytes(dst, src, m[:])
	for i := 0; i < SectorSize; i += blockSize {
		b := dst[i : i+blockSize : i+blockSize]
		c.data.Encrypt(b, b)
	}
	subtle.XORBytes(dst, dst, m[:])
	c.masks.Put(m)
	return nil
}

// DecryptSector is the inverse of EncryptSector, with the same rules.
func (c *Cipher) DecryptSector(dst, src []byte, sector uint64) error {
	m, err := c.mask(dst, src, sector)
	if err != nil {
		return err
	}
	subtle.XORBytes(dst, src, m[:])
	for i := 0; i < SectorSize; i += blockSize {
		b := dst[i : i+blockSize : i+blockSize]
		c.data.Decrypt(b, b)
	}
	subtle.XORBytes(dst, dst, m[:])
	c.masks.Put(m)
	return nil
}

// mask checks the buffers and computes the tweaks of all blocks of the sector: the encrypted sector
// number, and for each next block the double of the one before in GF(2^128).
func (c *Cipher) mask(dst, src []byte, sector uint64) (*mask, error) {
	if len(dst) != SectorSize || len(src) != SectorSize {
		return nil, ErrSectorSize
	}
	if c.tweak == nil {
		return nil, ErrWiped
	}
	m := c.masks.Get().(*mask)
	binary.LittleEndian.PutUint64(m[:8], sector)
	clear(m[8:blockSize])
	c.tweak.Encrypt(m[:blockSize], m[:blockSize])
	lo, hi := binary.LittleEndian.Uint64(m[:8]), binary.LittleEndian.Uint64(m[8:16])
	for i := blockSize; i < SectorSize; i += blockSize {
		// The bit that falls off the top comes back as x^7 + x^2 + x + 1.
		carry := -(hi >> 63) & 0x87
		hi = hi<<1 | lo>>63
		lo = lo<<1 ^ carry
		b := m[i : i+blockSize : i+blockSize]
		binary.LittleEndian.PutUint64(b[:8], lo)
		binary.LittleEndian.PutUint64(b[8:], hi)
	}
	return m, nil
}

// Wipe overwrites the expanded keys and makes the cipher unusable. No other method may run at the
// same time. Wiping twice does nothing. Go does not move heap objects, so no older copy of the keys is
// left there; registers and stack slots are out of reach.
func (c *Cipher) Wipe() {
	wipeBlock(c.data)
	wipeBlock(c.tweak)
	c.data, c.tweak = nil, nil
	// The masks of past sectors are key-dependent, too.
	c.masks = sync.Pool{New: func() any { return new(mask) }}
}
