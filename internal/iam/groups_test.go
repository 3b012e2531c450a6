package iam_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/api/iamapi"
)

func TestGroupGivesItsPoliciesToItsUsers(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	bob := w.user("bob")
	list := &iamapi.ListRolesRequest{}
	bob.refused(list, 403, "AccessDenied", "iam:ListRoles")
	a.must(&iamapi.CreateGroupRequest{GroupName: new("ops"), Path: new("/team/")})
	a.must(&iamapi.PutGroupPolicyRequest{GroupName: new("OPS"), PolicyName: new("p"), PolicyDocument: new(document(allow(`"iam:ListRoles"`)))})
	bob.refused(list, 403, "AccessDenied", "iam:ListRoles")
	a.must(&iamapi.AddUserToGroupRequest{GroupName: new("ops"), UserName: new("bob")})
	a.must(&iamapi.AddUserToGroupRequest{GroupName: new("ops"), UserName: new("bob")}) // again: nothing
	bob.must(list)

	// A rename keeps the membership; what is attached bears on the user too.
	a.must(&iamapi.UpdateGroupRequest{GroupName: new("ops"), NewGroupName: new("operators")})
	bob.must(list)
	denies := get[iamapi.CreatePolicyResponse](a, &iamapi.CreatePolicyRequest{
		PolicyName: new("no"), PolicyDocument: new(document(`{"Effect":"Deny","Action":"iam:ListRoles","Resource":"*"}`)),
	}).Policy.Arn
	a.must(&iamapi.AttachGroupPolicyRequest{GroupName: new("operators"), PolicyArn: denies})
	bob.refused(list, 403, "AccessDenied", "explicit deny")
	a.must(&iamapi.DetachGroupPolicyRequest{GroupName: new("operators"), PolicyArn: denies})
	bob.must(list)

	groups := get[iamapi.ListGroupsForUserResponse](a, &iamapi.ListGroupsForUserRequest{UserName: new("bob")}).Groups
	if len(groups) != 1 || *groups[0].Arn != "arn:aws:iam::111122223333:group/team/operators" || !strings.HasPrefix(*groups[0].GroupId, "AGPA") {
		t.Errorf("groups of bob: %+v", groups)
	}
	members := get[iamapi.GetGroupResponse](a, &iamapi.GetGroupRequest{GroupName: new("operators")}).Users
	if len(members) != 1 || *members[0].UserName != "bob" {
		t.Errorf("members: %+v", members)
	}
	a.must(&iamapi.RemoveUserFromGroupRequest{GroupName: new("operators"), UserName: new("bob")})
	bob.refused(list, 403, "AccessDenied", "iam:ListRoles")
}

