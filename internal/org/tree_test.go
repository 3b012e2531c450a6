package org_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/organizationsapi"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/store"
)

func TestDevelopmentOrganization(t *testing.T) {
	w := newWorld(t)
	m := w.manager()
	o := get[organizationsapi.DescribeOrganizationResponse](m, &organizationsapi.DescribeOrganizationRequest{}).Organization
	want := []string{
		directory.DevOrganization, "arn:aws:organizations::000000000000:organization/o-kagimori00", "ALL", management,
		"arn:aws:organizations::000000000000:account/o-kagimori00/000000000000", "account-000000000000@example.com",
	}
	got := []string{*o.Id, *o.Arn, *o.FeatureSet, *o.MasterAccountId, *o.MasterAccountArn, o.MasterAccountEmail.Reveal()}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	roots := get[organizationsapi.ListRootsResponse](m, &organizationsapi.ListRootsRequest{}).Roots
	if len(roots) != 1 || *roots[0].Id != rootID || *roots[0].Arn != "arn:aws:organizations::000000000000:root/o-kagimori00/r-kgmr" ||
		len(roots[0].PolicyTypes) != 1 || *roots[0].PolicyTypes[0].Type != scp {
		t.Errorf("roots = %+v", roots)
	}
	made := get[organizationsapi.CreateOrganizationResponse](m, &organizationsapi.CreateOrganizationRequest{}).Organization // it begins so
	if *made.Id != directory.DevOrganization || *made.FeatureSet != "ALL" || *made.MasterAccountId != management {
		t.Errorf("created %+v", made)
	}
	m.refused(&organizationsapi.CreateOrganizationRequest{}, "AlreadyInOrganizationException", "*")
	m.refused(&organizationsapi.DeleteOrganizationRequest{}, "OrganizationNotEmptyException", "*")
}

func TestAccountsAppearWhenSeen(t *testing.T) {
	w := newWorld(t)
	m := w.manager()
	list := func(in any) []string {
		t.Helper()
		out, err := m.do(in)
		w.Must(err)
		accounts := out.(*organizationsapi.ListAccountsResponse).Accounts
		var ids []string
		for _, a := range accounts {
			ids = append(ids, *a.Id+" "+strings.Join(a.Paths, ","))
		}
		return ids
	}
	at := "o-kagimori00/r-kgmr/"
	if diff := cmp.Diff([]string{management + " " + at + management + "/"}, list(&organizationsapi.ListAccountsRequest{})); diff != "" {
		t.Error(diff)
	}
	w.Lookup(other)
	unit := m.unit(rootID, "apps")
	m.move(member, rootID, unit) // never seen
	want := []string{management + " " + at + management + "/", member + " " + at + unit + "/" + member + "/", other + " " + at + other + "/"}
	if diff := cmp.Diff(want, list(&organizationsapi.ListAccountsRequest{})); diff != "" {
		t.Error(diff)
	}
	const unused = "999999999999" // a member as soon as somebody uses it
	m.refused(&organizationsapi.DescribeAccountRequest{AccountId: new(unused)}, "AccountNotFoundException", "*")
	m.refused(&organizationsapi.ListParentsRequest{ChildId: new(unused)}, "ChildNotFoundException", "*")
	m.refused(&organizationsapi.CloseAccountRequest{AccountId: new(unused)}, "AccountNotFoundException", "*")
	w.Lookup(unused)
	a := get[organizationsapi.DescribeAccountResponse](m, &organizationsapi.DescribeAccountRequest{AccountId: new(unused)}).Account
	if *a.Arn != "arn:aws:organizations::000000000000:account/o-kagimori00/999999999999" || *a.Status != "ACTIVE" {
		t.Errorf("an account that was used = %+v", a)
	}
}

