package etcd

import (
	"context"
	"errors"
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
	began  time.Time               // when it did; guarded by mu
	number int                     // of the watch; guarded by mu
	quiet  time.Duration           // for how long it may tell nothing; guarded by mu
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

// interrupts has the watch that begins end by cancel where need be, until it is told that it ended, and gives
// it a number.
func (f *freshness) interrupts(cancel context.CancelCauseFunc) (number int, ended func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cancel, f.began = cancel, time.Now()
	f.number++
	return f.number, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.cancel = nil
	}
}

// watch is the number of the watch that runs, or ran last.
func (f *freshness) watch() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.number
}

func (f *freshness) interrupt(cause error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cancel != nil {
		f.cancel(cause)
	}
}

// silent ends a watch that has told nothing of what the cluster has, if it had time enough; the next one
// has more, because it may be this node that is slow.
func (f *freshness) silent(bound time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.quiet = max(f.quiet, bound)
	if f.cancel != nil && time.Since(f.began) >= f.quiet {
		f.cancel(errSilent)
		f.quiet = min(2*f.quiet, 8*bound)
	}
}

// told: the watch works, or the next one will be of another member.
func (f *freshness) told() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.quiet = 0
}

// young is nil if the replica is not older than it may be. A node that was held up, or a cluster that
// changes its leader, is waited for; one that has been away for longer is not.
func (s *Store) young(ctx context.Context) error {
	bound := s.cfg.Staleness
	if s.fresh.age() <= bound { // as nearly always
		return nil
	}
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
	rev, err := s.newest(ctx)
	if err != nil {
		return reason(err)
	}
	if rev < before.applied {
		s.fresh.interrupt(errWentBack)
		return reason(errWentBack)
	}
	now, _ := s.replica.current()
	for now.applied < rev {
		// Nothing of ours may have changed: then the watch tells only when it is asked to.
		if err = s.client.RequestProgress(leading(ctx, s.fresh.watch())); err == nil {
			wait, stop := context.WithTimeout(ctx, 50*time.Millisecond)
			now, err = s.replica.until(wait, rev)
			stop()
		}
		if err != nil && ctx.Err() != nil {
			if now.applied == before.applied {
				s.fresh.silent(s.cfg.Staleness)
			}
			return reason(err)
		}
	}
	s.fresh.told()
	return nil
}

// errSilent: the cluster answers, but the watch does not tell what it has. The watch is of a member that
// hangs, or is cut off from the others; the next one is of another member.
var errSilent = errors.New("etcd: the watch fell silent")

// newest asks which revision is the newest, through the quorum. Questions go to the members in turn, and
// one that does not answer soon is not waited for alone: another one is asked too.
func (s *Store) newest(ctx context.Context) (rev int64, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type answer struct {
		rev int64
		err error
	}
	most := 1
	if s.several() {
		most = 3
	}
	answers := make(chan answer, most)
	asked, open := 0, 0
	ask := func() {
		asked, open = asked+1, open+1
		go func() {
			resp, err := s.client.Get(ctx, s.space.own(floorKey), clientv3.WithCountOnly())
			if err != nil {
				answers <- answer{err: err}
				return
			}
			answers <- answer{rev: resp.Header.Revision}
		}()
	}
	ask()
	again := time.NewTicker(s.cfg.Staleness / 4)
	defer again.Stop()
	for {
		select {
		case a := <-answers:
			if open--; a.err == nil || open == 0 {
				return a.rev, a.err
			}
		case <-again.C:
			if asked < most {
				ask()
			}
		}
	}
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
