package doctor

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/actions"
)

// Breadth of what is no single principal, and of what takes a limit away: more than any list of
// actions.
const (
	ofAccount   = 10
	ofEverybody = 1000
	ofLimit     = 10000
)

// breadth measures what a proposal opens: actions times principals, twice as much where no condition
// limits them. Proposals that give nobody more, but have the launch use another key or role, say,
// come after those that do.
func (p *Proposal) breadth() (opens int, permission bool) {
	for _, e := range p.Patch {
		var v any
		_ = json.Unmarshal(e.Value, &v) // a removal has no value
		switch {
		case strings.HasSuffix(e.Path, "/Statement/-"), strings.HasSuffix(e.Path, "/policies/-"):
			opens, permission = opens+breadthOf(v), true
		case strings.HasSuffix(e.Path, "/grants/-"):
			g, _ := v.(map[string]any)
			n := len(list(g["operations"]))
			if g["constraints"] == nil {
				n *= 2
			}
			opens, permission = opens+n, true
		case e.Op == "remove" && strings.Contains(e.Path, "/Statement/"):
			opens, permission = opens+ofLimit, true
		case strings.Contains(e.Path, "/Statement"):
			opens, permission = opens+1, true // a correction of what is there
		}
	}
	return opens, permission
}

// breadthOf is that of a statement, or of all statements of an inline policy.
func breadthOf(v any) int {
	st, _ := v.(map[string]any)
	if doc, ok := st["policy"].(map[string]any); ok {
		sum := 0
		for _, s := range items(doc["Statement"]) {
			sum += breadthOf(s)
		}
		return sum
	}
	n := 0
	for _, pattern := range list(st["Action"]) {
		n += max(1, matching(pattern))
	}
	who := 0
	switch p := st["Principal"].(type) {
	case string:
		who = ofEverybody
	case map[string]any:
		for _, name := range list(p["AWS"]) {
			switch {
			case name == "*":
				who += ofEverybody
			case strings.HasSuffix(name, ":root"):
				who += ofAccount
			default:
				who++
			}
		}
	}
	n *= max(1, who)
	if st["Condition"] == nil {
		n *= 2
	}
	return n
}

func items(v any) []any {
	if all, ok := v.([]any); ok {
		return all
	}
	return []any{v}
}

// matching is the number of actions that a pattern matches.
func matching(pattern string) int {
	prefix, name, _ := strings.Cut(pattern, ":")
	service, known := actions.Load().Service(prefix)
	if !known {
		return 0
	}
	n := 0
	for _, a := range service.Actions() {
		if actions.Match(name, a.Name) {
			n++
		}
	}
	return n
}

// ranked are alternatives by what they open, the least first; then those that open nothing, as they
// were found.
func ranked(all []Proposal) []Proposal {
	slices.SortStableFunc(all, func(a, b Proposal) int {
		x, permA := a.breadth()
		y, permB := b.breadth()
		switch {
		case permA && permB:
			return x - y
		case permA:
			return -1
		case permB:
			return 1
		}
		return 0
	})
	return all
}
