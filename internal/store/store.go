// Package store keeps everything that kagimori remembers: serializable transactions over
// ordered buckets, with a watch.
//
// The contract is etcd's, whatever the engine:
//   - a transaction reads at most [MaxOps] times (a scan is one read), writes at most [MaxOps]
//     keys and at most [MaxBytes] in all;
//   - the closure given to Update may run several times and must have no effect outside its Tx;
//   - range reads are checked for conflicts like single reads: transactions are serializable;
//   - each value carries the revision of the commit that wrote it.
//
// A nil error from Update means that the change is durable.
package store

import (
	"context"
	"errors"
	"iter"
)

// Limits of one transaction.
const (
	MaxOps   = 100
	MaxBytes = 1 << 20
)

// Errors. Engines wrap them.
var (
	ErrTooLarge  = errors.New("store: transaction too large")
	ErrReadOnly  = errors.New("store: write in a read-only transaction")
	ErrClosed    = errors.New("store: closed")
	ErrCompacted = errors.New("store: revision no longer kept")
	ErrCorrupt   = errors.New("store: corrupt or foreign data")
	ErrLocked    = errors.New("store: in use by another process")
)

// Revision numbers commits, from 1. Every commit that writes has its own.
type Revision uint64

// A Store is an engine. Its methods are safe for concurrent use.
type Store interface {
	// View runs fn on one consistent snapshot. A Put or Delete in it fails.
	View(ctx context.Context, fn func(Tx) error) error
	// Update runs fn and commits what it wrote, all or nothing. If fn returns an error nothing
	// is written and Update returns that error. fn may run more than once. A panic in fn is
	// re-raised in the caller and writes nothing.
	Update(ctx context.Context, fn func(Tx) error) error
	// Watch yields the changes of the bucket after revision from, in commit order, until ctx
	// ends. It yields ErrCompacted and stops if from is too old.
	Watch(ctx context.Context, bucket string, from Revision) iter.Seq2[Event, error]
	// Close waits for running transactions.
	Close() error
}

// A Tx is one transaction. It is used by one goroutine and not after its closure returned.
// Byte slices it returns may be kept but not changed; those given to Put may not be changed
// until the transaction ends. A transaction sees its own writes.
type Tx interface {
	// Get returns the value of a key; ok is false if there is none.
	Get(bucket, key string) (v Value, ok bool, err error)
	Put(bucket, key string, data []byte) error
	// Delete of a missing key is no error.
	Delete(bucket, key string) error
	// Scan yields the pairs whose key starts with r.Prefix, in byte order. The iteration sees
	// the transaction's writes made before Scan was called.
	Scan(bucket string, r Range) iter.Seq2[Pair, error]
	// Revision is the newest revision this transaction can see.
	Revision() Revision
}

// A Value with the revision of the commit that wrote it (0 for a value the same transaction
// wrote).
type Value struct {
	Data []byte
	Rev  Revision
}

// A Pair of a scan.
type Pair struct {
	Key string
	Value
}

// A Range of keys: those that start with Prefix and come after After (exclusive, if not "").
// Limit bounds their number unless 0. Reverse goes from the last.
type Range struct {
	Prefix, After string
	Limit         int
	Reverse       bool
}

// An Event is one change seen by a watch.
type Event struct {
	Rev     Revision
	Key     string
	Data    []byte // nil if deleted
	Deleted bool
}
