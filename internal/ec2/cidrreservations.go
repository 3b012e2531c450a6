package ec2

import (
	"context"
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/ec2/reserve"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// ranges are the addresses of a subnet.
func (n subnet) ranges() []netip.Prefix {
	out := []netip.Prefix{netip.MustParsePrefix(n.CIDR)}
	if n.Six != nil {
		out = append(out, n.Six.Range())
	}
	return out
}

// open is which addresses of a subnet are not given out by themselves: those that are in use, and reserved ones.
func (n subnet) open(r *addressRecord) addressRecord {
	if len(n.Reserved) == 0 {
		return *r
	}
	out := addressRecord{Used: slices.Clone(r.Used), Next: r.Next}
	first := netip.MustParsePrefix(n.CIDR).Addr().As4()
	for _, v := range n.Reserved {
		p := v.Prefix()
		if !p.Addr().Is4() {
			continue
		}
		from := p.Addr().As4()
		at := int(binary.BigEndian.Uint32(from[:])-binary.BigEndian.Uint32(first[:])) - 4
		for host := max(at, 0); host < min(at+1<<(32-p.Bits()), n.hosts()); host++ {
			out.take(host)
		}
	}
	return out
}

// vacant counts the addresses that can be given out by themselves.
func (n subnet) vacant(r *addressRecord) int {
	now := n.open(r)
	return now.free(n.hosts())
}

func errReservation(id string) error {
	return apierr.Newf("InvalidSubnetCidrReservationID.NotFound", "The subnet CIDR reservation ID '%s' does not exist", id)
}

// reservation finds a reservation of the caller's subnets.
func (s *Service) reservation(tx store.Tx, c *guard.Call, id string) (subnet, reserve.Range, error) {
	all, err := s.subnets(tx, c)
	if err != nil {
		return subnet{}, reserve.Range{}, err
	}
	for _, n := range all {
		for _, r := range n.Reserved {
			if r.ID == id {
				return n, r, nil
			}
		}
	}
	return subnet{}, reserve.Range{}, errReservation(id)
}

// CreateSubnetCidrReservation keeps a range of a subnet from being given out by itself. Addresses that are in use stay.
// Source: EC2 API Reference, CreateSubnetCidrReservation.
func (s *Service) CreateSubnetCidrReservation(ctx context.Context, c *guard.Call, in *ec2api.CreateSubnetCidrReservationRequest) (*ec2api.CreateSubnetCidrReservationResult, error) {
	specs, err := tagSpecs(c, in.TagSpecifications, reserve.Kind)
	if err != nil {
		return nil, err
	}
	tags := specs[reserve.Kind]
	out := new(ec2api.CreateSubnetCidrReservationResult)
	return out, s.g.Update(ctx, c, func(tx store.Tx) error {
		n, err := s.allowSubnet(tx, c, *in.SubnetId, nil, s.withTags(c, nil, reserve.Kind, tags)...)
		if err != nil {
			return err
		}
		r, err := reserve.New(in, n.ranges(), n.Reserved)
		if err != nil {
			return err
		}
		if err := dryRun(in.DryRun); err != nil {
			return err
		}
		out.SubnetCidrReservation = r.Wire(n.ID, n.Account)
		out.SubnetCidrReservation.Tags = apiTags(tagMap(tags))
		c.Respond(out)
		n.Reserved = append(slices.Clone(n.Reserved), r)
		if err := putTags(tx, n.Region, n.Account, r.ID, tags); err != nil {
			return err
		}
		return subnetTable.Put(tx, n, n.Region, n.Account, n.ID)
	})
}

// DeleteSubnetCidrReservation gives a range free. Source: EC2 API Reference, DeleteSubnetCidrReservation.
func (s *Service) DeleteSubnetCidrReservation(ctx context.Context, c *guard.Call, in *ec2api.DeleteSubnetCidrReservationRequest) (*ec2api.DeleteSubnetCidrReservationResult, error) {
	id := *in.SubnetCidrReservationId
	out := new(ec2api.DeleteSubnetCidrReservationResult)
	return out, s.g.Update(ctx, c, func(tx store.Tx) error {
		if err := s.allowDry(tx, c, "ec2:"+c.Operation, in.DryRun); err != nil {
			return err
		}
		n, r, err := s.reservation(tx, c, id)
		if err != nil {
			return err
		}
		tags, err := tagsOf(tx, c.Region, c.Account(), id)
		if err != nil {
			return err
		}
		out.DeletedSubnetCidrReservation = r.Wire(n.ID, n.Account)
		out.DeletedSubnetCidrReservation.Tags = apiTags(tags)
		c.Respond(out)
		n.Reserved = slices.DeleteFunc(slices.Clone(n.Reserved), func(r reserve.Range) bool { return r.ID == id })
		if err := dropTags(tx, c.Region, c.Account(), id); err != nil {
			return err
		}
		return subnetTable.Put(tx, n, n.Region, n.Account, n.ID)
	})
}

// reservationFields are the filters. Source: EC2 API Reference, GetSubnetCidrReservations, Filter.
var reservationFields = fields[ec2api.SubnetCidrReservation]{
	"reservationType": func(r ec2api.SubnetCidrReservation) []string { return oneOf(*r.ReservationType) },
	"subnet-id":       func(r ec2api.SubnetCidrReservation) []string { return oneOf(*r.SubnetId) },
}

// GetSubnetCidrReservations lists the reservations of a subnet. Source: EC2 API Reference, GetSubnetCidrReservations.
func (s *Service) GetSubnetCidrReservations(ctx context.Context, c *guard.Call, in *ec2api.GetSubnetCidrReservationsRequest) (*ec2api.GetSubnetCidrReservationsResult, error) {
	out := &ec2api.GetSubnetCidrReservationsResult{SubnetIpv4CidrReservations: []ec2api.SubnetCidrReservation{}, SubnetIpv6CidrReservations: []ec2api.SubnetCidrReservation{}}
	return out, s.viewList(ctx, c, "ec2:"+c.Operation, in.DryRun, func(tx store.Tx) error {
		n, err := s.lookupSubnet(tx, c, *in.SubnetId)
		if err != nil {
			return err
		}
		var items []ec2api.SubnetCidrReservation
		for _, r := range n.Reserved {
			items = append(items, *r.Wire(n.ID, n.Account))
		}
		items, err = sift(tx, c, reservationFields, in.Filters, items,
			func(r *ec2api.SubnetCidrReservation) (string, *[]ec2api.Tag) {
				return *r.SubnetCidrReservationId, &r.Tags
			})
		if err != nil {
			return err
		}
		id := func(r ec2api.SubnetCidrReservation) string { return *r.SubnetCidrReservationId }
		if items, out.NextToken, err = paginate(c.Operation, items, id, anyPage, in.MaxResults, in.NextToken); err != nil {
			return err
		}
		for _, r := range items {
			list := &out.SubnetIpv4CidrReservations
			if netip.MustParsePrefix(*r.Cidr).Addr().Is6() {
				list = &out.SubnetIpv6CidrReservations
			}
			*list = append(*list, r)
		}
		return nil
	})
}
