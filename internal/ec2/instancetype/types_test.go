package instancetype_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/ec2/ec2test"
	"github.com/kagimori/kagimori/internal/ec2/instancetype"
	"github.com/kagimori/kagimori/internal/guard"
)

// TestAccelerators: each kind is told in a structure of its own, with the memory of all devices.
func TestAccelerators(t *testing.T) {
	d := ec2test.New(t, operations)
	for _, x := range []struct{ name, want string }{
		{"p5.48xlarge", "8 NVIDIA H100 of 81920 MiB, GPU 655360"},
		{"f1.4xlarge", "2 Xilinx Virtex UltraScale (VU9P) of 65536 MiB, FPGA 131072"},
		{"vt1.6xlarge", "2 Xilinx U30 of 24576 MiB, media 49152"},
		{"inf1.6xlarge", "4 AWS Inferentia of 8192 MiB, inference 32768"},
		{"trn1.2xlarge", "1 Trainium of 32768 MiB, Neuron 32768"},
		{"m5.large", ""},
	} {
		i := ec2test.Ask[ec2api.DescribeInstanceTypesResult](d, d.Root(), &ec2api.DescribeInstanceTypesRequest{InstanceTypes: []string{x.name}}).InstanceTypes[0]
		got := ""
		switch {
		case i.GpuInfo != nil:
			a := i.GpuInfo.Gpus[0]
			got = fmt.Sprintf("%d %s %s of %d MiB, GPU %d", *a.Count, *a.Manufacturer, *a.Name, *a.MemoryInfo.SizeInMiB, *i.GpuInfo.TotalGpuMemoryInMiB)
		case i.FpgaInfo != nil:
			a := i.FpgaInfo.Fpgas[0]
			got = fmt.Sprintf("%d %s %s of %d MiB, FPGA %d", *a.Count, *a.Manufacturer, *a.Name, *a.MemoryInfo.SizeInMiB, *i.FpgaInfo.TotalFpgaMemoryInMiB)
		case i.MediaAcceleratorInfo != nil:
			a := i.MediaAcceleratorInfo.Accelerators[0]
			got = fmt.Sprintf("%d %s %s of %d MiB, media %d", *a.Count, *a.Manufacturer, *a.Name, *a.MemoryInfo.SizeInMiB, *i.MediaAcceleratorInfo.TotalMediaMemoryInMiB)
		case i.InferenceAcceleratorInfo != nil && i.NeuronInfo != nil:
			a := i.InferenceAcceleratorInfo.Accelerators[0]
			got = fmt.Sprintf("%d %s %s of %d MiB, inference %d", *a.Count, *a.Manufacturer, *a.Name, *a.MemoryInfo.SizeInMiB, *i.InferenceAcceleratorInfo.TotalInferenceMemoryInMiB)
		case i.NeuronInfo != nil:
			a := i.NeuronInfo.NeuronDevices[0]
			got = fmt.Sprintf("%d %s of %d MiB, Neuron %d", *a.Count, *a.Name, *a.MemoryInfo.SizeInMiB, *i.NeuronInfo.TotalNeuronDeviceMemoryInMiB)
		}
		if got != x.want {
			t.Errorf("%s: %s, want %s", x.name, got, x.want)
		}
	}
}

