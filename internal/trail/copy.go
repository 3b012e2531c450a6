package trail

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// A Copy checks lines of a log that are kept elsewhere, such as the files of a sink: each carries the hash of
// the one before. What was delivered twice is passed over. Who can write a copy can make a chain of his own:
// Checkpoints tell, since only the server signs them.
type Copy struct {
	// Checkpoints are those of the lines, for Signed.
	Checkpoints []json.RawMessage
	First       uint64 // sequence number of the first record

	chain chain
	seen  map[hash]struct{} // the last lines, and those before them
	older map[hash]struct{}
}

// repeats is how many lines may be there twice in a row, at least.
const repeats = 1 << 16

// Read checks the lines that follow those of earlier calls. name is that of the file, for errors, which wrap
// ErrBroken if a line is not as it was written.
func (c *Copy) Read(name string, r io.Reader) error {
	c.chain.copied = true
	br := bufio.NewReaderSize(r, 1<<16)
	for n := 1; ; n++ {
		line, err := br.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(line) == 0 {
			return nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := c.line(bytes.TrimSuffix(line, []byte("\n"))); err != nil {
			return fmt.Errorf("%s, line %d: %w", name, n, err)
		}
	}
}

func (c *Copy) line(line []byte) error {
	if i := bytes.Index(line, []byte(`{"`)); i > 0 { // behind syslog's header
		line = line[i:]
	}
	sum := lineHash(line)
	if _, again := c.seen[sum]; again {
		return nil
	}
	if _, again := c.older[sum]; again {
		return nil
	}
	h, ok := decodeHead(line)
	if !ok {
		return fmt.Errorf("%w: after record %d: a line is no record", ErrBroken, c.chain.seq)
	}
	if h.Checkpoint != nil {
		c.Checkpoints = append(c.Checkpoints, bytes.Clone(line))
	} else if c.First == 0 {
		c.First = h.Kagimori.Sequence
	}
	if err := c.chain.link(&h); err != nil {
		return err
	}
	c.chain.begun, c.chain.last = true, sum
	if len(c.seen) >= repeats || c.seen == nil {
		c.older, c.seen = c.seen, map[hash]struct{}{}
	}
	c.seen[sum] = struct{}{}
	return nil
}

// End is where the lines end: VerifySince tells whether a log has it.
func (c *Copy) End() Head { return Head{c.chain.seq, c.chain.last} }

// Signed checks that checkpoints are signed with the log's key.
func (t *Trail) Signed(checkpoints []json.RawMessage) error {
	for _, line := range checkpoints {
		h, ok := decodeHead(line)
		if !ok || h.Checkpoint == nil {
			return fmt.Errorf("%w: a line is no checkpoint", ErrBroken)
		}
		c := chain{key: t.cfg.Key, copied: true}
		if err := c.checkpoint(h.Checkpoint, hex.EncodeToString(c.last[:])); err != nil {
			return err
		}
	}
	return nil
}
