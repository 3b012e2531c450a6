package ec2

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// Characters of names and descriptions of security groups, and how errors say them.
// Source: EC2 API Reference, CreateSecurityGroup.
const (
	groupChars     = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ._-:/()#,@[]+=&;{}!$*"
	groupCharsSaid = "a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*"
)

// securityGroupOperations are the handlers of what changes security groups.
func (s *Service) securityGroupOperations() map[string]guard.Handler {
	return map[string]guard.Handler{
		"CreateSecurityGroup":           guard.Handle(s.CreateSecurityGroup),
		"DeleteSecurityGroup":           guard.Handle(s.DeleteSecurityGroup),
		"AuthorizeSecurityGroupIngress": guard.Handle(s.AuthorizeSecurityGroupIngress),
		"AuthorizeSecurityGroupEgress":  guard.Handle(s.AuthorizeSecurityGroupEgress),
		"RevokeSecurityGroupIngress":    guard.Handle(s.RevokeSecurityGroupIngress),
		"RevokeSecurityGroupEgress":     guard.Handle(s.RevokeSecurityGroupEgress),
		"ModifySecurityGroupRules":      guard.Handle(s.ModifySecurityGroupRules),
		"DescribeSecurityGroupRules":    guard.Handle(s.DescribeSecurityGroupRules),
		"GetSecurityGroupsForVpc":       guard.Handle(s.GetSecurityGroupsForVpc),
		"AssociateSecurityGroupVpc":     guard.Handle(s.AssociateSecurityGroupVpc),
		"DisassociateSecurityGroupVpc":  guard.Handle(s.DisassociateSecurityGroupVpc),

		"DescribeSecurityGroupReferences":      guard.Handle(s.DescribeSecurityGroupReferences),
		"DescribeStaleSecurityGroups":          guard.Handle(s.DescribeStaleSecurityGroups),
		"DescribeSecurityGroupVpcAssociations": guard.Handle(s.DescribeSecurityGroupVpcAssociations),

		"UpdateSecurityGroupRuleDescriptionsIngress": guard.Handle(s.UpdateSecurityGroupRuleDescriptionsIngress),
		"UpdateSecurityGroupRuleDescriptionsEgress":  guard.Handle(s.UpdateSecurityGroupRuleDescriptionsEgress),
	}
}

// CreateSecurityGroup makes a security group that lets everything out and nothing in.
// Source: EC2 API Reference, CreateSecurityGroup.
func (s *Service) CreateSecurityGroup(ctx context.Context, c *guard.Call, in *ec2api.CreateSecurityGroupRequest) (*ec2api.CreateSecurityGroupResult, error) {
	name, about := api.Val(in.GroupName), api.Val(in.Description)
	switch {
	case name == "":
		return nil, apierr.New("MissingParameter", "The request must contain the parameter groupName")
	case about == "":
		return nil, apierr.New("MissingParameter", "The request must contain the parameter groupDescription")
	case strings.HasPrefix(name, "sg-"):
		return nil, invalidValue("Value (%s) for parameter groupName is invalid. Group names may not be in the format sg-*.", name)
	case len(name) > 255 || strings.Trim(name, groupChars) != "":
		return nil, invalidValue("Value (%s) for parameter GroupName is invalid. Character sets beyond ASCII are not supported.", name)
	case len(about) > 255 || strings.Trim(about, groupChars) != "":
		return nil, invalidValue("Value (%s) for parameter GroupDescription is invalid. Character sets beyond ASCII are not supported.", about)
	case strings.EqualFold(name, "default"):
		return nil, invalidValue("Cannot use reserved security group name: %s", name)
	}
	specs, err := tagSpecs(c, in.TagSpecifications, "security-group")
	if err != nil {
		return nil, err
	}
	id := randomID("sg")
	out := &ec2api.CreateSecurityGroupResult{}
	return out, s.g.Update(ctx, c, func(tx store.Tx) error {
		vpc, missing := vpcRecord{ID: api.Val(in.VpcId), Tenancy: "default"}, error(nil)
		if vpc.ID == "" {
			if vpc, err = s.needDefaultVPC(tx, c); err != nil {
				return err
			}
		} else if found, err := s.lookupVPC(tx, c, vpc.ID); err != nil {
			missing = err
		} else {
			vpc = found
		}
		tags, err := tagsOf(tx, c.Region, c.Account(), vpc.ID)
		if err != nil {
			return err
		}
		p := s.part(c, "ec2:CreateSecurityGroup", "security-group/*", nil)
		addRequestTags(&p, specs["security-group"])
		where := s.part(c, "ec2:CreateSecurityGroup", "vpc/"+vpc.ID, tags)
		vpc.describe(&where)
		parts := s.withTags(c, []authz.Part{p, where}, "security-group", specs["security-group"])
		if _, err := s.g.Authorize(tx, c, guard.Check{Parts: parts}); err != nil {
			return err
		}
		if missing != nil {
			return missing
		}
		if err := dryRun(in.DryRun); err != nil {
			return err
		}
		if _, ok, err := s.groupNamed(tx, c, vpc.ID, name); err != nil {
			return err
		} else if ok {
			return apierr.Newf("InvalidGroup.Duplicate", "The security group '%s' already exists for VPC '%s'", name, vpc.ID)
		}
		g := groupRecord{
			group: group{Region: c.Region, Account: c.Account(), ID: id, Name: name, VPC: vpc.ID}, Description: about,
			Rules: vpc.outward(id, id+"six"),
		}
		c.Touch(arn.EC2(c.Region, c.Account(), "security-group/"+id), c.Account(), "AWS::EC2::SecurityGroup")
		if err := groupTable.Put(tx, g, c.Region, c.Account(), id); err != nil {
			return err
		}
		*out = ec2api.CreateSecurityGroupResult{
			GroupId: &id, SecurityGroupArn: new(arn.EC2(c.Region, c.Account(), "security-group/"+id)), Tags: apiTags(tagMap(specs["security-group"])),
		}
		return putTags(tx, c.Region, c.Account(), id, specs["security-group"])
	})
}

