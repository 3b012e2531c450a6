package guard

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/authz/explain"
	"github.com/kagimori/kagimori/internal/policy"
)

// A Recorded is a decision as the trail keeps it, with the fixes that were found at the time. Its
// form is the trail's own: names instead of numbers, nothing that moves when authz does.
type Recorded struct {
	Principal string `json:"principal"`
	Account   string `json:"account,omitempty"` // of the principal
	Outcome   string `json:"outcome"`
	// Context are the condition keys of a refused request, without those of single parts.
	Context map[string]string `json:"context,omitempty"`
	Parts   []RecordedPart    `json:"parts"`
	Fixes   []explain.Fix     `json:"fixes,omitempty"`
	Notes   []explain.Note    `json:"notes,omitempty"`
	// Omitted is how many statements and grants that did not apply were left out.
	Omitted int `json:"omitted,omitempty"`
	// Only is the account that is told this version of the decision, Not the one that is told another.
	Only string `json:"only,omitempty"`
	Not  string `json:"not,omitempty"`
	// Brief marks the record of a refusal that came in a flood of the account's: context, fixes and
	// what did not apply are left out.
	Brief bool `json:"brief,omitempty"`
}

// For reports whether this is the version of the decision that an account may be told.
func (r *Recorded) For(account string) bool {
	return (r.Only == "" || r.Only == account) && (r.Not == "" || r.Not != account)
}

// A RecordedPart is an [authz.PartDecision].
type RecordedPart struct {
	Action       string          `json:"action"`
	Resource     string          `json:"resource"`
	Outcome      string          `json:"outcome"`
	By           string          `json:"by,omitempty"`
	Also         string          `json:"also,omitempty"`
	Matched      []RecordedMatch `json:"matched,omitempty"`
	Missed       []RecordedMiss  `json:"missed,omitempty"`
	Silent       []string        `json:"silent,omitempty"`
	Depends      []string        `json:"depends,omitempty"`
	CrossAccount bool            `json:"crossAccount,omitempty"`
	Delegated    bool            `json:"delegated,omitempty"`
	HomeOnly     bool            `json:"homeOnly,omitempty"`
	Lacking      []RecordedLevel `json:"lacking,omitempty"`
	// Context are the condition keys of this part of a refused request.
	Context map[string]string `json:"context,omitempty"`
}

// A RecordedLevel is an [authz.Level].
type RecordedLevel struct {
	Layer  string `json:"layer"`
	Target string `json:"target,omitempty"`
}

// A RecordedMatch is an [authz.Match], of its position only the place where it begins.
type RecordedMatch struct {
	Layer    string `json:"layer"`
	Document string `json:"document,omitempty"`
	Owner    string `json:"owner,omitempty"`
	Sid      string `json:"sid,omitempty"`
	Deny     bool   `json:"deny,omitempty"`
	GrantID  string `json:"grantId,omitempty"`
	Account  bool   `json:"delegates,omitempty"`
	Target   string `json:"target,omitempty"`
	Line     int    `json:"line,omitempty"`
	Column   int    `json:"column,omitempty"`
}

// A RecordedMiss is an [authz.Miss].
type RecordedMiss struct {
	RecordedMatch
	Reason   string       `json:"reason"`
	Operator string       `json:"operator,omitempty"`
	Key      string       `json:"key,omitempty"`
	Want     []string     `json:"want,omitempty"`
	Got      *authz.Value `json:"got,omitempty"` // nil: the key was not in the request
}

// Names in the trail. Their order follows the constants of authz; a name is never changed.
var (
	outcomes = []string{"implicitDeny", "explicitDeny", "allowed", "undetermined"}
	layers   = []string{"", "identity", "resource", "trust", "boundary", "session", "scp", "rcp", "endpoint", "grant", "root"}
	reasons  = []string{
		"", "principal", "deletedPrincipal", "action", "resource", "condition", "grantee", "operation", "constraint", "notSubset", "sourceArn",
	}
)

func name[T ~uint8](names []string, v T) string {
	if int(v) < len(names) {
		return names[v]
	}
	return "?"
}

// value undoes name. A name that is not known (of a later version) is the zero value.
func value[T ~uint8](names []string, s string) T {
	return T(max(0, slices.Index(names, s)))
}

// maxMissed bounds what a record keeps of the statements and grants of a part that did not apply.
const maxMissed = 40

// keep puts a decision into the call's evidence.
func (g *Guard) keep(c *Call, v *version, brief bool) error {
	req, d := v.req, v.d
	rec := Recorded{
		Principal: req.Principal.ARN, Account: req.Principal.Account, Outcome: name(outcomes, d.Outcome),
		Parts: make([]RecordedPart, len(d.Parts)), Only: v.only, Not: v.not,
	}
	refused := d.Outcome != authz.Allowed
	rec.Brief = brief
	most := maxMissed
	if !refused || rec.Brief {
		most = 0
	}
	for i := range d.Parts {
		rec.Omitted += rec.Parts[i].fill(&d.Parts[i], most)
	}
	if refused && !rec.Brief {
		rec.Context = shown(req.Context)
		for i := range rec.Parts[:min(len(rec.Parts), len(req.Parts))] {
			rec.Parts[i].Context = shown(req.Parts[i].Context)
		}
		rec.Fixes, rec.Notes = explain.Advise(req, *d)
	}
	data, err := json.Marshal(rec)
	if err != nil {
		return fmt.Errorf("guard: a decision cannot be recorded: %w", err)
	}
	if len(v.names) > 0 {
		data = []byte(v.rename(string(data))) // ARNs need no escapes
	}
	c.evidence.decisions = append(c.evidence.decisions, data)
	return nil
}

