package trail

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// load opens the newest segment for appending, finds the end of the chain, and indexes the newest
// records.
func (t *Trail) load() error {
	nums, err := t.segments()
	if err != nil {
		return err
	}
	if err := t.removeParts(); err != nil {
		return err
	}
	if len(nums) == 0 {
		return t.begin(1)
	}
	ctx := context.Background()
	newest := nums[len(nums)-1]
	if err := t.cutTorn(ctx, newest); err != nil {
		return err
	}
	var last newestSegment
	whole, err := t.findEnd(ctx, nums, &last)
	if err != nil {
		return err
	}
	if err := t.indexNewest(ctx, nums, &last); err != nil {
		return err
	}
	if !whole {
		t.cfg.Logger.Error("the trail is damaged: records follow in a new segment", "segment", newest)
		return t.begin(newest + 1)
	}
	if _, err := t.cfg.Dir.Stat(plainName(newest)); err != nil { // packed; no other was begun
		return t.begin(newest + 1)
	}
	if err := t.reopen(newest); err != nil {
		return err
	}
	t.span, t.whole = last.span, true
	return nil
}

// newestSegment is what was seen of the newest segment when its end was looked for.
type newestSegment struct {
	span    span
	entries []entry // of its newest records, as many as the index takes, and some more
}

func (n *newestSegment) add(e entry, limit int) {
	n.span.add(e.time, e.seq)
	if n.entries = append(n.entries, e); len(n.entries) > 2*limit {
		n.entries = slices.Delete(n.entries, 0, len(n.entries)-limit)
	}
}

// removeParts removes packed segments that are not whole; the plain ones are still there.
func (t *Trail) removeParts() error {
	d, err := t.cfg.Dir.Open(".")
	if err != nil {
		return fmt.Errorf("trail: %w", err)
	}
	names, err := d.Readdirnames(-1)
	if err = errors.Join(err, d.Close()); err != nil {
		return fmt.Errorf("trail: %w", err)
	}
	for _, name := range names {
		if segmentNumber(name, packedSuffix+partSuffix) > 0 || segmentNumber(name, gzipSuffix+partSuffix) > 0 {
			if err := t.cfg.Dir.Remove(name); err != nil {
				return fmt.Errorf("trail: %w", err)
			}
		}
	}
	return nil
}

// findEnd finds the last line and the last sequence number. whole is false if the segment that
// has the last line cannot be read to its end as records and checkpoints.
func (t *Trail) findEnd(ctx context.Context, nums []int, seen *newestSegment) (whole bool, err error) {
	whole = true
	haveLine, newest := false, nums[len(nums)-1]
	var lastLine []byte
	for _, n := range slices.Backward(nums) {
		var (
			lines  int
			found  bool // a sequence number
			seq    uint64
			record bool // the last line is no checkpoint
		)
		heads := newHeadReader()
		err := t.lines(ctx, n, func(line []byte, offset int64) error {
			lastLine = append(lastLine[:0], line...)
			lines++
			h, ok := heads.read(line)
			record = h.Checkpoint == nil
			switch {
			case !ok:
				whole = whole && n != newest
			case record:
				seq, found = h.Kagimori.Sequence, true
				if n == newest {
					seen.add(t.index.entry(&h, seq, n, offset, len(line)+1), t.cfg.Recent)
				}
			default:
				seq, found = h.Checkpoint.Sequence, true
			}
			return nil
		})
		if err != nil && !errors.Is(err, ErrBroken) {
			return false, err
		}
		whole = whole && (err == nil || n != newest)
		if lines > 0 && !haveLine {
			t.last, t.dirty, haveLine = lineHash(lastLine), record, true
		}
		if found {
			t.seq.Store(seq)
			return whole, nil
		}
	}
	return whole, nil
}

// reopen makes an existing segment the current one, without what follows its last whole line.
func (t *Trail) reopen(n int) error {
	f, err := t.cfg.Dir.OpenFile(plainName(n), os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("trail: %w", err)
	}
	end, err := lastLineEnd(f)
	if err != nil {
		return errors.Join(fmt.Errorf("trail: %w", err), f.Close())
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(fmt.Errorf("trail: %w", err), f.Close())
	}
	if cut := info.Size() - end; cut > 0 {
		t.cfg.Logger.Warn("the last record of the trail was cut off by a crash and is removed", "segment", n, "bytes", cut)
		if err := errors.Join(f.Truncate(end), f.Sync()); err != nil {
			return errors.Join(fmt.Errorf("trail: %w", err), f.Close())
		}
	}
	t.file, t.segment, t.size = f, n, end
	return nil
}

// lastLineEnd is the offset after the last newline of a file.
func lastLineEnd(f *os.File) (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	buf := make([]byte, 1<<16)
	for end := info.Size(); end > 0; {
		from := max(0, end-int64(len(buf)))
		part := buf[:end-from]
		if _, err := f.ReadAt(part, from); err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		for i, c := range slices.Backward(part) {
			if c == '\n' {
				return from + int64(i) + 1, nil
			}
		}
		end = from
	}
	return 0, nil
}

// indexNewest fills the index from the newest segments, of which the last was read already.
func (t *Trail) indexNewest(ctx context.Context, nums []int, seen *newestSegment) error {
	older := nums[:len(nums)-1]
	parts := [][]entry{seen.entries} // newest first
	records, from := len(seen.entries), len(older)
	heads := newHeadReader()
	for from > 0 && records < t.cfg.Recent {
		from--
		var part newestSegment
		err := t.lines(ctx, older[from], func(line []byte, offset int64) error {
			if h, ok := heads.read(line); ok && h.Kagimori != nil {
				part.add(t.index.entry(&h, h.Kagimori.Sequence, older[from], offset, len(line)+1), t.cfg.Recent)
			}
			return nil
		})
		if err != nil && !errors.Is(err, ErrBroken) {
			return err
		}
		records += len(part.entries)
		parts = append(parts, part.entries)
	}
	t.index.dropped = from > 0 || records > t.cfg.Recent
	for _, part := range slices.Backward(parts) {
		t.index.add(part)
	}
	return nil
}
