package ec2

import (
	"cmp"
	"slices"

	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/ec2/block"
	"github.com/kagimori/kagimori/internal/ec2/zone"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// A vpcRecord is a VPC. The default one that an account has from the beginning is not stored until
// it is changed.
type vpcRecord struct {
	Region       string `json:"region"`
	Account      string `json:"account"`
	ID           string `json:"id"`
	CIDR         string `json:"cidr"`
	Tenancy      string `json:"tenancy"`
	Default      bool   `json:"default,omitempty"`
	DNSSupport   bool   `json:"dnsSupport,omitempty"`
	DNSHostnames bool   `json:"dnsHostnames,omitempty"`
	UsageMetrics bool   `json:"usageMetrics,omitempty"`
	DHCP         string `json:"dhcp,omitempty"` // id of DHCP options; "": the first ones, "default": none
	// Blocks are the address ranges besides CIDR.
	Blocks []block.Block `json:"blocks,omitempty"`
	// Gone marks the first VPC of an account after its deletion.
	Gone bool `json:"gone,omitempty"`
}

// A groupRecord is a security group with its rules.
type groupRecord struct {
	group
	Description string      `json:"description"`
	Rules       []groupRule `json:"rules"`
	Others      []string    `json:"others,omitempty"` // VPCs that it is associated with, besides its own
}

// Tables of networks, keyed by (region, account, id).
var (
	vpcTable    = store.Table[vpcRecord]{Bucket: "ec2/vpc", Version: 1}
	subnetTable = store.Table[subnet]{Bucket: "ec2/subnet", Version: 1}
	groupTable  = store.Table[groupRecord]{Bucket: "ec2/security-group", Version: 1}
)

// overlay gives what an account has from the beginning, as far as nothing else is stored under the
// same id, and what is stored; gone leaves out what was deleted.
func overlay[T any](tx store.Tx, c *guard.Call, table store.Table[T], first []T, id func(T) string, gone func(T) bool) ([]T, error) {
	var all []T
	stored := map[string]bool{}
	for rec, err := range table.Scan(tx, c.Region, c.Account()) {
		if err != nil {
			return nil, err
		}
		stored[id(rec.Value)] = true
		if !gone(rec.Value) {
			all = append(all, rec.Value)
		}
	}
	var out []T
	for _, item := range first {
		if !stored[id(item)] {
			out = append(out, item)
		}
	}
	return append(out, all...), nil
}

// vpcs are the caller's VPCs.
func (s *Service) vpcs(tx store.Tx, c *guard.Call) ([]vpcRecord, error) {
	return overlay(tx, c, vpcTable, []vpcRecord{firstVPCOf(c.Region, c.Account())}, func(v vpcRecord) string { return v.ID }, func(v vpcRecord) bool { return v.Gone })
}

// naming are the caller's VPCs that give public addresses names.
func (s *Service) naming(tx store.Tx, c *guard.Call) (map[string]bool, error) {
	all, err := s.vpcs(tx, c)
	out := make(map[string]bool, len(all))
	for _, v := range all {
		out[v.ID] = v.DNSSupport && v.DNSHostnames
	}
	return out, err
}

// firstVPCOf is the VPC that an account has from the beginning.
func firstVPCOf(region, account string) vpcRecord {
	return vpcRecord{
		Region: region, Account: account, ID: networkID("vpc", region, account, ""), CIDR: vpcCIDR, Tenancy: "default", Default: true, DNSSupport: true, DNSHostnames: true,
	}
}

// lookupVPC finds a VPC of the caller.
func (s *Service) lookupVPC(tx store.Tx, c *guard.Call, id string) (vpcRecord, error) {
	all, err := s.vpcs(tx, c)
	if err != nil {
		return vpcRecord{}, err
	}
	for _, v := range all {
		if v.ID == id {
			return v, nil
		}
	}
	return vpcRecord{}, errVPC(id)
}

// defaultVPC is the caller's default VPC; ok is false if there is none any more.
func (s *Service) defaultVPC(tx store.Tx, c *guard.Call) (v vpcRecord, ok bool, err error) {
	all, err := s.vpcs(tx, c)
	for _, v := range all {
		if v.Default {
			return v, true, nil
		}
	}
	return v, false, err
}

// needDefaultVPC is defaultVPC for what cannot do without.
func (s *Service) needDefaultVPC(tx store.Tx, c *guard.Call) (vpcRecord, error) {
	v, ok, err := s.defaultVPC(tx, c)
	if err == nil && !ok {
		err = apierr.New("VPCIdNotSpecified", "No default VPC for this user")
	}
	return v, err
}

// subnets are the caller's subnets, default ones first, by zone.
func (s *Service) subnets(tx store.Tx, c *guard.Call) ([]subnet, error) {
	all, err := overlay(tx, c, subnetTable, firstSubnets(c), func(n subnet) string { return n.ID }, func(n subnet) bool { return n.Gone })
	slices.SortStableFunc(all, func(a, b subnet) int {
		switch {
		case a.Default != b.Default:
			return map[bool]int{true: -1, false: 1}[a.Default]
		case a.Default:
			return cmp.Compare(a.Zone, b.Zone)
		}
		return 0
	})
	return all, err
}

// lookupSubnet finds a subnet of the caller.
func (s *Service) lookupSubnet(tx store.Tx, c *guard.Call, id string) (subnet, error) {
	n, ok, err := subnetTable.Get(tx, c.Region, c.Account(), id)
	if err != nil || ok && !n.Gone {
		return n, err
	}
	first := firstSubnets(c)
	if i := slices.IndexFunc(first, func(n subnet) bool { return n.ID == id }); i >= 0 && !ok {
		return first[i], nil
	}
	return subnet{}, errSubnet(id)
}

// defaultSubnet is the default subnet of a zone, or of the region's first zone if where is "".
func (s *Service) defaultSubnet(tx store.Tx, c *guard.Call, where string) (subnet, error) {
	vpc, err := s.needDefaultVPC(tx, c)
	if err != nil {
		return subnet{}, err
	}
	if where != "" && !slices.ContainsFunc(zone.Of(c.Region), func(z zone.Zone) bool { return z.Name == where }) {
		return subnet{}, zone.ErrUnknown(where)
	}
	all, err := s.subnets(tx, c)
	if err != nil {
		return subnet{}, err
	}
	for _, n := range all {
		if n.Default && (where == "" || n.Zone == where) {
			return n, nil
		}
	}
	if where != "" {
		return subnet{}, apierr.Newf("MissingInput", "No default subnet for availability zone: '%s'.", where)
	}
	return subnet{}, apierr.Newf("MissingInput", "No subnets found for the default VPC '%s'. Please specify a subnet.", vpc.ID)
}

// defaultGroupOf is the default security group of a VPC: everything out, in only from the group
// itself. Source: VPC User Guide, "Default security groups for your VPCs".
func defaultGroupOf(v vpcRecord, id string) groupRecord {
	own := groupRule{ID: networkID("sgr", v.Region, v.Account, id+"in"), Protocol: "-1", Group: id, GroupOwner: v.Account}
	return groupRecord{
		group:       group{Region: v.Region, Account: v.Account, ID: id, Name: "default", VPC: v.ID},
		Description: "default VPC security group",
		Rules:       append([]groupRule{own}, v.outward(id+"out", id+"six")...),
	}
}

// groups are the caller's security groups.
func (s *Service) groups(tx store.Tx, c *guard.Call) ([]groupRecord, error) {
	first, err := firstGroup(tx, c.Region, c.Account())
	if err != nil {
		return nil, err
	}
	return overlay(tx, c, groupTable, first, func(g groupRecord) string { return g.ID }, func(groupRecord) bool { return false })
}

// firstGroup is the default security group of the VPC that an account has from the beginning,
// while that is there.
func firstGroup(tx store.Tx, region, account string) ([]groupRecord, error) {
	first := networkID("vpc", region, account, "")
	v, ok, err := vpcTable.Get(tx, region, account, first)
	if err != nil || ok && v.Gone {
		return nil, err
	}
	return []groupRecord{defaultGroupOf(vpcRecord{Region: region, Account: account, ID: first}, networkID("sg", region, account, "default"))}, nil
}

// groupByID finds a security group of the caller with its rules.
func (s *Service) groupByID(tx store.Tx, c *guard.Call, id string) (groupRecord, error) {
	return groupOf(tx, c.Region, c.Account(), id)
}

// groupOf finds a security group of an account.
func groupOf(tx store.Tx, region, account, id string) (groupRecord, error) {
	g, ok, err := groupTable.Get(tx, region, account, id)
	if err != nil || ok {
		return g, err
	}
	first, err := firstGroup(tx, region, account)
	if err != nil {
		return g, err
	}
	if len(first) > 0 && first[0].ID == id {
		return first[0], nil
	}
	return g, errGroup(id)
}

// lookupGroup finds a security group of the caller by its id.
func (s *Service) lookupGroup(tx store.Tx, c *guard.Call, id string) (group, error) {
	g, err := s.groupByID(tx, c, id)
	return g.group, err
}

// groupNamed finds a security group of a VPC by its name; ok is false if there is none.
func (s *Service) groupNamed(tx store.Tx, c *guard.Call, vpc, name string) (g groupRecord, ok bool, err error) {
	all, err := s.groups(tx, c)
	for _, g := range all {
		if g.VPC == vpc && g.Name == name {
			return g, true, nil
		}
	}
	return g, false, err
}

// lookupGroupName finds a security group of the caller's default VPC by its name.
func (s *Service) lookupGroupName(tx store.Tx, c *guard.Call, name string) (group, error) {
	vpc, err := s.needDefaultVPC(tx, c)
	if err != nil {
		return group{}, err
	}
	g, ok, err := s.groupNamed(tx, c, vpc.ID, name)
	if err == nil && !ok {
		err = errGroupName(vpc.ID, name)
	}
	return g.group, err
}

// instanceWith tells whether there is an instance that is not terminated of which is says yes.
func (s *Service) instanceWith(tx store.Tx, c *guard.Call, is func(*instanceRecord) bool) (bool, error) {
	for r, err := range instanceTable.Scan(tx, c.Region, c.Account()) {
		if err != nil {
			return false, err
		}
		if !r.Value.gone() && is(&r.Value) {
			return true, nil
		}
	}
	return false, nil
}

// inPlacement tells whether there is an instance that is not terminated in a placement group.
func (s *Service) inPlacement(tx store.Tx, c *guard.Call, name string) (bool, error) {
	return s.instanceWith(tx, c, func(i *instanceRecord) bool { return i.Options.Placement == name })
}
