package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/kagimori/kagimori/internal/clock"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/hsm/soft"
	"github.com/kagimori/kagimori/internal/kms"
	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/store/bolt"
	"github.com/kagimori/kagimori/internal/trail"
)

// finalAfter is how long after key material was removed the epoch of the seal ends, which makes the
// removal final. What is removed meanwhile is made final with it.
const finalAfter = time.Hour

// finalAgain is how long after a failure it is tried again.
const finalAgain = 10 * time.Minute

// lingering is how long an ended epoch stays in memory, for requests that began before its end.
const lingering = 10 * time.Second

// sessionsAgain is how long after their time was not over yet, or a failure, the ends of session keys are
// looked for again.
const sessionsAgain = time.Hour

// devManagement manages the organization of a development server.
const devManagement = "000000000000"

// A keeper changes the seal of an open data directory: the door beside the permits, for whoever may
// use the directory (see operator). Safe for concurrent use.
type keeper struct {
	cfg     Config
	store   store.Store
	file    *bolt.Store // nil in a cluster
	cluster pairs       // all that is in the cluster; nil without one
	node    string      // name of the node; "" without a cluster
	module  *soft.Module
	trail   *trail.Trail
	clock   *clock.Clock
	log     *slog.Logger

	// background is the context of what nobody asked for; not ok if another node does it.
	background func() (context.Context, bool)

	mu sync.Mutex // one change, or the beginning of one backup, at a time

	timing sync.Mutex // guards timer
	timer  *clock.Timer
}

func (s *server) newKeeper(cfg Config, module *soft.Module) *keeper {
	k := &keeper{cfg: cfg, store: s.shared, file: s.store.file, module: module, trail: s.trail, clock: s.clock, log: cfg.Logger, background: s.background}
	if s.store.node != nil {
		k.cluster, k.node = s.store.node.etcd, s.store.node.id
	}
	return k
}

// start finishes what an earlier run began, in the background, and makes removals final in time.
func (k *keeper) start(ctx context.Context) error {
	if len(k.module.Root().Epochs()) > 1 {
		k.clock.Go(func() { k.try(func() error { return k.locked(ctx, k.finish) }) })
	}
	if len(k.module.Root().SessionKeys()) > 1 {
		k.clock.Go(k.outdatedSessions)
	}
	return k.waitFinal(ctx)
}

// waitFinal has what was removed made final in time.
func (k *keeper) waitFinal(ctx context.Context) error {
	d, err := kms.Pending(ctx, k.store)
	if err != nil || d.Count == 0 {
		return err
	}
	k.wake(finalAfter - k.clock.Now().Sub(d.Since))
	return nil
}

// destroyed has a removal made final in time.
func (k *keeper) destroyed() { k.wake(finalAfter) }

// wake has the epoch end after d, unless it is to end already.
func (k *keeper) wake(d time.Duration) {
	k.timing.Lock()
	defer k.timing.Unlock()
	if k.timer != nil {
		return
	}
	k.timer = k.clock.AfterFunc(max(d, 0), func() {
		k.timing.Lock()
		k.timer = nil
		k.timing.Unlock()
		if ctx, ok := k.background(); ok {
			k.try(func() error { return k.makeFinal(ctx) })
		}
	})
}

// makeFinal ends the epoch of what was removed. An epoch that could not be ended before comes first.
func (k *keeper) makeFinal(ctx context.Context) error {
	if err := k.locked(ctx, k.finish); err != nil {
		return err
	}
	d, err := kms.Pending(ctx, k.store)
	if err != nil || d.Count == 0 {
		return err
	}
	if err := k.rotate(ctx, ""); err != nil {
		return err
	}
	if d, err = kms.Pending(ctx, k.store); d.Count > 0 { // removed meanwhile
		k.wake(finalAfter)
	}
	return err
}

// try does background work, and has it tried again.
func (k *keeper) try(f func() error) {
	if err := f(); err != nil && !store.Over(err) {
		store.Report(context.Background(), k.log, "the seal's epoch could not be ended; removed key material is not final yet", err)
		k.wake(finalAgain)
	}
}

func (k *keeper) locked(ctx context.Context, f func(context.Context) error) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.file == nil { // another node may have changed the seal: the keyring follows what is read
		if err := k.store.View(ctx, func(store.Tx) error { return nil }); err != nil {
			return err
		}
	}
	return f(ctx)
}

// rotate begins an epoch, with new locks if there are any, wraps all key material under it, and ends
// those before. by is empty for the server itself; everybody else renews the key of session tokens too.
func (k *keeper) rotate(ctx context.Context, by string, locks ...soft.Lock) error {
	return k.locked(ctx, func(ctx context.Context) error {
		var err error
		if len(locks) > 0 {
			err = k.module.Root().Reseal(ctx, locks...)
		} else {
			err = k.module.Root().BeginEpoch(ctx)
		}
		if err == nil && by != "" {
			err = k.renewSessions(ctx, false)
		}
		return k.recorded(ctx, "RotateSeal", by, k.afterwards(ctx, err))
	})
}

// add makes another way to open the seal.
func (k *keeper) add(ctx context.Context, by string, lock soft.Lock) error {
	return k.locked(ctx, func(ctx context.Context) error {
		return k.recorded(ctx, "AddSealSlot", by, k.module.Root().AddLock(ctx, lock))
	})
}

