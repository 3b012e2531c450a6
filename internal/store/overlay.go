package store

import (
	"cmp"
	"encoding/binary"
	"iter"
	"slices"
	"sort"
)

// A Source is a snapshot that an engine reads from.
type Source interface {
	// Get returns a value that stays valid after the transaction.
	Get(bucket, key string) (Value, bool, error)
	Scan(bucket string, r Range) iter.Seq2[Pair, error]
	Revision() Revision
}

// An Overlay is the [Tx] of an update over a snapshot: it buffers writes, lets the transaction read
// them, and enforces the limits of the contract. Engines commit what [Overlay.Writes] holds.
type Overlay struct {
	src    Source
	writes []Write // sorted by bucket and key
	reads  int
	bytes  int
	ended  bool
	err    error // the first broken limit
	level  int
	memory Memory
}

// A Write is one buffered change.
type Write struct {
	Bucket, Key string
	Deleted     bool
	raw         []byte // room for a revision, then the data
}

const revisionSize = 8

// sumRoom is room behind the data for an engine's checksum.
const sumRoom = 4

// Data is what was put; nil if the key was deleted.
func (w Write) Data() []byte {
	if w.Deleted {
		return nil
	}
	return w.raw[revisionSize:]
}

// Stamp returns the revision (8 bytes, big-endian) followed by the data, for engines that keep
// values so. It shares memory with Data, and has room for 4 bytes behind it.
func (w Write) Stamp(rev Revision) []byte {
	binary.BigEndian.PutUint64(w.raw, uint64(rev))
	return w.raw
}

// Change is the write as watches see it.
func (w Write) Change(rev Revision) Change {
	return Change{Bucket: w.Bucket, Event: Event{Rev: rev, Key: w.Key, Data: w.Data(), Deleted: w.Deleted}}
}

// NewOverlay begins an update.
func NewOverlay(src Source) *Overlay { return &Overlay{src: src} }

// SetLevel has tables write what the programs that share the store have agreed on (see [Level]).
func (o *Overlay) SetLevel(level int) { o.level = level }

// Level is that of SetLevel; 0: what is newest.
func (o *Overlay) Level() int { return o.level }

// SetMemory gives the transaction what others made of what was committed up to a revision. stale tells which
// buckets the source has otherwise.
func (o *Overlay) SetMemory(all *Memos, rev Revision, stale func(bucket string) bool) {
	o.memory = NewMemory(all, rev, func(bucket string) bool { return o.wrote(bucket) || stale(bucket) })
}

// Memory is what SetMemory set; nil if it did not.
func (o *Overlay) Memory() *Memory {
	if o.memory.Nothing() || o.ended {
		return nil
	}
	return &o.memory
}

// wrote reports whether the transaction changes something in a bucket.
func (o *Overlay) wrote(bucket string) bool {
	for i := range o.writes {
		if o.writes[i].Bucket == bucket {
			return true
		}
	}
	return false
}

// Writes are the changes so far, sorted by bucket and key.
func (o *Overlay) Writes() []Write { return o.writes }

// Bytes is the size of the changes, as MaxBytes counts it.
func (o *Overlay) Bytes() int { return o.bytes }

// End closes the transaction: its methods return ErrEnded from now on. It returns the first limit
// that the transaction broke; then it must not be committed.
func (o *Overlay) End() error {
	o.ended = true
	return o.err
}

func (o *Overlay) fail(err error) error {
	if o.err == nil {
		o.err = err
	}
	return err
}

func (o *Overlay) read() error {
	if o.ended {
		return ErrEnded
	}
	if o.reads++; o.reads > MaxOps {
		return o.fail(ErrTooLarge)
	}
	return nil
}

// find returns where the write of a key is or belongs.
func (o *Overlay) find(bucket, key string) (int, bool) {
	n := len(o.writes)
	i := sort.Search(n, func(i int) bool {
		w := &o.writes[i]
		return w.Bucket > bucket || w.Bucket == bucket && w.Key >= key
	})
	return i, i < n && o.writes[i].Bucket == bucket && o.writes[i].Key == key
}

// Get implements [Tx].
func (o *Overlay) Get(bucket, key string) (Value, bool, error) {
	o.memory.Saw(bucket)
	if len(o.writes) > 0 && !o.ended {
		if i, ok := o.find(bucket, key); ok {
			w := o.writes[i]
			return Value{Data: w.Data()}, !w.Deleted, nil
		}
	}
	if err := o.read(); err != nil {
		return Value{}, false, err
	}
	return o.src.Get(bucket, key)
}