func TestGroupErrors(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	a.must(&iamapi.CreateGroupRequest{GroupName: new("g")})
	a.must(&iamapi.CreateGroupRequest{GroupName: new("h")})
	a.must(&iamapi.CreateUserRequest{UserName: new("u")})
	policy := a.createPolicy("p")
	a.must(&iamapi.AttachGroupPolicyRequest{GroupName: new("g"), PolicyArn: &policy})
	for _, tt := range []struct {
		in            any
		status        int
		code, message string
	}{
		{&iamapi.CreateGroupRequest{GroupName: new("G")}, 409, "EntityAlreadyExists", "Group with name G already exists."},
		{&iamapi.UpdateGroupRequest{GroupName: new("h"), NewGroupName: new("g")}, 409, "EntityAlreadyExists", "Group with name g already exists."},
		{&iamapi.GetGroupRequest{GroupName: new("x")}, 404, "NoSuchEntity", "The group with name x cannot be found."},
		{&iamapi.AddUserToGroupRequest{GroupName: new("x"), UserName: new("u")}, 404, "NoSuchEntity", "The group with name x cannot be found."},
		{&iamapi.AddUserToGroupRequest{GroupName: new("g"), UserName: new("x")}, 404, "NoSuchEntity", "The user with name x cannot be found."},
		{&iamapi.RemoveUserFromGroupRequest{GroupName: new("g"), UserName: new("u")}, 404, "NoSuchEntity", "cannot be found in the group"},
		{&iamapi.GetGroupPolicyRequest{GroupName: new("g"), PolicyName: new("x")}, 404, "NoSuchEntity", "The group policy with name x cannot be found."},
		{&iamapi.PutGroupPolicyRequest{GroupName: new("g"), PolicyName: new("x"), PolicyDocument: new(document(allow(`"s3:Get` + strings.Repeat("x", 5120) + `"`)))}, 409, "LimitExceeded", "Maximum policy size of 5120 bytes exceeded for group g"},
		{&iamapi.PutGroupPolicyRequest{GroupName: new("g"), PolicyName: new("x"), PolicyDocument: new("{}")}, 400, "MalformedPolicyDocument", ""},
		{&iamapi.DeleteGroupRequest{GroupName: new("g")}, 409, "DeleteConflict", "must detach all policies first"},
		{&iamapi.DeletePolicyRequest{PolicyArn: &policy}, 409, "DeleteConflict", ""},
	} {
		a.refused(tt.in, tt.status, tt.code, tt.message)
	}
	a.must(&iamapi.DetachGroupPolicyRequest{GroupName: new("g"), PolicyArn: &policy})
	a.must(&iamapi.AddUserToGroupRequest{GroupName: new("g"), UserName: new("u")})
	a.refused(&iamapi.DeleteGroupRequest{GroupName: new("g")}, 409, "DeleteConflict", "must remove users from group first")
	a.refused(&iamapi.DeleteUserRequest{UserName: new("u")}, 409, "DeleteConflict", "must remove users from group first")
	a.must(&iamapi.RemoveUserFromGroupRequest{GroupName: new("g"), UserName: new("u")})
	a.must(&iamapi.DeleteGroupRequest{GroupName: new("g")})
	for i := range 10 {
		name := "g" + string(rune('0'+i))
		a.must(&iamapi.CreateGroupRequest{GroupName: &name})
		a.must(&iamapi.AddUserToGroupRequest{GroupName: &name, UserName: new("u")})
	}
	a.refused(&iamapi.AddUserToGroupRequest{GroupName: new("h"), UserName: new("u")}, 409, "LimitExceeded", "Cannot exceed quota for GroupsPerUser: 10")
	page := get[iamapi.ListGroupsResponse](a, &iamapi.ListGroupsRequest{MaxItems: new(int32(7))})
	rest := get[iamapi.ListGroupsResponse](a, &iamapi.ListGroupsRequest{Marker: page.Marker})
	if len(page.Groups) != 7 || !*page.IsTruncated || len(rest.Groups) != 4 || *rest.IsTruncated {
		t.Errorf("pages of %d and %d groups", len(page.Groups), len(rest.Groups))
	}
}

func TestPolicyEntitiesIncludeGroups(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	policy := a.createPolicy("p")
	a.must(&iamapi.CreateGroupRequest{GroupName: new("g")})
	a.must(&iamapi.AttachGroupPolicyRequest{GroupName: new("g"), PolicyArn: &policy})
	out := get[iamapi.ListEntitiesForPolicyResponse](a, &iamapi.ListEntitiesForPolicyRequest{PolicyArn: &policy})
	if len(out.PolicyGroups) != 1 || *out.PolicyGroups[0].GroupName != "g" {
		t.Errorf("groups: %+v", out.PolicyGroups)
	}
	if n := *get[iamapi.GetPolicyResponse](a, &iamapi.GetPolicyRequest{PolicyArn: &policy}).Policy.AttachmentCount; n != 1 {
		t.Errorf("attachment count %d", n)
	}
	sim := get[iamapi.SimulatePolicyResponse](a, &iamapi.SimulatePrincipalPolicyRequest{
		PolicySourceArn: new("arn:aws:iam::111122223333:group/g"), ActionNames: []string{"s3:GetObject", "s3:PutObject"},
	})
	if d := sim.EvaluationResults; *d[0].EvalDecision != "allowed" || *d[1].EvalDecision != "implicitDeny" {
		t.Errorf("simulated: %s, %s", *d[0].EvalDecision, *d[1].EvalDecision)
	}
}

