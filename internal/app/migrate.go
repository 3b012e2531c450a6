package app

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/ec2"
	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/store/bolt"
	"github.com/kagimori/kagimori/internal/store/etcd"
)

// pairs is an engine that tells all that it has, as of one moment.
type pairs interface {
	Each(ctx context.Context, fn func(bucket, key string, data []byte) error) error
}

// copyBytes bounds what is copied in one transaction.
const copyBytes = store.MaxBytes / 2

// copyPairs puts the pairs of one engine into another. place says in which bucket; "" leaves one out.
func copyPairs(ctx context.Context, from pairs, to store.Store, place func(bucket string) string) (n int, err error) {
	type pair struct {
		bucket, key string
		data        []byte
	}
	var batch []pair
	size := 0
	flush := func() error {
		err := to.Update(ctx, func(tx store.Tx) error {
			for _, p := range batch {
				if err := tx.Put(p.bucket, p.key, p.data); err != nil {
					return err
				}
			}
			return nil
		})
		n += len(batch)
		batch, size = batch[:0], 0
		return err
	}
	err = from.Each(ctx, func(bucket, key string, data []byte) error {
		if bucket = place(bucket); bucket == "" {
			return nil
		}
		more := len(bucket) + len(key) + len(data)
		if len(batch) == store.MaxOps || len(batch) > 0 && size+more > copyBytes {
			if err := flush(); err != nil {
				return err
			}
		}
		batch, size = append(batch, pair{bucket, key, data}), size+more
		return nil
	})
	if err == nil && len(batch) > 0 {
		err = flush()
	}
	return n, err
}

// plain is the bucket in which a single server has what nodes have in one: all but what is only about
// nodes. Records that a node did not move to its log go to the log of the server.
func plain(bucket string) string {
	switch {
	case bucket == sealBucket, bucket == leaderTable.Bucket, bucket == modeTable.Bucket, bucket == memberTable.Bucket:
		return ""
	case strings.HasPrefix(bucket, outboxes):
		return strings.TrimSuffix(outboxes, "/")
	}
	return bucket
}

const outboxes = "trail/outbox/"

// A Migration is a store that was copied.
type Migration struct {
	Pairs int
	// Moved are the files that were left behind, under other names.
	Moved []string
	// Node is the name of the node whose volumes those of the directory are, or were; "" if there is none.
	Node string
}

// MigrateToCluster puts the store and the seal of a data directory that nobody serves into etcd, where
// nothing may be. The directory keeps its volumes and its audit log, and can be a node's from then on.
func MigrateToCluster(ctx context.Context, cfg Config) (m Migration, err error) {
	o, err := OpenSealer(ctx, Config{Data: cfg.Data, Locks: cfg.Locks, Logger: cfg.Logger, Dev: cfg.Dev})
	if err != nil {
		return m, err
	}
	if o.client != nil {
		return m, errors.Join(fmt.Errorf("a server serves %s: stop it first", cfg.Data), o.Close())
	}
	defer func() { err = errors.Join(err, o.Close()) }()
	if err := o.s.trail.Flush(ctx); err != nil {
		return m, err
	}
	mark, err := readMarker(o.dir)
	if err != nil {
		return m, err
	}
	to, err := openCluster(ctx, cfg)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	lease, err := vacant(ctx, to)
	if err != nil {
		return m, err
	}
	defer lease.Release(context.WithoutCancel(ctx))
	if to.Stats().Pairs > 0 {
		return m, errors.New("there is something in etcd below the prefix already; choose another one, or remove it with etcdctl")
	}
	if err := checkMode(ctx, to, mark.Dev, "", memberRecord{}); err != nil {
		return m, err
	}
	if m.Pairs, err = copyPairs(ctx, o.s.store.file, to, plain); err != nil {
		return m, err
	}
	if m.Node, err = nameOfNode(ctx, cfg.Data, true); err != nil {
		return m, err
	}
	// The directory has the volumes: they are on its node from then on.
	if err := to.Update(ctx, func(tx store.Tx) error { return ec2.Inherit(tx, "", m.Node) }); err != nil {
		return m, err
	}
	seal, err := o.dir.ReadFile(sealFile)
	if err == nil { // last: a store without its seal is served by nobody
		err = sealPlace{to, "etcd"}.Swap(nil, seal)
	}
	if err != nil {
		return m, err
	}
	for _, name := range []string{storeFile, sealFile} {
		if err := o.dir.Rename(name, name+".moved"); err != nil {
			return m, err
		}
		m.Moved = append(m.Moved, filepath.Join(cfg.Data, name+".moved"))
	}
	return m, nil
}

// vacant takes the lease of who works, so that no node does.
func vacant(ctx context.Context, st *etcd.Store) (*etcd.Lease, error) {
	ctx, cancel := context.WithTimeout(ctx, 8*time.Second)
	defer cancel()
	lease, err := st.Acquire(ctx, controllers, "migration")
	if err != nil {
		return nil, errors.New("nodes serve the store in etcd: stop all of them first")
	}
	return lease, nil
}

