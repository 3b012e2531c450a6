package lint

import (
	"slices"

	"github.com/kagimori/kagimori/internal/actions"
	"github.com/kagimori/kagimori/internal/authz/condition"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/speech"
)

// partialRules finds actions that are decided on several resources, of which the document allows
// some: ec2:RunInstances is allowed only if it is on the instance, the image, the subnet, the
// security group and the network interface, and a condition on the instance type is false for four
// of them.
//
// Source: IAM User Guide, "Policies and permissions", and Service Authorization Reference: resource
// types that are marked as required.
func (l *linter) partialRules(statements []*statement) {
	if l.opts.Kind != policy.Identity && l.opts.Kind != policy.Session {
		return
	}
	seen := map[*actions.Action]bool{}
	for _, s := range statements {
		for _, e := range s.entries {
			if s.Effect != policy.Allow || len(e.matches) != 1 || seen[e.matches[0]] {
				continue
			}
			a := e.matches[0]
			seen[a] = true
			if got, missing := l.partsAllowed(statements, a); len(got) > 0 && len(missing) > 0 {
				l.add("partial-request", s.Statement, e.Pos,
					speech.Say("Requests for %s are decided on each resource that they are about. The document can allow it on %s, but not on %s.", a.Full(), listed(got), listed(missing)),
					speech.Say("Allow it on %s by another statement, without conditions on keys that are not theirs.", listed(missing)))
			}
		}
	}
}

// partsAllowed are the required types of an action on which some statement can allow it, and the
// others.
func (l *linter) partsAllowed(statements []*statement, a *actions.Action) (got, missing []string) {
	for i := range a.Resources {
		on := &a.Resources[i]
		if !on.Required {
			continue
		}
		if slices.ContainsFunc(statements, func(s *statement) bool { return l.canAllow(s, a, on) }) {
			got = append(got, on.Name)
		} else {
			missing = append(missing, on.Name)
		}
	}
	return got, missing
}

// canAllow reports whether a statement can allow an action on a type of resource: it covers it, and
// no condition is false for want of its key.
func (l *linter) canAllow(s *statement, a *actions.Action, on *actions.On) bool {
	if s.Effect != policy.Allow || !s.covers(a.Full()) || !l.onResource(s, a, on) {
		return false
	}
	for _, c := range s.Conditions {
		k := l.cond(c)
		fits := func(template string) bool { return actions.Fits(template, c.Key) }
		if !k.known || l.table.Global(c.Key) || slices.ContainsFunc(a.Keys, fits) || slices.ContainsFunc(on.Carried(), fits) {
			continue
		}
		if k.ready.Eval(&condition.Env{}) == condition.False {
			return false
		}
	}
	return true
}
