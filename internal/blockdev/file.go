package blockdev

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
)

const (
	suffix     = ".kvol"
	tempPrefix = ".new-" // a file that is being made; ids cannot begin with a dot
)

// file is a volume file that was found to be usable.
type file struct {
	disk
	*header
	index *index // of a snapshot that is objects; nil for files
	shelf *Shelf
	lease *lease // that the file is lent by; nil: it is nobody else's
}

// Close gives the file free.
func (f *file) Close() error {
	if f.shelf == nil {
		return f.disk.Close()
	}
	return f.shelf.giveBack(f.disk, f.lease)
}

// openFile opens the file of id and reads its header. Writers and readers of the content lock it; a
// look at the header alone does without.
func openFile(dir *Shelf, id string, lockIt bool) (*file, error) {
	if !validID(id) {
		return nil, fmt.Errorf("blockdev: volume %q: %w", id, fs.ErrNotExist)
	}
	if lockIt {
		l, err := dir.takeLent(id)
		if err != nil {
			return nil, err
		}
		if l != nil {
			return openLent(dir, l)
		}
	}
	f, err := openNamed(dir.Root, id, lockIt)
	if errors.Is(err, fs.ErrNotExist) {
		if snap, err := openSnapshot(context.Background(), dir, id); err == nil || !errors.Is(err, fs.ErrNotExist) {
			return snap, err
		}
	}
	if err != nil {
		return nil, err
	}
	h, err := readHeader(osDisk{f})
	if err == nil && h.id != id {
		err = corrupt("the header belongs to another volume")
	}
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("volume %s: %w", id, err)
	}
	return &file{disk: osDisk{f}, header: h}, nil
}

// openLent opens a volume whose file is open for snapshots of it.
func openLent(dir *Shelf, l *lease) (*file, error) {
	f := &file{disk: l.disk, shelf: dir, lease: l}
	h, err := readHeader(l.disk)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("volume %s: %w", l.id, err), f.Close())
	}
	f.header = h
	return f, nil
}

// source is the file as one whose sectors are read.
func (f *file) source(m *bitmap) source { return source{f.disk, f.header, m} }

// openNamed opens and locks: a snapshot shared, a volume alone.
func openNamed(dir *os.Root, id string, lockIt bool) (*os.File, error) {
	how := os.O_RDONLY
	if lockIt {
		how = os.O_RDWR
	}
	f, err := dir.OpenFile(id+suffix, how, 0)
	if err != nil {
		return nil, fmt.Errorf("blockdev: %w", err)
	}
	if !lockIt {
		return f, nil
	}
	// The kind never changes, so it may be read before the lock is there.
	h, err := readHeader(osDisk{f})
	if err == nil {
		err = lock(f, h.kind == KindVolume)
	}
	if err == nil {
		// Whoever removed the file meanwhile had the lock before us.
		var same bool
		if same, err = sameFile(dir, id+suffix, f); err == nil && !same {
			err = fs.ErrNotExist
		}
	}
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("volume %s: %w", id, err)
	}
	return f, nil
}

// sameFile reports whether the open file is still the one with that name.
func sameFile(dir *os.Root, name string, f *os.File) (bool, error) {
	named, err := dir.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	open, err := f.Stat()
	return err == nil && os.SameFile(named, open), err
}

// readHeader gives the newer good copy. A file that is shorter than the header says is damaged.
func readHeader(d disk) (*header, error) {
	var newest *header
	var reasons []error
	for slot := range int64(2) {
		raw := make([]byte, slotSize)
		n, err := d.ReadAt(raw, slot*slotSize)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("blockdev: %w", err)
		}
		h, err := parseHeader(raw[:n])
		if err != nil {
			reasons = append(reasons, err)
			continue
		}
		if newest == nil || h.generation > newest.generation {
			newest = h
		}
	}
	// A copy of a later version next to one of ours: the volume was used by a later kagimori.
	if i := slices.IndexFunc(reasons, func(err error) bool { return errors.Is(err, ErrVersion) }); i >= 0 {
		return nil, reasons[i]
	}
	if newest == nil {
		return nil, reasons[0]
	}
	size, err := d.Size()
	if err != nil {
		return nil, fmt.Errorf("blockdev: %w", err)
	}
	if size < newest.fileSize() {
		return nil, corrupt("the file is cut off")
	}
	return newest, nil
}

