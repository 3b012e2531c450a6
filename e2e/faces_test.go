package e2e_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// A network interface of its own: with an instance from its launch, and one that is attached later.
func TestNetworkInterfacesOfTheirOwn(t *testing.T) {
	c, ctx := admin(t), t.Context()
	subnet := must(c.ec2.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{Filters: by("default-for-az", "true")}))(t).Subnets[0].SubnetId
	first := must(c.ec2.CreateNetworkInterface(ctx, &ec2.CreateNetworkInterfaceInput{SubnetId: subnet, Description: new("mine")}))(t).NetworkInterface
	id := *must(c.ec2.RunInstances(ctx, &ec2.RunInstancesInput{
		ImageId: new(c.plainImage(t)), InstanceType: ec2types.InstanceTypeM5Large, MinCount: new(int32(1)), MaxCount: new(int32(1)),
		NetworkInterfaces: []ec2types.InstanceNetworkInterfaceSpecification{{DeviceIndex: new(int32(0)), NetworkInterfaceId: first.NetworkInterfaceId}},
	}))(t).Instances[0].InstanceId
	c.isRunning(t, id)
	if i := c.instance(t, id); *i.PrivateIpAddress != *first.PrivateIpAddress || *i.NetworkInterfaces[0].Description != "mine" {
		t.Errorf("instance %+v", i)
	}
	second := must(c.ec2.CreateNetworkInterface(ctx, &ec2.CreateNetworkInterfaceInput{SubnetId: subnet}))(t).NetworkInterface.NetworkInterfaceId
	must(c.ec2.AssignPrivateIpAddresses(ctx, &ec2.AssignPrivateIpAddressesInput{NetworkInterfaceId: second, SecondaryPrivateIpAddressCount: new(int32(1))}))(t)
	plug := must(c.ec2.AttachNetworkInterface(ctx, &ec2.AttachNetworkInterfaceInput{NetworkInterfaceId: second, InstanceId: &id, DeviceIndex: new(int32(1))}))(t).AttachmentId
	n := c.instance(t, id).NetworkInterfaces
	if len(n) != 2 || *n[1].Attachment.AttachmentId != *plug || len(n[1].PrivateIpAddresses) != 2 {
		t.Errorf("interfaces %+v", n)
	}
	must(c.ec2.UnassignPrivateIpAddresses(ctx, &ec2.UnassignPrivateIpAddressesInput{NetworkInterfaceId: second, PrivateIpAddresses: []string{*n[1].PrivateIpAddresses[1].PrivateIpAddress}}))(t)
	must(c.ec2.ModifyNetworkInterfaceAttribute(ctx, &ec2.ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: second, Description: &ec2types.AttributeValue{Value: new("other")}}))(t)
	a := must(c.ec2.DescribeNetworkInterfaceAttribute(ctx, &ec2.DescribeNetworkInterfaceAttributeInput{NetworkInterfaceId: second, Attribute: ec2types.NetworkInterfaceAttributeDescription}))(t)
	if *a.Description.Value != "other" {
		t.Errorf("attribute %+v", a)
	}
	must(c.ec2.ResetNetworkInterfaceAttribute(ctx, &ec2.ResetNetworkInterfaceAttributeInput{NetworkInterfaceId: second, SourceDestCheck: new("sourceDestCheck")}))(t)
	refused(c.ec2.DeleteNetworkInterface(ctx, &ec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: second}))(t, "InvalidNetworkInterface.InUse")
	must(c.ec2.DetachNetworkInterface(ctx, &ec2.DetachNetworkInterfaceInput{AttachmentId: plug}))(t)
	must(c.ec2.DeleteNetworkInterface(ctx, &ec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: second}))(t)
	must(c.ec2.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{id}}))(t)
	eventually(t, "the interface stays", func() (bool, string) {
		s := must(c.ec2.DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{*first.NetworkInterfaceId}}))(t).NetworkInterfaces[0].Status
		return s == ec2types.NetworkInterfaceStatusAvailable, string(s)
	})
	must(c.ec2.DeleteNetworkInterface(ctx, &ec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: first.NetworkInterfaceId}))(t)
	refused(c.ec2.DeleteNetworkInterface(ctx, &ec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: first.NetworkInterfaceId}))(t, "InvalidNetworkInterfaceID.NotFound")
}
