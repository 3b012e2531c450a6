package doctor_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/doctor"
	"github.com/kagimori/kagimori/internal/scenario/format"
	"github.com/kagimori/kagimori/internal/speech"
)

// corpus are the project's copies of the shared launch scenarios, by id.
func corpus(t testing.TB) map[string]*format.Scenario {
	t.Helper()
	paths, err := filepath.Glob("../launch/testdata/scenarios/*.json")
	if err != nil || len(paths) != 50 {
		t.Fatalf("%d scenarios, %v", len(paths), err)
	}
	all := map[string]*format.Scenario{}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		sc, err := format.Parse(data)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		all[sc.ID] = sc
	}
	return all
}

// TestEveryScenarioIsJudgedAsItExpects compares everything that a scenario expects but its fix,
// which need not be equal.
func TestEveryScenarioIsJudgedAsItExpects(t *testing.T) {
	for id, sc := range corpus(t) {
		t.Run(id, func(t *testing.T) {
			r, want := doctor.Check(sc), sc.Expected
			same := func(what string, want, got any) {
				t.Helper()
				if diff := gocmp.Diff(want, got); diff != "" {
					t.Errorf("%s (-want +got):\n%s", what, diff)
				}
			}
			same("launches", &want.Launches, r.Launches)
			setup := slices.Clone(r.Setup)
			if len(setup) == 0 {
				setup = nil
			}
			same("setup", want.Setup, setup)
			same("volumes", sorted(want.Volumes), sorted(r.Volumes))
			for name, launches := range want.Templates {
				same("template "+name, &launches, r.Templates[name])
			}
			if want.Templates != nil {
				same("number of templates", len(want.Templates), len(r.Templates))
			}
			same("symptom", want.Symptom, r.Symptom)
			same("warnings", want.Warnings, english(r.Warnings))
			same("depends", []string(nil), r.Depends)
			if len(want.Failures) != len(r.Failures) {
				t.Fatalf("%d failures, want %d: %+v", len(r.Failures), len(want.Failures), r.Failures)
			}
			for i, w := range want.Failures {
				got := r.Failures[i].Failure
				if len(w.Actions) > 0 {
					if len(got.Actions) != 1 || !slices.Contains(w.Actions, got.Actions[0]) || r.Failures[i].Action != got.Actions[0] {
						t.Errorf("refused action %q (%v), want one of %v", r.Failures[i].Action, got.Actions, w.Actions)
					}
					got.Actions = w.Actions
				}
				if w.Where == nil { // not asserted
					got.Where = nil
				}
				same("failure", w, got)
			}
		})
	}
}

// english are texts as programs read them.
func english(texts []speech.Text) []string {
	return append([]string{}, speech.All(speech.English, texts)...)
}

func sorted(volumes []format.ExpectedVolume) []format.ExpectedVolume {
	out := slices.Clone(volumes)
	name := func(v format.ExpectedVolume) string {
		if v.Template == nil {
			return v.Device
		}
		return *v.Template + " " + v.Device
	}
	slices.SortFunc(out, func(a, b format.ExpectedVolume) int {
		if name(a) < name(b) {
			return -1
		}
		return 1
	})
	return out
}

// TestAReportIsAnExpectation: what check says of a scenario can be put into it as what it expects.
func TestAReportIsAnExpectation(t *testing.T) {
	for id, sc := range corpus(t) {
		r := doctor.Check(sc)
		e := format.Expected{
			Launches: *r.Launches, Setup: r.Setup, Volumes: r.Volumes, Failures: []format.Failure{}, Symptom: r.Symptom, Warnings: english(r.Warnings),
		}
		for _, f := range r.Failures {
			e.Failures = append(e.Failures, f.Failure)
		}
		if r.Fix != nil {
			e.Fix = &format.Fix{Kind: r.Fix.Kind, Summary: r.Fix.Summary.String(), Patch: r.Fix.Patch, Alternatives: []format.Alternative{}}
		}
		own := *sc
		own.Expected = &e
		data, err := own.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := format.Parse(data); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
}
