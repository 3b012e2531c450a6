package autoscaling

import (
	"context"
	"slices"
	"strconv"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/guard"
)

// maxOverrides is the most overrides of a policy. Source: User Guide, "Quotas for Auto Scaling
// resources and groups".
const maxOverrides = 40

// Allocation strategies. Source: API Reference, InstancesDistribution.
const (
	lowestPrice   = "lowest-price"
	prioritized   = "prioritized"
	optimized     = "capacity-optimized"
	optimizedPrio = "capacity-optimized-prioritized"
	optimizedCost = "price-capacity-optimized"
)

// mixedRecord is a mixed instances policy.
type mixedRecord struct {
	Template       templateRef
	Overrides      []overrideRecord `json:",omitempty"`
	OnDemand, Spot string           // allocation strategies
	Base, Percent  int32
	Pools          int32  `json:",omitempty"` // only of lowest-price
	MaxPrice       string `json:",omitempty"`
}

// overrideRecord is one of the kinds of instance that a policy chooses from.
type overrideRecord struct {
	Type     string      `json:",omitempty"`
	Weight   string      `json:",omitempty"` // as given
	Image    string      `json:",omitempty"`
	Template templateRef `json:",omitzero"` // in place of the policy's
	// Requirements stand in place of a type; Arch is the image's architecture.
	Requirements *autoscalingapi.InstanceRequirements `json:",omitempty"`
	Arch         string                               `json:",omitempty"`
}

// weight is how many units of the group's capacity an instance counts for.
func (o *overrideRecord) weight() int32 {
	n, err := strconv.ParseInt(o.Weight, 10, 32)
	if err != nil {
		return 1
	}
	return int32(n)
}

// onDemand is how much of a capacity is to be On-Demand: the base, and a percentage of the rest,
// rounded up. Source: API Reference, InstancesDistribution; User Guide, "Allocation strategies for
// multiple instance types".
func (m *mixedRecord) onDemand(capacity int32) int32 {
	rest := max(0, int64(capacity-m.Base))
	return min(capacity, m.Base) + int32((rest*int64(m.Percent)+99)/100)
}

// checkMixed reads a policy: of an update, what it does not name stays as it is.
func (s *Service) checkMixed(ctx context.Context, c *guard.Call, g *groupRecord, in *autoscalingapi.MixedInstancesPolicy) error {
	m := mixedRecord{Spot: lowestPrice, Percent: 100}
	if g.Mixed != nil {
		m = *g.Mixed
	}
	if t := in.LaunchTemplate; t != nil {
		if err := s.checkChoices(ctx, c, &m, t); err != nil {
			return err
		}
	}
	if err := m.distribute(in.InstancesDistribution); err != nil {
		return err
	}
	if m.Template.ID == "" {
		return validation("A mixed instances policy needs a LaunchTemplate with a LaunchTemplateSpecification.")
	}
	if err := s.tryMixed(ctx, c, g, &m); err != nil {
		return err
	}
	g.sourceRecord = sourceRecord{Mixed: &m}
	return nil
}

// tryPart is try for an instance of a policy.
func (s *Service) tryPart(ctx context.Context, c *guard.Call, g *groupRecord, l launchRecord) error {
	return s.try(ctx, c, g, l, l.Template.ID)
}

