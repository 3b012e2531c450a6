package hardware_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/ec2/hardware"
)

// Anchors of the Instance Types guide, the EBS User Guide ("Amazon EBS-optimized instance types") and the
// EC2 User Guide ("Amazon EBS volume limits for Amazon EC2 instances", "Prerequisites for EC2 instance hibernation").
func TestAnchors(t *testing.T) {
	tests := []struct {
		name       string
		vcpu       int32
		mib        int64
		enis, ips  int32
		ebs        hardware.Bandwidth
		volumes    int32
		disks      hardware.Disks
		devices    int32
		hypervisor string
	}{
		{"t2.micro", 1, 1024, 2, 2, hardware.Bandwidth{}, 39, hardware.Disks{}, 0, "xen"},
		{"t3.nano", 2, 512, 2, 2, hardware.Bandwidth{BaselineMbps: 43, BaselineIOPS: 250, MaxMbps: 2085, MaxIOPS: 11800}, 27, hardware.Disks{}, 0, "nitro"},
		{"m5.large", 2, 8192, 3, 10, hardware.Bandwidth{BaselineMbps: 650, BaselineIOPS: 3600, MaxMbps: 4750, MaxIOPS: 18750}, 27, hardware.Disks{}, 0, "nitro"},
		{"m5.metal", 96, 393216, 15, 50, hardware.Bandwidth{BaselineMbps: 19000, BaselineIOPS: 80000, MaxMbps: 19000, MaxIOPS: 80000}, 31, hardware.Disks{}, 0, ""},
		{"m5d.24xlarge", 96, 393216, 15, 50, hardware.Bandwidth{BaselineMbps: 19000, BaselineIOPS: 80000, MaxMbps: 19000, MaxIOPS: 80000}, 23, hardware.Disks{Count: 4, GB: 900, Kind: "ssd", NVMe: true}, 0, "nitro"},
		{"m7i.48xlarge", 192, 786432, 15, 50, hardware.Bandwidth{BaselineMbps: 40000, BaselineIOPS: 240000, MaxMbps: 40000, MaxIOPS: 240000}, 128, hardware.Disks{}, 0, "nitro"},
		{"m8g.medium", 1, 4096, 2, 4, hardware.Bandwidth{BaselineMbps: 315, BaselineIOPS: 2500, MaxMbps: 10000, MaxIOPS: 40000}, 32, hardware.Disks{}, 0, "nitro"},
		{"c4.8xlarge", 36, 61440, 8, 30, hardware.Bandwidth{BaselineMbps: 4000, BaselineIOPS: 32000, MaxMbps: 4000, MaxIOPS: 32000}, 39, hardware.Disks{}, 0, "xen"},
		{"c5.18xlarge", 72, 147456, 15, 50, hardware.Bandwidth{BaselineMbps: 19000, BaselineIOPS: 80000, MaxMbps: 19000, MaxIOPS: 80000}, 27, hardware.Disks{}, 0, "nitro"},
		{"i3.metal", 72, 524288, 15, 50, hardware.Bandwidth{BaselineMbps: 19000, BaselineIOPS: 80000, MaxMbps: 19000, MaxIOPS: 80000}, 31, hardware.Disks{Count: 8, GB: 1900, Kind: "ssd", NVMe: true}, 0, ""},
		{"d3.8xlarge", 32, 262144, 3, 20, hardware.Bandwidth{BaselineMbps: 5000, BaselineIOPS: 30000, MaxMbps: 5000, MaxIOPS: 30000}, 3, hardware.Disks{Count: 24, GB: 1980, Kind: "hdd", NVMe: true}, 0, "nitro"},
		{"g4dn.12xlarge", 48, 196608, 8, 30, hardware.Bandwidth{BaselineMbps: 9500, BaselineIOPS: 40000, MaxMbps: 9500, MaxIOPS: 40000}, 22, hardware.Disks{Count: 1, GB: 900, Kind: "ssd", NVMe: true}, 4, "nitro"},
		{"p4d.24xlarge", 96, 1179648, 60, 50, hardware.Bandwidth{BaselineMbps: 19000, BaselineIOPS: 80000, MaxMbps: 19000, MaxIOPS: 80000}, 28, hardware.Disks{Count: 8, GB: 1000, Kind: "ssd", NVMe: true}, 8, "nitro"},
		{"f1.16xlarge", 64, 976 << 10, 8, 50, hardware.Bandwidth{BaselineMbps: 14000, BaselineIOPS: 75000, MaxMbps: 14000, MaxIOPS: 75000}, 39, hardware.Disks{Count: 4, GB: 940, Kind: "ssd", NVMe: true}, 8, "xen"},
		{"vt1.3xlarge", 12, 24576, 4, 15, hardware.Bandwidth{BaselineMbps: 2375, BaselineIOPS: 10000, MaxMbps: 4750, MaxIOPS: 20000}, 26, hardware.Disks{}, 1, "nitro"},
		{"inf1.24xlarge", 96, 196608, 11, 30, hardware.Bandwidth{BaselineMbps: 19000, BaselineIOPS: 80000, MaxMbps: 19000, MaxIOPS: 80000}, 11, hardware.Disks{}, 16, "nitro"},
		{"m1.small", 1, 1740, 2, 4, hardware.Bandwidth{}, 39, hardware.Disks{Count: 1, GB: 160, Kind: "hdd"}, 0, "xen"},
	}
	for _, tt := range tests {
		i, ok := hardware.Lookup(tt.name)
		if !ok {
			t.Errorf("no %s", tt.name)
			continue
		}
		if i.VCPUs != tt.vcpu || i.MemoryMiB != tt.mib || i.ENIs != tt.enis || i.Addresses != tt.ips || i.EBS != tt.ebs || i.Volumes != tt.volumes ||
			i.Disks != tt.disks || i.Devices != tt.devices || i.Hypervisor() != tt.hypervisor {
			t.Errorf("%s: %+v, hypervisor %q", tt.name, *i, i.Hypervisor())
		}
	}
	if _, ok := hardware.Lookup("m5"); ok {
		t.Error("a family is no type")
	}
}

