package incident

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// A writer writes lines, and remembers the first error.
type writer struct {
	out io.Writer
	err error
}

func (w *writer) line(depth int, format string, args ...any) {
	if w.err == nil {
		_, w.err = fmt.Fprintf(w.out, "%s%s\n", strings.Repeat("  ", depth), fmt.Sprintf(format, args...))
	}
}

// Write writes a finding for people; verbose with all fixes and the ids of events.
func (f *Finding) Write(out io.Writer, verbose bool) error {
	w := &writer{out: out}
	n := &f.Incident
	times := "once"
	if n.First != "" {
		times += ", at " + n.First
	}
	if n.Count > 1 && n.First != n.Last {
		times = fmt.Sprintf("%d times, from %s to %s", n.Count, n.First, n.Last)
	} else if n.Count > 1 {
		times = strings.TrimSuffix(fmt.Sprintf("%d times, at %s", n.Count, n.First), ", at ")
	}
	w.line(0, "%s: %s failed with %s %s", f.ID, n.Operation, n.Code, times)
	if n.Principal != "" {
		w.line(1, "Who: %s", n.Who())
		w.line(1, "Asked for: %s", n.What(f.Actions))
	}
	if n.Via != "" {
		w.line(1, "Through: %s (kms:ViaService)", n.Via)
	}
	w.line(1, "Why: %s", f.Reason)
	if verbose && n.Message != "" {
		w.line(2, "%s", n.Message)
	}
	if f.Now != "" {
		w.line(1, "On the documents of %s: %s%s", f.Scenario, f.Now, spaced(f.Rule, f.Where))
	}
	lines := f.Explanation
	if !verbose && len(lines) > 6 {
		lines = append(lines[:6:6], "...")
	}
	for _, text := range lines {
		w.line(2, "%s", text)
	}
	for _, text := range f.Depends {
		w.line(1, "Not known: %s", text)
	}
	f.fixes(w, verbose)
	for _, text := range f.Notes {
		w.line(1, "Note: %s", text)
	}
	if verbose {
		for _, id := range n.Events {
			w.line(1, "Event: %s", id)
		}
	}
	return w.err
}

func spaced(rule, where string) string {
	switch {
	case rule == "":
		return ""
	case where == "":
		return ", " + rule
	}
	return ", " + rule + " (" + where + ")"
}

// fixes tells the first set of fixes, and with verbose all.
func (f *Finding) fixes(w *writer, verbose bool) {
	for i, r := range f.Fixes {
		if !verbose && i > 0 && r.Set != f.Fixes[0].Set {
			w.line(1, "More with -v")
			return
		}
		word := "Fix"
		switch {
		case i > 0 && r.Set == f.Fixes[i-1].Set:
			word = "and"
		case i > 0:
			word = "Or"
		}
		if r.Name != "" {
			word += " (" + r.Name + ")"
		}
		w.line(1, "%s: %s", word, r.Summary)
		if r.Document != "" {
			var buf bytes.Buffer
			if json.Indent(&buf, []byte(r.Document), "", "  ") != nil {
				buf.Reset()
				buf.WriteString(r.Document)
			}
			for line := range strings.SplitSeq(buf.String(), "\n") {
				w.line(2, "%s", line)
			}
		}
		if r.Command != "" && (r.Document == "" || verbose) {
			w.line(2, "%s", r.Command)
		}
		if !verbose {
			continue
		}
		if r.Run != "" {
			w.line(2, "By: %s", r.Run)
		}
		for _, text := range r.Opens {
			w.line(2, "Also opens: %s", text)
		}
	}
}

// Line is the finding as one line of JSON.
func (f *Finding) Line() ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	err := enc.Encode(f)
	return buf.Bytes(), err
}
