package iam_test

import (
	"testing"

	"github.com/kagimori/kagimori/internal/api/iamapi"
)

func TestBoundaryIsPutAndTakenAway(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	u := w.user("u", allow(`"iam:*"`))
	list, bound := &iamapi.ListUsersRequest{}, a.createPolicy("bound")
	u.must(list)
	a.must(&iamapi.PutUserPermissionsBoundaryRequest{UserName: new("u"), PermissionsBoundary: &bound})
	u.refused(list, 403, "AccessDenied", "because no permissions boundary allows the iam:ListUsers action")
	if got := get[iamapi.GetUserResponse](a, &iamapi.GetUserRequest{UserName: new("u")}).User.PermissionsBoundary; got == nil || *got.PermissionsBoundaryArn != bound {
		t.Errorf("boundary is %+v", got)
	}
	a.refused(&iamapi.DeletePolicyRequest{PolicyArn: &bound}, 409, "DeleteConflict", "")
	a.refused(&iamapi.PutUserPermissionsBoundaryRequest{UserName: new("u"), PermissionsBoundary: new("arn:aws:iam::111122223333:policy/none")}, 404, "NoSuchEntity", "policy/none")
	a.must(&iamapi.DeleteUserPermissionsBoundaryRequest{UserName: new("u")})
	a.must(&iamapi.DeleteUserPermissionsBoundaryRequest{UserName: new("u")})
	u.must(list)

	a.createRole("r")
	a.must(&iamapi.PutRolePermissionsBoundaryRequest{RoleName: new("r"), PermissionsBoundary: &bound})
	a.must(&iamapi.PutRolePermissionsBoundaryRequest{RoleName: new("r"), PermissionsBoundary: &bound})
	p := get[iamapi.GetPolicyResponse](a, &iamapi.GetPolicyRequest{PolicyArn: &bound}).Policy
	if *p.PermissionsBoundaryUsageCount != 1 {
		t.Errorf("the policy bounds %d, want 1", *p.PermissionsBoundaryUsageCount)
	}
	a.must(&iamapi.DeleteRolePermissionsBoundaryRequest{RoleName: new("r")})
	a.must(&iamapi.DeletePolicyRequest{PolicyArn: &bound})
}

func TestServiceLinkedRolesHaveNoBoundary(t *testing.T) {
	a := newWorld(t).admin()
	a.must(&iamapi.CreateServiceLinkedRoleRequest{AWSServiceName: new("autoscaling.amazonaws.com")})
	role, bound := new("AWSServiceRoleForAutoScaling"), a.createPolicy("bound")
	a.refused(&iamapi.PutRolePermissionsBoundaryRequest{RoleName: role, PermissionsBoundary: &bound}, 400, "UnmodifiableEntity", *role)
	a.refused(&iamapi.DeleteRolePermissionsBoundaryRequest{RoleName: role}, 400, "UnmodifiableEntity", *role)
	out := get[iamapi.UpdateRoleDescriptionResponse](a, &iamapi.UpdateRoleDescriptionRequest{RoleName: role, Description: new("mine")})
	if *out.Role.Description != "mine" || *out.Role.RoleName != *role {
		t.Errorf("UpdateRoleDescription answered %+v", out.Role)
	}
	if got := get[iamapi.GetRoleResponse](a, &iamapi.GetRoleRequest{RoleName: role}).Role; *got.Description != "mine" {
		t.Errorf("description %q", *got.Description)
	}
}

