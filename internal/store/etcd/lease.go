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

// A Lease is held by one node at a time. Its fence keeps one who held it before, and does not know yet
// that it is over, from changing anything.
type Lease struct {
	s     *Store
	id    clientv3.LeaseID
	key   string
	fence store.Fence
	done  chan struct{} // closed when it is over
	end   sync.Once
	stop  context.CancelFunc
}

// Acquire waits until a lease is this node's. value is for others to read with [Store.Holder].
func (s *Store) Acquire(ctx context.Context, name, value string) (*Lease, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if s.run.Err() != nil {
			return nil, store.ErrClosed
		}
		l, err := s.tryAcquire(ctx, name, value)
		if err != nil {
			s.log.Warn("a lease could not be asked for", "lease", name, "error", err)
			pause(ctx, again)
		}
		if l != nil {
			return l, nil
		}
	}
}

// tryAcquire returns nil without an error if somebody has the lease, after it has waited for its end.
func (s *Store) tryAcquire(ctx context.Context, name, value string) (*Lease, error) {
	key := s.space.own(leaseKey, name)
	one, stop := context.WithTimeout(ctx, s.cfg.Patience)
	defer stop()
	have, err := s.client.Get(one, key)
	if err != nil {
		return nil, err
	}
	if len(have.Kvs) > 0 {
		s.awaitEnd(ctx, key, have.Header.Revision)
		return nil, nil
	}
	asked := time.Now()
	grant, err := s.grant(one, s.cfg.Lease)
	if err != nil {
		return nil, err
	}
	resp, err := s.client.Txn(one).
		If(clientv3.Compare(clientv3.CreateRevision(key), "=", 0)).
		Then(clientv3.OpPut(key, value, clientv3.WithLease(grant.ID))).Commit()
	if err != nil || !resp.Succeeded {
		ctx, cancel := context.WithTimeout(s.run, time.Second) // whether or not the key was made
		defer cancel()
		_, _ = s.client.Revoke(ctx, grant.ID)
		return nil, err
	}
	run, cancel := context.WithCancel(s.run)
	l := &Lease{
		s: s, id: grant.ID, key: key, fence: store.Fence{Lease: name, Token: uint64(resp.Header.Revision)},
		done: make(chan struct{}), stop: cancel,
	}
	s.loops.Go(func() {
		l.keep(run, asked, time.Duration(grant.TTL)*time.Second)
		l.over()
	})
	return l, nil
}

// keep keeps the lease alive, until ctx ends, the cluster says that it is over, or it may be: it lasts for
// so long after the last time that was asked for, of what was answered. Questions go to the members in
// turn, so that one that hangs costs a part of that time only.
func (l *Lease) keep(ctx context.Context, asked time.Time, lasts time.Duration) {
	step := lasts / 6
	for next := step; ; {
		left := time.Until(asked.Add(lasts))
		if ctx.Err() != nil || left <= 0 {
			return
		}
		pause(ctx, min(next, left))
		began := time.Now()
		one, stop := context.WithTimeout(ctx, step)
		resp, err := l.s.client.KeepAliveOnce(one, l.id)
		stop()
		switch {
		case err == nil:
			asked, lasts, next = began, time.Duration(resp.TTL)*time.Second, step
		case errors.Is(err, rpctypes.ErrLeaseNotFound):
			return
		default:
			next = again
		}
	}
}

// awaitEnd waits until a key is removed, but not for ever: a watch may be late.
func (s *Store) awaitEnd(ctx context.Context, key string, rev int64) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Lease)
	defer cancel()
	for resp := range s.client.Watch(clientv3.WithRequireLeader(ctx), key, clientv3.WithRev(rev+1), clientv3.WithFilterPut()) {
		if len(resp.Events) > 0 || resp.Err() != nil {
			return
		}
	}
	pause(ctx, again)
}

func (l *Lease) over() {
	l.end.Do(func() {
		l.stop()
		close(l.done)
	})
}

// Fence is what updates of the holder carry.
func (l *Lease) Fence() store.Fence { return l.fence }

// Done is closed when the lease is over.
func (l *Lease) Done() <-chan struct{} { return l.done }

// Release gives the lease to whoever waits for it.
func (l *Lease) Release(ctx context.Context) {
	l.over()
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_, _ = l.s.client.Revoke(ctx, l.id) // else it ends by itself
}
