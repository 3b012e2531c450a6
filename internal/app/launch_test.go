package app_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/api/stsapi"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/testkit"
)

const group = "web"

// The statements P1 and P2 of both examples of "Required AWS KMS key policy for use with
// encrypted volumes", EC2 Auto Scaling User Guide; the principal is to be filled in.
const (
	useStatement = `{"Sid":"use","Effect":"Allow","Principal":{"AWS":[%q]},"Action":["kms:Encrypt","kms:Decrypt",` +
		`"kms:ReEncrypt*","kms:GenerateDataKey*","kms:DescribeKey"],"Resource":"*"}`
	attachStatement = `{"Sid":"attach","Effect":"Allow","Principal":{"AWS":[%q]},"Action":["kms:CreateGrant"],"Resource":"*",` +
		`"Condition":{"Bool":{"kms:GrantIsForAWSResource":true}}}`
	handOnStatement = `{"Sid":"attach","Effect":"Allow","Principal":{"AWS":[%q]},"Action":["kms:CreateGrant"],"Resource":"*"}`
	ownerStatement  = `{"Sid":"owner","Effect":"Allow","Principal":{"AWS":["arn:aws:iam::%s:root"]},"Action":"kms:*","Resource":"*"}`
)

func keyPolicy(statements ...string) *string {
	return new(`{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`)
}

func owner(account string) string { return fmt.Sprintf(ownerStatement, account) }

func use(principal string) string { return fmt.Sprintf(useStatement, principal) }

func attach(principal string) string { return fmt.Sprintf(attachStatement, principal) }

func serviceRole(account string) string {
	return arn.Role(account, arn.ServiceLinkedPath("autoscaling.amazonaws.com"), "AWSServiceRoleForAutoScaling")
}

func createServiceRole(c testkit.Clients) {
	testkit.Call[iamapi.CreateServiceLinkedRoleResponse](c.IAM, "CreateServiceLinkedRole",
		&iamapi.CreateServiceLinkedRoleRequest{AWSServiceName: new("autoscaling.amazonaws.com")})
}

func newKey(c testkit.Clients, policy *string) string {
	out := testkit.Call[kmsapi.CreateKeyResponse](c.KMS, "CreateKey", &kmsapi.CreateKeyRequest{Policy: policy})
	return *out.KeyMetadata.Arn
}

// createGroup makes a group of one instance whose two volumes are encrypted under the key.
func createGroup(c testkit.Clients, key string) {
	createTemplate(c, group, key)
	createGroupOf(c, group, group, 1)
}

// createTemplate makes a launch template with two volumes that are encrypted under the key.
func createTemplate(c testkit.Clients, name, key string) {
	device := func(name string, size *int32) ec2api.LaunchTemplateBlockDeviceMappingRequest {
		ebs := &ec2api.LaunchTemplateEbsBlockDeviceRequest{Encrypted: new(true), KmsKeyId: &key, VolumeSize: size, DeleteOnTermination: new(true)}
		return ec2api.LaunchTemplateBlockDeviceMappingRequest{DeviceName: &name, Ebs: ebs}
	}
	testkit.Call[ec2api.CreateLaunchTemplateResult](c.EC2, "CreateLaunchTemplate", &ec2api.CreateLaunchTemplateRequest{
		LaunchTemplateName: &name,
		LaunchTemplateData: &ec2api.RequestLaunchTemplateData{
			ImageId: new("ami-12c6146b"), InstanceType: new("t3.micro"),
			BlockDeviceMappings: []ec2api.LaunchTemplateBlockDeviceMappingRequest{device("/dev/xvda", nil), device("/dev/sdf", new(int32(1)))},
		},
	})
}

