package ec2

import (
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"slices"

	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
)

// vpcCIDR is the address range of a default VPC. Source: VPC User Guide, "Default VPCs".
const vpcCIDR = "172.31.0.0/16"

// subnetHosts is how many addresses of a default subnet (a /20) an instance can have: AWS keeps
// the first four and the last. Source: VPC User Guide, "Subnet CIDR blocks".
const subnetHosts = 4096 - 5

// A subnet is one of the default subnets, which each account has in each zone of each region.
// They exist from the beginning and are not stored: their ids follow from account and region.
type subnet struct {
	ID, VPC, Zone, ZoneID, CIDR string
	Account, Region             string
}

// address is the private address of the host with the number, which may be any: numbers beyond
// the size of the subnet come round again.
func (n subnet) address(host int) string {
	host %= subnetHosts
	if host < 0 {
		host += subnetHosts
	}
	a := netip.MustParsePrefix(n.CIDR).Addr().As4()
	host += 4
	a[2] += byte(host >> 8)
	a[3] = byte(host)
	return netip.AddrFrom4(a).String()
}

// A group is the default security group of the default VPC.
type group struct {
	ID, Name, VPC   string
	Account, Region string
}

func vpcARN(region, account, id string) string { return arn.EC2(region, account, "vpc/"+id) }

// networkID makes an id that follows from account and region.
func networkID(prefix, region, account, name string) string {
	sum := sha256.Sum256([]byte("kagimori " + prefix + "\x00" + region + "\x00" + account + "\x00" + name))
	return prefix + "-0" + hex.EncodeToString(sum[:8])
}

// defaultVPC is the id of an account's default VPC.
func defaultVPC(c *guard.Call) string { return networkID("vpc", c.Region, c.Account(), "") }

// subnets are the caller's subnets, in the order of their zones.
func (s *Service) subnets(c *guard.Call) []subnet {
	var all []subnet
	for i, z := range zonesOf(c.Region) {
		cidr := netip.PrefixFrom(netip.AddrFrom4([4]byte{172, 31, byte(i) << 4, 0}), 20)
		all = append(all, subnet{
			ID: networkID("subnet", c.Region, c.Account(), z.Name), VPC: defaultVPC(c), Zone: z.Name, ZoneID: z.ID,
			CIDR: cidr.String(), Account: c.Account(), Region: c.Region,
		})
	}
	return all
}

// lookupSubnet finds a subnet of the caller.
func (s *Service) lookupSubnet(c *guard.Call, id string) (subnet, error) {
	all := s.subnets(c)
	i := slices.IndexFunc(all, func(n subnet) bool { return n.ID == id })
	if i < 0 {
		return subnet{}, errSubnet(id)
	}
	return all[i], nil
}

// defaultSubnet is the default subnet of a zone, or of the region's first zone if zone is "".
func (s *Service) defaultSubnet(c *guard.Call, zone string) (subnet, error) {
	all := s.subnets(c)
	if zone == "" {
		return all[0], nil
	}
	i := slices.IndexFunc(all, func(n subnet) bool { return n.Zone == zone })
	if i < 0 {
		return subnet{}, errZone(zone)
	}
	return all[i], nil
}

func errSubnet(id string) error {
	return apierr.Newf("InvalidSubnetID.NotFound", "The subnet ID '%s' does not exist", id)
}

func errGroup(id string) error {
	return apierr.Newf("InvalidGroup.NotFound", "The security group '%s' does not exist", id)
}

func errGroupName(c *guard.Call, name string) error {
	return apierr.Newf("InvalidGroup.NotFound", "The security group '%s' does not exist in default VPC '%s'", name, defaultVPC(c))
}

func errZone(name string) error {
	return invalidValue("Invalid availability zone: [%s]", name)
}

// defaultGroup is the caller's default security group.
func (s *Service) defaultGroup(c *guard.Call) group {
	return group{
		ID: networkID("sg", c.Region, c.Account(), "default"), Name: "default", VPC: defaultVPC(c),
		Account: c.Account(), Region: c.Region,
	}
}

// lookupGroup finds a security group of the caller by its id.
func (s *Service) lookupGroup(c *guard.Call, id string) (group, error) {
	if g := s.defaultGroup(c); g.ID == id {
		return g, nil
	}
	return group{}, errGroup(id)
}

// lookupGroupName finds a security group of the caller's default VPC by its name.
func (s *Service) lookupGroupName(c *guard.Call, name string) (group, error) {
	if g := s.defaultGroup(c); g.Name == name {
		return g, nil
	}
	return group{}, errGroupName(c, name)
}

// describe puts a subnet's condition keys into a part.
func (n subnet) describe(p *authz.Part) {
	p.Context.Set("ec2:subnetid", n.ID)
	p.Context.Set("ec2:vpc", vpcARN(n.Region, n.Account, n.VPC))
	p.Context.Set("ec2:availabilityzone", n.Zone)
	p.Context.Set("ec2:availabilityzoneid", n.ZoneID)
}

// describe puts a security group's condition keys into a part.
func (g group) describe(p *authz.Part) {
	p.Context.Set("ec2:securitygroupid", g.ID)
	p.Context.Set("ec2:vpc", vpcARN(g.Region, g.Account, g.VPC))
}
