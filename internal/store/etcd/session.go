package etcd

import (
	"context"
	"math"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// A session is the lease in etcd under which a node's commits leave their traces, so that the traces
// of a node that is gone go too.
type session struct {
	mu   sync.Mutex
	id   clientv3.LeaseID // 0: none; guarded by mu
	junk []string         // keys without a lease to remove at the end; guarded by mu
}

// sessionTime is how long the traces of a node stay that is gone: long enough to find out what became
// of a commit.
const sessionTime = 60 * time.Second

func seconds(d time.Duration) int64 { return max(1, int64(math.Ceil(d.Seconds()))) }

// lease is the lease of the session; it is made if there is none.
func (n *session) lease(ctx context.Context, s *Store) (clientv3.LeaseID, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.id != 0 {
		return n.id, nil
	}
	resp, err := s.grant(ctx, sessionTime)
	if err != nil {
		return 0, err
	}
	alive, err := s.client.KeepAlive(s.run, resp.ID)
	if err != nil {
		return 0, err
	}
	s.loops.Go(func() {
		for range alive {
		}
		n.forget(resp.ID)
	})
	n.id = resp.ID
	return n.id, nil
}

// grant makes a lease. A member that hangs is not waited for: one lease too many ends by itself.
func (s *Store) grant(ctx context.Context, long time.Duration) (resp *clientv3.LeaseGrantResponse, err error) {
	for {
		one, stop := context.WithTimeout(ctx, s.cfg.Patience/3)
		resp, err = s.client.Grant(one, seconds(long))
		late := one.Err() != nil && ctx.Err() == nil
		stop()
		if err == nil || !late {
			return resp, err
		}
	}
}

// forget drops a lease that has ended.
func (n *session) forget(id clientv3.LeaseID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.id == id {
		n.id = 0
	}
}

// remove has a key removed with the session.
func (n *session) remove(key string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.junk = append(n.junk, key)
}

// end gives the lease back.
func (n *session) end(s *Store) {
	n.mu.Lock()
	id, junk := n.id, n.junk
	n.id, n.junk = 0, nil
	n.mu.Unlock()
	ctx, cancel := context.WithTimeout(s.run, time.Second)
	defer cancel()
	for _, key := range junk {
		_, _ = s.client.Delete(ctx, key)
	}
	if id != 0 {
		_, _ = s.client.Revoke(ctx, id) // else it ends by itself
	}
}
