package bolt

import (
	"runtime/debug"
	"sync"
	"sync/atomic"

	bolt "go.etcd.io/bbolt"

	"github.com/kagimori/kagimori/internal/store"
)

// shared is a read transaction that many views use at once, until the next batch of changes. bbolt's
// transactions are for one goroutine at a time, but of one that only reads, nothing changes when a bucket
// is searched; what does, opening a bucket, is done under a lock.
//
// Sharing costs views next to nothing to begin, and gives them memory: what is made of records once stays true
// for all that see the same (see [store.Memo]).
type shared struct {
	tx  *bolt.Tx
	rev store.Revision

	users atomic.Int64 // views that run, and one more until it is retired; who makes it 0 ends tx

	mu      sync.RWMutex
	buckets map[string]*openBucket // guarded by mu
}

// openBucket is a bucket of a snapshot.
type openBucket struct {
	*bolt.Bucket
	seekers *sync.Pool // of *seeker, to be used again; nil if the snapshot is of one view alone
}

// A seeker looks for one key at a time.
type seeker struct {
	c   *bolt.Cursor
	key []byte
}

// find is [find], which leaves no garbage if the snapshot is shared.
func (b *openBucket) find(mixed bool, bucket, key string) (raw []byte, err error) {
	if b.seekers == nil {
		return find(b.Cursor(), mixed, bucket, []byte(key))
	}
	s, _ := b.seekers.Get().(*seeker)
	if s == nil {
		s = &seeker{c: b.Cursor()}
	}
	s.key = append(s.key[:0], key...)
	if raw, err = find(s.c, mixed, bucket, s.key); err == nil { // else bbolt may have left it anywhere
		b.seekers.Put(s)
	}
	return raw, err
}

// join gives a view the shared snapshot; nil if it is to have its own, while changes are committed: a
// commit that makes the file larger waits for every reader, so nothing may be held open for readers to
// come.
func (s *Store) join() (*shared, error) {
	if sh := s.current.Load(); sh != nil && sh.use() {
		return sh, nil
	}
	s.sharing.Lock()
	defer s.sharing.Unlock()
	if s.private {
		return nil, nil
	}
	sh := s.current.Load()
	if sh == nil {
		tx, err := s.begin(false)
		if err != nil {
			return nil, err
		}
		sh = &shared{tx: tx, buckets: map[string]*openBucket{}}
		if sh.rev, err = newest(tx); err != nil {
			rollback(tx)
			return nil, err
		}
		sh.users.Store(1)
		s.current.Store(sh)
	}
	sh.use() // it is not retired while sharing is held
	return sh, nil
}

// use adds a view, unless the transaction has ended.
func (sh *shared) use() bool {
	for {
		n := sh.users.Load()
		if n == 0 {
			return false
		}
		if sh.users.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// release takes a view away, or what the snapshot has until it is retired.
func (sh *shared) release() {
	if sh.users.Add(-1) == 0 {
		rollback(sh.tx)
	}
}

// newest is the revision that a transaction shows.
func newest(tx *bolt.Tx) (rev store.Revision, err error) {
	defer reading(debug.SetPanicOnFault(true), "the store", &err)
	return revision(tx.Bucket(metaBucket)), nil
}

// leave ends a view of a shared snapshot.
func (v *view) leave() {
	v.ended = true
	v.shared.release()
}

// retire has views begin snapshots of their own, until share.
func (s *Store) retire() {
	s.sharing.Lock()
	sh := s.current.Swap(nil)
	s.private = true
	s.sharing.Unlock()
	if sh != nil {
		sh.release()
	}
}

// share has views share a snapshot: one that begins from now on.
func (s *Store) share() {
	s.sharing.Lock()
	s.private = false
	s.sharing.Unlock()
}

func (sh *shared) bucket(name string) *openBucket {
	sh.mu.RLock()
	b := sh.buckets[name]
	sh.mu.RUnlock()
	if b != nil {
		return b
	}
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if b = sh.buckets[name]; b == nil {
		if found := sh.tx.Bucket([]byte(name)); found != nil {
			b = &openBucket{found, new(sync.Pool)}
			sh.buckets[name] = b
		}
	}
	return b
}