// Aside is Get of what was committed, for whoever stands between a store and its users: it does not count
// as one of the transaction's reads, but is compared like them.
func (o *Overlay) Aside(bucket, key string) (Value, bool, error) {
	o.memory.Saw(bucket)
	if o.ended {
		return Value{}, false, ErrEnded
	}
	return o.src.Get(bucket, key)
}

// Put implements [Tx].
func (o *Overlay) Put(bucket, key string, data []byte) error {
	if len(data) > MaxBytes { // before it is copied
		return o.fail(ErrTooLarge)
	}
	raw := make([]byte, revisionSize+len(data), revisionSize+len(data)+sumRoom)
	copy(raw[revisionSize:], data)
	return o.write(Write{Bucket: bucket, Key: key, raw: raw})
}

// Delete implements [Tx].
func (o *Overlay) Delete(bucket, key string) error {
	return o.write(Write{Bucket: bucket, Key: key, Deleted: true})
}

func (o *Overlay) write(w Write) error {
	if o.ended {
		return ErrEnded
	}
	if w.Bucket == "" || w.Bucket[0] == 0 || w.Key == "" || max(len(w.Bucket), len(w.Key)) > MaxKey {
		return o.fail(ErrKey)
	}
	i, again := o.find(w.Bucket, w.Key)
	size := len(w.Data())
	if again {
		size -= len(o.writes[i].Data())
	} else {
		size += len(w.Bucket) + len(w.Key)
	}
	if !again && len(o.writes) == MaxOps || o.bytes+size > MaxBytes {
		return o.fail(ErrTooLarge)
	}
	o.bytes += size
	if again {
		o.writes[i] = w
	} else {
		o.writes = slices.Insert(o.writes, i, w)
	}
	return nil
}

// Revision implements [Tx].
func (o *Overlay) Revision() Revision { return o.src.Revision() }

// Scan implements [Tx]: the source's pairs with the transaction's own writes merged in.
func (o *Overlay) Scan(bucket string, r Range) iter.Seq2[Pair, error] {
	own := o.own(bucket, r)
	return func(yield func(Pair, error) bool) {
		o.memory.Saw(bucket)
		if err := o.read(); err != nil {
			yield(Pair{}, err)
			return
		}
		if len(own) == 0 {
			o.src.Scan(bucket, r)(yield)
			return
		}
		m := merge{own: own, reverse: r.Reverse, left: r.Limit, yield: yield}
		r := r
		r.Limit = 0 // a pair of the source may turn out to be deleted
		m.run(o.src.Scan(bucket, r))
	}
}

// own are the writes within a range as they are now, in the range's direction.
func (o *Overlay) own(bucket string, r Range) []Write {
	if len(o.writes) == 0 {
		return nil
	}
	lo, hi := r.Bounds()
	from, _ := o.find(bucket, lo)
	to := from
	for to < len(o.writes) && o.writes[to].Bucket == bucket && (hi == "" || o.writes[to].Key < hi) {
		to++
	}
	own := slices.Clone(o.writes[from:to])
	if r.Reverse {
		slices.Reverse(own)
	}
	return own
}

// merge yields the pairs of a source with own writes in their places.
type merge struct {
	own     []Write
	reverse bool
	left    int // pairs still to yield; 0 or less: no limit, or done after the last decrement
	yield   func(Pair, error) bool
}

func (m *merge) run(src iter.Seq2[Pair, error]) {
	for p, err := range src {
		if err != nil {
			m.yield(p, err)
			return
		}
		if !m.before(p.Key) {
			return
		}
		if len(m.own) > 0 && m.own[0].Key == p.Key { // overwritten or deleted
			if !m.next() {
				return
			}
			continue
		}
		if !m.emit(p) {
			return
		}
	}
	for len(m.own) > 0 {
		if !m.next() {
			return
		}
	}
}

// before emits the own writes that come before key.
func (m *merge) before(key string) bool {
	for len(m.own) > 0 {
		c := cmp.Compare(m.own[0].Key, key)
		if c == 0 || (c > 0) != m.reverse {
			return true
		}
		if !m.next() {
			return false
		}
	}
	return true
}

// next takes the first own write and emits it unless it is a deletion.
func (m *merge) next() bool {
	w := m.own[0]
	m.own = m.own[1:]
	return w.Deleted || m.emit(Pair{Key: w.Key, Value: Value{Data: w.Data()}})
}

func (m *merge) emit(p Pair) bool {
	if !m.yield(p, nil) {
		return false
	}
	m.left--
	return m.left != 0
}
