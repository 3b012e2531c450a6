package ec2

import (
	"context"
	"slices"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/ec2/instancetype"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// faceOperations are the handlers of network interfaces of their own.
func (s *Service) faceOperations() map[string]guard.Handler {
	return map[string]guard.Handler{
		"CreateNetworkInterface":            guard.Handle(s.CreateNetworkInterface),
		"DeleteNetworkInterface":            guard.HandleVoid(s.DeleteNetworkInterface),
		"AttachNetworkInterface":            guard.Handle(s.AttachNetworkInterface),
		"DetachNetworkInterface":            guard.HandleVoid(s.DetachNetworkInterface),
		"DescribeNetworkInterfaceAttribute": guard.Handle(s.DescribeNetworkInterfaceAttribute),
		"ResetNetworkInterfaceAttribute":    guard.HandleVoid(s.ResetNetworkInterfaceAttribute),
		"AssignPrivateIpAddresses":          guard.Handle(s.AssignPrivateIpAddresses),
		"UnassignPrivateIpAddresses":        guard.HandleVoid(s.UnassignPrivateIpAddresses),
		"AssignIpv6Addresses":               guard.Handle(s.AssignIpv6Addresses),
		"UnassignIpv6Addresses":             guard.Handle(s.UnassignIpv6Addresses),
	}
}

// facePart is the evaluation of the call's action on a network interface, which may be missing.
func (s *Service) facePart(tx store.Tx, c *guard.Call, id string, f *heldFace, missing error) (authz.Part, error) {
	tags, err := tagsOf(tx, c.Region, c.Account(), id)
	p := s.part(c, "ec2:"+c.Operation, "network-interface/"+id, tags)
	if missing == nil {
		f.describe(&p)
	}
	c.Touch(p.Resource.ARN, c.Account(), "AWS::EC2::NetworkInterface")
	return p, err
}

// theFace decides the call's action on a network interface and finds it; change says what else the decision has.
func (s *Service) theFace(tx store.Tx, c *guard.Call, dry *bool, id string, change func(*authz.Part), more ...authz.Part) (heldFace, error) {
	f, missing := lookupFace(tx, c, id)
	if missing != nil && apierr.Code(missing) == "" {
		return f, missing
	}
	p, err := s.facePart(tx, c, id, &f, missing)
	if err != nil {
		return f, err
	}
	if change != nil {
		change(&p)
	}
	if _, err := s.g.Authorize(tx, c, guard.Check{Parts: append([]authz.Part{p}, more...)}); err != nil {
		return f, err
	}
	if missing != nil {
		return f, missing
	}
	return f, dryRun(dry)
}

// groupParts are the evaluations of the call's action on security groups.
func (s *Service) groupParts(tx store.Tx, c *guard.Call, groups []group) (parts []authz.Part, err error) {
	for _, g := range groups {
		tags, err := tagsOf(tx, c.Region, c.Account(), g.ID)
		if err != nil {
			return nil, err
		}
		p := s.part(c, "ec2:"+c.Operation, "security-group/"+g.ID, tags)
		g.describe(&p)
		parts = append(parts, p)
	}
	return parts, nil
}

func (f *faceRecord) guardWith(groups []group) {
	f.Groups, f.GroupsBy = nil, nil
	for _, g := range groups {
		f.Groups, f.GroupsBy = append(f.Groups, g.ID), append(f.GroupsBy, g.Name)
	}
}

// checkFace refuses what there is none of here.
func checkFace(in *ec2api.CreateNetworkInterfaceRequest) error {
	if _, err := asksFabric(in.InterfaceType); err != nil {
		return err
	}
	return idiom.NoOperator(in.Operator)
}

// CreateNetworkInterface makes a network interface in a subnet. Source: EC2 API Reference, CreateNetworkInterface.
func (s *Service) CreateNetworkInterface(ctx context.Context, c *guard.Call, in *ec2api.CreateNetworkInterfaceRequest) (*ec2api.CreateNetworkInterfaceResult, error) {
	if err := checkFace(in); err != nil {
		return nil, err
	}
	specs, err := tagSpecs(c, in.TagSpecifications, "network-interface")
	if err != nil {
		return nil, err
	}
	asked, err := askedAddresses(in.PrivateIpAddress, in.PrivateIpAddresses, in.SecondaryPrivateIpAddressCount)
	if err != nil {
		return nil, err
	}
	track, err := trackingOf(in.ConnectionTrackingSpecification)
	if err != nil {
		return nil, err
	}
	six, err := instanceSix(in.Ipv6Addresses, in.Ipv6AddressCount, in.EnablePrimaryIpv6)
	if err != nil {
		return nil, err
	}
	if err := askPrefixes(&asked, &six, in.Ipv4Prefixes, in.Ipv4PrefixCount, in.Ipv6Prefixes, in.Ipv6PrefixCount); err != nil {
		return nil, err
	}
	tags, id, mac := specs["network-interface"], randomID("eni"), randomMAC()
	plain := *in
	plain.ClientToken, plain.DryRun = nil, nil
	token := idiom.NewToken(api.Val(in.ClientToken), idiom.Fingerprint(plain))
	out := &ec2api.CreateNetworkInterfaceResult{ClientToken: in.ClientToken}
	return out, s.g.Update(ctx, c, func(tx store.Tx) error {
		where, groups, err := s.allowFace(tx, c, in, tags, id)
		if err != nil {
			return err
		}
		known, err := token.Seen(tx, c)
		if err != nil {
			return err
		}
		if known != "" {
			f, err := lookupFace(tx, c, known)
			if err != nil {
				return err
			}
			tags, err := tagsOf(tx, c.Region, c.Account(), f.ID)
			out.NetworkInterface = new(f.wire(""))
			out.NetworkInterface.Status, out.NetworkInterface.TagSet = new("pending"), listed(tags)
			return err
		}
		f := heldFace{where.newFace(c), nil}
		f.ID, f.MAC, f.Description, f.Requester = id, mac, api.Val(in.Description), c.Caller.Principal.UserID
		f.guardWith(groups)
		f.Tracking, f.SixPrimary, f.Fabric = track, six.primary, api.Val(in.InterfaceType) == "efa"
		t := newTaker(tx, c)
		if f.Address, f.Secondary, err = t.takeAll(where, asked); err != nil {
			return err
		}
		if err := t.takeRest(&f.faceRecord, where, asked, six, looseAddresses); err != nil {
			return err
		}
		if err := t.flush(); err != nil {
			return err
		}
		out.NetworkInterface = new(f.wire(""))
		out.NetworkInterface.Status, out.NetworkInterface.TagSet = new("pending"), madeWith(tags)
		if err := putTags(tx, f.Region, f.Account, f.ID, tags); err != nil {
			return err
		}
		if err := token.Remember(tx, c, s.g.Now(), f.ID); err != nil {
			return err
		}
		return f.put(tx)
	})
}

// allowFace decides on making a network interface, with the subnet and security groups that it is to have.
func (s *Service) allowFace(tx store.Tx, c *guard.Call, in *ec2api.CreateNetworkInterfaceRequest, made []tag, id string) (subnet, []group, error) {
	where, missing := s.lookupSubnet(tx, c, *in.SubnetId)
	if missing != nil && apierr.Code(missing) == "" {
		return where, nil, missing
	}
	p := s.part(c, "ec2:CreateNetworkInterface", "network-interface/*", nil)
	addRequestTags(&p, made)
	tags, err := tagsOf(tx, c.Region, c.Account(), *in.SubnetId)
	if err != nil {
		return where, nil, err
	}
	sub := s.part(c, "ec2:CreateNetworkInterface", "subnet/"+*in.SubnetId, tags)
	var groups []group
	if missing == nil {
		where.describe(&sub)
		groups, missing = s.groupsIn(tx, c, where.VPC, in.Groups)
		if missing != nil && apierr.Code(missing) == "" {
			return where, nil, missing
		}
	}
	parts := []authz.Part{p, sub}
	if len(in.Groups) > 0 {
		more, err := s.groupParts(tx, c, groups)
		if err != nil {
			return where, nil, err
		}
		parts = append(parts, more...)
	}
	c.Touch(s.resourceARN(c, "network-interface/"+id), c.Account(), "AWS::EC2::NetworkInterface")
	if _, err := s.g.Authorize(tx, c, guard.Check{Parts: s.withTags(c, parts, "network-interface", made)}); err != nil {
		return where, nil, err
	}
	if missing != nil {
		return where, nil, missing
	}
	return where, groups, dryRun(in.DryRun)
}

func errFaceInUse(id string) error {
	return apierr.Newf("InvalidNetworkInterface.InUse", "Interface: [%s] in use.", id)
}

// DeleteNetworkInterface deletes a network interface that is not attached; its Elastic IP address is free again.
// Source: EC2 API Reference, DeleteNetworkInterface, and "Error codes" (InvalidNetworkInterface.InUse).
func (s *Service) DeleteNetworkInterface(ctx context.Context, c *guard.Call, in *ec2api.DeleteNetworkInterfaceRequest) error {
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		f, err := s.theFace(tx, c, in.DryRun, *in.NetworkInterfaceId, nil)
		if err != nil {
			return err
		}
		if f.status() != "available" {
			return errFaceInUse(f.ID)
		}
		if by := f.PublicBy; by != "" {
			f.PublicBy = ""
			if err := moveElastic(tx, &f.faceRecord, by); err != nil {
				return err
			}
		}
		return networks{s}.DropFace(tx, c, f.ID)
	})
}

