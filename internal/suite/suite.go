// Package suite runs policy unit tests: launch scenarios and authorization cases, each with what is
// expected of it, in files and folders.
//
// A scenario is judged by package doctor, a case by package casefile, so a test says the same as
// `kagimori check` and `kagimori decide`. What a test does not expect it does not look at: a place of
// a failure that is null, warnings beside those that are listed.
package suite

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/kagimori/kagimori/internal/casefile"
	"github.com/kagimori/kagimori/internal/doctor"
	"github.com/kagimori/kagimori/internal/scenario/format"
	"github.com/kagimori/kagimori/internal/speech"
)

// A Test is one scenario or case.
type Test struct {
	Name string // the file without its ending, of a case with its id
	File string
	Line int // from 1
	run  func() Outcome
}

// Run runs the test.
func (t *Test) Run() Outcome { return t.run() }

// A Status is how a test ends.
type Status uint8

// Statuses.
const (
	Passed Status = iota
	Failed
	Broken // it is no test: it cannot be read
	Silent // it expects nothing
)

// String is the status in machine-readable output.
func (s Status) String() string { return [...]string{"pass", "fail", "error", "none"}[s] }

// An Outcome is how a test ended, and what is otherwise than it expects.
type Outcome struct {
	Status   Status
	Problems []speech.Text
	// Report is what is said of a scenario; nil for cases and what cannot be read.
	Report *doctor.Report
	// Source is the text of the scenario.
	Source []byte
}

// A Loader finds tests. Change, if it is not nil, may put other key policies into a scenario.
type Loader struct {
	Change func(*format.Scenario) (*format.Scenario, error)

	judge *doctor.Doctor
	cases *casefile.Builder
}

// Load finds the tests of files and folders, in the order of the arguments and of names. In folders
// those are files that end in .jsonl, and .json files with the schema of a scenario.
func (l *Loader) Load(paths []string) ([]Test, error) {
	l.judge, l.cases = doctor.New(), casefile.NewBuilder()
	var out []Test
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			found, err := l.file(p, true)
			if err != nil {
				return nil, err
			}
			out = append(out, found...)
			continue
		}
		err = filepath.WalkDir(p, func(name string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && name != p && strings.HasPrefix(d.Name(), "."):
				return fs.SkipDir
			case d.IsDir():
				return nil
			}
			found, err := l.file(name, false)
			out = append(out, found...)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// file finds the tests of a file. named: it was asked for by name, and so has to be one.
func (l *Loader) file(name string, named bool) ([]Test, error) {
	ext := filepath.Ext(name)
	if ext != ".json" && ext != ".jsonl" && !named {
		return nil, nil
	}
	src, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	src = bytes.TrimPrefix(src, []byte("\xef\xbb\xbf")) // with which editors of Windows begin files
	shown := filepath.ToSlash(name)
	if ext == ".jsonl" {
		return l.lines(shown, src), nil
	}
	if !isScenario(src) {
		if named {
			return nil, fmt.Errorf("%s is neither a launch scenario nor a .jsonl file with cases", shown)
		}
		return nil, nil
	}
	return []Test{{Name: strings.TrimSuffix(shown, ext), File: shown, Line: 1, run: func() Outcome { return l.scenario(src) }}}, nil
}

// isScenario reports whether a file says that it is a scenario, whether or not it is a right one, or
// JSON at all.
func isScenario(src []byte) bool {
	const schema = "kagimori.launch-scenario/"
	var head struct {
		Schema string `json:"schema"`
	}
	if err := json.Unmarshal(src, &head); err != nil {
		return bytes.Contains(src, []byte(`"`+schema))
	}
	return strings.HasPrefix(head.Schema, schema)
}

// lines are the cases of a file.
func (l *Loader) lines(file string, src []byte) []Test {
	dir := filepath.Dir(filepath.FromSlash(file))
	cases := l.cases.Files(func(name string) ([]byte, error) {
		if !filepath.IsAbs(name) {
			name = filepath.Join(dir, name)
		}
		return os.ReadFile(name)
	})
	var out []Test
	n := 0
	for line := range bytes.Lines(src) {
		n++
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		c, err := casefile.Parse(line)
		t := Test{Name: strings.TrimSuffix(file, ".jsonl") + "/" + strconv.Itoa(n), File: file, Line: n}
		if err == nil && c.ID != "" {
			t.Name = strings.TrimSuffix(file, ".jsonl") + "/" + c.ID
		}
		t.run = func() Outcome {
			if err != nil {
				return broken(err)
			}
			return decide(cases, c)
		}
		out = append(out, t)
	}
	return out
}

func broken(err error) Outcome {
	return Outcome{Status: Broken, Problems: []speech.Text{speech.Raw(err.Error())}}
}

// decide runs a case.
func decide(cases *casefile.Builder, c *casefile.Case) Outcome {
	r, err := cases.Decide(c, true)
	switch {
	case err != nil:
		return broken(err)
	case c.Expect == nil:
		return Outcome{Status: Silent}
	case r.Expected == nil:
		return Outcome{}
	}
	want := c.Expect.Decision
	if by := append(slices.Clone(c.Expect.ByAny), c.Expect.By); strings.Join(by, "") != "" {
		want += " (" + strings.Join(slices.DeleteFunc(by, func(s string) bool { return s == "" }), "|") + ")"
	}
	got := r.Decision
	if r.By != "" {
		got += " (" + r.By + ")"
	}
	out := Outcome{Status: Failed, Problems: []speech.Text{speech.Say("the decision is %s, want %s", got, want)}}
	for _, text := range r.Text {
		out.Problems = append(out.Problems, speech.Raw(text))
	}
	for _, d := range r.Depends {
		out.Problems = append(out.Problems, speech.Say("Not known: %s", d))
	}
	return out
}

// scenario runs a scenario.
func (l *Loader) scenario(src []byte) Outcome {
	sc, err := format.Parse(src)
	if err != nil {
		return broken(err)
	}
	if l.Change != nil {
		if sc, err = l.Change(sc); err != nil {
			return broken(err)
		}
	}
	out := Outcome{Report: l.judge.Check(sc), Source: src}
	if sc.Expected == nil {
		out.Status = Silent
		return out
	}
	out.Problems = l.differences(sc, out.Report)
	if len(out.Problems) > 0 {
		out.Status = Failed
	}
	return out
}

// Expectation is what a report says as what its scenario expects.
func Expectation(r *doctor.Report) (json.RawMessage, error) {
	if r.Told() == doctor.CannotTell {
		return nil, errors.New("it cannot be told whether it launches, so nothing can be expected")
	}
	e := format.Expected{
		Launches: *r.Launches, Setup: r.Setup, Volumes: r.Volumes, Failures: []format.Failure{}, Symptom: r.Symptom,
		Warnings: append([]string{}, speech.All(speech.English, r.Warnings)...),
	}
	if len(e.Setup) == 0 {
		e.Setup = nil
	}
	for _, f := range r.Failures {
		e.Failures = append(e.Failures, f.Failure)
	}
	if r.Fix != nil {
		e.Fix = &format.Fix{Kind: r.Fix.Kind, Summary: r.Fix.Summary.String(), Patch: r.Fix.Patch, Alternatives: []format.Alternative{}}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(e)
	return bytes.TrimSpace(b.Bytes()), err
}
