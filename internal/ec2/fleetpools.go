package ec2

import (
	"cmp"
	"path"
	"slices"
	"strings"

	json "github.com/go-json-experiment/json"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// maxPools is how many choices a fleet has at most.
// Source: EC2 User Guide, "Quotas for EC2 Fleet and Spot Fleet".
const maxPools = 300

// poolsOf are the choices of an EC2 Fleet: each override of each template, with each instance type
// that meets its requirements and each of its subnets.
func (s *Service) poolsOf(tx store.Tx, c *guard.Call, configs []ec2api.FleetLaunchTemplateConfigRequest) ([]fleetPool, error) {
	var out []fleetPool
	if len(configs) == 0 {
		return nil, apierr.New("MissingParameter", "The request must contain the parameter LaunchTemplateConfigs")
	}
	tx = store.Remembering(tx) // many overrides of few templates
	for _, config := range configs {
		spec := config.LaunchTemplateSpecification
		if spec == nil || api.Val(spec.LaunchTemplateId) == "" && api.Val(spec.LaunchTemplateName) == "" {
			return nil, apierr.New("MissingParameter", "The request must contain the parameter LaunchTemplateId or LaunchTemplateName")
		}
		if api.Val(spec.Version) == "" {
			return nil, apierr.New("MissingParameter", "The request must contain the parameter Version")
		}
		overrides := config.Overrides
		if len(overrides) == 0 {
			overrides = []ec2api.FleetLaunchTemplateOverridesRequest{{}}
		}
		for n := range overrides {
			more, err := s.overridePools(tx, c, spec, &overrides[n])
			if err != nil {
				return nil, err
			}
			out = append(out, more...)
		}
	}
	if len(out) > maxPools {
		return nil, apierr.Newf("InvalidFleetConfig", "The fleet has more than %d launch specifications and overrides", maxPools)
	}
	return out, nil
}

// overridePools are the choices of one override.
func (s *Service) overridePools(tx store.Tx, c *guard.Call, spec *ec2api.FleetLaunchTemplateSpecificationRequest, o *ec2api.FleetLaunchTemplateOverridesRequest) ([]fleetPool, error) {
	ref := &ec2api.LaunchTemplateSpecification{LaunchTemplateId: spec.LaunchTemplateId, LaunchTemplateName: spec.LaunchTemplateName, Version: spec.Version}
	t, v, err := s.resolveTemplate(tx, c, ref)
	if err != nil {
		return nil, err
	}
	base := fleetPool{Type: cmp.Or(api.Val(o.InstanceType), api.Val(v.Data.InstanceType)), Zone: api.Val(o.AvailabilityZone), Weight: 1, MaxPrice: api.Val(o.MaxPrice)}
	if o.WeightedCapacity != nil {
		if base.Weight = *o.WeightedCapacity; !(base.Weight > 0) {
			return nil, invalidValue("Value (%v) for parameter WeightedCapacity is invalid. It is positive.", base.Weight)
		}
	}
	base.Priority = 1 << 30 // the lowest
	if o.Priority != nil {
		base.Priority = *o.Priority
	}
	if base.Template, err = json.Marshal(ec2api.FleetLaunchTemplateSpecification{LaunchTemplateId: &t.ID, LaunchTemplateName: spec.LaunchTemplateName, Version: spec.Version}, json.OmitZeroStructFields(true)); err != nil {
		return nil, err
	}
	if api.Val(o.InstanceType) != "" && o.InstanceRequirements != nil {
		return nil, errTypeAndRequirements()
	}
	types := []string{api.Val(o.InstanceType)}
	requirements := o.InstanceRequirements
	if requirements == nil && o.InstanceType == nil {
		requirements = v.Data.InstanceRequirements
	}
	if requirements != nil {
		img, err := s.lookupImage(tx, c, cmp.Or(api.Val(o.ImageId), api.Val(v.Data.ImageId)))
		if err != nil {
			return nil, err
		}
		if types = typesMeeting(requirements, img.Architecture); len(types) == 0 {
			return nil, apierr.New("InvalidFleetConfig", "No instance types match the specified instance requirements")
		}
	}
	var out []fleetPool
	for _, typ := range types {
		for subnet := range strings.SplitSeq(api.Val(o.SubnetId), ",") {
			p := base
			p.Type = cmp.Or(typ, base.Type)
			if p.Launch, err = overrideLaunch(ref, o, typ, strings.TrimSpace(subnet)); err != nil {
				return nil, err
			}
			shown := *o
			shown.InstanceType, shown.SubnetId = api.Opt(typ), api.Opt(strings.TrimSpace(subnet))
			if p.Overrides, err = json.Marshal(shown, json.OmitZeroStructFields(true)); err != nil {
				return nil, err
			}
			out = append(out, p)
		}
	}
	return out, nil
}

func overrideLaunch(ref *ec2api.LaunchTemplateSpecification, o *ec2api.FleetLaunchTemplateOverridesRequest, typ, subnet string) (storedLaunch, error) {
	run := ec2api.RunInstancesRequest{LaunchTemplate: ref, InstanceType: api.Opt(typ), ImageId: o.ImageId, SubnetId: api.Opt(subnet), KeyName: o.KeyName, Placement: o.Placement}
	if api.Val(o.AvailabilityZone) != "" || api.Val(o.AvailabilityZoneId) != "" {
		place := api.Val(o.Placement)
		place.AvailabilityZone, place.AvailabilityZoneId = o.AvailabilityZone, o.AvailabilityZoneId
		run.Placement = &place
	}
	for _, m := range o.BlockDeviceMappings {
		b, err := convert[ec2api.BlockDeviceMapping](m)
		if err != nil {
			return storedLaunch{}, err
		}
		run.BlockDeviceMappings = append(run.BlockDeviceMappings, *b)
	}
	return storeLaunch(run)
}

// maxMatches is how many of the types that meet requirements a fleet chooses from: the cheapest, so that
// several specifications and subnets stay within maxPools.
const maxMatches = 10

// typesMeeting are the instance types with the attributes, cheapest first, maxMatches at most. The first generations,
// which cannot have encrypted volumes, are taken if there are no others: a launch on them fails wherever volumes are
// encrypted.
// Source: EC2 API Reference, InstanceRequirementsRequest.
func typesMeeting(r *ec2api.InstanceRequirementsRequest, arch string) []string {
	var out []instanceType
	for _, t := range instanceTypes() {
		if t.Runs(arch) && t.meets(r) {
			out = append(out, t)
		}
	}
	if slices.ContainsFunc(out, instanceType.Encrypts) {
		out = slices.DeleteFunc(out, func(t instanceType) bool { return !t.Encrypts() })
	}
	slices.SortFunc(out, func(a, b instanceType) int {
		pa, pb := fleetPool{Type: a.Name, Weight: 1}, fleetPool{Type: b.Name, Weight: 1}
		return cmp.Or(cmp.Compare(pa.price(false), pb.price(false)), cmp.Compare(a.Name, b.Name))
	})
	names := make([]string, min(len(out), maxMatches))
	for n := range names {
		names[n] = out[n].Name
	}
	return names
}

// meets reports whether the type has the attributes. Without a word of them, types that are bare metal or
// burstable are left out. Source: EC2 API Reference, InstanceRequirementsRequest.
func (t instanceType) meets(r *ec2api.InstanceRequirementsRequest) bool {
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
	case r.NetworkBandwidthGbps != nil && !between(t.Gigabits(), r.NetworkBandwidthGbps.Min, r.NetworkBandwidthGbps.Max):
	case !t.stores(r), !t.accelerates(r):
	case slices.ContainsFunc(r.ExcludedInstanceTypes, named):
	case len(r.AllowedInstanceTypes) > 0 && !slices.ContainsFunc(r.AllowedInstanceTypes, named):
	default:
		return true
	}
	return false
}

// stores reports whether the type has the local storage that is asked for.
func (t instanceType) stores(r *ec2api.InstanceRequirementsRequest) bool {
	total := r.TotalLocalStorageGB
	return chosen(r.LocalStorage, "included", t.Disks.Count > 0) &&
		(len(r.LocalStorageTypes) == 0 || t.Disks.Count == 0 || slices.Contains(r.LocalStorageTypes, t.Disks.Kind)) &&
		(total == nil || between(float64(t.Disks.Count)*float64(t.Disks.GB), total.Min, total.Max))
}

// accelerates reports whether the type has the accelerators that are asked for.
func (t instanceType) accelerates(r *ec2api.InstanceRequirementsRequest) bool {
	kind, maker, name, mib := "", "", "", int32(0)
	if a := t.Family.Accelerator; a != nil && t.Devices > 0 {
		kind, maker, name, mib = "gpu", strings.ToLower(a.Maker), strings.ReplaceAll(strings.ToLower(a.Name), " ", "-"), t.Devices*a.MiB
		if a.NeuronCores > 0 {
			kind, maker = "inference", "amazon-web-services"
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
