package e2e_test

import (
	"net/url"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/kagimori/kagimori/e2e/internal/seed"
)

const (
	listKeys  = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kms:ListKeys","Resource":"*"}]}`
	ec2Trust  = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
	powerUser = "arn:aws:iam::aws:policy/PowerUserAccess"
)

func iamTags(keyValue ...string) []iamtypes.Tag {
	var out []iamtypes.Tag
	for i := 0; i < len(keyValue); i += 2 {
		out = append(out, iamtypes.Tag{Key: &keyValue[i], Value: &keyValue[i+1]})
	}
	return out
}

// tagged wants a list of tags to be one tag.
func tagged(t *testing.T, tags []iamtypes.Tag, key, value string) {
	t.Helper()
	if len(tags) != 1 || *tags[0].Key != key || *tags[0].Value != value {
		t.Errorf("tags %+v, want %s=%s", tags, key, value)
	}
}

func sameDocument(t *testing.T, encoded *string, want string) {
	t.Helper()
	if got := must(url.QueryUnescape(*encoded))(t); got != want {
		t.Errorf("document %s, want %s", got, want)
	}
}

func testUsers(t *testing.T, r *recorder, url string) {
	c, ctx, name := r.admin(url, "210000000001"), t.Context(), new("ana")
	u := must(c.iam.CreateUser(ctx, &iam.CreateUserInput{UserName: name, Path: new("/p/"), Tags: iamTags("team", "red")}))(t).User
	if *u.Arn != "arn:aws:iam::210000000001:user/p/ana" || len(*u.UserId) != 21 {
		t.Errorf("user %+v", u)
	}
	refused(c.iam.CreateUser(ctx, &iam.CreateUserInput{UserName: new("ANA")}))(t, "EntityAlreadyExists")
	must(c.iam.TagUser(ctx, &iam.TagUserInput{UserName: name, Tags: iamTags("team", "blue", "x", "y")}))(t)
	must(c.iam.UntagUser(ctx, &iam.UntagUserInput{UserName: name, TagKeys: []string{"x"}}))(t)
	tagged(t, must(c.iam.ListUserTags(ctx, &iam.ListUserTagsInput{UserName: name}))(t).Tags, "team", "blue")
	must(c.iam.PutUserPermissionsBoundary(ctx, &iam.PutUserPermissionsBoundaryInput{UserName: name, PermissionsBoundary: new(powerUser)}))(t)
	if b := must(c.iam.GetUser(ctx, &iam.GetUserInput{UserName: name}))(t).User.PermissionsBoundary; b == nil || *b.PermissionsBoundaryArn != powerUser {
		t.Errorf("boundary %+v", b)
	}
	must(c.iam.DeleteUserPermissionsBoundary(ctx, &iam.DeleteUserPermissionsBoundaryInput{UserName: name}))(t)
	must(c.iam.PutUserPolicy(ctx, &iam.PutUserPolicyInput{UserName: name, PolicyName: new("in"), PolicyDocument: new(listKeys)}))(t)
	sameDocument(t, must(c.iam.GetUserPolicy(ctx, &iam.GetUserPolicyInput{UserName: name, PolicyName: new("in")}))(t).PolicyDocument, listKeys)
	if p := must(c.iam.ListUserPolicies(ctx, &iam.ListUserPoliciesInput{UserName: name}))(t).PolicyNames; !slices.Equal(p, []string{"in"}) {
		t.Errorf("policies %v", p)
	}
	must(c.iam.AttachUserPolicy(ctx, &iam.AttachUserPolicyInput{UserName: name, PolicyArn: new(powerUser)}))(t)
	if p := must(c.iam.ListAttachedUserPolicies(ctx, &iam.ListAttachedUserPoliciesInput{UserName: name}))(t).AttachedPolicies; len(p) != 1 || *p[0].PolicyArn != powerUser {
		t.Errorf("attached %+v", p)
	}
	k := must(c.iam.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: name}))(t).AccessKey
	must(c.iam.UpdateAccessKey(ctx, &iam.UpdateAccessKeyInput{UserName: name, AccessKeyId: k.AccessKeyId, Status: iamtypes.StatusTypeInactive}))(t)
	if keys := must(c.iam.ListAccessKeys(ctx, &iam.ListAccessKeysInput{UserName: name}))(t).AccessKeyMetadata; len(keys) != 1 || keys[0].Status != iamtypes.StatusTypeInactive {
		t.Errorf("keys %+v", keys)
	}
	if l := must(c.iam.GetAccessKeyLastUsed(ctx, &iam.GetAccessKeyLastUsedInput{AccessKeyId: k.AccessKeyId}))(t); *l.UserName != "ana" || *l.AccessKeyLastUsed.ServiceName != "N/A" {
		t.Errorf("last used %+v", l)
	}
	refused(c.iam.DeleteUser(ctx, &iam.DeleteUserInput{UserName: name}))(t, "DeleteConflict")
	must(c.iam.DeleteAccessKey(ctx, &iam.DeleteAccessKeyInput{UserName: name, AccessKeyId: k.AccessKeyId}))(t)
	must(c.iam.DetachUserPolicy(ctx, &iam.DetachUserPolicyInput{UserName: name, PolicyArn: new(powerUser)}))(t)
	must(c.iam.DeleteUserPolicy(ctx, &iam.DeleteUserPolicyInput{UserName: name, PolicyName: new("in")}))(t)
	must(c.iam.UpdateUser(ctx, &iam.UpdateUserInput{UserName: name, NewUserName: new("mia")}))(t)
	list := must(c.iam.ListUsers(ctx, &iam.ListUsersInput{PathPrefix: new("/p/")}))(t).Users
	if len(list) != 1 || *list[0].UserName != "mia" || *list[0].UserId != *u.UserId {
		t.Errorf("users %+v", list)
	}
	must(c.iam.DeleteUser(ctx, &iam.DeleteUserInput{UserName: new("mia")}))(t)
	refused(c.iam.GetUser(ctx, &iam.GetUserInput{UserName: new("mia")}))(t, "NoSuchEntity")
}

