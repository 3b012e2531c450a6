package etcd

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mrand "math/rand/v2"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kagimori/kagimori/internal/store"
)

// maxRuns bounds how often the closure of an update runs.
const maxRuns = 100

// Update implements [store.Store].
func (s *Store) Update(ctx context.Context, fn func(store.Tx) error) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	// Updates of this node that met a conflict run again one after the other.
	waiting := false
	defer func() {
		if waiting {
			s.retries.Unlock()
		}
	}()
	wait := s.cfg.Patience
	if s.several() {
		wait /= 3 // a member that hangs is not waited for: another one is asked what became of it
	}
	for run := range maxRuns {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.reachable(ctx); err != nil {
			return err
		}
		snap, writes, fnErr, limit := s.attempt(fn)
		if limit != nil {
			return limit
		}
		began := time.Now()
		rev, done, err := s.commit(ctx, snap, writes, wait)
		switch {
		case err != nil:
			return err
		case done && fnErr == nil && rev > 0:
			s.stats.commits.Add(1)
			s.settle(rev)
			return nil
		case done:
			return fnErr
		}
		s.stats.conflicts.Add(1)
		if time.Since(began) > wait { // or the cluster is slow
			wait = min(2*wait, s.cfg.Patience)
		}
		if !waiting {
			s.retries.Lock()
			waiting = true
		}
		s.await(ctx, snap.state, run)
	}
	return fmt.Errorf("%w: too many others change the same", store.ErrUnavailable)
}

// attempt runs a closure on the newest state. limit is the first limit that it broke.
func (s *Store) attempt(fn func(store.Tx) error) (snap *snapshot, writes []store.Write, err, limit error) {
	now, _ := s.replica.current()
	snap = &snapshot{space: s.space, state: now, records: true}
	o := store.NewOverlay(snap)
	defer func() {
		limit = o.End()
		snap.ended = true
	}()
	if err = fn(o); err == nil {
		writes = o.Writes()
	}
	return snap, writes, err, nil
}

// settle waits until a commit can be read on this node. If that takes too long nobody reads it here
// any more: the replica is too old.
func (s *Store) settle(rev int64) {
	ctx, cancel := context.WithTimeout(s.run, s.cfg.Staleness)
	defer cancel()
	_, _ = s.replica.until(ctx, rev)
}

// await waits for what a transaction did not see, a little longer each time.
func (s *Store) await(ctx context.Context, seen *state, run int) {
	most := min(time.Millisecond<<min(run, 7), 100*time.Millisecond)
	ctx, cancel := context.WithTimeout(ctx, most/2+mrand.N(most))
	defer cancel()
	if run > 0 {
		pause(ctx, mrand.N(most/2+1))
	}
	now, news := s.replica.current()
	if now.applied > seen.applied {
		return
	}
	select {
	case <-ctx.Done():
	case <-news:
	}
}

// commit writes what a transaction wrote if what it read is unchanged, in one transaction of etcd, whose
// answer it waits for so long. rev is 0 if nothing was to be written.
func (s *Store) commit(ctx context.Context, snap *snapshot, writes []store.Write, wait time.Duration) (rev int64, done bool, err error) {
	t := &attempt{s: s, cmps: snap.unchanged(), wait: wait}
	if len(writes) > 0 { // who only reads needs no lease
		t.fence, t.fenced = store.FenceOf(ctx)
	}
	if t.fenced {
		t.cmps = append(t.cmps, clientv3.Compare(clientv3.CreateRevision(s.space.own(leaseKey, t.fence.Lease)), "=", int64(t.fence.Token)))
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.Patience) // from here the commit decides
	defer cancel()
	if len(writes) == 0 {
		if len(t.cmps) == 0 {
			return 0, true, nil
		}
		return t.compare(ctx)
	}
	for _, w := range writes {
		value := tombstone
		if !w.Deleted {
			value = encode(w.Data())
		}
		t.ops = append(t.ops, clientv3.OpPut(s.space.key(w.Bucket, w.Key), value))
	}
	return t.commit(ctx)
}

// An attempt is a commit under way.
type attempt struct {
	s      *Store
	cmps   []clientv3.Cmp
	ops    []clientv3.Op
	fence  store.Fence
	fenced bool
	lane   *lane
	wait   time.Duration // for an answer
}

