package ec2

import (
	"cmp"
	"context"
	"slices"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// guards tells whether a security group can be used in a VPC: its own, and those that it is associated with.
// Source: VPC User Guide, "Associate security groups with multiple VPCs".
func (g *groupRecord) guards(vpc string) bool { return g.VPC == vpc || slices.Contains(g.Others, vpc) }

// guarding is guards for a group without its record.
func (s *Service) guarding(tx store.Tx, c *guard.Call, g group, vpc string) (bool, error) {
	if g.VPC == vpc {
		return true, nil
	}
	rec, err := s.groupByID(tx, c, g.ID)
	return rec.guards(vpc), err
}

func errGroupElsewhere(id, vpc string) error {
	return apierr.Newf("InvalidGroup.NotFound", "The security group '%s' does not exist in VPC '%s'", id, vpc)
}

// groupAndVPC finds the security group and the VPC of a request and decides the call's action on both.
func (s *Service) groupAndVPC(tx store.Tx, c *guard.Call, id, vpc string, dry *bool) (groupRecord, vpcRecord, error) {
	v, missing := s.lookupVPC(tx, c, vpc)
	if missing != nil && apierr.Code(missing) == "" {
		return groupRecord{}, v, missing
	}
	tags, err := tagsOf(tx, c.Region, c.Account(), vpc)
	if err != nil {
		return groupRecord{}, v, err
	}
	p := s.part(c, "ec2:"+c.Operation, "vpc/"+vpc, tags)
	if missing == nil {
		v.describe(&p)
	}
	g, err := s.theGroup(tx, c, &id, nil, p)
	if err := cmp.Or(err, missing); err != nil {
		return g, v, err
	}
	return g, v, dryRun(dry)
}

// AssociateSecurityGroupVpc lets a security group be used in another VPC too. Neither default groups nor the default
// VPC can be associated. Source: EC2 API Reference, AssociateSecurityGroupVpc.
func (s *Service) AssociateSecurityGroupVpc(ctx context.Context, c *guard.Call, in *ec2api.AssociateSecurityGroupVpcRequest) (*ec2api.AssociateSecurityGroupVpcResult, error) {
	out := &ec2api.AssociateSecurityGroupVpcResult{State: new(ec2api.SecurityGroupVpcAssociationStateAssociating)}
	return out, s.g.Update(ctx, c, func(tx store.Tx) error {
		g, v, err := s.groupAndVPC(tx, c, *in.GroupId, *in.VpcId, in.DryRun)
		switch {
		case err != nil:
			return err
		case g.Name == "default":
			return apierr.Newf("UnsupportedOperation", "The default security group '%s' cannot be associated with another VPC.", g.ID)
		case v.Default:
			return apierr.Newf("UnsupportedOperation", "Security groups cannot be associated with the default VPC '%s'.", v.ID)
		case v.ID == g.VPC:
			return invalidValue("The security group '%s' is of the VPC '%s'.", g.ID, v.ID)
		case g.guards(v.ID):
			*out.State = ec2api.SecurityGroupVpcAssociationStateAssociated
			return nil
		}
		g.Others = append(slices.Clone(g.Others), v.ID)
		return groupTable.Put(tx, g, g.Region, g.Account, g.ID)
	})
}

// DisassociateSecurityGroupVpc takes an association away that no network interface uses.
// Source: EC2 API Reference, DisassociateSecurityGroupVpc.
func (s *Service) DisassociateSecurityGroupVpc(ctx context.Context, c *guard.Call, in *ec2api.DisassociateSecurityGroupVpcRequest) (*ec2api.DisassociateSecurityGroupVpcResult, error) {
	out := &ec2api.DisassociateSecurityGroupVpcResult{State: new(ec2api.SecurityGroupVpcAssociationStateDisassociating)}
	return out, s.g.Update(ctx, c, func(tx store.Tx) error {
		g, v, err := s.groupAndVPC(tx, c, *in.GroupId, *in.VpcId, in.DryRun)
		if err != nil {
			return err
		}
		if !slices.Contains(g.Others, v.ID) {
			return errGroupElsewhere(g.ID, v.ID)
		}
		used, err := s.interfacesIn(tx, c, func(f *faceRecord) bool { return f.VPC == v.ID && slices.Contains(f.Groups, g.ID) })
		if err != nil {
			return err
		}
		if used {
			return errDependency(g.ID)
		}
		return s.leaveVPC(tx, g, v.ID)
	})
}

// leaveVPC takes a VPC from those that a security group is associated with.
func (s *Service) leaveVPC(tx store.Tx, g groupRecord, vpc string) error {
	g.Others = slices.DeleteFunc(slices.Clone(g.Others), func(id string) bool { return id == vpc })
	return groupTable.Put(tx, g, g.Region, g.Account, g.ID)
}

// groupVPCFields are the filters. Source: EC2 API Reference, DescribeSecurityGroupVpcAssociations, Filter.
var groupVPCFields = fields[ec2api.SecurityGroupVpcAssociation]{
	"group-id":       func(a ec2api.SecurityGroupVpcAssociation) []string { return oneOf(*a.GroupId) },
	"group-owner-id": func(a ec2api.SecurityGroupVpcAssociation) []string { return oneOf(*a.GroupOwnerId) },
	"state":          func(a ec2api.SecurityGroupVpcAssociation) []string { return oneOf(*a.State) },
	"vpc-id":         func(a ec2api.SecurityGroupVpcAssociation) []string { return oneOf(*a.VpcId) },
	"vpc-owner-id":   func(a ec2api.SecurityGroupVpcAssociation) []string { return oneOf(*a.VpcOwnerId) },
}

// DescribeSecurityGroupVpcAssociations lists the associations of security groups with other VPCs.
// Source: EC2 API Reference, DescribeSecurityGroupVpcAssociations.
func (s *Service) DescribeSecurityGroupVpcAssociations(ctx context.Context, c *guard.Call, in *ec2api.DescribeSecurityGroupVpcAssociationsRequest) (*ec2api.DescribeSecurityGroupVpcAssociationsResult, error) {
	out := new(ec2api.DescribeSecurityGroupVpcAssociationsResult)
	return out, s.viewList(ctx, c, "ec2:"+c.Operation, in.DryRun, func(tx store.Tx) error {
		groups, err := s.groups(tx, c)
		if err != nil {
			return err
		}
		items := []ec2api.SecurityGroupVpcAssociation{}
		for _, g := range groups {
			for _, vpc := range g.Others {
				items = append(items, ec2api.SecurityGroupVpcAssociation{
					GroupId: &g.ID, GroupOwnerId: &g.Account, VpcId: &vpc, VpcOwnerId: &g.Account, State: new(ec2api.SecurityGroupVpcAssociationStateAssociated),
				})
			}
		}
		if items, err = idiom.Keep(groupVPCFields, in.Filters, items); err != nil {
			return err
		}
		key := func(a ec2api.SecurityGroupVpcAssociation) string { return *a.GroupId + " " + *a.VpcId }
		out.SecurityGroupVpcAssociations, out.NextToken, err = paginate(c.Operation, items, key, anyPage, in.MaxResults, in.NextToken)
		return err
	})
}
