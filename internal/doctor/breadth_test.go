package doctor_test

import (
	"testing"

	"github.com/kagimori/kagimori/internal/doctor"
)

// TestAlternativesAreRankedByBreadth: what opens less comes first, what removes a limit last, what
// opens nothing after those.
func TestAlternativesAreRankedByBreadth(t *testing.T) {
	kinds := func(r *doctor.Report) []string {
		var out []string
		for _, p := range proposals(r) {
			out = append(out, p.Kind+" "+p.Name)
		}
		return out
	}
	with := 0
	for id, sc := range corpus(t) {
		r := doctor.Check(sc)
		if r.Fix == nil {
			continue
		}
		before, seenOther := -1, false
		for i := range r.Fix.Alternatives {
			n, permission := doctor.Breadth(&r.Fix.Alternatives[i])
			switch {
			case !permission:
				seenOther = true
			case seenOther, n < before:
				t.Errorf("%s: %v is not in order", id, kinds(r))
			default:
				before = n
			}
		}
		if len(r.Fix.Alternatives) > 1 {
			with++
		}
	}
	if with < 5 {
		t.Errorf("only %d scenarios have several alternatives", with)
	}
}
