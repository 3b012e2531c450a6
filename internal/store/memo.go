package store

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// A Memo keeps what is made of records alone: it is as true for every other transaction that sees the same
// records. It stays so until something changes in a bucket that was read for it. A transaction to which an
// engine gives no [Memory] remembers nothing, and what it asks for is made anew.
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

// maxMemos bounds what a store remembers: when it is full it begins anew.
const maxMemos = 8192

// Get returns what was made under the key, of at most four parts, or makes it. make reads nothing but
// the transaction, and what it gives is shared: nobody changes it. An error is not kept.
func (m Memo[V]) Get(tx Tx, make func() (V, error), key ...string) (V, error) {
	mem := memoryOf(tx, len(key))
	if mem == nil {
		return make()
	}
	k := m.key(key)
	if v, ok := mem.get(k); ok {
		return v.(V), nil
	}
	outer := mem.begin()
	v, err := make()
	mem.end(outer, k, v, err == nil)
	return v, err
}

func (m Memo[V]) key(parts []string) memoKey {
	k := memoKey{id: m.id}
	copy(k.parts[:], parts)
	return k
}

// memoryOf is what remembers for a transaction, under keys of so many parts; nil: nothing does.
func memoryOf(tx Tx, parts int) *Memory {
	t, ok := tx.(interface{ Memory() *Memory })
	if !ok || parts > maxMemoKey {
		return nil
	}
	return t.Memory()
}

// Memos are what the transactions of a store remember together. An engine has one, tells it of changes before any
// transaction sees them, and gives transactions a way to it, by a method Memory of its Tx. The zero Memos is ready.
// Safe for concurrent use.
type Memos struct {
	mu      sync.RWMutex
	made    map[memoKey]*memoized // guarded by mu
	changed map[string]Revision   // the newest change in each bucket, if there was one; guarded by mu
}

// A memoized is what was made, of which buckets, and the newest revision as of which it is known to be true.
type memoized struct {
	v    any
	read []string
	rev  atomic.Uint64
}

// Changed says what changes. It comes before anybody sees it.
func (m *Memos) Changed(changes []Change) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.changed == nil {
		m.changed = map[string]Revision{}
	}
	for i := range changes {
		c := &changes[i]
		m.changed[c.Bucket] = max(m.changed[c.Bucket], c.Rev)
	}
}

// since is the newest change in buckets; mu is held.
func (m *Memos) since(buckets []string) (rev Revision) {
	for _, b := range buckets {
		rev = max(rev, m.changed[b])
	}
	return rev
}

// Memory is a transaction's way to the Memos of its store. The zero Memory remembers nothing. It is the transaction's
// alone, as the transaction is of one goroutine.
type Memory struct {
	all   *Memos
	rev   Revision
	stale func(bucket string) bool // whether the transaction sees a bucket otherwise than others do as of rev; nil: it does not
	trace *trace                   // nil until something is made
}

// A trace is what is read while values are made.
type trace struct {
	making int      // how many, one within another
	from   int      // where the innermost begins in read
	read   []string // buckets
}

// NewMemory is the memory of a transaction that sees what was committed up to a revision. If stale is not nil, it is
// asked which buckets the transaction sees otherwise, because it or others before it changed something there.
func NewMemory(all *Memos, rev Revision, stale func(bucket string) bool) Memory {
	return Memory{all: all, rev: rev, stale: stale}
}

// Nothing reports whether this remembers nothing.
func (m *Memory) Nothing() bool { return m.all == nil }

// Saw says that the transaction reads from a bucket. An engine calls it before each read.
func (m *Memory) Saw(bucket string) {
	if m.trace != nil && m.trace.making > 0 {
		m.trace.add(bucket)
	}
}

func (t *trace) add(buckets ...string) {
next:
	for _, b := range buckets {
		for _, known := range t.read[t.from:] {
			if known == b {
				continue next
			}
		}
		t.read = append(t.read, b)
	}
}

// get returns what was made, if it is true for the transaction.
func (m *Memory) get(k memoKey) (any, bool) {
	all := m.all
	all.mu.RLock()
	e := all.made[k]
	ok := e != nil && (m.stale == nil || !m.otherwise(e.read))
	if ok && e.rev.Load() != uint64(m.rev) {
		ok = m.verify(e)
	}
	all.mu.RUnlock()
	if !ok {
		return nil, false
	}
	if m.trace != nil && m.trace.making > 0 {
		m.trace.add(e.read...)
	}
	return e.v, true
}

// verify reports whether nothing changed between the revision as of which something is known to be true and the
// transaction's, whichever is later; then it is true as of the later one. mu is held.
func (m *Memory) verify(e *memoized) bool {
	since := uint64(m.all.since(e.read))
	for {
		known := e.rev.Load()
		if since > min(known, uint64(m.rev)) {
			return false
		}
		if known >= uint64(m.rev) || e.rev.CompareAndSwap(known, uint64(m.rev)) {
			return true
		}
	}
}

// otherwise reports whether the transaction sees one of the buckets otherwise than others.
func (m *Memory) otherwise(buckets []string) bool {
	return slices.ContainsFunc(buckets, m.stale)
}

// sees is the revision as of which the transaction sees a bucket, as others do; 0 if it sees it otherwise, or remembers nothing.
func (m *Memory) sees(bucket string) Revision {
	if m == nil || m.all == nil || m.stale != nil && m.stale(bucket) {
		return 0
	}
	return m.rev
}

// same reports whether a bucket is to the transaction as it was as of a revision that it was seen at.
func (m *Memory) same(bucket string, seen Revision) bool {
	rev := min(seen, m.sees(bucket))
	if rev == 0 {
		return false
	}
	m.all.mu.RLock()
	changed := m.all.changed[bucket]
	m.all.mu.RUnlock()
	if changed > rev {
		return false
	}
	m.Saw(bucket)
	return true
}

// begin notes what is read from now on, and end puts what was made of it under a key, if it is good. What begin
// returns is for end.
func (m *Memory) begin() (outer int) {
	if m.trace == nil {
		m.trace = &trace{}
	}
	t := m.trace
	t.making++
	outer, t.from = t.from, len(t.read)
	return outer
}

func (m *Memory) end(outer int, k memoKey, v any, good bool) {
	t := m.trace
	read := append([]string(nil), t.read[t.from:]...)
	t.making--
	t.read, t.from = t.read[:t.from], outer
	if t.making > 0 {
		t.add(read...) // whoever made this, for something of its own, has read it too
	}
	if good && (m.stale == nil || !m.otherwise(read)) {
		m.all.put(k, v, read, m.rev)
	}
}

func (m *Memos) put(k memoKey, v any, read []string, rev Revision) {
	for i, p := range k.parts { // not the request that it may be part of
		k.parts[i] = strings.Clone(p)
	}
	for i, b := range read {
		read[i] = strings.Clone(b)
	}
	e := &memoized{v: v, read: read}
	e.rev.Store(uint64(rev))
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.since(read) > rev { // it is over already
		return
	}
	if m.made == nil || len(m.made) >= maxMemos {
		m.made = make(map[memoKey]*memoized)
	}
	m.made[k] = e
}
