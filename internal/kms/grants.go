package kms

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

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

// grantsOf reads the grants on a key that may concern a principal.
func (s *Service) grantsOf(tx store.Tx, k *keyView, p *authz.Principal) ([]authz.Grant, error) {
	candidates := []string{p.ARN}
	if p.UniqueID != "" {
		candidates = append(candidates, p.UniqueID)
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
			g, found, err := grantTable.Get(tx, k.Region, k.Account, k.ID, r.Key[4])
			if err != nil {
				return nil, err
			}
			if found {
				out = append(out, g.authz())
			}
		}
	}
	return out, nil
}

// CreateGrant lets a principal use a key within the grant's operations and constraints.
func (s *Service) CreateGrant(ctx context.Context, c *guard.Call, in *kmsapi.CreateGrantRequest) (*kmsapi.CreateGrantResponse, error) {
	if err := s.checkTokens(in.GrantTokens); err != nil {
		return nil, err
	}
	g, err := newGrant(c, in)
	if err != nil {
		return nil, err
	}
	var out *kmsapi.CreateGrantResponse
	create := func(tx store.Tx) error {
		k, err := s.resolve(tx, c, in.KeyId, false)
		if err != nil {
			return err
		}
		if err := s.resolveGrantPrincipals(tx, g); err != nil {
			return err
		}
		if err := s.authorizeGrant(tx, c, k.keyView, g, api.Val(in.DryRun)); err != nil {
			return err
		}
		if err := checkGrant(k.keyView, g); err != nil {
			return err
		}
		if err := opCreateGrant.check(k.keyView); err != nil {
			return err
		}
		if api.Val(in.DryRun) {
			return errDryRun
		}
		id, err := s.putGrant(tx, k.keyView, *g)
		if err != nil {
			return err
		}
		out = &kmsapi.CreateGrantResponse{GrantId: &id}
		c.Respond(out)
		out.GrantToken = new(s.grantToken(k.Region, k.Account, k.ID, id))
		return nil
	}
	err = s.g.Update(ctx, c, create)
	return out, err
}

