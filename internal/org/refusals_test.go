package org_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/api/organizationsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/store"
)

// because wants a refusal for a reason.
func (c *who) because(in any, code, reason string) {
	c.w.T.Helper()
	_, err := c.do(in)
	if e, ok := errors.AsType[*apierr.Error](err); !ok || e.Code != code || e.Details["Reason"] != reason {
		c.w.T.Errorf("%T: %v, want %s, %s", in, err, code, reason)
	}
}

const (
	constraint = "ConstraintViolationException"
	input      = "InvalidInputException"
)

// What needs all features says so to an organization with consolidated billing only.
func TestOperationsThatNeedAllFeatures(t *testing.T) {
	w := newWorld(t)
	boss := w.as("555566667777ADMIN")
	boss.must(&organizationsapi.CreateOrganizationRequest{FeatureSet: new("CONSOLIDATED_BILLING")})
	root := *get[organizationsapi.ListRootsResponse](boss, &organizationsapi.ListRootsRequest{}).Roots[0].Id
	made := get[organizationsapi.CreateAccountResponse](boss, &organizationsapi.CreateAccountRequest{Email: sensitive("b@example.com"), AccountName: sensitive("b")}).CreateAccountStatus
	b := get[organizationsapi.DescribeCreateAccountStatusResponse](boss, &organizationsapi.DescribeCreateAccountStatusRequest{CreateAccountRequestId: made.Id}).CreateAccountStatus.AccountId
	service := new("config.amazonaws.com")
	requests := []any{
		&organizationsapi.EnableAWSServiceAccessRequest{ServicePrincipal: service},
		&organizationsapi.ListAWSServiceAccessForOrganizationRequest{},
		&organizationsapi.RegisterDelegatedAdministratorRequest{AccountId: b, ServicePrincipal: service},
		&organizationsapi.ListDelegatedAdministratorsRequest{},
		&organizationsapi.ListDelegatedServicesForAccountRequest{AccountId: b},
		&organizationsapi.DeregisterDelegatedAdministratorRequest{AccountId: b, ServicePrincipal: service},
		&organizationsapi.DisableAWSServiceAccessRequest{ServicePrincipal: service},
		&organizationsapi.PutResourcePolicyRequest{Content: new(delegating("organizations:ListAccounts", *b, "*"))},
		&organizationsapi.DescribeResourcePolicyRequest{},
		&organizationsapi.DeleteResourcePolicyRequest{},
		&organizationsapi.DescribeEffectivePolicyRequest{PolicyType: new("TAG_POLICY")},
		&organizationsapi.CloseAccountRequest{AccountId: b},
	}
	for _, in := range requests {
		boss.because(in, constraint, "ORGANIZATION_NOT_IN_ALL_FEATURES_MODE")
	}
	boss.refused(&organizationsapi.DisablePolicyTypeRequest{RootId: &root, PolicyType: new("TAG_POLICY")}, "PolicyTypeNotEnabledException", "*")
	boss.must(&organizationsapi.EnableAllFeaturesRequest{})
	boss.must(requests[0])
	boss.must(requests[2])
	boss.must(requests[3])
}

