package instancetype

import (
	"strconv"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
)

type typeInfo = ec2api.InstanceTypeInfo

func typeText(value func(typeInfo) *string) func(typeInfo) []string {
	return func(t typeInfo) []string { return idiom.One(api.Val(value(t))) }
}

func typeBool(value func(typeInfo) *bool) func(typeInfo) []string {
	return func(t typeInfo) []string { return idiom.Bool(api.Val(value(t))) }
}

func numberOf[N int32 | int64 | float64](v *N) []string {
	if v == nil {
		return nil
	}
	return []string{strconv.FormatFloat(float64(*v), 'f', -1, 64)}
}

func typeNumber[N int32 | int64 | float64](value func(typeInfo) *N) func(typeInfo) []string {
	return func(t typeInfo) []string { return numberOf(value(t)) }
}

func typeNumbers(value func(typeInfo) []int32) func(typeInfo) []string {
	return func(t typeInfo) (out []string) {
		for _, v := range value(t) {
			out = append(out, idiom.Int(v)...)
		}
		return out
	}
}

// ebsField is a number of what EBS optimization gives; storeField and diskField are about the instance store.
func ebsField[N int32 | float64](value func(*ec2api.EbsOptimizedInfo) *N) func(typeInfo) []string {
	return func(t typeInfo) []string {
		if t.EbsInfo.EbsOptimizedInfo == nil {
			return nil
		}
		return numberOf(value(t.EbsInfo.EbsOptimizedInfo))
	}
}

func storeField(value func(*ec2api.InstanceStorageInfo) []string) func(typeInfo) []string {
	return func(t typeInfo) []string {
		if t.InstanceStorageInfo == nil {
			return nil
		}
		return value(t.InstanceStorageInfo)
	}
}

func diskField(value func(*ec2api.DiskInfo) []string) func(typeInfo) []string {
	return storeField(func(i *ec2api.InstanceStorageInfo) []string { return value(&i.Disks[0]) })
}

