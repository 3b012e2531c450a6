package etcd

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kagimori/kagimori/internal/store"
)

// samples remember which revision was the newest when.
type samples struct {
	mu   sync.Mutex
	list []sample // oldest first; guarded by mu
}

type sample struct {
	at  time.Time
	rev int64
}

// add takes a sample, and drops those older than needed.
func (l *samples) add(at time.Time, rev int64, keep time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, sample{at, rev})
	for len(l.list) > 1 && at.Sub(l.list[1].at) > keep {
		l.list = l.list[1:]
	}
}

// before is the newest revision known at a time; 0 if that is not remembered.
func (l *samples) before(at time.Time) (rev int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.list {
		if s.at.After(at) {
			break
		}
		rev = s.rev
	}
	return rev
}

// sweep removes old tombstones and revisions. All nodes do; what one has done the others find done.
func (s *Store) sweep() {
	every := max(s.cfg.Grave/6, 10*time.Millisecond)
	keep := max(s.cfg.Keep, s.cfg.Grave) + every
	compacted := time.Now()
	for s.run.Err() == nil {
		pause(s.run, every)
		now := time.Now()
		st, _ := s.replica.current()
		s.samples.add(now, st.applied, keep)
		if err := s.bury(s.samples.before(now.Add(-s.cfg.Grave))); err != nil && s.run.Err() == nil {
			s.log.Warn("deleted keys were not removed from etcd yet", "error", err)
		}
		if s.cfg.Keep > 0 && now.Sub(compacted) > s.cfg.Keep/2 {
			compacted = now
			if err := s.compact(s.run, s.samples.before(now.Add(-s.cfg.Keep))); err != nil && s.run.Err() == nil {
				s.log.Warn("old revisions in etcd were not compacted", "error", err)
			}
		}
	}
}

// bury removes the tombstones up to a revision. Each transaction writes the floor, which everybody
// compares who read a range or nothing.
func (s *Store) bury(upTo int64) error {
	old := s.replica.old(upTo)
	floor := s.space.own(floorKey)
	for len(old) > 0 {
		batch := old[:min(len(old), store.MaxOps)]
		old = old[len(batch):]
		var cmps []clientv3.Cmp
		ops := []clientv3.Op{clientv3.OpPut(floor, s.node)}
		for _, g := range batch {
			cmps = append(cmps, clientv3.Compare(clientv3.ModRevision(g.key), "=", g.rev))
			ops = append(ops, clientv3.OpDelete(g.key))
		}
		ctx, cancel := context.WithTimeout(s.run, s.cfg.Patience)
		_, err := s.client.Txn(ctx).If(cmps...).Then(ops...).Commit() // if somebody was faster, the next round sees it
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}

// compact has the cluster forget what was before a revision.
func (s *Store) compact(ctx context.Context, rev int64) error {
	if rev == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Patience)
	defer cancel()
	_, err := s.client.Compact(ctx, rev)
	if errors.Is(err, rpctypes.ErrCompacted) {
		return nil
	}
	return err
}

// Forget has the cluster forget everything but what is there now, as far as it can: its members keep
// old bytes in their files until they are defragmented, and in their snapshots.
func (s *Store) Forget(ctx context.Context) error {
	if err := s.confirm(ctx); err != nil {
		return err
	}
	st, _ := s.replica.current()
	return s.compact(ctx, st.applied)
}
