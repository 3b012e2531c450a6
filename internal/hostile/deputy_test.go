package hostile_test

import (
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/api/kagimoriapi"
	"github.com/kagimori/kagimori/internal/testkit"
)

// Nobody hands a service a role of another account: that the service may assume it is for its own account.
func TestRolesOfOtherAccountsCannotBePassed(t *testing.T) {
	w := newWorld(t)
	linked := testkit.Call[iamapi.CreateServiceLinkedRoleResponse](w.admin.IAM, "CreateServiceLinkedRole",
		&iamapi.CreateServiceLinkedRoleRequest{AWSServiceName: new("autoscaling.amazonaws.com")}).Role.Arn
	foreign := w.As(testkit.Admin(stranger))
	ami := testkit.Call[ec2api.DescribeImagesResult](foreign.EC2, "DescribeImages", &ec2api.DescribeImagesRequest{Owners: []string{"amazon"}}).Images[0].ImageId
	testkit.Must(foreign.AutoScaling, "CreateLaunchConfiguration", &autoscalingapi.CreateLaunchConfigurationType{
		LaunchConfigurationName: new("lc"), ImageId: ami, InstanceType: new("t3.micro")})
	group := func(name string, role *string) *autoscalingapi.CreateAutoScalingGroupType {
		return &autoscalingapi.CreateAutoScalingGroupType{AutoScalingGroupName: &name, MinSize: new(int32(1)), MaxSize: new(int32(1)),
			AvailabilityZones: []string{"us-east-1a"}, LaunchConfigurationName: new("lc"), ServiceLinkedRoleARN: role}
	}
	testkit.Must(foreign.AutoScaling, "CreateAutoScalingGroup", group("mine", nil))
	w.Advance(time.Minute)
	before, end := w.stored(t), w.end(t)
	role := new(w.known["RoleArn"])
	want := map[string]string{
		"CreateAutoScalingGroup": "AccessDenied", "UpdateAutoScalingGroup": "ValidationError", "PutLifecycleHook": "AccessDenied",
		"RequestSpotFleet": "UnauthorizedOperation", "RunInstances": "InvalidParameterValue", "CreateXksCredential": "ValidationException",
	}
	for name, err := range map[string]error{
		"CreateAutoScalingGroup": foreign.AutoScaling.Do(t.Context(), "CreateAutoScalingGroup", group("theirs", linked), nil),
		"UpdateAutoScalingGroup": foreign.AutoScaling.Do(t.Context(), "UpdateAutoScalingGroup", &autoscalingapi.UpdateAutoScalingGroupType{AutoScalingGroupName: new("mine"), ServiceLinkedRoleARN: linked}, nil),
		"PutLifecycleHook": foreign.AutoScaling.Do(t.Context(), "PutLifecycleHook", &autoscalingapi.PutLifecycleHookType{AutoScalingGroupName: new("mine"), LifecycleHookName: new("h"),
			LifecycleTransition: new("autoscaling:EC2_INSTANCE_LAUNCHING"), RoleARN: role, NotificationTargetARN: new("arn:aws:sns:us-east-1:" + stranger + ":t")}, nil),
		"RequestSpotFleet": foreign.EC2.Do(t.Context(), "RequestSpotFleet", &ec2api.RequestSpotFleetRequest{SpotFleetRequestConfig: &ec2api.SpotFleetRequestConfigData{
			IamFleetRole: role, TargetCapacity: new(int32(1)), LaunchSpecifications: []ec2api.SpotFleetLaunchSpecification{{ImageId: ami, InstanceType: new("t3.micro")}}}}, nil),
		"RunInstances": foreign.EC2.Do(t.Context(), "RunInstances", &ec2api.RunInstancesRequest{ImageId: ami, MinCount: new(int32(1)), MaxCount: new(int32(1)),
			IamInstanceProfile: &ec2api.IamInstanceProfileSpecification{Arn: new("arn:aws:iam::" + account + ":instance-profile/ip")}}, nil),
		"CreateXksCredential": foreign.Kagimori.Do(t.Context(), "CreateXksCredential", &kagimoriapi.CreateXksCredentialRequest{RoleArn: role, KeyArns: []string{w.known["KeyArn"]}}, nil),
	} {
		if err == nil {
			t.Errorf("%s: took a role of another account", name)
			continue
		}
		if e, ok := refusal(t, name, err); ok && e.Code != want[name] {
			t.Errorf("%s: %v", name, e)
		}
	}
	w.Advance(time.Hour)
	unchanged(t, "roles of another account", own(before), own(w.stored(t)), false)
	w.unseen(t, end)
}
