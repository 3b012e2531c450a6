package e2e_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// TestAllowedImages: what an account does not allow itself is not launched, by Auto Scaling neither.
func TestAllowedImages(t *testing.T) {
	c, ctx := admin(t), t.Context()
	c.serviceRole(t)
	g := c.group(t, 0)
	must(c.ec2.ReplaceImageCriteriaInAllowedImagesSettings(ctx, &ec2.ReplaceImageCriteriaInAllowedImagesSettingsInput{ImageCriteria: []ec2types.ImageCriterionRequest{
		{ImageProviders: []string{"none"}},
		{ImageNames: []string{"al2023-*"}, CreationDateCondition: &ec2types.CreationDateConditionRequest{MaximumDaysSinceCreated: new(int32(1))}},
	}}))(t)
	all := func() (ids []string, allowed int) {
		for _, i := range must(c.ec2.DescribeImages(ctx, &ec2.DescribeImagesInput{Owners: []string{"amazon"}}))(t).Images {
			ids = append(ids, *i.ImageId)
			if i.ImageAllowed == nil || *i.ImageAllowed {
				allowed++
			}
		}
		return ids, allowed
	}
	ids, _ := all()
	must(c.ec2.EnableAllowedImagesSettings(ctx, &ec2.EnableAllowedImagesSettingsInput{AllowedImagesSettingsState: ec2types.AllowedImagesSettingsEnabledStateAuditMode}))(t)
	if now, allowed := all(); len(now) != len(ids) || allowed != 0 {
		t.Errorf("in audit-mode %d of %d images are listed, %d as allowed", len(now), len(ids), allowed)
	}
	must(c.ec2.EnableAllowedImagesSettings(ctx, &ec2.EnableAllowedImagesSettingsInput{AllowedImagesSettingsState: ec2types.AllowedImagesSettingsEnabledStateEnabled}))(t)
	if now, _ := all(); len(now) != 0 {
		t.Errorf("images that are not allowed are listed: %v", now)
	}
	out := must(c.ec2.GetAllowedImagesSettings(ctx, &ec2.GetAllowedImagesSettingsInput{}))(t)
	if *out.State != "enabled" || out.ManagedBy != ec2types.ManagedByAccount || len(out.ImageCriteria) != 2 || *out.ImageCriteria[1].CreationDateCondition.MaximumDaysSinceCreated != 1 {
		t.Errorf("settings %+v", out)
	}
	refused(c.ec2.RunInstances(ctx, &ec2.RunInstancesInput{ImageId: &ids[0], InstanceType: "t3.micro", MinCount: new(int32(1)), MaxCount: new(int32(1))}))(t, "InvalidAMIID.NotFound")
	g.scale(t, 1)
	eventually(t, "a failed activity", func() (bool, string) {
		for _, a := range g.activities(t) {
			if a.StatusCode == "Failed" && strings.Contains(str(a.StatusMessage), "does not exist") {
				return true, ""
			}
		}
		return false, g.state(t)
	})
	must(c.ec2.DisableAllowedImagesSettings(ctx, &ec2.DisableAllowedImagesSettingsInput{}))(t)
	g.running(t, 1)
	told := must(c.ec2.DescribeInstanceImageMetadata(ctx, &ec2.DescribeInstanceImageMetadataInput{Filters: by("image-allowed", "true")}))(t).InstanceImageMetadata
	if len(told) != 1 || told[0].ImageMetadata.ImageId == nil || told[0].ImageMetadata.State != ec2types.ImageStateAvailable {
		t.Errorf("images of instances %+v", told)
	}
}
