package soft

import (
	"crypto/hmac"
	"crypto/sha256"

	"github.com/kagimori/kagimori/internal/secret"
)

// MAC makes a function that authenticates data for a purpose: HMAC-SHA256 under a key of its own,
// the same one each time the root key is unsealed. Once the module is closed it gives nil, which
// no code equals. Safe for concurrent use.
func (m *Module) MAC(purpose string) (func(data []byte) []byte, error) {
	key, err := m.root.subkey("mac/" + purpose)
	if err != nil {
		return nil, err
	}
	return m.mac(key), nil
}

func (m *Module) mac(key secret.Bytes) func([]byte) []byte {
	return func(data []byte) []byte {
		if m.closed.Load() {
			return nil
		}
		h := hmac.New(sha256.New, key)
		h.Write(data)
		return h.Sum(nil)
	}
}
