package kms

import (
	"context"
	"errors"
	"hash/maphash"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/kagimori/kagimori/internal/clock"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

const (
	// usesKept bounds the keys whose last use is in memory.
	usesKept = 16384
	// usesDelay is how long a use waits to be stored with others.
	usesDelay = 10 * time.Second
	// usesStep is how exactly the last use is stored while a key is in use: writing every use would
	// cost more than the use. What is in memory is exact, and stored when the service stops.
	usesStep = time.Hour
	// usesBatch are the keys of a transaction.
	usesBatch = 50
)

type usedKey struct{ region, account, id string }

// alone is the key without the record that its texts are part of.
func (k usedKey) alone() usedKey {
	all := k.region + k.account + k.id
	n, m := len(k.region), len(k.region)+len(k.account)
	return usedKey{all[:n], all[n:m], all[m:]}
}

// A use is the last one of a key.
type use struct {
	key usedKey
	usage
	stored time.Time // what the store has; zero if it is not known to have any
	due    bool      // the store is behind by a step or more
}

// uses are the last uses of keys that the store may not know. Safe for concurrent use.
type uses struct {
	g     *guard.Guard
	clock *clock.Clock
	log   *slog.Logger

	storing sync.Mutex // held while uses are stored

	seed maphash.Seed

	mu    sync.Mutex      // guards the rest
	last  map[uint64]*use // by the hash of the key
	due   int             // how many are
	timer bool
	// known tells of keys that are not in last what the store has.
	known storedUses
}

func newUses(g *guard.Guard, c *clock.Clock, log *slog.Logger) *uses {
	return &uses{g: g, clock: c, log: log, seed: maphash.MakeSeed(), last: map[uint64]*use{}}
}

// hash stands for a key. Nobody can choose two keys that have the same, and a million keys have two by chance with a
// probability of 3 in 10^8: then the one that was used first is remembered.
func (u *uses) hash(key usedKey) uint64 { return maphash.Comparable(u.seed, key) }

// note remembers a use. When too many wait to be stored the caller stores them.
func (u *uses) note(ctx context.Context, key usedKey, now usage) {
	hash := u.hash(key)
	u.mu.Lock()
	last := u.last[hash]
	if last == nil {
		stored := u.known.at(hash)
		if len(u.last) >= usesKept && now.At.Sub(stored) < usesStep {
			u.mu.Unlock()
			return // what the store has is late by less than a step, and too many keys are used to do better
		}
		last = &use{key: key.alone(), stored: stored}
		u.last[hash] = last
	}
	if last.At.After(now.At) || last.key != key {
		u.mu.Unlock()
		return
	}
	last.usage = now
	if !last.due && now.At.Sub(last.stored) >= usesStep {
		last.due = true
		u.due++
	}
	start, full := u.due > 0 && !u.timer, u.due >= usesKept
	u.timer = u.timer || start
	u.mu.Unlock()
	if start {
		u.clock.AfterFunc(usesDelay, u.tick)
	}
	if full {
		u.save(context.WithoutCancel(ctx), usesStep)
	}
}

// latest is the last use of a key as far as it is in memory.
func (u *uses) latest(key usedKey) usage {
	u.mu.Lock()
	defer u.mu.Unlock()
	if last := u.last[u.hash(key)]; last != nil && last.key == key {
		return last.usage
	}
	return usage{}
}

// tick stores what is due, and comes again if that fails.
func (u *uses) tick() {
	u.save(context.Background(), usesStep)
	u.mu.Lock()
	u.timer = u.due > 0
	again := u.timer
	u.mu.Unlock()
	if again {
		u.clock.AfterFunc(usesDelay, u.tick)
	}
}

// save stores the uses that the store is behind of by a step, and forgets those that it has if
// there are many. What could not be stored stays due.
func (u *uses) save(ctx context.Context, step time.Duration) {
	u.storing.Lock()
	defer u.storing.Unlock()
	u.mu.Lock()
	all := make(map[usedKey]usage, u.due)
	for _, use := range u.last {
		if use.due || step == 0 {
			all[use.key] = use.usage
		}
	}
	u.mu.Unlock()
	keys := slices.Collect(maps.Keys(all))
	var errs []error
	for batch := range slices.Chunk(keys, usesBatch) {
		stored, err := u.put(ctx, batch, all, step)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		u.settle(stored)
	}
	store.Report(ctx, u.log, "when keys were last used was not stored yet", errors.Join(errs...))
}

// put stores uses of keys that still exist, and tells what the store has then.
func (u *uses) put(ctx context.Context, keys []usedKey, all map[usedKey]usage, step time.Duration) (stored map[usedKey]time.Time, err error) {
	var behind []usedKey
	look := func(tx store.Tx) error {
		behind, stored = behind[:0], make(map[usedKey]time.Time, len(keys))
		for _, k := range keys {
			old, _, err := usageTable.Get(tx, k.region, k.account, k.id)
			if err != nil {
				return err
			}
			stored[k] = old.At
			if d := all[k].At.Sub(old.At); d > 0 && d >= step {
				behind = append(behind, k)
			}
		}
		return nil
	}
	if err := u.g.Read(ctx, look); err != nil || len(behind) == 0 {
		return stored, err
	}
	return stored, u.g.Change(ctx, func(tx store.Tx) error {
		if err := look(tx); err != nil {
			return err
		}
		for _, k := range behind {
			stored[k] = all[k].At
			if exists, err := keyExists(tx, k); err != nil {
				return err
			} else if !exists {
				continue
			}
			if err := usageTable.Put(tx, all[k], k.region, k.account, k.id); err != nil {
				return err
			}
		}
		return nil
	})
}

// keyExists asks without decoding the key.
func keyExists(tx store.Tx, k usedKey) (bool, error) {
	_, ok, err := tx.Get(keyTable.Bucket, store.Key(k.region, k.account, k.id))
	return ok, err
}

func (u *uses) settle(stored map[usedKey]time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for k, at := range stored {
		use := u.last[u.hash(k)]
		if use == nil || use.key != k {
			continue
		}
		use.stored = at
		if use.due && use.At.Sub(at) < usesStep {
			use.due = false
			u.due--
		}
	}
	for hash, use := range u.last {
		if len(u.last) <= usesKept {
			return
		}
		if !use.due {
			u.known.note(hash, use.stored)
			delete(u.last, hash)
		}
	}
}
