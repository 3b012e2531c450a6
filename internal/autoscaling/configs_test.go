package autoscaling_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/guard/guardtest"
	"github.com/kagimori/kagimori/internal/store"
)

// images misses ami-gone, as EC2 says it.
func images(_ store.Tx, _, _, id string, _ time.Time) error {
	if id == "ami-gone" {
		return apierr.New("InvalidAMIID.NotFound", "The image id '[ami-gone]' does not exist")
	}
	return nil
}

// configuration is a launch configuration with nothing special.
func configuration(name string) *autoscalingapi.CreateLaunchConfigurationType {
	return &autoscalingapi.CreateLaunchConfigurationType{
		LaunchConfigurationName: &name, ImageId: new("ami-1"), InstanceType: new("m5.large"),
	}
}

// byConfig is a group that launches from a launch configuration.
func byConfig(group, config string, desired int32) *autoscalingapi.CreateAutoScalingGroupType {
	in := request(group, desired)
	in.LaunchTemplate, in.LaunchConfigurationName = nil, &config
	return in
}

func (w *world) configurations(in *autoscalingapi.LaunchConfigurationNamesType) []autoscalingapi.LaunchConfiguration {
	w.T.Helper()
	out, err := w.do(w.admin, "DescribeLaunchConfigurations", in)
	w.Must(err)
	return out.(*autoscalingapi.LaunchConfigurationsType).LaunchConfigurations
}

func TestLaunchConfigurationRefusals(t *testing.T) {
	ebs := func(e autoscalingapi.Ebs) []autoscalingapi.BlockDeviceMapping {
		return []autoscalingapi.BlockDeviceMapping{{DeviceName: new("/dev/xvda"), Ebs: &e}}
	}
	type input = autoscalingapi.CreateLaunchConfigurationType
	tests := []struct {
		name    string
		change  func(*input)
		code    string
		message string
	}{
		{"InstanceId form", func(in *input) { in.InstanceId = new("i-1") }, "ValidationError", "Invalid Instance ID(s): [i-1] specified"},
		{"no image", func(in *input) { in.ImageId = nil }, "ValidationError", "Valid requests must contain either the InstanceId parameter or both the ImageId and InstanceType parameters."},
		{"image that is not there", func(in *input) { in.ImageId = new("ami-gone") }, "ValidationError", "AMI ami-gone is invalid: The image id '[ami-gone]' does not exist"},
		{"no type", func(in *input) { in.InstanceType = nil }, "ValidationError", "Valid requests must contain either the InstanceId parameter or both the ImageId and InstanceType parameters."},
		{"name with a colon", func(in *input) { in.LaunchConfigurationName = new("a:b") }, "ValidationError", "*"},
		{"name too long", func(in *input) { in.LaunchConfigurationName = new(strings.Repeat("x", 256)) }, "ValidationException", "*"},
		{"user data not base64", func(in *input) { in.UserData = new("#!/bin/sh") }, "ValidationError", "Invalid BASE64 encoding of user data"},
		{"price in words", func(in *input) { in.SpotPrice = new("cheap") }, "ValidationError", "*"},
		{"negative price", func(in *input) { in.SpotPrice = new("-0.1") }, "ValidationError", "*"},
		{"price that is no number", func(in *input) { in.SpotPrice = new("NaN") }, "ValidationError", "*"},
		{"tenancy", func(in *input) { in.PlacementTenancy = new("host") }, "ValidationError", "*"},
		{"ClassicLink", func(in *input) { in.ClassicLinkVPCId = new("vpc-1") }, "ValidationError", "*"},
		{"groups by name and id", func(in *input) { in.SecurityGroups = []string{"sg-1", "default"} }, "ValidationError", "*"},
		{"snapshot and encrypted", func(in *input) {
			in.BlockDeviceMappings = ebs(autoscalingapi.Ebs{SnapshotId: new("snap-1"), Encrypted: new(true)})
		}, "ValidationError", "the encrypted flag cannot be specified since device /dev/xvda has a snapshot specified."},
		{"device twice", func(in *input) {
			in.BlockDeviceMappings = append(ebs(autoscalingapi.Ebs{}), ebs(autoscalingapi.Ebs{})...)
		}, "ValidationError", "*"},
		{"device and no device", func(in *input) {
			in.BlockDeviceMappings = ebs(autoscalingapi.Ebs{})
			in.BlockDeviceMappings[0].NoDevice = new(true)
		}, "ValidationError", "*"},
		{"name taken", func(in *input) { in.LaunchConfigurationName = new("taken") }, "AlreadyExists",
			"Launch Configuration by this name already exists - A launch configuration already exists with the name taken"},
	}
	w := newWorld(t)
	w.must("CreateLaunchConfiguration", configuration("taken"))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := configuration("lc")
			tt.change(in)
			guardtest.WantError(t, w.try("CreateLaunchConfiguration", in), tt.code, tt.message)
		})
	}
	if n := len(w.configurations(&autoscalingapi.LaunchConfigurationNamesType{})); n != 1 {
		t.Errorf("%d launch configurations were made", n-1)
	}
	guardtest.WantError(t, w.try("DeleteLaunchConfiguration", &autoscalingapi.LaunchConfigurationNameType{LaunchConfigurationName: new("nope")}),
		"ValidationError", "Launch configuration name not found - Launch configuration nope not found")
}

