package autoscaling

import (
	"cmp"
	"context"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/launch"
)

// maxRequirements is the most sets of requirements of a policy. Source: User Guide, "Quotas for
// Auto Scaling resources and groups".
const maxRequirements = 4

// maxMatches is how many of the types that meet a set of requirements are chosen from: the
// cheapest.
const maxMatches = 10

// checkRequirements refuses the attribute of which nothing is known of this server's instance types,
// rather than choose by less than what was asked for. The three limits on prices are taken and have no
// effect: the cheapest types are chosen anyway.
// Source: API Reference, InstanceRequirements.
func checkRequirements(r *autoscalingapi.InstanceRequirements) error {
	if r.BaselinePerformanceFactors != nil {
		return validation("This server does not choose instance types by BaselinePerformanceFactors.")
	}
	if len(r.ExcludedInstanceTypes) > 0 && len(r.AllowedInstanceTypes) > 0 {
		return validation("You can't specify both ExcludedInstanceTypes and AllowedInstanceTypes.")
	}
	return nil
}

// meets reports whether an instance type has the attributes.
func meets(r *autoscalingapi.InstanceRequirements, t *ec2api.InstanceTypeInfo) bool {
	vcpu, mib := vcpuOf(t), memoryOf(t)
	maker, generation := "", "previous"
	if t.ProcessorInfo != nil {
		maker = strings.ToLower(api.Val(t.ProcessorInfo.Manufacturer))
	}
	if maker == "aws" {
		maker = "amazon-web-services"
	}
	if api.Val(t.CurrentGeneration) {
		generation = "current"
	}
	named := func(pattern string) bool {
		ok, err := path.Match(pattern, api.Val(t.InstanceType))
		return err == nil && ok
	}
	switch {
	case !within(int64(vcpu), wide(r.VCpuCount.Min), wide(r.VCpuCount.Max)), !within(mib, wide(r.MemoryMiB.Min), wide(r.MemoryMiB.Max)):
		return false
	case !option(r.BurstablePerformance, "excluded", api.Val(t.BurstablePerformanceSupported)),
		!option(r.BareMetal, "excluded", api.Val(t.BareMetal)),
		!option(r.LocalStorage, "included", api.Val(t.InstanceStorageSupported)):
		return false
	case len(r.CpuManufacturers) > 0 && !slices.Contains(r.CpuManufacturers, maker),
		len(r.InstanceGenerations) > 0 && !slices.Contains(r.InstanceGenerations, generation):
		return false
	case len(r.AllowedInstanceTypes) > 0 && !slices.ContainsFunc(r.AllowedInstanceTypes, named), slices.ContainsFunc(r.ExcludedInstanceTypes, named):
		return false
	}
	if !equipped(r, t) {
		return false
	}
	if m := r.MemoryGiBPerVCpu; m != nil && vcpu > 0 && !within(float64(mib)/1024/float64(vcpu), m.Min, m.Max) {
		return false
	}
	if n := r.NetworkInterfaceCount; n != nil && t.NetworkInfo != nil {
		return within(int64(api.Val(t.NetworkInfo.MaximumNetworkInterfaces)), wide(n.Min), wide(n.Max))
	}
	return true
}

// equipped reports whether an instance type has what requirements say of hibernation, local storage,
// accelerators and the network. Types with unknown bandwidth have none.
func equipped(r *autoscalingapi.InstanceRequirements, t *ec2api.InstanceTypeInfo) bool {
	gigabytes, disk := 0.0, ""
	if i := t.InstanceStorageInfo; i != nil {
		gigabytes = float64(api.Val(i.TotalSizeInGB))
		for _, d := range i.Disks {
			disk = api.Val(d.Type)
		}
	}
	baseline := int32(0)
	if t.EbsInfo != nil && t.EbsInfo.EbsOptimizedInfo != nil {
		baseline = api.Val(t.EbsInfo.EbsOptimizedInfo.BaselineBandwidthInMbps)
	}
	switch {
	case api.Val(r.RequireHibernateSupport) && !api.Val(t.HibernationSupported):
		return false
	case r.TotalLocalStorageGB != nil && !within(gigabytes, r.TotalLocalStorageGB.Min, r.TotalLocalStorageGB.Max),
		len(r.LocalStorageTypes) > 0 && disk != "" && !slices.Contains(r.LocalStorageTypes, disk):
		return false
	case r.BaselineEbsBandwidthMbps != nil && !within(baseline, r.BaselineEbsBandwidthMbps.Min, r.BaselineEbsBandwidthMbps.Max):
		return false
	case !acceleratorOf(t).meets(r):
		return false
	}
	if n := r.NetworkBandwidthGbps; n != nil && t.NetworkInfo != nil {
		return within(gigabits(api.Val(t.NetworkInfo.NetworkPerformance)), n.Min, n.Max)
	}
	return true
}