func testGroups(t *testing.T, r *recorder, url string) {
	c, ctx, name, user := r.admin(url, "210000000002"), t.Context(), new("team"), new("ana")
	must(c.iam.CreateUser(ctx, &iam.CreateUserInput{UserName: user}))(t)
	must(c.iam.CreateGroup(ctx, &iam.CreateGroupInput{GroupName: name}))(t)
	must(c.iam.AddUserToGroup(ctx, &iam.AddUserToGroupInput{GroupName: name, UserName: user}))(t)
	if g := must(c.iam.GetGroup(ctx, &iam.GetGroupInput{GroupName: name}))(t); len(g.Users) != 1 || *g.Users[0].UserName != "ana" {
		t.Errorf("group %+v", g)
	}
	if g := must(c.iam.ListGroupsForUser(ctx, &iam.ListGroupsForUserInput{UserName: user}))(t).Groups; len(g) != 1 || *g[0].GroupName != "team" {
		t.Errorf("groups %+v", g)
	}
	must(c.iam.PutGroupPolicy(ctx, &iam.PutGroupPolicyInput{GroupName: name, PolicyName: new("in"), PolicyDocument: new(listKeys)}))(t)
	sameDocument(t, must(c.iam.GetGroupPolicy(ctx, &iam.GetGroupPolicyInput{GroupName: name, PolicyName: new("in")}))(t).PolicyDocument, listKeys)
	if p := must(c.iam.ListGroupPolicies(ctx, &iam.ListGroupPoliciesInput{GroupName: name}))(t).PolicyNames; !slices.Equal(p, []string{"in"}) {
		t.Errorf("policies %v", p)
	}
	must(c.iam.AttachGroupPolicy(ctx, &iam.AttachGroupPolicyInput{GroupName: name, PolicyArn: new(powerUser)}))(t)
	if p := must(c.iam.ListAttachedGroupPolicies(ctx, &iam.ListAttachedGroupPoliciesInput{GroupName: name}))(t).AttachedPolicies; len(p) != 1 {
		t.Errorf("attached %+v", p)
	}
	must(c.iam.UpdateGroup(ctx, &iam.UpdateGroupInput{GroupName: name, NewGroupName: new("crew")}))(t)
	if g := must(c.iam.ListGroups(ctx, &iam.ListGroupsInput{}))(t).Groups; len(g) != 1 || *g[0].GroupName != "crew" {
		t.Errorf("groups %+v", g)
	}
	name = new("crew")
	refused(c.iam.DeleteGroup(ctx, &iam.DeleteGroupInput{GroupName: name}))(t, "DeleteConflict")
	must(c.iam.DetachGroupPolicy(ctx, &iam.DetachGroupPolicyInput{GroupName: name, PolicyArn: new(powerUser)}))(t)
	must(c.iam.DeleteGroupPolicy(ctx, &iam.DeleteGroupPolicyInput{GroupName: name, PolicyName: new("in")}))(t)
	must(c.iam.RemoveUserFromGroup(ctx, &iam.RemoveUserFromGroupInput{GroupName: name, UserName: user}))(t)
	must(c.iam.DeleteGroup(ctx, &iam.DeleteGroupInput{GroupName: name}))(t)
	refused(c.iam.GetGroup(ctx, &iam.GetGroupInput{GroupName: name}))(t, "NoSuchEntity")
}

