package ebs

import (
	"errors"
	"sync"

	"github.com/kagimori/kagimori/internal/blockdev"
	"github.com/kagimori/kagimori/internal/secret"
)

// Writers are the files of pending snapshots that are open for writing. A data key lives in the cipher of
// an open file and nowhere else. Safe for concurrent use.
type writers struct {
	dir *blockdev.Shelf

	mu     sync.Mutex
	open   map[string]*writer // by snapshot; guarded by mu
	closed bool               // guarded by mu
}

// A writer is one open file.
type writer struct {
	*blockdev.Volume
	users int  // guarded by writers.mu
	stale bool // not used since the last look; guarded by writers.mu
}

var errStopped = errors.New("ebs: the service is shut down")

func newWriters(dir *blockdev.Shelf) *writers { return &writers{dir: dir, open: map[string]*writer{}} }

// use opens a snapshot with its key (nil for a plain one) and calls fn with it. The key is wiped.
func (w *writers) use(id string, key secret.Bytes, fn func(*blockdev.Volume) error) error {
	v, err := w.take(id, key)
	if err != nil {
		return err
	}
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		v.users--
	}()
	return fn(v.Volume)
}

func (w *writers) take(id string, key secret.Bytes) (*writer, error) {
	defer key.Wipe()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil, errStopped
	}
	v := w.open[id]
	if v == nil {
		vol, err := blockdev.Open(w.dir, id, key)
		if err != nil {
			return nil, err
		}
		v = &writer{Volume: vol}
		w.open[id] = v
	}
	v.users, v.stale = v.users+1, false
	return v, nil
}

// close closes the file of a snapshot; it waits for running writes.
func (w *writers) close(id string) error {
	w.mu.Lock()
	v := w.open[id]
	delete(w.open, id)
	w.mu.Unlock()
	if v == nil {
		return nil
	}
	return v.Close()
}

// idle closes a file that was not used since the last call, and reports whether it is still open.
func (w *writers) idle(id string) (open bool, err error) {
	w.mu.Lock()
	v := w.open[id]
	switch {
	case v == nil:
		w.mu.Unlock()
		return false, nil
	case v.users > 0 || !v.stale:
		v.stale = true
		w.mu.Unlock()
		return true, nil
	}
	delete(w.open, id)
	w.mu.Unlock()
	return false, v.Close()
}

// isOpen reports whether a file is open.
func (w *writers) isOpen(id string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.open[id] != nil
}

func (w *writers) stop() error {
	w.mu.Lock()
	open := w.open
	w.open, w.closed = map[string]*writer{}, true
	w.mu.Unlock()
	var errs []error
	for _, v := range open {
		errs = append(errs, v.Close())
	}
	return errors.Join(errs...)
}
