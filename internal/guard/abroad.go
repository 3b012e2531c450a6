package guard

import (
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/authz/explain"
	"github.com/kagimori/kagimori/internal/policy"
)

// A version is a refused request with its decision as some accounts are told of it.
type version struct {
	req *authz.Request
	d   *authz.Decision
	// only is the account that is told this, not the one that is not; "" is all and none.
	only, not string
	names     []string // old, new, old, new, ...: what names a resource instead
}

// rename puts the names in that the account may know.
func (v *version) rename(s string) string { return strings.NewReplacer(v.names...).Replace(s) }

// versions are the request as it was decided and, if it is about keys of other accounts that these do not
// let the caller use whatever the caller's own policies say, the request as the caller is told of it:
// as if there were no such keys. So neither attributes of a key nor that it exists can be read from the
// evidence or the text, by policies of one's own that depend on them.
func (g *Guard) versions(req *authz.Request, d *authz.Decision) (caller version, all []version) {
	whole := version{req: req, d: d}
	p := &req.Principal
	if d.Outcome == authz.Allowed || p.Type == authz.Service || p.Account == "" {
		return whole, []version{whole}
	}
	told := version{only: p.Account}
	seen := *req
	seen.Parts = slices.Clone(req.Parts)
	exists := false
	for i := range seen.Parts {
		part := &seen.Parts[i]
		if !foreignKey(part, p.Account) || g.ownerAllows(req, part) {
			continue
		}
		exists = exists || part.Policy != nil
		told.req = &seen
		if part.ShownAs != "" {
			id := arn.KMSKey(regionOf(part.Resource.ARN), part.Resource.Account, NewRequestID())
			told.names = append(told.names, id, part.ShownAs)
			part.Resource.ARN = id
		}
		*part = withoutKey(part)
	}
	if told.req == nil {
		return whole, []version{whole}
	}
	decision := authz.Explain(told.req)
	told.d = &decision
	if !exists {
		told.only = ""
		return told, []version{told}
	}
	whole.not = p.Account
	return told, []version{whole, told}
}

func foreignKey(part *authz.Part, account string) bool {
	return part.Authoritative && strings.HasPrefix(part.Action, "kms:") && part.Resource.Account != account && part.Resource.ARN != "*"
}

func regionOf(resource string) string {
	a, err := arn.Parse(resource)
	if err != nil {
		return ""
	}
	return a.Region
}

// withoutKey is a part that has of a key nothing but its name and owner.
func withoutKey(part *authz.Part) authz.Part {
	out := authz.Part{
		Action: part.Action, Authoritative: true, RCPs: part.RCPs, EncryptionContext: part.EncryptionContext, NewGrant: part.NewGrant,
		Resource: authz.Resource{
			ARN: part.Resource.ARN, Account: part.Resource.Account, AccountRole: part.Resource.AccountRole,
			OrgID: part.Resource.OrgID, OrgPaths: part.Resource.OrgPaths,
		},
	}
	for _, e := range part.Context {
		if !explain.OfResource(strings.ToLower(e.Key)) {
			out.Context = append(out.Context, e)
		}
	}
	return out
}

// ownerAllows reports whether the key's policy and grants let the caller do a part if its own side
// does.
func (g *Guard) ownerAllows(req *authz.Request, part *authz.Part) bool {
	p := *part
	p.RCPs = nil
	alone := authz.Request{Principal: req.Principal, Context: req.Context, Identity: g.everything, Parts: []authz.Part{p}}
	return authz.Decide(&alone).Outcome == authz.Allowed
}

// everything is a policy that allows everything.
func everything() []*authz.Document {
	doc, err := authz.NewCache(1).Document(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`, policy.Identity)
	if err != nil {
		panic(err) // a constant
	}
	return []*authz.Document{doc}
}
