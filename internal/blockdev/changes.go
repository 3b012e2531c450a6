package blockdev

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// changes is what happened to a volume since a snapshot of it, or since it was made of one.
type changes struct {
	base string    // id of the snapshot; "" if there is none
	set  *blockSet // blocks that may differ from base; nil: it is not known which
}

// A file of changes lies beside a volume that was closed properly, <id>.kchg:
//
//	0   magic "kagichgs"
//	8   u32 version, u32 length of the base's id
//	16  u64 generation of the volume's header, u64 size of the volume
//	32  the base's id, then one bit for each block that may differ from it
//
// and a SHA-256 of everything before. It holds for the generation of the header that it names, if that says
// that the volume is closed properly: the first change writes another header. So a crash, or a kagimori that
// knows nothing of it, leaves a file that does not count, and the next snapshot compares all blocks.
const (
	changesSuffix  = ".kchg"
	changesMagic   = "kagichgs"
	changesVersion = 1
	changesFixed   = 32
)

func (c *changes) encode(h *header) []byte {
	le := binary.LittleEndian
	b := append([]byte(nil), changesMagic...)
	b = le.AppendUint32(b, changesVersion)
	b = le.AppendUint32(b, uint32(len(c.base)))
	b = le.AppendUint64(b, h.generation)
	b = le.AppendUint64(b, uint64(h.size))
	b = append(b, c.base...)
	for i := range c.set.words {
		b = le.AppendUint64(b, c.set.words[i].Load())
	}
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

// parseChanges reads a file of changes for a volume with header h. It answers ErrCorrupt for one that is
// damaged or not about this state of the volume.
func parseChanges(b []byte, h *header) (changes, error) {
	le := binary.LittleEndian
	if len(b) < changesFixed+sha256.Size || string(b[:8]) != changesMagic || le.Uint32(b[8:]) != changesVersion {
		return changes{}, corrupt("no changes")
	}
	body := b[:len(b)-sha256.Size]
	if sum := sha256.Sum256(body); !bytes.Equal(sum[:], b[len(body):]) {
		return changes{}, corrupt("changes checksum")
	}
	if !h.clean || le.Uint64(b[16:]) != h.generation || int64(le.Uint64(b[24:])) != h.size {
		return changes{}, corrupt("changes of another time")
	}
	n := int64(le.Uint32(b[12:]))
	set := newBlockSet(h.size)
	if n > maxID || int64(len(body)) != changesFixed+n+int64(len(set.words))*8 {
		return changes{}, corrupt("changes length")
	}
	base := string(body[changesFixed : changesFixed+n])
	if !validID(base) {
		return changes{}, corrupt("changes since no snapshot")
	}
	for i := range set.words {
		set.words[i].Store(le.Uint64(body[changesFixed+n+int64(i)*8:]))
	}
	return changes{base, set}, nil
}

// loadChanges is what is known of a volume with header h: nothing, if there is no file that counts.
func loadChanges(dir *os.Root, h *header) changes {
	b, err := dir.ReadFile(h.id + changesSuffix)
	if err != nil {
		return changes{}
	}
	c, err := parseChanges(b, h)
	if err != nil {
		return changes{}
	}
	return c
}

// saveChanges writes what is known of a closed volume. It appears whole or not at all.
func saveChanges(dir *os.Root, h *header, c changes) error {
	if c.base == "" || c.set == nil || !h.clean {
		return nil
	}
	temp := tempPrefix + h.id + "-" + rand.Text()
	err := dir.WriteFile(temp, c.encode(h), 0o600)
	if err == nil {
		err = syncNamed(dir, temp)
	}
	if err == nil {
		err = dir.Rename(temp, h.id+changesSuffix)
	}
	if err != nil {
		if rmErr := dir.Remove(temp); rmErr != nil && !errors.Is(rmErr, fs.ErrNotExist) {
			err = errors.Join(err, rmErr)
		}
		return fmt.Errorf("blockdev: changes of %s not written: %w", h.id, err)
	}
	return nil
}

func syncNamed(dir *os.Root, name string) error {
	f, err := dir.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(osDisk{f}.Sync(), f.Close())
}

// sweepChanges removes files of changes whose volume is gone.
func sweepChanges(dir *os.Root, names []string) error {
	have := map[string]bool{}
	for _, name := range names {
		have[name] = true
	}
	for _, name := range names {
		id, ok := strings.CutSuffix(name, changesSuffix)
		if !ok || !validID(id) || have[id+suffix] {
			continue
		}
		if err := dir.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("blockdev: %w", err)
		}
	}
	return nil
}
