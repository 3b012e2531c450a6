package authz

import (
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz/condition"
	"github.com/kagimori/kagimori/internal/policy"
)

var (
	sourceARN   = condition.MakeKey("aws:SourceArn")
	contextKeys = condition.MakeKey("kms:EncryptionContextKeys")
)

// grants says how the grants of the key allow the part.
//
// Source: KMS Developer Guide, "Grants in AWS KMS" and "Creating grants".
func (e *evaluation) grants(f *findings) naming {
	if e.action.retire || !e.action.kms { // to retire is decided by the target, see retire
		return naming{}
	}
	e.granted = naming{}
	for i := range e.part.Grants {
		e.grant(&e.part.Grants[i])
	}
	if x := e.part.GrantIndex; x != nil {
		e.held(x, f)
	}
	return e.granted
}

// grant adds what one grant allows.
func (e *evaluation) grant(g *Grant) {
	who, reason := e.usable(g)
	if reason == 0 {
		e.granted = e.granted.or(who)
	}
	if e.ev != nil {
		e.ev.grant(e, g, who, reason)
	}
}

// usable says how a grant allows the part to the caller; if it does not, why.
func (e *evaluation) usable(g *Grant) (naming, MissReason) {
	operation := e.action.operation
	if !e.req.Principal.maybe(g.Grantee, g.GranteeID) {
		return naming{}, MissGrantee
	}
	who, dead := e.grantPrincipal(g.Grantee, g.GranteeID)
	switch {
	case dead:
		return naming{}, MissDeadPrincipal
	case who.any() == condition.False:
		return naming{}, MissGrantee
	case !in(operation, g.Operations) || !in(operation, grantOperations):
		return naming{}, MissOperation
	}
	t := condition.True
	switch {
	case e.action.create:
		if e.part.NewGrant == nil || !g.covers(e.part.NewGrant) {
			return naming{}, MissNotSubset
		}
	case !equalFold(operation, "DescribeKey"):
		t = e.contextHolds(g)
	}
	if t == condition.False {
		return naming{}, MissConstraint
	}
	source := e.sourceHolds(g)
	if source == condition.False {
		return naming{}, MissSourceARN
	}
	return who.and(min(t, source)), 0
}

// maybe is a quick look at a grantee: false if it does not name the caller.
func (p *Principal) maybe(who, id string) bool {
	return who == p.ARN || who == p.RoleARN || len(who) == 12 || len(who) == len("arn:aws:iam::111122223333:root") ||
		id != "" && id == p.UniqueID || who == p.UniqueID || who == p.ParentARN || p.Type == UnknownPrincipal
}

// grantPrincipal says how a grantee or retiring principal names the caller. An account names its
// root user directly.
func (e *evaluation) grantPrincipal(who, id string) (naming, bool) {
	p := &e.req.Principal
	if p.Type == Service {
		return naming{free: condition.Of(who != "" && who == p.ARN)}, false
	}
	if who == "" {
		return naming{}, false
	}
	if account, ok := accountPrincipal(who); ok {
		n := naming{account: p.inAccount(account)}
		if p.Type == Root {
			n.free = n.account
		}
		return n, false
	}
	if p.Type != UnknownPrincipal {
		return p.name(named{arn: who}, id)
	}
	a, _ := arn.Parse(who) // service principals and unique ids have no account
	if a.Account == "" && !policy.IsUniqueID(who) {
		return naming{}, false
	}
	return p.name(named{who, a.Account}, id)
}

// accountPrincipal is policy.IsAccountPrincipal, quick about what does not look like an account.
func accountPrincipal(who string) (account string, ok bool) {
	const prefix, suffix = "arn:" + arn.Partition + ":iam::", ":root"
	switch len(who) {
	case 12:
	case len(prefix) + 12 + len(suffix):
		if who[:len(prefix)] != prefix || who[len(prefix)+12:] != suffix {
			return "", false
		}
		who = who[len(prefix) : len(prefix)+12]
	default:
		return "", false
	}
	return who, arn.IsAccount(who)
}

