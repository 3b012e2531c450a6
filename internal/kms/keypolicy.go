package kms

import (
	"context"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/keyrule"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/store"
)

// policyName is the name of the one policy that a key has.
const policyName = "default"

// setPolicy puts a policy on a record: the given text, with the unique ids of its principals, or
// the default policy of the record's account.
func (s *Service) setPolicy(ctx context.Context, k *keyRecord, text *string) error {
	if text == nil {
		k.Policy, k.PolicyIDs = policy.DefaultKeyPolicy(k.Account), nil
		return nil
	}
	doc, err := policy.CheckKey([]byte(*text))
	if err != nil {
		return err
	}
	ids, err := s.principalIDs(ctx, doc.PrincipalARNs())
	k.Policy, k.PolicyIDs = *text, ids
	return err
}

// principalIDs finds the unique ids of the principals that a policy names. They are read outside
// the transaction that uses them, for a policy may name more than a transaction can read; an id
// never comes to mean somebody else.
func (s *Service) principalIDs(ctx context.Context, arns []string) (ids map[string]string, err error) {
	err = s.g.Read(ctx, func(tx store.Tx) (err error) {
		ids, err = keyrule.PolicyPrincipals(arns, func(a string) (string, bool, error) { return s.dir.Resolve(tx, a) })
		return err
	})
	return ids, err
}

// checkLockout refuses a policy under which the caller could not change it again.
func (s *Service) checkLockout(tx store.Tx, c *guard.Call, k *keyRecord) error {
	v, err := s.buildView(new(*k))
	if err != nil {
		return err
	}
	allowed, err := s.g.Allowed(tx, c, v.part(c, "kms:PutKeyPolicy"))
	if err == nil && !allowed {
		err = keyrule.LockedOut()
	}
	return err
}

// GetKeyPolicy gives the policy's text. A principal that was renamed shows by its new ARN, one that
// was deleted by its unique id.
func (s *Service) GetKeyPolicy(ctx context.Context, c *guard.Call, in *kmsapi.GetKeyPolicyRequest) (*kmsapi.GetKeyPolicyResponse, error) {
	var out *kmsapi.GetKeyPolicyResponse
	err := s.read(ctx, c, in.KeyId, "kms:GetKeyPolicy", func(tx store.Tx, k *keyView) error {
		if n := in.PolicyName; n != nil && *n != policyName {
			return notFound("No such policy exists")
		}
		names := map[string]string{}
		for a, id := range k.PolicyIDs {
			name, err := s.dir.NameOf(tx, a, id)
			if err != nil {
				return err
			}
			if name != a {
				names[a] = name
			}
		}
		text := k.Policy
		if len(names) > 0 {
			text = string(policy.ReplacePrincipals([]byte(text), names))
		}
		out = &kmsapi.GetKeyPolicyResponse{Policy: &text, PolicyName: new(policyName)}
		return nil
	})
	return out, err
}

// PutKeyPolicy replaces the policy. It is decided before the policy is looked at, so that nobody
// learns from it which principals exist, and again in the transaction that changes the key.
func (s *Service) PutKeyPolicy(ctx context.Context, c *guard.Call, in *kmsapi.PutKeyPolicyRequest) error {
	more := func(p *authz.Part) {
		keyrule.Bypass(&p.Context, in.BypassPolicyLockoutSafetyCheck)
	}
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		k, err := s.resolve(tx, c, in.KeyId, false)
		if err != nil {
			return err
		}
		return s.allowWith(tx, c, k.keyView, "kms:PutKeyPolicy", more)
	})
	if err != nil {
		return err
	}
	if n := in.PolicyName; n != nil && *n != policyName {
		return apierr.New("UnsupportedOperationException", "Only default policy is supported")
	}
	var checked keyRecord
	if err := s.setPolicy(ctx, &checked, in.Policy); err != nil {
		return err
	}
	return s.change(ctx, c, in.KeyId, "kms:PutKeyPolicy", opRead, more, func(tx store.Tx, k *keyRecord) error {
		k.Policy, k.PolicyIDs = checked.Policy, checked.PolicyIDs
		if api.Val(in.BypassPolicyLockoutSafetyCheck) {
			return nil
		}
		return s.checkLockout(tx, c, k)
	})
}

// ListKeyPolicies lists the one policy that a key has.
func (s *Service) ListKeyPolicies(ctx context.Context, c *guard.Call, in *kmsapi.ListKeyPoliciesRequest) (*kmsapi.ListKeyPoliciesResponse, error) {
	if _, err := s.page(in.Marker, in.Limit, 100, 1000); err != nil {
		return nil, err
	}
	err := s.read(ctx, c, in.KeyId, "kms:ListKeyPolicies", func(store.Tx, *keyView) error { return nil })
	if err != nil {
		return nil, err
	}
	return &kmsapi.ListKeyPoliciesResponse{PolicyNames: []string{policyName}, Truncated: new(false)}, nil
}
