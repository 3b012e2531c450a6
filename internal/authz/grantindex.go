package authz

import "slices"

// A GrantIndex finds the grants of a principal among many. It is immutable and safe for
// concurrent use.
type GrantIndex struct {
	all      []Grant
	by       map[string][]*Grant // by grantee: ARN, unique id, account or service
	retiring map[string][]*Grant // by retiring principal, likewise
	issued   map[string]*Grant   // one of each issuing account
}

// IndexGrants makes an index. The grants must not change afterwards.
func IndexGrants(grants []Grant) *GrantIndex {
	x := &GrantIndex{grants, make(map[string][]*Grant, len(grants)), map[string][]*Grant{}, map[string]*Grant{}}
	for i := range grants {
		g := &grants[i]
		post(x.by, g.Grantee, g.GranteeID, g)
		if g.Retiring != "" {
			post(x.retiring, g.Retiring, g.RetiringID, g)
		}
		if account := issuer(g); x.issued[account] == nil {
			x.issued[account] = g
		}
	}
	return x
}

func post(by map[string][]*Grant, who, id string, g *Grant) {
	if account, ok := accountPrincipal(who); ok {
		who = account
	}
	by[who] = append(by[who], g)
	if id != "" && id != who {
		by[id] = append(by[id], g)
	}
}

// All are the grants of the index. They must not be changed.
func (x *GrantIndex) All() []Grant { return x.all }

// Of are the grants that may name a principal, each once.
func (x *GrantIndex) Of(p *Principal) []Grant {
	if p.Type == UnknownPrincipal {
		return slices.Clone(x.all)
	}
	var out []Grant
	names := p.grantNames()
	for i, name := range names {
		for _, g := range x.by[name] {
			if name != "" && !names.seen(i, g) {
				out = append(out, *g)
			}
		}
	}
	return out
}

// Retirable are the grants that a principal may be able to retire, each once: those that it holds with
// that operation, those of which it is the retiring principal, and one for all that its account made.
func (x *GrantIndex) Retirable(p *Principal) []Grant {
	var found []*Grant
	add := func(g *Grant) {
		if g != nil && !slices.Contains(found, g) {
			found = append(found, g)
		}
	}
	for _, name := range p.grantNames() {
		if name == "" {
			continue
		}
		for _, g := range x.retiring[name] {
			add(g)
		}
		for _, g := range x.by[name] {
			if slices.Contains(g.Operations, "RetireGrant") {
				add(g)
			}
		}
		add(x.issued[name])
	}
	out := make([]Grant, len(found))
	for i, g := range found {
		out[i] = *g
	}
	return out
}

// grantNames are the names by which grants can mean a caller: ARN, role or parent, account and
// unique id; "", which is no grantee, where there is none.
type grantNames [4]string

func (p *Principal) grantNames() grantNames {
	names := grantNames{p.ARN, "", p.Account, p.UniqueID}
	switch p.Type {
	case RoleSession:
		names[1] = p.RoleARN
	case FederatedUser:
		names[1] = p.ParentARN
	case Service, Anonymous:
		names[2], names[3] = "", ""
	}
	return names
}

// seen reports whether a grant that was found by the i-th name was found by one before.
func (names *grantNames) seen(i int, g *Grant) bool {
	return i == 3 && (g.Grantee == names[0] || g.Grantee == names[1])
}

// held looks at the grants of an index that name the caller, by any of its names, each once.
func (e *evaluation) held(x *GrantIndex) {
	p := &e.req.Principal
	if p.Type == UnknownPrincipal {
		for i := range x.all {
			e.grant(&x.all[i])
		}
		return
	}
	names := p.grantNames()
	for i, name := range names {
		if name == "" {
			continue
		}
		for _, g := range x.by[name] {
			if !names.seen(i, g) {
				e.grant(g)
			}
		}
	}
}
