package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/store"
)

// Formats of the store of a cluster, which has no volumes and snapshots. Since 2 keys are packed, and nodes say
// which format they know; since 3 grants are packed. Nodes go on with the format that the store has, so that those before them
// understand what they write, until an operator raises it (UpgradeCluster).
const (
	clusterFormat = 3
	// silentFormat is the last one whose nodes did not say what they know.
	silentFormat = 1
)

// A memberRecord is what a node says of itself while it runs.
type memberRecord struct {
	Format  int    `json:"format"` // the newest that it knows
	Version string `json:"version,omitempty"`
	URL     string `json:"url,omitempty"`
	// Process is the node's name for its commits; see [etcd.Store.Committers].
	Process string `json:"process"`
}

// memberTable has the nodes that run, by their names. One that crashed stays until it runs again, or is
// forgotten: it may only be cut off.
var memberTable = store.Table[memberRecord]{Bucket: "app/member", Version: 1}

// modeTable says for which kind of server a cluster's store is, and in which format, as the marker does of a
// directory.
var modeTable = store.Table[marker]{Bucket: "app/mode", Version: 1}

const modeKey = "mode"

// checkMode refuses to serve a development server's store as another kind, and the other way round, or one
// of a newer format. A new store gets the newest. A node is among its members from then on.
func checkMode(ctx context.Context, st store.Store, dev bool, id string, self memberRecord) error {
	return st.Update(ctx, func(tx store.Tx) error {
		m, found, err := modeTable.Get(tx, modeKey)
		switch {
		case err != nil:
			return err
		case !found:
			err = modeTable.Put(tx, marker{Format: clusterFormat, Dev: dev}, modeKey)
		case m.Format > clusterFormat:
			return newerCluster(m.Format)
		case m.Dev && !dev:
			return errors.New("the store in etcd belongs to development servers, whose credentials everybody knows; serve it with --dev or choose another prefix")
		case !m.Dev && dev:
			return errors.New("the store in etcd is not a development server's; serving it with --dev would open it to everybody")
		}
		if err != nil || id == "" {
			return err
		}
		return memberTable.Put(tx, self, id)
	})
}

func newerCluster(format int) error {
	return fmt.Errorf("the store in etcd was written by a newer kagimori (format %d; this one knows %d)", format, clusterFormat)
}

// leave says that the node runs no more.
func (n *node) leave() error {
	const patience = 2 * time.Second
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err := n.etcd.Update(ctx, func(tx store.Tx) error { return memberTable.Delete(tx, n.id) })
	if errors.Is(err, store.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) {
		return nil // as after a crash
	}
	return err
}

// A ClusterReport is the format of a cluster's store, before and after.
type ClusterReport struct {
	From, To int
	// Members are the nodes that run or crashed, with what they say of themselves, by their names.
	Members map[string]string
}

// UpgradeCluster raises the format of a cluster's store to the newest, once all nodes know it. forget names
// nodes that will not come again. Nodes go on serving meanwhile, and write the newest records from then on;
// those of an earlier version can no longer be started.
func UpgradeCluster(ctx context.Context, cfg Config, forget ...string) (r ClusterReport, err error) {
	st, err := openCluster(ctx, cfg)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	committers, err := st.Committers(ctx)
	if err != nil {
		return r, err
	}
	return r, st.Update(ctx, func(tx store.Tx) error {
		r = ClusterReport{Members: map[string]string{}}
		m, found, err := modeTable.Get(tx, modeKey)
		switch {
		case err != nil:
			return err
		case !found:
			return errors.New("there is no store of kagimori in etcd below the prefix")
		case m.Format > clusterFormat:
			return newerCluster(m.Format)
		}
		members, err := membersOf(tx)
		if err != nil {
			return err
		}
		for _, id := range forget {
			if _, ok := members[id]; !ok {
				return fmt.Errorf("there is no node %s to forget", id)
			}
			delete(members, id)
			if err := memberTable.Delete(tx, id); err != nil {
				return err
			}
		}
		for id, rec := range members {
			r.Members[id] = fmt.Sprintf("version %s, format %d, at %s", rec.Version, rec.Format, rec.URL)
		}
		r.From, r.To = m.Format, clusterFormat
		if m.Format == clusterFormat {
			return nil
		}
		if err := behind(tx, m.Format, members, committers); err != nil {
			return err
		}
		m.Format = clusterFormat
		return modeTable.Put(tx, m, modeKey)
	})
}

func membersOf(tx store.Tx) (map[string]memberRecord, error) {
	members := map[string]memberRecord{}
	for rec, err := range memberTable.Scan(tx) {
		if err != nil {
			return nil, err
		}
		members[rec.Key[0]] = rec.Value
	}
	return members, nil
}

// behind is what keeps the format from being raised: nodes that do not know the new one. Those that say
// nothing are found by what they committed lately, and by the work that they have.
func behind(tx store.Tx, format int, members map[string]memberRecord, committers []string) error {
	var old []string
	known := map[string]bool{}
	for _, id := range slices.Sorted(maps.Keys(members)) {
		if m := members[id]; m.Format < clusterFormat {
			old = append(old, fmt.Sprintf("%s (version %s, format %d)", id, m.Version, m.Format))
		}
		known[members[id].Process] = true
	}
	if len(old) > 0 {
		return fmt.Errorf("nodes run that know no format above %d, or crashed: %s. Stop them and start the new version in their place, or name with --forget those that will not come again",
			format, strings.Join(old, ", "))
	}
	if format > silentFormat {
		return nil
	}
	for _, c := range committers {
		if !known[c] {
			return errors.New("a node of a version that does not say which format it knows serves this store, or did in the last minute: stop it, and try again in a minute")
		}
	}
	lead, found, err := leaderTable.Get(tx, controllers)
	if err != nil || !found {
		return err
	}
	if _, ok := members[lead.Node]; !ok {
		return fmt.Errorf("the node %s works, or did last, and does not say which format it knows: start the new version in its place", lead.Node)
	}
	return nil
}

// level has a transaction write records of the format that the store has, and refuses one that this node
// does not know: it was forgotten when the format was raised.
func (n *nodeStore) level(tx store.Tx, get func(bucket, key string) (store.Value, bool, error)) error {
	raw, ok, err := get(modeTable.Bucket, store.Key(modeKey))
	if err != nil || !ok {
		return err
	}
	same := n.formatAt.Load() == int64(raw.Rev) // before format, which is written first
	format := int(n.format.Load())
	if !same {
		rec, err := modeTable.Decode(store.Pair{Key: store.Key(modeKey), Value: raw})
		if err != nil {
			return err
		}
		format = rec.Value.Format
		n.format.Store(int64(format))
		n.formatAt.Store(int64(raw.Rev))
	}
	if format > clusterFormat {
		return errors.Join(errOutdated, newerCluster(format))
	}
	if o, ok := tx.(*store.Overlay); ok && format < clusterFormat {
		o.SetLevel(format)
	}
	return nil
}

var errOutdated = errors.New("app: the store's format was raised while this node did not say that it runs")

// joined makes a node one of the members.
func (n *node) joined(ctx context.Context, st store.Store, cfg Config) error {
	return checkMode(ctx, st, cfg.Dev, n.id, memberRecord{Format: clusterFormat, Version: cfg.Version, URL: n.cfg.URL, Process: n.etcd.Node()})
}
