package tour

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
)

// serviceRole makes the service-linked role of Auto Scaling unless it is there.
func (t *traveller) serviceRole(ctx context.Context, p *party) (string, error) {
	t.begin("The service-linked role of Auto Scaling: the identity that launches instances.")
	t.command("iam", "create-service-linked-role", "--aws-service-name", "autoscaling.amazonaws.com")
	err := p.iam.Do(ctx, "CreateServiceLinkedRole", &iamapi.CreateServiceLinkedRoleRequest{
		AWSServiceName: new("autoscaling.amazonaws.com"),
	}, &iamapi.CreateServiceLinkedRoleResponse{})
	role := arn.Role(p.account, arn.ServiceLinkedPath("autoscaling.amazonaws.com"), "AWSServiceRoleForAutoScaling")
	if apierr.Code(err) == "InvalidInput" {
		t.tell("It is there already.")
	} else if err != nil {
		return "", err
	}
	t.tell("%s", role)
	t.tell("Its policy holds no KMS action, and nobody can change it.")
	return role, nil
}

// launchGroup makes a launch template with two volumes under the key, and a group of one instance.
func (t *traveller) launchGroup(ctx context.Context, p *party, key string) (string, error) {
	name := t.name("web")
	t.begin("A launch template whose volumes are encrypted under the key, and a group of one instance.")
	volume := func(device string, size int32) ec2api.LaunchTemplateBlockDeviceMappingRequest {
		e := &ec2api.LaunchTemplateEbsBlockDeviceRequest{Encrypted: new(true), KmsKeyId: &key, VolumeSize: api.Opt(size)}
		return ec2api.LaunchTemplateBlockDeviceMappingRequest{DeviceName: &device, Ebs: e}
	}
	t.command("ec2", "create-launch-template", "--launch-template-name", name, "--launch-template-data", fmt.Sprintf(
		`{"ImageId":%q,"InstanceType":"t3.micro","BlockDeviceMappings":[{"DeviceName":%q,"Ebs":{"Encrypted":true,"KmsKeyId":%q}},`+
			`{"DeviceName":"/dev/sdf","Ebs":{"Encrypted":true,"KmsKeyId":%q,"VolumeSize":1}}]}`, imageID, rootDevice, key, key))
	err := p.compute.Do(ctx, "CreateLaunchTemplate", &ec2api.CreateLaunchTemplateRequest{
		LaunchTemplateName: &name,
		LaunchTemplateData: &ec2api.RequestLaunchTemplateData{
			ImageId: new(imageID), InstanceType: new("t3.micro"),
			BlockDeviceMappings: []ec2api.LaunchTemplateBlockDeviceMappingRequest{volume(rootDevice, 0), volume("/dev/sdf", 1)},
		},
	}, &ec2api.CreateLaunchTemplateResult{})
	if err != nil {
		return "", err
	}
	zone := t.Region + "a"
	t.command("autoscaling", "create-auto-scaling-group", "--auto-scaling-group-name", name, "--launch-template",
		"LaunchTemplateName="+name+",Version=$Latest", "--min-size", "1", "--max-size", "2", "--availability-zones", zone)
	err = p.groups.Do(ctx, "CreateAutoScalingGroup", &autoscalingapi.CreateAutoScalingGroupType{
		AutoScalingGroupName: &name, MinSize: new(int32(1)), MaxSize: new(int32(2)), AvailabilityZones: []string{zone},
		LaunchTemplate: &autoscalingapi.LaunchTemplateSpecification{LaunchTemplateName: &name, Version: new("$Latest")},
	}, nil)
	if err == nil {
		t.tell("Both are accepted: whether the key may be used is asked first when an instance launches.")
	}
	return name, err
}

