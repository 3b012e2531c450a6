package suite

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/doctor"
	"github.com/kagimori/kagimori/internal/scenario/format"
	"github.com/kagimori/kagimori/internal/speech"
)

// differences are what a report says otherwise than its scenario expects.
func (l *Loader) differences(sc *format.Scenario, r *doctor.Report) []speech.Text {
	var out []speech.Text
	want := sc.Expected
	differ := func(what string, got, want any) {
		out = append(out, speech.Say("%s: %s, want %s", what, shown(got), shown(want)))
	}
	switch {
	case r.Launches == nil:
		out = append(out, speech.Say("it cannot be told whether it launches"))
		for _, d := range r.Depends {
			out = append(out, speech.Say("Not known: %s", d))
		}
		return out
	case *r.Launches && !want.Launches:
		out = append(out, speech.Say("it launches, and the test wants it not to"))
	case !*r.Launches && want.Launches:
		out = append(out, speech.Say("it does not launch, and the test wants it to"))
		for _, f := range r.Failures {
			out = append(out, f.Explanation...)
		}
		if r.Fix != nil {
			out = append(out, speech.Say("%s: %s", speech.Say("Fix"), r.Fix.Summary))
		}
		return out
	}
	if len(want.Setup) > 0 && !reflect.DeepEqual(want.Setup, r.Setup) {
		differ("setup", r.Setup, want.Setup)
	}
	if got, want := sorted(r.Volumes), sorted(want.Volumes); !reflect.DeepEqual(got, want) {
		differ("volumes", got, want)
	}
	for _, name := range slices.Sorted(maps.Keys(want.Templates)) {
		if got := r.Templates[name]; got == nil || *got != want.Templates[name] {
			differ("templates "+name, got, want.Templates[name])
		}
	}
	out = append(out, failures(r.Failures, want.Failures)...)
	if !reflect.DeepEqual(r.Symptom, want.Symptom) {
		differ("symptom", r.Symptom, want.Symptom)
	}
	for _, w := range want.Warnings {
		if !speech.Has(r.Warnings, speech.Raw(w)) {
			out = append(out, speech.Say("the warning is not given: %s", w))
		}
	}
	if want.Fix != nil {
		for i, patch := range want.Fix.Patches() {
			fixed, err := sc.Patched(patch)
			if err != nil {
				out = append(out, speech.Say("fix %d cannot be applied: %s", i+1, err.Error()))
			} else if again := l.judge.Check(fixed); again.Told() != doctor.Launches {
				out = append(out, speech.Say("with fix %d it does not launch", i+1))
			}
		}
	}
	return out
}

// failures compares the failures: one action of those that are listed is the refused one, and a place
// that is null is not looked at.
func failures(got []doctor.Failure, want []format.Failure) []speech.Text {
	var out []speech.Text
	if len(got) != len(want) {
		out = append(out, speech.Say("%s: %s, want %s", "failures", shown(len(got)), shown(len(want))))
	}
	for i := range min(len(got), len(want)) {
		g, w := got[i].Failure, want[i]
		if len(w.Actions) > 0 && slices.Contains(w.Actions, got[i].Action) {
			g.Actions = w.Actions
		}
		if w.Where == nil {
			g.Where = nil
		}
		if !reflect.DeepEqual(g, w) {
			out = append(out, speech.Say("%s: %s, want %s", fmt.Sprintf("failures[%d]", i), shown(g), shown(w)))
		}
	}
	return out
}

func sorted(volumes []format.ExpectedVolume) []format.ExpectedVolume {
	out := slices.Clone(volumes)
	name := func(v *format.ExpectedVolume) string {
		if v.Template == nil {
			return v.Device
		}
		return *v.Template + " " + v.Device
	}
	slices.SortFunc(out, func(a, b format.ExpectedVolume) int { return cmp.Compare(name(&a), name(&b)) })
	return out
}

// shown is a value on a line.
func shown(v any) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // values of a report always encode
	return strings.TrimSpace(b.String())
}
