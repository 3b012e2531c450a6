package etcd

import "context"

// Each gives every pair of one moment, which is not before the call, to fn, by bucket and key, until fn
// fails. What fn gets may be kept, not changed.
func (s *Store) Each(ctx context.Context, fn func(bucket, key string, data []byte) error) error {
	if err := s.confirm(ctx); err != nil {
		return err
	}
	now, _ := s.replica.current()
	var err error
	now.tree.Ascend(func(i item) bool {
		if bucket, key, ok := s.space.split(i.key); ok && i.live() {
			err = fn(bucket, key, i.value().Data)
		}
		if err == nil {
			err = ctx.Err()
		}
		return err == nil
	})
	return err
}
