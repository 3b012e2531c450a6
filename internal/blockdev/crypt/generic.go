package crypt

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/kagimori/kagimori/internal/secret"
)

// An engine encrypts and decrypts whole sectors, the first of which has the number given. Both buffers
// are as long, and are the same or do not overlap. It may be used by several goroutines at a time, and
// says ErrWiped after wipe.
type engine interface {
	encrypt(dst, src []byte, sector uint64) error
	decrypt(dst, src []byte, sector uint64) error
	wipe()
}

// A portable engine is in plain Go, over one AES block at a time: for processors without an engine of
// their own, and the reference for those.
type portable struct {
	mu          sync.RWMutex
	data, tweak cipher.Block // nil after wipe; guarded by mu
	masks       sync.Pool    // *mask
}

// mask is the tweak of each 16-byte block of one sector. It lives in a pool because the AES
// interface makes it escape: allocating 4 KiB for each sector costs more than the encryption's XOR.
type mask [SectorSize]byte

func newPortable(key secret.Bytes) (engine, error) {
	data, err := aes.NewCipher(key[:halfSize])
	if err != nil {
		return nil, fmt.Errorf("crypt: %w", err)
	}
	tweak, err := aes.NewCipher(key[halfSize:])
	if err != nil {
		return nil, fmt.Errorf("crypt: %w", err)
	}
	return &portable{data: data, tweak: tweak, masks: sync.Pool{New: func() any { return new(mask) }}}, nil
}

func (p *portable) encrypt(dst, src []byte, sector uint64) error {
	return p.each(dst, src, sector, cipher.Block.Encrypt)
}

func (p *portable) decrypt(dst, src []byte, sector uint64) error {
	return p.each(dst, src, sector, cipher.Block.Decrypt)
}

func (p *portable) each(dst, src []byte, sector uint64, block func(b cipher.Block, dst, src []byte)) error {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.data == nil {
		return ErrWiped
	}
	m := p.masks.Get().(*mask)
	defer p.masks.Put(m)
	for ; len(src) > 0; dst, src, sector = dst[SectorSize:], src[SectorSize:], sector+1 {
		p.tweaks(m, sector)
		out := dst[:SectorSize]
		subtle.XORBytes(out, src[:SectorSize], m[:])
		for i := 0; i < SectorSize; i += blockSize {
			b := out[i : i+blockSize : i+blockSize]
			block(p.data, b, b)
		}
		subtle.XORBytes(out, out, m[:])
	}
	return nil
}

// tweaks computes those of all blocks of a sector: the encrypted sector number, and for each next
// block the double of the one before in GF(2^128).
func (p *portable) tweaks(m *mask, sector uint64) {
	binary.LittleEndian.PutUint64(m[:8], sector)
	clear(m[8:blockSize])
	p.tweak.Encrypt(m[:blockSize], m[:blockSize])
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
}

// wipe overwrites the expanded keys.
func (p *portable) wipe() {
	p.mu.Lock()
	defer p.mu.Unlock()
	wipeBlock(p.data)
	wipeBlock(p.tweak)
	p.data, p.tweak = nil, nil
	// The masks of past sectors are key-dependent, too.
	p.masks = sync.Pool{New: func() any { return new(mask) }}
}
