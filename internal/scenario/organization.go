package scenario

import (
	"context"
	"fmt"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/organizationsapi"
	"github.com/kagimori/kagimori/internal/apierr"
)

// managementAccount manages the organization of a development server.
const managementAccount = "000000000000"

// Types of organization policies, and AWS's own policy of each.
const (
	typeSCP, fullSCP = "SERVICE_CONTROL_POLICY", "p-FullAWSAccess"
	typeRCP, fullRCP = "RESOURCE_CONTROL_POLICY", "p-RCPFullAWSAccess"
)

// makeOrgPolicies hangs the organization's policies on the accounts, last of all: they limit the
// accounts' administrators too.
func (w *World) makeOrgPolicies(ctx context.Context) error {
	who := admin(managementAccount).in(globalRegion)
	for _, a := range w.Scenario.Accounts {
		if a.Org != "" {
			var out organizationsapi.DescribeOrganizationResponse
			err := w.s.ask(ctx, who, "organizations", "DescribeOrganization", &organizationsapi.DescribeOrganizationRequest{}, &out)
			if err != nil {
				return err
			}
			if got := api.Val(out.Organization.Id); got != a.Org {
				return fmt.Errorf("%w: the organization of account %s is %s, not %s", ErrUnable, a.ID, got, a.Org)
			}
		}
		if err := w.hang(ctx, who, a.ID, typeSCP, fullSCP, a.SCPs); err != nil {
			return err
		}
		if err := w.hang(ctx, who, a.ID, typeRCP, fullRCP, a.RCPs); err != nil {
			return err
		}
	}
	return nil
}

func (w *World) hang(ctx context.Context, who place, account, kind, full string, policies []OrgPolicy) error {
	if len(policies) == 0 {
		return nil
	}
	if kind == typeRCP {
		if err := w.enable(ctx, who, kind); err != nil {
			return err
		}
	}
	replaced := false
	for _, p := range policies {
		var out organizationsapi.CreatePolicyResponse
		err := w.s.do(ctx, who, "organizations", "CreatePolicy", &organizationsapi.CreatePolicyRequest{
			Name: new(w.Scenario.ID + " " + account + " " + p.Name), Description: new(""), Type: new(kind), Content: new(p.Policy.Compact()),
		}, &out)
		if err != nil {
			return err
		}
		id := out.Policy.PolicySummary.Id
		err = w.s.do(ctx, who, "organizations", "AttachPolicy", &organizationsapi.AttachPolicyRequest{PolicyId: id, TargetId: &account}, nil)
		if err != nil {
			return err
		}
		replaced = replaced || p.AllowList
		w.s.tell("%s %s on %s", kind, p.Name, account)
	}
	if !replaced {
		return nil
	}
	return w.s.do(ctx, who, "organizations", "DetachPolicy", &organizationsapi.DetachPolicyRequest{PolicyId: &full, TargetId: &account}, nil)
}

// enable puts policies of a type into force.
func (w *World) enable(ctx context.Context, who place, kind string) error {
	var out organizationsapi.ListRootsResponse
	if err := w.s.ask(ctx, who, "organizations", "ListRoots", &organizationsapi.ListRootsRequest{}, &out); err != nil {
		return err
	}
	err := w.s.do(ctx, who, "organizations", "EnablePolicyType", &organizationsapi.EnablePolicyTypeRequest{
		RootId: out.Roots[0].Id, PolicyType: &kind,
	}, &organizationsapi.EnablePolicyTypeResponse{})
	if apierr.Code(err) == "PolicyTypeAlreadyEnabledException" {
		return nil
	}
	return err
}
