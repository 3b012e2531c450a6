package iam_test

import (
	"testing"

	"github.com/kagimori/kagimori/internal/api/iamapi"
)

// when is a statement that allows actions under a condition.
func when(actions, condition string) string {
	return `{"Effect":"Allow","Action":` + actions + `,"Resource":"*","Condition":` + condition + `}`
}

func on(actions, resource string) string {
	return `{"Effect":"Allow","Action":` + actions + `,"Resource":"` + resource + `"}`
}

// TestConditionKeys proves for each key that its operation carries it: a policy with the right
// value allows, the same request with another value is denied.
func TestConditionKeys(t *testing.T) {
	tests := []struct {
		rule      string
		statement string
		allowed   any
		denied    any
	}{
		{"iam:PolicyARN of what is attached",
			when(`"iam:AttachRolePolicy"`, `{"ArnEquals":{"iam:PolicyARN":"arn:aws:iam::111122223333:policy/good"}}`),
			&iamapi.AttachRolePolicyRequest{RoleName: new("r"), PolicyArn: new("arn:aws:iam::111122223333:policy/good")},
			&iamapi.AttachRolePolicyRequest{RoleName: new("r"), PolicyArn: new("arn:aws:iam::aws:policy/AdministratorAccess")}},
		{"iam:PolicyARN of what is detached",
			when(`"iam:DetachUserPolicy"`, `{"ArnEquals":{"iam:PolicyARN":"arn:aws:iam::111122223333:policy/good"}}`),
			&iamapi.DetachUserPolicyRequest{UserName: new("target"), PolicyArn: new("arn:aws:iam::111122223333:policy/good")},
			&iamapi.DetachUserPolicyRequest{UserName: new("target"), PolicyArn: new("arn:aws:iam::aws:policy/AdministratorAccess")}},
		{"iam:PermissionsBoundary of a new user",
			when(`"iam:CreateUser"`, `{"StringEquals":{"iam:PermissionsBoundary":"arn:aws:iam::111122223333:policy/good"}}`),
			&iamapi.CreateUserRequest{UserName: new("n"), PermissionsBoundary: new("arn:aws:iam::111122223333:policy/good")},
			&iamapi.CreateUserRequest{UserName: new("m")}},
		{"iam:PermissionsBoundary of the role that is changed",
			when(`"iam:PutRolePolicy"`, `{"StringEquals":{"iam:PermissionsBoundary":"arn:aws:iam::111122223333:policy/good"}}`),
			&iamapi.PutRolePolicyRequest{RoleName: new("bounded"), PolicyName: new("p"), PolicyDocument: new(document(allow(`"s3:*"`)))},
			&iamapi.PutRolePolicyRequest{RoleName: new("r"), PolicyName: new("p"), PolicyDocument: new(document(allow(`"s3:*"`)))}},
		{"iam:AWSServiceName",
			when(`"iam:CreateServiceLinkedRole"`, `{"StringLike":{"iam:AWSServiceName":"spot.amazonaws.com"}}`),
			&iamapi.CreateServiceLinkedRoleRequest{AWSServiceName: new("spot.amazonaws.com")},
			&iamapi.CreateServiceLinkedRoleRequest{AWSServiceName: new("autoscaling.amazonaws.com")}},
		{"the service-linked role's ARN",
			on(`"iam:CreateServiceLinkedRole"`, "arn:aws:iam::*:role/aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot"),
			&iamapi.CreateServiceLinkedRoleRequest{AWSServiceName: new("spot.amazonaws.com")},
			&iamapi.CreateServiceLinkedRoleRequest{AWSServiceName: new("autoscaling.amazonaws.com")}},
		{"aws:RequestTag of a new role",
			when(`["iam:CreateRole","iam:TagRole"]`, `{"StringEquals":{"aws:RequestTag/team":"blue"}}`),
			&iamapi.CreateRoleRequest{RoleName: new("n"), AssumeRolePolicyDocument: &ec2Trust, Tags: tagList("team=blue")},
			&iamapi.CreateRoleRequest{RoleName: new("m"), AssumeRolePolicyDocument: &ec2Trust, Tags: tagList("team=red")}},
		{"aws:TagKeys of a new policy",
			when(`["iam:CreatePolicy","iam:TagPolicy"]`, `{"ForAllValues:StringEquals":{"aws:TagKeys":["team"]},"Null":{"aws:TagKeys":"false"}}`),
			&iamapi.CreatePolicyRequest{PolicyName: new("n"), PolicyDocument: new(document(allow(`"s3:*"`))), Tags: tagList("team=x")},
			&iamapi.CreatePolicyRequest{PolicyName: new("m"), PolicyDocument: new(document(allow(`"s3:*"`))), Tags: tagList("team=x", "other=y")}},
		{"aws:TagKeys of tags that go",
			when(`"iam:UntagUser"`, `{"ForAllValues:StringEquals":{"aws:TagKeys":["team"]},"Null":{"aws:TagKeys":"false"}}`),
			&iamapi.UntagUserRequest{UserName: new("target"), TagKeys: []string{"team"}},
			&iamapi.UntagUserRequest{UserName: new("target"), TagKeys: []string{"other"}}},
		{"iam:ResourceTag of a role",
			when(`"iam:GetRole"`, `{"StringEquals":{"iam:ResourceTag/Team":"blue"}}`),
			&iamapi.GetRoleRequest{RoleName: new("bounded")}, &iamapi.GetRoleRequest{RoleName: new("r")}},
		{"aws:ResourceTag of a user",
			when(`"iam:ListUserTags"`, `{"StringEquals":{"aws:ResourceTag/team":"blue"}}`),
			&iamapi.ListUserTagsRequest{UserName: new("target")}, &iamapi.ListUserTagsRequest{UserName: new("caller")}},
		{"the path of a role",
			on(`"iam:GetRole"`, "arn:aws:iam::111122223333:role/team/*"),
			&iamapi.GetRoleRequest{RoleName: new("bounded")}, &iamapi.GetRoleRequest{RoleName: new("r")}},
		{"tags need a permission of their own",
			on(`["iam:CreateUser"]`, "*"),
			&iamapi.CreateUserRequest{UserName: new("n")}, &iamapi.CreateUserRequest{UserName: new("m"), Tags: tagList("a=b")}},
		{"a policy of AWS is a resource too",
			on(`"iam:GetPolicy"`, "arn:aws:iam::aws:policy/AdministratorAccess"),
			&iamapi.GetPolicyRequest{PolicyArn: new("arn:aws:iam::aws:policy/AdministratorAccess")},
			&iamapi.GetPolicyRequest{PolicyArn: new("arn:aws:iam::aws:policy/PowerUserAccess")}},
		{"oneself",
			on(`"iam:*AccessKey*"`, "arn:aws:iam::111122223333:user/${aws:username}"),
			&iamapi.ListAccessKeysRequest{}, &iamapi.ListAccessKeysRequest{UserName: new("target")}},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			w := newWorld(t)
			a := w.admin()
			good := a.createPolicy("good")
			a.createRole("r")
			a.must(&iamapi.CreateRoleRequest{RoleName: new("bounded"), Path: new("/team/"), AssumeRolePolicyDocument: &ec2Trust, PermissionsBoundary: &good, Tags: tagList("Team=blue")})
			a.must(&iamapi.CreateUserRequest{UserName: new("target"), Tags: tagList("team=blue")})
			a.must(&iamapi.AttachUserPolicyRequest{UserName: new("target"), PolicyArn: &good})
			caller := w.user("caller", tt.statement)
			caller.refused(tt.denied, 403, "AccessDenied", "User: arn:aws:iam::111122223333:user/caller is not authorized to perform: iam:")
			caller.must(tt.allowed)
		})
	}
}