// theGroup finds the security group that a request names in one of two ways, decides the call's
// action on it and says what else the decision has: parts may add to it.
func (s *Service) theGroup(tx store.Tx, c *guard.Call, id, name *string, more ...authz.Part) (groupRecord, error) {
	var g groupRecord
	var missing error
	switch {
	case api.Val(id) != "":
		g, missing = s.groupByID(tx, c, *id)
		g.ID = *id
	case api.Val(name) != "":
		found, err := s.lookupGroupName(tx, c, *name)
		if err != nil {
			return g, err
		}
		if g, err = s.groupByID(tx, c, found.ID); err != nil {
			return g, err
		}
	default:
		return g, apierr.New("MissingParameter", "The request must contain the parameter groupName or groupId")
	}
	if missing != nil && apierr.Code(missing) == "" {
		return g, missing
	}
	tags, err := tagsOf(tx, c.Region, c.Account(), g.ID)
	if err != nil {
		return g, err
	}
	p := s.part(c, "ec2:"+c.Operation, "security-group/"+g.ID, tags)
	if missing == nil {
		g.describe(&p)
	}
	c.Touch(p.Resource.ARN, c.Account(), "AWS::EC2::SecurityGroup")
	if _, err := s.g.Authorize(tx, c, guard.Check{Parts: append([]authz.Part{p}, more...)}); err != nil {
		return g, err
	}
	return g, missing
}

// DeleteSecurityGroup deletes a security group that nothing uses. Rules of groups of peers that refer to it stay, and are stale.
// Source: EC2 API Reference, DeleteSecurityGroup.
func (s *Service) DeleteSecurityGroup(ctx context.Context, c *guard.Call, in *ec2api.DeleteSecurityGroupRequest) (*ec2api.DeleteSecurityGroupResult, error) {
	out := &ec2api.DeleteSecurityGroupResult{}
	return out, s.g.Update(ctx, c, func(tx store.Tx) error {
		g, err := s.theGroup(tx, c, in.GroupId, in.GroupName)
		if err != nil {
			return err
		}
		if err := dryRun(in.DryRun); err != nil {
			return err
		}
		if g.Name == "default" {
			return apierr.Newf("CannotDelete", "the specified group: \"%s\" name: \"default\" cannot be deleted by a user", g.ID)
		}
		used, err := s.interfacesIn(tx, c, func(f *faceRecord) bool { return slices.Contains(f.Groups, g.ID) })
		if err != nil {
			return err
		}
		all, err := s.groups(tx, c)
		if err != nil {
			return err
		}
		for _, o := range all {
			used = used || o.ID != g.ID && o.VPC == g.VPC && slices.ContainsFunc(o.Rules, func(r groupRule) bool { return r.Group == g.ID })
		}
		if used || len(g.Others) > 0 {
			return errDependency(g.ID)
		}
		*out = ec2api.DeleteSecurityGroupResult{Return: new(true), GroupId: &g.ID}
		return s.dropGroup(tx, &g)
	})
}

func errDependency(id string) error {
	return apierr.Newf("DependencyViolation", "resource %s has a dependent object", id)
}

// dropGroup removes a security group with its tags and those of its rules.
func (s *Service) dropGroup(tx store.Tx, g *groupRecord) error {
	for _, r := range g.Rules {
		if err := dropTags(tx, g.Region, g.Account, r.ID); err != nil {
			return err
		}
	}
	if err := dropTags(tx, g.Region, g.Account, g.ID); err != nil {
		return err
	}
	return groupTable.Delete(tx, g.Region, g.Account, g.ID)
}

