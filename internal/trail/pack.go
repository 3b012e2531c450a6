package trail

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
)

// Full segments are packed as a stream of S2 (klauspost/compress/s2, whose command s2d makes lines of it): a
// tenth of their size, in a quarter of the time that gzip takes for a thirteenth, and that is the time
// of each request's record. Earlier versions packed with gzip; what they left is read.
const (
	packedSuffix = ".jsonl.s2"
	gzipSuffix   = ".jsonl.gz"
	partSuffix   = ".tmp" // after one of them: not whole
)

// suffixes are those of a segment. Of a segment that a crash left with two of them, the first is read.
var suffixes = []string{plainSuffix, packedSuffix, gzipSuffix}

// A span is what a segment holds, noted at the beginning of a packed one so that look-ups need
// not read all of it. Verify does not rely on it.
type span struct {
	from, until int64  // of the records, Unix
	oldest      uint64 // lowest sequence number; 0 if nothing is known
	size        int64  // of the lines, in bytes; 0 if it is not known
}

func (s *span) add(at int64, seq uint64) {
	if s.oldest == 0 {
		s.from, s.until, s.oldest = at, at, seq
		return
	}
	s.from, s.until, s.oldest = min(s.from, at), max(s.until, at), min(s.oldest, seq)
}

// String is the note.
func (s span) String() string {
	return fmt.Sprintf("kagimori 2 %d %d %d %d", s.oldest, s.from, s.until, s.size)
}

// parseSpan reads a note; a foreign one says nothing.
func parseSpan(note string) span {
	var s span
	if _, err := fmt.Sscanf(note, "kagimori 2 %d %d %d %d", &s.oldest, &s.from, &s.until, &s.size); err == nil {
		return s
	}
	if _, err := fmt.Sscanf(note, "kagimori 1 %d %d %d", &s.oldest, &s.from, &s.until); err == nil {
		return span{from: s.from, until: s.until, oldest: s.oldest}
	}
	return span{}
}

// misses reports that no record of the segment can match.
func (s span) misses(f *Filter, before uint64) bool {
	return s.oldest != 0 && (s.oldest >= before || !f.Since.IsZero() && s.until < f.Since.Unix() || !f.Until.IsZero() && s.from > f.Until.Unix())
}

// unpackFile reads a segment of any suffix; the span is what is noted of it.
func unpackFile(f *os.File, suffix string) (io.Reader, span, error) {
	switch suffix {
	case packedSuffix:
		return unpack(f)
	case gzipSuffix:
		z, err := gzip.NewReader(f)
		if err != nil {
			return nil, span{}, err
		}
		return z, parseSpan(z.Comment), nil
	default:
		return f, span{}, nil
	}
}

// The note is in a chunk of its own before the lines, of a kind that S2's readers pass over.
const (
	noteChunk = 0x80
	noteLimit = 200       // bytes of it
	blockSize = 256 << 10 // what is alike is found within a block
	packMagic = "\xff\x06\x00\x00S2sTwO"
)

// IsPacked reports whether a file that begins so is a packed segment. Ten bytes are enough.
func IsPacked(beginning []byte) bool {
	return len(beginning) >= len(packMagic) && string(beginning[:len(packMagic)]) == packMagic
}

// Unpack reads the lines of a packed segment. One that was cut off ends with io.ErrUnexpectedEOF.
func Unpack(r io.Reader) (io.Reader, error) {
	lines, _, err := unpack(r)
	return lines, err
}

func unpack(r io.Reader) (io.Reader, span, error) {
	u := &unpacked{}
	u.lines = s2.NewReader(r, s2.ReaderMaxBlockSize(blockSize), s2.ReaderSkippableCB(noteChunk, u.take))
	if _, err := u.lines.Read(nil); err != nil && !errors.Is(err, io.EOF) { // to where the note was
		return nil, span{}, err
	}
	return u, u.note, nil
}

// unpacked are the lines of a packed segment. S2 does not say where a stream ends: the note does.
type unpacked struct {
	lines *s2.Reader
	note  span
	read  int64
}

func (u *unpacked) take(r io.Reader) error {
	data, err := io.ReadAll(io.LimitReader(r, noteLimit))
	u.note = parseSpan(string(data))
	return err
}

func (u *unpacked) Read(b []byte) (int, error) {
	n, err := u.lines.Read(b)
	u.read += int64(n)
	if errors.Is(err, io.EOF) && u.read < u.note.size {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// compact packs full segments and removes the oldest when all together are too large.
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

// pack packs the full segments but the newest of them, which most look-ups still need.
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
			continue // packed already
		}
		if err := t.packOne(n); err != nil {
			return err
		}
	}
	return nil
}

func (t *Trail) packOne(n int) error {
	note, err := t.measure(n)
	if err != nil {
		return err
	}
	in, err := t.cfg.Dir.Open(plainName(n))
	if err != nil {
		return fmt.Errorf("trail: %w", err)
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return fmt.Errorf("trail: %w", err)
	}
	note.size = info.Size()
	packed := segmentName(n, packedSuffix)
	f, err := t.cfg.Dir.OpenFile(packed+partSuffix, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("trail: %w", err)
	}
	if err := errors.Join(packTo(f, in, note), f.Sync(), f.Close()); err != nil {
		return errors.Join(fmt.Errorf("trail: %w", err), t.cfg.Dir.Remove(packed+partSuffix))
	}
	t.namesMu.Lock()
	defer t.namesMu.Unlock()
	if err := t.cfg.Dir.Rename(packed+partSuffix, packed); err != nil {
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

func packTo(w io.Writer, lines *os.File, note span) error {
	z := s2.NewWriter(w, s2.WriterConcurrency(1), s2.WriterBlockSize(blockSize))
	err := z.AddSkippableBlock(noteChunk, []byte(note.String()))
	if err == nil {
		err = eachPart(lines, note.size, z.EncodeBuffer)
	}
	return errors.Join(err, z.Close())
}

// partSize is how much of a segment is looked at together, in bytes: whole blocks.
const partSize = 4 * blockSize

// measure is the span of a full segment: noted while it was written or, of one that an earlier run began,
// read out of it.
func (t *Trail) measure(n int) (span, error) {
	t.spansMu.Lock()
	s, known := t.spans[n]
	delete(t.spans, n)
	t.spansMu.Unlock()
	if known {
		return s, nil
	}
	heads := newHeadReader()
	err := t.lines(context.Background(), n, func(line []byte, _ int64) error {
		if h, ok := heads.read(line); ok && h.Kagimori != nil {
			s.add(h.EventTime.Unix(), h.Kagimori.Sequence)
		}
		return nil
	})
	return s, err
}
