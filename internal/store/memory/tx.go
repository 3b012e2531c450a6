package memory

import (
	"bytes"
	"hash/maphash"
	"iter"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/kagimori/kagimori/internal/store"
)

var seed = maphash.MakeSeed()

// A bucket is its pairs in key order. Snapshots share it; commits copy it.
type bucket []entry

// entry is a pair with the checksum that its data had when it was written: the same slice is handed
// to everybody who reads it.
type entry struct {
	store.Pair
	sum uint64
}

func (e *entry) verify(bucket string) {
	if maphash.Bytes(seed, e.Data) != e.sum {
		changed("a value that was read", bucket, e.Key)
	}
}

func (b bucket) find(key string) (int, bool) {
	return slices.BinarySearchFunc(b, key, func(e entry, key string) int { return strings.Compare(e.Key, key) })
}

func (b bucket) clone() bucket { return append(make(bucket, 0, len(b)+1), b...) }

func (b bucket) apply(w store.Write, rev store.Revision) bucket {
	i, ok := b.find(w.Key)
	if w.Deleted {
		if ok {
			b = slices.Delete(b, i, i+1)
		}
		return b
	}
	e := entry{store.Pair{Key: w.Key, Value: store.Value{Data: w.Data(), Rev: rev}}, maphash.Bytes(seed, w.Data())}
	if ok {
		b[i] = e
		return b
	}
	return slices.Insert(b, i, e)
}

// within are the pairs of a range, in its direction.
func (b bucket) within(r store.Range) iter.Seq[*entry] {
	return func(yield func(*entry) bool) {
		lo, hi := r.Bounds()
		from, _ := b.find(lo)
		to := len(b)
		if hi != "" {
			to, _ = b.find(hi)
		}
		for n := 0; n < to-from && (r.Limit <= 0 || n < r.Limit); n++ {
			i := from + n
			if r.Reverse {
				i = to - 1 - n
			}
			if !yield(&b[i]) {
				return
			}
		}
	}
}

// snapshot is an unchanging state that remembers what was read of it; it is a [store.Source].
type snapshot struct {
	rev     store.Revision
	buckets map[string]bucket
	keys    map[[2]string]store.Revision // read, with what was found; 0 for nothing
	ranges  []*seen
}

// seen is what a scan saw: all of its range, or its beginning if the loop ended early.
type seen struct {
	bucket string
	r      store.Range
	found  []read
	all    bool
}

type read struct {
	key string
	rev store.Revision
}

func (n *snapshot) Revision() store.Revision { return n.rev }

func (n *snapshot) Get(bucket, key string) (store.Value, bool, error) {
	b := n.buckets[bucket]
	i, ok := b.find(key)
	if !ok {
		n.keys[[2]string{bucket, key}] = 0
		return store.Value{}, false, nil
	}
	b[i].verify(bucket)
	n.keys[[2]string{bucket, key}] = b[i].Rev
	return b[i].Value, true, nil
}

func (n *snapshot) Scan(bucket string, r store.Range) iter.Seq2[store.Pair, error] {
	return func(yield func(store.Pair, error) bool) {
		s := &seen{bucket: bucket, r: r}
		n.ranges = append(n.ranges, s)
		for e := range n.buckets[bucket].within(r) {
			e.verify(bucket)
			s.found = append(s.found, read{e.Key, e.Rev})
			if !yield(e.Pair, nil) {
				return
			}
		}
		s.all = true
	}
}

// unchanged reports whether everything that was read is the same in another state.
func (n *snapshot) unchanged(now map[string]bucket) bool {
	for k, rev := range n.keys {
		var current store.Revision
		if i, ok := now[k[0]].find(k[1]); ok {
			current = now[k[0]][i].Rev
		}
		if current != rev {
			return false
		}
	}
	for _, s := range n.ranges {
		if !s.unchanged(now[s.bucket]) {
			return false
		}
	}
	return true
}

func (s *seen) unchanged(now bucket) bool {
	i := 0
	for e := range now.within(s.r) {
		if i == len(s.found) {
			return !s.all // more than there was, or than was looked at
		}
		if s.found[i] != (read{e.Key, e.Rev}) {
			return false
		}
		i++
	}
	return i == len(s.found)
}

// readOnly is the store.Tx of a View.
type readOnly struct{ *snapshot }

func (readOnly) Put(string, string, []byte) error { return store.ErrReadOnly }
func (readOnly) Delete(string, string) error      { return store.ErrReadOnly }

// tx watches how a transaction is used.
type tx struct {
	store.Tx
	snap    *snapshot
	overlay *store.Overlay // nil in a View
	over    bool
	given   []slice // to Put
	got     []slice // from Get and Scan
}

// slice is one that may not change, and what it held.
type slice struct {
	bucket, key string
	data, was   []byte
}

// run calls the closure and looks afterwards whether it kept to the rules.
func (t *tx) run(fn func(store.Tx) error) error {
	defer func() { t.over = true }()
	err := fn(t)
	for _, s := range t.given {
		if !bytes.Equal(s.data, s.was) {
			changed("the slice given to Put", s.bucket, s.key)
		}
	}
	for _, s := range t.got {
		if !bytes.Equal(s.data, s.was) {
			changed("a value that was read", s.bucket, s.key)
		}
	}
	return err
}

func (t *tx) check() {
	if t.over {
		panic("memory: transaction used after its closure returned")
	}
}

func (t *tx) hand(bucket, key string, data []byte) {
	t.got = append(t.got, slice{bucket, key, data, bytes.Clone(data)})
}

// Get implements [store.Tx].
func (t *tx) Get(bucket, key string) (store.Value, bool, error) {
	t.check()
	v, ok, err := t.Tx.Get(bucket, key)
	if ok {
		t.hand(bucket, key, v.Data)
	}
	return v, ok, err
}

// Put implements [store.Tx].
func (t *tx) Put(bucket, key string, data []byte) error {
	t.check()
	t.given = append(t.given, slice{bucket, key, data, bytes.Clone(data)})
	return t.Tx.Put(bucket, key, data)
}

// Delete implements [store.Tx].
func (t *tx) Delete(bucket, key string) error {
	t.check()
	return t.Tx.Delete(bucket, key)
}

// Revision implements [store.Tx].
func (t *tx) Revision() store.Revision {
	t.check()
	return t.Tx.Revision()
}

// Scan implements [store.Tx].
func (t *tx) Scan(bucket string, r store.Range) iter.Seq2[store.Pair, error] {
	t.check()
	pairs := t.Tx.Scan(bucket, r)
	return func(yield func(store.Pair, error) bool) {
		t.check()
		for p, err := range pairs {
			if err == nil {
				t.hand(bucket, p.Key, p.Data)
			}
			if !yield(p, err) {
				return
			}
			t.check()
		}
	}
}

// goroutine is the number of the calling goroutine. Go has no call for it, on purpose; finding a
// transaction inside a transaction of the same goroutine is worth reading it from the stack trace.
func goroutine() uint64 {
	var buf [64]byte
	fields := bytes.Fields(buf[:runtime.Stack(buf[:], false)])
	id, err := strconv.ParseUint(string(fields[1]), 10, 64)
	if err != nil {
		panic("memory: no goroutine number: " + err.Error())
	}
	return id
}
