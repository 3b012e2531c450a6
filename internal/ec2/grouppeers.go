package ec2

import (
	"cmp"
	"context"
	"slices"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/ec2/peering"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// A reference is the group that a rule refers to. Peering is the connection with its VPC, "" if that is the rule's own.
type reference struct{ ID, Account, VPC, Peering string }

func (r *groupRule) refer(to *reference) {
	if r.Group, r.GroupOwner = to.ID, to.Account; to.Peering != "" {
		r.GroupVPC, r.Peering = to.VPC, to.Peering
	}
}

// pair is what a rule refers to as answers carry it. Source: EC2 API Reference, UserIdGroupPair.
func (r *groupRule) pair() ec2api.UserIdGroupPair {
	return ec2api.UserIdGroupPair{
		UserId: &r.GroupOwner, GroupId: &r.Group, Description: api.Opt(r.Description), VpcId: api.Opt(r.GroupVPC), VpcPeeringConnectionId: api.Opt(r.Peering),
		PeeringStatus: api.Opt(r.peered),
	}
}

// otherGroup finds the group that a rule refers to: one of the same VPC, or of a VPC of the Region that it has an active
// peering connection with. An old rule may refer to a group that is gone.
// Source: VPC Peering Guide, "Update your security groups to reference peer security groups".
func (s *Service) otherGroup(tx store.Tx, c *guard.Call, g *groupRecord, pair *ec2api.UserIdGroupPair, old bool) (reference, error) {
	owner, id := cmp.Or(api.Val(pair.UserId), c.Account()), api.Val(pair.GroupId)
	if at := slices.IndexFunc(g.Rules, func(r groupRule) bool { return r.Group == id }); old && id != "" && at >= 0 {
		r := &g.Rules[at]
		return reference{r.Group, r.GroupOwner, cmp.Or(r.GroupVPC, g.VPC), r.Peering}, nil
	}
	if id == "" {
		other, ok, err := s.groupNamed(tx, c, g.VPC, api.Val(pair.GroupName))
		if err == nil && (!ok || owner != c.Account()) {
			err = errGroup(api.Val(pair.GroupName))
		}
		return reference{ID: other.ID, Account: other.Account, VPC: other.VPC}, err
	}
	other, err := groupOf(tx, c.Region, owner, id)
	if err != nil || owner == c.Account() && other.VPC == g.VPC {
		return reference{ID: other.ID, Account: other.Account, VPC: other.VPC}, err
	}
	peers, err := s.peering.Peers(tx, c, g.VPC)
	if err != nil {
		return reference{}, err
	}
	at := slices.IndexFunc(peers, func(p peering.Peer) bool { return p.Account == owner && p.VPC == other.VPC })
	switch {
	case at >= 0:
		return reference{id, owner, other.VPC, peers[at].Connection}, nil
	case owner != c.Account():
		return reference{}, errGroup(id) // whether there is one is not for the caller to know
	}
	return reference{}, apierr.Newf("InvalidGroup.NotFound", "You have specified two resources that belong to different networks.")
}

// tellPeerings says in the rules of groups what state the connections have that they refer over.
func (s *Service) tellPeerings(tx store.Tx, c *guard.Call, groups []groupRecord) error {
	var states map[string]string
	for n := range groups {
		g := &groups[n]
		if !slices.ContainsFunc(g.Rules, func(r groupRule) bool { return r.Peering != "" }) {
			continue
		}
		if states == nil {
			var err error
			if states, err = s.peering.States(tx, c); err != nil {
				return err
			}
		}
		g.Rules = slices.Clone(g.Rules)
		for m := range g.Rules {
			if r := &g.Rules[m]; r.Peering != "" {
				r.peered = cmp.Or(states[r.Peering], "deleted")
			}
		}
	}
	return nil
}

// DescribeSecurityGroupReferences tells which VPCs that are connected with those of the caller's security groups have
// rules that refer to these. Source: EC2 API Reference, DescribeSecurityGroupReferences.
func (s *Service) DescribeSecurityGroupReferences(ctx context.Context, c *guard.Call, in *ec2api.DescribeSecurityGroupReferencesRequest) (*ec2api.DescribeSecurityGroupReferencesResult, error) {
	out := &ec2api.DescribeSecurityGroupReferencesResult{SecurityGroupReferenceSet: []ec2api.SecurityGroupReference{}}
	return out, s.viewList(ctx, c, "ec2:"+c.Operation, in.DryRun, func(tx store.Tx) error {
		known := map[string]map[referral]bool{} // by account: each is read once
		for _, id := range in.GroupId {
			g, err := s.groupByID(tx, c, id)
			if err != nil {
				return err
			}
			peers, err := s.peering.Peers(tx, c, g.VPC)
			if err != nil {
				return err
			}
			for _, p := range peers {
				if known[p.Account] == nil {
					if known[p.Account], err = referrals(tx, c.Region, p.Account); err != nil {
						return err
					}
				}
				if known[p.Account][referral{p.VPC, id}] {
					out.SecurityGroupReferenceSet = append(out.SecurityGroupReferenceSet, ec2api.SecurityGroupReference{
						GroupId: &id, ReferencingVpcId: &p.VPC, VpcPeeringConnectionId: &p.Connection,
					})
				}
			}
		}
		return nil
	})
}

// A referral says that a rule of a VPC refers to a security group.
type referral struct{ vpc, group string }

// referrals are those of an account's rules. First default groups, which are not stored, refer to nobody else's.
func referrals(tx store.Tx, region, account string) (map[referral]bool, error) {
	out := map[referral]bool{}
	for rec, err := range groupTable.Scan(tx, region, account) {
		if err != nil {
			return nil, err
		}
		for n := range rec.Value.Rules {
			if g := rec.Value.Rules[n].Group; g != "" {
				out[referral{rec.Value.VPC, g}] = true
			}
		}
	}
	return out, nil
}

// DescribeStaleSecurityGroups lists the security groups of a VPC with the rules that refer to a group of a peer where the
// group or the connection is gone. Source: EC2 API Reference, DescribeStaleSecurityGroups.
func (s *Service) DescribeStaleSecurityGroups(ctx context.Context, c *guard.Call, in *ec2api.DescribeStaleSecurityGroupsRequest) (*ec2api.DescribeStaleSecurityGroupsResult, error) {
	out := new(ec2api.DescribeStaleSecurityGroupsResult)
	return out, s.viewList(ctx, c, "ec2:"+c.Operation, in.DryRun, func(tx store.Tx) error {
		v, err := s.lookupVPC(tx, c, *in.VpcId)
		if err != nil {
			return err
		}
		groups, err := s.groups(tx, c)
		if err != nil {
			return err
		}
		groups = slices.DeleteFunc(groups, func(g groupRecord) bool { return g.VPC != v.ID })
		if err := s.tellPeerings(tx, c, groups); err != nil {
			return err
		}
		items := []ec2api.StaleSecurityGroup{}
		for _, g := range groups {
			w := ec2api.StaleSecurityGroup{
				GroupId: &g.ID, GroupName: &g.Name, Description: &g.Description, VpcId: &g.VPC,
				StaleIpPermissions: []ec2api.StaleIpPermission{}, StaleIpPermissionsEgress: []ec2api.StaleIpPermission{},
			}
			stale := 0
			for n := range g.Rules {
				p, ok, err := g.Rules[n].stale(tx, c.Region)
				if err != nil {
					return err
				}
				if !ok {
					continue
				}
				list := &w.StaleIpPermissions
				if g.Rules[n].Egress {
					list = &w.StaleIpPermissionsEgress
				}
				*list, stale = append(*list, p), stale+1
			}
			if stale > 0 {
				items = append(items, w)
			}
		}
		out.StaleSecurityGroupSet, out.NextToken, err = paginate(c.Operation, items, func(g ec2api.StaleSecurityGroup) string { return *g.GroupId }, anyPage, in.MaxResults, in.NextToken)
		return err
	})
}

// stale is a rule as the answer has it whose group or connection is gone; ok is false for others. The owner of a group
// that is gone is not told. Source: EC2 API Reference, UserIdGroupPair.
func (r *groupRule) stale(tx store.Tx, region string) (p ec2api.StaleIpPermission, ok bool, err error) {
	if r.Peering == "" {
		return p, false, nil
	}
	pair := r.pair()
	if _, err := groupOf(tx, region, r.GroupOwner, r.Group); apierr.Code(err) != "" {
		pair.UserId = nil
	} else if err != nil || r.peered == "active" {
		return p, false, err
	}
	return ec2api.StaleIpPermission{IpProtocol: &r.Protocol, FromPort: r.From, ToPort: r.To, UserIdGroupPairs: []ec2api.UserIdGroupPair{pair}}, true, nil
}
