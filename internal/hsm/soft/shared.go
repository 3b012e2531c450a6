package soft

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/kagimori/kagimori/internal/secret"
)

// A Shared place keeps the seal of several nodes, in place of a file.
type Shared interface {
	// Load returns the seal, nil if there is none.
	Load() ([]byte, error)
	// Swap puts a seal in place of another one, nil for none. It fails with ErrSealChanged if another
	// one is there.
	Swap(old, fresh []byte) error
	// Name says where the seal is, for messages.
	Name() string
}

// ErrSealChanged: another node changed the seal meanwhile.
var ErrSealChanged = errors.New("the seal was changed by another node meanwhile; nothing was done")

func (s Seal) createShared(data []byte) error {
	defer clear(data)
	if err := s.Shared.Swap(nil, data); errors.Is(err, ErrSealChanged) {
		return ErrSealExists
	} else if err != nil {
		return fmt.Errorf("%s cannot be written: %w", s.path(), err)
	}
	return nil
}

func (s Seal) replaceShared(data, digest []byte) (done bool, err error) {
	was, err := s.Shared.Load()
	if err != nil {
		return false, err
	}
	f, _, err := decodeSeal(was)
	if err != nil {
		return false, fmt.Errorf("%s %w", s.path(), err)
	}
	if !bytes.Equal(f.Digest, digest) {
		return false, ErrSealChanged
	}
	err = s.Shared.Swap(was, data)
	return err == nil, err
}

// Generation counts the changes of the seal, as this node knows it; 0 without a seal.
func (r *RootKey) Generation() uint64 { return r.generation.Load() }

// ErrOtherLocks: the seal was made anew, and what this node opens it with is not among its slots.
var ErrOtherLocks = errors.New("the seal was made anew for other locks: start this node again with one that opens it")

// Adopt takes over a seal that another node wrote: epochs that began there wrap from now on, those that
// ended are kept until [RootKey.Forget]. An older one than this node has is passed over. A seal that was
// made anew needs one of the locks, or the error is ErrOtherLocks.
func (r *RootKey) Adopt(ctx context.Context, data []byte, locks ...Lock) error {
	f, old, err := decodeSeal(data)
	if err != nil || old != nil {
		return errors.Join(errRing, err)
	}
	r.writing.Lock()
	defer r.writing.Unlock()
	if r.home == nil || f.Generation <= r.home.file.Generation {
		return nil
	}
	next := &home{Seal: r.home.Seal, sealKey: r.home.sealKey, file: f}
	var fresh *RootKey
	err = next.sealKey.Use(func(key secret.Bytes) (err error) {
		fresh, err = f.open(key)
		return err
	})
	if err != nil {
		if fresh, err = r.reopen(ctx, next, locks); err != nil {
			return err
		}
	}
	outdated := r.merge(fresh, f.Epochs)
	r.readySessions()
	err = closeOthers(outdated, nil)
	if next.sealKey != r.home.sealKey {
		err = errors.Join(err, r.home.sealKey.Close())
	}
	r.dwell(next)
	return errors.Join(err, fresh.Close()) // what it has left
}

// reopen opens a seal that was made anew.
func (r *RootKey) reopen(ctx context.Context, next *home, locks []Lock) (*RootKey, error) {
	if len(locks) == 0 {
		return nil, ErrOtherLocks
	}
	sealKey, err := next.tryLocks(ctx, next.file, locks)
	if err != nil {
		return nil, errors.Join(ErrOtherLocks, err)
	}
	defer sealKey.Wipe()
	fresh, err := next.file.open(sealKey)
	if err == nil {
		next.sealKey, err = secret.LockedFrom(sealKey)
	}
	return fresh, err
}

// merge takes the keys of another keyring, and lets go of epochs that are not among those named. It
// returns the session keys that there were.
func (r *RootKey) merge(from *RootKey, epochs []uint64) (outdated []sessionKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended == nil {
		r.ended = map[uint64]*secret.Locked{}
	}
	for n, key := range from.epochs {
		if r.epochs[n] == nil {
			r.epochs[n] = key
			delete(from.epochs, n)
		}
	}
	for n, key := range r.epochs {
		if !slices.Contains(epochs, n) {
			delete(r.epochs, n)
			r.ended[n] = key
		}
	}
	r.current = epochs[len(epochs)-1]
	outdated, r.sessions, from.sessions = r.sessions, from.sessions, nil
	return outdated
}
