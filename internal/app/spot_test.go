package app_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/testkit"
)

func spotRole(account string) string {
	return arn.Role(account, arn.ServiceLinkedPath("spot.amazonaws.com"), "AWSServiceRoleForEC2Spot")
}

// encryptByDefault makes key the account's default key and encrypts every volume: a launch
// configuration cannot name one.
func encryptByDefault(c testkit.Clients, key string) {
	testkit.Call[ec2api.EnableEbsEncryptionByDefaultResult](c.EC2, "EnableEbsEncryptionByDefault", &ec2api.EnableEbsEncryptionByDefaultRequest{})
	testkit.Call[ec2api.ModifyEbsDefaultKmsKeyIdResult](c.EC2, "ModifyEbsDefaultKmsKeyId", &ec2api.ModifyEbsDefaultKmsKeyIdRequest{KmsKeyId: &key})
}

// createGroupByConfig makes a launch configuration of two volumes, and a group of one instance.
func createGroupByConfig(c testkit.Clients, price *string) {
	testkit.Must(c.AutoScaling, "CreateLaunchConfiguration", &autoscalingapi.CreateLaunchConfigurationType{
		LaunchConfigurationName: new(group), ImageId: new("ami-12c6146b"), InstanceType: new("t3.micro"), SpotPrice: price,
		BlockDeviceMappings: []autoscalingapi.BlockDeviceMapping{{DeviceName: new("/dev/sdf"), Ebs: &autoscalingapi.Ebs{VolumeSize: new(int32(1))}}},
	})
	testkit.Must(c.AutoScaling, "CreateAutoScalingGroup", &autoscalingapi.CreateAutoScalingGroupType{
		AutoScalingGroupName: new(group), MinSize: new(int32(1)), MaxSize: new(int32(3)), AvailabilityZones: []string{testkit.Region + "a"},
		LaunchConfigurationName: new(group),
	})
}

func statementsFor(account, role string) *string {
	return keyPolicy(owner(account), fmt.Sprintf(useStatement, role), fmt.Sprintf(attachStatement, role))
}

// lifecycles are those of the instances of the group that run, sorted.
func lifecycles(c testkit.Clients) string {
	out := testkit.Call[ec2api.DescribeInstancesResult](c.EC2, "DescribeInstances", &ec2api.DescribeInstancesRequest{Filters: []ec2api.Filter{
		{Name: new("tag:aws:autoscaling:groupName"), Values: []string{group}}, {Name: new("instance-state-name"), Values: []string{"running"}},
	}})
	var all []string
	for _, r := range out.Reservations {
		for _, i := range r.Instances {
			all = append(all, api.Val(i.InstanceLifecycle))
		}
	}
	slices.Sort(all)
	return fmt.Sprintf("%q", all)
}

// With a Spot price in a launch configuration the key must admit AWSServiceRoleForEC2Spot, and the
// role of Auto Scaling does not help (S21, scenarios 006 and 016). The role comes to be by itself.
func TestSpotConfigurationNeedsTheSpotRole(t *testing.T) {
	s := testkit.Start(t, testkit.Options{})
	c := s.As(testkit.Admin(account))
	createServiceRole(c)
	key := newKey(c, statementsFor(account, serviceRole(account)))
	encryptByDefault(c, key)
	createGroupByConfig(c, new("0.01"))
	settle(s)
	refused(t, c)
	testkit.Call[iamapi.GetRoleResponse](c.IAM, "GetRole", &iamapi.GetRoleRequest{RoleName: new("AWSServiceRoleForEC2Spot")})
	testkit.Must(c.KMS, "PutKeyPolicy", &kmsapi.PutKeyPolicyRequest{KeyId: &key, Policy: statementsFor(account, spotRole(account))})
	retry(s)
	launched(t, c, 1, key)
	if got := lifecycles(c); got != `["spot"]` {
		t.Errorf("lifecycles %s", got)
	}
}

// Without a Spot price the same launch configuration is launched by the group's role.
func TestConfigurationWithoutPriceNeedsTheGroupsRole(t *testing.T) {
	s := testkit.Start(t, testkit.Options{})
	c := s.As(testkit.Admin(account))
	createServiceRole(c)
	key := newKey(c, statementsFor(account, serviceRole(account)))
	encryptByDefault(c, key)
	createGroupByConfig(c, nil)
	settle(s)
	launched(t, c, 1, key)
	if got := lifecycles(c); got != `[""]` {
		t.Errorf("lifecycles %s", got)
	}
}

