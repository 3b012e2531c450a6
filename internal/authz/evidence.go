package authz

import (
	"maps"
	"slices"

	"github.com/kagimori/kagimori/internal/authz/condition"
	"github.com/kagimori/kagimori/internal/policy"
)

// evidence gathers what explained mode tells of one part. The methods of a nil *evidence do
// nothing.
type evidence struct {
	brief   bool // only of what applies
	matched []Match
	missed  []Miss
	lacking []Level
	depends []dependence
}

// A dependence is a fact because of which a layer cannot say whether it denies or allows.
type dependence struct {
	deny bool
	fact string
}

// complete reports whether the statements that do not apply are evidence too.
func (ev *evidence) complete() bool { return ev != nil && !ev.brief }

func (s *statement) match(layer Layer, d *Document) Match {
	m := Match{Layer: layer, Document: d.Name, Owner: d.Owner, Sid: s.sid, Effect: s.effect, Pos: s.pos}
	if layer == LayerSCP || layer == LayerRCP {
		m.Target = d.Attached
	}
	return m
}

// level records a level of an organization without an allow.
func (ev *evidence) level(layer Layer, docs []*Document) {
	if ev == nil || len(docs) == 0 || docs[0] == nil {
		return
	}
	ev.lacking = append(ev.lacking, Level{layer, docs[0].Attached})
}

// statement records how a statement was read. Statements that concern neither the caller nor the
// action are left out.
func (ev *evidence) statement(e *evaluation, layer Layer, d *Document, s *statement, r reading) {
	if ev.brief && r.who.any() == condition.False {
		return
	}
	m := s.match(layer, d)
	m.Account = r.who.account == condition.True && r.who.free != condition.True && r.who.limited != condition.True
	switch r.who.any() {
	case condition.True:
		ev.matched = append(ev.matched, m)
	case condition.Unknown:
		ev.dependStatement(e, layer, d, s)
	default:
		if ev.concerns(e, layer, s, r.reason) {
			ev.missed = append(ev.missed, e.miss(m, s, r))
		}
	}
}

func (ev *evidence) concerns(e *evaluation, layer Layer, s *statement, reason MissReason) bool {
	switch reason {
	case MissPrincipal, MissDeadPrincipal:
		return s.matchAction(&e.action)
	case MissAction:
		return !ownSide(layer) || s.ofService(&e.action)
	}
	return true
}

func (e *evaluation) miss(m Match, s *statement, r reading) Miss {
	out := Miss{Match: m, Reason: r.reason}
	if r.reason != MissCondition {
		return out
	}
	c := &s.conditions[r.condition]
	out.Operator, out.Key, out.Want = c.Operator, c.Key.Name, slices.Clone(c.Values)
	out.Got, out.Present = e.env.Lookup(&c.Key)
	return out
}

// dependStatement names the facts that make a statement neither apply nor not apply.
func (ev *evidence) dependStatement(e *evaluation, layer Layer, d *Document, s *statement) {
	var facts []string
	if who, _ := e.principal(layer, d, s); who.any() == condition.Unknown {
		facts = append(facts, "principal")
	}
	if e.part.Resource.Unknown && e.resource(s) == condition.Unknown {
		facts = append(facts, "resource")
	} else {
		for i := range s.resources {
			facts = keyFacts(facts, s.resources[i].Unknowns(&e.env, nil))
		}
	}
	for i := range s.conditions {
		if c := &s.conditions[i]; c.Eval(&e.env) == condition.Unknown {
			facts = keyFacts(facts, c.Unknowns(&e.env, nil))
		}
	}
	for _, f := range facts {
		ev.depends = append(ev.depends, dependence{s.effect == policy.Deny, f})
	}
}

func keyFacts(facts, keys []string) []string {
	for _, k := range keys {
		facts = append(facts, "key "+k)
	}
	return facts
}

// dependDocument records a document that cannot be read.
func (ev *evidence) dependDocument(layer Layer, d *Document) {
	if ev == nil {
		return
	}
	name := d.Name
	if name == "" {
		name = layer.String()
	}
	ev.depends = append(ev.depends, dependence{true, "document " + name}, dependence{false, "document " + name})
}

// grant records a grant: as usable, or with the first reason why not. A grant that names somebody
// else for another operation is left out.
func (ev *evidence) grant(e *evaluation, g *Grant, who naming, reason MissReason) {
	if ev == nil || ev.brief && who.any() == condition.False {
		return
	}
	m := Match{Layer: LayerGrant, Document: e.part.Resource.ARN, Owner: e.part.Resource.Account, Effect: policy.Allow, GrantID: g.ID}
	m.Account = who.account == condition.True && who.free != condition.True && who.limited != condition.True
	switch who.any() {
	case condition.True:
		ev.matched = append(ev.matched, m)
	case condition.Unknown:
		for _, f := range e.grantFacts(g) {
			ev.depends = append(ev.depends, dependence{false, f})
		}
	default:
		if reason == MissGrantee && !in(e.action.operation, g.Operations) && g != e.part.Target {
			return
		}
		miss := Miss{Match: m, Reason: reason}
		if reason == MissSourceARN {
			miss.Key, miss.Want = sourceARN.Name, []string{g.SourceARN}
			miss.Got, miss.Present = e.env.Lookup(&sourceARN)
		}
		ev.missed = append(ev.missed, miss)
	}
}

// grantFacts names the facts because of which a grant is neither usable nor not.
func (e *evaluation) grantFacts(g *Grant) []string {
	var facts []string
	for _, who := range [...]string{g.Grantee, g.Retiring} {
		if n, _ := e.grantPrincipal(who, ""); n.any() == condition.Unknown {
			return append(facts, "principal")
		}
	}
	if v, _ := e.env.Lookup(&contextKeys); v.Unknown && e.contextHolds(g) == condition.Unknown {
		facts = append(facts, "key "+contextKeys.Name)
	}
	for _, want := range [...]map[string]string{g.ContextEquals, g.ContextSubset} {
		for _, k := range slices.Sorted(maps.Keys(want)) {
			if e.pairUnknown(k) {
				facts = append(facts, "key "+encryptionContext+k)
			}
		}
	}
	if e.sourceHolds(g) == condition.Unknown {
		facts = append(facts, "key "+sourceARN.Name)
	}
	return facts
}

// finish puts the evidence into the decision. Of the facts only those count that can still change
// the outcome.
func (ev *evidence) finish(v *verdict, caller *Principal, p *PartDecision) {
	p.Matched, p.Missed, p.Lacking = ev.matched, ev.missed, ev.lacking
	if v.outcome != Undetermined {
		return
	}
	for _, d := range ev.depends {
		relevant := d.deny && v.deny == condition.Unknown || !d.deny && v.allow == condition.Unknown
		if relevant && !slices.Contains(p.Depends, d.fact) {
			p.Depends = append(p.Depends, d.fact)
		}
	}
	if len(p.Depends) > 0 || v.allow != condition.Unknown {
		return
	}
	if caller.Type == UnknownPrincipal { // whether caller and resource are in one account
		p.Depends = append(p.Depends, "principal")
	} else {
		p.Depends = append(p.Depends, "resource")
	}
}
