package authz

import "slices"

// A GrantIndex finds the grants of a principal among many. It is immutable and safe for
// concurrent use.
type GrantIndex struct {
	all []Grant
	by  map[string][]*Grant // by grantee: ARN, unique id, account or service
}

// IndexGrants makes an index. The grants must not change afterwards.
func IndexGrants(grants []Grant) *GrantIndex {
	x := &GrantIndex{grants, make(map[string][]*Grant, len(grants))}
	for i := range grants {
		g := &grants[i]
		who := g.Grantee
		if account, ok := accountPrincipal(who); ok {
			who = account
		}
		x.by[who] = append(x.by[who], g)
		if g.GranteeID != "" && g.GranteeID != who {
			x.by[g.GranteeID] = append(x.by[g.GranteeID], g)
		}
	}
	return x
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
