package casefile

import (
	"strings"

	"github.com/kagimori/kagimori/internal/speech"
)

// Lines are the result for people: the decision and, if it is explained, the tree of what was
// looked at and the fixes.
func (r *Result) Lines(in speech.Language) []string {
	out := []string{r.head().In(in)}
	add := func(t speech.Text) { out = append(out, "  "+t.In(in)) }
	if r.Explanation == nil {
		for _, d := range r.Depends {
			add(speech.Say("depends on %s", d))
		}
		return out
	}
	for _, line := range r.tree(in).Lines() {
		out = append(out, "  "+line)
	}
	set := 0
	for _, f := range r.Fixes {
		if f.Set != set {
			set = f.Set
			add(speech.Say("fix %d: %s", set, f.Summary))
		} else {
			add(speech.Say("and: %s", f.Summary))
		}
		for _, text := range []string{f.Document, f.Command} {
			if text != "" {
				out = append(out, "    "+strings.ReplaceAll(text, "\n", "\n    "))
			}
		}
		for _, o := range f.Opens {
			out = append(out, "    "+speech.Say("Also opens: %s", o).In(in))
		}
		if !f.Run.Empty() {
			out = append(out, "    "+speech.Say("By: %s", f.Run).In(in))
		}
	}
	for _, n := range r.Notes {
		add(n.Text)
	}
	return out
}

// head is the decision, and the expected one.
func (r *Result) head() speech.Text {
	head := decidedBy(r.Decision, r.By)
	if r.ID != "" {
		head = r.ID + ": " + head
	}
	if r.Expected != nil {
		return speech.Say("%s, expected %s", head, decidedBy(r.Expected.Decision, r.Expected.By))
	}
	return speech.Raw(head)
}

// decidedBy is in the words of the answers in JSON.
func decidedBy(decision, by string) string {
	if by == "" {
		return decision
	}
	return decision + " by " + by
}