func TestUnits(t *testing.T) {
	w := newWorld(t)
	m := w.manager()
	apps := m.unit(rootID, "apps")
	prod := m.unit(apps, "prod")
	m.unit(rootID, "prod") // the same name elsewhere
	d := get[organizationsapi.DescribeOrganizationalUnitResponse](m, &organizationsapi.DescribeOrganizationalUnitRequest{OrganizationalUnitId: &prod}).OrganizationalUnit
	if *d.Name != "prod" || *d.Path != "o-kagimori00/r-kgmr/"+apps+"/"+prod+"/" || *d.Arn != "arn:aws:organizations::000000000000:ou/o-kagimori00/"+prod {
		t.Errorf("unit = %+v", d)
	}
	if !strings.HasPrefix(prod, "ou-kgmr-") {
		t.Errorf("id of a unit = %s", prod)
	}
	m.move(member, rootID, prod)
	parents := get[organizationsapi.ListParentsResponse](m, &organizationsapi.ListParentsRequest{ChildId: new(member)}).Parents
	if len(parents) != 1 || *parents[0].Id != prod || *parents[0].Type != "ORGANIZATIONAL_UNIT" {
		t.Errorf("parents of an account = %+v", parents)
	}
	parents = get[organizationsapi.ListParentsResponse](m, &organizationsapi.ListParentsRequest{ChildId: &apps}).Parents
	if len(parents) != 1 || *parents[0].Id != rootID || *parents[0].Type != "ROOT" {
		t.Errorf("parents of a unit = %+v", parents)
	}
	for _, tt := range []struct{ parent, kind, want string }{
		{apps, "ORGANIZATIONAL_UNIT", prod}, {prod, "ACCOUNT", member}, {rootID, "ACCOUNT", management}, {apps, "ACCOUNT", ""},
	} {
		in := &organizationsapi.ListChildrenRequest{ParentId: &tt.parent, ChildType: &tt.kind}
		var ids []string
		for _, c := range get[organizationsapi.ListChildrenResponse](m, in).Children {
			ids = append(ids, *c.Id)
		}
		if strings.Join(ids, " ") != tt.want {
			t.Errorf("children of %s of kind %s = %v, want %s", tt.parent, tt.kind, ids, tt.want)
		}
	}
	rename := &organizationsapi.UpdateOrganizationalUnitRequest{OrganizationalUnitId: &apps, Name: new("Prod")}
	m.refused(rename, "DuplicateOrganizationalUnitException", "*")
	rename.Name = new("systems")
	m.must(rename)
	m.refused(&organizationsapi.DeleteOrganizationalUnitRequest{OrganizationalUnitId: &apps}, "OrganizationalUnitNotEmptyException", "*")
	m.refused(&organizationsapi.DeleteOrganizationalUnitRequest{OrganizationalUnitId: &prod}, "OrganizationalUnitNotEmptyException", "*")
	m.move(member, prod, rootID)
	m.must(&organizationsapi.DeleteOrganizationalUnitRequest{OrganizationalUnitId: &prod})
	m.must(&organizationsapi.DeleteOrganizationalUnitRequest{OrganizationalUnitId: &apps})
	m.refused(&organizationsapi.DescribeOrganizationalUnitRequest{OrganizationalUnitId: &apps}, "OrganizationalUnitNotFoundException", "*")
}

