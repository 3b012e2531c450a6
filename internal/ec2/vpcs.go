package ec2

import (
	"context"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// networkOperations are the handlers of regions, zones, the default network and instance types.
func (s *Service) networkOperations() map[string]guard.Handler {
	return map[string]guard.Handler{
		"DescribeVpcs":                  guard.Handle(s.DescribeVpcs),
		"DescribeVpcAttribute":          guard.Handle(s.DescribeVpcAttribute),
		"DescribeSubnets":               guard.Handle(s.DescribeSubnets),
		"DescribeRouteTables":           guard.Handle(s.DescribeRouteTables),
		"DescribeSecurityGroups":        guard.Handle(s.DescribeSecurityGroups),
		"DescribeNetworkInterfaces":     guard.Handle(s.DescribeNetworkInterfaces),
		"DescribeInternetGateways":      guard.Handle(s.DescribeInternetGateways),
		"DescribeNetworkAcls":           guard.Handle(s.DescribeNetworkAcls),
		"DescribeKeyPairs":              guard.Handle(s.DescribeKeyPairs),
		"DescribeAccountAttributes":     guard.Handle(s.DescribeAccountAttributes),
		"DescribeAvailabilityZones":     guard.Handle(s.DescribeAvailabilityZones),
		"DescribeRegions":               guard.Handle(s.DescribeRegions),
		"DescribeInstanceTypes":         guard.Handle(s.DescribeInstanceTypes),
		"DescribeInstanceTypeOfferings": guard.Handle(s.DescribeInstanceTypeOfferings),
	}
}

func errVPC(id string) error {
	return apierr.Newf("InvalidVpcID.NotFound", "The vpc ID '%s' does not exist", id)
}

// vpc is the caller's default VPC. Source: VPC User Guide, "Default VPCs".
func (s *Service) vpc(c *guard.Call) ec2api.Vpc {
	id := defaultVPC(c)
	return ec2api.Vpc{
		VpcId: new(id), OwnerId: new(c.Account()), CidrBlock: new(vpcCIDR), State: new("available"), IsDefault: new(true),
		InstanceTenancy: new("default"), DhcpOptionsId: new(networkID("dopt", c.Region, c.Account(), "")),
		CidrBlockAssociationSet: []ec2api.VpcCidrBlockAssociation{{
			AssociationId: new(networkID("vpc-cidr-assoc", c.Region, c.Account(), "")), CidrBlock: new(vpcCIDR),
			CidrBlockState: &ec2api.VpcCidrBlockState{State: new("associated")},
		}},
	}
}

var vpcFields = fields[ec2api.Vpc]{
	"vpc-id":          func(v ec2api.Vpc) []string { return oneOf(*v.VpcId) },
	"owner-id":        func(v ec2api.Vpc) []string { return oneOf(*v.OwnerId) },
	"cidr":            func(v ec2api.Vpc) []string { return oneOf(*v.CidrBlock) },
	"cidr-block":      func(v ec2api.Vpc) []string { return oneOf(*v.CidrBlock) },
	"state":           func(v ec2api.Vpc) []string { return oneOf(*v.State) },
	"is-default":      func(v ec2api.Vpc) []string { return boolOf(*v.IsDefault) },
	"dhcp-options-id": func(v ec2api.Vpc) []string { return oneOf(*v.DhcpOptionsId) },
	"cidr-block-association.association-id": func(v ec2api.Vpc) []string {
		return oneOf(*v.CidrBlockAssociationSet[0].AssociationId)
	},
	"cidr-block-association.cidr-block": func(v ec2api.Vpc) []string { return oneOf(*v.CidrBlockAssociationSet[0].CidrBlock) },
	"cidr-block-association.state": func(v ec2api.Vpc) []string {
		return oneOf(*v.CidrBlockAssociationSet[0].CidrBlockState.State)
	},
}

// DescribeVpcs lists the caller's default VPC.
func (s *Service) DescribeVpcs(ctx context.Context, c *guard.Call, in *ec2api.DescribeVpcsRequest) (*ec2api.DescribeVpcsResult, error) {
	out := new(ec2api.DescribeVpcsResult)
	err := s.viewList(ctx, c, "ec2:DescribeVpcs", in.DryRun, func(tx store.Tx) error {
		items, err := pick([]ec2api.Vpc{s.vpc(c)}, in.VpcIds, func(v ec2api.Vpc) string { return *v.VpcId }, errVPC)
		if err != nil {
			return err
		}
		items, err = sift(tx, c, vpcFields, in.Filters, items, func(v *ec2api.Vpc) (string, *[]ec2api.Tag) { return *v.VpcId, &v.Tags })
		if err != nil {
			return err
		}
		out.Vpcs, out.NextToken, err = paginate(c.Operation, items, func(v ec2api.Vpc) string { return *v.VpcId }, anyPage, in.MaxResults, in.NextToken)
		return err
	})
	return out, err
}

// sift keeps the items that pass the filters, and fills in their tags. id tells an item's id and
// where its tags go.
func sift[T any](tx store.Tx, c *guard.Call, f fields[T], in []ec2api.Filter, items []T, id func(*T) (string, *[]ec2api.Tag)) ([]T, error) {
	passes, err := f.filter(in)
	if err != nil {
		return nil, err
	}
	tags, err := tagsOfAll(tx, c.Region, c.Account())
	if err != nil {
		return nil, err
	}
	var kept []T
	for _, item := range items {
		name, place := id(&item)
		if !passes(item, tags[name]) {
			continue
		}
		*place = apiTags(tags[name])
		kept = append(kept, item)
	}
	return kept, nil
}

// DescribeVpcAttribute tells one attribute of a VPC.
func (s *Service) DescribeVpcAttribute(ctx context.Context, c *guard.Call, in *ec2api.DescribeVpcAttributeRequest) (*ec2api.DescribeVpcAttributeResult, error) {
	id := api.Val(in.VpcId)
	out := new(ec2api.DescribeVpcAttributeResult)
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		tags, err := tagsOf(tx, c.Region, c.Account(), id)
		if err != nil {
			return err
		}
		p := s.part(c, "ec2:DescribeVpcAttribute", "vpc/"+id, tags)
		p.Context.Set("ec2:vpcid", id)
		p.Context.Set("ec2:tenancy", "default")
		if _, err := s.g.Allow(tx, c, p); err != nil {
			return err
		}
		if id != defaultVPC(c) {
			return errVPC(id)
		}
		*out = ec2api.DescribeVpcAttributeResult{VpcId: &id}
		switch api.Val(in.Attribute) {
		case "enableDnsSupport":
			out.EnableDnsSupport = &ec2api.AttributeBooleanValue{Value: new(true)}
		case "enableDnsHostnames":
			out.EnableDnsHostnames = &ec2api.AttributeBooleanValue{Value: new(true)}
		case "enableNetworkAddressUsageMetrics":
			out.EnableNetworkAddressUsageMetrics = &ec2api.AttributeBooleanValue{Value: new(false)}
		default:
			return invalidValue("Value (%s) for parameter attribute is invalid. Unknown attribute.", api.Val(in.Attribute))
		}
		return dryRun(in.DryRun)
	})
	return out, err
}

