package autoscaling_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/guard/guardtest"
	"github.com/kagimori/kagimori/internal/launch"
)

func TestCreateRefusals(t *testing.T) {
	tests := []struct {
		name    string
		change  func(*autoscalingapi.CreateAutoScalingGroupType)
		ec2     *apierr.Error // of the dry run
		code    string
		message string
	}{
		{"no template", func(in *autoscalingapi.CreateAutoScalingGroupType) { in.LaunchTemplate = nil }, nil,
			"ValidationError", "Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or MixedInstancesPolicy parameter."},
		{"no zone", func(in *autoscalingapi.CreateAutoScalingGroupType) { in.AvailabilityZones = nil }, nil,
			"ValidationError", "At least one Availability Zone or VPC Subnet is required."},
		{"unknown zone", func(in *autoscalingapi.CreateAutoScalingGroupType) { in.AvailabilityZones = []string{"us-west-2z"} }, nil,
			"ValidationError", "One or more of the Availability Zones do not exist."},
		{"zones of the subnets differ", func(in *autoscalingapi.CreateAutoScalingGroupType) { in.VPCZoneIdentifier = new("subnet-a") }, nil,
			"ValidationError", "The availability zones of the specified subnets and the Auto Scaling group do not match"},
		{"desired above max", func(in *autoscalingapi.CreateAutoScalingGroupType) { in.DesiredCapacity = new(int32(15)) }, nil,
			"ValidationError", "Desired capacity:15 must be between the specified min size:0 and max size:5"},
		{"max below min", func(in *autoscalingapi.CreateAutoScalingGroupType) {
			in.MinSize, in.MaxSize, in.DesiredCapacity = new(int32(2)), new(int32(1)), nil
		}, nil, "ValidationError", "Max bound, 1, must be greater than or equal to min bound, 2"},
		{"template by name and id", func(in *autoscalingapi.CreateAutoScalingGroupType) { in.LaunchTemplate.LaunchTemplateId = new("lt-1") }, nil,
			"ValidationError", "Valid requests must contain either launchTemplateId or LaunchTemplateName"},
		{"unknown template", func(in *autoscalingapi.CreateAutoScalingGroupType) {
			in.LaunchTemplate.LaunchTemplateName = new("nope")
		}, nil,
			"ValidationError", "You must use a valid fully-formed launch template. The specified launch template, with template name nope, does not exist."},
		{"KmsKeyId without Encrypted", nil,
			apierr.New("InvalidParameterDependency", "The parameter KmsKeyId requires the parameter Encrypted to be set."),
			"ValidationError", "You must use a valid fully-formed launch template. The parameter KmsKeyId requires the parameter Encrypted to be set."},
		{"user may not launch", nil, apierr.New("UnauthorizedOperation", "You are not authorized to perform this operation."),
			"AccessDenied", "You are not authorized to use launch template: web"},
		{"security group of another network", nil, apierr.New(launch.OtherNetwork("sg-1", "subnet-a")),
			"ValidationError", "One or more security groups in the launch template are not linked to the VPCs configured in the Auto Scaling group"},
		{"user may not launch, template by id", func(in *autoscalingapi.CreateAutoScalingGroupType) {
			in.LaunchTemplate = &autoscalingapi.LaunchTemplateSpecification{LaunchTemplateId: new("lt-1")}
		}, apierr.New("UnauthorizedOperation", "You are not authorized to perform this operation."),
			"AccessDenied", "You are not authorized to use launch template: lt-1"},
		{"role of a suffix that does not exist", func(in *autoscalingapi.CreateAutoScalingGroupType) {
			in.ServiceLinkedRoleARN = new("arn:aws:iam::" + account + ":role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling_x")
		}, nil, "ValidationError", "ARN specified for Service-Linked Role does not exist."},
		{"name with a colon", func(in *autoscalingapi.CreateAutoScalingGroupType) { in.AutoScalingGroupName = new("a:b") }, nil, "ValidationError", "*"},
		{"name too long", func(in *autoscalingapi.CreateAutoScalingGroupType) {
			in.AutoScalingGroupName = new(strings.Repeat("x", 256))
		}, nil,
			"ValidationException", "*"},
		{"launch configuration", func(in *autoscalingapi.CreateAutoScalingGroupType) { in.LaunchConfigurationName = new("lc") }, nil, "ValidationError", "*"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.ec2.dryRun = tt.ec2
			in := request("g", 1)
			if tt.change != nil {
				tt.change(in)
			}
			guardtest.WantError(t, w.try("CreateAutoScalingGroup", in), tt.code, tt.message)
			out, err := w.do(w.admin, "DescribeAutoScalingGroups", &autoscalingapi.AutoScalingGroupNamesType{})
			w.Must(err)
			if n := len(out.(*autoscalingapi.AutoScalingGroupsType).AutoScalingGroups); n != 0 {
				t.Errorf("%d groups were made", n)
			}
			if len(w.roles.makers) != 0 {
				t.Error("a role was made")
			}
		})
	}
}

