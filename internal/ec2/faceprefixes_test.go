package ec2_test

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/ec2api"
)

func fourPrefixes(n ec2api.NetworkInterface) (out []string) {
	for _, p := range n.Ipv4Prefixes {
		out = append(out, *p.Ipv4Prefix)
	}
	return out
}

func sixPrefixes(n ec2api.NetworkInterface) (out []string) {
	for _, p := range n.Ipv6Prefixes {
		out = append(out, *p.Ipv6Prefix)
	}
	return out
}

// TestPrefixes: IPv4 prefixes of network interfaces are whole blocks that nothing else gets, and come back.
func TestPrefixes(t *testing.T) {
	h := newHouse(t)
	_, subnet, _ := h.sixSubnet() // 10.0.0.0/24
	type create = ec2api.CreateNetworkInterfaceRequest
	type assign = ec2api.AssignPrivateIpAddressesRequest
	face := func(in create) ec2api.NetworkInterface {
		t.Helper()
		in.SubnetId = &subnet
		return *ask[ec2api.CreateNetworkInterfaceResult](h.desk, h.owner(), &in).NetworkInterface
	}
	named := func(list ...string) (out []ec2api.Ipv4PrefixSpecificationRequest) {
		for _, p := range list {
			out = append(out, ec2api.Ipv4PrefixSpecificationRequest{Ipv4Prefix: &p})
		}
		return out
	}
	one := face(create{Ipv4Prefixes: named("10.0.0.32/28")})
	if got := fourPrefixes(one); !slices.Equal(got, []string{"10.0.0.32/28"}) {
		t.Errorf("named: %v", got)
	}
	for name, tt := range map[string]struct {
		in   create
		code string
	}{
		"used":       {create{Ipv4Prefixes: named("10.0.0.32/28")}, "InvalidIPAddress.InUse"},
		"an address": {create{PrivateIpAddress: new("10.0.0.40")}, "InvalidIPAddress.InUse"},
		"AWS's":      {create{Ipv4Prefixes: named("10.0.0.0/28")}, "InvalidIPAddress.InUse"},
		"elsewhere":  {create{Ipv4Prefixes: named("10.1.0.16/28")}, "InvalidParameterValue"},
		"too large":  {create{Ipv4Prefixes: named("10.0.0.64/27")}, "InvalidParameterValue"},
		"host bits":  {create{Ipv4Prefixes: named("10.0.0.65/28")}, "InvalidParameterValue"},
		"both":       {create{Ipv4Prefixes: named("10.0.0.64/28"), Ipv4PrefixCount: new(int32(1))}, "InvalidParameterCombination"},
		"addresses":  {create{Ipv4PrefixCount: new(int32(1)), SecondaryPrivateIpAddressCount: new(int32(1))}, "InvalidParameterCombination"},
		"less":       {create{Ipv4PrefixCount: new(int32(-1))}, "InvalidParameterValue"},
		"too many":   {create{Ipv4PrefixCount: new(int32(14))}, "InsufficientCidrBlocks"},
		"the limit":  {create{Ipv4PrefixCount: new(int32(50))}, "PrivateIpAddressLimitExceeded"},
		"no IPv6":    {create{Ipv6Prefixes: []ec2api.Ipv6PrefixSpecificationRequest{{Ipv6Prefix: new("10.0.0.64/28")}}}, "InvalidParameterValue"},
	} {
		tt.in.SubnetId = &subnet
		t.Run(name, func(t *testing.T) { h.refuse(h.owner(), &tt.in, tt.code, "*") })
	}
	ask[ec2api.CreateSubnetCidrReservationResult](h.desk, h.owner(), &ec2api.CreateSubnetCidrReservationRequest{SubnetId: &subnet, Cidr: new("10.0.0.192/27"), ReservationType: new("prefix")})
	ask[ec2api.CreateSubnetCidrReservationResult](h.desk, h.owner(), &ec2api.CreateSubnetCidrReservationRequest{SubnetId: &subnet, Cidr: new("10.0.0.48/28"), ReservationType: new("explicit")})
	two := face(create{Ipv4PrefixCount: new(int32(2))})
	if got := fourPrefixes(two); !slices.Equal(got, []string{"10.0.0.192/28", "10.0.0.208/28"}) {
		t.Errorf("reserved ones come first: %v", got)
	}
	for range 40 { // addresses are not of prefixes
		a := netip.MustParseAddr(*face(create{}).PrivateIpAddress)
		for _, p := range append(fourPrefixes(one), fourPrefixes(two)...) {
			if netip.MustParsePrefix(p).Contains(a) {
				t.Fatalf("%s is of %s", a, p)
			}
		}
	}
	more := ask[ec2api.AssignPrivateIpAddressesResult](h.desk, h.owner(), &assign{NetworkInterfaceId: one.NetworkInterfaceId, Ipv4PrefixCount: new(int32(1))}).AssignedIpv4Prefixes
	if len(more) != 1 || *more[0].Ipv4Prefix == "10.0.0.48/28" {
		t.Errorf("assigned %+v", more)
	}
	h.refuse(h.owner(), &assign{NetworkInterfaceId: one.NetworkInterfaceId}, "MissingParameter", "*")
	leave := &ec2api.UnassignPrivateIpAddressesRequest{NetworkInterfaceId: one.NetworkInterfaceId, Ipv4Prefixes: []string{"10.0.0.32/28"}}
	h.done(leave)
	h.refuse(h.owner(), leave, "InvalidParameterValue", "*")
	if got := fourPrefixes(face(create{Ipv4Prefixes: named("10.0.0.32/28")})); len(got) != 1 {
		t.Errorf("it came back: %v", got)
	}
}

