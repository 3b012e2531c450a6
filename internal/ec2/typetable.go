package ec2

import (
	"slices"

	"github.com/kagimori/kagimori/internal/blockdev/image"
)

// An instanceType is what is known of an instance type.
type instanceType struct {
	Name      string // m5.large
	VCPU      int32
	MemoryMiB int64
	Arch      []string
	ENIs      int32 // most network interfaces
	Addresses int32 // IPv4 addresses of each
	Network   string
	family
}

// A family is what the types of a family have in common.
type family struct {
	name    string // m5
	arch    string
	maker   string // of the processor
	ghz     float64
	threads int32 // of each core
	// perCPU is MiB of memory for each vCPU; 0 for burstable families, which have their own sizes.
	perCPU    int64
	burstable bool
	xen       bool   // else Nitro
	speed     speeds // of the network
	sizes     string // separated by blanks
	old       bool   // previous generation: no volume encryption
	spot      bool
	free      string // the size that is eligible for the free tier
}

// A size of an instance type.
type size struct {
	vcpu      int32
	enis, ips int32
}

// sizes of the families that are not burstable. Source: EC2 Instance Types guide, specifications
// and network specifications.
var sizes = map[string]size{
	"medium": {1, 2, 4}, "large": {2, 3, 10}, "xlarge": {4, 4, 15}, "2xlarge": {8, 4, 15}, "4xlarge": {16, 8, 30},
	"8xlarge": {32, 8, 30}, "9xlarge": {36, 8, 30}, "12xlarge": {48, 8, 30}, "16xlarge": {64, 15, 50},
	"18xlarge": {72, 15, 50}, "24xlarge": {96, 15, 50}, "32xlarge": {128, 15, 50}, "48xlarge": {192, 15, 50},
}

// A burst is a size of a burstable family.
type burst struct {
	size
	mib int64
}

// bursts are the sizes of t3, t3a and t4g. Source: EC2 Instance Types guide, "General purpose".
var bursts = map[string]burst{
	"nano": {size{2, 2, 2}, 512}, "micro": {size{2, 2, 2}, 1024}, "small": {size{2, 3, 4}, 2048},
	"medium": {size{2, 3, 6}, 4096}, "large": {size{2, 3, 12}, 8192}, "xlarge": {size{4, 4, 15}, 16384},
	"2xlarge": {size{8, 4, 15}, 32768},
}

// singles are types that their family and size do not tell. The old ones cannot have encrypted
// volumes. Source: as above; EBS User Guide, "Requirements for Amazon EBS encryption".
var singles = map[string]burst{
	"t2.nano": {size{1, 2, 2}, 512}, "t2.micro": {size{1, 2, 2}, 1024}, "t2.small": {size{1, 3, 4}, 2048},
	"t1.micro": {size{1, 2, 2}, 627}, "m1.small": {size{1, 2, 4}, 1740}, "c1.medium": {size{2, 2, 6}, 1740},
}

const (
	gpSizes  = "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge"
	c5Sizes  = "large xlarge 2xlarge 4xlarge 9xlarge 12xlarge 18xlarge 24xlarge"
	gen6     = gpSizes + " 32xlarge"
	gen7     = gpSizes + " 48xlarge"
	gen7a    = "medium " + gen6 + " 48xlarge"
	graviton = "medium large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge"
	tSizes   = "nano micro small medium large xlarge 2xlarge"
)

// speeds of a family's network, by size; "" is that of the smaller sizes.
type speeds map[string]string

var (
	speed5 = speeds{
		"": "Up to 10 Gigabit", "8xlarge": "10 Gigabit", "9xlarge": "12 Gigabit", "12xlarge": "12 Gigabit",
		"16xlarge": "20 Gigabit", "18xlarge": "25 Gigabit", "24xlarge": "25 Gigabit",
	}
	speed6 = speeds{
		"": "Up to 12.5 Gigabit", "8xlarge": "12.5 Gigabit", "12xlarge": "18.75 Gigabit", "16xlarge": "25 Gigabit",
		"24xlarge": "37.5 Gigabit", "32xlarge": "50 Gigabit", "48xlarge": "50 Gigabit",
	}
	speed6g = speeds{"": "Up to 10 Gigabit", "8xlarge": "12 Gigabit", "12xlarge": "20 Gigabit", "16xlarge": "25 Gigabit"}
	speed7g = speeds{"": "Up to 12.5 Gigabit", "4xlarge": "Up to 15 Gigabit", "8xlarge": "15 Gigabit", "12xlarge": "22.5 Gigabit", "16xlarge": "30 Gigabit"}
	speedT  = speeds{"": "Up to 5 Gigabit"}
	speedT2 = speeds{"": "Low to Moderate"}
	speed1  = speeds{"": "Low"}
)