// createGroupOf makes a group of n to 3 instances.
func createGroupOf(c testkit.Clients, name, template string, n int32) {
	testkit.Must(c.AutoScaling, "CreateAutoScalingGroup", &autoscalingapi.CreateAutoScalingGroupType{
		AutoScalingGroupName: &name, MinSize: &n, MaxSize: new(int32(3)), AvailabilityZones: []string{testkit.Region + "a"},
		LaunchTemplate: &autoscalingapi.LaunchTemplateSpecification{LaunchTemplateName: &template, Version: new("$Latest")},
	})
}

// activities are those of the group, newest first.
func activities(c testkit.Clients) []autoscalingapi.Activity {
	return testkit.Call[autoscalingapi.ActivitiesType](c.AutoScaling, "DescribeScalingActivities",
		&autoscalingapi.DescribeScalingActivitiesType{AutoScalingGroupName: new(group)}).Activities
}

// newest is the newest activity that has ended.
func newest(t *testing.T, c testkit.Clients) autoscalingapi.Activity {
	t.Helper()
	all := activities(c)
	for _, a := range all {
		if api.Val(a.Progress) == 100 {
			return a
		}
	}
	t.Fatalf("no activity of %d has ended", len(all))
	return autoscalingapi.Activity{}
}

// inService are the instances of the group that are in service.
func inService(t *testing.T, c testkit.Clients) []string {
	t.Helper()
	return instancesOf(t, c, group, "InService")
}

// launched checks that the group launched n instances in all, each on two volumes under the key.
func launched(t *testing.T, c testkit.Clients, n int, key string) {
	t.Helper()
	if a := newest(t, c); *a.StatusCode != "Successful" {
		t.Fatalf("%s: %s", *a.StatusCode, api.Val(a.StatusMessage))
	}
	ids := inService(t, c)
	if len(ids) != n {
		t.Fatalf("%d instances are in service, want %d", len(ids), n)
	}
	for _, id := range ids {
		out := testkit.Call[ec2api.DescribeVolumesResult](c.EC2, "DescribeVolumes", &ec2api.DescribeVolumesRequest{
			Filters: []ec2api.Filter{{Name: new("attachment.instance-id"), Values: []string{id}}},
		})
		if len(out.Volumes) != 2 {
			t.Errorf("%s has %d volumes", id, len(out.Volumes))
		}
		for _, v := range out.Volumes {
			if !api.Val(v.Encrypted) || api.Val(v.KmsKeyId) != key || api.Val(v.State) != "in-use" {
				t.Errorf("volume %s: encrypted %v, %s, under %s", *v.VolumeId, *v.Encrypted, *v.State, api.Val(v.KmsKeyId))
			}
		}
	}
}

// refused checks that the newest launch failed for the key.
func refused(t *testing.T, c testkit.Clients) {
	t.Helper()
	a := newest(t, c)
	if *a.StatusCode != "Cancelled" || !strings.Contains(api.Val(a.StatusMessage), "Client.InvalidKMSKey.InvalidState: The KMS key provided is in an incorrect state") {
		t.Fatalf("%s: %s", *a.StatusCode, api.Val(a.StatusMessage))
	}
	if ids := inService(t, c); len(ids) != 0 {
		t.Errorf("in service: %v", ids)
	}
}

// settle lets enough service time pass for a launch, but less than the first retry takes.
func settle(s *testkit.Server) { s.Advance(4 * time.Second) }

// retry lets the next attempt come and end.
func retry(s *testkit.Server) { s.Advance(20 * time.Second) }

func TestExample1LaunchesWithTheStatementsOnly(t *testing.T) {
	s := testkit.Start(t, testkit.Options{})
	c := s.As(testkit.Admin(account))
	createServiceRole(c)
	key := newKey(c, keyPolicy(owner(account)))
	createGroup(c, key)
	settle(s)
	refused(t, c)
	if n := len(grants(c, key)); n != 0 {
		t.Errorf("a failed launch left %d grants", n)
	}

	role := serviceRole(account)
	testkit.Must(c.KMS, "PutKeyPolicy", &kmsapi.PutKeyPolicyRequest{
		KeyId: &key, Policy: keyPolicy(owner(account), fmt.Sprintf(useStatement, role), fmt.Sprintf(attachStatement, role)),
	})
	retry(s)
	launched(t, c, 1, key)
	if n := len(grants(c, key)); n != 2 {
		t.Errorf("2 volumes have %d grants", n)
	}
}

