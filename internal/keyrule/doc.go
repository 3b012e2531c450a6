// Package keyrule holds what KMS asks of keys and grants beyond permission: which state and kind
// of key an operation works on, what a grant may say, how an identifier names a key, whom a key
// policy may name, and which condition keys a key and a grant bring into a decision.
//
// It is pure. The KMS service and whatever predicts it use the same rules. Errors are
// [*apierr.Error] with the code and message of KMS.
package keyrule

import (
	"slices"

	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/policy"
)

// A Key is what the rules need to know of a key.
type Key struct {
	Region, Account, ID string
	Spec, Usage, Origin string // KeySpec, KeyUsage, Origin
	State               string // KeyState
	AWSManaged          bool
	MultiRegion         bool
	MultiRegionKeyType  string // PRIMARY or REPLICA, of multi-Region keys
	Aliases             []string
	Tags                []authz.Tag
}

// ARN is the key's ARN.
func (k *Key) ARN() string { return arn.KMSKey(k.Region, k.Account, k.ID) }

// Resource is the key as the resource of a decision.
func (k *Key) Resource() authz.Resource { return k.ResourceAs(k.ARN()) }

// ResourceAs is Resource for who has the key's ARN already.
func (k *Key) ResourceAs(keyARN string) authz.Resource {
	return authz.Resource{ARN: keyARN, Account: k.Account, AWSManaged: k.AWSManaged, Tags: k.Tags}
}

// Context are the condition keys that every operation on the key carries. Source: KMS Developer
// Guide, "AWS KMS condition keys".
func (k *Key) Context() authz.Context { return k.AppendContext(nil) }

// AppendContext is Context with its keys after those of c.
func (k *Key) AppendContext(c authz.Context) authz.Context {
	c = k.appendKind(c)
	if len(k.Aliases) > 0 {
		c.SetList("kms:resourcealiases", k.Aliases)
	}
	return c
}

// appendKind adds the condition keys of a key's kind, which CreateKey carries too.
func (k *Key) appendKind(c authz.Context) authz.Context {
	const most = 9 // with aliases, and what the caller adds
	c = slices.Grow(c, most)
	c.Set("kms:keyspec", k.Spec)
	c.Set("kms:customermasterkeyspec", k.Spec)
	c.Set("kms:keyusage", k.Usage)
	c.Set("kms:customermasterkeyusage", k.Usage)
	c.Set("kms:keyorigin", k.Origin)
	c.SetBool("kms:multiregion", k.MultiRegion)
	if k.MultiRegionKeyType != "" {
		c.Set("kms:multiregionkeytype", k.MultiRegionKeyType)
	}
	return c
}

// CreatePart is the evaluation of kms:CreateKey, for a key of this kind; bypass is the parameter
// BypassPolicyLockoutSafetyCheck, nil if absent.
func (k *Key) CreatePart(bypass *bool) authz.Part {
	p := authz.Part{Action: "kms:CreateKey", Resource: authz.Resource{ARN: "*", Account: k.Account}, Context: k.appendKind(nil)}
	Bypass(&p.Context, bypass)
	return p
}

// Bypass sets the condition key of the parameter BypassPolicyLockoutSafetyCheck if that is there.
func Bypass(c *authz.Context, bypass *bool) {
	if bypass != nil {
		c.SetBool("kms:bypasspolicylockoutsafetycheck", *bypass)
	}
}

// A Resolve finds a principal: its unique id, "" if it has none; known is false if there is no such
// principal.
type Resolve func(principal string) (id string, known bool, _ error)

// PolicyPrincipals finds the unique ids of the principals that a key policy names, by ARN; nil if
// there are none. One that does not exist is refused.
func PolicyPrincipals(arns []string, find Resolve) (ids map[string]string, _ error) {
	for _, a := range arns {
		id, known, err := find(a)
		if err != nil {
			return nil, err
		}
		if !known {
			return nil, policy.InvalidKeyPrincipals()
		}
		if id == "" {
			continue
		}
		if ids == nil {
			ids = map[string]string{}
		}
		ids[a] = id
	}
	return ids, nil
}

// LockedOut refuses a policy under which its author could not change it again.
func LockedOut() error {
	return apierr.New("MalformedPolicyDocumentException", "The new key policy will not allow you to update the key policy in the future.")
}
