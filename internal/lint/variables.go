package lint

import (
	"strings"

	"github.com/kagimori/kagimori/internal/policy"
)

// variableRules looks at the policy variables of the document.
//
// Source: IAM User Guide, "IAM policy elements: Variables and tags".
func (l *linter) variableRules() {
	for i := range l.doc.Statements {
		s := &l.doc.Statements[i]
		for _, list := range [][]policy.Text{s.Resources, s.NotResources} {
			for _, t := range list {
				l.variables(s, t)
			}
		}
		for _, c := range s.Conditions {
			for _, v := range c.Values {
				l.variables(s, v)
			}
		}
	}
}

func (l *linter) variables(s *policy.Statement, t policy.Text) {
	for _, v := range variable.FindAllString(t.Value, -1) {
		name := strings.TrimSuffix(strings.TrimPrefix(v, "${"), "}")
		name, _, _ = strings.Cut(name, ", '")
		if name == "*" || name == "?" || name == "$" {
			continue
		}
		key, ok := l.table.Key(name)
		switch {
		case !l.doc.Variables() && ok:
			l.add("variable-2008", s, t.Pos, "Without "+quote("Version")+": "+quote(policy.Version2012)+" "+v+" is plain text, which matches nothing.",
				"Add "+quote("Version")+": "+quote(policy.Version2012)+" to the document.")
			return
		case !l.doc.Variables():
		case !ok && strings.HasPrefix(strings.ToLower(name), "aws:"):
			fix := "Look up the key in the IAM User Guide."
			if near := nearest(name, l.table.GlobalKeys()); near != "" {
				fix = "Did you mean ${" + near + "}?"
			}
			l.add("unknown-variable", s, t.Pos, "There is no condition key "+quote(name)+", so "+v+" has no value and what it stands in matches nothing.", fix)
			return
		case ok && key.Multi:
			l.add("unknown-variable", s, t.Pos, name+" has several values, so it cannot be a policy variable.", "Use a key with one value.")
			return
		}
	}
}
