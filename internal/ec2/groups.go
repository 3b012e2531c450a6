package ec2

import (
	"context"
	"slices"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/ec2/block"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// The ranges of all addresses.
const (
	everywhere    = "0.0.0.0/0"
	everywhereSix = "::/0"
)

// outward are the rules that a security group of a VPC has from the beginning: all traffic may leave, IPv6 too if the VPC
// has such a range. Source: VPC User Guide, "Security group rules" and "Default security groups for your VPCs".
func (v vpcRecord) outward(seed, six string) []groupRule {
	out := []groupRule{{ID: networkID("sgr", v.Region, v.Account, seed), Egress: true, Protocol: "-1", CIDR: everywhere}}
	if slices.ContainsFunc(v.Blocks, block.Block.Six) {
		out = append(out, outwardSix(v.Region, v.Account, six))
	}
	return out
}

func outwardSix(region, account, seed string) groupRule {
	return groupRule{ID: networkID("sgr", region, account, seed), Egress: true, Protocol: "-1", CIDR6: everywhereSix}
}

// openSix lets IPv6 traffic pass the default network ACL and leave through the default security group of a VPC that gets
// its first such range, unless their rules were changed. Source: VPC User Guide, "Default security groups for your VPCs".
func (s *Service) openSix(tx store.Tx, c *guard.Call, v *vpcRecord) error {
	if slices.ContainsFunc(v.Blocks, block.Block.Six) {
		return nil
	}
	if err := s.nets.OpenSix(tx, c, v.ID); err != nil {
		return err
	}
	g, ok, err := s.groupNamed(tx, c, v.ID, "default")
	if err != nil || !ok {
		return err
	}
	var out []groupRule
	for _, r := range g.Rules {
		if r.Egress {
			out = append(out, r)
		}
	}
	if len(out) != 1 || out[0].CIDR != everywhere || out[0].Protocol != "-1" {
		return nil
	}
	g.Rules = append(slices.Clone(g.Rules), outwardSix(g.Region, g.Account, g.ID+"six"))
	return groupTable.Put(tx, g, g.Region, g.Account, g.ID)
}

// wire is a security group as answers carry it.
func (g groupRecord) wire() ec2api.SecurityGroup {
	return ec2api.SecurityGroup{
		GroupId: &g.ID, GroupName: &g.Name, Description: &g.Description, VpcId: &g.VPC, OwnerId: &g.Account,
		SecurityGroupArn: new(arn.EC2(g.Region, g.Account, "security-group/"+g.ID)),
		IpPermissions:    permissions(g.Rules, false), IpPermissionsEgress: permissions(g.Rules, true),
	}
}

// groupFields are the filters of DescribeSecurityGroups.
// Source: EC2 API Reference, DescribeSecurityGroups, Filters.
func groupFields() fields[ec2api.SecurityGroup] {
	f := fields[ec2api.SecurityGroup]{
		"group-id":    func(g ec2api.SecurityGroup) []string { return oneOf(*g.GroupId) },
		"group-name":  func(g ec2api.SecurityGroup) []string { return oneOf(*g.GroupName) },
		"description": func(g ec2api.SecurityGroup) []string { return oneOf(*g.Description) },
		"owner-id":    func(g ec2api.SecurityGroup) []string { return oneOf(*g.OwnerId) },
		"vpc-id":      func(g ec2api.SecurityGroup) []string { return oneOf(*g.VpcId) },
	}
	values := map[string]func(ec2api.IpPermission) []string{
		"protocol":  func(p ec2api.IpPermission) []string { return oneOf(*p.IpProtocol) },
		"from-port": func(p ec2api.IpPermission) []string { return portOf(p.FromPort) },
		"to-port":   func(p ec2api.IpPermission) []string { return portOf(p.ToPort) },
		"cidr": func(p ec2api.IpPermission) []string {
			return each(p.IpRanges, func(r ec2api.IpRange) *string { return r.CidrIp })
		},
		"ipv6-cidr": func(p ec2api.IpPermission) []string {
			return each(p.Ipv6Ranges, func(r ec2api.Ipv6Range) *string { return r.CidrIpv6 })
		},
		"group-id": func(p ec2api.IpPermission) []string {
			return each(p.UserIdGroupPairs, func(u ec2api.UserIdGroupPair) *string { return u.GroupId })
		},
		"group-name": func(p ec2api.IpPermission) []string {
			return each(p.UserIdGroupPairs, func(u ec2api.UserIdGroupPair) *string { return u.GroupName })
		},
		"user-id": func(p ec2api.IpPermission) []string {
			return each(p.UserIdGroupPairs, func(u ec2api.UserIdGroupPair) *string { return u.UserId })
		},
		"prefix-list-id": func(p ec2api.IpPermission) []string {
			return each(p.PrefixListIds, func(l ec2api.PrefixListId) *string { return l.PrefixListId })
		},
	}
	for name, value := range values {
		f["ip-permission."+name] = func(g ec2api.SecurityGroup) (out []string) {
			for _, p := range g.IpPermissions {
				out = append(out, value(p)...)
			}
			return out
		}
		f["egress.ip-permission."+name] = func(g ec2api.SecurityGroup) (out []string) {
			for _, p := range g.IpPermissionsEgress {
				out = append(out, value(p)...)
			}
			return out
		}
	}
	return f
}

func portOf(n *int32) []string {
	if n == nil {
		return nil
	}
	return intOf(*n)
}

// DescribeSecurityGroups lists the caller's security groups.
func (s *Service) DescribeSecurityGroups(ctx context.Context, c *guard.Call, in *ec2api.DescribeSecurityGroupsRequest) (*ec2api.DescribeSecurityGroupsResult, error) {
	out := new(ec2api.DescribeSecurityGroupsResult)
	id := func(g ec2api.SecurityGroup) string { return *g.GroupId }
	err := s.viewList(ctx, c, "ec2:DescribeSecurityGroups", in.DryRun, func(tx store.Tx) error {
		all, err := s.groups(tx, c)
		if err != nil {
			return err
		}
		var items []ec2api.SecurityGroup
		if err := s.tellPeerings(tx, c, all); err != nil {
			return err
		}
		for _, g := range all {
			items = append(items, g.wire())
		}
		if items, err = pick(items, in.GroupIds, id, errGroup); err != nil {
			return err
		}
		if items, err = s.pickGroupNames(tx, c, items, in.GroupNames); err != nil {
			return err
		}
		items, err = sift(tx, c, groupFields(), in.Filters, items,
			func(g *ec2api.SecurityGroup) (string, *[]ec2api.Tag) { return *g.GroupId, &g.Tags })
		if err != nil {
			return err
		}
		out.SecurityGroups, out.NextToken, err = paginate(c.Operation, items, id, anyPage, in.MaxResults, in.NextToken)
		return err
	})
	return out, err
}

// pickGroupNames keeps the groups of the default VPC with one of the names, all if there are none.
func (s *Service) pickGroupNames(tx store.Tx, c *guard.Call, items []ec2api.SecurityGroup, names []string) ([]ec2api.SecurityGroup, error) {
	if len(names) == 0 {
		return items, nil
	}
	vpc, err := s.needDefaultVPC(tx, c)
	if err != nil {
		return nil, err
	}
	items = slices.DeleteFunc(items, func(g ec2api.SecurityGroup) bool { return *g.VpcId != vpc.ID })
	return pick(items, names, func(g ec2api.SecurityGroup) string { return *g.GroupName },
		func(name string) error { return errGroupName(vpc.ID, name) })
}

// part is the id of what a VPC has one of.
func (v vpcRecord) part(prefix string) string {
	if v.ID == networkID("vpc", v.Region, v.Account, "") {
		return networkID(prefix, v.Region, v.Account, "")
	}
	return networkID(prefix, v.Region, v.Account, v.ID)
}
