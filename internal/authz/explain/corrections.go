package explain

import (
	"bytes"
	"encoding/json"
	"slices"

	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/authz/amend"
	"github.com/kagimori/kagimori/internal/jsonedit"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/speech"
)

// maxAmended bounds the sets of each kind that change a statement.
const maxAmended = 2

// corrections put right a mistake in a statement that would allow; edited are the statements.
func (s *search) corrections(now *authz.PartDecision) (out []alternative, edited []policy.Pos) {
	if s.part.Resource.AWSManaged {
		return nil, nil
	}
	for _, m := range now.Missed {
		if m.Effect != policy.Allow || m.GrantID != "" {
			continue
		}
		st, doc, ok := s.statement(now, &m.Match)
		if !ok {
			continue
		}
		for _, a := range amend.Corrections(st, &m, s.whole(), s.p) {
			if c, ok := s.amended(&m.Match, st, doc, &a); ok && a.Kind == amend.Correct && len(out) < maxAmended {
				out, edited = append(out, alternative{Corrected, []change{c}}), append(edited, m.Pos)
			}
		}
	}
	return out, edited
}

// whole is the part with what the request says of all its parts.
func (s *search) whole() *authz.Part {
	p := *s.part
	p.Context = slices.Concat(s.req.Context, p.Context)
	return &p
}

// narrowings except the request from every statement that denies it: sets of which each has one way
// for each statement, the narrowest first.
func (s *search) narrowings(now *authz.PartDecision) [][]change {
	var ways [][]change
	for _, m := range now.Matched {
		if !isDeny(&m) {
			continue
		}
		st, doc, ok := s.statement(now, &m)
		if !ok {
			return nil
		}
		var own []change
		for _, a := range amend.Narrowings(st, s.whole(), s.p) {
			if c, ok := s.amended(&m, st, doc, &a); ok && len(own) < maxAmended && a.Edits[0].Path != "" && s.lifts(&c, &m) {
				own = append(own, c)
			}
		}
		if len(own) == 0 {
			return nil
		}
		ways = append(ways, own)
	}
	var sets [][]change
	for i := range maxAmended {
		var set []change
		more := false
		for _, own := range ways {
			more = more || i < len(own)
			set = append(set, own[min(i, len(own)-1)])
		}
		if more {
			sets = append(sets, set)
		}
	}
	return sets
}

// lifts reports whether a statement does not deny the request after a change.
func (s *search) lifts(c *change, m *authz.Match) bool {
	r, ok := c.apply(s.req)
	if !ok {
		return false
	}
	after, ok := explained(&r)
	return ok && !slices.ContainsFunc(after.Matched, func(o authz.Match) bool { return isDeny(&o) && o.Document == m.Document && o.Pos == m.Pos })
}

// statement is the one of a match, in a document of the request.
func (s *search) statement(now *authz.PartDecision, m *authz.Match) (_ *amend.Statement, doc *authz.Document, ok bool) {
	for _, doc := range s.documents(m.Layer) {
		if st, ok := amend.Find(doc, m, uncapital(named(now, m))); ok {
			return st, doc, true
		}
	}
	return nil, nil, false
}

// documents are those of a layer.
func (s *search) documents(l authz.Layer) []*authz.Document {
	switch l {
	case authz.LayerIdentity:
		return s.req.Identity
	case authz.LayerSession:
		return s.req.Session
	case authz.LayerBoundary:
		return []*authz.Document{s.req.Boundary}
	case authz.LayerEndpoint:
		return []*authz.Document{s.req.Endpoint}
	case authz.LayerSCP:
		return slices.Concat(s.req.SCPs...)
	case authz.LayerRCP:
		return slices.Concat(s.part.RCPs...)
	case authz.LayerResource, authz.LayerTrust:
		return []*authz.Document{s.part.Policy}
	}
	return nil
}

// amended is an amendment as a change of the request's documents. ok is false if what comes of it is
// no statement.
func (s *search) amended(m *authz.Match, st *amend.Statement, doc *authz.Document, a *amend.Amendment) (_ change, ok bool) {
	text, err := jsonedit.Value(doc.Source.Source, st.Path)
	if err != nil {
		return change{}, false
	}
	who := owner(m, s.p.Account, s.owner)
	f := Fix{
		Kind: Correction, Owner: who, Shows: who, Run: s.run(m.Layer, who), Target: m.Document, Digest: digest(doc), Summary: a.Summary,
		Opens: slices.Concat(a.Opens, []speech.Text{speech.Say("All else that the statement says, which did not apply until now.")}),
	}
	if a.Kind == amend.Narrow {
		f.Kind, f.Opens = NarrowDeny, slices.Concat(a.Opens, []speech.Text{speech.Say("All else that the exception takes out of the statement, to whomever other statements allow it.")})
	}
	for _, e := range a.Edits {
		value, err := json.Marshal(e.Value)
		if err != nil {
			return change{}, false
		}
		f.Edits = append(f.Edits, Edit{Op: e.Op, Path: st.Path + e.Path, Value: value})
		if e.Path == "" {
			continue
		}
		if text, err = jsonedit.Apply(text, e.Op, e.Path, value); err != nil {
			return change{}, false
		}
	}
	kind := s.kindOf(m.Layer)
	parsed, err := policy.Parse(slices.Concat([]byte(`{"Version":"2012-10-17","Statement":[`), text, []byte(`]}`)), kind)
	if err != nil || len(parsed.Statements) != 1 {
		return change{}, false
	}
	f.Document = string(bytes.TrimSpace(policy.Pretty(text)))
	return change{f, func(r authz.Request) (authz.Request, bool) {
		return s.edit(r, m, func(old policy.Statement) (policy.Statement, bool) {
			next := parsed.Statements[0]
			next.Pos, next.Index = old.Pos, old.Index
			return next, true
		})
	}}, true
}

// kindOf is the kind of the documents of a layer.
func (s *search) kindOf(l authz.Layer) policy.Kind {
	switch l {
	case authz.LayerSession:
		return policy.Session
	case authz.LayerEndpoint:
		return policy.Endpoint
	case authz.LayerSCP:
		return policy.SCP
	case authz.LayerRCP:
		return policy.RCP
	case authz.LayerResource, authz.LayerTrust:
		return s.resourceKind(l)
	}
	return policy.Identity
}