// remove takes one away, which changes what the others seal.
func (k *keeper) remove(ctx context.Context, by string, slot int, locks ...soft.Lock) error {
	return k.locked(ctx, func(ctx context.Context) error {
		err := k.module.Root().RemoveSlot(ctx, slot, locks...)
		if err == nil {
			err = k.renewSessions(ctx, false)
		}
		return k.recorded(ctx, "RemoveSealSlot", by, k.afterwards(ctx, err))
	})
}

// endSessions makes all session tokens worthless that there are.
func (k *keeper) endSessions(ctx context.Context, by string) error {
	return k.locked(ctx, func(ctx context.Context) error {
		return k.recorded(ctx, "EndSessions", by, k.renewSessions(ctx, true))
	})
}

// renewSessions makes a new key for session tokens, and has those before it end in time, or now. The
// caller holds mu.
func (k *keeper) renewSessions(ctx context.Context, end bool) error {
	err := k.module.Root().RenewSessions(ctx, k.cfg.Wall(), end)
	if err == nil && !end {
		k.clock.AfterFunc(soft.SessionLife, k.outdatedSessions)
	}
	return err
}

// outdatedSessions destroys the session keys whose time is over, by wall time as the tokens' is.
func (k *keeper) outdatedSessions() {
	asked := false
	err := k.locked(context.Background(), func(ctx context.Context) error {
		asked = true
		next, err := k.module.Root().EndSessions(ctx, k.cfg.Wall())
		if err != nil || !next.IsZero() {
			k.clock.AfterFunc(max(sessionsAgain, next.Sub(k.cfg.Wall())), k.outdatedSessions)
		}
		return err
	})
	store.Report(context.Background(), k.log, "an outdated key of session tokens was not destroyed yet", err)
	if !asked && !store.Over(err) { // the seal could not be looked at
		k.clock.AfterFunc(sessionsAgain, k.outdatedSessions)
	}
}

// afterwards finishes an epoch if it was begun.
func (k *keeper) afterwards(ctx context.Context, err error) error {
	if err != nil {
		return err
	}
	return k.finish(ctx)
}

// finish wraps all key material under the newest epoch and ends the others. A crash on the way
// leaves it to the next start. The caller holds mu.
func (k *keeper) finish(ctx context.Context) error {
	if len(k.module.Root().Epochs()) == 1 {
		return nil
	}
	// Read first: what is removed after this, some epoch after this one makes final.
	d, err := kms.Pending(ctx, k.store)
	if err != nil {
		return err
	}
	n, err := kms.RewrapAll(ctx, k.store, k.module)
	if err != nil {
		return fmt.Errorf("the older epochs of the seal stay: %w", err)
	}
	if err := k.module.Root().EndEpochs(ctx); err != nil {
		return err
	}
	k.log.Info("the older epochs of the seal have ended", "rewrapped", n, "removals made final", d.Count)
	k.clock.AfterFunc(lingering, func() {
		if err := k.module.Root().Forget(); err != nil {
			k.log.Error("an ended epoch stays in memory", "error", err)
		}
	})
	return kms.Finalize(ctx, k.store, d)
}

// recorded writes what was done to the seal into the audit log, and returns err.
func (k *keeper) recorded(ctx context.Context, name, by string, err error) error {
	event := setupEvent(guard.NewRequestID(), k.clock.Now())
	event.EventName = name
	if by != "" {
		event.UserIdentity.PrincipalID = by
	}
	if err != nil {
		event.ErrorCode, event.ErrorMessage = "Failed", err.Error()
	}
	rerr := k.store.Update(ctx, func(tx store.Tx) error {
		rec, found, err := setupTable.Get(tx, setupKey)
		if err != nil {
			return err
		}
		if event.RecipientAccountID = rec.Account; !found {
			event.RecipientAccountID = devManagement
		}
		return k.trail.PutTx(tx, event)
	})
	if rerr == nil {
		k.trail.Kick()
	}
	return errors.Join(err, rerr)
}

// A SealReport is what the operator may know of the seal and of keys in memory.
type SealReport struct {
	soft.SealStatus
	Serving bool `json:"serving"`
	// The rest is known only while the directory is open.
	Pinned      bool            `json:"pinned"`
	Ready       int             `json:"ready"`
	Bound       int             `json:"bound"`
	FIPS        bool            `json:"fips"`     // the profile
	FIPSMode    bool            `json:"fipsMode"` // of Go's Cryptographic Module
	FIPSVersion string          `json:"fipsVersion"`
	Pending     kms.Destruction `json:"pending,omitzero"`
	SessionKeys []uint32        `json:"sessionKeys,omitempty"` // whose tokens are accepted, the newest last
}

func (k *keeper) report(ctx context.Context) (SealReport, error) {
	r := SealReport{SealStatus: k.module.Root().Status(), Serving: true, Pinned: k.module.Pinned(), FIPS: k.cfg.FIPS}
	r.Ready, r.Bound = k.module.Ready()
	r.SessionKeys = k.module.Root().SessionKeys()
	r.FIPSMode, r.FIPSVersion = soft.FIPS()
	var err error
	r.Pending, err = kms.Pending(ctx, k.store)
	return r, err
}