// A template's security groups are those of the group's network: the dry run is where the group launches. Subnets that
// are not there are told as what they are, and not as a mistake in the template.
func TestALaunchIsTriedInTheGroupsSubnet(t *testing.T) {
	w := newWorld(t)
	in := request("g", 0)
	in.AvailabilityZones, in.VPCZoneIdentifier = nil, new("subnet-b,subnet-a")
	w.must("CreateAutoScalingGroup", in)
	w.must("UpdateAutoScalingGroup", &autoscalingapi.UpdateAutoScalingGroupType{AutoScalingGroupName: new("g"), VPCZoneIdentifier: new("subnet-a"),
		MixedInstancesPolicy: &autoscalingapi.MixedInstancesPolicy{LaunchTemplate: &autoscalingapi.LaunchTemplate{LaunchTemplateSpecification: in.LaunchTemplate,
			Overrides: []autoscalingapi.LaunchTemplateOverrides{{InstanceType: new("t3.micro")}, {InstanceType: new("t3.small")}}}}})
	w.must("CreateAutoScalingGroup", request("zones", 0))
	if want := []string{"subnet-b", "subnet-a", "subnet-a", ""}; !slices.Equal(w.ec2.triedIn, want) {
		t.Errorf("tried in %q, want %q", w.ec2.triedIn, want)
	}
	w.ec2.dryRun = apierr.New("InvalidSubnetID.NotFound", "not asked")
	in.AutoScalingGroupName, in.VPCZoneIdentifier = new("other"), new("subnet-none")
	guardtest.WantError(t, w.try("CreateAutoScalingGroup", in), "ValidationError", "The subnet ID does not exist")
}

// A client that writes a space after each comma compares what comes back with the ids that it has.
func TestSubnetsAreAnsweredWithoutSpaces(t *testing.T) {
	w := newWorld(t)
	in := request("g", 0)
	in.AvailabilityZones, in.VPCZoneIdentifier = nil, new("subnet-b, subnet-a")
	w.must("CreateAutoScalingGroup", in)
	if got := *w.group("g").VPCZoneIdentifier; got != "subnet-b,subnet-a" {
		t.Errorf("made with %q", got)
	}
	w.must("UpdateAutoScalingGroup", &autoscalingapi.UpdateAutoScalingGroupType{AutoScalingGroupName: new("g"), VPCZoneIdentifier: new("subnet-a , subnet-b")})
	if got := *w.group("g").VPCZoneIdentifier; got != "subnet-a,subnet-b" {
		t.Errorf("changed to %q", got)
	}
	in.AutoScalingGroupName, in.VPCZoneIdentifier = new("none"), new(" , ")
	guardtest.WantError(t, w.try("CreateAutoScalingGroup", in), "ValidationError", "At least one Availability Zone or VPC Subnet is required.")
}

func TestNameTaken(t *testing.T) {
	w := newWorld(t)
	w.must("CreateAutoScalingGroup", request("g", 0))
	guardtest.WantError(t, w.try("CreateAutoScalingGroup", request("g", 0)), "AlreadyExists",
		"AutoScalingGroup by this name already exists - A group with the name g already exists")
}

// A user who may not make the service-linked role gets no group without one (S1).
func TestRoleNotMade(t *testing.T) {
	w := newWorld(t)
	w.roles.refuse = apierr.New("AccessDenied", "no")
	guardtest.WantError(t, w.try("CreateAutoScalingGroup", request("g", 1)), "AccessDenied", "no")
	out, err := w.do(w.admin, "DescribeAutoScalingGroups", &autoscalingapi.AutoScalingGroupNamesType{})
	w.Must(err)
	if n := len(out.(*autoscalingapi.AutoScalingGroupsType).AutoScalingGroups); n != 0 {
		t.Errorf("%d groups", n)
	}
}