// DescribeNetworkInterfaceAttribute tells one attribute of a network interface.
// Source: EC2 API Reference, DescribeNetworkInterfaceAttribute.
func (s *Service) DescribeNetworkInterfaceAttribute(ctx context.Context, c *guard.Call, in *ec2api.DescribeNetworkInterfaceAttributeRequest) (*ec2api.DescribeNetworkInterfaceAttributeResult, error) {
	names := map[string]string{"description": "Description", "groupSet": "GroupSet", "sourceDestCheck": "SourceDestCheck", "attachment": "Attachment", "associatePublicIpAddress": "AssociatePublicIpAddress"}
	name, ok := names[api.Val(in.Attribute)]
	if !ok {
		return nil, invalidValue("Value (%s) for parameter attribute is invalid. Unknown attribute.", api.Val(in.Attribute))
	}
	out := &ec2api.DescribeNetworkInterfaceAttributeResult{NetworkInterfaceId: in.NetworkInterfaceId}
	return out, s.g.View(ctx, c, func(tx store.Tx) error {
		f, err := s.theFace(tx, c, in.DryRun, *in.NetworkInterfaceId, func(p *authz.Part) { setAttribute(p, name, "") })
		if err != nil {
			return err
		}
		w := f.wire("")
		switch name {
		case "Description":
			out.Description = &ec2api.AttributeValue{Value: w.Description}
		case "GroupSet":
			out.Groups = w.Groups
		case "SourceDestCheck":
			out.SourceDestCheck = &ec2api.AttributeBooleanValue{Value: w.SourceDestCheck}
		case "Attachment":
			out.Attachment = w.Attachment
		default:
			out.AssociatePublicIpAddress = new(f.instance != nil && f.ID == f.instance.ENI && f.instance.AutoPublic)
		}
		return nil
	})
}