func TestFeatures(t *testing.T) {
	tests := []struct {
		feature string
		of      func(*hardware.Type) bool
		yes, no string
	}{
		{"hibernation", (*hardware.Type).Hibernates, "t2.micro m5.large c3.large r5.4xlarge m7i.8xlarge i3.large", "m5.12xlarge m5.metal m1.small p3.2xlarge c5n.large t1.micro"},
		{"encryption", (*hardware.Type).Encrypts, "t2.micro m3.medium c3.large r3.large m5.metal", "t1.micro m1.small m2.xlarge c1.medium"},
		{"Nitro", (*hardware.Type).OnNitro, "m5.large i3.metal t3.nano a1.medium p3dn.24xlarge", "i3.large t2.micro m4.large p3.2xlarge x1.16xlarge"},
		{"metal", (*hardware.Type).Metal, "m5.metal m7i.metal-24xl c6g.metal", "m5.large"},
		{"current", (*hardware.Type).Current, "m5.large t2.micro m8g.large", "m3.medium m1.small a1.large"},
		{"burstable", (*hardware.Type).Burstable, "t2.nano t3.micro t3a.large t4g.small", "m5.large m7i-flex.large"},
		{"free tier", (*hardware.Type).FreeTier, "t2.micro t3.micro", "t2.small t4g.micro"},
		{"own volume limit", (*hardware.Type).OwnVolumeLimit, "m7i.large c7a.medium r8g.large g6.xlarge", "m7g.large m5.large t2.micro g5.xlarge"},
		{"encryption in transit", (*hardware.Type).EncryptsInTransit, "m5n.large c6i.large m7g.medium i3en.large", "m5.large t3.micro m6g.large"},
		{"recovery", (*hardware.Type).Recovers, "m5.large t2.micro c3.large x1.16xlarge", "m5d.large m5.metal g4dn.xlarge i3.large"},
		{"enclaves", (*hardware.Type).Enclaves, "m5.xlarge c6g.large m7i.8xlarge", "m5.large t3.2xlarge c6g.medium m7i.48xlarge m5.metal m4.xlarge"},
		{"TPM", (*hardware.Type).TPM, "m5.large t3.micro", "m5.metal t2.micro t4g.micro g4ad.xlarge"},
		{"Spot", (*hardware.Type).Spot, "m5.large t2.micro p4d.24xlarge", "m1.small t1.micro"},
		{"dedicated hosts", (*hardware.Type).DedicatedHosts, "m5.large t3.micro", "t2.micro t4g.small"},
		{"IPv6", (*hardware.Type).IPv6, "t2.micro m5.large c3.large", "m1.small m3.medium"},
	}
	for _, tt := range tests {
		for want, names := range map[bool]string{true: tt.yes, false: tt.no} {
			for name := range strings.FieldsSeq(names) {
				i, ok := hardware.Lookup(name)
				if !ok {
					t.Errorf("no %s", name)
				} else if tt.of(i) != want {
					t.Errorf("%s: %s is %v", name, tt.feature, !want)
				}
			}
		}
	}
}

