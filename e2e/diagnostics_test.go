package e2e_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// TestDiagnostics: a screen, an interrupt and events of an instance, and the domain name of an address.
func TestDiagnostics(t *testing.T) {
	c, ctx := admin(t), t.Context()
	id := c.runInstance(t)
	if s := must(c.ec2.GetConsoleScreenshot(ctx, &ec2.GetConsoleScreenshotInput{InstanceId: &id}))(t); *s.ImageData == "" {
		t.Error("no screen")
	}
	must(c.ec2.SendDiagnosticInterrupt(ctx, &ec2.SendDiagnosticInterruptInput{InstanceId: &id}))(t)
	refused(c.ec2.ModifyInstanceEventStartTime(ctx, &ec2.ModifyInstanceEventStartTimeInput{InstanceId: &id, InstanceEventId: new("instance-event-0d59937288b749b32"), NotBefore: new(time.Now())}))(t,
		"InvalidInstanceEventIDNotFound")
	refused(c.ec2.ModifyAvailabilityZoneGroup(ctx, &ec2.ModifyAvailabilityZoneGroupInput{GroupName: new("us-west-2-lax-1"), OptInStatus: types.ModifyAvailabilityZoneOptInStatusOptedIn}))(t, "InvalidParameterValue")
	refused(c.ec2.RestoreImageFromRecycleBin(ctx, &ec2.RestoreImageFromRecycleBinInput{ImageId: new("ami-0123456789abcdef0")}))(t, "InvalidAMIID.NotFound")
	address := must(c.ec2.AllocateAddress(ctx, &ec2.AllocateAddressInput{}))(t).AllocationId
	if a := must(c.ec2.ModifyAddressAttribute(ctx, &ec2.ModifyAddressAttributeInput{AllocationId: address, DomainName: new("www.example.com")}))(t).Address; *a.PtrRecordUpdate.Value != "www.example.com." {
		t.Errorf("address %+v", a)
	}
	if a := must(c.ec2.DescribeAddressesAttribute(ctx, &ec2.DescribeAddressesAttributeInput{}))(t).Addresses; len(a) != 1 || *a[0].PtrRecord != "www.example.com." {
		t.Errorf("addresses %+v", a)
	}
	must(c.ec2.ResetAddressAttribute(ctx, &ec2.ResetAddressAttributeInput{AllocationId: address, Attribute: types.AddressAttributeNameDomainName}))(t)
	must(c.ec2.ReleaseAddress(ctx, &ec2.ReleaseAddressInput{AllocationId: address}))(t)
}