func testRoles(t *testing.T, r *recorder, url string) {
	c, ctx, name := r.admin(url, "210000000003"), t.Context(), new("app")
	role := must(c.iam.CreateRole(ctx, &iam.CreateRoleInput{RoleName: name, AssumeRolePolicyDocument: new(ec2Trust), MaxSessionDuration: new(int32(7200)), Tags: iamTags("team", "red")}))(t).Role
	if *role.Arn != "arn:aws:iam::210000000003:role/app" || *role.MaxSessionDuration != 7200 {
		t.Errorf("role %+v", role)
	}
	must(c.iam.TagRole(ctx, &iam.TagRoleInput{RoleName: name, Tags: iamTags("x", "y")}))(t)
	must(c.iam.UntagRole(ctx, &iam.UntagRoleInput{RoleName: name, TagKeys: []string{"x"}}))(t)
	tagged(t, must(c.iam.ListRoleTags(ctx, &iam.ListRoleTagsInput{RoleName: name}))(t).Tags, "team", "red")
	must(c.iam.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: name, PolicyName: new("in"), PolicyDocument: new(listKeys)}))(t)
	sameDocument(t, must(c.iam.GetRolePolicy(ctx, &iam.GetRolePolicyInput{RoleName: name, PolicyName: new("in")}))(t).PolicyDocument, listKeys)
	if p := must(c.iam.ListRolePolicies(ctx, &iam.ListRolePoliciesInput{RoleName: name}))(t).PolicyNames; !slices.Equal(p, []string{"in"}) {
		t.Errorf("policies %v", p)
	}
	must(c.iam.DeleteRolePolicy(ctx, &iam.DeleteRolePolicyInput{RoleName: name, PolicyName: new("in")}))(t)
	must(c.iam.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: name, PolicyArn: new(powerUser)}))(t)
	if p := must(c.iam.ListAttachedRolePolicies(ctx, &iam.ListAttachedRolePoliciesInput{RoleName: name}))(t).AttachedPolicies; len(p) != 1 {
		t.Errorf("attached %+v", p)
	}
	must(c.iam.DetachRolePolicy(ctx, &iam.DetachRolePolicyInput{RoleName: name, PolicyArn: new(powerUser)}))(t)
	must(c.iam.PutRolePermissionsBoundary(ctx, &iam.PutRolePermissionsBoundaryInput{RoleName: name, PermissionsBoundary: new(powerUser)}))(t)
	must(c.iam.DeleteRolePermissionsBoundary(ctx, &iam.DeleteRolePermissionsBoundaryInput{RoleName: name}))(t)
	must(c.iam.UpdateRole(ctx, &iam.UpdateRoleInput{RoleName: name, Description: new("d")}))(t)
	if d := must(c.iam.UpdateRoleDescription(ctx, &iam.UpdateRoleDescriptionInput{RoleName: name, Description: new("e")}))(t).Role.Description; *d != "e" {
		t.Errorf("description %s", *d)
	}
	trust := seed.Policy(`{"Effect":"Allow","Principal":{"AWS":"210000000003"},"Action":"sts:AssumeRole"}`)
	must(c.iam.UpdateAssumeRolePolicy(ctx, &iam.UpdateAssumeRolePolicyInput{RoleName: name, PolicyDocument: &trust}))(t)
	sameDocument(t, must(c.iam.GetRole(ctx, &iam.GetRoleInput{RoleName: name}))(t).Role.AssumeRolePolicyDocument, trust)
	linked := must(c.iam.CreateServiceLinkedRole(ctx, &iam.CreateServiceLinkedRoleInput{AWSServiceName: new("autoscaling.amazonaws.com"), CustomSuffix: new("x")}))(t).Role
	refused(c.iam.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: linked.RoleName, PolicyArn: new(powerUser)}))(t, "UnmodifiableEntity")
	task := must(c.iam.DeleteServiceLinkedRole(ctx, &iam.DeleteServiceLinkedRoleInput{RoleName: linked.RoleName}))(t).DeletionTaskId
	if s := must(c.iam.GetServiceLinkedRoleDeletionStatus(ctx, &iam.GetServiceLinkedRoleDeletionStatusInput{DeletionTaskId: task}))(t).Status; s != iamtypes.DeletionTaskStatusTypeSucceeded {
		t.Errorf("deletion %s", s)
	}
	if l := must(c.iam.ListRoles(ctx, &iam.ListRolesInput{}))(t).Roles; len(l) != 1 {
		t.Errorf("roles %+v", l)
	}
	must(c.iam.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: name}))(t)
	refused(c.iam.GetRole(ctx, &iam.GetRoleInput{RoleName: name}))(t, "NoSuchEntity")
}

