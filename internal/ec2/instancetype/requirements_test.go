package instancetype_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/ec2/ec2test"
	"github.com/kagimori/kagimori/internal/ec2/instancetype"
)

func TestTypesWithAttributes(t *testing.T) {
	d := ec2test.New(t, operations)
	ask2 := func(change func(*ec2api.GetInstanceTypesFromInstanceRequirementsRequest)) *ec2api.GetInstanceTypesFromInstanceRequirementsRequest {
		in := &ec2api.GetInstanceTypesFromInstanceRequirementsRequest{
			ArchitectureTypes: []string{"x86_64"}, VirtualizationTypes: []string{"hvm"},
			InstanceRequirements: &ec2api.InstanceRequirementsRequest{
				VCpuCount: &ec2api.VCpuCountRangeRequest{Min: new(int32(2)), Max: new(int32(2))},
				MemoryMiB: &ec2api.MemoryMiBRequest{Min: new(int32(8192)), Max: new(int32(8192))},
			},
		}
		change(in)
		return in
	}
	names := func(change func(*ec2api.GetInstanceTypesFromInstanceRequirementsRequest)) (out []string) {
		for _, i := range ec2test.Ask[ec2api.GetInstanceTypesFromInstanceRequirementsResult](d, d.Root(), ask2(change)).InstanceTypes {
			out = append(out, *i.InstanceType)
		}
		return out
	}
	type request = ec2api.GetInstanceTypesFromInstanceRequirementsRequest
	plain := names(func(*request) {})
	if !slices.Contains(plain, "m5.large") || slices.Contains(plain, "t3.large") || slices.Contains(plain, "m6g.large") || slices.Contains(plain, "m5.xlarge") {
		t.Errorf("two processors and 8 GiB: %v", plain)
	}
	if all := names(func(in *request) { in.InstanceRequirements.BurstablePerformance = new("included") }); !slices.Contains(all, "t3.large") {
		t.Errorf("with burstable ones: %v", all)
	}
	if arm := names(func(in *request) { in.ArchitectureTypes = []string{"arm64"} }); !slices.Contains(arm, "m6g.large") || slices.Contains(arm, "m5.large") {
		t.Errorf("of another architecture: %v", arm)
	}
	if old := names(func(in *request) { in.VirtualizationTypes = []string{"paravirtual"} }); slices.Contains(old, "m5.large") {
		t.Errorf("paravirtual: %v", old)
	}
	for name, tt := range map[string]struct {
		change func(*request)
		code   string
	}{
		"architecture":   {func(in *request) { in.ArchitectureTypes = []string{"vax"} }, "InvalidParameterValue"},
		"virtualization": {func(in *request) { in.VirtualizationTypes = []string{"half"} }, "InvalidParameterValue"},
		"no memory":      {func(in *request) { in.InstanceRequirements.MemoryMiB = nil }, "MissingParameter"},
		"both lists": {func(in *request) {
			in.InstanceRequirements.AllowedInstanceTypes, in.InstanceRequirements.ExcludedInstanceTypes = []string{"m*"}, []string{"c*"}
		}, "InvalidParameterCombination"},
		"context": {func(in *request) { in.Context = new("x") }, "InvalidParameterValue"},
	} {
		t.Run(name, func(t *testing.T) { d.Refuse(d.Root(), ask2(tt.change), tt.code, "*") })
	}
}

// TestPriceProtection: what is too dear for which kind of capacity, above m5.large at 0.096 dollars.
// Source: EC2 API Reference, InstanceRequirementsRequest.
func TestPriceProtection(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*ec2api.InstanceRequirementsRequest)
		unit   string
		want   []string // the types with what they are barred from
	}{
		"the defaults": {func(*ec2api.InstanceRequirementsRequest) {}, "", []string{"m5.large", "m5d.large", "m5.xlarge!on-demand"}},
		"no protection": {func(r *ec2api.InstanceRequirementsRequest) {
			r.SpotMaxPricePercentageOverLowestPrice, r.OnDemandMaxPricePercentageOverLowestPrice = new(int32(999999)), new(int32(999999))
		}, "", []string{"m5.large", "m5d.large", "m5.xlarge", "m5.2xlarge"}},
		"only the cheapest": {func(r *ec2api.InstanceRequirementsRequest) {
			r.SpotMaxPricePercentageOverLowestPrice, r.OnDemandMaxPricePercentageOverLowestPrice = new(int32(0)), new(int32(0))
		}, "", []string{"m5.large", "m5d.large"}},
		"Spot by the On-Demand price": {func(r *ec2api.InstanceRequirementsRequest) {
			r.MaxSpotPriceAsPercentageOfOptimalOnDemandPrice, r.OnDemandMaxPricePercentageOverLowestPrice = new(int32(30)), new(int32(100))
		}, "", []string{"m5.large", "m5d.large", "m5.xlarge!spot"}},
		"by processor": {func(*ec2api.InstanceRequirementsRequest) {}, "vcpu", []string{"m5.large", "m5d.large", "m5.xlarge", "m5.2xlarge"}},
	} {
		r := &ec2api.InstanceRequirementsRequest{AllowedInstanceTypes: []string{"m5.large", "m5d.large", "m5.xlarge", "m5.2xlarge"}}
		tt.change(r)
		var got []string
		for _, m := range instancetype.Meeting(r, "x86_64", tt.unit) {
			got = append(got, strings.Join(append([]string{m.Name}, m.Barred...), "!"))
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %v, want %v", name, got, tt.want)
		}
	}
}
