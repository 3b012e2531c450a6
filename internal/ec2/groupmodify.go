package ec2

import (
	"context"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// errRuleID is the error of a rule that a security group does not have.
func errRuleID(id string) error {
	return apierr.Newf("InvalidSecurityGroupRuleId.NotFound", "The security group rule ID '%s' does not exist", id)
}

// ModifySecurityGroupRules makes rules of a group say something else; ids, directions and tags stay.
// Source: EC2 API Reference, ModifySecurityGroupRules.
func (s *Service) ModifySecurityGroupRules(ctx context.Context, c *guard.Call, in *ec2api.ModifySecurityGroupRulesRequest) (*ec2api.ModifySecurityGroupRulesResult, error) {
	for n, u := range in.SecurityGroupRules {
		if u.SecurityGroupRule == nil {
			return nil, apierr.Newf("MissingParameter", "The request must contain the parameter SecurityGroupRule.%d.SecurityGroupRule", n+1)
		}
	}
	return &ec2api.ModifySecurityGroupRulesResult{Return: new(true)}, s.g.Update(ctx, c, func(tx store.Tx) error {
		var more []authz.Part
		for _, u := range in.SecurityGroupRules {
			tags, err := tagsOf(tx, c.Region, c.Account(), *u.SecurityGroupRuleId)
			if err != nil {
				return err
			}
			more = append(more, s.part(c, "ec2:ModifySecurityGroupRules", "security-group-rule/"+*u.SecurityGroupRuleId, tags))
		}
		g, err := s.theGroup(tx, c, in.GroupId, nil, more...)
		if err != nil {
			return err
		}
		g.Rules = slices.Clone(g.Rules)
		for _, u := range in.SecurityGroupRules {
			if err := s.modifyRule(tx, c, &g, *u.SecurityGroupRuleId, u.SecurityGroupRule); err != nil {
				return err
			}
		}
		for n := range g.Rules {
			if slices.ContainsFunc(g.Rules[n+1:], func(o groupRule) bool { return o.same(&g.Rules[n]) }) {
				return g.Rules[n].duplicate()
			}
		}
		if err := dryRun(in.DryRun); err != nil {
			return err
		}
		return groupTable.Put(tx, g, c.Region, c.Account(), g.ID)
	})
}

// modifyRule makes one rule of a group say what a request says.
func (s *Service) modifyRule(tx store.Tx, c *guard.Call, g *groupRecord, id string, to *ec2api.SecurityGroupRuleRequest) error {
	at := slices.IndexFunc(g.Rules, func(r groupRule) bool { return r.ID == id })
	if at < 0 {
		return errRuleID(id)
	}
	p := ec2api.IpPermission{IpProtocol: to.IpProtocol, FromPort: to.FromPort, ToPort: to.ToPort}
	given := 0
	if to.CidrIpv4 != nil {
		p.IpRanges, given = []ec2api.IpRange{{CidrIp: to.CidrIpv4, Description: to.Description}}, given+1
	}
	if to.CidrIpv6 != nil {
		p.Ipv6Ranges, given = []ec2api.Ipv6Range{{CidrIpv6: to.CidrIpv6, Description: to.Description}}, given+1
	}
	if to.PrefixListId != nil {
		p.PrefixListIds, given = []ec2api.PrefixListId{{PrefixListId: to.PrefixListId, Description: to.Description}}, given+1
	}
	if to.ReferencedGroupId != nil {
		pair := ec2api.UserIdGroupPair{GroupId: to.ReferencedGroupId, Description: to.Description}
		if old := &g.Rules[at]; old.Group == *to.ReferencedGroupId {
			pair.UserId = &old.GroupOwner
		}
		p.UserIdGroupPairs, given = []ec2api.UserIdGroupPair{pair}, given+1
	}
	if given > 1 {
		return apierr.New("InvalidParameterCombination", "Only one of CidrIpv4, CidrIpv6, PrefixListId and ReferencedGroupId can be specified for a security group rule.")
	}
	rules, err := s.rulesOf(tx, c, g, []ec2api.IpPermission{p}, g.Rules[at].Egress, false)
	if err != nil {
		return err
	}
	rules[0].ID = id
	g.Rules[at] = rules[0]
	return nil
}

// UpdateSecurityGroupRuleDescriptionsIngress changes or removes descriptions of rules about traffic to the
// instances of a group. Source: EC2 API Reference, UpdateSecurityGroupRuleDescriptionsIngress.
func (s *Service) UpdateSecurityGroupRuleDescriptionsIngress(ctx context.Context, c *guard.Call, in *ec2api.UpdateSecurityGroupRuleDescriptionsIngressRequest) (*ec2api.UpdateSecurityGroupRuleDescriptionsIngressResult, error) {
	err := s.describeRules(ctx, c, in.GroupId, in.GroupName, in.IpPermissions, in.SecurityGroupRuleDescriptions, false, in.DryRun)
	if err != nil {
		return nil, err
	}
	return &ec2api.UpdateSecurityGroupRuleDescriptionsIngressResult{Return: new(true)}, nil
}

// UpdateSecurityGroupRuleDescriptionsEgress is the same for traffic from them.
func (s *Service) UpdateSecurityGroupRuleDescriptionsEgress(ctx context.Context, c *guard.Call, in *ec2api.UpdateSecurityGroupRuleDescriptionsEgressRequest) (*ec2api.UpdateSecurityGroupRuleDescriptionsEgressResult, error) {
	err := s.describeRules(ctx, c, in.GroupId, in.GroupName, in.IpPermissions, in.SecurityGroupRuleDescriptions, true, in.DryRun)
	if err != nil {
		return nil, err
	}
	return &ec2api.UpdateSecurityGroupRuleDescriptionsEgressResult{Return: new(true)}, nil
}

// describeRules sets descriptions of rules, which are named by id or by what they say.
func (s *Service) describeRules(ctx context.Context, c *guard.Call, id, name *string, asked []ec2api.IpPermission, named []ec2api.SecurityGroupRuleDescription, egress bool, flag *bool) error {
	switch {
	case len(asked)+len(named) == 0:
		return apierr.New("MissingParameter", "The request must contain the parameter ipPermissions or securityGroupRuleDescriptions")
	case len(asked) > 0 && len(named) > 0:
		return apierr.New("InvalidParameterCombination", "You may specify ipPermissions or securityGroupRuleDescriptions, but not both in the same call")
	}
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		g, err := s.theGroup(tx, c, id, name)
		if err != nil {
			return err
		}
		g.Rules = slices.Clone(g.Rules)
		rules, err := s.rulesOf(tx, c, &g, asked, egress, true)
		if err != nil {
			return err
		}
		for n := range rules {
			at := slices.IndexFunc(g.Rules, func(o groupRule) bool { return o.same(&rules[n]) })
			if at < 0 {
				return apierr.New("InvalidPermission.NotFound", "The specified rule does not exist in this security group.")
			}
			g.Rules[at].Description = rules[n].Description
		}
		for _, d := range named {
			at := slices.IndexFunc(g.Rules, func(o groupRule) bool { return o.ID == api.Val(d.SecurityGroupRuleId) && o.Egress == egress })
			if at < 0 {
				return errRuleID(api.Val(d.SecurityGroupRuleId))
			}
			if g.Rules[at].Description = api.Val(d.Description); !ruleDescription(g.Rules[at].Description) {
				return errRuleDescription()
			}
		}
		if err := dryRun(flag); err != nil {
			return err
		}
		return groupTable.Put(tx, g, c.Region, c.Account(), g.ID)
	})
}

// ruleDescription reports whether a rule may have the description.
func ruleDescription(text string) bool {
	return strings.Trim(text, groupChars) == "" && len(text) <= 255
}

func errRuleDescription() error {
	return invalidValue("Invalid rule description. Valid descriptions are strings less than 256 characters from the following set: %s", groupCharsSaid)
}
