// Package soft is the key module in software: it implements hsm.Module on one root key.
//
// Keys, from the top:
//
//	seal key (32 random bytes), in each slot of the seal file: see Seal and Lock
//	└─ keyring          encrypted in the seal file; open, it is in locked memory: see RootKey
//	   ├─ session keys  the newest seals session tokens; none before the first renewal
//	   ├─ epoch keys    the newest wraps the material of each KMS key; bound to its ARN, id and spec
//	   └─ root key
//	      ├─ HKDF "box/..." one key per purpose for other secrets
//	      └─ HKDF "mac/..." one key per purpose for checkpoints of the trail
//	material of a KMS key (32 random bytes, or PKCS#8, or an HMAC key)
//	├─ HKDF "message"   SYMMETRIC_DEFAULT: the key of XAES-256-GCM, which derives one key per message
//	└─ HKDF "id/..."    the key material id
//
// Every symmetric encryption here is XAES-256-GCM (see xaes): no nonce is ever chosen by a caller,
// and no number of messages wears a key out. Every format begins with a version byte, and the
// labels of derived keys carry the version, so a later version never shares a key with this one.
//
// What memory holds: the keyring, and the symmetric and HMAC keys that were used last, are in locked
// pages that no core dump has (secret.Locked, secret.Arena). Beyond the bound a key stays wrapped
// and is unwrapped for each use. On the Go heap are the key schedules of the requests since the last
// garbage collection, the schedules of boxes, and the private keys of asymmetric keys that were used last, in the form that
// Go's packages want; they become garbage on eviction and Close. A process that can read this one's
// memory can read them all.
package soft

import (
	"crypto/fips140"
	"crypto/hkdf"
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
	// Approved allows approved algorithms only; see [Approved].
	Approved bool
}

// Module is the software key module. It prints as "[redacted]".
type Module struct {
	hidden
	root     *RootKey
	cache    *cache
	arena    *secret.Arena // of the cache's symmetric and HMAC keys
	approved bool
	closed   atomic.Bool
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
	cfg.Root.readySessions()
	arena, err := secret.NewArena(cfg.CacheSize, heldSize)
	if err != nil {
		return nil, err
	}
	return &Module{
		root: cfg.Root, cache: newCache(cfg.CacheSize), arena: arena, approved: cfg.Approved,
		making: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)),
	}, nil
}

// Pinned reports whether the system keeps the root key, and the keys that are ready for use, out of
// the swap space.
func (m *Module) Pinned() bool { return m.root.Pinned() && m.arena.Pinned() }

// Ready tells how many symmetric and HMAC keys are ready for use in locked memory, and the bound.
func (m *Module) Ready() (n, bound int) { return m.arena.Used() }

// Close seals the module: the root key is wiped and cached material dropped. Afterwards methods
// that need a key return hsm.ErrSealed and boxes open nothing. Closing twice does nothing.
func (m *Module) Close() error {
	m.closed.Store(true)
	m.cache.close()
	return errors.Join(m.arena.Close(), m.root.Close())
}

// Root is the keyring of the module, for those who seal it.
func (m *Module) Root() *RootKey { return m.root }

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

// rehearse is spend for a method that can fail because of its input. Of a dry run it does its work all
// the same, and returns dry, which is permit.ErrDryRun then, in place of the result.
func rehearse(p permit.Permit, use hsm.Use, actions ...string) (dry, err error) {
	if err = spend(p, use, actions...); errors.Is(err, permit.ErrDryRun) {
		return err, nil
	}
	return nil, err
}

// derive is HKDF-SHA256 without salt: its input is a uniformly random key, or at least a long
// encoding of one (PKCS#8), which the extract step condenses.
func derive(key []byte, label string) (secret.Bytes, error) {
	if len(key) > keySize || len(labels)+len(label) > maxLabel || fips140.Enabled() {
		return hkdf.Key(sha256.New, key, nil, labels+label, keySize)
	}
	return deriveShort(key, label), nil
}

// maxLabel is the longest label that deriveShort has room for.
const maxLabel = 128

// deriveShort is derive without garbage, for each use of a key that is not in memory: HKDF as RFC 5869 has it,
// whose extract and expand steps are one HMAC each when salt and output are as long as the hash. The FIPS
// module's is taken where it has to be.
func deriveShort(key []byte, label string) secret.Bytes {
	var msg [maxLabel + 1]byte
	var salt [sha256.Size]byte
	n := copy(msg[:], key)
	prk := shortHMAC(&salt, msg[:n])
	clear(msg[:n])
	n = copy(msg[:], labels)
	n += copy(msg[n:], label)
	msg[n] = 1 // the only block
	out := shortHMAC(&prk, msg[:n+1])
	clear(prk[:])
	defer clear(out[:])
	return append(make(secret.Bytes, 0, keySize), out[:]...)
}

// shortHMAC is HMAC-SHA256 (RFC 2104) of a message of at most maxLabel+1 bytes under a key as long as the hash.
func shortHMAC(key *[sha256.Size]byte, msg []byte) [sha256.Size]byte {
	const ipad, opad = 0x36, 0x5c
	var in [sha256.BlockSize + maxLabel + 1]byte
	var out [sha256.BlockSize + sha256.Size]byte
	defer func() {
		clear(in[:])
		clear(out[:])
	}()
	copy(in[:], key[:])
	copy(out[:], key[:])
	for i := range sha256.BlockSize {
		in[i] ^= ipad
		out[i] ^= opad
	}
	n := copy(in[sha256.BlockSize:], msg)
	inner := sha256.Sum256(in[:sha256.BlockSize+n])
	copy(out[sha256.BlockSize:], inner[:])
	return sha256.Sum256(out[:])
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
