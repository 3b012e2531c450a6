package report

import (
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/speech"
	"github.com/kagimori/kagimori/internal/suite"
)

// A Test is a test that was run.
type Test struct {
	suite.Test
	suite.Outcome
	Took time.Duration
}

// Count is the number of tests with a status.
func Count(tests []Test, s suite.Status) int {
	n := 0
	for i := range tests {
		if tests[i].Status == s {
			n++
		}
	}
	return n
}

// TestFormats are the formats in which tests are told.
func TestFormats() []Format {
	return []Format{FormatHuman, FormatJSON, FormatJUnit, FormatGitHub, FormatMarkdown}
}

// OneTest writes one test in a format that streams.
func (f Format) OneTest(w io.Writer, t *Test, style Style) error {
	if f == FormatJSON {
		line, err := json.Marshal(struct {
			Name     string   `json:"name"`
			File     string   `json:"file"`
			Line     int      `json:"line"`
			Status   string   `json:"status"`
			Seconds  float64  `json:"seconds"`
			Problems []string `json:"problems"`
		}{t.Name, t.File, t.Line, t.Status.String(), t.Took.Seconds(), append([]string{}, speech.All(speech.English, t.Problems)...)})
		if err == nil {
			_, err = w.Write(append(line, '\n'))
		}
		return err
	}
	if t.Status == suite.Passed && !style.Verbose {
		return nil
	}
	out := &writer{style: style}
	word, c := map[suite.Status]string{suite.Passed: "ok  ", suite.Failed: "FAIL", suite.Broken: "FAIL", suite.Silent: "?   "}[t.Status], green
	switch t.Status {
	case suite.Failed, suite.Broken:
		c = red
	case suite.Silent:
		c = yellow
	}
	line := fmt.Sprintf("%s  %s", word, t.Name)
	switch {
	case t.Status == suite.Silent:
		line += "  [" + speech.Say("it expects nothing").In(style.Language) + "]"
	case style.Verbose:
		line += fmt.Sprintf("  (%.2fs)", t.Took.Seconds())
	}
	out.line(0, c, line)
	for _, p := range t.Problems {
		out.lines(3, p.In(style.Language))
	}
	_, err := out.buf.WriteTo(w)
	return err
}

// Tests writes all tests, or of a format that streams what comes after the last.
func (f Format) Tests(w io.Writer, tests []Test, style Style) error {
	switch f {
	case FormatJSON:
		return nil
	case FormatJUnit:
		return testsJUnit(w, tests, style)
	case FormatGitHub:
		return testsGitHub(w, tests, style)
	case FormatMarkdown:
		return testsMarkdown(w, tests, style)
	}
	out := &writer{style: style}
	word, c := "ok  ", green
	if Count(tests, suite.Failed)+Count(tests, suite.Broken) > 0 {
		word, c = "FAIL", red
	}
	out.line(0, c, word+"  "+Summary(tests).In(style.Language))
	_, err := out.buf.WriteTo(w)
	return err
}

// Summary counts the tests.
func Summary(tests []Test) speech.Text {
	return speech.Say("%d tests: %d passed, %d failed, %d cannot be read, %d expect nothing",
		len(tests), Count(tests, suite.Passed), Count(tests, suite.Failed), Count(tests, suite.Broken), Count(tests, suite.Silent))
}

func (t *Test) problems(style Style) string {
	return strings.Join(speech.All(style.Language, t.Problems), "\n")
}

func testsJUnit(w io.Writer, tests []Test, style Style) error {
	var cases []junitCase
	for i := range tests {
		t := &tests[i]
		c := junitCase{Class: t.File, Name: t.Name, Time: fmt.Sprintf("%.3f", t.Took.Seconds())}
		text := t.problems(style)
		first, _, _ := strings.Cut(text, "\n")
		switch t.Status {
		case suite.Failed:
			c.Failure = &junitResult{Message: first, Text: text}
		case suite.Broken:
			c.Error = &junitResult{Message: first, Text: text}
		case suite.Silent:
			c.Skipped = &junitResult{Message: speech.Say("it expects nothing").In(style.Language)}
		}
		cases = append(cases, c)
	}
	return writeJUnit(w, cases)
}

func testsGitHub(w io.Writer, tests []Test, style Style) error {
	for i := range tests {
		t := &tests[i]
		if t.Status == suite.Passed || t.Status == suite.Silent {
			continue
		}
		if err := annotation(w, "error", Place{t.File, t.Line}, t.Name, t.problems(style)); err != nil {
			return err
		}
	}
	return nil
}

func testsMarkdown(w io.Writer, tests []Test, style Style) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n## kagimori test\n\n%s\n", strings.Replace(Marker, "check", "test", 1), Summary(tests).In(style.Language))
	for i := range tests {
		t := &tests[i]
		if t.Status == suite.Passed || t.Status == suite.Silent && !style.Verbose {
			continue
		}
		fmt.Fprintf(&b, "\n### %s (%s)\n\n", code(t.Name), code(fmt.Sprintf("%s:%d", filepath.ToSlash(t.File), t.Line)))
		for _, p := range t.Problems {
			b.WriteString("- " + escape(p.In(style.Language)) + "\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
