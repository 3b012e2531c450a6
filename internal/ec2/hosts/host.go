// Package hosts is the machines that instances run on, and how whoever works reaches them. A [Host] has the files of
// volumes in its folder, their data keys in locked memory while instances have them, what machine.Driver runs, and the
// exports of volumes. It knows no request of EC2 and decides nothing.
//
// A [Rack] is a host as it is worked with: one of this process, one of another node (a [Remote], which an [Agent] there
// answers), or one that is not there ([Empty]). Of the store the package has the records of hosts alone.
package hosts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"github.com/kagimori/kagimori/internal/blockdev"
	"github.com/kagimori/kagimori/internal/blockdev/nbd"
	"github.com/kagimori/kagimori/internal/ec2/locks"
	"github.com/kagimori/kagimori/internal/machine"
	"github.com/kagimori/kagimori/internal/secret"
)

// A Host is the machine that instances run on. It holds the volumes of running instances: the data
// key of a volume is in locked memory (and in its cipher, while its file is open) as long as an
// instance on the host has the volume, and nowhere else. Files are opened when they are needed, and
// at most bound of them stay open that nobody is using. Safe for concurrent use.
type Host struct {
	dir   *blockdev.Shelf
	files *locks.Locks // by volume: holding, letting go, copying and removing a file exclude each other
	bound int          // most files open, but for those in use
	keys  keyring

	mu     sync.Mutex
	held   map[string]*heldVolume // by volume id; guarded by mu
	idle   *heldVolume            // least recently used of those open that nobody uses; guarded by mu
	recent *heldVolume            // most recently used of them; guarded by mu
	open   int                    // files; guarded by mu
	closed bool                   // guarded by mu

	lines    map[lineKey]*line // to machines of other hosts; guarded by mu
	machines *machines         // that run here

	exports   exports  // of held volumes; they end before the volume is let go of
	addresses []string // where clients find them; none if the host exports nothing
	log       *slog.Logger
}

// A heldVolume is a volume that the host holds for instances: one, or several with Multi-Attach.
type heldVolume struct {
	id   string
	key  *secret.Held // nil: plain
	size int64

	opening sync.Mutex // held while the file is being opened or closed

	// The rest is guarded by the host's mu.
	holders      map[string]bool  // instances
	v            *blockdev.Volume // nil: the file is not open
	users        int              // of v; it stays open while there are any
	gone         bool             // nobody holds it any more
	broken       error            // closing the file failed: what is on disk is not known
	older, newer *heldVolume      // among the idle
}

// ErrDown: the host opens nothing any more. The work that wanted it goes on at the next start.
var ErrDown = errors.New("ec2: the host is shut down")

// defaultOpenFiles is how many files of held volumes a host keeps open if nobody says.
const defaultOpenFiles = 256

// Config is that of a host.
type Config struct {
	Volumes *blockdev.Shelf
	// OpenFiles is how many files of held volumes stay open that nobody reads or writes; 0 means 256.
	OpenFiles int
	// Addresses are where clients of NBD find exported volumes; without any the host exports nothing.
	Addresses []string
	// Machines run instances; nil is machine.Host, which runs nothing. Told hears of each that ends by itself; nil if
	// whoever works asks. Dial is how they come to volumes on other hosts; nil if there are none.
	Machines machine.Driver
	Told     func(MachineNews)
	Dial     Dial
	Logger   *slog.Logger
}

// New makes a host that holds nothing yet.
func New(cfg Config) *Host {
	bound := cfg.OpenFiles
	if bound <= 0 {
		bound = defaultOpenFiles
	}
	h := &Host{
		dir: cfg.Volumes, files: locks.New(), bound: bound, held: map[string]*heldVolume{}, lines: map[lineKey]*line{},
		addresses: cfg.Addresses, log: cfg.Logger,
	}
	h.machines = newHostMachines(h, cfg.Machines, cfg.Logger)
	h.machines.told, h.machines.dial = cfg.Told, cfg.Dial
	return h
}

// Close lets machines and volumes go: the end of the process.
func (h *Host) Close() {
	if err := h.machines.driver.Close(); err != nil {
		h.log.Error("a machine was not shut down properly", "error", err)
	}
	if err := h.shutDown(); err != nil {
		h.log.Error("a volume was not closed properly", "error", err)
	}
}

// Exporting reports whether clients may find exported volumes.
func (h *Host) Exporting() bool { return len(h.addresses) > 0 }

// Exported is the export with a name, for a server of NBD.
func (h *Host) Exported(name string) (nbd.Export, bool) { return h.exports.find(name) }

