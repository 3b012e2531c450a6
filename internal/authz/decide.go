package authz

import (
	"github.com/kagimori/kagimori/internal/authz/condition"
	"github.com/kagimori/kagimori/internal/policy"
)

// Decide decides in fast mode: it stops at the part that settles the outcome, which is then the
// last in the decision, and gathers no evidence beyond By and Also. It does not allocate if all
// is allowed.
func Decide(req *Request) Decision {
	d := Decision{Part: -1}
	for i := range req.Parts {
		v := decidePart(req, i, nil, d.Parts == nil)
		if v.outcome != Allowed && d.Parts == nil {
			d.Parts = make([]PartDecision, 0, len(req.Parts))
			for j := range i {
				before := decidePart(req, j, nil, false)
				d.Parts = append(d.Parts, before.decision(req, j))
			}
		}
		if d.Parts != nil {
			d.Parts = append(d.Parts, v.decision(req, i))
		}
		if d.take(i, v.outcome) {
			break
		}
	}
	d.Parts = d.Parts[:d.Part+1]
	return d
}

// Explain decides in explained mode: it evaluates every layer of every part and gives all
// evidence.
func Explain(req *Request) Decision { return gather(req, nil) }

// Cite is [Explain] without what does not apply, which makes it nearly as fast as [Decide]: what
// there is to say of a request that is allowed. The decision is in room as far as it fits, until room is
// used again; nil makes one.
func Cite(req *Request, room *Room) Decision {
	if room == nil {
		room = new(Room)
	}
	return gather(req, room)
}

// A Room is memory for a decision. The zero Room is ready.
type Room struct {
	ev      evidence
	parts   [1]PartDecision
	matched [4]Match // enough for most
}

// Clear forgets the decision.
func (r *Room) Clear() { *r = Room{} }

// gather decides with all evidence or, if there is room, with that of what applies.
func gather(req *Request, room *Room) Decision {
	d := Decision{Part: -1}
	if room != nil && len(req.Parts) == len(room.parts) {
		d.Parts = room.parts[:]
	} else {
		d.Parts = make([]PartDecision, len(req.Parts))
	}
	for i := range req.Parts {
		var ev *evidence
		switch {
		case room == nil:
			ev = new(evidence)
		case i == 0:
			room.ev = evidence{brief: true, matched: room.matched[:0:len(room.matched)]}
			ev = &room.ev
		default:
			ev = &evidence{brief: true, matched: make([]Match, 0, len(room.matched))}
		}
		v := decidePart(req, i, ev, false)
		d.Parts[i] = v.decision(req, i)
		ev.finish(&v, &req.Principal, &d.Parts[i])
		d.take(i, v.outcome)
	}
	return d
}

// take adds the outcome of a part: the first denied part decides, then the first undetermined
// one. It reports whether later parts cannot change the decision.
func (d *Decision) take(i int, o Outcome) bool {
	denied := d.Part >= 0 && d.Outcome != Undetermined
	switch {
	case denied:
	case o == Allowed && d.Part < 0:
		d.Outcome = Allowed
	case o == Allowed:
	case d.Part < 0, o != Undetermined:
		d.Outcome, d.Part = o, i
	}
	return d.Part >= 0 && d.Outcome != Undetermined
}

// findings are what all layers say about one part.
type findings struct {
	identity, boundary, session  finding
	scp, rcp, endpoint, resource finding
	grants                       naming
}

// decidePart evaluates one part. ev is nil in fast mode; the modes differ in nothing else. quick means
// that of an allow nobody asks by what.
func decidePart(req *Request, i int, ev *evidence, quick bool) verdict {
	e := evaluation{req: req, part: &req.Parts[i], ev: ev, quick: quick}
	v := e.decide()
	if v.outcome == Undetermined {
		return settle(req, i, v)
	}
	return v
}

// decide evaluates all layers.
func (e *evaluation) decide() verdict {
	req, part := e.req, e.part
	e.begin()
	var f findings
	f.identity = e.layer(LayerIdentity, req.Identity...)
	f.boundary = e.layer(LayerBoundary, req.Boundary)
	f.session = e.layer(LayerSession, req.Session...)
	f.scp = e.levels(LayerSCP, req.SCPs, req.SCPs != nil && underSCPs(&req.Principal))
	if part.RCPs != nil {
		under := e.underRCPs()
		f.rcp = e.levels(LayerRCP, part.RCPs, under != condition.False)
		f.rcp.deny = min(f.rcp.deny, under)
	}
	f.endpoint = e.layer(LayerEndpoint, req.Endpoint)
	own := e.resourceLayer()
	if e.action.retire {
		f.grants = e.retire()
	} else {
		f.resource = e.layer(own, part.Policy)
		if e.quick && e.allowedBy(&f, own) {
			return verdict{outcome: Allowed, allow: condition.True}
		}
		f.grants = e.grants(&f)
	}
	return e.weigh(&f, own)
}

// allowedBy reports whether policies alone allow, so that grants, which deny nothing, need not be
// looked at.
func (e *evaluation) allowedBy(f *findings, own Layer) bool {
	if max(f.scp.deny, f.rcp.deny, f.endpoint.deny, f.resource.deny, f.identity.deny, f.boundary.deny, f.session.deny) != condition.False {
		return false
	}
	w := e.weights(f, own)
	return w.scp == condition.True && w.endpoint == condition.True && w.way().allow == condition.True
}

// levels evaluates the organization policies of root, organizational units and account: every
// level must allow.
func (e *evaluation) levels(layer Layer, levels [][]*Document, apply bool) finding {
	all := finding{allow: naming{free: condition.True}}
	if !apply {
		return all
	}
	for _, docs := range levels {
		f := e.layer(layer, docs...)
		all.deny = max(all.deny, f.deny)
		allows := f.allows()
		if allows == condition.False {
			e.ev.level(layer, docs)
		}
		all.allow.free = min(all.allow.free, allows)
	}
	return all
}

// resourceLayer is how the part's policy is reported.
func (e *evaluation) resourceLayer() Layer {
	trust := e.part.Authoritative
	if d := e.part.Policy; d != nil && d.compiled != nil {
		trust = d.kind == policy.Trust
	} else if _, ok := cutFold(e.part.Action, "sts:"); !ok {
		trust = false
	}
	if trust {
		return LayerTrust
	}
	return LayerResource
}
