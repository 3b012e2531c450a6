// Package hardware is the table of EC2 instance types: what each is made of, and which features of
// EC2 it has. Sources: Amazon EC2 Instance Types guide, the pages "Specifications for Amazon EC2 ...
// instances"; EC2 User Guide and EBS User Guide, the pages that the methods name.
package hardware

import (
	"slices"
	"strconv"
	"strings"
)

// A Type is an instance type.
type Type struct {
	Name      string // m5.large
	Family    *Family
	VCPUs     int32
	MemoryMiB int64
	Network   string // "Up to 10 Gigabit"
	ENIs      int32  // most network interfaces
	Cards     int32  // network cards
	Addresses int32  // of each network interface, IPv4 and IPv6
	EFAs      int32  // most Elastic Fabric Adapters; 0 if it has none
	EBS       Bandwidth
	Volumes   int32 // most EBS volumes
	Disks     Disks
	Devices   int32 // accelerators of the family's kind
	has       []string
}

// A Family is what its types have in common.
type Family struct {
	Name        string // m5
	Arch        string // of 64 bits
	Maker       string // of the processor: Intel, AMD, AWS
	GHz         float64
	Threads     int32 // of a core
	Accelerator *Accelerator
	hypervisor  string
	has         []string
}

// Bandwidth is that to EBS volumes. All are zero where AWS does not document it.
type Bandwidth struct{ BaselineMbps, BaselineIOPS, MaxMbps, MaxIOPS int32 }

// Disks are the instance store volumes of a type, all alike.
type Disks struct {
	Count int32
	GB    int64 // of each
	Kind  string
	NVMe  bool
}

// An Accelerator is a GPU or a device for neural networks, an FPGA or one for media.
type Accelerator struct {
	Maker, Name          string
	MiB                  int32 // of memory
	NeuronCores          int32 // 0: not for neural networks
	NeuronCoreGeneration int32
}

// Hypervisors.
const (
	Xen   = "xen"
	Nitro = "nitro"
)

// is reports whether the type or its family has a property.
func (t *Type) is(property string) bool {
	return slices.Contains(t.has, property) || slices.Contains(t.Family.has, property)
}

// Size is the part of the name after the point.
func (t *Type) Size() string { return t.Name[strings.IndexByte(t.Name, '.')+1:] }

// Gigabits is the network bandwidth in Gbit/s, at its peak; 0 where it is told in words only.
func (t *Type) Gigabits() float64 {
	text, times := strings.TrimPrefix(t.Network, "Up to "), 1.0
	if n, each, several := strings.Cut(text, "x "); several {
		times, _ = strconv.ParseFloat(n, 64)
		text = each
	}
	v, _ := strconv.ParseFloat(strings.TrimSuffix(text, " Gigabit"), 64)
	return times * v
}

// Kinds of accelerators.
const (
	GPU    = "gpu"
	Neuron = "neuron"
	FPGA   = "fpga"
	Media  = "media"
)

// Accelerates is what the type's accelerators are, "" if it has none.
func (t *Type) Accelerates() string {
	switch {
	case t.Family.Accelerator == nil || t.Devices == 0:
		return ""
	case t.Family.Accelerator.NeuronCores > 0:
		return Neuron
	case t.is(FPGA):
		return FPGA
	case t.is(Media):
		return Media
	}
	return GPU
}

// Metal reports whether instances have the whole machine to themselves, without a hypervisor.
func (t *Type) Metal() bool { return strings.HasPrefix(t.Size(), "metal") }

// Hypervisor is Xen, Nitro or "" for a bare metal type.
func (t *Type) Hypervisor() string {
	if t.Metal() {
		return ""
	}
	return t.Family.hypervisor
}

// OnNitro reports whether the type is built on the Nitro System, as bare metal types are.
func (t *Type) OnNitro() bool { return t.Hypervisor() != Xen }

// Current reports whether the type is of the current generation.
func (t *Type) Current() bool { return !t.is("previous") }

// Archs are the architectures of images that the type runs, the widest last.
func (t *Type) Archs() []string {
	if t.is("i386") {
		return []string{"i386", t.Family.Arch}
	}
	return []string{t.Family.Arch}
}

// Runs reports whether the type can run an image of the architecture.
func (t *Type) Runs(arch string) bool { return slices.Contains(t.Archs(), arch) }

// Threads are those of a core.
func (t *Type) Threads() int32 {
	if t.is("one-thread") {
		return 1
	}
	return t.Family.Threads
}

// Cores are those of the type by default.
func (t *Type) Cores() int32 { return t.VCPUs / t.Threads() }

// Encrypts reports whether the type can have encrypted EBS volumes. Source: EBS User Guide,
// "Requirements for Amazon EBS encryption".
func (t *Type) Encrypts() bool { return !t.is("no-encryption") }

