package ec2

import (
	"encoding/binary"
	"net/netip"
	"strings"

	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/ec2/block"
	"github.com/kagimori/kagimori/internal/ec2/reserve"
	"github.com/kagimori/kagimori/internal/ec2/zone"
	"github.com/kagimori/kagimori/internal/guard"
)

// vpcCIDR is the address range of a default VPC. Source: VPC User Guide, "Default VPCs".
const vpcCIDR = "172.31.0.0/16"

// A subnet of a VPC. Each account has a default one in each zone of each region from the beginning:
// these are not stored until they are deleted, and their ids follow from account and region.
type subnet struct {
	Region  string `json:"region"`
	Account string `json:"account"`
	ID      string `json:"id"`
	VPC     string `json:"vpc"`
	Zone    string `json:"zone"`
	ZoneID  string `json:"zoneId"`
	CIDR    string `json:"cidr"`
	Default bool   `json:"default,omitempty"`
	// Six is the range of IPv6 addresses, nil if there is none.
	Six *block.Block `json:"six,omitempty"`
	// MapPublic tells whether instances get a public address; nil: those of a default subnet do.
	MapPublic *bool `json:"mapPublic,omitempty"`
	// ByResource and ResourceA are what instances are named by and found under, unless their launch says it.
	ByResource bool `json:"byResource,omitempty"`
	ResourceA  bool `json:"resourceA,omitempty"`
	// ResourceAAAA is ResourceA for IPv6 addresses, AssignSix whether new interfaces get one, DNS64 whether names of IPv4 hosts have some.
	ResourceAAAA bool `json:"resourceAaaa,omitempty"`
	AssignSix    bool `json:"assignSix,omitempty"`
	DNS64        bool `json:"dns64,omitempty"`
	// Reserved are ranges that are not given out by themselves.
	Reserved []reserve.Range `json:"reserved,omitempty"`
	// Gone marks a subnet that exists from the beginning and was deleted.
	Gone bool `json:"gone,omitempty"`
}

// hosts is how many addresses of the subnet instances can have: AWS keeps the first four and the
// last. Source: VPC User Guide, "Subnet CIDR blocks".
func (n subnet) hosts() int {
	return 1<<(32-netip.MustParsePrefix(n.CIDR).Bits()) - 5
}

// address is the private address of the host with the number, which may be any: numbers beyond
// the size of the subnet come round again.
func (n subnet) address(host int) string {
	host %= n.hosts()
	if host < 0 {
		host += n.hosts()
	}
	a := netip.MustParsePrefix(n.CIDR).Addr().As4()
	binary.BigEndian.PutUint32(a[:], binary.BigEndian.Uint32(a[:])+uint32(host)+4)
	return netip.AddrFrom4(a).String()
}

// A group is a security group, without its rules.
type group struct {
	Region  string `json:"region"`
	Account string `json:"account"`
	ID      string `json:"id"`
	Name    string `json:"name"`
	VPC     string `json:"vpc"`
}

func vpcARN(region, account, id string) string { return arn.EC2(region, account, "vpc/"+id) }

// firstVPC is the id of the default VPC that an account has from the beginning.
func firstVPC(c *guard.Call) string { return networkID("vpc", c.Region, c.Account(), "") }

// firstSubnets are the subnets that the caller has from the beginning, in the order of their zones.
func firstSubnets(c *guard.Call) []subnet {
	all := zoneSubnets(c, firstVPC(c))
	for i := range all {
		all[i].ID = networkID("subnet", c.Region, c.Account(), all[i].Zone)
	}
	return all
}

// zoneSubnets are the default subnets of a default VPC, without ids.
func zoneSubnets(c *guard.Call, vpc string) []subnet {
	var all []subnet
	for i, z := range zone.Of(c.Region) {
		cidr := netip.PrefixFrom(netip.AddrFrom4([4]byte{172, 31, byte(i) << 4, 0}), 20)
		all = append(all, subnet{
			VPC: vpc, Zone: z.Name, ZoneID: z.ID, CIDR: cidr.String(), Account: c.Account(), Region: c.Region, Default: true,
		})
	}
	return all
}

func errSubnet(id string) error {
	return apierr.Newf("InvalidSubnetID.NotFound", "The subnet ID '%s' does not exist", id)
}

func errGroup(id string) error {
	if id == "" {
		return invalidValue("Value () for parameter groupId is invalid. The value cannot be empty")
	}
	if rest, ok := strings.CutPrefix(id, "sg-"); !ok || !isHex(rest) {
		return apierr.Newf("InvalidGroupId.Malformed", "Invalid id: \"%s\" (expecting \"sg-...\")", id)
	}
	return apierr.Newf("InvalidGroup.NotFound", "The security group '%s' does not exist", id)
}

func errGroupName(vpc, name string) error {
	return apierr.Newf("InvalidGroup.NotFound", "The security group '%s' does not exist in default VPC '%s'", name, vpc)
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
