package etcd

import (
	"context"
	"fmt"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kagimori/kagimori/internal/store"
)

// freshness is what a node knows of its replica's age.
type freshness struct {
	mu     sync.Mutex
	at     time.Time               // everything committed before it is in the replica; guarded by mu
	failed bool                    // the last attempt to confirm it; guarded by mu
	cancel context.CancelCauseFunc // ends the watch that runs; guarded by mu
	round  *round                  // that is under way; guarded by mu
	next   *round                  // that begins after it; guarded by mu
}

// A round asks the cluster once, for all who wait for it.
type round struct {
	done chan struct{}
	err  error // set before done is closed
}

func (f *freshness) begin(at time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at, f.failed = at, false
}

// lost: the replica is of no use.
func (f *freshness) lost() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at, f.failed = time.Time{}, true
}

// confirmed: everything committed before at is in the replica.
func (f *freshness) confirmed(at time.Time, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failed = err != nil; err == nil && at.After(f.at) {
		f.at = at
	}
}

func (f *freshness) age() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return time.Since(f.at)
}

// since reports whether everything committed before a time is in the replica.
func (f *freshness) since(t time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.at.Before(t)
}

// interrupts has the watch that runs end by cancel where need be, until it is told that it ended.
func (f *freshness) interrupts(cancel context.CancelCauseFunc) (ended func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cancel = cancel
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.cancel = nil
	}
}

func (f *freshness) interrupt(cause error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cancel != nil {
		f.cancel(cause)
	}
}

// young is nil if the replica is not older than it may be. A node that was held up, or a cluster that
// changes its leader, is waited for; one that has been away for longer is not.
func (s *Store) young(ctx context.Context) error {
	bound := s.cfg.Staleness
	for end := time.Now().Add(2 * bound); ; {
		s.fresh.mu.Lock()
		age, failed := time.Since(s.fresh.at), s.fresh.failed
		s.fresh.mu.Unlock()
		if age <= bound {
			return nil
		}
		if failed && age > outage*bound || time.Now().After(end) {
			break
		}
		if s.confirm(ctx) != nil {
			if err := ctx.Err(); err != nil {
				return err
			}
			pause(ctx, 10*time.Millisecond)
		}
	}
	s.stats.refused.Add(1)
	return fmt.Errorf("%w: what this node knows may be older than %s", store.ErrUnavailable, bound)
}

// outage is how many times as old as it may be the replica is when nobody waits for it any more.
const outage = 5

// reachable is nil unless the cluster has been away for long: updates compare what they read with what is
// there, however old it is.
func (s *Store) reachable(ctx context.Context) error {
	if s.fresh.age() <= outage*s.cfg.Staleness {
		return nil
	}
	return s.young(ctx)
}

// confirm waits until the replica has everything that was committed before the call. Calls that wait
// together share a question to the cluster, which is asked after all of them came.
func (s *Store) confirm(ctx context.Context) error {
	f := &s.fresh
	f.mu.Lock()
	mine := f.next
	if mine == nil {
		mine = &round{done: make(chan struct{})}
		if f.round == nil {
			f.round = mine
			go s.rounds(mine)
		} else {
			f.next = mine
		}
	}
	f.mu.Unlock()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-mine.done:
		return mine.err
	}
}

// rounds runs a round, and those that are wanted by its end.
func (s *Store) rounds(r *round) {
	for r != nil {
		at := time.Now()
		r.err = s.ask()
		s.fresh.confirmed(at, r.err)
		close(r.done)
		s.fresh.mu.Lock()
		r = s.fresh.next
		s.fresh.round, s.fresh.next = r, nil
		s.fresh.mu.Unlock()
	}
}

// ask has the cluster say which revision is the newest, and waits for the replica.
func (s *Store) ask() error {
	ctx, cancel := context.WithTimeout(s.run, s.cfg.Staleness)
	defer cancel()
	before, _ := s.replica.current()
	resp, err := s.client.Get(ctx, s.space.own(floorKey), clientv3.WithCountOnly()) // linearizable: through the quorum
	if err != nil {
		return reason(err)
	}
	rev := resp.Header.Revision
	if rev < before.applied {
		s.fresh.interrupt(errWentBack)
		return reason(errWentBack)
	}
	now, _ := s.replica.current()
	for now.applied < rev {
		// Nothing of ours may have changed: then the watch tells only when it is asked to.
		if err := s.client.RequestProgress(clientv3.WithRequireLeader(ctx)); err != nil {
			return reason(err)
		}
		wait, stop := context.WithTimeout(ctx, 50*time.Millisecond)
		now, err = s.replica.until(wait, rev)
		stop()
		if err != nil && ctx.Err() != nil {
			return reason(err)
		}
	}
	return nil
}

// refresh confirms the replica's age, a few times within the bound.
func (s *Store) refresh() {
	for s.run.Err() == nil {
		pause(s.run, s.cfg.Staleness/5)
		if s.fresh.age() < s.cfg.Staleness/10 {
			continue
		}
		_ = s.confirm(s.run) // who reads is told
	}
}