// hold has the host hold a volume for an instance. It opens it with its data key (nil for a plain
// one) and checks that it can be read. The key is wiped whatever happens. Holding a volume again for
// the same instance does nothing; for another one the key must be the same.
func (h *Host) hold(id, instance string, key secret.Bytes) error {
	defer key.Wipe()
	defer h.files.Lock(id)()
	h.mu.Lock()
	e, closed := h.held[id], h.closed
	h.mu.Unlock()
	if closed {
		return ErrDown
	}
	if e == nil {
		return h.take(id, instance, key)
	}
	if err := e.sameKey(key); err != nil {
		return fmt.Errorf("volume %s: %w", id, err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return ErrDown
	}
	e.holders[instance] = true
	return nil
}

// take begins to hold a volume. Its file is locked.
func (h *Host) take(id, instance string, key secret.Bytes) error {
	v, err := blockdev.Open(h.dir, id, key)
	if err != nil {
		return err
	}
	e := &heldVolume{id: id, size: v.Size(), holders: map[string]bool{instance: true}, v: v}
	if err = readable(v); err == nil && key != nil {
		e.key, err = h.keys.keep(key)
	}
	if err != nil {
		return errors.Join(err, v.Close())
	}
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		e.forget()
		return errors.Join(ErrDown, v.Close())
	}
	h.held[id] = e
	h.open++
	h.rest(e)
	h.mu.Unlock()
	h.trim()
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

// release lets go of a volume for an instance, or with "" for all. When no instance has it any more
// the file is closed and the key wiped. It is no error that the volume is not held.
func (h *Host) release(id, instance string) error {
	defer h.files.Lock(id)()
	h.mu.Lock()
	e := h.held[id]
	if e == nil || instance != "" && !e.holders[instance] {
		h.mu.Unlock()
		return nil
	}
	if delete(e.holders, instance); instance != "" && len(e.holders) > 0 {
		h.mu.Unlock()
		h.endLines(id, instance)
		return nil
	}
	delete(h.held, id)
	h.drop(e)
	h.mu.Unlock()
	h.endLines(id, "")
	h.exports.end(id)
	return h.shut(e)
}

// drop takes a volume out of those that may be opened. The host is locked.
func (h *Host) drop(e *heldVolume) {
	e.gone = true
	h.unrest(e)
}

// shut closes the file of a dropped volume and wipes its key.
func (h *Host) shut(e *heldVolume) error {
	e.opening.Lock()
	defer e.opening.Unlock()
	h.mu.Lock()
	v, err := e.v, e.broken
	e.v = nil
	if v != nil {
		h.open--
	}
	h.mu.Unlock()
	e.forget()
	if v != nil {
		return v.Close()
	}
	return err
}

// begin begins a snapshot of a volume as it is at this moment, whether it is held or not.
func (h *Host) begin(ctx context.Context, id, snapshot string) (*blockdev.Pending, error) {
	defer h.files.Lock(id)()
	v, done, err := h.use(id)
	switch {
	case errors.Is(err, ErrNotHeld):
		return blockdev.Begin(h.dir, id, snapshot)
	case err != nil:
		return nil, err
	}
	defer done()
	return v.Begin(ctx, h.dir, snapshot)
}

// grow makes a volume larger, whether it is held or not.
func (h *Host) grow(id string, size int64) error {
	defer h.files.Lock(id)()
	v, done, err := h.use(id)
	switch {
	case errors.Is(err, ErrNotHeld):
		return blockdev.Grow(h.dir, id, size)
	case err != nil:
		return err
	}
	defer done()
	if err := v.Grow(h.dir, size); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if e := h.held[id]; e != nil {
		e.size = v.Size()
	}
	return nil
}

// Remove deletes the file of a volume that was released. It is no error that there is none.
func (h *Host) Remove(id string) error {
	defer h.files.Lock(id)()
	if err := blockdev.Remove(h.dir, id); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Holds reports whether the host holds a volume for an instance, or with "" for any.
func (h *Host) Holds(id, instance string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	e := h.held[id]
	return e != nil && e.broken == nil && (instance == "" || e.holders[instance])
}

// list are the instances that the host holds volumes for, by volume.
func (h *Host) list() map[string][]string {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := map[string][]string{}
	for id, e := range h.held {
		if e.broken == nil {
			out[id] = slices.Sorted(maps.Keys(e.holders))
		}
	}
	return out
}

// shutDown lets go of all volumes and holds none any more.
func (h *Host) shutDown() error {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	_, err := h.dropAll()
	return errors.Join(err, h.keys.close())
}

// dropAll lets go of all volumes, of which there were n.
func (h *Host) dropAll() (n int, err error) {
	h.mu.Lock()
	held := h.held
	h.held = map[string]*heldVolume{}
	for _, e := range held {
		h.drop(e)
	}
	h.mu.Unlock()
	var errs []error
	for id, e := range held {
		h.endLines(id, "")
		h.exports.end(id)
		errs = append(errs, h.shut(e))
	}
	return len(held), errors.Join(errs...)
}
