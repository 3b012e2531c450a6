package bolt

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"runtime/debug"
	"strings"

	bolt "go.etcd.io/bbolt"

	"github.com/kagimori/kagimori/internal/store"
)

// A value is the revision (8 bytes, big-endian), the data, and, if the highest bit of the revision is set, a CRC-32C
// (4 bytes) of the bucket's name, the key and all before it. Stores of format 1 have values without; a small one gets
// them when it is opened, in a large one each value gets it when it is written anew, and until then damage may go
// unnoticed there: such a store is mixed.
const (
	revisionSize = 8
	sumSize      = 4
	summed       = 1 << 63
)

// castagnoli makes no difference to anybody but the processor, which has an instruction for it.
func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) } // made once

// sum is the checksum of a value without it.
func sum(bucket string, key, raw []byte) uint32 {
	t := castagnoli()
	s := crc32.Update(0, t, []byte(bucket))
	s = crc32.Update(s, t, []byte{0})
	s = crc32.Update(s, t, key)
	return crc32.Update(s, t, raw)
}

// seal adds the checksum to a stamped value.
func seal(bucket string, key, raw []byte) []byte {
	raw[0] |= summed >> 56
	return binary.BigEndian.AppendUint32(raw, sum(bucket, key, raw))
}

// sound is an error if a pair is not what was put.
func sound(mixed bool, bucket string, key, raw []byte) error {
	if mixed && len(raw) >= revisionSize && raw[0]&(summed>>56) == 0 {
		return nil
	}
	end := len(raw) - sumSize
	if end < revisionSize || raw[0]&(summed>>56) == 0 || binary.BigEndian.Uint32(raw[end:]) != sum(bucket, key, raw[:end]) {
		return fmt.Errorf("%w: a record in %s, or its key, is damaged", store.ErrCorrupt, bucket)
	}
	return nil
}

// data are those of a sound value, and its revision.
func data(raw []byte) ([]byte, store.Revision) {
	rev := binary.BigEndian.Uint64(raw)
	if rev&summed == 0 {
		return raw[revisionSize:], store.Revision(rev)
	}
	return raw[revisionSize : len(raw)-sumSize], store.Revision(rev &^ summed)
}

// reading turns what bbolt does when a page makes no sense, a panic or a fault of the memory that the file is mapped to,
// into an error. It is deferred, with what [debug.SetPanicOnFault] said.
func reading(faults bool, bucket string, err *error) {
	debug.SetPanicOnFault(faults)
	if p := recover(); p != nil {
		*err = fmt.Errorf("%w: a page of %s is damaged: %v", store.ErrCorrupt, bucket, p)
	}
}

// find looks a key up with a cursor. One that is not found may be there under a damaged one, or on a page that a damaged one hides:
// then its neighbours are not sound, or not in order.
func find(c *bolt.Cursor, mixed bool, bucket string, key []byte) (raw []byte, err error) {
	defer reading(debug.SetPanicOnFault(true), bucket, &err)
	k, raw := c.Seek(key)
	if k != nil && string(k) == string(key) {
		return raw, sound(mixed, bucket, k, raw)
	}
	return nil, neighbours(c, mixed, bucket, k, raw, key)
}

// neighbours checks the pair where a cursor stands, k and raw, which begins what is not below lo, and the one before it.
// The cursor is elsewhere then.
func neighbours(c *bolt.Cursor, mixed bool, bucket string, k, raw, lo []byte) error {
	var before, value []byte
	if k == nil {
		before, value = c.Last()
	} else {
		if err := sound(mixed, bucket, k, raw); err != nil {
			return err
		}
		before, value = c.Prev()
	}
	if k != nil && string(k) < string(lo) || before != nil && string(before) >= string(lo) { // led to another page
		return fmt.Errorf("%w: records in %s are not in order", store.ErrCorrupt, bucket)
	}
	if before == nil {
		return nil
	}
	return sound(mixed, bucket, before, value)
}

// A walk goes through an interval and checks on the way that it sees all of it.
type walk struct {
	c       *bolt.Cursor
	bucket  string
	lo, hi  string
	reverse bool
	mixed   bool
	last    []byte // key that was given last
}

// next is the next pair; key is nil at the end.
func (w *walk) next(first bool) (key, raw []byte, err error) {
	defer reading(debug.SetPanicOnFault(true), w.bucket, &err)
	switch {
	case !first:
		key, raw = step(w.c, w.reverse)
	case !w.reverse:
		key, raw = w.c.Seek([]byte(w.lo))
		if err := neighbours(w.c, w.mixed, w.bucket, key, raw, []byte(w.lo)); err != nil {
			return nil, nil, err
		}
		key, raw = w.c.Seek([]byte(w.lo))
	default:
		if w.hi != "" {
			key, raw = w.c.Seek([]byte(w.hi))
			if err := neighbours(w.c, w.mixed, w.bucket, key, raw, []byte(w.hi)); err != nil {
				return nil, nil, err
			}
		}
		key, raw = start(w.c, w.lo, w.hi, true)
	}
	if key == nil {
		return nil, nil, nil
	}
	// The first pair outside is looked at, too: it may be one that belongs inside.
	if err := sound(w.mixed, w.bucket, key, raw); err != nil {
		return nil, nil, err
	}
	if w.last != nil && (string(key) > string(w.last)) == w.reverse || w.last != nil && string(key) == string(w.last) {
		return nil, nil, fmt.Errorf("%w: records in %s are not in order", store.ErrCorrupt, w.bucket)
	}
	w.last = key
	if w.reverse && string(key) < w.lo || !w.reverse && w.hi != "" && string(key) >= w.hi {
		return nil, nil, nil
	}
	return key, raw, nil
}

