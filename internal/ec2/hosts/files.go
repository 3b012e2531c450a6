package hosts

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"sync"

	"github.com/kagimori/kagimori/internal/blockdev"
	"github.com/kagimori/kagimori/internal/secret"
)

// use gives an open volume until done is called, opening its file if it is not. Errors: ErrNotHeld,
// ErrDown, and those of opening.
func (h *Host) use(id string) (v *blockdev.Volume, done func(), err error) {
	h.mu.Lock()
	e := h.held[id]
	switch {
	case h.closed:
		h.mu.Unlock()
		return nil, nil, ErrDown
	case e == nil:
		h.mu.Unlock()
		return nil, nil, ErrNotHeld
	}
	if e.v == nil {
		h.mu.Unlock()
		if v, err = h.reopen(e); err != nil {
			return nil, nil, err
		}
	} else {
		v = e.v
		h.enter(e)
		h.mu.Unlock()
	}
	return v, func() { h.leave(e) }, nil
}

// enter counts a user of an open volume. The host is locked.
func (h *Host) enter(e *heldVolume) {
	if e.users++; e.users == 1 {
		h.unrest(e)
	}
}

func (h *Host) leave(e *heldVolume) {
	h.mu.Lock()
	e.users--
	over := false
	if e.users == 0 && !e.gone && e.v != nil {
		h.rest(e)
		over = h.open > h.bound
	}
	h.mu.Unlock()
	if over {
		h.trim()
	}
}

// reopen opens the file of a held volume again, and counts a user.
func (h *Host) reopen(e *heldVolume) (*blockdev.Volume, error) {
	e.opening.Lock()
	defer e.opening.Unlock()
	h.mu.Lock()
	v, gone, broken := e.v, e.gone, e.broken
	if v != nil && !gone { // somebody else did
		h.enter(e)
	}
	h.mu.Unlock()
	switch {
	case gone:
		return nil, ErrNotHeld
	case broken != nil:
		return nil, broken
	case v != nil:
		return v, nil
	}
	key, release, err := e.acquire()
	if err != nil {
		return nil, err
	}
	v, err = blockdev.Open(h.dir, e.id, key)
	release()
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	if e.gone { // whoever dropped it waits for this lock to close the file
		e.v = v
		h.open++
		h.mu.Unlock()
		return nil, ErrNotHeld
	}
	e.v = v
	h.open++
	e.users++
	h.mu.Unlock()
	h.trim()
	return v, nil
}

// trim closes files that nobody uses while too many are open, the least recently used first.
func (h *Host) trim() {
	for {
		h.mu.Lock()
		e := h.idle
		for e != nil && !e.opening.TryLock() {
			e = e.newer
		}
		if e == nil {
			h.mu.Unlock()
			return
		}
		if h.open <= h.bound {
			e.opening.Unlock()
			h.mu.Unlock()
			return
		}
		v := e.v
		h.unrest(e)
		e.v = nil
		h.open--
		h.mu.Unlock()
		if err := v.Close(); err != nil {
			h.mu.Lock()
			e.broken = fmt.Errorf("ec2: volume %s was not written to its end: %w", e.id, err)
			h.mu.Unlock()
		}
		e.opening.Unlock()
	}
}

// rest puts a volume that is open and unused among the idle, as the most recently used. The host is locked.
func (h *Host) rest(e *heldVolume) {
	e.older, e.newer = h.recent, nil
	if h.recent != nil {
		h.recent.newer = e
	} else {
		h.idle = e
	}
	h.recent = e
}

// unrest takes a volume from among the idle, if it is there. The host is locked.
func (h *Host) unrest(e *heldVolume) {
	if e.older == nil && e.newer == nil && h.idle != e {
		return
	}
	if e.older != nil {
		e.older.newer = e.newer
	} else {
		h.idle = e.newer
	}
	if e.newer != nil {
		e.newer.older = e.older
	} else {
		h.recent = e.older
	}
	e.older, e.newer = nil, nil
}

// acquire gives the data key until release, nil for a plain volume.
func (e *heldVolume) acquire() (key secret.Bytes, release func(), err error) {
	if e.key == nil {
		return nil, func() {}, nil
	}
	key, ok := e.key.Acquire()
	if !ok {
		return nil, nil, ErrNotHeld
	}
	return key, e.key.Release, nil
}

// sameKey refuses another data key than the one that is held.
func (e *heldVolume) sameKey(key secret.Bytes) error {
	switch {
	case e.key == nil && key == nil:
		return nil
	case e.key == nil:
		return blockdev.ErrPlain
	case key == nil:
		return blockdev.ErrNeedsKey
	}
	mine, release, err := e.acquire()
	if err != nil {
		return err
	}
	defer release()
	if subtle.ConstantTimeCompare(mine, key) != 1 {
		return blockdev.ErrWrongKey
	}
	return nil
}

// forget wipes the key.
func (e *heldVolume) forget() {
	if e.key != nil {
		e.key.Free()
	}
}

// A keyring keeps data keys in locked memory, in slabs that are made as they are needed. The zero
// value is empty. Safe for concurrent use.
type keyring struct {
	mu    sync.Mutex
	slabs []*secret.Arena
}

// Sizes of a slab of data keys.
const (
	slabKeys = 1024
	keyBytes = 64
)

// keep copies a key; whoever calls wipes its own.
func (k *keyring) keep(key secret.Bytes) (*secret.Held, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, a := range k.slabs {
		if held, ok := a.Hold(key); ok {
			return held, nil
		}
	}
	a, err := secret.NewArena(slabKeys, keyBytes)
	if err != nil {
		return nil, err
	}
	held, ok := a.Hold(key)
	if !ok {
		return nil, errors.Join(errors.New("ec2: a data key does not fit"), a.Close())
	}
	k.slabs = append(k.slabs, a)
	return held, nil
}

// close gives the memory back once no key is used any more.
func (k *keyring) close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	var errs []error
	for _, a := range k.slabs {
		errs = append(errs, a.Close())
	}
	k.slabs = nil
	return errors.Join(errs...)
}
