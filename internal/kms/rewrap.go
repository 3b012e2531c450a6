package kms

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/store"
)

// A Destruction says that key material was removed whose wrapped bytes may still lie in free pages
// and backups: it is final once the epoch of the seal that wrapped them has ended.
type Destruction struct {
	Since time.Time `json:"since"` // of the first one that is not final
	Last  time.Time `json:"last"`
	Count int       `json:"count"`
}

var destructionTable = store.Table[Destruction]{Bucket: "kms/destruction", Version: 1}

const destructionKey = "open"

// noteDestroyed remembers, in the transaction that removes it, that material was removed.
func noteDestroyed(tx store.Tx, now time.Time, n int) error {
	if n == 0 {
		return nil
	}
	d, found, err := destructionTable.Get(tx, destructionKey)
	if err != nil {
		return err
	}
	if !found {
		d.Since = now
	}
	d.Last, d.Count = now, d.Count+n
	return destructionTable.Put(tx, d, destructionKey)
}

// forget drops removed material from memory, and tells that it is to be made final.
func (s *Service) forget(keyARN string, gone ...hsm.Material) {
	for _, m := range gone {
		s.hsm.Forget(keyARN, m)
	}
	if len(gone) > 0 && s.destroyed != nil {
		s.destroyed()
	}
}

// materials are all of a key that have bytes.
func (k *keyRecord) materials() (out []hsm.Material) {
	for _, m := range k.Materials {
		if m.Wrapped != nil {
			out = append(out, m)
		}
	}
	if isImported(k.Pending) {
		out = append(out, *k.Pending)
	}
	return out
}

// freshen brings the material of a record under the newest wrapping key. Material that was made
// before a transaction began goes through it inside: the sweep of [RewrapAll] may be done by then.
// What does not unwrap stays as it is: the error is of the worst such material, and the rest is done.
func freshen(m hsm.Module, k *keyRecord) (changed bool, err error) {
	one := func(old hsm.Material) hsm.Material {
		fresh, bad := m.Rewrap(k.arn(), old)
		if bad != nil {
			if err == nil || errors.Is(err, hsm.ErrEnded) {
				err = bad
			}
			return old
		}
		changed = changed || !slices.Equal(fresh.Wrapped, old.Wrapped)
		return fresh
	}
	k.Materials = slices.Clone(k.Materials)
	for i := range k.Materials {
		k.Materials[i] = one(k.Materials[i])
	}
	if k.Pending != nil {
		k.Pending = new(one(*k.Pending))
	}
	return changed, err
}

// ErrDamaged: some material does not unwrap, though its wrapping key is there.
var ErrDamaged = errors.New("kms: key material is damaged")

// RewrapAll brings the material of all keys under the module's newest wrapping key. Once it returns
// without an error, no older one is needed. Material whose key is gone already stays as it is.
func RewrapAll(ctx context.Context, st store.Store, m hsm.Module) (n int, err error) {
	const batch = 16
	var damaged error
	done, after := false, ""
	for !done {
		last, changed := after, 0
		var bad error
		err := st.Update(ctx, func(tx store.Tx) error {
			last, done, changed, bad = after, false, 0, nil
			seen := 0
			for r, err := range keyTable.ScanRange(tx, store.Range{After: after, Limit: batch}) {
				if err != nil {
					return err
				}
				seen++
				last = store.Key(r.Key...)
				k := r.Value
				dirty, err := freshen(m, &k)
				switch {
				case errors.Is(err, hsm.ErrEnded):
				case errors.Is(err, hsm.ErrMaterial):
					bad = fmt.Errorf("%w: of %s", ErrDamaged, k.arn())
				case err != nil:
					return err
				}
				if dirty {
					changed++
					if err := keyTable.Put(tx, k, r.Key...); err != nil {
						return err
					}
				}
			}
			done = seen < batch
			return nil
		})
		if err != nil {
			return n, err
		}
		if bad != nil {
			damaged = bad
		}
		n, after = n+changed, last
	}
	return n, damaged
}

// Pending is the destruction that is not final yet; the zero value if there is none.
func Pending(ctx context.Context, st store.Store) (d Destruction, err error) {
	err = st.View(ctx, func(tx store.Tx) (err error) {
		d, _, err = destructionTable.Get(tx, destructionKey)
		return err
	})
	return d, err
}

// Finalize forgets a destruction that is final now; what was removed after it was read waits on.
func Finalize(ctx context.Context, st store.Store, done Destruction) error {
	if done.Count == 0 {
		return nil
	}
	return st.Update(ctx, func(tx store.Tx) error {
		d, found, err := destructionTable.Get(tx, destructionKey)
		switch {
		case err != nil || !found:
			return err
		case d.Count == done.Count:
			return destructionTable.Delete(tx, destructionKey)
		}
		d.Since, d.Count = done.Last, d.Count-done.Count
		return destructionTable.Put(tx, d, destructionKey)
	})
}