func TestErrorsOfTheTree(t *testing.T) {
	w := newWorld(t)
	m := w.manager()
	apps := m.unit(rootID, "apps")
	gone := "ou-kgmr-00000000"
	tests := []struct {
		in   any
		code string
	}{
		{&organizationsapi.CreateOrganizationalUnitRequest{ParentId: new(rootID), Name: new("Apps")}, "DuplicateOrganizationalUnitException"},
		{&organizationsapi.CreateOrganizationalUnitRequest{ParentId: &gone, Name: new("x")}, "ParentNotFoundException"},
		{&organizationsapi.ListOrganizationalUnitsForParentRequest{ParentId: new("r-none")}, "ParentNotFoundException"},
		{&organizationsapi.ListAccountsForParentRequest{ParentId: &gone}, "ParentNotFoundException"},
		{&organizationsapi.ListChildrenRequest{ParentId: &gone, ChildType: new("ACCOUNT")}, "ParentNotFoundException"},
		{&organizationsapi.UpdateOrganizationalUnitRequest{OrganizationalUnitId: &gone, Name: new("x")}, "OrganizationalUnitNotFoundException"},
		{&organizationsapi.DeleteOrganizationalUnitRequest{OrganizationalUnitId: &gone}, "OrganizationalUnitNotFoundException"},
		{&organizationsapi.ListParentsRequest{ChildId: &gone}, "ChildNotFoundException"},
		{&organizationsapi.MoveAccountRequest{AccountId: new(member), SourceParentId: &apps, DestinationParentId: new(rootID)}, "AccountNotFoundException"},
		{&organizationsapi.MoveAccountRequest{AccountId: new(member), SourceParentId: &gone, DestinationParentId: new(rootID)}, "SourceParentNotFoundException"},
		{&organizationsapi.MoveAccountRequest{AccountId: new(member), SourceParentId: new(rootID), DestinationParentId: &gone}, "DestinationParentNotFoundException"},
		{&organizationsapi.MoveAccountRequest{AccountId: new(member), SourceParentId: new(rootID), DestinationParentId: new(rootID)}, "DuplicateAccountException"},
		{&organizationsapi.DescribeCreateAccountStatusRequest{CreateAccountRequestId: new("car-00000000")}, "CreateAccountStatusNotFoundException"},
		{&organizationsapi.ListAccountsRequest{NextToken: new("nonsense")}, "InvalidInputException"},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%T %s", tt.in, tt.code), func(t *testing.T) {
			_, err := m.do(tt.in)
			if err == nil || !strings.HasPrefix(err.Error(), tt.code+": ") {
				t.Errorf("got %v, want %s", err, tt.code)
			}
		})
	}
	parent := rootID
	for i := range 5 {
		parent = m.unit(parent, fmt.Sprint("level", i))
	}
	m.refused(&organizationsapi.CreateOrganizationalUnitRequest{ParentId: &parent, Name: new("sixth")}, "ConstraintViolationException", "*")
}

func TestOnlyTheManagementAccountLooksAndChanges(t *testing.T) {
	w := newWorld(t)
	c := w.as(member + "ADMIN")
	const message = "You don't have permissions to access this resource."
	for _, in := range []any{
		&organizationsapi.ListAccountsRequest{}, &organizationsapi.ListRootsRequest{},
		&organizationsapi.DescribeAccountRequest{AccountId: new(member)},
		newPolicy(scp, "p", statement("Deny", "kms:*")),
		&organizationsapi.DetachPolicyRequest{PolicyId: new("p-FullAWSAccess"), TargetId: new(member)},
		&organizationsapi.MoveAccountRequest{AccountId: new(member), SourceParentId: new(rootID), DestinationParentId: new(rootID)},
		&organizationsapi.DisablePolicyTypeRequest{RootId: new(rootID), PolicyType: new(scp)},
	} {
		c.refused(in, "AccessDeniedException", message)
	}
	if o := get[organizationsapi.DescribeOrganizationResponse](c, &organizationsapi.DescribeOrganizationRequest{}).Organization; *o.MasterAccountId != management {
		t.Errorf("a member sees %+v", o)
	}
}

func TestOperationsNeedPermission(t *testing.T) {
	w := newWorld(t)
	apps := w.manager().unit(rootID, "apps")
	allow := `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":"organizations:MoveAccount","Resource":["arn:aws:organizations::*:account/*","arn:aws:organizations::000000000000:root/*"]},
		{"Effect":"Allow","Action":"organizations:CreatePolicy","Resource":"*","Condition":{"StringEquals":{"organizations:PolicyType":"RESOURCE_CONTROL_POLICY"}}},
		{"Effect":"Allow","Action":"organizations:TagResource","Resource":"*","Condition":{"StringEquals":{"aws:RequestTag/team":"red"}}}]}`
	c := &who{w, w.User(management, "u", allow)}
	c.refused(&organizationsapi.MoveAccountRequest{AccountId: new(member), SourceParentId: new(rootID), DestinationParentId: &apps}, "AccessDeniedException",
		"User: arn:aws:iam::000000000000:user/u is not authorized to perform: organizations:MoveAccount on resource: arn:aws:organizations::000000000000:ou/o-kagimori00/"+apps+
			" because no identity-based policy allows the organizations:MoveAccount action")
	c.refused(&organizationsapi.MoveAccountRequest{AccountId: new(member), SourceParentId: new(rootID), DestinationParentId: new(rootID)}, "DuplicateAccountException", "*")
	c.refused(newPolicy(scp, "p", statement("Deny", "kms:*")), "AccessDeniedException", "*")
	c.must(newPolicy(rcp, "p", denyAll("kms:Decrypt")))
	tag := func(value string) *organizationsapi.TagResourceRequest {
		return &organizationsapi.TagResourceRequest{ResourceId: new(member), Tags: []organizationsapi.Tag{{Key: new("team"), Value: &value}}}
	}
	c.refused(tag("blue"), "AccessDeniedException", "*")
	c.must(tag("red"))
}

