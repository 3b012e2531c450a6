package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/cfn"
	"github.com/kagimori/kagimori/internal/doctor"
	"github.com/kagimori/kagimori/internal/scenario/format"
	"github.com/kagimori/kagimori/internal/tfplan"
)

// An input is a scenario to check. plan is where it comes from, or nil if it is a file of its own;
// templates are those that it is of, or nil.
type input struct {
	scenario  *format.Scenario
	plan      *tfplan.Launch
	templates *cfn.Result
}

// read makes scenarios of what a file says.
func (f *checkFlags) read(io stdio, file string, data []byte) ([]input, error) {
	if tfplan.Is(data) {
		return f.readPlan(io, file, data)
	}
	sc, err := format.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s is not in the format:\n%w", filepath.ToSlash(file), err)
	}
	return []input{{scenario: sc}}, nil
}

// readPlan makes scenarios of what a plan or state of Terraform launches.
func (f *checkFlags) readPlan(io stdio, file string, data []byte) ([]input, error) {
	p, err := tfplan.Read(data, tfplan.Options{Strict: f.strict, PlainImages: f.plainImages})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.ToSlash(file), err)
	}
	notes(io, filepath.ToSlash(file), p.Notes, len(p.Launches))
	var out []input
	for i := range p.Launches {
		out = append(out, input{scenario: p.Launches[i].Scenario, plan: &p.Launches[i]})
	}
	return out, nil
}

// notes tells what of a file could not be used.
func notes(io stdio, file string, ns []tfplan.Note, launches int) {
	for _, n := range ns {
		fmt.Fprintf(io.err, "kagimori: %s: %s\n", strings.TrimSuffix(file+": "+n.Address, ": "), n.Text)
	}
	if launches == 0 {
		fmt.Fprintf(io.err, "kagimori: %s launches nothing\n", file)
	}
}

// origin is what a report says more about a launch of a plan or template.
type origin struct {
	// At are the resources that each failure is about, Change those that the fix changes.
	At     []string `json:"at"`
	Change []string `json:"change"`
	// Names are what ARNs and ids that only stand for something are called.
	Names   map[string]string `json:"names"`
	Assumed []string          `json:"assumed"`
}

// about tells where in the configuration what a report says is.
func about(l *tfplan.Launch, r *doctor.Report) origin {
	t := origin{At: []string{}, Change: []string{}, Names: l.Names, Assumed: append([]string{}, l.Assumed...)}
	for i := range r.Failures {
		t.At = append(t.At, l.At(pointer(l.Scenario, r, &r.Failures[i].Failure)))
	}
	if r.Fix != nil {
		for _, e := range r.Fix.Patch {
			if at := l.At(e.Path); !slices.Contains(t.Change, at) {
				t.Change = append(t.Change, at)
			}
		}
	}
	return t
}

// pointer is the place of a failure in its scenario: a step of the setup, or a device or its template.
func pointer(sc *format.Scenario, r *doctor.Report, f *format.Failure) string {
	if f.Step == "setup" {
		return fmt.Sprintf("/setup/%d", slices.IndexFunc(r.Setup, func(s format.ExpectedStep) bool { return !s.OK }))
	}
	if f.Template == nil {
		return "/launch/existingVolumes/0"
	}
	i := slices.IndexFunc(sc.Launch.Templates, func(t format.Template) bool { return t.Name == *f.Template })
	return fmt.Sprintf("/launch/templates/%d", i)
}

// write writes a report.
func (f *checkFlags) write(io stdio, in input, r *doctor.Report, more bool) error {
	if f.format == "json" {
		return f.writeJSON(io, in, r)
	}
	if more {
		fmt.Fprintln(io.out)
	}
	if in.plan == nil {
		return r.Write(io.out, f.verbose)
	}
	var buf bytes.Buffer
	if err := r.Write(&buf, f.verbose); err != nil {
		return err
	}
	t := about(in.plan, r)
	if r.Fix != nil {
		for _, at := range changes(in, r) {
			fmt.Fprintf(&buf, "  To change: %s\n", at)
		}
	}
	for _, text := range t.Assumed {
		fmt.Fprintf(&buf, "  Assumed: %s\n", text)
	}
	var names []string
	for name, is := range t.Names {
		if !strings.Contains(is, " ") {
			is = "${" + is + "}"
		}
		names = append(names, name, is)
	}
	_, err := strings.NewReplacer(names...).WriteString(io.out, buf.String())
	return err
}

func (f *checkFlags) writeJSON(io stdio, in input, r *doctor.Report) error {
	if f.verbose {
		r = r.Detailed()
	}
	line, err := r.Line()
	if err == nil && in.plan != nil {
		var member bytes.Buffer
		enc := json.NewEncoder(&member)
		enc.SetEscapeHTML(false)
		more := map[string]any{"terraform": about(in.plan, r)}
		if in.templates != nil {
			more = map[string]any{"cloudformation": inTemplate(in, r)}
		}
		err = enc.Encode(more)
		line = append(append(bytes.TrimSuffix(bytes.TrimSpace(line), []byte("}")), ','), member.Bytes()[1:]...)
	}
	if err == nil {
		_, err = io.out.Write(line)
	}
	return err
}
