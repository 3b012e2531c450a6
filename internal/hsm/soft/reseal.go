package soft

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/secret"
)

// errOldSeal: a seal of format 1 takes nothing but Reseal.
var errOldSeal = errors.New("soft: the seal file has an older format; it must be sealed anew first")

// Sealed reports whether the seal file has the format of today.
func (r *RootKey) Sealed() bool {
	r.writing.Lock()
	defer r.writing.Unlock()
	return r.home == nil || r.home.file.Format == sealFormat
}

// Status is what the seal file says; the zero value if there is none.
func (r *RootKey) Status() SealStatus {
	r.writing.Lock()
	defer r.writing.Unlock()
	if r.home == nil {
		return SealStatus{Epochs: r.Epochs()}
	}
	return r.home.file.status()
}

// prepare makes the next seal file: the epochs to keep, in slots of the locks under a new seal key,
// or without locks in the slots that there are.
func (r *RootKey) prepare(ctx context.Context, h home, locks []Lock, keep []uint64) (_ *home, data []byte, err error) {
	next := &home{Seal: h.Seal, sealKey: h.sealKey, file: sealFile{
		Format: sealFormat, Generation: h.file.Generation + 1, Epochs: keep, Slots: slices.Clone(h.file.Slots),
	}}
	if len(locks) > 0 {
		if next.sealKey, err = randomLocked(); err != nil {
			return nil, nil, err
		}
		defer func() {
			if err != nil {
				err = errors.Join(err, next.sealKey.Close())
			}
		}()
		if next.file.Slots, err = wrapAll(ctx, next.sealKey, locks); err != nil {
			return nil, nil, err
		}
	}
	ring, err := r.encode(keep)
	defer ring.Wipe()
	if err != nil {
		return nil, nil, err
	}
	if err := next.file.close(next.sealKey, ring); err != nil {
		return nil, nil, err
	}
	next.file.Digest = next.file.digest()
	data, err = next.file.encode()
	if err == nil && len(data) > maxSealFile {
		err = errors.New("soft: the seal has too many slots")
	}
	return next, data, err
}

// wrapAll makes a slot of each lock.
func wrapAll(ctx context.Context, sealKey *secret.Locked, locks []Lock) (slots []Slot, err error) {
	err = sealKey.Use(func(key secret.Bytes) error {
		for _, l := range locks {
			s, err := l.Wrap(ctx, key)
			if err != nil {
				return fmt.Errorf("the seal of kind %q: %w", l.Kind(), err)
			}
			slots = append(slots, s)
		}
		return nil
	})
	return slots, err
}

// save writes the next seal file; the keyring moves there with it. The caller holds writing.
func (r *RootKey) save(next *home, data []byte) error {
	if r.home == nil {
		return nil
	}
	done, err := r.home.replace(data, r.home.file.Digest)
	clear(data)
	if !done {
		if next.sealKey != r.home.sealKey {
			err = errors.Join(err, next.sealKey.Close())
		}
		return err
	}
	if next.sealKey != r.home.sealKey {
		err = errors.Join(err, r.home.sealKey.Close())
	}
	r.dwell(next)
	return err
}

// BeginEpoch makes a new epoch, under which material is wrapped from now on. It is on disk before
// it wraps anything.
func (r *RootKey) BeginEpoch(ctx context.Context) error {
	r.writing.Lock()
	defer r.writing.Unlock()
	if r.home != nil && r.home.file.Format != sealFormat {
		return errOldSeal
	}
	return r.begin(ctx, nil)
}

