package trail_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/trail"
)

// What a record repeats of a request is bounded, whichever way it goes into the log.
func TestLargeParametersAreOmitted(t *testing.T) {
	text := func(n int) json.RawMessage { return json.RawMessage(`"` + strings.Repeat("x", n-2) + `"`) }
	f, s := newFolder(t), newStore(t)
	tr := f.open(t, withStore(s))
	for i, n := range []int{100 << 10, 100<<10 + 1, 900_000} {
		whole := n <= 100<<10
		r := record(i)
		r.RequestParameters, r.ResponseElements = text(n), text(10)
		if err := tr.Append(r); err != nil {
			t.Fatal(err)
		}
		changed := record(i + 10)
		changed.RequestParameters, changed.ResponseElements = nil, text(n)
		if err := commit(t, s, tr, changed); err != nil {
			t.Fatal(err)
		}
		if len(r.RequestParameters) != n || len(changed.ResponseElements) != n {
			t.Error("the caller's record was changed")
		}
		read, err := tr.Get(t.Context(), r.RequestID)
		if err != nil || len(read) != 1 || (len(read[0].RequestParameters) == n) != whole || len(read[0].ResponseElements) != 10 {
			t.Errorf("%d bytes appended: %v", n, err)
		}
		made, err := tr.Get(t.Context(), changed.RequestID)
		if err != nil || len(made) != 1 || (len(made[0].ResponseElements) == n) != whole || made[0].RequestParameters != nil {
			t.Errorf("%d bytes put: %v", n, err)
		}
		if whole {
			continue
		}
		var note struct {
			Omitted      bool
			OriginalSize int
			Reason       string
		}
		if err := json.Unmarshal(read[0].RequestParameters, &note); err != nil || !note.Omitted || note.OriginalSize != n || note.Reason != "requestParameters too large" {
			t.Errorf("%+v, %v", note, err)
		}
	}
	verify(t, tr)
}

// lockedBuffer is a log that several goroutines write.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// Segments that cannot be compressed do no harm, and are compressed when they can be.
func TestCompressionIsTriedAgain(t *testing.T) {
	f := newFolder(t)
	obstacle := filepath.Join(f.path, segment(1)+packed+".tmp")
	var log lockedBuffer
	tr := f.open(t, func(c *trail.Config) {
		c.MaxSegment, c.Logger = 1500, slog.New(slog.NewTextHandler(&log, nil))
	})
	if err := os.MkdirAll(filepath.Join(obstacle, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	n := 0
	waitFor(t, "an error", func() bool {
		appendRecords(t, tr, n, n+5)
		n += 5
		return strings.Contains(log.String(), "cannot be compressed")
	})
	if names := f.files(t); !slices.Contains(names, segment(1)) {
		t.Errorf("segment 1 is gone: %v", names)
	}
	if err := os.RemoveAll(obstacle); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "compression", func() bool {
		appendRecords(t, tr, n, n+5)
		n += 5
		return slices.Contains(f.files(t), segment(1)+packed) && !slices.Contains(f.files(t), segment(1))
	})
	verify(t, tr)
	if d := cmp.Diff(numbers(0, n), ids(t, tr, trail.Filter{})); d != "" {
		t.Error(d)
	}
}
