// Package reserve is the ranges of a subnet that are reserved: automatic addresses avoid them.
package reserve

import (
	"net/netip"
	"slices"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
)

// Kind is the resource type of reservations.
const Kind = "subnet-cidr-reservation"

// A Range is reserved: for prefixes of network interfaces, or for addresses that requests name.
// Source: VPC User Guide, "Subnet CIDR reservations".
type Range struct {
	ID       string `json:"id"` // scr-...
	CIDR     string `json:"cidr"`
	Prefixes bool   `json:"prefixes,omitempty"`
	About    string `json:"about,omitempty"`
}

// Prefix is the addresses.
func (r Range) Prefix() netip.Prefix { return netip.MustParsePrefix(r.CIDR) }

// New makes the reservation of a request. Bits of the host are set to zero; the range is within one of the subnet's and
// overlaps no other reservation.
func New(in *ec2api.CreateSubnetCidrReservationRequest, subnet []netip.Prefix, have []Range) (Range, error) {
	given := api.Val(in.Cidr)
	p, err := netip.ParsePrefix(given)
	if err != nil || p.Addr().Is4In6() {
		return Range{}, idiom.InvalidValue("Value (%s) for parameter cidr is invalid. This is not a valid CIDR block.", given)
	}
	p = p.Masked()
	if !slices.ContainsFunc(subnet, func(w netip.Prefix) bool { return w.Bits() <= p.Bits() && w.Contains(p.Addr()) }) {
		return Range{}, idiom.InvalidValue("The CIDR '%s' is not within a CIDR of the subnet '%s'.", given, *in.SubnetId)
	}
	for _, r := range have {
		if r.Prefix().Overlaps(p) {
			return Range{}, idiom.InvalidValue("The CIDR '%s' overlaps the reservation '%s'.", given, r.ID)
		}
	}
	return Range{
		ID: idiom.RandomID("scr"), CIDR: p.String(), About: api.Val(in.Description), Prefixes: *in.ReservationType == ec2api.SubnetCidrReservationTypePrefix,
	}, nil
}

// Covers tells whether an address is reserved.
func Covers(all []Range, a netip.Addr) bool {
	return slices.ContainsFunc(all, func(r Range) bool { return r.Prefix().Contains(a) })
}

// Wire is a reservation as answers carry it.
func (r Range) Wire(subnet, owner string) *ec2api.SubnetCidrReservation {
	out := &ec2api.SubnetCidrReservation{
		SubnetCidrReservationId: &r.ID, SubnetId: &subnet, Cidr: &r.CIDR, OwnerId: &owner, Description: api.Opt(r.About),
		ReservationType: new(ec2api.SubnetCidrReservationTypeExplicit),
	}
	if r.Prefixes {
		out.ReservationType = new(ec2api.SubnetCidrReservationTypePrefix)
	}
	return out
}
