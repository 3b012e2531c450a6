package iam

import (
	"context"
	"fmt"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/directory/managed"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/store"
)

// checkManaged checks the document of a managed policy.
func checkManaged(src string) error {
	if _, err := policy.CheckIdentity([]byte(src)); err != nil {
		return err
	}
	if policy.SizeWithoutSpace([]byte(src)) > maxPolicySize {
		return exceeded("Cannot exceed quota for PolicySize: %d", maxPolicySize)
	}
	return nil
}

// CreatePolicy makes a managed policy with its first version.
func (s *Service) CreatePolicy(ctx context.Context, c *guard.Call, in *iamapi.CreatePolicyRequest) (*iamapi.CreatePolicyResponse, error) {
	path, name := pathOf(in.Path), api.Val(in.PolicyName)
	var out *iamapi.CreatePolicyResponse
	err := s.g.Update(ctx, c, func(tx store.Tx) error {
		p := &managedPolicy{arn: policyARN(c.Account(), path, name), account: c.Account()}
		if err := s.authorizePolicyCreate(tx, c, p, in.Tags); err != nil {
			return err
		}
		if err := checkPath(path); err != nil {
			return err
		}
		if _, exists, err := s.dir.Policy(tx, c.Account(), name); err != nil {
			return err
		} else if exists {
			return apierr.Newf(codeExists, "A policy called %s already exists. Duplicate names are not allowed.", name)
		}
		if err := checkManaged(api.Val(in.PolicyDocument)); err != nil {
			return err
		}
		tags, err := merge(nil, in.Tags)
		if err != nil {
			return err
		}
		now := s.now()
		p.customer = &directory.ManagedPolicy{
			Account: c.Account(), Name: name, Path: path, ID: directory.NewID("ANPA"), Description: api.Val(in.Description),
			Created: now, Updated: now, Default: "v1", NextVersion: 2, Tags: tags,
			Versions: []directory.PolicyVersion{{ID: "v1", Document: api.Val(in.PolicyDocument), Created: now}},
		}
		out = &iamapi.CreatePolicyResponse{Policy: p.show(usage{})}
		c.Respond(out)
		return s.dir.PutPolicy(tx, *p.customer)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (s *Service) authorizePolicyCreate(tx store.Tx, c *guard.Call, p *managedPolicy, tags []iamapi.Tag) error {
	create := s.policyPart(p, "CreatePolicy")
	newTags(&create.Context, tags)
	parts := []authz.Part{create}
	if len(tags) > 0 {
		tag := s.policyPart(p, "TagPolicy")
		requestTags(&tag.Context, tags)
		parts = append(parts, tag)
	}
	c.Touch(p.arn, p.account, "AWS::IAM::Policy")
	_, err := s.g.Authorize(tx, c, guard.Check{Parts: parts})
	return err
}

// GetPolicy describes a managed policy.
func (s *Service) GetPolicy(ctx context.Context, c *guard.Call, in *iamapi.GetPolicyRequest) (*iamapi.GetPolicyResponse, error) {
	out := &iamapi.GetPolicyResponse{}
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		p, err := s.authorizedPolicy(tx, c, in.PolicyArn, "GetPolicy", nil)
		if err != nil {
			return err
		}
		var uses map[string]usage
		if p.aws != nil {
			if uses, err = s.usageOf(tx, c.Account()); err != nil {
				return err
			}
		}
		out.Policy = p.show(uses[p.arn])
		return nil
	})
	return out, err
}

// DeletePolicy removes a managed policy that nobody uses and that has one version left.
func (s *Service) DeletePolicy(ctx context.Context, c *guard.Call, in *iamapi.DeletePolicyRequest) error {
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		p, err := s.ownPolicy(tx, c, in.PolicyArn, "DeletePolicy", nil)
		if err != nil {
			return err
		}
		switch {
		case p.Attachments+p.Boundaries > 0:
			return apierr.New(codeConflict, "Cannot delete a policy attached to entities.")
		case len(p.Versions) > 1:
			return apierr.New(codeConflict, "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The default version is deleted with the policy.")
		}
		return s.dir.DeletePolicy(tx, *p)
	})
}

