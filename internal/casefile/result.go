package casefile

import (
	"slices"

	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/authz/explain"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/speech"
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

	tree func(speech.Language) explain.Node
}

// An Explanation is why a decision is what it is.
type Explanation struct {
	Text []string `json:"explanation"`
	// Layers are the kinds of policy that had a say, limits first.
	Layers []Layer `json:"layers,omitempty"`
	// Fixes would each allow a denied request, and Notes say what no fix can; see [explain.Advise].
	Fixes []explain.Fix  `json:"fixes,omitempty"`
	Notes []explain.Note `json:"notes,omitempty"`
}

// A Layer is what one kind of policy says.
type Layer struct {
	Layer string        `json:"layer"`
	State explain.State `json:"state"`
	// Change is what would have to be different for it to let the request through.
	Change     string      `json:"change,omitempty"`
	Statements []Statement `json:"statements,omitempty"`
}

// A Statement is a statement, or a grant, as it bears on the request.
type Statement struct {
	Document string `json:"document,omitempty"`
	Sid      string `json:"sid,omitempty"`
	Line     int    `json:"line,omitzero"`   // of the document
	Column   int    `json:"column,omitzero"` // in characters
	GrantID  string `json:"grantId,omitempty"`
	Effect   string `json:"effect"`
	Applies  bool   `json:"applies"`
	// Delegates: the statement names the account, and so leaves the decision to identity policies.
	Delegates bool `json:"delegates,omitzero"`
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
		who := caller(req)
		r.Explanation = &Explanation{Text: explain.Text(*part, who), Layers: layers(part, who)}
		r.Fixes, r.Notes = explain.Advise(req, d)
		r.tree = func(in speech.Language) explain.Node { return explain.Tree(*part, who, in) }
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

func layers(p *authz.PartDecision, who string) []Layer {
	var out []Layer
	for _, v := range explain.Layers(*p, who) {
		l := Layer{Layer: v.Layer.String(), State: v.State, Change: v.Change.String()}
		for i := range v.Statements {
			l.Statements = append(l.Statements, statement(&v.Statements[i]))
		}
		out = append(out, l)
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

func statement(v *explain.StatementView) Statement {
	s := Statement{
		Document: v.Document, Sid: v.Sid, Line: v.Pos.Line, Column: v.Pos.Column, GrantID: v.GrantID, Effect: "Allow",
		Delegates: v.Account, Applies: v.Applies,
	}
	if v.Effect == policy.Deny {
		s.Effect = "Deny"
	}
	if m := v.Miss; m != nil {
		s.Reason = reasons[m.Reason]
		if m.Key != "" {
			s.Condition = &Condition{Operator: m.Operator, Key: m.Key, Want: m.Want, Got: got(m)}
		}
	}
	return s
}