// An accelerator is what a type has of GPUs or inference devices, all alike.
type accelerator struct {
	kind, maker, name string
	count, mib        int32 // mib: of all
}

func acceleratorOf(t *ec2api.InstanceTypeInfo) accelerator {
	plain := func(s *string) string { return strings.ReplaceAll(strings.ToLower(api.Val(s)), " ", "-") }
	a := accelerator{}
	if i := t.GpuInfo; i != nil {
		for _, g := range i.Gpus {
			a = accelerator{"gpu", plain(g.Manufacturer), plain(g.Name), a.count + api.Val(g.Count), api.Val(i.TotalGpuMemoryInMiB)}
		}
	}
	if i := t.NeuronInfo; i != nil {
		for _, d := range i.NeuronDevices {
			a = accelerator{"inference", "amazon-web-services", plain(d.Name), a.count + api.Val(d.Count), api.Val(i.TotalNeuronDeviceMemoryInMiB)}
		}
	}
	return a
}

// meets reports whether the accelerator is one of those that are asked for.
func (a accelerator) meets(r *autoscalingapi.InstanceRequirements) bool {
	among := func(asked []string, has string) bool { return len(asked) == 0 || slices.Contains(asked, has) }
	return among(r.AcceleratorTypes, a.kind) && among(r.AcceleratorManufacturers, a.maker) && among(r.AcceleratorNames, a.name) &&
		(r.AcceleratorCount == nil || within(a.count, r.AcceleratorCount.Min, r.AcceleratorCount.Max)) &&
		(r.AcceleratorTotalMemoryMiB == nil || within(a.mib, r.AcceleratorTotalMemoryMiB.Min, r.AcceleratorTotalMemoryMiB.Max))
}

// gigabits is the number in a text such as "Up to 12.5 Gigabit"; 0 if there is none.
func gigabits(performance string) float64 {
	for word := range strings.FieldsSeq(performance) {
		if v, err := strconv.ParseFloat(word, 64); err == nil {
			return v
		}
	}
	return 0
}

func wide(n *int32) *int64 {
	if n == nil {
		return nil
	}
	return new(int64(*n))
}

func within[T cmp.Ordered](v T, least, most *T) bool {
	return (least == nil || v >= *least) && (most == nil || v <= *most)
}

// option decides by a setting that is included, excluded or required.
func option(given *string, otherwise string, has bool) bool {
	switch cmp.Or(api.Val(given), otherwise) {
	case "excluded":
		return !has
	case "required":
		return has
	}
	return true
}

func vcpuOf(t *ec2api.InstanceTypeInfo) int32 {
	if t.VCpuInfo == nil {
		return 0
	}
	return api.Val(t.VCpuInfo.DefaultVCpus)
}

func memoryOf(t *ec2api.InstanceTypeInfo) int64 {
	if t.MemoryInfo == nil {
		return 0
	}
	return api.Val(t.MemoryInfo.SizeInMiB)
}

// architecture is the one that the images of a type have.
func architecture(t *ec2api.InstanceTypeInfo) string {
	if t.ProcessorInfo == nil || len(t.ProcessorInfo.SupportedArchitectures) == 0 {
		return ""
	}
	return t.ProcessorInfo.SupportedArchitectures[len(t.ProcessorInfo.SupportedArchitectures)-1]
}

// A market is what EC2 says of instance types, and what they cost an hour On-Demand, in millionths
// of a dollar.
type market struct {
	types  []ec2api.InstanceTypeInfo
	prices map[string]int64
}

// survey asks EC2 for instance types: those that a policy names, or all if it tells requirements.
// Without overrides nothing is asked.
func (s *Service) survey(ctx context.Context, call *guard.Call, as guard.Caller, overrides []overrideRecord) (market, error) {
	k := market{prices: map[string]int64{}}
	in := &ec2api.DescribeInstanceTypesRequest{}
	var names []string
	all := false
	for _, o := range overrides {
		all = all || o.Requirements != nil
		if o.Type != "" {
			names = append(names, o.Type)
		}
	}
	switch {
	case len(names) == 0 && !all:
		return k, nil
	case !all: // a filter, because a name that EC2 does not know is for the launch to refuse
		in.Filters = []ec2api.Filter{{Name: new("instance-type"), Values: names}}
	}
	for {
		page, err := s.compute.DescribeInstanceTypes(ctx, call, as, in)
		if err != nil {
			return k, err
		}
		for _, t := range page.InstanceTypes {
			k.types = append(k.types, t)
			k.prices[api.Val(t.InstanceType)] = launch.OnDemandPrice(vcpuOf(&t), memoryOf(&t), int64(acceleratorOf(&t).mib), api.Val(t.BurstablePerformanceSupported))
		}
		if in.NextToken = page.NextToken; api.Val(in.NextToken) == "" {
			return k, nil
		}
	}
}

