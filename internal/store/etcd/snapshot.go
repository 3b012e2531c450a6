package etcd

import (
	"iter"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kagimori/kagimori/internal/store"
)

// snapshot reads from a state; it is a [store.Source]. That of an update remembers what was read.
type snapshot struct {
	space  space
	state  *state
	ended  bool
	memory store.Memory

	records bool
	keys    map[string]int64 // in etcd, with the revision that was found; 0 for nothing
	ranges  [][2]string
}

// Revision implements [store.Tx].
func (s *snapshot) Revision() store.Revision { return s.state.newest }

// Memory is what all who only read remember; nil for an update, which has to read for itself.
func (s *snapshot) Memory() *store.Memory {
	if s.records || s.ended {
		return nil
	}
	return &s.memory
}

// Get implements [store.Tx].
func (s *snapshot) Get(bucket, key string) (store.Value, bool, error) {
	if s.ended {
		return store.Value{}, false, store.ErrEnded
	}
	s.memory.Saw(bucket)
	if !valid(bucket, key) {
		return store.Value{}, false, nil
	}
	k := s.space.key(bucket, key)
	i, found := s.state.tree.Get(item{key: k})
	if s.records {
		if s.keys == nil {
			s.keys = map[string]int64{}
		}
		s.keys[k] = i.rev
	}
	if !found || !i.live() {
		return store.Value{}, false, nil
	}
	return i.value(), true, nil
}

// Scan implements [store.Tx]. If the loop ends early, only what it looked at was read.
func (s *snapshot) Scan(bucket string, r store.Range) iter.Seq2[store.Pair, error] {
	return func(yield func(store.Pair, error) bool) {
		if s.ended {
			yield(store.Pair{}, store.ErrEnded)
			return
		}
		s.memory.Saw(bucket)
		if bucket == "" || bucket[0] == 0 {
			return
		}
		lo, hi := s.space.bounds(bucket, r)
		if lo >= hi {
			return
		}
		base := len(s.space.key(bucket, ""))
		seen := [2]string{lo, hi}
		left := r.Limit
		for i := range s.state.within(lo, hi, r.Reverse) {
			if !i.live() {
				continue
			}
			if s.ended {
				yield(store.Pair{}, store.ErrEnded)
				return
			}
			left--
			if !yield(store.Pair{Key: i.key[base:], Value: i.value()}, nil) || left == 0 {
				if r.Reverse {
					seen[0] = i.key
				} else {
					seen[1] = i.key + "\x00"
				}
				break
			}
		}
		if s.records {
			s.ranges = append(s.ranges, seen)
		}
	}
}

// unchanged is what has to be so still for what was read to be the same.
func (s *snapshot) unchanged() []clientv3.Cmp {
	cmps := make([]clientv3.Cmp, 0, len(s.keys)+len(s.ranges)+3)
	for k, rev := range s.keys {
		cmps = append(cmps, clientv3.Compare(clientv3.ModRevision(k), "=", rev))
	}
	for _, r := range s.ranges {
		cmps = append(cmps, clientv3.Compare(clientv3.ModRevision(r[0]).WithRange(r[1]), "<", s.state.applied+1))
	}
	if len(s.ranges) > 0 { // and no tombstone was removed that would have told of a deletion
		cmps = append(cmps, clientv3.Compare(clientv3.ModRevision(s.space.own(floorKey)), "<", s.state.applied+1))
	}
	return cmps
}

// readOnly is the [store.Tx] of a View.
type readOnly struct{ *snapshot }

func (r readOnly) Put(string, string, []byte) error { return r.refuse() }
func (r readOnly) Delete(string, string) error      { return r.refuse() }

func (r readOnly) refuse() error {
	if r.ended {
		return store.ErrEnded
	}
	return store.ErrReadOnly
}
