package lint

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/kagimori/kagimori/internal/speech"
)

// A Result is what was found in one file.
type Result struct {
	File     string // as it was named
	Findings []Finding
}

// finding is a Finding in JSON.
type finding struct {
	Rule      string `json:"rule"`
	Severity  string `json:"severity"`
	File      string `json:"file"`
	Statement int    `json:"statement,omitempty"`
	Sid       string `json:"sid,omitempty"`
	Range     Range  `json:"range"`
	Reason    string `json:"reason"`
	Fix       string `json:"fix"`
}

// WriteText writes results for people: a line with place, severity and rule for each finding, and
// below it what is wrong and what to do, in a language.
func WriteText(w io.Writer, results []Result, in speech.Language) error {
	for _, r := range results {
		for _, f := range r.Findings {
			var where speech.Text
			switch {
			case f.Sid != "":
				where = speech.Say(" (statement %d, %q)", f.Statement, f.Sid)
			case f.Statement > 0:
				where = speech.Say(" (statement %d)", f.Statement)
			}
			if _, err := fmt.Fprintf(w, "%s:%d:%d-%d:%d: %s: %s%s\n  %s\n  %s\n", r.File, f.Range.Start.Line, f.Range.Start.Column,
				f.Range.End.Line, f.Range.End.Column, f.Severity.text().In(in), f.Rule, where.In(in), f.Reason.In(in), speech.Say("Fix: %s", f.Fix).In(in)); err != nil {
				return err
			}
		}
	}
	return nil
}

// WriteJSON writes all findings as one JSON document: {"findings": [...]}.
func WriteJSON(w io.Writer, results []Result) error {
	all := []finding{}
	for _, r := range results {
		for _, f := range r.Findings {
			all = append(all, finding{f.Rule, f.Severity.String(), r.File, f.Statement, f.Sid, f.Range, f.Reason.String(), f.Fix.String()})
		}
	}
	return writeJSON(w, map[string]any{"findings": all})
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
