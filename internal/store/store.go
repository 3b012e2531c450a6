// Package store keeps everything that kagimori remembers: serializable transactions over
// ordered buckets, with a watch.
//
// The contract is etcd's, whatever the engine:
//   - a transaction reads at most [MaxOps] times (a scan is one read), writes at most [MaxOps]
//     keys and at most [MaxBytes] in all;
//   - the closure given to Update may run several times and must have no effect outside its Tx;
//   - range reads are checked for conflicts like single reads: transactions are serializable;
//   - each value carries the revision of the commit that wrote it;
//   - bucket names and keys are 1 to [MaxKey] bytes, and no bucket starts with NUL (engines keep
//     their own data there).
//
// A nil error from Update means that the change is durable. A transaction that broke a limit does
// not commit, even if its closure ignored the error.
package store

import (
	"context"
	"errors"
	"iter"
)

// Limits of one transaction.
const (
	MaxOps   = 100
	MaxBytes = 1 << 20 // of bucket names, keys and data written
	MaxKey   = 8 << 10 // of one bucket name or key
)

// Errors. Engines wrap them.
var (
	ErrTooLarge  = errors.New("store: transaction too large")
	ErrReadOnly  = errors.New("store: write in a read-only transaction")
	ErrKey       = errors.New("store: bucket or key is empty, too long or reserved")
	ErrEnded     = errors.New("store: transaction used after its closure returned")
	ErrClosed    = errors.New("store: closed")
	ErrCompacted = errors.New("store: revision no longer kept")
	ErrCorrupt   = errors.New("store: corrupt or foreign data")
	ErrLocked    = errors.New("store: in use by another process")
	// ErrUnavailable: the engine cannot be reached, or what it knows is older than it may be, or too
	// many others change the same. Nothing was changed, unless the message says that it is not known.
	ErrUnavailable = errors.New("store: unavailable")
	// ErrFenced: the transaction ran under a lease that somebody else has by now.
	ErrFenced = errors.New("store: the lease was lost")
)

// Revision numbers commits, from 1. Every commit that writes has its own, larger than all before
// it. Numbers may be missing: that of a commit that failed is not given to another one while the
// process lives, so nothing that was remembered under it can be taken for something else.
type Revision uint64

// A Store is an engine. Its methods are safe for concurrent use.
type Store interface {
	// View runs fn on one consistent snapshot. A Put or Delete in it fails.
	View(ctx context.Context, fn func(Tx) error) error
	// Update runs fn and commits what it wrote, all or nothing. If fn returns an error nothing
	// is written and Update returns that error. fn may run more than once, and in another
	// goroutine. A panic in fn is re-raised in the caller and writes nothing. If ctx ends before
	// fn starts, Update returns ctx.Err() and fn does not run; after that the commit decides.
	// fn must not call the store: an engine may run one writer at a time.
	Update(ctx context.Context, fn func(Tx) error) error
	// Watch yields the changes of the bucket after revision from, in commit order and within a
	// commit in key order, until ctx ends. It yields ErrCompacted and stops if from is older
	// than what the engine remembers or the loop falls that far behind; ErrClosed and stops
	// when the store closes.
	Watch(ctx context.Context, bucket string, from Revision) iter.Seq2[Event, error]
	// Close waits for running transactions; those not yet started fail with ErrClosed. A second
	// Close does nothing.
	Close() error
}

// A Tx is one transaction. It is used by one goroutine and not after its closure returned: then
// its methods return ErrEnded (the test engine panics). Byte slices it returns may be kept but not
// changed; those given to Put may not be changed until the transaction ends. A transaction sees
// its own writes; reading them back does not count as a read.
type Tx interface {
	// Get returns the value of a key; ok is false if there is none.
	Get(bucket, key string) (v Value, ok bool, err error)
	Put(bucket, key string, data []byte) error
	// Delete of a missing key is no error.
	Delete(bucket, key string) error
	// Scan yields the pairs of the range, in byte order of their keys. The iteration sees the
	// transaction's writes made before Scan was called; writing while it runs is allowed. Each
	// iteration is one read.
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

// An Event is one change seen by a watch.
type Event struct {
	Rev     Revision
	Key     string
	Data    []byte // nil if deleted
	Deleted bool
}
