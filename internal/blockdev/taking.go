package blockdev

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"github.com/kagimori/kagimori/internal/objects"
)

// A taking is a snapshot that is being made of the sectors of a file, as they are on disk. Blocks that the
// base has with the same content are shared with it; the others become objects.
type taking struct {
	shelf *Shelf
	into  *index // what is made; its entries are guarded by mu
	base  *index // that blocks may be shared with; nil: none
	names []string
	from  source
	todo  *blockSet // blocks that are not saved yet

	begun sync.Once // the first object is announced before it is written
	ready error     // of begun

	// reading keeps a block from being changed while it is read: stripe i has those whose number modulo stripes is i.
	reading [stripes]sync.Mutex
	// saving is held shared by who saves a block in our place.
	saving sync.RWMutex
	over   bool // nobody saves a block any more; guarded by saving

	mu       sync.Mutex
	failed   error // why there will be no snapshot; guarded by mu
	done     int64 // bytes of blocks that were looked at; guarded by mu
	total    int64
	progress Progress // called with mu held
}

// originText is how many random characters, after the id, make an origin: its blocks are not those of an
// earlier attempt to make the snapshot, nor of one that had the id before.
const originText = 10

func (t *taking) origin() string { return t.names[len(t.names)-1] }

// A source is a file whose sectors are read.
type source struct {
	disk
	header *header
	bits   *bitmap
}

// begin makes sure that a snapshot with the header's id may be made. base is pinned already, or nil; who
// called begin calls finish or abort.
func (s *Shelf) begin(ctx context.Context, h *header, volume string, base *index, from source, progress Progress) (*taking, error) {
	h.kind, h.clean, h.mapSum = KindSnapshot, true, [32]byte{}
	if err := h.validate(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.load(ctx); err != nil {
		return nil, err
	}
	switch {
	case s.heads[h.id] != nil || s.broken[h.id] != nil:
		return nil, fmt.Errorf("blockdev: snapshot %s: %w", h.id, fs.ErrExist)
	case s.making[h.id]:
		return nil, fmt.Errorf("blockdev: snapshot %s: %w", h.id, ErrBusy)
	}
	s.making[h.id] = true
	if progress == nil {
		progress = func(int64, int64) {}
	}
	t := &taking{
		shelf: s, into: &index{header: h, volume: volume}, base: base, from: from, todo: newBlockSet(h.size), progress: progress,
	}
	if base != nil {
		t.names = slices.Clone(base.origins)
	}
	t.names = append(t.names, h.id+"-"+strings.ToLower(rand.Text()[:originText]))
	return t, nil
}

// choose puts each written block of the source on the list, or shares it with the base: known are the
// blocks that may differ from it, nil if that is not known. Nothing changes meanwhile.
func (t *taking) choose(known *blockSet) {
	for from, to := range t.from.bits.runs() {
		for b := from / blockSectors; b <= (to-1)/blockSectors; b++ {
			if t.todo.has(b) {
				continue
			}
			if n := len(t.into.entries); n > 0 && int64(t.into.entries[n-1].block) == b {
				continue
			}
			if t.base != nil && known != nil && !known.has(b) {
				if e := t.base.find(b); e != nil && e.sectors == t.from.bits.block(b) {
					t.into.entries = append(t.into.entries, *e)
					continue
				}
			}
			t.todo.add(b)
			t.total += t.from.bits.block(b).count() * SectorSize
		}
	}
}

// run saves the blocks on the list.
func (t *taking) run(ctx context.Context) error {
	list := t.todo.list()
	t.mu.Lock()
	t.progress(t.done, t.total)
	t.mu.Unlock()
	return parallel(ctx, len(list), func(i int) error {
		if err := t.failure(); err != nil {
			return err
		}
		err := t.take(ctx, list[i])
		if err != nil {
			t.fail(err)
		}
		return err
	})
}

// take saves a block, if nobody did.
func (t *taking) take(ctx context.Context, b int64) error {
	mu := &t.reading[b%stripes]
	mu.Lock()
	if !t.todo.take(b) {
		mu.Unlock()
		return nil
	}
	set, data, err := t.read(b)
	mu.Unlock()
	if err != nil {
		return err
	}
	return t.save(ctx, b, set, data)
}

// rescue saves a block that is about to change, if it is on the list. The caller keeps others from changing
// it. An error is the snapshot's, not that of the change.
func (t *taking) rescue(b int64) {
	t.saving.RLock()
	defer t.saving.RUnlock()
	if t.over || t.failure() != nil {
		return
	}
	if err := t.take(context.Background(), b); err != nil {
		t.fail(err)
	}
}

// end waits for those who save blocks in our place, and has nobody begin.
func (t *taking) end() {
	t.saving.Lock()
	defer t.saving.Unlock()
	t.over = true
}

func (t *taking) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.failed == nil {
		t.failed = err
	}
}