// writeHeader writes h as the next generation over the older copy, and makes it durable.
func writeHeader(d disk, h *header) error {
	h.generation++
	slot := make([]byte, slotSize)
	copy(slot, h.encode())
	if _, err := d.WriteAt(slot, int64(h.generation%2)*slotSize); err != nil {
		return fmt.Errorf("blockdev: header not written: %w", err)
	}
	if err := d.Sync(); err != nil {
		return fmt.Errorf("blockdev: header not written: %w", err)
	}
	return nil
}

// loadMap reads the allocation map. It checks the map of a volume that was closed properly.
func (f *file) loadMap() (*bitmap, error) {
	if f.index != nil {
		return f.index.bitmap(), nil
	}
	m := newBitmap(f.header)
	raw := make([]byte, pageBytes)
	end := mapOffset + f.mapPages()*pageBytes
	for off := int64(mapOffset); off < end; off += pageBytes {
		data, err := f.NextData(off)
		if err != nil {
			return nil, fmt.Errorf("blockdev: map not read: %w", err)
		}
		if off = max(off, data/pageBytes*pageBytes); off >= end {
			break
		}
		if _, err := f.ReadAt(raw, off); err != nil {
			return nil, fmt.Errorf("blockdev: map not read: %w", err)
		}
		m.load((off-mapOffset)/pageBytes, raw)
	}
	if f.clean && m.sum() != f.mapSum {
		return nil, corrupt("map checksum")
	}
	if m.overrun() {
		return nil, corrupt("map of more sectors than the volume has")
	}
	return m, nil
}

// writePages puts pages of the map where they belong.
func writePages(d disk, pages taken) error {
	for i, raw := range pages {
		if _, err := d.WriteAt(raw, mapOffset+i*pageBytes); err != nil {
			return fmt.Errorf("blockdev: map not written: %w", err)
		}
	}
	return nil
}

// makeFile makes a file that appears only when it is complete: fill gets the empty file, which has
// its full size and both header copies, and leaves it closed properly (see finish).
func makeFile(dir *Shelf, h *header, fill func(d disk) error) error {
	if err := h.validate(); err != nil {
		return err
	}
	name := h.id + suffix
	if _, err := dir.Lstat(name); err == nil {
		return fmt.Errorf("blockdev: volume %s: %w", h.id, fs.ErrExist)
	}
	return makeTemp(dir, h, fill, func(_ *os.File, temp string) error {
		if err := publish(dir.Root, temp, name); err != nil {
			return fmt.Errorf("blockdev: volume %s: %w", h.id, err)
		}
		return syncDir(dir.Root)
	})
}

// makeTemp makes a file that has no name of its own, and calls then with it when it is complete and on disk.
func makeTemp(dir *Shelf, h *header, fill func(d disk) error, then func(f *os.File, temp string) error) (err error) {
	if err := h.validate(); err != nil {
		return err
	}
	temp := tempPrefix + h.id + "-" + rand.Text()
	f, err := dir.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("blockdev: %w", err)
	}
	defer func() {
		err = errors.Join(err, f.Close())
		if rmErr := dir.Remove(temp); rmErr != nil && !errors.Is(rmErr, fs.ErrNotExist) {
			err = errors.Join(err, rmErr)
		}
	}()
	// The lock tells Sweep that somebody is still working on it.
	if err := lock(f, true); err != nil {
		return err
	}
	d := osDisk{f}
	if err := f.Truncate(h.fileSize()); err != nil {
		return fmt.Errorf("blockdev: %w", err)
	}
	for range 2 {
		if err := writeHeader(d, h); err != nil {
			return err
		}
	}
	if err := fill(d); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("blockdev: %w", err)
	}
	return then(f, temp)
}

// publish gives a finished file its name, never over another file. A link does both at once; where
// there are no links, a rename after a look is the best there is.
func publish(dir *os.Root, temp, name string) error {
	err := dir.Link(temp, name)
	if err == nil {
		return dir.Remove(temp)
	}
	if errors.Is(err, fs.ErrExist) {
		return fs.ErrExist
	}
	if _, statErr := dir.Lstat(name); statErr == nil {
		return fs.ErrExist
	}
	return dir.Rename(temp, name)
}

func syncDir(dir *os.Root) error {
	f, err := dir.Open(".")
	if err != nil {
		return fmt.Errorf("blockdev: %w", err)
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		return fmt.Errorf("blockdev: folder not written: %w", err)
	}
	return nil
}

