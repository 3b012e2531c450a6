package ec2

import (
	"context"
	"crypto/rand"
	"net/netip"
	"slices"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/ec2/reserve"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// sixAddresses are the IPv6 addresses that a network interface is asked for with.
type sixAddresses struct {
	given   []string
	count   int
	said    bool // whether the request says anything of them
	primary bool // the first is to be the primary one
	// prefixes besides
	prefixes facePrefixes
}

// askedSix reads the IPv6 addresses of a request: a list, or how many, and whether the first is to be the primary one. An interface
// that is to have a primary address gets one if the request names none.
// Source: EC2 API Reference, CreateNetworkInterface, Ipv6Addresses, Ipv6AddressCount and EnablePrimaryIpv6.
func askedSix(list []string, count *int32, primary *bool) (sixAddresses, error) {
	a := sixAddresses{count: int(api.Val(count)), said: len(list) > 0 || count != nil, primary: api.Val(primary)}
	if a.primary && len(list)+a.count == 0 {
		a.count, a.said = 1, true
	}
	if len(list) > 0 && a.count > 0 {
		return a, apierr.New("InvalidParameterCombination", "The parameters ipv6Addresses and ipv6AddressCount cannot be used together.")
	}
	if a.count < 0 {
		return a, invalidValue("Value (%d) for parameter ipv6AddressCount is invalid.", a.count)
	}
	for _, text := range list {
		ip, err := netip.ParseAddr(text)
		if err != nil || !ip.Is6() || ip.Is4In6() {
			return a, invalidValue("Value (%s) for parameter ipv6Addresses is invalid. Invalid IPv6 address.", text)
		}
		if short := ip.String(); !slices.Contains(a.given, short) {
			a.given = append(a.given, short)
		}
	}
	return a, nil
}

// instanceSix is askedSix for a list that can say itself which address is the primary one, which is the first then.
func instanceSix(list []ec2api.InstanceIpv6Address, count *int32, primary *bool) (sixAddresses, error) {
	var out []string
	for _, a := range list {
		if text := api.Val(a.Ipv6Address); api.Val(a.IsPrimaryIpv6) {
			out, primary = slices.Insert(out, 0, text), a.IsPrimaryIpv6
		} else {
			out = append(out, text)
		}
	}
	return askedSix(out, count, primary)
}

// askSix reads the IPv6 addresses that a launch names beside its network interfaces.
// Source: EC2 API Reference, RunInstances, Ipv6Addresses, Ipv6AddressCount and EnablePrimaryIpv6.
func (pl *launchPlan) askSix() (err error) {
	if len(pl.Ipv6Addresses) == 0 && pl.Ipv6AddressCount == nil && !api.Val(pl.EnablePrimaryIpv6) {
		return nil
	}
	if len(pl.NetworkInterfaces) > 0 {
		return apierr.New("InvalidParameterCombination", "Network interfaces and an instance-level IPv6 addresses may not be specified on the same request")
	}
	if len(pl.Ipv6Addresses) > 0 && pl.count > 1 {
		return apierr.New("InvalidParameterCombination", "An IPv6 address cannot be specified for more than one instance.")
	}
	pl.faces.six, err = instanceSix(pl.Ipv6Addresses, pl.Ipv6AddressCount, pl.EnablePrimaryIpv6)
	return err
}

// wantSix reports whether the instances of a launch get IPv6 addresses.
func (pl *launchPlan) wantSix() bool {
	return len(pl.faces.six.given)+pl.faces.six.count > 0 || pl.faces.six.prefixes.any() || !pl.faces.six.said && pl.subnet.AssignSix
}

// takeSix takes IPv6 addresses of a subnet: those that are given and as many others, or one if nothing is said and the
// subnet gives each interface one, but no more than most with those that there are. Source: EC2 API Reference, Subnet, AssignIpv6AddressOnCreation.
func (t *taker) takeSix(n subnet, a sixAddresses, most int, have ...string) ([]string, error) {
	if !a.said && n.AssignSix {
		a.count = 1
	}
	if len(a.given)+a.count == 0 {
		return nil, nil
	}
	if len(have)+len(a.given)+a.count > most {
		return nil, apierr.Newf("Ipv6AddressLimitExceeded", "Number of IPv6 addresses will exceed limit (%d).", most)
	}
	if n.Six == nil {
		return nil, apierr.Newf("InvalidParameterCombination", "The subnet %s has no IPv6 CIDR block.", n.ID)
	}
	if err := t.lookSix(); err != nil {
		return nil, err
	}
	whole := n.Six.Range()
	var out []string
	for _, given := range a.given {
		if !whole.Contains(netip.MustParseAddr(given)) {
			return nil, invalidValue("Address %s does not fall within the subnet's address range", given)
		}
		if ip := netip.MustParseAddr(given); t.usedSix(netip.PrefixFrom(ip, ip.BitLen())) {
			return nil, apierr.Newf("InvalidIPAddress.InUse", "Address %s is in use.", given)
		}
		t.six[given] = true
		out = append(out, given)
	}
	for range a.count {
		any, err := t.anySix(n)
		if err != nil {
			return nil, err
		}
		out = append(out, any)
	}
	return out, nil
}

// anySix takes a free address of a subnet, any that is not reserved.
func (t *taker) anySix(n subnet) (string, error) {
	const tries = 256 // in a range of which half is reserved one hits that 256 times never
	for range tries {
		a := n.Six.Range().Addr().As16()
		rand.Read(a[8:]) // never fails; ranges of subnets are /64 and larger
		ip := netip.AddrFrom16(a)
		if text := ip.String(); !t.usedSix(netip.PrefixFrom(ip, ip.BitLen())) && !reserve.Covers(n.Reserved, ip) {
			t.six[text] = true
			return text, nil
		}
	}
	return "", errFullSubnet(n)
}

// lookSix finds the IPv6 addresses and prefixes that network interfaces of the caller have.
func (t *taker) lookSix() error {
	if t.six != nil {
		return nil
	}
	faces, err := allFaces(t.tx, t.c.Region, t.c.Account())
	t.six = map[string]bool{}
	for _, f := range faces {
		for _, a := range f.Six {
			t.six[a] = true
		}
		for _, p := range f.SixPrefixes {
			t.sixPrefixes = append(t.sixPrefixes, netip.MustParsePrefix(p))
		}
	}
	return err
}

// AssignIpv6Addresses gives a network interface more IPv6 addresses: those that are named, or as many.
// Source: EC2 API Reference, AssignIpv6Addresses.
func (s *Service) AssignIpv6Addresses(ctx context.Context, c *guard.Call, in *ec2api.AssignIpv6AddressesRequest) (*ec2api.AssignIpv6AddressesResult, error) {
	asked, err := askedSix(in.Ipv6Addresses, in.Ipv6AddressCount, nil)
	if err != nil {
		return nil, err
	}
	if asked.prefixes, err = askedPrefixes(in.Ipv6Prefixes, in.Ipv6PrefixCount, prefixSixBits, len(asked.given)+asked.count > 0); err != nil {
		return nil, err
	}
	if len(asked.given)+asked.count == 0 && !asked.prefixes.any() {
		return nil, apierr.New("MissingParameter", "Either IPv6 addresses or a count of IPv6 addresses must be specified")
	}
	out := &ec2api.AssignIpv6AddressesResult{NetworkInterfaceId: in.NetworkInterfaceId}
	return out, s.g.Update(ctx, c, func(tx store.Tx) error {
		f, err := s.theFace(tx, c, nil, *in.NetworkInterfaceId, nil)
		if err != nil {
			return err
		}
		if f.managed() {
			return errManagedFace()
		}
		where, err := s.lookupSubnet(tx, c, f.Subnet)
		if err != nil {
			return err
		}
		fresh := asked
		fresh.given = slices.DeleteFunc(slices.Clone(asked.given), func(a string) bool { return slices.Contains(f.Six, a) })
		t, most := newTaker(tx, c), addressesPerFace(&f)
		if fresh.prefixes.any() {
			if err := f.canPrefix(); err != nil {
				return err
			}
			out.AssignedIpv6Prefixes, err = t.takeSixPrefixes(where, fresh.prefixes, most-len(f.Six)-len(f.SixPrefixes))
		} else {
			out.AssignedIpv6Addresses, err = t.takeSix(where, fresh, most-len(f.SixPrefixes), f.Six...)
		}
		if err != nil {
			return err
		}
		f.Six = append(slices.Clone(f.Six), out.AssignedIpv6Addresses...)
		f.SixPrefixes = append(slices.Clone(f.SixPrefixes), out.AssignedIpv6Prefixes...)
		return f.put(tx)
	})
}

// UnassignIpv6Addresses takes IPv6 addresses from a network interface. Source: EC2 API Reference, UnassignIpv6Addresses.
func (s *Service) UnassignIpv6Addresses(ctx context.Context, c *guard.Call, in *ec2api.UnassignIpv6AddressesRequest) (*ec2api.UnassignIpv6AddressesResult, error) {
	asked, err := askedSix(in.Ipv6Addresses, nil, nil)
	if err != nil {
		return nil, err
	}
	if len(asked.given)+len(in.Ipv6Prefixes) == 0 {
		return nil, apierr.New("MissingParameter", "The request must contain the parameter ipv6Addresses")
	}
	out := &ec2api.UnassignIpv6AddressesResult{NetworkInterfaceId: in.NetworkInterfaceId, UnassignedIpv6Addresses: asked.given, UnassignedIpv6Prefixes: in.Ipv6Prefixes}
	return out, s.g.Update(ctx, c, func(tx store.Tx) error {
		f, err := s.theFace(tx, c, nil, *in.NetworkInterfaceId, nil)
		if err != nil {
			return err
		}
		for _, a := range asked.given {
			if !slices.Contains(f.Six, a) {
				return invalidValue("Some of the specified addresses are not assigned to interface %s: %s", f.ID, a)
			}
		}
		if f.SixPrefixes, err = prefixesLeave(f.SixPrefixes, in.Ipv6Prefixes, f.ID); err != nil {
			return err
		}
		if f.SixPrimary && slices.Contains(asked.given, f.Six[0]) {
			return apierr.Newf("OperationNotPermitted", "The primary IPv6 address %s of network interface %s cannot be unassigned.", f.Six[0], f.ID)
		}
		f.Six = slices.DeleteFunc(slices.Clone(f.Six), func(a string) bool { return slices.Contains(asked.given, a) })
		return f.put(tx)
	})
}

// makePrimary makes the first IPv6 address of a network interface its primary one, which stays so until the interface is detached.
// Source: EC2 API Reference, ModifyNetworkInterfaceAttribute, EnablePrimaryIpv6.
func (f *faceRecord) makePrimary(on bool) error {
	switch {
	case !on && f.SixPrimary:
		return apierr.Newf("OperationNotPermitted", "The primary IPv6 address of network interface %s cannot be disabled.", f.ID)
	case on && len(f.Six) == 0:
		return apierr.Newf("InvalidParameterCombination", "The network interface %s has no IPv6 address.", f.ID)
	}
	f.SixPrimary = on
	return nil
}
