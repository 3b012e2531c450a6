package trail

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/store"
)

// Kick has the outbox moved to the log soon. Call it after a transaction with PutTx committed.
func (t *Trail) Kick() {
	if t.refused.Load() != nil || !t.arrivals.complete() { // else it moves by itself
		t.wake()
	}
}

// wake has drain look.
func (t *Trail) wake() {
	select {
	case t.kick <- struct{}{}:
	default:
	}
}

const (
	retryAfter = time.Second      // when a move of the outbox that failed is tried again
	tellAfter  = 10 * time.Second // and how often the log says that it failed

	// What is in the log leaves the outbox this long after, or when it is so many records: the disk
	// is waited for, and a commit made, for many changes at once.
	forgetAfter = 100 * time.Millisecond
	forgetAt    = 2 * deleteBatch
)

func (t *Trail) drain() {
	ctx := context.Background()
	var (
		due   <-chan time.Time // while something is in the log that is still in the outbox
		again <-chan time.Time // after a failure
		told  time.Time
	)
	failed := func(err error) {
		again = time.After(retryAfter)
		if time.Since(told) >= tellAfter { // each change that is refused has it tried
			told = time.Now()
			store.Report(ctx, t.cfg.Logger, "the records of changes wait in the store: they cannot be moved to the trail", err)
		}
	}
	gather := func() {
		again = nil
		switch left, err := t.gather(ctx, forgetAt, false); {
		case err != nil:
			failed(err)
		case left > 0 && due == nil:
			due = time.After(forgetAfter)
		}
	}
	for {
		select {
		case <-t.stop:
			return
		case <-t.kick:
			gather()
		case <-again:
			gather()
		case <-due:
			due = nil
			if _, err := t.gather(ctx, 1, false); err != nil {
				failed(err)
			}
		}
	}
}

// deleteBatch is how many entries one transaction takes out of the outbox; it notes how far the log is on the disk, too.
const deleteBatch = store.MaxOps - 1

// Flush moves the outbox to the log: all that was committed before the call, in the order of the
// commits. Each record is in the log once, even if the server dies between the append and the
// removal: what is in the log and still in the outbox is only removed.
func (t *Trail) Flush(ctx context.Context) error {
	_, err := t.gather(ctx, 1, true)
	return err
}

// gather appends to the log what the outbox has and the log has not: look-ups see it then. If most
// or more are in both, it waits until they are on the disk and takes them out of the outbox. It
// returns how many stay in both. With all it reads the outbox, and finds what was committed before the call;
// without, it relies on what was told of it, unless something was missed.
func (t *Trail) gather(ctx context.Context, most int, all bool) (left int, err error) {
	if t.cfg.Store == nil || ctx.Err() != nil {
		return 0, ctx.Err()
	}
	select {
	case t.flushing <- struct{}{}:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	defer func() { <-t.flushing }()
	entries, done, err := t.unmoved(ctx, all)
	if err != nil || len(entries)+len(t.moved) == 0 {
		return 0, err
	}
	err = t.move(entries)
	if err == nil {
		done()
	} else {
		t.arrivals.miss()
	}
	forget := err == nil && len(t.moved) >= most
	if forget {
		err = t.sync()
	}
	if err != nil {
		t.refused.Store(&err)
		return len(t.moved), err
	}
	t.refused.Store(nil)
	if forget {
		err = t.forget(ctx)
	}
	return len(t.moved), err
}

// unmoved returns what is in the outbox and not known to be in the log, in the order of the commits, and
// what to do when it was moved. flushing is held.
func (t *Trail) unmoved(ctx context.Context, all bool) (entries []outgoing, done func(), err error) {
	if !all {
		if events, ok := t.arrivals.take(); ok {
			entries, err = t.told(events)
			if err != nil {
				t.arrivals.miss()
			}
			return entries, func() {}, err
		}
	}
	missed := t.arrivals.missed() // all that came before is in what is read now
	entries, rev, err := t.readOutbox(ctx)
	return entries, func() {
		t.scanned = rev
		t.arrivals.filled(missed, rev)
	}, err
}

// told are the entries that events tell of. flushing is held.
func (t *Trail) told(events []store.Event) ([]outgoing, error) {
	entries := make([]outgoing, 0, len(events))
	for _, e := range events {
		if e.Rev <= t.scanned || t.moved[store.SplitKey(e.Key)[0]] {
			continue
		}
		o, err := t.outgoing(store.Pair{Key: e.Key, Value: store.Value{Data: e.Data, Rev: e.Rev}})
		if err != nil {
			return nil, err
		}
		entries = append(entries, o)
	}
	inOrder(entries)
	return entries, nil
}

// readOutbox reads the outbox, as of a revision. It is short: it fills only while the log cannot be written,
// and then changes are refused. flushing is held.
func (t *Trail) readOutbox(ctx context.Context) (entries []outgoing, rev store.Revision, err error) {
	err = t.cfg.Store.View(ctx, func(tx store.Tx) error {
		entries, rev = nil, tx.Revision()
		for p, err := range t.waiting(tx) {
			if err != nil {
				return err
			}
			e, err := t.outgoing(p)
			if err != nil {
				return err
			}
			entries = append(entries, e)
		}
		return nil
	})
	inOrder(entries)
	return entries, rev, err
}

// inOrder sorts entries as they were committed.
func inOrder(entries []outgoing) {
	slices.SortStableFunc(entries, func(a, b outgoing) int {
		return cmp.Or(cmp.Compare(a.rev, b.rev), a.rec.EventTime.Compare(b.rec.EventTime), strings.Compare(a.rec.EventID, b.rec.EventID))
	})
}

// waiting yields the entries of the outbox that are not known to be in the log. What is known to be is most of it,
// and only its keys are read. flushing is held.
func (t *Trail) waiting(tx store.Tx) iter.Seq2[store.Pair, error] {
	return func(yield func(store.Pair, error) bool) {
		for p, err := range tx.Scan(t.outbox.Bucket, store.Range{KeysOnly: true}) {
			if err == nil {
				if t.moved[store.SplitKey(p.Key)[0]] {
					continue
				}
				p.Value, _, err = tx.Get(t.outbox.Bucket, p.Key)
			}
			if !yield(p, err) || err != nil {
				return
			}
		}
	}
}
