package ec2

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"

	"github.com/kagimori/kagimori/internal/blockdev"
	"github.com/kagimori/kagimori/internal/secret"
)

// A host is the machine that instances run on. It holds the open volumes of running instances;
// a volume's data key lives in its cipher, from open to close, and nowhere else.
// Safe for concurrent use.
type host struct {
	dir   *os.Root
	files *locks // by volume: opening, closing, copying and removing a file exclude each other

	mu     sync.Mutex
	open   map[string]*blockdev.Volume // by volume id; guarded by mu
	closed bool                        // guarded by mu

	exports exports // of open volumes; they end before the volume is closed
}

// errHostDown: the host opens nothing any more. The work that wanted it goes on at the next start.
var errHostDown = errors.New("ec2: the host is shut down")

func newHost(dir *os.Root) *host {
	return &host{dir: dir, files: newLocks(), open: map[string]*blockdev.Volume{}}
}

// hold opens a volume with its data key (nil for a plain one), checks that it can be read, and
// keeps it open. The key is wiped whatever happens. Holding an open volume again does nothing.
func (h *host) hold(id string, key secret.Bytes) error {
	defer key.Wipe()
	defer h.files.lock(id)()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return errHostDown
	}
	if h.open[id] != nil {
		return nil
	}
	v, err := blockdev.Open(h.dir, id, key)
	if err != nil {
		return err
	}
	if err := readable(v); err != nil {
		return errors.Join(err, v.Close())
	}
	h.open[id] = v
	return nil
}

// readable reads the first sector and the first that was ever written.
func readable(v *blockdev.Volume) error {
	buf := make([]byte, blockdev.SectorSize)
	defer clear(buf)
	offsets := []int64{0}
	for e := range v.Extents() {
		offsets = append(offsets, e.Offset)
		break
	}
	for _, off := range offsets {
		if _, err := v.ReadAt(buf, off); err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("ec2: volume %s cannot be read: %w", v.Info().ID, err)
		}
	}
	return nil
}

// release closes a volume and wipes its key. It is no error that the volume is not open.
func (h *host) release(id string) error {
	defer h.files.lock(id)()
	h.mu.Lock()
	v := h.open[id]
	delete(h.open, id)
	h.mu.Unlock()
	if v == nil {
		return nil
	}
	h.exports.end(id)
	return v.Close()
}

// snapshot makes a snapshot of a volume as it is at this moment, whether it is held or not. Nobody
// needs its key for that.
func (h *host) snapshot(ctx context.Context, id, snapshot string) error {
	defer h.files.lock(id)()
	h.mu.Lock()
	v, closed := h.open[id], h.closed
	h.mu.Unlock()
	switch {
	case closed:
		return errHostDown
	case v != nil:
		return v.Snapshot(ctx, h.dir, snapshot)
	}
	return blockdev.Snapshot(h.dir, id, snapshot)
}

// grow makes a volume larger, whether it is held or not.
func (h *host) grow(id string, size int64) error {
	defer h.files.lock(id)()
	h.mu.Lock()
	v, closed := h.open[id], h.closed
	h.mu.Unlock()
	switch {
	case closed:
		return errHostDown
	case v != nil:
		return v.Grow(h.dir, size)
	}
	return blockdev.Grow(h.dir, id, size)
}

// remove deletes the file of a volume that was released. It is no error that there is none.
func (h *host) remove(id string) error {
	defer h.files.lock(id)()
	if err := blockdev.Remove(h.dir, id); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// volume is an open volume, or nil.
func (h *host) volume(id string) *blockdev.Volume {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.open[id]
}

// shutDown closes all volumes and opens none any more.
func (h *host) shutDown() error {
	h.mu.Lock()
	open := h.open
	h.open, h.closed = map[string]*blockdev.Volume{}, true
	h.mu.Unlock()
	var errs []error
	for id, v := range open {
		h.exports.end(id)
		errs = append(errs, v.Close())
	}
	return errors.Join(errs...)
}
