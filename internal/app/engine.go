package app

import (
	"context"
	"errors"

	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/store/bolt"
)

// An engine is the store of a server: a file of its own, or that of a cluster.
type engine struct {
	store.Store
	file *bolt.Store // nil in a cluster
	node *node       // nil without one
	// starting waits for the cluster until the server has started; nil without one.
	starting *startingStore
}

// started says that the server has started.
func (e *engine) started() {
	if e.starting != nil {
		e.starting.started.Store(true)
	}
}

func fileEngine(st *bolt.Store) *engine { return &engine{Store: st, file: st} }

// openEngine opens the file of the data directory.
func openEngine(cfg Config) (*engine, error) {
	st, err := openStore(cfg)
	if err != nil {
		return nil, err
	}
	return fileEngine(st), nil
}

// Close closes the store.
func (e *engine) Close() error {
	if e.node == nil {
		return e.Store.Close()
	}
	return errors.Join(e.node.leave(), e.Store.Close(), e.node.local.Close())
}

// empty removes everything, but for the seal, and what nodes say of themselves.
func (e *engine) empty(ctx context.Context) error {
	if e.node == nil {
		return nil // the file goes as a whole
	}
	return e.node.etcd.Clear(ctx, memberTable.Bucket, modeTable.Bucket, sealBucket)
}

// name is that of the node; "" without a cluster.
func (e *engine) name() string {
	if e.node == nil {
		return ""
	}
	return e.node.id
}
