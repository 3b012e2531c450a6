package trail

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

// A Head is the end of a log at a moment. Whoever noted one elsewhere can tell later that nothing up to it
// was changed or cut off, even by somebody who had the server and its keys.
type Head struct {
	Sequence uint64 // of the last record
	hash     hash   // of the last line
}

// String is the head as ParseHead reads it.
func (h Head) String() string {
	return strconv.FormatUint(h.Sequence, 10) + ":" + hex.EncodeToString(h.hash[:])
}

// ParseHead reads a head.
func ParseHead(text string) (h Head, err error) {
	seq, sum, ok := strings.Cut(text, ":")
	h.Sequence, err = strconv.ParseUint(seq, 10, 64)
	raw, hexErr := hex.DecodeString(sum)
	if !ok || err != nil || hexErr != nil || len(raw) != len(h.hash) {
		return Head{}, fmt.Errorf("%q is no end of an audit log, such as kagimori trail verify prints", text)
	}
	copy(h.hash[:], raw)
	return h, nil
}

// Head is the end of the log now.
func (t *Trail) Head() Head {
	t.writeMu.Lock()
	defer t.writeMu.Unlock()
	return Head{Sequence: t.seq.Load(), hash: t.last}
}

// VerifySince is Verify, and checks besides that the log still has the head: the same line, not only a
// record of that number. The zero Head, of an empty log, is always there.
func (t *Trail) VerifySince(ctx context.Context, since Head) error {
	if err := t.Verify(ctx); err != nil || since == (Head{}) {
		return err
	}
	nums, err := t.segments()
	if err != nil {
		return err
	}
	found := errors.New("found")
	for _, n := range nums {
		err := t.lines(ctx, n, func(line []byte, _ int64) error {
			if lineHash(line) == since.hash {
				return found
			}
			return nil
		})
		switch {
		case errors.Is(err, found):
			return nil
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return err
		}
	}
	return fmt.Errorf("%w: it does not have the end that was noted after record %d: it was cut off or rewritten, or segments of that age were removed", ErrBroken, since.Sequence)
}
