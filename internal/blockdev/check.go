package blockdev

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"github.com/kagimori/kagimori/internal/objects"
)

// Check looks for damage in a volume or snapshot that nobody has open for writing, without a key:
// header, length, allocation map, and that the file has data wherever the map says so (only encrypted
// volumes: there a written sector is never all zeros). Of a snapshot it reads each block, its own and those
// that it shares, and compares it with its checksum. What a crash may leave behind, such as one torn
// header copy, is no damage. It changes nothing. Errors: fs.ErrNotExist, ErrBusy, ErrVersion,
// ErrCorrupt.
func Check(dir *Shelf, id string) error {
	return NewChecker(dir).Check(context.Background(), id)
}

// A Checker checks volumes and snapshots. It reads a block that several snapshots share once.
type Checker struct {
	dir *Shelf

	mu   sync.Mutex
	good map[string][sha256.Size]byte // block objects and the sum that they were found to have; guarded by mu
}

// NewChecker is a Checker that has seen nothing.
func NewChecker(dir *Shelf) *Checker { return &Checker{dir: dir, good: map[string][sha256.Size]byte{}} }

// Check is the function Check.
func (c *Checker) Check(ctx context.Context, id string) error {
	f, err := openFile(c.dir, id, true)
	if err != nil {
		return err
	}
	defer f.Close()
	if f.index != nil {
		return c.blocks(ctx, f.index)
	}
	m, err := f.loadMap()
	if err != nil {
		return fmt.Errorf("volume %s: %w", id, err)
	}
	if f.encryption == nil {
		return nil
	}
	if err := f.lostSectors(m); err != nil {
		return fmt.Errorf("volume %s: %w", id, err)
	}
	return nil
}

// blocks checks the blocks of a snapshot.
func (c *Checker) blocks(ctx context.Context, x *index) error {
	return parallel(ctx, len(x.entries), func(i int) error {
		e := &x.entries[i]
		name := x.object(e)
		c.mu.Lock()
		sum, seen := c.good[name]
		c.mu.Unlock()
		if seen && sum == e.sum {
			return nil
		}
		_, err := c.dir.blockData(ctx, x, e)
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("snapshot %s: %w", x.id, corrupt(fmt.Sprintf("block %d is lost", e.block)))
		}
		if err != nil {
			return err
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.good[name] = e.sum
		return nil
	})
}

// Orphans gives the names of objects that belong to no snapshot and to nothing that is being made or removed,
// sorted. While a snapshot cannot be read they are unknown: then it is ErrCorrupt.
func (c *Checker) Orphans(ctx context.Context) ([]string, error) {
	s := c.dir
	begun := map[string]bool{} // origins that somebody writes now, or wrote when the process ended
	owned := map[string]bool{}
	var blocks []string
	// In this order: what is made or removed meanwhile is among the indexes or announced.
	err := s.objects.List(ctx, blockPrefix, func(o objects.Object) error {
		blocks = append(blocks, o.Name)
		return nil
	})
	for _, prefix := range []string{workPrefix, indexPrefix, gonePrefix} {
		if err != nil {
			return nil, err
		}
		err = s.objects.List(ctx, prefix, func(o objects.Object) error {
			id := strings.TrimPrefix(o.Name, prefix)
			if prefix == workPrefix {
				begun[id] = true
				return nil
			}
			x, err := s.readIndex(ctx, o.Name, id)
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil {
				return err
			}
			for i := range x.entries {
				owned[x.object(&x.entries[i])] = true
			}
			return nil
		})
	}
	if err != nil {
		return nil, err
	}
	var orphans []string
	for _, name := range blocks {
		origin, _, _ := strings.Cut(strings.TrimPrefix(name, blockPrefix), "/")
		if owned[name] || begun[origin] {
			continue
		}
		if _, err := s.objects.Get(ctx, name, 0, 1); errors.Is(err, fs.ErrNotExist) {
			continue // removed meanwhile
		} else if err != nil {
			return nil, err
		}
		orphans = append(orphans, name)
	}
	slices.Sort(orphans)
	return orphans, nil
}

// lostSectors finds a sector that was written and is a hole in the file.
func (f *file) lostSectors(m *bitmap) error {
	for from, to := range m.runs() {
		start, end := f.dataOffset()+from*SectorSize, f.dataOffset()+to*SectorSize
		hole, err := f.NextHole(start)
		if err != nil {
			return fmt.Errorf("blockdev: %w", err)
		}
		// A file system whose blocks are larger or smaller than a sector rounds; whole sectors count.
		if hole = roundUp(hole, SectorSize); hole >= end {
			continue
		}
		data, err := f.NextData(hole)
		if err != nil {
			return fmt.Errorf("blockdev: %w", err)
		}
		if data >= hole+SectorSize {
			return corrupt(fmt.Sprintf("sector %d was written but is lost", (hole-f.dataOffset())/SectorSize))
		}
	}
	return nil
}
