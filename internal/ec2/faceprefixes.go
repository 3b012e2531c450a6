package ec2

import (
	"crypto/rand"
	"net/netip"
	"slices"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/ec2/instancetype"
	"github.com/kagimori/kagimori/internal/ec2/reserve"
)

// The sizes of prefixes. Source: EC2 User Guide, "Assign prefixes to Amazon EC2 network interfaces".
const (
	prefixBits    = 28
	prefixSixBits = 80
	prefixHosts   = 1 << (32 - prefixBits)
)

// facePrefixes are the prefixes that a network interface is asked for with: those that are given, or how many.
type facePrefixes struct {
	given []netip.Prefix
	count int
}

func (a facePrefixes) any() bool { return len(a.given)+a.count > 0 }

// askedPrefixes reads the prefixes of a request, of a size; others tells whether it asks for addresses too besides a primary one.
// Source: EC2 API Reference, CreateNetworkInterface, Ipv4Prefixes, Ipv4PrefixCount, Ipv6Prefixes and Ipv6PrefixCount.
func askedPrefixes(list []string, count *int32, bits int, others bool) (facePrefixes, error) {
	a := facePrefixes{count: int(api.Val(count))}
	for _, text := range list {
		p, err := netip.ParsePrefix(text)
		if err != nil || p.Addr().Is4In6() || p.Addr().Is4() != (bits == prefixBits) || p.Bits() != bits || p != p.Masked() {
			return a, invalidValue("Value (%s) for parameter prefix is invalid. It is a prefix of the length /%d.", text, bits)
		}
		if !slices.Contains(a.given, p) {
			a.given = append(a.given, p)
		}
	}
	switch {
	case a.count < 0:
		return a, invalidValue("Value (%d) for parameter prefixCount is invalid.", a.count)
	case len(a.given) > 0 && a.count > 0:
		return a, apierr.New("InvalidParameterCombination", "Prefixes and their count cannot be specified together.")
	case a.any() && others:
		return a, apierr.New("InvalidParameterCombination", "Prefixes and IP addresses or their count cannot be specified together.")
	}
	return a, nil
}

// prefixTexts are the prefixes of a list whose elements are structures.
func prefixTexts[T any](list []T, text func(T) *string) (out []string) {
	for _, p := range list {
		out = append(out, api.Val(text(p)))
	}
	return out
}

// askPrefixes reads the prefixes that a new network interface is to have beside its addresses.
func askPrefixes(four *faceAddresses, six *sixAddresses, list []ec2api.Ipv4PrefixSpecificationRequest, count *int32,
	listSix []ec2api.Ipv6PrefixSpecificationRequest, countSix *int32,
) (err error) {
	texts := prefixTexts(list, func(p ec2api.Ipv4PrefixSpecificationRequest) *string { return p.Ipv4Prefix })
	if four.prefixes, err = askedPrefixes(texts, count, prefixBits, len(four.more)+four.count > 0); err != nil {
		return err
	}
	texts = prefixTexts(listSix, func(p ec2api.Ipv6PrefixSpecificationRequest) *string { return p.Ipv6Prefix })
	six.prefixes, err = askedPrefixes(texts, countSix, prefixSixBits, len(six.given)+six.count > 0)
	return err
}

// errTypePrefixes refuses prefixes of interfaces of instances that are not built on the Nitro System.
func errTypePrefixes(kind string) error {
	if t, ok := instancetype.Lookup(kind); ok && !t.OnNitro() {
		return apierr.Newf("UnsupportedOperation", "The instance type '%s' does not support prefixes of network interfaces.", kind)
	}
	return nil
}

func errNoBlocks() error {
	return apierr.New("InsufficientCidrBlocks", "The specified subnet does not have enough free cidr blocks to satisfy the request.")
}

func errPrefixUsed(p netip.Prefix) error {
	return apierr.Newf("InvalidIPAddress.InUse", "Addresses of %s are in use.", p)
}

func errPrefixElsewhere(p netip.Prefix) error {
	return invalidValue("Prefix %s does not fall within the subnet's address range", p)
}

