package authz

import (
	"slices"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz/condition"
	"github.com/kagimori/kagimori/internal/policy"
)

// principals is a Principal or NotPrincipal element made ready.
type principals struct {
	any       bool
	accounts  []string // 12 digits
	named     []named
	services  []string
	federated []string
}

// A named principal is one given by its ARN or unique id.
type named struct {
	arn     string
	account string // of the ARN
}

func compilePrincipals(p *policy.Principals) *principals {
	if p == nil {
		return nil
	}
	out := &principals{any: p.Any}
	for kind, t := range p.All() {
		switch kind {
		case policy.PrincipalAWS:
			if account, ok := policy.IsAccountPrincipal(t.Value); ok {
				out.accounts = append(out.accounts, account)
				continue
			}
			a, _ := arn.Parse(t.Value) // a unique id has no account
			out.named = append(out.named, named{t.Value, a.Account})
		case policy.PrincipalService:
			out.services = append(out.services, t.Value)
		case policy.PrincipalFederated:
			out.federated = append(out.federated, t.Value)
		}
	}
	return out
}

// A naming says how a statement or grant names the caller. In an Allow it decides which layers
// still limit the caller in its own account; in a Deny every naming is the same.
//
// Source: IAM User Guide, "Policy evaluation logic" and "Permissions boundaries for IAM
// entities": what a resource policy grants to a user or session is not limited by a silent
// boundary, what it grants to a role is.
type naming struct {
	free    condition.Truth // as user, session, federated user, service or "*"
	limited condition.Truth // as role of the session or user behind the federated user
	account condition.Truth // as account, which only delegates
}

func (n naming) any() condition.Truth { return max(n.free, n.limited, n.account) }

func (n naming) or(m naming) naming {
	return naming{max(n.free, m.free), max(n.limited, m.limited), max(n.account, m.account)}
}

func (n naming) and(t condition.Truth) naming {
	return naming{min(n.free, t), min(n.limited, t), min(n.account, t)}
}

// name says how one ARN, unique id or account names the caller. id is the unique id that the ARN
// had when the document or grant was saved; dead reports that the caller now has another one.
func (p *Principal) name(n named, id string) (who naming, dead bool) {
	switch p.Type {
	case UnknownPrincipal: // a user or role of unknown name
		if p.Account == "" || n.account == "" || p.Account == n.account {
			return naming{free: condition.Unknown}, false
		}
		return naming{}, false
	case User:
		who.free = condition.Of(n.arn == p.ARN || p.isID(n.arn) || p.isID(id)) // the latter: renamed since
	case RoleSession:
		who.free = condition.Of(n.arn == p.ARN)
		who.limited = condition.Of(n.arn == p.RoleARN || p.isID(n.arn))
	case FederatedUser:
		who.free = condition.Of(n.arn == p.ARN)
		who.limited = condition.Of(n.arn == p.ParentARN || p.isID(n.arn))
	}
	if who.any() == condition.True && id != "" && p.UniqueID != "" && id != p.UniqueID {
		return naming{}, true
	}
	return who, false
}

func (p *Principal) isID(s string) bool { return s == p.UniqueID && s != "" }

// inAccount says whether the caller is an identity of an account.
func (p *Principal) inAccount(account string) condition.Truth {
	if p.Type == UnknownPrincipal && p.Account == "" {
		return condition.Unknown
	}
	return condition.Of(p.Account == account && p.Type != Service && p.Type != Anonymous)
}

// match says how a Principal element names the caller of e; dead is true if it names nobody alive
// but did name an earlier bearer of the caller's ARN.
func (ps *principals) match(e *evaluation, doc *Document) (who naming, dead bool) {
	p := &e.req.Principal
	if ps.any {
		who.free = condition.True
		return who, false
	}
	for _, a := range ps.accounts {
		who.account = max(who.account, p.inAccount(a))
	}
	for _, n := range ps.named {
		w, d := p.name(n, doc.idOf(p, n.arn))
		who, dead = who.or(w), dead || d
	}
	if p.Type == Service {
		for _, s := range ps.services {
			who.free = max(who.free, condition.Of(s == p.ARN))
		}
	}
	if p.Type == Anonymous && doc.kind == policy.Trust && len(ps.federated) > 0 {
		who.free = max(who.free, e.provider(ps.federated))
	}
	return who, dead && who.any() == condition.False
}

// provider says whether the identity provider of an AssumeRoleWithSAML or
// AssumeRoleWithWebIdentity call is in a list.
func (e *evaluation) provider(list []string) condition.Truth {
	v, ok := e.env.Lookup(&federatedProvider)
	if !ok || v.Multi {
		return condition.False
	}
	if v.Unknown {
		return condition.Unknown
	}
	if slices.Contains(list, v.One) {
		return condition.True
	}
	return condition.False
}

var federatedProvider = condition.MakeKey("aws:FederatedProvider")

// spared says whether a NotPrincipal element lists the caller. Every name of the caller must be
// listed: account and user; account, role and session.
//
// Source: IAM User Guide, "AWS JSON policy elements: NotPrincipal".
func (ps *principals) spared(e *evaluation, doc *Document) condition.Truth {
	p := &e.req.Principal
	if ps.any {
		return condition.True
	}
	account := condition.False
	for _, a := range ps.accounts {
		account = max(account, p.inAccount(a))
	}
	var who naming
	for _, n := range ps.named {
		w, _ := p.name(n, doc.idOf(p, n.arn))
		who = who.or(w)
	}
	switch p.Type {
	case Root:
		return account
	case User:
		return min(account, who.free)
	case RoleSession, FederatedUser:
		return min(account, who.free, who.limited)
	case Service:
		if slices.Contains(ps.services, p.ARN) {
			return condition.True
		}
	case UnknownPrincipal:
		return min(account, who.free)
	}
	return condition.False
}
