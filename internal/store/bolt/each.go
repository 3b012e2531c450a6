package bolt

import (
	"context"

	bolt "go.etcd.io/bbolt"
)

// Each gives every pair of one moment to fn, by bucket and key, until fn fails. What fn gets may be kept.
func (s *Store) Each(ctx context.Context, fn func(bucket, key string, data []byte) error) error {
	tx, err := s.begin(false)
	if err != nil {
		return err
	}
	defer rollback(tx)
	return tx.ForEach(func(name []byte, b *bolt.Bucket) error {
		if name[0] == 0 {
			return nil
		}
		bucket := string(name)
		return b.ForEach(func(k, raw []byte) error {
			err := sound(s.mixed, bucket, k, raw)
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				return err
			}
			return fn(bucket, string(k), value(raw).Data)
		})
	})
}