// A user keeps its unique id, its access keys and its rights under another name.
func TestRenamedUserIsTheSame(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	a.must(&iamapi.CreateUserRequest{UserName: new("bob")})
	a.must(&iamapi.PutUserPolicyRequest{UserName: new("bob"), PolicyName: new("p"), PolicyDocument: new(document(allow(`"iam:GetUser"`)))})
	before := get[iamapi.GetUserResponse](a, &iamapi.GetUserRequest{UserName: new("bob")}).User
	key := get[iamapi.CreateAccessKeyResponse](a, &iamapi.CreateAccessKeyRequest{UserName: new("bob")}).AccessKey.AccessKeyId
	a.must(&iamapi.UpdateUserRequest{UserName: new("bob"), NewUserName: new("Robert"), NewPath: new("/team/")})

	me := w.login(*key)
	after := get[iamapi.GetUserResponse](me, &iamapi.GetUserRequest{}).User
	if *after.UserId != *before.UserId || *after.Arn != "arn:aws:iam::111122223333:user/team/Robert" {
		t.Errorf("before %s %s, after %s %s", *before.UserId, *before.Arn, *after.UserId, *after.Arn)
	}
	keys := get[iamapi.ListAccessKeysResponse](a, &iamapi.ListAccessKeysRequest{UserName: new("robert")}).AccessKeyMetadata
	if d := keys[0].CreateDate; d.Nanosecond() != 0 {
		t.Errorf("the access key was made at %v, want whole seconds", d)
	}
	if len(keys) != 1 || *keys[0].AccessKeyId != *key || *keys[0].UserName != "Robert" {
		t.Errorf("access keys %+v", keys)
	}
	a.refused(&iamapi.GetUserRequest{UserName: new("bob")}, 404, "NoSuchEntity", "bob")
	a.must(&iamapi.CreateUserRequest{UserName: new("bob")})
	a.refused(&iamapi.UpdateUserRequest{UserName: new("bob"), NewUserName: new("ROBERT")}, 409, "EntityAlreadyExists", "User with name ROBERT already exists.")
	a.refused(&iamapi.UpdateUserRequest{UserName: new("none"), NewUserName: new("x")}, 404, "NoSuchEntity", "The user with name none cannot be found.")
	a.must(&iamapi.UpdateUserRequest{UserName: new("bob"), NewUserName: new("BOB")})
	a.must(&iamapi.DeleteUserRequest{UserName: new("bob")})
	a.must(&iamapi.DeleteAccessKeyRequest{UserName: new("Robert"), AccessKeyId: key})
	a.must(&iamapi.DeleteUserPolicyRequest{UserName: new("Robert"), PolicyName: new("p")})
	a.must(&iamapi.DeleteUserRequest{UserName: new("Robert")})
}

// A role's trust in a user, kept by unique id, survives the user's new name.
func TestTrustFollowsARenamedUser(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	a.must(&iamapi.CreateUserRequest{UserName: new("bob")})
	a.must(&iamapi.CreateRoleRequest{RoleName: new("r"), AssumeRolePolicyDocument: new(trusts(`"AWS":"arn:aws:iam::111122223333:user/bob"`))})
	a.must(&iamapi.UpdateUserRequest{UserName: new("bob"), NewUserName: new("robert")})
	got := decoded(t, get[iamapi.GetRoleResponse](a, &iamapi.GetRoleRequest{RoleName: new("r")}).Role.AssumeRolePolicyDocument)
	if want := trusts(`"AWS":"arn:aws:iam::111122223333:user/robert"`); got != want {
		t.Errorf("trust is\n%s, want\n%s", got, want)
	}
}

func TestChangeConditionKeys(t *testing.T) {
	tests := []struct {
		rule      string
		statement string
		allowed   any
		denied    any
	}{
		{"iam:PermissionsBoundary that is put on a role",
			when(`"iam:PutRolePermissionsBoundary"`, `{"StringEquals":{"iam:PermissionsBoundary":"arn:aws:iam::111122223333:policy/good"}}`),
			&iamapi.PutRolePermissionsBoundaryRequest{RoleName: new("r"), PermissionsBoundary: new("arn:aws:iam::111122223333:policy/good")},
			&iamapi.PutRolePermissionsBoundaryRequest{RoleName: new("r"), PermissionsBoundary: new("arn:aws:iam::aws:policy/AdministratorAccess")}},
		{"iam:PermissionsBoundary that is taken from a user",
			when(`"iam:DeleteUserPermissionsBoundary"`, `{"StringEquals":{"iam:PermissionsBoundary":"arn:aws:iam::111122223333:policy/good"}}`),
			&iamapi.DeleteUserPermissionsBoundaryRequest{UserName: new("bounded")},
			&iamapi.DeleteUserPermissionsBoundaryRequest{UserName: new("free")}},
		{"both names of a user",
			`{"Effect":"Allow","Action":"iam:UpdateUser","Resource":["arn:aws:iam::111122223333:user/free","arn:aws:iam::111122223333:user/new"]}`,
			&iamapi.UpdateUserRequest{UserName: new("free"), NewUserName: new("new")},
			&iamapi.UpdateUserRequest{UserName: new("free"), NewUserName: new("admin2")}},
		{"aws:RequestTag of a new instance profile",
			when(`["iam:CreateInstanceProfile","iam:TagInstanceProfile"]`, `{"StringEquals":{"aws:RequestTag/team":"blue"}}`),
			&iamapi.CreateInstanceProfileRequest{InstanceProfileName: new("n"), Tags: tagList("team=blue")},
			&iamapi.CreateInstanceProfileRequest{InstanceProfileName: new("m"), Tags: tagList("team=red")}},
		{"tags of an instance profile need a permission of their own",
			on(`"iam:CreateInstanceProfile"`, "*"),
			&iamapi.CreateInstanceProfileRequest{InstanceProfileName: new("n")},
			&iamapi.CreateInstanceProfileRequest{InstanceProfileName: new("m"), Tags: tagList("team=red")}},
		{"what a user has is the user's",
			on(`"iam:List*"`, "arn:aws:iam::111122223333:user/free"),
			&iamapi.ListMFADevicesRequest{UserName: new("free")}, &iamapi.ListMFADevicesRequest{UserName: new("bounded")}},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			w := newWorld(t)
			a := w.admin()
			good := a.createPolicy("good")
			a.createRole("r")
			a.must(&iamapi.CreateUserRequest{UserName: new("free")})
			a.must(&iamapi.CreateUserRequest{UserName: new("bounded"), PermissionsBoundary: &good})
			caller := w.user("caller", tt.statement)
			caller.refused(tt.denied, 403, "AccessDenied", "User: arn:aws:iam::111122223333:user/caller is not authorized to perform: iam:")
			caller.must(tt.allowed)
		})
	}
}