func TestPaging(t *testing.T) {
	w := newWorld(t)
	m := w.manager()
	var want []string
	for i := range 7 {
		want = append(want, m.unit(rootID, fmt.Sprint("unit", i)))
	}
	slices.Sort(want)
	var got []string
	in := &organizationsapi.ListOrganizationalUnitsForParentRequest{ParentId: new(rootID), MaxResults: new(int32(3))}
	for range 3 {
		out := get[organizationsapi.ListOrganizationalUnitsForParentResponse](m, in)
		for _, u := range out.OrganizationalUnits {
			got = append(got, *u.Id)
		}
		in.NextToken = out.NextToken
		if out.NextToken == nil {
			break
		}
	}
	if diff := cmp.Diff(want, got); diff != "" || in.NextToken != nil {
		t.Errorf("token %v after the last page; %s", api.Val(in.NextToken), diff)
	}
	first := get[organizationsapi.ListOrganizationalUnitsForParentResponse](m, &organizationsapi.ListOrganizationalUnitsForParentRequest{ParentId: new(rootID), MaxResults: new(int32(3))})
	m.refused(&organizationsapi.ListAccountsRequest{NextToken: first.NextToken}, "InvalidInputException", "*") // of another list
}

func TestTags(t *testing.T) {
	w := newWorld(t)
	m := w.manager()
	apps := m.unit(rootID, "apps")
	policy := m.policy(scp, "p", statement("Deny", "kms:*"))
	for _, id := range []string{apps, policy, rootID, member} {
		tags := func() (out []string) {
			t.Helper()
			for _, x := range get[organizationsapi.ListTagsForResourceResponse](m, &organizationsapi.ListTagsForResourceRequest{ResourceId: &id}).Tags {
				out = append(out, *x.Key+"="+*x.Value)
			}
			return out
		}
		add := func(pairs ...string) *organizationsapi.TagResourceRequest {
			in := &organizationsapi.TagResourceRequest{ResourceId: &id}
			for i := 0; i < len(pairs); i += 2 {
				in.Tags = append(in.Tags, organizationsapi.Tag{Key: &pairs[i], Value: &pairs[i+1]})
			}
			return in
		}
		m.must(add("a", "1", "b", "2"))
		m.must(add("a", "3"))
		if diff := cmp.Diff([]string{"a=3", "b=2"}, tags()); diff != "" {
			t.Errorf("%s: %s", id, diff)
		}
		m.must(&organizationsapi.UntagResourceRequest{ResourceId: &id, TagKeys: []string{"a", "none"}})
		if diff := cmp.Diff([]string{"b=2"}, tags()); diff != "" {
			t.Errorf("%s: %s", id, diff)
		}
		m.refused(add("x", "1", "x", "2"), "InvalidInputException", "*")
		m.refused(add("aws:x", "1"), "InvalidInputException", "*")
	}
	m.refused(&organizationsapi.ListTagsForResourceRequest{ResourceId: new("ou-kgmr-00000000")}, "TargetNotFoundException", "*")
}

