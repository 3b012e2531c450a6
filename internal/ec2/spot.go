package ec2

import (
	"context"
	"strconv"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/ec2/instancetype"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/store"
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
	kind, ok := instancetype.Lookup(api.Val(m.InstanceType))
	switch {
	case !ok || !kind.Spot():
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
	if price := launch.SpotPrice(kind.OnDemandMicro()); bid*1e6 < float64(price) {
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

// ownSpot is the Spot Instance request that the launch of the instance made, or "".
func (i *instanceRecord) ownSpot() string {
	if i.Options.SpotRequest != "" {
		return ""
	}
	return i.spotRequest()
}

// lifecycle is the InstanceLifecycle: On-Demand instances have none.
func (i *instanceRecord) lifecycle() string {
	if !i.Options.Spot {
		return ""
	}
	return ec2api.InstanceLifecycleTypeSpot
}

// spotFollows has the request of a Spot Instance tell that its user stopped or started it.
// Source: EC2 User Guide, "Stop a Spot Instance".
func (s *Service) spotFollows(tx store.Tx, i *instanceRecord) error {
	if !i.Options.Spot || i.State != stopped && i.State != running {
		return nil
	}
	r, ok, err := spotTable.Get(tx, i.Region, i.Account, i.spotRequest())
	switch {
	case err != nil || !ok:
		return err
	case i.State == stopped && r.State == spotActive:
		r.to(s.g.Now(), spotDisabled, "instance-stopped-by-user")
	case i.State == running && r.State == spotDisabled:
		r.to(s.g.Now(), spotActive, "fulfilled")
	default:
		return nil
	}
	return putSpot(tx, r)
}

// endSpot terminates the stopped instance of a request that was cancelled, as the role of EC2 Spot.
// Source: EC2 User Guide, "Terminate a Spot Instance".
func (s *Service) endSpot(region, account, instance string) {
	if !s.life.enter() {
		return
	}
	defer s.life.leave()
	call, as, err := s.serviceCall(context.Background(), spotService, region, account, "CancelSpotInstanceRequests")
	if err == nil {
		err = s.terminateAs(context.Background(), call, as, []string{instance})
	}
	s.unlessInterrupted("the stopped Spot Instance of a cancelled request was not terminated", instance, err)
}

// spotEnded closes the request of an instance that is gone; a persistent one asks again, unless its
// launch failed.
func (s *Service) spotEnded(region, account, instance string) {
	again := false
	var r spotRecord
	err := s.g.Change(context.Background(), func(tx store.Tx) error {
		again = false
		i, ok, err := instanceTable.Get(tx, region, account, instance)
		if err != nil || !ok || !i.Options.Spot {
			return err
		}
		r, ok, err = spotTable.Get(tx, region, account, i.spotRequest())
		if err != nil || !ok || r.State == spotClosed || r.State == spotFailed {
			return err
		}
		now := s.g.Now()
		switch {
		case r.State == spotCancelled:
			r.to(now, spotCancelled, "instance-terminated-by-user")
		case i.Reason != nil && *i.Reason != reasonTerminate:
			r.to(now, spotFailed, "bad-parameters")
			r.Fault = i.Reason
		case r.Type == ec2api.SpotInstanceTypePersistent && r.Launch != nil:
			r.to(now, spotOpen, "pending-evaluation")
			r.Instance, r.Zone, r.ZoneID = "", "", ""
			again = true
		default:
			r.to(now, spotClosed, "instance-terminated-by-user")
		}
		return putSpot(tx, r)
	})
	s.unlessInterrupted("a Spot Instance request was not closed", instance, err)
	if again {
		s.spotLater(r, s.timing.Volume)
	}
}