func testPolicies(t *testing.T, r *recorder, url string) {
	c, ctx := r.admin(url, "210000000004"), t.Context()
	arn := must(c.iam.CreatePolicy(ctx, &iam.CreatePolicyInput{PolicyName: new("own"), PolicyDocument: new(listKeys), Tags: iamTags("a", "b")}))(t).Policy.Arn
	v2 := must(c.iam.CreatePolicyVersion(ctx, &iam.CreatePolicyVersionInput{PolicyArn: arn, PolicyDocument: new(seed.Identity("kms:Decrypt", "*"))}))(t).PolicyVersion
	if *v2.VersionId != "v2" || v2.IsDefaultVersion {
		t.Errorf("version %+v", v2)
	}
	must(c.iam.SetDefaultPolicyVersion(ctx, &iam.SetDefaultPolicyVersionInput{PolicyArn: arn, VersionId: v2.VersionId}))(t)
	if v := must(c.iam.GetPolicy(ctx, &iam.GetPolicyInput{PolicyArn: arn}))(t).Policy.DefaultVersionId; *v != "v2" {
		t.Errorf("default %s", *v)
	}
	sameDocument(t, must(c.iam.GetPolicyVersion(ctx, &iam.GetPolicyVersionInput{PolicyArn: arn, VersionId: new("v1")}))(t).PolicyVersion.Document, listKeys)
	must(c.iam.DeletePolicyVersion(ctx, &iam.DeletePolicyVersionInput{PolicyArn: arn, VersionId: new("v1")}))(t)
	if v := must(c.iam.ListPolicyVersions(ctx, &iam.ListPolicyVersionsInput{PolicyArn: arn}))(t).Versions; len(v) != 1 {
		t.Errorf("versions %+v", v)
	}
	must(c.iam.TagPolicy(ctx, &iam.TagPolicyInput{PolicyArn: arn, Tags: iamTags("x", "y")}))(t)
	must(c.iam.UntagPolicy(ctx, &iam.UntagPolicyInput{PolicyArn: arn, TagKeys: []string{"x"}}))(t)
	tagged(t, must(c.iam.ListPolicyTags(ctx, &iam.ListPolicyTagsInput{PolicyArn: arn}))(t).Tags, "a", "b")
	must(c.iam.AttachUserPolicy(ctx, &iam.AttachUserPolicyInput{UserName: new("admin"), PolicyArn: arn}))(t)
	if e := must(c.iam.ListEntitiesForPolicy(ctx, &iam.ListEntitiesForPolicyInput{PolicyArn: arn}))(t).PolicyUsers; len(e) != 1 {
		t.Errorf("entities %+v", e)
	}
	g := must(c.iam.ListPoliciesGrantingServiceAccess(ctx, &iam.ListPoliciesGrantingServiceAccessInput{Arn: new("arn:aws:iam::210000000004:user/admin"), ServiceNamespaces: []string{"kms"}}))(t).PoliciesGrantingServiceAccess
	if len(g) != 1 || len(g[0].Policies) != 2 {
		t.Errorf("granting %+v", g)
	}
	must(c.iam.DetachUserPolicy(ctx, &iam.DetachUserPolicyInput{UserName: new("admin"), PolicyArn: arn}))(t)
	if l := must(c.iam.ListPolicies(ctx, &iam.ListPoliciesInput{Scope: iamtypes.PolicyScopeTypeLocal}))(t).Policies; len(l) != 1 {
		t.Errorf("policies %+v", l)
	}
	must(c.iam.DeletePolicy(ctx, &iam.DeletePolicyInput{PolicyArn: arn}))(t)
	refused(c.iam.GetPolicy(ctx, &iam.GetPolicyInput{PolicyArn: arn}))(t, "NoSuchEntity")
}

