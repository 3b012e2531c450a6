package instancetype

import (
	"cmp"
	"context"
	"path"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/ec2/hardware"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/store"
)

// GetInstanceTypesFromInstanceRequirements lists the instance types with attributes: all of them, of which fleets and
// groups take some. Limits on prices are not for this operation.
// Source: EC2 API Reference, GetInstanceTypesFromInstanceRequirements; InstanceRequirementsRequest.
func (s *Service) GetInstanceTypesFromInstanceRequirements(ctx context.Context, c *guard.Call, in *ec2api.GetInstanceTypesFromInstanceRequirementsRequest) (*ec2api.GetInstanceTypesFromInstanceRequirementsResult, error) {
	if err := checkKinds(in.ArchitectureTypes, in.VirtualizationTypes); err != nil {
		return nil, err
	}
	if err := CheckRequirements(&ec2api.RequestLaunchTemplateData{InstanceRequirements: in.InstanceRequirements}); err != nil {
		return nil, err
	}
	if err := CheckFactors(in.InstanceRequirements); err != nil {
		return nil, err
	}
	if api.Val(in.Context) != "" {
		return nil, idiom.InvalidValue("Value (%s) for parameter context is reserved.", *in.Context)
	}
	out := &ec2api.GetInstanceTypesFromInstanceRequirementsResult{}
	return out, idiom.ViewList(ctx, s.g, c, "ec2:"+c.Operation, in.DryRun, func(store.Tx) (err error) {
		items := []ec2api.InstanceTypeInfoFromInstanceRequirements{}
		for _, t := range All() {
			fits := slices.ContainsFunc(in.ArchitectureTypes, t.Runs) &&
				slices.ContainsFunc(in.VirtualizationTypes, func(v string) bool { return slices.Contains(t.Virtualization(), v) })
			if fits && t.meets(in.InstanceRequirements) {
				items = append(items, ec2api.InstanceTypeInfoFromInstanceRequirements{InstanceType: &t.Name})
			}
		}
		name := func(i ec2api.InstanceTypeInfoFromInstanceRequirements) string { return *i.InstanceType }
		out.InstanceTypes, out.NextToken, err = idiom.Page(c.Operation, items, name, idiom.Limits{Least: 1, Most: 1000}, in.MaxResults, in.NextToken)
		return err
	})
}

// checkKinds refuses architectures and kinds of virtualization that there are not.
func checkKinds(architectures, virtualizations []string) error {
	for _, v := range architectures {
		if !slices.Contains([]string{"i386", "x86_64", "arm64", "x86_64_mac", "arm64_mac"}, v) {
			return idiom.InvalidValue("Value (%s) for parameter architectureType is invalid.", v)
		}
	}
	for _, v := range virtualizations {
		if v != "hvm" && v != "paravirtual" {
			return idiom.InvalidValue("Value (%s) for parameter virtualizationType is invalid.", v)
		}
	}
	return nil
}

// maxMatches is how many of the types that meet requirements a fleet chooses from: the cheapest, so that
// several specifications and subnets stay within maxPools.
const maxMatches = 10

// A Match is an instance type that has the attributes, with the kinds of capacity that it is too dear for.
type Match struct {
	Name   string
	Barred []string // spot, on-demand
}

// Meeting are the instance types with the attributes, cheapest first, maxMatches at most. The first generations,
// which cannot have encrypted volumes, are taken if there are no others: a launch on them fails wherever volumes are
// encrypted. Prices are those of the unit that the capacity is counted in.
// Source: EC2 API Reference, InstanceRequirementsRequest.
func Meeting(r *ec2api.InstanceRequirementsRequest, arch, unit string) []Match {
	var out []Type
	for _, t := range All() {
		if t.Runs(arch) && t.meets(r) {
			out = append(out, t)
		}
	}
	if slices.ContainsFunc(out, Type.Encrypts) {
		out = slices.DeleteFunc(out, func(t Type) bool { return !t.Encrypts() })
	}
	slices.SortFunc(out, func(a, b Type) int {
		return cmp.Or(cmp.Compare(a.OnDemandMicro(), b.OnDemandMicro()), cmp.Compare(a.Name, b.Name))
	})
	limit := priceLimits(r, out, unit)
	var found []Match
	for _, t := range out {
		if barred := limit(t); len(barred) < 2 && len(found) < maxMatches {
			found = append(found, Match{t.Name, barred})
		}
	}
	return found
}

// What a type may cost above the cheapest one, in percent, if requirements name no limit.
// Source: EC2 API Reference, InstanceRequirementsRequest, Default.
const (
	spotAbove     = 100
	onDemandAbove = 20
)

