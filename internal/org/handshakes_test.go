package org_test

import (
	"slices"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/organizationsapi"
)

func invite(account string) *organizationsapi.InviteAccountToOrganizationRequest {
	return &organizationsapi.InviteAccountToOrganizationRequest{
		Target: &organizationsapi.HandshakeParty{Id: sensitive(account), Type: new("ACCOUNT")}, Notes: sensitive("join us"),
		Tags: []organizationsapi.Tag{{Key: new("team"), Value: new("red")}},
	}
}

func TestAccountsLeaveAndAreInvited(t *testing.T) {
	w := newWorld(t)
	boss, them, third := w.manager(), w.as(member+"ADMIN"), w.as(other+"ADMIN")
	boss.refused(invite(member), "HandshakeConstraintViolationException", "*")
	them.must(&organizationsapi.LeaveOrganizationRequest{})
	them.refused(&organizationsapi.DescribeOrganizationRequest{}, "AWSOrganizationsNotInUseException", "*")
	them.refused(&organizationsapi.LeaveOrganizationRequest{}, "AWSOrganizationsNotInUseException", "*")
	boss.refused(&organizationsapi.DescribeAccountRequest{AccountId: new(member)}, "AccountNotFoundException", "*")
	if l := get[organizationsapi.ListAccountsResponse](boss, &organizationsapi.ListAccountsRequest{}); slices.ContainsFunc(l.Accounts, func(a organizationsapi.Account) bool { return *a.Id == member }) {
		t.Error("an account that left is listed")
	}
	boss.refused(&organizationsapi.LeaveOrganizationRequest{}, "MasterCannotLeaveOrganizationException", "*")
	boss.refused(&organizationsapi.RemoveAccountFromOrganizationRequest{AccountId: new(management)}, "MasterCannotLeaveOrganizationException", "*")
	boss.refused(&organizationsapi.RemoveAccountFromOrganizationRequest{AccountId: new(member)}, "AccountNotFoundException", "*")

	h := get[organizationsapi.InviteAccountToOrganizationResponse](boss, invite(member)).Handshake
	if *h.State != "OPEN" || *h.Action != "INVITE" || h.Parties[0].Id.Reveal() != "o-kagimori00" || h.Parties[1].Id.Reveal() != member || len(h.Resources) != 3 ||
		!h.ExpirationTimestamp.Equal(h.RequestedTimestamp.Add(15*24*time.Hour)) || *h.Arn != "arn:aws:organizations::000000000000:handshake/o-kagimori00/invite/"+*h.Id {
		t.Errorf("handshake %+v", h)
	}
	boss.refused(invite(member), "DuplicateHandshakeException", "*")
	third.must(&organizationsapi.DescribeHandshakeRequest{HandshakeId: h.Id})
	third.refused(&organizationsapi.AcceptHandshakeRequest{HandshakeId: h.Id}, "AccessDeniedException", "*")
	third.refused(&organizationsapi.CancelHandshakeRequest{HandshakeId: h.Id}, "AccessDeniedException", "*")
	third.must(&organizationsapi.LeaveOrganizationRequest{})
	third.refused(&organizationsapi.DescribeHandshakeRequest{HandshakeId: h.Id}, "HandshakeNotFoundException", "*")
	third.refused(&organizationsapi.AcceptHandshakeRequest{HandshakeId: h.Id}, "HandshakeNotFoundException", "*")
	boss.refused(&organizationsapi.AcceptHandshakeRequest{HandshakeId: h.Id}, "AccessDeniedException", "*")
	them.refused(&organizationsapi.CancelHandshakeRequest{HandshakeId: h.Id}, "AccessDeniedException", "*")
	if l := get[organizationsapi.ListHandshakesForAccountResponse](them, &organizationsapi.ListHandshakesForAccountRequest{}).Handshakes; len(l) != 1 || *l[0].Id != *h.Id {
		t.Errorf("invitations %+v", l)
	}
	got := get[organizationsapi.AcceptHandshakeResponse](them, &organizationsapi.AcceptHandshakeRequest{HandshakeId: h.Id}).Handshake
	if *got.State != "ACCEPTED" {
		t.Errorf("accepted %+v", got)
	}
	them.refused(&organizationsapi.AcceptHandshakeRequest{HandshakeId: h.Id}, "HandshakeAlreadyInStateException", "*")
	them.refused(&organizationsapi.DeclineHandshakeRequest{HandshakeId: h.Id}, "InvalidHandshakeTransitionException", "*")
	if a := get[organizationsapi.DescribeAccountResponse](boss, &organizationsapi.DescribeAccountRequest{AccountId: new(member)}).Account; *a.JoinedMethod != "INVITED" {
		t.Errorf("account %+v", a)
	}
	if tags := get[organizationsapi.ListTagsForResourceResponse](boss, &organizationsapi.ListTagsForResourceRequest{ResourceId: new(member)}).Tags; len(tags) != 1 || *tags[0].Value != "red" {
		t.Errorf("tags %+v", tags)
	}
	get[organizationsapi.DescribeOrganizationResponse](them, &organizationsapi.DescribeOrganizationRequest{})
}

