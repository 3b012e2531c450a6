package ec2_test

import (
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/ec2api"
)

// TestPrivateAddressesComeBack: no two instances have one address, a full subnet refuses, and what terminated
// instances had is given out again.
func TestPrivateAddressesComeBack(t *testing.T) {
	h := newHouse(t)
	vpc := ask[ec2api.CreateVpcResult](h.desk, h.owner(), &ec2api.CreateVpcRequest{CidrBlock: new("10.0.0.0/16")}).Vpc.VpcId
	net := ask[ec2api.CreateSubnetResult](h.desk, h.owner(), &ec2api.CreateSubnetRequest{VpcId: vpc, CidrBlock: new("10.0.0.0/28")}).Subnet.SubnetId
	run := func(least, most int32, address *string) []ec2api.Instance {
		t.Helper()
		in := manyRequest(least, most, "")
		in.ClientToken, in.SubnetId, in.PrivateIpAddress = nil, net, address
		return ask[ec2api.Reservation](h.desk, h.owner(), in).Instances
	}
	refuse := func(n int32, address *string, code string) {
		t.Helper()
		in := manyRequest(n, n, "")
		in.ClientToken, in.SubnetId, in.PrivateIpAddress = nil, net, address
		h.refuse(h.owner(), in, code, "*")
	}
	free := func(want int32) {
		t.Helper()
		got := ask[ec2api.DescribeSubnetsResult](h.desk, h.owner(), &ec2api.DescribeSubnetsRequest{SubnetIds: []string{*net}}).Subnets[0]
		if *got.AvailableIpAddressCount != want {
			t.Errorf("%d addresses are free, want %d", *got.AvailableIpAddressCount, want)
		}
	}
	have := map[string]string{}
	add := func(all []ec2api.Instance) {
		t.Helper()
		for _, i := range all {
			if other := have[*i.PrivateIpAddress]; other != "" {
				t.Errorf("%s and %s have %s", other, *i.InstanceId, *i.PrivateIpAddress)
			}
			have[*i.PrivateIpAddress] = *i.InstanceId
		}
	}
	end := func(addresses ...string) {
		t.Helper()
		for _, a := range addresses {
			ask[ec2api.TerminateInstancesResult](h.desk, h.owner(), &ec2api.TerminateInstancesRequest{InstanceIds: []string{have[a]}})
			delete(have, a)
		}
	}
	free(11)
	add(run(1, 1, new("10.0.0.9")))
	refuse(1, new("10.0.0.9"), "InvalidIPAddress.InUse")
	refuse(1, new("10.0.0.3"), "InvalidParameterValue")
	refuse(1, new("10.0.0.15"), "InvalidParameterValue")
	add(run(4, 4, nil))
	refuse(7, nil, "InsufficientFreeAddressesInSubnet")
	add(run(1, 10, nil))
	if len(have) != 11 {
		t.Fatalf("%d instances", len(have))
	}
	free(0)
	refuse(1, nil, "InsufficientFreeAddressesInSubnet")
	h.Advance(3 * time.Second)
	end("10.0.0.9", "10.0.0.4")
	refuse(1, nil, "InsufficientFreeAddressesInSubnet") // they shut down still
	h.Advance(3 * time.Second)
	free(2)
	add(run(1, 1, new("10.0.0.9")))
	add(run(1, 20, nil))
	if have["10.0.0.4"] == "" || len(have) != 11 {
		t.Errorf("%v", have)
	}
	for range 3 {
		h.Advance(3 * time.Second)
		end("10.0.0.7")
		h.Advance(3 * time.Second)
		add(run(1, 1, nil))
	}
	free(0)
}

// TestTypesAndRequirementsExcludeEachOther in templates and fleets, and RunInstances takes no template with requirements.
func TestTypesAndRequirementsExcludeEachOther(t *testing.T) {
	h := newHouse(t)
	needs := &ec2api.InstanceRequirementsRequest{
		VCpuCount: &ec2api.VCpuCountRangeRequest{Min: new(int32(2))}, MemoryMiB: &ec2api.MemoryMiBRequest{Min: new(int32(4096))},
	}
	create := func(d ec2api.RequestLaunchTemplateData) *ec2api.CreateLaunchTemplateRequest {
		d.ImageId = new(exampleImage)
		return &ec2api.CreateLaunchTemplateRequest{LaunchTemplateName: new("needs"), LaunchTemplateData: &d}
	}
	h.refuse(h.owner(), create(ec2api.RequestLaunchTemplateData{InstanceType: new("m5.large"), InstanceRequirements: needs}), "InvalidParameterCombination", "*")
	h.refuse(h.owner(), create(ec2api.RequestLaunchTemplateData{InstanceRequirements: &ec2api.InstanceRequirementsRequest{MemoryMiB: needs.MemoryMiB}}), "MissingParameter", "*")
	both := *needs
	both.AllowedInstanceTypes, both.ExcludedInstanceTypes = []string{"m5*"}, []string{"c5*"}
	h.refuse(h.owner(), create(ec2api.RequestLaunchTemplateData{InstanceRequirements: &both}), "InvalidParameterCombination", "*")
	ask[ec2api.CreateLaunchTemplateResult](h.desk, h.owner(), create(ec2api.RequestLaunchTemplateData{InstanceRequirements: needs}))
	h.refuse(h.owner(), &ec2api.CreateLaunchTemplateVersionRequest{
		LaunchTemplateName: new("needs"), SourceVersion: new("1"), LaunchTemplateData: &ec2api.RequestLaunchTemplateData{InstanceType: new("m5.large")},
	}, "InvalidParameterCombination", "*")
	run := manyRequest(1, 1, "")
	run.ClientToken, run.ImageId, run.LaunchTemplate = nil, nil, &ec2api.LaunchTemplateSpecification{LaunchTemplateName: new("needs")}
	h.refuse(h.owner(), run, "InvalidParameterCombination", "*")
	fleet := func(o ec2api.FleetLaunchTemplateOverridesRequest) *ec2api.CreateFleetRequest {
		return &ec2api.CreateFleetRequest{
			Type: new("instant"), TargetCapacitySpecification: &ec2api.TargetCapacitySpecificationRequest{TotalTargetCapacity: new(int32(1)), DefaultTargetCapacityType: new("on-demand")},
			LaunchTemplateConfigs: []ec2api.FleetLaunchTemplateConfigRequest{{
				LaunchTemplateSpecification: &ec2api.FleetLaunchTemplateSpecificationRequest{LaunchTemplateName: new("needs"), Version: new("1")},
				Overrides:                   []ec2api.FleetLaunchTemplateOverridesRequest{o},
			}},
		}
	}
	h.refuse(h.owner(), fleet(ec2api.FleetLaunchTemplateOverridesRequest{InstanceType: new("m5.large"), InstanceRequirements: needs}), "InvalidParameterCombination", "*")
	for _, o := range []ec2api.FleetLaunchTemplateOverridesRequest{{}, {InstanceType: new("m5.large")}} {
		if out := ask[ec2api.CreateFleetResult](h.desk, h.owner(), fleet(o)); len(out.Instances) != 1 {
			t.Errorf("%+v", out)
		}
	}
}