// compare tells whether everything is as it was. With a read in it, it goes through the quorum. It changes
// nothing, and may be asked again.
func (t *attempt) compare(ctx context.Context) (rev int64, done bool, err error) {
	for {
		one, stop := context.WithTimeout(ctx, t.wait)
		resp, err := t.s.client.Txn(one).If(t.cmps...).Then(clientv3.OpGet(t.s.space.own(floorKey), clientv3.WithCountOnly())).Commit()
		late := one.Err() != nil && ctx.Err() == nil
		stop()
		switch {
		case err == nil:
			return 0, resp.Succeeded, nil
		case !late:
			return 0, false, reason(err)
		}
	}
}

func (t *attempt) commit(ctx context.Context) (rev int64, done bool, err error) {
	for {
		lease, err := t.s.session.lease(ctx, t.s)
		if err != nil {
			return 0, false, reason(err)
		}
		one, stop := context.WithTimeout(ctx, t.wait)
		t.lane = t.s.lanes.take(t.s.space, t.s.node)
		id := rand.Text()
		txn := t.s.client.Txn(one).
			If(append(t.cmps[:len(t.cmps):len(t.cmps)], t.free())...).
			Then(append(t.ops[:len(t.ops):len(t.ops)], clientv3.OpPut(t.lane.key, id, clientv3.WithLease(lease)))...).
			Else(clientv3.OpGet(t.lane.key), clientv3.OpGet(t.s.space.own(leaseKey, t.fence.Lease)))
		resp, err := txn.Commit()
		stop()
		switch {
		case errors.Is(err, rpctypes.ErrLeaseNotFound):
			t.s.lanes.give(t.lane)
			t.s.session.forget(lease)
			continue
		case err != nil && definite(err):
			t.s.lanes.give(t.lane)
			return 0, false, reason(err)
		case err != nil:
			return t.resolve(id, err)
		}
		if resp.Succeeded {
			t.lane.rev = resp.Header.Revision
			t.s.lanes.give(t.lane)
			return resp.Header.Revision, true, nil
		}
		t.lane.rev = 0
		if kvs := resp.Responses[0].GetResponseRange().Kvs; len(kvs) > 0 {
			t.lane.rev = kvs[0].ModRevision
		}
		t.s.lanes.give(t.lane)
		if t.fenced {
			kvs := resp.Responses[1].GetResponseRange().Kvs
			if len(kvs) == 0 || kvs[0].CreateRevision != int64(t.fence.Token) {
				return 0, false, store.ErrFenced
			}
		}
		return 0, false, nil
	}
}

// free tells that no other commit used the lane meanwhile.
func (t *attempt) free() clientv3.Cmp {
	return clientv3.Compare(clientv3.ModRevision(t.lane.key), "=", t.lane.rev)
}

// resolve finds out what became of a commit whose answer was lost, or keeps it from happening. The
// lane is not used again.
func (t *attempt) resolve(id string, cause error) (rev int64, done bool, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.s.run), t.s.cfg.Patience)
	defer cancel()
	void := "void " + id
	for ctx.Err() == nil {
		one, stop := context.WithTimeout(ctx, time.Second)
		resp, err := t.s.client.Txn(one).If(t.free()).
			Then(clientv3.OpPut(t.lane.key, void)).
			Else(clientv3.OpGet(t.lane.key)).Commit()
		stop()
		if err != nil {
			pause(ctx, again)
			continue
		}
		// It has no lease: it stays until the node closes, and is small.
		if resp.Succeeded {
			t.s.session.remove(t.lane.key)
			return 0, false, nil
		}
		kvs := resp.Responses[0].GetResponseRange().Kvs
		switch {
		case len(kvs) == 1 && string(kvs[0].Value) == id:
			return kvs[0].ModRevision, true, nil
		case len(kvs) == 1 && string(kvs[0].Value) == void:
			t.s.session.remove(t.lane.key)
			return 0, false, nil
		}
		break
	}
	return 0, false, fmt.Errorf("%w: it is not known whether a change was made: %w", store.ErrUnavailable, cause)
}
