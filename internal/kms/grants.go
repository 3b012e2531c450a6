package kms

import (
	"context"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// Limits of grants. Source: KMS Developer Guide, "Resource quotas" and "Grant constraints".
const (
	maxGrants          = 50000
	maxConstraintPairs = 8
	maxConstraintValue = 384
)

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
	var out *kmsapi.CreateGrantResponse
	err = s.g.Update(ctx, c, func(tx store.Tx) error {
		k, err := s.resolve(tx, c, in.KeyId, false)
		if err != nil {
			return err
		}
		g := *asked
		if err := s.authorizeGrant(tx, c, k.keyView, &g, api.Val(in.DryRun)); err != nil {
			return err
		}
		if err := s.resolveGrantPrincipals(tx, c, &g); err != nil {
			return err
		}
		if err := checkGrant(k.keyView, &g); err != nil {
			return err
		}
		if err := opCreateGrant.check(k.keyView); err != nil {
			return err
		}
		if api.Val(in.DryRun) {
			return errDryRun
		}
		id, err := s.putGrant(tx, k.keyView, g)
		if err != nil {
			return err
		}
		out = &kmsapi.CreateGrantResponse{GrantId: &id}
		c.Respond(out)
		out.GrantToken = new(s.grantToken(k.Region, k.Account, k.ID, id))
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// newGrant checks the parameters of CreateGrant against each other.
func newGrant(c *guard.Call, in *kmsapi.CreateGrantRequest) (*grantRecord, error) {
	g := &grantRecord{
		Region: c.Region, Name: api.Val(in.Name), Issuer: c.Account(), Operations: inGrantOrder(in.Operations),
		Grantee: api.Val(in.GranteePrincipal), Retiring: api.Val(in.RetiringPrincipal),
	}
	if len(in.Operations) == 0 {
		return nil, apierr.Validation("1 validation error detected: Value '[]' at 'operations' failed to satisfy constraint: Member must have length greater than or equal to 1")
	}
	if in.GranteeServicePrincipal != nil {
		if in.GranteePrincipal != nil {
			return nil, apierr.Validation("Specify either GranteePrincipal or GranteeServicePrincipal, not both.")
		}
		g.Grantee, g.GranteeService = *in.GranteeServicePrincipal, true
	}
	if g.Grantee == "" {
		return nil, apierr.Validation("1 validation error detected: Value null at 'granteePrincipal' failed to satisfy constraint: Member must not be null")
	}
	if in.RetiringServicePrincipal != nil {
		if in.RetiringPrincipal != nil {
			return nil, apierr.Validation("Specify either RetiringPrincipal or RetiringServicePrincipal, not both.")
		}
		g.Retiring, g.RetiringSvc = *in.RetiringServicePrincipal, true
	}
	if cons := in.Constraints; cons != nil {
		g.SourceARN = api.Val(cons.SourceArn)
		if len(cons.EncryptionContextEquals) > 0 && len(cons.EncryptionContextSubset) > 0 {
			return nil, apierr.Validation("More than one constraint supplied")
		}
		if len(cons.EncryptionContextEquals) > 0 { // an empty map is no constraint
			g.Equals = cons.EncryptionContextEquals
		}
		if len(cons.EncryptionContextSubset) > 0 {
			g.Subset = cons.EncryptionContextSubset
		}
		for _, m := range []map[string]string{g.Equals, g.Subset} {
			if err := checkConstraint(m); err != nil {
				return nil, err
			}
		}
	}
	if g.GranteeService && (g.SourceARN == "" || g.Retiring == "") {
		return nil, apierr.Validation("A grant for a service principal requires a SourceArn constraint and a retiring principal.")
	}
	return g, nil
}

func checkConstraint(m map[string]string) error {
	if len(m) > maxConstraintPairs {
		return apierr.Validation("An encryption context constraint can have at most %d pairs.", maxConstraintPairs)
	}
	for _, v := range m {
		if utf8.RuneCountInString(v) > maxConstraintValue {
			return apierr.Validation("A value in an encryption context constraint can have at most %d characters.", maxConstraintValue)
		}
	}
	return nil
}

// checkGrant refuses operations and constraints that the key's kind does not have.
func checkGrant(k *keyView, g *grantRecord) error {
	common := []string{"CreateGrant", "DescribeKey", "RetireGrant"}
	own := grantOperations(k.Spec, k.Usage)
	for _, op := range g.Operations {
		if !slices.Contains(common, op) && !slices.Contains(own, op) {
			return apierr.Validation("Grant operation %s is not supported for a KMS key with key spec %s and key usage %s.", op, k.Spec, k.Usage)
		}
	}
	if (g.Equals != nil || g.Subset != nil) && k.Spec != kmsapi.KeySpecSYMMETRIC_DEFAULT {
		return apierr.Validation("EncryptionContext is supported only when creating a grant for a symmetric encryption KMS key.")
	}
	return nil
}

// resolveGrantPrincipals keeps the unique ids of grantee and retiring principal. One that does
// not exist is refused.
func (s *Service) resolveGrantPrincipals(tx store.Tx, c *guard.Call, g *grantRecord) error {
	// A service that acts for its caller names itself in the ordinary members too (EC2 as the
	// retiring principal of its grants). Source: CloudTrail records of EBS.
	services := c.Caller.Forwarded() || c.Caller.Principal.Type == authz.Service
	resolve := func(who string, service bool, id *string) error {
		if who == "" || service || services && strings.HasSuffix(who, ".amazonaws.com") {
			return nil
		}
		if a, err := arn.Parse(who); err != nil || strings.HasPrefix(a.Resource, "group/") {
			return apierr.Newf("InvalidArnException", "ARN %s is not a valid principal", who)
		}
		found, known, err := s.dir.Resolve(tx, who)
		if err != nil {
			return err
		}
		if !known {
			return apierr.Newf("InvalidArnException", "ARN does not refer to a valid principal: %s", who)
		}
		*id = found
		return nil
	}
	if err := resolve(g.Grantee, g.GranteeService, &g.GranteeID); err != nil {
		return err
	}
	return resolve(g.Retiring, g.RetiringSvc, &g.RetiringID)
}

func (s *Service) authorizeGrant(tx store.Tx, c *guard.Call, k *keyView, g *grantRecord, dryRun bool) error {
	c.Touch(k.arn, k.Account, "AWS::KMS::Key")
	p := k.part("kms:CreateGrant")
	grantIsForAWSResource(c, &p)
	p.Context.SetList("kms:grantoperations", g.Operations)
	if g.GranteeService {
		p.Context.Set("kms:granteeserviceprincipal", g.Grantee)
	} else {
		p.Context.Set("kms:granteeprincipal", g.Grantee)
	}
	switch {
	case g.RetiringSvc:
		p.Context.Set("kms:retiringserviceprincipal", g.Retiring)
	case g.Retiring != "":
		p.Context.Set("kms:retiringprincipal", g.Retiring)
	}
	g.describe(&p)
	if g.SourceARN != "" {
		p.Context.Set("kms:grantconstraintsourcearn", g.SourceARN)
	}
	p.NewGrant = new(g.authz())
	_, err := s.authorize(tx, c, k, p, dryRun)
	return err
}

// describe sets the condition keys of a grant's constraint on the encryption context.
func (g *grantRecord) describe(p *authz.Part) {
	switch {
	case g.Equals != nil:
		p.Context.Set("kms:grantconstrainttype", "EncryptionContextEquals")
		encryptionContext(p, g.Equals)
	case g.Subset != nil:
		p.Context.Set("kms:grantconstrainttype", "EncryptionContextSubset")
		encryptionContext(p, g.Subset)
	}
}

// grantIsForAWSResource is true when a service makes the call for its caller.
func grantIsForAWSResource(c *guard.Call, p *authz.Part) {
	p.Context.SetBool("kms:grantisforawsresource", c.Caller.Forwarded())
}