// ResetNetworkInterfaceAttribute has a network interface look at where packets come from and go to again.
// Source: EC2 API Reference, ResetNetworkInterfaceAttribute.
func (s *Service) ResetNetworkInterfaceAttribute(ctx context.Context, c *guard.Call, in *ec2api.ResetNetworkInterfaceAttributeRequest) error {
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		f, err := s.theFace(tx, c, in.DryRun, *in.NetworkInterfaceId, func(p *authz.Part) { setAttribute(p, "SourceDestCheck", "") })
		if err != nil {
			return err
		}
		if f.managed() {
			return errManagedFace()
		}
		f.NoSourceCheck = false
		return f.put(tx)
	})
}

// errManagedFace is a change of a network interface that belongs to a service of AWS.
func errManagedFace() error {
	return apierr.New("OperationNotPermitted", "You do not have permission to modify a network interface that is managed by a service.")
}

// AssignPrivateIpAddresses gives a network interface more private addresses: those that are named, or as many.
// Source: EC2 API Reference, AssignPrivateIpAddresses.
func (s *Service) AssignPrivateIpAddresses(ctx context.Context, c *guard.Call, in *ec2api.AssignPrivateIpAddressesRequest) (*ec2api.AssignPrivateIpAddressesResult, error) {
	count := int(api.Val(in.SecondaryPrivateIpAddressCount))
	switch {
	case len(in.PrivateIpAddresses) > 0 && count > 0:
		return nil, apierr.New("InvalidParameterCombination", "The parameters PrivateIpAddresses and SecondaryPrivateIpAddressCount cannot be used together.")
	case len(in.PrivateIpAddresses) == 0 && count <= 0 && len(in.Ipv4Prefixes) == 0 && api.Val(in.Ipv4PrefixCount) == 0:
		return nil, apierr.New("MissingParameter", "Either private IP addresses or a count of secondary private IP addresses must be specified")
	}
	prefixes, err := askedPrefixes(in.Ipv4Prefixes, in.Ipv4PrefixCount, prefixBits, len(in.PrivateIpAddresses) > 0 || count > 0)
	if err != nil {
		return nil, err
	}
	out := &ec2api.AssignPrivateIpAddressesResult{NetworkInterfaceId: in.NetworkInterfaceId}
	return out, s.g.Update(ctx, c, func(tx store.Tx) error {
		out.AssignedPrivateIpAddresses = nil
		f, err := s.theFace(tx, c, nil, *in.NetworkInterfaceId, nil)
		if err != nil {
			return err
		}
		if f.managed() {
			return errManagedFace()
		}
		where, err := s.lookupSubnet(tx, c, f.Subnet)
		if err != nil {
			return err
		}
		asked := faceAddresses{count: count}
		for _, a := range in.PrivateIpAddresses {
			if !slices.Contains(f.Secondary, a) && !slices.Contains(asked.more, a) {
				asked.more = append(asked.more, a)
			}
		}
		most, have := addressesPerFace(&f), 1+len(f.Secondary)+len(f.Prefixes)
		if have+len(asked.more)+asked.count > most {
			return apierr.Newf("PrivateIpAddressLimitExceeded", "Number of private addresses will exceed limit (%d).", most)
		}
		t := newTaker(tx, c)
		if api.Val(in.AllowReassignment) {
			if t.moved, err = moveSecondary(tx, c, &f, asked.more); err != nil {
				return err
			}
		}
		more, err := t.takeMore(where, asked)
		if err != nil {
			return err
		}
		if prefixes.any() {
			if err := f.canPrefix(); err != nil {
				return err
			}
		}
		blocks, err := t.takePrefixes(where, prefixes, most-have)
		if err != nil {
			return err
		}
		if err := t.flush(); err != nil {
			return err
		}
		out.AssignedIpv4Prefixes = wirePrefixes(blocks, fourPrefix)
		f.Prefixes = append(slices.Clone(f.Prefixes), blocks...)
		f.Secondary = append(slices.Clone(f.Secondary), more...)
		for _, a := range append(more, in.PrivateIpAddresses...) {
			if !slices.ContainsFunc(out.AssignedPrivateIpAddresses, func(o ec2api.AssignedPrivateIpAddress) bool { return *o.PrivateIpAddress == a }) {
				out.AssignedPrivateIpAddresses = append(out.AssignedPrivateIpAddresses, ec2api.AssignedPrivateIpAddress{PrivateIpAddress: new(a)})
			}
		}
		return f.put(tx)
	})
}