// MigrateToFile puts the store and the seal that are in etcd into a data directory: an empty one, or that
// of a node, whose volumes stay. What is in etcd stays too.
func MigrateToFile(ctx context.Context, cfg Config) (m Migration, err error) {
	from, err := openCluster(ctx, cfg)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	lease, err := vacant(ctx, from)
	if err != nil {
		return m, err
	}
	defer lease.Release(context.WithoutCancel(ctx))
	seal, err := sealPlace{from, "etcd"}.Load()
	if err == nil && seal == nil {
		err = errors.New("there is no store of kagimori in etcd below the prefix")
	}
	if err != nil {
		return m, err
	}
	var mark marker
	if err := from.View(ctx, func(tx store.Tx) (err error) {
		mark, _, err = modeTable.Get(tx, modeKey)
		return err
	}); err != nil {
		return m, err
	}
	dir, err := openDataDir(cfg.Data, mark.Dev)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	for _, name := range []string{storeFile, sealFile} {
		if _, err := dir.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
			return m, errors.Join(fmt.Errorf("%s has a store of its own already: there is %s in it", cfg.Data, name), err)
		}
	}
	if m.Node, err = nameOfNode(ctx, cfg.Data, false); err != nil {
		return m, err
	}
	temp, n, err := fileOf(ctx, dir, from, m.Node)
	if err != nil {
		return m, err
	}
	m.Pairs = n
	// The seal first: a crash leaves a directory without a store, into which this can be done again.
	if err := replaceFile(dir, sealFile+".new", sealFile, seal); err != nil {
		return m, err
	}
	if err := errors.Join(makeFolders(dir, cfg.Data), raiseMarker(dir, dataFormat)); err != nil {
		return m, err
	}
	if err := dir.Rename(temp, storeFile); err != nil {
		return m, err
	}
	return m, syncFolder(dir, ".")
}

// fileOf makes a file with all that a cluster has, as a single server has it, under a temporary name. What is
// on the host of a node is that server's; "" is no node.
func fileOf(ctx context.Context, dir *os.Root, from pairs, node string) (name string, n int, err error) {
	name = storeFile + ".new-" + rand.Text()
	st, err := bolt.Open(bolt.Config{Path: filepath.Join(dir.Name(), name)})
	if err != nil {
		return "", 0, err
	}
	n, err = copyPairs(ctx, from, st, plain)
	if err == nil && node != "" {
		err = st.Update(ctx, func(tx store.Tx) error { return ec2.Inherit(tx, node, "") })
	}
	if err = errors.Join(err, st.Close()); err != nil {
		return "", n, errors.Join(err, dir.Remove(name))
	}
	return name, n, nil
}

func readMarker(dir *os.Root) (m marker, err error) {
	raw, err := dir.ReadFile(markerFile)
	if err != nil {
		return m, err
	}
	return m, json.Unmarshal(raw, &m)
}

// A StoreReport is what was found in a store.
type StoreReport struct {
	Buckets map[string]int // pairs of each
	Bytes   int64          // of keys and data
}

// CheckStore reads everything in a store, of a directory that nobody serves or in etcd, and says what is
// damaged: the engine's own structure, and records that are no records.
func CheckStore(ctx context.Context, cfg Config) (r StoreReport, err error) {
	var all pairs
	if cfg.Cluster != nil {
		st, err := openCluster(ctx, cfg)
		if err != nil {
			return r, err
		}
		defer func() { err = errors.Join(err, st.Close()) }()
		if err := st.Check(ctx); err != nil {
			return r, err
		}
		all = st
	} else {
		if _, err := os.Stat(filepath.Join(cfg.Data, storeFile)); err != nil {
			return r, fmt.Errorf("%s has no store of its own", cfg.Data)
		}
		st, err := openStore(cfg)
		if err != nil {
			return r, err
		}
		defer func() { err = errors.Join(err, st.Close()) }()
		if err := st.Check(); err != nil {
			return r, toRestore(err)
		}
		all = st
	}
	r.Buckets = map[string]int{}
	damaged := 0
	err = all.Each(ctx, func(bucket, key string, data []byte) error {
		r.Buckets[bucket]++
		r.Bytes += int64(len(bucket) + len(key) + len(data))
		if !store.Whole(data) {
			damaged++
			cfg.Logger.Error("a record is damaged", "bucket", bucket, "key", strings.Join(store.SplitKey(key), "/"))
		}
		return nil
	})
	if err == nil && damaged > 0 {
		err = toRestore(fmt.Errorf("%d records are damaged", damaged))
	}
	return r, err
}

// toRestore says what to do about damage.
func toRestore(err error) error {
	return fmt.Errorf("%w\nServe this store no more. Put the last backup in its place (kagimori store restore); what was changed since is in the audit log, and kagimori trail verify says whether that is whole", err)
}
