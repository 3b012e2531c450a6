package bolt

import (
	"encoding/binary"
	"errors"
	"hash/fnv"
	"testing"

	bolt "go.etcd.io/bbolt"
)

// FailHalfway does what a commit does whose last step failed after its root became visible.
func FailHalfway(s *Store, cause error) error {
	s.disk--
	return s.failed(nil, cause)
}

// MakeFormat1 makes the file one of format 1, with a value as that had them.
func MakeFormat1(t *testing.T, path, bucket, key, data string) {
	t.Helper()
	db, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists([]byte(bucket))
		if err != nil {
			return err
		}
		meta := tx.Bucket(metaBucket)
		return errors.Join(b.Put([]byte(key), append(encodeRevision(1), data...)), meta.Put(formatKey, []byte{1}), meta.Delete(bucketsKey), meta.Delete(summedKey))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

// Resum makes the checksums of a file's first two pages true.
func Resum(file []byte, pageSize int) {
	for _, page := range [][]byte{file[:pageSize], file[pageSize : 2*pageSize]} {
		h := fnv.New64a()
		h.Write(page[pageHead : pageHead+metaSize])
		binary.NativeEndian.PutUint64(page[pageHead+metaSize:], h.Sum64())
	}
}
