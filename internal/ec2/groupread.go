package ec2

import (
	"context"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

func errRule(id string) error {
	return apierr.Newf("InvalidSecurityGroupRuleId.NotFound", "The security group rule ID '%s' does not exist", id)
}

// findRule fails if no security group of the caller has a rule with the id.
func (s *Service) findRule(tx store.Tx, c *guard.Call, id string) error {
	all, err := s.groups(tx, c)
	if err != nil {
		return err
	}
	for _, g := range all {
		for _, r := range g.Rules {
			if r.ID == id {
				return nil
			}
		}
	}
	return errRule(id)
}

var ruleFields = fields[ec2api.SecurityGroupRule]{
	"group-id":               func(r ec2api.SecurityGroupRule) []string { return oneOf(*r.GroupId) },
	"security-group-rule-id": func(r ec2api.SecurityGroupRule) []string { return oneOf(*r.SecurityGroupRuleId) },
	"is-egress":              func(r ec2api.SecurityGroupRule) []string { return boolOf(*r.IsEgress) },
}

// DescribeSecurityGroupRules lists the rules of the caller's security groups.
func (s *Service) DescribeSecurityGroupRules(ctx context.Context, c *guard.Call, in *ec2api.DescribeSecurityGroupRulesRequest) (*ec2api.DescribeSecurityGroupRulesResult, error) {
	out := new(ec2api.DescribeSecurityGroupRulesResult)
	id := func(r ec2api.SecurityGroupRule) string { return *r.SecurityGroupRuleId }
	err := s.viewList(ctx, c, "ec2:DescribeSecurityGroupRules", in.DryRun, func(tx store.Tx) error {
		all, err := s.groups(tx, c)
		if err != nil {
			return err
		}
		if err := s.tellPeerings(tx, c, all); err != nil {
			return err
		}
		var items []ec2api.SecurityGroupRule
		for _, g := range all {
			for _, r := range g.Rules {
				items = append(items, r.wire(&g, nil))
			}
		}
		if items, err = pick(items, in.SecurityGroupRuleIds, id, errRule); err != nil {
			return err
		}
		items, err = sift(tx, c, ruleFields, in.Filters, items,
			func(r *ec2api.SecurityGroupRule) (string, *[]ec2api.Tag) { return *r.SecurityGroupRuleId, &r.Tags })
		for n := range items { // AWS's examples have the list also where it is empty
			items[n].Tags = append([]ec2api.Tag{}, items[n].Tags...)
		}
		if err != nil {
			return err
		}
		out.SecurityGroupRules, out.NextToken, err = paginate(c.Operation, items, id, limits{5, 1000}, in.MaxResults, in.NextToken)
		return err
	})
	return out, err
}

var vpcGroupFields = fields[ec2api.SecurityGroupForVpc]{
	"group-id":       func(g ec2api.SecurityGroupForVpc) []string { return oneOf(*g.GroupId) },
	"group-name":     func(g ec2api.SecurityGroupForVpc) []string { return oneOf(*g.GroupName) },
	"description":    func(g ec2api.SecurityGroupForVpc) []string { return oneOf(*g.Description) },
	"owner-id":       func(g ec2api.SecurityGroupForVpc) []string { return oneOf(*g.OwnerId) },
	"primary-vpc-id": func(g ec2api.SecurityGroupForVpc) []string { return oneOf(*g.PrimaryVpcId) },
}

// GetSecurityGroupsForVpc lists the security groups that can be used in a VPC: its own, and those that are associated with it.
// Source: EC2 API Reference, GetSecurityGroupsForVpc.
func (s *Service) GetSecurityGroupsForVpc(ctx context.Context, c *guard.Call, in *ec2api.GetSecurityGroupsForVpcRequest) (*ec2api.GetSecurityGroupsForVpcResult, error) {
	out := new(ec2api.GetSecurityGroupsForVpcResult)
	id := func(g ec2api.SecurityGroupForVpc) string { return *g.GroupId }
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		v, err := s.allowVPC(tx, c, api.Val(in.VpcId))
		if err != nil {
			return err
		}
		if err := dryRun(in.DryRun); err != nil {
			return err
		}
		all, err := s.groups(tx, c)
		if err != nil {
			return err
		}
		var items []ec2api.SecurityGroupForVpc
		for _, g := range all {
			if g.guards(v.ID) {
				items = append(items, ec2api.SecurityGroupForVpc{
					GroupId: &g.ID, GroupName: &g.Name, Description: &g.Description, OwnerId: &g.Account, PrimaryVpcId: &g.VPC,
				})
			}
		}
		items, err = sift(tx, c, vpcGroupFields, in.Filters, items,
			func(g *ec2api.SecurityGroupForVpc) (string, *[]ec2api.Tag) { return *g.GroupId, &g.Tags })
		if err != nil {
			return err
		}
		out.SecurityGroupForVpcs, out.NextToken, err = paginate(c.Operation, items, id, limits{5, 1000}, in.MaxResults, in.NextToken)
		return err
	})
	return out, err
}