// The role of the instance profile is passed to EC2, and the profile has to exist.
func TestProfileOfALaunchConfiguration(t *testing.T) {
	w := newWorld(t)
	policy := func(service string) string {
		return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"autoscaling:*","Resource":"*"},{"Effect":"Allow","Action":"iam:PassRole","Resource":"arn:aws:iam::` +
			account + `:role/web","Condition":{"StringEquals":{"iam:PassedToService":"` + service + `"}}}]}`
	}
	with, wrong := w.User(account, "with", policy("ec2.amazonaws.com")), w.User(account, "wrong", policy("autoscaling.amazonaws.com"))
	arn := "arn:aws:iam::" + account + ":instance-profile/"
	for _, tt := range []struct {
		who           guard.Caller
		name, profile string
		code, message string
	}{
		{with, "by-name", "web", "", ""},
		{with, "by-arn", arn + "web", "", ""},
		{with, "no-role", "bare", "", ""},
		{with, "unknown", "nope", "ValidationError", "Invalid IamInstanceProfile: nope"},
		{with, "unknown-arn", arn + "nope", "ValidationError", "Invalid IamInstanceProfile: " + arn + "nope"},
		{with, "other-role", "p", "AccessDenied", "User: arn:aws:iam::" + account + ":user/with is not authorized to perform: iam:PassRole on resource: arn:aws:iam::" +
			account + ":role/p because no identity-based policy allows the iam:PassRole action"},
		{wrong, "other-service", "web", "AccessDenied", "*"},
		{wrong, "without-profile", "", "", ""},
	} {
		in := configuration(tt.name)
		if tt.profile != "" {
			in.IamInstanceProfile = &tt.profile
		}
		_, err := w.do(tt.who, "CreateLaunchConfiguration", in)
		if tt.code == "" {
			w.Must(err)
			continue
		}
		guardtest.WantError(t, err, tt.code, tt.message)
	}
	if n := len(w.configurations(&autoscalingapi.LaunchConfigurationNamesType{})); n != 4 {
		t.Errorf("%d launch configurations", n)
	}
}

