package org

import (
	"context"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/organizationsapi"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/store"
)

// CreateOrganization makes the caller's account manage a new organization, with all features or
// with consolidated billing only. No policy type is enabled in it. On a development server an idle account of everybody's organization leaves that.
func (s *Service) CreateOrganization(ctx context.Context, c *guard.Call, in *organizationsapi.CreateOrganizationRequest) (*organizationsapi.CreateOrganizationResponse, error) {
	out := &organizationsapi.CreateOrganizationResponse{}
	billing := api.Val(in.FeatureSet) == organizationsapi.OrganizationFeatureSetCONSOLIDATED_BILLING
	if !billing {
		err := s.g.View(ctx, c, func(tx store.Tx) error {
			_, _, _, err := s.begin(tx, c)
			return err
		})
		if err != nil {
			return nil, err
		}
		if err := s.needRole(ctx, c); err != nil {
			return nil, err
		}
	}
	err := s.g.Update(ctx, c, func(tx store.Tx) error {
		old, leave, adopt, err := s.begin(tx, c)
		switch {
		case err != nil:
			return err
		case adopt:
			return s.adopt(tx, c, billing, old, out)
		case leave:
			if err := s.dir.RemoveMember(tx, old, c.Account()); err != nil {
				return err
			}
		}
		a, _, err := directory.Accounts.Get(tx, c.Account())
		if err != nil {
			return err
		}
		m := directory.Member{Account: c.Account(), Name: a.Name, Email: "account-" + c.Account() + "@example.com", Joined: s.now()}
		if m.Name == "" {
			m.Name = m.Account
		}
		o, err := s.dir.NewOrganization(tx, m)
		if err != nil {
			return err
		}
		o.Billing = billing
		out.Organization = show(o, m)
		c.Touch(o.ARN(), o.Management, "AWS::Organizations::Organization")
		c.Respond(out)
		return s.dir.PutOrganization(tx, o)
	})
	return out, err
}

// begin decides CreateOrganization. The caller's account may leave the organization that it is in for that, or adopt it.
// Error: AlreadyInOrganizationException.
func (s *Service) begin(tx store.Tx, c *guard.Call) (old directory.Organization, leave, adopt bool, err error) {
	old, in, err := s.ask(tx, c, on())
	if err != nil || !in {
		return old, false, false, err
	}
	if leave, err = s.leaves(tx, c, old); err != nil || leave {
		return old, leave, false, err
	}
	if old.ID != directory.DevOrganization || old.Claimed || old.Management != c.Account() {
		return old, false, false, errAlreadyIn
	}
	return old, false, true, nil
}

// adopt has the account that manages the organization of a development server create it, once: clients begin so.
func (s *Service) adopt(tx store.Tx, c *guard.Call, billing bool, o directory.Organization, out *organizationsapi.CreateOrganizationResponse) error {
	m, _, err := s.dir.Member(tx, o, o.Management)
	if err != nil {
		return err
	}
	o.Claimed, o.Billing = true, billing
	out.Organization = show(o, m)
	c.Touch(o.ARN(), o.Management, "AWS::Organizations::Organization")
	c.Respond(out)
	return s.dir.PutOrganization(tx, o)
}

// leaves reports whether the caller's account leaves the organization that it is in when it creates one: only an idle one of
// a development server does, and not one that administers a service.
func (s *Service) leaves(tx store.Tx, c *guard.Call, o directory.Organization) (bool, error) {
	if _, administers, err := delegateTable.Get(tx, o.ID, c.Account()); err != nil || administers {
		return false, err
	}
	return s.dir.Idle(tx, o, c.Account())
}

func show(o directory.Organization, management directory.Member) *organizationsapi.Organization {
	out := &organizationsapi.Organization{
		Id: &o.ID, Arn: new(o.ARN()), FeatureSet: new(featureSet(o.Billing)), AvailablePolicyTypes: []organizationsapi.PolicyTypeSummary{},
		MasterAccountId: &o.Management, MasterAccountArn: new(o.TargetARN(o.Management)), MasterAccountEmail: new(secret.String(management.Email)),
	}
	if !o.Billing {
		// The value says nothing of the organization: ListRoots does. Source: API Reference, Organization.
		out.AvailablePolicyTypes = append(out.AvailablePolicyTypes, organizationsapi.PolicyTypeSummary{
			Type: new(string(directory.SCP)), Status: new(organizationsapi.PolicyTypeStatusENABLED),
		})
	}
	return out
}

