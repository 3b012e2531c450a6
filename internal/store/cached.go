package store

import (
	"hash/maphash"
	"sync"

	"github.com/kagimori/kagimori/internal/recent"
)

// A Cached is a [Table] with a value built from each record and kept by revision, so that reading
// a record that has not changed costs neither decoding nor building. It never answers from a
// stale record: the revision is read in the transaction, unless it is known that nothing changed in the table since it was
// read last. Once it is full, it keeps only what is read again
// soon: of records that come by once each, it would keep none for long enough.
type Cached[T, V any] struct {
	Table[T]
	room  func() *T
	build func(*T) (V, error)
	limit int
	memo  Memo[*found[V]]
	seed  maphash.Seed
	bufs  sync.Pool // of *[]byte, for records that are read to be built from

	mu     sync.Mutex
	values *recent.List[cachedEntry[V]] // guarded by mu
}

type cachedEntry[V any] struct {
	key  string
	rev  Revision
	seen Revision // the newest as of which the record is known to be of rev; 0 if none is
	val  V
}

// found is what a snapshot remembers of a record.
type found[V any] struct{ val V }

// A Borrower is a transaction that reads into memory of the caller: GetInto is Get, and the data is in buf, which has
// a length of no meaning and is not nil, or in a larger one.
type Borrower interface {
	GetInto(bucket, key string, buf []byte) (v Value, ok bool, err error)
}

// NewCached keeps at most limit values of t. Values are shared between callers: build returns
// something that nobody changes.
func NewCached[T, V any](t Table[T], limit int, build func(T) (V, error)) *Cached[T, V] {
	return NewCachedView(t, limit, func() *T { return new(T) }, func(rec *T) (V, error) { return build(*rec) })
}

// NewCachedView is NewCached for large records: build is given one that nobody else has, and may keep it. It was read
// into what room made, an empty record.
func NewCachedView[T, V any](t Table[T], limit int, room func() *T, build func(*T) (V, error)) *Cached[T, V] {
	return &Cached[T, V]{
		Table: t, room: room, build: build, limit: limit, memo: NewMemo[*found[V]](), seed: maphash.MakeSeed(), values: recent.New[cachedEntry[V]](limit),
	}
}

// Shared reads the value of a record; ok is false if there is none.
func (c *Cached[T, V]) Shared(tx Tx, key ...string) (val V, ok bool, err error) {
	mem := memoryOf(tx, len(key))
	if mem == nil || c.limit > maxMemos { // of more than it can remember, a store would forget each before it is asked again
		val, ok, _, err = c.read(tx, mem, key)
		return val, ok, err
	}
	k := c.memo.key(key)
	if f, ok := mem.get(k); ok {
		return f.(*found[V]).val, true, nil
	}
	outer := mem.begin()
	val, ok, kept, err := c.read(tx, nil, key)
	var f *found[V]
	if kept {
		f = &found[V]{val}
	}
	mem.end(outer, k, f, kept)
	return val, ok, err
}

// read is Shared without what the snapshot remembers; kept is whether the value is kept for others. If mem, the
// transaction's, is not nil, it is asked whether a kept value needs no look at the record.
func (c *Cached[T, V]) read(tx Tx, mem *Memory, key []string) (val V, ok, kept bool, err error) {
	k := Key(key...)
	hash := maphash.String(c.seed, k)
	if mem != nil {
		if val, ok := c.unchanged(mem, hash, k); ok {
			return val, true, true, nil
		}
	}
	var raw Value
	if b, can := tx.(Borrower); can {
		buf, _ := c.bufs.Get().(*[]byte)
		if buf == nil {
			const usual = 1 << 10
			buf = new(make([]byte, 0, usual))
		}
		defer c.bufs.Put(buf)
		if raw, ok, err = b.GetInto(c.Bucket, k, *buf); ok {
			*buf = raw.Data
		}
	} else {
		raw, ok, err = tx.Get(c.Bucket, k)
	}
	if err != nil || !ok {
		return val, false, false, err
	}
	seen := mem.sees(c.Bucket)
	if raw.Rev != 0 {
		if val, ok := c.lookup(hash, k, raw.Rev, seen); ok {
			return val, true, true, nil
		}
	}
	rec := c.room()
	if err := c.decode(raw.Data, rec); err != nil {
		return val, false, false, err
	}
	if val, err = c.build(rec); err != nil {
		return val, false, false, err
	}
	return val, true, raw.Rev != 0 && c.keep(hash, cachedEntry[V]{k, raw.Rev, seen, val}), nil
}

// unchanged finds the value of a key if nothing has changed in the table since it is known to be true.
func (c *Cached[T, V]) unchanged(mem *Memory, hash uint64, key string) (val V, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.values.Get(hash)
	if e == nil || e.key != key || !mem.same(c.Bucket, e.seen) {
		return val, false
	}
	return e.val, true
}

// lookup finds the value of a key whose record is of a revision as of seen.
func (c *Cached[T, V]) lookup(hash uint64, key string, rev, seen Revision) (val V, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.values.Get(hash)
	if e == nil || e.key != key || e.rev != rev {
		return val, false
	}
	e.seen = max(e.seen, seen)
	return e.val, true
}

// keep keeps a value, if there is room or it was read before.
func (c *Cached[T, V]) keep(hash uint64, entry cachedEntry[V]) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.values.Peek(hash); (e == nil || e.key != entry.key) && !c.values.Welcome(hash) {
		return false
	}
	c.values.Put(hash, entry)
	return true
}
