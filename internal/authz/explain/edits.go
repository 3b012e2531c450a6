package explain

import (
	"maps"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/speech"
)

// removals take away every statement that denies; nil if one of them cannot be found.
func (s *search) removals(now *authz.PartDecision) []change {
	var out []change
	for _, m := range now.Matched {
		if !isDeny(&m) {
			continue
		}
		who := owner(&m, s.p.Account, s.owner)
		f := Fix{
			Kind: RemoveDeny, Owner: who, Shows: who, Run: s.run(m.Layer, who), Target: m.Document,
			Opens:   []speech.Text{speech.Say("All else that the statement denies, to whomever other statements allow it.")},
			Summary: speech.Say("Remove or narrow the statement that denies %s: %s.", now.Action, uncapital(named(now, &m))),
		}
		out = append(out, change{f, func(r authz.Request) (authz.Request, bool) {
			return s.edit(r, &m, func(st policy.Statement) (policy.Statement, bool) { return st, false })
		}})
	}
	return out
}

// edits change a statement that would allow but for one condition, or that names a deleted
// principal of the same ARN. Those that can be corrected keep their condition.
func (s *search) edits(now *authz.PartDecision, corrected []policy.Pos) []alternative {
	if s.part.Resource.AWSManaged {
		return nil
	}
	var out []alternative
	for _, m := range now.Missed {
		if m.Effect != policy.Allow || m.GrantID != "" || slices.Contains(corrected, m.Pos) {
			continue
		}
		who := owner(&m.Match, s.p.Account, s.owner)
		f := Fix{Owner: who, Shows: who, Run: s.run(m.Layer, who), Target: m.Document}
		var apply func(authz.Request) (authz.Request, bool)
		switch m.Reason {
		case authz.MissCondition:
			f.Kind = Condition
			f.Summary = speech.Say("%s would allow it, but %s: change the condition or the request.", named(now, &m.Match), wanted(&m))
			f.Opens = []speech.Text{speech.Say("Every request that the condition keeps out of the statement now.")}
			apply = func(r authz.Request) (authz.Request, bool) {
				return s.edit(r, &m.Match, func(st policy.Statement) (policy.Statement, bool) {
					st.Conditions = slices.DeleteFunc(slices.Clone(st.Conditions), func(c policy.Condition) bool {
						return c.Operator == m.Operator && strings.EqualFold(c.Key, m.Key)
					})
					return st, true
				})
			}
		case authz.MissDeadPrincipal:
			f.Kind = Resave
			f.Summary = speech.Say("%s means a deleted principal: save the policy again with the ARN %s.", named(now, &m.Match), s.grantable())
			f.Opens = []speech.Text{speech.Say("All that the policy said of the deleted principal, to the present one.")}
			apply = func(r authz.Request) (authz.Request, bool) { return s.revive(r) }
		default:
			continue
		}
		c := change{f, apply}
		if !slices.ContainsFunc(out, func(a alternative) bool { return a.changes[0].id() == c.id() }) {
			out = append(out, alternative{changes: []change{c}})
		}
	}
	return out
}

// revive makes the resource's policy mean the present principal.
func (s *search) revive(r authz.Request) (authz.Request, bool) {
	p := r.Parts[0]
	if p.Policy == nil || s.p.UniqueID == "" {
		return r, false
	}
	doc := *p.Policy
	ids := maps.Clone(doc.PrincipalIDs())
	for who := range ids {
		if who == s.grantable() || who == s.p.ARN {
			ids[who] = s.p.UniqueID
		}
	}
	doc.SetPrincipalIDs(ids)
	p.Policy = &doc
	r.Parts = []authz.Part{p}
	return r, true
}

// edit replaces, or removes if fn says so, the statement of a match. ok is false if it is not
// there.
func (s *search) edit(r authz.Request, m *authz.Match, fn func(policy.Statement) (_ policy.Statement, keep bool)) (_ authz.Request, ok bool) {
	one := func(doc *authz.Document, kind policy.Kind) (*authz.Document, bool) {
		if doc == nil || doc.Source == nil || doc.Name != m.Document {
			return doc, false
		}
		i := slices.IndexFunc(doc.Source.Statements, func(st policy.Statement) bool { return st.Pos == m.Pos })
		if i < 0 {
			return doc, false
		}
		statements := slices.Clone(doc.Source.Statements)
		if st, keep := fn(statements[i]); keep {
			statements[i] = st
		} else {
			statements = slices.Delete(statements, i, i+1)
		}
		return rebuild(doc, kind, statements), true
	}
	many := func(docs []*authz.Document, kind policy.Kind) []*authz.Document {
		docs = slices.Clone(docs)
		for i := range docs {
			if d, changed := one(docs[i], kind); changed {
				docs[i], ok = d, true
				return docs
			}
		}
		return docs
	}
	levels := func(all [][]*authz.Document, kind policy.Kind) [][]*authz.Document {
		all = slices.Clone(all)
		for i := range all {
			all[i] = many(all[i], kind) // one policy may hang on several levels
		}
		return all
	}
	switch p := r.Parts[0]; m.Layer {
	case authz.LayerIdentity:
		r.Identity = many(r.Identity, policy.Identity)
	case authz.LayerSession:
		r.Session = many(r.Session, policy.Session)
	case authz.LayerBoundary:
		r.Boundary, ok = one(r.Boundary, policy.Identity)
	case authz.LayerEndpoint:
		r.Endpoint, ok = one(r.Endpoint, policy.Endpoint)
	case authz.LayerSCP:
		r.SCPs = levels(r.SCPs, policy.SCP)
	case authz.LayerRCP:
		p.RCPs = levels(p.RCPs, policy.RCP)
		r.Parts = []authz.Part{p}
	case authz.LayerResource, authz.LayerTrust:
		p.Policy, ok = one(p.Policy, s.resourceKind(m.Layer))
		r.Parts = []authz.Part{p}
	}
	return r, ok
}

func (s *search) resourceKind(l authz.Layer) policy.Kind {
	switch {
	case l == authz.LayerTrust || arn.IsServiceLinkedRole(s.part.Resource.ARN):
		return policy.Trust
	case s.isKMS():
		return policy.Key
	}
	return policy.Resource
}

// uncapital starts a name inside a sentence.
func uncapital(t speech.Text) speech.Text { return t.Inside() }
