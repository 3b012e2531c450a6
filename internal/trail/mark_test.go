package trail_test

import (
	"errors"
	"testing"

	"github.com/kagimori/kagimori/internal/trail"
)

// An end that was noted is found later; a log that was cut off and goes on is not that log any more.
func TestVerifySinceAHead(t *testing.T) {
	f := newFolder(t)
	tr := f.open(t, nil)
	for range 3 {
		if err := tr.Append(&trail.Record{EventName: "Decrypt"}); err != nil {
			t.Fatal(err)
		}
	}
	head, err := trail.ParseHead(tr.Head().String())
	if err != nil || head.Sequence != 3 {
		t.Fatalf("%v, %v", head, err)
	}
	if err := tr.Append(&trail.Record{EventName: "Encrypt"}); err != nil {
		t.Fatal(err)
	}
	if err := tr.VerifySince(t.Context(), head); err != nil {
		t.Errorf("the log went on: %v", err)
	}
	if err := tr.VerifySince(t.Context(), trail.Head{}); err != nil {
		t.Errorf("since the beginning: %v", err)
	}
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
	lines := f.lines(t, 1)
	f.write(t, segment(1), append(append([]byte{}, lines[0]...), lines[1]...))
	tr = f.open(t, nil)
	defer tr.Close()
	for range 5 {
		if err := tr.Append(&trail.Record{EventName: "ReEncrypt"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := tr.Verify(t.Context()); err != nil {
		t.Fatalf("the chain itself: %v", err)
	}
	if err := tr.VerifySince(t.Context(), head); !errors.Is(err, trail.ErrBroken) {
		t.Errorf("a log that was cut off: %v", err)
	}
}

func TestParseHead(t *testing.T) {
	for _, text := range []string{"", "3", "3:", "x:00", "3:00", "-1:" + "0000000000000000000000000000000000000000000000000000000000000000"} {
		if h, err := trail.ParseHead(text); err == nil {
			t.Errorf("%q: %v", text, h)
		}
	}
}
