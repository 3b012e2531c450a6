package iam

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

func withPolicy(policyARN *string) func(*authz.Context) {
	return func(ctx *authz.Context) { ctx.Set("iam:policyarn", api.Val(policyARN)) }
}

// attach puts a managed policy on a user, role or group; a second time changes nothing.
func (s *Service) attach(ctx context.Context, c *guard.Call, k kind, name, policyARN *string, action string) error {
	return s.change(ctx, c, k, name, action, withPolicy(policyARN), func(tx store.Tx, p *principal) error {
		m, err := s.findPolicy(tx, c.Account(), api.Val(policyARN))
		if err != nil {
			return err
		}
		switch {
		case !m.exists():
			return noSuchEntity("Policy %s does not exist or is not attachable.", m.arn)
		case m.ofService():
			return notAttachable()
		case slices.Contains(*p.attachedPolicy, m.arn):
			return nil
		case len(*p.attachedPolicy) >= maxAttached:
			return exceeded("Cannot exceed quota for %s: %d", k.attached, maxAttached)
		}
		*p.attachedPolicy = append(*p.attachedPolicy, m.arn)
		return s.countAttached(tx, m, 1)
	})
}

func (s *Service) detach(ctx context.Context, c *guard.Call, k kind, name, policyARN *string, action string) error {
	return s.change(ctx, c, k, name, action, withPolicy(policyARN), func(tx store.Tx, p *principal) error {
		m, err := s.findPolicy(tx, c.Account(), api.Val(policyARN))
		if err != nil {
			return err
		}
		i := slices.Index(*p.attachedPolicy, m.arn)
		if i < 0 {
			return noSuchEntity("Policy %s was not found.", m.arn)
		}
		*p.attachedPolicy = slices.Delete(*p.attachedPolicy, i, i+1)
		return s.countAttached(tx, m, -1)
	})
}

func (s *Service) countAttached(tx store.Tx, m *managedPolicy, by int) error {
	if m.customer == nil {
		return nil
	}
	m.customer.Attachments += by
	return s.dir.PutPolicy(tx, *m.customer)
}

// attachedTo lists the managed policies of a user, role or group by name. One that kagimori has no
// document for (of a service-linked role) is listed too.
func (s *Service) attachedTo(ctx context.Context, c *guard.Call, k kind, name, prefix, marker *string, items *int32, action string) (policies []iamapi.AttachedPolicy, truncated *bool, next *string, err error) {
	err = s.read(ctx, c, k, name, action, func(_ store.Tx, p *principal) error {
		path := pathOf(prefix)
		pg, err := s.page(c, p.arn+" "+path, marker, items)
		if err != nil {
			return err
		}
		var all []attachment
		for _, policyARN := range *p.attachedPolicy {
			if a := attachmentOf(policyARN); strings.HasPrefix(a.path, path) {
				all = append(all, a)
			}
		}
		slices.SortFunc(all, func(a, b attachment) int { return cmp.Compare(a.id(), b.id()) })
		policies = []iamapi.AttachedPolicy{}
		shown, last := cut(pg, all, attachment.id)
		for _, a := range shown {
			policies = append(policies, iamapi.AttachedPolicy{PolicyName: &a.name, PolicyArn: &a.arn})
		}
		truncated, next = s.end(pg, last)
		return nil
	})
	return policies, truncated, next, err
}

// An attachment is an attached policy, known by its ARN alone.
type attachment struct{ arn, owner, path, name string }

func attachmentOf(policyARN string) attachment {
	head, rest, _ := strings.Cut(policyARN, ":policy/")
	slash := strings.LastIndexByte("/"+rest, '/')
	return attachment{
		arn: policyARN, owner: head[strings.LastIndexByte(head, ':')+1:], path: ("/" + rest)[:slash+1], name: ("/" + rest)[slash+1:],
	}
}

func (a attachment) id() string { return strings.ToLower(a.name) + " " + a.owner }

// AttachRolePolicy attaches a managed policy to a role.
func (s *Service) AttachRolePolicy(ctx context.Context, c *guard.Call, in *iamapi.AttachRolePolicyRequest) error {
	return s.attach(ctx, c, roleKind, in.RoleName, in.PolicyArn, "AttachRolePolicy")
}

// AttachUserPolicy attaches a managed policy to a user.
func (s *Service) AttachUserPolicy(ctx context.Context, c *guard.Call, in *iamapi.AttachUserPolicyRequest) error {
	return s.attach(ctx, c, userKind, in.UserName, in.PolicyArn, "AttachUserPolicy")
}

// DetachRolePolicy takes a managed policy from a role.
func (s *Service) DetachRolePolicy(ctx context.Context, c *guard.Call, in *iamapi.DetachRolePolicyRequest) error {
	return s.detach(ctx, c, roleKind, in.RoleName, in.PolicyArn, "DetachRolePolicy")
}

// DetachUserPolicy takes a managed policy from a user.
func (s *Service) DetachUserPolicy(ctx context.Context, c *guard.Call, in *iamapi.DetachUserPolicyRequest) error {
	return s.detach(ctx, c, userKind, in.UserName, in.PolicyArn, "DetachUserPolicy")
}

// ListAttachedRolePolicies lists the managed policies of a role.
func (s *Service) ListAttachedRolePolicies(ctx context.Context, c *guard.Call, in *iamapi.ListAttachedRolePoliciesRequest) (*iamapi.ListAttachedRolePoliciesResponse, error) {
	var out iamapi.ListAttachedRolePoliciesResponse
	var err error
	out.AttachedPolicies, out.IsTruncated, out.Marker, err = s.attachedTo(ctx, c, roleKind, in.RoleName, in.PathPrefix, in.Marker, in.MaxItems, "ListAttachedRolePolicies")
	return &out, err
}

// ListAttachedUserPolicies lists the managed policies of a user.
func (s *Service) ListAttachedUserPolicies(ctx context.Context, c *guard.Call, in *iamapi.ListAttachedUserPoliciesRequest) (*iamapi.ListAttachedUserPoliciesResponse, error) {
	var out iamapi.ListAttachedUserPoliciesResponse
	var err error
	out.AttachedPolicies, out.IsTruncated, out.Marker, err = s.attachedTo(ctx, c, userKind, in.UserName, in.PathPrefix, in.Marker, in.MaxItems, "ListAttachedUserPolicies")
	return &out, err
}
