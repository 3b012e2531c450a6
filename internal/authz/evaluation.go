package authz

import (
	"strings"

	"github.com/kagimori/kagimori/internal/authz/condition"
	"github.com/kagimori/kagimori/internal/policy"
)

// An evaluation is the work on one part of a request. It lives on the stack.
type evaluation struct {
	req     *Request
	part    *Part
	env     condition.Env
	action  action
	names   names
	granted naming    // by the grants looked at so far
	ev      *evidence // nil in fast mode
	quick   bool      // it is enough to know that policies allow
}

// begin makes what all layers need.
func (e *evaluation) begin() {
	e.env.Part, e.env.Request = e.part.Context, e.req.Context
	e.action.set(e.part.Action)
	e.names.set(&e.req.Principal)
	e.facts(&e.env.Facts)
	e.env.Ready()
}

// A finding is what one layer says: which deny, and how it allows.
type finding struct {
	deny  condition.Truth
	allow naming
}

func (f *finding) allows() condition.Truth { return f.allow.any() }

// settled reports whether more Allow statements cannot add to the finding.
func (f *finding) settled(layer Layer) bool {
	return f.allow.free == condition.True && (ownSide(layer) || f.allow.account == condition.True)
}

// ownSide reports whether a layer's documents hang on the caller, so that their statements have
// no Principal element and always mean the caller.
func ownSide(layer Layer) bool {
	switch layer {
	case LayerIdentity, LayerBoundary, LayerSession, LayerSCP:
		return true
	}
	return false
}

// withoutPrincipal is how a statement without Principal element names the caller.
var withoutPrincipal = naming{free: condition.True}

// layer evaluates the documents of a layer that are one union.
func (e *evaluation) layer(layer Layer, docs ...*Document) finding {
	var f finding
	for _, d := range docs {
		if d != nil {
			e.document(layer, d, &f)
		}
	}
	return f
}

func (e *evaluation) document(layer Layer, d *Document, f *finding) {
	if d.Unknown || d.compiled == nil {
		f.deny = max(f.deny, condition.Unknown)
		f.allow = f.allow.or(naming{condition.Unknown, condition.Unknown, condition.Unknown})
		e.ev.dependDocument(layer, d)
		return
	}
	c := d.compiled
	var sel selection
	if !c.index.selects(e, layer, d, &sel) {
		for i := range c.statements {
			e.read(layer, d, &c.statements[i], f)
		}
		return
	}
	for w := range c.index.words {
		for i, word := 0, c.index.word(w, e, &sel); word != 0; {
			i, word = lowest(word)
			e.read(layer, d, &c.statements[w*64+i], f)
		}
	}
}

// read adds what one statement says to the finding of its layer.
func (e *evaluation) read(layer Layer, d *Document, s *statement, f *finding) {
	if e.ev == nil && s.effect == policy.Allow && f.settled(layer) {
		return
	}
	r := e.statement(layer, d, s)
	if s.effect == policy.Deny {
		f.deny = max(f.deny, r.who.any())
	} else {
		f.allow = f.allow.or(r.who)
	}
	if e.ev != nil {
		e.ev.statement(e, layer, d, s, r)
	}
}

// A reading is how one statement applies. If it does not, reason is the first element that does
// not match, and condition the first that is false.
type reading struct {
	who       naming
	reason    MissReason
	condition int
}

// statement matches the elements in the documented order and stops at the first that does not.
//
// Source: IAM User Guide, "IAM JSON policy elements reference".
func (e *evaluation) statement(layer Layer, d *Document, s *statement) reading {
	who, dead := e.principal(layer, d, s)
	switch {
	case dead:
		return reading{reason: MissDeadPrincipal}
	case who.any() == condition.False:
		return reading{reason: MissPrincipal}
	case !s.matchAction(&e.action):
		return reading{reason: MissAction}
	case s.inert:
		return reading{reason: MissResource}
	}
	t := e.resource(s)
	if t == condition.False {
		return reading{reason: MissResource}
	}
	for i := range s.conditions {
		c := s.conditions[i].Eval(&e.env)
		if c == condition.False {
			return reading{reason: MissCondition, condition: i}
		}
		t = min(t, c)
	}
	return reading{who: who.and(t)}
}

// principal says how a statement names the caller.
func (e *evaluation) principal(layer Layer, d *Document, s *statement) (who naming, dead bool) {
	switch {
	case ownSide(layer):
		return withoutPrincipal, false
	case s.principal != nil:
		return s.principal.match(e, d)
	case s.notPrincipal == nil || s.effect == policy.Allow:
		return naming{}, false // NotPrincipal serves to deny only
	case e.req.Boundary != nil && (layer == LayerResource || layer == LayerTrust):
		return withoutPrincipal, false // it always denies a caller with a boundary
	}
	return naming{free: s.notPrincipal.spared(e, d).Not()}, false
}

func (e *evaluation) resource(s *statement) condition.Truth {
	if s.anyResource {
		return condition.True
	}
	t := condition.False
	for i := range s.resources {
		t = max(t, e.matchResource(&s.resources[i]))
	}
	if s.notResources {
		return t.Not()
	}
	return t
}

func (e *evaluation) matchResource(p *condition.Pattern) condition.Truth {
	if e.part.Resource.Unknown && !p.All() {
		return condition.Unknown
	}
	return p.Match(&e.env, e.part.Resource.ARN)
}

// facts derives condition keys from principal and resource.
func (e *evaluation) facts(f *condition.Facts) {
	p, r := &e.req.Principal, &e.part.Resource
	f.PrincipalARN, f.PrincipalAccount, f.UserID, f.PrincipalTags = p.ARN, p.Account, p.UserID, p.Tags
	f.PrincipalOrgID, f.PrincipalPaths, f.Signed = p.OrgID, p.OrgPaths, true
	f.ResourceARN, f.ResourceAccount, f.ResourceTags = r.ARN, r.Account, r.Tags
	f.ResourceOrgID, f.ResourcePaths, f.UnknownResource = r.OrgID, r.OrgPaths, r.Unknown
	switch p.Type {
	case Root:
		f.PrincipalType = "Account"
	case User:
		f.PrincipalType, f.Username = "User", p.Username
		if f.Username == "" {
			f.Username = p.ARN[strings.LastIndexByte(p.ARN, '/')+1:]
		}
	case RoleSession:
		f.PrincipalType, f.PrincipalARN = "AssumedRole", p.RoleARN
	case FederatedUser:
		f.PrincipalType = "FederatedUser"
	case Service:
		f.PrincipalARN, f.Service = "", p.ARN
	case Anonymous:
		f.PrincipalType, f.PrincipalARN, f.UserID, f.Signed = "Anonymous", "", "anonymous", false
	case UnknownPrincipal:
		f.UnknownPrincipal = true
	}
	if e.action.kms {
		f.CallerAccount, f.OwnGrant = p.Account, e.action.create
	} else {
		f.Global = e.action.global()
	}
}