// families of instance types that can be launched. Source: EC2 Instance Types guide.
var families = []family{
	{name: "t1", arch: image.X86, maker: "Intel", threads: 1, xen: true, speed: speed1, sizes: "micro", old: true},
	{name: "m1", arch: image.X86, maker: "Intel", threads: 1, xen: true, speed: speed1, sizes: "small", old: true},
	{name: "c1", arch: image.X86, maker: "Intel", threads: 1, xen: true, speed: speed1, sizes: "medium", old: true},
	{name: "t2", arch: image.X86, maker: "Intel", ghz: 2.4, threads: 1, burstable: true, xen: true, speed: speedT2, sizes: tSizes, spot: true, free: "micro"},
	{name: "t3", arch: image.X86, maker: "Intel", ghz: 2.5, threads: 2, burstable: true, speed: speedT, sizes: tSizes, spot: true, free: "micro"},
	{name: "t3a", arch: image.X86, maker: "AMD", ghz: 2.2, threads: 2, burstable: true, speed: speedT, sizes: tSizes, spot: true},
	{name: "t4g", arch: image.ARM, maker: "AWS", ghz: 2.5, threads: 1, burstable: true, speed: speedT, sizes: tSizes, spot: true},
	{name: "m5", arch: image.X86, maker: "Intel", ghz: 3.1, threads: 2, perCPU: 4096, speed: speed5, sizes: gpSizes, spot: true},
	{name: "m5a", arch: image.X86, maker: "AMD", ghz: 2.5, threads: 2, perCPU: 4096, speed: speed5, sizes: gpSizes, spot: true},
	{name: "m6i", arch: image.X86, maker: "Intel", ghz: 3.5, threads: 2, perCPU: 4096, speed: speed6, sizes: gen6, spot: true},
	{name: "m6a", arch: image.X86, maker: "AMD", ghz: 3.6, threads: 2, perCPU: 4096, speed: speed6, sizes: gen6 + " 48xlarge", spot: true},
	{name: "m6g", arch: image.ARM, maker: "AWS", ghz: 2.5, threads: 1, perCPU: 4096, speed: speed6g, sizes: graviton, spot: true},
	{name: "m7i", arch: image.X86, maker: "Intel", ghz: 3.2, threads: 2, perCPU: 4096, speed: speed6, sizes: gen7, spot: true},
	{name: "m7a", arch: image.X86, maker: "AMD", ghz: 3.7, threads: 1, perCPU: 4096, speed: speed6, sizes: gen7a, spot: true},
	{name: "m7g", arch: image.ARM, maker: "AWS", ghz: 2.6, threads: 1, perCPU: 4096, speed: speed7g, sizes: graviton, spot: true},
	{name: "c5", arch: image.X86, maker: "Intel", ghz: 3.4, threads: 2, perCPU: 2048, speed: speed5, sizes: c5Sizes, spot: true},
	{name: "c6i", arch: image.X86, maker: "Intel", ghz: 3.5, threads: 2, perCPU: 2048, speed: speed6, sizes: gen6, spot: true},
	{name: "c6g", arch: image.ARM, maker: "AWS", ghz: 2.5, threads: 1, perCPU: 2048, speed: speed6g, sizes: graviton, spot: true},
	{name: "c7i", arch: image.X86, maker: "Intel", ghz: 3.2, threads: 2, perCPU: 2048, speed: speed6, sizes: gen7, spot: true},
	{name: "c7a", arch: image.X86, maker: "AMD", ghz: 3.7, threads: 1, perCPU: 2048, speed: speed6, sizes: gen7a, spot: true},
	{name: "c7g", arch: image.ARM, maker: "AWS", ghz: 2.6, threads: 1, perCPU: 2048, speed: speed7g, sizes: graviton, spot: true},
	{name: "r5", arch: image.X86, maker: "Intel", ghz: 3.1, threads: 2, perCPU: 8192, speed: speed5, sizes: gpSizes, spot: true},
	{name: "r6i", arch: image.X86, maker: "Intel", ghz: 3.5, threads: 2, perCPU: 8192, speed: speed6, sizes: gen6, spot: true},
	{name: "r6g", arch: image.ARM, maker: "AWS", ghz: 2.5, threads: 1, perCPU: 8192, speed: speed6g, sizes: graviton, spot: true},
	{name: "r7i", arch: image.X86, maker: "Intel", ghz: 3.2, threads: 2, perCPU: 8192, speed: speed6, sizes: gen7, spot: true},
	{name: "r7g", arch: image.ARM, maker: "AWS", ghz: 2.6, threads: 1, perCPU: 8192, speed: speed7g, sizes: graviton, spot: true},
}

// member is the type of a family with a size.
func (f family) member(name string) instanceType {
	t := instanceType{Name: f.name + "." + name, Arch: []string{f.arch}, Network: f.speed[name], family: f}
	if t.Network == "" {
		t.Network = f.speed[""]
	}
	if f.old {
		t.Arch = append([]string{"i386"}, t.Arch...)
	}
	b, ok := singles[t.Name]
	if !ok && f.burstable {
		b = bursts[name]
	} else if !ok {
		b.size = sizes[name]
		b.mib = int64(b.vcpu) * f.perCPU
	}
	t.VCPU, t.ENIs, t.Addresses, t.MemoryMiB = b.vcpu, b.enis, b.ips, b.mib
	return t
}

// encrypts reports whether the type can have encrypted volumes.
func (t *instanceType) encrypts() bool { return !t.old }

// runs reports whether the type can run an image of the architecture.
func (t *instanceType) runs(arch string) bool { return slices.Contains(t.Arch, arch) }
