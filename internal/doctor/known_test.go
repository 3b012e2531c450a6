package doctor_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/doctor"
	"github.com/kagimori/kagimori/internal/scenario/format"
)

// TestSharedFixes: a Doctor that has seen all other scenarios, and each one under other names, gives
// the fix that one gives which has seen none.
func TestSharedFixes(t *testing.T) {
	d := doctor.New()
	all, fixed := corpus(t), 0
	for _, id := range slices.Sorted(maps.Keys(all)) {
		for _, sc := range variants(t, all[id]) {
			got, want := d.Check(sc), doctor.Check(sc)
			if diff := cmp.Diff(encoded(t, want.Fix), encoded(t, got.Fix)); diff != "" {
				t.Errorf("%s (-alone +after others):\n%s", id, diff)
			}
			if want.Fix != nil {
				fixed++
			}
		}
	}
	if fixed < 120 {
		t.Errorf("only %d fixes were compared", fixed)
	}
}

// variants are a scenario, the same under other names, and others that differ in one fact.
func variants(t *testing.T, sc *format.Scenario) []*format.Scenario {
	t.Helper()
	out := []*format.Scenario{sc}
	for _, change := range []func(*format.Scenario){
		func(sc *format.Scenario) {
			sc.ID += "-other"
			for i := range sc.Launch.Templates {
				sc.Launch.Templates[i].Name += "-other"
			}
			if sc.Launch.Group != nil {
				sc.Launch.Group.Name += "-other"
			}
		},
		func(sc *format.Scenario) {
			for i := range sc.Principals {
				sc.Principals[i].Policies = nil
			}
		},
		func(sc *format.Scenario) {
			for i := range sc.Accounts {
				sc.Accounts[i].SCPs = nil
			}
		},
		func(sc *format.Scenario) {
			for i := range sc.Keys {
				sc.Keys[i].Aliases = nil
			}
		},
	} {
		text, err := sc.Encode()
		if err != nil {
			t.Fatal(err)
		}
		other, err := format.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		other.Expected = nil
		change(other)
		if text, err = other.Encode(); err != nil {
			t.Fatal(err)
		}
		if other, err = format.Parse(text); err == nil { // one that names an alias needs it
			out = append(out, other)
		}
	}
	return out
}

func encoded(t *testing.T, v any) []string {
	t.Helper()
	text, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(string(text), "\n")
}

// BenchmarkAlike is a launch whose like was checked before.
func BenchmarkAlike(b *testing.B) {
	sc := corpus(b)["012-default-key-policy"]
	d := doctor.New()
	b.ReportAllocs()
	for b.Loop() {
		d.Check(sc)
	}
}
