package store

import (
	"container/list"
	"sync"
)

// A Cached is a [Table] with a value built from each record and kept by revision, so that reading
// a record that has not changed costs neither decoding nor building. It never answers from a
// stale record: the revision is read in the transaction.
type Cached[T, V any] struct {
	Table[T]
	build func(T) (V, error)
	limit int
	memo  Memo[*found[V]]

	mu    sync.Mutex
	byKey map[string]*list.Element // guarded by mu
	order *list.List               // most recently used first; guarded by mu
}

type cachedEntry[V any] struct {
	key string
	rev Revision
	val V
}

// found is what a snapshot remembers of a record.
type found[V any] struct{ val V }

// NewCached keeps at most limit values of t. Values are shared between callers: build returns
// something that nobody changes.
func NewCached[T, V any](t Table[T], limit int, build func(T) (V, error)) *Cached[T, V] {
	return &Cached[T, V]{Table: t, build: build, limit: limit, memo: NewMemo[*found[V]](), byKey: map[string]*list.Element{}, order: list.New()}
}

// Shared reads the value of a record; ok is false if there is none.
func (c *Cached[T, V]) Shared(tx Tx, key ...string) (val V, ok bool, err error) {
	all := memosOf(tx, len(key))
	if all == nil {
		return c.read(tx, key...)
	}
	k := c.memo.key(key)
	if f, ok := all.get(k); ok {
		return f.(*found[V]).val, true, nil
	}
	if val, ok, err = c.read(tx, key...); ok && err == nil {
		all.put(k, &found[V]{val})
	}
	return val, ok, err
}

// read is Shared without what the snapshot remembers.
func (c *Cached[T, V]) read(tx Tx, key ...string) (val V, ok bool, err error) {
	k := Key(key...)
	raw, ok, err := tx.Get(c.Bucket, k)
	if err != nil || !ok {
		return val, false, err
	}
	if raw.Rev != 0 {
		if val, ok := c.lookup(k, raw.Rev); ok {
			return val, true, nil
		}
	}
	var rec T
	if err := c.decode(raw.Data, &rec); err != nil {
		return val, false, err
	}
	if val, err = c.build(rec); err != nil {
		return val, false, err
	}
	if raw.Rev != 0 {
		c.keep(k, raw.Rev, val)
	}
	return val, true, nil
}

func (c *Cached[T, V]) lookup(key string, rev Revision) (val V, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	el := c.byKey[key]
	if el == nil {
		return val, false
	}
	e := el.Value.(*cachedEntry[V])
	if e.rev != rev {
		return val, false
	}
	c.order.MoveToFront(el)
	return e.val, true
}

func (c *Cached[T, V]) keep(key string, rev Revision, val V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if el := c.byKey[key]; el != nil {
		el.Value = &cachedEntry[V]{key, rev, val}
		c.order.MoveToFront(el)
		return
	}
	c.byKey[key] = c.order.PushFront(&cachedEntry[V]{key, rev, val})
	if c.order.Len() > c.limit {
		last := c.order.Back()
		delete(c.byKey, last.Value.(*cachedEntry[V]).key)
		c.order.Remove(last)
	}
}
