package blockdev

import (
	"context"
	"errors"
	"fmt"
)

// A Pending is a snapshot of a volume at a moment that is past, whose blocks are not all stored. The volume may
// be read, changed, closed, opened again and removed meanwhile: a block that is to change is saved before.
// Either Store or Drop is called, once.
type Pending struct {
	shelf *Shelf
	t     *taking
	lease *lease
	moved func(err error) // tells the volume how it ended
	saved func()          // the volume did not change since
}

var errDropped = errors.New("blockdev: the snapshot is not wanted any more")

// Size is that of the volume at the moment.
func (p *Pending) Size() int64 { return p.t.into.size }

// Waiting is how many bytes of blocks are to be looked at.
func (p *Pending) Waiting() int64 {
	p.t.mu.Lock()
	defer p.t.mu.Unlock()
	return p.t.total
}

// Store stores the blocks. The snapshot is there, durably, when Store returns no error, and not at all when it
// returns one, such as the cause of a cancelled ctx. progress may be nil.
func (p *Pending) Store(ctx context.Context, progress Progress) error {
	if progress != nil {
		p.t.mu.Lock()
		p.t.progress = progress
		p.t.mu.Unlock()
	}
	err := p.t.run(ctx)
	if err != nil {
		p.t.fail(err)
	}
	return p.end(ctx, err)
}

// Drop gives the snapshot up. What cannot be removed of it the next [Sweep] removes.
func (p *Pending) Drop() {
	p.t.fail(errDropped)
	_ = p.end(context.Background(), errDropped)
}

func (p *Pending) end(ctx context.Context, err error) error {
	err = p.t.finish(ctx, err)
	if p.t.base != nil {
		p.shelf.unpin(p.t.base.id)
	}
	p.moved(err)
	closeErr := p.shelf.unlend(p.lease, p.t, func() {
		if err == nil {
			p.saved()
		}
	})
	if err == nil && closeErr != nil {
		return nil // nothing was written to it since it was flushed
	}
	return err
}

// Begin begins a snapshot of a volume that nobody has open ([Volume.Begin] is for open ones), as it is at this
// moment. Errors: fs.ErrNotExist, fs.ErrExist, ErrBusy, ErrCorrupt, ErrVersion.
func Begin(dir *Shelf, volumeID, snapshotID string) (*Pending, error) {
	f, err := openFile(dir, volumeID, true)
	if err != nil {
		return nil, err
	}
	p, err := f.begin(dir, snapshotID)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	f.shelf, f.lease = dir, p.lease
	return p, f.Close()
}

func (f *file) begin(dir *Shelf, snapshotID string) (*Pending, error) {
	ctx := context.Background()
	if f.kind != KindVolume {
		return nil, fmt.Errorf("volume %s: %w", f.id, ErrReadOnly)
	}
	m, err := f.loadMap()
	if err != nil {
		return nil, fmt.Errorf("volume %s: %w", f.id, err)
	}
	of := *f.header
	base, known, err := dir.baseFor(ctx, of.id, &of, loadChanges(dir.Root, &of))
	if err != nil {
		return nil, err
	}
	t, err := dir.beginOf(ctx, &of, snapshotID, base, source{f.disk, &of, m})
	if err != nil {
		return nil, err
	}
	t.choose(known)
	return &Pending{
		shelf: dir, t: t, lease: dir.lend(of.id, f.disk, f.lease, t), moved: func(error) {},
		// Without it the next snapshot compares all blocks: that costs time, and nothing else.
		saved: func() { _ = saveChanges(dir.Root, &of, changes{snapshotID, newBlockSet(of.size)}) },
	}, nil
}

// beginOf is begin for a snapshot of a volume. It keeps the base pinned if it succeeds.
func (s *Shelf) beginOf(ctx context.Context, of *header, id string, base *index, from source) (*taking, error) {
	h := &header{size: of.size, id: id, encryption: of.encryption.clone(), keyCheck: of.keyCheck}
	t, err := s.begin(ctx, h, of.id, base, from, nil)
	if err != nil && base != nil {
		s.unpin(base.id)
	}
	return t, err
}