func delegating(action, principal, resource string) string {
	return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"%s"},"Action":"%s","Resource":"%s"}]}`, principal, action, resource)
}

func TestReasons(t *testing.T) {
	w := newWorld(t)
	boss := w.manager()
	account := func(email, role string) *organizationsapi.CreateAccountRequest {
		return &organizationsapi.CreateAccountRequest{Email: sensitive(email), AccountName: sensitive("a"), RoleName: new(role)}
	}
	policy := func(action, principal, resource string) *organizationsapi.PutResourcePolicyRequest {
		return &organizationsapi.PutResourcePolicyRequest{Content: new(delegating(action, principal, resource))}
	}
	both := &organizationsapi.HandshakeFilter{ActionType: new("INVITE"), ParentHandshakeId: new("h-12345678")}
	for _, tt := range []struct {
		in           any
		code, reason string
	}{
		{account("a@example.com", "AWSServiceRoleForMe"), input, "INVALID_ROLE_NAME"},
		{&organizationsapi.UntagResourceRequest{ResourceId: new(rootID), TagKeys: []string{"a", "AWS:b"}}, input, "INVALID_SYSTEM_TAGS_PARAMETER"},
		{&organizationsapi.ListHandshakesForAccountRequest{Filter: both}, input, "MAX_LIMIT_EXCEEDED_FILTER"},
		{&organizationsapi.ListHandshakesForOrganizationRequest{Filter: both}, input, "MAX_LIMIT_EXCEEDED_FILTER"},
		{&organizationsapi.DescribeEffectivePolicyRequest{PolicyType: new("TAG_POLICY"), TargetId: new("ou-kgmr-12345678")}, input, "TARGET_NOT_SUPPORTED"},
		{policy("organizations:ListAccounts", "nobody", "*"), input, "INVALID_PRINCIPAL"},
		{policy("organizations:ListAccounts", "arn:aws:s3:::bucket", "*"), input, "INVALID_PRINCIPAL"},
		{policy("organizations:ListAccounts", member, "arn:aws:s3:::bucket"), input, "UNSUPPORTED_RESOURCE_IN_RESOURCE_POLICY"},
		{policy("organizations:CreateAccount", member, "*"), input, "UNSUPPORTED_ACTION_IN_RESOURCE_POLICY"},
		{&organizationsapi.EnablePolicyTypeRequest{RootId: new(rootID), PolicyType: new("SECURITYHUB_POLICY")}, constraint, "SERVICE_ACCESS_NOT_ENABLED"},
	} {
		boss.because(tt.in, tt.code, tt.reason)
	}
	for _, resource := range []string{"*", "arn:aws:organizations::" + management + ":*", "arn:*:organizations::*:policy/*"} {
		boss.must(policy("organizations:ListAccounts", "arn:aws:iam::"+member+":role/a", resource))
	}
	// Policies of the type stand on the service that is trusted.
	access := new("securityhub.amazonaws.com")
	boss.must(&organizationsapi.EnableAWSServiceAccessRequest{ServicePrincipal: access})
	boss.enable("SECURITYHUB_POLICY")
	boss.because(&organizationsapi.DisableAWSServiceAccessRequest{ServicePrincipal: access}, constraint, "POLICY_TYPE_ENABLED_FOR_THIS_SERVICE")
	boss.must(&organizationsapi.DisablePolicyTypeRequest{RootId: new(rootID), PolicyType: new("SECURITYHUB_POLICY")})
	boss.must(&organizationsapi.DisableAWSServiceAccessRequest{ServicePrincipal: access})

	// DetachPolicy does not know of types that are not enabled: nothing hangs there then.
	p := boss.policy(scp, "p", statement("Deny", "kms:*"))
	boss.attach(p, rootID)
	boss.must(&organizationsapi.DisablePolicyTypeRequest{RootId: new(rootID), PolicyType: new(scp)})
	boss.refused(&organizationsapi.DetachPolicyRequest{PolicyId: &p, TargetId: new(rootID)}, "PolicyNotAttachedException", "*")
	boss.refused(&organizationsapi.AttachPolicyRequest{PolicyId: &p, TargetId: new(rootID)}, "PolicyTypeNotEnabledException", "*")
}

// Accounts with addresses that cannot be are not made, which their status tells.
func TestAddressesOfAccounts(t *testing.T) {
	w := newWorld(t)
	boss := w.manager()
	for email, want := range map[string]string{
		"a+b_c.d@mail-1.example.com": "", `a"b@example.com`: "INVALID_EMAIL", ".a@example.com": "INVALID_EMAIL", "a(b)@example.com": "INVALID_EMAIL",
		"ab@-example.com": "INVALID_EMAIL", "ab@example.com.": "INVALID_EMAIL", "ab@exa_mple.com": "INVALID_EMAIL", "é@example.com": "INVALID_EMAIL",
	} {
		made := get[organizationsapi.CreateAccountResponse](boss, &organizationsapi.CreateAccountRequest{Email: sensitive(email), AccountName: sensitive("a")}).CreateAccountStatus
		s := get[organizationsapi.DescribeCreateAccountStatusResponse](boss, &organizationsapi.DescribeCreateAccountStatusRequest{CreateAccountRequestId: made.Id}).CreateAccountStatus
		got := ""
		if s.FailureReason != nil {
			got = *s.FailureReason
		}
		if got != want || (s.AccountId == nil) != (want != "") {
			t.Errorf("%s: %q, want %q", email, got, want)
		}
	}
}

