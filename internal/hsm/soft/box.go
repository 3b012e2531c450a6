package soft

import (
	"crypto/hmac"
	"crypto/sha256"

	"github.com/kagimori/kagimori/internal/hsm"
)

const boxVersion = 1

// box seals as a version byte, then what xaes makes under the key of its purpose.
type box struct {
	hidden
	module *Module
	cipher *xaes // nil if the module was closed already
}

// Box returns the box of a purpose. It is cheap to use and safe for concurrent use; making one
// derives a key. A box of a closed module seals to nil, which nothing opens.
func (m *Module) Box(purpose string) hsm.Box {
	b := &box{module: m}
	key, err := m.root.subkey("box/" + purpose)
	if err != nil {
		return b
	}
	defer key.Wipe()
	if x, err := newXAES(key); err == nil {
		b.cipher = x
	}
	return b
}

func (b *box) usable() bool { return b.cipher != nil && !b.module.closed.Load() }

// Seal encrypts; the result is 41 bytes longer than the plaintext.
func (b *box) Seal(plaintext, aad []byte) []byte {
	if !b.usable() {
		return nil
	}
	out := make([]byte, 1, 1+xaesOverhead+len(plaintext))
	out[0] = boxVersion
	return b.cipher.seal(out, plaintext, aad)
}

// Open undoes Seal. It returns hsm.ErrSealed once the module is closed.
func (b *box) Open(sealed, aad []byte) ([]byte, error) {
	if !b.usable() {
		return nil, hsm.ErrSealed
	}
	if len(sealed) == 0 || sealed[0] != boxVersion {
		return nil, hsm.ErrCiphertext
	}
	return b.cipher.open(sealed[1:], aad)
}

// Pseudonyms makes names by HMAC-SHA-256 under a subkey of the purpose, cut to 16 bytes.
func (m *Module) Pseudonyms(purpose string) func(text string) [16]byte {
	return func(text string) (name [16]byte) {
		key, err := m.root.subkey("name/" + purpose)
		if err != nil || m.closed.Load() {
			return name
		}
		defer key.Wipe()
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(text))
		copy(name[:], mac.Sum(nil))
		return name
	}
}
