package app

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/hsm/soft"
	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/store/bolt"
	"github.com/kagimori/kagimori/internal/store/etcd"
)

// A Cluster is the etcd cluster that several nodes keep their store in.
type Cluster struct {
	Endpoints      []string
	Prefix         string      // of all keys; "kagimori/" if empty
	TLS            *tls.Config // of connections to etcd; nil: none
	User, Password string
	// Linearizable has every read see all that was committed before it, instead of what is at most a
	// second old.
	Linearizable bool
	// URL is where the other nodes reach this one.
	URL string
	// PeerTLS is how this node checks the certificates of the others; nil: as every client would.
	PeerTLS *tls.Config
}

// node is this process among those of the cluster.
type node struct {
	id    string // that of the data directory
	etcd  *etcd.Store
	local *bolt.Store // what only concerns this node; its lock keeps other processes out
	cfg   *Cluster
}

// nodeFile is the node's own small store in the data directory.
const nodeFile = "node.db"

type nodeRecord struct {
	ID string `json:"id"`
}

var nodeTable = store.Table[nodeRecord]{Bucket: "node", Version: 1}

// join opens a node: the directory's own store, and that of the cluster.
func join(ctx context.Context, cfg Config) (*engine, error) {
	local, err := bolt.Open(bolt.Config{Path: filepath.Join(cfg.Data, nodeFile), NoSync: cfg.NoSync, Logger: cfg.Logger})
	if errors.Is(err, store.ErrLocked) {
		return nil, inUse(cfg.Data)
	}
	if err != nil {
		return nil, fmt.Errorf("the data directory %s cannot be used: %s", cfg.Data, strings.TrimPrefix(err.Error(), "store: "))
	}
	n := &node{local: local, cfg: cfg.Cluster}
	if err := sweepTemp(cfg.Data); err != nil {
		return nil, errors.Join(err, local.Close())
	}
	if err := n.open(ctx, cfg); err != nil {
		return nil, errors.Join(err, local.Close())
	}
	first := newStarting(n.etcd, cfg.Logger)
	if err := n.joined(ctx, first, cfg); err != nil {
		return nil, errors.Join(err, n.etcd.Close(), local.Close())
	}
	return &engine{Store: first, node: n, starting: first}, nil
}

// sweepTemp removes what a backup left that was interrupted.
func sweepTemp(data string) error {
	old, err := filepath.Glob(filepath.Join(data, storeFile+".new-*"))
	for _, name := range old {
		err = errors.Join(err, os.Remove(name))
	}
	return err
}

func (n *node) open(ctx context.Context, cfg Config) error {
	var err error
	if n.id, err = nodeName(ctx, n.local); err != nil {
		return err
	}
	n.etcd, err = openClusterWithin(ctx, cfg, startPatience)
	return err
}

// nodeName is the name of the node of a directory, which it gets if it has none.
func nodeName(ctx context.Context, local *bolt.Store) (id string, err error) {
	err = local.Update(ctx, func(tx store.Tx) error {
		rec, found, err := nodeTable.Get(tx, "self")
		if id = rec.ID; err != nil || found {
			return err
		}
		id = "node-" + strings.ToLower(rand.Text()[:12])
		return nodeTable.Put(tx, nodeRecord{id}, "self")
	})
	return id, err
}

// nameOfNode is nodeName for a directory that nobody serves. With make false it is "" if there is no node's store.
func nameOfNode(ctx context.Context, data string, make bool) (id string, err error) {
	path := filepath.Join(data, nodeFile)
	if _, err := os.Stat(path); !make && errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	local, err := bolt.Open(bolt.Config{Path: path})
	if errors.Is(err, store.ErrLocked) {
		return "", inUse(data)
	}
	if err != nil {
		return "", err
	}
	id, err = nodeName(ctx, local)
	return id, errors.Join(err, local.Close())
}

// openCluster opens the store of a cluster, and puts what is wrong in a sentence.
func openCluster(ctx context.Context, cfg Config) (*etcd.Store, error) {
	return openClusterWithin(ctx, cfg, 0)
}

// openClusterWithin is openCluster for who waits longer for a cluster that cannot be used for the moment.
func openClusterWithin(ctx context.Context, cfg Config, wait time.Duration) (*etcd.Store, error) {
	c := cfg.Cluster
	st, err := etcd.Open(ctx, etcd.Config{
		Wait:      wait,
		Endpoints: c.Endpoints, Prefix: c.Prefix, TLS: c.TLS, User: c.User, Password: c.Password, Linearizable: c.Linearizable, Logger: cfg.Logger,
	})
	if err != nil {
		return nil, fmt.Errorf("the store etcd://%s/%s cannot be used: %s", strings.Join(c.Endpoints, ","), c.Prefix, strings.TrimPrefix(err.Error(), "store: "))
	}
	return st, nil
}

// sealBucket holds the seal of a cluster, and nothing else.
const sealBucket = "app/seal"

type sealRecord struct {
	Seal []byte `json:"seal"`
}

var sealTable = store.Table[sealRecord]{Bucket: sealBucket, Version: 1}

const sealKey = "seal"

// sealPlace is where the nodes of a cluster share their seal.
type sealPlace struct {
	st   store.Store
	name string
}

// Load implements [soft.Shared].
func (p sealPlace) Load() (data []byte, err error) {
	err = p.st.Update(context.Background(), func(tx store.Tx) error { // an update: what is read is compared
		rec, _, err := sealTable.Get(tx, sealKey)
		data = rec.Seal
		return err
	})
	return data, err
}

// Swap implements [soft.Shared].
func (p sealPlace) Swap(old, fresh []byte) error {
	return p.st.Update(context.Background(), func(tx store.Tx) error {
		rec, found, err := sealTable.Get(tx, sealKey)
		if err != nil {
			return err
		}
		if found != (old != nil) || string(rec.Seal) != string(old) {
			return soft.ErrSealChanged
		}
		return sealTable.Put(tx, sealRecord{fresh}, sealKey)
	})
}

// Name implements [soft.Shared].
func (p sealPlace) Name() string { return p.name }

// place is where the seal of a server is.
func (e *engine) place(cfg Config) soft.Seal {
	return soft.Seal{Shared: sealPlace{e.Store, "the seal in etcd below " + cmp.Or(e.node.cfg.Prefix, "kagimori/")}}
}
