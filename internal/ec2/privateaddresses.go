package ec2

import (
	"encoding/binary"
	"math/bits"
	"net/netip"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// An addressRecord is which private addresses of a subnet are given out. Those of instances that are
// gone come back when there are no others: then all instances are looked at.
type addressRecord struct {
	Used []byte `json:"used,omitempty"` // a bit for each host; nil: not known yet
	Next int    `json:"next,omitempty"` // where to look first, so that an address rests before it is used again
}

// addressTable is keyed by (region, account, subnet id).
var addressTable = store.Table[addressRecord]{Bucket: "ec2/addresses", Version: 1}

func (r *addressRecord) used(host int) bool { return r.Used[host/8]&(1<<(host%8)) != 0 }
func (r *addressRecord) take(host int)      { r.Used[host/8] |= 1 << (host % 8) }

// free counts the addresses that are not given out.
func (r *addressRecord) free(hosts int) int {
	n := hosts
	for _, b := range r.Used {
		n -= bits.OnesCount8(b)
	}
	return n
}

// host is the number of an address in the subnet; ok is false for those that AWS keeps.
func (n subnet) host(a netip.Addr) (host int, ok bool) {
	first := netip.MustParsePrefix(n.CIDR).Addr().As4()
	b := a.As4()
	host = int(int64(binary.BigEndian.Uint32(b[:]))-int64(binary.BigEndian.Uint32(first[:]))) - 4
	return host, host >= 0 && host < n.hosts()
}

// addressesOf reads which addresses of a subnet are given out, with room for need more if there is any.
func addressesOf(tx store.Tx, c *guard.Call, n subnet, need int) (addressRecord, error) {
	r, _, err := addressTable.Get(tx, c.Region, c.Account(), n.ID)
	if err != nil || r.Used != nil && n.vacant(&r) >= need {
		return r, err
	}
	now := addressRecord{Used: make([]byte, (n.hosts()+7)/8), Next: r.Next}
	faces, err := allFaces(tx, c.Region, c.Account())
	if err != nil {
		return now, err
	}
	for i := range faces {
		if f := &faces[i]; f.Subnet == n.ID {
			for _, a := range append([]string{f.Address}, f.Secondary...) {
				if host, ok := n.hostOf(a); ok {
					now.take(host)
				}
			}
			for _, p := range f.Prefixes {
				first, ok := n.block(netip.MustParsePrefix(p))
				for host := first; ok && host < first+prefixHosts; host++ {
					now.take(host)
				}
			}
		}
	}
	for _, err := range batchTable.Scan(tx, c.Region, c.Account()) {
		if err != nil {
			return now, err
		}
		for i, b := range r.Used { // instances that are not stored yet have theirs
			now.Used[i] |= b
		}
		break
	}
	return now, nil
}

// errFullSubnet is a launch of more instances than a subnet has addresses for.
func errFullSubnet(n subnet) error {
	return apierr.Newf("InsufficientFreeAddressesInSubnet", "There are not enough free addresses in subnet '%s' to satisfy the requested "+
		"number of instances.", n.ID)
}

// fit launches no more instances than the subnet has addresses for.
func (pl *launchPlan) fit(tx store.Tx, c *guard.Call) error {
	r, err := addressesOf(tx, c, pl.subnet, pl.count)
	if err != nil {
		return err
	}
	free := pl.subnet.vacant(&r)
	if int(api.Val(pl.MinCount)) > free {
		return errFullSubnet(pl.subnet)
	}
	pl.count = min(pl.count, free)
	return nil
}

// takeAddresses gives the instances of a launch their private addresses, and their public ones if they have some.
func (s *Service) takeAddresses(tx store.Tx, c *guard.Call, pl *launchPlan, made []draftLaunch) error {
	n := pl.subnet
	if pl.faces.first != nil || len(pl.faces.others) > 0 || len(pl.faces.asked.more)+pl.faces.asked.count > 0 || pl.faces.asked.prefixes.any() || pl.wantSix() {
		if pl.faces.asked.primary == "" {
			pl.faces.asked.primary = api.Val(pl.PrivateIpAddress)
		}
		return pl.faces.take(tx, c, pl, made)
	}
	given := api.Val(pl.PrivateIpAddress)
	need := len(made)
	if given != "" {
		need = n.hosts() + 1 // it may have come back
	}
	r, err := addressesOf(tx, c, n, need)
	if err != nil {
		return err
	}
	if given != "" { // there is one instance, and checkAddress looked at it
		host, ok := n.host(netip.MustParseAddr(given))
		if !ok || r.used(host) {
			return apierr.Newf("InvalidIPAddress.InUse", "Address %s is in use.", given)
		}
		r.take(host)
		made[0].instance.Address = given
		made[0].instance.openPublic()
		return addressTable.Put(tx, r, c.Region, c.Account(), n.ID)
	}
	open := n.open(&r)
	if open.free(n.hosts()) < len(made) {
		return errFullSubnet(n)
	}
	for i := range made {
		for r.Next %= n.hosts(); open.used(r.Next); r.Next = (r.Next + 1) % n.hosts() {
		}
		open.take(r.Next)
		r.take(r.Next)
		made[i].instance.Address = n.address(r.Next)
		made[i].instance.openPublic()
		r.Next++
	}
	return addressTable.Put(tx, r, c.Region, c.Account(), n.ID)
}

// check refuses an address that interfaces of a subnet cannot have; "" is none.
func (n subnet) check(given string) error {
	if given == "" {
		return nil
	}
	a, err := netip.ParseAddr(given)
	switch {
	case err != nil || !a.Is4():
		return invalidValue("Value (%s) for parameter privateIpAddress is invalid. Invalid IP address.", given)
	case !netip.MustParsePrefix(n.CIDR).Contains(a):
		return invalidValue("Address %s does not fall within the subnet's address range", given)
	case n.reserved(a):
		return invalidValue("Address %s is in subnet's reserved address range", given)
	}
	return nil
}

// newFace is a network interface to be in a subnet, without an address.
func (n subnet) newFace(c *guard.Call) faceRecord {
	return faceRecord{
		Region: n.Region, Account: n.Account, ID: randomID("eni"), Subnet: n.ID, VPC: n.VPC, Zone: n.Zone, ZoneID: n.ZoneID, MAC: randomMAC(),
	}
}

// givenOut counts the private addresses that instances have, by subnet.
func givenOut(tx store.Tx, c *guard.Call) (map[string]int, error) {
	out := map[string]int{}
	faces, err := allFaces(tx, c.Region, c.Account())
	for i := range faces {
		if f := &faces[i]; f.Address != "" {
			out[f.Subnet] += 1 + len(f.Secondary) + prefixHosts*len(f.Prefixes)
		}
	}
	return out, err
}

// reserved reports whether an address is one that AWS keeps: the first four and the last.
func (n subnet) reserved(a netip.Addr) bool {
	_, ok := n.host(a)
	return !ok
}