// newGrant checks the parameters of CreateGrant against each other.
func newGrant(c *guard.Call, in *kmsapi.CreateGrantRequest) (*grantRecord, error) {
	g := &grantRecord{
		Region: c.Region, Name: api.Val(in.Name), Issuer: c.Account(), Operations: slices.Compact(slices.Sorted(slices.Values(in.Operations))),
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
		if len(v) > maxConstraintValue {
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
func (s *Service) resolveGrantPrincipals(tx store.Tx, g *grantRecord) error {
	resolve := func(who string, service bool, id *string) error {
		// EC2 and EBS name themselves as grantee or retiring principal in the ordinary members.
		if who == "" || service || strings.HasSuffix(who, ".amazonaws.com") {
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
	p, err := s.part(tx, c, k, "kms:CreateGrant")
	if err != nil {
		return err
	}
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
	switch {
	case g.Equals != nil:
		p.Context.Set("kms:grantconstrainttype", "EncryptionContextEquals")
		encryptionContext(&p, g.Equals)
	case g.Subset != nil:
		p.Context.Set("kms:grantconstrainttype", "EncryptionContextSubset")
		encryptionContext(&p, g.Subset)
	}
	if g.SourceARN != "" {
		p.Context.Set("kms:grantconstraintsourcearn", g.SourceARN)
	}
	p.NewGrant = new(g.authz())
	_, err = s.g.Authorize(tx, c, guard.Check{Parts: []authz.Part{p}, DryRun: dryRun})
	return err
}

// grantIsForAWSResource is true when a service makes the call for its caller.
func grantIsForAWSResource(c *guard.Call, p *authz.Part) {
	p.Context.SetBool("kms:grantisforawsresource", c.Caller.Forwarded())
}

// putGrant writes a grant, or finds the one that an identical named request made.
func (s *Service) putGrant(tx store.Tx, k *keyView, g grantRecord) (string, error) {
	g.Account, g.KeyID, g.Created = k.Account, k.ID, s.g.Now().Truncate(time.Millisecond)
	hash := g.hash()
	if g.Name != "" {
		id, found, err := grantNames.Get(tx, k.Region, k.Account, k.ID, g.Name, hash)
		if err != nil || found {
			return id, err
		}
	}
	if k.Grants >= maxGrants && k.Manager == kmsapi.KeyManagerTypeCUSTOMER {
		return "", apierr.Newf("LimitExceededException", "Key %s already has %d grants", k.arn, maxGrants)
	}
	var b [32]byte
	rand.Read(b[:]) // never fails
	g.ID = hex.EncodeToString(b[:])
	if err := grantTable.Put(tx, g, k.Region, k.Account, k.ID, g.ID); err != nil {
		return "", err
	}
	if err := granteeTable.Put(tx, struct{}{}, k.Region, k.Account, k.ID, g.granteeKey(), g.ID); err != nil {
		return "", err
	}
	if g.Retiring != "" {
		if err := retiringTable.Put(tx, struct{}{}, k.Region, g.retiringKey(), k.Account, k.ID, g.ID); err != nil {
			return "", err
		}
	}
	if g.Name != "" {
		if err := grantNames.Put(tx, g.ID, k.Region, k.Account, k.ID, g.Name, hash); err != nil {
			return "", err
		}
	}
	return g.ID, countGrants(tx, k, 1)
}

// deleteGrant removes a grant and everything that points to it.
func (s *Service) deleteGrant(tx store.Tx, k *keyView, g grantRecord) error {
	if err := grantTable.Delete(tx, k.Region, k.Account, k.ID, g.ID); err != nil {
		return err
	}
	if err := granteeTable.Delete(tx, k.Region, k.Account, k.ID, g.granteeKey(), g.ID); err != nil {
		return err
	}
	if g.Retiring != "" {
		if err := retiringTable.Delete(tx, k.Region, g.retiringKey(), k.Account, k.ID, g.ID); err != nil {
			return err
		}
	}
	if g.Name != "" {
		if err := grantNames.Delete(tx, k.Region, k.Account, k.ID, g.Name, g.hash()); err != nil {
			return err
		}
	}
	return countGrants(tx, k, -1)
}

func countGrants(tx store.Tx, k *keyView, by int) error {
	rec, found, err := keyTable.Get(tx, k.Region, k.Account, k.ID)
	if err != nil || !found {
		return fmt.Errorf("kms: key %s vanished in its transaction: %w", k.arn, err)
	}
	rec.Grants += by
	return keyTable.Put(tx, rec, rec.Region, rec.Account, rec.ID)
}

// hash identifies the parameters of a grant beside its name.
func (g *grantRecord) hash() string {
	data, err := json.Marshal([]any{
		g.Grantee, g.GranteeID, g.Retiring, g.RetiringID, g.Issuer, g.Operations, pairs(g.Equals), pairs(g.Subset), g.SourceARN,
	})
	if err != nil {
		panic(err) // strings always encode
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func pairs(m map[string]string) [][2]string {
	var out [][2]string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, [2]string{k, m[k]})
	}
	return out
}

// grantToken makes a token that names a grant. It gives no right by itself.
func (s *Service) grantToken(region, account, key, grant string) string {
	sealed := s.tokens.Seal([]byte(store.Key(region, account, key, grant)), nil)
	return base64.RawURLEncoding.EncodeToString(sealed)
}

// openToken gives region, account, key and grant of a token.
func (s *Service) openToken(token string) ([]string, error) {
	invalid := apierr.New("InvalidGrantTokenException", "")
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return nil, invalid
	}
	plain, err := s.tokens.Open(raw, nil)
	if err != nil {
		return nil, invalid
	}
	parts := store.SplitKey(string(plain))
	if len(parts) != 4 {
		return nil, invalid
	}
	return parts, nil
}

// checkTokens refuses tokens that no CreateGrant made. They have no other effect: a grant here is
// visible as soon as it is made.
func (s *Service) checkTokens(tokens []string) error {
	for _, t := range tokens {
		if _, err := s.openToken(t); err != nil {
			return err
		}
	}
	return nil
}

// RevokeGrant ends a grant.
func (s *Service) RevokeGrant(ctx context.Context, c *guard.Call, in *kmsapi.RevokeGrantRequest) error {
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		k, err := s.resolve(tx, c, in.KeyId, false)
		if err != nil {
			return err
		}
		c.Touch(k.arn, k.Account, "AWS::KMS::Key")
		p, err := s.part(tx, c, k.keyView, "kms:RevokeGrant")
		if err != nil {
			return err
		}
		grantIsForAWSResource(c, &p)
		if _, err := s.g.Authorize(tx, c, guard.Check{Parts: []authz.Part{p}, DryRun: api.Val(in.DryRun)}); err != nil {
			return err
		}
		g, found, err := grantTable.Get(tx, k.Region, k.Account, k.ID, api.Val(in.GrantId))
		if err != nil {
			return err
		}
		if !found {
			return notFound("Grant ID %s not found", api.Val(in.GrantId))
		}
		if api.Val(in.DryRun) {
			return errDryRun
		}
		return s.deleteGrant(tx, k.keyView, g)
	})
}

// RetireGrant lets those whom a grant itself names end it.
func (s *Service) RetireGrant(ctx context.Context, c *guard.Call, in *kmsapi.RetireGrantRequest) error {
	var named []string
	switch {
	case in.GrantToken != nil && in.KeyId == nil && in.GrantId == nil:
		parts, err := s.openToken(*in.GrantToken)
		if err != nil {
			return err
		}
		named = parts
	case in.GrantToken == nil && in.KeyId != nil && in.GrantId != nil:
	default:
		return apierr.Validation("Grant token OR (grant ID, key ID) must be specified")
	}
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		id := in.KeyId
		grantID := api.Val(in.GrantId)
		if named != nil {
			id, grantID = new(arn.KMSKey(named[0], named[1], named[2])), named[3]
		}
		k, err := s.resolve(tx, c, id, false)
		if err != nil {
			return err
		}
		g, found, err := grantTable.Get(tx, k.Region, k.Account, k.ID, grantID)
		if err != nil {
			return err
		}
		if !found {
			return notFound("Grant ID %s not found", grantID)
		}
		c.Touch(k.arn, k.Account, "AWS::KMS::Key")
		c.Note("grantId", grantID)
		p, err := s.part(tx, c, k.keyView, "kms:RetireGrant")
		if err != nil {
			return err
		}
		p.Target = new(g.authz())
		if g.Equals != nil {
			encryptionContext(&p, g.Equals)
		} else {
			encryptionContext(&p, g.Subset)
		}
		if _, err := s.g.Authorize(tx, c, guard.Check{Parts: []authz.Part{p}, DryRun: api.Val(in.DryRun)}); err != nil {
			return err
		}
		if api.Val(in.DryRun) {
			return errDryRun
		}
		return s.deleteGrant(tx, k.keyView, g)
	})
}
