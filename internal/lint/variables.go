package lint

import (
	"strings"

	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/speech"
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
			l.add("variable-2008", s, t.Pos, speech.Say(`Without "Version": %s %s is plain text, which matches nothing.`, quote(policy.Version2012), v),
				speech.Say(`Add "Version": %s to the document.`, quote(policy.Version2012)))
			return
		case !l.doc.Variables():
		case !ok && strings.HasPrefix(strings.ToLower(name), "aws:"):
			fix := speech.Say("Look up the key in the IAM User Guide.")
			if near := nearest(name, l.table.GlobalKeys()); near != "" {
				fix = speech.Say("Did you mean ${%s}?", near)
			}
			l.add("unknown-variable", s, t.Pos, speech.Say("There is no condition key %s, so %s has no value and what it stands in matches nothing.", quote(name), v), fix)
			return
		case ok && key.Multi:
			l.add("unknown-variable", s, t.Pos, speech.Say("%s has several values, so it cannot be a policy variable.", name), speech.Say("Use a key with one value."))
			return
		}
	}
}