// tryMixed has EC2 try each kind of instance of a policy.
func (s *Service) tryMixed(ctx context.Context, c *guard.Call, g *groupRecord, m *mixedRecord) error {
	if len(m.Overrides) == 0 {
		return s.tryPart(ctx, c, g, m.launch(&overrideRecord{}))
	}
	var k market
	if m.byRequirements() {
		var err error
		if k, err = s.survey(ctx, c, c.Caller.Via(Principal), m.Overrides); err != nil {
			return ec2Refusal(err, "")
		}
	}
	m.Overrides = slices.Clone(m.Overrides) // an update that fails changes nothing
	for i := range m.Overrides {
		o := &m.Overrides[i]
		err := error(nil)
		if o.Requirements != nil {
			err = s.settleArch(ctx, c, g, m, o, &k)
		} else {
			err = s.tryPart(ctx, c, g, m.launch(o))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// launch is an On-Demand launch of one of the kinds.
func (m *mixedRecord) launch(o *overrideRecord) launchRecord {
	l := launchRecord{Template: m.Template, Type: o.Type, Image: o.Image, Weight: o.weight(), Weighted: o.Weight != ""}
	if o.Template.ID != "" {
		l.Template = o.Template
	}
	return l
}

// checkChoices reads the templates and overrides of a policy, which replace what was there.
func (s *Service) checkChoices(ctx context.Context, c *guard.Call, m *mixedRecord, t *autoscalingapi.LaunchTemplate) error {
	if t.LaunchTemplateSpecification != nil {
		ref, err := s.mixable(ctx, c, t.LaunchTemplateSpecification)
		if err != nil {
			return err
		}
		m.Template = ref
	}
	if len(t.Overrides) > maxOverrides {
		return validation("A mixed instances policy can have at most %d overrides.", maxOverrides)
	}
	m.Overrides = nil
	sets := 0
	for _, o := range t.Overrides {
		r := overrideRecord{
			Type: api.Val(o.InstanceType), Weight: api.Val(o.WeightedCapacity), Image: api.Val(o.ImageId), Requirements: o.InstanceRequirements,
		}
		if r.Requirements != nil {
			if r.Type != "" {
				return validation("An override names either an InstanceType or InstanceRequirements, not both.")
			}
			if err := checkRequirements(r.Requirements); err != nil {
				return err
			}
			sets++
		}
		if r.Weight != "" {
			if n, err := strconv.Atoi(r.Weight); err != nil || n < 1 || n > 999 {
				return validation("Invalid WeightedCapacity: %s. It is a whole number from 1 to 999.", r.Weight)
			}
		}
		if slices.ContainsFunc(m.Overrides, func(x overrideRecord) bool { return r.Type != "" && x.Type == r.Type }) {
			return validation("The instance type %s is named by two overrides.", r.Type)
		}
		if o.LaunchTemplateSpecification != nil {
			var err error
			if r.Template, err = s.mixable(ctx, c, o.LaunchTemplateSpecification); err != nil {
				return err
			}
		}
		m.Overrides = append(m.Overrides, r)
	}
	if n := m.weights(); n != 0 && n != len(m.Overrides) {
		return validation("If one override has a WeightedCapacity, all of them must have one.")
	}
	if sets > maxRequirements {
		return validation("A mixed instances policy can have at most %d sets of InstanceRequirements.", maxRequirements)
	}
	return nil
}

// byRequirements reports whether types are chosen by what they must have.
func (m *mixedRecord) byRequirements() bool {
	return slices.ContainsFunc(m.Overrides, func(o overrideRecord) bool { return o.Requirements != nil })
}

// weights is how many overrides have a weight.
func (m *mixedRecord) weights() (n int) {
	for _, o := range m.Overrides {
		if o.Weight != "" {
			n++
		}
	}
	return n
}

// mixable finds a template that can be part of a policy: it must not ask for Spot itself.
// Code and text: seen in public reports.
func (s *Service) mixable(ctx context.Context, c *guard.Call, spec *autoscalingapi.LaunchTemplateSpecification) (templateRef, error) {
	ref, data, err := s.checkTemplate(ctx, c, spec)
	if err == nil && data.InstanceMarketOptions != nil && api.Val(data.InstanceMarketOptions.MarketType) == ec2api.MarketTypeSpot {
		err = apierr.New("InvalidQueryParameter", "Incompatible launch template: You cannot use a launch template that is set to request "+
			"Spot Instances (InstanceMarketOptions) when you configure an Auto Scaling group with a mixed instances policy. "+
			"Add a different launch template to the group and try again.")
	}
	return ref, err
}

// distribute reads how a policy divides the capacity.
func (m *mixedRecord) distribute(d *autoscalingapi.InstancesDistribution) error {
	if d == nil {
		d = &autoscalingapi.InstancesDistribution{}
	}
	byRequirements := m.byRequirements()
	if m.OnDemand == "" {
		m.OnDemand = prioritized
		if byRequirements {
			m.OnDemand = lowestPrice
		}
	}
	set(&m.OnDemand, d.OnDemandAllocationStrategy)
	set(&m.Spot, d.SpotAllocationStrategy)
	set(&m.Base, d.OnDemandBaseCapacity)
	set(&m.Percent, d.OnDemandPercentageAboveBaseCapacity)
	set(&m.Pools, d.SpotInstancePools)
	set(&m.MaxPrice, d.SpotMaxPrice)
	switch {
	case !slices.Contains([]string{prioritized, lowestPrice}, m.OnDemand):
		return validation("Invalid OnDemandAllocationStrategy: %s. Valid values are %s and %s.", m.OnDemand, prioritized, lowestPrice)
	case !slices.Contains([]string{lowestPrice, optimized, optimizedPrio, optimizedCost}, m.Spot):
		return validation("Invalid SpotAllocationStrategy: %s.", m.Spot)
	case byRequirements && (m.OnDemand == prioritized || m.Spot == optimizedPrio):
		return validation("Types that are chosen by InstanceRequirements have no order: the allocation strategies %s and %s cannot be used.", prioritized, optimizedPrio)
	case m.Base < 0:
		return validation("OnDemandBaseCapacity must not be negative.")
	case m.Percent < 0 || m.Percent > 100:
		return validation("OnDemandPercentageAboveBaseCapacity must be between 0 and 100.")
	case m.Spot == lowestPrice && m.Pools == 0:
		m.Pools = 2
	case m.Spot == lowestPrice && (m.Pools < 1 || m.Pools > 20):
		return validation("SpotInstancePools must be between 1 and 20.")
	case m.Spot != lowestPrice && api.Val(d.SpotInstancePools) != 0:
		return validation("SpotInstancePools option is only available with the lowest-price allocation strategy.")
	}
	if m.Spot != lowestPrice {
		m.Pools = 0
	}
	if m.MaxPrice != "" && !isPrice(m.MaxPrice) {
		return validation("Invalid Spot max price: %s. It is a positive number of US dollars.", m.MaxPrice)
	}
	return nil
}

// describe is the policy as the group shows it, with the defaults filled in.
func (m *mixedRecord) describe() *autoscalingapi.MixedInstancesPolicy {
	if m == nil {
		return nil
	}
	out := &autoscalingapi.MixedInstancesPolicy{
		LaunchTemplate: &autoscalingapi.LaunchTemplate{LaunchTemplateSpecification: m.Template.spec(), Overrides: []autoscalingapi.LaunchTemplateOverrides{}},
		InstancesDistribution: &autoscalingapi.InstancesDistribution{
			OnDemandAllocationStrategy: &m.OnDemand, OnDemandBaseCapacity: &m.Base, OnDemandPercentageAboveBaseCapacity: &m.Percent,
			SpotAllocationStrategy: &m.Spot, SpotInstancePools: api.Opt(m.Pools), SpotMaxPrice: api.Opt(m.MaxPrice),
		},
	}
	for _, o := range m.Overrides {
		out.LaunchTemplate.Overrides = append(out.LaunchTemplate.Overrides, autoscalingapi.LaunchTemplateOverrides{
			InstanceType: api.Opt(o.Type), WeightedCapacity: api.Opt(o.Weight), ImageId: api.Opt(o.Image), LaunchTemplateSpecification: o.Template.spec(),
			InstanceRequirements: o.Requirements,
		})
	}
	return out
}