// TestPrefixesOfInstances: a launch asks for prefixes of both kinds, and types that are not on the Nitro System have none.
func TestPrefixesOfInstances(t *testing.T) {
	h := newHouse(t)
	_, subnet, part := h.sixSubnet()
	run := runRequest()
	run.NetworkInterfaces = []ec2api.InstanceNetworkInterfaceSpecification{
		{DeviceIndex: new(int32(0)), SubnetId: &subnet, Ipv4PrefixCount: new(int32(1)), Ipv6PrefixCount: new(int32(1))},
		{DeviceIndex: new(int32(1)), SubnetId: &subnet, Ipv4PrefixCount: new(int32(1))},
	}
	old := *run
	old.InstanceType = new("m4.large")
	h.refuse(h.owner(), &old, "UnsupportedOperation", "*")
	id := *ask[ec2api.Reservation](h.desk, h.owner(), run).Instances[0].InstanceId
	faces := h.instance(id).NetworkInterfaces
	slices.SortFunc(faces, func(a, b ec2api.InstanceNetworkInterface) int {
		return int(*a.Attachment.DeviceIndex - *b.Attachment.DeviceIndex)
	})
	if len(faces) != 2 || len(faces[0].Ipv4Prefixes) != 1 || len(faces[1].Ipv4Prefixes) != 1 || *faces[0].Ipv4Prefixes[0].Ipv4Prefix == *faces[1].Ipv4Prefixes[0].Ipv4Prefix {
		t.Fatalf("faces %+v", faces)
	}
	six := netip.MustParsePrefix(*faces[0].Ipv6Prefixes[0].Ipv6Prefix)
	if six.Bits() != 80 || !part.Contains(six.Addr()) {
		t.Errorf("prefix %s of %s", six, part)
	}
	for name, value := range map[string]string{
		"network-interface.ipv4-prefixes.ipv4-prefix": *faces[1].Ipv4Prefixes[0].Ipv4Prefix, "network-interface.ipv6-prefixes.ipv6-prefix": six.String(),
	} {
		if got := ask[ec2api.DescribeInstancesResult](h.desk, h.owner(), &ec2api.DescribeInstancesRequest{Filters: []ec2api.Filter{filter(name, value)}}).Reservations; len(got) != 1 {
			t.Errorf("%s: %d", name, len(got))
		}
	}
	type assign = ec2api.AssignIpv6AddressesRequest
	face := faces[0].NetworkInterfaceId
	h.refuse(h.owner(), &assign{NetworkInterfaceId: face, Ipv6Prefixes: []string{six.String()}}, "InvalidIPAddress.InUse", "*")
	h.refuse(h.owner(), &assign{NetworkInterfaceId: face, Ipv6Addresses: []string{six.Addr().Next().String()}}, "InvalidIPAddress.InUse", "*")
	h.refuse(h.owner(), &assign{NetworkInterfaceId: face, Ipv6Prefixes: []string{"2001:db8:ffff:ffff:1::/80"}}, "InvalidParameterValue", "*")
	h.refuse(h.owner(), &assign{NetworkInterfaceId: face, Ipv6PrefixCount: new(int32(1)), Ipv6AddressCount: new(int32(1))}, "InvalidParameterCombination", "*")
	h.refuse(h.owner(), &assign{NetworkInterfaceId: face, Ipv6PrefixCount: new(int32(5))}, "Ipv6AddressLimitExceeded", "*")
	kept := netip.PrefixFrom(part.Addr(), 79)
	ask[ec2api.CreateSubnetCidrReservationResult](h.desk, h.owner(), &ec2api.CreateSubnetCidrReservationRequest{SubnetId: &subnet, Cidr: new(kept.String()), ReservationType: new("prefix")})
	got := ask[ec2api.AssignIpv6AddressesResult](h.desk, h.owner(), &assign{NetworkInterfaceId: faces[1].NetworkInterfaceId, Ipv6PrefixCount: new(int32(1))}).AssignedIpv6Prefixes
	if len(got) != 1 || !kept.Contains(netip.MustParsePrefix(got[0]).Addr()) {
		t.Errorf("assigned %v, reserved %s", got, kept)
	}
	leave := &ec2api.UnassignIpv6AddressesRequest{NetworkInterfaceId: faces[1].NetworkInterfaceId, Ipv6Prefixes: got}
	if gone := ask[ec2api.UnassignIpv6AddressesResult](h.desk, h.owner(), leave).UnassignedIpv6Prefixes; !slices.Equal(gone, got) {
		t.Errorf("unassigned %v", gone)
	}
	h.refuse(h.owner(), leave, "InvalidParameterValue", "*")
	shown := ask[ec2api.DescribeNetworkInterfacesResult](h.desk, h.owner(), &ec2api.DescribeNetworkInterfacesRequest{NetworkInterfaceIds: []string{*face}}).NetworkInterfaces[0]
	if got := sixPrefixes(shown); !slices.Equal(got, []string{six.String()}) || len(fourPrefixes(shown)) != 1 {
		t.Errorf("shown %v", got)
	}
}

