package crypt

import "crypto/cipher"

// WipeBlock is wipeBlock for tests.
func WipeBlock(b cipher.Block) bool { return wipeBlock(b) }

// Blocks are the ciphers that c holds.
func (c *Cipher) Blocks() []cipher.Block { return []cipher.Block{c.data, c.tweak} }
