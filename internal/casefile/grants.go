package casefile

import (
	"maps"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/policy"
)

// grants adds the grants of the key and what the request's parameters say. The first grant is
// what kms:RetireGrant is about.
func (c *Case) grants(part *authz.Part) {
	for _, g := range c.Grants {
		if g.elsewhere(c.Resource.ARN) {
			continue
		}
		issuer, _ := policy.IsAccountPrincipal(g.IssuingAccount)
		part.Grants = append(part.Grants, authz.Grant{
			ID: g.ID, Grantee: g.GranteePrincipal + g.GranteeServicePrincipal, Retiring: g.RetiringPrincipal + g.RetiringServicePrincipal,
			IssuingAccount: issuer, Operations: g.Operations, SourceARN: g.Constraints.SourceARN,
			ContextEquals: g.Constraints.EncryptionContextEquals, ContextSubset: g.Constraints.EncryptionContextSubset,
		})
	}
	context := c.Request.EncryptionContext
	switch strings.ToLower(c.Action) {
	case "kms:retiregrant":
		if len(part.Grants) > 0 {
			part.Target = &part.Grants[0]
		}
	case "kms:creategrant":
		if own := c.newGrant(part); own != nil {
			context = own
		}
	}
	if len(context) == 0 {
		return
	}
	part.EncryptionContext = context
	keys := slices.Sorted(maps.Keys(context))
	for _, k := range keys {
		part.Context.Set("kms:encryptioncontext:"+k, context[k])
	}
	part.Context.SetList("kms:encryptioncontextkeys", keys)
}

// newGrant describes the grant that kms:CreateGrant asks for and returns the encryption context
// of its constraint.
func (c *Case) newGrant(part *authz.Part) map[string]string {
	r := &c.Request
	part.NewGrant = &authz.Grant{
		Grantee: r.GranteePrincipal + r.GranteeServicePrincipal, Retiring: r.RetiringPrincipal + r.RetiringServicePrincipal,
		Operations: r.GrantOperations, SourceARN: r.Constraints.SourceARN,
		ContextEquals: r.Constraints.EncryptionContextEquals, ContextSubset: r.Constraints.EncryptionContextSubset,
	}
	ctx := &part.Context
	if r.GrantOperations != nil {
		ctx.SetList("kms:grantoperations", r.GrantOperations)
	}
	for _, key := range [...][2]string{
		{"kms:granteeprincipal", r.GranteePrincipal}, {"kms:granteeserviceprincipal", r.GranteeServicePrincipal},
		{"kms:retiringprincipal", r.RetiringPrincipal}, {"kms:retiringserviceprincipal", r.RetiringServicePrincipal},
		{"kms:grantconstraintsourcearn", r.Constraints.SourceARN},
	} {
		if key[1] != "" {
			ctx.Set(key[0], key[1])
		}
	}
	if m := r.Constraints.EncryptionContextEquals; m != nil {
		ctx.Set("kms:grantconstrainttype", "EncryptionContextEquals")
		return m
	}
	if m := r.Constraints.EncryptionContextSubset; m != nil {
		ctx.Set("kms:grantconstrainttype", "EncryptionContextSubset")
		return m
	}
	return nil
}

// elsewhere reports whether a grant says that it is one on another key than that of an ARN. A grant
// is for one key. Source: KMS Developer Guide, "Grants in AWS KMS".
func (g *Grant) elsewhere(resource string) bool {
	a, err := arn.Parse(resource)
	return err == nil && a.Service == "kms" && a.Type() == "key" && g.KeyID != "" && g.KeyID != resource && g.KeyID != a.ID()
}
