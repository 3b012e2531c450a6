package trail

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Segments are named trail-00000001.jsonl, and have another ending when they are packed: see pack.go.
const (
	segmentPrefix = "trail-"
	plainSuffix   = ".jsonl"
)

func plainName(n int) string { return segmentName(n, plainSuffix) }

func segmentName(n int, suffix string) string {
	return fmt.Sprintf("%s%08d%s", segmentPrefix, n, suffix)
}

// segmentNumber is the number in the name of a segment; 0 if it is none.
func segmentNumber(name, suffix string) int {
	digits, ok := strings.CutSuffix(name, suffix)
	digits, ok2 := strings.CutPrefix(digits, segmentPrefix)
	n, err := strconv.Atoi(digits)
	if !ok || !ok2 || len(digits) < 8 || err != nil || n < 1 {
		return 0
	}
	return n
}

// segments lists the numbers of the segments, oldest first.
func (t *Trail) segments() ([]int, error) {
	t.namesMu.RLock() // or a listing could miss both names of a segment
	defer t.namesMu.RUnlock()
	entries, err := fs.ReadDir(t.cfg.Dir.FS(), ".")
	if err != nil {
		return nil, fmt.Errorf("trail: %w", err)
	}
	var out []int
	for _, e := range entries {
		for _, suffix := range suffixes {
			if n := segmentNumber(e.Name(), suffix); n > 0 {
				out = append(out, n)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// A segmentReader reads the lines of a segment. note says what is in a packed one.
type segmentReader struct {
	io.Reader
	file *os.File
	note span
}

func (r *segmentReader) Close() error { return r.file.Close() }

// read opens a segment, packed or not. The error is fs.ErrNotExist if it was removed.
func (t *Trail) read(n int) (*segmentReader, error) {
	for _, suffix := range suffixes {
		f, err := t.cfg.Dir.Open(segmentName(n, suffix))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("trail: %w", err)
		}
		r, note, err := unpackFile(f, suffix)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%w: segment %d: %w", ErrBroken, n, err), f.Close())
		}
		return &segmentReader{Reader: r, file: f, note: note}, nil
	}
	return nil, fmt.Errorf("trail: segment %d: %w", n, fs.ErrNotExist)
}

// lines calls fn with each whole line of a segment, without its end, and with its offset.
func (t *Trail) lines(ctx context.Context, n int, fn func(line []byte, offset int64) error) error {
	r, err := t.read(n)
	if err != nil {
		return err
	}
	defer r.Close()
	return r.lines(ctx, n, fn)
}

func (r *segmentReader) lines(ctx context.Context, n int, fn func(line []byte, offset int64) error) error {
	br := bufio.NewReaderSize(r, 1<<16)
	var at int64
	for count := 0; ; count++ {
		if count%1000 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		line, err := br.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil // a line without its end is being written, or was cut off
		}
		if err != nil {
			return fmt.Errorf("%w: segment %d: %w", ErrBroken, n, err)
		}
		if err := fn(line[:len(line)-1], at); err != nil {
			return err
		}
		at += int64(len(line))
	}
}

// begin makes segment n the current one.
func (t *Trail) begin(n int) error {
	f, err := t.cfg.Dir.OpenFile(plainName(n), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("trail: %w", err)
	}
	if err := t.syncDir(); err != nil {
		return errors.Join(err, f.Close(), t.cfg.Dir.Remove(plainName(n)))
	}
	t.file, t.segment, t.size, t.room, t.span, t.whole = f, n, 0, 0, span{}, true
	return nil
}

func (t *Trail) syncDir() error {
	d, err := t.cfg.Dir.Open(".")
	if err != nil {
		return fmt.Errorf("trail: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("trail: %w", err)
	}
	return nil
}

// rotate ends the segment with a checkpoint and begins the next. It is packed in the
// background. writeMu is held.
func (t *Trail) rotate() error {
	if err := t.checkpoint(); err != nil {
		return err
	}
	t.spansMu.Lock()
	if t.whole {
		t.spans[t.segment] = t.span
	}
	t.spansMu.Unlock()
	old := t.file
	if err := errors.Join(old.Truncate(t.size), old.Sync()); err != nil { // what is left of its room is given back
		t.broken = fmt.Errorf("trail: %w", err)
		return t.broken
	}
	if err := t.begin(t.segment + 1); err != nil {
		return err
	}
	select {
	case t.full <- struct{}{}:
	default:
	}
	if err := old.Close(); err != nil { // it is on the disk: nothing is lost
		t.cfg.Logger.Warn("a full segment of the trail was not closed", "error", err)
	}
	return nil
}

// prune removes the oldest segments, never the current one; young ones only when all are twice as
// large as they may be.
func (t *Trail) prune() error {
	nums, err := t.segments()
	if err != nil || len(nums) == 0 {
		return err
	}
	var total int64
	for _, n := range slices.Backward(nums) {
		for _, suffix := range suffixes {
			name := segmentName(n, suffix)
			info, err := t.cfg.Dir.Stat(name)
			if err != nil {
				continue
			}
			limit := t.cfg.MaxTotal
			if time.Since(info.ModTime()) < t.cfg.MinAge {
				limit *= 2
			}
			if total += info.Size(); total > limit && n != nums[len(nums)-1] {
				if err := t.cfg.Dir.Remove(name); err != nil {
					return fmt.Errorf("trail: %w", err)
				}
			}
		}
	}
	return nil
}