// priceLimits says for which kinds of capacity a type is too dear: a percentage above the cheapest type of the current
// C, M and R families, if there is none the cheapest of the current generation, else of all.
// Source: EC2 API Reference, InstanceRequirementsRequest, SpotMaxPricePercentageOverLowestPrice,
// MaxSpotPriceAsPercentageOfOptimalOnDemandPrice and OnDemandMaxPricePercentageOverLowestPrice.
func priceLimits(r *ec2api.InstanceRequirementsRequest, all []Type, unit string) func(Type) []string {
	price := func(t Type) float64 {
		per := 1.0
		switch unit {
		case ec2api.TargetCapacityUnitTypeVcpu:
			per = float64(t.VCPUs)
		case ec2api.TargetCapacityUnitTypeMemoryMib:
			per = float64(t.MemoryMiB)
		}
		return float64(t.OnDemandMicro()) / per
	}
	least := func(among func(Type) bool) (best float64) {
		for _, t := range all {
			if among(t) && (best == 0 || price(t) < best) {
				best = price(t)
			}
		}
		return best
	}
	base := cmp.Or(least(func(t Type) bool {
		return t.Current() && strings.ContainsRune("cmr", rune(t.Name[0])) && t.Name[1] >= '0' && t.Name[1] <= '9'
	}),
		least(func(t Type) bool { return t.Current() }), least(func(Type) bool { return true }))
	above := func(percent *int32, otherwise int32, v float64) bool {
		if percent == nil {
			percent = &otherwise
		}
		return v > base*(1+float64(*percent)/100)+1e-6
	}
	return func(t Type) (barred []string) {
		v := price(t)
		spot := above(r.SpotMaxPricePercentageOverLowestPrice, spotAbove, v)
		if p := r.MaxSpotPriceAsPercentageOfOptimalOnDemandPrice; p != nil {
			spot = float64(launch.SpotPrice(t.OnDemandMicro()))*v/float64(t.OnDemandMicro()) > base*float64(*p)/100+1e-6
		}
		if spot {
			barred = append(barred, "spot")
		}
		if above(r.OnDemandMaxPricePercentageOverLowestPrice, onDemandAbove, v) {
			barred = append(barred, "on-demand")
		}
		return barred
	}
}

// CheckFactors refuses to choose types by their performance, of which nothing is known here, and by two limits of the
// price of Spot Instances.
func CheckFactors(r *ec2api.InstanceRequirementsRequest) error {
	switch {
	case r == nil:
	case r.BaselinePerformanceFactors != nil:
		return apierr.New("UnsupportedOperation", "This server does not choose instance types by BaselinePerformanceFactors.")
	case r.SpotMaxPricePercentageOverLowestPrice != nil && r.MaxSpotPriceAsPercentageOfOptimalOnDemandPrice != nil:
		return apierr.New("InvalidParameterCombination", "SpotMaxPricePercentageOverLowestPrice and MaxSpotPriceAsPercentageOfOptimalOnDemandPrice cannot be specified together.")
	}
	return nil
}

// meets reports whether the type has the attributes. Without a word of them, types that are bare metal or
// burstable are left out. Source: EC2 API Reference, InstanceRequirementsRequest.
func (t Type) meets(r *ec2api.InstanceRequirementsRequest) bool {
	named := func(pattern string) bool { ok, _ := path.Match(pattern, t.Name); return ok }
	maker := map[string]string{"Intel": "intel", "AMD": "amd", "AWS": "amazon-web-services"}[t.Family.Maker]
	generation := map[bool]string{true: "current", false: "previous"}[t.Current()]
	perCPU := float64(t.MemoryMiB) / 1024 / float64(t.VCPUs)
	switch {
	case r.VCpuCount != nil && !between(t.VCPUs, r.VCpuCount.Min, r.VCpuCount.Max):
	case r.MemoryMiB != nil && !between(int32(t.MemoryMiB), r.MemoryMiB.Min, r.MemoryMiB.Max):
	case r.MemoryGiBPerVCpu != nil && !between(perCPU, r.MemoryGiBPerVCpu.Min, r.MemoryGiBPerVCpu.Max):
	case len(r.CpuManufacturers) > 0 && !slices.Contains(r.CpuManufacturers, maker):
	case len(r.InstanceGenerations) > 0 && !slices.Contains(r.InstanceGenerations, generation):
	case !chosen(r.BurstablePerformance, "excluded", t.Burstable()), !chosen(r.BareMetal, "excluded", t.Metal()):
	case api.Val(r.RequireHibernateSupport) && !t.Hibernates():
	case api.Val(r.RequireEncryptionInTransit) && !t.EncryptsInTransit():
	case r.BaselineEbsBandwidthMbps != nil && !between(t.EBS.BaselineMbps, r.BaselineEbsBandwidthMbps.Min, r.BaselineEbsBandwidthMbps.Max):
	case r.NetworkInterfaceCount != nil && !between(t.ENIs, r.NetworkInterfaceCount.Min, r.NetworkInterfaceCount.Max):
	case r.NetworkBandwidthGbps != nil && !between(cmp.Or(t.BaselineGigabits(), t.Gigabits()), r.NetworkBandwidthGbps.Min, r.NetworkBandwidthGbps.Max):
	case !t.stores(r), !t.accelerates(r):
	case slices.ContainsFunc(r.ExcludedInstanceTypes, named):
	case len(r.AllowedInstanceTypes) > 0 && !slices.ContainsFunc(r.AllowedInstanceTypes, named):
	default:
		return true
	}
	return false
}