func TestWhoMayNotIsNotToldWhatExists(t *testing.T) {
	w := newWorld(t)
	w.admin().createRole("there")
	nobody := w.user("nobody")
	for _, name := range []string{"there", "missing"} {
		nobody.refused(&iamapi.GetRoleRequest{RoleName: &name}, 403, "AccessDenied", "iam:GetRole on resource: arn:aws:iam::111122223333:role/"+name)
	}
	nobody.refused(&iamapi.CreateRoleRequest{RoleName: new("there"), AssumeRolePolicyDocument: &ec2Trust}, 403, "AccessDenied", "iam:CreateRole")
	nobody.refused(&iamapi.ListRolesRequest{}, 403, "AccessDenied", "iam:ListRoles")
}

func TestWrittenPoliciesDecide(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	u := w.user("u")
	list := &iamapi.ListUsersRequest{}
	u.refused(list, 403, "AccessDenied", "because no identity-based policy allows the iam:ListUsers action")
	p := *get[iamapi.CreatePolicyResponse](a, &iamapi.CreatePolicyRequest{PolicyName: new("p"), PolicyDocument: new(document(allow(`"iam:ListUsers"`)))}).Policy.Arn
	a.must(&iamapi.AttachUserPolicyRequest{UserName: new("u"), PolicyArn: &p})
	u.must(list)
	a.must(&iamapi.CreatePolicyVersionRequest{PolicyArn: &p, PolicyDocument: new(document(allow(`"iam:ListRoles"`))), SetAsDefault: new(true)})
	u.refused(list, 403, "AccessDenied", "iam:ListUsers")
	a.must(&iamapi.SetDefaultPolicyVersionRequest{PolicyArn: &p, VersionId: new("v1")})
	u.must(list)
	a.must(&iamapi.PutUserPolicyRequest{UserName: new("u"), PolicyName: new("no"), PolicyDocument: new(document(`{"Effect":"Deny","Action":"iam:List*","Resource":"*"}`))})
	u.refused(list, 403, "AccessDenied", "with an explicit deny in an identity-based policy")
}