func TestAccountSettings(t *testing.T) {
	w := newWorld(t)
	a, other := w.admin(), w.login("444455556666ADMIN")
	a.must(&iamapi.CreateAccountAliasRequest{AccountAlias: new("first")})
	a.must(&iamapi.CreateAccountAliasRequest{AccountAlias: new("second")}) // in its place
	a.refused(&iamapi.CreateAccountAliasRequest{AccountAlias: new("second")}, 409, "EntityAlreadyExists", "The account alias second already exists.")
	if l := get[iamapi.ListAccountAliasesResponse](a, &iamapi.ListAccountAliasesRequest{}).AccountAliases; !slices.Equal(l, []string{"second"}) {
		t.Errorf("aliases %v", l)
	}
	other.must(&iamapi.CreateAccountAliasRequest{AccountAlias: new("first")})
	other.refused(&iamapi.CreateAccountAliasRequest{AccountAlias: new("second")}, 409, "EntityAlreadyExists", "The account alias second already exists.")
	a.refused(&iamapi.DeleteAccountAliasRequest{AccountAlias: new("first")}, 404, "NoSuchEntity", "The account alias with name first cannot be found.")
	a.must(&iamapi.DeleteAccountAliasRequest{AccountAlias: new("second")})
	a.refused(&iamapi.CreateAccountAliasRequest{AccountAlias: new("Upper")}, 400, "ValidationError", "accountAlias")

	a.refused(&iamapi.GetAccountPasswordPolicyRequest{}, 404, "NoSuchEntity", "The Password Policy with domain name 111122223333 cannot be found.")
	a.must(&iamapi.UpdateAccountPasswordPolicyRequest{MaxPasswordAge: new(int32(90)), RequireNumbers: new(true)})
	p := get[iamapi.GetAccountPasswordPolicyResponse](a, &iamapi.GetAccountPasswordPolicyRequest{}).PasswordPolicy
	if *p.MinimumPasswordLength != 6 || !*p.ExpirePasswords || !*p.RequireNumbers || *p.RequireSymbols {
		t.Errorf("password policy %+v", p)
	}
	a.must(&iamapi.DeleteAccountPasswordPolicyRequest{})
	a.refused(&iamapi.DeleteAccountPasswordPolicyRequest{}, 404, "NoSuchEntity", "The account policy with name PasswordPolicy cannot be found.")
}

func TestAuthorizationDetails(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	policy := a.createPolicy("p")
	a.createRole("r")
	a.must(&iamapi.CreateInstanceProfileRequest{InstanceProfileName: new("vessel")})
	a.must(&iamapi.AddRoleToInstanceProfileRequest{InstanceProfileName: new("vessel"), RoleName: new("r")})
	a.must(&iamapi.CreateUserRequest{UserName: new("u")})
	a.must(&iamapi.CreateGroupRequest{GroupName: new("g")})
	a.must(&iamapi.AddUserToGroupRequest{GroupName: new("g"), UserName: new("u")})
	a.must(&iamapi.AttachUserPolicyRequest{UserName: new("u"), PolicyArn: &policy})
	a.must(&iamapi.PutGroupPolicyRequest{GroupName: new("g"), PolicyName: new("in"), PolicyDocument: new(document(allow(`"s3:*"`)))})
	all := get[iamapi.GetAccountAuthorizationDetailsResponse](a, &iamapi.GetAccountAuthorizationDetailsRequest{})
	if len(all.UserDetailList) != 2 || len(all.GroupDetailList) != 1 || len(all.RoleDetailList) != 1 || len(all.Policies) != 2 {
		t.Fatalf("%d users, %d groups, %d roles, %d policies", len(all.UserDetailList), len(all.GroupDetailList), len(all.RoleDetailList), len(all.Policies))
	}
	u, g, r := all.UserDetailList[1], all.GroupDetailList[0], all.RoleDetailList[0]
	if *u.UserName != "u" || !slices.Equal(u.GroupList, []string{"g"}) || *u.AttachedManagedPolicies[0].PolicyArn != policy {
		t.Errorf("user: %+v", u)
	}
	if doc := decoded(t, g.GroupPolicyList[0].PolicyDocument); doc != document(allow(`"s3:*"`)) {
		t.Errorf("group's policy: %s", doc)
	}
	if doc := decoded(t, r.AssumeRolePolicyDocument); doc != ec2Trust || *r.InstanceProfileList[0].InstanceProfileName != "vessel" || *r.InstanceProfileList[0].Roles[0].RoleName != "r" {
		t.Errorf("role: %s, %+v", doc, r.InstanceProfileList)
	}
	local := get[iamapi.GetAccountAuthorizationDetailsResponse](a, &iamapi.GetAccountAuthorizationDetailsRequest{Filter: []string{"LocalManagedPolicy"}})
	if len(local.Policies) != 1 || *local.Policies[0].Arn != policy || len(local.UserDetailList) != 0 || *local.Policies[0].AttachmentCount != 1 {
		t.Errorf("local policies: %+v", local.Policies)
	}
	var seen int
	in := &iamapi.GetAccountAuthorizationDetailsRequest{MaxItems: new(int32(1))}
	for {
		p := get[iamapi.GetAccountAuthorizationDetailsResponse](a, in)
		seen += len(p.UserDetailList) + len(p.GroupDetailList) + len(p.RoleDetailList) + len(p.Policies)
		if !*p.IsTruncated {
			break
		}
		in.Marker = p.Marker
	}
	if seen != 6 {
		t.Errorf("%d entries in pages of one, want 6", seen)
	}
}
