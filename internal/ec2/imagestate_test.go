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
	ask[ec2api.EnableImageDeregistrationProtectionResult](h.desk, me, &ec2api.EnableImageDeregistrationProtectionRequest{ImageId: &id})
	want("enabled-without-cooldown")
	h.refuse(me, gone, "OperationNotPermitted", "*")
	ask[ec2api.EnableImageDeregistrationProtectionResult](h.desk, me, &ec2api.EnableImageDeregistrationProtectionRequest{ImageId: &id, WithCooldown: new(true)})
	want("enabled-with-cooldown")
	ask[ec2api.DisableImageDeregistrationProtectionResult](h.desk, me, &ec2api.DisableImageDeregistrationProtectionRequest{ImageId: &id})
	h.refuse(me, gone, "OperationNotPermitted", "*")
	h.Advance(25 * time.Hour)
	want("disabled")
	ask[ec2api.DeregisterImageResult](h.desk, me, gone)
}
