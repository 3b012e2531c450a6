package ec2_test

import (
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/ec2api"
)

func TestADisabledImageIsItsOwnersOnly(t *testing.T) {
	h := newHouse(t)
	me, other := h.owner(), h.root(theirs)
	id := h.register(me, "base", h.snapshot(me, h.filled(me, "", "data")))
	h.Must(h.shareImage(me, id, theirs))
	all := func(disabled bool) int {
		return len(ask[ec2api.DescribeImagesResult](h.desk, me, &ec2api.DescribeImagesRequest{Owners: []string{"self"}, IncludeDisabled: &disabled}).Images)
	}
	ask[ec2api.DisableImageResult](h.desk, me, &ec2api.DisableImageRequest{ImageId: &id})
	if all(false) != 0 || all(true) != 1 || *h.image(me, id).State != "disabled" {
		t.Errorf("a disabled image: %d, %d when it is asked for; %+v", all(false), all(true), h.image(me, id))
	}
	h.refuse(other, &ec2api.DescribeImagesRequest{ImageIds: []string{id}}, "InvalidAMIID.NotFound", "*")
	in := runRequest()
	in.ImageId = &id
	h.refuse(me, in, "InvalidAMIID.Unavailable", "*")
	if err := h.shareImage(me, id, theirs); err == nil {
		t.Error("a disabled image is shared")
	}
	ask[ec2api.EnableImageResult](h.desk, me, &ec2api.EnableImageRequest{ImageId: &id})
	h.refuse(other, &ec2api.DescribeImagesRequest{ImageIds: []string{id}}, "InvalidAMIID.NotFound", "*")
	h.launch(me, id)
	h.refuse(me, &ec2api.DisableImageRequest{ImageId: new(exampleImage)}, "AuthFailure", "*")
}

func TestDeprecation(t *testing.T) {
	h := newHouse(t)
	me, other := h.owner(), h.root(theirs)
	id := h.register(me, "base", h.snapshot(me, h.filled(me, "", "data")))
	h.Must(h.shareImage(me, id, theirs))
	start := h.Clock.Now()
	at := func(d time.Duration) *ec2api.EnableImageDeprecationRequest {
		return &ec2api.EnableImageDeprecationRequest{ImageId: &id, DeprecateAt: new(start.Add(d))}
	}
	listed := func(deprecated bool) int {
		return len(ask[ec2api.DescribeImagesResult](h.desk, other, &ec2api.DescribeImagesRequest{Owners: []string{mine}, IncludeDeprecated: &deprecated}).Images)
	}
	ask[ec2api.EnableImageDeprecationResult](h.desk, me, at(time.Hour))
	if w := h.image(me, id); w.DeprecationTime == nil || *w.DeprecationTime != start.Add(time.Hour).UTC().Round(time.Minute).Format("2006-01-02T15:04:05.000Z") {
		t.Errorf("deprecated at %v", w.DeprecationTime)
	}
	if listed(false) != 1 {
		t.Error("an image is hidden before it is deprecated")
	}
	h.Advance(2 * time.Hour)
	if listed(false) != 0 || listed(true) != 1 {
		t.Errorf("a deprecated image: %d, %d when it is asked for", listed(false), listed(true))
	}
	ask[ec2api.DisableImageDeprecationResult](h.desk, me, &ec2api.DisableImageDeprecationRequest{ImageId: &id})
	if listed(false) != 1 || h.image(me, id).DeprecationTime != nil {
		t.Error("an image stays deprecated")
	}
	h.refuse(me, at(-time.Hour), "InvalidParameterValue", "*")
	h.refuse(me, at(11*365*24*time.Hour), "InvalidParameterValue", "*")
}