func (t *taking) failure() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.failed
}

// read gives the written sectors of a block.
func (t *taking) read(b int64) (sectorSet, []byte, error) {
	set := t.from.bits.block(b)
	data := make([]byte, set.count()*SectorSize)
	at := int64(0)
	for s := int64(0); s < blockSectors; {
		end, written := set.run(s, blockSectors)
		if written {
			n := (end - s) * SectorSize
			if k, err := t.from.ReadAt(data[at:at+n], t.from.header.dataOffset()+b*BlockSize+s*SectorSize); int64(k) < n {
				return set, nil, fmt.Errorf("blockdev: block %d not read: %w", b, err)
			}
			at += n
		}
		s = end
	}
	return set, data, nil
}

// save makes an object of a block, unless the base has it.
func (t *taking) save(ctx context.Context, b int64, set sectorSet, data []byte) error {
	if len(data) > 0 {
		e := entry{block: uint32(b), origin: uint32(len(t.names) - 1), sectors: set, sum: sha256.Sum256(data)}
		var old *entry
		if t.base != nil {
			old = t.base.find(b)
		}
		if old != nil && old.sectors == set && old.sum == e.sum {
			e = *old
		} else if err := t.put(ctx, b, data); err != nil {
			return err
		}
		t.mu.Lock()
		t.into.entries = append(t.into.entries, e)
		t.mu.Unlock()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.done += int64(len(data))
	t.progress(t.done, t.total)
	return nil
}

func (t *taking) put(ctx context.Context, b int64, data []byte) error {
	t.begun.Do(func() {
		if t.ready = t.shelf.objects.Put(ctx, workPrefix+t.origin(), []byte(t.into.id)); t.ready == nil {
			t.ready = t.shelf.objects.Sync(ctx)
		}
	})
	if t.ready != nil {
		return t.ready
	}
	return t.shelf.objects.Put(ctx, blockName(t.origin(), b), data)
}

// finish makes the snapshot known, if nothing failed, and cleans up otherwise. It is durable when finish
// returns.
func (t *taking) finish(ctx context.Context, err error) error {
	t.end()
	if err == nil {
		err = t.failure()
	}
	if err == nil {
		err = t.publish(ctx)
	}
	if err != nil {
		err = errors.Join(err, t.abort(context.WithoutCancel(ctx)))
	}
	s := t.shelf
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.making, t.into.id)
	return err
}

func (t *taking) publish(ctx context.Context) error {
	s, x := t.shelf, t.into
	slices.SortFunc(x.entries, func(a, b entry) int { return cmp.Compare(a.block, b.block) })
	x.pack(t.names)
	if len(x.origins) > maxOrigins {
		return fmt.Errorf("blockdev: snapshot %s would share blocks with more than %d others", x.id, maxOrigins)
	}
	s.mu.Lock()
	x.generation = 1
	for _, h := range s.heads {
		x.generation = max(x.generation, h.generation+1)
	}
	s.mu.Unlock()
	if err := s.objects.Sync(ctx); err != nil {
		return err
	}
	if err := s.objects.Put(ctx, indexPrefix+x.id, x.encode()); err != nil {
		return err
	}
	if err := s.objects.Sync(ctx); err != nil {
		return err
	}
	// A mark that stays does no harm: Sweep finds that the blocks are used.
	ctx = context.WithoutCancel(ctx)
	_ = s.objects.Delete(ctx, workPrefix+t.origin())
	_ = s.objects.Sync(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.heads != nil { // else the next look finds it
		s.heads[x.id] = &index{header: x.header, volume: x.volume, origins: x.origins}
	}
	s.remember(x)
	return nil
}

// abort removes what there is of the snapshot. What cannot be removed has a mark, and Sweep tries again.
func (t *taking) abort(ctx context.Context) error {
	s := t.shelf
	begun := true
	t.begun.Do(func() { begun = false })
	if err := s.objects.Delete(ctx, indexPrefix+t.into.id); err != nil {
		return err
	}
	if err := s.objects.Sync(ctx); err != nil || !begun {
		return err
	}
	if err := s.dropAll(ctx, blocksOf(t.origin())); err != nil {
		return err
	}
	if err := s.objects.Sync(ctx); err != nil {
		return err
	}
	return s.objects.Delete(ctx, workPrefix+t.origin())
}

// dropAll deletes all objects below a prefix.
func (s *Shelf) dropAll(ctx context.Context, prefix string) error {
	var names []string
	err := s.objects.List(ctx, prefix, func(o objects.Object) error {
		names = append(names, o.Name)
		return nil
	})
	if err != nil {
		return err
	}
	return parallel(ctx, len(names), func(i int) error { return s.objects.Delete(ctx, names[i]) })
}
