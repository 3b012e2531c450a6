package trail

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/store"
)

// outboxEntry is the record of a change that is not in the log yet.
type outboxEntry struct {
	Record Record `json:"record"`
	// After is the last sequence number of the log when the entry was made: its own is higher.
	After uint64 `json:"after"`
}

// outboxOf is the outbox of a node's log.
func outboxOf(node string) store.Table[outboxEntry] {
	bucket := "trail/outbox"
	if node != "" {
		bucket += "/" + node
	}
	return store.Table[outboxEntry]{Bucket: bucket, Version: outboxVersion}
}

const outboxVersion = 1

// outgoing is a record of the outbox that goes to the log, with the revision of its commit.
type outgoing struct {
	rev store.Revision
	*pending
}

var causes = store.Table[string]{Bucket: "trail/cause", Version: 1} // account, region, resource: request id

var (
	errNoStore   = errors.New("trail: opened without a store")
	errNoEventID = errors.New("trail: a record of a change has no event id")
)

// PutTx puts a record into the transaction of the change that it is about. The same event id put
// again, by a closure that runs again, is one record. It fails while the log cannot be written: a
// change that cannot be recorded is refused.
func (t *Trail) PutTx(tx store.Tx, rec *Record) error {
	switch {
	case t.cfg.Store == nil:
		return errNoStore
	case rec.EventID == "": // all such records would be one
		return errNoEventID
	}
	if err := t.refused.Load(); err != nil {
		t.Kick() // perhaps it can be written again, for the next one
		return *err
	}
	r, err := t.prepare(*rec)
	if err != nil {
		return err
	}
	key := store.Key(rec.EventID)
	t.prepared.add(key, r)
	return tx.Put(t.outbox.Bucket, key, r.data)
}

// Kick has the outbox moved to the log soon. Call it after a transaction with PutTx committed.
func (t *Trail) Kick() {
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
		switch left, err := t.gather(ctx, forgetAt); {
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
			if err := t.Flush(ctx); err != nil {
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
	_, err := t.gather(ctx, 1)
	return err
}

// gather appends to the log what the outbox has and the log has not: look-ups see it then. If most
// or more are in both, it waits until they are on the disk and takes them out of the outbox. It
// returns how many stay in both.
func (t *Trail) gather(ctx context.Context, most int) (left int, err error) {
	if t.cfg.Store == nil || ctx.Err() != nil {
		return 0, ctx.Err()
	}
	select {
	case t.flushing <- struct{}{}:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	defer func() { <-t.flushing }()
	entries, err := t.readOutbox(ctx)
	if err != nil || len(entries)+len(t.moved) == 0 {
		return 0, err
	}
	err = t.move(entries)
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

// forget takes what is in the log, and on the disk, out of the outbox. flushing is held.
func (t *Trail) forget(ctx context.Context) error {
	t.writeMu.Lock()
	mark := t.synced
	t.writeMu.Unlock()
	for batch := range slices.Chunk(slices.Collect(maps.Keys(t.moved)), deleteBatch) {
		err := t.cfg.Store.Update(ctx, func(tx store.Tx) error {
			for _, id := range batch {
				if err := t.outbox.Delete(tx, id); err != nil {
					return err
				}
			}
			return t.marks.Put(tx, mark, markKey)
		})
		if err != nil {
			return err
		}
		for _, id := range batch {
			delete(t.moved, id)
		}
	}
	return nil
}

// readOutbox returns what is in the outbox and not known to be in the log, in the order of the
// commits. It is short: it fills only while the log cannot be written, and then changes are refused.
// flushing is held.
func (t *Trail) readOutbox(ctx context.Context) ([]outgoing, error) {
	var entries []outgoing
	err := t.cfg.Store.View(ctx, func(tx store.Tx) error {
		entries = nil
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
	slices.SortStableFunc(entries, func(a, b outgoing) int {
		return cmp.Or(cmp.Compare(a.rev, b.rev), a.rec.EventTime.Compare(b.rec.EventTime), strings.Compare(a.rec.EventID, b.rec.EventID))
	})
	return entries, err
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

// moveBatch is how many records of the outbox one write puts into the log.
const moveBatch = 256

// move appends entries to the log, without waiting for the disk: until that is done the store has
// them. flushing is held.
func (t *Trail) move(entries []outgoing) error {
	batch := make([]*pending, len(entries))
	for i, e := range entries {
		if batch[i] = e.pending; e.buf.Len() == 0 {
			if err := e.encode(); err != nil {
				return err
			}
		}
	}
	for part := range slices.Chunk(batch, moveBatch) {
		t.writeMu.Lock()
		err := t.write(part, false)
		t.writeMu.Unlock()
		if err != nil {
			return err
		}
		for _, p := range part {
			t.moved[p.rec.EventID] = true
		}
	}
	return nil
}

// sync waits until what was written is on the disk, without holding appends up.
func (t *Trail) sync() error {
	t.writeMu.Lock()
	file, broken, written := t.file, t.broken, synced{t.segment, t.size}
	t.writeMu.Unlock()
	if broken != nil {
		return broken
	}
	err := file.Sync()
	t.writeMu.Lock()
	defer t.writeMu.Unlock()
	if err == nil || errors.Is(err, os.ErrClosed) { // rotate syncs before it closes
		if t.synced.before(written) {
			t.synced = written
		}
		return nil
	}
	t.broken = fmt.Errorf("trail: %w", err)
	return t.broken
}

// findMoved looks for entries of the outbox that an earlier run had put into the log when it died.
func (t *Trail) findMoved(ctx context.Context) error {
	if t.cfg.Store == nil {
		return nil
	}
	wanted, after := map[string]bool{}, t.seq.Load()
	err := t.cfg.Store.View(ctx, func(tx store.Tx) error {
		for e, err := range t.outbox.Scan(tx) {
			if err != nil {
				return err
			}
			wanted[e.Value.Record.EventID] = true
			if e.Value.After > t.seq.Load() {
				after = 0 // this is another log than the one it was meant for
			}
			after = min(after, e.Value.After)
		}
		return nil
	})
	if err != nil || len(wanted) == 0 {
		return err
	}
	nums, err := t.segments()
	if err != nil {
		return err
	}
	for _, n := range slices.Backward(nums) {
		older := false
		err := t.lines(ctx, n, func(line []byte, _ int64) error {
			h, ok := decodeHead(line)
			switch {
			case !ok || h.Kagimori == nil:
			case h.Kagimori.Sequence <= after:
				older = true
			case wanted[h.EventID]:
				t.moved[h.EventID] = true
			}
			return nil
		})
		if err != nil && !errors.Is(err, ErrBroken) {
			return err
		}
		if older || len(t.moved) == len(wanted) {
			return nil
		}
	}
	return nil
}

// LinkCause remembers that the request explains what became of a resource: why an instance, a
// volume or a scaling activity failed. A later one replaces it.
func (t *Trail) LinkCause(tx store.Tx, account, region, resource, requestID string) error {
	return causes.Put(tx, requestID, account, region, resource)
}

// Cause is the request that explains what became of a resource; ok is false if none does.
func (t *Trail) Cause(tx store.Tx, account, region, resource string) (requestID string, ok bool, err error) {
	return causes.Get(tx, account, region, resource)
}

// UnlinkCause forgets what explains a resource that is kept no longer.
func (t *Trail) UnlinkCause(tx store.Tx, account, region, resource string) error {
	return causes.Delete(tx, account, region, resource)
}