// AuthorizeSecurityGroupIngress adds rules about traffic to the instances of a group.
func (s *Service) AuthorizeSecurityGroupIngress(ctx context.Context, c *guard.Call, in *ec2api.AuthorizeSecurityGroupIngressRequest) (*ec2api.AuthorizeSecurityGroupIngressResult, error) {
	asked := in.IpPermissions
	if len(asked) == 0 {
		asked = oldPermission(in.IpProtocol, in.FromPort, in.ToPort, in.CidrIp, in.SourceSecurityGroupName, in.SourceSecurityGroupOwnerId)
	}
	rules, err := s.authorizeRules(ctx, c, in.GroupId, in.GroupName, asked, false, in.TagSpecifications, in.DryRun)
	if err != nil {
		return nil, err
	}
	return &ec2api.AuthorizeSecurityGroupIngressResult{Return: new(true), SecurityGroupRules: rules}, nil
}

// AuthorizeSecurityGroupEgress adds rules about traffic from the instances of a group.
func (s *Service) AuthorizeSecurityGroupEgress(ctx context.Context, c *guard.Call, in *ec2api.AuthorizeSecurityGroupEgressRequest) (*ec2api.AuthorizeSecurityGroupEgressResult, error) {
	asked := in.IpPermissions
	if len(asked) == 0 {
		asked = oldPermission(in.IpProtocol, in.FromPort, in.ToPort, in.CidrIp, in.SourceSecurityGroupName, in.SourceSecurityGroupOwnerId)
	}
	rules, err := s.authorizeRules(ctx, c, in.GroupId, nil, asked, true, in.TagSpecifications, in.DryRun)
	if err != nil {
		return nil, err
	}
	return &ec2api.AuthorizeSecurityGroupEgressResult{Return: new(true), SecurityGroupRules: rules}, nil
}

// oldPermission is the form of a request about one rule, or nothing.
func oldPermission(protocol *string, from, to *int32, cidr, group, owner *string) []ec2api.IpPermission {
	if protocol == nil && cidr == nil && group == nil {
		return nil
	}
	p := ec2api.IpPermission{IpProtocol: protocol, FromPort: from, ToPort: to}
	if cidr != nil {
		p.IpRanges = []ec2api.IpRange{{CidrIp: cidr}}
	}
	if group != nil {
		p.IpProtocol = new(cmp.Or(api.Val(protocol), "-1"))
		p.UserIdGroupPairs = []ec2api.UserIdGroupPair{{GroupName: group, UserId: owner}}
	}
	return []ec2api.IpPermission{p}
}

func (s *Service) authorizeRules(ctx context.Context, c *guard.Call, id, name *string, asked []ec2api.IpPermission, egress bool,
	tagging []ec2api.TagSpecification, flag *bool,
) ([]ec2api.SecurityGroupRule, error) {
	if len(asked) == 0 {
		return nil, apierr.New("MissingParameter", "The request must contain the parameter ipPermissions")
	}
	specs, err := tagSpecs(c, tagging, "security-group-rule")
	if err != nil {
		return nil, err
	}
	tags := specs["security-group-rule"]
	var out []ec2api.SecurityGroupRule
	err = s.g.Update(ctx, c, func(tx store.Tx) error {
		out = nil
		p := s.part(c, "ec2:"+c.Operation, "security-group-rule/*", nil)
		addRequestTags(&p, tags)
		g, err := s.theGroup(tx, c, id, name, s.withTags(c, []authz.Part{p}, "security-group-rule", tags)...)
		if err != nil {
			return err
		}
		rules, err := s.rulesOf(tx, c, &g, asked, egress, false)
		if err != nil {
			return err
		}
		if err := dryRun(flag); err != nil {
			return err
		}
		have := len(slices.DeleteFunc(slices.Clone(g.Rules), func(r groupRule) bool { return r.Egress != egress }))
		if have+len(rules) > maxGroupRules {
			return apierr.New("RulesPerSecurityGroupLimitExceeded", "The maximum number of rules per security group has been reached.")
		}
		for _, r := range rules {
			if slices.ContainsFunc(g.Rules, func(o groupRule) bool { return o.same(&r) }) {
				return r.duplicate()
			}
		}
		for n := range rules {
			rules[n].ID = randomID("sgr")
			if err := putTags(tx, c.Region, c.Account(), rules[n].ID, tags); err != nil {
				return err
			}
			out = append(out, rules[n].wire(&g, tagMap(tags)))
		}
		g.Rules = append(slices.Clone(g.Rules), rules...)
		return groupTable.Put(tx, g, c.Region, c.Account(), g.ID)
	})
	return out, err
}

