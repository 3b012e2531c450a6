package ec2

import (
	"slices"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// An openedAddress is a secondary private address that has an Elastic IP address.
type openedAddress struct {
	Private     string `json:"private"`
	IP          string `json:"ip"`
	By          string `json:"by"` // allocation id
	Association string `json:"association"`
}

// openSecondary notes that a secondary address has an Elastic IP address.
func (f *faceRecord) openSecondary(private string, e *elasticRecord) {
	f.Opened = append(f.Opened[:len(f.Opened):len(f.Opened)], openedAddress{private, e.IP, e.ID, e.Association})
}

// opened is the Elastic IP address of a secondary address in an answer, if it has one.
func (f *faceRecord) opened(private string) *ec2api.NetworkInterfaceAssociation {
	for _, o := range f.Opened {
		if o.Private == private {
			return &ec2api.NetworkInterfaceAssociation{
				AllocationId: &o.By, AssociationId: &o.Association, IpOwnerId: &f.Account, PublicDnsName: new(f.publicName(o.IP)), PublicIp: &o.IP,
			}
		}
	}
	return nil
}

// openedInstance is opened in an answer about an instance.
func (f *faceRecord) openedInstance(private string) *ec2api.InstanceNetworkInterfaceAssociation {
	a := f.opened(private)
	if a == nil {
		return nil
	}
	return &ec2api.InstanceNetworkInterfaceAssociation{IpOwnerId: a.IpOwnerId, PublicDnsName: a.PublicDnsName, PublicIp: a.PublicIp}
}

// elasticOf is the allocation id of the Elastic IP address that a private address has, secondary or not; "" if none.
func (f *faceRecord) elasticOf(private string) string {
	if private == f.Address {
		return f.PublicBy
	}
	for _, o := range f.Opened {
		if o.Private == private {
			return o.By
		}
	}
	return ""
}

// closeSecondary forgets the Elastic IP addresses of secondary addresses, which stay.
func (f *faceRecord) closeSecondary(private ...string) {
	f.Opened = slices.DeleteFunc(slices.Clone(f.Opened), func(o openedAddress) bool { return slices.Contains(private, o.Private) })
}

// dropSecondary takes secondary addresses away, and what Elastic IP addresses they have: those are free then, as nothing
// has them.
func (f *faceRecord) dropSecondary(private ...string) {
	f.Secondary = slices.DeleteFunc(slices.Clone(f.Secondary), func(a string) bool { return slices.Contains(private, a) })
	f.closeSecondary(private...)
}

// moveSecondary takes secondary addresses from the interfaces of the same subnet that have them, for another one. Their
// Elastic IP addresses come with them. It tells which it took. Source: EC2 API Reference, AssignPrivateIpAddresses.
func moveSecondary(tx store.Tx, c *guard.Call, to *heldFace, addresses []string) (moved []string, err error) {
	all, err := allFaces(tx, c.Region, c.Account())
	if err != nil {
		return nil, err
	}
	var with []openedAddress
	for i := range all {
		from := &all[i]
		var taken []string
		for _, a := range from.Secondary {
			if from.Subnet == to.Subnet && slices.Contains(addresses, a) {
				taken = append(taken, a)
			}
		}
		if len(taken) == 0 {
			continue
		}
		if from.managed() {
			return nil, errManagedFace()
		}
		for _, o := range from.Opened {
			if !slices.Contains(taken, o.Private) {
				continue
			}
			with = append(with, o)
			if err := moveElasticTo(tx, to, o.By); err != nil {
				return nil, err
			}
		}
		from.dropSecondary(taken...)
		if err := from.put(tx); err != nil {
			return nil, err
		}
		moved = append(moved, taken...)
	}
	if len(moved) > 0 {
		if *to, err = lookupFace(tx, c, to.ID); err != nil { // it may be of the same instance
			return nil, err
		}
		to.Opened = slices.Concat(to.Opened, with)
	}
	return moved, nil
}

func moveElasticTo(tx store.Tx, f *heldFace, allocation string) error {
	e, ok, err := elasticTable.Get(tx, f.Region, f.Account, allocation)
	if err != nil || !ok {
		return err
	}
	e.Interface = f.ID
	return elasticTable.Put(tx, e, e.Region, e.Account, e.ID)
}

// has reports whether a network interface has an Elastic IP address.
func (f *faceRecord) has(e *elasticRecord) bool {
	if e.Private == "" {
		return f.PublicBy == e.ID
	}
	for _, o := range f.Opened {
		if o.By == e.ID {
			return true
		}
	}
	return false
}
