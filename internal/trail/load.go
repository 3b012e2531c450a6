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
	whole, err := t.findEnd(ctx, nums)
	if err != nil {
		return err
	}
	if err := t.indexNewest(ctx, nums); err != nil {
		return err
	}
	newest := nums[len(nums)-1]
	if !whole {
		t.cfg.Logger.Error("the trail is damaged: records follow in a new segment", "segment", newest)
		return t.begin(newest + 1)
	}
	if _, err := t.cfg.Dir.Stat(plainName(newest)); err != nil { // compressed; no other was begun
		return t.begin(newest + 1)
	}
	return t.reopen(newest)
}

// removeParts removes compressed segments that are not whole; the plain ones are still there.
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
		if segmentNumber(name, partSuffix) > 0 {
			if err := t.cfg.Dir.Remove(name); err != nil {
				return fmt.Errorf("trail: %w", err)
			}
		}
	}
	return nil
}

// findEnd finds the last line and the last sequence number. whole is false if the segment that
// has the last line cannot be read to its end as records and checkpoints.
func (t *Trail) findEnd(ctx context.Context, nums []int) (whole bool, err error) {
	whole = true
	haveLine, newest := false, nums[len(nums)-1]
	for _, n := range slices.Backward(nums) {
		var (
			last   hash
			lines  int
			found  bool // a sequence number
			seq    uint64
			record bool // the last line is no checkpoint
		)
		err := t.lines(ctx, n, func(line []byte, _ int64) error {
			last = lineHash(line)
			lines++
			h, ok := decodeHead(line)
			record = h.Checkpoint == nil
			switch {
			case !ok:
				whole = whole && n != newest
			case record:
				seq, found = h.Kagimori.Sequence, true
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
			t.last, t.dirty, haveLine = last, record, true
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

// indexNewest fills the index from the newest segments.
func (t *Trail) indexNewest(ctx context.Context, nums []int) error {
	from, records := len(nums), 0
	for from > 0 && records < t.cfg.Recent {
		from--
		err := t.lines(ctx, nums[from], func([]byte, int64) error { records++; return nil })
		if err != nil && !errors.Is(err, ErrBroken) {
			return err
		}
	}
	skip := records - t.cfg.Recent // checkpoints count too: the index is a little shorter then
	t.index.dropped = from > 0 || skip > 0
	for _, n := range nums[from:] {
		var entries []entry
		err := t.lines(ctx, n, func(line []byte, offset int64) error {
			if skip--; skip >= 0 {
				return nil
			}
			if h, ok := decodeHead(line); ok && h.Kagimori != nil {
				entries = append(entries, t.index.entry(&h, h.Kagimori.Sequence, n, offset, len(line)+1))
			}
			return nil
		})
		if err != nil && !errors.Is(err, ErrBroken) {
			return err
		}
		t.index.add(entries)
	}
	return nil
}