// block is the number of the first host of a prefix in the subnet; ok is false if AWS keeps one of its addresses.
func (n subnet) block(p netip.Prefix) (first int, ok bool) {
	first, _ = n.host(p.Addr())
	return first, first >= 0 && first+prefixHosts <= n.hosts()
}

// takePrefixes takes IPv4 prefixes of a subnet: those that are given, or as many, first of what is reserved for prefixes.
// No more are taken than room.
func (t *taker) takePrefixes(n subnet, a facePrefixes, room int) ([]string, error) {
	if !a.any() {
		return nil, nil
	}
	if len(a.given)+a.count > room {
		return nil, apierr.Newf("PrivateIpAddressLimitExceeded", "Number of private addresses will exceed limit (%d).", room)
	}
	r, err := t.room(n, n.hosts()+1)
	if err != nil {
		return nil, err
	}
	var out []string
	take := func(p netip.Prefix) bool {
		first, ok := n.block(p)
		for host := first; ok && host < first+prefixHosts; host++ {
			ok = !r.used(host)
		}
		if !ok {
			return false
		}
		for host := first; host < first+prefixHosts; host++ {
			r.take(host)
			t.mine[n.ID] = append(t.mine[n.ID], host)
		}
		out = append(out, p.String())
		return true
	}
	for _, p := range a.given {
		if !netip.MustParsePrefix(n.CIDR).Contains(p.Addr()) {
			return nil, errPrefixElsewhere(p)
		}
		if !take(p) {
			return nil, errPrefixUsed(p)
		}
	}
	for _, p := range n.blocks() {
		if len(out) < len(a.given)+a.count {
			take(p)
		}
	}
	if len(out) < len(a.given)+a.count {
		return nil, errNoBlocks()
	}
	return out, nil
}

// blocks are the IPv4 prefixes of a subnet that are given out by themselves: those that are reserved for it, then those of which nothing is.
func (n subnet) blocks() (out []netip.Prefix) {
	var free []netip.Prefix
	for host := prefixHosts - 4; host+prefixHosts <= n.hosts(); host += prefixHosts { // host 0 is the address 4
		p := netip.PrefixFrom(netip.MustParseAddr(n.address(host)), prefixBits)
		at := slices.IndexFunc(n.Reserved, func(r reserve.Range) bool { return r.Prefix().Overlaps(p) })
		switch {
		case at < 0:
			free = append(free, p)
		case n.Reserved[at].Prefixes && n.Reserved[at].Prefix().Bits() <= prefixBits:
			out = append(out, p)
		}
	}
	return append(out, free...)
}

// usedSix tells whether an IPv6 address, or one of a prefix, is in use.
func (t *taker) usedSix(p netip.Prefix) bool {
	if slices.ContainsFunc(t.sixPrefixes, p.Overlaps) {
		return true
	}
	if p.IsSingleIP() {
		return t.six[p.Addr().String()]
	}
	for text := range t.six {
		if p.Contains(netip.MustParseAddr(text)) {
			return true
		}
	}
	return false
}

// takeSixPrefixes is takePrefixes for IPv6.
func (t *taker) takeSixPrefixes(n subnet, a facePrefixes, room int) (out []string, err error) {
	switch {
	case !a.any():
		return nil, nil
	case len(a.given)+a.count > room:
		return nil, apierr.Newf("Ipv6AddressLimitExceeded", "Number of IPv6 addresses will exceed limit (%d).", room)
	case n.Six == nil:
		return nil, apierr.Newf("InvalidParameterCombination", "The subnet %s has no IPv6 CIDR block.", n.ID)
	}
	if err := t.lookSix(); err != nil {
		return nil, err
	}
	take := func(p netip.Prefix) {
		t.sixPrefixes = append(t.sixPrefixes, p)
		out = append(out, p.String())
	}
	for _, p := range a.given {
		if !n.Six.Range().Contains(p.Addr()) {
			return nil, errPrefixElsewhere(p)
		}
		if t.usedSix(p) {
			return nil, errPrefixUsed(p)
		}
		take(p)
	}
	for range a.count {
		p, ok := t.anySixPrefix(n)
		if !ok {
			return nil, errNoBlocks()
		}
		take(p)
	}
	return out, nil
}