func TestDeregistrationProtection(t *testing.T) {
	h := newHouse(t)
	me := h.owner()
	id := h.register(me, "base", h.snapshot(me, h.filled(me, "", "data")))
	gone := &ec2api.DeregisterImageRequest{ImageId: &id}
	protection := func() string {
		a := ask[ec2api.ImageAttribute](h.desk, me, &ec2api.DescribeImageAttributeRequest{ImageId: &id, Attribute: new("deregistrationProtection")})
		if got := *a.DeregistrationProtection.Value; got != *h.image(me, id).DeregistrationProtection {
			t.Errorf("the attribute is %s, the image says %s", got, *h.image(me, id).DeregistrationProtection)
		}
		return *a.DeregistrationProtection.Value
	}
	want := func(text string) {
		t.Helper()
		if got := protection(); got != text {
			t.Errorf("protection is %s, want %s", got, text)
		}
	}
	want("disabled")
	if got := *ask[ec2api.EnableImageDeregistrationProtectionResult](h.desk, me, &ec2api.EnableImageDeregistrationProtectionRequest{ImageId: &id}).Return; got != "enabled-without-cooldown" {
		t.Errorf("protecting answers %s", got)
	}
	want("enabled-without-cooldown")
	h.refuse(me, gone, "OperationNotPermitted", "*")
	ask[ec2api.EnableImageDeregistrationProtectionResult](h.desk, me, &ec2api.EnableImageDeregistrationProtectionRequest{ImageId: &id, WithCooldown: new(true)})
	want("enabled-with-cooldown")
	if got := *ask[ec2api.DisableImageDeregistrationProtectionResult](h.desk, me, &ec2api.DisableImageDeregistrationProtectionRequest{ImageId: &id}).Return; got != "enabled-with-cooldown" {
		t.Errorf("unprotecting, a day ahead, answers %s", got)
	}
	h.refuse(me, gone, "OperationNotPermitted", "*")
	h.Advance(25 * time.Hour)
	want("disabled")
	ask[ec2api.DeregisterImageResult](h.desk, me, gone)
}

// TestDeregisteredImages: lists pass them over, for a while or as long as an instance refers to them.
func TestDeregisteredImages(t *testing.T) {
	h := newHouse(t)
	me := h.owner()
	snap := h.snapshot(me, h.filled(me, "", "data"))
	used, unused, last := h.register(me, "used", snap), h.register(me, "unused", snap), h.register(me, "last", snap)
	instance := h.launch(me, used)
	for _, id := range []string{used, unused} {
		ask[ec2api.DeregisterImageResult](h.desk, me, &ec2api.DeregisterImageRequest{ImageId: &id})
		h.refuse(me, &ec2api.DeregisterImageRequest{ImageId: &id}, "InvalidAMIID.Unavailable", "The image id '["+id+"]' is no longer available")
		h.refuse(me, &ec2api.DescribeImageAttributeRequest{ImageId: &id, Attribute: new("launchPermission")}, "InvalidAMIID.Unavailable", "*")
		h.refuse(h.root(theirs), &ec2api.DescribeImagesRequest{ImageIds: []string{id}}, "InvalidAMIID.NotFound", "*")
		in := runRequest()
		in.ImageId = &id
		h.refuse(me, in, "InvalidAMIID.Unavailable", "*")
	}
	none := func(ids ...string) {
		t.Helper()
		if out := ask[ec2api.DescribeImagesResult](h.desk, me, &ec2api.DescribeImagesRequest{ImageIds: ids}); len(out.Images) != 0 {
			t.Errorf("listed: %+v", out.Images)
		}
	}
	none(used, unused)
	h.Advance(2 * time.Hour)
	none(used)
	h.refuse(me, &ec2api.DescribeImagesRequest{ImageIds: []string{unused}}, "InvalidAMIID.NotFound", "The image id '["+unused+"]' does not exist")
	ask[ec2api.DeregisterImageResult](h.desk, me, &ec2api.DeregisterImageRequest{ImageId: &last})
	if n := h.count("ec2/image-gone"); n != 1 {
		t.Errorf("%d deregistered images are remembered", n)
	}
	ask[ec2api.TerminateInstancesResult](h.desk, me, &ec2api.TerminateInstancesRequest{InstanceIds: []string{instance}})
	h.Advance(time.Minute)
	h.refuse(me, &ec2api.DescribeImagesRequest{ImageIds: []string{used}}, "InvalidAMIID.NotFound", "*")
}

// TestNamesOfAttributesHaveNoCase: clients write LaunchPermission, too.
func TestNamesOfAttributesHaveNoCase(t *testing.T) {
	h := newHouse(t)
	me := h.owner()
	snap := h.snapshot(me, h.filled(me, "", "data"))
	id := h.register(me, "base", snap)
	for _, in := range []any{
		&ec2api.ModifyImageAttributeRequest{ImageId: &id, Attribute: new("LaunchPermission"), LaunchPermission: &ec2api.LaunchPermissionModifications{Add: []ec2api.LaunchPermission{{UserId: new(theirs)}}}},
		&ec2api.ModifyImageAttributeRequest{ImageId: &id, Attribute: new("Description"), Value: new("text")},
	} {
		if _, err := h.try(me, in); err != nil {
			t.Errorf("%T: %v", in, err)
		}
	}
	if w := h.image(h.root(theirs), id); *w.Description != "text" {
		t.Errorf("image %+v", w)
	}
}