func TestInvitationsEnd(t *testing.T) {
	w := newWorld(t)
	boss, them := w.manager(), w.as(member+"ADMIN")
	boss.must(&organizationsapi.RemoveAccountFromOrganizationRequest{AccountId: new(member)})
	open := func() *string {
		return get[organizationsapi.InviteAccountToOrganizationResponse](boss, invite(member)).Handshake.Id
	}
	state := func(id *string) string {
		return *get[organizationsapi.DescribeHandshakeResponse](boss, &organizationsapi.DescribeHandshakeRequest{HandshakeId: id}).Handshake.State
	}
	canceled := open()
	boss.must(&organizationsapi.CancelHandshakeRequest{HandshakeId: canceled})
	declined := open()
	them.must(&organizationsapi.DeclineHandshakeRequest{HandshakeId: declined})
	expired := open()
	w.Must(w.Clock.Advance(t.Context(), 15*24*time.Hour))
	them.refused(&organizationsapi.AcceptHandshakeRequest{HandshakeId: expired}, "InvalidHandshakeTransitionException", "*")
	if a, b, c := state(canceled), state(declined), state(expired); a != "CANCELED" || b != "DECLINED" || c != "EXPIRED" {
		t.Errorf("states %s %s %s", a, b, c)
	}
	list := func() int {
		return len(get[organizationsapi.ListHandshakesForOrganizationResponse](boss, &organizationsapi.ListHandshakesForOrganizationRequest{Filter: &organizationsapi.HandshakeFilter{ActionType: new("INVITE")}}).Handshakes)
	}
	if n := list(); n != 3 {
		t.Errorf("%d handshakes", n)
	}
	w.Must(w.Clock.Advance(t.Context(), 31*24*time.Hour))
	if n := list(); n != 0 {
		t.Errorf("%d handshakes are listed for ever", n)
	}
	for _, id := range []*string{canceled, declined, expired} {
		boss.refused(&organizationsapi.DescribeHandshakeRequest{HandshakeId: id}, "HandshakeNotFoundException", "*")
	}
	bad := invite("x")
	bad.Target.Type = new("ORGANIZATION")
	boss.refused(bad, "InvalidInputException", "*")
	bad.Target.Type = new("EMAIL")
	boss.refused(bad, "InvalidInputException", "You specified an invalid email address for the invited account owner.")
	boss.refused(&organizationsapi.EnableAllFeaturesRequest{}, "HandshakeConstraintViolationException", "*")
	// An account that left has an organization of its own if it likes.
	own := get[organizationsapi.CreateOrganizationResponse](them, &organizationsapi.CreateOrganizationRequest{}).Organization
	if *own.MasterAccountId != member || *own.Id == "o-kagimori00" {
		t.Errorf("organization %+v", own)
	}
	h := open()
	them.refused(&organizationsapi.AcceptHandshakeRequest{HandshakeId: h}, "MasterCannotLeaveOrganizationException", "*")
}

