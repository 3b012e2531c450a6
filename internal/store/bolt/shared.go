package bolt

import (
	"runtime/debug"
	"sync"

	bolt "go.etcd.io/bbolt"

	"github.com/kagimori/kagimori/internal/store"
)

// shared is a read transaction that many views use at once, until the next batch of changes. bbolt's
// transactions are for one goroutine at a time, but of one that only reads, nothing changes when a bucket
// is searched; what does, opening a bucket, is done under a lock.
//
// Sharing costs views next to nothing to begin, and gives them memory: what is made of a snapshot once
// stays true for all that read it (see [store.Memo]).
type shared struct {
	tx    *bolt.Tx
	rev   store.Revision
	memos store.Memos

	users   int  // views that run; guarded by Store.sharing
	retired bool // the last one of them ends tx; guarded by Store.sharing

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
	s.sharing.Lock()
	defer s.sharing.Unlock()
	if s.private {
		return nil, nil
	}
	if s.current == nil {
		tx, err := s.begin(false)
		if err != nil {
			return nil, err
		}
		sh := &shared{tx: tx, buckets: map[string]*openBucket{}}
		if sh.rev, err = newest(tx); err != nil {
			rollback(tx)
			return nil, err
		}
		s.current = sh
	}
	s.current.users++
	return s.current, nil
}

// newest is the revision that a transaction shows.
func newest(tx *bolt.Tx) (rev store.Revision, err error) {
	defer reading(debug.SetPanicOnFault(true), "the store", &err)
	return revision(tx.Bucket(metaBucket)), nil
}

// leave ends a view of a shared snapshot.
func (s *Store) leave(v *view) {
	v.ended = true
	sh := v.shared
	s.sharing.Lock()
	sh.users--
	last := sh.retired && sh.users == 0
	s.sharing.Unlock()
	if last {
		rollback(sh.tx)
	}
}

// retire has views begin snapshots of their own, until share.
func (s *Store) retire() {
	s.sharing.Lock()
	sh := s.current
	s.current, s.private = nil, true
	unused := false
	if sh != nil {
		sh.retired = true
		unused = sh.users == 0
	}
	s.sharing.Unlock()
	if unused {
		rollback(sh.tx)
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
