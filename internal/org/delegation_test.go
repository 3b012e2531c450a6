package org_test

import (
	"errors"
	"testing"

	"github.com/kagimori/kagimori/internal/api/organizationsapi"
	"github.com/kagimori/kagimori/internal/apierr"
)

// allows is a statement of a resource policy.
func allows(principal, members string) string {
	return `{"Sid":"D","Effect":"Allow","Principal":{"AWS":"` + principal + `"},` + members + `}`
}

// Source of the cases: AWS Organizations User Guide, "Resource-based policy examples for AWS Organizations".
func TestTheResourcePolicyDelegatesPolicies(t *testing.T) {
	w := newWorld(t)
	boss, delegate, stranger := w.manager(), w.as(member+"ADMIN"), w.as(other+"ADMIN")
	boss.enable(tagPolicy)
	unit := boss.unit(rootID, "u")
	list := &organizationsapi.ListAccountsRequest{}
	delegate.refused(list, "AccessDeniedException", "You don't have permissions to access this resource.")

	boss.must(&organizationsapi.PutResourcePolicyRequest{Content: new(document(
		allows("arn:aws:iam::"+member+":root", `"Action":["organizations:Describe*","organizations:List*"],"Resource":"*"`),
		allows(member, `"Action":["organizations:CreatePolicy","organizations:AttachPolicy","organizations:Move*","organizations:TagResource"],"Resource":"*","Condition":{"StringLikeIfExists":{"organizations:PolicyType":"TAG_POLICY"}}`),
		allows(member, `"Action":"organizations:UpdatePolicy","Resource":"arn:aws:organizations::`+management+`:policy/*/tag_policy/*"`),
	))})
	if got := get[organizationsapi.ListAccountsResponse](delegate, list).Accounts; len(got) < 2 {
		t.Errorf("the delegate sees %d accounts", len(got))
	}
	id := delegate.management(tagPolicy, "tags", `{"tags":{"team":{"tag_key":{"@@assign":"Team"}}}}`)
	delegate.attach(id, unit)
	delegate.must(&organizationsapi.UpdatePolicyRequest{PolicyId: &id, Name: new("names")})
	if got := boss.policiesOn(unit, tagPolicy); len(got) != 1 || got[0] != "names" {
		t.Errorf("on the unit are %v", got)
	}
	boss.must(&organizationsapi.MoveAccountRequest{AccountId: new(other), SourceParentId: new(rootID), DestinationParentId: &unit})
	if got := get[organizationsapi.DescribeEffectivePolicyResponse](delegate, &organizationsapi.DescribeEffectivePolicyRequest{PolicyType: new(tagPolicy), TargetId: new(other)}).EffectivePolicy; *got.TargetId != other {
		t.Errorf("effective policy %+v", got)
	}

	// What it does not allow, its own account cannot make up for.
	delegate.refused(newPolicy(scp, "s", statement("Deny", "*")), "AccessDeniedException", "*")
	delegate.refused(&organizationsapi.DeletePolicyRequest{PolicyId: &id}, "AccessDeniedException", "*")
	stranger.refused(list, "AccessDeniedException", "*")
	// What no resource policy can delegate.
	delegate.refused(&organizationsapi.MoveAccountRequest{AccountId: new(other), SourceParentId: &unit, DestinationParentId: new(rootID)}, "AccessDeniedException", "You don't have permissions to access this resource.")
	tags := []organizationsapi.Tag{{Key: new("team"), Value: new("red")}}
	delegate.must(&organizationsapi.TagResourceRequest{ResourceId: &id, Tags: tags})
	delegate.refused(&organizationsapi.TagResourceRequest{ResourceId: &unit, Tags: tags}, "AccessDeniedException", "You don't have permissions to access this resource.")
	// What any member may do is not asked of it.
	stranger.must(&organizationsapi.DescribeOrganizationRequest{})
	stranger.must(&organizationsapi.DescribeEffectivePolicyRequest{PolicyType: new(tagPolicy)})

	boss.must(&organizationsapi.DeleteResourcePolicyRequest{})
	delegate.refused(list, "AccessDeniedException", "You don't have permissions to access this resource.")
}

func TestWhatNoResourcePolicyDelegates(t *testing.T) {
	boss := newWorld(t).manager()
	put := func(effect, action string) *organizationsapi.PutResourcePolicyRequest {
		return &organizationsapi.PutResourcePolicyRequest{Content: new(document(`{"Effect":"` + effect + `","Principal":{"AWS":"` + member + `"},"Action":"` + action + `","Resource":"*"}`))}
	}
	for _, action := range []string{"organizations:MoveAccount", "organizations:PutResourcePolicy", "organizations:CreateUnicorn", "kms:Decrypt", "organizations"} {
		_, err := boss.do(put("Allow", action))
		if e, ok := errors.AsType[*apierr.Error](err); !ok || e.Code != "InvalidInputException" || e.Details["Reason"] != "UNSUPPORTED_ACTION_IN_RESOURCE_POLICY" {
			t.Errorf("%s: %v", action, err)
		}
	}
	boss.must(put("Deny", "organizations:MoveAccount"))
	for _, action := range []string{"ORGANIZATIONS:createpolicy", "organizations:listRoots", "organizations:*", "organizations:UntagResource"} {
		boss.must(put("Allow", action))
	}
	again := put("Allow", "organizations:ListRoots")
	again.Tags = []organizationsapi.Tag{{Key: new("team"), Value: new("red")}}
	boss.refused(again, "InvalidInputException", "Tags are taken only when a resource policy is made: use TagResource.")
}