// anySixPrefix is a free IPv6 prefix of a subnet: of a range that is reserved for prefixes, or else one of which nothing is reserved.
func (t *taker) anySixPrefix(n subnet) (netip.Prefix, bool) {
	const tries = 256
	for _, r := range n.Reserved {
		if in := r.Prefix(); r.Prefixes && in.Addr().Is6() && in.Bits() <= prefixSixBits {
			for range tries {
				if p := anyWithin(in); !t.usedSix(p) {
					return p, true
				}
			}
		}
	}
	for range tries {
		p := anyWithin(n.Six.Range())
		reserved := slices.ContainsFunc(n.Reserved, func(r reserve.Range) bool { return r.Prefix().Overlaps(p) })
		if !reserved && !t.usedSix(p) {
			return p, true
		}
	}
	return netip.Prefix{}, false
}

// anyWithin is one of the IPv6 prefixes in a range, any.
func anyWithin(in netip.Prefix) netip.Prefix {
	a := in.Addr().As16()
	var random [prefixSixBits / 8]byte
	rand.Read(random[:]) // never fails
	for bit := in.Bits(); bit < prefixSixBits; bit++ {
		a[bit/8] |= random[bit/8] & (0x80 >> (bit % 8))
	}
	return netip.PrefixFrom(netip.AddrFrom16(a), prefixSixBits)
}

// takeRest takes what a new network interface gets besides its IPv4 addresses; most is how many of a kind it may have.
func (t *taker) takeRest(f *faceRecord, n subnet, four faceAddresses, six sixAddresses, most int) (err error) {
	if f.Prefixes, err = t.takePrefixes(n, four.prefixes, most-1-len(f.Secondary)); err != nil {
		return err
	}
	if f.Six, err = t.takeSix(n, six, most); err != nil {
		return err
	}
	f.SixPrefixes, err = t.takeSixPrefixes(n, six.prefixes, most-len(f.Six))
	return err
}

// suits refuses an interface with prefixes for an instance of a type that has none.
func (f *faceRecord) suits(kind string) error {
	if len(f.Prefixes)+len(f.SixPrefixes) == 0 {
		return nil
	}
	return errTypePrefixes(kind)
}

// canPrefix refuses prefixes where the interface's instance has none.
func (f *heldFace) canPrefix() error {
	if f.instance == nil {
		return nil
	}
	return errTypePrefixes(f.instance.Type)
}

// namesPrefixes tells whether a launch asks for prefixes of an interface.
func namesPrefixes(n *ec2api.InstanceNetworkInterfaceSpecification) bool {
	return len(n.Ipv4Prefixes)+len(n.Ipv6Prefixes) > 0 || n.Ipv4PrefixCount != nil || n.Ipv6PrefixCount != nil
}

// prefixesLeave takes prefixes from those that a network interface has; all of them must be there.
func prefixesLeave(have, gone []string, face string) ([]string, error) {
	for _, p := range gone {
		if !slices.Contains(have, p) {
			return nil, invalidValue("Some of the specified prefixes are not assigned to interface %s: %s", face, p)
		}
	}
	return slices.DeleteFunc(slices.Clone(have), func(p string) bool { return slices.Contains(gone, p) }), nil
}

// wirePrefixes is a list of prefixes as answers carry them.
func wirePrefixes[T any](list []string, wire func(*string) T) (out []T) {
	for _, p := range list {
		out = append(out, wire(&p))
	}
	return out
}

func fourPrefix(p *string) ec2api.Ipv4PrefixSpecification {
	return ec2api.Ipv4PrefixSpecification{Ipv4Prefix: p}
}
func sixPrefix(p *string) ec2api.Ipv6PrefixSpecification {
	return ec2api.Ipv6PrefixSpecification{Ipv6Prefix: p}
}
func instanceFourPrefix(p *string) ec2api.InstanceIpv4Prefix {
	return ec2api.InstanceIpv4Prefix{Ipv4Prefix: p}
}
func instanceSixPrefix(p *string) ec2api.InstanceIpv6Prefix {
	return ec2api.InstanceIpv6Prefix{Ipv6Prefix: p}
}
