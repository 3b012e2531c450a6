package instancetype

import (
	"strconv"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/ec2/hardware"
)

// wire is an instance type as answers carry it.
func (t Type) wire() ec2api.InstanceTypeInfo {
	cores, threads := t.Cores(), t.Threads()
	info := ec2api.InstanceTypeInfo{
		InstanceType: &t.Name, CurrentGeneration: new(t.Current()), FreeTierEligible: new(t.FreeTier()), SupportedUsageClasses: t.UsageClasses(),
		SupportedRootDeviceTypes: t.RootDevices(), SupportedVirtualizationTypes: t.Virtualization(), BareMetal: new(t.Metal()), Hypervisor: api.Opt(t.Hypervisor()),
		ProcessorInfo: &ec2api.ProcessorInfo{SupportedArchitectures: t.Archs(), SustainedClockSpeedInGhz: api.Opt(t.Family.GHz), Manufacturer: &t.Family.Maker},
		VCpuInfo:      &ec2api.VCpuInfo{DefaultVCpus: &t.VCPUs, DefaultCores: &cores, DefaultThreadsPerCore: &threads, ValidCores: t.ValidCores()},
		MemoryInfo:    &ec2api.MemoryInfo{SizeInMiB: &t.MemoryMiB}, InstanceStorageSupported: new(t.Disks.Count > 0), InstanceStorageInfo: t.storageInfo(),
		EbsInfo: t.ebsInfo(), NetworkInfo: t.networkInfo(), PlacementGroupInfo: &ec2api.PlacementGroupInfo{SupportedStrategies: t.Placement()},
		HibernationSupported: new(t.Hibernates()), BurstablePerformanceSupported: new(t.Burstable()), DedicatedHostsSupported: new(t.DedicatedHosts()),
		AutoRecoverySupported: new(t.Recovers()), SupportedBootModes: t.BootModes(),
		NitroEnclavesSupport: new(supported(t.Enclaves())), NitroTpmSupport: new(supported(t.TPM())),
	}
	for n := range threads {
		info.VCpuInfo.ValidThreadsPerCore = append(info.VCpuInfo.ValidThreadsPerCore, n+1)
	}
	if t.TPM() {
		info.NitroTpmInfo = &ec2api.NitroTpmInfo{SupportedVersions: []string{"2.0"}}
	}
	t.accelerate(&info)
	return info
}

func supported(yes bool) string {
	if yes {
		return "supported"
	}
	return "unsupported"
}

// required is what Nitro needs and Xen has not got.
func required(yes bool) string {
	if yes {
		return "required"
	}
	return "unsupported"
}

// ebsInfo tells the bandwidth as Mbit/s, and as MB/s an eighth of it.
func (t Type) ebsInfo() *ec2api.EbsInfo {
	limit := "shared"
	if t.OwnVolumeLimit() {
		limit = "dedicated"
	}
	info := &ec2api.EbsInfo{
		EbsOptimizedSupport: new(t.EBSOptimized()), EncryptionSupport: new(supported(t.Encrypts())), NvmeSupport: new(required(t.OnNitro())),
		MaximumEbsAttachments: &t.Volumes, AttachmentLimitType: &limit, MaximumEbsCards: new(int32(1)),
	}
	if b := t.EBS; b.MaxMbps > 0 {
		info.EbsOptimizedInfo = &ec2api.EbsOptimizedInfo{
			BaselineBandwidthInMbps: &b.BaselineMbps, BaselineThroughputInMBps: new(float64(b.BaselineMbps) / 8), BaselineIops: &b.BaselineIOPS,
			MaximumBandwidthInMbps: &b.MaxMbps, MaximumThroughputInMBps: new(float64(b.MaxMbps) / 8), MaximumIops: &b.MaxIOPS,
		}
	}
	return info
}