// damages are what is wrong with records, some of many.
func damages(tx *bolt.Tx, mixed bool) (errs []error) {
	var buckets []string
	collect := func() (err error) {
		defer reading(debug.SetPanicOnFault(true), "the store", &err)
		return tx.ForEach(func(name []byte, b *bolt.Bucket) error {
			buckets = append(buckets, string(name))
			return nil
		})
	}
	for name := range strings.SplitSeq(string(names(tx, &errs)), "\x00") {
		if name != "" && missing(tx, name) != nil && tx.Bucket([]byte(name)) == nil {
			errs = append(errs, fmt.Errorf("all of %s is lost", name))
		}
	}
	if err := collect(); err != nil {
		errs = append(errs, err)
	}
	for _, name := range buckets {
		errs = append(errs, damagesIn(tx, mixed, name)...)
		if len(errs) >= tellDamages {
			break
		}
	}
	return errs
}

// names is the list, if it can be read.
func names(tx *bolt.Tx, errs *[]error) (out []byte) {
	read := func() (err error) {
		defer reading(debug.SetPanicOnFault(true), "the store", &err)
		out, err = list(tx)
		return err
	}
	if err := read(); err != nil {
		*errs = append(*errs, err)
	}
	return out
}

// tellDamages is how many damaged records are told of, about.
const tellDamages = 100

func damagesIn(tx *bolt.Tx, mixed bool, bucket string) (errs []error) {
	look := func() (err error) {
		defer reading(debug.SetPanicOnFault(true), bucket, &err)
		b := tx.Bucket([]byte(bucket))
		if b == nil {
			return fmt.Errorf("bucket %q is lost", bucket)
		}
		var last []byte
		c := b.Cursor()
		for k, raw := c.First(); k != nil && len(errs) < tellDamages; k, raw = c.Next() {
			if bucket[0] != 0 && sound(mixed, bucket, k, raw) != nil {
				errs = append(errs, fmt.Errorf("the record %q of %s, or its key, is damaged", strings.Join(store.SplitKey(string(k)), "/"), bucket))
			}
			if last != nil && string(last) >= string(k) {
				errs = append(errs, fmt.Errorf("the records of %s are not in order at %q", bucket, strings.Join(store.SplitKey(string(k)), "/")))
			}
			last = k
		}
		return nil
	}
	if err := look(); err != nil {
		errs = append(errs, err)
	}
	return errs
}

// writing has bbolt change pages. What it does where one makes no sense is an error, and the transaction is of no
// use any more.
func writing(change func() error) (err error) {
	defer reading(debug.SetPanicOnFault(true), "the store", &err)
	return change()
}

// bucketsKey has, in the meta bucket, the names of all buckets, each between two NUL, and a CRC-32C: a damaged name
// would make a bucket look as if nothing had ever been in it.
var bucketsKey = []byte("buckets")

// list are the names that a transaction's list has.
func list(tx *bolt.Tx) ([]byte, error) {
	meta := tx.Bucket(metaBucket)
	if meta == nil {
		return nil, fmt.Errorf("%w: the store does not say any more what it is", store.ErrCorrupt)
	}
	raw := meta.Get(bucketsKey)
	end := len(raw) - sumSize
	if end < 1 || binary.BigEndian.Uint32(raw[end:]) != sum("", bucketsKey, raw[:end]) {
		return nil, fmt.Errorf("%w: the list of buckets is damaged", store.ErrCorrupt)
	}
	return raw[:end], nil
}

// listed reports whether a bucket is on the list.
func listed(names []byte, bucket string) bool {
	return bytes.Contains(names, []byte("\x00"+bucket+"\x00"))
}

// missing is an error if a bucket that is not found was ever made.
func missing(tx *bolt.Tx, bucket string) (err error) {
	defer reading(debug.SetPanicOnFault(true), bucket, &err)
	names, err := list(tx)
	if err == nil && listed(names, bucket) {
		err = fmt.Errorf("%w: all of %s is lost", store.ErrCorrupt, bucket)
	}
	return err
}

// enlist puts names on the list.
func enlist(tx *bolt.Tx, buckets ...string) error {
	names := []byte{0}
	if meta := tx.Bucket(metaBucket); meta.Get(bucketsKey) != nil {
		old, err := list(tx)
		if err != nil {
			return err
		}
		names = bytes.Clone(old)
	}
	for _, b := range buckets {
		if !listed(names, b) {
			names = append(append(names, b...), 0)
		}
	}
	return tx.Bucket(metaBucket).Put(bucketsKey, binary.BigEndian.AppendUint32(names, sum("", bucketsKey, names)))
}

// makeBucket is a bucket for writes, which is made if it was never.
func makeBucket(tx *bolt.Tx, name string) (*bolt.Bucket, error) {
	if b := tx.Bucket([]byte(name)); b != nil {
		return b, nil
	}
	if err := missing(tx, name); err != nil {
		return nil, err
	}
	b, err := tx.CreateBucket([]byte(name))
	if err != nil {
		return nil, err
	}
	return b, enlist(tx, name)
}
