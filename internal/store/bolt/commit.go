package bolt

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync/atomic"

	bolt "go.etcd.io/bbolt"

	"github.com/kagimori/kagimori/internal/store"
)

// A batch takes at most this many closures, and no more of them once they wrote this much, so
// that nobody waits long for others and a commit fits in memory.
const (
	batchUpdates = 256
	batchBytes   = 8 << 20
)

// request is one Update.
type request struct {
	ctx   context.Context
	fn    func(store.Tx) error
	taken atomic.Bool // by the committer, which runs it, or by its caller, who gave up
	reply chan outcome
}

// outcome is what becomes of a request.
type outcome struct {
	err   error
	panic any  // not nil: the closure panicked
	exit  bool // the closure ended its goroutine, as testing's FailNow does
}

// Update implements [store.Store].
func (s *Store) Update(ctx context.Context, fn func(store.Tx) error) error {
	r := &request{ctx: ctx, fn: fn, reply: make(chan outcome, 1)}
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case s.queue <- r:
	case <-s.stop:
		return store.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	cancelled, stopping := ctx.Done(), s.stop
	for {
		select {
		case out := <-r.reply:
			return out.deliver()
		case <-stopping:
			if r.take() {
				return store.ErrClosed
			}
			stopping = nil // it runs, and Close waits for it
		case <-cancelled:
			if r.take() {
				return ctx.Err()
			}
			cancelled = nil // it runs: the commit decides
		case <-s.done:
			select { // answered by the last batch
			case out := <-r.reply:
				return out.deliver()
			default:
				return store.ErrClosed
			}
		}
	}
}

func (r *request) take() bool { return r.taken.CompareAndSwap(false, true) }

// deliver ends an Update in its caller's goroutine.
func (o outcome) deliver() error {
	if o.panic != nil {
		panic(o.panic)
	}
	if o.exit {
		runtime.Goexit()
	}
	return o.err
}

// work is the committer. If a closure ends its goroutine, another one goes on.
func (s *Store) work() {
	finished := false
	defer func() {
		if finished {
			close(s.done)
		} else {
			go s.work()
		}
	}()
	for {
		r := s.waiting()
		if r == nil {
			select {
			case <-s.stop:
				finished = true
				return
			case q := <-s.queue:
				if r = q.admit(); r == nil {
					continue
				}
			}
		}
		s.batch(r)
	}
}

// waiting takes the next request, if there is one already.
func (s *Store) waiting() *request {
	if len(s.again) > 0 {
		r := s.again[0]
		s.again = s.again[1:]
		return r
	}
	for {
		select {
		case q := <-s.queue:
			if r := q.admit(); r != nil {
				return r
			}
		default:
			return nil
		}
	}
}

// more takes the next request for a batch that is being made. If there is none, those who are about to ask, and wait
// for a processor to do so, come first: a commit costs as much for one as for many.
func (s *Store) more() *request {
	for range 3 {
		if r := s.waiting(); r != nil {
			return r
		}
		runtime.Gosched()
	}
	return s.waiting()
}

// admit takes a request from its caller, or returns nil if that one gave up.
func (r *request) admit() *request {
	if !r.take() {
		return nil
	}
	if err := r.ctx.Err(); err != nil {
		r.reply <- outcome{err: err}
		return nil
	}
	return r
}

// batch is closures that are committed together.
type batch struct {
	s       *Store
	tx      *bolt.Tx
	ran     []*request // whose answers depend on the commit,
	outs    []outcome  // and what these are if it succeeds
	changes []store.Change
	touched map[string]bool // buckets that the changes are in
	bytes   int
	err     error // why it cannot be committed
}

// batch runs first and whatever else waits, and commits.
func (s *Store) batch(first *request) {
	s.retire()
	defer s.share() // whatever becomes of it, also if a closure ends this goroutine
	tx, err := s.begin(true)
	if err != nil {
		first.reply <- outcome{err: err}
		return
	}
	b := &batch{s: s, tx: tx}
	for r := first; r != nil; r = s.more() {
		b.add(r)
		if b.err != nil || len(b.ran) == batchUpdates || b.bytes >= batchBytes {
			break
		}
	}
	b.finish()
}

// add runs a closure and applies what it wrote. A closure that changed nothing and ran before any
// that did has its answer at once.
func (b *batch) add(r *request) {
	o := store.NewOverlay(&snapshot{tx: b.tx, rev: b.visible(), known: true, mixed: b.s.mixed})
	o.SetMemory(&b.s.memos, b.s.disk, func(bucket string) bool { return b.touched[bucket] })
	out := b.run(r, o)
	if err := o.End(); out.err == nil {
		out.err = err
	}
	b.s.updates.Add(1)
	changed := out.err == nil && out.panic == nil && len(o.Writes()) > 0
	if !changed && len(b.changes) == 0 {
		r.reply <- out
		return
	}
	b.ran, b.outs = append(b.ran, r), append(b.outs, out)
	if changed {
		b.bytes += o.Bytes()
		b.err = writing(func() error { return b.apply(o) })
	}
}

