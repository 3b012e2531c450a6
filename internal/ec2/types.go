package ec2

import (
	"context"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// instanceTypes are all types, which every region and zone offers.
func instanceTypes() []instanceType {
	var all []instanceType
	for _, f := range families {
		for name := range strings.FieldsSeq(f.sizes) {
			all = append(all, f.member(name))
		}
	}
	return all
}

// lookupType finds an instance type by its name.
func lookupType(name string) (instanceType, bool) {
	prefix, rest, _ := strings.Cut(name, ".")
	for _, f := range families {
		if f.name == prefix && slices.Contains(strings.Fields(f.sizes), rest) {
			return f.member(rest), true
		}
	}
	return instanceType{}, false
}

// wire is an instance type as answers carry it.
func (t instanceType) wire() ec2api.InstanceTypeInfo {
	hypervisor, nvme, ena, optimized := "nitro", "required", "required", "default"
	boot := []string{"legacy-bios", "uefi"}
	if t.xen {
		hypervisor, nvme, ena, optimized, boot = "xen", "unsupported", "unsupported", "unsupported", []string{"legacy-bios"}
	}
	if t.runs("arm64") {
		boot = []string{"uefi"}
	}
	encryption := "supported"
	virtualization := []string{"hvm"}
	if !t.encrypts() {
		encryption, virtualization = "unsupported", []string{"hvm", "paravirtual"}
	}
	usage := []string{"on-demand"}
	if t.spot {
		usage = append(usage, "spot")
	}
	cores := t.VCPU / t.threads
	_, sizeName, _ := strings.Cut(t.Name, ".")
	return ec2api.InstanceTypeInfo{
		InstanceType: &t.Name, CurrentGeneration: new(!t.old), FreeTierEligible: new(t.free == sizeName),
		SupportedUsageClasses: usage, SupportedRootDeviceTypes: []string{"ebs"}, SupportedVirtualizationTypes: virtualization,
		BareMetal: new(false), Hypervisor: &hypervisor,
		ProcessorInfo: &ec2api.ProcessorInfo{SupportedArchitectures: t.Arch, SustainedClockSpeedInGhz: api.Opt(t.ghz), Manufacturer: &t.maker},
		VCpuInfo: &ec2api.VCpuInfo{
			DefaultVCpus: &t.VCPU, DefaultCores: &cores, DefaultThreadsPerCore: &t.threads,
		},
		MemoryInfo: &ec2api.MemoryInfo{SizeInMiB: &t.MemoryMiB}, InstanceStorageSupported: new(false),
		EbsInfo: &ec2api.EbsInfo{EbsOptimizedSupport: &optimized, EncryptionSupport: &encryption, NvmeSupport: &nvme},
		NetworkInfo: &ec2api.NetworkInfo{
			NetworkPerformance: &t.Network, MaximumNetworkInterfaces: &t.ENIs, MaximumNetworkCards: new(int32(1)),
			DefaultNetworkCardIndex: new(int32(0)), Ipv4AddressesPerInterface: &t.Addresses, Ipv6AddressesPerInterface: &t.Addresses,
			Ipv6Supported: new(!t.old), EnaSupport: &ena, EfaSupported: new(false), EncryptionInTransitSupported: new(false),
			NetworkCards: []ec2api.NetworkCardInfo{{
				NetworkCardIndex: new(int32(0)), NetworkPerformance: &t.Network, MaximumNetworkInterfaces: &t.ENIs,
			}},
		},
		PlacementGroupInfo:   &ec2api.PlacementGroupInfo{SupportedStrategies: []string{"partition", "spread"}},
		HibernationSupported: new(t.hibernates()), BurstablePerformanceSupported: new(t.burstable), DedicatedHostsSupported: new(false),
		AutoRecoverySupported: new(!t.old), SupportedBootModes: boot,
	}
}

func typeText(value func(ec2api.InstanceTypeInfo) *string) func(ec2api.InstanceTypeInfo) []string {
	return func(t ec2api.InstanceTypeInfo) []string { return oneOf(*value(t)) }
}

func typeBool(value func(ec2api.InstanceTypeInfo) *bool) func(ec2api.InstanceTypeInfo) []string {
	return func(t ec2api.InstanceTypeInfo) []string { return boolOf(*value(t)) }
}

func typeInt(value func(ec2api.InstanceTypeInfo) *int32) func(ec2api.InstanceTypeInfo) []string {
	return func(t ec2api.InstanceTypeInfo) []string { return intOf(*value(t)) }
}

var typeFields = fields[ec2api.InstanceTypeInfo]{
	"instance-type":                         typeText(func(t ec2api.InstanceTypeInfo) *string { return t.InstanceType }),
	"hypervisor":                            typeText(func(t ec2api.InstanceTypeInfo) *string { return t.Hypervisor }),
	"ebs-info.encryption-support":           typeText(func(t ec2api.InstanceTypeInfo) *string { return t.EbsInfo.EncryptionSupport }),
	"ebs-info.ebs-optimized-support":        typeText(func(t ec2api.InstanceTypeInfo) *string { return t.EbsInfo.EbsOptimizedSupport }),
	"ebs-info.nvme-support":                 typeText(func(t ec2api.InstanceTypeInfo) *string { return t.EbsInfo.NvmeSupport }),
	"network-info.ena-support":              typeText(func(t ec2api.InstanceTypeInfo) *string { return t.NetworkInfo.EnaSupport }),
	"network-info.network-performance":      typeText(func(t ec2api.InstanceTypeInfo) *string { return t.NetworkInfo.NetworkPerformance }),
	"processor-info.manufacturer":           typeText(func(t ec2api.InstanceTypeInfo) *string { return t.ProcessorInfo.Manufacturer }),
	"current-generation":                    typeBool(func(t ec2api.InstanceTypeInfo) *bool { return t.CurrentGeneration }),
	"free-tier-eligible":                    typeBool(func(t ec2api.InstanceTypeInfo) *bool { return t.FreeTierEligible }),
	"bare-metal":                            typeBool(func(t ec2api.InstanceTypeInfo) *bool { return t.BareMetal }),
	"burstable-performance-supported":       typeBool(func(t ec2api.InstanceTypeInfo) *bool { return t.BurstablePerformanceSupported }),
	"dedicated-hosts-supported":             typeBool(func(t ec2api.InstanceTypeInfo) *bool { return t.DedicatedHostsSupported }),
	"auto-recovery-supported":               typeBool(func(t ec2api.InstanceTypeInfo) *bool { return t.AutoRecoverySupported }),
	"hibernation-supported":                 typeBool(func(t ec2api.InstanceTypeInfo) *bool { return t.HibernationSupported }),
	"instance-storage-supported":            typeBool(func(t ec2api.InstanceTypeInfo) *bool { return t.InstanceStorageSupported }),
	"network-info.ipv6-supported":           typeBool(func(t ec2api.InstanceTypeInfo) *bool { return t.NetworkInfo.Ipv6Supported }),
	"network-info.efa-supported":            typeBool(func(t ec2api.InstanceTypeInfo) *bool { return t.NetworkInfo.EfaSupported }),
	"vcpu-info.default-vcpus":               typeInt(func(t ec2api.InstanceTypeInfo) *int32 { return t.VCpuInfo.DefaultVCpus }),
	"vcpu-info.default-cores":               typeInt(func(t ec2api.InstanceTypeInfo) *int32 { return t.VCpuInfo.DefaultCores }),
	"vcpu-info.default-threads-per-core":    typeInt(func(t ec2api.InstanceTypeInfo) *int32 { return t.VCpuInfo.DefaultThreadsPerCore }),
	"memory-info.size-in-mib":               func(t ec2api.InstanceTypeInfo) []string { return intOf(*t.MemoryInfo.SizeInMiB) },
	"processor-info.supported-architecture": func(t ec2api.InstanceTypeInfo) []string { return t.ProcessorInfo.SupportedArchitectures },
	"supported-boot-mode":                   func(t ec2api.InstanceTypeInfo) []string { return t.SupportedBootModes },
	"supported-root-device-type":            func(t ec2api.InstanceTypeInfo) []string { return t.SupportedRootDeviceTypes },
	"supported-usage-class":                 func(t ec2api.InstanceTypeInfo) []string { return t.SupportedUsageClasses },
	"supported-virtualization-type":         func(t ec2api.InstanceTypeInfo) []string { return t.SupportedVirtualizationTypes },
	"network-info.maximum-network-interfaces": typeInt(func(t ec2api.InstanceTypeInfo) *int32 {
		return t.NetworkInfo.MaximumNetworkInterfaces
	}),
}

// DescribeInstanceTypes describes the types that can be launched.
func (s *Service) DescribeInstanceTypes(ctx context.Context, c *guard.Call, in *ec2api.DescribeInstanceTypesRequest) (*ec2api.DescribeInstanceTypesResult, error) {
	out := new(ec2api.DescribeInstanceTypesResult)
	name := func(t ec2api.InstanceTypeInfo) string { return *t.InstanceType }
	err := s.viewList(ctx, c, "ec2:DescribeInstanceTypes", in.DryRun, func(store.Tx) error {
		var items []ec2api.InstanceTypeInfo
		for _, t := range instanceTypes() {
			items = append(items, t.wire())
		}
		items, err := pick(items, in.InstanceTypes, name, func(n string) error {
			return apierr.Newf("InvalidInstanceType", "The following supplied instance types do not exist: [%s]", n)
		})
		if err != nil {
			return err
		}
		items, err = keep(typeFields, in.Filters, items)
		if err != nil {
			return err
		}
		out.InstanceTypes, out.NextToken, err = paginate(c.Operation, items, name, limits{5, 100}, in.MaxResults, in.NextToken)
		return err
	})
	return out, err
}

var offeringFields = fields[ec2api.InstanceTypeOffering]{
	"instance-type": func(o ec2api.InstanceTypeOffering) []string { return oneOf(*o.InstanceType) },
	"location":      func(o ec2api.InstanceTypeOffering) []string { return oneOf(*o.Location) },
}

// DescribeInstanceTypeOfferings tells where types can be launched: everywhere.
func (s *Service) DescribeInstanceTypeOfferings(ctx context.Context, c *guard.Call, in *ec2api.DescribeInstanceTypeOfferingsRequest) (*ec2api.DescribeInstanceTypeOfferingsResult, error) {
	out := new(ec2api.DescribeInstanceTypeOfferingsResult)
	err := s.viewList(ctx, c, "ec2:DescribeInstanceTypeOfferings", in.DryRun, func(store.Tx) error {
		kind := api.Val(in.LocationType)
		locations := []string{c.Region}
		switch kind {
		case "":
			kind = "region"
		case "availability-zone", "availability-zone-id":
			locations = nil
			for _, z := range zonesOf(c.Region) {
				if kind == "availability-zone" {
					locations = append(locations, z.Name)
				} else {
					locations = append(locations, z.ID)
				}
			}
		case "outpost":
			locations = nil
		}
		var items []ec2api.InstanceTypeOffering
		for _, t := range instanceTypes() {
			for _, l := range locations {
				items = append(items, ec2api.InstanceTypeOffering{InstanceType: new(t.Name), LocationType: &kind, Location: &l})
			}
		}
		items, err := keep(offeringFields, in.Filters, items)
		if err != nil {
			return err
		}
		key := func(o ec2api.InstanceTypeOffering) string { return store.Key(*o.InstanceType, *o.Location) }
		out.InstanceTypeOfferings, out.NextToken, err = paginate(c.Operation, items, key, limits{5, 1000}, in.MaxResults, in.NextToken)
		return err
	})
	return out, err
}
