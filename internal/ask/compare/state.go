package compare

import (
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/ask"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/policy"
)

// A state is whether a principal can do an action: on any of some conditions, none of which may be
// met of others. The zero state is never.
type state struct {
	allows [][]string // each is met whole; an empty one always is
	denies [][]string
}

// byIAM is the condition that the account leaves the decision to its identity policies.
const byIAM = "IAM policies of the account allow it"

// stateOf reads an answer. iam says that the principal may have identity policies.
func stateOf(a *ask.Answer, iam bool) state {
	var s state
	add := func(m *authz.Match, conditions []string) {
		if m.Layer != authz.LayerResource {
			return
		}
		if m.Effect == policy.Deny {
			s.denies = append(s.denies, conditions)
			return
		}
		if m.Account && !iam {
			return
		}
		if m.Account || a.Part.CrossAccount {
			conditions = append(conditions, byIAM)
		}
		s.allows = append(s.allows, conditions)
	}
	for i := range a.Part.Matched {
		add(&a.Part.Matched[i], nil)
	}
	for i := 0; i < len(a.Part.Missed); {
		m := &a.Part.Missed[i]
		var conditions []string
		for ; i < len(a.Part.Missed) && a.Part.Missed[i].Pos == m.Pos; i++ { // all of one statement
			c := &a.Part.Missed[i]
			text := c.Key + " " + strings.Join(c.Want, " or ")
			conditions = append(conditions, strings.TrimSpace(c.Operator+" "+text))
		}
		add(&m.Match, conditions)
	}
	s.allows, s.denies = simple(s.allows), simple(s.denies)
	return s
}

// simple sorts alternatives and leaves out those that another covers.
func simple(all [][]string) [][]string {
	var out [][]string
	for _, a := range all {
		slices.Sort(a)
	}
	slices.SortFunc(all, func(a, b []string) int { return slices.Compare(a, b) })
	for i, a := range all {
		covered := false
		for j, b := range all {
			covered = covered || i != j && within(b, a) && (len(b) < len(a) || j < i)
		}
		if !covered {
			out = append(out, a)
		}
	}
	return out
}

// within reports whether all of a list are in another.
func within(short, long []string) bool {
	return !slices.ContainsFunc(short, func(s string) bool { return !slices.Contains(long, s) })
}

// covers reports whether some alternatives allow whatever others do.
func covers(all, others [][]string) bool {
	return !slices.ContainsFunc(others, func(o []string) bool {
		return !slices.ContainsFunc(all, func(a []string) bool { return within(a, o) })
	})
}

// to is the kind of change from one state to another.
func (s state) to(t state) (kind string, ok bool) {
	more := covers(t.allows, s.allows) && covers(s.denies, t.denies)
	less := covers(s.allows, t.allows) && covers(t.denies, s.denies)
	switch {
	case more && less:
		return "", false
	case len(s.allows) == 0:
		return Gains, true
	case len(t.allows) == 0:
		return Loses, true
	case more:
		return Wider, true
	case less:
		return Tighter, true
	}
	return Other, true
}

// String is the state in words.
func (s state) String() string {
	if len(s.allows) == 0 {
		return "never"
	}
	text := "always"
	if len(s.allows[0]) > 0 {
		text = "if " + alternatives(s.allows)
	}
	if len(s.denies) > 0 {
		text += ", but not if " + alternatives(s.denies)
	}
	return text
}

func alternatives(all [][]string) string {
	out := make([]string, len(all))
	for i, a := range all {
		out[i] = strings.Join(a, " and ")
	}
	return strings.Join(out, ", or if ")
}
