package ec2

import (
	"slices"

	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/ec2/peering"
	"github.com/kagimori/kagimori/internal/ec2/vpc"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// networks is what package vpc sees of this one.
type networks struct{ s *Service }

// VPCs implements [vpc.Networks].
func (n networks) VPCs(tx store.Tx, c *guard.Call) ([]vpc.VPC, error) {
	all, err := n.s.vpcs(tx, c)
	var out []vpc.VPC
	for _, v := range all {
		one := vpc.VPC{ID: v.ID, CIDRs: texts(v.ranges()), Default: v.Default, DNS: v.DNSSupport && v.DNSHostnames, Seed: v.ID}
		if v.ID == firstVPC(c) {
			one.Seed = ""
		}
		out = append(out, one)
	}
	return out, err
}

// Subnets implements [vpc.Networks].
func (n networks) Subnets(tx store.Tx, c *guard.Call) ([]vpc.Subnet, error) {
	all, err := n.s.subnets(tx, c)
	var out []vpc.Subnet
	for _, s := range all {
		out = append(out, vpc.Subnet{ID: s.ID, VPC: s.VPC, Zone: s.Zone, CIDR: s.CIDR})
	}
	return out, err
}

// Describe implements [vpc.Networks].
func (n networks) Describe(tx store.Tx, c *guard.Call, kind, id string, p *authz.Part) error {
	return n.s.describeFor(tx, c, kind, id, p)
}

// Open implements [vpc.Networks].
func (n networks) Open(tx store.Tx, c *guard.Call, id string) (bool, error) {
	return n.s.interfacesIn(tx, c, func(f *faceRecord) bool { return f.VPC == id && f.PublicIP != "" })
}

// SetDHCP implements [vpc.Networks].
func (n networks) SetDHCP(tx store.Tx, c *guard.Call, id, options string) error {
	v, err := n.s.lookupVPC(tx, c, id)
	if err != nil {
		return err
	}
	v.DHCP = options
	return vpcTable.Put(tx, v, v.Region, v.Account, v.ID)
}

// DHCP implements [vpc.Networks].
func (n networks) DHCP(tx store.Tx, c *guard.Call, options string) (bool, error) {
	all, err := n.s.vpcs(tx, c)
	return slices.ContainsFunc(all, func(v vpcRecord) bool { return v.dhcp() == options }), err
}

// Peerings implements [vpc.Networks].
func (n networks) Peerings(tx store.Tx, c *guard.Call, id string) (map[string]bool, error) {
	return n.s.peering.Of(tx, c, id)
}

// VPC implements [peering.Networks].
func (n networks) VPC(tx store.Tx, region, account, id string) (v peering.VPC, ok bool, err error) {
	rec, ok, err := vpcTable.Get(tx, region, account, id)
	if err != nil || rec.Gone {
		return v, false, err
	}
	if !ok {
		if rec = firstVPCOf(region, account); rec.ID != id {
			return v, false, nil
		}
	}
	return peering.VPC{Ranges: rec.ranges(), DNS: rec.DNSSupport && rec.DNSHostnames}, true, nil
}

// lists are the ids of the caller's security groups and route tables that refer to a prefix list.
func (n networks) lists(tx store.Tx, c *guard.Call, id string) ([]string, error) {
	groups, err := n.s.groups(tx, c)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, g := range groups {
		if slices.ContainsFunc(g.Rules, func(r groupRule) bool { return r.PrefixList == id }) {
			out = append(out, g.ID)
		}
	}
	tables, err := n.s.nets.Routing(tx, c, id)
	return append(out, tables...), err
}

// AddFace implements [vpc.Networks].
func (n networks) AddFace(tx store.Tx, c *guard.Call, in vpc.Face) (vpc.Face, error) {
	where, err := n.s.lookupSubnet(tx, c, in.Subnet)
	if err != nil {
		return in, err
	}
	f := where.newFace(c)
	f.Kind, f.Description = in.Kind, in.Description
	if len(in.Groups) > 0 {
		if f.Groups, f.GroupsBy, err = n.GroupNames(tx, c, where.VPC, in.Groups); err != nil {
			return in, err
		}
	}
	t := newTaker(tx, c)
	if f.Address, err = t.take(where, in.Address); err != nil {
		return in, err
	}
	if in.Dual {
		one, given := new(int32(1)), []string(nil)
		if in.Six != "" {
			one, given = nil, []string{in.Six}
		}
		six, err := askedSix(given, one, nil)
		if err != nil {
			return in, err
		}
		if f.Six, err = t.takeSix(where, six, looseAddresses); err != nil {
			return in, err
		}
	}
	if err := t.flush(); err != nil {
		return in, err
	}
	in.ID, in.Address = f.ID, f.Address
	return in, faceTable.Put(tx, f, f.key()...)
}

// DropFace implements [vpc.Networks].
func (n networks) DropFace(tx store.Tx, c *guard.Call, id string) error {
	if err := dropTags(tx, c.Region, c.Account(), id); err != nil {
		return err
	}
	return faceTable.Delete(tx, c.Region, c.Account(), id)
}

// AddressesOf implements [vpc.Networks].
func (n networks) AddressesOf(tx store.Tx, c *guard.Call, id string) (four, six string, err error) {
	f, _, err := faceTable.Get(tx, c.Region, c.Account(), id)
	if len(f.Six) > 0 {
		six = f.Six[0]
	}
	return f.Address, six, err
}

// GuardFace implements [vpc.Networks].
func (n networks) GuardFace(tx store.Tx, c *guard.Call, id string, groups, names []string) error {
	f, ok, err := faceTable.Get(tx, c.Region, c.Account(), id)
	if err != nil || !ok {
		return err
	}
	f.Groups, f.GroupsBy = groups, names
	return faceTable.Put(tx, f, f.key()...)
}

// FaceOf implements [vpc.Networks].
func (n networks) FaceOf(tx store.Tx, c *guard.Call, face, instance string) (id, where, owner string, err error) {
	if instance == "" {
		f, err := lookupFace(tx, c, face)
		return f.ID, f.VPC, "", err
	}
	found, err := n.s.lookupInstances(tx, c, []string{instance})
	if err != nil {
		return "", "", "", err
	}
	faces := found[0].faces()
	if found[0].gone() || len(faces) == 0 {
		return "", "", "", apierr.Newf("InvalidInstanceID.NotFound", "The instance ID '%s' does not exist", instance)
	}
	if len(faces) > 1 {
		return "", "", "", apierr.Newf("InvalidInstanceID", "There are multiple interfaces attached to instance '%s'. Please specify an interface ID "+
			"for the operation instead.", instance)
	}
	return faces[0].ID, faces[0].VPC, found[0].Account, nil
}

// Behind implements [vpc.Networks].
func (n networks) Behind(tx store.Tx, c *guard.Call, face string) (instance, owner string, works bool, err error) {
	f, err := lookupFace(tx, c, face)
	if err != nil || f.instance == nil {
		return "", "", f.managed(), err
	}
	i := f.instance
	return i.ID, i.Account, i.State == pending || i.State == running, nil
}

// TakeAddress implements [vpc.Networks].
func (n networks) TakeAddress(tx store.Tx, c *guard.Call, allocation, face, secondary string) (public, association string, err error) {
	e, err := n.s.findAddress(tx, c, &allocation, nil)
	if err != nil {
		return "", "", err
	}
	if e.Association != "" {
		return "", "", apierr.Newf("Resource.AlreadyAssociated", "resource %s is already associated with associate-id %s", e.ID, e.Association)
	}
	f, ok, err := faceTable.Get(tx, c.Region, c.Account(), face)
	if err != nil || !ok {
		return "", "", orMissing(err, "InvalidNetworkInterfaceID.NotFound", "The networkInterface ID '%s' does not exist", face)
	}
	e.Association, e.Interface, e.Instance, e.Private = randomID("eipassoc"), face, "", secondary
	if secondary == "" {
		f.PublicIP, f.PublicBy = e.IP, e.ID
	} else {
		f.openSecondary(secondary, &e)
	}
	if err := faceTable.Put(tx, f, f.key()...); err != nil {
		return "", "", err
	}
	return e.IP, e.Association, elasticTable.Put(tx, e, e.Region, e.Account, e.ID)
}

// FreeAddress implements [vpc.Networks].
func (n networks) FreeAddress(tx store.Tx, c *guard.Call, allocation string) error {
	e, ok, err := elasticTable.Get(tx, c.Region, c.Account(), allocation)
	if err != nil || !ok {
		return err
	}
	e.Association, e.Interface, e.Instance, e.Private = "", "", "", ""
	return elasticTable.Put(tx, e, e.Region, e.Account, e.ID)
}

// AddAddresses implements [vpc.Networks].
func (n networks) AddAddresses(tx store.Tx, c *guard.Call, face string, given []string, more int) ([]string, error) {
	f, ok, err := faceTable.Get(tx, c.Region, c.Account(), face)
	if err != nil || !ok {
		return nil, orMissing(err, "InvalidNetworkInterfaceID.NotFound", "The networkInterface ID '%s' does not exist", face)
	}
	where, err := n.s.lookupSubnet(tx, c, f.Subnet)
	if err != nil {
		return nil, err
	}
	t := newTaker(tx, c)
	added, err := t.takeMore(where, faceAddresses{more: given, count: more})
	if err != nil {
		return nil, err
	}
	f.Secondary = append(slices.Clone(f.Secondary), added...)
	if err := t.flush(); err != nil {
		return nil, err
	}
	return added, faceTable.Put(tx, f, f.key()...)
}

// DropAddresses implements [vpc.Networks].
func (n networks) DropAddresses(tx store.Tx, c *guard.Call, face string, addresses []string) error {
	f, ok, err := faceTable.Get(tx, c.Region, c.Account(), face)
	if err != nil || !ok {
		return err
	}
	f.dropSecondary(addresses...)
	return faceTable.Put(tx, f, f.key()...)
}

// GroupNames implements [vpc.Networks].
func (n networks) GroupNames(tx store.Tx, c *guard.Call, where string, ids []string) (found, names []string, err error) {
	groups, err := n.s.groupsIn(tx, c, where, ids)
	for _, g := range groups {
		found, names = append(found, g.ID), append(names, g.Name)
	}
	return found, names, err
}

// groupsIn finds security groups of a VPC; without ids its default one.
func (s *Service) groupsIn(tx store.Tx, c *guard.Call, where string, ids []string) ([]group, error) {
	if len(ids) == 0 {
		g, ok, err := s.groupNamed(tx, c, where, "default")
		if err != nil || !ok {
			return nil, orMissing(err, "InvalidGroup.NotFound", "The VPC '%s' has no default security group", where)
		}
		return []group{g.group}, nil
	}
	var out []group
	for _, id := range ids {
		g, err := s.groupByID(tx, c, id)
		if err != nil {
			return nil, err
		}
		if !g.guards(where) {
			return nil, errGroupElsewhere(g.ID, where)
		}
		if !slices.Contains(out, g.group) {
			out = append(out, g.group)
		}
	}
	return out, enoughGroups(out)
}

// maxInterfaceGroups is how many security groups a network interface has.
// Source: Amazon VPC User Guide, "Amazon VPC quotas".
const maxInterfaceGroups = 5

// enoughGroups refuses more security groups than one network interface may have. The text is as reported by users.
func enoughGroups(groups []group) error {
	if len(groups) > maxInterfaceGroups {
		return apierr.New("SecurityGroupsPerInterfaceLimitExceeded", "The maximum number of security groups per interface has been reached.")
	}
	return nil
}