func grants(c testkit.Clients, key string) []kmsapi.GrantListEntry {
	return testkit.Call[kmsapi.ListGrantsResponse](c.KMS, "ListGrants", &kmsapi.ListGrantsRequest{KeyId: &key}).Grants
}

func TestExample1EachStatementIsNeeded(t *testing.T) {
	role := serviceRole(account)
	for name, statement := range map[string]string{
		"use alone": fmt.Sprintf(useStatement, role), "attachment alone": fmt.Sprintf(attachStatement, role),
	} {
		t.Run(name, func(t *testing.T) {
			s := testkit.Start(t, testkit.Options{})
			c := s.As(testkit.Admin(account))
			createServiceRole(c)
			createGroup(c, newKey(c, keyPolicy(owner(account), statement)))
			settle(s)
			refused(t, c)
		})
	}
}

func TestExample2LaunchesAcrossAccountsByAGrant(t *testing.T) {
	s := testkit.Start(t, testkit.Options{})
	keys, c := s.As(testkit.Admin(other)), s.As(testkit.Admin(account))
	createServiceRole(c)
	root := arn.Root(account)
	key := newKey(keys, keyPolicy(owner(other), fmt.Sprintf(useStatement, root), fmt.Sprintf(handOnStatement, root)))
	createGroup(c, key)
	settle(s)
	refused(t, c)

	testkit.Call[kmsapi.CreateGrantResponse](c.KMS, "CreateGrant", &kmsapi.CreateGrantRequest{
		KeyId: &key, GranteePrincipal: new(serviceRole(account)),
		Operations: []string{"Encrypt", "Decrypt", "ReEncryptFrom", "ReEncryptTo", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "DescribeKey", "CreateGrant"},
	})
	retry(s)
	launched(t, c, 1, key)
	if n := len(grants(keys, key)); n != 3 {
		t.Errorf("the key's account sees %d grants, want the role's and one for each volume", n)
	}
}

func TestRestartKeepsTheGroupGoing(t *testing.T) {
	s := testkit.Start(t, testkit.Options{})
	c := s.As(testkit.Admin(account))
	createServiceRole(c)
	role := serviceRole(account)
	key := newKey(c, keyPolicy(owner(account), fmt.Sprintf(useStatement, role), fmt.Sprintf(attachStatement, role)))
	createGroup(c, key)
	settle(s)
	launched(t, c, 1, key)
	before := inService(t, c)

	s.Restart()
	c = s.As(testkit.Admin(account))
	settle(s)
	if after := inService(t, c); len(after) != 1 || after[0] != before[0] {
		t.Errorf("in service after the restart: %v, before: %v", after, before)
	}
	testkit.Must(c.AutoScaling, "SetDesiredCapacity", &autoscalingapi.SetDesiredCapacityType{AutoScalingGroupName: new(group), DesiredCapacity: new(int32(2))})
	settle(s)
	launched(t, c, 2, key)
	testkit.Call[ec2api.TerminateInstancesResult](c.EC2, "TerminateInstances", &ec2api.TerminateInstancesRequest{InstanceIds: before})
	retry(s)
	launched(t, c, 2, key)
	for _, id := range inService(t, c) {
		if id == before[0] {
			t.Errorf("%s was terminated and is in service", id)
		}
	}
}