func TestServicesAndTheirAdministrators(t *testing.T) {
	w := newWorld(t)
	boss := w.manager()
	const service = "guardduty.amazonaws.com"
	register := &organizationsapi.RegisterDelegatedAdministratorRequest{AccountId: new(member), ServicePrincipal: new(service)}
	boss.refused(register, "ConstraintViolationException",
		"You must enable service access before you delegate an administrator for this service. Call the AWS API EnableAWSServiceAccess first.")
	boss.refused(&organizationsapi.EnableAWSServiceAccessRequest{ServicePrincipal: new("guardduty")}, "InvalidInputException", "*")
	boss.must(&organizationsapi.EnableAWSServiceAccessRequest{ServicePrincipal: new(service)})
	boss.must(&organizationsapi.EnableAWSServiceAccessRequest{ServicePrincipal: new(service)})
	if l := get[organizationsapi.ListAWSServiceAccessForOrganizationResponse](boss, &organizationsapi.ListAWSServiceAccessForOrganizationRequest{}).EnabledServicePrincipals; len(l) != 1 || *l[0].ServicePrincipal != service || l[0].DateEnabled == nil {
		t.Errorf("services %+v", l)
	}
	boss.must(register)
	boss.refused(register, "AccountAlreadyRegisteredException", "*")
	boss.refused(&organizationsapi.RegisterDelegatedAdministratorRequest{AccountId: new(management), ServicePrincipal: new(service)}, "ConstraintViolationException", "*")
	if l := get[organizationsapi.ListDelegatedAdministratorsResponse](boss, &organizationsapi.ListDelegatedAdministratorsRequest{ServicePrincipal: new(service)}).DelegatedAdministrators; len(l) != 1 || *l[0].Id != member || l[0].DelegationEnabledDate == nil {
		t.Errorf("administrators %+v", l)
	}
	if l := get[organizationsapi.ListDelegatedAdministratorsResponse](boss, &organizationsapi.ListDelegatedAdministratorsRequest{ServicePrincipal: new("config.amazonaws.com")}).DelegatedAdministrators; len(l) != 0 {
		t.Errorf("administrators %+v", l)
	}
	if l := get[organizationsapi.ListDelegatedServicesForAccountResponse](boss, &organizationsapi.ListDelegatedServicesForAccountRequest{AccountId: new(member)}).DelegatedServices; len(l) != 1 || *l[0].ServicePrincipal != service {
		t.Errorf("services %+v", l)
	}
	boss.refused(&organizationsapi.RemoveAccountFromOrganizationRequest{AccountId: new(member)}, "ConstraintViolationException", "*")
	boss.refused(&organizationsapi.ListDelegatedServicesForAccountRequest{AccountId: new(other)}, "AccountNotRegisteredException", "*")
	deregister := &organizationsapi.DeregisterDelegatedAdministratorRequest{AccountId: new(member), ServicePrincipal: new(service)}
	boss.must(deregister)
	boss.refused(deregister, "AccountNotRegisteredException", "*")
	boss.must(&organizationsapi.DisableAWSServiceAccessRequest{ServicePrincipal: new(service)})
	w.as(member+"ADMIN").refused(&organizationsapi.ListAWSServiceAccessForOrganizationRequest{}, "AccessDeniedException", "*")

	boss.refused(&organizationsapi.DescribeEffectivePolicyRequest{PolicyType: new("TAG_POLICY"), TargetId: new(member)}, "EffectivePolicyNotFoundException", "*")
	w.as(member+"ADMIN").refused(&organizationsapi.DescribeEffectivePolicyRequest{PolicyType: new("TAG_POLICY")}, "EffectivePolicyNotFoundException", "*")
	w.as(member+"ADMIN").refused(&organizationsapi.DescribeEffectivePolicyRequest{PolicyType: new("TAG_POLICY"), TargetId: new(other)}, "AccessDeniedException", "*")
}