func TestInstanceTypes(t *testing.T) {
	d := ec2test.New(t, operations)
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
		out := ec2test.Ask[ec2api.DescribeInstanceTypesResult](d, d.Root(), &ec2api.DescribeInstanceTypesRequest{InstanceTypes: []string{tt.name}}).InstanceTypes
		if len(out) != 1 {
			t.Fatalf("%s: %d types", tt.name, len(out))
		}
		i := out[0]
		if *i.VCpuInfo.DefaultVCpus != tt.vcpu || *i.MemoryInfo.SizeInMiB != tt.mib || !slices.Contains(i.ProcessorInfo.SupportedArchitectures, tt.arch) ||
			*i.BurstablePerformanceSupported != tt.burstable || *i.EbsInfo.EncryptionSupport != tt.encryption || *i.Hypervisor != tt.hypervisor {
			t.Errorf("%s: %d vCPUs, %d MiB, %v", tt.name, *i.VCpuInfo.DefaultVCpus, *i.MemoryInfo.SizeInMiB, i.ProcessorInfo.SupportedArchitectures)
		}
	}
	for names, text := range map[string]string{"z9.huge": "[z9.huge]", "z9.huge m5.large m5.tiny": "[z9.huge, m5.tiny]"} {
		d.Refuse(d.Root(), &ec2api.DescribeInstanceTypesRequest{InstanceTypes: strings.Fields(names)}, "InvalidInstanceType",
			"The following supplied instance types do not exist: "+text)
	}
	for n, text := range map[int32]string{4: "greater than 5", 101: "less than or equal to 100"} {
		d.Refuse(d.Root(), &ec2api.DescribeInstanceTypesRequest{MaxResults: &n}, "InvalidParameterValue",
			fmt.Sprintf("Value ( %d ) for parameter maxResults is invalid. Expecting a value %s.", n, text))
	}
	d.Refuse(d.Root(), &ec2api.DescribeInstanceTypeOfferingsRequest{LocationType: new("planet")}, "InvalidParameterValue", "*")
}

