package app_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/api/organizationsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/testkit"
)

// A list is an operation that gives a token, asked as in: token reads the answer's, and other is the
// same operation about something else.
type list struct {
	service   func(testkit.Clients) *testkit.Client
	operation string
	in, other func(token *string) any
	out       func() any
	token     func(out any) *string
	code      string
}

// TestTokensAreGoodForOneQuery: each token goes on with its list, for its account and its query, and
// nobody can change one.
func TestTokensAreGoodForOneQuery(t *testing.T) {
	s := testkit.Start(t, testkit.Options{})
	mine, theirs := s.As(testkit.Admin("111122223333")), s.As(testkit.Admin("444455556666"))
	for _, c := range []testkit.Clients{mine, theirs} {
		fill(c)
	}
	iam := func(c testkit.Clients) *testkit.Client { return c.IAM }
	ec2 := func(c testkit.Clients) *testkit.Client { return c.EC2 }
	scaling := func(c testkit.Clients) *testkit.Client { return c.AutoScaling }
	key := func(c testkit.Clients) *testkit.Client { return c.KMS }
	one := new(int32(1))
	const invalid = "ValidationError"
	for _, l := range []list{
		{iam, "ListUsers", func(m *string) any { return &iamapi.ListUsersRequest{Marker: m, MaxItems: one} }, func(m *string) any { return &iamapi.ListUsersRequest{Marker: m, MaxItems: one, PathPrefix: new("/a")} }, func() any { return &iamapi.ListUsersResponse{} }, func(o any) *string { return o.(*iamapi.ListUsersResponse).Marker }, invalid},
		{iam, "ListRoles", func(m *string) any { return &iamapi.ListRolesRequest{Marker: m, MaxItems: one} }, func(m *string) any { return &iamapi.ListRolesRequest{Marker: m, MaxItems: one, PathPrefix: new("/a")} }, func() any { return &iamapi.ListRolesResponse{} }, func(o any) *string { return o.(*iamapi.ListRolesResponse).Marker }, invalid},
		{iam, "ListGroups", func(m *string) any { return &iamapi.ListGroupsRequest{Marker: m, MaxItems: one} }, func(m *string) any { return &iamapi.ListGroupsRequest{Marker: m, MaxItems: one, PathPrefix: new("/a")} }, func() any { return &iamapi.ListGroupsResponse{} }, func(o any) *string { return o.(*iamapi.ListGroupsResponse).Marker }, invalid},
		{iam, "ListPolicies", func(m *string) any { return &iamapi.ListPoliciesRequest{Marker: m, MaxItems: one} }, func(m *string) any {
			return &iamapi.ListPoliciesRequest{Marker: m, MaxItems: one, OnlyAttached: new(true)}
		}, func() any { return &iamapi.ListPoliciesResponse{} }, func(o any) *string { return o.(*iamapi.ListPoliciesResponse).Marker }, invalid},
		{iam, "ListEntitiesForPolicy", func(m *string) any {
			return &iamapi.ListEntitiesForPolicyRequest{PolicyArn: new(readOnly), Marker: m, MaxItems: one}
		}, func(m *string) any {
			return &iamapi.ListEntitiesForPolicyRequest{PolicyArn: new(readOnly), Marker: m, MaxItems: one, EntityFilter: new("User")}
		}, func() any { return &iamapi.ListEntitiesForPolicyResponse{} }, func(o any) *string { return o.(*iamapi.ListEntitiesForPolicyResponse).Marker }, invalid},
		{iam, "ListUserTags", func(m *string) any { return &iamapi.ListUserTagsRequest{UserName: new("u1"), Marker: m, MaxItems: one} }, func(m *string) any { return &iamapi.ListUserTagsRequest{UserName: new("u2"), Marker: m, MaxItems: one} }, func() any { return &iamapi.ListUserTagsResponse{} }, func(o any) *string { return o.(*iamapi.ListUserTagsResponse).Marker }, invalid},
		{iam, "ListUserPolicies", func(m *string) any {
			return &iamapi.ListUserPoliciesRequest{UserName: new("u1"), Marker: m, MaxItems: one}
		}, func(m *string) any {
			return &iamapi.ListUserPoliciesRequest{UserName: new("u2"), Marker: m, MaxItems: one}
		}, func() any { return &iamapi.ListUserPoliciesResponse{} }, func(o any) *string { return o.(*iamapi.ListUserPoliciesResponse).Marker }, invalid},
		{iam, "ListAttachedUserPolicies", func(m *string) any {
			return &iamapi.ListAttachedUserPoliciesRequest{UserName: new("u1"), Marker: m, MaxItems: one}
		}, func(m *string) any {
			return &iamapi.ListAttachedUserPoliciesRequest{UserName: new("u2"), Marker: m, MaxItems: one}
		}, func() any { return &iamapi.ListAttachedUserPoliciesResponse{} }, func(o any) *string { return o.(*iamapi.ListAttachedUserPoliciesResponse).Marker }, invalid},
		{iam, "ListAccessKeys", func(m *string) any {
			return &iamapi.ListAccessKeysRequest{UserName: new("u1"), Marker: m, MaxItems: one}
		}, func(m *string) any {
			return &iamapi.ListAccessKeysRequest{UserName: new("u2"), Marker: m, MaxItems: one}
		}, func() any { return &iamapi.ListAccessKeysResponse{} }, func(o any) *string { return o.(*iamapi.ListAccessKeysResponse).Marker }, invalid},
		{iam, "ListGroupsForUser", func(m *string) any {
			return &iamapi.ListGroupsForUserRequest{UserName: new("u1"), Marker: m, MaxItems: one}
		}, func(m *string) any {
			return &iamapi.ListGroupsForUserRequest{UserName: new("u2"), Marker: m, MaxItems: one}
		}, func() any { return &iamapi.ListGroupsForUserResponse{} }, func(o any) *string { return o.(*iamapi.ListGroupsForUserResponse).Marker }, invalid},
		{iam, "GetGroup", func(m *string) any { return &iamapi.GetGroupRequest{GroupName: new("g1"), Marker: m, MaxItems: one} }, func(m *string) any { return &iamapi.GetGroupRequest{GroupName: new("g2"), Marker: m, MaxItems: one} }, func() any { return &iamapi.GetGroupResponse{} }, func(o any) *string { return o.(*iamapi.GetGroupResponse).Marker }, invalid},
		{iam, "GetAccountAuthorizationDetails", func(m *string) any { return &iamapi.GetAccountAuthorizationDetailsRequest{Marker: m, MaxItems: one} }, func(m *string) any {
			return &iamapi.GetAccountAuthorizationDetailsRequest{Marker: m, MaxItems: one, Filter: []string{"User"}}
		}, func() any { return &iamapi.GetAccountAuthorizationDetailsResponse{} }, func(o any) *string { return o.(*iamapi.GetAccountAuthorizationDetailsResponse).Marker }, invalid},
		{key, "ListKeys", func(m *string) any { return &kmsapi.ListKeysRequest{Marker: m, Limit: one} }, nil, func() any { return &kmsapi.ListKeysResponse{} }, func(o any) *string { return o.(*kmsapi.ListKeysResponse).NextMarker }, "InvalidMarkerException"},
		{key, "ListAliases", func(m *string) any { return &kmsapi.ListAliasesRequest{Marker: m, Limit: one} }, nil, func() any { return &kmsapi.ListAliasesResponse{} }, func(o any) *string { return o.(*kmsapi.ListAliasesResponse).NextMarker }, "InvalidMarkerException"},
		{ec2, "DescribeVolumes", func(m *string) any { return &ec2api.DescribeVolumesRequest{NextToken: m, MaxResults: new(int32(5))} }, func(m *string) any {
			return &ec2api.DescribeVolumesRequest{NextToken: m, MaxResults: new(int32(5)), Filters: []ec2api.Filter{{Name: new("size"), Values: []string{"1"}}}}
		}, func() any { return &ec2api.DescribeVolumesResult{} }, func(o any) *string { return o.(*ec2api.DescribeVolumesResult).NextToken }, "InvalidNextToken"},
		{ec2, "DescribeInstanceTypes", func(m *string) any {
			return &ec2api.DescribeInstanceTypesRequest{NextToken: m, MaxResults: new(int32(5))}
		}, func(m *string) any {
			return &ec2api.DescribeInstanceTypesRequest{NextToken: m, MaxResults: new(int32(5)), Filters: []ec2api.Filter{{Name: new("bare-metal"), Values: []string{"false"}}}}
		}, func() any { return &ec2api.DescribeInstanceTypesResult{} }, func(o any) *string { return o.(*ec2api.DescribeInstanceTypesResult).NextToken }, "InvalidNextToken"},
		{scaling, "DescribeLaunchConfigurations", func(m *string) any {
			return &autoscalingapi.LaunchConfigurationNamesType{NextToken: m, MaxRecords: one}
		}, func(m *string) any {
			return &autoscalingapi.LaunchConfigurationNamesType{NextToken: m, MaxRecords: one, LaunchConfigurationNames: []string{"c1", "c2"}}
		}, func() any { return &autoscalingapi.LaunchConfigurationsType{} }, func(o any) *string { return o.(*autoscalingapi.LaunchConfigurationsType).NextToken }, "InvalidNextToken"},
	} {
		t.Run(l.operation, func(t *testing.T) { l.check(t, mine, theirs) })
	}
	// Organizations has one account that may ask: what another operation gave is refused.
	boss := s.As(testkit.Admin("000000000000")).Organizations
	page := testkit.Call[organizationsapi.ListAccountsResponse](boss, "ListAccounts", &organizationsapi.ListAccountsRequest{MaxResults: one})
	testkit.Must(boss, "ListAccounts", &organizationsapi.ListAccountsRequest{MaxResults: one, NextToken: page.NextToken})
	if e := testkit.Refused(boss, "ListAccountsForParent", &organizationsapi.ListAccountsForParentRequest{ParentId: new("r-kgmr"), NextToken: page.NextToken}); e.Code != "InvalidInputException" {
		t.Errorf("another operation's token: %v", e)
	}
	// A marker of keys is none of aliases, though both list what an account has in a Region.
	keys := testkit.Call[kmsapi.ListKeysResponse](mine.KMS, "ListKeys", &kmsapi.ListKeysRequest{Limit: one})
	if e := testkit.Refused(mine.KMS, "ListAliases", &kmsapi.ListAliasesRequest{Marker: keys.NextMarker}); e.Code != "InvalidMarkerException" {
		t.Errorf("a marker of another operation: %v", e)
	}
}