func TestSpotPriceBelowTheMarketFails(t *testing.T) {
	s := testkit.Start(t, testkit.Options{})
	c := s.As(testkit.Admin(account))
	createServiceRole(c)
	createGroupByConfig(c, new("0.001"))
	settle(s)
	a := newest(t, c)
	want := "Your Spot request price of 0.001 is lower than the minimum required Spot request fulfillment price of 0.00312. Launching EC2 instance failed."
	if *a.StatusCode != "Failed" || api.Val(a.StatusMessage) != want {
		t.Errorf("%s: %s", *a.StatusCode, api.Val(a.StatusMessage))
	}
}

// Spot in a launch template is launched by the group's role.
func TestSpotTemplateNeedsTheGroupsRole(t *testing.T) {
	s := testkit.Start(t, testkit.Options{})
	c := s.As(testkit.Admin(account))
	createServiceRole(c)
	key := newKey(c, statementsFor(account, serviceRole(account)))
	encryptByDefault(c, key)
	testkit.Call[ec2api.CreateLaunchTemplateResult](c.EC2, "CreateLaunchTemplate", &ec2api.CreateLaunchTemplateRequest{
		LaunchTemplateName: new(group),
		LaunchTemplateData: &ec2api.RequestLaunchTemplateData{
			ImageId: new("ami-12c6146b"), InstanceType: new("t3.micro"),
			InstanceMarketOptions: &ec2api.LaunchTemplateInstanceMarketOptionsRequest{MarketType: new("spot")},
			BlockDeviceMappings: []ec2api.LaunchTemplateBlockDeviceMappingRequest{
				{DeviceName: new("/dev/sdf"), Ebs: &ec2api.LaunchTemplateEbsBlockDeviceRequest{VolumeSize: new(int32(1))}},
			},
		},
	})
	createGroupOf(c, group, group, 1)
	settle(s)
	launched(t, c, 1, key)
	if got := lifecycles(c); got != `["spot"]` {
		t.Errorf("lifecycles %s", got)
	}
	e := testkit.Refused(c.IAM, "GetRole", &iamapi.GetRoleRequest{RoleName: new("AWSServiceRoleForEC2Spot")})
	if e.Code != "NoSuchEntity" {
		t.Errorf("the Spot role: %v", e)
	}
}

// A mixed instances policy buys both kinds as the group's role (scenario 009).
func TestMixedGroupLaunchesBothKindsAsTheGroupsRole(t *testing.T) {
	s := testkit.Start(t, testkit.Options{})
	c := s.As(testkit.Admin(account))
	createServiceRole(c)
	key := newKey(c, statementsFor(account, serviceRole(account)))
	createTemplate(c, group, key)
	testkit.Must(c.AutoScaling, "CreateAutoScalingGroup", &autoscalingapi.CreateAutoScalingGroupType{
		AutoScalingGroupName: new(group), MinSize: new(int32(4)), MaxSize: new(int32(4)), AvailabilityZones: []string{testkit.Region + "a"},
		MixedInstancesPolicy: &autoscalingapi.MixedInstancesPolicy{
			LaunchTemplate: &autoscalingapi.LaunchTemplate{
				LaunchTemplateSpecification: &autoscalingapi.LaunchTemplateSpecification{LaunchTemplateName: new(group)},
				Overrides:                   []autoscalingapi.LaunchTemplateOverrides{{InstanceType: new("m6i.large")}, {InstanceType: new("c6i.large")}},
			},
			InstancesDistribution: &autoscalingapi.InstancesDistribution{
				OnDemandBaseCapacity: new(int32(1)), OnDemandPercentageAboveBaseCapacity: new(int32(0)), SpotMaxPrice: new(""),
			},
		},
	})
	s.Advance(8 * time.Second)
	launched(t, c, 4, key)
	if got := lifecycles(c); got != `["" "spot" "spot" "spot"]` {
		t.Errorf("lifecycles %s", got)
	}
	g := testkit.Call[autoscalingapi.AutoScalingGroupsType](c.AutoScaling, "DescribeAutoScalingGroups", &autoscalingapi.AutoScalingGroupNamesType{}).AutoScalingGroups[0]
	if d := g.MixedInstancesPolicy.InstancesDistribution; *d.SpotAllocationStrategy != "lowest-price" || *d.SpotInstancePools != 2 || d.SpotMaxPrice != nil {
		t.Errorf("distribution %+v", d)
	}
	var types []string
	for _, i := range g.Instances {
		types = append(types, *i.InstanceType)
	}
	slices.Sort(types)
	if got := strings.Join(types, " "); got != "c6i.large c6i.large m6i.large m6i.large" {
		t.Errorf("types %s", got)
	}
}
