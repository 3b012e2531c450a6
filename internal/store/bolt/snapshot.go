package bolt

import (
	"bytes"
	"iter"
	"runtime/debug"

	bolt "go.etcd.io/bbolt"

	"github.com/kagimori/kagimori/internal/store"
)

// metaBucket is ours; the contract keeps names that start with NUL from users.
var metaBucket = []byte("\x00kagimori")

// snapshot reads from a bbolt transaction; it is a [store.Source].
type snapshot struct {
	tx     *bolt.Tx
	name   string      // of the bucket used last
	bucket *openBucket // nil if none was found yet
	rev    store.Revision
	known  bool    // rev is set
	mixed  bool    // values without checksums are good
	shared *shared // if others read from tx too
	memory store.Memory
	ended  bool
}

// Memory is what the store remembers of what the snapshot has; nil for the source of an update, which has its own.
func (s *snapshot) Memory() *store.Memory {
	if s.ended || s.memory.Nothing() {
		return nil
	}
	return &s.memory
}

// Revision implements [store.Tx].
func (s *snapshot) Revision() store.Revision {
	if s.shared != nil {
		return s.shared.rev
	}
	if !s.known && !s.ended {
		s.rev, s.known = revision(s.tx.Bucket(metaBucket)), true
	}
	return s.rev
}

// open is a bucket; nil if nothing was ever put there.
func (s *snapshot) open(name string) (b *openBucket, err error) {
	if s.bucket != nil && s.name == name {
		return s.bucket, nil
	}
	if name == "" || name[0] == 0 {
		return nil, nil
	}
	defer reading(debug.SetPanicOnFault(true), name, &err)
	if s.shared != nil {
		b = s.shared.bucket(name)
	} else if found := s.tx.Bucket([]byte(name)); found != nil {
		b = &openBucket{Bucket: found}
	}
	if b == nil {
		return nil, missing(s.tx, name)
	}
	s.name, s.bucket = name, b
	return b, nil
}

// Get implements [store.Tx].
func (s *snapshot) Get(bucket, key string) (store.Value, bool, error) {
	return s.GetInto(bucket, key, nil)
}

// GetInto implements [store.Borrower].
func (s *snapshot) GetInto(bucket, key string, buf []byte) (store.Value, bool, error) {
	if s.ended {
		return store.Value{}, false, store.ErrEnded
	}
	s.memory.Saw(bucket)
	b, err := s.open(bucket)
	if b == nil || err != nil {
		return store.Value{}, false, err
	}
	raw, err := b.find(s.mixed, bucket, key)
	if raw == nil || err != nil {
		return store.Value{}, false, err
	}
	if buf == nil {
		return value(raw), true, nil
	}
	d, rev := data(raw)
	return store.Value{Data: append(buf[:0], d...), Rev: rev}, true, nil
}

// Scan implements [store.Tx].
func (s *snapshot) Scan(bucket string, r store.Range) iter.Seq2[store.Pair, error] {
	return func(yield func(store.Pair, error) bool) {
		if s.ended {
			yield(store.Pair{}, store.ErrEnded)
			return
		}
		s.memory.Saw(bucket)
		b, err := s.open(bucket)
		if err != nil {
			yield(store.Pair{}, err)
			return
		}
		if b == nil {
			return
		}
		lo, hi := r.Bounds()
		w := walk{c: b.Cursor(), bucket: bucket, lo: lo, hi: hi, reverse: r.Reverse, mixed: s.mixed}
		for first := true; ; first = false {
			k, raw, err := w.next(first)
			if err != nil {
				yield(store.Pair{}, err)
				return
			}
			if k == nil {
				return
			}
			p := store.Pair{Key: string(k)}
			if r.KeysOnly {
				_, p.Rev = data(raw)
			} else {
				p.Value = value(raw)
			}
			if !yield(p, nil) {
				return
			}
			if r.Limit--; r.Limit == 0 {
				return
			}
			if s.ended {
				yield(store.Pair{}, store.ErrEnded)
				return
			}
		}
	}
}

// start positions a cursor on the first pair of an interval in the direction of the scan.
func start(c *bolt.Cursor, lo, hi string, reverse bool) (key, raw []byte) {
	if !reverse {
		return c.Seek([]byte(lo))
	}
	if hi == "" {
		return c.Last()
	}
	if k, _ := c.Seek([]byte(hi)); k == nil {
		return c.Last()
	}
	return c.Prev()
}

func step(c *bolt.Cursor, reverse bool) (key, raw []byte) {
	if reverse {
		return c.Prev()
	}
	return c.Next()
}

// value is what a sound raw value says. bbolt's memory goes with its transaction, so the data is copied.
func value(raw []byte) store.Value {
	d, rev := data(raw)
	return store.Value{Data: bytes.Clone(d), Rev: rev}
}

// view is the [store.Tx] of a View.
type view struct{ snapshot }

func (v *view) end() {
	v.ended = true
	rollback(v.tx)
}

func (v *view) refuse() error {
	if v.ended {
		return store.ErrEnded
	}
	return store.ErrReadOnly
}

// Put implements [store.Tx].
func (v *view) Put(string, string, []byte) error { return v.refuse() }

// Delete implements [store.Tx].
func (v *view) Delete(string, string) error { return v.refuse() }
