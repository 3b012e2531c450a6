package trail

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

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
		t.wake() // perhaps it can be written again, for the next one
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