// An account that is in a development server's organization for no reason of its own has another
// one if it likes; those that somebody placed or that hold policies stay.
func TestIdleAccountsHaveOrganizationsOfTheirOwn(t *testing.T) {
	w := newWorld(t)
	boss, them, third := w.manager(), w.as(member+"ADMIN"), w.as(other+"ADMIN")
	own := get[organizationsapi.CreateOrganizationResponse](them, &organizationsapi.CreateOrganizationRequest{}).Organization
	them.refused(&organizationsapi.CreateOrganizationRequest{}, "AlreadyInOrganizationException", "*")
	ids := func() (out []string) {
		for _, a := range get[organizationsapi.ListAccountsResponse](them, &organizationsapi.ListAccountsRequest{}).Accounts {
			out = append(out, *a.Id)
		}
		return out
	}
	if got := ids(); !slices.Equal(got, []string{member}) {
		t.Errorf("accounts %v", got)
	}
	boss.refused(&organizationsapi.DescribeAccountRequest{AccountId: new(member)}, "AccountNotFoundException", "*")
	root := get[organizationsapi.ListRootsResponse](them, &organizationsapi.ListRootsRequest{}).Roots[0]
	them.must(&organizationsapi.EnablePolicyTypeRequest{RootId: root.Id, PolicyType: new(scp)})
	if l := get[organizationsapi.ListTargetsForPolicyResponse](them, &organizationsapi.ListTargetsForPolicyRequest{PolicyId: new("p-FullAWSAccess")}).Targets; len(l) != 2 {
		t.Errorf("targets %+v", l)
	}

	h := get[organizationsapi.InviteAccountToOrganizationResponse](them, invite(other)).Handshake
	third.must(&organizationsapi.AcceptHandshakeRequest{HandshakeId: h.Id})
	if got := ids(); !slices.Equal(got, []string{member, other}) {
		t.Errorf("accounts %v", got)
	}
	third.refused(&organizationsapi.CreateOrganizationRequest{}, "AlreadyInOrganizationException", "*")
	them.must(&organizationsapi.RemoveAccountFromOrganizationRequest{AccountId: new(other)})
	third.refused(&organizationsapi.DescribeOrganizationRequest{}, "AWSOrganizationsNotInUseException", "*")
	them.must(&organizationsapi.DeleteOrganizationRequest{})
	them.refused(&organizationsapi.DescribeOrganizationRequest{}, "AWSOrganizationsNotInUseException", "*")
	if again := get[organizationsapi.CreateOrganizationResponse](them, &organizationsapi.CreateOrganizationRequest{}).Organization; *again.Id == *own.Id {
		t.Error("a new organization has the id of a deleted one")
	}

	boss.must(&organizationsapi.CreateOrganizationRequest{}) // that which it manages, whoever left it before
	boss.refused(&organizationsapi.CreateOrganizationRequest{}, "AlreadyInOrganizationException", "*")
	const placed, limited, made = "777700000001", "777700000002", "new@example.com"
	boss.must(&organizationsapi.MoveAccountRequest{AccountId: new(placed), SourceParentId: new(rootID), DestinationParentId: new(boss.unit(rootID, "u"))})
	boss.attach(boss.policy(scp, "none", statement("Deny", "s3:*")), limited)
	status := get[organizationsapi.CreateAccountResponse](boss, &organizationsapi.CreateAccountRequest{AccountName: sensitive("new"), Email: sensitive(made)}).CreateAccountStatus
	done := get[organizationsapi.DescribeCreateAccountStatusResponse](boss, &organizationsapi.DescribeCreateAccountStatusRequest{CreateAccountRequestId: status.Id}).CreateAccountStatus
	for _, account := range []string{placed, limited, *done.AccountId} {
		w.as(account+"ADMIN").refused(&organizationsapi.CreateOrganizationRequest{}, "AlreadyInOrganizationException", "*")
	}
}