// TestFamiliesGrow: within a family a larger size has no less of anything.
func TestFamiliesGrow(t *testing.T) {
	all := hardware.All()
	if len(all) < 800 {
		t.Errorf("only %d types", len(all))
	}
	seen := map[string]bool{}
	for n, i := range all {
		if seen[i.Name] {
			t.Errorf("%s twice", i.Name)
		}
		seen[i.Name] = true
		if i.MemoryMiB < 512 || i.Network == "" || i.ENIs < 2 || i.Cards < 1 || i.Addresses < 2 || i.Volumes < 1 || i.VCPUs%i.Threads() != 0 {
			t.Errorf("%+v", *i)
		}
		if b := i.EBS; b.BaselineMbps > b.MaxMbps || b.BaselineIOPS > b.MaxIOPS || (b.MaxMbps == 0) != (b.BaselineIOPS == 0) {
			t.Errorf("%s: EBS %+v", i.Name, b)
		}
		if (i.EBS.MaxMbps == 0) != (i.EBSOptimized() == "unsupported") && i.Family.Name != "m8i" {
			t.Errorf("%s: EBS optimization is %s, %+v", i.Name, i.EBSOptimized(), i.EBS)
		}
		if n == 0 || all[n-1].Family != i.Family || i.Metal() || i.EBSOptimized() == "unsupported" {
			continue
		}
		if p := all[n-1]; p.VCPUs > i.VCPUs || p.MemoryMiB > i.MemoryMiB || p.EBS.BaselineMbps > i.EBS.BaselineMbps || p.EBS.BaselineIOPS > i.EBS.BaselineIOPS ||
			p.Disks.GB*int64(p.Disks.Count) > i.Disks.GB*int64(i.Disks.Count) && i.Family.Accelerator == nil {
			t.Errorf("%s is larger than %s: %+v, %+v", p.Name, i.Name, *p, *i)
		}
	}
}

// TestBaselines: those of the table are of types that have more at times, and less than that.
func TestBaselines(t *testing.T) {
	for name, want := range map[string]float64{"m5.large": 0.75, "m5.24xlarge": 25, "t3.nano": 0.032, "c7gn.2xlarge": 25, "i7ie.large": 0, "t2.micro": 0} {
		if i, _ := hardware.Lookup(name); i.BaselineGigabits() != want {
			t.Errorf("%s: %v Gbit/s at all times, want %v", name, i.BaselineGigabits(), want)
		}
	}
	told := 0
	for _, i := range hardware.All() {
		if !strings.HasPrefix(i.Network, "Up to ") {
			continue
		}
		if i.BaselineGigabits() > 0 {
			told++
		}
		if i.BaselineGigabits() >= i.Gigabits() {
			t.Errorf("%s: %v Gbit/s at all times and %q", i.Name, i.BaselineGigabits(), i.Network)
		}
	}
	text, err := os.ReadFile("baselines.tsv")
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for line := range strings.Lines(string(text)) {
		if families, sizes, ok := strings.Cut(line, "\t"); ok && !strings.HasPrefix(line, "#") {
			lines += (strings.Count(families, ",") + 1) * (strings.Count(sizes, ",") + 1)
		}
	}
	if told != lines {
		t.Errorf("%d types have a baseline, the table has %d", told, lines)
	}
}

func TestNetwork(t *testing.T) {
	for name, want := range map[string]float64{"m5.large": 10, "m6in.32xlarge": 200, "p4d.24xlarge": 400, "t2.micro": 0} {
		if i, _ := hardware.Lookup(name); i.Gigabits() != want {
			t.Errorf("%s: %v Gbit/s, %q", name, i.Gigabits(), i.Network)
		}
	}
	if i, _ := hardware.Lookup("m4.16xlarge"); i.ENA() != "supported" {
		t.Errorf("m4.16xlarge: ENA %s", i.ENA())
	}
	if i, _ := hardware.Lookup("t2.micro"); !slices.Equal(i.Archs(), []string{"i386", "x86_64"}) || !i.Runs("i386") || i.Runs("arm64") {
		t.Errorf("t2.micro: %v", i.Archs())
	}
}

func FuzzParse(f *testing.F) {
	text, err := os.ReadFile("types.tsv")
	if err != nil {
		f.Fatal(err)
	}
	lines := strings.SplitAfter(string(text), "\n")
	f.Add(strings.Join(lines[:12], ""))
	f.Add("m5.large\t2")
	f.Add(lines[4])
	f.Fuzz(func(t *testing.T, text string) {
		all, err := hardware.Parse(text)
		if err != nil {
			return
		}
		for _, i := range all {
			if i.Gigabits(); i.Family == nil || i.Cores() < 1 || i.Threads() < 1 {
				t.Errorf("%+v", *i)
			}
		}
	})
}
