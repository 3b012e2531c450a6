package authz

import (
	"strings"

	"github.com/kagimori/kagimori/internal/authz/condition"
)

// A verdict is the outcome of one part without its evidence.
type verdict struct {
	outcome     Outcome
	by, also    Layer
	silent      [8]Layer // the first n
	n           int
	cross       bool
	delegated   bool
	homeOnly    bool
	deny, allow condition.Truth
}

func (v *verdict) decision(req *Request, i int) PartDecision {
	p := PartDecision{
		Action: req.Parts[i].Action, Resource: req.Parts[i].Resource.ARN, Outcome: v.outcome, By: v.by, Also: v.also,
		CrossAccount: v.cross, Delegated: v.delegated, HomeOnly: v.homeOnly,
	}
	if v.outcome == ImplicitDeny {
		p.Silent = append(p.Silent, v.silent[:v.n]...)
	}
	return p
}

// missing adds a layer whose allow is needed, if it is no more than limit.
func (v *verdict) missing(layer Layer, allow, limit condition.Truth) {
	if allow <= limit {
		v.silent[v.n] = layer
		v.n++
	}
}

// weigh combines the findings of all layers. If it is certain that the caller is denied but not
// whether also explicitly, the outcome is ImplicitDeny.
//
// Source: IAM User Guide, "Policy evaluation logic". Which of several denying policies AWS names
// is not documented; the order here is ours.
func (e *evaluation) weigh(f *findings, own Layer) verdict {
	w := e.weights(f, own)
	v := verdict{cross: w.cross == condition.True, delegated: w.resource.account == condition.True}
	v.homeOnly = v.cross && w.abroad == condition.False
	if !e.action.kms && strings.EqualFold(e.part.Action, "sts:GetCallerIdentity") {
		v.outcome, v.allow = Allowed, condition.True // whatever the policies say
		return v
	}
	v.strongestDeny(LayerSCP, f.scp.deny)
	v.strongestDeny(LayerRCP, f.rcp.deny)
	v.strongestDeny(LayerEndpoint, f.endpoint.deny)
	v.strongestDeny(w.resourceLayer, f.resource.deny)
	v.strongestDeny(LayerIdentity, f.identity.deny)
	v.strongestDeny(LayerBoundary, f.boundary.deny)
	v.strongestDeny(LayerSession, f.session.deny)
	way := w.way()
	v.allow = min(way.allow, w.scp, w.endpoint)
	switch {
	case v.deny == condition.True:
		v.outcome = ExplicitDeny
	case v.allow == condition.False:
		v.outcome = ImplicitDeny
		w.silent(&v, way.allow, condition.False)
		v.by = v.silent[0]
	case v.allow == condition.Unknown:
		v.outcome = Undetermined
		w.silent(&v, way.allow, condition.Unknown)
		v.by = v.silent[0]
	case v.deny == condition.Unknown:
		v.outcome = Undetermined
	default:
		v.outcome, v.by, v.also = Allowed, way.by, way.also
	}
	return v
}

func (v *verdict) strongestDeny(layer Layer, deny condition.Truth) {
	if deny > v.deny {
		v.deny, v.by = deny, layer
	}
}

// weights are the findings as they bear on an allow. A limiting layer that is absent or does not
// apply to the caller is True.
type weights struct {
	caller        PrincipalType
	retire        bool // only the grant counts
	authoritative bool
	cross         condition.Truth
	resourceLayer Layer

	scp, endpoint, identity, boundary, session condition.Truth
	resource, grants                           naming
	abroad                                     condition.Truth // the action works across accounts
}

func (e *evaluation) weights(f *findings, own Layer) weights {
	p := &e.req.Principal
	w := weights{
		caller: p.Type, authoritative: e.part.Authoritative, resourceLayer: own,
		retire: e.action.retire, cross: crossAccount(p, &e.part.Resource),
		scp: f.scp.allows(), endpoint: f.endpoint.allows(), identity: f.identity.allows(),
		resource: f.resource.allow, grants: f.grants, abroad: condition.True,
	}
	w.boundary, w.session = e.limiting(f)
	if w.cross != condition.False {
		w.abroad = condition.Of(e.action.worksAbroad())
	}
	if e.req.Endpoint == nil {
		w.endpoint = condition.True
	}
	switch {
	case !e.action.kms && strings.EqualFold(e.part.Action, "sts:GetSessionToken"): // needs no permission
		w.identity, w.boundary, w.session = condition.True, condition.True, condition.True
	case p.Type == Root:
		w.identity = condition.True
	}
	return w
}