// What capacity is counted in, other than instances. Source: API Reference, CreateAutoScalingGroup, DesiredCapacityType.
const (
	byCPU    = "vcpu"
	byMemory = "memory-mib"
)

// checkUnit refuses to count the capacity of a group in vCPUs or memory if no types are chosen by requirements.
func (g *groupRecord) checkUnit() error {
	if g.DesiredType != byCPU && g.DesiredType != byMemory || g.Mixed != nil && g.Mixed.byRequirements() {
		return nil
	}
	return validation("DesiredCapacityType %s is for groups that choose instance types by InstanceRequirements.", g.DesiredType)
}

// weigh is the weight of a type that has none of its own, if capacity is counted in vCPUs or memory.
func (k *market) weigh(o *overrideRecord, unit string) {
	n := slices.IndexFunc(k.types, func(t ec2api.InstanceTypeInfo) bool { return api.Val(t.InstanceType) == o.Type })
	switch {
	case o.Weight != "" || n < 0:
	case unit == byCPU:
		o.Weight = itoa(vcpuOf(&k.types[n]))
	case unit == byMemory:
		o.Weight = strconv.FormatInt(memoryOf(&k.types[n]), 10)
	}
}

// choices are the kinds of instance that a policy comes to: its overrides, with the types that meet
// them in place of requirements; without overrides, what the template says.
func (k *market) choices(m *mixedRecord, unit string) []overrideRecord {
	if len(m.Overrides) == 0 {
		return []overrideRecord{{}}
	}
	var out []overrideRecord
	for _, o := range m.Overrides {
		if o.Requirements == nil {
			out = append(out, o)
			continue
		}
		for _, t := range k.matches(&o) {
			out = append(out, overrideRecord{Type: t, Weight: o.Weight, Image: o.Image, Template: o.Template})
		}
	}
	for n := range out {
		k.weigh(&out[n], unit)
	}
	return out
}

// matches are the cheapest types that meet an override's requirements. The first generations, which cannot have
// encrypted volumes, are taken if there are no others: a launch on them fails wherever volumes are encrypted.
func (k *market) matches(o *overrideRecord) []string {
	var out, plain []string
	for _, t := range k.types {
		switch {
		case !meets(o.Requirements, &t) || o.Arch != "" && architecture(&t) != o.Arch:
		case t.EbsInfo != nil && api.Val(t.EbsInfo.EncryptionSupport) == "unsupported":
			plain = append(plain, api.Val(t.InstanceType))
		default:
			out = append(out, api.Val(t.InstanceType))
		}
	}
	if len(out) == 0 {
		out = plain
	}
	slices.SortFunc(out, func(a, b string) int { return cmp.Or(cmp.Compare(k.prices[a], k.prices[b]), cmp.Compare(a, b)) })
	return out[:min(len(out), maxMatches)]
}

// otherArchitecture is in what EC2 says of a type that does not run an image.
const otherArchitecture = "does not match the architecture"

// settleArch tries, with the user's rights, the cheapest type of each architecture that meets an
// override, and keeps the first architecture that the image runs on. That the image is of another architecture is
// told only if nothing else is wrong.
func (s *Service) settleArch(ctx context.Context, c *guard.Call, g *groupRecord, m *mixedRecord, o *overrideRecord, k *market) error {
	var err error
	for _, arch := range []string{"x86_64", "arm64"} {
		one := *o
		one.Arch = arch
		types := k.matches(&one)
		if len(types) == 0 {
			continue
		}
		one.Type = types[0]
		refused := s.tryPart(ctx, c, g, m.launch(&one))
		if refused == nil {
			o.Arch = arch
			return nil
		}
		if err == nil || strings.Contains(err.Error(), otherArchitecture) {
			err = refused
		}
	}
	if err == nil {
		err = validation("No instance type of this server meets the InstanceRequirements.")
	}
	return err
}