func TestEveryOperationIsRecorded(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	a.createRole("r")
	a.must(&iamapi.GetRoleRequest{RoleName: new("r")})
	a.refused(&iamapi.GetRoleRequest{RoleName: new("none")}, 404, "NoSuchEntity", "none")
	codes := map[string]string{}
	for _, r := range w.records(t) {
		codes[r.EventName+" "+r.ErrorCode] = r.UserIdentity.ARN
		if len(r.Kagimori.Decisions) == 0 {
			t.Errorf("%s has no decision", r.EventName)
		}
	}
	for _, want := range []string{"CreateRole ", "GetRole ", "GetRole NoSuchEntity"} {
		if codes[want] != "arn:aws:iam::111122223333:user/admin" {
			t.Errorf("no record of %q: %v", want, codes)
		}
	}
}

// The resource of a list is what the ARNs of its entries have in common. AWS's messages name it so.
func TestListsAreOfTheARNBeforeTheNames(t *testing.T) {
	w := newWorld(t)
	u := w.user("u")
	home := "arn:aws:iam::" + account + ":"
	for _, tt := range []struct {
		in       any
		resource string
	}{
		{&iamapi.ListUsersRequest{}, home + "user/"},
		{&iamapi.ListUsersRequest{PathPrefix: new("/a/")}, home + "user/a/"},
		{&iamapi.ListRolesRequest{}, home + "role/"},
		{&iamapi.ListGroupsRequest{}, home + "group/"},
		{&iamapi.ListInstanceProfilesRequest{}, home + "instance-profile/"},
		{&iamapi.ListServerCertificatesRequest{}, home + "server-certificate/"},
		{&iamapi.ListVirtualMFADevicesRequest{}, home + "mfa/"},
		{&iamapi.ListOpenIDConnectProvidersRequest{}, home + "oidc-provider/"},
		{&iamapi.ListSAMLProvidersRequest{}, home + "saml-provider/"},
		{&iamapi.ListAccountAliasesRequest{}, "*"},
	} {
		u.refused(tt.in, 403, "AccessDenied", "on resource: "+tt.resource+" because")
	}
	a := w.admin()
	a.must(&iamapi.PutUserPolicyRequest{UserName: new("u"), PolicyName: new("p"), PolicyDocument: new(document(
		`{"Effect":"Allow","Action":["iam:ListUsers","iam:ListRoles"],"Resource":"` + home + `user/*"}`))})
	u.must(&iamapi.ListUsersRequest{})
	u.refused(&iamapi.ListRolesRequest{}, 403, "AccessDenied", "iam:ListRoles")
}
