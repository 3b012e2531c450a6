package authz

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

// held looks at the grants of an index that name the caller, by any of its names, each once.
func (e *evaluation) held(x *GrantIndex) {
	p := &e.req.Principal
	if p.Type == UnknownPrincipal {
		for i := range x.all {
			e.grant(&x.all[i])
		}
		return
	}
	names := [...]string{p.ARN, "", p.Account, p.UniqueID}
	switch p.Type {
	case RoleSession:
		names[1] = p.RoleARN
	case FederatedUser:
		names[1] = p.ParentARN
	case Service, Anonymous:
		names[2], names[3] = "", ""
	}
	for i, name := range names {
		if name == "" {
			continue
		}
		for _, g := range x.by[name] {
			if i == 3 && (g.Grantee == names[0] || g.Grantee == names[1]) {
				continue // seen by its ARN
			}
			e.grant(g)
		}
	}
}
