package ec2

import (
	"cmp"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/ec2/capacity"
	"github.com/kagimori/kagimori/internal/ec2/placement"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// machinery is what package capacity sees of this one.
type machinery struct{ s *Service }

// Uses implements [capacity.Instances].
func (m machinery) Uses(tx store.Tx, c *guard.Call) ([]capacity.Use, error) {
	var out []capacity.Use
	for r, err := range instanceTable.Scan(tx, c.Region, c.Account()) {
		if err != nil {
			return nil, err
		}
		if i := &r.Value; i.State != stopped && !i.gone() {
			out = append(out, *i.use())
		}
	}
	return out, nil
}

// Cluster implements [capacity.Instances].
func (m machinery) Cluster(tx store.Tx, c *guard.Call, name string) error {
	if group, mine := strings.CutPrefix(name, arn.EC2(c.Region, c.Account(), "placement-group/")); mine {
		g, err := placement.For(tx, c, &ec2api.Placement{GroupName: &group})
		if err == nil && g != nil && g.Strategy == "cluster" || err != nil && apierr.Code(err) == "" {
			return err
		}
	}
	return apierr.Newf("InvalidPlacementGroup.Unknown", "There is no cluster placement group '%s'.", name)
}

// Describe implements [capacity.Instances].
func (m machinery) Describe(tx store.Tx, c *guard.Call, kind, id string, p *authz.Part) error {
	return m.s.describeFor(tx, c, kind, id, p)
}

// use is an instance as far as it takes capacity.
func (i *instanceRecord) use() *capacity.Use {
	o := &i.Options
	u := &capacity.Use{
		Host: o.DedicatedHost,
		ID:   i.ID, Type: i.Type, Platform: i.Platform, Zone: i.Zone, Tenancy: o.Tenancy, Spot: o.Spot, Launched: i.Launched,
		Want: capacity.Want{Preference: o.Reservations, Target: o.ReservationTarget},
	}
	if o.Placement != "" {
		u.Group = arn.EC2(i.Region, i.Account, "placement-group/"+o.Placement)
	}
	return u
}

// reserve reads which Capacity Reservations an instance may run in.
// Source: EC2 API Reference, CapacityReservationSpecification.
func (o *instanceOptions) reserve(r *ec2api.CapacityReservationSpecification) error {
	o.Reservations, o.ReservationTarget = api.Val(r.CapacityReservationPreference), ""
	t := r.CapacityReservationTarget
	switch {
	case t == nil:
		return nil
	case api.Val(t.CapacityReservationResourceGroupArn) != "":
		return apierr.New("UnsupportedOperation", "This server does not support resource groups of capacity reservations.")
	case api.Val(t.CapacityReservationId) == "":
		return nil
	case o.Reservations != "" && o.Reservations != ec2api.CapacityReservationPreferenceCapacityReservationsOnly:
		return apierr.New("InvalidParameterCombination", "You can specify a capacity reservation preference or a target, not both.")
	}
	o.ReservationTarget = *t.CapacityReservationId
	return nil
}

// wantsReservations is what reserve read, as answers carry it.
func (o *instanceOptions) wantsReservations() *ec2api.CapacityReservationSpecificationResponse {
	out := &ec2api.CapacityReservationSpecificationResponse{CapacityReservationPreference: api.Opt(o.Reservations)}
	if o.ReservationTarget != "" {
		out.CapacityReservationTarget = &ec2api.CapacityReservationTargetResponse{CapacityReservationId: &o.ReservationTarget}
	} else {
		out.CapacityReservationPreference = new(cmp.Or(o.Reservations, ec2api.CapacityReservationPreferenceOpen))
	}
	return out
}

// findReserved works out which Capacity Reservations instances of a launch run in.
func (s *Service) findReserved(tx store.Tx, c *guard.Call, made []draftLaunch) error {
	held, err := s.capacity.Held(tx, c)
	for n := range made {
		made[n].instance.reserved = held[made[n].instance.ID]
	}
	return err
}

// fit cuts a launch down to what its Capacity Reservation has room for; it fails if that is less than its least.
func (s *Service) fit(tx store.Tx, c *guard.Call, pl *launchPlan) error {
	i := s.newInstance(c, pl, 0)
	room, err := s.capacity.Room(tx, c, i.use())
	if err != nil {
		return err
	}
	pl.count = min(pl.count, max(room, int(*pl.MinCount)))
	return s.capacity.Fit(tx, c, i.use(), pl.count)
}
