package crypt

import (
	"crypto/cipher"

	"github.com/kagimori/kagimori/internal/secret"
)

// WipeBlock is wipeBlock for tests.
func WipeBlock(b cipher.Block) bool { return wipeBlock(b) }

// Portable is a cipher over the engine in plain Go, and the AES blocks that it holds.
func Portable(key secret.Bytes) (*Cipher, []cipher.Block) {
	e, err := newPortable(key)
	if err != nil {
		panic(err)
	}
	p := e.(*portable)
	return &Cipher{e}, []cipher.Block{p.data, p.tweak}
}

// Engines are ciphers over all engines that work on this processor, by name.
func Engines(key secret.Bytes) map[string]*Cipher {
	p, _ := Portable(key)
	all := map[string]*Cipher{"portable": p}
	for name, e := range fastEngines(key) {
		all[name] = &Cipher{e}
	}
	return all
}
