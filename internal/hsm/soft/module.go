// Package soft is the key module in software: it implements hsm.Module on one root key.
//
// Keys, from the top:
//
//	root key (32 random bytes, locked memory, stored only sealed: see Seal)
//	├─ HKDF "wrap"      wraps the material of each KMS key; bound to its ARN, id and spec
//	├─ HKDF "box/..."   one key per purpose for other secrets
//	├─ HKDF "mac/..."   one key per purpose for checkpoints of the trail
//	└─ HKDF "check/..." the key-check value of the seal file
//	material of a KMS key (32 random bytes, or PKCS#8, or an HMAC key)
//	├─ HKDF "message"   SYMMETRIC_DEFAULT: the key of XAES-256-GCM, which derives one key per message
//	└─ HKDF "id/..."    the key material id
//
// Every symmetric encryption here is XAES-256-GCM (see xaes): no nonce is ever chosen by a caller,
// and no number of messages wears a key out. Every format begins with a version byte, and the
// labels of derived keys carry the version, so a later version never shares a key with this one.
//
// What memory holds: the root key is in locked pages. Key schedules of recently used material are
// on the Go heap, bounded by the cache, and become garbage on eviction and Close; the bytes they
// came from are wiped at once. A process that can read this one's memory can read them.
package soft

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"slices"
	"sync/atomic"

	"github.com/kagimori/kagimori/internal/guard/permit"
	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/secret"
)

// DefaultCacheSize is the number of keys whose unwrapped material is kept ready.
const DefaultCacheSize = 4096

const (
	keySize = 32
	// labels is the beginning of the labels of all derived keys of this version.
	labels = "kagimori/soft/1/"
)

// Config is what [Open] needs.
type Config struct {
	// Root is from [Create], [Unseal] or [NewRootKey]. The module owns it and closes it.
	Root *RootKey
	// CacheSize bounds the number of unwrapped keys in memory; 0 is [DefaultCacheSize].
	CacheSize int
}

// Module is the software key module. It prints as "[redacted]".
type Module struct {
	hidden
	root   *RootKey
	cache  *cache
	closed atomic.Bool
	// making bounds the RSA keys that are made at a time: each takes a core for up to seconds, and
	// requests that use keys shall find one free.
	making chan struct{}
}

var _ hsm.Module = (*Module)(nil)

// Open makes a module on an unsealed root key.
func Open(cfg Config) (*Module, error) {
	if cfg.Root == nil {
		return nil, hsm.ErrSealed
	}
	if cfg.CacheSize < 0 {
		return nil, errors.New("soft: the size of the cache is negative")
	}
	if cfg.CacheSize == 0 {
		cfg.CacheSize = DefaultCacheSize
	}
	return &Module{
		root: cfg.Root, cache: newCache(cfg.CacheSize), making: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)),
	}, nil
}

// Close seals the module: the root key is wiped and cached material dropped. Afterwards methods
// that need a key return hsm.ErrSealed and boxes open nothing. Closing twice does nothing.
func (m *Module) Close() error {
	m.closed.Store(true)
	m.cache.close()
	return m.root.Close()
}

// Epoch is the epoch of the root key: it counts from 1 and grows when the root key is replaced.
func (m *Module) Epoch() uint64 { return m.root.epoch }

// Random returns n random bytes; none for n < 1.
func (m *Module) Random(n int) secret.Bytes {
	return random(max(n, 0))
}

// spend uses the permit up if the use is one of the actions that the method is for.
func spend(p permit.Permit, use hsm.Use, actions ...string) error {
	if !slices.Contains(actions, use.Action) {
		return fmt.Errorf("hsm: %w", permit.ErrMismatch)
	}
	if err := p.Spend(use.Action, use.KeyARN); err != nil {
		return fmt.Errorf("hsm: %w", err)
	}
	return nil
}

// A RootKey is an unsealed root key in locked memory. It prints as "[redacted]".
type RootKey struct {
	hidden
	epoch uint64
	key   *secret.Locked
}

// NewRootKey makes a random root key of epoch 1 that is stored nowhere: for tests, and for a
// server that keeps nothing either.
func NewRootKey() (*RootKey, error) {
	key, err := secret.NewLocked(keySize)
	if err != nil {
		return nil, err
	}
	if err := key.Use(func(b secret.Bytes) error { rand.Read(b); return nil }); err != nil {
		return nil, err
	}
	return &RootKey{epoch: 1, key: key}, nil
}

// Pinned reports whether the system keeps the root key out of the swap space.
func (r *RootKey) Pinned() bool { return r.key.Pinned() }

// Close wipes the key.
func (r *RootKey) Close() error { return r.key.Close() }

// subkey derives 32 bytes for a label. Labels have fixed beginnings, none of which begins another,
// and end with at most one free text, so different uses never share a key.
func (r *RootKey) subkey(label string) (key secret.Bytes, err error) {
	err = r.key.Use(func(b secret.Bytes) error {
		key, err = derive(b, label)
		return err
	})
	if errors.Is(err, secret.ErrClosed) {
		return nil, hsm.ErrSealed
	}
	return key, err
}

// derive is HKDF-SHA256 without salt: its input is a uniformly random key, or at least a long
// encoding of one (PKCS#8), which the extract step condenses.
func derive(key []byte, label string) (secret.Bytes, error) {
	return hkdf.Key(sha256.New, key, nil, labels+label, keySize)
}

// hidden is embedded in what must not be printed.
type hidden struct{}

const redacted = "[redacted]"

// Format prints "[redacted]" whatever the verb.
func (hidden) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, redacted) }

// LogValue is "[redacted]".
func (hidden) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText gives "[redacted]".
func (hidden) MarshalText() ([]byte, error) { return []byte(redacted), nil }
