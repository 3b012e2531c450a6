package ec2_test

import (
	"bytes"
	"encoding/base64"
	"image/jpeg"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/ec2api"
)

// TestDiagnostics: what instances are asked when they cannot be reached.
func TestDiagnostics(t *testing.T) {
	h := newHouse(t)
	id := h.run(h.owner())
	type shoot = ec2api.GetConsoleScreenshotRequest
	screen := ask[ec2api.GetConsoleScreenshotResult](h.desk, h.owner(), &shoot{InstanceId: &id, WakeUp: new(true)})
	data, err := base64.StdEncoding.DecodeString(*screen.ImageData)
	if err != nil {
		t.Fatal(err)
	}
	if picture, err := jpeg.Decode(bytes.NewReader(data)); err != nil || picture.Bounds().Dx() != 720 || *screen.InstanceId != id {
		t.Errorf("the screen: %v", err)
	}
	h.done(&ec2api.SendDiagnosticInterruptRequest{InstanceId: &id})
	h.refuse(h.owner(), &ec2api.ModifyInstanceEventStartTimeRequest{InstanceId: &id, InstanceEventId: new("instance-event-0d59937288b749b32"), NotBefore: new(time.Unix(0, 0))},
		"InvalidInstanceEventIDNotFound", "*")
	h.refuse(h.allowed("nobody", `"ec2:Describe*"`, `"*"`, ""), &shoot{InstanceId: &id}, "UnauthorizedOperation", "*")
	h.refuse(h.owner(), &shoot{InstanceId: new("i-0123456789abcdef0")}, "InvalidInstanceID.NotFound", "*")
	ask[ec2api.StopInstancesResult](h.desk, h.owner(), &ec2api.StopInstancesRequest{InstanceIds: []string{id}})
	h.refuse(h.owner(), &shoot{InstanceId: &id}, "IncorrectInstanceState", "*")
	h.refuse(h.owner(), &ec2api.SendDiagnosticInterruptRequest{InstanceId: &id}, "IncorrectInstanceState", "*")
	zone := ask[ec2api.DescribeAvailabilityZonesResult](h.desk, h.owner(), &ec2api.DescribeAvailabilityZonesRequest{}).AvailabilityZones[0]
	h.refuse(h.owner(), &ec2api.ModifyAvailabilityZoneGroupRequest{GroupName: zone.GroupName, OptInStatus: new("opted-in")}, "UnsupportedOperation", "*")
	h.refuse(h.owner(), &ec2api.ModifyAvailabilityZoneGroupRequest{GroupName: new("us-west-2-lax-1"), OptInStatus: new("opted-in")}, "InvalidParameterValue", "*")
	h.refuse(h.owner(), &ec2api.ListImagesInRecycleBinRequest{ImageIds: []string{"ami-0123456789abcdef0"}}, "InvalidAMIID.NotFound", "*")
	h.refuse(h.owner(), &ec2api.RestoreImageFromRecycleBinRequest{ImageId: new("ami-0123456789abcdef0")}, "InvalidAMIID.NotFound", "*")
}

// TestDomainNames: an Elastic IP address with a domain name is not released.
func TestDomainNames(t *testing.T) {
	h := newHouse(t)
	made := ask[ec2api.AllocateAddressResult](h.desk, h.owner(), &ec2api.AllocateAddressRequest{})
	ask[ec2api.AllocateAddressResult](h.desk, h.owner(), &ec2api.AllocateAddressRequest{})
	id := made.AllocationId
	type modify = ec2api.ModifyAddressAttributeRequest
	for _, bad := range []string{"", "com", "a..com", "-a.com", "a b.com", ".com", "\u212a.com", "鍵.jp"} {
		code := map[bool]string{true: "MissingParameter", false: "InvalidParameterValue"}[bad == ""]
		h.refuse(h.owner(), &modify{AllocationId: id, DomainName: &bad}, code, "*")
	}
	first := ask[ec2api.ModifyAddressAttributeResult](h.desk, h.owner(), &modify{AllocationId: id, DomainName: new("mail.example.com")}).Address
	if first.PtrRecord != nil || *first.PtrRecordUpdate.Value != "mail.example.com." || *first.PtrRecordUpdate.Status != "PENDING" || *first.PublicIp != *made.PublicIp {
		t.Errorf("first %+v", first)
	}
	second := ask[ec2api.ModifyAddressAttributeResult](h.desk, h.owner(), &modify{AllocationId: id, DomainName: new("www.example.com.")}).Address
	if *second.PtrRecord != "mail.example.com." || *second.PtrRecordUpdate.Value != "www.example.com." {
		t.Errorf("second %+v", second)
	}
	all := &ec2api.DescribeAddressesAttributeRequest{Attribute: new("domain-name")}
	if got := ask[ec2api.DescribeAddressesAttributeResult](h.desk, h.owner(), all).Addresses; len(got) != 1 || *got[0].PtrRecord != "www.example.com." || got[0].PtrRecordUpdate != nil {
		t.Errorf("names %+v", got)
	}
	h.refuse(h.owner(), &ec2api.ReleaseAddressRequest{AllocationId: id}, "InvalidAddress.Locked", "*")
	h.refuse(h.owner(), &modify{AllocationId: new("eipalloc-0123456789abcdef0"), DomainName: new("example.com")}, "InvalidAllocationID.NotFound", "*")
	h.refuse(h.allowed("namer", `"ec2:ModifyAddressAttribute"`, `"*"`, `{"StringNotEquals":{"ec2:Attribute/DomainName":"www.example.com."}}`),
		&modify{AllocationId: id, DomainName: new("www.example.com")}, "UnauthorizedOperation", "*")
	ask[ec2api.ResetAddressAttributeResult](h.desk, h.owner(), &ec2api.ResetAddressAttributeRequest{AllocationId: id, Attribute: new("domain-name")})
	if got := ask[ec2api.DescribeAddressesAttributeResult](h.desk, h.owner(), all).Addresses; len(got) != 0 {
		t.Errorf("names %+v", got)
	}
	h.done(&ec2api.ReleaseAddressRequest{AllocationId: id})
}