// contextHolds says whether the encryption context satisfies the grant's constraints. Both
// compare keys and values exactly.
func (e *evaluation) contextHolds(g *Grant) condition.Truth {
	t := condition.True
	for _, want := range [...]map[string]string{g.ContextEquals, g.ContextSubset} {
		for k, v := range want {
			t = min(t, e.pairHolds(k, v))
		}
	}
	if g.ContextEquals == nil || t != condition.True {
		return t
	}
	if v, ok := e.env.Lookup(&contextKeys); ok && v.Unknown {
		return condition.Unknown
	}
	return condition.Of(len(g.ContextEquals) == len(e.part.EncryptionContext))
}

func (e *evaluation) pairHolds(k, v string) condition.Truth {
	if e.pairUnknown(k) {
		return condition.Unknown
	}
	if have, ok := e.part.EncryptionContext[k]; ok {
		return condition.Of(have == v)
	}
	if v, ok := e.env.Lookup(&contextKeys); ok && v.Unknown {
		return condition.Unknown
	}
	return condition.False
}

const encryptionContext = "kms:EncryptionContext:"

// pairUnknown reports whether one value of the encryption context is unknown.
func (e *evaluation) pairUnknown(k string) bool {
	for _, list := range [...]Context{e.part.Context, e.req.Context} {
		for i := range list {
			name, ok := cutFold(list[i].Key, encryptionContext)
			if ok && list[i].Unknown && strings.EqualFold(name, k) {
				return true
			}
		}
	}
	return false
}

func cutFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return "", false
	}
	return s[len(prefix):], true
}

func (e *evaluation) sourceHolds(g *Grant) condition.Truth {
	if g.SourceARN == "" {
		return condition.True
	}
	v, ok := e.env.Lookup(&sourceARN)
	switch {
	case ok && v.Unknown:
		return condition.Unknown
	case !ok || v.Multi:
		return condition.False
	}
	return condition.Of(v.One == g.SourceARN)
}

// covers reports whether a grant permits to create another: no operations that it lacks, and
// constraints at least as strict. A grant for exactly some encryption context permits only the
// same; one for a subset permits larger subsets and exact contexts that contain it.
//
// Source: KMS Developer Guide, "Creating grants", Granting CreateGrant permission.
func (g *Grant) covers(child *Grant) bool {
	for _, op := range child.Operations {
		if !in(op, g.Operations) {
			return false
		}
	}
	if g.SourceARN != "" && g.SourceARN != child.SourceARN {
		return false
	}
	if g.ContextEquals != nil &&
		(child.ContextEquals == nil || len(child.ContextEquals) != len(g.ContextEquals) || !contains(child.ContextEquals, g.ContextEquals)) {
		return false
	}
	return g.ContextSubset == nil || contains(child.ContextSubset, g.ContextSubset) || contains(child.ContextEquals, g.ContextSubset)
}

// contains reports whether a set of pairs has all of another, which nil never has.
func contains(have, want map[string]string) bool {
	if have == nil {
		return false
	}
	for k, v := range want {
		if w, ok := have[k]; !ok || w != v {
			return false
		}
	}
	return true
}

// retire says how the target grant lets the caller retire it: as retiring principal, as grantee
// whose grant has RetireGrant, or as somebody to whom the account that made the grant, or a
// retiring account, gives the permission by IAM. Constraints do not matter.
//
// Source: KMS Developer Guide, "Retiring and revoking grants".
func (e *evaluation) retire() naming {
	g := e.part.Target
	if g == nil {
		return naming{}
	}
	who, dead := e.grantPrincipal(g.Retiring, g.RetiringID)
	reason := MissGrantee
	grantee, deadGrantee := e.grantPrincipal(g.Grantee, g.GranteeID)
	switch {
	case slices.Contains(g.Operations, "RetireGrant"):
		who, dead = who.or(grantee), dead || deadGrantee
	case grantee.any() != condition.False:
		reason = MissOperation
	}
	if dead {
		reason = MissDeadPrincipal
	}
	if account := issuer(g); account != "" {
		n, _ := e.grantPrincipal(account, "")
		who = who.or(n)
	}
	e.ev.grant(e, g, who, reason)
	return who
}

// issuer is the account that made a grant. KMS lists it as the ARN of its root user.
func issuer(g *Grant) string {
	if account, ok := policy.IsAccountPrincipal(g.IssuingAccount); ok {
		return account
	}
	return ""
}
