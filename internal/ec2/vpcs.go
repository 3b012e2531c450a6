package ec2

import (
	"cmp"
	"context"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// networkOperations are the handlers of regions, zones, the default network and instance types.
func (s *Service) networkOperations() map[string]guard.Handler {
	return map[string]guard.Handler{
		"DescribeVpcs":              guard.Handle(s.DescribeVpcs),
		"DescribeVpcAttribute":      guard.Handle(s.DescribeVpcAttribute),
		"DescribeSubnets":           guard.Handle(s.DescribeSubnets),
		"DescribeSecurityGroups":    guard.Handle(s.DescribeSecurityGroups),
		"DescribeNetworkInterfaces": guard.Handle(s.DescribeNetworkInterfaces),
		"DescribeAccountAttributes": guard.Handle(s.DescribeAccountAttributes),
	}
}

func errVPC(id string) error {
	return apierr.Newf("InvalidVpcID.NotFound", "The vpc ID '%s' does not exist", id)
}

// wire is a VPC as answers carry it. Source: VPC User Guide, "Default VPCs".
func (v vpcRecord) wire() ec2api.Vpc {
	w := ec2api.Vpc{
		VpcId: &v.ID, OwnerId: &v.Account, CidrBlock: &v.CIDR, State: new("available"), IsDefault: &v.Default,
		InstanceTenancy: &v.Tenancy, DhcpOptionsId: new(v.dhcp()), BlockPublicAccessStates: gatewaysOpen(),
		Ipv6CidrBlockAssociationSet: []ec2api.VpcIpv6CidrBlockAssociation{},
	}
	for _, b := range v.blocks() {
		if b.Six() {
			w.Ipv6CidrBlockAssociationSet = append(w.Ipv6CidrBlockAssociationSet, b.VPCSix(v.Region, "associated"))
		} else {
			w.CidrBlockAssociationSet = append(w.CidrBlockAssociationSet, b.VPC("associated"))
		}
	}
	return w
}

// gatewaysOpen says that VPC Block Public Access is off, as it is in a Region until somebody switches it on.
// Source: VPC User Guide, "Block public access to VPCs and subnets".
func gatewaysOpen() *ec2api.BlockPublicAccessStates {
	return &ec2api.BlockPublicAccessStates{InternetGatewayBlockMode: new("off")}
}

// dhcp is the id of the DHCP options that the VPC has.
func (v vpcRecord) dhcp() string { return cmp.Or(v.DHCP, networkID("dopt", v.Region, v.Account, "")) }

// describe puts a VPC's condition keys into a part.
func (v vpcRecord) describe(p *authz.Part) {
	p.Context.Set("ec2:vpcid", v.ID)
	p.Context.Set("ec2:tenancy", v.Tenancy)
}

// vpcFields are the filters of DescribeVpcs. Source: EC2 API Reference, DescribeVpcs, Filters.
func vpcFields() fields[ec2api.Vpc] {
	four := func(text func(ec2api.VpcCidrBlockAssociation) *string) func(ec2api.Vpc) []string {
		return func(v ec2api.Vpc) []string { return each(v.CidrBlockAssociationSet, text) }
	}
	six := func(text func(ec2api.VpcIpv6CidrBlockAssociation) *string) func(ec2api.Vpc) []string {
		return func(v ec2api.Vpc) []string { return each(v.Ipv6CidrBlockAssociationSet, text) }
	}
	return fields[ec2api.Vpc]{
		"ipv6-cidr-block-association.ipv6-cidr-block": six(func(b ec2api.VpcIpv6CidrBlockAssociation) *string { return b.Ipv6CidrBlock }),
		"ipv6-cidr-block-association.ipv6-pool":       six(func(b ec2api.VpcIpv6CidrBlockAssociation) *string { return b.Ipv6Pool }),
		"ipv6-cidr-block-association.association-id":  six(func(b ec2api.VpcIpv6CidrBlockAssociation) *string { return b.AssociationId }),
		"ipv6-cidr-block-association.state":           six(func(b ec2api.VpcIpv6CidrBlockAssociation) *string { return b.Ipv6CidrBlockState.State }),
		"cidr-block-association.association-id":       four(func(b ec2api.VpcCidrBlockAssociation) *string { return b.AssociationId }),
		"cidr-block-association.cidr-block":           four(func(b ec2api.VpcCidrBlockAssociation) *string { return b.CidrBlock }),
		"cidr-block-association.state":                four(func(b ec2api.VpcCidrBlockAssociation) *string { return b.CidrBlockState.State }),
		"vpc-id":                                      func(v ec2api.Vpc) []string { return oneOf(*v.VpcId) },
		"owner-id":                                    func(v ec2api.Vpc) []string { return oneOf(*v.OwnerId) },
		"cidr":                                        func(v ec2api.Vpc) []string { return oneOf(*v.CidrBlock) },
		"cidr-block":                                  func(v ec2api.Vpc) []string { return oneOf(*v.CidrBlock) },
		"state":                                       func(v ec2api.Vpc) []string { return oneOf(*v.State) },
		"is-default":                                  func(v ec2api.Vpc) []string { return boolOf(*v.IsDefault) },
		"dhcp-options-id":                             func(v ec2api.Vpc) []string { return oneOf(*v.DhcpOptionsId) },
	}
}

// DescribeVpcs lists the caller's VPCs.
func (s *Service) DescribeVpcs(ctx context.Context, c *guard.Call, in *ec2api.DescribeVpcsRequest) (*ec2api.DescribeVpcsResult, error) {
	out := new(ec2api.DescribeVpcsResult)
	err := s.viewList(ctx, c, "ec2:DescribeVpcs", in.DryRun, func(tx store.Tx) error {
		all, err := s.vpcs(tx, c)
		if err != nil {
			return err
		}
		var items []ec2api.Vpc
		for _, v := range all {
			items = append(items, v.wire())
		}
		items, err = pick(items, in.VpcIds, func(v ec2api.Vpc) string { return *v.VpcId }, errVPC)
		if err != nil {
			return err
		}
		items, err = sift(tx, c, vpcFields(), in.Filters, items, func(v *ec2api.Vpc) (string, *[]ec2api.Tag) { return *v.VpcId, &v.Tags })
		if err != nil {
			return err
		}
		out.Vpcs, out.NextToken, err = paginate(c.Operation, items, func(v ec2api.Vpc) string { return *v.VpcId }, anyPage, in.MaxResults, in.NextToken)
		return err
	})
	return out, err
}

// DescribeVpcAttribute tells one attribute of a VPC.
func (s *Service) DescribeVpcAttribute(ctx context.Context, c *guard.Call, in *ec2api.DescribeVpcAttributeRequest) (*ec2api.DescribeVpcAttributeResult, error) {
	out := new(ec2api.DescribeVpcAttributeResult)
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		v, err := s.allowVPC(tx, c, api.Val(in.VpcId))
		if err != nil {
			return err
		}
		*out = ec2api.DescribeVpcAttributeResult{VpcId: &v.ID}
		switch api.Val(in.Attribute) {
		case "enableDnsSupport":
			out.EnableDnsSupport = &ec2api.AttributeBooleanValue{Value: &v.DNSSupport}
		case "enableDnsHostnames":
			out.EnableDnsHostnames = &ec2api.AttributeBooleanValue{Value: &v.DNSHostnames}
		case "enableNetworkAddressUsageMetrics":
			out.EnableNetworkAddressUsageMetrics = &ec2api.AttributeBooleanValue{Value: &v.UsageMetrics}
		default:
			return invalidValue("Value (%s) for parameter attribute is invalid. Unknown attribute.", api.Val(in.Attribute))
		}
		return dryRun(in.DryRun)
	})
	return out, err
}

