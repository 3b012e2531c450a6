package e2e_test

import (
	neturl "net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// testManagedPolicies attaches policies of AWS that have nothing to do with keys, as any stranger's stack does, and has
// them decide.
func testManagedPolicies(t *testing.T, r *recorder, url string) {
	c, ctx := r.admin(url, "210000000016"), t.Context()
	trust := `{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}}`
	must(c.iam.CreateRole(ctx, &iam.CreateRoleInput{RoleName: new("task"), AssumeRolePolicyDocument: &trust}))(t)
	for _, name := range []string{
		"service-role/AmazonECSTaskExecutionRolePolicy", "service-role/AWSLambdaBasicExecutionRole", "AmazonS3ReadOnlyAccess", "AmazonDynamoDBFullAccess_v2",
		"CloudWatchAgentServerPolicy", "AmazonEKSClusterPolicy", "AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryReadOnly", "job-function/ViewOnlyAccess",
	} {
		must(c.iam.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: new("task"), PolicyArn: new("arn:aws:iam::aws:policy/" + name)}))(t)
	}
	refused(c.iam.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: new("task"), PolicyArn: new("arn:aws:iam::aws:policy/AWSLambdaFullAccess")}))(t, "NoSuchEntity")
	refused(c.iam.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: new("task"), PolicyArn: new("arn:aws:iam::aws:policy/aws-service-role/AmazonECSServiceRolePolicy")}))(t, "PolicyNotAttachable")

	arn := new("arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy")
	p := must(c.iam.GetPolicy(ctx, &iam.GetPolicyInput{PolicyArn: arn}))(t).Policy
	v := must(c.iam.GetPolicyVersion(ctx, &iam.GetPolicyVersionInput{PolicyArn: arn, VersionId: p.DefaultVersionId}))(t).PolicyVersion
	if document := must(neturl.QueryUnescape(*v.Document))(t); *p.Path != "/service-role/" || *p.AttachmentCount != 1 || !v.IsDefaultVersion || !strings.Contains(document, "ecr:GetAuthorizationToken") {
		t.Errorf("%+v %s", p, document)
	}
	names := map[string]bool{}
	for pages := iam.NewListPoliciesPaginator(c.iam, &iam.ListPoliciesInput{Scope: iamtypes.PolicyScopeTypeAws}); pages.HasMorePages(); {
		for _, p := range must(pages.NextPage(ctx))(t).Policies {
			if names[*p.Arn] {
				t.Errorf("%s is listed twice", *p.Arn)
			}
			names[*p.Arn] = true
		}
	}
	if len(names) < 1500 {
		t.Errorf("%d policies of AWS", len(names))
	}

	out := must(c.iam.SimulatePrincipalPolicy(ctx, &iam.SimulatePrincipalPolicyInput{
		PolicySourceArn: new("arn:aws:iam::210000000016:role/task"), ActionNames: []string{"s3:GetObject", "s3:PutObject", "logs:PutLogEvents"},
	}))(t)
	for i, want := range []iamtypes.PolicyEvaluationDecisionType{"allowed", "implicitDeny", "allowed"} {
		if got := out.EvaluationResults[i]; got.EvalDecision != want {
			t.Errorf("%s is %s", *got.EvalActionName, got.EvalDecision)
		}
	}

	// ReadOnlyAccess is for other services too, and decides here.
	must(c.iam.CreateUser(ctx, &iam.CreateUserInput{UserName: new("reader")}))(t)
	must(c.iam.AttachUserPolicy(ctx, &iam.AttachUserPolicyInput{UserName: new("reader"), PolicyArn: new("arn:aws:iam::aws:policy/ReadOnlyAccess")}))(t)
	key := must(c.iam.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: new("reader")}))(t).AccessKey
	reader := r.client(url, c.account, aws.Credentials{AccessKeyID: *key.AccessKeyId, SecretAccessKey: *key.SecretAccessKey})
	must(reader.iam.ListRoles(ctx, &iam.ListRolesInput{}))(t)
	must(reader.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{}))(t)
	refused(reader.iam.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: new("task")}))(t, "AccessDenied")
}
