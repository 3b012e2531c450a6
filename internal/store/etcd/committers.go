package etcd

import (
	"context"
	"slices"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kagimori/kagimori/internal/store"
)

// Committers are the processes, by their names (see [Store.Node]), that committed something and run, or
// ended without saying so in the last minute. This one is not among them.
func (s *Store) Committers(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Patience)
	defer cancel()
	base := s.space.own(commitKey)
	resp, err := s.client.Get(ctx, base, clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		return nil, reason(err)
	}
	var out []string
	for _, kv := range resp.Kvs {
		if parts := store.SplitKey(string(kv.Key[len(base):])); len(parts) > 0 && parts[0] != s.node {
			out = append(out, parts[0])
		}
	}
	return slices.Compact(out), nil // in the order of keys
}