// TestPrefixesOfTemplates: a template asks for prefixes as a launch does; an interface with prefixes is attached to no
// instance that has none.
func TestPrefixesOfTemplates(t *testing.T) {
	h := newHouse(t)
	_, subnet, _ := h.sixSubnet()
	id := h.template(&ec2api.RequestLaunchTemplateData{
		ImageId: new(exampleImage), InstanceType: new("m5.large"), NetworkInterfaces: []ec2api.LaunchTemplateInstanceNetworkInterfaceSpecificationRequest{{
			DeviceIndex: new(int32(0)), SubnetId: &subnet, Ipv4Prefixes: []ec2api.Ipv4PrefixSpecificationRequest{{Ipv4Prefix: new("10.0.0.64/28")}}, Ipv6PrefixCount: new(int32(1)),
		}},
	})
	n := ask[ec2api.Reservation](h.desk, h.owner(), fromTemplate(id)).Instances[0].NetworkInterfaces[0]
	if len(n.Ipv4Prefixes) != 1 || *n.Ipv4Prefixes[0].Ipv4Prefix != "10.0.0.64/28" || len(n.Ipv6Prefixes) != 1 {
		t.Errorf("prefixes %+v, %+v", n.Ipv4Prefixes, n.Ipv6Prefixes)
	}
	run := runRequest()
	run.InstanceType, run.SubnetId = new("m4.large"), &subnet
	old := *ask[ec2api.Reservation](h.desk, h.owner(), run).Instances[0].InstanceId
	loose := ask[ec2api.CreateNetworkInterfaceResult](h.desk, h.owner(), &ec2api.CreateNetworkInterfaceRequest{SubnetId: &subnet, Ipv4PrefixCount: new(int32(1))}).NetworkInterface.NetworkInterfaceId
	h.Advance(time.Minute)
	h.refuse(h.owner(), &ec2api.AttachNetworkInterfaceRequest{NetworkInterfaceId: loose, InstanceId: &old, DeviceIndex: new(int32(1))}, "UnsupportedOperation", "*")
}
