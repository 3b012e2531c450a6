package keyrule

import (
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
)

// Limits of grants. Source: KMS Developer Guide, "Grant constraints".
const (
	maxConstraintPairs = 8
	maxConstraintValue = 384
)

// grantOrder is every grant operation in the order of the API Reference (CreateGrant, Operations),
// in which grants list theirs.
var grantOrder = []string{
	"Decrypt", "Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "ReEncryptFrom", "ReEncryptTo", "Sign", "Verify",
	"GetPublicKey", "CreateGrant", "RetireGrant", "DescribeKey", "GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext",
	"GenerateMac", "VerifyMac", "DeriveSharedSecret", "Encapsulate", "Decapsulate",
}

// InGrantOrder sorts operations and drops repeated ones.
func InGrantOrder(ops []string) []string {
	out := slices.Clone(ops)
	slices.SortStableFunc(out, func(a, b string) int {
		return slices.Index(grantOrder, a) - slices.Index(grantOrder, b)
	})
	return slices.Compact(out)
}

// GrantOperations lists what a grant on a key of this kind may allow beside CreateGrant,
// DescribeKey and RetireGrant. Source: KMS Developer Guide, "Grant operations".
func GrantOperations(spec, usage string) []string {
	switch {
	case spec == symmetric:
		return []string{
			"Decrypt", "Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "GenerateDataKeyPair",
			"GenerateDataKeyPairWithoutPlaintext", "ReEncryptFrom", "ReEncryptTo",
		}
	case usage == encrypts:
		return []string{"Decrypt", "Encrypt", "ReEncryptFrom", "ReEncryptTo", "GetPublicKey"}
	case usage == signs:
		return []string{"Sign", "Verify", "GetPublicKey"}
	case usage == agrees:
		return []string{"DeriveSharedSecret", "GetPublicKey"}
	case usage == macs:
		return []string{"GenerateMac", "VerifyMac"}
	case usage == encapsulates:
		return []string{"GetPublicKey", "Encapsulate", "Decapsulate"}
	}
	return nil
}

// A Grant is what CreateGrant asks for.
type Grant struct {
	Grantee, Retiring               string // ARNs, or service principals if the next say so
	GranteeService, RetiringService bool
	Operations                      []string
	Equals, Subset                  map[string]string // constraints on the encryption context; nil if absent
	SourceARN                       string
	Issuer                          string // account of the caller
}

// CheckTerms checks the parameters against each other, before it is known which key they are for.
func (g *Grant) CheckTerms() error {
	switch {
	case len(g.Operations) == 0:
		return apierr.Validation("1 validation error detected: Value '[]' at 'operations' failed to satisfy constraint: Member must have length greater than or equal to 1")
	case g.Grantee == "":
		return apierr.Validation("1 validation error detected: Value null at 'granteePrincipal' failed to satisfy constraint: Member must not be null")
	case g.Equals != nil && g.Subset != nil:
		return apierr.Validation("More than one constraint supplied")
	}
	for _, m := range []map[string]string{g.Equals, g.Subset} {
		if len(m) > maxConstraintPairs {
			return apierr.Validation("An encryption context constraint can have at most %d pairs.", maxConstraintPairs)
		}
		for _, v := range m {
			if utf8.RuneCountInString(v) > maxConstraintValue {
				return apierr.Validation("A value in an encryption context constraint can have at most %d characters.", maxConstraintValue)
			}
		}
	}
	if g.GranteeService && (g.SourceARN == "" || g.Retiring == "") {
		return apierr.Validation("A grant for a service principal requires a SourceArn constraint and a retiring principal.")
	}
	return nil
}

// CheckOn refuses operations and constraints that the key's kind does not have.
func (g *Grant) CheckOn(k *Key) error {
	common := []string{"CreateGrant", "DescribeKey", "RetireGrant"}
	own := GrantOperations(k.Spec, k.Usage)
	for _, op := range g.Operations {
		if !slices.Contains(common, op) && !slices.Contains(own, op) {
			return apierr.Validation("Grant operation %s is not supported for a KMS key with key spec %s and key usage %s.", op, k.Spec, k.Usage)
		}
	}
	if (g.Equals != nil || g.Subset != nil) && k.Spec != symmetric {
		return apierr.Validation("EncryptionContext is supported only when creating a grant for a symmetric encryption KMS key.")
	}
	return nil
}

// Principal finds the unique id of a principal that a grant names. One that does not exist, or
// cannot be a grantee, is refused. "" names nobody and has none, and neither has a service, such as
// ec2.amazonaws.com: AWS takes its name from every caller, though the API Reference tells of ARNs
// only. Sources: CloudTrail records of EBS; Terraform AWS provider, pull request 32595.
func Principal(who string, find Resolve) (id string, _ error) {
	if who == "" || strings.HasSuffix(who, ".amazonaws.com") && !strings.Contains(who, ":") {
		return "", nil
	}
	if a, err := arn.Parse(who); err != nil || strings.HasPrefix(a.Resource, "group/") {
		return "", apierr.Newf("InvalidArnException", "ARN %s is not a valid principal", who)
	}
	id, known, err := find(who)
	if err == nil && !known {
		err = apierr.Newf("InvalidArnException", "ARN does not refer to a valid principal: %s", who)
	}
	return id, err
}

// Authz is the grant as the decision about CreateGrant wants it.
func (g *Grant) Authz() authz.Grant {
	return authz.Grant{
		Grantee: g.Grantee, Retiring: g.Retiring, IssuingAccount: g.Issuer, Operations: g.Operations,
		ContextEquals: g.Equals, ContextSubset: g.Subset, SourceARN: g.SourceARN,
	}
}

// Describe adds to a part of kms:CreateGrant the condition keys of the grant; forService tells
// whether a service asks for it. Source: KMS Developer Guide, "AWS KMS condition keys".
func (g *Grant) Describe(p *authz.Part, forService bool) {
	p.Context.SetBool("kms:grantisforawsresource", forService)
	p.Context.SetList("kms:grantoperations", g.Operations)
	if g.GranteeService {
		p.Context.Set("kms:granteeserviceprincipal", g.Grantee)
	} else {
		p.Context.Set("kms:granteeprincipal", g.Grantee)
	}
	switch {
	case g.RetiringService:
		p.Context.Set("kms:retiringserviceprincipal", g.Retiring)
	case g.Retiring != "":
		p.Context.Set("kms:retiringprincipal", g.Retiring)
	}
	g.DescribeConstraint(p)
	if g.SourceARN != "" {
		p.Context.Set("kms:grantconstraintsourcearn", g.SourceARN)
	}
}

// DescribeConstraint adds the condition keys of the constraint on the encryption context.
func (g *Grant) DescribeConstraint(p *authz.Part) {
	switch {
	case g.Equals != nil:
		p.Context.Set("kms:grantconstrainttype", "EncryptionContextEquals")
		EncryptionContext(p, g.Equals)
	case g.Subset != nil:
		p.Context.Set("kms:grantconstrainttype", "EncryptionContextSubset")
		EncryptionContext(p, g.Subset)
	}
}

// EncryptionContext gives a part an encryption context and its condition keys.
func EncryptionContext(p *authz.Part, context map[string]string) {
	if len(context) == 0 {
		return
	}
	p.EncryptionContext = context
	keys := slices.Sorted(maps.Keys(context))
	for _, k := range keys { // of keys that differ in case only, the last counts, always the same one
		p.Context.Set("kms:encryptioncontext:"+k, context[k])
	}
	p.Context.SetList("kms:encryptioncontextkeys", keys)
}