// limiting says whether boundary and session policies allow.
func (e *evaluation) limiting(f *findings) (boundary, session condition.Truth) {
	p := &e.req.Principal
	boundary, session = f.boundary.allows(), f.session.allows()
	if e.req.Boundary == nil || p.Type == Root {
		boundary = condition.True
	}
	// A federated user has nothing from the user's policies unless a session policy was passed.
	if e.req.Session == nil && p.Type != FederatedUser {
		session = condition.True
	}
	return boundary, session
}

// crossAccount says whether principal and resource are in different accounts. Services and
// anonymous callers have no account; neither have some resources.
func crossAccount(p *Principal, r *Resource) condition.Truth {
	if p.Account == "" && p.Type == UnknownPrincipal || r.Account == "" && r.Unknown {
		return condition.Unknown
	}
	return condition.Of(p.Account != r.Account && p.Account != "" && r.Account != "")
}

// A way is the means by which a caller is granted something.
type way struct {
	allow    condition.Truth
	by, also Layer
}

func (w *way) or(allow condition.Truth, by, also Layer) {
	if allow > w.allow {
		*w = way{allow, by, also}
	}
}

// way finds how the caller is granted the action, limits of organization and endpoint aside.
func (w *weights) way() way {
	if w.cross == condition.Unknown {
		here, there := w.within(false), w.within(true)
		if here.allow != there.allow {
			here.allow = condition.Unknown
		}
		return here
	}
	return w.within(w.cross == condition.True)
}

func (w *weights) within(cross bool) way {
	var out way
	limits := min(w.boundary, w.session)
	out.or(max(w.grants.free, min(w.grants.limited, limits)), LayerGrant, LayerNone)
	if w.caller != Root {
		out.or(min(w.grants.account, w.identity, limits), LayerGrant, LayerIdentity)
	}
	direct := max(w.resource.free, min(w.resource.limited, limits))
	switch {
	case w.retire:
	case w.caller == Service || w.caller == Anonymous:
		out.or(w.resource.free, w.resourceLayer, LayerNone)
	case cross && w.caller == Root:
		out.or(min(w.resource.any(), w.abroad, limits), w.resourceLayer, LayerNone)
	case cross:
		out.or(min(w.resource.any(), w.abroad, w.identity, limits), LayerIdentity, w.resourceLayer)
	case w.caller == Root && w.authoritative:
		out.or(min(max(w.resource.free, w.resource.account), limits), w.resourceLayer, LayerNone)
	case w.caller == Root:
		out.or(limits, LayerRoot, LayerNone)
	case w.authoritative:
		out.or(direct, w.resourceLayer, LayerNone)
		out.or(min(w.resource.account, w.identity, limits), LayerIdentity, w.resourceLayer)
	default:
		out.or(direct, w.resourceLayer, LayerNone)
		out.or(min(w.identity, limits), LayerIdentity, LayerNone)
	}
	return out
}

// silent lists the layers that would have to allow on the way that is nearest to an allow: those
// that are no more than limit.
//
// The order is ours: organization and endpoint, then the missing grant (of a resource whose
// policy is authoritative first the policy), then boundary and session policies.
func (w *weights) silent(v *verdict, granted, limit condition.Truth) {
	v.missing(LayerSCP, w.scp, limit)
	v.missing(LayerEndpoint, w.endpoint, limit)
	if granted > limit {
		return
	}
	cross := w.cross != condition.False
	resource := w.resource.any()
	if cross {
		resource = min(resource, w.abroad)
	}
	byRole := w.grants.limited > limit || !cross && w.resource.limited > limit
	switch {
	case byRole: // only the limits stand against it
	case w.retire && (w.grants.account <= limit || w.identity <= limit):
		v.missing(LayerGrant, condition.False, limit) // also where the account could delegate
		return
	case w.grants.account > limit:
		v.missing(LayerIdentity, w.identity, limit)
	case w.caller == Service || w.caller == Anonymous:
		v.missing(w.resourceLayer, w.resource.free, limit)
		return
	case !cross && w.authoritative && w.resource.account <= limit:
		v.missing(w.resourceLayer, condition.False, limit)
		if w.caller == User {
			return // to name the user is enough
		}
	case !cross, w.authoritative:
		if cross {
			v.missing(w.resourceLayer, resource, limit)
		}
		v.missing(LayerIdentity, w.identity, limit)
	default:
		v.missing(LayerIdentity, w.identity, limit)
		v.missing(w.resourceLayer, resource, limit)
	}
	v.missing(LayerBoundary, w.boundary, limit)
	v.missing(LayerSession, w.session, limit)
}
