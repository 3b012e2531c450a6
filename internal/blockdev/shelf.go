package blockdev

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/kagimori/kagimori/internal/objects"
)

// Names of objects. What an interrupted process had begun is in work and gone, so that [Sweep] finds it
// without looking at everything.
const (
	indexPrefix = "index/" // ID: a snapshot
	blockPrefix = "block/" // ORIGIN/BLOCK: data that a snapshot wrote, for itself and for those that share it
	workPrefix  = "work/"  // ORIGIN: a snapshot is being made; its blocks belong to nobody yet
	gonePrefix  = "gone/"  // ID: the index of a snapshot that is being removed
)

func blocksOf(id string) string               { return blockPrefix + id + "/" }
func blockName(id string, block int64) string { return fmt.Sprintf("%s%08x", blocksOf(id), block) }

// workers is how many objects are read or written at a time.
const workers = 8

// A Shelf is where volumes and snapshots are: volumes are files in its folder, snapshots are objects. One
// process writes it. Safe for concurrent use.
type Shelf struct {
	*os.Root
	objects objects.Store
	others  Others // nil: nobody

	releasing sync.Mutex // one removal at a time

	leasing sync.Mutex
	leases  map[string]*lease // by volume, of which snapshots are being stored; guarded by leasing

	mu     sync.Mutex
	loaded bool              // heads and broken are known
	heads  map[string]*index // of all snapshots, without entries
	broken map[string]error  // snapshots whose index cannot be read
	pins   map[string]int    // users of a snapshot, which is not removed meanwhile
	making map[string]bool   // snapshots that are being made
	recent []*index          // read lately, the latest last
}

// NewShelf is the shelf with volumes in a folder and snapshots in a store. Both stay the caller's to close.
func NewShelf(volumes *os.Root, snapshots objects.Store) *Shelf {
	return &Shelf{Root: volumes, objects: snapshots, pins: map[string]int{}, making: map[string]bool{}, leases: map[string]*lease{}}
}

// Others are the stores that other shelves write: what is there can be read. What this one makes shares
// nothing with it, so that each may remove its own without asking. The list may change.
type Others func() []objects.Store

// NewShared is a shelf that reads the snapshots of others too.
func NewShared(volumes *os.Root, snapshots objects.Store, others Others) *Shelf {
	s := NewShelf(volumes, snapshots)
	s.others = others
	return s
}

// get reads of an object that this shelf has, or another.
func (s *Shelf) get(ctx context.Context, name string, off, n int64) ([]byte, error) {
	b, err := s.objects.Get(ctx, name, off, n)
	if s.others == nil || !errors.Is(err, fs.ErrNotExist) {
		return b, err
	}
	for _, o := range s.others() {
		if b, err := o.Get(ctx, name, off, n); !errors.Is(err, fs.ErrNotExist) {
			return b, err
		}
	}
	return b, err
}

// own reports whether a snapshot is this shelf's.
func (s *Shelf) own(ctx context.Context, id string) (bool, error) {
	if s.others == nil {
		return true, nil
	}
	return s.knows(ctx, id)
}

// load reads the heads of all snapshots, once. The caller holds mu.
func (s *Shelf) load(ctx context.Context) error {
	if s.loaded {
		return nil
	}
	var ids []string
	err := s.objects.List(ctx, indexPrefix, func(o objects.Object) error {
		if id := strings.TrimPrefix(o.Name, indexPrefix); validID(id) {
			ids = append(ids, id)
		}
		return nil
	})
	if err != nil {
		return err
	}
	heads := make([]*index, len(ids))
	bad := make([]error, len(ids))
	err = parallel(ctx, len(ids), func(i int) error {
		heads[i], bad[i] = s.readHead(ctx, ids[i])
		if damaged(bad[i]) || errors.Is(bad[i], fs.ErrNotExist) {
			return nil
		}
		return bad[i]
	})
	if err != nil {
		return err
	}
	s.heads, s.broken = map[string]*index{}, map[string]error{}
	for i, id := range ids {
		switch {
		case heads[i] != nil:
			s.heads[id] = heads[i]
		case !errors.Is(bad[i], fs.ErrNotExist):
			s.broken[id] = bad[i]
		}
	}
	s.loaded = true
	return nil
}

func damaged(err error) bool { return errors.Is(err, ErrCorrupt) || errors.Is(err, ErrVersion) }

// headGuess is long enough for the heads of most indexes.
const headGuess = 16 << 10

