package suite_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/doctor"
	"github.com/kagimori/kagimori/internal/jsonedit"
	"github.com/kagimori/kagimori/internal/scenario/format"
	"github.com/kagimori/kagimori/internal/speech"
	"github.com/kagimori/kagimori/internal/suite"
)

const scenarios = "../launch/testdata/scenarios"

// TestTheCorpusPasses: all shared scenarios and cases.
func TestTheCorpusPasses(t *testing.T) {
	tests, err := new(suite.Loader).Load([]string{scenarios, "../authz/testdata"})
	if err != nil || len(tests) < 200 {
		t.Fatalf("%d tests, %v", len(tests), err)
	}
	for _, test := range tests {
		if o := test.Run(); o.Status != suite.Passed {
			t.Errorf("%s: %s %q", test.Name, o.Status, speech.All(speech.English, o.Problems))
		}
	}
}

// run runs one file.
func run(t *testing.T, text []byte, change func(*format.Scenario) (*format.Scenario, error)) suite.Outcome {
	t.Helper()
	file := filepath.Join(t.TempDir(), "x.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	tests, err := (&suite.Loader{Change: change}).Load([]string{file})
	if err != nil || len(tests) != 1 {
		t.Fatalf("%d tests, %v", len(tests), err)
	}
	return tests[0].Run()
}

// TestEachExpectationIsLookedAt changes one thing that a scenario expects at a time.
func TestEachExpectationIsLookedAt(t *testing.T) {
	tests := []struct{ id, path, value, want string }{
		{"013-first-statement-only", "/expected/failures/0/rule", `"not-in-key-policy"`, "failures[0]: "},
		{"013-first-statement-only", "/expected/failures/0/actions", `["kms:Decrypt"]`, "failures[0]: "},
		{"013-first-statement-only", "/expected/failures/0/principal", `"arn:aws:iam::111122223333:role/x"`, "failures[0]: "},
		{"013-first-statement-only", "/expected/volumes/0/chosenBy", `"account-default"`, "volumes: "},
		{"013-first-statement-only", "/expected/symptom/activityStatusCode", `"Failed"`, "symptom: "},
		{"013-first-statement-only", "/expected/warnings", `["unknown-action: kms:X matches no action"]`, "the warning is not given: unknown-action: kms:X"},
		{"013-first-statement-only", "/expected/fix/patch", `[{"op":"replace","path":"/keys/0/state","value":"Enabled"}]`, "with fix 1 it does not launch"},
		{"020-role-does-not-exist-yet", "/expected/setup/0/rule", `"lockout-safety-check"`, "setup: "},
		{"013-first-statement-only", "/unknown", `{"/keys/0/policy":"nobody could read it"}`, "it cannot be told whether it launches"},
	}
	for _, tt := range tests {
		src, err := os.ReadFile(filepath.Join(scenarios, tt.id+".json"))
		if err != nil {
			t.Fatal(err)
		}
		if src, err = jsonedit.Apply(src, "add", tt.path, []byte(tt.value)); err != nil {
			t.Fatal(err)
		}
		o := run(t, src, nil)
		if text := strings.Join(speech.All(speech.English, o.Problems), "\n"); o.Status != suite.Failed || !strings.Contains(text, tt.want) {
			t.Errorf("%s: %s, want %q in\n%s", tt.path, o.Status, tt.want, text)
		}
	}
}

// TestExpectation: what a report says passes as what is expected, for every scenario.
func TestExpectation(t *testing.T) {
	files, err := filepath.Glob(scenarios + "/*.json")
	if err != nil || len(files) < 50 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, f := range files {
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		sc, err := format.Parse(src)
		if err != nil {
			t.Fatal(err)
		}
		e, err := suite.Expectation(doctor.Check(sc))
		if err != nil {
			t.Fatal(err)
		}
		if src, err = jsonedit.Apply(src, "add", "/expected", e); err != nil {
			t.Fatal(err)
		}
		if o := run(t, src, nil); o.Status != suite.Passed {
			t.Errorf("%s: %s %q", f, o.Status, speech.All(speech.English, o.Problems))
		}
		if src, err = jsonedit.Apply(src, "add", "/expected", []byte("null")); err != nil {
			t.Fatal(err)
		}
		if o := run(t, src, nil); o.Status != suite.Silent {
			t.Errorf("%s expects nothing, and has status %s", f, o.Status)
		}
	}
}
