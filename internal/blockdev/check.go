package blockdev

import (
	"fmt"
	"os"
)

// Check looks for damage in a volume or snapshot that nobody has open for writing, without a key:
// header, length, allocation map, and that the file has data wherever the map says so (only encrypted
// volumes: there a written sector is never all zeros). What a crash may leave behind, such as one torn
// header copy, is no damage. It changes nothing. Errors: fs.ErrNotExist, ErrBusy, ErrVersion,
// ErrCorrupt.
func Check(dir *os.Root, id string) error {
	f, err := openFile(dir, id, true)
	if err != nil {
		return err
	}
	defer f.Close()
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
