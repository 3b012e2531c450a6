package ec2

import (
	"context"
	"slices"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// gateway is the internet gateway of a default VPC.
// Source: VPC User Guide, "Default VPCs".
func (v vpcRecord) gateway() ec2api.InternetGateway {
	return ec2api.InternetGateway{
		InternetGatewayId: new(v.part("igw")), OwnerId: &v.Account,
		Attachments: []ec2api.InternetGatewayAttachment{{VpcId: &v.ID, State: new("available")}},
	}
}

var gatewayFields = fields[ec2api.InternetGateway]{
	"internet-gateway-id": func(g ec2api.InternetGateway) []string { return oneOf(*g.InternetGatewayId) },
	"owner-id":            func(g ec2api.InternetGateway) []string { return oneOf(*g.OwnerId) },
	"attachment.vpc-id":   func(g ec2api.InternetGateway) []string { return oneOf(*g.Attachments[0].VpcId) },
	"attachment.state":    func(g ec2api.InternetGateway) []string { return oneOf(*g.Attachments[0].State) },
}

// DescribeInternetGateways lists the internet gateway of the caller's default VPC.
func (s *Service) DescribeInternetGateways(ctx context.Context, c *guard.Call, in *ec2api.DescribeInternetGatewaysRequest) (*ec2api.DescribeInternetGatewaysResult, error) {
	out := new(ec2api.DescribeInternetGatewaysResult)
	id := func(g ec2api.InternetGateway) string { return *g.InternetGatewayId }
	err := s.viewList(ctx, c, "ec2:DescribeInternetGateways", in.DryRun, func(tx store.Tx) error {
		vpc, ok, err := s.defaultVPC(tx, c)
		if err != nil {
			return err
		}
		var items []ec2api.InternetGateway
		if ok {
			items = append(items, vpc.gateway())
		}
		items, err = pick(items, in.InternetGatewayIds, id, errGateway)
		if err != nil {
			return err
		}
		items, err = sift(tx, c, gatewayFields, in.Filters, items,
			func(g *ec2api.InternetGateway) (string, *[]ec2api.Tag) { return *g.InternetGatewayId, &g.Tags })
		if err != nil {
			return err
		}
		out.InternetGateways, out.NextToken, err = paginate(c.Operation, items, id, anyPage, in.MaxResults, in.NextToken)
		return err
	})
	return out, err
}

// networkACL is the default network ACL of a VPC with its subnets: it lets everything pass.
// Source: VPC User Guide, "Default network ACL for a VPC".
func (v vpcRecord) networkACL(subnets []subnet) ec2api.NetworkAcl {
	acl := ec2api.NetworkAcl{NetworkAclId: new(v.part("acl")), VpcId: &v.ID, OwnerId: &v.Account, IsDefault: new(true)}
	for _, egress := range []bool{true, false} {
		for _, rule := range []struct {
			number int32
			action string
		}{{100, "allow"}, {32767, "deny"}} {
			acl.Entries = append(acl.Entries, ec2api.NetworkAclEntry{
				CidrBlock: new(everywhere), Egress: new(egress), Protocol: new("-1"), RuleAction: new(rule.action), RuleNumber: new(rule.number),
			})
		}
	}
	for _, n := range subnets {
		if n.VPC != v.ID {
			continue
		}
		acl.Associations = append(acl.Associations, ec2api.NetworkAclAssociation{
			NetworkAclAssociationId: new(networkID("aclassoc", n.Region, n.Account, n.ID)), NetworkAclId: acl.NetworkAclId, SubnetId: new(n.ID),
		})
	}
	return acl
}

var networkACLFields = fields[ec2api.NetworkAcl]{
	"network-acl-id":             func(a ec2api.NetworkAcl) []string { return oneOf(*a.NetworkAclId) },
	"vpc-id":                     func(a ec2api.NetworkAcl) []string { return oneOf(*a.VpcId) },
	"owner-id":                   func(a ec2api.NetworkAcl) []string { return oneOf(*a.OwnerId) },
	"default":                    func(a ec2api.NetworkAcl) []string { return boolOf(*a.IsDefault) },
	"association.network-acl-id": func(a ec2api.NetworkAcl) []string { return oneOf(*a.NetworkAclId) },
	"association.subnet-id": func(a ec2api.NetworkAcl) (ids []string) {
		for _, x := range a.Associations {
			ids = append(ids, *x.SubnetId)
		}
		return ids
	},
	"association.association-id": func(a ec2api.NetworkAcl) (ids []string) {
		for _, x := range a.Associations {
			ids = append(ids, *x.NetworkAclAssociationId)
		}
		return ids
	},
	"entry.cidr":            entries(func(e ec2api.NetworkAclEntry) []string { return oneOf(*e.CidrBlock) }),
	"entry.egress":          entries(func(e ec2api.NetworkAclEntry) []string { return boolOf(*e.Egress) }),
	"entry.protocol":        entries(func(e ec2api.NetworkAclEntry) []string { return oneOf(*e.Protocol) }),
	"entry.rule-action":     entries(func(e ec2api.NetworkAclEntry) []string { return oneOf(*e.RuleAction) }),
	"entry.rule-number":     entries(func(e ec2api.NetworkAclEntry) []string { return intOf(*e.RuleNumber) }),
	"entry.icmp.code":       fixed[ec2api.NetworkAcl](),
	"entry.icmp.type":       fixed[ec2api.NetworkAcl](),
	"entry.ipv6-cidr":       fixed[ec2api.NetworkAcl](),
	"entry.port-range.from": fixed[ec2api.NetworkAcl](),
	"entry.port-range.to":   fixed[ec2api.NetworkAcl](),
}

func entries(values func(ec2api.NetworkAclEntry) []string) func(ec2api.NetworkAcl) []string {
	return func(a ec2api.NetworkAcl) (out []string) {
		for _, e := range a.Entries {
			out = append(out, values(e)...)
		}
		return out
	}
}

// DescribeNetworkAcls lists the default network ACLs of the caller's VPCs: there are no others.
func (s *Service) DescribeNetworkAcls(ctx context.Context, c *guard.Call, in *ec2api.DescribeNetworkAclsRequest) (*ec2api.DescribeNetworkAclsResult, error) {
	out := new(ec2api.DescribeNetworkAclsResult)
	id := func(a ec2api.NetworkAcl) string { return *a.NetworkAclId }
	err := s.viewList(ctx, c, "ec2:DescribeNetworkAcls", in.DryRun, func(tx store.Tx) error {
		vpcs, err := s.vpcs(tx, c)
		if err != nil {
			return err
		}
		subnets, err := s.subnets(tx, c)
		if err != nil {
			return err
		}
		var items []ec2api.NetworkAcl
		for _, v := range vpcs {
			items = append(items, v.networkACL(subnets))
		}
		items, err = pick(items, in.NetworkAclIds, id, errNetworkACL)
		if err != nil {
			return err
		}
		items, err = sift(tx, c, networkACLFields, in.Filters, items,
			func(a *ec2api.NetworkAcl) (string, *[]ec2api.Tag) { return *a.NetworkAclId, &a.Tags })
		if err != nil {
			return err
		}
		for i := range items {
			items[i].Tags = append([]ec2api.Tag{}, items[i].Tags...)
		}
		out.NetworkAcls, out.NextToken, err = paginate(c.Operation, items, id, anyPage, in.MaxResults, in.NextToken)
		return err
	})
	return out, err
}

// DescribeAccountAttributes tells the attributes of the caller's account.
// Source: EC2 API Reference, DescribeAccountAttributes.
func (s *Service) DescribeAccountAttributes(ctx context.Context, c *guard.Call, in *ec2api.DescribeAccountAttributesRequest) (*ec2api.DescribeAccountAttributesResult, error) {
	out := &ec2api.DescribeAccountAttributesResult{}
	err := s.viewList(ctx, c, "ec2:DescribeAccountAttributes", in.DryRun, func(tx store.Tx) error {
		out.AccountAttributes = []ec2api.AccountAttribute{}
		vpc, ok, err := s.defaultVPC(tx, c)
		if err != nil {
			return err
		}
		first := "none"
		if ok {
			first = vpc.ID
		}
		for _, v := range [][2]string{
			{"default-vpc", first}, {"max-elastic-ips", "5"}, {"max-instances", "20"}, {"supported-platforms", "VPC"},
			{"vpc-max-elastic-ips", "5"}, {"vpc-max-security-groups-per-interface", "5"},
		} {
			if len(in.AttributeNames) > 0 && !slices.Contains(in.AttributeNames, v[0]) {
				continue
			}
			out.AccountAttributes = append(out.AccountAttributes, ec2api.AccountAttribute{
				AttributeName: new(v[0]), AttributeValues: []ec2api.AccountAttributeValue{{AttributeValue: new(v[1])}},
			})
		}
		return nil
	})
	return out, err
}

func errGateway(id string) error {
	return apierr.Newf("InvalidInternetGatewayID.NotFound", "The internetGateway ID '%s' does not exist", id)
}

func errNetworkACL(id string) error {
	return apierr.Newf("InvalidNetworkAclID.NotFound", "The networkAcl ID '%s' does not exist", id)
}
