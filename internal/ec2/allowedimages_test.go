package ec2_test

import (
	"slices"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/guard"
)

// allow sets the Allowed AMIs of an account.
func (h *house) allow(as guard.Caller, state string, providers ...string) {
	h.T.Helper()
	ask[ec2api.ReplaceImageCriteriaInAllowedImagesSettingsResult](h.desk, as, &ec2api.ReplaceImageCriteriaInAllowedImagesSettingsRequest{
		ImageCriteria: []ec2api.ImageCriterionRequest{{ImageProviders: providers}},
	})
	ask[ec2api.EnableAllowedImagesSettingsResult](h.desk, as, &ec2api.EnableAllowedImagesSettingsRequest{AllowedImagesSettingsState: &state})
}

// TestAllowedImages: what meets no criterion is neither seen nor launched, by whatever way; in audit-mode it is only told.
func TestAllowedImages(t *testing.T) {
	h := newHouse(t)
	me, other := h.owner(), h.root(theirs)
	id := h.register(me, "base", h.snapshot(me, h.filled(me, "", "data")))
	h.Must(h.shareImage(me, id, theirs))
	listed := func(allowed string) []string {
		var ids []string
		in := &ec2api.DescribeImagesRequest{Owners: []string{mine, "amazon"}, IncludeDeprecated: new(true)}
		if allowed != "" {
			in.Filters = []ec2api.Filter{{Name: new("image-allowed"), Values: []string{allowed}}}
		}
		for _, i := range ask[ec2api.DescribeImagesResult](h.desk, other, in).Images {
			ids = append(ids, *i.ImageId)
		}
		return ids
	}
	everything := len(listed(""))
	if w := h.image(other, id); w.ImageAllowed != nil || len(listed("false")) != 0 || len(listed("true")) != everything {
		t.Errorf("while Allowed AMIs are disabled: %v", w.ImageAllowed)
	}
	h.allow(other, "audit-mode", "amazon")
	if no, yes := h.image(other, id), h.image(other, exampleImage); *no.ImageAllowed || !*yes.ImageAllowed || !slices.Equal(listed("false"), []string{id}) || len(listed("")) != everything {
		t.Errorf("in audit-mode: %t, %t, %v", *no.ImageAllowed, *yes.ImageAllowed, listed("false"))
	}
	template := h.templateOf(other, id)
	running := h.launch(other, id)
	h.allow(other, "enabled", "amazon")
	if len(listed("")) != everything-1 || slices.Contains(listed(""), id) || !*h.image(other, exampleImage).ImageAllowed {
		t.Errorf("listed while enabled: %v", listed(""))
	}
	in := runRequest()
	in.ImageId = &id
	h.refuse(other, in, "InvalidAMIID.NotFound", "The image id '["+id+"]' does not exist")
	h.refuse(other, &ec2api.RunInstancesRequest{MinCount: new(int32(1)), MaxCount: new(int32(1)), LaunchTemplate: &ec2api.LaunchTemplateSpecification{LaunchTemplateId: &template}}, "InvalidAMIID.NotFound", "*")
	h.refuse(other, &ec2api.DescribeImageAttributeRequest{ImageId: &id, Attribute: new("description")}, "InvalidAMIID.NotFound", "*")
	fleet := fleetRequest("instant", template, 1, "on-demand")
	if out := ask[ec2api.CreateFleetResult](h.desk, other, fleet); len(out.Errors) != 1 || *out.Errors[0].ErrorCode != "InvalidAMIID.NotFound" {
		t.Errorf("a fleet: %+v", out)
	}
	metadata := func(filters ...ec2api.Filter) []ec2api.InstanceImageMetadata {
		return ask[ec2api.DescribeInstanceImageMetadataResult](h.desk, other, &ec2api.DescribeInstanceImageMetadataRequest{Filters: filters}).InstanceImageMetadata
	}
	if m := metadata(filter("image-allowed", "false")); len(m) != 1 || *m[0].InstanceId != running || *m[0].ImageMetadata.ImageId != id || *m[0].ImageMetadata.OwnerId != mine || *m[0].ImageMetadata.ImageAllowed || *m[0].State.Name != "running" {
		t.Errorf("instances of images that are not allowed: %+v", m)
	}
	if m := metadata(filter("image-allowed", "true")); len(m) != 0 {
		t.Errorf("instances of images that are allowed: %+v", m)
	}
	if h.image(me, id).ImageAllowed != nil {
		t.Error("the settings of one account are told to another")
	}
	ask[ec2api.StopInstancesResult](h.desk, other, &ec2api.StopInstancesRequest{InstanceIds: []string{running}})
	h.Advance(5 * time.Second)
	ask[ec2api.StartInstancesResult](h.desk, other, &ec2api.StartInstancesRequest{InstanceIds: []string{running}})

	out := ask[ec2api.GetAllowedImagesSettingsResult](h.desk, other, &ec2api.GetAllowedImagesSettingsRequest{})
	if *out.State != "enabled" || *out.ManagedBy != "account" || len(out.ImageCriteria) != 1 || !slices.Equal(out.ImageCriteria[0].ImageProviders, []string{"amazon"}) {
		t.Errorf("settings %+v", out)
	}
	ask[ec2api.DisableAllowedImagesSettingsResult](h.desk, other, &ec2api.DisableAllowedImagesSettingsRequest{})
	if out := ask[ec2api.GetAllowedImagesSettingsResult](h.desk, other, &ec2api.GetAllowedImagesSettingsRequest{}); *out.State != "disabled" || len(out.ImageCriteria) != 1 || len(listed("")) != everything {
		t.Errorf("disabled settings %+v", out)
	}
	h.launch(other, id)
	ask[ec2api.DisableImageResult](h.desk, me, &ec2api.DisableImageRequest{ImageId: &id}) // it is private now
	if m := metadata(filter("instance-id", running)); len(m) != 1 || *m[0].ImageMetadata.Name != "base" || *m[0].ImageMetadata.IsPublic || m[0].ImageMetadata.ImageAllowed != nil {
		t.Errorf("a private image: %+v", m)
	}
	ask[ec2api.DeregisterImageResult](h.desk, me, &ec2api.DeregisterImageRequest{ImageId: &id})
	if m := metadata(filter("instance-id", running)); len(m) != 1 || *m[0].ImageMetadata.State != "deregistered" || *m[0].ImageMetadata.ImageId != id {
		t.Errorf("a deregistered image: %+v", m)
	}
}

// templateOf makes a launch template that has an image.
func (h *house) templateOf(as guard.Caller, image string) string {
	h.T.Helper()
	return *ask[ec2api.CreateLaunchTemplateResult](h.desk, as, &ec2api.CreateLaunchTemplateRequest{
		LaunchTemplateName: new("of-" + image), LaunchTemplateData: &ec2api.RequestLaunchTemplateData{ImageId: &image, InstanceType: new("t3.micro")},
	}).LaunchTemplate.LaunchTemplateId
}