func testProfiles(t *testing.T, r *recorder, url string) {
	c, ctx, name := r.admin(url, "210000000005"), t.Context(), new("web")
	must(c.iam.CreateRole(ctx, &iam.CreateRoleInput{RoleName: name, AssumeRolePolicyDocument: new(ec2Trust)}))(t)
	must(c.iam.CreateInstanceProfile(ctx, &iam.CreateInstanceProfileInput{InstanceProfileName: name, Tags: iamTags("a", "b")}))(t)
	must(c.iam.AddRoleToInstanceProfile(ctx, &iam.AddRoleToInstanceProfileInput{InstanceProfileName: name, RoleName: name}))(t)
	if p := must(c.iam.GetInstanceProfile(ctx, &iam.GetInstanceProfileInput{InstanceProfileName: name}))(t).InstanceProfile; len(p.Roles) != 1 {
		t.Errorf("profile %+v", p)
	}
	must(c.iam.TagInstanceProfile(ctx, &iam.TagInstanceProfileInput{InstanceProfileName: name, Tags: iamTags("x", "y")}))(t)
	must(c.iam.UntagInstanceProfile(ctx, &iam.UntagInstanceProfileInput{InstanceProfileName: name, TagKeys: []string{"x"}}))(t)
	tagged(t, must(c.iam.ListInstanceProfileTags(ctx, &iam.ListInstanceProfileTagsInput{InstanceProfileName: name}))(t).Tags, "a", "b")
	if l := must(c.iam.ListInstanceProfiles(ctx, &iam.ListInstanceProfilesInput{}))(t).InstanceProfiles; len(l) != 1 {
		t.Errorf("profiles %+v", l)
	}
	if l := must(c.iam.ListInstanceProfilesForRole(ctx, &iam.ListInstanceProfilesForRoleInput{RoleName: name}))(t).InstanceProfiles; len(l) != 1 {
		t.Errorf("profiles of the role %+v", l)
	}
	refused(c.iam.DeleteInstanceProfile(ctx, &iam.DeleteInstanceProfileInput{InstanceProfileName: name}))(t, "DeleteConflict")
	must(c.iam.RemoveRoleFromInstanceProfile(ctx, &iam.RemoveRoleFromInstanceProfileInput{InstanceProfileName: name, RoleName: name}))(t)
	must(c.iam.DeleteInstanceProfile(ctx, &iam.DeleteInstanceProfileInput{InstanceProfileName: name}))(t)
	refused(c.iam.GetInstanceProfile(ctx, &iam.GetInstanceProfileInput{InstanceProfileName: name}))(t, "NoSuchEntity")
}
