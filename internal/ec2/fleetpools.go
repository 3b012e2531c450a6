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

// typesMeeting are the instance types with the attributes, cheapest first.
// Source: EC2 API Reference, InstanceRequirementsRequest.
func typesMeeting(r *ec2api.InstanceRequirementsRequest, arch string) []string {
	var out []instanceType
	for _, t := range instanceTypes() {
		if t.runs(arch) && t.meets(r) {
			out = append(out, t)
		}
	}
	slices.SortFunc(out, func(a, b instanceType) int {
		pa, pb := fleetPool{Type: a.Name, Weight: 1}, fleetPool{Type: b.Name, Weight: 1}
		return cmp.Or(cmp.Compare(pa.price(false), pb.price(false)), cmp.Compare(a.Name, b.Name))
	})
	names := make([]string, len(out))
	for n := range out {
		names[n] = out[n].Name
	}
	return names
}

func (t *instanceType) meets(r *ec2api.InstanceRequirementsRequest) bool {
	named := func(pattern string) bool { ok, _ := path.Match(pattern, t.Name); return ok }
	maker := map[string]string{"Intel": "intel", "AMD": "amd", "AWS": "amazon-web-services"}[t.maker]
	generation := map[bool]string{true: "previous", false: "current"}[t.old]
	perCPU := float64(t.MemoryMiB) / 1024 / float64(t.VCPU)
	switch {
	case r.VCpuCount != nil && (t.VCPU < api.Val(r.VCpuCount.Min) || r.VCpuCount.Max != nil && t.VCPU > *r.VCpuCount.Max):
	case r.MemoryMiB != nil && (t.MemoryMiB < int64(api.Val(r.MemoryMiB.Min)) || r.MemoryMiB.Max != nil && t.MemoryMiB > int64(*r.MemoryMiB.Max)):
	case r.MemoryGiBPerVCpu != nil && (perCPU < api.Val(r.MemoryGiBPerVCpu.Min) || r.MemoryGiBPerVCpu.Max != nil && perCPU > *r.MemoryGiBPerVCpu.Max):
	case len(r.CpuManufacturers) > 0 && !slices.Contains(r.CpuManufacturers, maker):
	case len(r.InstanceGenerations) > 0 && !slices.Contains(r.InstanceGenerations, generation):
	case t.old && len(r.InstanceGenerations) == 0:
	case api.Val(r.BurstablePerformance) == "required" && !t.burstable, (r.BurstablePerformance == nil || *r.BurstablePerformance == "excluded") && t.burstable:
	case api.Val(r.BareMetal) == "required", api.Val(r.LocalStorage) == "required", api.Val(r.RequireHibernateSupport) && !t.hibernates():
	case r.AcceleratorCount != nil && api.Val(r.AcceleratorCount.Min) > 0, len(r.AcceleratorTypes)+len(r.AcceleratorNames)+len(r.AcceleratorManufacturers) > 0:
	case r.NetworkInterfaceCount != nil && t.ENIs < api.Val(r.NetworkInterfaceCount.Min):
	case slices.ContainsFunc(r.ExcludedInstanceTypes, named):
	case len(r.AllowedInstanceTypes) > 0 && !slices.ContainsFunc(r.AllowedInstanceTypes, named):
	default:
		return true
	}
	return false
}
