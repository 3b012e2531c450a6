package authz

import (
	"iter"
	"slices"

	"github.com/kagimori/kagimori/internal/authz/condition"
)

// A GrantIndex finds the grants of a principal among many. It is immutable and safe for
// concurrent use.
type GrantIndex struct {
	all      []Grant
	by       map[string]*posting // by grantee: ARN, unique id, account or service
	retiring map[string][]*Grant // by retiring principal, likewise
	issued   map[string]*Grant   // one of each issuing account
}

// A posting is the grants of one grantee. Of one with many, operations has those that allow each
// operation.
type posting struct {
	grants     []*Grant
	operations map[string][]*Grant
}

// splitAbove is from how many grants on a posting knows them by operation.
const splitAbove = 16

// IndexGrants makes an index. The grants must not change afterwards.
func IndexGrants(grants []Grant) *GrantIndex {
	x := &GrantIndex{grants, make(map[string]*posting, len(grants)), map[string][]*Grant{}, map[string]*Grant{}}
	for i := range grants {
		g := &grants[i]
		for _, name := range postedBy(g.Grantee, g.GranteeID) {
			if name == "" {
				continue
			}
			p := x.by[name]
			if p == nil {
				p = &posting{}
				x.by[name] = p
			}
			p.grants = append(p.grants, g)
		}
		if g.Retiring != "" {
			for _, name := range postedBy(g.Retiring, g.RetiringID) {
				if name != "" {
					x.retiring[name] = append(x.retiring[name], g)
				}
			}
		}
		if account := issuer(g); x.issued[account] == nil {
			x.issued[account] = g
		}
	}
	for _, p := range x.by {
		p.split()
	}
	return x
}

// postedBy are the names by which a grantee or retiring principal is found; the second may be "".
func postedBy(who, id string) [2]string {
	if account, ok := accountPrincipal(who); ok {
		who = account
	}
	if id == who {
		id = ""
	}
	return [2]string{who, id}
}

// split sorts the grants of a posting that has many by their operations.
func (p *posting) split() {
	if len(p.grants) <= splitAbove {
		return
	}
	p.operations = make(map[string][]*Grant, len(grantOperations))
	for _, op := range grantOperations {
		p.operations[op] = nil // which says that no grant has it
	}
	for _, g := range p.grants {
		for _, name := range g.Operations {
			i := slices.Index(grantOperations, name)
			if i < 0 {
				i = slices.IndexFunc(grantOperations, func(op string) bool { return equalFold(op, name) })
			}
			if i < 0 {
				continue // no evaluation asks for it
			}
			op := grantOperations[i]
			if list := p.operations[op]; len(list) == 0 || list[len(list)-1] != g {
				p.operations[op] = append(list, g)
			}
		}
	}
}

// of are the grants that an evaluation looks at: without evidence those with the operation, by the name
// that AWS writes, else all.
func (p *posting) of(e *evaluation) []*Grant {
	if p == nil {
		return nil
	}
	if e.ev == nil {
		if list, ok := p.operations[e.action.operation]; ok {
			return list
		}
	}
	return p.grants
}

// All are the grants of the index. They must not be changed.
func (x *GrantIndex) All() []Grant { return x.all }

// Held are the grants that may name a principal, each once. They must not be changed.
func (x *GrantIndex) Held(p *Principal) iter.Seq[*Grant] {
	return func(yield func(*Grant) bool) {
		if p.Type == UnknownPrincipal {
			for i := range x.all {
				if !yield(&x.all[i]) {
					return
				}
			}
			return
		}
		names := p.grantNames()
		for i, name := range names {
			if name == "" || x.by[name] == nil {
				continue
			}
			for _, g := range x.by[name].grants {
				if !names.seen(i, g) && !yield(g) {
					return
				}
			}
		}
	}
}

// Retirable are the grants that a principal may be able to retire, each once: those that it holds with
// that operation, those of which it is the retiring principal, and one for all that its account made.
// They must not be changed.
func (x *GrantIndex) Retirable(p *Principal) iter.Seq[*Grant] {
	return func(yield func(*Grant) bool) {
		seen := map[*Grant]bool{nil: true}
		give := func(g *Grant) bool {
			if seen[g] {
				return true
			}
			seen[g] = true
			return yield(g)
		}
		for _, name := range p.grantNames() {
			if name == "" {
				continue
			}
			for _, g := range x.retiring[name] {
				if !give(g) {
					return
				}
			}
			if held := x.by[name]; held != nil {
				for _, g := range held.grants {
					if slices.Contains(g.Operations, "RetireGrant") && !give(g) {
						return
					}
				}
			}
			if !give(x.issued[name]) {
				return
			}
		}
	}
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

// held looks at the grants of an index that name the caller, by any of its names, each once. Without
// evidence it stops where others cannot add to what was found.
func (e *evaluation) held(x *GrantIndex, f *findings) {
	p := &e.req.Principal
	if p.Type == UnknownPrincipal {
		for i := range x.all {
			e.grant(&x.all[i])
		}
		return
	}
	limits := condition.False // of a role, where nobody looked
	if e.ev == nil {
		boundary, session := e.limiting(f)
		limits = min(boundary, session)
	}
	names := p.grantNames()
	for i, name := range names {
		if name == "" {
			continue
		}
		for _, g := range x.by[name].of(e) {
			if names.seen(i, g) {
				continue
			}
			e.grant(g)
			if e.ev == nil && max(e.granted.free, min(e.granted.limited, limits)) == condition.True {
				return
			}
		}
	}
}