// Auto Scaling refuses itself what EC2 merges: security groups beside a network interface.
func TestTemplateWithGroupsBesideAnInterface(t *testing.T) {
	w := newWorld(t)
	w.ec2.templates = templatesNamed("faces")
	d := w.ec2.templates["faces"]
	d.NetworkInterfaces = []ec2api.LaunchTemplateInstanceNetworkInterfaceSpecification{{DeviceIndex: new(int32(0))}}
	in := request("g", 0)
	in.LaunchTemplate.LaunchTemplateName = new("faces")
	w.must("CreateAutoScalingGroup", in)
	d.SecurityGroupIds = []string{"sg-1"}
	guardtest.WantError(t, w.try("UpdateAutoScalingGroup", &autoscalingapi.UpdateAutoScalingGroupType{AutoScalingGroupName: new("g"), LaunchTemplate: in.LaunchTemplate}),
		"InvalidQueryParameter", "Invalid launch template: When a network interface is provided, the security groups must be a part of it.")
}

// Naming a role needs iam:PassRole on it for Auto Scaling (S20); leaving it out does not.
func TestPassRole(t *testing.T) {
	w := newWorld(t)
	role := w.roles.put(account, "AWSServiceRoleForAutoScaling_devteam")
	const groups = `{"Effect":"Allow","Action":["autoscaling:*","ec2:*","iam:CreateServiceLinkedRole"],"Resource":"*"}`
	pass := func(service string) string {
		return `,{"Effect":"Allow","Action":"iam:PassRole","Resource":"` + role + `","Condition":{"StringEquals":{"iam:PassedToService":"` + service + `"}}}`
	}
	policy := func(more string) string { return `{"Version":"2012-10-17","Statement":[` + groups + more + `]}` }
	without := w.User(account, "without", policy(""))
	wrong := w.User(account, "wrong", policy(pass("ec2.amazonaws.com")))
	with := w.User(account, "with", policy(pass("autoscaling.amazonaws.com")))
	named := request("named", 0)
	named.ServiceLinkedRoleARN = &role
	for _, u := range []struct {
		who  string
		err  error
		want string
	}{
		{"without", func() error { _, err := w.do(without, "CreateAutoScalingGroup", named); return err }(), "AccessDenied"},
		{"for another service", func() error { _, err := w.do(wrong, "CreateAutoScalingGroup", named); return err }(), "AccessDenied"},
		{"default role", func() error { _, err := w.do(without, "CreateAutoScalingGroup", request("plain", 0)); return err }(), ""},
		{"with", func() error { _, err := w.do(with, "CreateAutoScalingGroup", named); return err }(), ""},
	} {
		if got := apierr.Code(u.err); got != u.want {
			t.Errorf("%s: %v, want %q", u.who, u.err, u.want)
		}
	}
	if got := *w.group("named").ServiceLinkedRoleARN; got != role {
		t.Errorf("role of the group: %s", got)
	}
}

