package instancetype_test

import (
	"testing"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/ec2/ec2test"
)

func TestSpotPlacementScores(t *testing.T) {
	d := ec2test.New(t, operations)
	type request = ec2api.GetSpotPlacementScoresRequest
	several := []string{"m5.large", "c5.large", "r5.large"}
	wanted := func() *ec2api.InstanceRequirementsWithMetadataRequest {
		return &ec2api.InstanceRequirementsWithMetadataRequest{ArchitectureTypes: []string{"x86_64"}, InstanceRequirements: &ec2api.InstanceRequirementsRequest{
			VCpuCount: &ec2api.VCpuCountRangeRequest{Min: new(int32(2))}, MemoryMiB: &ec2api.MemoryMiBRequest{Min: new(int32(0))},
		}}
	}
	ask := func(in request) []ec2api.SpotPlacementScore {
		in.TargetCapacity = new(int32(100))
		return ec2test.Ask[ec2api.GetSpotPlacementScoresResult](d, d.Root(), &in).SpotPlacementScores
	}
	if all := ask(request{InstanceTypes: several}); len(all) != 10 || *all[0].Region != "us-west-2" || *all[0].Score != 10 || all[0].AvailabilityZoneId != nil {
		t.Errorf("regions %+v", all)
	}
	for name, tt := range map[string]struct {
		in    request
		score int32
	}{
		"two types":       {request{InstanceTypes: several[:2]}, 3},
		"one family":      {request{InstanceTypes: []string{"m5.large", "m5.xlarge", "m5.2xlarge"}}, 3},
		"one type thrice": {request{InstanceTypes: []string{"m5.large", "m5.large", "m5.large"}}, 3},
		"attributes":      {request{InstanceRequirementsWithMetadata: wanted(), TargetCapacityUnitType: new("vcpu")}, 10},
		"nothing meets": {request{InstanceRequirementsWithMetadata: &ec2api.InstanceRequirementsWithMetadataRequest{InstanceRequirements: &ec2api.InstanceRequirementsRequest{
			VCpuCount: &ec2api.VCpuCountRangeRequest{Min: new(int32(100000))}, MemoryMiB: &ec2api.MemoryMiBRequest{Min: new(int32(0))},
		}}}, 1},
	} {
		tt.in.RegionNames = []string{"eu-west-1"}
		if all := ask(tt.in); len(all) != 1 || *all[0].Region != "eu-west-1" || *all[0].Score != tt.score {
			t.Errorf("%s: %+v", name, all)
		}
	}
	zones := ask(request{InstanceTypes: several, RegionNames: []string{"us-west-2", "eu-west-1"}, SingleAvailabilityZone: new(true)})
	if len(zones) != 7 || *zones[0].AvailabilityZoneId != "euw1-az1" && *zones[0].AvailabilityZoneId != "usw2-az1" {
		t.Errorf("zones %+v", zones)
	}
	for name, tt := range map[string]struct {
		in   request
		code string
	}{
		"nothing":     {request{}, "MissingParameter"},
		"both":        {request{InstanceTypes: several, InstanceRequirementsWithMetadata: wanted()}, "InvalidParameterCombination"},
		"a type":      {request{InstanceTypes: []string{"m5.tiny"}}, "InvalidInstanceType"},
		"a unit":      {request{InstanceTypes: several, TargetCapacityUnitType: new("gib")}, "InvalidParameterValue"},
		"a region":    {request{InstanceTypes: several, RegionNames: []string{"us-moon-1"}}, "InvalidParameterValue"},
		"no memory":   {request{InstanceRequirementsWithMetadata: &ec2api.InstanceRequirementsWithMetadataRequest{InstanceRequirements: &ec2api.InstanceRequirementsRequest{VCpuCount: wanted().InstanceRequirements.VCpuCount}}}, "MissingParameter"},
		"an old kind": {request{InstanceRequirementsWithMetadata: &ec2api.InstanceRequirementsWithMetadataRequest{ArchitectureTypes: []string{"vax"}, InstanceRequirements: wanted().InstanceRequirements}}, "InvalidParameterValue"},
	} {
		t.Run(name, func(t *testing.T) {
			tt.in.TargetCapacity = new(int32(1))
			d.Refuse(d.Root(), &tt.in, tt.code, "*")
		})
	}
}
