package scenario_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/api/organizationsapi"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/scenario"
	"github.com/kagimori/kagimori/internal/testkit"
	"github.com/kagimori/kagimori/internal/wire/client"
)

const mine = "111122223333"

// makeByHand makes a world as users do: managed policies, a public image, policies above the
// account.
func makeByHand(t *testing.T, s *testkit.Server) (key string) {
	t.Helper()
	c := s.As(testkit.Admin(mine))
	created := testkit.Call[kmsapi.CreateKeyResponse](c.KMS, "CreateKey", &kmsapi.CreateKeyRequest{
		Tags: []kmsapi.Tag{{TagKey: new("team"), TagValue: new("web")}},
	})
	key = *created.KeyMetadata.Arn
	testkit.Must(c.KMS, "CreateAlias", &kmsapi.CreateAliasRequest{AliasName: new("alias/web"), TargetKeyId: created.KeyMetadata.KeyId})
	testkit.Call[ec2api.ModifyEbsDefaultKmsKeyIdResult](c.EC2, "ModifyEbsDefaultKmsKeyId", &ec2api.ModifyEbsDefaultKmsKeyIdRequest{KmsKeyId: &key})

	bound := testkit.Call[iamapi.CreatePolicyResponse](c.IAM, "CreatePolicy", &iamapi.CreatePolicyRequest{
		PolicyName: new("limit"), PolicyDocument: new(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:*","Resource":"*"}]}`),
	}).Policy.Arn
	testkit.Call[iamapi.CreateUserResponse](c.IAM, "CreateUser", &iamapi.CreateUserRequest{UserName: new("dev"), Path: new("/team/"), PermissionsBoundary: bound})
	testkit.Must(c.IAM, "AttachUserPolicy", &iamapi.AttachUserPolicyRequest{UserName: new("dev"), PolicyArn: bound})
	testkit.Must(c.IAM, "PutUserPolicy", &iamapi.PutUserPolicyRequest{
		UserName: new("dev"), PolicyName: new("own"), PolicyDocument: new(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kms:*","Resource":"*"}]}`),
	})
	testkit.Call[iamapi.CreateRoleResponse](c.IAM, "CreateRole", &iamapi.CreateRoleRequest{
		RoleName:                 new("app"),
		AssumeRolePolicyDocument: new(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}`),
	})
	testkit.Must(c.IAM, "AttachRolePolicy", &iamapi.AttachRolePolicyRequest{RoleName: new("app"), PolicyArn: bound})
	testkit.Call[kmsapi.CreateGrantResponse](c.KMS, "CreateGrant", &kmsapi.CreateGrantRequest{
		KeyId: &key, GranteePrincipal: new(arn.Role(mine, "/", "app")), Operations: []string{"Decrypt"},
		Constraints: &kmsapi.GrantConstraints{EncryptionContextSubset: map[string]string{"a": "b"}},
	})
	testkit.Call[iamapi.CreateServiceLinkedRoleResponse](c.IAM, "CreateServiceLinkedRole", &iamapi.CreateServiceLinkedRoleRequest{
		AWSServiceName: new("autoscaling.amazonaws.com"), CustomSuffix: new("web"),
	})

	org, err := client.New(s.URL, "us-east-1", testkit.Admin("000000000000"), organizationsapi.Service())
	if err != nil {
		t.Fatal(err)
	}
	var roots organizationsapi.ListRootsResponse
	var policy organizationsapi.CreatePolicyResponse
	for op, call := range map[string][2]any{
		"ListRoots": {&organizationsapi.ListRootsRequest{}, &roots},
		"CreatePolicy": {&organizationsapi.CreatePolicyRequest{
			Name: new("everywhere"), Description: new(""), Type: new("SERVICE_CONTROL_POLICY"),
			Content: new(`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"s3:*","Resource":"*"}]}`),
		}, &policy},
	} {
		if err := org.Do(t.Context(), op, call[0], call[1]); err != nil {
			t.Fatal(err)
		}
	}
	err = org.Do(t.Context(), "AttachPolicy", &organizationsapi.AttachPolicyRequest{PolicyId: policy.Policy.PolicySummary.Id, TargetId: roots.Roots[0].Id}, nil)
	if err != nil {
		t.Fatal(err)
	}

	testkit.Call[ec2api.CreateLaunchTemplateResult](c.EC2, "CreateLaunchTemplate", &ec2api.CreateLaunchTemplateRequest{
		LaunchTemplateName: new("web"),
		LaunchTemplateData: &ec2api.RequestLaunchTemplateData{ImageId: new("ami-12c6146b"), InstanceType: new("t3.micro")},
	})
	for _, g := range []string{"one", "two"} {
		testkit.Must(c.AutoScaling, "CreateAutoScalingGroup", &autoscalingapi.CreateAutoScalingGroupType{
			AutoScalingGroupName: &g, MinSize: new(int32(0)), MaxSize: new(int32(1)), AvailabilityZones: []string{testkit.Region + "a"},
			LaunchTemplate:       &autoscalingapi.LaunchTemplateSpecification{LaunchTemplateName: new("web")},
			ServiceLinkedRoleARN: new(arn.Role(mine, arn.ServiceLinkedPath("autoscaling.amazonaws.com"), "AWSServiceRoleForAutoScaling_web")),
		})
	}
	return key
}

func TestAWorldMadeByHandIsExported(t *testing.T) {
	s := testkit.Start(t, testkit.Options{})
	key := makeByHand(t, s)
	sel := scenario.Selection{ID: "hand", Accounts: []string{mine}, Region: testkit.Region}
	if _, _, err := scenario.Export(t.Context(), config(t, s), sel); err == nil || !strings.Contains(err.Error(), "has the groups one, two: name one") {
		t.Errorf("two groups: %v", err)
	}
	sel.Group = "two"
	sc, notes, err := scenario.Export(t.Context(), config(t, s), sel)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"the policy everywhere of r-", "the image ami-12c6146b of the template web belongs to none of the accounts", "expected is null",
	} {
		if !slices.ContainsFunc(notes, func(n string) bool { return strings.Contains(n, want) }) {
			t.Errorf("no note %q: %q", want, notes)
		}
	}
	if len(sc.Keys) != 1 || sc.Keys[0].ARN != key || !slices.Equal(sc.Keys[0].Aliases, []string{"alias/web"}) || sc.Keys[0].Tags["team"] != "web" {
		t.Errorf("keys: %+v", sc.Keys)
	}
	if g := sc.Keys[0].Grants; len(g) != 1 || g[0].GranteePrincipal != arn.Role(mine, "/", "app") || g[0].Constraints.EncryptionContextSubset["a"] != "b" || g[0].IssuingAccount != "" {
		t.Errorf("grants: %+v", g)
	}
	if e := sc.Accounts[0].EBS[testkit.Region]; e.DefaultKmsKeyID != key || e.EncryptionByDefault {
		t.Errorf("defaults: %+v", e)
	}
	got := map[string][]string{}
	for _, p := range sc.Principals {
		names := []string{p.Kind}
		for _, pol := range p.Policies {
			names = append(names, pol.Name)
		}
		if p.Boundary != nil {
			names = append(names, "bounded")
		}
		slices.Sort(names)
		got[p.ARN] = names
	}
	for who, want := range map[string][]string{
		arn.User(mine, "/team/", "dev"): {"bounded", "limit", "own", "user"},
		arn.Role(mine, "/", "app"):      {"limit", "role"},
		arn.Role(mine, arn.ServiceLinkedPath("autoscaling.amazonaws.com"), "AWSServiceRoleForAutoScaling_web"): {"service-linked-role"},
	} {
		if !slices.Equal(got[who], want) {
			t.Errorf("%s: %v, want %v", who, got[who], want)
		}
	}
	if got[arn.User(mine, "/", "admin")] != nil {
		t.Error("the administrator of the development server is written")
	}
	l := sc.Launch
	if l.Group.Name != "two" || l.Group.ServiceLinkedRoleARN == nil || l.Templates[0].Name != "web" || l.Templates[0].ImageID != nil {
		t.Errorf("launch: %+v %+v", l.Group, l.Templates)
	}
	// What was written can be built again.
	if _, err := scenario.Load(t.Context(), config(t, testkit.Start(t, testkit.Options{})), sc); err != nil {
		t.Error(err)
	}
}
