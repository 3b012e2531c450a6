package soft

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"weak"

	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/secret"
)

// A RootKey is an unsealed keyring in locked memory: the root key, from which the keys of boxes and
// checkpoints are derived, and the epoch keys, which wrap key material. It prints as "[redacted]".
// Safe for concurrent use.
//
// New material is wrapped under the newest epoch. Once an epoch was ended, what it wrapped is
// unreadable for everybody who has not kept an older seal file together with what opens it.
type RootKey struct {
	hidden
	key *secret.Locked
	// fixed are the derived keys of a root key of seal format 1, in the order of fixedLabels; nil
	// without one. That root key itself is gone: it would unwrap the material of its epoch.
	fixed *secret.Locked

	writing sync.Mutex // held by who changes the seal file; guards home, and orders changes
	home    *home      // nil: stored nowhere

	generation atomic.Uint64 // of the seal

	mu      sync.RWMutex              // guards the rest
	epochs  map[uint64]*secret.Locked // keys that still unwrap
	current uint64                    // the newest of them
	// sessions are the keys of session tokens, oldest first; none before the first renewal.
	sessions []sessionKey
	ready    atomic.Pointer[sessionSet] // those that are in use

	// ended are those that nothing on disk has any more: requests that began before may still
	// need them until [RootKey.Forget].
	ended map[uint64]*secret.Locked

	wrapper atomic.Pointer[wrapper] // of the epoch that was used last
}

// fixedLabels are all that was derived from a root key of seal format 1, but for material.
var fixedLabels = []string{
	"box/access key", "box/session token", "box/authorization message", "box/iam marker", "box/organizations token",
	"box/cloudtrail token", "box/kms grant token", "box/kms marker", "box/kms import token", "mac/trail checkpoint",
	"box/kms external key store credential", "box/xks credential",
}