func TestUpdate(t *testing.T) {
	w := newWorld(t)
	w.ec2.run = true
	w.must("CreateAutoScalingGroup", request("g", 1))
	w.Advance(3 * time.Second)
	w.must("SuspendProcesses", &autoscalingapi.ScalingProcessQuery{AutoScalingGroupName: new("g"), ScalingProcesses: []string{"AZRebalance"}}) // the zone that it leaves
	w.must("UpdateAutoScalingGroup", &autoscalingapi.UpdateAutoScalingGroupType{
		AutoScalingGroupName: new("g"), MinSize: new(int32(2)), MaxSize: new(int32(4)), HealthCheckGracePeriod: new(int32(30)),
		VPCZoneIdentifier: new("subnet-b"),
	})
	w.Advance(3 * time.Second)
	g := w.group("g")
	if *g.DesiredCapacity != 2 || *g.HealthCheckGracePeriod != 30 || len(g.Instances) != 2 {
		t.Errorf("desired %d, grace %d, %d instances", *g.DesiredCapacity, *g.HealthCheckGracePeriod, len(g.Instances))
	}
	if diff := cmp.Diff([]string{"us-west-2b"}, g.AvailabilityZones); diff != "" {
		t.Errorf("zones: %s", diff)
	}
	cause := *w.activities(&autoscalingapi.DescribeScalingActivitiesType{AutoScalingGroupName: new("g")})[0].Cause
	if want := "a user request update of AutoScalingGroup constraints to min: 2, max: 4, desired: 2 changing the desired capacity from 1 to 2."; !strings.Contains(cause, want) {
		t.Errorf("cause: %s", cause)
	}
	guardtest.WantError(t, w.try("UpdateAutoScalingGroup", &autoscalingapi.UpdateAutoScalingGroupType{AutoScalingGroupName: new("nope")}),
		"ValidationError", "AutoScalingGroup name not found - AutoScalingGroup 'nope' not found")
	guardtest.WantError(t, w.try("SetDesiredCapacity", &autoscalingapi.SetDesiredCapacityType{AutoScalingGroupName: new("g"), DesiredCapacity: new(int32(9))}),
		"ValidationError", "New SetDesiredCapacity value 9 is above max value 4 for the AutoScalingGroup.")
}

// Pages of groups cover every group once; a token of somebody else is refused.
func TestDescribePages(t *testing.T) {
	w := newWorld(t)
	for i := range 7 {
		w.must("CreateAutoScalingGroup", request(fmt.Sprint("g", i), 0))
	}
	var names []string
	in := &autoscalingapi.AutoScalingGroupNamesType{MaxRecords: new(int32(3))}
	for pages := 0; ; pages++ {
		out, err := w.do(w.admin, "DescribeAutoScalingGroups", in)
		w.Must(err)
		page := out.(*autoscalingapi.AutoScalingGroupsType)
		for _, g := range page.AutoScalingGroups {
			names = append(names, *g.AutoScalingGroupName)
		}
		if in.NextToken = page.NextToken; in.NextToken == nil {
			if pages != 2 {
				t.Errorf("%d pages", pages+1)
			}
			break
		}
	}
	if got := strings.Join(names, " "); got != "g0 g1 g2 g3 g4 g5 g6" {
		t.Errorf("groups: %s", got)
	}
	in.NextToken = new("bm9wZQ")
	guardtest.WantError(t, errorOf(w.do(w.admin, "DescribeAutoScalingGroups", in)), "InvalidNextToken", "*")
	// Another account sees nothing of this one.
	out, err := w.do(w.Lookup("999988887777"), "DescribeAutoScalingGroups", &autoscalingapi.AutoScalingGroupNamesType{})
	w.Must(err)
	if n := len(out.(*autoscalingapi.AutoScalingGroupsType).AutoScalingGroups); n != 0 {
		t.Errorf("another account sees %d groups", n)
	}
}

// Pages of activities show those in progress first, and each finished one once.
func TestActivityPages(t *testing.T) {
	w := newWorld(t)
	w.ec2.run = true
	w.must("CreateAutoScalingGroup", request("g", 4))
	w.Advance(3 * time.Second)
	w.ec2.run = false
	w.must("SetDesiredCapacity", &autoscalingapi.SetDesiredCapacityType{AutoScalingGroupName: new("g"), DesiredCapacity: new(int32(5))})
	w.Advance(3 * time.Second)
	seen := map[string]int{}
	var states []string
	in := &autoscalingapi.DescribeScalingActivitiesType{AutoScalingGroupName: new("g"), MaxRecords: new(int32(1))}
	for {
		out, err := w.do(w.admin, "DescribeScalingActivities", in)
		w.Must(err)
		page := out.(*autoscalingapi.ActivitiesType)
		for _, a := range page.Activities {
			seen[*a.ActivityId]++
			states = append(states, *a.StatusCode)
		}
		if in.NextToken = page.NextToken; in.NextToken == nil {
			break
		}
	}
	if len(seen) != 5 || len(states) != 5 || states[0] != "InProgress" {
		t.Errorf("%d activities in %d entries: %v", len(seen), len(states), states)
	}
}

