package incident

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/speech"
)

// Who says for whom the call was made.
func (n *Incident) Who() speech.Text {
	out := speech.Raw(n.Principal)
	if n.Session != "" && n.Instance == "" {
		out = speech.Say("%s (session %s)", out, n.Session)
	}
	if n.Instance != "" {
		out = speech.Say("%s (of instance %s)", out, n.Instance)
	}
	if n.InvokedBy != "" && n.InvokedBy != n.Principal {
		out = speech.Say("%s, by way of %s", out, n.InvokedBy)
	}
	return out
}

// What says which actions were asked for on what.
func (n *Incident) What(actions []string) speech.Text {
	key := speech.Raw(n.Key)
	switch {
	case n.Key == "" && n.given != "":
		key = speech.Raw(n.given)
	case n.Key == "":
		key = speech.Say("a key that the record does not name")
	}
	out := speech.Say("%s on %s", strings.Join(actions, ", "), key)
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(n.Context)) {
		pairs = append(pairs, fmt.Sprintf("%s=%s", name, n.Context[name]))
	}
	if len(pairs) > 0 {
		out = speech.Say("%s, with the encryption context %s", out, strings.Join(pairs, ", "))
	}
	return out
}

// Headline says what failed, and how often.
func (f *Finding) Headline() speech.Text {
	n := &f.Incident
	switch {
	case n.Count > 1 && n.First != n.Last:
		return speech.Say("%s failed with %s %d times, from %s to %s", n.Operation, n.Code, n.Count, n.First, n.Last)
	case n.Count > 1:
		return speech.Say("%s failed with %s %d times", n.Operation, n.Code, n.Count)
	case n.First == "":
		return speech.Say("%s failed with %s", n.Operation, n.Code)
	}
	return speech.Say("%s failed with %s once, at %s", n.Operation, n.Code, n.First)
}

// A writer writes lines in a language, and remembers the first error.
type writer struct {
	out      io.Writer
	language speech.Language
	err      error
}

func (w *writer) raw(depth int, text string) {
	if w.err == nil {
		_, w.err = fmt.Fprintf(w.out, "%s%s\n", strings.Repeat("  ", depth), text)
	}
}

func (w *writer) say(depth int, t speech.Text) { w.raw(depth, t.In(w.language)) }

// Write writes a finding for people; verbose with all fixes and the ids of events.
func (f *Finding) Write(out io.Writer, language speech.Language, verbose bool) error {
	w := &writer{out: out, language: language}
	n := &f.Incident
	w.say(0, speech.Say("%s: %s", f.ID, f.Headline()))
	if n.Principal != "" {
		w.say(1, speech.Say("Who: %s", n.Who()))
		w.say(1, speech.Say("Asked for: %s", n.What(f.Actions)))
	}
	if n.Via != "" {
		w.say(1, speech.Say("Through: %s (kms:ViaService)", n.Via))
	}
	w.say(1, speech.Say("Why: %s", f.Reason))
	if verbose && n.Message != "" {
		w.raw(2, n.Message)
	}
	if f.Now != "" {
		w.say(1, speech.Say("On the documents of %s: %s", f.Scenario, speech.Join(f.now(), speech.Raw(spaced(f.Rule, f.Where)))))
	}
	lines := f.Explanation
	if !verbose && len(lines) > maxLines {
		lines = append(slices.Clone(lines[:maxLines]), speech.Raw("..."))
	}
	for _, text := range lines {
		w.say(2, text)
	}
	for _, text := range f.Depends {
		w.say(1, speech.Say("Not known: %s", speech.Written(text)))
	}
	f.fixes(w, verbose)
	for _, text := range f.Notes {
		w.say(1, speech.Say("Note: %s", text))
	}
	if verbose {
		for _, id := range n.Events {
			w.say(1, speech.Say("Event: %s", id))
		}
	}
	return w.err
}

// maxLines is how much of an explanation is told if not all is asked for.
const maxLines = 6

// now is what would become of the call.
func (f *Finding) now() speech.Text {
	switch f.Now {
	case "allowed":
		return speech.Say("allowed")
	case "refused":
		return speech.Say("refused")
	}
	return speech.Say("cannot tell")
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
			w.say(1, speech.Say("More with -v"))
			return
		}
		word := speech.Say("Fix")
		switch {
		case i > 0 && r.Set == f.Fixes[i-1].Set:
			word = speech.Say("And")
		case i > 0:
			word = speech.Say("Or")
		}
		if r.Name != "" {
			word = speech.Join(word, speech.Raw(" ("+r.Name+")"))
		}
		w.say(1, speech.Say("%s: %s", word, r.Summary))
		if r.Document != "" {
			for line := range strings.SplitSeq(indented(r.Document), "\n") {
				w.raw(2, line)
			}
		}
		if r.Command != "" && (r.Document == "" || verbose) {
			w.raw(2, r.Command)
		}
		if !verbose {
			continue
		}
		if !r.Run.Empty() {
			w.say(2, speech.Say("By: %s", r.Run))
		}
		for _, text := range r.Opens {
			w.say(2, speech.Say("Also opens: %s", text))
		}
	}
}

func indented(document string) string {
	var buf bytes.Buffer
	if json.Indent(&buf, []byte(document), "", "  ") != nil {
		return document
	}
	return buf.String()
}

// Line is the finding as one line of JSON.
func (f *Finding) Line() ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	err := enc.Encode(f)
	return buf.Bytes(), err
}