func TestEveryInstanceTypeIsComplete(t *testing.T) {
	d := ec2test.New(t, operations)
	seen := map[string]bool{}
	var token *string
	for {
		out := ec2test.Ask[ec2api.DescribeInstanceTypesResult](d, d.Root(), &ec2api.DescribeInstanceTypesRequest{MaxResults: new(int32(100)), NextToken: token})
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
	if len(seen) < 800 {
		t.Errorf("only %d types", len(seen))
	}
}

func TestInstanceTypeOfferings(t *testing.T) {
	d := ec2test.New(t, operations)
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
		out := ec2test.Ask[ec2api.DescribeInstanceTypeOfferingsResult](d, d.Root(), &ec2api.DescribeInstanceTypeOfferingsRequest{
			LocationType: tt.kind, Filters: []ec2api.Filter{ec2test.Filter("instance-type", "m5.large")},
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

// Each filter of the API Reference is taken, and tells types apart.
func TestInstanceTypeFilters(t *testing.T) {
	d := ec2test.New(t, operations)
	tests := []struct {
		name, value string
		is, isNot   string
	}{
		{"auto-recovery-supported", "true", "m5.large", "m5d.large"},
		{"bare-metal", "true", "m5.metal", "m5.large"},
		{"burstable-performance-supported", "true", "t3.micro", "m5.large"},
		{"current-generation", "false", "m3.large", "m5.large"},
		{"dedicated-hosts-supported", "false", "t2.micro", "m5.large"},
		{"free-tier-eligible", "true", "t2.micro", "t2.nano"},
		{"hibernation-supported", "true", "m5.large", "m5.metal"},
		{"hypervisor", "xen", "t2.micro", "m5.metal"},
		{"instance-type", "m5?.l*", "m5a.large", "m5.large"},
		{"nitro-enclaves-support", "supported", "m5.xlarge", "m5.large"},
		{"nitro-tpm-support", "supported", "m5.large", "t4g.nano"},
		{"nitro-tpm-info.supported-versions", "2.0", "m5.large", "t2.micro"},
		{"supported-boot-mode", "uefi", "m5.large", "t2.micro"},
		{"supported-root-device-type", "instance-store", "m3.large", "m5d.large"},
		{"supported-usage-class", "capacity-block", "p5.48xlarge", "m5.large"},
		{"supported-virtualization-type", "paravirtual", "m3.large", "m5.large"},
		{"memory-info.size-in-mib", "8192", "m5.large", "r5.large"},
		{"ebs-info.attachment-limit-type", "dedicated", "m7i.large", "m5.large"},
		{"ebs-info.ebs-optimized-support", "unsupported", "t2.micro", "m5.large"},
		{"ebs-info.encryption-support", "unsupported", "m1.small", "m5.large"},
		{"ebs-info.maximum-ebs-attachments", "27", "m5.large", "m5d.large"},
		{"ebs-info.nvme-support", "required", "m5.metal", "i3.large"},
		{"ebs-info.ebs-optimized-info.baseline-bandwidth-in-mbps", "650", "m5.large", "t2.micro"},
		{"ebs-info.ebs-optimized-info.baseline-iops", "3600", "m5.large", "t2.micro"},
		{"ebs-info.ebs-optimized-info.baseline-throughput-in-mbps", "81.25", "m5.large", "m5.xlarge"},
		{"ebs-info.ebs-optimized-info.maximum-bandwidth-in-mbps", "4750", "m5.large", "m5.8xlarge"},
		{"ebs-info.ebs-optimized-info.maximum-iops", "18750", "m5.large", "m5.8xlarge"},
		{"ebs-info.ebs-optimized-info.maximum-throughput-in-mbps", "593.75", "m5.large", "m5.8xlarge"},
		{"instance-storage-supported", "true", "m5d.large", "m5.large"},
		{"instance-storage-info.disk.count", "2", "m5d.4xlarge", "m5d.large"},
		{"instance-storage-info.disk.size-in-gb", "75", "m5d.large", "m5.large"},
		{"instance-storage-info.disk.type", "hdd", "d3.xlarge", "m5d.large"},
		{"instance-storage-info.encryption-support", "required", "m5d.large", "m3.large"},
		{"instance-storage-info.nvme-support", "required", "i3.large", "m3.large"},
		{"instance-storage-info.total-size-in-gb", "600", "m5d.4xlarge", "m5d.large"},
		{"network-info.efa-info.maximum-efa-interfaces", "4", "p4d.24xlarge", "m5n.24xlarge"},
		{"network-info.efa-supported", "true", "m5n.24xlarge", "m5n.large"},
		{"network-info.ena-support", "unsupported", "t2.micro", "m4.16xlarge"},
		{"network-info.encryption-in-transit-supported", "true", "m5n.large", "m5.large"},
		{"network-info.ipv4-addresses-per-interface", "10", "m5.large", "m5.xlarge"},
		{"network-info.ipv6-addresses-per-interface", "0", "m1.small", "m5.large"},
		{"network-info.ipv6-supported", "false", "m1.small", "m5.large"},
		{"network-info.maximum-network-cards", "4", "p4d.24xlarge", "m5.large"},
		{"network-info.maximum-network-interfaces", "3", "m5.large", "m5.xlarge"},
		{"network-info.network-performance", "25 Gigabit", "m5.24xlarge", "m5.large"},
		{"processor-info.supported-architecture", "arm64", "m6g.large", "m5.large"},
		{"processor-info.sustained-clock-speed-in-ghz", "3.1", "m5.large", "m5a.large"},
		{"vcpu-info.default-vcpus", "2", "m5.large", "m5.xlarge"},
		{"vcpu-info.default-cores", "1", "m5.large", "m6g.large"},
		{"vcpu-info.default-threads-per-core", "1", "m6g.large", "m5.large"},
		{"vcpu-info.valid-threads-per-core", "2", "m5.large", "m6g.large"},
	}
	for _, tt := range tests {
		out := ec2test.Ask[ec2api.DescribeInstanceTypesResult](d, d.Root(), &ec2api.DescribeInstanceTypesRequest{
			InstanceTypes: []string{tt.is, tt.isNot}, Filters: []ec2api.Filter{ec2test.Filter(tt.name, tt.value)},
		}).InstanceTypes
		if len(out) != 1 || *out[0].InstanceType != tt.is {
			t.Errorf("%s=%s: %d types, not only %s", tt.name, tt.value, len(out), tt.is)
		}
	}
	for _, none := range []string{"network-info.bandwidth-weightings", "network-info.flexible-ena-queues-support", "processor-info.supported-features", "reboot-migration-support", "vcpu-info.valid-cores"} {
		out := ec2test.Ask[ec2api.DescribeInstanceTypesResult](d, d.Root(), &ec2api.DescribeInstanceTypesRequest{Filters: []ec2api.Filter{ec2test.Filter(none, "x")}})
		if len(out.InstanceTypes) != 0 || out.NextToken != nil {
			t.Errorf("%s: %d types", none, len(out.InstanceTypes))
		}
	}
	d.Refuse(d.Root(), &ec2api.DescribeInstanceTypesRequest{Filters: []ec2api.Filter{ec2test.Filter("colour", "red")}}, "InvalidParameterValue", "*")
}

func operations(g *guard.Guard) map[string]guard.Handler { return instancetype.New(g).Operations() }
