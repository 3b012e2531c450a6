package trail_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/trail"
)

// follow reads all lines between two places.
func follow(t *testing.T, tr *trail.Trail, from, to trail.Place) ([]trail.Line, error) {
	t.Helper()
	var out []trail.Line
	for l, err := range tr.Lines(t.Context(), from, to) {
		if err != nil {
			return out, err
		}
		l.Text = bytes.Clone(l.Text)
		out = append(out, l)
	}
	return out, nil
}

func durable(t *testing.T, tr *trail.Trail) trail.Place {
	t.Helper()
	p, err := tr.Durable()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func appendN(t *testing.T, tr *trail.Trail, n int) {
	t.Helper()
	for i := range n {
		if err := tr.Append(&trail.Record{EventName: "Op", EventID: fmt.Sprint(i), UserAgent: strings.Repeat("x", 200)}); err != nil {
			t.Fatal(err)
		}
	}
}

// Whatever the place, the lines from there to the end are all and the right ones, over segments, compressed
// or not, and after the log was opened anew.
func TestLinesFollowTheLog(t *testing.T) {
	f := newFolder(t)
	small := func(c *trail.Config) { c.MaxSegment = 4000 }
	tr := f.open(t, small)
	appendN(t, tr, 40)
	all, err := follow(t, tr, trail.Place{}, durable(t, tr))
	if err != nil {
		t.Fatal(err)
	}
	closeTrail(t, tr)
	tr = f.open(t, small)
	appendN(t, tr, 40)
	files := func() int {
		names, _ := filepath.Glob(filepath.Join(f.path, "*"+packed))
		return len(names)
	}
	for begun := time.Now(); files() <= 3; time.Sleep(10 * time.Millisecond) {
		if time.Since(begun) > time.Minute {
			t.Fatalf("only %d old segments are packed", files())
		}
	}
	end := durable(t, tr)
	more, err := follow(t, tr, trail.Place{}, end)
	if err != nil {
		t.Fatal(err)
	}
	records, checkpoints := 0, 0
	var c trail.Copy
	for i, l := range more {
		if i < len(all) && (!bytes.Equal(l.Text, all[i].Text) || l.After != all[i].After) {
			t.Errorf("line %d is another one now", i)
		}
		if l.Link.Record {
			records++
		} else {
			checkpoints++
		}
		if err := c.Read("lines", bytes.NewReader(append(l.Text, '\n'))); err != nil {
			t.Error(err)
		}
		rest, err := follow(t, tr, l.After, end)
		if err != nil || len(rest) != len(more)-i-1 || len(rest) > 0 && !bytes.Equal(rest[0].Text, more[i+1].Text) {
			t.Fatalf("behind line %d: %d lines, %v", i, len(rest), err)
		}
	}
	if records != 80 || checkpoints < 4 || c.First != 1 || c.End() != tr.Head() || c.End().Sequence != 80 {
		t.Errorf("%d records and %d checkpoints, from %d to %v", records, checkpoints, c.First, c.End())
	}
	if len(c.Checkpoints) != checkpoints {
		t.Errorf("%d of %d checkpoints", len(c.Checkpoints), checkpoints)
	}
	if err := tr.Signed(c.Checkpoints); err != nil {
		t.Error(err)
	}
}

// A place that the log does not have is said to be none.
func TestLinesOfAnotherLog(t *testing.T) {
	one, other := newFolder(t).open(t, nil), newFolder(t).open(t, nil)
	appendN(t, one, 5)
	for range 5 {
		if err := other.Append(&trail.Record{EventName: "Other"}); err != nil {
			t.Fatal(err)
		}
	}
	appendN(t, other, 20)
	lines, err := follow(t, one, trail.Place{}, durable(t, one))
	if err != nil || len(lines) != 5 {
		t.Fatal(len(lines), err)
	}
	for name, from := range map[string]trail.Place{
		"the end of another log":      durable(t, one),
		"a place in it":               lines[2].After,
		"a segment that is not there": {Segment: 7, Offset: 0, Hash: lines[0].Link.Hash},
		"behind its end":              {Segment: 1, Offset: 1 << 40, Hash: lines[0].Link.Hash},
	} {
		if got, err := follow(t, other, from, durable(t, other)); !errors.Is(err, trail.ErrMoved) || len(got) != 0 {
			t.Errorf("%s: %d lines, %v", name, len(got), err)
		}
	}
	if got, err := follow(t, other, trail.Place{}, durable(t, other)); err != nil || len(got) != 25 {
		t.Errorf("%d lines, %v", len(got), err)
	}
	empty := newFolder(t).open(t, nil)
	if got, err := follow(t, empty, durable(t, empty), durable(t, empty)); err != nil || len(got) != 0 {
		t.Errorf("an empty log: %d lines, %v", len(got), err)
	}
	if got, err := follow(t, empty, trail.Place{}, durable(t, empty)); err != nil || len(got) != 0 {
		t.Errorf("an empty log: %d lines, %v", len(got), err)
	}
}

// Segments that were removed for their age are missed by whoever was before them.
func TestLinesThatWereRemoved(t *testing.T) {
	f := newFolder(t)
	tr := f.open(t, func(c *trail.Config) { c.MaxSegment = 4000 })
	appendN(t, tr, 3)
	early := durable(t, tr)
	appendN(t, tr, 40)
	f.waitPacked(t, 1) // else it might be packed after it was removed
	if err := os.Remove(filepath.Join(f.path, segment(1)+packed)); err != nil {
		t.Fatal(err)
	}
	if _, err := follow(t, tr, early, durable(t, tr)); !errors.Is(err, trail.ErrMoved) {
		t.Error(err)
	}
	lines, err := follow(t, tr, trail.Place{}, durable(t, tr))
	if err != nil || len(lines) == 0 || lines[0].Link.Sequence < 4 || lines[len(lines)-1].Link.Sequence != 43 {
		t.Errorf("%d lines, %v", len(lines), err)
	}
}

// A copy is checked without the log: what is missing, changed or put in shows, what came twice does not hurt.
func TestCopies(t *testing.T) {
	key := func(b []byte) []byte { return append([]byte("signed "), b[len(b)-8:]...) }
	tr := newFolder(t).open(t, func(c *trail.Config) { c.MaxSegment = 4000; c.Key = key })
	appendN(t, tr, 30)
	lines, err := follow(t, tr, trail.Place{}, durable(t, tr))
	if err != nil {
		t.Fatal(err)
	}
	text := func(change func([]trail.Line) []trail.Line) []byte {
		var b bytes.Buffer
		for _, l := range change(append([]trail.Line(nil), lines...)) {
			b.Write(l.Text)
			b.WriteByte('\n')
		}
		return b.Bytes()
	}
	edit := func(old, new string) func([]trail.Line) []trail.Line {
		return func(l []trail.Line) []trail.Line {
			l[5].Text = bytes.Replace(bytes.Clone(l[5].Text), []byte(old), []byte(new), 1)
			return l
		}
	}
	for name, tt := range map[string]struct {
		change func([]trail.Line) []trail.Line
		ok     bool
	}{
		"whole":         {func(l []trail.Line) []trail.Line { return l }, true},
		"from anywhere": {func(l []trail.Line) []trail.Line { return l[9:] }, true},
		"a part twice": {func(l []trail.Line) []trail.Line {
			return append(append(append([]trail.Line{}, l[:9]...), l[3:9]...), l[9:]...)
		}, true},
		"one missing":   {func(l []trail.Line) []trail.Line { return append(l[:5:5], l[6:]...) }, false},
		"two exchanged": {func(l []trail.Line) []trail.Line { l[5], l[6] = l[6], l[5]; return l }, false},
		"changed":       {edit(`"Op"`, `"Ob"`), false},
		"no record":     {edit(`{`, `[`), false},
	} {
		var c trail.Copy
		err := c.Read("copy", bytes.NewReader(text(tt.change)))
		if tt.ok != (err == nil) || err != nil && !errors.Is(err, trail.ErrBroken) {
			t.Errorf("%s: %v", name, err)
		}
		if tt.ok && (c.End() != tr.Head() || tr.Signed(c.Checkpoints) != nil || len(c.Checkpoints) == 0) {
			t.Errorf("%s: the end is %v, %v", name, c.End(), tr.Signed(c.Checkpoints))
		}
	}
	forged := text(edit(`"Op"`, `"Op"`))
	forged = bytes.Replace(forged, []byte(`"mac":"7`), []byte(`"mac":"6`), 1)
	var c trail.Copy
	_ = c.Read("copy", bytes.NewReader(forged))
	if err := tr.Signed(c.Checkpoints); !errors.Is(err, trail.ErrBroken) {
		t.Errorf("a forged signature: %v", err)
	}
}

// The link of a line is what the whole line says.
func FuzzLink(f *testing.F) {
	f.Add([]byte(`{"checkpoint":{"version":1,"sequence":3,"previous":"` + strings.Repeat("0", 64) + `"}}`))
	f.Add([]byte(`{"eventVersion":"1","kagimori":{"version":1,"sequence":3,"previous":"` + strings.Repeat("0", 64) + `"}}`))
	f.Add([]byte(`,"sequence":1,"previous":""}}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		l := trail.LinkOf(line)
		if len(l.Hash) != 64 || !l.Record && l.Sequence > 0 && !bytes.Contains(line, []byte("checkpoint")) {
			t.Errorf("%q: %+v", line, l)
		}
	})
}
