package ec2

import (
	"github.com/kagimori/kagimori/internal/api/ec2api"
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
				AllocationId: &o.By, AssociationId: &o.Association, IpOwnerId: &f.Account, PublicDnsName: new(publicHostName(f.Region, o.IP)), PublicIp: &o.IP,
			}
		}
	}
	return nil
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
