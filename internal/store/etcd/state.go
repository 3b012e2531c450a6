package etcd

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"

	"github.com/google/btree"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kagimori/kagimori/internal/store"
)

// An item is a pair, or a tombstone, of the replica.
type item struct {
	key  string // in etcd
	data []byte // with its first byte
	rev  int64
}

func (i *item) live() bool { return i.data[0] == alive }

func (i *item) value() store.Value {
	return store.Value{Data: i.data[1:len(i.data):len(i.data)], Rev: store.Revision(i.rev)}
}

const degree = 32

func newTree() *btree.BTreeG[item] {
	return btree.NewG(degree, func(a, b item) bool { return a.key < b.key })
}

// A state is everything as of a revision. It does not change.
type state struct {
	tree    *btree.BTreeG[item]
	applied int64          // every change up to this revision is in
	newest  store.Revision // of what is in
	memos   *store.Memos   // of what was in since everything was read
}

// within yields what is between two keys, tombstones included.
func (s *state) within(lo, hi string, reverse bool) iter.Seq[item] {
	return func(yield func(item) bool) {
		if lo >= hi {
			return
		}
		if !reverse {
			s.tree.AscendRange(item{key: lo}, item{key: hi}, yield)
			return
		}
		s.tree.DescendLessOrEqual(item{key: hi}, func(i item) bool {
			return i.key == hi || i.key >= lo && yield(i)
		})
	}
}

// A replica follows the data in etcd. One goroutine changes it; anybody reads its states.
type replica struct {
	space   space
	history *store.History
	tree    *btree.BTreeG[item]
	newest  store.Revision
	memos   *store.Memos

	mu     sync.Mutex
	now    *state        // guarded by mu
	news   chan struct{} // closed with the next state; guarded by mu
	graves []grave       // tombstones, oldest first but for those of before the start; guarded by mu
}

// A grave is a tombstone that is to be removed.
type grave struct {
	key string
	rev int64
}

func newReplica(p space) *replica {
	return &replica{space: p, news: make(chan struct{}), memos: new(store.Memos)}
}

// current is the newest state, and what is closed when there is a newer one.
func (r *replica) current() (*state, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now, r.news
}

// until waits for a state with everything up to a revision. It returns the newest one in any case.
func (r *replica) until(ctx context.Context, rev int64) (*state, error) {
	for {
		now, news := r.current()
		if now.applied >= rev {
			return now, nil
		}
		select {
		case <-ctx.Done():
			return now, ctx.Err()
		case <-news:
		}
	}
}

// publish shows what has been applied, up to a revision.
func (r *replica) publish(rev int64) {
	next := &state{tree: r.tree.Clone(), applied: rev, newest: r.newest, memos: r.memos}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now = next
	close(r.news)
	r.news = make(chan struct{})
}

// progressed notes that there was nothing for us up to a revision.
func (r *replica) progressed(rev int64) {
	now, _ := r.current()
	if rev <= now.applied {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now = &state{tree: now.tree, applied: rev, newest: now.newest, memos: now.memos}
	close(r.news)
	r.news = make(chan struct{})
}

// put takes a pair as etcd has it.
func (r *replica) put(kv *mvccpb.KeyValue) error {
	if len(kv.Value) == 0 || kv.Value[0] > alive {
		return fmt.Errorf("%w: the key %q in etcd is none of kagimori's; give --store a prefix of its own", store.ErrCorrupt, kv.Key)
	}
	i := item{key: string(kv.Key), data: kv.Value, rev: kv.ModRevision}
	r.tree.ReplaceOrInsert(i)
	r.newest = max(r.newest, store.Revision(i.rev))
	if !i.live() {
		r.mu.Lock()
		r.graves = append(r.graves, grave{i.key, i.rev})
		r.mu.Unlock()
	}
	return nil
}

// old are the tombstones up to a revision that are still there.
func (r *replica) old(upTo int64) []grave {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []grave
	r.graves = slices.DeleteFunc(r.graves, func(g grave) bool {
		if g.rev > upTo {
			return false
		}
		i, there := r.now.tree.Get(item{key: g.key})
		if there && i.rev == g.rev {
			out = append(out, g)
			return false
		}
		return true
	})
	return out
}

// apply takes what a watch tells: whole commits.
func (r *replica) apply(events []*clientv3.Event) error {
	var changes []store.Change
	for _, e := range events {
		key := string(e.Kv.Key)
		bucket, rest, ok := r.space.split(key)
		if !ok {
			continue
		}
		c := store.Change{Bucket: bucket, Event: store.Event{Rev: store.Revision(e.Kv.ModRevision), Key: rest}}
		if e.Type == clientv3.EventTypeDelete { // of a tombstone, whose change has been told
			was, there := r.tree.Delete(item{key: key})
			if !there || !was.live() {
				continue
			}
			c.Deleted = true
			r.newest = max(r.newest, c.Rev)
		} else {
			if err := r.put(e.Kv); err != nil {
				return err
			}
			if e.Kv.Value[0] == dead {
				c.Deleted = true
			} else {
				c.Data = e.Kv.Value[1:]
			}
		}
		changes = append(changes, c)
	}
	if len(changes) > 0 {
		r.memos.Changed(changes)
		r.history.Add(changes)
	}
	return nil
}

// loadPage is how many pairs are read at a time.
const loadPage = 500

// load reads everything, as of one revision.
func (r *replica) load(ctx context.Context, kv clientv3.KV) error {
	r.tree, r.newest, r.memos = newTree(), 0, new(store.Memos) // what was remembered may be of another past
	r.mu.Lock()
	r.graves = nil
	r.mu.Unlock()
	lo, hi := r.space.data()
	rev := int64(0)
	for {
		opts := []clientv3.OpOption{clientv3.WithRange(hi), clientv3.WithLimit(loadPage)}
		if rev > 0 {
			opts = append(opts, clientv3.WithRev(rev))
		}
		resp, err := kv.Get(ctx, lo, opts...)
		if err != nil {
			return err
		}
		if rev == 0 {
			rev = resp.Header.Revision
		}
		for _, p := range resp.Kvs {
			if err := r.put(p); err != nil {
				return err
			}
		}
		if !resp.More || len(resp.Kvs) == 0 {
			break
		}
		lo = string(resp.Kvs[len(resp.Kvs)-1].Key) + "\x00"
	}
	if r.history == nil {
		return fmt.Errorf("etcd: a replica without a history")
	}
	r.history.Reset(r.newest)
	r.publish(rev)
	return nil
}

// bucketOf is the name of a pair's bucket for messages.
func (p space) bucketOf(key string) string {
	bucket, _, _ := p.split(key)
	return strings.ToValidUTF8(bucket, "?")
}
