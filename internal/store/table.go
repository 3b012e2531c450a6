package store

import (
	"encoding/json"
	"fmt"
	"iter"
)

// A Table is a bucket of records of one type, kept as JSON, or [Packed], behind a format version.
// Keys are tuples: their parts are joined by [Key].
type Table[T any] struct {
	Bucket  string
	Version uint8 // format of the records; a newer one than known is refused
	// Upgrade turns the JSON of an older version into that of Version. Without it an older
	// record is refused.
	Upgrade func(version uint8, data []byte) ([]byte, error)
	// Packed, if not nil, is how records of Version are kept. Upgrade is for JSON older than Packed.JSON then.
	Packed *Packed[T]
}

// Record is a value of a [Table] with its key parts and revision.
type Record[T any] struct {
	Key   []string
	Rev   Revision
	Value T
}

// Get reads a record; ok is false if there is none.
func (t Table[T]) Get(tx Tx, key ...string) (rec T, ok bool, err error) {
	r, ok, err := t.Load(tx, key...)
	return r.Value, ok, err
}

// Load is Get with the revision.
func (t Table[T]) Load(tx Tx, key ...string) (rec Record[T], ok bool, err error) {
	v, ok, err := tx.Get(t.Bucket, Key(key...))
	if err != nil || !ok {
		return rec, false, err
	}
	rec.Key, rec.Rev = key, v.Rev
	err = t.decode(v.Data, &rec.Value)
	return rec, err == nil, err
}

// Put writes a record.
func (t Table[T]) Put(tx Tx, rec T, key ...string) error {
	data, err := t.Encode(tx, rec)
	if err != nil {
		return err
	}
	return tx.Put(t.Bucket, Key(key...), data)
}

// Encode is a record as Put writes it, for what is written more than once.
func (t Table[T]) Encode(tx Tx, rec T) ([]byte, error) {
	data, err := t.encode(tx, &rec)
	if err != nil {
		return nil, fmt.Errorf("store: %s: %w", t.Bucket, err)
	}
	return data, nil
}

func (t Table[T]) encode(tx Tx, rec *T) ([]byte, error) {
	version := t.Version
	if t.Packed != nil {
		if level, ok := Level(tx); !ok || level >= t.Packed.Since {
			return t.Packed.encode(version, rec)
		}
		version = t.Packed.JSON
	}
	data, err := json.Marshal(rec)
	return append([]byte{version}, data...), err
}

// Delete removes a record.
func (t Table[T]) Delete(tx Tx, key ...string) error { return tx.Delete(t.Bucket, Key(key...)) }

// Scan yields the records whose key starts with the given parts, in key order.
func (t Table[T]) Scan(tx Tx, prefix ...string) iter.Seq2[Record[T], error] {
	return t.ScanRange(tx, Range{Prefix: Key(prefix...)})
}

// ScanRange is Scan over a [Range] whose Prefix and After were made by [Key].
func (t Table[T]) ScanRange(tx Tx, r Range) iter.Seq2[Record[T], error] {
	return func(yield func(Record[T], error) bool) {
		for p, err := range tx.Scan(t.Bucket, r) {
			var rec Record[T]
			if err == nil {
				rec, err = t.Decode(p)
			}
			if !yield(rec, err) || err != nil {
				return
			}
		}
	}
}

// Decode is the record of a pair that a scan of the bucket gave.
func (t Table[T]) Decode(p Pair) (Record[T], error) {
	rec := Record[T]{Key: SplitKey(p.Key), Rev: p.Rev}
	err := t.decode(p.Data, &rec.Value)
	return rec, err
}

// Page reads up to limit records (all if limit is 0 or less) whose key starts with the parts of
// prefix and comes after afterKey, a joined [Key] or "" for the first page. next is the afterKey of
// the page that follows, or "" if this is the last one; it stays usable when the record it names is
// gone.
func (t Table[T]) Page(tx Tx, prefix []string, afterKey string, limit int) (recs []Record[T], next string, err error) {
	r := Range{Prefix: Key(prefix...), After: afterKey}
	if limit > 0 {
		r.Limit = limit + 1 // one more tells whether another page follows
	}
	for rec, err := range t.ScanRange(tx, r) {
		if err != nil {
			return nil, "", err
		}
		if limit > 0 && len(recs) == limit {
			return recs, Key(recs[limit-1].Key...), nil
		}
		recs = append(recs, rec)
	}
	return recs, "", nil
}

func (t Table[T]) decode(data []byte, rec *T) error {
	if len(data) == 0 {
		return fmt.Errorf("%w: empty record in %s", ErrCorrupt, t.Bucket)
	}
	version, newest := data[0], t.Version
	if version > newest {
		return fmt.Errorf("%w: %s has records of format %d, this kagimori knows up to %d", ErrCorrupt, t.Bucket, version, newest)
	}
	if t.Packed != nil {
		if version == newest {
			return t.Packed.decode(t.Bucket, data, rec)
		}
		newest = t.Packed.JSON
	}
	data = data[1:]
	if version < newest {
		if t.Upgrade == nil {
			return fmt.Errorf("%w: %s has records of format %d, which this kagimori cannot upgrade to %d", ErrCorrupt, t.Bucket, version, newest)
		}
		var err error
		if data, err = t.Upgrade(version, data); err != nil {
			return fmt.Errorf("%w: %s: %w", ErrCorrupt, t.Bucket, err)
		}
	}
	if err := json.Unmarshal(data, rec); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrCorrupt, t.Bucket, err)
	}
	return nil
}