// outcome waits for the group's next finished activity that began after since.
func (t *traveller) outcome(ctx context.Context, p *party, group string, since time.Time) (autoscalingapi.Activity, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, t.Patience, ErrWait)
	defer cancel()
	for {
		var out autoscalingapi.ActivitiesType
		err := p.groups.Do(ctx, "DescribeScalingActivities", &autoscalingapi.DescribeScalingActivitiesType{AutoScalingGroupName: &group}, &out)
		if err == nil {
			for i := len(out.Activities) - 1; i >= 0; i-- { // oldest first
				if a := out.Activities[i]; a.StartTime.After(since) && api.Val(a.Progress) == 100 {
					return a, nil
				}
			}
			err = t.Pause(ctx, 200*time.Millisecond)
		}
		if err != nil {
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			return autoscalingapi.Activity{}, err
		}
	}
}

// expectFailure shows a launch that the key refused, and why.
func (t *traveller) expectFailure(ctx context.Context, p *party, group string, since time.Time) (autoscalingapi.Activity, error) {
	a, err := t.outcome(ctx, p, group, since)
	if err != nil {
		return a, err
	}
	t.command("autoscaling", "describe-scaling-activities", "--auto-scaling-group-name", group)
	t.tell("%s: %s", api.Val(a.StatusCode), api.Val(a.StatusMessage))
	if api.Val(a.StatusCode) != "Cancelled" {
		return a, fmt.Errorf("%w: a launch without access to the key ended as %s", ErrSurprise, api.Val(a.StatusCode))
	}
	return a, t.explainDenial(ctx, p, instanceOf(a))
}

// expectSuccess waits until the group has launched, and shows what it launched.
func (t *traveller) expectSuccess(ctx context.Context, p *party, group string, since time.Time) (string, error) {
	limit := time.Now().Add(t.Patience)
	for {
		a, err := t.outcome(ctx, p, group, since)
		if err != nil {
			return "", err
		}
		if api.Val(a.StatusCode) == "Successful" {
			t.command("autoscaling", "describe-scaling-activities", "--auto-scaling-group-name", group)
			t.tell("Successful: %s", api.Val(a.Description))
			return instanceOf(a), t.explainLaunch(ctx, p, instanceOf(a))
		}
		if time.Now().After(limit) { // an attempt that began before the change may still fail
			return "", fmt.Errorf("%w: the launch still ends as %s: %s", ErrSurprise, api.Val(a.StatusCode), api.Val(a.StatusMessage))
		}
		since = *a.StartTime
	}
}

// instanceOf is the instance in an activity's description, or "".
func instanceOf(a autoscalingapi.Activity) string {
	for w := range strings.FieldsSeq(api.Val(a.Description)) {
		if strings.HasPrefix(w, "i-") {
			return strings.Trim(w, ".,")
		}
	}
	return ""
}

// volumes lists the instance's volumes and their key.
func (t *traveller) volumes(ctx context.Context, p *party, instance, key string) error {
	t.command("ec2", "describe-volumes", "--filters", "Name=attachment.instance-id,Values="+instance)
	var out ec2api.DescribeVolumesResult
	err := p.compute.Do(ctx, "DescribeVolumes", &ec2api.DescribeVolumesRequest{
		Filters: []ec2api.Filter{{Name: new("attachment.instance-id"), Values: []string{instance}}},
	}, &out)
	if err != nil {
		return err
	}
	for _, v := range out.Volumes {
		device := ""
		if len(v.Attachments) > 0 {
			device = api.Val(v.Attachments[0].Device)
		}
		t.tell("%s  %-9s  %s  Encrypted=%v  KmsKeyId=%s", api.Val(v.VolumeId), device, api.Val(v.State), api.Val(v.Encrypted), api.Val(v.KmsKeyId))
		if !api.Val(v.Encrypted) || api.Val(v.KmsKeyId) != key {
			return fmt.Errorf("%w: volume %s is not under key %s", ErrSurprise, api.Val(v.VolumeId), key)
		}
	}
	if len(out.Volumes) != 2 {
		return fmt.Errorf("%w: the instance has %d volumes, not 2", ErrSurprise, len(out.Volumes))
	}
	return nil
}
