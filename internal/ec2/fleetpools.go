package ec2

import (
	"cmp"
	"strings"

	json "github.com/go-json-experiment/json"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/ec2/instancetype"
	"github.com/kagimori/kagimori/internal/ec2/template"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// maxPools is how many choices a fleet has at most.
// Source: EC2 User Guide, "Quotas for EC2 Fleet and Spot Fleet".
const maxPools = 300

// poolsOf are the choices of an EC2 Fleet: each override of each template, with each instance type
// that meets its requirements and each of its subnets.
func (s *Service) poolsOf(tx store.Tx, c *guard.Call, configs []ec2api.FleetLaunchTemplateConfigRequest, unit *string) ([]fleetPool, error) {
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
			more, err := s.overridePools(tx, c, spec, &overrides[n], api.Val(unit))
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
func (s *Service) overridePools(tx store.Tx, c *guard.Call, spec *ec2api.FleetLaunchTemplateSpecificationRequest, o *ec2api.FleetLaunchTemplateOverridesRequest, unit string) ([]fleetPool, error) {
	ref := &ec2api.LaunchTemplateSpecification{LaunchTemplateId: spec.LaunchTemplateId, LaunchTemplateName: spec.LaunchTemplateName, Version: spec.Version}
	t, v, err := template.Resolve(tx, c, ref)
	if err != nil {
		return nil, err
	}
	base := fleetPool{Type: cmp.Or(api.Val(o.InstanceType), api.Val(v.Data.InstanceType)), Weight: 1, MaxPrice: api.Val(o.MaxPrice)}
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
		return nil, instancetype.ErrTypeAndRequirements()
	}
	types := []instancetype.Match{{Name: api.Val(o.InstanceType)}}
	requirements := o.InstanceRequirements
	if requirements == nil && o.InstanceType == nil {
		requirements = v.Data.InstanceRequirements
	}
	if requirements != nil {
		img, err := s.lookupImage(tx, c, cmp.Or(api.Val(o.ImageId), api.Val(v.Data.ImageId)))
		if err != nil {
			return nil, err
		}
		if err := instancetype.CheckFactors(requirements); err != nil {
			return nil, err
		}
		if types = instancetype.Meeting(requirements, img.Architecture, unit); len(types) == 0 {
			return nil, apierr.New("InvalidFleetConfig", "No instance types match the specified instance requirements")
		}
	}
	if requirements == nil && unit != "" && unit != ec2api.TargetCapacityUnitTypeUnits {
		return nil, apierr.New("InvalidFleetConfig", "TargetCapacityUnitType can be specified only with InstanceRequirements")
	}
	var out []fleetPool
	for _, m := range types {
		for subnet := range strings.SplitSeq(api.Val(o.SubnetId), ",") {
			p, subnet := base, strings.TrimSpace(subnet)
			p.Type, p.Barred = cmp.Or(m.Name, base.Type), m.Barred
			if n := unitsOf(unit, p.Type); n > 0 && o.WeightedCapacity == nil {
				p.Weight = n
			}
			if p.Zone, err = s.poolZone(tx, c, o, subnet); err != nil {
				return nil, err
			}
			if p.Launch, err = overrideLaunch(ref, spec, o, v.Data.Placement, m.Name, subnet); err != nil {
				return nil, err
			}
			shown := *o
			shown.InstanceType, shown.SubnetId = api.Opt(m.Name), api.Opt(subnet)
			if p.Overrides, err = json.Marshal(shown, json.OmitZeroStructFields(true)); err != nil {
				return nil, err
			}
			out = append(out, p)
		}
	}
	return out, nil
}

// poolZone is the Availability Zone of a choice, as far as it says one: that of its subnet before the one that it names.
func (s *Service) poolZone(tx store.Tx, c *guard.Call, o *ec2api.FleetLaunchTemplateOverridesRequest, subnet string) (string, error) {
	if subnet != "" {
		where, err := s.lookupSubnet(tx, c, subnet)
		if err == nil || apierr.Code(err) == "" {
			return where.Zone, err
		}
		return "", nil // the launch says that there is no such subnet
	}
	if name := api.Val(o.AvailabilityZone); name != "" || api.Val(o.AvailabilityZoneId) == "" {
		return name, nil
	}
	return zoneByID(c.Region, *o.AvailabilityZoneId)
}

// overrideLaunch is the launch of a choice. A zone that a choice names changes nothing else of the placement that the template says.
func overrideLaunch(ref *ec2api.LaunchTemplateSpecification, spec *ec2api.FleetLaunchTemplateSpecificationRequest, o *ec2api.FleetLaunchTemplateOverridesRequest, placement *ec2api.LaunchTemplatePlacementRequest, typ, subnet string) (storedLaunch, error) {
	run := ec2api.RunInstancesRequest{LaunchTemplate: ref, InstanceType: api.Opt(typ), ImageId: o.ImageId, SubnetId: api.Opt(subnet), KeyName: o.KeyName, Placement: o.Placement, UserData: spec.LaunchTemplateSpecificationUserData}
	if p := o.IamInstanceProfile; p != nil {
		run.IamInstanceProfile = new(ec2api.IamInstanceProfileSpecification(*p))
	}
	if m := o.MetadataOptions; m != nil {
		run.MetadataOptions = &ec2api.InstanceMetadataOptionsRequest{HttpTokens: m.HttpTokens, HttpPutResponseHopLimit: m.HttpPutResponseHopLimit, HttpEndpoint: m.HttpEndpoint}
	}
	if api.Val(o.AvailabilityZone) != "" || api.Val(o.AvailabilityZoneId) != "" {
		place := api.Val(o.Placement)
		if o.Placement == nil && placement != nil {
			p, err := convert[ec2api.Placement](placement)
			if err != nil {
				return storedLaunch{}, err
			}
			place = *p
		}
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
