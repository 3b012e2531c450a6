package trail

import (
	"context"

	"github.com/kagimori/kagimori/internal/store"
)

// Sequence is the number of the newest record of the log.
func (t *Trail) Sequence() uint64 { return t.seq.Load() }

// Waiting is how many records of changes are in the store and perhaps not in the log yet, counted to at most limit.
func (t *Trail) Waiting(ctx context.Context, limit int) (n int, err error) {
	if t.cfg.Store == nil {
		return 0, nil
	}
	err = t.cfg.Store.View(ctx, func(tx store.Tx) error {
		n = 0
		for _, err := range tx.Scan(t.outbox.Bucket, store.Range{KeysOnly: true, Limit: limit}) {
			if err != nil {
				return err
			}
			n++
		}
		return nil
	})
	return n, err
}

// Err is why nothing can be appended until the log is opened anew, if that is so: it is not known any more what is on
// the disk.
func (t *Trail) Err() error {
	t.writeMu.Lock()
	defer t.writeMu.Unlock()
	return t.broken
}
