package doctor

import (
	"fmt"
	"strings"

	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/authz/amend"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/scenario/format"
	"github.com/kagimori/kagimori/internal/speech"
)

// A site is a statement with its place in the scenario.
type site struct {
	*amend.Statement
	path string // of the document
	kind string // of a change there
}

// siteOf finds the statement of a match. ok is false for documents that are not the scenario's.
func (o *outcome) siteOf(a *answer, m authz.Match) (_ site, ok bool) {
	w := o.world
	part := &a.request.Parts[a.part]
	try := func(path, kind string, name speech.Text, doc *authz.Document) (site, bool) {
		st, ok := amend.Find(doc, &m, speech.Say("statement %q of %s", m.Sid, name))
		return site{st, path, kind}, ok
	}
	org := func(a *account, kind string, levels [][]*authz.Document, policies []format.OrgPolicy) (site, bool) {
		for _, level := range levels {
			for j, doc := range level {
				if j < len(policies) {
					path := fmt.Sprintf("/accounts/%d/%s/%d/policy", a.at, strings.TrimPrefix(kind, "edit-")+"s", j)
					if s, ok := try(path, kind, speech.Say("the organization's policy %s", policies[j].Name), doc); ok {
						return s, true
					}
				}
			}
		}
		return site{}, false
	}
	switch m.Layer {
	case authz.LayerResource:
		if a.key != nil && a.key.at >= 0 {
			path, _ := w.policyOf(a.key)
			return try(path, "edit-key-policy", speech.Say("the key policy of %s", a.key.ARN()), part.Policy)
		}
	case authz.LayerIdentity, authz.LayerBoundary:
		i, ok := w.principals[a.who.name]
		if !ok {
			return site{}, false
		}
		p := &w.sc.Principals[i]
		if m.Layer == authz.LayerBoundary {
			return try(fmt.Sprintf("/principals/%d/boundary", i), "edit-boundary", speech.Say("the permissions boundary of %s", p.ARN), a.request.Boundary)
		}
		for j, doc := range a.request.Identity {
			if j < len(p.Policies) {
				if s, ok := try(fmt.Sprintf("/principals/%d/policies/%d/policy", i, j), "edit-identity-policy", speech.Say("policy %s of %s", p.Policies[j].Name, p.ARN), doc); ok {
					return s, true
				}
			}
		}
	case authz.LayerSCP:
		if acc := w.accounts[a.who.principal.Account]; acc != nil {
			return org(acc, "edit-scp", acc.scps, acc.SCPs)
		}
	case authz.LayerRCP:
		if acc := w.accounts[part.Resource.Account]; acc != nil {
			return org(acc, "edit-rcp", acc.rcps, acc.RCPs)
		}
	}
	return site{}, false
}

// corrections are changes of what is there already: a mistake put right, a deny narrowed.
func (o *outcome) corrections(f *failing) []change {
	a := f.answer
	part, p := &a.request.Parts[a.part], &a.who.principal
	var out []change
	if a.refused().Outcome == authz.ExplicitDeny {
		for _, m := range a.refused().Matched {
			if s, ok := o.siteOf(a, m); ok && m.Effect == policy.Deny {
				out = append(out, s.changes(amend.Narrowings(s.Statement, part, p)...)...)
			}
		}
		return out
	}
	for _, m := range a.refused().Missed {
		if s, ok := o.siteOf(a, m.Match); ok && m.Effect == policy.Allow {
			out = append(out, s.changes(amend.Corrections(s.Statement, &m, part, p)...)...)
		}
	}
	return out
}

// loosened are the last resort: a condition that is false is taken away.
func (o *outcome) loosened(f *failing) []change {
	part := f.answer.refused()
	if part.Outcome == authz.ExplicitDeny {
		return nil
	}
	var out []change
	for _, m := range part.Missed {
		s, ok := o.siteOf(f.answer, m.Match)
		if !ok || m.Effect != policy.Allow {
			continue
		}
		if a, ok := amend.Loosened(s.Statement, &m); ok {
			out = append(out, s.changes(a)...)
		}
	}
	return out
}

// changes are amendments of the statement as changes of the scenario.
func (s *site) changes(all ...amend.Amendment) []change {
	var out []change
	for _, a := range all {
		c := change{kind: s.kind, summary: a.Summary, opens: a.Opens, family: [...]string{amend.Correct: "correct", amend.Narrow: "narrow", amend.Loosen: "loosen"}[a.Kind]}
		for _, e := range a.Edits {
			c.edits = append(c.edits, edit(e.Op, s.path+s.Path+e.Path, e.Value))
		}
		out = append(out, c)
	}
	return out
}