// stores reports whether the type has the local storage that is asked for.
func (t Type) stores(r *ec2api.InstanceRequirementsRequest) bool {
	total := r.TotalLocalStorageGB
	return chosen(r.LocalStorage, "included", t.Disks.Count > 0) &&
		(len(r.LocalStorageTypes) == 0 || t.Disks.Count == 0 || slices.Contains(r.LocalStorageTypes, t.Disks.Kind)) &&
		(total == nil || between(float64(t.Disks.Count)*float64(t.Disks.GB), total.Min, total.Max))
}

// accelerates reports whether the type has the accelerators that are asked for.
func (t Type) accelerates(r *ec2api.InstanceRequirementsRequest) bool {
	kind, maker, name, mib := "", "", "", int32(0)
	if kind = t.Accelerates(); kind != "" {
		a := t.Family.Accelerator
		maker, name, mib = strings.ToLower(a.Maker), strings.ReplaceAll(strings.ToLower(a.Name), " ", "-"), t.Devices*a.MiB
		switch kind {
		case hardware.Neuron:
			kind, maker = "inference", "amazon-web-services"
		case hardware.FPGA:
			name = "vu9p"
		}
	}
	among := func(asked []string, has string) bool { return len(asked) == 0 || slices.Contains(asked, has) }
	return among(r.AcceleratorTypes, kind) && among(r.AcceleratorManufacturers, maker) && among(r.AcceleratorNames, name) &&
		(r.AcceleratorCount == nil || between(t.Devices, r.AcceleratorCount.Min, r.AcceleratorCount.Max)) &&
		(r.AcceleratorTotalMemoryMiB == nil || between(mib, r.AcceleratorTotalMemoryMiB.Min, r.AcceleratorTotalMemoryMiB.Max))
}

func between[T cmp.Ordered](v T, least, most *T) bool {
	return (least == nil || v >= *least) && (most == nil || v <= *most)
}

// chosen decides by a setting that is included, excluded or required.
func chosen(setting *string, otherwise string, has bool) bool {
	switch cmp.Or(api.Val(setting), otherwise) {
	case "excluded":
		return !has
	case "required":
		return has
	}
	return true
}

// CheckRequirements checks instance requirements in template data. Which codes AWS gives is not documented.
// Source: EC2 API Reference, InstanceRequirementsRequest.
func CheckRequirements(data *ec2api.RequestLaunchTemplateData) error {
	r := data.InstanceRequirements
	switch {
	case r == nil:
	case api.Val(data.InstanceType) != "":
		return ErrTypeAndRequirements()
	case r.VCpuCount == nil || r.VCpuCount.Min == nil:
		return apierr.New("MissingParameter", "The request must contain the parameter InstanceRequirements.VCpuCount.Min")
	case r.MemoryMiB == nil || r.MemoryMiB.Min == nil:
		return apierr.New("MissingParameter", "The request must contain the parameter InstanceRequirements.MemoryMiB.Min")
	case len(r.AllowedInstanceTypes) > 0 && len(r.ExcludedInstanceTypes) > 0:
		return apierr.New("InvalidParameterCombination", "AllowedInstanceTypes and ExcludedInstanceTypes cannot be specified together.")
	}
	return nil
}

// ErrTypeAndRequirements is the error about a launch that names a type and asks for attributes.
func ErrTypeAndRequirements() error {
	return apierr.New("InvalidParameterCombination", "InstanceType and InstanceRequirements cannot be specified together.")
}