// typeFields are the filters of DescribeInstanceTypes. Source: EC2 API Reference, DescribeInstanceTypes.
var typeFields = idiom.Fields[typeInfo]{
	"auto-recovery-supported":         typeBool(func(t typeInfo) *bool { return t.AutoRecoverySupported }),
	"bare-metal":                      typeBool(func(t typeInfo) *bool { return t.BareMetal }),
	"burstable-performance-supported": typeBool(func(t typeInfo) *bool { return t.BurstablePerformanceSupported }),
	"current-generation":              typeBool(func(t typeInfo) *bool { return t.CurrentGeneration }),
	"dedicated-hosts-supported":       typeBool(func(t typeInfo) *bool { return t.DedicatedHostsSupported }),
	"free-tier-eligible":              typeBool(func(t typeInfo) *bool { return t.FreeTierEligible }),
	"hibernation-supported":           typeBool(func(t typeInfo) *bool { return t.HibernationSupported }),
	"hypervisor":                      typeText(func(t typeInfo) *string { return t.Hypervisor }),
	"instance-type":                   typeText(func(t typeInfo) *string { return t.InstanceType }),
	"nitro-enclaves-support":          typeText(func(t typeInfo) *string { return t.NitroEnclavesSupport }),
	"nitro-tpm-support":               typeText(func(t typeInfo) *string { return t.NitroTpmSupport }),
	"reboot-migration-support":        typeText(func(t typeInfo) *string { return t.RebootMigrationSupport }),
	"supported-boot-mode":             func(t typeInfo) []string { return t.SupportedBootModes },
	"supported-root-device-type":      func(t typeInfo) []string { return t.SupportedRootDeviceTypes },
	"supported-usage-class":           func(t typeInfo) []string { return t.SupportedUsageClasses },
	"supported-virtualization-type":   func(t typeInfo) []string { return t.SupportedVirtualizationTypes },
	"memory-info.size-in-mib":         typeNumber(func(t typeInfo) *int64 { return t.MemoryInfo.SizeInMiB }),
	"nitro-tpm-info.supported-versions": func(t typeInfo) []string {
		if t.NitroTpmInfo == nil {
			return nil
		}
		return t.NitroTpmInfo.SupportedVersions
	},

	"ebs-info.attachment-limit-type":   typeText(func(t typeInfo) *string { return t.EbsInfo.AttachmentLimitType }),
	"ebs-info.ebs-optimized-support":   typeText(func(t typeInfo) *string { return t.EbsInfo.EbsOptimizedSupport }),
	"ebs-info.encryption-support":      typeText(func(t typeInfo) *string { return t.EbsInfo.EncryptionSupport }),
	"ebs-info.maximum-ebs-attachments": typeNumber(func(t typeInfo) *int32 { return t.EbsInfo.MaximumEbsAttachments }),
	"ebs-info.maximum-ebs-cards":       typeNumber(func(t typeInfo) *int32 { return t.EbsInfo.MaximumEbsCards }),
	"ebs-info.nvme-support":            typeText(func(t typeInfo) *string { return t.EbsInfo.NvmeSupport }),
	"ebs-info.ebs-optimized-info.baseline-bandwidth-in-mbps": ebsField(func(i *ec2api.EbsOptimizedInfo) *int32 {
		return i.BaselineBandwidthInMbps
	}),
	"ebs-info.ebs-optimized-info.baseline-iops": ebsField(func(i *ec2api.EbsOptimizedInfo) *int32 { return i.BaselineIops }),
	"ebs-info.ebs-optimized-info.baseline-throughput-in-mbps": ebsField(func(i *ec2api.EbsOptimizedInfo) *float64 {
		return i.BaselineThroughputInMBps
	}),
	"ebs-info.ebs-optimized-info.maximum-bandwidth-in-mbps": ebsField(func(i *ec2api.EbsOptimizedInfo) *int32 {
		return i.MaximumBandwidthInMbps
	}),
	"ebs-info.ebs-optimized-info.maximum-iops": ebsField(func(i *ec2api.EbsOptimizedInfo) *int32 { return i.MaximumIops }),
	"ebs-info.ebs-optimized-info.maximum-throughput-in-mbps": ebsField(func(i *ec2api.EbsOptimizedInfo) *float64 {
		return i.MaximumThroughputInMBps
	}),

	"instance-storage-supported":               typeBool(func(t typeInfo) *bool { return t.InstanceStorageSupported }),
	"instance-storage-info.disk.count":         diskField(func(d *ec2api.DiskInfo) []string { return numberOf(d.Count) }),
	"instance-storage-info.disk.size-in-gb":    diskField(func(d *ec2api.DiskInfo) []string { return numberOf(d.SizeInGB) }),
	"instance-storage-info.disk.type":          diskField(func(d *ec2api.DiskInfo) []string { return idiom.One(*d.Type) }),
	"instance-storage-info.encryption-support": storeField(func(i *ec2api.InstanceStorageInfo) []string { return idiom.One(*i.EncryptionSupport) }),
	"instance-storage-info.nvme-support":       storeField(func(i *ec2api.InstanceStorageInfo) []string { return idiom.One(*i.NvmeSupport) }),
	"instance-storage-info.total-size-in-gb":   storeField(func(i *ec2api.InstanceStorageInfo) []string { return numberOf(i.TotalSizeInGB) }),

	"network-info.bandwidth-weightings": func(t typeInfo) []string { return t.NetworkInfo.BandwidthWeightings },
	"network-info.efa-info.maximum-efa-interfaces": func(t typeInfo) []string {
		if t.NetworkInfo.EfaInfo == nil {
			return nil
		}
		return numberOf(t.NetworkInfo.EfaInfo.MaximumEfaInterfaces)
	},
	"network-info.efa-supported":                   typeBool(func(t typeInfo) *bool { return t.NetworkInfo.EfaSupported }),
	"network-info.ena-support":                     typeText(func(t typeInfo) *string { return t.NetworkInfo.EnaSupport }),
	"network-info.flexible-ena-queues-support":     typeText(func(t typeInfo) *string { return t.NetworkInfo.FlexibleEnaQueuesSupport }),
	"network-info.encryption-in-transit-supported": typeBool(func(t typeInfo) *bool { return t.NetworkInfo.EncryptionInTransitSupported }),
	"network-info.ipv4-addresses-per-interface":    typeNumber(func(t typeInfo) *int32 { return t.NetworkInfo.Ipv4AddressesPerInterface }),
	"network-info.ipv6-addresses-per-interface":    typeNumber(func(t typeInfo) *int32 { return t.NetworkInfo.Ipv6AddressesPerInterface }),
	"network-info.ipv6-supported":                  typeBool(func(t typeInfo) *bool { return t.NetworkInfo.Ipv6Supported }),
	"network-info.maximum-network-cards":           typeNumber(func(t typeInfo) *int32 { return t.NetworkInfo.MaximumNetworkCards }),
	"network-info.maximum-network-interfaces":      typeNumber(func(t typeInfo) *int32 { return t.NetworkInfo.MaximumNetworkInterfaces }),
	"network-info.network-performance":             typeText(func(t typeInfo) *string { return t.NetworkInfo.NetworkPerformance }),

	"processor-info.manufacturer":                 typeText(func(t typeInfo) *string { return t.ProcessorInfo.Manufacturer }),
	"processor-info.supported-architecture":       func(t typeInfo) []string { return t.ProcessorInfo.SupportedArchitectures },
	"processor-info.supported-features":           func(t typeInfo) []string { return t.ProcessorInfo.SupportedFeatures },
	"processor-info.sustained-clock-speed-in-ghz": typeNumber(func(t typeInfo) *float64 { return t.ProcessorInfo.SustainedClockSpeedInGhz }),

	"vcpu-info.default-vcpus":            typeNumber(func(t typeInfo) *int32 { return t.VCpuInfo.DefaultVCpus }),
	"vcpu-info.default-cores":            typeNumber(func(t typeInfo) *int32 { return t.VCpuInfo.DefaultCores }),
	"vcpu-info.default-threads-per-core": typeNumber(func(t typeInfo) *int32 { return t.VCpuInfo.DefaultThreadsPerCore }),
	"vcpu-info.valid-cores":              typeNumbers(func(t typeInfo) []int32 { return t.VCpuInfo.ValidCores }),
	"vcpu-info.valid-threads-per-core":   typeNumbers(func(t typeInfo) []int32 { return t.VCpuInfo.ValidThreadsPerCore }),
}
