package kms

import (
	"context"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/keyrule"
	"github.com/kagimori/kagimori/internal/store"
)

// maxGrants is the most grants on a key. Source: KMS Developer Guide, "Resource quotas".
const maxGrants = 50000

// grantIDLen is the length of a grant id in hex digits.
const grantIDLen = 64

// grantsOf reads the grants on a key that may concern a principal: those to itself or, by unique
// id, to its user or role, and those to its account.
func grantsOf(tx store.Tx, k *keyView, p *authz.Principal) ([]authz.Grant, error) {
	candidates := []string{p.ARN}
	for _, who := range [...]string{p.UniqueID, p.RoleARN, p.ParentARN} {
		if who != "" {
			candidates = append(candidates, who)
		}
	}
	if p.Account != "" && p.Type != authz.Root {
		candidates = append(candidates, arn.Root(p.Account))
	}
	var out []authz.Grant
	for _, who := range candidates {
		for r, err := range granteeTable.Scan(tx, k.Region, k.Account, k.ID, who) {
			if err != nil {
				return nil, err
			}
			out = append(out, r.Value.authz())
		}
	}
	return out, nil
}

// CreateGrant lets a principal use a key within the grant's operations and constraints.
func (s *Service) CreateGrant(ctx context.Context, c *guard.Call, in *kmsapi.CreateGrantRequest) (*kmsapi.CreateGrantResponse, error) {
	if err := s.checkTokens(in.GrantTokens); err != nil {
		return nil, err
	}
	asked, err := newGrant(c, in)
	if err != nil {
		return nil, err
	}
	var (
		out *kmsapi.CreateGrantResponse
		of  *keyView
	)
	err = s.g.Update(ctx, c, func(tx store.Tx) error {
		k, err := s.resolve(tx, c, in.KeyId, false)
		if err != nil {
			return err
		}
		g := *asked
		if err := s.authorizeGrant(tx, c, k.keyView, &g, api.Val(in.DryRun)); err != nil {
			return err
		}
		if err := s.resolveGrantPrincipals(tx, &g); err != nil {
			return err
		}
		if err := g.terms().CheckOn(new(k.rule())); err != nil {
			return err
		}
		if err := k.check(opCreateGrant); err != nil {
			return err
		}
		if api.Val(in.DryRun) {
			if _, err := g.place(tx, k.keyView); err != nil {
				return err
			}
			return errDryRun
		}
		id, err := s.putGrant(tx, k.keyView, g)
		if err != nil {
			return err
		}
		out, of = &kmsapi.CreateGrantResponse{GrantId: &id}, k.keyView
		c.Respond(&kmsapi.RevokeGrantRequest{GrantId: &id, KeyId: &k.arn}) // without the token, with the key: see affects
		return nil
	})
	if err != nil {
		return nil, err
	}
	out.GrantToken = new(s.grantToken(of.Region, of.Account, of.ID, *out.GrantId))
	return out, nil
}

// newGrant checks the parameters of CreateGrant against each other.
func newGrant(c *guard.Call, in *kmsapi.CreateGrantRequest) (*grantRecord, error) {
	g := &grantRecord{
		Region: c.Region, Name: api.Val(in.Name), Issuer: c.Account(), Operations: keyrule.InGrantOrder(in.Operations),
		Grantee: api.Val(in.GranteePrincipal), Retiring: api.Val(in.RetiringPrincipal),
	}
	if in.GranteeServicePrincipal != nil {
		if in.GranteePrincipal != nil {
			return nil, apierr.Validation("Specify either GranteePrincipal or GranteeServicePrincipal, not both.")
		}
		g.Grantee, g.GranteeService = *in.GranteeServicePrincipal, true
	}
	if in.RetiringServicePrincipal != nil {
		if in.RetiringPrincipal != nil {
			return nil, apierr.Validation("Specify either RetiringPrincipal or RetiringServicePrincipal, not both.")
		}
		g.Retiring, g.RetiringSvc = *in.RetiringServicePrincipal, true
	}
	if cons := in.Constraints; cons != nil {
		g.SourceARN = api.Val(cons.SourceArn)
		if len(cons.EncryptionContextEquals) > 0 { // an empty map is no constraint
			g.Equals = cons.EncryptionContextEquals
		}
		if len(cons.EncryptionContextSubset) > 0 {
			g.Subset = cons.EncryptionContextSubset
		}
	}
	return g, g.terms().CheckTerms()
}

// terms is the grant as the rules of grants know it.
func (g *grantRecord) terms() *keyrule.Grant {
	return &keyrule.Grant{
		Grantee: g.Grantee, GranteeService: g.GranteeService, Retiring: g.Retiring, RetiringService: g.RetiringSvc,
		Operations: g.Operations, Equals: g.Equals, Subset: g.Subset, SourceARN: g.SourceARN, Issuer: g.Issuer,
	}
}

// resolveGrantPrincipals keeps the unique ids of grantee and retiring principal. One that does
// not exist is refused.
func (s *Service) resolveGrantPrincipals(tx store.Tx, g *grantRecord) error {
	find := func(who string) (string, bool, error) { return s.dir.Resolve(tx, who) }
	var err error
	if !g.GranteeService {
		if g.GranteeID, err = keyrule.Principal(g.Grantee, find); err != nil {
			return err
		}
	}
	if !g.RetiringSvc {
		g.RetiringID, err = keyrule.Principal(g.Retiring, find)
	}
	return err
}

func (s *Service) authorizeGrant(tx store.Tx, c *guard.Call, k *keyView, g *grantRecord, dryRun bool) error {
	c.Touch(k.arn, k.Account, keyType)
	p := k.part(c, "kms:CreateGrant")
	g.terms().Describe(&p, c.Caller.Forwarded())
	p.NewGrant = new(g.authz())
	_, err := s.authorize(tx, c, k, p, dryRun)
	return err
}

// grantIsForAWSResource is true when a service makes the call for its caller.
func grantIsForAWSResource(c *guard.Call, p *authz.Part) {
	p.Context.SetBool("kms:grantisforawsresource", c.Caller.Forwarded())
}
