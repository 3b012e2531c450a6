package ec2

import (
	"strconv"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/launch"
)

// takeSpot moves a wish for a Spot Instance out of the market options, of which no other is known.
func (m *merged) takeSpot() {
	o := m.InstanceMarketOptions
	if o == nil || api.Val(o.MarketType) != ec2api.MarketTypeSpot {
		return
	}
	m.InstanceMarketOptions, m.spot = nil, &ec2api.SpotMarketOptions{}
	if o.SpotOptions != nil {
		m.spot = o.SpotOptions
	}
}

// checkSpot refuses what this server has not got, and a price below that of the instance type.
// Prices never change here and capacity never ends: Spot Instances are not interrupted.
// Source: EC2 API Reference, SpotMarketOptions, and "Error codes for the Amazon EC2 API".
func (m *merged) checkSpot() error {
	p := m.spot
	if p == nil {
		return nil
	}
	kind, _ := lookupType(api.Val(m.InstanceType))
	switch {
	case !kind.spot:
		return apierr.Newf("Unsupported", "Spot Instances of the type %s are not supported.", api.Val(m.InstanceType))
	case p.BlockDurationMinutes != nil || p.ValidUntil != nil && api.Val(p.SpotInstanceType) != ec2api.SpotInstanceTypePersistent:
		return apierr.New("InvalidParameterCombination", "A one-time Spot Instance request has neither a duration nor an end.")
	case api.Val(p.SpotInstanceType) != ec2api.SpotInstanceTypePersistent && p.InstanceInterruptionBehavior != nil && *p.InstanceInterruptionBehavior != ec2api.InstanceInterruptionBehaviorTerminate:
		return apierr.New("InvalidParameterCombination", "A one-time Spot Instance request needs the interruption behavior terminate.")
	}
	given := api.Val(p.MaxPrice)
	if given == "" {
		return nil
	}
	bid, err := strconv.ParseFloat(given, 64)
	if err != nil || !(bid > 0) {
		return invalidValue("Value (%s) for parameter spotMaxPrice is invalid. It is a positive number of US dollars.", given)
	}
	if price := launch.SpotPrice(launch.OnDemandPrice(kind.VCPU, kind.MemoryMiB, kind.burstable)); bid*1e6 < float64(price) {
		return apierr.New("SpotMaxPriceTooLow", launch.SpotPriceTooLow(given, launch.Dollars(price)))
	}
	return nil
}

// market is the value of ec2:InstanceMarketType.
func (i *instanceRecord) market() string {
	if i.Options.Spot {
		return ec2api.MarketTypeSpot
	}
	return "on-demand"
}

// spotRequest is the id of the request behind a Spot Instance, or "".
func (i *instanceRecord) spotRequest() string {
	if !i.Options.Spot {
		return ""
	}
	if i.Options.SpotRequest != "" {
		return i.Options.SpotRequest
	}
	return "sir-" + i.ID[len(i.ID)-8:]
}

// lifecycle is the InstanceLifecycle: On-Demand instances have none.
func (i *instanceRecord) lifecycle() string {
	if !i.Options.Spot {
		return ""
	}
	return ec2api.InstanceLifecycleTypeSpot
}
