package trail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/kagimori/kagimori/internal/store"
)

// tornSuffix is that of what a power cut left at the end of a segment; nothing reads it.
const tornSuffix = ".torn"

// tornLimit is how far from its end a segment is looked at for it: more than is ever written and not on the disk.
const tornLimit = 16 << 20

// synced is how far the log was on the disk: so many bytes of a segment.
type synced struct {
	Segment int   `json:"segment"`
	Size    int64 `json:"size"`
}

func (s synced) before(o synced) bool {
	return s.Segment < o.Segment || s.Segment == o.Segment && s.Size < o.Size
}

// marksOf says how far a node's log was on the disk, at least.
func marksOf(node string) store.Table[synced] {
	bucket := "trail/durable"
	if node != "" {
		bucket += "/" + node
	}
	return store.Table[synced]{Bucket: bucket, Version: 1}
}

const markKey = "log"

// cutTorn takes away from the end of a segment what a power cut left of writes that were not on the disk: the
// file has its new length then, and zeros where the disk had not got to. No line has a byte 0, so the first that
// has one, and what follows it, is not what anybody was promised, if the store does not say that it was on the disk:
// that is damage. It is kept beside the segment, as somebody may want to know what was under way.
func (t *Trail) cutTorn(ctx context.Context, n int) error {
	if t.cfg.Store == nil {
		return nil
	}
	var durable synced
	err := t.cfg.Store.View(ctx, func(tx store.Tx) (err error) {
		durable, _, err = t.marks.Get(tx, markKey)
		return err
	})
	if err != nil || durable.Segment > n {
		return err
	}
	if durable.Segment < n {
		durable = synced{Segment: n}
	}
	f, err := t.cfg.Dir.OpenFile(plainName(n), os.O_RDWR, 0o600)
	if errors.Is(err, fs.ErrNotExist) { // compressed: it was whole
		return nil
	}
	if err != nil {
		return fmt.Errorf("trail: %w", err)
	}
	err = t.cutTornOff(f, durable)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("trail: %w", err)
	}
	return nil
}

func (t *Trail) cutTornOff(f *os.File, durable synced) error {
	n := durable.Segment
	info, err := f.Stat()
	if err != nil {
		return err
	}
	from := max(0, info.Size()-tornLimit, min(durable.Size, info.Size()))
	tail := make([]byte, info.Size()-from)
	if _, err := f.ReadAt(tail, from); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	before, _, ok := bytes.Cut(tail, []byte{0})
	if !ok {
		return nil
	}
	start := bytes.LastIndexByte(before, '\n') + 1
	if start == 0 && from > durable.Size { // no line ends in so much: this is other damage
		return nil
	}
	t.cfg.Logger.Warn("the power failed while records of the trail were written: they are not on the disk in whole, and put aside",
		"segment", n, "bytes", len(tail)-start, "file", plainName(n)+tornSuffix)
	if err := t.keepTorn(n, tail[start:]); err != nil {
		return err
	}
	return errors.Join(f.Truncate(from+int64(start)), f.Sync())
}

func (t *Trail) keepTorn(n int, data []byte) error {
	f, err := t.cfg.Dir.OpenFile(plainName(n)+tornSuffix, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return t.syncDir()
}