// begin adds an epoch, under new locks if there are any.
func (r *RootKey) begin(ctx context.Context, locks []Lock) (err error) {
	next := r.newest() + 1
	key, err := randomLocked()
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.epochs[next] = key // not yet current
	r.mu.Unlock()
	if r.home != nil {
		var h *home
		var data []byte
		if h, data, err = r.prepare(ctx, *r.home, locks, r.Epochs()); err == nil {
			err = r.save(h, data)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	// A file that is in place counts, even if it was not proved to last: it would be read.
	if err != nil && (r.home == nil || !slices.Contains(r.home.file.Epochs, next)) {
		delete(r.epochs, next)
		return errors.Join(err, key.Close())
	}
	r.current = next
	return err
}

// EndEpochs destroys the keys of all epochs but the current one in the seal file. What they wrapped
// is unreadable from then on for all but this process, which keeps them for requests that began
// before, until [RootKey.Forget].
func (r *RootKey) EndEpochs(ctx context.Context) error {
	r.writing.Lock()
	defer r.writing.Unlock()
	keep := []uint64{r.newest()}
	if slices.Equal(keep, r.Epochs()) {
		return nil
	}
	if r.home != nil {
		if r.home.file.Format != sealFormat {
			return errOldSeal
		}
		h, data, err := r.prepare(ctx, *r.home, nil, keep)
		if err == nil {
			err = r.save(h, data)
		}
		if err != nil {
			return err // the keys stay in memory: the next try writes again
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended == nil {
		r.ended = map[uint64]*secret.Locked{}
	}
	for n, key := range r.epochs {
		if n != r.current {
			delete(r.epochs, n)
			r.ended[n] = key
		}
	}
	return nil
}

// Forget wipes the keys of ended epochs.
func (r *RootKey) Forget() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var err error
	for n, key := range r.ended {
		delete(r.ended, n)
		err = errors.Join(err, key.Close())
	}
	return err
}

// Reseal makes a new seal key, slots of these locks and no others, and a new epoch. A lock that is
// left out opens nothing that is made from then on.
func (r *RootKey) Reseal(ctx context.Context, locks ...Lock) error {
	r.writing.Lock()
	defer r.writing.Unlock()
	if r.home == nil {
		return errors.New("soft: there is no seal")
	}
	if err := r.home.check(locks); err != nil {
		return err
	}
	return r.begin(ctx, locks)
}

// AddLock adds a slot.
func (r *RootKey) AddLock(ctx context.Context, l Lock) error {
	r.writing.Lock()
	defer r.writing.Unlock()
	if r.home == nil {
		return errors.New("soft: there is no seal")
	}
	if r.home.file.Format != sealFormat {
		return errOldSeal
	}
	if err := r.home.check([]Lock{l}); err != nil {
		return err
	}
	slots, err := wrapAll(ctx, r.home.sealKey, []Lock{l})
	if err != nil {
		return err
	}
	h := *r.home
	h.file.Slots = append(slices.Clone(h.file.Slots), slots...)
	next, data, err := r.prepare(ctx, h, nil, r.Epochs())
	if err != nil {
		return err
	}
	return r.save(next, data)
}

// ErrNoLock: a slot that is to stay needs a lock that opens it.
var ErrNoLock = errors.New("nothing that was given opens a slot that is to stay")

// RemoveSlot seals anew for all slots but one, as Reseal does. The others need their locks again,
// but for age slots with recipients that are no secret.
func (r *RootKey) RemoveSlot(ctx context.Context, at int, locks ...Lock) error {
	r.writing.Lock()
	defer r.writing.Unlock()
	switch {
	case r.home == nil || at < 0 || at >= len(r.home.file.Slots):
		return errors.New("soft: there is no such slot")
	case len(r.home.file.Slots) == 1:
		return errors.New("soft: the last slot cannot be removed: nothing would open the seal")
	}
	var stay []Lock
	for i, slot := range r.home.file.Slots {
		if i == at {
			continue
		}
		l, err := r.fits(ctx, slot, locks)
		if err != nil {
			return fmt.Errorf("%w: slot %d of kind %q", err, i+1, slot.Kind)
		}
		stay = append(stay, l)
	}
	return r.begin(ctx, stay)
}

// fits finds the lock of a slot.
func (r *RootKey) fits(ctx context.Context, slot Slot, locks []Lock) (Lock, error) {
	for _, l := range locks {
		if l.Kind() != slot.Kind {
			continue
		}
		key, err := l.Unwrap(ctx, slot)
		key.Wipe()
		if err == nil {
			return l, nil
		}
		if !errors.Is(err, hsm.ErrWrongSeal) {
			return nil, err
		}
	}
	if l, ok := Again(slot); ok {
		return l, nil
	}
	return nil, ErrNoLock
}
