package blockdev

import (
	"fmt"
	"io/fs"
	"slices"
	"sync/atomic"
)

// A lease is the file of a volume of which snapshots are being stored. It stays open, and locked, until they
// are, whatever becomes of the volume meanwhile: who opens the volume gets this file, who closes it leaves it to
// the snapshots, and who removes it takes its name only.
type lease struct {
	disk  disk
	id    string
	owned bool // somebody has the volume open; guarded by the shelf's leasing
	// takings are the snapshots: whoever changes a block shows it to them first. Replaced under the shelf's leasing.
	takings atomic.Pointer[[]*taking]
}

// rescue has the snapshots save a block that is about to change.
func (l *lease) rescue(block int64) {
	if l == nil {
		return
	}
	for _, t := range *l.takings.Load() {
		t.rescue(block)
	}
}

// lend adds a snapshot to those that read an open file. l is what it is lent by already, or nil.
func (s *Shelf) lend(id string, d disk, l *lease, t *taking) *lease {
	s.leasing.Lock()
	defer s.leasing.Unlock()
	if l == nil || len(*l.takings.Load()) == 0 {
		l = &lease{disk: d, id: id, owned: true}
		s.leases[id] = l
	}
	var list []*taking
	if old := l.takings.Load(); old != nil {
		list = slices.Clone(*old)
	}
	list = append(list, t)
	l.takings.Store(&list)
	return l
}

// unlend ends it; the last of them closes the file, if nobody else has it. then is called before, unless
// somebody has the volume open or it is gone.
func (s *Shelf) unlend(l *lease, t *taking, then func()) error {
	s.leasing.Lock()
	defer s.leasing.Unlock()
	list := slices.DeleteFunc(slices.Clone(*l.takings.Load()), func(o *taking) bool { return o == t })
	l.takings.Store(&list)
	if !l.owned && s.leases[l.id] == l {
		then()
	}
	if len(list) > 0 {
		return nil
	}
	if s.leases[l.id] == l {
		delete(s.leases, l.id)
	}
	if l.owned {
		return nil
	}
	return l.disk.Close()
}

// takeLent gives the file of a volume that only its snapshots read, to whoever opens the volume.
func (s *Shelf) takeLent(id string) (*lease, error) {
	s.leasing.Lock()
	defer s.leasing.Unlock()
	l := s.leases[id]
	switch {
	case l == nil:
		return nil, nil
	case l.owned:
		return nil, fmt.Errorf("volume %s: %w", id, ErrBusy)
	}
	l.owned = true
	return l, nil
}

// giveBack closes a file for who had the volume open.
func (s *Shelf) giveBack(d disk, l *lease) error {
	if l == nil {
		return d.Close()
	}
	s.leasing.Lock()
	defer s.leasing.Unlock()
	if len(*l.takings.Load()) == 0 {
		return d.Close()
	}
	l.owned = false
	return nil
}

// part leaves a file to its snapshots alone: another one takes its place, or its name goes. The caller has it open.
func (s *Shelf) part(l *lease) {
	if l == nil {
		return
	}
	s.leasing.Lock()
	defer s.leasing.Unlock()
	if s.leases[l.id] == l {
		delete(s.leases, l.id)
	}
}

// removeLent removes a volume that only snapshots read; done is false if there is no such.
func (s *Shelf) removeLent(id string) (done bool, err error) {
	s.leasing.Lock()
	defer s.leasing.Unlock()
	l := s.leases[id]
	switch {
	case l == nil:
		return false, nil
	case l.owned:
		return true, fmt.Errorf("volume %s: %w", id, ErrBusy)
	}
	osd, ok := l.disk.(osDisk)
	if !ok {
		return true, unlink(s.Root, id)
	}
	if same, err := sameFile(s.Root, id+suffix, osd.File); err != nil || !same {
		return true, fmt.Errorf("volume %s: %w", id, fs.ErrNotExist)
	}
	if err := unlink(s.Root, id); err != nil {
		return true, err
	}
	delete(s.leases, id)
	return true, nil
}