// What is not given is shown with its default, and what is given as it was given.
func TestDescribeLaunchConfigurations(t *testing.T) {
	w := newWorld(t)
	w.must("CreateLaunchConfiguration", configuration("plain"))
	full := configuration("full")
	full.SpotPrice, full.IamInstanceProfile, full.AssociatePublicIpAddress = new("0.05"), new("web"), new(false)
	full.InstanceMonitoring, full.EbsOptimized = &autoscalingapi.InstanceMonitoring{Enabled: new(false)}, new(true)
	full.BlockDeviceMappings = []autoscalingapi.BlockDeviceMapping{{DeviceName: new("/dev/sdb"), Ebs: &autoscalingapi.Ebs{VolumeSize: new(int32(8)), Encrypted: new(true)}}}
	w.must("CreateLaunchConfiguration", full)
	got := w.configurations(&autoscalingapi.LaunchConfigurationNamesType{LaunchConfigurationNames: []string{"plain", "nope"}})
	if len(got) != 1 {
		t.Fatalf("%d launch configurations", len(got))
	}
	prefix, suffix := "arn:aws:autoscaling:us-west-2:"+account+":launchConfiguration:", ":launchConfigurationName/plain"
	if a := *got[0].LaunchConfigurationARN; !strings.HasPrefix(a, prefix) || !strings.HasSuffix(a, suffix) || len(a) != len(prefix)+36+len(suffix) {
		t.Errorf("ARN: %s", a)
	}
	want := autoscalingapi.LaunchConfiguration{
		LaunchConfigurationName: new("plain"), ImageId: new("ami-1"), InstanceType: new("m5.large"), KeyName: new(""), KernelId: new(""),
		RamdiskId: new(""), UserData: new(""), SecurityGroups: []string{}, ClassicLinkVPCSecurityGroups: []string{},
		BlockDeviceMappings: []autoscalingapi.BlockDeviceMapping{}, InstanceMonitoring: &autoscalingapi.InstanceMonitoring{Enabled: new(true)},
		EbsOptimized: new(false), LaunchConfigurationARN: got[0].LaunchConfigurationARN, CreatedTime: got[0].CreatedTime,
	}
	if diff := cmp.Diff(want, got[0]); diff != "" {
		t.Errorf("plain (-want +got):\n%s", diff)
	}
	got = w.configurations(&autoscalingapi.LaunchConfigurationNamesType{LaunchConfigurationNames: []string{"full"}})
	if g := got[0]; *g.SpotPrice != "0.05" || *g.IamInstanceProfile != "web" || *g.AssociatePublicIpAddress || *g.InstanceMonitoring.Enabled || !*g.EbsOptimized {
		t.Errorf("full: %+v", g)
	}
	if diff := cmp.Diff(full.BlockDeviceMappings, got[0].BlockDeviceMappings); diff != "" {
		t.Errorf("devices (-want +got):\n%s", diff)
	}
	for i := range 5 {
		w.must("CreateLaunchConfiguration", configuration(fmt.Sprint("page", i)))
	}
	var names []string
	in := &autoscalingapi.LaunchConfigurationNamesType{MaxRecords: new(int32(3))}
	for {
		out, err := w.do(w.admin, "DescribeLaunchConfigurations", in)
		w.Must(err)
		page := out.(*autoscalingapi.LaunchConfigurationsType)
		for _, c := range page.LaunchConfigurations {
			names = append(names, *c.LaunchConfigurationName)
		}
		if in.NextToken = page.NextToken; in.NextToken == nil {
			break
		}
	}
	if got := strings.Join(names, " "); got != "full page0 page1 page2 page3 page4 plain" {
		t.Errorf("all pages: %s", got)
	}
}

// A launch configuration cannot be deleted while a group uses it.
func TestLaunchConfigurationInUse(t *testing.T) {
	w := newWorld(t)
	guardtest.WantError(t, w.try("CreateAutoScalingGroup", byConfig("g", "lc", 0)), "ValidationError",
		"Launch configuration name not found - A launch configuration with the name: lc does not exist")
	w.must("CreateLaunchConfiguration", configuration("lc"))
	w.must("CreateAutoScalingGroup", byConfig("g", "lc", 0))
	if g := w.group("g"); api.Val(g.LaunchConfigurationName) != "lc" || g.LaunchTemplate != nil {
		t.Errorf("the group shows %v, %+v", g.LaunchConfigurationName, g.LaunchTemplate)
	}
	gone := &autoscalingapi.LaunchConfigurationNameType{LaunchConfigurationName: new("lc")}
	guardtest.WantError(t, w.try("DeleteLaunchConfiguration", gone), "ResourceInUse",
		"Cannot delete launch configuration lc because it is attached to AutoScalingGroup g")
	w.must("UpdateAutoScalingGroup", &autoscalingapi.UpdateAutoScalingGroupType{
		AutoScalingGroupName: new("g"), LaunchTemplate: &autoscalingapi.LaunchTemplateSpecification{LaunchTemplateName: new("web")},
	})
	if g := w.group("g"); g.LaunchConfigurationName != nil || g.LaunchTemplate == nil {
		t.Errorf("after the change the group shows %v, %+v", g.LaunchConfigurationName, g.LaunchTemplate)
	}
	w.must("DeleteLaunchConfiguration", gone)
	guardtest.WantError(t, w.try("UpdateAutoScalingGroup", &autoscalingapi.UpdateAutoScalingGroupType{
		AutoScalingGroupName: new("g"), LaunchConfigurationName: new("lc"),
	}), "ValidationError", "Launch configuration name not found - A launch configuration with the name: lc does not exist")
}