// wire is a subnet as answers carry it.
func (n subnet) wire() ec2api.Subnet {
	return ec2api.Subnet{
		SubnetId: &n.ID, VpcId: &n.VPC, OwnerId: &n.Account, AvailabilityZone: &n.Zone, AvailabilityZoneId: &n.ZoneID,
		CidrBlock: &n.CIDR, State: new("available"), SubnetArn: new(arn.EC2(n.Region, n.Account, "subnet/"+n.ID)),
		AvailableIpAddressCount: new(int32(subnetHosts)), DefaultForAz: new(true), MapPublicIpOnLaunch: new(true),
		AssignIpv6AddressOnCreation: new(false), MapCustomerOwnedIpOnLaunch: new(false), EnableDns64: new(false), Ipv6Native: new(false),
		PrivateDnsNameOptionsOnLaunch: &ec2api.PrivateDnsNameOptionsOnLaunch{
			HostnameType: new("ip-name"), EnableResourceNameDnsARecord: new(false), EnableResourceNameDnsAAAARecord: new(false),
		},
	}
}

var subnetFields = fields[ec2api.Subnet]{
	"subnet-id":                  func(n ec2api.Subnet) []string { return oneOf(*n.SubnetId) },
	"subnet-arn":                 func(n ec2api.Subnet) []string { return oneOf(*n.SubnetArn) },
	"vpc-id":                     func(n ec2api.Subnet) []string { return oneOf(*n.VpcId) },
	"owner-id":                   func(n ec2api.Subnet) []string { return oneOf(*n.OwnerId) },
	"availability-zone":          func(n ec2api.Subnet) []string { return oneOf(*n.AvailabilityZone) },
	"availability-zone-id":       func(n ec2api.Subnet) []string { return oneOf(*n.AvailabilityZoneId) },
	"cidr":                       func(n ec2api.Subnet) []string { return oneOf(*n.CidrBlock) },
	"cidr-block":                 func(n ec2api.Subnet) []string { return oneOf(*n.CidrBlock) },
	"state":                      func(n ec2api.Subnet) []string { return oneOf(*n.State) },
	"default-for-az":             func(n ec2api.Subnet) []string { return boolOf(*n.DefaultForAz) },
	"map-public-ip-on-launch":    func(n ec2api.Subnet) []string { return boolOf(*n.MapPublicIpOnLaunch) },
	"ipv6-native":                func(n ec2api.Subnet) []string { return boolOf(*n.Ipv6Native) },
	"available-ip-address-count": func(n ec2api.Subnet) []string { return intOf(*n.AvailableIpAddressCount) },
}

// DescribeSubnets lists the caller's default subnets.
func (s *Service) DescribeSubnets(ctx context.Context, c *guard.Call, in *ec2api.DescribeSubnetsRequest) (*ec2api.DescribeSubnetsResult, error) {
	out := new(ec2api.DescribeSubnetsResult)
	id := func(n ec2api.Subnet) string { return *n.SubnetId }
	err := s.viewList(ctx, c, "ec2:DescribeSubnets", in.DryRun, func(tx store.Tx) error {
		var items []ec2api.Subnet
		for _, n := range s.subnets(c) {
			items = append(items, n.wire())
		}
		items, err := pick(items, in.SubnetIds, id, errSubnet)
		if err != nil {
			return err
		}
		items, err = sift(tx, c, subnetFields, in.Filters, items, func(n *ec2api.Subnet) (string, *[]ec2api.Tag) { return *n.SubnetId, &n.Tags })
		if err != nil {
			return err
		}
		out.Subnets, out.NextToken, err = paginate(c.Operation, items, id, anyPage, in.MaxResults, in.NextToken)
		return err
	})
	return out, err
}
