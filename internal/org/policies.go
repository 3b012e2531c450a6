package org

import (
	"context"
	"fmt"
	"slices"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/organizationsapi"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// maxPolicies is how many policies of a type an organization may have.
// Source: AWS Organizations User Guide, "Quotas and service limits".
func maxPolicies(t directory.PolicyType) int {
	if t == directory.SCP {
		return 10000
	}
	return 1000
}

// full is AWS's policy of a type that limits.
func full(t directory.PolicyType) directory.OrgPolicy {
	p := directory.OrgPolicy{ID: t.Full(), Type: t, Name: "FullAWSAccess", Description: "Allows access to every operation", Document: t.FullDocument()}
	if t == directory.RCP {
		p.Name, p.Description = "RCPFullAWSAccess", "Allows access to every resource"
	}
	return p
}

func isFull(p directory.OrgPolicy) bool { return p.ID == p.Type.Full() }

// policy finds a policy of AWS or of the organization.
func (s *Service) policy(tx store.Tx, o directory.Organization, id string) (directory.OrgPolicy, bool, error) {
	for _, t := range []directory.PolicyType{directory.SCP, directory.RCP} {
		if id == t.Full() {
			return full(t), true, nil
		}
	}
	return s.dir.OrgPolicy(tx, o, id)
}

// openPolicy is open for an operation on a policy and, perhaps, a target.
func (s *Service) openPolicy(tx store.Tx, c *guard.Call, id string, target ...string) (directory.Organization, directory.OrgPolicy, error) {
	o, err := s.open(tx, c, on(append([]string{id}, target...)...))
	if err != nil {
		return o, directory.OrgPolicy{}, err
	}
	p, ok, err := s.policy(tx, o, id)
	if err == nil && !ok {
		err = errNoPolicy
	}
	return o, p, err
}

func summary(o directory.Organization, p directory.OrgPolicy) organizationsapi.PolicySummary {
	return organizationsapi.PolicySummary{
		Id: &p.ID, Arn: new(o.PolicyARN(p.Type, p.ID)), Name: &p.Name, Description: &p.Description, Type: new(string(p.Type)), AwsManaged: new(isFull(p)),
	}
}

func showPolicy(o directory.Organization, p directory.OrgPolicy) *organizationsapi.Policy {
	return &organizationsapi.Policy{PolicySummary: new(summary(o, p)), Content: &p.Document}
}

// ofType are the policies of a type, AWS's among them if there is one.
func (s *Service) ofType(tx store.Tx, o directory.Organization, t directory.PolicyType) ([]directory.OrgPolicy, error) {
	all, err := s.dir.OrgPolicies(tx, o)
	all = slices.DeleteFunc(all, func(p directory.OrgPolicy) bool { return p.Type != t })
	if t.Limits() {
		all = append(all, full(t))
	}
	return all, err
}

// checkName fails if another policy of the type has the name.
func (s *Service) checkName(tx store.Tx, o directory.Organization, p directory.OrgPolicy) error {
	all, err := s.ofType(tx, o, p.Type)
	if err != nil {
		return err
	}
	others := slices.DeleteFunc(all, func(x directory.OrgPolicy) bool { return x.ID == p.ID })
	if slices.ContainsFunc(others, func(x directory.OrgPolicy) bool { return x.Name == p.Name }) {
		return errPolicyName
	}
	if len(others) > maxPolicies(p.Type) {
		return because(codeConstraint, "POLICY_NUMBER_LIMIT_EXCEEDED", fmt.Sprintf("You have attempted to exceed the number of policies of the type %s that you can have in an organization.", p.Type))
	}
	return nil
}

// CreatePolicy makes a policy that hangs nowhere yet.
func (s *Service) CreatePolicy(ctx context.Context, c *guard.Call, in *organizationsapi.CreatePolicyRequest) (*organizationsapi.CreatePolicyResponse, error) {
	out := &organizationsapi.CreatePolicyResponse{}
	err := s.g.Update(ctx, c, func(tx store.Tx) error {
		o, err := s.open(tx, c, question{ids: []string{newPolicy}, kind: *in.Type, tags: in.Tags, makes: true, tagged: newPolicy})
		if err != nil {
			return err
		}
		if o.Billing {
			return errNotAvailable
		}
		t := directory.PolicyType(*in.Type)
		tags, err := merge(nil, in.Tags)
		if err != nil {
			return err
		}
		p := directory.OrgPolicy{
			ID: directory.NewOrgID("p-", 10), Type: t, Name: *in.Name, Description: *in.Description, Document: *in.Content, Tags: tags,
		}
		if !t.Limits() {
			p.Updated = s.now()
		}
		if err := checkDocument(t, p.Document); err != nil {
			return err
		}
		if err := s.checkName(tx, o, p); err != nil {
			return err
		}
		out.Policy = showPolicy(o, p)
		c.Touch(o.PolicyARN(t, p.ID), o.Management, resourceType(p.ID))
		c.Respond(out)
		return s.dir.PutOrgPolicy(tx, o, p)
	})
	return out, err
}

// DescribePolicy describes a policy with its text.
func (s *Service) DescribePolicy(ctx context.Context, c *guard.Call, in *organizationsapi.DescribePolicyRequest) (*organizationsapi.DescribePolicyResponse, error) {
	out := &organizationsapi.DescribePolicyResponse{}
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		o, p, err := s.openPolicy(tx, c, *in.PolicyId)
		if err != nil {
			return err
		}
		out.Policy = showPolicy(o, p)
		return nil
	})
	return out, err
}

