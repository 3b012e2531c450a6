package autoscaling_test

import (
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/guard/guardtest"
)

// A group can be made after an instance: by a launch configuration of its own name.
func TestGroupAfterAnInstance(t *testing.T) {
	w := newWorld(t)
	w.ec2.run = true
	w.ec2.instances["i-0model"] = &ec2api.Instance{
		InstanceId: new("i-0model"), State: &ec2api.InstanceState{Name: new("running")}, ImageId: new("ami-1"), InstanceType: new("m5.large"), KeyName: new("k"),
		SubnetId: new("subnet-b"), SecurityGroups: []ec2api.GroupIdentifier{{GroupId: new("sg-1")}}, PublicIpAddress: new("203.0.113.9"),
		IamInstanceProfile: &ec2api.IamInstanceProfile{Arn: new("arn:aws:iam::123456789012:instance-profile/p")}, Monitoring: &ec2api.Monitoring{State: new("disabled")},
		Tags: []ec2api.Tag{{Key: new("app"), Value: new("web")}, {Key: new("aws:x"), Value: new("y")}},
	}
	in := &autoscalingapi.CreateAutoScalingGroupType{AutoScalingGroupName: new("g"), MinSize: new(int32(1)), MaxSize: new(int32(2)), InstanceId: new("i-0model"), PlacementGroup: new("near")}
	w.must("CreateAutoScalingGroup", in)
	w.Advance(5 * time.Second)
	g := w.group("g")
	if *g.LaunchConfigurationName != "g" || *g.VPCZoneIdentifier != "subnet-b" || len(g.Tags) != 1 || *g.Tags[0].Key != "app" || *g.PlacementGroup != "near" || len(g.Instances) != 1 {
		t.Errorf("group: %s", jsonOf(t, g))
	}
	r := w.ec2.requests[0]
	if *r.ImageId != "ami-1" || *r.InstanceType != "m5.large" || *r.KeyName != "k" || *r.Placement.GroupName != "near" || *r.IamInstanceProfile.Arn == "" ||
		*r.Monitoring.Enabled || r.NetworkInterfaces[0].Groups[0] != "sg-1" {
		t.Errorf("launch: %s", jsonOf(t, r))
	}
	in.AutoScalingGroupName = new("h")
	w.must("CreateLaunchConfiguration", &autoscalingapi.CreateLaunchConfigurationType{LaunchConfigurationName: new("h"), InstanceId: new("i-0model"), InstanceType: new("c5.large")})
	guardtest.WantError(t, w.try("CreateAutoScalingGroup", in), "AlreadyExists", "*")
	out, err := w.do(w.admin, "DescribeLaunchConfigurations", &autoscalingapi.LaunchConfigurationNamesType{LaunchConfigurationNames: []string{"h"}})
	w.Must(err)
	if c := out.(*autoscalingapi.LaunchConfigurationsType).LaunchConfigurations[0]; *c.InstanceType != "c5.large" || *c.ImageId != "ami-1" || !*c.AssociatePublicIpAddress {
		t.Errorf("launch configuration: %s", jsonOf(t, c))
	}
	in.InstanceId = new("i-0none")
	guardtest.WantError(t, w.try("CreateAutoScalingGroup", in), "ValidationError", "Invalid Instance ID(s): [i-0none] specified")
}

// An instance maintenance policy has both percentages, in range, or is cleared by -1 for both.
func TestInstanceMaintenancePolicy(t *testing.T) {
	w := newWorld(t)
	in := request("g", 0)
	in.InstanceMaintenancePolicy = &autoscalingapi.InstanceMaintenancePolicy{MinHealthyPercentage: new(int32(90)), MaxHealthyPercentage: new(int32(120))}
	w.must("CreateAutoScalingGroup", in)
	for _, bad := range [][2]int32{{50, 99}, {-1, 100}, {90, -1}, {0, 101}} {
		guardtest.WantError(t, w.try("UpdateAutoScalingGroup", &autoscalingapi.UpdateAutoScalingGroupType{AutoScalingGroupName: new("g"),
			InstanceMaintenancePolicy: &autoscalingapi.InstanceMaintenancePolicy{MinHealthyPercentage: &bad[0], MaxHealthyPercentage: &bad[1]}}), "ValidationError", "*")
	}
	guardtest.WantError(t, w.try("UpdateAutoScalingGroup", &autoscalingapi.UpdateAutoScalingGroupType{AutoScalingGroupName: new("g"),
		InstanceMaintenancePolicy: &autoscalingapi.InstanceMaintenancePolicy{MinHealthyPercentage: new(int32(50))}}), "ValidationError", "*")
	if p := w.group("g").InstanceMaintenancePolicy; *p.MinHealthyPercentage != 90 || *p.MaxHealthyPercentage != 120 {
		t.Errorf("policy: %s", jsonOf(t, p))
	}
	w.must("UpdateAutoScalingGroup", &autoscalingapi.UpdateAutoScalingGroupType{AutoScalingGroupName: new("g"),
		InstanceMaintenancePolicy: &autoscalingapi.InstanceMaintenancePolicy{MinHealthyPercentage: new(int32(-1)), MaxHealthyPercentage: new(int32(-1))}})
	if p := w.group("g").InstanceMaintenancePolicy; p != nil {
		t.Errorf("policy: %s", jsonOf(t, p))
	}
}
