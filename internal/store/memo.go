package store

import (
	"strings"
	"sync"
)

// A Memo keeps what is made of a snapshot's records alone: it is as true for every other transaction on
// the same snapshot. A transaction that writes, or that an engine gave a snapshot of its own, remembers
// nothing, and what it asks for is made anew.
type Memo[V any] struct{ id *memoID }

// memoID tells memos apart; it has a size, so that no two have one address.
type memoID struct{ _ byte }

// NewMemo makes a Memo.
func NewMemo[V any]() Memo[V] { return Memo[V]{new(memoID)} }

// maxMemoKey is how many parts a key may have.
const maxMemoKey = 4

type memoKey struct {
	id    *memoID
	parts [maxMemoKey]string
}

// maxMemos bounds what one snapshot remembers: when it is full it begins anew.
const maxMemos = 8192

// Memos are what one snapshot remembers. An engine whose transactions share a snapshot gives them one
// Memos, by a method Memos of its Tx. The zero Memos is ready. Safe for concurrent use.
type Memos struct {
	mu   sync.RWMutex
	made map[memoKey]any // guarded by mu
}

// Get returns what was made under the key, of at most four parts, or makes it. make reads nothing but
// the transaction, and what it gives is shared: nobody changes it. An error is not kept.
func (m Memo[V]) Get(tx Tx, make func() (V, error), key ...string) (V, error) {
	all := memosOf(tx, len(key))
	if all == nil {
		return make()
	}
	k := m.key(key)
	if v, ok := all.get(k); ok {
		return v.(V), nil
	}
	v, err := make()
	if err == nil {
		all.put(k, v)
	}
	return v, err
}

func (m Memo[V]) key(parts []string) memoKey {
	k := memoKey{id: m.id}
	copy(k.parts[:], parts)
	return k
}

// memosOf are what remembers for a transaction, under keys of so many parts; nil: nothing does.
func memosOf(tx Tx, parts int) *Memos {
	t, ok := tx.(interface{ Memos() *Memos })
	if !ok || parts > maxMemoKey {
		return nil
	}
	return t.Memos()
}

func (m *Memos) get(k memoKey) (any, bool) {
	m.mu.RLock()
	v, ok := m.made[k]
	m.mu.RUnlock()
	return v, ok
}

func (m *Memos) put(k memoKey, v any) {
	for i, p := range k.parts { // not the request that it may be part of
		k.parts[i] = strings.Clone(p)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.made == nil || len(m.made) >= maxMemos {
		m.made = make(map[memoKey]any)
	}
	m.made[k] = v
}
