package ec2_test

import (
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/ec2api"
)

// TestInstancesAreAdjusted: what an instance was launched with and can be given another value of.
func TestInstancesAreAdjusted(t *testing.T) {
	h := newHouse(t)
	id := h.run(h.owner())
	h.Advance(time.Minute)
	reserve := &ec2api.ModifyInstanceCapacityReservationAttributesRequest{InstanceId: &id, CapacityReservationSpecification: &ec2api.CapacityReservationSpecification{CapacityReservationPreference: new("none")}}
	rename := &ec2api.ModifyPrivateDnsNameOptionsRequest{InstanceId: &id, PrivateDnsHostnameType: new("resource-name"), EnableResourceNameDnsARecord: new(true)}
	h.refuse(h.owner(), reserve, "IncorrectInstanceState", "*")
	h.refuse(h.owner(), rename, "IncorrectInstanceState", "*")
	ask[ec2api.StopInstancesResult](h.desk, h.owner(), &ec2api.StopInstancesRequest{InstanceIds: []string{id}})
	h.Advance(time.Minute)
	h.done(reserve)
	h.done(rename)
	i := h.instance(id)
	if *i.CapacityReservationSpecification.CapacityReservationPreference != "none" ||
		*i.PrivateDnsNameOptions.HostnameType != "resource-name" || !*i.PrivateDnsNameOptions.EnableResourceNameDnsARecord {
		t.Errorf("instance %+v", i)
	}
	for _, tt := range []struct {
		in   any
		code string
	}{
		{&ec2api.ModifyPrivateDnsNameOptionsRequest{InstanceId: &id, PrivateDnsHostnameType: new("x")}, "InvalidParameterValue"},
		{&ec2api.ModifyPrivateDnsNameOptionsRequest{InstanceId: new("i-00000000")}, "InvalidInstanceID.NotFound"},
		{&ec2api.ModifyInstanceCapacityReservationAttributesRequest{InstanceId: &id, CapacityReservationSpecification: &ec2api.CapacityReservationSpecification{
			CapacityReservationTarget: &ec2api.CapacityReservationTarget{CapacityReservationId: new("cr-0")},
		}}, "InvalidCapacityReservationId.NotFound"},
	} {
		h.refuse(h.owner(), tt.in, tt.code, "*")
	}
}

// TestModifyNetworkInterfaceAttribute: the groups of an instance's interface are those of the instance.
func TestModifyNetworkInterfaceAttribute(t *testing.T) {
	h := newHouse(t)
	id := h.run(h.owner())
	face := h.instance(id).NetworkInterfaces[0].NetworkInterfaceId
	group := ask[ec2api.CreateSecurityGroupResult](h.desk, h.owner(), &ec2api.CreateSecurityGroupRequest{GroupName: new("web"), Description: new("d")}).GroupId
	vpc := ask[ec2api.CreateVpcResult](h.desk, h.owner(), &ec2api.CreateVpcRequest{CidrBlock: new("10.0.0.0/16")}).Vpc.VpcId
	far := ask[ec2api.CreateSecurityGroupResult](h.desk, h.owner(), &ec2api.CreateSecurityGroupRequest{GroupName: new("far"), Description: new("d"), VpcId: vpc}).GroupId
	h.done(&ec2api.ModifyNetworkInterfaceAttributeRequest{NetworkInterfaceId: face, Groups: []string{*group}})
	h.done(&ec2api.ModifyNetworkInterfaceAttributeRequest{NetworkInterfaceId: face, SourceDestCheck: &ec2api.AttributeBooleanValue{Value: new(false)}})
	i := h.instance(id)
	if len(i.SecurityGroups) != 1 || *i.SecurityGroups[0].GroupId != *group || *i.NetworkInterfaces[0].Groups[0].GroupName != "web" || *i.SourceDestCheck {
		t.Errorf("instance %+v", i)
	}
	for _, tt := range []struct {
		in   ec2api.ModifyNetworkInterfaceAttributeRequest
		code string
	}{
		{ec2api.ModifyNetworkInterfaceAttributeRequest{NetworkInterfaceId: face}, "InvalidParameterCombination"},
		{ec2api.ModifyNetworkInterfaceAttributeRequest{NetworkInterfaceId: face, EnablePrimaryIpv6: new(true)}, "InvalidParameterCombination"},
		{ec2api.ModifyNetworkInterfaceAttributeRequest{NetworkInterfaceId: face, Groups: []string{*far}}, "InvalidGroup.NotFound"},
		{ec2api.ModifyNetworkInterfaceAttributeRequest{NetworkInterfaceId: face, Groups: []string{"sg-00000000"}}, "InvalidGroup.NotFound"},
		{ec2api.ModifyNetworkInterfaceAttributeRequest{NetworkInterfaceId: new("eni-00000000"), Groups: []string{*group}}, "InvalidNetworkInterfaceID.NotFound"},
	} {
		h.refuse(h.owner(), &tt.in, tt.code, "*")
	}
	h.refuse(h.owner(), &ec2api.DeleteSecurityGroupRequest{GroupId: group}, "DependencyViolation", "*")
	ask[ec2api.TerminateInstancesResult](h.desk, h.owner(), &ec2api.TerminateInstancesRequest{InstanceIds: []string{id}})
	h.Advance(time.Minute)
	h.refuse(h.owner(), &ec2api.ModifyNetworkInterfaceAttributeRequest{NetworkInterfaceId: face, Groups: []string{*group}}, "InvalidNetworkInterfaceID.NotFound", "*")
}