// Begin begins a snapshot of the open volume as it is at this moment. Errors: fs.ErrExist, ErrClosed,
// ErrReadOnly, and those of Flush.
func (v *Volume) Begin(ctx context.Context, dir *Shelf, snapshotID string) (*Pending, error) {
	if v.info.Kind != KindVolume {
		return nil, ErrReadOnly
	}
	v.snapping.Lock()
	defer v.snapping.Unlock()
	if err := v.enter(); err != nil {
		return nil, err
	}
	defer v.leave()
	v.flushing.Lock()
	of := *v.header
	v.flushing.Unlock()
	base, _, err := dir.baseFor(ctx, of.id, &of, v.changes())
	if err != nil {
		return nil, err
	}
	t, err := dir.beginOf(ctx, &of, snapshotID, base, source{v.disk, &of, v.bits})
	if err != nil {
		return nil, err
	}
	p := &Pending{shelf: dir, t: t, saved: func() {}}
	before, err := v.freezeFor(p)
	p.moved = func(err error) { v.taken(t, before, err) }
	if err != nil {
		t.fail(err)
		return nil, p.end(ctx, err)
	}
	return p, nil
}

// freezeFor begins a snapshot: what is written from here on is not in it. It gives the changes before, nil if
// they are not known, or another snapshot began after what they are counted from.
func (v *Volume) freezeFor(p *Pending) (before *blockSet, err error) {
	v.freeze.Lock()
	defer v.freeze.Unlock()
	t := p.t
	if err = v.flush(); err == nil {
		if v.newest.Load() == nil {
			before = v.changed.Load()
		}
		known := before
		if t.base == nil || t.base.id != v.base {
			known = nil
		}
		t.choose(known)
		v.changed.Store(newBlockSet(v.size))
		v.newest.Store(t)
	}
	p.lease = p.shelf.lend(t.into.volume, v.disk, v.lease.Load(), t)
	v.lease.Store(p.lease)
	return before, err
}

// taken tells the volume how a snapshot ended. One that began later knows better.
func (v *Volume) taken(t *taking, before *blockSet, err error) {
	v.freeze.Lock()
	defer v.freeze.Unlock()
	if !v.newest.CompareAndSwap(t, nil) {
		return
	}
	v.flushing.Lock()
	defer v.flushing.Unlock()
	since := v.changed.Load()
	switch {
	case err == nil:
		v.base, v.baseMoved = t.into.id, true
	case before != nil && since != nil:
		since.addAll(before)
	default:
		v.changed.Store(nil)
	}
}

// Snapshot makes a snapshot of a volume that nobody has open ([Volume.Snapshot] is for open ones). The
// written sectors are kept as they are, ciphertext stays ciphertext, so no key is needed; the
// snapshot has the volume's data key, wrapped under the same context. Only blocks that changed since the
// last snapshot are read and kept anew, if it is known which; else all are compared with it.
// Errors: fs.ErrNotExist, fs.ErrExist, ErrBusy, ErrCorrupt, ErrVersion.
func Snapshot(dir *Shelf, volumeID, snapshotID string) error {
	p, err := Begin(dir, volumeID, snapshotID)
	if err != nil {
		return err
	}
	return p.Store(context.Background(), nil)
}

// Snapshot makes a snapshot of the open volume as it is at this moment. Reads and changes go on meanwhile: a
// block that is to change is saved before. Errors: fs.ErrExist, ErrClosed, and those of Flush.
func (v *Volume) Snapshot(ctx context.Context, dir *Shelf, snapshotID string) error {
	p, err := v.Begin(ctx, dir, snapshotID)
	if err != nil {
		return err
	}
	return p.Store(ctx, nil)
}
