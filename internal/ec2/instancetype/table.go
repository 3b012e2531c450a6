package instancetype

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/ec2/hardware"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/launch"
)

// A Type is a type that can be launched.
type Type struct{ *hardware.Type }

// All are all types, which every region and zone offers.
func All() []Type {
	all := hardware.All()
	out := make([]Type, len(all))
	for n, t := range all {
		out[n] = Type{t}
	}
	return out
}

// Lookup finds an instance type by its name.
func Lookup(name string) (Type, bool) {
	t, ok := hardware.Lookup(name)
	return Type{t}, ok
}

// CheckVolumes refuses more EBS volumes than an instance of a type can have. Source: EC2 User Guide, "Amazon
// EBS volume limits for Amazon EC2 instances"; EC2 API Reference, "Error codes".
func CheckVolumes(kind string, n int) error {
	if t, ok := Lookup(kind); ok && n > int(t.Volumes) {
		return apierr.Newf("AttachmentLimitExceeded", "An instance of the type %s can have at most %d volumes.", kind, t.Volumes)
	}
	return nil
}

// OnDemandMicro is the price of an hour On-Demand, in millionths of a US dollar.
func (t Type) OnDemandMicro() int64 {
	accelerators := int64(0)
	if a := t.Family.Accelerator; a != nil {
		accelerators = int64(t.Devices) * int64(a.MiB)
	}
	return launch.OnDemandPrice(t.VCPUs, t.MemoryMiB, accelerators, t.Burstable())
}

// OnDemandPrice and SpotPrice are the prices of an hour as texts of AWS have them.
func (t Type) OnDemandPrice() string { return dollars(t.OnDemandMicro()) }

// SpotPrice is that of a Spot Instance.
func (t Type) SpotPrice() string { return dollars(launch.SpotPrice(t.OnDemandMicro())) }

func dollars(micro int64) string { return strconv.FormatFloat(float64(micro)/1e6, 'f', 6, 64) }

// CheckSevSnp refuses AMD SEV-SNP for types that do not have it. Source: EC2 User Guide, "AMD SEV-SNP for Amazon EC2
// instances", "Supported instance types".
func (t Type) CheckSevSnp(value string) error {
	family, _, _ := strings.Cut(t.Name, ".")
	switch {
	case value != ec2api.AmdSevSnpSpecificationEnabled && value != ec2api.AmdSevSnpSpecificationDisabled:
		return idiom.InvalidValue("Value (%s) for parameter AmdSevSnp is invalid. Valid values: enabled, disabled.", value)
	case value == ec2api.AmdSevSnpSpecificationEnabled && !slices.Contains([]string{"m6a", "c6a", "r6a"}, family):
		return apierr.Newf("InvalidParameterCombination", "The instance type %s does not support AMD SEV-SNP.", t.Name)
	}
	return nil
}

// CheckNested refuses nested virtualization for types that do not have it. Source: EC2 API Reference, CpuOptionsRequest,
// NestedVirtualization: C8i, M8i, R8i and their flex variants.
func (t Type) CheckNested(value string) error {
	family, _, _ := strings.Cut(t.Name, ".")
	switch {
	case value != ec2api.NestedVirtualizationSpecificationEnabled && value != ec2api.NestedVirtualizationSpecificationDisabled:
		return idiom.InvalidValue("Value (%s) for parameter NestedVirtualization is invalid. Valid values: enabled, disabled.", value)
	case value == ec2api.NestedVirtualizationSpecificationEnabled && !slices.Contains([]string{"c8i", "m8i", "r8i"}, strings.TrimSuffix(family, "-flex")):
		return apierr.Newf("InvalidParameterCombination", "The instance type %s does not support nested virtualization.", t.Name)
	}
	return nil
}

// weighted are the families whose bandwidth can be weighted. Source: EC2 User Guide, "EC2 instance bandwidth weighting
// configuration", Supported instance types.
var weighted = []string{
	"m8a", "m8g", "m8gd", "m8i", "m8id", "m8i-flex", "c8a", "c8g", "c8gd", "c8i", "c8id", "c8i-flex",
	"r8a", "r8g", "r8gd", "r8i", "r8id", "r8i-flex", "x8g", "x8aedz", "x8i",
}

// Weightings are the ways to weight a type's bandwidth.
func (t Type) Weightings() []string {
	if slices.Contains(weighted, t.Family.Name) {
		return []string{ec2api.InstanceBandwidthWeightingDefault, ec2api.InstanceBandwidthWeightingVpc1, ec2api.InstanceBandwidthWeightingEbs1}
	}
	return []string{ec2api.InstanceBandwidthWeightingDefault}
}

// CheckWeighting refuses a weighting of bandwidth that the type does not have.
func (t Type) CheckWeighting(value string) error {
	switch {
	case !slices.Contains([]string{"default", "vpc-1", "ebs-1"}, value):
		return idiom.InvalidValue("Value (%s) for parameter BandwidthWeighting is invalid. Valid values: default, vpc-1, ebs-1.", value)
	case !slices.Contains(t.Weightings(), value):
		return apierr.Newf("InvalidParameterCombination", "The instance type %s does not support the bandwidth weighting %s.", t.Name, value)
	}
	return nil
}

// CheckCPU refuses CPU options that the type does not have. Source: EC2 User Guide, "CPU options for Amazon EC2
// instances".
func (t Type) CheckCPU(p *ec2api.CpuOptionsRequest) error {
	cores, threads := api.Val(p.CoreCount), api.Val(p.ThreadsPerCore)
	switch {
	case p.CoreCount == nil || p.ThreadsPerCore == nil:
		return apierr.New("InvalidParameterCombination", "CpuOptions need both CoreCount and ThreadsPerCore.")
	case cores < 1 || cores > t.Cores():
		return idiom.InvalidValue("Value (%d) for parameter CoreCount is invalid for %s. It is from 1 to %d.", cores, t.Name, t.Cores())
	case t.ValidCores() != nil && !slices.Contains(t.ValidCores(), cores):
		valid := strings.ReplaceAll(strings.Trim(fmt.Sprint(t.ValidCores()), "[]"), " ", ", ")
		return idiom.InvalidValue("Value (%d) for parameter CoreCount is invalid for %s. Valid values: %s.", cores, t.Name, valid)
	case threads < 1 || threads > t.Threads():
		return idiom.InvalidValue("Value (%d) for parameter ThreadsPerCore is invalid for %s. It is from 1 to %d.", threads, t.Name, t.Threads())
	}
	return nil
}