func (s *Shelf) readHead(ctx context.Context, id string) (*index, error) {
	b, err := s.objects.Get(ctx, indexPrefix+id, 0, headGuess)
	if err != nil {
		return nil, err
	}
	n, err := headLength(b)
	if err == nil && n > int64(len(b)) {
		b, err = s.objects.Get(ctx, indexPrefix+id, 0, n)
	}
	if err != nil {
		return nil, err
	}
	x, _, _, err := parseHead(b)
	if err == nil && x.id != id {
		err = corrupt("the index belongs to another snapshot")
	}
	if err != nil {
		return nil, err
	}
	return x, nil
}

// recentIndexes is how many indexes are kept in memory.
const recentIndexes = 8

// pin reads the index of a snapshot, which is not removed until unpin. Errors: fs.ErrNotExist, ErrCorrupt,
// ErrVersion, and those of the store.
func (s *Shelf) pin(ctx context.Context, id string) (*index, error) {
	s.mu.Lock()
	if s.others == nil && s.loaded && s.heads[id] == nil && s.broken[id] == nil {
		s.mu.Unlock()
		return nil, fs.ErrNotExist
	}
	s.pins[id]++
	i := slices.IndexFunc(s.recent, func(x *index) bool { return x.id == id })
	if i >= 0 {
		x := s.recent[i]
		s.mu.Unlock()
		return x, nil
	}
	s.mu.Unlock()
	b, err := s.get(ctx, indexPrefix+id, 0, -1)
	x := &index{}
	if err == nil {
		x, err = indexOf(b, id)
	}
	if err != nil {
		s.unpin(id)
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remember(x)
	return x, nil
}

// remember keeps an index in memory. The caller holds mu.
func (s *Shelf) remember(x *index) {
	if len(s.recent) == recentIndexes {
		s.recent = slices.Delete(s.recent, 0, 1)
	}
	s.recent = append(s.recent, x)
}

func (s *Shelf) readIndex(ctx context.Context, name, id string) (*index, error) {
	b, err := s.objects.Get(ctx, name, 0, -1)
	if err != nil {
		return nil, err
	}
	return indexOf(b, id)
}

func indexOf(b []byte, id string) (*index, error) {
	x, err := parseIndex(b)
	if err == nil && x.id != id {
		err = corrupt("the index belongs to another snapshot")
	}
	if err != nil {
		return nil, fmt.Errorf("snapshot %s: %w", id, err)
	}
	return x, nil
}

func (s *Shelf) unpin(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pins[id]--; s.pins[id] <= 0 {
		delete(s.pins, id)
	}
}

// snapshots are the ids of all snapshots that are objects.
func (s *Shelf) snapshots(ctx context.Context) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.load(ctx); err != nil {
		return nil, err
	}
	return append(slices.Collect(maps.Keys(s.heads)), slices.Collect(maps.Keys(s.broken))...), nil
}

// knows reports whether there is a snapshot with the id that is an object.
func (s *Shelf) knows(ctx context.Context, id string) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.load(ctx); err != nil {
		return false, err
	}
	return s.heads[id] != nil || s.broken[id] != nil, nil
}

// latest is the newest snapshot of a volume under a data key, "" if there is none.
func (s *Shelf) latest(ctx context.Context, volume string, h *header) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.load(ctx); err != nil {
		return "", err
	}
	var found *index
	for _, x := range s.heads {
		if x.volume == volume && sameKey(x.header, h) && (found == nil || x.generation > found.generation) {
			found = x
		}
	}
	if found == nil {
		return "", nil
	}
	return found.id, nil
}

// sameKey reports whether the sectors of two files mean the same content: both are plain, or under one data
// key.
func sameKey(a, b *header) bool {
	if a.encryption == nil || b.encryption == nil {
		return a.encryption == nil && b.encryption == nil
	}
	none := [32]byte{}
	if a.keyCheck != none && b.keyCheck != none && a.keyCheck != b.keyCheck {
		return false
	}
	return a.encryption.DataKeyID != "" && a.encryption.DataKeyID == b.encryption.DataKeyID
}

// parallel calls f for 0 to n-1, a few at a time, until one fails or ctx ends.
func parallel(ctx context.Context, n int, f func(i int) error) error {
	var (
		wait   sync.WaitGroup
		mu     sync.Mutex
		next   int
		failed error
	)
	take := func() (int, bool) {
		mu.Lock()
		defer mu.Unlock()
		if failed == nil && ctx.Err() != nil {
			failed = context.Cause(ctx)
		}
		if failed != nil || next == n {
			return 0, false
		}
		next++
		return next - 1, true
	}
	for range min(workers, n) {
		wait.Go(func() {
			for i, ok := take(); ok; i, ok = take() {
				if err := f(i); err != nil {
					mu.Lock()
					if failed == nil {
						failed = err
					}
					mu.Unlock()
				}
			}
		})
	}
	wait.Wait()
	return failed
}
