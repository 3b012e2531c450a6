package ec2

import (
	"context"
	"net/netip"
	"slices"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/ec2/block"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// blocks are the address ranges of a VPC, the first one first.
func (v vpcRecord) blocks() []block.Block {
	return append([]block.Block{{ID: v.part("vpc-cidr-assoc"), CIDR: v.CIDR}}, v.Blocks...)
}

// ranges are the addresses of a VPC.
func (v vpcRecord) ranges() (out []netip.Prefix) {
	for _, b := range v.blocks() {
		out = append(out, b.Range())
	}
	return out
}

func texts(ranges []netip.Prefix) (out []string) {
	for _, r := range ranges {
		out = append(out, r.String())
	}
	return out
}

// netmask refuses the length of a range that is to be taken from a pool of IPAM, of which there are none here.
func netmask(lengths ...*int32) error {
	for _, n := range lengths {
		if n != nil {
			return apierr.New("InvalidParameterCombination", "A netmask length can be specified only together with an IPAM pool.")
		}
	}
	return nil
}

func errPools() error {
	return apierr.New("UnsupportedOperation", "This server does not support address pools.")
}

// newSix is an IPv6 range that Amazon provides.
func newSix() block.Block {
	return block.Block{ID: randomID("vpc-cidr-assoc"), CIDR: block.Provided().String()}
}

// sixOf reads the IPv6 range of a subnet; nil is none.
func sixOf(text *string) (*block.Block, error) {
	if api.Val(text) == "" {
		return nil, nil
	}
	p, err := block.ReadSix(*text)
	return &block.Block{ID: randomID("subnet-cidr-assoc"), CIDR: p.String()}, err
}

func errSubnetConflict(given string) error {
	return apierr.Newf("InvalidSubnet.Conflict", "The CIDR '%s' conflicts with another subnet", given)
}

// checkSix checks a new IPv6 range of a subnet.
func (s *Service) checkSix(tx store.Tx, c *guard.Call, v *vpcRecord, six block.Block) error {
	if err := block.Within(six.Range(), six.CIDR, v.ranges()); err != nil {
		return err
	}
	all, err := s.subnets(tx, c)
	for _, o := range all {
		if o.Six != nil && o.Six.Range().Overlaps(six.Range()) {
			return errSubnetConflict(six.CIDR)
		}
	}
	return err
}

// AssociateVpcCidrBlock gives a VPC one more address range: an IPv4 one, or an IPv6 one that Amazon provides.
// Source: EC2 API Reference, AssociateVpcCidrBlock.
func (s *Service) AssociateVpcCidrBlock(ctx context.Context, c *guard.Call, in *ec2api.AssociateVpcCidrBlockRequest) (*ec2api.AssociateVpcCidrBlockResult, error) {
	if in.Ipv4IpamPoolId != nil || in.Ipv6IpamPoolId != nil || in.Ipv6Pool != nil || in.Ipv6CidrBlock != nil {
		return nil, errPools()
	}
	if err := netmask(in.Ipv4NetmaskLength, in.Ipv6NetmaskLength); err != nil {
		return nil, err
	}
	provided := api.Val(in.AmazonProvidedIpv6CidrBlock)
	if provided == (in.CidrBlock != nil) {
		return nil, apierr.New("InvalidParameterCombination", "The request must contain exactly one of cidrBlock, amazonProvidedIpv6CidrBlock.")
	}
	if group := api.Val(in.Ipv6CidrBlockNetworkBorderGroup); group != "" && (!provided || group != c.Region) {
		return nil, invalidValue("Value (%s) for parameter ipv6CidrBlockNetworkBorderGroup is invalid.", group)
	}
	fresh := newSix()
	if !provided {
		p, err := block.Read(*in.CidrBlock)
		if err != nil {
			return nil, err
		}
		fresh.CIDR = p.String()
	}
	out := &ec2api.AssociateVpcCidrBlockResult{VpcId: in.VpcId}
	return out, s.g.Update(ctx, c, func(tx store.Tx) error {
		v, err := s.allowVPC(tx, c, *in.VpcId)
		if err != nil {
			return err
		}
		alike := slices.DeleteFunc(v.blocks(), func(b block.Block) bool { return b.Six() != provided })
		if len(alike) >= block.Most {
			return apierr.Newf("CidrLimitExceeded", "This network '%s' has met its maximum number of allowed CIDRs: %d", v.ID, block.Most)
		}
		if provided {
			out.Ipv6CidrBlockAssociation = new(fresh.VPCSix(v.Region, "associating"))
			out.Ipv6CidrBlockAssociation.Ipv6CidrBlock = nil // told once it is associated
			if err := s.openSix(tx, c, &v); err != nil {
				return err
			}
		} else {
			if err := block.Adds(fresh.Range(), *in.CidrBlock, v.ranges()); err != nil {
				return err
			}
			out.CidrBlockAssociation = new(fresh.VPC("associating"))
		}
		v.Blocks = append(slices.Clone(v.Blocks), fresh)
		return vpcTable.Put(tx, v, v.Region, v.Account, v.ID)
	})
}

// DisassociateVpcCidrBlock takes an address range, in which no subnet is, from a VPC; never the first.
// Source: EC2 API Reference, DisassociateVpcCidrBlock.
func (s *Service) DisassociateVpcCidrBlock(ctx context.Context, c *guard.Call, in *ec2api.DisassociateVpcCidrBlockRequest) (*ec2api.DisassociateVpcCidrBlockResult, error) {
	id := *in.AssociationId
	out := new(ec2api.DisassociateVpcCidrBlockResult)
	has := func(b block.Block) bool { return b.ID == id }
	return out, s.g.Update(ctx, c, func(tx store.Tx) error {
		all, err := s.vpcs(tx, c)
		if err != nil {
			return err
		}
		at := slices.IndexFunc(all, func(v vpcRecord) bool { return slices.ContainsFunc(v.blocks(), has) })
		if at < 0 {
			if _, err := s.g.Allow(tx, c, s.part(c, "ec2:DisassociateVpcCidrBlock", "vpc/*", nil)); err != nil {
				return err
			}
			return apierr.Newf("InvalidVpcCidrBlockAssociationID.NotFound", "The vpc CIDR block association ID '%s' does not exist", id)
		}
		v, err := s.allowVPC(tx, c, all[at].ID)
		if err != nil {
			return err
		}
		n := slices.IndexFunc(v.Blocks, has)
		if n < 0 {
			return apierr.Newf("OperationNotPermitted", "The vpc CIDR block with association ID %s may not be disassociated. It is the primary IPv4 CIDR "+
				"block of the VPC", id)
		}
		gone := v.Blocks[n]
		subnets, err := s.subnets(tx, c)
		if err != nil {
			return err
		}
		for _, o := range subnets {
			if o.VPC == v.ID && (gone.Range().Overlaps(netip.MustParsePrefix(o.CIDR)) || o.Six != nil && gone.Range().Overlaps(o.Six.Range())) {
				return apierr.Newf("InvalidCidrBlock.InUse", "The vpc %s currently has a subnet within CIDR block %s", v.ID, gone.CIDR)
			}
		}
		*out = ec2api.DisassociateVpcCidrBlockResult{VpcId: &v.ID}
		if gone.Six() {
			out.Ipv6CidrBlockAssociation = new(gone.VPCSix(v.Region, "disassociating"))
		} else {
			out.CidrBlockAssociation = new(gone.VPC("disassociating"))
		}
		v.Blocks = slices.Delete(slices.Clone(v.Blocks), n, n+1)
		return vpcTable.Put(tx, v, v.Region, v.Account, v.ID)
	})
}

// AssociateSubnetCidrBlock gives a subnet its IPv6 range, one of its VPC's.
// Source: EC2 API Reference, AssociateSubnetCidrBlock.
func (s *Service) AssociateSubnetCidrBlock(ctx context.Context, c *guard.Call, in *ec2api.AssociateSubnetCidrBlockRequest) (*ec2api.AssociateSubnetCidrBlockResult, error) {
	if in.Ipv6IpamPoolId != nil {
		return nil, errPools()
	}
	if err := netmask(in.Ipv6NetmaskLength); err != nil {
		return nil, err
	}
	six, err := sixOf(in.Ipv6CidrBlock)
	if err != nil {
		return nil, err
	}
	if six == nil {
		return nil, apierr.New("MissingParameter", "The request must contain the parameter ipv6CidrBlock")
	}
	out := &ec2api.AssociateSubnetCidrBlockResult{SubnetId: in.SubnetId, Ipv6CidrBlockAssociation: new(six.SubnetSix("associating"))}
	return out, s.g.Update(ctx, c, func(tx store.Tx) error {
		n, err := s.allowSubnet(tx, c, *in.SubnetId, nil)
		if err != nil {
			return err
		}
		if n.Six != nil {
			return invalidValue("The subnet '%s' has an IPv6 CIDR block already: %s", n.ID, n.Six.CIDR)
		}
		v, err := s.lookupVPC(tx, c, n.VPC)
		if err != nil {
			return err
		}
		if err := s.checkSix(tx, c, &v, *six); err != nil {
			return err
		}
		n.Six = six
		return subnetTable.Put(tx, n, n.Region, n.Account, n.ID)
	})
}

// DisassociateSubnetCidrBlock takes the IPv6 range from a subnet.
// Source: EC2 API Reference, DisassociateSubnetCidrBlock.
func (s *Service) DisassociateSubnetCidrBlock(ctx context.Context, c *guard.Call, in *ec2api.DisassociateSubnetCidrBlockRequest) (*ec2api.DisassociateSubnetCidrBlockResult, error) {
	id := *in.AssociationId
	out := new(ec2api.DisassociateSubnetCidrBlockResult)
	return out, s.g.Update(ctx, c, func(tx store.Tx) error {
		all, err := s.subnets(tx, c)
		if err != nil {
			return err
		}
		at := slices.IndexFunc(all, func(n subnet) bool { return n.Six != nil && n.Six.ID == id })
		if at < 0 {
			if _, err := s.g.Allow(tx, c, s.part(c, "ec2:DisassociateSubnetCidrBlock", "subnet/*", nil)); err != nil {
				return err
			}
			return apierr.Newf("InvalidSubnetCidrBlockAssociationID.NotFound", "The subnet CIDR block association ID '%s' does not exist", id)
		}
		n, err := s.allowSubnet(tx, c, all[at].ID, nil)
		if err != nil {
			return err
		}
		used, err := s.interfacesIn(tx, c, func(f *faceRecord) bool { return f.Subnet == n.ID && len(f.Six) > 0 })
		if err != nil {
			return err
		}
		if used {
			return apierr.Newf("InvalidCidrBlock.InUse", "The subnet %s currently has network interfaces with addresses of CIDR block %s", n.ID, n.Six.CIDR)
		}
		*out = ec2api.DisassociateSubnetCidrBlockResult{SubnetId: &n.ID, Ipv6CidrBlockAssociation: new(n.Six.SubnetSix("disassociating"))}
		n.Six, n.AssignSix = nil, false
		return subnetTable.Put(tx, n, n.Region, n.Account, n.ID)
	})
}