// addressesPerFace is how many private addresses an interface has at most: as the type of its instance says.
func addressesPerFace(f *heldFace) int {
	if f.instance != nil {
		return typeAddresses(f.instance.Type)
	}
	return looseAddresses
}

// looseAddresses is how many addresses a network interface has at most that is no instance's.
const looseAddresses = 50

// typeAddresses is how many addresses an interface of an instance of a type has at most.
func typeAddresses(kind string) int {
	if t, ok := instancetype.Lookup(kind); ok {
		return int(t.Addresses)
	}
	return looseAddresses
}

// UnassignPrivateIpAddresses takes secondary private addresses from a network interface.
// Source: EC2 API Reference, UnassignPrivateIpAddresses.
func (s *Service) UnassignPrivateIpAddresses(ctx context.Context, c *guard.Call, in *ec2api.UnassignPrivateIpAddressesRequest) error {
	if len(in.PrivateIpAddresses)+len(in.Ipv4Prefixes) == 0 {
		return apierr.New("MissingParameter", "The request must contain the parameter privateIpAddress")
	}
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		f, err := s.theFace(tx, c, nil, *in.NetworkInterfaceId, nil)
		if err != nil {
			return err
		}
		for _, a := range in.PrivateIpAddresses {
			if !slices.Contains(f.Secondary, a) {
				return invalidValue("Some of the specified addresses are not assigned to interface %s as secondary addresses: %s", f.ID, a)
			}
		}
		if f.Prefixes, err = prefixesLeave(f.Prefixes, in.Ipv4Prefixes, f.ID); err != nil {
			return err
		}
		f.dropSecondary(in.PrivateIpAddresses...)
		return f.put(tx)
	})
}