// UpdatePolicy changes name, description and text as far as they are given. What it says is in
// force wherever the policy hangs.
func (s *Service) UpdatePolicy(ctx context.Context, c *guard.Call, in *organizationsapi.UpdatePolicyRequest) (*organizationsapi.UpdatePolicyResponse, error) {
	out := &organizationsapi.UpdatePolicyResponse{}
	err := s.g.Update(ctx, c, func(tx store.Tx) error {
		o, p, err := s.openPolicy(tx, c, *in.PolicyId)
		if err != nil {
			return err
		}
		if isFull(p) {
			return errImmutable
		}
		if in.Content != nil {
			if err := checkDocument(p.Type, *in.Content); err != nil {
				return err
			}
			p.Document = *in.Content
			if !p.Type.Limits() {
				p.Updated = s.now()
			}
		}
		if in.Name != nil {
			p.Name = *in.Name
			if err := s.checkName(tx, o, p); err != nil {
				return err
			}
		}
		if in.Description != nil {
			p.Description = api.Val(in.Description)
		}
		out.Policy = showPolicy(o, p)
		c.Respond(out)
		return s.dir.PutOrgPolicy(tx, o, p)
	})
	return out, err
}

// DeletePolicy removes a policy that hangs nowhere.
func (s *Service) DeletePolicy(ctx context.Context, c *guard.Call, in *organizationsapi.DeletePolicyRequest) error {
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		o, p, err := s.openPolicy(tx, c, *in.PolicyId)
		if err != nil {
			return err
		}
		if isFull(p) {
			return errImmutable
		}
		targets, err := s.targets(tx, o, p)
		if err != nil {
			return err
		}
		if len(targets) > 0 {
			return errPolicyInUse
		}
		return s.dir.DeleteOrgPolicy(tx, o, p.ID)
	})
}

// ListPolicies lists the policies of a type without their texts.
func (s *Service) ListPolicies(ctx context.Context, c *guard.Call, in *organizationsapi.ListPoliciesRequest) (*organizationsapi.ListPoliciesResponse, error) {
	out := &organizationsapi.ListPoliciesResponse{}
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		o, err := s.open(tx, c, question{kind: *in.Filter})
		if err != nil {
			return err
		}
		all, err := s.ofType(tx, o, directory.PolicyType(*in.Filter))
		if err != nil {
			return err
		}
		out.Policies, out.NextToken, err = s.pageOfPolicies(c, o, in.NextToken, in.MaxResults, all, *in.Filter)
		return err
	})
	return out, err
}

func (s *Service) pageOfPolicies(c *guard.Call, o directory.Organization, token *string, limit *int32, all []directory.OrgPolicy, selects ...string) ([]organizationsapi.PolicySummary, *string, error) {
	some, next, err := page(s, c, token, limit, all, func(p *directory.OrgPolicy) string { return p.ID }, selects...)
	return shown(some, func(p directory.OrgPolicy) organizationsapi.PolicySummary { return summary(o, p) }), next, err
}
