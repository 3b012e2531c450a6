package org

import (
	"context"
	"slices"

	"github.com/kagimori/kagimori/internal/api/organizationsapi"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// maxAttached is how many policies of a type may hang on a target, AWS's own included.
// Source: AWS Organizations User Guide, "Quotas and service limits".
func maxAttached(t directory.PolicyType) int {
	switch t {
	case directory.SCP, directory.RCP, aiOptOut, chatbot:
		return 5
	}
	return 10
}

// A target is what policies hang on.
type target struct{ id, name, kind string }

func (s *Service) target(tx store.Tx, o directory.Organization, id string) (t target, err error) {
	found := false
	switch {
	case isRoot(id):
		t, found = target{id, "Root", organizationsapi.TargetTypeROOT}, id == o.Root
	case isUnit(id):
		var u directory.Unit
		u, found, err = s.dir.Unit(tx, o, id)
		t = target{id, u.Name, organizationsapi.TargetTypeORGANIZATIONAL_UNIT}
	default:
		var m directory.Member
		m, found, err = s.dir.Member(tx, o, id)
		t = target{id, m.Name, organizationsapi.TargetTypeACCOUNT}
	}
	if err == nil && !found {
		err = errNoTarget
	}
	return t, err
}

// attached are the ids of the policies of a type that hang on a target: none while the type is
// disabled.
func (s *Service) attached(tx store.Tx, o directory.Organization, t directory.PolicyType, id string) ([]string, error) {
	if !o.Enabled(t) {
		return nil, nil
	}
	return s.dir.Attached(tx, o, t, id)
}

// targets are the ids of what a policy hangs on.
func (s *Service) targets(tx store.Tx, o directory.Organization, p directory.OrgPolicy) ([]string, error) {
	if !o.Enabled(p.Type) {
		return nil, nil
	}
	on, err := s.dir.Attachments(tx, o, p.Type)
	if err != nil {
		return nil, err
	}
	var ids []string
	for id, policies := range on {
		if slices.Contains(policies, p.ID) {
			ids = append(ids, id)
		}
	}
	if !isFull(p) {
		return ids, nil
	}
	units, err := s.dir.Units(tx, o)
	if err != nil {
		return nil, err
	}
	members, err := s.dir.Members(tx, o)
	if err != nil {
		return nil, err
	}
	everywhere := append([]string{o.Root}, shown(units, func(u directory.Unit) string { return u.ID })...)
	everywhere = append(everywhere, shown(members, func(m directory.Member) string { return m.Account })...)
	for _, id := range everywhere {
		if _, said := on[id]; !said { // it hangs wherever nothing else is said
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// rehang changes which policies of one's type hang on a target.
func (s *Service) rehang(ctx context.Context, c *guard.Call, policyID, targetID string, change func(o directory.Organization, p directory.OrgPolicy, old []string) ([]string, error)) error {
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		o, p, err := s.openPolicy(tx, c, policyID, targetID)
		if err != nil {
			return err
		}
		if _, err := s.target(tx, o, targetID); err != nil {
			return err
		}
		ids, err := s.attached(tx, o, p.Type, targetID)
		if err != nil {
			return err
		}
		if ids, err = change(o, p, ids); err != nil {
			return err
		}
		return s.dir.PutAttached(tx, o, p.Type, targetID, ids)
	})
}

// AttachPolicy hangs a policy on the root, a unit or an account.
func (s *Service) AttachPolicy(ctx context.Context, c *guard.Call, in *organizationsapi.AttachPolicyRequest) error {
	return s.rehang(ctx, c, *in.PolicyId, *in.TargetId, func(o directory.Organization, p directory.OrgPolicy, old []string) ([]string, error) {
		switch {
		case !o.Enabled(p.Type):
			return nil, errTypeDisabled
		case slices.Contains(old, p.ID):
			return nil, errAttached
		case len(old) >= maxAttached(p.Type):
			return nil, errTooMany
		}
		return append(slices.Clone(old), p.ID), nil
	})
}

// DetachPolicy takes a policy off. AWS's resource control policy stays, and so does the last
// service control policy: without one nothing would be allowed.
func (s *Service) DetachPolicy(ctx context.Context, c *guard.Call, in *organizationsapi.DetachPolicyRequest) error {
	return s.rehang(ctx, c, *in.PolicyId, *in.TargetId, func(_ directory.Organization, p directory.OrgPolicy, old []string) ([]string, error) {
		i := slices.Index(old, p.ID)
		switch {
		case i < 0:
			return nil, errNotAttached
		case isFull(p) && p.Type == directory.RCP:
			return nil, errNotDetachable
		case len(old) == 1 && p.Type.Limits():
			return nil, errLast
		}
		return slices.Delete(slices.Clone(old), i, i+1), nil
	})
}

// ListPoliciesForTarget lists the policies of a type that hang directly on a target.
func (s *Service) ListPoliciesForTarget(ctx context.Context, c *guard.Call, in *organizationsapi.ListPoliciesForTargetRequest) (*organizationsapi.ListPoliciesForTargetResponse, error) {
	out := &organizationsapi.ListPoliciesForTargetResponse{}
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		o, err := s.open(tx, c, question{ids: []string{*in.TargetId}, kind: *in.Filter})
		if err != nil {
			return err
		}
		if _, err := s.target(tx, o, *in.TargetId); err != nil {
			return err
		}
		t := directory.PolicyType(*in.Filter)
		ids, err := s.attached(tx, o, t, *in.TargetId)
		if err != nil {
			return err
		}
		all, err := s.ofType(tx, o, t)
		if err != nil {
			return err
		}
		all = slices.DeleteFunc(all, func(p directory.OrgPolicy) bool { return !slices.Contains(ids, p.ID) })
		out.Policies, out.NextToken, err = s.pageOfPolicies(c, o, in.NextToken, in.MaxResults, all, *in.TargetId, *in.Filter)
		return err
	})
	return out, err
}

// ListTargetsForPolicy lists what a policy hangs on.
func (s *Service) ListTargetsForPolicy(ctx context.Context, c *guard.Call, in *organizationsapi.ListTargetsForPolicyRequest) (*organizationsapi.ListTargetsForPolicyResponse, error) {
	out := &organizationsapi.ListTargetsForPolicyResponse{}
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		o, p, err := s.openPolicy(tx, c, *in.PolicyId)
		if err != nil {
			return err
		}
		all, err := s.targets(tx, o, p)
		if err != nil {
			return err
		}
		some, next, err := page(s, c, in.NextToken, in.MaxResults, all, func(id *string) string { return *id }, *in.PolicyId)
		if err != nil {
			return err
		}
		out.NextToken, out.Targets = next, make([]organizationsapi.PolicyTargetSummary, len(some))
		for i, id := range some {
			t, err := s.target(tx, o, id)
			if err != nil {
				return err
			}
			out.Targets[i] = organizationsapi.PolicyTargetSummary{TargetId: &t.id, Arn: new(o.TargetARN(id)), Name: &t.name, Type: &t.kind}
		}
		return nil
	})
	return out, err
}
