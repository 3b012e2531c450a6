package app_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/api/organizationsapi"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/testkit"
)

// organizationPolicy makes a policy of one statement and hangs it on the account.
func organizationPolicy(s *testkit.Server, kind, statement string) string {
	c := s.As(testkit.Admin(directory.DevAccount))
	out := testkit.Call[organizationsapi.CreatePolicyResponse](c.Organizations, "CreatePolicy", &organizationsapi.CreatePolicyRequest{
		Type: &kind, Name: new("guard"), Description: new(""), Content: keyPolicy(statement),
	})
	id := out.Policy.PolicySummary.Id
	testkit.Must(c.Organizations, "AttachPolicy", &organizationsapi.AttachPolicyRequest{PolicyId: id, TargetId: new(account)})
	return *id
}

func rewriteOrganizationPolicy(s *testkit.Server, id, statement string) {
	c := s.As(testkit.Admin(directory.DevAccount))
	testkit.Call[organizationsapi.UpdatePolicyResponse](c.Organizations, "UpdatePolicy", &organizationsapi.UpdatePolicyRequest{
		PolicyId: &id, Content: keyPolicy(statement),
	})
}

// byHand launches one instance from the group's template and returns its state and why.
func byHand(t *testing.T, s *testkit.Server, c testkit.Clients, in *ec2api.RunInstancesRequest) string {
	t.Helper()
	in.MinCount, in.MaxCount = new(int32(1)), new(int32(1))
	id := *testkit.Call[ec2api.Reservation](c.EC2, "RunInstances", in).Instances[0].InstanceId
	settle(s)
	out := testkit.Call[ec2api.DescribeInstancesResult](c.EC2, "DescribeInstances", &ec2api.DescribeInstancesRequest{InstanceIds: []string{id}})
	i := out.Reservations[0].Instances[0]
	if i.StateReason == nil {
		return *i.State.Name
	}
	return *i.State.Name + ": " + api.Val(i.StateReason.Message)
}

const incorrectState = "terminated: Client.InvalidKMSKey.InvalidState: The KMS key provided is in an incorrect state"

// The world of ../shared/corpus/launch/028-scp-deny-human.json and its fix.
func TestServiceControlPolicyDeniesTheHumanOnly(t *testing.T) {
	s := testkit.Start(t, testkit.Options{})
	c := s.As(testkit.Admin(account))
	createServiceRole(c)
	role := serviceRole(account)
	key := newKey(c, keyPolicy(owner(account), fmt.Sprintf(useStatement, role), fmt.Sprintf(attachStatement, role)))
	id := organizationPolicy(s, "SERVICE_CONTROL_POLICY", `{"Sid":"DenyGrants","Effect":"Deny","Action":"kms:CreateGrant","Resource":"*"}`)
	createGroup(c, key)
	settle(s)
	launched(t, c, 1, key) // service-linked roles are exempt

	template := &ec2api.RunInstancesRequest{LaunchTemplate: &ec2api.LaunchTemplateSpecification{LaunchTemplateName: new(group)}}
	if got := byHand(t, s, c, template); got != incorrectState {
		t.Errorf("launched by hand: %s", got)
	}
	rewriteOrganizationPolicy(s, id, `{"Sid":"DenyGrants","Effect":"Deny","Action":"kms:CreateGrant","Resource":"*","Condition":{"Bool":{"kms:GrantIsForAWSResource":"false"}}}`)
	if got := byHand(t, s, c, template); got != "running" {
		t.Errorf("launched by hand after the fix: %s", got)
	}
}

// The world of ../shared/corpus/launch/039-scp-allow-list-without-kms.json and its fix.
func TestServiceControlAllowListWithoutKMS(t *testing.T) {
	s := testkit.Start(t, testkit.Options{})
	c := s.As(testkit.Admin(account))
	testkit.Call[ec2api.EnableEbsEncryptionByDefaultResult](c.EC2, "EnableEbsEncryptionByDefault", &ec2api.EnableEbsEncryptionByDefaultRequest{})
	const list = `{"Effect":"Allow","Action":["ec2:*","autoscaling:*","iam:*"%s],"Resource":"*"}`
	id := organizationPolicy(s, "SERVICE_CONTROL_POLICY", fmt.Sprintf(list, ""))
	testkit.Must(s.As(testkit.Admin(directory.DevAccount)).Organizations, "DetachPolicy", &organizationsapi.DetachPolicyRequest{
		PolicyId: new("p-FullAWSAccess"), TargetId: new(account),
	})
	run := &ec2api.RunInstancesRequest{ImageId: new("ami-12c6146b"), InstanceType: new("t3.micro")}
	if got := byHand(t, s, c, run); got != incorrectState {
		t.Errorf("launched by hand: %s", got)
	}
	e := testkit.Refused(c.KMS, "ListKeys", &kmsapi.ListKeysRequest{})
	if e.Code != "AccessDeniedException" || !strings.Contains(e.Message, "because no service control policy allows the kms:ListKeys action") {
		t.Errorf("ListKeys: %v", e)
	}
	rewriteOrganizationPolicy(s, id, fmt.Sprintf(list, `,"kms:*"`))
	if got := byHand(t, s, c, run); got != "running" {
		t.Errorf("launched by hand after the fix: %s", got)
	}
}