func TestResetForgetsRunningGroupsAndTheirVolumes(t *testing.T) {
	s := testkit.Start(t, testkit.Options{})
	c := s.As(testkit.Admin(account))
	createServiceRole(c)
	role := serviceRole(account)
	createGroup(c, newKey(c, keyPolicy(owner(account), fmt.Sprintf(useStatement, role), fmt.Sprintf(attachStatement, role))))
	settle(s)
	if n := volumeFiles(t, s); n != 2 {
		t.Errorf("%d volume files, want 2", n)
	}
	if err := s.App.Reset(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := volumeFiles(t, s); n != 0 {
		t.Errorf("%d volume files after the reset", n)
	}
	retry(s)
	groups := testkit.Call[autoscalingapi.AutoScalingGroupsType](c.AutoScaling, "DescribeAutoScalingGroups", &autoscalingapi.AutoScalingGroupNamesType{})
	instances := testkit.Call[ec2api.DescribeInstancesResult](c.EC2, "DescribeInstances", &ec2api.DescribeInstancesRequest{})
	if len(groups.AutoScalingGroups) != 0 || len(instances.Reservations) != 0 {
		t.Errorf("%d groups and %d reservations after the reset", len(groups.AutoScalingGroups), len(instances.Reservations))
	}
}

// volumeFiles counts the files of volumes without reading them: they are large and sparse.
func volumeFiles(t *testing.T, s *testkit.Server) int {
	t.Helper()
	files, err := os.ReadDir(filepath.Join(s.Data(), "volumes"))
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}

func TestServiceLinkedRoleInUseIsNotDeleted(t *testing.T) {
	s := testkit.Start(t, testkit.Options{})
	c := s.As(testkit.Admin(account))
	createServiceRole(c)
	createGroup(c, newKey(c, nil))
	task := testkit.Call[iamapi.DeleteServiceLinkedRoleResponse](c.IAM, "DeleteServiceLinkedRole", &iamapi.DeleteServiceLinkedRoleRequest{
		RoleName: new("AWSServiceRoleForAutoScaling"),
	}).DeletionTaskId
	out := testkit.Call[iamapi.GetServiceLinkedRoleDeletionStatusResponse](c.IAM, "GetServiceLinkedRoleDeletionStatus",
		&iamapi.GetServiceLinkedRoleDeletionStatusRequest{DeletionTaskId: task})
	if *out.Status != "FAILED" || out.Reason == nil || len(out.Reason.RoleUsageList) == 0 {
		t.Errorf("the deletion is %s, %+v", *out.Status, out.Reason)
	}
	testkit.Call[iamapi.GetRoleResponse](c.IAM, "GetRole", &iamapi.GetRoleRequest{RoleName: new("AWSServiceRoleForAutoScaling")})
}

func TestProductionServerLaunchesForItsRootUser(t *testing.T) {
	s := testkit.Start(t, testkit.Options{Configure: forReal})
	creds := credentials(t, s.Data())
	c := s.As(creds)
	me := testkit.Call[stsapi.GetCallerIdentityResponse](c.STS, "GetCallerIdentity", &stsapi.GetCallerIdentityRequest{})
	createServiceRole(c)
	role := serviceRole(*me.Account)
	// A principal of an account that this server does not have is none.
	e := testkit.Refused(c.KMS, "CreateKey", &kmsapi.CreateKeyRequest{Policy: keyPolicy(owner(*me.Account), fmt.Sprintf(useStatement, arn.User(account, "/", "admin")))})
	if e.Code != "MalformedPolicyDocumentException" {
		t.Errorf("a key for a stranger: %v", e)
	}
	key := newKey(c, keyPolicy(owner(*me.Account), fmt.Sprintf(useStatement, role), fmt.Sprintf(attachStatement, role)))
	createGroup(c, key)
	// The clock of such a server does not move by itself: wait for the real one.
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	for !slices.ContainsFunc(activities(c), func(a autoscalingapi.Activity) bool { return api.Val(a.Progress) == 100 }) {
		select {
		case <-look.C:
		case <-t.Context().Done():
			t.Fatal("the launch did not end")
		}
	}
	launched(t, c, 1, key)
}
