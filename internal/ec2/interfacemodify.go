package ec2

import (
	"context"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

func errInterface(id string) error {
	return apierr.Newf("InvalidNetworkInterfaceID.NotFound", "The networkInterface ID '%s' does not exist", id)
}

// interfaceOwner finds the instance that has a network interface.
func (s *Service) interfaceOwner(tx store.Tx, c *guard.Call, id string) (instanceRecord, error) {
	for r, err := range instanceTable.Scan(tx, c.Region, c.Account()) {
		if err != nil {
			return instanceRecord{}, err
		}
		if r.Value.ENI == id && !r.Value.gone() {
			return r.Value, nil
		}
	}
	return instanceRecord{}, errInterface(id)
}

// ModifyNetworkInterfaceAttribute changes one attribute of an instance's network interface: its security groups,
// or whether it looks at where packets come from and go to. Source: EC2 API Reference, ModifyNetworkInterfaceAttribute.
func (s *Service) ModifyNetworkInterfaceAttribute(ctx context.Context, c *guard.Call, in *ec2api.ModifyNetworkInterfaceAttributeRequest) error {
	name, value, err := interfaceChange(in)
	if err != nil {
		return err
	}
	var id string
	err = s.g.Begin(ctx, c, func(tx store.Tx) error {
		i, missing := s.interfaceOwner(tx, c, *in.NetworkInterfaceId)
		if id = i.ID; apierr.Code(missing) == "" {
			return missing
		}
		if _, err := s.g.Allow(tx, c, s.part(c, "ec2:ModifyNetworkInterfaceAttribute", "network-interface/"+*in.NetworkInterfaceId, nil)); err != nil {
			return err
		}
		return missing
	})
	if err != nil {
		return err
	}
	defer s.locks.lock(id)()
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		i, ok, err := instanceTable.Get(tx, c.Region, c.Account(), id)
		if err != nil {
			return err
		}
		if !ok || i.gone() {
			return errInterface(*in.NetworkInterfaceId)
		}
		e, err := s.groupsEdit(tx, c, in.Groups)
		if err != nil {
			return err
		}
		if err := s.allowInterface(tx, c, &i, name, value, e.groups); err != nil {
			return err
		}
		if err := dryRun(in.DryRun); err != nil {
			return err
		}
		switch name {
		case "SourceDestCheck":
			i.Options.NoSourceCheck = !api.Val(in.SourceDestCheck.Value)
		case "GroupSet":
			for _, g := range e.groups {
				if g.VPC != i.VPC {
					return apierr.Newf("InvalidGroup.NotFound", "The security group '%s' does not exist in VPC '%s'", g.ID, i.VPC)
				}
			}
			if err := e.apply(tx, &i); err != nil {
				return err
			}
		}
		return putInstance(tx, i)
	})
}

// interfaceChange is the one attribute that a request changes.
func interfaceChange(in *ec2api.ModifyNetworkInterfaceAttributeRequest) (name, value string, err error) {
	given := 0
	if len(in.Groups) > 0 {
		name, given = "GroupSet", given+1
	}
	if v := in.SourceDestCheck; v != nil {
		name, value, given = "SourceDestCheck", boolOf(api.Val(v.Value))[0], given+1
	}
	if in.Description != nil || in.Attachment != nil || in.EnaSrdSpecification != nil || in.EnablePrimaryIpv6 != nil || in.ConnectionTrackingSpecification != nil ||
		in.AssociatePublicIpAddress != nil || len(in.AssociatedSubnetIds) > 0 {
		return "", "", apierr.New("UnsupportedOperation", "This server does not support changes of that attribute.")
	}
	if given != 1 {
		return "", "", apierr.New("InvalidParameterCombination", "You must specify exactly one attribute to be modified.")
	}
	return name, value, nil
}

// allowInterface decides on a change of an instance's network interface.
func (s *Service) allowInterface(tx store.Tx, c *guard.Call, i *instanceRecord, name, value string, groups []group) error {
	tags, err := tagsOf(tx, c.Region, c.Account(), i.ENI)
	if err != nil {
		return err
	}
	p := s.part(c, "ec2:ModifyNetworkInterfaceAttribute", "network-interface/"+i.ENI, tags)
	p.Context.Set("ec2:networkinterfaceid", i.ENI)
	p.Context.Set("ec2:subnet", arn.EC2(c.Region, c.Account(), "subnet/"+i.Subnet))
	p.Context.Set("ec2:vpc", vpcARN(c.Region, c.Account(), i.VPC))
	p.Context.Set("ec2:availabilityzone", i.Zone)
	setAttribute(&p, name, value)
	c.Touch(p.Resource.ARN, c.Account(), "AWS::EC2::NetworkInterface")
	parts := []authz.Part{p}
	for _, g := range groups {
		if tags, err = tagsOf(tx, c.Region, c.Account(), g.ID); err != nil {
			return err
		}
		gp := s.part(c, "ec2:ModifyNetworkInterfaceAttribute", "security-group/"+g.ID, tags)
		g.describe(&gp)
		parts = append(parts, gp)
	}
	_, err = s.g.Authorize(tx, c, guard.Check{Parts: parts})
	return err
}