// networkInfo tells the interfaces of each card too: the cards of a type are alike.
func (t Type) networkInfo() *ec2api.NetworkInfo {
	info := &ec2api.NetworkInfo{
		NetworkPerformance: &t.Network, MaximumNetworkInterfaces: &t.ENIs, MaximumNetworkCards: &t.Cards, DefaultNetworkCardIndex: new(int32(0)),
		Ipv4AddressesPerInterface: &t.Addresses, Ipv6AddressesPerInterface: new(int32(0)), Ipv6Supported: new(t.IPv6()), EnaSupport: new(t.ENA()),
		EfaSupported: new(t.EFAs > 0), EncryptionInTransitSupported: new(t.EncryptsInTransit()),
	}
	if t.IPv6() {
		info.Ipv6AddressesPerInterface = &t.Addresses
	}
	if w := t.Weightings(); len(w) > 1 {
		info.BandwidthWeightings = w
	}
	if t.EFAs > 0 {
		info.EfaInfo = &ec2api.EfaInfo{MaximumEfaInterfaces: &t.EFAs}
	}
	each := t.Network
	if _, one, several := strings.Cut(each, "x "); several {
		each = one
	}
	for n := range t.Cards {
		card := ec2api.NetworkCardInfo{NetworkCardIndex: new(n), NetworkPerformance: &each, MaximumNetworkInterfaces: new((t.ENIs + t.Cards - 1 - n) / t.Cards)}
		text, upTo := strings.CutPrefix(each, "Up to ")
		number, _, gigabit := strings.Cut(text, " Gigabit")
		if peak, err := strconv.ParseFloat(number, 64); err == nil && gigabit && (t.Cards == 1 || each != t.Network) {
			if card.PeakBandwidthInGbps = &peak; upTo {
				card.BaselineBandwidthInGbps = api.Opt(t.BaselineGigabits())
			} else {
				card.BaselineBandwidthInGbps = &peak
			}
		}
		info.NetworkCards = append(info.NetworkCards, card)
	}
	return info
}

func (t Type) storageInfo() *ec2api.InstanceStorageInfo {
	d := t.Disks
	if d.Count == 0 {
		return nil
	}
	return &ec2api.InstanceStorageInfo{
		TotalSizeInGB: new(int64(d.Count) * d.GB), Disks: []ec2api.DiskInfo{{Count: &d.Count, SizeInGB: &d.GB, Type: &d.Kind}},
		NvmeSupport: new(required(d.NVMe)), EncryptionSupport: new(required(d.NVMe)),
	}
}

// accelerate adds a type's GPUs, its devices for neural networks, its FPGAs or its devices for media.
func (t Type) accelerate(info *ec2api.InstanceTypeInfo) {
	kind := t.Accelerates()
	if kind == "" {
		return
	}
	a := t.Family.Accelerator
	total := t.Devices * a.MiB
	switch kind {
	case hardware.GPU:
		info.GpuInfo = &ec2api.GpuInfo{TotalGpuMemoryInMiB: &total, Gpus: []ec2api.GpuDeviceInfo{{
			Name: &a.Name, Manufacturer: &a.Maker, Count: &t.Devices, MemoryInfo: &ec2api.GpuDeviceMemoryInfo{SizeInMiB: &a.MiB},
		}}}
	case hardware.FPGA:
		info.FpgaInfo = &ec2api.FpgaInfo{TotalFpgaMemoryInMiB: &total, Fpgas: []ec2api.FpgaDeviceInfo{{
			Name: &a.Name, Manufacturer: &a.Maker, Count: &t.Devices, MemoryInfo: &ec2api.FpgaDeviceMemoryInfo{SizeInMiB: &a.MiB},
		}}}
	case hardware.Media:
		info.MediaAcceleratorInfo = &ec2api.MediaAcceleratorInfo{TotalMediaMemoryInMiB: &total, Accelerators: []ec2api.MediaDeviceInfo{{
			Name: &a.Name, Manufacturer: &a.Maker, Count: &t.Devices, MemoryInfo: &ec2api.MediaDeviceMemoryInfo{SizeInMiB: &a.MiB},
		}}}
	case hardware.Neuron:
		info.NeuronInfo = &ec2api.NeuronInfo{TotalNeuronDeviceMemoryInMiB: &total, NeuronDevices: []ec2api.NeuronDeviceInfo{{
			Name: &a.Name, Count: &t.Devices, CoreInfo: &ec2api.NeuronDeviceCoreInfo{Count: &a.NeuronCores, Version: &a.NeuronCoreGeneration},
			MemoryInfo: &ec2api.NeuronDeviceMemoryInfo{SizeInMiB: &a.MiB},
		}}}
		if strings.HasPrefix(a.Name, "Inferentia") {
			info.InferenceAcceleratorInfo = &ec2api.InferenceAcceleratorInfo{TotalInferenceMemoryInMiB: &total, Accelerators: []ec2api.InferenceDeviceInfo{{
				Name: &a.Name, Manufacturer: &a.Maker, Count: &t.Devices, MemoryInfo: &ec2api.InferenceDeviceMemoryInfo{SizeInMiB: &a.MiB},
			}}}
		}
	}
}
