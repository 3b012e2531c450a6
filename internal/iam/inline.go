package iam

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/store"
)

// inlineName is the stored spelling of an inline policy's name, whatever its case, or "".
func (p *principal) inlineName(name string) string {
	for stored := range *p.inline {
		if strings.EqualFold(stored, name) {
			return stored
		}
	}
	return ""
}

func (s *Service) putInline(ctx context.Context, c *guard.Call, k kind, owner, name, document *string, action string) error {
	return s.change(ctx, c, k, owner, action, nil, func(_ store.Tx, p *principal) error {
		src := api.Val(document)
		if _, err := policy.CheckIdentity([]byte(src)); err != nil {
			return err
		}
		docs := maps.Clone(*p.inline)
		if docs == nil {
			docs = map[string]string{}
		}
		delete(docs, p.inlineName(api.Val(name)))
		docs[api.Val(name)] = src
		size := 0
		for _, d := range docs {
			size += policy.SizeWithoutSpace([]byte(d))
		}
		if size > k.inlineMax {
			return exceeded("Maximum policy size of %d bytes exceeded for %s %s", k.inlineMax, k.name, p.label)
		}
		*p.inline = docs
		return nil
	})
}

func (s *Service) deleteInline(ctx context.Context, c *guard.Call, k kind, owner, name *string, action string) error {
	return s.change(ctx, c, k, owner, action, nil, func(_ store.Tx, p *principal) error {
		stored := p.inlineName(api.Val(name))
		if stored == "" {
			return missingInline(k, name)
		}
		delete(*p.inline, stored)
		return nil
	})
}

func missingInline(k kind, name *string) error {
	return noSuchEntity("The %s policy with name %s cannot be found.", k.name, api.Val(name))
}

// getInline gives the owner's name, the policy's name and the document as answers show them.
func (s *Service) getInline(ctx context.Context, c *guard.Call, k kind, owner, name *string, action string) (label, stored, document *string, err error) {
	err = s.read(ctx, c, k, owner, action, func(_ store.Tx, p *principal) error {
		found := p.inlineName(api.Val(name))
		if found == "" {
			return missingInline(k, name)
		}
		label, stored, document = &p.label, &found, new(encode((*p.inline)[found]))
		return nil
	})
	return label, stored, document, err
}

func (s *Service) listInline(ctx context.Context, c *guard.Call, k kind, owner, marker *string, items *int32, action string) (names []string, truncated *bool, next *string, err error) {
	err = s.read(ctx, c, k, owner, action, func(_ store.Tx, p *principal) error {
		pg, err := s.page(c, p.arn, marker, items)
		if err != nil {
			return err
		}
		var last string
		names, last = cut(pg, slices.Sorted(maps.Keys(*p.inline)), func(n string) string { return n })
		if names == nil {
			names = []string{}
		}
		truncated, next = s.end(pg, last)
		return nil
	})
	return names, truncated, next, err
}

// PutRolePolicy adds an inline policy to a role or replaces one.
func (s *Service) PutRolePolicy(ctx context.Context, c *guard.Call, in *iamapi.PutRolePolicyRequest) error {
	return s.putInline(ctx, c, roleKind, in.RoleName, in.PolicyName, in.PolicyDocument, "PutRolePolicy")
}

// PutUserPolicy adds an inline policy to a user or replaces one.
func (s *Service) PutUserPolicy(ctx context.Context, c *guard.Call, in *iamapi.PutUserPolicyRequest) error {
	return s.putInline(ctx, c, userKind, in.UserName, in.PolicyName, in.PolicyDocument, "PutUserPolicy")
}

// GetRolePolicy gives an inline policy of a role.
func (s *Service) GetRolePolicy(ctx context.Context, c *guard.Call, in *iamapi.GetRolePolicyRequest) (*iamapi.GetRolePolicyResponse, error) {
	var out iamapi.GetRolePolicyResponse
	var err error
	out.RoleName, out.PolicyName, out.PolicyDocument, err = s.getInline(ctx, c, roleKind, in.RoleName, in.PolicyName, "GetRolePolicy")
	return &out, err
}

// GetUserPolicy gives an inline policy of a user.
func (s *Service) GetUserPolicy(ctx context.Context, c *guard.Call, in *iamapi.GetUserPolicyRequest) (*iamapi.GetUserPolicyResponse, error) {
	var out iamapi.GetUserPolicyResponse
	var err error
	out.UserName, out.PolicyName, out.PolicyDocument, err = s.getInline(ctx, c, userKind, in.UserName, in.PolicyName, "GetUserPolicy")
	return &out, err
}

// DeleteRolePolicy removes an inline policy of a role.
func (s *Service) DeleteRolePolicy(ctx context.Context, c *guard.Call, in *iamapi.DeleteRolePolicyRequest) error {
	return s.deleteInline(ctx, c, roleKind, in.RoleName, in.PolicyName, "DeleteRolePolicy")
}

// DeleteUserPolicy removes an inline policy of a user.
func (s *Service) DeleteUserPolicy(ctx context.Context, c *guard.Call, in *iamapi.DeleteUserPolicyRequest) error {
	return s.deleteInline(ctx, c, userKind, in.UserName, in.PolicyName, "DeleteUserPolicy")
}

// ListRolePolicies lists the names of a role's inline policies.
func (s *Service) ListRolePolicies(ctx context.Context, c *guard.Call, in *iamapi.ListRolePoliciesRequest) (*iamapi.ListRolePoliciesResponse, error) {
	var out iamapi.ListRolePoliciesResponse
	var err error
	out.PolicyNames, out.IsTruncated, out.Marker, err = s.listInline(ctx, c, roleKind, in.RoleName, in.Marker, in.MaxItems, "ListRolePolicies")
	return &out, err
}

// ListUserPolicies lists the names of a user's inline policies.
func (s *Service) ListUserPolicies(ctx context.Context, c *guard.Call, in *iamapi.ListUserPoliciesRequest) (*iamapi.ListUserPoliciesResponse, error) {
	var out iamapi.ListUserPoliciesResponse
	var err error
	out.PolicyNames, out.IsTruncated, out.Marker, err = s.listInline(ctx, c, userKind, in.UserName, in.Marker, in.MaxItems, "ListUserPolicies")
	return &out, err
}
