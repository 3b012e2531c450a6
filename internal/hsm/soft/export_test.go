package soft

// OpenXAES opens nonce, ciphertext and tag under a key of 32 bytes.
func OpenXAES(key, sealed, aad []byte) ([]byte, error) {
	x, err := newXAES(key)
	if err != nil {
		return nil, err
	}
	return x.open(sealed, aad)
}

// SealXAES is what the module encrypts with.
func SealXAES(key, plaintext, aad []byte) ([]byte, error) {
	x, err := newXAES(key)
	if err != nil {
		return nil, err
	}
	return x.seal(nil, plaintext, aad), nil
}

// Cached is the number of keys that are ready for use.
func (m *Module) Cached() int {
	m.cache.mu.Lock()
	defer m.cache.mu.Unlock()
	return m.cache.recent.Len()
}