const readOnly = "arn:aws:iam::aws:policy/ReadOnlyAccess"

func (l list) check(t *testing.T, mine, theirs testkit.Clients) {
	out := l.out()
	if err := l.service(mine).Do(t.Context(), l.operation, l.in(nil), out); err != nil {
		t.Fatal(err)
	}
	token := l.token(out)
	if token == nil {
		t.Fatal("no second page")
	}
	if err := l.service(mine).Do(t.Context(), l.operation, l.in(token), l.out()); err != nil {
		t.Fatalf("the second page: %v", err)
	}
	refused := func(what string, c testkit.Clients, in any) {
		t.Helper()
		err := l.service(c).Do(t.Context(), l.operation, in, l.out())
		if apierr.Code(err) != l.code {
			t.Errorf("%s: %v, want %s", what, err, l.code)
		} else if strings.Contains(err.Error(), "!") {
			t.Errorf("%s is told as %v", what, err)
		}
	}
	refused("another account's", theirs, l.in(token))
	if l.other != nil {
		refused("another query's", mine, l.other(token))
	}
	changed := []byte(*token)
	changed[len(changed)/2] ^= 'A' ^ 'B'
	refused("a changed one", mine, l.in(new(string(changed))))
	refused("a short one", mine, l.in(new((*token)[:len(*token)-4])))
	refused("no token", mine, l.in(new("bm90IGEgdG9rZW4")))
}