// NewRootKey makes a random keyring with one epoch that is stored nowhere: for tests, and for a
// server that keeps nothing either.
func NewRootKey() (*RootKey, error) {
	r := &RootKey{epochs: map[uint64]*secret.Locked{}}
	key, err := randomLocked()
	if err != nil {
		return nil, err
	}
	r.key = key
	if err := r.push(1); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

func randomLocked() (*secret.Locked, error) {
	key, err := secret.NewLocked(keySize)
	if err != nil {
		return nil, err
	}
	return key, key.Use(func(b secret.Bytes) error { rand.Read(b); return nil })
}

// push adds a random epoch key, as the current one.
func (r *RootKey) push(epoch uint64) error {
	key, err := randomLocked()
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.epochs[epoch], r.current = key, epoch
	return nil
}

// Pinned reports whether the system keeps the root key out of the swap space.
func (r *RootKey) Pinned() bool { return r.key.Pinned() }

// Epochs are the epochs whose keys still exist, the current one last.
func (r *RootKey) Epochs() []uint64 {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.Sorted(maps.Keys(r.epochs))
}

// Close wipes the keys.
func (r *RootKey) Close() error {
	r.writing.Lock()
	defer r.writing.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	var err error
	for _, k := range r.epochs {
		err = errors.Join(err, k.Close())
	}
	for _, k := range r.ended {
		err = errors.Join(err, k.Close())
	}
	if r.fixed != nil {
		err = errors.Join(err, r.fixed.Close())
	}
	err = errors.Join(err, closeOthers(r.sessions, nil))
	if r.home != nil {
		err = errors.Join(err, r.home.sealKey.Close())
	}
	return errors.Join(err, r.key.Close())
}

// subkey derives 32 bytes for a label. Labels have fixed beginnings, none of which begins another,
// and end with at most one free text, so different uses never share a key.
func (r *RootKey) subkey(label string) (key secret.Bytes, err error) {
	if i := slices.Index(fixedLabels, label); i >= 0 && r.fixed != nil {
		err = r.fixed.Use(func(b secret.Bytes) error {
			key = append(key, b[i*keySize:][:keySize]...)
			return nil
		})
	} else {
		err = r.key.Use(func(b secret.Bytes) error {
			key, err = derive(b, label)
			return err
		})
	}
	if errors.Is(err, secret.ErrClosed) {
		return nil, hsm.ErrSealed
	}
	return key, err
}

// wrapping is the cipher that wraps the material of an epoch. Its key schedule is kept until the next garbage
// collection, as those of requests are. hsm.ErrEnded if the epoch has ended.
func (r *RootKey) wrapping(epoch uint64) (x *xaes, err error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	key := r.epochs[epoch]
	if key == nil {
		key = r.ended[epoch]
	}
	if key == nil {
		return nil, hsm.ErrEnded
	}
	if last := r.wrapper.Load(); last != nil && last.key == key && key.Len() > 0 {
		if x := last.schedule.Value(); x != nil {
			return x, nil
		}
	}
	err = key.Use(func(b secret.Bytes) error {
		x, err = newXAES(b)
		return err
	})
	if errors.Is(err, secret.ErrClosed) {
		return nil, hsm.ErrSealed
	}
	if err == nil {
		r.wrapper.Store(&wrapper{key, weak.Make(x)})
	}
	return x, err
}

// A wrapper finds the key schedule of an epoch's key that was made before.
type wrapper struct {
	key      *secret.Locked
	schedule weak.Pointer[xaes]
}

// newest is the epoch that wraps.
func (r *RootKey) newest() uint64 {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.current
}

// Versions of the keyring: a ring without session keys has the first.
const (
	ringVersion     = 1
	ringWithSession = 2
)

// encode is the keyring in bytes: version, number of fixed keys, root key, fixed keys, number of
// epochs (2 bytes), and each epoch's number (8 bytes, big endian) and key; with session keys their
// number (2 bytes), and of each its number (4 bytes), when it was made (8 bytes) and itself, which of number
// 0 is zeros. Epochs that are not in keep are left out.
func (r *RootKey) encode(keep []uint64) (out secret.Bytes, err error) {
	take := func(l *secret.Locked) {
		err = errors.Join(err, l.Use(func(b secret.Bytes) error { out = append(out, b...); return nil }))
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	out = make(secret.Bytes, 0, 6+keySize*(1+len(fixedLabels))+(keySize+8)*len(keep)+(keySize+12)*len(r.sessions)) // never grows, and leaves no copy behind
	out = append(out, ringVersion, 0)
	take(r.key)
	if r.fixed != nil {
		out[1] = byte(r.fixed.Len() / keySize)
		take(r.fixed)
	}
	out = binary.BigEndian.AppendUint16(out, uint16(len(keep)))
	for _, n := range keep {
		key := r.epochs[n]
		if key == nil {
			return nil, fmt.Errorf("soft: epoch %d has no key", n)
		}
		out = binary.BigEndian.AppendUint64(out, n)
		take(key)
	}
	if len(r.sessions) == 0 {
		return out, err
	}
	out[0] = ringWithSession
	out = binary.BigEndian.AppendUint16(out, uint16(len(r.sessions)))
	for _, k := range r.sessions {
		out = binary.BigEndian.AppendUint32(out, k.number)
		out = binary.BigEndian.AppendUint64(out, uint64(k.made))
		if k.key == nil {
			out = append(out, make([]byte, keySize)...)
			continue
		}
		take(k.key)
	}
	return out, err
}

var errRing = errors.New("is damaged: its keyring makes no sense")

// decodeRing reads what encode wrote, and wipes it.
func decodeRing(b secret.Bytes) (*RootKey, error) {
	defer b.Wipe()
	if len(b) < 2+keySize+2 || b[0] != ringVersion && b[0] != ringWithSession || int(b[1]) > len(fixedLabels) {
		return nil, errRing
	}
	withSessions := b[0] == ringWithSession
	fixed := int(b[1])
	b = b[2:]
	if len(b) < keySize*(1+fixed)+2 {
		return nil, errRing
	}
	r := &RootKey{epochs: map[uint64]*secret.Locked{}}
	var err error
	if r.key, err = secret.LockedFrom(b[:keySize]); err != nil {
		return nil, err
	}
	b = b[keySize:]
	if fixed > 0 {
		r.fixed, err = secret.LockedFrom(b[:keySize*fixed])
	}
	b = b[keySize*fixed:]
	n := int(binary.BigEndian.Uint16(b))
	if b = b[2:]; err == nil && (n < 1 || len(b) < n*(8+keySize) || !withSessions && len(b) != n*(8+keySize)) {
		err = errRing
	}
	for ; err == nil && n > 0; b, n = b[8+keySize:], n-1 {
		epoch := binary.BigEndian.Uint64(b)
		if epoch <= r.current {
			err = errRing
			break
		}
		r.epochs[epoch], err = secret.LockedFrom(b[8:][:keySize])
		r.current = epoch
	}
	if err == nil && withSessions {
		err = r.decodeSessions(b)
	}
	if err != nil {
		delete(r.epochs, 0)
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// decodeSessions reads the session keys of a keyring, which end it.
func (r *RootKey) decodeSessions(b secret.Bytes) error {
	const size = 12 + keySize
	if len(b) < 2 {
		return errRing
	}
	n := int(binary.BigEndian.Uint16(b))
	if b = b[2:]; n < 1 || len(b) != n*size {
		return errRing
	}
	for ; len(b) > 0; b = b[size:] {
		k := sessionKey{number: binary.BigEndian.Uint32(b), made: int64(binary.BigEndian.Uint64(b[4:]))}
		if len(r.sessions) > 0 && k.number <= r.sessions[len(r.sessions)-1].number {
			return errRing
		}
		if k.number == 0 && !secret.Bytes(b[12:size]).Equal(make([]byte, keySize)) {
			return errRing
		}
		if k.number > 0 {
			var err error
			if k.key, err = secret.LockedFrom(b[12:size]); err != nil {
				return err
			}
		}
		r.sessions = append(r.sessions, k)
	}
	return nil
}

// upgrade makes a keyring of a root key of seal format 1, which it closes. Material of its epoch is
// unwrapped by a key of its own from now on; nothing else of it unwraps anything.
func upgrade(old *secret.Locked, epoch uint64) (*RootKey, error) {
	r := &RootKey{epochs: map[uint64]*secret.Locked{}, current: epoch}
	err := old.Use(func(b secret.Bytes) error {
		lock := func(label string) (*secret.Locked, error) {
			key, err := derive(b, label)
			if err != nil {
				return nil, err
			}
			return secret.LockedFrom(key)
		}
		var err error
		if r.key, err = lock("root/2"); err != nil {
			return err
		}
		if r.epochs[epoch], err = lock("wrap"); err != nil {
			return err
		}
		fixed := make(secret.Bytes, 0, keySize*len(fixedLabels))
		for _, label := range fixedLabels {
			key, err := derive(b, label)
			if err != nil {
				return err
			}
			fixed = append(fixed, key...)
			key.Wipe()
		}
		r.fixed, err = secret.LockedFrom(fixed)
		return err
	})
	return r, errors.Join(err, old.Close())
}
