package ec2_test

import (
	"testing"

	"github.com/kagimori/kagimori/internal/api/ec2api"
)

// What a type has decides what can be launched on it and attached to it.
func TestLaunchesFollowTheType(t *testing.T) {
	h := newHouse(t)
	many := func(kind string, n int) *ec2api.RunInstancesRequest {
		var devices []ec2api.BlockDeviceMapping
		for i := range n {
			devices = append(devices, ec2api.BlockDeviceMapping{DeviceName: new("/dev/xvd" + string(rune('b'+i/26)) + string(rune('a'+i%26))), Ebs: &ec2api.EbsBlockDevice{VolumeSize: new(int32(1))}})
		}
		in := runRequest(devices...)
		in.InstanceType = &kind
		return in
	}
	optimized := runRequest()
	optimized.InstanceType, optimized.EbsOptimized = new("t2.micro"), new(true)
	for name, tt := range map[string]struct {
		in         *ec2api.RunInstancesRequest
		code, text string
	}{
		"of d3.8xlarge":     {many("d3.8xlarge", 3), "AttachmentLimitExceeded", "*"},
		"of m5.large":       {many("m5.large", 27), "AttachmentLimitExceeded", "*"},
		"no EBS optimized":  {optimized, "Unsupported", "EBS-optimized instances are not supported for your requested configuration. Please check the documentation for supported configurations."},
		"architecture":      {many("m6g.large", 0), "InvalidParameterValue", "*"},
		"unknown type":      {many("m5.tiny", 0), "InvalidParameterValue", "Invalid value 'm5.tiny' for InstanceType."},
		"too much memory":   {hibernating("r5.8xlarge", 300, ec2api.EbsBlockDevice{Encrypted: new(true)}), "UnsupportedHibernationConfiguration", "*"},
		"cannot hibernate":  {hibernating("m5n.large", 20, ec2api.EbsBlockDevice{Encrypted: new(true)}), "UnsupportedHibernationConfiguration", "*"},
		"metal hibernation": {hibernating("c5.metal", 200, ec2api.EbsBlockDevice{Encrypted: new(true)}), "UnsupportedHibernationConfiguration", "*"},
	} {
		t.Run(name, func(t *testing.T) { h.refuse(h.owner(), tt.in, tt.code, tt.text) })
	}
	if out := ask[ec2api.Reservation](h.desk, h.owner(), many("m7i.large", 29)); len(out.Instances) != 1 {
		t.Error("m7i.large has room for 32 volumes")
	}
}

// Fleets choose by what a type has: the cheapest that has it, of the image's architecture.
func TestFleetsChooseTypesByRequirements(t *testing.T) {
	type needs = ec2api.InstanceRequirementsRequest
	h := newHouse(t)
	template := h.fleetTemplate("web")
	for name, tt := range map[string]struct {
		change func(*needs)
		want   string
	}{
		"EBS bandwidth": {func(n *needs) {
			n.AllowedInstanceTypes, n.BaselineEbsBandwidthMbps = []string{"m5.*"}, &ec2api.BaselineEbsBandwidthMbpsRequest{Min: new(int32(2000))}
		}, "m5.2xlarge"},
		"accelerator": {func(n *needs) { n.AcceleratorNames, n.AcceleratorTypes = []string{"a100"}, []string{"gpu"} }, "p4d.24xlarge"},
		"inference": {func(n *needs) {
			n.AcceleratorTypes, n.AcceleratorCount = []string{"inference"}, &ec2api.AcceleratorCountRequest{Min: new(int32(16))}
		}, "inf1.24xlarge"},
		"FPGA":          {func(n *needs) { n.AcceleratorNames, n.AcceleratorTypes = []string{"vu9p"}, []string{"fpga"} }, "f1.2xlarge"},
		"media":         {func(n *needs) { n.AcceleratorManufacturers, n.AcceleratorTypes = []string{"xilinx"}, []string{"media"} }, "vt1.3xlarge"},
		"bare metal":    {func(n *needs) { n.BareMetal, n.AllowedInstanceTypes = new("required"), []string{"m5.*"} }, "m5.metal"},
		"local storage": {func(n *needs) { n.LocalStorage, n.AllowedInstanceTypes = new("required"), []string{"m5*"} }, "m5ad.large"},
		"disks": {func(n *needs) {
			n.TotalLocalStorageGB, n.LocalStorageTypes = &ec2api.TotalLocalStorageGBRequest{Min: new(1000.0)}, []string{"hdd"}
		}, "d3en.xlarge"},
		"in transit": {func(n *needs) { n.RequireEncryptionInTransit, n.AllowedInstanceTypes = new(true), []string{"m5*"} }, "m5dn.large"},
		"network":    {func(n *needs) { n.NetworkBandwidthGbps = &ec2api.NetworkBandwidthGbpsRequest{Min: new(400.0)} }, "p4d.24xlarge"},
		"network always": {func(n *needs) {
			n.AllowedInstanceTypes, n.NetworkBandwidthGbps = []string{"m5.*"}, &ec2api.NetworkBandwidthGbpsRequest{Min: new(10.0)}
		}, "m5.8xlarge"},
		"burstable": {func(n *needs) { n.BurstablePerformance = new("required") }, "t2.medium"},
		"unencrypted last": {func(n *needs) {
			n.VCpuCount.Min, n.MemoryMiB.Min, n.AllowedInstanceTypes = new(int32(1)), new(int32(1000)), []string{"m1.*", "m3.*"}
		}, "m3.medium"},
		"old ones too": {func(n *needs) { n.InstanceGenerations, n.AllowedInstanceTypes = []string{"previous"}, []string{"m3.*"} }, "m3.large"},
	} {
		t.Run(name, func(t *testing.T) {
			n := &needs{VCpuCount: &ec2api.VCpuCountRangeRequest{Min: new(int32(2))}, MemoryMiB: &ec2api.MemoryMiBRequest{Min: new(int32(4096))}}
			tt.change(n)
			in := fleetRequest("instant", template, 1, "on-demand", ec2api.FleetLaunchTemplateOverridesRequest{InstanceRequirements: n})
			out := ask[ec2api.CreateFleetResult](h.desk, h.owner(), in)
			if len(out.Instances) != 1 || *out.Instances[0].InstanceType != tt.want {
				t.Errorf("%+v, errors %+v", out.Instances, out.Errors)
			}
		})
	}
	all := fleetRequest("instant", template, 1, "on-demand")
	all.LaunchTemplateConfigs[0].Overrides = []ec2api.FleetLaunchTemplateOverridesRequest{{InstanceRequirements: &needs{
		VCpuCount: &ec2api.VCpuCountRangeRequest{Min: new(int32(0))}, MemoryMiB: &ec2api.MemoryMiBRequest{Min: new(int32(0))},
	}}}
	if out := ask[ec2api.CreateFleetResult](h.desk, h.owner(), all); len(out.Instances) != 1 {
		t.Errorf("hundreds of types meet the requirements: %+v", out.Errors)
	}
}
