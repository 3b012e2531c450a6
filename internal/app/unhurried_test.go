package app_test

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/testkit"
)

// A timedWriter notes the deadlines that it is given.
type timedWriter struct {
	*httptest.ResponseRecorder
	deadlines []time.Time
}

func (w *timedWriter) SetWriteDeadline(at time.Time) error {
	w.deadlines = append(w.deadlines, at)
	return nil
}

// An advance may take longer than the two minutes that every other answer has.
func TestClockAndResetHaveTheirTime(t *testing.T) {
	s := testkit.Start(t, testkit.Options{})
	for path, body := range map[string]string{"/_kagimori/clock": `{"advance":"1h"}`, "/_kagimori/reset": ""} {
		w := &timedWriter{ResponseRecorder: httptest.NewRecorder()}
		began := time.Now()
		r := httptest.NewRequestWithContext(t.Context(), "POST", s.URL+path, strings.NewReader(body))
		s.App.Handler().ServeHTTP(w, r)
		if w.Code != 200 || len(w.deadlines) != 2 || !w.deadlines[0].IsZero() || w.deadlines[1].Before(began) {
			t.Errorf("%s: status %d, deadlines %v: %s", path, w.Code, w.deadlines, w.Body)
		}
	}
}
