package bolt

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"iter"

	bolt "go.etcd.io/bbolt"

	"github.com/kagimori/kagimori/internal/store"
)

// metaBucket is ours; the contract keeps names that start with NUL from users.
var metaBucket = []byte("\x00kagimori")

// snapshot reads from a bbolt transaction; it is a [store.Source].
type snapshot struct {
	tx     *bolt.Tx
	name   string       // of the bucket used last
	bucket *bolt.Bucket // nil if none was found yet
	rev    store.Revision
	known  bool    // rev is set
	shared *shared // if others read from tx too
	ended  bool
}

// Memos are what the snapshot remembers; nil if it is of one view alone.
func (s *snapshot) Memos() *store.Memos {
	if s.shared == nil || s.ended {
		return nil
	}
	return &s.shared.memos
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

func (s *snapshot) open(name string) *bolt.Bucket {
	if s.bucket != nil && s.name == name {
		return s.bucket
	}
	if name == "" || name[0] == 0 {
		return nil
	}
	var b *bolt.Bucket
	if s.shared != nil {
		b = s.shared.bucket(name)
	} else {
		b = s.tx.Bucket([]byte(name))
	}
	if b != nil {
		s.name, s.bucket = name, b
	}
	return b
}

// Get implements [store.Tx].
func (s *snapshot) Get(bucket, key string) (store.Value, bool, error) {
	if s.ended {
		return store.Value{}, false, store.ErrEnded
	}
	b := s.open(bucket)
	if b == nil {
		return store.Value{}, false, nil
	}
	raw := b.Get([]byte(key))
	if raw == nil {
		return store.Value{}, false, nil
	}
	v, err := value(bucket, raw)
	return v, err == nil, err
}

// Scan implements [store.Tx].
func (s *snapshot) Scan(bucket string, r store.Range) iter.Seq2[store.Pair, error] {
	return func(yield func(store.Pair, error) bool) {
		if s.ended {
			yield(store.Pair{}, store.ErrEnded)
			return
		}
		b := s.open(bucket)
		if b == nil {
			return
		}
		lo, hi := r.Bounds()
		c := b.Cursor()
		for k, raw := start(c, lo, hi, r.Reverse); k != nil; k, raw = step(c, r.Reverse) {
			if r.Reverse && string(k) < lo || !r.Reverse && hi != "" && string(k) >= hi {
				return
			}
			v, err := value(bucket, raw)
			if !yield(store.Pair{Key: string(k), Value: v}, err) || err != nil {
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

// value takes a stored value apart: 8 bytes of revision, big-endian, then the data. bbolt's memory
// goes with its transaction, so the data is copied.
func value(bucket string, raw []byte) (store.Value, error) {
	if len(raw) < 8 {
		return store.Value{}, fmt.Errorf("%w: a value in %s has no revision", store.ErrCorrupt, bucket)
	}
	return store.Value{Data: bytes.Clone(raw[8:]), Rev: store.Revision(binary.BigEndian.Uint64(raw))}, nil
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
