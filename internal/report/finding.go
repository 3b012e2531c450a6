package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/doctor"
	"github.com/kagimori/kagimori/internal/jsonedit"
	"github.com/kagimori/kagimori/internal/scenario/format"
	"github.com/kagimori/kagimori/internal/speech"
)

// A Level is how much a finding matters.
type Level uint8

// Levels.
const (
	Note Level = iota // worth knowing; it never decides the exit code
	Warning
	Undecided // it cannot be told whether it launches
	Error     // it does not launch
)

// String is the level as SARIF has it: what cannot be told is a warning there.
func (l Level) String() string {
	switch l {
	case Error:
		return "error"
	case Note:
		return "note"
	}
	return "warning"
}

// A Finding is one thing that is worth saying of a scenario.
type Finding struct {
	Scenario string
	Code     string // a rule, the code of a warning, cannot-tell or assumed
	Level    Level
	Message  speech.Text
	Detail   []speech.Text
	Resource string // of a configuration, or ""
	Place    Place

	Template, Device, Principal, Action, Key string

	Accepted *Acceptance // nil: nobody has accepted it
}

// Codes that are not rules or codes of warnings.
const (
	CannotTell = "cannot-tell"
	Assumed    = "assumed"
)

// Findings are what is worth saying of an item: failures, what cannot be told, warnings, and what was
// assumed.
func Findings(it *Item) []Finding {
	r := it.Report
	var out []Finding
	add := func(f Finding, pointer string) {
		f.Scenario = r.ID
		f.Resource, f.Place = it.at(pointer)
		out = append(out, f)
	}
	courses := r.Courses(false)
	for i := range r.Failures {
		f := &r.Failures[i]
		n := Finding{
			Code: f.Rule, Level: Error, Detail: reasons(f), Template: deref(f.Template), Device: deref(f.Device),
			Principal: deref(f.Principal), Action: f.Action, Key: deref(f.Key), Message: refusal(r, f),
		}
		j := slices.IndexFunc(courses, func(c doctor.Course) bool {
			return c.Failure != nil && c.Template == n.Template && c.Device == n.Device
		})
		if j >= 0 && f.Step != "setup" {
			n.Message = headline(&courses[j])
		}
		add(n, pointer(r, &f.Failure))
	}
	for _, d := range r.Depends {
		add(Finding{Code: CannotTell, Level: Undecided, Message: speech.Say("Not known: %s", speech.Written(d))}, "/launch")
	}
	for _, t := range r.Warnings {
		code, _, _ := strings.Cut(t.String(), ":")
		add(Finding{Code: code, Level: Warning, Message: t}, "/launch")
	}
	for _, t := range r.Later {
		code, _, _ := strings.Cut(t.String(), ":")
		add(Finding{Code: code, Level: Note, Message: t}, "/launch")
	}
	if it.Origin != nil {
		for _, text := range it.Origin.Assumed {
			add(Finding{Code: Assumed, Level: Warning, Message: speech.Say("Assumed: %s", speech.Written(text))}, "/launch")
		}
	}
	return out
}

// refusal says what fails of the setup.
func refusal(r *doctor.Report, f *doctor.Failure) speech.Text {
	for i, c := range r.Calls() {
		if c.Failure != nil {
			return speech.Say("Setup step %d, %s by %s: refused with %s (%s)", i+1, c.Operation, c.As, c.Error, f.Rule)
		}
	}
	return speech.Raw(f.Rule)
}

// pointer is the place of a failure in its scenario: a step of the setup, or a device or its template.
func pointer(r *doctor.Report, f *format.Failure) string {
	if f.Step == "setup" {
		return fmt.Sprintf("/setup/%d", slices.IndexFunc(r.Setup, func(s format.ExpectedStep) bool { return !s.OK }))
	}
	if f.Template == nil {
		return "/launch/existingVolumes/0"
	}
	i := slices.IndexFunc(r.Scenario().Launch.Templates, func(t format.Template) bool { return t.Name == *f.Template })
	return fmt.Sprintf("/launch/templates/%d", i)
}

// lineOf is the line of a place in a scenario's file.
func lineOf(src []byte, pointer string) int {
	if src == nil {
		return 0
	}
	return jsonedit.Line(src, pointer)
}

// Told is the verdict on an item with what is accepted left out.
func Told(r *doctor.Report, findings []Finding) doctor.Verdict {
	worst := doctor.Launches
	if len(findings) == 0 {
		return r.Told()
	}
	for i := range findings {
		switch f := &findings[i]; {
		case f.Accepted != nil:
		case f.Level == Error:
			return doctor.Fails
		case f.Level == Undecided:
			worst = doctor.CannotTell
		}
	}
	return worst
}

// Warned reports whether something is worth a warning that nobody has accepted.
func Warned(findings []Finding) bool {
	return slices.ContainsFunc(findings, func(f Finding) bool { return f.Level == Warning && f.Accepted == nil })
}