// wire is a subnet as answers carry it.
func (n subnet) wire() ec2api.Subnet {
	w := ec2api.Subnet{
		SubnetId: &n.ID, VpcId: &n.VPC, OwnerId: &n.Account, AvailabilityZone: &n.Zone, AvailabilityZoneId: &n.ZoneID,
		CidrBlock: &n.CIDR, State: new("available"), SubnetArn: new(arn.EC2(n.Region, n.Account, "subnet/"+n.ID)),
		AvailableIpAddressCount: new(int32(n.hosts())), DefaultForAz: &n.Default, MapPublicIpOnLaunch: new(n.mapsPublic()),
		AssignIpv6AddressOnCreation: &n.AssignSix, MapCustomerOwnedIpOnLaunch: new(false), EnableDns64: &n.DNS64, Ipv6Native: new(false),
		Ipv6CidrBlockAssociationSet: []ec2api.SubnetIpv6CidrBlockAssociation{}, BlockPublicAccessStates: gatewaysOpen(),
		PrivateDnsNameOptionsOnLaunch: &ec2api.PrivateDnsNameOptionsOnLaunch{
			HostnameType: new(hostnameType(n.ByResource)), EnableResourceNameDnsARecord: &n.ResourceA, EnableResourceNameDnsAAAARecord: &n.ResourceAAAA,
		},
	}
	if n.Six != nil {
		w.Ipv6CidrBlockAssociationSet = append(w.Ipv6CidrBlockAssociationSet, n.Six.SubnetSix("associated"))
	}
	return w
}

