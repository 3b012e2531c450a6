package ec2_test

import (
	"slices"
	"testing"

	"github.com/kagimori/kagimori/internal/api/ec2api"
)

func TestInstanceTypes(t *testing.T) {
	d := newDesk(t)
	tests := []struct {
		name       string
		vcpu       int32
		mib        int64
		arch       string
		burstable  bool
		encryption string
		hypervisor string
	}{
		{"t2.micro", 1, 1024, "x86_64", true, "supported", "xen"},
		{"t3.nano", 2, 512, "x86_64", true, "supported", "nitro"},
		{"t4g.medium", 2, 4096, "arm64", true, "supported", "nitro"},
		{"m5.large", 2, 8192, "x86_64", false, "supported", "nitro"},
		{"c5.18xlarge", 72, 147456, "x86_64", false, "supported", "nitro"},
		{"c7g.medium", 1, 2048, "arm64", false, "supported", "nitro"},
		{"r6i.32xlarge", 128, 1048576, "x86_64", false, "supported", "nitro"},
		{"m1.small", 1, 1740, "x86_64", false, "unsupported", "xen"},
	}
	for _, tt := range tests {
		out := ask[ec2api.DescribeInstanceTypesResult](d, d.root(mine), &ec2api.DescribeInstanceTypesRequest{InstanceTypes: []string{tt.name}}).InstanceTypes
		if len(out) != 1 {
			t.Fatalf("%s: %d types", tt.name, len(out))
		}
		i := out[0]
		if *i.VCpuInfo.DefaultVCpus != tt.vcpu || *i.MemoryInfo.SizeInMiB != tt.mib || !slices.Contains(i.ProcessorInfo.SupportedArchitectures, tt.arch) ||
			*i.BurstablePerformanceSupported != tt.burstable || *i.EbsInfo.EncryptionSupport != tt.encryption || *i.Hypervisor != tt.hypervisor {
			t.Errorf("%s: %d vCPUs, %d MiB, %v", tt.name, *i.VCpuInfo.DefaultVCpus, *i.MemoryInfo.SizeInMiB, i.ProcessorInfo.SupportedArchitectures)
		}
	}
	d.refuse(d.root(mine), &ec2api.DescribeInstanceTypesRequest{InstanceTypes: []string{"z9.huge"}}, "InvalidInstanceType", "The following supplied instance types do not exist: [z9.huge]")
}

func TestEveryInstanceTypeIsComplete(t *testing.T) {
	d := newDesk(t)
	seen := map[string]bool{}
	var token *string
	for {
		out := ask[ec2api.DescribeInstanceTypesResult](d, d.root(mine), &ec2api.DescribeInstanceTypesRequest{MaxResults: new(int32(100)), NextToken: token})
		for _, i := range out.InstanceTypes {
			if seen[*i.InstanceType] {
				t.Errorf("%s is listed twice", *i.InstanceType)
			}
			seen[*i.InstanceType] = true
			if *i.VCpuInfo.DefaultVCpus < 1 || *i.VCpuInfo.DefaultCores < 1 || *i.MemoryInfo.SizeInMiB < 512 || *i.NetworkInfo.MaximumNetworkInterfaces < 2 || *i.NetworkInfo.NetworkPerformance == "" {
				t.Errorf("%s lacks something: %+v", *i.InstanceType, i)
			}
		}
		if token = out.NextToken; token == nil {
			break
		}
	}
	if len(seen) < 150 {
		t.Errorf("only %d types", len(seen))
	}
}

func TestInstanceTypeOfferings(t *testing.T) {
	d := newDesk(t)
	tests := []struct {
		kind  *string
		where []string
	}{
		{nil, []string{"us-west-2"}},
		{new("availability-zone"), []string{"us-west-2a", "us-west-2b", "us-west-2c", "us-west-2d"}},
		{new("availability-zone-id"), []string{"usw2-az1", "usw2-az2", "usw2-az3", "usw2-az4"}},
		{new("outpost"), nil},
	}
	for _, tt := range tests {
		out := ask[ec2api.DescribeInstanceTypeOfferingsResult](d, d.root(mine), &ec2api.DescribeInstanceTypeOfferingsRequest{
			LocationType: tt.kind, Filters: []ec2api.Filter{filter("instance-type", "m5.large")},
		})
		var where []string
		for _, o := range out.InstanceTypeOfferings {
			where = append(where, *o.Location)
		}
		if !slices.Equal(where, tt.where) {
			t.Errorf("got %v, want %v", where, tt.where)
		}
	}
}
