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

	"github.com/klauspost/compress/gzip"
)

// Segments are named trail-00000001.jsonl, and trail-00000001.jsonl.gz when they are compressed.
const (
	segmentPrefix = "trail-"
	plainSuffix   = ".jsonl"
	packedSuffix  = ".jsonl.gz"
	partSuffix    = ".jsonl.gz.tmp" // not whole
)

func plainName(n int) string  { return fmt.Sprintf("%s%08d%s", segmentPrefix, n, plainSuffix) }
func packedName(n int) string { return fmt.Sprintf("%s%08d%s", segmentPrefix, n, packedSuffix) }
func partName(n int) string   { return fmt.Sprintf("%s%08d%s", segmentPrefix, n, partSuffix) }

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
		if n := max(segmentNumber(e.Name(), plainSuffix), segmentNumber(e.Name(), packedSuffix)); n > 0 {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// A segmentReader reads the lines of a segment. note says what is in a compressed one.
type segmentReader struct {
	io.Reader
	file *os.File
	note span
}

func (r *segmentReader) Close() error { return r.file.Close() }

// read opens a segment, compressed or not. The error is fs.ErrNotExist if it was removed.
func (t *Trail) read(n int) (*segmentReader, error) {
	f, err := t.cfg.Dir.Open(plainName(n))
	if err == nil {
		return &segmentReader{Reader: f, file: f}, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("trail: %w", err)
	}
	if f, err = t.cfg.Dir.Open(packedName(n)); err != nil {
		return nil, fmt.Errorf("trail: %w", err)
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%w: segment %d: %w", ErrBroken, n, err), f.Close())
	}
	return &segmentReader{Reader: z, file: f, note: parseSpan(z.Comment)}, nil
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

// rotate ends the segment with a checkpoint and begins the next. Compression follows in the
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

// compact compresses full segments and removes the oldest when all together are too large.
func (t *Trail) compact() {
	for {
		select {
		case <-t.stop:
			return
		case <-t.full:
			if err := errors.Join(t.pack(), t.prune()); err != nil {
				t.cfg.Logger.Error("the trail's segments cannot be compressed or removed", "error", err)
			}
		}
	}
}

// pack compresses the full segments but the newest of them, which most look-ups still need.
func (t *Trail) pack() error {
	nums, err := t.segments()
	if err != nil {
		return err
	}
	for _, n := range nums[:max(0, len(nums)-2)] {
		select {
		case <-t.stop:
			return nil
		default:
		}
		if _, err := t.cfg.Dir.Stat(plainName(n)); err != nil {
			continue // compressed already
		}
		if err := t.compress(n); err != nil {
			return err
		}
	}
	return nil
}

// packLevel is the least work: lines of the log are much alike, and shrink to a fourteenth (at level 3, which takes
// half as much time again, to a seventeenth).
const packLevel = 1

func (t *Trail) compress(n int) error {
	note, err := t.measure(n)
	if err != nil {
		return err
	}
	in, err := t.cfg.Dir.Open(plainName(n))
	if err != nil {
		return fmt.Errorf("trail: %w", err)
	}
	defer in.Close()
	f, err := t.cfg.Dir.OpenFile(partName(n), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("trail: %w", err)
	}
	z, err := gzip.NewWriterLevel(f, packLevel)
	if err != nil {
		return errors.Join(fmt.Errorf("trail: %w", err), f.Close())
	}
	z.Comment = note.String()
	_, err = io.Copy(z, in)
	if err = errors.Join(err, z.Close(), f.Sync(), f.Close()); err != nil {
		return errors.Join(fmt.Errorf("trail: %w", err), t.cfg.Dir.Remove(partName(n)))
	}
	t.namesMu.Lock()
	defer t.namesMu.Unlock()
	if err := t.cfg.Dir.Rename(partName(n), packedName(n)); err != nil {
		return fmt.Errorf("trail: %w", err)
	}
	if err := t.syncDir(); err != nil {
		return err
	}
	if err := t.cfg.Dir.Remove(plainName(n)); err != nil {
		return fmt.Errorf("trail: %w", err)
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
		for _, name := range []string{plainName(n), packedName(n)} {
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
