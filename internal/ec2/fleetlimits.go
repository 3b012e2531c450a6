package ec2

import (
	"math"
	"slices"
	"strconv"

	json "github.com/go-json-experiment/json"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/ec2/instancetype"
	"github.com/kagimori/kagimori/internal/guard"
)

// capacityLimits are what a fleet's options say of one kind of capacity, On-Demand or Spot.
type capacityLimits struct {
	oneType, oneZone bool
	least            int32
	price            string // most for an hour; "": any
	pools            int    // of the lowest price, to spread over
}

// micro is the most that an hour may cost in millionths of a dollar; ok is false if there is no limit.
func (l *capacityLimits) micro() (_ float64, ok bool) {
	v, err := strconv.ParseFloat(l.price, 64)
	return v * 1e6, err == nil
}

// limits are those of a stored fleet.
func (f *fleetRecord) limits(spot bool) (l capacityLimits, err error) {
	if f.spotFleet() {
		var d ec2api.SpotFleetRequestConfigData
		if err := json.Unmarshal(f.Config, &d); err != nil {
			return l, err
		}
		if !spot {
			return capacityLimits{price: api.Val(d.OnDemandMaxTotalPrice)}, nil
		}
		return capacityLimits{price: api.Val(d.SpotMaxTotalPrice), pools: int(api.Val(d.InstancePoolsToUseCount))}, nil
	}
	var in ec2api.CreateFleetRequest
	if err := json.Unmarshal(f.Config, &in); err != nil {
		return l, err
	}
	if spot {
		return spotLimits(in.SpotOptions), nil
	}
	return onDemandLimits(in.OnDemandOptions), nil
}

func onDemandLimits(o *ec2api.OnDemandOptionsRequest) (l capacityLimits) {
	if o != nil {
		l = capacityLimits{
			oneType: api.Val(o.SingleInstanceType), oneZone: api.Val(o.SingleAvailabilityZone), least: api.Val(o.MinTargetCapacity), price: api.Val(o.MaxTotalPrice),
		}
	}
	return l
}

func spotLimits(o *ec2api.SpotOptionsRequest) (l capacityLimits) {
	if o != nil {
		l = capacityLimits{
			oneType: api.Val(o.SingleInstanceType), oneZone: api.Val(o.SingleAvailabilityZone), least: api.Val(o.MinTargetCapacity), price: api.Val(o.MaxTotalPrice),
			pools: int(api.Val(o.InstancePoolsToUseCount)),
		}
	}
	return l
}

// check refuses limits that a fleet of a type does not have.
// Source: EC2 API Reference, SpotOptionsRequest and OnDemandOptionsRequest.
func (l *capacityLimits) check(kind string) error {
	switch {
	case l.least < 0:
		return invalidValue("Value (%d) for parameter MinTargetCapacity is invalid. It is not negative.", l.least)
	case kind != fleetInstant && (l.least != 0 || l.oneType || l.oneZone):
		return apierr.New("InvalidParameterCombination", "MinTargetCapacity, SingleInstanceType and SingleAvailabilityZone are supported only for fleets of type instant.")
	case l.least > 0 && !l.oneType && !l.oneZone:
		return apierr.New("InvalidParameterCombination", "MinTargetCapacity needs SingleInstanceType or SingleAvailabilityZone.")
	}
	return checkPrice("MaxTotalPrice", l.price)
}

func checkPrice(name, price string) error {
	if v, err := strconv.ParseFloat(price, 64); price != "" && (err != nil || !(v > 0)) {
		return invalidValue("Invalid value '%s' for %s.", price, name)
	}
	return nil
}

// checkRebalance refuses a replacement of instances at risk that EC2 does not know.
// Source: EC2 API Reference, FleetSpotCapacityRebalanceRequest; codes and texts (the second one names the other strategy)
// as AWS gives them, reported in hashicorp/terraform-provider-aws issue 39531.
func checkRebalance(kind string, strategy *string, delay *int32) error {
	switch {
	case kind != fleetMaintain:
		return apierr.New("InvalidParameterCombination", "Capacity rebalancing is supported only for fleets of type maintain.")
	case api.Val(strategy) == "launch-before-terminate" && (delay == nil || *delay < 120 || *delay > 7200):
		return apierr.New("InvalidFleetConfig", "TerminationDelay cannot be less than 120 seconds or more than 7200 seconds (2 hours).")
	case api.Val(strategy) != "launch-before-terminate" && delay != nil:
		return apierr.New("InvalidParameterCombination", "TerminationDelay is not compatible with SpotMaintenanceStrategies.CapacityRebalance.ReplacementStrategy launch-before-terminate.")
	}
	return nil
}