func TestWhoCanBeADelegatedAdministrator(t *testing.T) {
	w := newWorld(t)
	boss, delegate := w.manager(), w.as(member+"ADMIN")
	delegate.must(&organizationsapi.DescribeOrganizationRequest{})
	w.as(other + "ADMIN").must(&organizationsapi.DescribeOrganizationRequest{})
	const service = "config.amazonaws.com"
	boss.must(&organizationsapi.EnableAWSServiceAccessRequest{ServicePrincipal: new(service)})
	boss.must(&organizationsapi.CloseAccountRequest{AccountId: new(other)})
	boss.refused(&organizationsapi.RegisterDelegatedAdministratorRequest{AccountId: new(other), ServicePrincipal: new(service)}, "ConstraintViolationException", "You cannot register a suspended account as a delegated administrator.")
	boss.must(&organizationsapi.RegisterDelegatedAdministratorRequest{AccountId: new(member), ServicePrincipal: new(service)})
	// Who administers something stays, though nobody placed the account in the development server's organization.
	delegate.refused(&organizationsapi.CreateOrganizationRequest{}, "AlreadyInOrganizationException", "*")
	boss.must(&organizationsapi.DeregisterDelegatedAdministratorRequest{AccountId: new(member), ServicePrincipal: new(service)})
	delegate.must(&organizationsapi.CreateOrganizationRequest{})
}

func TestDelegatedAdministratorsAreTold(t *testing.T) {
	w := newWorld(t)
	boss, delegate := w.manager(), w.as(member+"ADMIN")
	const service = "guardduty.amazonaws.com"
	boss.must(&organizationsapi.EnableAWSServiceAccessRequest{ServicePrincipal: new(service)})
	roots := &organizationsapi.ListRootsRequest{}
	delegate.refused(roots, "AccessDeniedException", "You don't have permissions to access this resource.")
	boss.must(&organizationsapi.RegisterDelegatedAdministratorRequest{AccountId: new(member), ServicePrincipal: new(service)})
	for _, in := range []any{
		roots, &organizationsapi.ListAccountsRequest{}, &organizationsapi.DescribeAccountRequest{AccountId: new(management)}, &organizationsapi.ListDelegatedAdministratorsRequest{},
		&organizationsapi.ListOrganizationalUnitsForParentRequest{ParentId: new(rootID)}, &organizationsapi.ListPoliciesRequest{Filter: new(scp)},
		&organizationsapi.ListAWSServiceAccessForOrganizationRequest{},
	} {
		delegate.must(in)
	}
	delegate.refused(&organizationsapi.CreateOrganizationalUnitRequest{ParentId: new(rootID), Name: new("x")}, "AccessDeniedException", "*")
	w.as(other+"ADMIN").refused(roots, "AccessDeniedException", "*")
	boss.must(&organizationsapi.DeregisterDelegatedAdministratorRequest{AccountId: new(member), ServicePrincipal: new(service)})
	delegate.refused(roots, "AccessDeniedException", "*")
}

func TestEffectivePoliciesAreValid(t *testing.T) {
	w := newWorld(t)
	boss := w.manager()
	w.as(member + "ADMIN").must(&organizationsapi.DescribeOrganizationRequest{}) // now it is in the list
	invalid := &organizationsapi.ListAccountsWithInvalidEffectivePolicyRequest{PolicyType: new(tagPolicy)}
	found := &organizationsapi.ListEffectivePolicyValidationErrorsRequest{AccountId: new(member), PolicyType: new(tagPolicy)}
	boss.refused(invalid, "EffectivePolicyNotFoundException", "*")
	boss.refused(found, "EffectivePolicyNotFoundException", "*")
	boss.enable(tagPolicy)
	boss.attach(boss.management(tagPolicy, "p", `{"tags":{"team":{"tag_key":{"@@assign":"Team"}}}}`), rootID)
	if got := get[organizationsapi.ListAccountsWithInvalidEffectivePolicyResponse](boss, invalid); *got.PolicyType != tagPolicy || len(got.Accounts) != 0 {
		t.Errorf("%+v", got)
	}
	if got := get[organizationsapi.ListEffectivePolicyValidationErrorsResponse](boss, found); *got.Path != "o-kagimori00/"+rootID+"/"+member+"/" || got.EvaluationTimestamp == nil || len(got.EffectivePolicyValidationErrors) != 0 {
		t.Errorf("%+v", got)
	}
	found.AccountId = new("999999999999")
	w.as(member+"ADMIN").refused(found, "AccessDeniedException", "*")
	gov := &organizationsapi.CreateGovCloudAccountRequest{AccountName: sensitive("g"), Email: sensitive("g@example.com")}
	boss.refused(gov, "AccessDeniedException", "The management account of the organization is not paired with an account in AWS GovCloud (US).")
	w.as(member+"ADMIN").refused(gov, "AccessDeniedException", "You don't have permissions to access this resource.")
}
