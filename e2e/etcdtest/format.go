package etcdtest

import (
	"context"
	"errors"

	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/store/etcd"
)

// A Mode is the record by which nodes agree on a format, as any version writes it.
type Mode struct {
	Format int  `json:"format"`
	Dev    bool `json:"dev"`
}

func modes() store.Table[Mode] { return store.Table[Mode]{Bucket: "app/mode", Version: 1} }

const modeKey = "mode"

// Put makes it the store's.
func (m Mode) Put(tx store.Tx) error { return modes().Put(tx, m, modeKey) }

// ModeOf is the store's.
func ModeOf(tx store.Tx) (Mode, error) {
	m, _, err := modes().Get(tx, modeKey)
	return m, err
}

// Begin makes the store of development nodes that is to come in a format, which they go on with.
func Begin(ctx context.Context, endpoints []string, prefix string, format int) error {
	s, err := etcd.Open(ctx, etcd.Config{Endpoints: endpoints, Prefix: prefix})
	if err != nil {
		return err
	}
	return errors.Join(s.Update(ctx, Mode{Format: format, Dev: true}.Put), s.Close())
}