// fill copies a part and returns how much it left out: of what did not apply it keeps the given
// number, and nothing where the part is allowed.
func (r *RecordedPart) fill(p *authz.PartDecision, most int) (omitted int) {
	*r = RecordedPart{
		Action: p.Action, Resource: p.Resource, Outcome: name(outcomes, p.Outcome), By: name(layers, p.By), Also: name(layers, p.Also),
		Depends: p.Depends, CrossAccount: p.CrossAccount, Delegated: p.Delegated, HomeOnly: p.HomeOnly,
	}
	for _, l := range p.Silent {
		r.Silent = append(r.Silent, name(layers, l))
	}
	for _, l := range p.Lacking {
		r.Lacking = append(r.Lacking, RecordedLevel{name(layers, l.Layer), l.Target})
	}
	for i := range p.Matched {
		r.Matched = append(r.Matched, recordMatch(&p.Matched[i]))
	}
	if p.Outcome == authz.Allowed {
		most = 0
	}
	for i := range p.Missed[:min(most, len(p.Missed))] {
		m := &p.Missed[i]
		miss := RecordedMiss{RecordedMatch: recordMatch(&m.Match), Reason: name(reasons, m.Reason), Operator: m.Operator, Key: m.Key, Want: m.Want}
		if m.Present {
			miss.Got = &m.Got
		}
		r.Missed = append(r.Missed, miss)
	}
	return len(p.Missed) - len(r.Missed)
}

func recordMatch(m *authz.Match) RecordedMatch {
	return RecordedMatch{
		Layer: name(layers, m.Layer), Document: m.Document, Owner: m.Owner, Sid: m.Sid, Deny: m.Effect == policy.Deny,
		GrantID: m.GrantID, Account: m.Account, Target: m.Target, Line: m.Pos.Line, Column: m.Pos.Column,
	}
}

// Decision is the decision as it was made, as far as it was kept.
func (r *Recorded) Decision() authz.Decision {
	d := authz.Decision{Outcome: value[authz.Outcome](outcomes, r.Outcome), Part: -1, Parts: make([]authz.PartDecision, len(r.Parts))}
	for i := range r.Parts {
		d.Parts[i] = r.Parts[i].decision()
		if d.Part < 0 && d.Parts[i].Outcome == d.Outcome && d.Outcome != authz.Allowed {
			d.Part = i
		}
	}
	return d
}

func (r *RecordedPart) decision() authz.PartDecision {
	p := authz.PartDecision{
		Action: r.Action, Resource: r.Resource, Outcome: value[authz.Outcome](outcomes, r.Outcome),
		By: value[authz.Layer](layers, r.By), Also: value[authz.Layer](layers, r.Also),
		Depends: r.Depends, CrossAccount: r.CrossAccount, Delegated: r.Delegated, HomeOnly: r.HomeOnly,
	}
	for _, l := range r.Silent {
		p.Silent = append(p.Silent, value[authz.Layer](layers, l))
	}
	for _, l := range r.Lacking {
		p.Lacking = append(p.Lacking, authz.Level{Layer: value[authz.Layer](layers, l.Layer), Target: l.Target})
	}
	for i := range r.Matched {
		p.Matched = append(p.Matched, r.Matched[i].match())
	}
	for _, m := range r.Missed {
		miss := authz.Miss{Match: m.match(), Reason: value[authz.MissReason](reasons, m.Reason), Operator: m.Operator, Key: m.Key, Want: m.Want}
		if m.Got != nil {
			miss.Got, miss.Present = *m.Got, true
		}
		p.Missed = append(p.Missed, miss)
	}
	return p
}

// shown renders the context of a request for its record.
func shown(ctx authz.Context) map[string]string {
	m := make(map[string]string, len(ctx))
	for _, e := range ctx {
		switch {
		case e.Unknown:
			m[e.Key] = "?"
		case e.Multi:
			m[e.Key] = strings.Join(e.List, ", ")
		default:
			m[e.Key] = e.One
		}
	}
	return m
}

func (r *RecordedMatch) match() authz.Match {
	m := authz.Match{
		Layer: value[authz.Layer](layers, r.Layer), Document: r.Document, Owner: r.Owner, Sid: r.Sid, GrantID: r.GrantID, Account: r.Account, Target: r.Target,
		Effect: policy.Allow, Pos: policy.Pos{Line: r.Line, Column: r.Column},
	}
	if r.Deny {
		m.Effect = policy.Deny
	}
	return m
}