// Resource control policies limit whoever asks, but neither service-linked roles nor AWS managed
// keys.
func TestResourceControlPolicyOnKeys(t *testing.T) {
	s := testkit.Start(t, testkit.Options{})
	c, foreign := s.As(testkit.Admin(account)), s.As(testkit.Admin(other))
	createServiceRole(c)
	role := serviceRole(account)
	key := newKey(c, keyPolicy(owner(account), owner(other), fmt.Sprintf(useStatement, role), fmt.Sprintf(attachStatement, role)))
	encrypt := &kmsapi.EncryptRequest{KeyId: &key, Plaintext: []byte("x")}
	for _, who := range []testkit.Clients{c, foreign} {
		testkit.Call[kmsapi.EncryptResponse](who.KMS, "Encrypt", encrypt)
	}
	m := s.As(testkit.Admin(directory.DevAccount))
	roots := testkit.Call[organizationsapi.ListRootsResponse](m.Organizations, "ListRoots", &organizationsapi.ListRootsRequest{}).Roots
	testkit.Call[organizationsapi.EnablePolicyTypeResponse](m.Organizations, "EnablePolicyType", &organizationsapi.EnablePolicyTypeRequest{
		RootId: roots[0].Id, PolicyType: new("RESOURCE_CONTROL_POLICY"),
	})
	organizationPolicy(s, "RESOURCE_CONTROL_POLICY", `{"Effect":"Deny","Principal":"*","Action":["kms:Encrypt","kms:GenerateDataKey*","kms:CreateGrant","kms:CreateKey"],"Resource":"*"}`)
	if e := testkit.Refused(c.KMS, "Encrypt", encrypt); e.Code != "AccessDeniedException" || !strings.Contains(e.Message, "with an explicit deny in a resource control policy") {
		t.Errorf("own: %v", e)
	}
	if e := testkit.Refused(foreign.KMS, "Encrypt", encrypt); e.Code != "AccessDeniedException" {
		t.Errorf("foreign: %v", e) // another account's policies are not told
	}
	createGroup(c, key)
	settle(s)
	launched(t, c, 1, key) // by the service-linked role; EC2's infrastructure role, which decrypts, is not exempt

	managed := &ec2api.RunInstancesRequest{ImageId: new("ami-12c6146b"), InstanceType: new("t3.micro"), BlockDeviceMappings: []ec2api.BlockDeviceMapping{{
		DeviceName: new("/dev/sdf"), Ebs: &ec2api.EbsBlockDevice{Encrypted: new(true), VolumeSize: new(int32(1))},
	}}}
	if got := byHand(t, s, c, managed); got != "running" {
		t.Errorf("volume under the AWS managed key: %s", got)
	}
}

func TestOrganizationSurvivesARestart(t *testing.T) {
	s := testkit.Start(t, testkit.Options{})
	id := organizationPolicy(s, "SERVICE_CONTROL_POLICY", `{"Effect":"Deny","Action":"kms:ListKeys","Resource":"*"}`)
	s.Restart()
	if e := testkit.Refused(s.As(testkit.Admin(account)).KMS, "ListKeys", &kmsapi.ListKeysRequest{}); e.Code != "AccessDeniedException" {
		t.Errorf("ListKeys: %v", e)
	}
	m := s.As(testkit.Admin(directory.DevAccount))
	out := testkit.Call[organizationsapi.ListTargetsForPolicyResponse](m.Organizations, "ListTargetsForPolicy", &organizationsapi.ListTargetsForPolicyRequest{PolicyId: &id})
	if !slices.ContainsFunc(out.Targets, func(x organizationsapi.PolicyTargetSummary) bool { return *x.TargetId == account }) {
		t.Errorf("targets = %+v", out.Targets)
	}
}
