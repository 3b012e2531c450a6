package casefile

import (
	"slices"

	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/authz/explain"
	"github.com/kagimori/kagimori/internal/policy"
)

// A Result is the decision of a case.
type Result struct {
	ID string `json:"id,omitempty"`
	// Decision is Allow, ExplicitDeny, ImplicitDeny or Undetermined.
	Decision string `json:"decision"`
	// By is the kind of policy that decided: that allows ("identity+resource" where both sides are
	// needed), denies, or lacks the allow.
	By string `json:"by,omitempty"`
	// Missing are all kinds of policy that would each have to allow.
	Missing []string `json:"missing,omitempty"`
	// Depends are the facts that would settle an Undetermined decision.
	Depends []string `json:"depends,omitempty"`
	// Expected is what the case expects, if the decision is another.
	Expected *Expect `json:"expected,omitempty"`

	*Explanation
}

// An Explanation is why a decision is what it is.
type Explanation struct {
	Text []string `json:"explanation"`
	// Layers are the kinds of policy that were looked at, each with its statements and grants.
	Layers []Layer `json:"layers,omitempty"`
	// Fixes would each allow a denied request; see [explain.Fix].
	Fixes []explain.Fix `json:"fixes,omitempty"`
}

// A Layer is what one kind of policy says.
type Layer struct {
	Layer      string      `json:"layer"`
	Statements []Statement `json:"statements"`
}

// A Statement is a statement, or a grant, as it bears on the request.
type Statement struct {
	Document string `json:"document,omitempty"`
	Sid      string `json:"sid,omitempty"`
	Line     int    `json:"line,omitempty"`   // of the document
	Column   int    `json:"column,omitempty"` // in characters
	GrantID  string `json:"grantId,omitempty"`
	Effect   string `json:"effect"`
	Applies  bool   `json:"applies"`
	// Delegates: the statement names the account, and so leaves the decision to identity policies.
	Delegates bool `json:"delegates,omitempty"`
	// Reason is the first element that does not match.
	Reason string `json:"reason,omitempty"`
	// Condition is the first that is false.
	Condition *Condition `json:"condition,omitempty"`
}

// A Condition that is false.
type Condition struct {
	Operator string   `json:"operator,omitempty"`
	Key      string   `json:"key"`
	Want     []string `json:"want"`
	Got      any      `json:"got"` // null: the key is not in the request
}

// Decide decides a case.
func (b *Builder) Decide(c *Case, explained bool) (*Result, error) {
	req, err := b.Request(c)
	if err != nil {
		return nil, err
	}
	d := authz.Explain(req)
	part := &d.Parts[0]
	r := &Result{ID: c.ID, Decision: decisions[d.Outcome], By: by(part), Depends: part.Depends}
	for _, l := range part.Silent {
		r.Missing = append(r.Missing, l.String())
	}
	if !c.Expect.met(r) {
		r.Expected = c.Expect
	}
	if explained {
		r.Explanation = &Explanation{Text: explain.Text(*part, caller(req)), Layers: layers(part)}
		if d.Outcome == authz.ExplicitDeny || d.Outcome == authz.ImplicitDeny {
			r.Fixes = explain.Fixes(req, d)
		}
	}
	return r, nil
}

func caller(req *authz.Request) string {
	switch {
	case req.Principal.ARN != "":
		return req.Principal.ARN
	case req.Principal.Type == authz.Anonymous:
		return "Somebody anonymous"
	}
	return "Somebody"
}

func by(p *authz.PartDecision) string {
	switch {
	case p.By == authz.LayerNone:
		return ""
	case p.Outcome == authz.Allowed && p.By == authz.LayerIdentity && p.Also != authz.LayerNone:
		return p.By.String() + "+" + p.Also.String()
	}
	return p.By.String()
}

// met reports whether a result is the expected one.
func (e *Expect) met(r *Result) bool {
	return e == nil || r.Decision == e.Decision && (e.By == "" && len(e.ByAny) == 0 || r.By == e.By || slices.Contains(e.ByAny, r.By))
}

var reasons = map[authz.MissReason]string{
	authz.MissPrincipal: "principal", authz.MissDeadPrincipal: "deleted principal", authz.MissAction: "action", authz.MissResource: "resource",
	authz.MissCondition: "condition", authz.MissGrantee: "grantee", authz.MissOperation: "operation", authz.MissConstraint: "constraint",
	authz.MissNotSubset: "not a subset", authz.MissSourceARN: "source ARN",
}

// layers groups the evidence by layer, in the order of the layers.
func layers(p *authz.PartDecision) []Layer {
	var out []Layer
	add := func(l authz.Layer, s Statement) {
		name := l.String()
		i := slices.IndexFunc(out, func(o Layer) bool { return o.Layer == name })
		if i < 0 {
			i, out = len(out), append(out, Layer{Layer: name})
		}
		out[i].Statements = append(out[i].Statements, s)
	}
	for i := range p.Matched {
		s := statement(&p.Matched[i])
		s.Applies = true
		add(p.Matched[i].Layer, s)
	}
	for i := range p.Missed {
		m := &p.Missed[i]
		s := statement(&m.Match)
		s.Reason = reasons[m.Reason]
		if m.Key != "" {
			s.Condition = &Condition{Operator: m.Operator, Key: m.Key, Want: m.Want, Got: got(m)}
		}
		add(m.Layer, s)
	}
	return out
}

func got(m *authz.Miss) any {
	switch {
	case !m.Present:
		return nil
	case m.Got.Multi:
		return append([]string{}, m.Got.List...)
	}
	return m.Got.One
}

func statement(m *authz.Match) Statement {
	s := Statement{
		Document: m.Document, Sid: m.Sid, Line: m.Pos.Line, Column: m.Pos.Column, GrantID: m.GrantID, Effect: "Allow", Delegates: m.Account,
	}
	if m.Effect == policy.Deny {
		s.Effect = "Deny"
	}
	return s
}
