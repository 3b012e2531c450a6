package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"sync"

	"github.com/kagimori/kagimori/internal/secret"
)

// A scope is what a signing key is good for. date is YYYYMMDD.
type scope struct{ date, region, service string }

type key [sha256.Size]byte

func mac(k, data []byte) (out key) {
	h := hmac.New(sha256.New, k)
	h.Write(data)
	h.Sum(out[:0])
	return out
}

// derive makes the signing key of a secret.
// Source: IAM User Guide, "Create a signed AWS API request", "Step 4: Calculate the signature".
func derive(s secret.String, sc scope) key {
	k := mac([]byte("AWS4"+s.Reveal()), []byte(sc.date))
	for _, part := range [...]string{sc.region, sc.service, terminator} {
		k = mac(k[:], []byte(part))
	}
	return k
}

// keyCache keeps signing keys that verified a request. It holds two generations: when the young
// one is full, the old one is dropped, so that at most twice the size is kept and what is in use
// stays. The zero keyCache is ready.
type keyCache struct {
	mu         sync.Mutex
	young, old map[cacheKey]key // guarded by mu
}

// cacheKey includes the secret's hash, so that a key is not found under another secret.
type cacheKey struct {
	accessKeyID string
	secret      [sha256.Size]byte
	scope       scope
}

func (c *keyCache) get(k cacheKey) (key, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if v, ok := c.young[k]; ok {
		return v, true
	}
	v, ok := c.old[k]
	return v, ok
}

func (c *keyCache) put(k cacheKey, v key, size int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.young[k]; ok {
		return
	}
	if c.young == nil || len(c.young) >= size {
		c.old, c.young = c.young, make(map[cacheKey]key)
	}
	c.young[k] = v
}
