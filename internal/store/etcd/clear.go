package etcd

import (
	"context"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kagimori/kagimori/internal/store"
)

// Clear removes everything, but for some buckets, in one step. Updates that run meanwhile run again.
func (s *Store) Clear(ctx context.Context, keep ...string) error {
	lo, hi := s.space.data()
	ops := []clientv3.Op{clientv3.OpPut(s.space.own(floorKey), s.node)}
	for _, b := range keep { // in their order
		from, to := s.space.bounds(b, store.Range{})
		ops = append(ops, clientv3.OpDelete(lo, clientv3.WithRange(from)))
		lo = to
	}
	ops = append(ops, clientv3.OpDelete(lo, clientv3.WithRange(hi)))
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Patience)
	defer cancel()
	resp, err := s.client.Txn(ctx).Then(ops...).Commit()
	if err != nil {
		return reason(err)
	}
	s.settle(resp.Header.Revision)
	return s.confirm(ctx)
}