// DescribeOrganization describes the caller's organization; every account in it may ask.
func (s *Service) DescribeOrganization(ctx context.Context, c *guard.Call, _ *organizationsapi.DescribeOrganizationRequest) (*organizationsapi.DescribeOrganizationResponse, error) {
	out := &organizationsapi.DescribeOrganizationResponse{}
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		o, exists, err := s.ask(tx, c, on())
		if err != nil {
			return err
		}
		if !exists {
			return errNotInUse
		}
		m, _, err := s.dir.Member(tx, o, o.Management)
		if err != nil {
			return err
		}
		out.Organization = show(o, m)
		return nil
	})
	return out, err
}

// DeleteOrganization removes an organization in which the managing account is alone.
func (s *Service) DeleteOrganization(ctx context.Context, c *guard.Call, _ *organizationsapi.DeleteOrganizationRequest) error {
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		o, err := s.open(tx, c, on())
		if err != nil {
			return err
		}
		members, err := s.dir.Members(tx, o)
		if err != nil {
			return err
		}
		units, err := s.dir.Units(tx, o)
		if err != nil {
			return err
		}
		policies, err := s.dir.OrgPolicies(tx, o)
		if err != nil {
			return err
		}
		if len(members) > 1 || len(units)+len(policies) > 0 || o.ID == directory.DevOrganization {
			return errNotEmpty
		}
		return s.dir.DeleteOrganization(tx, o)
	})
}

// ListRoots lists the root.
func (s *Service) ListRoots(ctx context.Context, c *guard.Call, in *organizationsapi.ListRootsRequest) (*organizationsapi.ListRootsResponse, error) {
	out := &organizationsapi.ListRootsResponse{}
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		o, err := s.open(tx, c, on())
		if err != nil {
			return err
		}
		out.Roots, out.NextToken, err = page(s, c, in.NextToken, in.MaxResults, []organizationsapi.Root{*root(o)}, func(r *organizationsapi.Root) string { return *r.Id })
		return err
	})
	return out, err
}

func root(o directory.Organization) *organizationsapi.Root {
	r := &organizationsapi.Root{
		Id: &o.Root, Arn: new(o.TargetARN(o.Root)), Name: new("Root"), PolicyTypes: []organizationsapi.PolicyTypeSummary{},
	}
	for _, t := range directory.PolicyTypes() {
		if o.Enabled(t) {
			r.PolicyTypes = append(r.PolicyTypes, organizationsapi.PolicyTypeSummary{
				Type: new(string(t)), Status: new(organizationsapi.PolicyTypeStatusENABLED),
			})
		}
	}
	return r
}

// EnablePolicyType puts policies of a type in force; AWS's own hangs everywhere then.
func (s *Service) EnablePolicyType(ctx context.Context, c *guard.Call, in *organizationsapi.EnablePolicyTypeRequest) (*organizationsapi.EnablePolicyTypeResponse, error) {
	out := &organizationsapi.EnablePolicyTypeResponse{}
	err := s.g.Update(ctx, c, func(tx store.Tx) (err error) {
		out.Root, err = s.setType(tx, c, *in.RootId, *in.PolicyType, true)
		c.Respond(out)
		return err
	})
	return out, err
}

// DisablePolicyType ends every attachment of a type; the policies stay.
func (s *Service) DisablePolicyType(ctx context.Context, c *guard.Call, in *organizationsapi.DisablePolicyTypeRequest) (*organizationsapi.DisablePolicyTypeResponse, error) {
	out := &organizationsapi.DisablePolicyTypeResponse{}
	err := s.g.Update(ctx, c, func(tx store.Tx) (err error) {
		out.Root, err = s.setType(tx, c, *in.RootId, *in.PolicyType, false)
		c.Respond(out)
		return err
	})
	return out, err
}

func (s *Service) setType(tx store.Tx, c *guard.Call, rootID, kind string, enabled bool) (*organizationsapi.Root, error) {
	o, err := s.open(tx, c, question{ids: []string{rootID}, kind: kind})
	if err != nil {
		return nil, err
	}
	t := directory.PolicyType(kind)
	now := o.Types[t]
	switch {
	case rootID != o.Root:
		return nil, errNoRoot
	case enabled && o.Billing:
		return nil, errNotAvailable
	case enabled && now.Enabled:
		return nil, errTypeEnabled
	case !enabled && !now.Enabled:
		return nil, errTypeDisabled
	}
	if enabled && t == securityHub {
		if _, trusts, err := trustedTable.Get(tx, o.ID, hubPrincipal); err != nil {
			return nil, err
		} else if !trusts {
			return nil, errHubNotTrusted
		}
	}
	if enabled {
		now.Epoch++
	}
	now.Enabled = enabled
	if o.Types == nil {
		o.Types = map[directory.PolicyType]directory.TypeState{}
	}
	o.Types[t] = now
	return root(o), s.dir.PutOrganization(tx, o)
}
