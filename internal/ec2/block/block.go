// Package block is the address ranges of VPCs and subnets: which a VPC may have besides its first, and how answers carry them.
package block

import (
	"crypto/rand"
	"net/netip"
	"slices"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
)

// Most is how many ranges of each kind a VPC has. Source: VPC User Guide, "Amazon VPC quotas".
const Most = 5

// A Block is a range that a VPC has besides its first one, or the IPv6 range of a subnet.
type Block struct {
	ID   string `json:"id"` // of the association
	CIDR string `json:"cidr"`
}

// Six reports whether it is a range of IPv6 addresses.
func (b Block) Six() bool { return b.Range().Addr().Is6() }

// Range is the addresses.
func (b Block) Range() netip.Prefix { return netip.MustParsePrefix(b.CIDR) }

// Read reads an IPv4 range for a VPC or subnet: bits of the host are set to zero.
// Source: EC2 API Reference, CreateVpc and CreateSubnet.
func Read(text string) (netip.Prefix, error) {
	if text == "" {
		return netip.Prefix{}, apierr.New("MissingParameter", "The request must contain the parameter cidrBlock")
	}
	p, err := netip.ParsePrefix(text)
	if err != nil || !p.Addr().Is4() {
		return p, idiom.InvalidValue("Value (%s) for parameter cidrBlock is invalid. This is not a valid CIDR block.", text)
	}
	return p.Masked(), nil
}

// ReadSix reads an IPv6 range for a subnet: the prefix lengths from /44 to /64 in steps of 4.
// Source: VPC User Guide, "Subnet CIDR blocks", subnet sizing for IPv6.
func ReadSix(text string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(text)
	if err != nil || p.Addr().Is4() || p.Addr().Is4In6() {
		return p, idiom.InvalidValue("Value (%s) for parameter ipv6CidrBlock is invalid. This is not a valid CIDR block.", text)
	}
	if n := p.Bits(); n < 44 || n > 64 || n%4 != 0 {
		return p, errSubnetRange(text)
	}
	return p.Masked(), nil
}

func errSubnetRange(given string) error {
	return apierr.Newf("InvalidSubnet.Range", "The CIDR '%s' is invalid.", given)
}

// The size of an IPv4 range of a VPC or subnet. Source: VPC User Guide, "VPC CIDR blocks" and "Subnet CIDR blocks".
const largest, smallest = 16, 28

// FitsVPC refuses an IPv4 range that no VPC can have.
func FitsVPC(p netip.Prefix, given string) error {
	if p.Bits() < largest || p.Bits() > smallest {
		return apierr.Newf("InvalidVpc.Range", "The CIDR '%s' is invalid.", given)
	}
	return nil
}

// Within refuses a range of a subnet that is in none of a VPC, or too large or small.
func Within(p netip.Prefix, given string, vpc []netip.Prefix) error {
	in := slices.ContainsFunc(vpc, func(w netip.Prefix) bool { return w.Bits() <= p.Bits() && w.Contains(p.Addr()) })
	if !in || p.Addr().Is4() && (p.Bits() < largest || p.Bits() > smallest) {
		return errSubnetRange(given)
	}
	return nil
}

var (
	ten, nineteen           = netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("198.19.0.0/16")
	oneSevenTwo, oneNineTwo = netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16")
	firstTen, firstTwoTens  = netip.MustParsePrefix("10.0.0.0/16"), netip.MustParsePrefix("10.0.0.0/15")
	private                 = []netip.Prefix{ten, oneSevenTwo, oneNineTwo}
)

// Adds refuses an IPv4 range that a VPC with others cannot have as well: ranges of another private network than its
// first, those that AWS uses itself, and those that overlap.
// Source: VPC User Guide, "VPC CIDR blocks", IPv4 CIDR block association restrictions.
func Adds(p netip.Prefix, given string, have []netip.Prefix) error {
	if err := FitsVPC(p, given); err != nil {
		return err
	}
	home := slices.IndexFunc(private, func(r netip.Prefix) bool { return r.Overlaps(have[0]) })
	for n, r := range private {
		if n != home && r.Overlaps(p) {
			return errRestricted(given)
		}
	}
	low := slices.ContainsFunc(have, firstTwoTens.Overlaps)
	switch {
	case nineteen.Overlaps(p), low && firstTen.Overlaps(p), home == 1 && netip.MustParsePrefix("172.31.0.0/16").Overlaps(p):
		return errRestricted(given)
	case slices.ContainsFunc(have, p.Overlaps):
		return apierr.Newf("InvalidVpc.Range", "The CIDR '%s' conflicts with another CIDR of the VPC.", given)
	}
	return nil
}

func errRestricted(given string) error {
	return apierr.Newf("InvalidVpc.Range", "The CIDR '%s' is restricted. Use a CIDR from the same private address range as the current VPC CIDR, "+
		"or use a publicly-routable CIDR.", given)
}

// Provided is an IPv6 range for a VPC: a /56 of the addresses for documentation, which no host of the internet has.
// Sources: EC2 API Reference, AssociateVpcCidrBlock; RFC 3849.
func Provided() netip.Prefix {
	a := netip.MustParseAddr("2001:db8::").As16()
	rand.Read(a[4:7]) // never fails
	return netip.PrefixFrom(netip.AddrFrom16(a), 56)
}

// VPC is an IPv4 range of a VPC as answers carry it.
func (b Block) VPC(state string) ec2api.VpcCidrBlockAssociation {
	return ec2api.VpcCidrBlockAssociation{AssociationId: &b.ID, CidrBlock: &b.CIDR, CidrBlockState: &ec2api.VpcCidrBlockState{State: &state}}
}

// VPCSix is an IPv6 range of a VPC, which Amazon provided, as answers carry it.
func (b Block) VPCSix(region, state string) ec2api.VpcIpv6CidrBlockAssociation {
	return ec2api.VpcIpv6CidrBlockAssociation{
		AssociationId: &b.ID, Ipv6CidrBlock: &b.CIDR, Ipv6CidrBlockState: &ec2api.VpcCidrBlockState{State: &state}, NetworkBorderGroup: &region,
		Ipv6Pool: new("Amazon"), Ipv6AddressAttribute: new("public"), IpSource: new("amazon"),
	}
}

// SubnetSix is the IPv6 range of a subnet as answers carry it.
func (b Block) SubnetSix(state string) ec2api.SubnetIpv6CidrBlockAssociation {
	return ec2api.SubnetIpv6CidrBlockAssociation{
		AssociationId: &b.ID, Ipv6CidrBlock: &b.CIDR, Ipv6CidrBlockState: &ec2api.SubnetCidrBlockState{State: &state},
		Ipv6AddressAttribute: new("public"), IpSource: new("amazon"),
	}
}