// EBSOptimized is "default", "supported" or "unsupported". Source: EBS User Guide, "Amazon
// EBS-optimized instance types".
func (t *Type) EBSOptimized() string {
	switch {
	case t.is("no-ebs-optimized"):
		return "unsupported"
	case t.is("ebs-optional"):
		return "supported"
	}
	return "default"
}

// OwnVolumeLimit reports whether the limit of EBS volumes is apart from that of other devices.
// Source: EC2 User Guide, "Amazon EBS volume limits for Amazon EC2 instances".
func (t *Type) OwnVolumeLimit() bool { return t.is("dedicated-volumes") }

// ENA is the support of enhanced networking by Elastic Network Adapters.
func (t *Type) ENA() string {
	switch {
	case t.OnNitro():
		return "required"
	case t.is("ena"):
		return "supported"
	}
	return "unsupported"
}

// IPv6 reports whether instances can have IPv6 addresses.
func (t *Type) IPv6() bool { return !t.is("no-ipv6") }

// EncryptsInTransit reports whether traffic between instances is encrypted. Source: EC2 User Guide,
// "Data protection in Amazon EC2".
func (t *Type) EncryptsInTransit() bool { return t.is("in-transit") }

// maxHibernateMiB is the most memory of an instance that hibernates: less than 150 GiB.
const maxHibernateMiB = 150 << 10

// Hibernates reports whether instances can hibernate. Source: EC2 User Guide, "Prerequisites for EC2
// instance hibernation".
func (t *Type) Hibernates() bool {
	return t.is("hibernation") && !t.Metal() && t.MemoryMiB < maxHibernateMiB
}

// Burstable reports whether CPU credits govern the type.
func (t *Type) Burstable() bool { return t.is("burstable") }

// FreeTier reports whether the type is eligible for the free tier.
func (t *Type) FreeTier() bool { return t.is("free-tier") }

// Spot reports whether there are Spot Instances of the type.
func (t *Type) Spot() bool { return !t.is("no-spot") }

// UsageClasses are the purchasing options.
func (t *Type) UsageClasses() []string {
	out := []string{"on-demand"}
	if t.Spot() {
		out = append(out, "spot")
	}
	if t.is("capacity-block") {
		out = append(out, "capacity-block")
	}
	return out
}

// RootDevices are what instances can boot from. Source: EC2 User Guide, "Root volumes for your Amazon EC2 instances".
func (t *Type) RootDevices() []string {
	if t.is("store-root") {
		return []string{"ebs", "instance-store"}
	}
	return []string{"ebs"}
}

// Virtualization are the types of virtualization of images. Source: EC2 User Guide, "Virtualization types".
func (t *Type) Virtualization() []string {
	if t.is("paravirtual") {
		return []string{"hvm", "paravirtual"}
	}
	return []string{"hvm"}
}

// BootModes are those that instances can have. Source: EC2 User Guide, "Requirements for EC2 instance
// boot modes".
func (t *Type) BootModes() []string {
	switch {
	case t.Family.Arch == "arm64":
		return []string{"uefi"}
	case !t.OnNitro() || t.Metal() || t.is("bios-only"):
		return []string{"legacy-bios"}
	}
	return []string{"legacy-bios", "uefi"}
}

// Placement are the strategies of placement groups that take the type. Source: EC2 User Guide,
// "Placement strategies for your placement groups".
func (t *Type) Placement() []string {
	if t.is("no-cluster") {
		return []string{"partition", "spread"}
	}
	return []string{"cluster", "partition", "spread"}
}

// DedicatedHosts reports whether there are Dedicated Hosts for the type.
func (t *Type) DedicatedHosts() bool { return !t.is("no-hosts") }

// Recovers reports whether instances are recovered by themselves. Source: EC2 User Guide, "Automatic
// instance recovery".
func (t *Type) Recovers() bool {
	return !t.Metal() && (t.Disks.Count == 0 || t.is("store-recovery"))
}

// Enclaves reports whether instances can be parents of enclaves. Source: AWS Nitro Enclaves User Guide, "What is AWS Nitro Enclaves?".
func (t *Type) Enclaves() bool {
	least := int32(4)
	if t.Family.Arch == "arm64" {
		least = 2
	}
	return t.Hypervisor() == Nitro && t.VCPUs >= least && !t.is("no-enclaves")
}

// TPM reports whether instances can have a NitroTPM: those that boot by UEFI with an Intel or AMD
// processor. Source: EC2 User Guide, "NitroTPM for Amazon EC2 instances".
func (t *Type) TPM() bool { return slices.Equal(t.BootModes(), []string{"legacy-bios", "uefi"}) }
