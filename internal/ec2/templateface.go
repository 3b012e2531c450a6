package ec2

import (
	"reflect"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
)

// templateFace is a network interface of a launch template as if a request had it.
func templateFace(n *ec2api.LaunchTemplateInstanceNetworkInterfaceSpecificationRequest) ec2api.InstanceNetworkInterfaceSpecification {
	out := ec2api.InstanceNetworkInterfaceSpecification{
		AssociatePublicIpAddress: n.AssociatePublicIpAddress, AssociateCarrierIpAddress: n.AssociateCarrierIpAddress, Description: n.Description,
		DeleteOnTermination: n.DeleteOnTermination, DeviceIndex: n.DeviceIndex, NetworkCardIndex: n.NetworkCardIndex, InterfaceType: n.InterfaceType,
		Groups: n.Groups, NetworkInterfaceId: n.NetworkInterfaceId, SubnetId: n.SubnetId,
		PrivateIpAddress: n.PrivateIpAddress, PrivateIpAddresses: n.PrivateIpAddresses, SecondaryPrivateIpAddressCount: n.SecondaryPrivateIpAddressCount,
		Ipv6AddressCount: n.Ipv6AddressCount, PrimaryIpv6: n.PrimaryIpv6,
		Ipv4Prefixes: n.Ipv4Prefixes, Ipv4PrefixCount: n.Ipv4PrefixCount, Ipv6Prefixes: n.Ipv6Prefixes, Ipv6PrefixCount: n.Ipv6PrefixCount,
		EnaSrdSpecification: n.EnaSrdSpecification, ConnectionTrackingSpecification: n.ConnectionTrackingSpecification, EnaQueueCount: n.EnaQueueCount,
	}
	for _, a := range n.Ipv6Addresses {
		out.Ipv6Addresses = append(out.Ipv6Addresses, ec2api.InstanceIpv6Address{Ipv6Address: a.Ipv6Address})
	}
	return out
}

// plainFace reports whether a network interface says no more than what a launch can say without one: its subnet, its
// security groups, its address, and whether it has a public one.
func plainFace(n ec2api.InstanceNetworkInterfaceSpecification) bool {
	if api.Val(n.DeviceIndex) != 0 || api.Val(n.Description) != "" || n.DeleteOnTermination != nil && !*n.DeleteOnTermination {
		return false
	}
	if t := api.Val(n.InterfaceType); t != "" && t != "interface" {
		return false
	}
	n.DeviceIndex, n.Description, n.DeleteOnTermination, n.InterfaceType = nil, nil, nil, nil
	n.SubnetId, n.Groups, n.PrivateIpAddress, n.AssociatePublicIpAddress = nil, nil, nil, nil
	rest := reflect.ValueOf(n)
	for _, f := range rest.Fields() {
		switch f.Kind() {
		case reflect.Slice:
			if f.Len() > 0 {
				return false
			}
		case reflect.Pointer:
			if !f.IsNil() && !f.Elem().IsZero() {
				return false
			}
		}
	}
	return true
}
