package store_test

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/store"
)

// TestReport: what passes is a warning, what another process does is nothing to tell.
func TestReport(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{nil, ""},
		{fmt.Errorf("a read: %w", store.ErrUnavailable), `level=WARN msg="a key waits" key=k error="a read: store: unavailable"`},
		{errors.New("no"), `level=ERROR msg="a key waits" key=k error=no`},
		{fmt.Errorf("late: %w", store.ErrFenced), ""},
		{store.ErrClosed, ""},
	} {
		var out strings.Builder
		log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}}))
		store.Report(t.Context(), log, "a key waits", c.err, "key", "k")
		if got := strings.TrimSpace(out.String()); got != c.want {
			t.Errorf("%v is told as %q, want %q", c.err, got, c.want)
		}
		if store.Passing(c.err) != (strings.Contains(c.want, "WARN")) {
			t.Errorf("%v passes: %t", c.err, store.Passing(c.err))
		}
	}
}
