package ec2

import (
	"context"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// everywhere is the range of all IPv4 addresses.
const everywhere = "0.0.0.0/0"

// wire is a security group as answers carry it: everything out, in only from the group itself.
// Source: VPC User Guide, "Default security groups for your VPCs".
func (g group) wire() ec2api.SecurityGroup {
	return ec2api.SecurityGroup{
		GroupId: &g.ID, GroupName: &g.Name, Description: new("default VPC security group"), VpcId: &g.VPC, OwnerId: &g.Account,
		SecurityGroupArn: new(arn.EC2(g.Region, g.Account, "security-group/"+g.ID)),
		IpPermissions: []ec2api.IpPermission{{
			IpProtocol: new("-1"), UserIdGroupPairs: []ec2api.UserIdGroupPair{{UserId: &g.Account, GroupId: &g.ID}},
		}},
		IpPermissionsEgress: []ec2api.IpPermission{{IpProtocol: new("-1"), IpRanges: []ec2api.IpRange{{CidrIp: new(everywhere)}}}},
	}
}

var groupFields = fields[ec2api.SecurityGroup]{
	"group-id":                      func(g ec2api.SecurityGroup) []string { return oneOf(*g.GroupId) },
	"group-name":                    func(g ec2api.SecurityGroup) []string { return oneOf(*g.GroupName) },
	"description":                   func(g ec2api.SecurityGroup) []string { return oneOf(*g.Description) },
	"owner-id":                      func(g ec2api.SecurityGroup) []string { return oneOf(*g.OwnerId) },
	"vpc-id":                        func(g ec2api.SecurityGroup) []string { return oneOf(*g.VpcId) },
	"ip-permission.protocol":        func(ec2api.SecurityGroup) []string { return oneOf("-1") },
	"ip-permission.group-id":        func(g ec2api.SecurityGroup) []string { return oneOf(*g.GroupId) },
	"ip-permission.user-id":         func(g ec2api.SecurityGroup) []string { return oneOf(*g.OwnerId) },
	"ip-permission.cidr":            func(ec2api.SecurityGroup) []string { return nil },
	"ip-permission.from-port":       func(ec2api.SecurityGroup) []string { return nil },
	"ip-permission.to-port":         func(ec2api.SecurityGroup) []string { return nil },
	"egress.ip-permission.protocol": func(ec2api.SecurityGroup) []string { return oneOf("-1") },
	"egress.ip-permission.cidr":     func(ec2api.SecurityGroup) []string { return oneOf(everywhere) },
}

// DescribeSecurityGroups lists the caller's default security group.
func (s *Service) DescribeSecurityGroups(ctx context.Context, c *guard.Call, in *ec2api.DescribeSecurityGroupsRequest) (*ec2api.DescribeSecurityGroupsResult, error) {
	out := new(ec2api.DescribeSecurityGroupsResult)
	id := func(g ec2api.SecurityGroup) string { return *g.GroupId }
	err := s.viewList(ctx, c, "ec2:DescribeSecurityGroups", in.DryRun, func(tx store.Tx) error {
		items, err := pick([]ec2api.SecurityGroup{s.defaultGroup(c).wire()}, in.GroupIds, id, errGroup)
		if err != nil {
			return err
		}
		items, err = pick(items, in.GroupNames, func(g ec2api.SecurityGroup) string { return *g.GroupName },
			func(name string) error { return errGroupName(c, name) })
		if err != nil {
			return err
		}
		items, err = sift(tx, c, groupFields, in.Filters, items,
			func(g *ec2api.SecurityGroup) (string, *[]ec2api.Tag) { return *g.GroupId, &g.Tags })
		if err != nil {
			return err
		}
		out.SecurityGroups, out.NextToken, err = paginate(c.Operation, items, id, anyPage, in.MaxResults, in.NextToken)
		return err
	})
	return out, err
}

// routeTable is the main route table of the caller's default VPC: local traffic, and the rest to
// an internet gateway. Source: VPC User Guide, "Default VPCs".
func (s *Service) routeTable(c *guard.Call) ec2api.RouteTable {
	id := networkID("rtb", c.Region, c.Account(), "")
	return ec2api.RouteTable{
		RouteTableId: &id, VpcId: new(defaultVPC(c)), OwnerId: new(c.Account()),
		Associations: []ec2api.RouteTableAssociation{{
			Main: new(true), RouteTableId: &id, RouteTableAssociationId: new(networkID("rtbassoc", c.Region, c.Account(), "")),
			AssociationState: &ec2api.RouteTableAssociationState{State: new("associated")},
		}},
		Routes: []ec2api.Route{
			{DestinationCidrBlock: new(vpcCIDR), GatewayId: new("local"), Origin: new("CreateRouteTable"), State: new("active")},
			{
				DestinationCidrBlock: new(everywhere), GatewayId: new(networkID("igw", c.Region, c.Account(), "")),
				Origin: new("CreateRoute"), State: new("active"),
			},
		},
	}
}

func errRouteTable(id string) error {
	return apierr.Newf("InvalidRouteTableID.NotFound", "The routeTable ID '%s' does not exist", id)
}

var routeTableFields = fields[ec2api.RouteTable]{
	"route-table-id":             func(t ec2api.RouteTable) []string { return oneOf(*t.RouteTableId) },
	"vpc-id":                     func(t ec2api.RouteTable) []string { return oneOf(*t.VpcId) },
	"owner-id":                   func(t ec2api.RouteTable) []string { return oneOf(*t.OwnerId) },
	"association.main":           func(t ec2api.RouteTable) []string { return boolOf(*t.Associations[0].Main) },
	"association.route-table-id": func(t ec2api.RouteTable) []string { return oneOf(*t.RouteTableId) },
	"association.route-table-association-id": func(t ec2api.RouteTable) []string {
		return oneOf(*t.Associations[0].RouteTableAssociationId)
	},
	"association.subnet-id":        func(ec2api.RouteTable) []string { return nil },
	"association.gateway-id":       func(ec2api.RouteTable) []string { return nil },
	"route.destination-cidr-block": routes(func(r ec2api.Route) string { return *r.DestinationCidrBlock }),
	"route.gateway-id":             routes(func(r ec2api.Route) string { return *r.GatewayId }),
	"route.origin":                 routes(func(r ec2api.Route) string { return *r.Origin }),
	"route.state":                  routes(func(r ec2api.Route) string { return *r.State }),
}

func routes(value func(ec2api.Route) string) func(ec2api.RouteTable) []string {
	return func(t ec2api.RouteTable) (values []string) {
		for _, r := range t.Routes {
			values = append(values, value(r))
		}
		return values
	}
}

// DescribeRouteTables lists the main route table of the caller's default VPC.
func (s *Service) DescribeRouteTables(ctx context.Context, c *guard.Call, in *ec2api.DescribeRouteTablesRequest) (*ec2api.DescribeRouteTablesResult, error) {
	out := new(ec2api.DescribeRouteTablesResult)
	id := func(t ec2api.RouteTable) string { return *t.RouteTableId }
	err := s.viewList(ctx, c, "ec2:DescribeRouteTables", in.DryRun, func(tx store.Tx) error {
		items, err := pick([]ec2api.RouteTable{s.routeTable(c)}, in.RouteTableIds, id, errRouteTable)
		if err != nil {
			return err
		}
		items, err = sift(tx, c, routeTableFields, in.Filters, items,
			func(t *ec2api.RouteTable) (string, *[]ec2api.Tag) { return *t.RouteTableId, &t.Tags })
		if err != nil {
			return err
		}
		out.RouteTables, out.NextToken, err = paginate(c.Operation, items, id, anyPage, in.MaxResults, in.NextToken)
		return err
	})
	return out, err
}