// checkOptions refuses options of a fleet that it cannot have.
func checkOptions(c *guard.Call, kind string, in *ec2api.CreateFleetRequest) error {
	onDemand, spot := onDemandLimits(in.OnDemandOptions), spotLimits(in.SpotOptions)
	if err := onDemand.check(kind); err != nil {
		return err
	}
	if err := spot.check(kind); err != nil {
		return err
	}
	if o := in.OnDemandOptions; o != nil && o.CapacityReservationOptions != nil && api.Val(o.CapacityReservationOptions.UsageStrategy) != "" && kind != fleetInstant {
		return apierr.New("InvalidParameterCombination", "CapacityReservationOptions are supported only for fleets of type instant.")
	}
	if r := in.ReservedCapacityOptions; r != nil && len(r.ReservationTypes) > 0 {
		return apierr.New("UnsupportedOperation", "This server has no interruptible Capacity Reservations.")
	}
	if o := in.SpotOptions; o != nil && o.MaintenanceStrategies != nil && o.MaintenanceStrategies.CapacityRebalance != nil {
		r := o.MaintenanceStrategies.CapacityRebalance
		if err := checkRebalance(kind, r.ReplacementStrategy, r.TerminationDelay); err != nil {
			return err
		}
	}
	return checkContext(c, in.Context)
}

// checkContext refuses a parameter that is reserved. Sources: EC2 API Reference, CreateFleet, Context; the answer is that
// which Terraform's provider has from AWS.
func checkContext(c *guard.Call, context *string) error {
	if api.Val(context) != "" {
		return apierr.Newf("UnauthorizedOperation", "The account \"%s\" is not allowed to access Context \"%s\".", c.Account(), *context)
	}
	return nil
}

// unitsOf is how many units of a fleet's capacity an instance of a type is; 0 if they are instances or weights.
// Source: EC2 API Reference, TargetCapacitySpecificationRequest, TargetCapacityUnitType.
func unitsOf(unit, kind string) float64 {
	t, ok := instancetype.Lookup(kind)
	switch {
	case ok && unit == ec2api.TargetCapacityUnitTypeVcpu:
		return float64(t.VCPUs)
	case ok && unit == ec2api.TargetCapacityUnitTypeMemoryMib:
		return float64(t.MemoryMiB)
	}
	return 0
}

// checkSize refuses more instances than a fleet has here.
func (f *fleetRecord) checkSize() error {
	for n := range f.Pools {
		if float64(f.OnDemand+f.Spot) > maxFleet*max(1, f.Pools[n].Weight) {
			return apierr.Newf("InvalidTargetCapacity", "The target capacity is limited to %d instances here.", maxFleet)
		}
	}
	return nil
}

// choose is the pool from which a fleet launches next, and how many; -1 if none is left. Those that cost more than
// what is left to pay are passed over: capped says so.
func (r *filling) choose(spot bool, failed map[int]bool) (pool, count int, err error) {
	f := r.f
	l, err := f.limits(spot)
	if err != nil {
		return -1, 0, err
	}
	lacks, by := float64(f.OnDemand)-r.census.onDemand, f.OnDemandBy
	if spot {
		lacks, by = float64(f.Spot)-r.census.spot, f.SpotBy
	}
	if lacks <= 0 {
		return -1, 0, nil
	}
	first := slices.IndexFunc(r.census.members, func(m memberRecord) bool { return m.Spot == spot })
	for _, n := range f.order(r.census, spot, l.pools) {
		p := &f.Pools[n]
		if failed[n] || p.barred(spot) {
			continue
		}
		if first >= 0 {
			m := &r.census.members[first]
			if l.oneType && p.Type != m.Type || l.oneZone && n != m.Pool && p.Zone != m.Zone {
				continue
			}
		}
		count := min(togetherInstances, int(math.Ceil(lacks/p.Weight)))
		if by == ec2api.SpotAllocationStrategyDiversified || l.pools > 1 {
			count = 1
		}
		if most, ok := l.micro(); ok {
			each := p.price(spot) * p.Weight
			if each > 0 {
				count = min(count, max(0, int((most-r.census.cost(spot)+1)/each)))
			}
			if count == 0 {
				r.capped = true
				continue
			}
		}
		return n, count, nil
	}
	return -1, 0, nil
}

// cost of an hour of what a fleet has of a kind, in millionths of a dollar.
func (n *fleetCensus) cost(spot bool) (micro float64) {
	for _, m := range n.members {
		if m.Spot == spot {
			p := fleetPool{Type: m.Type, Weight: 1}
			micro += p.price(spot)
		}
	}
	return micro
}
