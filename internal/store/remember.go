package store

import "iter"

// remembering is a transaction that reads each record once.
type remembering struct {
	tx   Tx
	seen map[recordName]remembered
}

type recordName struct{ bucket, key string }

type remembered struct {
	v  Value
	ok bool
}

// Remembering is a view of a transaction that reads each record from it once, however often it is asked for: for
// work that looks at the same few records again and again, and would otherwise read more than [MaxOps] times. Who
// uses it changes the records that it reads only through it, and does not change the data of a [Value].
func Remembering(tx Tx) Tx { return &remembering{tx, map[recordName]remembered{}} }

func (r *remembering) Get(bucket, key string) (Value, bool, error) {
	name := recordName{bucket, key}
	if m, ok := r.seen[name]; ok {
		if mem := r.Memory(); mem != nil {
			mem.Saw(bucket)
		}
		return m.v, m.ok, nil
	}
	v, ok, err := r.tx.Get(bucket, key)
	if err == nil {
		r.seen[name] = remembered{v, ok}
	}
	return v, ok, err
}

func (r *remembering) Put(bucket, key string, data []byte) error {
	delete(r.seen, recordName{bucket, key})
	return r.tx.Put(bucket, key, data)
}

func (r *remembering) Delete(bucket, key string) error {
	delete(r.seen, recordName{bucket, key})
	return r.tx.Delete(bucket, key)
}

func (r *remembering) Scan(bucket string, rng Range) iter.Seq2[Pair, error] {
	return r.tx.Scan(bucket, rng)
}

func (r *remembering) Revision() Revision { return r.tx.Revision() }

// Memory is the transaction's own way to what its store remembers (see [Memo]); nil if it has none.
func (r *remembering) Memory() *Memory {
	if t, ok := r.tx.(interface{ Memory() *Memory }); ok {
		return t.Memory()
	}
	return nil
}
