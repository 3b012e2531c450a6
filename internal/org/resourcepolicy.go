package org

import (
	"context"

	"github.com/kagimori/kagimori/internal/api/organizationsapi"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// newResourcePolicy stands for a resource policy that has no id yet.
const newResourcePolicy = "rp-*"

// PutResourcePolicy writes the organization's resource policy, or writes another text in its place. Tags
// are for a new one. What it lets members do is in delegation.go.
// Source: AWS Organizations API Reference, PutResourcePolicy.
func (s *Service) PutResourcePolicy(ctx context.Context, c *guard.Call, in *organizationsapi.PutResourcePolicyRequest) (*organizationsapi.PutResourcePolicyResponse, error) {
	out := &organizationsapi.PutResourcePolicyResponse{}
	err := s.g.Update(ctx, c, func(tx store.Tx) error {
		was, _, err := s.dir.OrganizationOf(tx, c.Account())
		if err != nil {
			return err
		}
		id := newResourcePolicy
		if was.Resource != nil {
			id = was.Resource.ID
		}
		o, err := s.open(tx, c, question{ids: []string{id}, tags: in.Tags, makes: was.Resource == nil, all: true})
		if err != nil {
			return err
		}
		if err := checkDelegation(*in.Content); err != nil {
			return err
		}
		r := directory.ResourcePolicy{ID: directory.NewOrgID("rp-", 10), Document: *in.Content}
		if o.Resource != nil {
			if len(in.Tags) > 0 {
				return errTagsOfOld
			}
			r.ID, r.Tags = o.Resource.ID, o.Resource.Tags
		}
		if r.Tags, err = merge(r.Tags, in.Tags); err != nil {
			return err
		}
		o.Resource = &r
		out.ResourcePolicy = showResourcePolicy(o)
		c.Touch(o.TargetARN(r.ID), o.Management, resourceType(r.ID))
		c.Respond(out)
		return s.dir.PutOrganization(tx, o)
	})
	return out, err
}

func showResourcePolicy(o directory.Organization) *organizationsapi.ResourcePolicy {
	r := o.Resource
	return &organizationsapi.ResourcePolicy{
		ResourcePolicySummary: &organizationsapi.ResourcePolicySummary{Id: &r.ID, Arn: new(o.TargetARN(r.ID))}, Content: &r.Document,
	}
}

// DescribeResourcePolicy tells the resource policy.
func (s *Service) DescribeResourcePolicy(ctx context.Context, c *guard.Call, _ *organizationsapi.DescribeResourcePolicyRequest) (*organizationsapi.DescribeResourcePolicyResponse, error) {
	out := &organizationsapi.DescribeResourcePolicyResponse{}
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		o, err := s.open(tx, c, on().featured())
		if err != nil {
			return err
		}
		if o.Resource == nil {
			return errNoResourcePolicy
		}
		out.ResourcePolicy = showResourcePolicy(o)
		return nil
	})
	return out, err
}

// DeleteResourcePolicy removes the resource policy.
func (s *Service) DeleteResourcePolicy(ctx context.Context, c *guard.Call, _ *organizationsapi.DeleteResourcePolicyRequest) error {
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		o, err := s.open(tx, c, on().featured())
		if err != nil {
			return err
		}
		if o.Resource == nil {
			return errNoResourcePolicy
		}
		c.Touch(o.TargetARN(o.Resource.ID), o.Management, resourceType(o.Resource.ID))
		o.Resource = nil
		return s.dir.PutOrganization(tx, o)
	})
}