// RevokeSecurityGroupIngress removes rules about traffic to the instances of a group.
func (s *Service) RevokeSecurityGroupIngress(ctx context.Context, c *guard.Call, in *ec2api.RevokeSecurityGroupIngressRequest) (*ec2api.RevokeSecurityGroupIngressResult, error) {
	asked := in.IpPermissions
	if len(asked) == 0 {
		asked = oldPermission(in.IpProtocol, in.FromPort, in.ToPort, in.CidrIp, in.SourceSecurityGroupName, in.SourceSecurityGroupOwnerId)
	}
	unknown, revoked, err := s.revokeRules(ctx, c, in.GroupId, in.GroupName, in.SecurityGroupRuleIds, asked, false, in.DryRun)
	if err != nil {
		return nil, err
	}
	return &ec2api.RevokeSecurityGroupIngressResult{Return: new(true), UnknownIpPermissions: unknown, RevokedSecurityGroupRules: revoked}, nil
}

// RevokeSecurityGroupEgress removes rules about traffic from the instances of a group.
func (s *Service) RevokeSecurityGroupEgress(ctx context.Context, c *guard.Call, in *ec2api.RevokeSecurityGroupEgressRequest) (*ec2api.RevokeSecurityGroupEgressResult, error) {
	asked := in.IpPermissions
	if len(asked) == 0 {
		asked = oldPermission(in.IpProtocol, in.FromPort, in.ToPort, in.CidrIp, in.SourceSecurityGroupName, in.SourceSecurityGroupOwnerId)
	}
	unknown, revoked, err := s.revokeRules(ctx, c, in.GroupId, nil, in.SecurityGroupRuleIds, asked, true, in.DryRun)
	if err != nil {
		return nil, err
	}
	return &ec2api.RevokeSecurityGroupEgressResult{Return: new(true), UnknownIpPermissions: unknown, RevokedSecurityGroupRules: revoked}, nil
}

// revokeRules removes rules by id or by what they say. In a default VPC a rule that the group does
// not have is an error; in others the answer tells it.
// Source: EC2 API Reference, RevokeSecurityGroupIngress.
func (s *Service) revokeRules(ctx context.Context, c *guard.Call, id, name *string, ids []string, asked []ec2api.IpPermission, egress bool, flag *bool,
) (unknown []ec2api.IpPermission, revoked []ec2api.RevokedSecurityGroupRule, err error) {
	if len(ids)+len(asked) == 0 {
		return nil, nil, apierr.New("MissingParameter", "The request must contain the parameter ipPermissions or securityGroupRuleIds")
	}
	err = s.g.Update(ctx, c, func(tx store.Tx) error {
		unknown, revoked = nil, nil
		g, err := s.theGroup(tx, c, id, name)
		if err != nil {
			return err
		}
		vpc, err := s.lookupVPC(tx, c, g.VPC)
		if err != nil {
			return err
		}
		rules, err := s.rulesOf(tx, c, &g, asked, egress, true)
		if err != nil {
			return err
		}
		if err := dryRun(flag); err != nil {
			return err
		}
		var gone []string
		for _, id := range ids {
			if !slices.ContainsFunc(g.Rules, func(o groupRule) bool { return o.ID == id && o.Egress == egress }) {
				return errRuleID(id)
			}
			gone = append(gone, id)
		}
		for n := range rules {
			at := slices.IndexFunc(g.Rules, func(o groupRule) bool { return o.same(&rules[n]) })
			switch {
			case at >= 0:
				gone = append(gone, g.Rules[at].ID)
			case vpc.Default:
				return apierr.New("InvalidPermission.NotFound", "The specified rule does not exist in this security group.")
			default:
				unknown = append(unknown, permissions(rules[n:n+1], egress)...)
			}
		}
		var left []groupRule
		for n := range g.Rules {
			r := &g.Rules[n]
			if !slices.Contains(gone, r.ID) {
				left = append(left, *r)
				continue
			}
			revoked = append(revoked, ec2api.RevokedSecurityGroupRule{
				SecurityGroupRuleId: &r.ID, GroupId: &g.ID, IsEgress: &r.Egress, IpProtocol: &r.Protocol, FromPort: r.port(r.From), ToPort: r.port(r.To),
				CidrIpv4: api.Opt(r.CIDR), CidrIpv6: api.Opt(r.CIDR6), PrefixListId: api.Opt(r.PrefixList), ReferencedGroupId: api.Opt(r.Group), Description: api.Opt(r.Description),
			})
			if err := dropTags(tx, c.Region, c.Account(), r.ID); err != nil {
				return err
			}
		}
		g.Rules = left
		return groupTable.Put(tx, g, c.Region, c.Account(), g.ID)
	})
	return unknown, revoked, err
}