// ListPolicies lists AWS's policies and the account's, without descriptions and tags.
func (s *Service) ListPolicies(ctx context.Context, c *guard.Call, in *iamapi.ListPoliciesRequest) (*iamapi.ListPoliciesResponse, error) {
	prefix := pathOf(in.PathPrefix)
	scope := api.Val(in.Scope)
	pg, err := s.page(c, fmt.Sprint(scope, "\x00", prefix, "\x00", api.Val(in.OnlyAttached), api.Val(in.PolicyUsageFilter)), in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	var out *iamapi.ListPoliciesResponse
	err = s.g.View(ctx, c, func(tx store.Tx) error {
		if err := s.allowAll(tx, c, "ListPolicies"); err != nil {
			return err
		}
		all, err := s.allPolicies(tx, c.Account(), scope)
		if err != nil {
			return err
		}
		uses, err := s.usageOf(tx, c.Account())
		if err != nil {
			return err
		}
		var wanted []*managedPolicy
		for _, p := range all {
			if strings.HasPrefix(p.path(), prefix) && listed(uses[p.arn], in) {
				wanted = append(wanted, p)
			}
		}
		out = &iamapi.ListPoliciesResponse{Policies: []iamapi.Policy{}}
		shown, last := cut(pg, wanted, (*managedPolicy).id)
		for _, p := range shown {
			one := p.show(uses[p.arn])
			one.Description, one.Tags = nil, nil
			out.Policies = append(out.Policies, *one)
		}
		out.IsTruncated, out.Marker = s.end(pg, last)
		return nil
	})
	return out, err
}

// listed reports whether a policy with this use is asked for.
func listed(u usage, in *iamapi.ListPoliciesRequest) bool {
	if api.Val(in.OnlyAttached) && u.attached == 0 {
		return false
	}
	switch api.Val(in.PolicyUsageFilter) {
	case iamapi.PolicyUsageTypePermissionsBoundary:
		return u.bounds > 0
	case iamapi.PolicyUsageTypePermissionsPolicy:
		return u.attached > 0 || u.bounds == 0
	}
	return true
}

// allPolicies are the policies of a scope in the order of their ids.
func (s *Service) allPolicies(tx store.Tx, account, scope string) ([]*managedPolicy, error) {
	var all []*managedPolicy
	if scope != iamapi.PolicyScopeTypeLocal {
		for p := range managed.All() {
			all = append(all, &managedPolicy{arn: p.ARN, account: account, aws: p})
		}
	}
	if scope != iamapi.PolicyScopeTypeAWS {
		for r, err := range s.dir.Policies(tx, account, "") {
			if err != nil {
				return nil, err
			}
			all = append(all, &managedPolicy{arn: r.Value.ARN(), account: account, customer: &r.Value})
		}
	}
	return all, nil
}

// TagPolicy adds tags to a policy or replaces their values.
func (s *Service) TagPolicy(ctx context.Context, c *guard.Call, in *iamapi.TagPolicyRequest) error {
	return s.changePolicy(ctx, c, in.PolicyArn, "TagPolicy", withTags(in.Tags), func(p *directory.ManagedPolicy) (err error) {
		p.Tags, err = merge(p.Tags, in.Tags)
		return err
	})
}

// UntagPolicy removes tags; unknown ones are no error.
func (s *Service) UntagPolicy(ctx context.Context, c *guard.Call, in *iamapi.UntagPolicyRequest) error {
	return s.changePolicy(ctx, c, in.PolicyArn, "UntagPolicy", withTagKeys(in.TagKeys), func(p *directory.ManagedPolicy) error {
		p.Tags = without(p.Tags, in.TagKeys)
		return nil
	})
}

// ListPolicyTags lists a policy's tags.
func (s *Service) ListPolicyTags(ctx context.Context, c *guard.Call, in *iamapi.ListPolicyTagsRequest) (*iamapi.ListPolicyTagsResponse, error) {
	out := &iamapi.ListPolicyTagsResponse{}
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		p, err := s.authorizedPolicy(tx, c, in.PolicyArn, "ListPolicyTags", nil)
		if err != nil {
			return err
		}
		var tags []directory.Tag
		if p.customer != nil {
			tags = p.customer.Tags
		}
		out.Tags, out.IsTruncated, out.Marker, err = s.listTags(c, p.arn, tags, in.Marker, in.MaxItems)
		return err
	})
	return out, err
}

// changePolicy lets fn edit a policy of the account after deciding the action.
func (s *Service) changePolicy(ctx context.Context, c *guard.Call, policyARN *string, action string, extra func(*authz.Context), fn func(*directory.ManagedPolicy) error) error {
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		p, err := s.ownPolicy(tx, c, policyARN, action, extra)
		if err != nil {
			return err
		}
		if err := fn(p); err != nil {
			return err
		}
		return s.dir.PutPolicy(tx, *p)
	})
}
