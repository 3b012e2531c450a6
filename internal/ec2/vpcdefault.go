package ec2

import (
	"context"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// CreateDefaultVpc makes the default VPC anew, with a default subnet in each zone.
// Source: VPC User Guide, "Create a default VPC".
func (s *Service) CreateDefaultVpc(ctx context.Context, c *guard.Call, in *ec2api.CreateDefaultVpcRequest) (*ec2api.CreateDefaultVpcResult, error) {
	v := vpcRecord{
		Region: c.Region, Account: c.Account(), ID: randomID("vpc"), CIDR: vpcCIDR, Tenancy: "default", Default: true, DNSSupport: true, DNSHostnames: true,
	}
	sg, subnets := randomID("sg"), zoneSubnets(c, v.ID)
	for n := range subnets {
		subnets[n].ID = randomID("subnet")
	}
	out := &ec2api.CreateDefaultVpcResult{}
	return out, s.g.Update(ctx, c, func(tx store.Tx) error {
		if err := s.allowDry(tx, c, "ec2:CreateDefaultVpc", in.DryRun); err != nil {
			return err
		}
		if _, ok, err := s.defaultVPC(tx, c); err != nil {
			return err
		} else if ok {
			return apierr.New("DefaultVpcAlreadyExists", "A Default VPC already exists for this account in this region.")
		}
		for _, n := range subnets {
			if err := subnetTable.Put(tx, n, n.Region, n.Account, n.ID); err != nil {
				return err
			}
		}
		out.Vpc = new(v.wire())
		out.Vpc.State, out.Vpc.Tags = new("pending"), madeWith(nil)
		c.Touch(vpcARN(v.Region, v.Account, v.ID), v.Account, "AWS::EC2::VPC")
		return s.putVPC(tx, v, sg)
	})
}

// CreateDefaultSubnet makes the default subnet of a zone anew.
// Source: VPC User Guide, "Create a default subnet".
func (s *Service) CreateDefaultSubnet(ctx context.Context, c *guard.Call, in *ec2api.CreateDefaultSubnetRequest) (*ec2api.CreateDefaultSubnetResult, error) {
	name, id := api.Val(in.AvailabilityZone), api.Val(in.AvailabilityZoneId)
	if name == "" && id == "" {
		return nil, apierr.New("MissingParameter", "The request must contain the parameter availabilityZone")
	}
	if api.Val(in.Ipv6Native) {
		return nil, apierr.New("UnsupportedOperation", "This server does not support subnets of IPv6 alone.")
	}
	z, err := zoneFor(c.Region, name, id)
	if err != nil {
		return nil, err
	}
	fresh := randomID("subnet")
	out := &ec2api.CreateDefaultSubnetResult{}
	return out, s.g.Update(ctx, c, func(tx store.Tx) error {
		if err := s.allowDry(tx, c, "ec2:CreateDefaultSubnet", in.DryRun); err != nil {
			return err
		}
		v, ok, err := s.defaultVPC(tx, c)
		if err != nil {
			return err
		}
		if !ok {
			return apierr.New("DefaultVpcDoesNotExist", "No default VPC exists for this account in this region.")
		}
		all, err := s.subnets(tx, c)
		if err != nil {
			return err
		}
		for _, o := range all {
			if o.Default && o.Zone == z.Name {
				return apierr.Newf("DefaultSubnetAlreadyExistsInAvailabilityZone", "'%s' already exists as the default subnet in '%s'.", o.ID, z.Name)
			}
		}
		for _, n := range zoneSubnets(c, v.ID) {
			if n.Zone != z.Name {
				continue
			}
			n.ID = fresh
			if err := s.checkSubnet(tx, c, &v, &n, n.CIDR); err != nil {
				return err
			}
			out.Subnet = new(n.wire())
			out.Subnet.Tags = madeWith(nil)
			if err := subnetTable.Put(tx, n, n.Region, n.Account, n.ID); err != nil {
				return err
			}
		}
		return nil
	})
}
