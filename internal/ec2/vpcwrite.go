package ec2

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/ec2/block"
	"github.com/kagimori/kagimori/internal/ec2/zone"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// maxSubnets is how many subnets a VPC has. Source: VPC User Guide, "Amazon VPC quotas".
const maxSubnets = 200

// vpcOperations are the handlers of what changes VPCs and subnets.
func (s *Service) vpcOperations() map[string]guard.Handler {
	return map[string]guard.Handler{
		"CreateVpc":             guard.Handle(s.CreateVpc),
		"DeleteVpc":             guard.HandleVoid(s.DeleteVpc),
		"ModifyVpcAttribute":    guard.HandleVoid(s.ModifyVpcAttribute),
		"ModifyVpcTenancy":      guard.Handle(s.ModifyVpcTenancy),
		"ModifySubnetAttribute": guard.HandleVoid(s.ModifySubnetAttribute),
		"CreateSubnet":          guard.Handle(s.CreateSubnet),
		"DeleteSubnet":          guard.HandleVoid(s.DeleteSubnet),

		"AssociateVpcCidrBlock":       guard.Handle(s.AssociateVpcCidrBlock),
		"DisassociateVpcCidrBlock":    guard.Handle(s.DisassociateVpcCidrBlock),
		"AssociateSubnetCidrBlock":    guard.Handle(s.AssociateSubnetCidrBlock),
		"DisassociateSubnetCidrBlock": guard.Handle(s.DisassociateSubnetCidrBlock),
		"CreateDefaultVpc":            guard.Handle(s.CreateDefaultVpc),
		"CreateDefaultSubnet":         guard.Handle(s.CreateDefaultSubnet),
		"CreateSubnetCidrReservation": guard.Handle(s.CreateSubnetCidrReservation),
		"DeleteSubnetCidrReservation": guard.Handle(s.DeleteSubnetCidrReservation),
		"GetSubnetCidrReservations":   guard.Handle(s.GetSubnetCidrReservations),
	}
}

// allowVPC decides the call's action on a VPC and finds it; more parts are decided with it.
func (s *Service) allowVPC(tx store.Tx, c *guard.Call, id string, change ...func(*authz.Part)) (vpcRecord, error) {
	v, missing := s.lookupVPC(tx, c, id)
	if missing != nil && apierr.Code(missing) == "" {
		return v, missing
	}
	tags, err := tagsOf(tx, c.Region, c.Account(), id)
	if err != nil {
		return v, err
	}
	p := s.part(c, "ec2:"+c.Operation, "vpc/"+id, tags)
	if missing == nil {
		v.describe(&p)
	}
	for _, fn := range change {
		fn(&p)
	}
	c.Touch(p.Resource.ARN, c.Account(), "AWS::EC2::VPC")
	if _, err := s.g.Allow(tx, c, p); err != nil {
		return v, err
	}
	return v, missing
}

