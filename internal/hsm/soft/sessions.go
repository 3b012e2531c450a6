package soft

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/secret"
)

// SessionLife is how long a key that was renewed still opens session tokens: as long as the longest
// session, and an hour. Source: STS API Reference, GetSessionToken, DurationSeconds (36 hours).
const SessionLife = 37 * time.Hour

// A sessionKey is what the keys of session tokens are derived from. The first, number 0, is the root key;
// each renewal adds a random one. Whoever has such a key can make tokens, so it must be one that ends:
// nothing stored is under it.
type sessionKey struct {
	number uint32
	made   int64          // Unix time; 0 of the first
	key    *secret.Locked // nil of the first
}

// A sessionSet is the session keys that are accepted, the newest last.
type sessionSet struct{ keys []sessionKey }

// SessionKeys are the numbers of the keys that open session tokens, the newest last.
func (r *RootKey) SessionKeys() []uint32 {
	r.mu.RLock()
	defer r.mu.RUnlock()
	out := make([]uint32, 0, len(r.sessions)+1)
	for _, k := range r.sessions {
		out = append(out, k.number)
	}
	if len(out) == 0 {
		out = append(out, 0)
	}
	return out
}

// RenewSessions makes a new key for session tokens. Tokens of the others are good for [SessionLife] more,
// or no longer if end says so.
func (r *RootKey) RenewSessions(ctx context.Context, now time.Time, end bool) error {
	r.writing.Lock()
	defer r.writing.Unlock()
	fresh := sessionKey{number: 1, made: now.Unix()}
	if n := len(r.sessions); n > 0 {
		fresh.number = r.sessions[n-1].number + 1
	}
	var keys []sessionKey
	if !end {
		if keys = slices.Clone(r.sessions); len(keys) == 0 {
			keys = []sessionKey{{}}
		}
	}
	var err error
	if fresh.key, err = randomLocked(); err != nil {
		return err
	}
	return r.setSessions(ctx, current(append(keys, fresh), now))
}

// EndSessions destroys the session keys whose time is over, and tells when the next one's is: zero if
// there is none.
func (r *RootKey) EndSessions(ctx context.Context, now time.Time) (next time.Time, err error) {
	r.writing.Lock()
	defer r.writing.Unlock()
	keys := current(r.sessions, now)
	if len(keys) < len(r.sessions) {
		err = r.setSessions(ctx, keys)
	}
	if len(r.sessions) > 1 {
		next = time.Unix(r.sessions[1].made, 0).Add(SessionLife)
	}
	return next, err
}

// current leaves out the keys that were renewed long ago.
func current(keys []sessionKey, now time.Time) []sessionKey {
	for len(keys) > 1 && !now.Before(time.Unix(keys[1].made, 0).Add(SessionLife)) {
		keys = keys[1:]
	}
	return keys
}

// setSessions saves session keys and uses them from then on. The caller holds writing.
func (r *RootKey) setSessions(ctx context.Context, keys []sessionKey) error {
	before := r.sessions
	if r.home != nil && r.home.file.Format != sealFormat {
		return errors.Join(errOldSeal, closeOthers(keys, before))
	}
	replace := func(keys []sessionKey) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.sessions = keys
	}
	replace(keys)
	var err error
	if was := r.home; was != nil {
		var next *home
		var data []byte
		if next, data, err = r.prepare(ctx, *was, nil, r.Epochs()); err == nil {
			err = r.save(next, data)
		}
		// A file that is in place counts, even if it was not proved to last: it would be read.
		if err != nil && r.home == was {
			replace(before)
			return errors.Join(err, closeOthers(keys, before))
		}
	}
	r.readySessions()
	return errors.Join(err, closeOthers(before, keys))
}

// closeOthers wipes the keys of a list that are not in another.
func closeOthers(keys, kept []sessionKey) (err error) {
	for _, k := range keys {
		if k.key != nil && !slices.ContainsFunc(kept, func(o sessionKey) bool { return o.key == k.key }) {
			err = errors.Join(err, k.key.Close())
		}
	}
	return err
}

// readySessions has the session keys used from now on.
func (r *RootKey) readySessions() {
	r.mu.RLock()
	defer r.mu.RUnlock()
	keys := slices.Clone(r.sessions)
	if len(keys) == 0 {
		keys = []sessionKey{{}}
	}
	r.ready.Store(&sessionSet{keys})
}

// sessionBox is a box of session tokens: until the first renewal it seals as a box of its purpose does;
// then with the number of the key behind the version.
type sessionBox struct {
	hidden
	module  *Module
	purpose string
	built   atomic.Pointer[sessionCiphers]
}

// sessionCiphers are those of a purpose, one for each key of a set.
type sessionCiphers struct {
	set    *sessionSet
	newest uint32
	by     map[uint32]*xaes
}

// sessionVersion begins tokens of keys with a number.
const sessionVersion = 2

// SessionBox is the box of a purpose for session tokens, which seals under the newest of their keys
// always; see [RootKey.RenewSessions].
func (m *Module) SessionBox(purpose string) hsm.Box { return &sessionBox{module: m, purpose: purpose} }

// ciphers are those of the keys of today; nil once the module is closed.
func (b *sessionBox) ciphers() *sessionCiphers {
	root := b.module.root
	for !b.module.closed.Load() {
		set := root.ready.Load()
		if c := b.built.Load(); c != nil && c.set == set {
			return c
		}
		if c, err := b.build(set); err == nil {
			b.built.Store(c)
			return c
		}
		if root.ready.Load() == set { // else a key was destroyed in between
			return nil
		}
	}
	return nil
}

func (b *sessionBox) build(set *sessionSet) (*sessionCiphers, error) {
	c := &sessionCiphers{set: set, by: make(map[uint32]*xaes, len(set.keys))}
	for _, k := range set.keys {
		key, err := b.derive(k)
		if err != nil {
			return nil, err
		}
		c.newest = k.number
		c.by[k.number], err = newXAES(key)
		key.Wipe()
		if err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (b *sessionBox) derive(k sessionKey) (key secret.Bytes, err error) {
	if k.key == nil {
		return b.module.root.subkey("box/" + b.purpose)
	}
	err = k.key.Use(func(raw secret.Bytes) error {
		key, err = derive(raw, "session/"+b.purpose)
		return err
	})
	return key, err
}

// Seal encrypts.
func (b *sessionBox) Seal(plaintext, aad []byte) []byte {
	c := b.ciphers()
	if c == nil {
		return nil
	}
	out := make([]byte, 0, 5+xaesOverhead+len(plaintext))
	if c.newest == 0 {
		out = append(out, boxVersion)
	} else {
		out = binary.BigEndian.AppendUint32(append(out, sessionVersion), c.newest)
	}
	return c.by[c.newest].seal(out, plaintext, aad)
}

// Open undoes Seal for the keys that are still accepted.
func (b *sessionBox) Open(sealed, aad []byte) ([]byte, error) {
	c := b.ciphers()
	switch {
	case c == nil:
		return nil, hsm.ErrSealed
	case len(sealed) == 0:
		return nil, hsm.ErrCiphertext
	}
	number, rest := uint32(0), sealed[1:]
	switch {
	case sealed[0] == sessionVersion && len(rest) >= 4:
		number, rest = binary.BigEndian.Uint32(rest), rest[4:]
		if number == 0 { // has the other form
			return nil, hsm.ErrCiphertext
		}
	case sealed[0] != boxVersion:
		return nil, hsm.ErrCiphertext
	}
	x := c.by[number]
	if x == nil {
		return nil, hsm.ErrCiphertext
	}
	return x.open(rest, aad)
}