// A member goes over to the organization that invites it; who manages one, or administers a service in one, does not.
func TestMembersGoOver(t *testing.T) {
	w := newWorld(t)
	boss, them, theirs := w.as("555566667777ADMIN"), w.as(member+"ADMIN"), w.as("666677778888ADMIN")
	organize := func(c *who) string {
		return *get[organizationsapi.CreateOrganizationResponse](c, &organizationsapi.CreateOrganizationRequest{}).Organization.Id
	}
	invited := func(c *who, account string) *organizationsapi.AcceptHandshakeRequest {
		return &organizationsapi.AcceptHandshakeRequest{HandshakeId: get[organizationsapi.InviteAccountToOrganizationResponse](c, invite(account)).Handshake.Id}
	}
	of := func() string {
		return *get[organizationsapi.DescribeOrganizationResponse](them, &organizationsapi.DescribeOrganizationRequest{}).Organization.Id
	}
	first, second := organize(boss), organize(theirs)
	them.must(invited(boss, member))
	if got := of(); got != first {
		t.Fatalf("the account is in %s", got)
	}
	over := invited(theirs, member)
	service := new("config.amazonaws.com")
	boss.must(&organizationsapi.EnableAWSServiceAccessRequest{ServicePrincipal: service})
	boss.must(&organizationsapi.RegisterDelegatedAdministratorRequest{AccountId: new(member), ServicePrincipal: service})
	them.because(over, constraint, "CANNOT_REMOVE_DELEGATED_ADMINISTRATOR_FROM_ORG")
	boss.must(&organizationsapi.DeregisterDelegatedAdministratorRequest{AccountId: new(member), ServicePrincipal: service})
	them.must(over)
	if got := of(); got != second {
		t.Errorf("the account is in %s", got)
	}
	l := get[organizationsapi.ListAccountsResponse](boss, &organizationsapi.ListAccountsRequest{}).Accounts
	if slices.ContainsFunc(l, func(a organizationsapi.Account) bool { return *a.Id == member }) {
		t.Error("the account is in the organization that it left")
	}
	boss.refused(invited(theirs, "555566667777"), "MasterCannotLeaveOrganizationException", "*")
}

// An organization has up to 2000 units.
func TestNumberOfUnits(t *testing.T) {
	w := newWorld(t)
	boss := w.manager()
	for i := range 1999 {
		w.Update(func(tx store.Tx) error {
			o, _, err := w.Directory.OrganizationOf(tx, management)
			if err != nil {
				return err
			}
			name := fmt.Sprintf("ou-kgmr-%08d", i)
			return w.Directory.PutUnit(tx, o, directory.Unit{ID: name, Parent: rootID, Name: name})
		})
	}
	boss.unit(rootID, "last")
	boss.because(&organizationsapi.CreateOrganizationalUnitRequest{ParentId: new(rootID), Name: new("more")}, constraint, "OU_NUMBER_LIMIT_EXCEEDED")
}

// In an organization of a few accounts 250 can be closed in 30 days.
func TestManyAccountsAreClosed(t *testing.T) {
	w := newWorld(t)
	boss := w.manager()
	id := func(i int) *string { return new(fmt.Sprintf("7777%08d", i)) }
	for i := range 251 {
		w.Update(func(tx store.Tx) error {
			o, _, err := w.Directory.OrganizationOf(tx, management)
			if err != nil {
				return err
			}
			m := directory.Member{Account: *id(i), Parent: rootID, Name: *id(i), Joined: w.Clock.Now()}
			if i < 249 {
				m.Closed = w.Clock.Now()
			}
			return w.Directory.PutMember(tx, o, m)
		})
	}
	boss.must(&organizationsapi.CloseAccountRequest{AccountId: id(249)})
	boss.because(&organizationsapi.CloseAccountRequest{AccountId: id(250)}, constraint, "CLOSE_ACCOUNT_QUOTA_EXCEEDED")
}

// Tags of what is made or invited need permission to tag.
func TestTagsNeedPermission(t *testing.T) {
	w := newWorld(t)
	allow := func(actions string) *who {
		return &who{w, w.User(management, "u"+fmt.Sprint(len(actions)), `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":[`+actions+`],"Resource":"*"}}`)}
	}
	const makes = `"organizations:Create*","organizations:InviteAccountToOrganization"`
	maker, tagger := allow(makes), allow(makes+`,"organizations:TagResource"`)
	w.as(member + "ADMIN").must(&organizationsapi.LeaveOrganizationRequest{})
	tags := []organizationsapi.Tag{{Key: new("team"), Value: new("red")}}
	tagged := newPolicy(scp, "tagged", statement("Deny", "kms:*"))
	tagged.Tags = tags
	for _, tt := range []struct {
		in       any
		resource string
	}{
		{&organizationsapi.CreateAccountRequest{Email: sensitive("a@example.com"), AccountName: sensitive("a"), Tags: tags}, "account/o-kagimori00/*"},
		{&organizationsapi.CreateOrganizationalUnitRequest{ParentId: new(rootID), Name: new("a"), Tags: tags}, "ou/o-kagimori00/ou-*"},
		{tagged, "policy/o-kagimori00/service_control_policy/p-*"},
		{invite(member), "account/o-kagimori00/" + member},
	} {
		_, err := maker.do(tt.in)
		want := "is not authorized to perform: organizations:TagResource on resource: arn:aws:organizations::" + management + ":" + tt.resource + " because"
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%T: %v, want %s", tt.in, err, want)
		}
		tagger.must(tt.in)
	}
	maker.must(newPolicy(scp, "plain", statement("Deny", "kms:*")))
}