// EC2 is asked for what the launch configuration says, by the group's role.
func TestLaunchByConfiguration(t *testing.T) {
	w := newWorld(t)
	w.ec2.run = true
	lc := configuration("lc")
	data := base64.StdEncoding.EncodeToString([]byte("#!/bin/sh"))
	lc.UserData, lc.KeyName, lc.IamInstanceProfile = &data, new("me"), new("arn:aws:iam::"+account+":instance-profile/web")
	lc.SecurityGroups, lc.PlacementTenancy = []string{"sg-1"}, new("dedicated")
	lc.MetadataOptions = &autoscalingapi.InstanceMetadataOptions{HttpTokens: new("required")}
	lc.BlockDeviceMappings = []autoscalingapi.BlockDeviceMapping{
		{DeviceName: new("/dev/sdb"), Ebs: &autoscalingapi.Ebs{VolumeSize: new(int32(8)), Encrypted: new(true)}},
		{DeviceName: new("/dev/sdc"), NoDevice: new(true)},
	}
	w.must("CreateLaunchConfiguration", lc)
	w.must("CreateAutoScalingGroup", byConfig("g", "lc", 1))
	w.Advance(3 * time.Second)
	if got := w.states("g"); got != "InService" {
		t.Fatalf("states: %q, %v", got, w.history("g"))
	}
	got := w.ec2.requests[0]
	if got.UserData.Reveal() != data {
		t.Errorf("user data: %q", got.UserData.Reveal())
	}
	want := ec2api.RunInstancesRequest{
		MinCount: new(int32(1)), MaxCount: new(int32(1)), ImageId: new("ami-1"), InstanceType: new("m5.large"), KeyName: new("me"),
		SubnetId: new("subnet-a"), ClientToken: got.ClientToken, UserData: got.UserData, SecurityGroupIds: []string{"sg-1"},
		Monitoring:         &ec2api.RunInstancesMonitoringEnabled{Enabled: new(true)},
		IamInstanceProfile: &ec2api.IamInstanceProfileSpecification{Arn: lc.IamInstanceProfile},
		Placement:          &ec2api.Placement{Tenancy: new("dedicated")},
		MetadataOptions:    &ec2api.InstanceMetadataOptionsRequest{HttpTokens: new("required")},
		BlockDeviceMappings: []ec2api.BlockDeviceMapping{
			{DeviceName: new("/dev/sdb"), Ebs: &ec2api.EbsBlockDevice{VolumeSize: new(int32(8)), Encrypted: new(true)}},
			{DeviceName: new("/dev/sdc"), NoDevice: new("")},
		},
		TagSpecifications: []ec2api.TagSpecification{{ResourceType: new("instance"), Tags: []ec2api.Tag{{Key: new("aws:autoscaling:groupName"), Value: new("g")}}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
	if i := w.group("g").Instances[0]; api.Val(i.LaunchConfigurationName) != "lc" || i.LaunchTemplate != nil {
		t.Errorf("the instance shows %v, %+v", i.LaunchConfigurationName, i.LaunchTemplate)
	}
	if session := "arn:aws:sts::" + account + ":assumed-role/AWSServiceRoleForAutoScaling/AutoScaling"; w.ec2.callers[0] != session {
		t.Errorf("launched by %s", w.ec2.callers[0])
	}
}

// Metadata options are shown in full if one was given, and not at all if none was.
func TestMetadataOptionsOfConfigurations(t *testing.T) {
	w := newWorld(t)
	for name, tt := range map[string]struct {
		given, want *autoscalingapi.InstanceMetadataOptions
	}{
		"none": {},
		"one": {
			&autoscalingapi.InstanceMetadataOptions{HttpTokens: new("required")},
			&autoscalingapi.InstanceMetadataOptions{HttpTokens: new("required"), HttpPutResponseHopLimit: new(int32(1)), HttpEndpoint: new("enabled")},
		},
		"all": {
			&autoscalingapi.InstanceMetadataOptions{HttpTokens: new("optional"), HttpPutResponseHopLimit: new(int32(3)), HttpEndpoint: new("disabled")},
			&autoscalingapi.InstanceMetadataOptions{HttpTokens: new("optional"), HttpPutResponseHopLimit: new(int32(3)), HttpEndpoint: new("disabled")},
		},
	} {
		lc := configuration(name)
		lc.MetadataOptions = tt.given
		w.must("CreateLaunchConfiguration", lc)
		out, err := w.do(w.admin, "DescribeLaunchConfigurations", &autoscalingapi.LaunchConfigurationNamesType{LaunchConfigurationNames: []string{name}})
		w.Must(err)
		if diff := cmp.Diff(tt.want, out.(*autoscalingapi.LaunchConfigurationsType).LaunchConfigurations[0].MetadataOptions); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// A public address is asked for on a network interface, which then carries subnet and groups.
func TestPublicAddressOfConfiguration(t *testing.T) {
	w := newWorld(t)
	lc := configuration("lc")
	lc.AssociatePublicIpAddress, lc.SecurityGroups = new(true), []string{"sg-1"}
	w.must("CreateLaunchConfiguration", lc)
	w.must("CreateAutoScalingGroup", byConfig("g", "lc", 1))
	w.Advance(0)
	got := w.ec2.requests[0]
	want := []ec2api.InstanceNetworkInterfaceSpecification{{
		DeviceIndex: new(int32(0)), AssociatePublicIpAddress: new(true), SubnetId: new("subnet-a"), Groups: []string{"sg-1"}, DeleteOnTermination: new(true),
	}}
	if diff := cmp.Diff(want, got.NetworkInterfaces); diff != "" || got.SubnetId != nil || len(got.SecurityGroupIds) != 0 {
		t.Errorf("subnet %v, groups %v, interfaces (-want +got):\n%s", got.SubnetId, got.SecurityGroupIds, diff)
	}
}

// Conditions on what a launch configuration says are enforced, and so is the right to name it.
func TestLaunchConfigurationConditions(t *testing.T) {
	w := newWorld(t)
	user := w.User(account, "frugal", `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":"autoscaling:*","Resource":"arn:aws:autoscaling:*:*:launchConfiguration:*:launchConfigurationName/team-*"},
		{"Effect":"Deny","Action":"autoscaling:CreateLaunchConfiguration","Resource":"*","Condition":{"StringLike":{"autoscaling:InstanceType":"*.xlarge"}}},
		{"Effect":"Deny","Action":"autoscaling:CreateLaunchConfiguration","Resource":"*","Condition":{"NumericGreaterThan":{"autoscaling:SpotPrice":"0.1"}}},
		{"Effect":"Deny","Action":"autoscaling:CreateLaunchConfiguration","Resource":"*","Condition":{"StringEquals":{"autoscaling:MetadataHttpTokens":"optional"}}}]}`)
	large, dear, old := configuration("team-l"), configuration("team-d"), configuration("team-o")
	large.InstanceType, dear.SpotPrice = new("m5.xlarge"), new("0.2")
	old.MetadataOptions = &autoscalingapi.InstanceMetadataOptions{HttpTokens: new("optional")}
	for name, in := range map[string]*autoscalingapi.CreateLaunchConfigurationType{
		"type": large, "price": dear, "tokens": old, "name": configuration("other"),
	} {
		if _, err := w.do(user, "CreateLaunchConfiguration", in); apierr.Code(err) != "AccessDenied" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := w.do(user, "CreateLaunchConfiguration", configuration("team-x")); err != nil {
		t.Errorf("within the limits: %v", err)
	}
}

// The limits of an account and region hold, and are told.
func TestLimits(t *testing.T) {
	w := newWorld(t)
	for i := range 200 {
		w.must("CreateLaunchConfiguration", configuration(fmt.Sprint("lc", i)))
	}
	guardtest.WantError(t, w.try("CreateLaunchConfiguration", configuration("more")), "LimitExceeded", "*")
	w.must("CreateAutoScalingGroup", request("g", 0))
	out, err := w.do(w.admin, "DescribeAccountLimits", &autoscalingapi.DescribeAccountLimitsRequest{})
	w.Must(err)
	want := &autoscalingapi.DescribeAccountLimitsAnswer{
		MaxNumberOfAutoScalingGroups: new(int32(500)), MaxNumberOfLaunchConfigurations: new(int32(200)),
		NumberOfAutoScalingGroups: new(int32(1)), NumberOfLaunchConfigurations: new(int32(200)),
	}
	if diff := cmp.Diff(want, out); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
