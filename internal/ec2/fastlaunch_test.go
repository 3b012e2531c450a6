package ec2_test

import (
	"testing"

	"github.com/kagimori/kagimori/internal/api/ec2api"
)

// TestFastLaunch: no image is of Windows, so that none can have it.
func TestFastLaunch(t *testing.T) {
	h := newHouse(t)
	me := h.owner()
	id := h.register(me, "base", h.snapshot(me, h.filled(me, "", "data")))
	made := ask[ec2api.CreateLaunchTemplateResult](h.desk, me, &ec2api.CreateLaunchTemplateRequest{
		LaunchTemplateName: new("web"), LaunchTemplateData: &ec2api.RequestLaunchTemplateData{InstanceType: new("m5.large")},
	})
	template := func(id, name *string) *ec2api.FastLaunchLaunchTemplateSpecificationRequest {
		return &ec2api.FastLaunchLaunchTemplateSpecificationRequest{LaunchTemplateId: id, LaunchTemplateName: name, Version: new("1")}
	}
	for name, tt := range map[string]struct {
		in   ec2api.EnableFastLaunchRequest
		code string
	}{
		"not Windows":      {ec2api.EnableFastLaunchRequest{MaxParallelLaunches: new(int32(6)), ResourceType: new("snapshot"), LaunchTemplate: template(nil, new("web"))}, "UnsupportedOperation"},
		"type":             {ec2api.EnableFastLaunchRequest{ResourceType: new("volume")}, "InvalidParameterValue"},
		"too few launches": {ec2api.EnableFastLaunchRequest{MaxParallelLaunches: new(int32(5))}, "InvalidParameterValue"},
		"no snapshots":     {ec2api.EnableFastLaunchRequest{SnapshotConfiguration: &ec2api.FastLaunchSnapshotConfigurationRequest{TargetResourceCount: new(int32(0))}}, "InvalidParameterValue"},
		"template twice":   {ec2api.EnableFastLaunchRequest{LaunchTemplate: template(new("lt-0123456789abcdef0"), new("web"))}, "InvalidParameterCombination"},
		"no template":      {ec2api.EnableFastLaunchRequest{LaunchTemplate: template(nil, nil)}, "MissingParameter"},
		"missing template": {ec2api.EnableFastLaunchRequest{LaunchTemplate: template(nil, new("missing"))}, "InvalidLaunchTemplateName.NotFoundException"},
		"no image":         {ec2api.EnableFastLaunchRequest{ImageId: new("ami-0123456789abcdef0")}, "InvalidAMIID.NotFound"},
	} {
		t.Run(name, func(t *testing.T) {
			if tt.in.ImageId == nil {
				tt.in.ImageId = &id
			}
			h.refuse(me, &tt.in, tt.code, "*")
		})
	}
	h.refuse(me, &ec2api.DisableFastLaunchRequest{ImageId: &id, Force: new(true)}, "UnsupportedOperation", "The image '"+id+"' is not a Windows AMI: its platform is Linux/UNIX.")
	h.refuse(h.User(mine, "nobody"), &ec2api.EnableFastLaunchRequest{ImageId: &id}, "UnauthorizedOperation", "*")
	images := h.User(mine, "images", `{"Statement": {"Effect": "Allow", "Action": "ec2:EnableFastLaunch", "Resource": "arn:aws:ec2:*::image/*"}}`)
	h.refuse(images, &ec2api.EnableFastLaunchRequest{ImageId: &id}, "UnsupportedOperation", "*")
	h.refuse(images, &ec2api.EnableFastLaunchRequest{ImageId: &id, LaunchTemplate: template(nil, new("web"))}, "UnauthorizedOperation",
		"You are not authorized to perform this operation. User: arn:aws:iam::"+mine+":user/images is not authorized to perform: ec2:EnableFastLaunch on resource: arn:aws:ec2:us-west-2:"+mine+
			":launch-template/"+*made.LaunchTemplate.LaunchTemplateId+" because no identity-based policy allows the ec2:EnableFastLaunch action")
	h.refuse(h.root(theirs), &ec2api.EnableFastLaunchRequest{ImageId: &id}, "InvalidAMIID.NotFound", "*")
	list := func(ids ...string) *ec2api.DescribeFastLaunchImagesRequest {
		return &ec2api.DescribeFastLaunchImagesRequest{ImageIds: ids, Filters: []ec2api.Filter{filter("state", "enabled"), filter("owner-id", mine), filter("resource-type", "snapshot")}}
	}
	if out := ask[ec2api.DescribeFastLaunchImagesResult](h.desk, me, list(id)); len(out.FastLaunchImages) != 0 || out.NextToken != nil {
		t.Errorf("images %+v", out)
	}
	h.refuse(me, list("ami-x"), "InvalidAMIID.Malformed", "*")
	h.refuse(me, list(id, "ami-0123456789abcdef0"), "InvalidAMIID.NotFound", "*")
}
