package trail

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"slices"
	"strconv"
	"time"
)

// ErrMoved is a place that the log does not have any more: its segment was removed for its age, or the log
// is another one.
var ErrMoved = errors.New("trail: the log does not have this place any more")

// A Place is between two lines of the log. The zero Place is before the oldest that is kept.
type Place struct {
	Segment  int    `json:"segment"`
	Offset   int64  `json:"offset"`
	Sequence uint64 `json:"sequence"` // of the last record before it
	Hash     string `json:"hash"`     // of the line before it, in hex
}

// A Line of the log as it is written, without its end: a record or a checkpoint.
type Line struct {
	Text  []byte
	Link  Link
	After Place // behind the line
}

// A Link is what a line says of its place in the chain.
type Link struct {
	Sequence uint64 // of a record its own, of a checkpoint that of the record before; 0 if the line is neither
	Record   bool
	Previous string // hash of the line before, in hex
	Hash     string // of the line, in hex
}

// LinkOf reads the link of a line.
func LinkOf(line []byte) Link {
	sum := lineHash(line)
	l := Link{Hash: hex.EncodeToString(sum[:])}
	if l.fromEnd(line) {
		return l
	}
	h, ok := decodeHead(line)
	switch {
	case !ok:
	case h.Checkpoint != nil:
		l.Sequence, l.Previous = h.Checkpoint.Sequence, h.Checkpoint.Previous
	default:
		l.Sequence, l.Previous, l.Record = h.Kagimori.Sequence, h.Kagimori.Previous, true
	}
	return l
}

// EventOf is the name and the time of what a line tells: of a record its event, of a checkpoint "Checkpoint".
func EventOf(line []byte) (name string, at time.Time, ok bool) {
	h, ok := newHeadReader().read(line)
	switch {
	case !ok:
		return "", at, false
	case h.Checkpoint != nil:
		return "Checkpoint", h.Checkpoint.Time, true
	}
	return h.EventName, h.EventTime, true
}

// fromEnd reads the link of a record where appendLine put it.
func (l *Link) fromEnd(line []byte) bool {
	const middle, end = `,"previous":"`, `"}}`
	rest, ok := bytes.CutSuffix(line, []byte(end))
	from := len(rest) - 2*len(hash{})
	if !ok || bytes.HasPrefix(line, []byte(`{"checkpoint":`)) || from < 0 {
		return false
	}
	previous := rest[from:]
	rest, ok = bytes.CutSuffix(rest[:from], []byte(middle))
	i := bytes.LastIndexByte(rest, ':')
	if !ok || i < 0 || !bytes.HasSuffix(rest[:i], []byte(`"sequence"`)) {
		return false
	}
	seq, err := strconv.ParseUint(string(rest[i+1:]), 10, 64)
	if err != nil {
		return false
	}
	l.Sequence, l.Previous, l.Record = seq, string(previous), true
	return true
}

// Durable waits until what was appended is on the disk, and returns the place behind it: no crash takes
// back what is before it.
func (t *Trail) Durable() (Place, error) {
	t.writeMu.Lock()
	p := Place{t.segment, t.size, t.seq.Load(), hex.EncodeToString(t.last[:])}
	known := p == t.durable
	t.writeMu.Unlock()
	if known {
		return p, nil
	}
	if err := t.sync(); err != nil {
		return Place{}, err
	}
	t.writeMu.Lock()
	defer t.writeMu.Unlock()
	t.durable = p
	return p, nil
}

// Lines yields the lines from one place to another that Durable returned, as often as it is called. It fails
// with ErrMoved if the log does not have the first place. An error is the last that is yielded.
func (t *Trail) Lines(ctx context.Context, from, to Place) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		nums, err := t.segments()
		if err != nil {
			yield(Line{}, err)
			return
		}
		if from.Segment > to.Segment || from.Segment > 0 && !slices.Contains(nums, from.Segment) {
			yield(Line{}, ErrMoved)
			return
		}
		w := walk{at: from, to: to, yield: yield, wanted: from.Hash}
		for _, n := range nums {
			if n < from.Segment || n > to.Segment {
				continue
			}
			if n != from.Segment {
				w.at.Segment, w.at.Offset = n, 0
			}
			err := w.segment(ctx, t)
			switch {
			case errors.Is(err, fs.ErrNotExist) && w.at.Hash == "":
				continue // the oldest were removed meanwhile
			case errors.Is(err, errEnough):
				return
			case errors.Is(err, fs.ErrNotExist):
				err = ErrMoved
			}
			if err != nil {
				yield(Line{}, err)
				return
			}
		}
	}
}

// A walk yields lines.
type walk struct {
	at, to Place
	wanted string // hash that the first line has to name as that of the line before; "" for none, and after it
	yield  func(Line, error) bool
}

// segment yields the lines of the segment of at from there. errEnough: no more are wanted.
func (w *walk) segment(ctx context.Context, t *Trail) error {
	if w.at.Segment == w.to.Segment && w.at.Offset >= w.to.Offset {
		if w.at.Offset > w.to.Offset || w.at.Hash != "" && w.at.Hash != w.to.Hash {
			return ErrMoved
		}
		return errEnough
	}
	r, err := t.read(w.at.Segment)
	if err != nil {
		return err
	}
	defer r.Close()
	if _, err := io.CopyN(io.Discard, r, w.at.Offset); errors.Is(err, io.EOF) {
		return ErrMoved
	} else if err != nil {
		return fmt.Errorf("%w: segment %d: %w", ErrBroken, w.at.Segment, err)
	}
	return r.lines(ctx, w.at.Segment, func(text []byte, _ int64) error {
		link := LinkOf(text)
		if w.wanted != "" && link.Previous != w.wanted {
			return ErrMoved
		}
		w.wanted = ""
		w.at.Offset, w.at.Hash = w.at.Offset+int64(len(text))+1, link.Hash
		if link.Sequence > 0 {
			w.at.Sequence = link.Sequence
		}
		if !w.yield(Line{text, link, w.at}, nil) || w.at.Segment == w.to.Segment && w.at.Offset >= w.to.Offset {
			return errEnough
		}
		return nil
	})
}
