package bolt

import (
	"bytes"
	"errors"

	bolt "go.etcd.io/bbolt"
)

// summedKey is in the meta bucket if every value has a checksum.
var summedKey = []byte("summed")

// raise says that a store has values of this format from now on, so that an earlier program refuses it. If it is small
// its values get their checksums at once; else it is mixed.
func raise(db *bolt.DB) (mixed bool, err error) {
	var small, old bool
	err = db.View(func(tx *bolt.Tx) error {
		meta := tx.Bucket(metaBucket)
		small, old, mixed = tx.Size() <= smallStore, meta.Get(formatKey)[0] < format, meta.Get(summedKey) == nil
		return nil
	})
	if err == nil && old {
		err = db.Update(func(tx *bolt.Tx) error {
			buckets, err := bucketNames(tx)
			return errors.Join(err, enlist(tx, buckets...), tx.Bucket(metaBucket).Put(formatKey, []byte{format}))
		})
	}
	if err != nil || !mixed || !small {
		return mixed, err
	}
	if err := sumAll(db); err != nil {
		return true, err
	}
	return false, db.Update(func(tx *bolt.Tx) error { return tx.Bucket(metaBucket).Put(summedKey, nil) })
}

// smallStore is the size of a file whose values get checksums in a moment.
const smallStore = 256 << 20

func bucketNames(tx *bolt.Tx) (names []string, err error) {
	err = tx.ForEach(func(name []byte, _ *bolt.Bucket) error {
		if name[0] != 0 {
			names = append(names, string(name))
		}
		return nil
	})
	return names, err
}

// sumBatch is how many values one transaction gives their checksums.
const sumBatch = 2000

// sumAll gives every value its checksum.
func sumAll(db *bolt.DB) error {
	var buckets []string
	err := db.View(func(tx *bolt.Tx) (err error) {
		buckets, err = bucketNames(tx)
		return err
	})
	for _, name := range buckets {
		var from []byte
		for more := true; more && err == nil; {
			err = db.Update(func(tx *bolt.Tx) (err error) {
				from, more, err = sumSome(tx.Bucket([]byte(name)), name, from)
				return err
			})
		}
	}
	return err
}

// sumSome does so for some values from a key on; next is where the others begin.
func sumSome(b *bolt.Bucket, name string, from []byte) (next []byte, more bool, err error) {
	var keys, values [][]byte
	c := b.Cursor()
	k, raw := c.Seek(from)
	for ; k != nil && len(keys) < sumBatch; k, raw = c.Next() {
		if len(raw) >= revisionSize && raw[0]&(summed>>56) == 0 {
			keys, values = append(keys, bytes.Clone(k)), append(values, bytes.Clone(raw))
		}
	}
	next, more = bytes.Clone(k), k != nil
	for i, key := range keys {
		err = errors.Join(err, b.Put(key, seal(name, key, values[i])))
	}
	return next, more, err
}
