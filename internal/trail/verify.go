package trail

import (
	"context"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"
)

// ErrBroken is a log that was changed, or damaged, by something else than this package.
var ErrBroken = errors.New("trail: the chain of records is broken")

// Verify reads all segments and checks that each line carries the hash of the one before, that no
// sequence number is missing, that the checkpoints are signed, and that the log goes on to where
// this Trail wrote it. The error wraps ErrBroken and names the first place that is wrong. Segments
// that were removed for their age are not missed; appends go on meanwhile.
func (t *Trail) Verify(ctx context.Context) error {
	t.writeMu.Lock()
	end, current, size := t.last, t.segment, t.size
	empty := t.seq.Load() == 0
	t.writeMu.Unlock()
	nums, err := t.segments()
	if err != nil {
		return err
	}
	if !slices.Contains(nums, current) {
		return fmt.Errorf("%w: segment %d is missing", ErrBroken, current)
	}
	c := chain{key: t.cfg.Key, end: end, reached: empty}
	for i, n := range nums {
		c.segment = n
		if i > 0 && n != nums[i-1]+1 && c.begun {
			return fmt.Errorf("%w: segment %d is missing", ErrBroken, n-1)
		}
		err := t.lines(ctx, n, c.check)
		if errors.Is(err, fs.ErrNotExist) && !c.begun {
			continue // removed for its age meanwhile
		}
		if err != nil {
			return err
		}
	}
	if (c.begun || size > 0) && !c.reached {
		return fmt.Errorf("%w: the newest records are missing", ErrBroken)
	}
	return nil
}

// chain is the state of a check.
type chain struct {
	key     func([]byte) []byte
	end     hash // of the last line that was written when the check began
	segment int
	copied  bool // the lines are a sink's: they are not in the log's segments
	begun   bool
	reached bool // the end was seen
	last    hash
	seq     uint64
}

func (c *chain) check(line []byte, _ int64) error {
	h, ok := decodeHead(line)
	if !ok {
		return fmt.Errorf("%w: segment %d, after record %d: a line is no record", ErrBroken, c.segment, c.seq)
	}
	if err := c.link(&h); err != nil {
		return err
	}
	c.begun, c.last = true, lineHash(line)
	c.reached = c.reached || c.last == c.end
	return nil
}

// link checks that a line follows the one before.
func (c *chain) link(h *head) error {
	previous := hex.EncodeToString(c.last[:])
	switch {
	case h.Checkpoint != nil:
		if err := c.checkpoint(h.Checkpoint, previous); err != nil {
			return err
		}
		c.seq = h.Checkpoint.Sequence
	case c.begun || c.segment == 1 && !c.copied: // a kept log begins anywhere, a whole one with zeros
		if h.Kagimori.Previous != previous || h.Kagimori.Sequence != c.seq+1 {
			return fmt.Errorf("%w: %srecord %d does not follow record %d", ErrBroken, c.where(), h.Kagimori.Sequence, c.seq)
		}
		c.seq++
	default:
		c.seq = h.Kagimori.Sequence
	}
	return nil
}

// where names the segment, for errors.
func (c *chain) where() string {
	if c.copied {
		return ""
	}
	return fmt.Sprintf("segment %d, ", c.segment)
}

func (c *chain) checkpoint(p *checkpoint, previous string) error {
	if c.begun && (p.Previous != previous || p.Sequence != c.seq) || p.Segment != c.segment && !c.copied {
		return fmt.Errorf("%w: %sa checkpoint does not follow record %d", ErrBroken, c.where(), c.seq)
	}
	want, err := p.signature(c.key)
	if err != nil {
		return err
	}
	if c.key != nil && subtle.ConstantTimeCompare([]byte(want), []byte(p.MAC)) != 1 {
		return fmt.Errorf("%w: %sthe checkpoint after record %d is not signed by this server", ErrBroken, c.where(), p.Sequence)
	}
	return nil
}