// CreateVpc makes a VPC with its main route table, network ACL and default security group.
// Source: EC2 API Reference, CreateVpc.
func (s *Service) CreateVpc(ctx context.Context, c *guard.Call, in *ec2api.CreateVpcRequest) (*ec2api.CreateVpcResult, error) {
	switch {
	case in.Ipv4IpamPoolId != nil || in.Ipv6IpamPoolId != nil || in.Ipv6Pool != nil || in.Ipv6CidrBlock != nil:
		return nil, errPools()
	case in.VpcEncryptionControl != nil:
		return nil, apierr.New("UnsupportedOperation", "This server does not support VPC encryption controls.")
	}
	if group := api.Val(in.Ipv6CidrBlockNetworkBorderGroup); group != "" && (!api.Val(in.AmazonProvidedIpv6CidrBlock) || group != c.Region) {
		return nil, invalidValue("Value (%s) for parameter ipv6CidrBlockNetworkBorderGroup is invalid.", group)
	}
	if err := netmask(in.Ipv4NetmaskLength, in.Ipv6NetmaskLength); err != nil {
		return nil, err
	}
	whole, err := block.Read(api.Val(in.CidrBlock))
	if err != nil {
		return nil, err
	}
	if err := block.FitsVPC(whole, *in.CidrBlock); err != nil {
		return nil, err
	}
	tenancy := api.Val(in.InstanceTenancy)
	switch tenancy {
	case "":
		tenancy = "default"
	case "default", "dedicated":
	default:
		return nil, invalidValue("Value (%s) for parameter instanceTenancy is invalid.", tenancy)
	}
	specs, err := tagSpecs(c, in.TagSpecifications, "vpc")
	if err != nil {
		return nil, err
	}
	v := vpcRecord{
		Region: c.Region, Account: c.Account(), ID: randomID("vpc"), CIDR: whole.String(), Tenancy: tenancy, DNSSupport: true,
	}
	if api.Val(in.AmazonProvidedIpv6CidrBlock) {
		v.Blocks = []block.Block{newSix()}
	}
	sg := randomID("sg")
	out := &ec2api.CreateVpcResult{}
	return out, s.g.Update(ctx, c, func(tx store.Tx) error {
		p := s.part(c, "ec2:CreateVpc", "vpc/*", nil)
		addRequestTags(&p, specs["vpc"])
		if _, err := s.g.Authorize(tx, c, guard.Check{Parts: s.withTags(c, []authz.Part{p}, "vpc", specs["vpc"])}); err != nil {
			return err
		}
		if err := dryRun(in.DryRun); err != nil {
			return err
		}
		all, err := s.vpcs(tx, c)
		if err != nil {
			return err
		}
		if len(all) >= s.nets.Quotas.VPCs {
			return apierr.New("VpcLimitExceeded", "The maximum number of VPCs has been reached.")
		}
		w := v.wire()
		w.State, w.Tags = new("pending"), madeWith(specs["vpc"])
		for n := range w.Ipv6CidrBlockAssociationSet { // which it gets a moment later
			w.Ipv6CidrBlockAssociationSet[n].Ipv6CidrBlock, w.Ipv6CidrBlockAssociationSet[n].Ipv6CidrBlockState.State = new(""), new("associating")
		}
		out.Vpc = &w
		c.Touch(vpcARN(v.Region, v.Account, v.ID), v.Account, "AWS::EC2::VPC")
		if err := putTags(tx, v.Region, v.Account, v.ID, specs["vpc"]); err != nil {
			return err
		}
		return s.putVPC(tx, v, sg)
	})
}

// putVPC stores a new VPC and its default security group.
func (s *Service) putVPC(tx store.Tx, v vpcRecord, sg string) error {
	if err := groupTable.Put(tx, defaultGroupOf(v, sg), v.Region, v.Account, sg); err != nil {
		return err
	}
	return vpcTable.Put(tx, v, v.Region, v.Account, v.ID)
}

// DeleteVpc deletes a VPC that nothing is in. Its default security group, route table and network
// ACL go with it, and the internet gateway of a default VPC.
func (s *Service) DeleteVpc(ctx context.Context, c *guard.Call, in *ec2api.DeleteVpcRequest) error {
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		v, err := s.allowVPC(tx, c, api.Val(in.VpcId))
		if err != nil {
			return err
		}
		if err := dryRun(in.DryRun); err != nil {
			return err
		}
		subnets, err := s.subnets(tx, c)
		if err != nil {
			return err
		}
		groups, err := s.groups(tx, c)
		if err != nil {
			return err
		}
		parts, err := s.nets.Used(tx, c, v.ID)
		if err != nil {
			return err
		}
		peered, err := s.peering.Used(tx, c, v.ID)
		if err != nil {
			return err
		}
		used := parts || peered || slices.ContainsFunc(subnets, func(n subnet) bool { return n.VPC == v.ID }) ||
			slices.ContainsFunc(groups, func(g groupRecord) bool { return g.VPC == v.ID && g.Name != "default" })
		if used {
			return apierr.Newf("DependencyViolation", "The vpc '%s' has dependencies and cannot be deleted.", v.ID)
		}
		for _, g := range groups {
			switch {
			case g.VPC == v.ID:
				err = s.dropGroup(tx, &g)
			case g.guards(v.ID):
				err = s.leaveVPC(tx, g, v.ID)
			}
			if err != nil {
				return err
			}
		}
		if err := s.nets.DropVPC(tx, c, v.ID); err != nil {
			return err
		}
		if err := dropTags(tx, v.Region, v.Account, v.ID); err != nil {
			return err
		}
		if v.ID == firstVPC(c) {
			v.Gone = true
			return vpcTable.Put(tx, v, v.Region, v.Account, v.ID)
		}
		return vpcTable.Delete(tx, v.Region, v.Account, v.ID)
	})
}

