// Package bolt is the embedded engine: one file, kept by bbolt.
//
// Writers hand their closure to one committer. It runs every closure that waits, each on a buffer
// of its own over the open bbolt transaction, and commits them together: one commit for all, and
// while it is written the next ones queue up. Nothing waits for a timer.
//
// Errors of the disk fail a batch or stop the store. Open refuses a file whose pages are not what was
// written: in a large one, of more than 256 MB, it reads only those that say where the rest is, and Check
// reads all (pages.go). Damage to records is found by [Store.Check] and by each transaction that meets it:
// every record has a checksum of itself and its key, and one that is not found is looked for among its
// neighbours (sound.go). Such a transaction fails with store.ErrCorrupt; if it is met while changes are
// written, the store stops, because going on could only spread it.
//
// What is trusted: whoever can write the file can change everything in it; records that must
// survive that are sealed by their owners.
package bolt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/kagimori/kagimori/internal/store"
)

// Config of a [Store].
type Config struct {
	// Path of the file. It is made if it does not exist; its folder must.
	Path string
	// NoSync leaves out fsync. Only tests may set it: a crash loses changes.
	NoSync bool
	// Logger is told of failed commits and of panics in closures; nothing if nil.
	Logger *slog.Logger
	// HistoryLimit is how many changes watches can go back; 10000 if 0.
	HistoryLimit int
	// LockTimeout is how long to wait for another process to let go of the file; 1 s if 0.
	LockTimeout time.Duration
}

// Store is the engine; it implements [store.Store]. Safe for concurrent use.
type Store struct {
	db      *bolt.DB
	file    *os.File // the same file, of db
	mixed   bool     // some values may have no checksum
	log     *slog.Logger
	history *store.History
	memos   store.Memos

	queue   chan *request
	stop    chan struct{} // closed by Close
	done    chan struct{} // closed when the committer has ended
	closing sync.Once

	current atomic.Pointer[shared] // the snapshot that views share; nil if there is none yet
	sharing sync.Mutex             // held to change current, and guards private
	private bool                   // views get snapshots of their own

	commits, updates atomic.Uint64
	broken           atomic.Pointer[error] // why nothing works any more

	rev   store.Revision // newest one given out; the committer's
	disk  store.Revision // newest one committed; the committer's
	again []*request     // to be run first; the committer's
	stuck bool           // bbolt waits for ever; the committer's, until it has ended
}

// Stats count what the committer did since Open.
type Stats struct {
	Updates uint64 // closures that ran to their end
	Commits uint64 // bbolt commits; fewer, if updates came together
}

// Stats returns the counts so far.
func (s *Store) Stats() Stats {
	return Stats{Updates: s.updates.Load(), Commits: s.commits.Load()}
}

// View implements [store.Store]. The snapshot may be newer than the last answered Update by
// changes that are being made durable.
func (s *Store) View(ctx context.Context, fn func(store.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	sh, err := s.join()
	if err != nil {
		return err
	}
	if sh != nil {
		v := &view{snapshot{tx: sh.tx, shared: sh, memory: store.NewMemory(&s.memos, sh.rev, nil), mixed: s.mixed}}
		defer v.leave()
		return fn(v)
	}
	tx, err := s.begin(false)
	if err != nil {
		return err
	}
	v := &view{snapshot{tx: tx, known: true, mixed: s.mixed}}
	defer v.end()
	if v.rev, err = newest(tx); err != nil {
		return err
	}
	v.memory = store.NewMemory(&s.memos, v.rev, nil)
	return fn(v)
}

// begin starts a bbolt transaction.
func (s *Store) begin(writable bool) (*bolt.Tx, error) {
	if err := s.broken.Load(); err != nil {
		return nil, *err
	}
	tx, err := s.db.Begin(writable)
	switch {
	case errors.Is(err, berrors.ErrDatabaseNotOpen):
		return nil, store.ErrClosed
	case err != nil:
		return nil, fmt.Errorf("store: begin: %w", err)
	}
	return tx, nil
}

// Snapshot gives the whole file, as of one moment, to fn: its size, and what writes it. Writers go on
// meanwhile, and the file grows by what they change.
func (s *Store) Snapshot(ctx context.Context, fn func(size int64, db io.WriterTo) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	tx, err := s.begin(false)
	if err != nil {
		return err
	}
	defer rollback(tx)
	return fn(tx.Size(), tx)
}

// Err is why the store has stopped until it is opened again, if it has: a commit failed half-way.
func (s *Store) Err() error {
	if err := s.broken.Load(); err != nil {
		return *err
	}
	return nil
}

// Watch implements [store.Store].
func (s *Store) Watch(ctx context.Context, bucket string, from store.Revision) iter.Seq2[store.Event, error] {
	return s.history.Watch(ctx, bucket, from)
}

// Close implements [store.Store].
func (s *Store) Close() error {
	var err error
	s.closing.Do(func() {
		close(s.stop)
		<-s.done
		s.retire()
		s.history.Close()
		if !s.stuck { // else it would wait for a transaction that cannot end; the system lets go of the file
			err = s.db.Close()
		}
	})
	return err
}

// Check reads all of the file: every record is what was put, keys are in order, and every page is used once.
func (s *Store) Check() error {
	tx, err := s.begin(false)
	if err != nil {
		return err
	}
	defer rollback(tx)
	errs := append(s.misplaced(tx), damages(tx, s.mixed)...)
	if len(errs) > 0 {
		return fmt.Errorf("%w: %w", store.ErrCorrupt, errors.Join(errs...))
	}
	return nil
}

// misplaced is what is wrong with the pages that a transaction sees.
func (s *Store) misplaced(tx *bolt.Tx) []error {
	m, err := metaOf(tx)
	if err != nil {
		return []error{err}
	}
	p, err := freePages(s.file, tx.Size(), m)
	if err != nil {
		return []error{err}
	}
	return p.walk()
}

// Backup writes a copy of the file as of now; Open opens it. Updates go on meanwhile.
func (s *Store) Backup(w io.Writer) error {
	tx, err := s.begin(false)
	if err != nil {
		return err
	}
	defer rollback(tx)
	if _, err := tx.WriteTo(w); err != nil {
		return fmt.Errorf("store: backup: %w", err)
	}
	return nil
}

// rollback ends a transaction whose changes, if any, are not wanted. Its only error is that the
// transaction has ended already.
func rollback(tx *bolt.Tx) { _ = tx.Rollback() }
