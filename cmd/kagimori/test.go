package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/kagimori/kagimori/internal/jsonedit"
	"github.com/kagimori/kagimori/internal/report"
	"github.com/kagimori/kagimori/internal/scenario/format"
	"github.com/kagimori/kagimori/internal/suite"
)

const testLong = `test runs policy unit tests: launch scenarios (see kagimori scenario) and authorization cases (see kagimori decide) with
what is expected of them. Of a FOLDER, all scenarios and all .jsonl files with cases are run, also in folders below it;
without an argument those of the current folder. It needs no server and no account.

A scenario passes if it launches or fails as its member "expected" says, for the reasons that it lists; a case if its
decision is that of its member "expect". --key-policy tests a policy that is in a file of its own; in a case
{"file":"policy.json"} does. --update writes into scenarios what is the case now: read the difference before you keep it.

Exit codes: 0 all pass, 1 a test fails, 3 a test, or the command line, cannot be read, or nothing was run.`

const testExample = `  kagimori test policies/tests
  kagimori test --run 'spot|volume' -v
  kagimori test --key-policy alias/web=key-policy.json tests
  kagimori test --format github --output junit.xml tests
  kagimori test --update tests/new-group.json`

// testFlags are the flags of test.
type testFlags struct {
	told        tellFlags
	run         string
	failFast    bool
	list        bool
	update      bool
	keyPolicies []string
}

func newTest(io stdio) *cobra.Command {
	var f testFlags
	cmd := &cobra.Command{
		Use: "test [FILE|FOLDER...]", Short: "Run launch scenarios and authorization cases as policy unit tests", Long: testLong, Example: testExample,
		RunE: func(_ *cobra.Command, paths []string) error { return f.test(io, paths) },
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return exit{exitBadInput, err, true} })
	fl := cmd.Flags()
	fl.SortFlags = false
	fl.StringVar(&f.run, "run", "", "run only tests whose name matches `REGEXP`")
	fl.BoolVar(&f.list, "list", false, "print the names of the tests, and run none")
	fl.BoolVar(&f.failFast, "fail-fast", false, "stop after the first test that fails")
	fl.BoolVar(&f.update, "update", false, "write into scenarios what is the case now as what they expect")
	fl.StringArrayVar(&f.keyPolicies, "key-policy", nil, "`KEY=FILE`: the policy of a key is in a file of its own; KEY is an ARN, id or alias")
	f.told.add(fl, "tell of tests that pass too, with their times")
	return cmd
}

func (f *testFlags) test(io stdio, paths []string) error {
	t, err := f.told.teller(io)
	if err == nil {
		err = testable(t)
	}
	if err != nil {
		return exit{exitBadInput, err, true}
	}
	pattern, err := regexp.Compile(f.run)
	if err != nil {
		return exit{exitBadInput, fmt.Errorf("--run: %w", err), true}
	}
	o, err := newOverlays(f.keyPolicies)
	if err != nil {
		return exit{exitBadInput, err, true}
	}
	if len(paths) == 0 {
		paths = []string{"."}
	}
	l := suite.Loader{Change: func(sc *format.Scenario) (*format.Scenario, error) { return o.over(input{scenario: sc}) }}
	tests, err := l.Load(paths)
	if err != nil {
		return exit{exitBadInput, err, false}
	}
	tests = slices.DeleteFunc(tests, func(t suite.Test) bool { return !pattern.MatchString(t.Name) })
	if len(tests) == 0 {
		return exit{exitBadInput, errors.New("there are no tests to run"), false}
	}
	if f.list {
		for _, t := range tests {
			fmt.Fprintln(io.out, t.Name)
		}
		return nil
	}
	ran, err := f.all(io, t, tests)
	if err != nil {
		return err
	}
	switch {
	case report.Count(ran, suite.Broken) > 0:
		return exit{code: exitBadInput}
	case report.Count(ran, suite.Failed) > 0:
		return exit{code: exitFailed}
	}
	return nil
}

// testable refuses formats that tests are not told in.
func testable(t *teller) error {
	forms := []report.Format{t.form}
	for _, f := range t.files {
		forms = append(forms, f.form)
	}
	for _, form := range forms {
		if !slices.Contains(report.TestFormats(), form) {
			return fmt.Errorf("tests are not told as %s: choose human, json, junit, github or markdown", form)
		}
	}
	return nil
}

// all runs tests and tells of them.
func (f *testFlags) all(io stdio, t *teller, tests []suite.Test) ([]report.Test, error) {
	var ran []report.Test
	watched := terminal(io.err) && !t.style.Verbose
	for i := range tests {
		if watched {
			fmt.Fprintf(io.err, "\r\x1b[K%d/%d %s", i+1, len(tests), tests[i].Name)
		}
		began := time.Now()
		r := report.Test{Test: tests[i], Outcome: tests[i].Run()}
		r.Took = time.Since(began)
		if watched {
			fmt.Fprint(io.err, "\r\x1b[K")
		}
		if f.update && r.Report != nil && r.Status != suite.Passed {
			if err := update(io, &r); err != nil {
				return nil, exit{exitBadInput, fmt.Errorf("--update: %s: %w", r.File, err), false}
			}
		}
		ran = append(ran, r)
		if t.form.Streams() {
			if err := t.form.OneTest(t.out, &r, t.style); err != nil {
				return nil, failed(err)
			}
		}
		if f.failFast && (r.Status == suite.Failed || r.Status == suite.Broken) {
			break
		}
	}
	if err := t.form.Tests(t.out, ran, t.style); err != nil {
		return nil, failed(err)
	}
	for _, file := range t.files {
		style := t.style
		style.Color = false
		var b bytes.Buffer
		for i := range ran {
			if file.form.Streams() {
				if err := file.form.OneTest(&b, &ran[i], style); err != nil {
					return nil, failed(err)
				}
			}
		}
		if err := file.form.Tests(&b, ran, style); err != nil {
			return nil, failed(err)
		}
		if err := os.WriteFile(file.name, b.Bytes(), 0o644); err != nil {
			return nil, failed(err)
		}
	}
	return ran, nil
}

// update writes what is the case now into a scenario, as what it expects.
func update(io stdio, r *report.Test) error {
	e, err := suite.Expectation(r.Report)
	if err != nil {
		return err
	}
	text, err := jsonedit.Apply(r.Source, "add", "/expected", e)
	if err != nil {
		return err
	}
	if err := replaceFile(r.File, text); err != nil {
		return err
	}
	fmt.Fprintf(io.err, "kagimori: wrote what %s expects\n", r.File)
	r.Status, r.Problems = suite.Passed, nil
	return nil
}