// Remove deletes a volume or snapshot and gives its space back. It is gone for good when Remove
// returns. Errors: fs.ErrNotExist; ErrBusy while it is open. A damaged file can be removed, too.
func Remove(dir *Shelf, id string) error {
	if !validID(id) {
		return fmt.Errorf("blockdev: volume %q: %w", id, fs.ErrNotExist)
	}
	lent, err := dir.removeLent(id)
	if !lent {
		err = removeFile(dir.Root, id)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// A file that was being sealed may be both.
	if snapErr := dir.release(context.Background(), id); !errors.Is(snapErr, fs.ErrNotExist) {
		return snapErr
	}
	return err
}

func removeFile(dir *os.Root, id string) error {
	f, err := dir.OpenFile(id+suffix, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("blockdev: %w", err)
	}
	defer f.Close()
	if err := lock(f, true); err != nil {
		return fmt.Errorf("volume %s: %w", id, err)
	}
	if same, err := sameFile(dir, id+suffix, f); err != nil || !same {
		return fmt.Errorf("volume %s: %w", id, errors.Join(err, fs.ErrNotExist))
	}
	return unlink(dir, id)
}

// unlink removes the files of a volume that the caller has locked.
func unlink(dir *os.Root, id string) error {
	if err := dir.Remove(id + suffix); err != nil {
		return fmt.Errorf("blockdev: %w", err)
	}
	if err := dir.Remove(id + changesSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("blockdev: %w", err)
	}
	return syncDir(dir)
}

// List gives the ids of all volumes and snapshots, sorted. It does not open them.
func List(dir *Shelf) ([]string, error) {
	names, err := names(dir.Root)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, name := range names {
		if id, ok := strings.CutSuffix(name, suffix); ok && validID(id) {
			ids = append(ids, id)
		}
	}
	snapshots, err := dir.snapshots(context.Background())
	if err != nil {
		return nil, err
	}
	ids = append(ids, snapshots...)
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// Sweep removes what interrupted calls left behind that make files and snapshots or remove them, and says
// how many that were. It leaves alone files that somebody is still working on; nobody may work on snapshots.
// Snapshots that are files, as earlier versions wrote them, become objects. Call it when a host starts.
func Sweep(dir *Shelf) (int, error) {
	names, err := names(dir.Root)
	if err != nil {
		return 0, err
	}
	removed := 0
	for _, name := range names {
		if !strings.HasPrefix(name, tempPrefix) {
			continue
		}
		f, err := dir.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return removed, fmt.Errorf("blockdev: %w", err)
		}
		if err = lock(f, true); err == nil {
			err = dir.Root.Remove(name)
		}
		_ = f.Close()
		switch {
		case err == nil:
			removed++
		case !errors.Is(err, ErrBusy) && !errors.Is(err, fs.ErrNotExist):
			return removed, fmt.Errorf("blockdev: %w", err)
		}
	}
	if err := sweepChanges(dir.Root, names); err != nil {
		return removed, err
	}
	ended, err := dir.recover(context.Background())
	if err != nil {
		return removed, err
	}
	return removed + ended, adopt(dir, names)
}

// adopt makes objects of snapshots that are files.
func adopt(dir *Shelf, names []string) error {
	for _, name := range names {
		id, ok := strings.CutSuffix(name, suffix)
		if !ok || !validID(id) {
			continue
		}
		// Of a damaged file nobody knows what it is; a volume stays a file; one in use is looked at next time.
		if info, err := ReadInfo(dir, id); err != nil || info.Kind != KindSnapshot {
			continue
		}
		if err := Seal(dir, id); err != nil && !damaged(err) && !errors.Is(err, ErrBusy) {
			return err
		}
	}
	return nil
}

func names(dir *os.Root) ([]string, error) {
	f, err := dir.Open(".")
	if err != nil {
		return nil, fmt.Errorf("blockdev: %w", err)
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("blockdev: %w", err)
	}
	slices.Sort(names)
	return names, nil
}

// ReadInfo reads the header of a volume or snapshot, open or not, without a key: a host learns from
// it what to ask KMS for. Errors: fs.ErrNotExist, ErrCorrupt, ErrVersion.
func ReadInfo(dir *Shelf, id string) (Info, error) {
	f, err := openFile(dir, id, false)
	if err != nil {
		return Info{}, err
	}
	defer f.Close()
	return f.info(), nil
}
