package soft

import (
	"crypto/aes"
	"crypto/cipher"

	"github.com/kagimori/kagimori/internal/hsm"
)

const (
	contextSize  = 12               // random bytes that choose the key of a message
	nonceSize    = contextSize + 12 // and then the GCM nonce
	xaesOverhead = nonceSize + 16
)

// xaes is XAES-256-GCM as C2SP specifies it (c2sp.org/XAES-256-GCM): each message gets a random
// nonce of 24 bytes; AES-256 in counter-mode key derivation (SP 800-108r1 with CMAC) turns the
// first 12 into a key of its own, and AES-256-GCM under that key uses the other 12.
//
// Why: plain AES-GCM with random 12-byte nonces is limited to 2^32 messages a key, and a KMS key
// has no such limit. Here a key and nonce repeat only if all 192 random bits do: with a probability
// of about 2^-65 after 2^64 messages, and of 2^-33 after 2^80. A derived key serves only messages
// that share its 96 random bits, which is one message for all practical purposes, so the limits of
// GCM on blocks and forgeries under one key are out of reach as well.
//
// GCM does not commit to its key: someone who knows two keys can make one ciphertext that opens
// under both. That matters to nobody here, because the caller's associated data (package envelope)
// names the material by its id, which is a one-way function of the material.
//
// Safe for concurrent use.
type xaes struct {
	block cipher.Block
	k1    [aes.BlockSize]byte // the CMAC subkey
}

// newXAES takes a key of 32 bytes and does not keep it.
func newXAES(key []byte) (*xaes, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	x := &xaes{block: block}
	block.Encrypt(x.k1[:], x.k1[:])
	// Doubling in GF(2^128), without a branch on the secret bit.
	msb := x.k1[0] >> 7
	for i := range len(x.k1) - 1 {
		x.k1[i] = x.k1[i]<<1 | x.k1[i+1]>>7
	}
	x.k1[len(x.k1)-1] = x.k1[len(x.k1)-1]<<1 ^ msb*0x87
	return x, nil
}

// message is the cipher of one message; its Seal puts the second half of the nonce in front.
func (x *xaes) message(context []byte) cipher.AEAD {
	var key [keySize]byte
	for i := range 2 {
		in := key[i*aes.BlockSize:][:aes.BlockSize]
		in[1], in[2] = byte(i+1), 'X' // counter of 16 bits, label, zero
		copy(in[4:], context)
		for j := range in {
			in[j] ^= x.k1[j]
		}
		x.block.Encrypt(in, in)
	}
	block, err := aes.NewCipher(key[:])
	clear(key[:])
	if err != nil {
		panic("soft: AES refused a key of 32 bytes")
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic("soft: GCM refused AES")
	}
	return aead
}

// seal appends nonce, ciphertext and tag to dst: xaesOverhead bytes more than the plaintext. dst
// may not overlap the plaintext.
func (x *xaes) seal(dst, plaintext, aad []byte) []byte {
	return x.sealIn(dst, random(contextSize), plaintext, aad)
}

// sealIn is seal in a context that was drawn for it.
func (x *xaes) sealIn(dst, context, plaintext, aad []byte) []byte {
	return x.message(context).Seal(append(dst, context...), nil, plaintext, aad)
}

// open undoes seal. It returns hsm.ErrCiphertext for anything else. An empty plaintext is not nil.
func (x *xaes) open(sealed, aad []byte) ([]byte, error) {
	if len(sealed) < xaesOverhead {
		return nil, hsm.ErrCiphertext
	}
	out := make([]byte, 0, len(sealed)-xaesOverhead)
	out, err := x.message(sealed[:contextSize]).Open(out, nil, sealed[contextSize:], aad)
	if err != nil {
		return nil, hsm.ErrCiphertext
	}
	return out, nil
}
