package soft

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/secret"
)

// SessionLife is how long a key that was renewed still opens session tokens: as long as the longest
// session, and an hour. Source: STS API Reference, GetSessionToken, DurationSeconds (36 hours).
const SessionLife = 37 * time.Hour

// A sessionKey seals session tokens. The first, number 0, is derived from the root key; each renewal adds
// a random one. Whoever has such a key can make tokens, so it must be one that ends: nothing stored is
// under it.
type sessionKey struct {
	number uint32
	made   int64 // Unix time; 0 of the first
	key    *secret.Locked
}

// sessionPurpose is that of the box whose key number 0 is.
const sessionPurpose = "session token"

// A sessionSet is the ciphers of the session keys that are accepted.
type sessionSet struct {
	newest uint32
	by     map[uint32]*xaes
}

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
	var err error
	if !end {
		if keys, err = r.allSessions(); err != nil {
			return err
		}
	}
	if fresh.key, err = randomLocked(); err != nil {
		return errors.Join(err, closeOthers(keys, r.sessions))
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

// allSessions are the session keys with the one that is derived, if there is no other yet.
func (r *RootKey) allSessions() ([]sessionKey, error) {
	if len(r.sessions) > 0 {
		return slices.Clone(r.sessions), nil
	}
	b, err := r.subkey("box/" + sessionPurpose)
	if err != nil {
		return nil, err
	}
	key, err := secret.LockedFrom(b)
	return []sessionKey{{key: key}}, err
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
	return errors.Join(err, r.readySessions(), closeOthers(before, keys))
}

// closeOthers wipes the keys of a list that are not in another.
func closeOthers(keys, kept []sessionKey) (err error) {
	for _, k := range keys {
		if !slices.ContainsFunc(kept, func(o sessionKey) bool { return o.key == k.key }) {
			err = errors.Join(err, k.key.Close())
		}
	}
	return err
}

// readySessions makes the ciphers of the session keys.
func (r *RootKey) readySessions() error {
	r.mu.RLock()
	keys := r.sessions
	r.mu.RUnlock()
	set := &sessionSet{by: map[uint32]*xaes{}}
	if len(keys) == 0 {
		b, err := r.subkey("box/" + sessionPurpose)
		if err != nil {
			return err
		}
		defer b.Wipe()
		if set.by[0], err = newXAES(b); err != nil {
			return err
		}
	}
	for _, k := range keys {
		err := k.key.Use(func(b secret.Bytes) (err error) {
			set.by[k.number], err = newXAES(b)
			return err
		})
		if err != nil {
			return err
		}
		set.newest = k.number
	}
	r.ready.Store(set)
	return nil
}

// sessionBox is the box of session tokens: as a box of the purpose seals, until the first renewal; then
// with the number of the key behind the version.
type sessionBox struct {
	hidden
	module *Module
}

// sessionVersion begins tokens of keys with a number.
const sessionVersion = 2

// SessionBox seals session tokens, always under the newest of their keys; see [RootKey.RenewSessions].
func (m *Module) SessionBox() hsm.Box { return &sessionBox{module: m} }

func (b *sessionBox) set() *sessionSet {
	if b.module.closed.Load() {
		return nil
	}
	return b.module.root.ready.Load()
}

// Seal encrypts.
func (b *sessionBox) Seal(plaintext, aad []byte) []byte {
	s := b.set()
	if s == nil {
		return nil
	}
	out := make([]byte, 0, 5+xaesOverhead+len(plaintext))
	if s.newest == 0 {
		out = append(out, boxVersion)
	} else {
		out = binary.BigEndian.AppendUint32(append(out, sessionVersion), s.newest)
	}
	return s.by[s.newest].seal(out, plaintext, aad)
}

// Open undoes Seal for the keys that are still accepted.
func (b *sessionBox) Open(sealed, aad []byte) ([]byte, error) {
	s := b.set()
	switch {
	case s == nil:
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
	x := s.by[number]
	if x == nil {
		return nil, hsm.ErrCiphertext
	}
	return x.open(rest, aad)
}