func TestTags(t *testing.T) {
	w := newWorld(t)
	w.ec2.run = true
	in := request("g", 1)
	in.Tags = []autoscalingapi.Tag{
		{Key: new("team"), Value: new("blue"), PropagateAtLaunch: new(true)}, {Key: new("note"), Value: new("x"), PropagateAtLaunch: new(false)},
	}
	w.must("CreateAutoScalingGroup", in)
	w.Advance(3 * time.Second)
	tags := map[string]string{}
	for _, tag := range w.ec2.instances["i-00000000000000001"].Tags {
		tags[*tag.Key] = *tag.Value
	}
	if tags["team"] != "blue" || tags["note"] != "" {
		t.Errorf("tags of the instance: %v", tags)
	}
	tag := autoscalingapi.Tag{ResourceId: new("g"), ResourceType: new("auto-scaling-group"), Key: new("team"), Value: new("red"), PropagateAtLaunch: new(true)}
	w.must("CreateOrUpdateTags", &autoscalingapi.CreateOrUpdateTagsType{Tags: []autoscalingapi.Tag{tag}})
	w.must("DeleteTags", &autoscalingapi.DeleteTagsType{Tags: []autoscalingapi.Tag{{ResourceId: new("g"), ResourceType: new("auto-scaling-group"), Key: new("note")}}})
	out, err := w.do(w.admin, "DescribeTags", &autoscalingapi.DescribeTagsType{Filters: []autoscalingapi.Filter{
		{Name: new("auto-scaling-group"), Values: []string{"g"}},
	}})
	w.Must(err)
	all := out.(*autoscalingapi.TagsType).Tags
	if len(all) != 1 || api.Val(all[0].Key) != "team" || api.Val(all[0].Value) != "red" {
		t.Errorf("tags: %+v", all)
	}
}

// Conditions on what a request asks for are enforced.
func TestConditionKeys(t *testing.T) {
	w := newWorld(t)
	user := w.User(account, "small", `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":["autoscaling:*","iam:CreateServiceLinkedRole"],"Resource":"*"},
		{"Effect":"Deny","Action":"autoscaling:*","Resource":"*","Condition":{"NumericGreaterThan":{"autoscaling:MaxSize":"5"}}},
		{"Effect":"Deny","Action":"autoscaling:CreateAutoScalingGroup","Resource":"*","Condition":{"Bool":{"autoscaling:LaunchTemplateVersionSpecified":"false"}}}]}`)
	large := request("g", 1)
	large.MaxSize = new(int32(6))
	floating := request("g", 1)
	floating.LaunchTemplate.Version = nil
	for name, in := range map[string]*autoscalingapi.CreateAutoScalingGroupType{"max size": large, "no version": floating} {
		if _, err := w.do(user, "CreateAutoScalingGroup", in); apierr.Code(err) != "AccessDenied" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := w.do(user, "CreateAutoScalingGroup", request("g", 1)); err != nil {
		t.Errorf("within the limits: %v", err)
	}
}

func TestTerminateInstance(t *testing.T) {
	w := newWorld(t)
	w.ec2.run = true
	in := request("g", 2)
	in.MinSize = new(int32(1))
	w.must("CreateAutoScalingGroup", in)
	w.Advance(3 * time.Second)
	terminate := func(id string, decrement bool) error {
		return w.try("TerminateInstanceInAutoScalingGroup", &autoscalingapi.TerminateInstanceInAutoScalingGroupType{
			InstanceId: &id, ShouldDecrementDesiredCapacity: &decrement,
		})
	}
	w.Must(terminate("i-00000000000000001", true))
	w.Advance(3 * time.Second)
	if g := w.group("g"); *g.DesiredCapacity != 1 || len(g.Instances) != 1 {
		t.Errorf("desired %d, %d instances", *g.DesiredCapacity, len(g.Instances))
	}
	guardtest.WantError(t, terminate("i-00000000000000002", true), "ValidationError", "*")
	w.Must(terminate("i-00000000000000002", false))
	w.Advance(3 * time.Second)
	if g := w.group("g"); len(g.Instances) != 1 || *g.Instances[0].InstanceId != "i-00000000000000003" {
		t.Errorf("after a replacement: %+v", g.Instances)
	}
	guardtest.WantError(t, terminate("i-0000000000000000f", false), "ValidationError", "*")
}

func errorOf(_ any, err error) error {
	if err == nil {
		return errors.New("no error")
	}
	return err
}