// fill gives an account two of everything that is listed.
func fill(c testkit.Clients) {
	policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:*","Resource":"*"}]}`
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
	for i := range 2 {
		n := func(kind string) *string { return new(fmt.Sprint(kind, i+1)) }
		testkit.Must(c.IAM, "CreateGroup", &iamapi.CreateGroupRequest{GroupName: n("g")})
		testkit.Must(c.IAM, "CreateRole", &iamapi.CreateRoleRequest{RoleName: n("r"), AssumeRolePolicyDocument: &trust})
	}
	for i := range 2 {
		u := new(fmt.Sprint("u", i+1))
		testkit.Must(c.IAM, "CreateUser", &iamapi.CreateUserRequest{UserName: u, Tags: []iamapi.Tag{{Key: new("a"), Value: new("1")}, {Key: new("b"), Value: new("2")}}})
		testkit.Must(c.IAM, "AttachUserPolicy", &iamapi.AttachUserPolicyRequest{UserName: u, PolicyArn: new(readOnly)})
		testkit.Must(c.IAM, "AttachUserPolicy", &iamapi.AttachUserPolicyRequest{UserName: u, PolicyArn: new("arn:aws:iam::aws:policy/AdministratorAccess")})
		for j := range 2 {
			testkit.Must(c.IAM, "PutUserPolicy", &iamapi.PutUserPolicyRequest{UserName: u, PolicyName: new(fmt.Sprint("p", j)), PolicyDocument: &policy})
			testkit.Must(c.IAM, "CreateAccessKey", &iamapi.CreateAccessKeyRequest{UserName: u})
			testkit.Must(c.IAM, "AddUserToGroup", &iamapi.AddUserToGroupRequest{UserName: u, GroupName: new(fmt.Sprint("g", j+1))})
		}
		k := testkit.Call[kmsapi.CreateKeyResponse](c.KMS, "CreateKey", &kmsapi.CreateKeyRequest{})
		testkit.Must(c.KMS, "CreateAlias", &kmsapi.CreateAliasRequest{AliasName: new(fmt.Sprint("alias/a", i)), TargetKeyId: k.KeyMetadata.KeyId})
		testkit.Must(c.AutoScaling, "CreateLaunchConfiguration", &autoscalingapi.CreateLaunchConfigurationType{
			LaunchConfigurationName: new(fmt.Sprint("c", i+1)), ImageId: new("ami-12c6146b"), InstanceType: new("t3.micro"),
		})
	}
	for range 6 {
		testkit.Must(c.EC2, "CreateVolume", &ec2api.CreateVolumeRequest{AvailabilityZone: new("us-east-1a"), Size: new(int32(1))})
	}
}