// Clients that delete a user ask for all that may hang on it.
func TestWhatUsersDoNotHave(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	a.must(&iamapi.CreateUserRequest{UserName: new("u")})
	if got := get[iamapi.ListGroupsForUserResponse](a, &iamapi.ListGroupsForUserRequest{UserName: new("u")}); len(got.Groups) != 0 || *got.IsTruncated {
		t.Errorf("groups %+v", got)
	}
	a.must(&iamapi.ListMFADevicesRequest{UserName: new("u")})
	a.must(&iamapi.ListMFADevicesRequest{})
	a.must(&iamapi.ListVirtualMFADevicesRequest{})
	a.must(&iamapi.ListSSHPublicKeysRequest{UserName: new("u")})
	a.must(&iamapi.ListSigningCertificatesRequest{UserName: new("u")})
	a.must(&iamapi.ListServiceSpecificCredentialsRequest{UserName: new("u")})
	a.must(&iamapi.ListAccountAliasesRequest{})
	a.refused(&iamapi.GetLoginProfileRequest{UserName: new("u")}, 404, "NoSuchEntity", "Login Profile for User u cannot be found.")
	a.refused(&iamapi.DeleteLoginProfileRequest{UserName: new("u")}, 404, "NoSuchEntity", "Login Profile for User u cannot be found.")
	for _, in := range []any{
		&iamapi.ListGroupsForUserRequest{UserName: new("none")}, &iamapi.ListMFADevicesRequest{UserName: new("none")},
		&iamapi.ListSSHPublicKeysRequest{UserName: new("none")}, &iamapi.ListSigningCertificatesRequest{UserName: new("none")},
		&iamapi.ListServiceSpecificCredentialsRequest{UserName: new("none")}, &iamapi.GetLoginProfileRequest{UserName: new("none")},
	} {
		a.refused(in, 404, "NoSuchEntity", "The user with name none cannot be found.")
	}
	a.refused(&iamapi.ListMFADevicesRequest{Marker: new("x")}, 400, "ValidationError", "Marker")
	a.refused(&iamapi.ListAccountAliasesRequest{Marker: new("x")}, 400, "ValidationError", "Marker")
}

func TestAccountSummaryCounts(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	a.must(&iamapi.CreateUserRequest{UserName: new("u")})
	a.createRole("r")
	a.createPolicy("p")
	a.createProfile("x")
	w.root().must(&iamapi.CreateAccessKeyRequest{})
	got := get[iamapi.GetAccountSummaryResponse](a, &iamapi.GetAccountSummaryRequest{}).SummaryMap
	for key, want := range map[string]int32{
		"Users": 2, "Roles": 1, "Policies": 1, "InstanceProfiles": 1, "AccountAccessKeysPresent": 1, "Groups": 0, "AccessKeysPerUserQuota": 2,
	} {
		if n, ok := got[key]; !ok || n != want {
			t.Errorf("%s is %d (%t), want %d", key, n, ok, want)
		}
	}
}
