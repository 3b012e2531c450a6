package sink_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/kagimori/kagimori/internal/trail"
	"github.com/kagimori/kagimori/internal/trail/sink"
)

func root(t testing.TB, path string) *os.Root {
	t.Helper()
	r, err := os.OpenRoot(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// A world is a log and a folder for cursors.
type world struct {
	path    string
	log     *trail.Trail
	cursors *os.Root
}

func newWorld(t testing.TB, maxSegment int64) *world {
	t.Helper()
	w := &world{path: t.TempDir(), cursors: root(t, t.TempDir())}
	log, err := trail.Open(trail.Config{Dir: root(t, w.path), MaxSegment: maxSegment})
	if err != nil {
		t.Fatal(err)
	}
	w.log = log
	t.Cleanup(func() { w.log.Close() })
	return w
}

// add appends n records.
func (w *world) add(t testing.TB, n int) {
	t.Helper()
	for range n {
		if err := w.log.Append(&trail.Record{EventName: "Op", EventID: fmt.Sprint(w.log.Sequence()), UserAgent: strings.Repeat("x", 100)}); err != nil {
			t.Fatal(err)
		}
	}
}

// lines are those of the log up to now.
func (w *world) lines(t testing.TB) []sink.Line {
	t.Helper()
	end, err := w.log.Durable()
	if err != nil {
		t.Fatal(err)
	}
	var out []sink.Line
	for l, err := range w.log.Lines(context.Background(), trail.Place{}, end) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, sink.Line{Text: bytes.Clone(l.Text), Link: l.Link})
	}
	return out
}

// A target keeps what it gets, unless it is told to fail.
type target struct {
	mu     sync.Mutex
	fail   error
	lines  [][]byte
	fresh  int // batches
	calls  int
	closed bool
}

func (f *target) Send(_ context.Context, b sink.Batch) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	if f.fail != nil {
		return f.fail
	}
	if b.Fresh {
		f.fresh++
	}
	for _, l := range b.Lines {
		f.lines = append(f.lines, bytes.Clone(l.Text))
	}
	return nil
}

func (f *target) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	return nil
}

func (f *target) set(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = err
}

func (f *target) called() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls
}

func (f *target) got() [][]byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([][]byte(nil), f.lines...)
}

var errDead = errors.New("dead")

func (w *world) open(t testing.TB, f *target, change func(*sink.Config)) *sink.Sink {
	t.Helper()
	cfg := sink.Config{Name: "one", Kind: "test", Target: f, Trail: w.log, Cursors: w.cursors}
	if change != nil {
		change(&cfg)
	}
	s, err := sink.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// checkCopy checks that lines are a whole chain, from one record to another.
func checkCopy(t testing.TB, lines [][]byte, first, last uint64) {
	t.Helper()
	var c trail.Copy
	if err := c.Read("copy", bytes.NewReader(append(bytes.Join(lines, []byte("\n")), '\n'))); err != nil {
		t.Error(err)
	}
	if c.First != first || c.End().Sequence != last {
		t.Errorf("records %d to %d, not %d to %d", c.First, c.End().Sequence, first, last)
	}
}