// ModifyVpcAttribute changes one attribute of a VPC.
// Source: EC2 API Reference, ModifyVpcAttribute.
func (s *Service) ModifyVpcAttribute(ctx context.Context, c *guard.Call, in *ec2api.ModifyVpcAttributeRequest) error {
	var name string
	var value *ec2api.AttributeBooleanValue
	given := 0
	for _, a := range []struct {
		name  string
		value *ec2api.AttributeBooleanValue
	}{
		{"EnableDnsHostnames", in.EnableDnsHostnames}, {"EnableDnsSupport", in.EnableDnsSupport},
		{"EnableNetworkAddressUsageMetrics", in.EnableNetworkAddressUsageMetrics},
	} {
		if a.value != nil {
			name, value = a.name, a.value
			given++
		}
	}
	if given != 1 {
		return apierr.New("InvalidParameterCombination", "You must specify exactly one attribute to be modified.")
	}
	on := api.Val(value.Value)
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		v, err := s.allowVPC(tx, c, api.Val(in.VpcId), func(p *authz.Part) { setAttribute(p, name, boolOf(on)[0]) })
		if err != nil {
			return err
		}
		switch name {
		case "EnableDnsHostnames":
			v.DNSHostnames = on
		case "EnableDnsSupport":
			v.DNSSupport = on
		default:
			v.UsageMetrics = on
		}
		return vpcTable.Put(tx, v, v.Region, v.Account, v.ID)
	})
}

// ModifyVpcTenancy lets a VPC for dedicated instances have others; those that are there keep what they have.
// Source: EC2 API Reference, ModifyVpcTenancy.
func (s *Service) ModifyVpcTenancy(ctx context.Context, c *guard.Call, in *ec2api.ModifyVpcTenancyRequest) (*ec2api.ModifyVpcTenancyResult, error) {
	return &ec2api.ModifyVpcTenancyResult{ReturnValue: new(true)}, s.g.Update(ctx, c, func(tx store.Tx) error {
		v, err := s.allowVPC(tx, c, *in.VpcId, func(p *authz.Part) { setAttribute(p, "InstanceTenancy", *in.InstanceTenancy) })
		if err != nil {
			return err
		}
		if err := dryRun(in.DryRun); err != nil {
			return err
		}
		v.Tenancy = "default" // the only value of the model
		return vpcTable.Put(tx, v, v.Region, v.Account, v.ID)
	})
}

// CreateSubnet makes a subnet of a VPC. Source: EC2 API Reference, CreateSubnet.
func (s *Service) CreateSubnet(ctx context.Context, c *guard.Call, in *ec2api.CreateSubnetRequest) (*ec2api.CreateSubnetResult, error) {
	if in.OutpostArn != nil || api.Val(in.Ipv6Native) || in.Ipv4IpamPoolId != nil || in.Ipv6IpamPoolId != nil {
		return nil, apierr.New("UnsupportedOperation", "This server does not support subnets of IPv6 alone, address pools and Outposts.")
	}
	if err := netmask(in.Ipv4NetmaskLength, in.Ipv6NetmaskLength); err != nil {
		return nil, err
	}
	four, err := block.Read(api.Val(in.CidrBlock))
	if err != nil {
		return nil, err
	}
	z, err := zoneFor(c.Region, api.Val(in.AvailabilityZone), api.Val(in.AvailabilityZoneId))
	if err != nil {
		return nil, err
	}
	specs, err := tagSpecs(c, in.TagSpecifications, "subnet")
	if err != nil {
		return nil, err
	}
	n := subnet{Region: c.Region, Account: c.Account(), ID: randomID("subnet"), VPC: api.Val(in.VpcId), Zone: z.Name, ZoneID: z.ID, CIDR: four.String()}
	if n.Six, err = sixOf(in.Ipv6CidrBlock); err != nil {
		return nil, err
	}
	out := &ec2api.CreateSubnetResult{}
	return out, s.g.Update(ctx, c, func(tx store.Tx) error {
		v, missing := s.lookupVPC(tx, c, n.VPC)
		if missing != nil && apierr.Code(missing) == "" {
			return missing
		}
		tags, err := tagsOf(tx, c.Region, c.Account(), n.VPC)
		if err != nil {
			return err
		}
		p, where := s.part(c, "ec2:CreateSubnet", "subnet/*", nil), s.part(c, "ec2:CreateSubnet", "vpc/"+n.VPC, tags)
		addRequestTags(&p, specs["subnet"])
		if missing == nil {
			v.describe(&where)
		}
		if _, err := s.g.Authorize(tx, c, guard.Check{Parts: s.withTags(c, []authz.Part{p, where}, "subnet", specs["subnet"])}); err != nil {
			return err
		}
		if missing != nil {
			return missing
		}
		if err := dryRun(in.DryRun); err != nil {
			return err
		}
		if err := s.checkSubnet(tx, c, &v, &n, *in.CidrBlock); err != nil {
			return err
		}
		w := n.wire()
		w.Tags = madeWith(specs["subnet"])
		if n.Six != nil {
			w.Ipv6CidrBlockAssociationSet[0].Ipv6CidrBlockState.State = new("associating")
		}
		out.Subnet = &w
		c.Touch(*w.SubnetArn, n.Account, "AWS::EC2::Subnet")
		if err := putTags(tx, n.Region, n.Account, n.ID, specs["subnet"]); err != nil {
			return err
		}
		return subnetTable.Put(tx, n, n.Region, n.Account, n.ID)
	})
}