func TestProductionOrganization(t *testing.T) {
	w := newProduction(t)
	m := w.productionRoot("999988887777")
	m.refused(&organizationsapi.DescribeOrganizationRequest{}, "AWSOrganizationsNotInUseException", "Your account is not a member of an organization.")
	o := get[organizationsapi.CreateOrganizationResponse](m, &organizationsapi.CreateOrganizationRequest{}).Organization
	if !strings.HasPrefix(*o.Id, "o-") || *o.MasterAccountId != "999988887777" {
		t.Errorf("organization = %+v", o)
	}
	root := get[organizationsapi.ListRootsResponse](m, &organizationsapi.ListRootsRequest{}).Roots[0]
	if len(root.PolicyTypes) != 0 {
		t.Errorf("policy types of a new organization = %+v", root.PolicyTypes)
	}
	m.refused(&organizationsapi.MoveAccountRequest{AccountId: new(member), SourceParentId: root.Id, DestinationParentId: root.Id}, "AccountNotFoundException", "*")

	create := &organizationsapi.CreateAccountRequest{Email: sensitive("a@example.com"), AccountName: sensitive("a")}
	began := get[organizationsapi.CreateAccountResponse](m, create).CreateAccountStatus
	if *began.State != "IN_PROGRESS" || began.AccountId != nil {
		t.Errorf("answer of CreateAccount = %+v", began)
	}
	status := func(id *string) *organizationsapi.CreateAccountStatus {
		in := &organizationsapi.DescribeCreateAccountStatusRequest{CreateAccountRequestId: id}
		return get[organizationsapi.DescribeCreateAccountStatusResponse](m, in).CreateAccountStatus
	}
	done := status(began.Id)
	if *done.State != "SUCCEEDED" || done.AccountName.Reveal() != "a" {
		t.Fatalf("status = %+v", done)
	}
	w.View(func(tx store.Tx) error {
		r, ok, err := w.Directory.Role(tx, *done.AccountId, "OrganizationAccountAccessRole")
		if !ok || !strings.Contains(r.Trust, "arn:aws:iam::999988887777:root") {
			t.Errorf("role of the new account = %+v", r)
		}
		return err
	})
	again := status(get[organizationsapi.CreateAccountResponse](m, create).CreateAccountStatus.Id)
	if *again.State != "FAILED" || *again.FailureReason != "EMAIL_ALREADY_EXISTS" {
		t.Errorf("second account of the same address = %+v", again)
	}
	failed := get[organizationsapi.ListCreateAccountStatusResponse](m, &organizationsapi.ListCreateAccountStatusRequest{States: []string{"FAILED"}}).CreateAccountStatuses
	if len(failed) != 1 || *failed[0].Id != *again.Id {
		t.Errorf("failed requests = %+v", failed)
	}
	m.refused(&organizationsapi.DeleteOrganizationRequest{}, "OrganizationNotEmptyException", "*")
}

func TestDeletedOrganizationLeavesItsAccountAlone(t *testing.T) {
	w := newProduction(t)
	m := w.productionRoot("999988887777")
	m.must(&organizationsapi.CreateOrganizationRequest{})
	m.must(&organizationsapi.DeleteOrganizationRequest{})
	m.refused(&organizationsapi.ListRootsRequest{}, "AWSOrganizationsNotInUseException", "*")
	m.must(&organizationsapi.CreateOrganizationRequest{})
}

// Lists of one page have no token to go on with.
func TestTokensOfShortLists(t *testing.T) {
	w := newWorld(t)
	m := w.manager()
	unit := m.unit(rootID, "apps")
	for _, in := range []any{
		&organizationsapi.ListRootsRequest{NextToken: new("x")},
		&organizationsapi.ListParentsRequest{ChildId: &unit, NextToken: new("x")},
		&organizationsapi.ListTagsForResourceRequest{ResourceId: new(member), NextToken: new("x")},
	} {
		m.refused(in, "InvalidInputException", "*")
	}
	m.must(&organizationsapi.ListRootsRequest{MaxResults: new(int32(1))})
	m.must(&organizationsapi.ListParentsRequest{ChildId: &unit, MaxResults: new(int32(1))})
}
