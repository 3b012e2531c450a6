package policy

import (
	"slices"
	"strings"
)

// ConditionKeys calls add with each condition key that a document asks for, as it is written there
// and as often: those of its conditions, and those of policy variables in condition values and
// resources. It does not look at the version: in a document of 2008 variables are plain text.
// Source: IAM User Guide, "IAM policy elements: Variables and tags".
func (d *Document) ConditionKeys(add func(key string)) {
	for i := range d.Statements {
		st := &d.Statements[i]
		for _, r := range slices.Concat(st.Resources, st.NotResources) {
			variables(r.Value, add)
		}
		for _, c := range st.Conditions {
			add(c.Key)
			for _, v := range c.Values {
				variables(v.Value, add)
			}
		}
	}
}

// variables finds the keys of policy variables, such as aws:username in ${aws:username, 'nobody'}.
func variables(s string, add func(key string)) {
	for {
		_, rest, ok := strings.Cut(s, "${")
		if !ok {
			return
		}
		name, after, ok := strings.Cut(rest, "}")
		if !ok {
			return
		}
		name, _, _ = strings.Cut(name, ",")
		if name = strings.TrimSpace(name); strings.Contains(name, ":") {
			add(name)
		}
		s = after
	}
}