// zoneFor finds a zone by its name or id; the region's first if neither is given.
func zoneFor(region, name, id string) (zone.Zone, error) {
	all := zone.Of(region)
	if name == "" && id == "" {
		return all[0], nil
	}
	at := slices.IndexFunc(all, func(z zone.Zone) bool { return name != "" && z.Name == name || name == "" && z.ID == id })
	if at < 0 {
		return zone.Zone{}, invalidValue("Value (%s) for parameter availabilityZone is invalid. Subnets can currently only be created in the following availability zones: %s.",
			name+id, zoneNames(all))
	}
	return all[at], nil
}

func zoneNames(all []zone.Zone) string {
	var text strings.Builder
	for n, z := range all {
		if n > 0 {
			text.WriteString(", ")
		}
		text.WriteString(z.Name)
	}
	return text.String()
}

// checkSubnet checks the address ranges of a new subnet; given is how the request has the IPv4 one.
func (s *Service) checkSubnet(tx store.Tx, c *guard.Call, v *vpcRecord, n *subnet, given string) error {
	four := netip.MustParsePrefix(n.CIDR)
	if err := block.Within(four, given, v.ranges()); err != nil {
		return err
	}
	if n.Six != nil {
		if err := s.checkSix(tx, c, v, *n.Six); err != nil {
			return err
		}
	}
	all, err := s.subnets(tx, c)
	if err != nil {
		return err
	}
	count := 0
	for _, o := range all {
		if o.VPC != v.ID {
			continue
		}
		if count++; netip.MustParsePrefix(o.CIDR).Overlaps(four) {
			return errSubnetConflict(given)
		}
	}
	if count >= maxSubnets {
		return apierr.New("SubnetLimitExceeded", "The maximum number of subnets has been reached.")
	}
	return nil
}

// DeleteSubnet deletes a subnet that no instance is in.
func (s *Service) DeleteSubnet(ctx context.Context, c *guard.Call, in *ec2api.DeleteSubnetRequest) error {
	id := api.Val(in.SubnetId)
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		n, err := s.allowSubnet(tx, c, id, nil)
		if err != nil {
			return err
		}
		if err := dryRun(in.DryRun); err != nil {
			return err
		}
		used, err := s.interfacesIn(tx, c, func(f *faceRecord) bool { return f.Subnet == id })
		if err != nil {
			return err
		}
		if used {
			return apierr.Newf("DependencyViolation", "The subnet '%s' has dependencies and cannot be deleted.", id)
		}
		if err := dropTags(tx, n.Region, n.Account, id); err != nil {
			return err
		}
		for _, r := range n.Reserved {
			if err := dropTags(tx, n.Region, n.Account, r.ID); err != nil {
				return err
			}
		}
		if err := s.nets.DropSubnet(tx, c, id); err != nil {
			return err
		}
		if slices.ContainsFunc(firstSubnets(c), func(f subnet) bool { return f.ID == id }) {
			n.Gone = true
			return subnetTable.Put(tx, n, n.Region, n.Account, id)
		}
		if err := addressTable.Delete(tx, n.Region, n.Account, id); err != nil {
			return err
		}
		return subnetTable.Delete(tx, n.Region, n.Account, id)
	})
}
