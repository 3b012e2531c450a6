package ec2

import (
	"cmp"
	"slices"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// plannedFaces are the network interfaces of a launch that says something of them.
type plannedFaces struct {
	first  *faceRecord   // that is there already; nil: a new one
	asked  faceAddresses // of a new first one
	six    sixAddresses  // of a new first one
	extra  firstFace     // of the first one
	others []plannedFace
}

// fabrics counts the Elastic Fabric Adapters.
func (p *plannedFaces) fabrics() (n int32) {
	if p.extra.Fabric {
		n++
	}
	for _, o := range p.others {
		if o.Fabric {
			n++
		}
	}
	return n
}

// A plannedFace is a network interface besides the first.
type plannedFace struct {
	faceRecord
	fresh bool
	where subnet
	asked faceAddresses
	six   sixAddresses
}

// planFaces reads the network interfaces of a launch, and gives subnet and security groups of the first.
// Source: EC2 API Reference, InstanceNetworkInterfaceSpecification.
func (s *Service) planFaces(tx store.Tx, c *guard.Call, pl *launchPlan) (subnetID string, groups []string, err error) {
	if api.Val(pl.SubnetId) != "" {
		return "", nil, apierr.New("InvalidParameterCombination", "Network interfaces and an instance-level subnet ID may not be specified on the same request")
	}
	if n := len(pl.NetworkInterfaces); n > int(pl.kind.ENIs) {
		return "", nil, apierr.Newf("AttachmentLimitExceeded", "Interface count %d exceeds the limit for %s", n, pl.kind.Name)
	}
	seen := map[[2]int32]bool{}
	for i := range pl.NetworkInterfaces {
		n := &pl.NetworkInterfaces[i]
		index, card := api.Val(n.DeviceIndex), api.Val(n.NetworkCardIndex)
		if seen[[2]int32{card, index}] {
			return "", nil, invalidValue("Each network interface requires a unique device index.")
		}
		seen[[2]int32{card, index}] = true
		if err := checkCard(pl.kind.Name, card, index); err != nil {
			return "", nil, err
		}
		if err := pl.checkFace(n); err != nil {
			return "", nil, err
		}
		if index == 0 {
			subnetID, groups, err = s.planFirst(tx, c, pl, n)
		} else {
			err = s.planOther(tx, c, pl, n)
		}
		if err != nil {
			return "", nil, err
		}
	}
	if !seen[[2]int32{}] {
		return "", nil, apierr.New("InvalidParameterCombination", "The network interface with the device index 0 must be specified.")
	}
	return subnetID, groups, checkFabrics(pl.kind.Name, pl.faces.fabrics())
}

// checkFace refuses what a launch must not say of a network interface, and what there is none of here.
func (pl *launchPlan) checkFace(n *ec2api.InstanceNetworkInterfaceSpecification) error {
	id := api.Val(n.NetworkInterfaceId)
	switch {
	case api.Val(n.AssociateCarrierIpAddress):
		return apierr.New("InvalidParameterCombination", "A carrier IP address can be associated only in the subnet of a Wavelength Zone.")
	case api.Val(n.AssociatePublicIpAddress) && (id != "" || len(pl.NetworkInterfaces) > 1):
		return apierr.New("InvalidParameterCombination", "The associatePublicIPAddress parameter cannot be specified when launching with multiple network interfaces.")
	case id != "" && (api.Val(n.SubnetId) != "" || len(n.Groups) > 0 || api.Val(n.PrivateIpAddress) != "" || len(n.PrivateIpAddresses) > 0 || api.Val(n.SecondaryPrivateIpAddressCount) > 0 || len(n.Ipv6Addresses) > 0 || api.Val(n.Ipv6AddressCount) > 0 || api.Val(n.PrimaryIpv6) || namesPrefixes(n)):
		return apierr.New("InvalidParameterCombination", "A network interface ID may not be specified together with a subnet ID, security groups or private IP addresses.")
	case id != "" && pl.count > 1:
		return apierr.New("InvalidParameterCombination", "A network interface may not be specified when launching more than one instance.")
	case pl.count > 1 && (api.Val(n.PrivateIpAddress) != "" || len(n.PrivateIpAddresses)+len(n.Ipv6Addresses)+len(n.Ipv4Prefixes)+len(n.Ipv6Prefixes) > 0):
		return apierr.New("InvalidParameterCombination", "A private IP address cannot be specified for more than one instance.")
	}
	if _, err := asksFabric(n.InterfaceType); err != nil {
		return err
	}
	if namesPrefixes(n) {
		if err := errTypePrefixes(pl.kind.Name); err != nil {
			return err
		}
	}
	return checkQueues(n.EnaQueueCount)
}

// freeFace finds a network interface that can be attached.
func freeFace(tx store.Tx, c *guard.Call, id string) (faceRecord, error) {
	f, err := lookupFace(tx, c, id)
	if err == nil && f.status() != "available" {
		err = errFaceInUse(id)
	}
	return f.faceRecord, err
}

func (s *Service) planFirst(tx store.Tx, c *guard.Call, pl *launchPlan, n *ec2api.InstanceNetworkInterfaceSpecification) (string, []string, error) {
	pl.public = n.AssociatePublicIpAddress
	track, err := trackingOf(n.ConnectionTrackingSpecification)
	if err != nil {
		return "", nil, err
	}
	fast, err := expressAsked(n.EnaSrdSpecification)
	if err != nil {
		return "", nil, err
	}
	if id := api.Val(n.NetworkInterfaceId); id != "" {
		f, err := freeFace(tx, c, id)
		if err == nil {
			err = f.suits(pl.kind.Name)
		}
		pl.faces.first = &f
		pl.faces.extra = firstFace{f.Description, !api.Val(n.DeleteOnTermination), f.Secondary, f.Six, f.SixPrimary, f.Prefixes, f.SixPrefixes, cmp.Or(track, f.Tracking), fast, f.Opened, f.Fabric}
		return f.Subnet, f.Groups, err
	}
	pl.faces.extra = firstFace{Description: api.Val(n.Description), Keep: n.DeleteOnTermination != nil && !*n.DeleteOnTermination, Tracking: track, Express: fast}
	if pl.faces.extra.Fabric, err = asksFabric(n.InterfaceType); err != nil {
		return "", nil, err
	}
	if pl.faces.asked, err = askedAddresses(n.PrivateIpAddress, n.PrivateIpAddresses, n.SecondaryPrivateIpAddressCount); err != nil {
		return "", nil, err
	}
	if pl.faces.six, err = instanceSix(n.Ipv6Addresses, n.Ipv6AddressCount, n.PrimaryIpv6); err != nil {
		return "", nil, err
	}
	if err := askPrefixes(&pl.faces.asked, &pl.faces.six, n.Ipv4Prefixes, n.Ipv4PrefixCount, n.Ipv6Prefixes, n.Ipv6PrefixCount); err != nil {
		return "", nil, err
	}
	if pl.faces.asked.primary != "" {
		pl.PrivateIpAddress = &pl.faces.asked.primary
	}
	return api.Val(n.SubnetId), n.Groups, nil
}

func (s *Service) planOther(tx store.Tx, c *guard.Call, pl *launchPlan, n *ec2api.InstanceNetworkInterfaceSpecification) error {
	o := plannedFace{}
	track, err := trackingOf(n.ConnectionTrackingSpecification)
	if err != nil {
		return err
	}
	plug := &facePlug{Index: *n.DeviceIndex, Delete: api.Val(n.DeleteOnTermination), Card: api.Val(n.NetworkCardIndex)}
	if plug.Express, err = expressAsked(n.EnaSrdSpecification); err != nil {
		return err
	}
	if id := api.Val(n.NetworkInterfaceId); id != "" {
		f, err := freeFace(tx, c, id)
		if err == nil {
			err = f.suits(pl.kind.Name)
		}
		o.faceRecord, o.Plug = f, plug
		o.Tracking = cmp.Or(track, f.Tracking)
		pl.faces.others = append(pl.faces.others, o)
		return err
	}
	where, err := s.faceSubnet(tx, c, pl, n)
	if err != nil {
		return err
	}
	groups, err := s.groupsIn(tx, c, where.VPC, n.Groups)
	if err != nil {
		return err
	}
	o.faceRecord, o.where, o.fresh = where.newFace(c), where, true
	o.guardWith(groups)
	plug.Delete = n.DeleteOnTermination == nil || *n.DeleteOnTermination
	o.Plug, o.Description, o.Tracking = plug, api.Val(n.Description), track
	if o.Fabric, err = asksFabric(n.InterfaceType); err != nil {
		return err
	}
	if o.asked, err = askedAddresses(n.PrivateIpAddress, n.PrivateIpAddresses, n.SecondaryPrivateIpAddressCount); err != nil {
		return err
	}
	if o.six, err = instanceSix(n.Ipv6Addresses, n.Ipv6AddressCount, n.PrimaryIpv6); err != nil {
		return err
	}
	if err := askPrefixes(&o.asked, &o.six, n.Ipv4Prefixes, n.Ipv4PrefixCount, n.Ipv6Prefixes, n.Ipv6PrefixCount); err != nil {
		return err
	}
	pl.faces.others = append(pl.faces.others, o)
	return where.check(o.asked.primary)
}

// faceSubnet is where a new network interface is: in its subnet, or else in the default one of the zone.
func (s *Service) faceSubnet(tx store.Tx, c *guard.Call, pl *launchPlan, n *ec2api.InstanceNetworkInterfaceSpecification) (subnet, error) {
	if id := api.Val(n.SubnetId); id != "" {
		return s.lookupSubnet(tx, c, id)
	}
	zone := ""
	if pl.Placement != nil {
		zone = api.Val(pl.Placement.AvailabilityZone)
	}
	return s.defaultSubnet(tx, c, zone)
}

// take gives the instances of a launch the addresses of all their network interfaces.
func (p *plannedFaces) take(tx store.Tx, c *guard.Call, pl *launchPlan, made []draftLaunch) error {
	t := newTaker(tx, c)
	for n := range made {
		i := &made[n].instance
		if p.first != nil {
			i.Address = p.first.Address
		} else {
			primary, secondary, err := t.takeAll(pl.subnet, p.asked)
			if err != nil {
				return err
			}
			f := faceRecord{Secondary: secondary}
			if err := t.takeRest(&f, pl.subnet, p.asked, p.six, typeAddresses(i.Type)); err != nil {
				return err
			}
			if i.Address = primary; len(secondary)+len(f.Six)+len(f.Prefixes)+len(f.SixPrefixes) > 0 {
				x := p.extra
				x.Secondary, x.Six, x.SixPrimary, x.Prefixes, x.SixPrefixes = secondary, f.Six, p.six.primary, f.Prefixes, f.SixPrefixes
				i.Face = &x
			}
			i.openPublic()
		}
		for _, o := range p.others {
			f, plug := o.faceRecord, *o.Plug
			plug.ID, plug.Instance, plug.At = randomID("eni-attach"), i.ID, i.Launched
			f.Plug = &plug
			if o.fresh {
				var err error
				f.ID, f.MAC = randomID("eni"), randomMAC()
				if f.Address, f.Secondary, err = t.takeAll(o.where, o.asked); err != nil {
					return err
				}
				if err := t.takeRest(&f, o.where, o.asked, o.six, typeAddresses(i.Type)); err != nil {
					return err
				}
				f.SixPrimary = o.six.primary
			}
			i.Faces = append(i.Faces, f)
		}
	}
	return t.flush()
}

// putFaces stores what a launch means for network interfaces: new ones have tags, others are the instance's now.
func (pl *launchPlan) putFaces(tx store.Tx, c *guard.Call, i *instanceRecord) error {
	tags := pl.tags["network-interface"]
	if f := pl.faces.first; f != nil {
		if err := faceTable.Delete(tx, f.key()...); err != nil {
			return err
		}
		if f.PublicBy != "" {
			e, ok, err := elasticTable.Get(tx, c.Region, c.Account(), f.PublicBy)
			if err != nil {
				return err
			}
			if e.Instance, e.Interface = i.ID, ""; ok {
				if err := elasticTable.Put(tx, e, e.Region, e.Account, e.ID); err != nil {
					return err
				}
			}
		}
	} else if err := putTags(tx, c.Region, c.Account(), i.ENI, tags); err != nil {
		return err
	}
	for n, o := range pl.faces.others {
		f := i.Faces[n]
		if !o.fresh {
			if err := faceTable.Delete(tx, f.key()...); err != nil {
				return err
			}
		} else if err := putTags(tx, c.Region, c.Account(), f.ID, tags); err != nil {
			return err
		}
	}
	return nil
}

// faceParts are the evaluations of a launch on network interfaces that it names, and on new ones besides the first, with
// their subnets and security groups.
func (s *Service) faceParts(tx store.Tx, c *guard.Call, pl *launchPlan) (parts []authz.Part, err error) {
	named := func(f *faceRecord) error {
		p, err := s.facePart(tx, c, f.ID, &heldFace{*f, nil}, nil)
		p.Action = "ec2:RunInstances"
		parts = append(parts, p)
		return err
	}
	if pl.faces.first != nil {
		if err := named(pl.faces.first); err != nil {
			return nil, err
		}
	}
	decided := []string{pl.subnet.ID}
	for _, g := range pl.groups {
		decided = append(decided, g.ID)
	}
	for _, o := range pl.faces.others {
		if !o.fresh {
			if err := named(&o.faceRecord); err != nil {
				return nil, err
			}
			continue
		}
		p := s.part(c, "ec2:RunInstances", "network-interface/*", nil)
		o.place(&p)
		addRequestTags(&p, pl.tags["network-interface"])
		parts = append(parts, p)
		for _, id := range append([]string{o.Subnet}, o.Groups...) {
			if slices.Contains(decided, id) {
				continue
			}
			decided = append(decided, id)
			kind, _ := kindOf(id)
			tags, err := tagsOf(tx, c.Region, c.Account(), id)
			if err != nil {
				return nil, err
			}
			p := s.part(c, "ec2:RunInstances", kind+"/"+id, tags)
			if err := s.describeFor(tx, c, kind, id, &p); err != nil {
				return nil, err
			}
			parts = append(parts, p)
		}
	}
	return parts, nil
}