// visible is the newest revision that the open transaction shows.
func (b *batch) visible() store.Revision {
	if len(b.changes) > 0 {
		return b.s.rev
	}
	return b.s.disk
}

// run calls a closure. Its panic becomes an outcome. If it ends the goroutine, the batch is undone
// and those that ran before it run again: closures may.
func (b *batch) run(r *request, o *store.Overlay) (out outcome) {
	returned := false
	defer func() {
		if returned {
			return
		}
		if p := recover(); p != nil {
			b.s.log.Error("a store transaction panicked", "stack", string(debug.Stack()))
			out = outcome{panic: p}
			return
		}
		_ = o.End() // nothing of it is kept
		rollback(b.tx)
		b.s.again = append(b.ran, b.s.again...)
		r.reply <- outcome{exit: true}
	}()
	out.err = r.fn(o)
	returned = true
	return out
}

// apply writes a closure's changes to the open transaction, where those that run after it see them.
func (b *batch) apply(o *store.Overlay) error {
	b.s.rev++
	rev := b.s.rev
	if b.touched == nil {
		b.touched = map[string]bool{}
	}
	var (
		bucket *bolt.Bucket
		name   string
	)
	for _, w := range o.Writes() {
		if bucket == nil || name != w.Bucket {
			var err error
			if bucket, err = makeBucket(b.tx, w.Bucket); err != nil {
				return err
			}
			name = w.Bucket
			b.touched[name] = true
		}
		var err error
		if w.Deleted {
			err = bucket.Delete([]byte(w.Key))
		} else {
			err = bucket.Put([]byte(w.Key), seal(w.Bucket, []byte(w.Key), w.Stamp(rev)))
		}
		if err != nil {
			return err
		}
		b.changes = append(b.changes, w.Change(rev))
	}
	return nil
}

// finish commits and answers. If the commit fails, nothing of the batch is there and all who took
// part learn of it, even those with an error of their own: they may have seen what is not.
func (b *batch) finish() {
	if len(b.changes) == 0 && b.err == nil {
		rollback(b.tx)
		return
	}
	if b.err == nil {
		b.s.memos.Changed(b.changes) // bbolt shows them before it says so
		b.err = writing(func() error {
			return errors.Join(b.tx.Bucket(metaBucket).Put(revisionKey, encodeRevision(b.s.rev)), b.tx.Commit())
		})
	} else {
		_ = writing(func() error { rollback(b.tx); return nil }) // it is not committed, whatever becomes of it
	}
	if b.err != nil {
		err := b.s.failed(b.tx, b.err)
		for i := range b.outs {
			if b.outs[i].panic == nil {
				b.outs[i].err = err
			}
		}
	} else {
		b.s.disk = b.s.rev
		b.s.commits.Add(1)
		b.s.history.Add(b.changes)
	}
	b.s.share() // those who are answered see it
	for i, r := range b.ran {
		r.reply <- b.outs[i]
	}
}

// failed finds out what a failed commit left. Usually nothing. But if the last step, making the new
// root durable, is the one that failed, bbolt already shows the new root while the disk may have
// either: then nobody can be told the truth, and the store stops until it is opened again.
func (s *Store) failed(tx *bolt.Tx, cause error) error {
	err := fmt.Errorf("store: commit: %w", cause)
	if errors.Is(cause, store.ErrCorrupt) {
		s.stuck = writing(func() error { rollback(tx); return nil }) != nil
		stopped := fmt.Errorf("store: stopped, because it is damaged: %w", cause)
		s.broken.Store(&stopped)
		s.log.Error("the store is damaged and has stopped; kagimori store check says where", "error", cause)
		return stopped
	}
	if tx, beginErr := s.begin(false); beginErr != nil {
		err = errors.Join(err, beginErr)
	} else {
		shown := revision(tx.Bucket(metaBucket))
		rollback(tx)
		if shown == s.disk {
			s.log.Error("a commit failed and was undone", "error", cause)
			return err
		}
	}
	stopped := fmt.Errorf("%w: stopped, because a commit failed half-way: %w", store.ErrClosed, cause)
	s.broken.Store(&stopped)
	s.log.Error("a commit failed half-way; the store has stopped", "error", cause)
	return err
}