var subnetFields = fields[ec2api.Subnet]{
	"enable-lni-at-device-index": fixed[ec2api.Subnet](),
	"enable-dns64":               func(n ec2api.Subnet) []string { return boolOf(*n.EnableDns64) },
	"outpost-arn":                fixed[ec2api.Subnet](),
	"ipv6-cidr-block-association.ipv6-cidr-block": func(n ec2api.Subnet) []string {
		return each(n.Ipv6CidrBlockAssociationSet, func(b ec2api.SubnetIpv6CidrBlockAssociation) *string { return b.Ipv6CidrBlock })
	},
	"ipv6-cidr-block-association.association-id": func(n ec2api.Subnet) []string {
		return each(n.Ipv6CidrBlockAssociationSet, func(b ec2api.SubnetIpv6CidrBlockAssociation) *string { return b.AssociationId })
	},
	"ipv6-cidr-block-association.state": func(n ec2api.Subnet) []string {
		return each(n.Ipv6CidrBlockAssociationSet, func(b ec2api.SubnetIpv6CidrBlockAssociation) *string { return b.Ipv6CidrBlockState.State })
	},
	"customer-owned-ipv4-pool":                         fixed[ec2api.Subnet](),
	"map-customer-owned-ip-on-launch":                  func(n ec2api.Subnet) []string { return boolOf(*n.MapCustomerOwnedIpOnLaunch) },
	"private-dns-name-options-on-launch.hostname-type": func(n ec2api.Subnet) []string { return oneOf(*n.PrivateDnsNameOptionsOnLaunch.HostnameType) },
	"private-dns-name-options-on-launch.enable-resource-name-dns-a-record": func(n ec2api.Subnet) []string {
		return boolOf(*n.PrivateDnsNameOptionsOnLaunch.EnableResourceNameDnsARecord)
	},
	"private-dns-name-options-on-launch.enable-resource-name-dns-aaaa-record": func(n ec2api.Subnet) []string {
		return boolOf(*n.PrivateDnsNameOptionsOnLaunch.EnableResourceNameDnsAAAARecord)
	},
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

// DescribeSubnets lists the caller's subnets.
func (s *Service) DescribeSubnets(ctx context.Context, c *guard.Call, in *ec2api.DescribeSubnetsRequest) (*ec2api.DescribeSubnetsResult, error) {
	out := new(ec2api.DescribeSubnetsResult)
	id := func(n ec2api.Subnet) string { return *n.SubnetId }
	err := s.viewList(ctx, c, "ec2:DescribeSubnets", in.DryRun, func(tx store.Tx) error {
		var items []ec2api.Subnet
		all, err := s.subnets(tx, c)
		if err != nil {
			return err
		}
		taken, err := givenOut(tx, c)
		if err != nil {
			return err
		}
		for _, n := range all {
			w := n.wire()
			*w.AvailableIpAddressCount -= int32(taken[n.ID])
			items = append(items, w)
		}
		items, err = pick(items, in.SubnetIds, id, errSubnet)
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
