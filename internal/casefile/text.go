package casefile

import (
	"fmt"
	"strings"
)

// Lines are the result for people: the decision and, if it is explained, the tree of what was
// looked at and the fixes.
func (r *Result) Lines() []string {
	head := r.Decision
	if r.By != "" {
		head += " by " + r.By
	}
	if r.ID != "" {
		head = r.ID + ": " + head
	}
	if r.Expected != nil {
		head += ", expected " + r.Expected.Decision
		if r.Expected.By != "" {
			head += " by " + r.Expected.By
		}
	}
	out := []string{head}
	if r.Explanation == nil {
		for _, d := range r.Depends {
			out = append(out, "  depends on "+d)
		}
		return out
	}
	for _, line := range r.tree.Lines() {
		out = append(out, "  "+line)
	}
	set := 0
	for _, f := range r.Fixes {
		title := "  and: "
		if f.Set != set {
			set, title = f.Set, fmt.Sprintf("  fix %d: ", f.Set)
		}
		out = append(out, title+f.Summary.String())
		for _, text := range []string{f.Document, f.Command} {
			if text != "" {
				out = append(out, "    "+strings.ReplaceAll(text, "\n", "\n    "))
			}
		}
		for _, o := range f.Opens {
			out = append(out, "    It also opens: "+o.String())
		}
		if !f.Run.Empty() {
			out = append(out, "    By: "+f.Run.String())
		}
	}
	for _, n := range r.Notes {
		out = append(out, "  "+n.Text.String())
	}
	return out
}
