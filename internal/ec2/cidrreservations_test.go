package ec2_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/kagimori/kagimori/internal/api/ec2api"
)

// TestReservations: addresses that are given out by themselves avoid the reserved ranges of a subnet; named ones do not.
func TestReservations(t *testing.T) {
	h := newHouse(t)
	vpc := ask[ec2api.CreateVpcResult](h.desk, h.owner(), &ec2api.CreateVpcRequest{CidrBlock: new("10.0.0.0/16")}).Vpc.VpcId
	made := ask[ec2api.CreateSubnetResult](h.desk, h.owner(), &ec2api.CreateSubnetRequest{VpcId: vpc, CidrBlock: new("10.0.0.0/27")}).Subnet // 27 addresses
	subnet := made.SubnetId
	type reserve = ec2api.CreateSubnetCidrReservationRequest
	keep := func(cidr string) *ec2api.SubnetCidrReservation {
		t.Helper()
		return ask[ec2api.CreateSubnetCidrReservationResult](h.desk, h.owner(), &reserve{
			SubnetId: subnet, Cidr: &cidr, ReservationType: new("explicit"), Description: new("kept"), TagSpecifications: specs("subnet-cidr-reservation"),
		}).SubnetCidrReservation
	}
	for _, bad := range []string{"", "10.0.0.0", "10.1.0.0/28", "10.0.0.0/26", "2001:db8::/80"} {
		h.refuse(h.owner(), &reserve{SubnetId: subnet, Cidr: &bad, ReservationType: new("prefix")}, "InvalidParameterValue", "*")
	}
	h.refuse(h.owner(), &reserve{SubnetId: new("subnet-0123456789abcdef0"), Cidr: new("10.0.0.0/28"), ReservationType: new("prefix")}, "InvalidSubnetID.NotFound", "*")
	upper := keep("10.0.0.17/28")
	if *upper.Cidr != "10.0.0.16/28" || *upper.ReservationType != "explicit" || *upper.Description != "kept" || *upper.OwnerId != mine || len(upper.Tags) != 1 {
		t.Errorf("made %+v", upper)
	}
	h.refuse(h.owner(), &reserve{SubnetId: subnet, Cidr: new("10.0.0.24/29"), ReservationType: new("prefix")}, "InvalidParameterValue", "*")
	list := func(filters ...ec2api.Filter) (out []string) {
		t.Helper()
		got := ask[ec2api.GetSubnetCidrReservationsResult](h.desk, h.owner(), &ec2api.GetSubnetCidrReservationsRequest{SubnetId: subnet, Filters: filters})
		for _, r := range got.SubnetIpv4CidrReservations {
			out = append(out, *r.Cidr)
		}
		if len(got.SubnetIpv6CidrReservations) != 0 {
			t.Errorf("IPv6: %+v", got.SubnetIpv6CidrReservations)
		}
		return out
	}
	prefix := ask[ec2api.CreateSubnetCidrReservationResult](h.desk, h.owner(), &reserve{SubnetId: subnet, Cidr: new("10.0.0.8/31"), ReservationType: new("prefix")}).SubnetCidrReservation
	for value, want := range map[string][]string{"explicit": {"10.0.0.16/28"}, "prefix": {"10.0.0.8/31"}, "*": {"10.0.0.8/31", "10.0.0.16/28"}} {
		got := list(filter("reservationType", value), filter("subnet-id", *subnet))
		if slices.Sort(got); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
			t.Errorf("%s: %v", value, got)
		}
	}
	if got := list(filter("tag-key", *upper.Tags[0].Key)); len(got) != 1 {
		t.Errorf("by tag: %v", got)
	}

	face := func(given *string) *ec2api.CreateNetworkInterfaceRequest {
		return &ec2api.CreateNetworkInterfaceRequest{SubnetId: subnet, PrivateIpAddress: given}
	}
	many := runRequest()
	many.SubnetId, many.MinCount, many.MaxCount = subnet, new(int32(5)), new(int32(5))
	var got []netip.Addr
	for _, i := range ask[ec2api.Reservation](h.desk, h.owner(), many).Instances {
		got = append(got, netip.MustParseAddr(*i.PrivateIpAddress))
	}
	for range 5 {
		got = append(got, netip.MustParseAddr(*ask[ec2api.CreateNetworkInterfaceResult](h.desk, h.owner(), face(nil)).NetworkInterface.PrivateIpAddress))
	}
	for _, a := range got { // .4 to .15 without .8 and .9
		if last := a.As4()[3]; last < 4 || last > 15 || last == 8 || last == 9 {
			t.Errorf("%s was given out", a)
		}
	}
	h.refuse(h.owner(), face(nil), "InsufficientFreeAddressesInSubnet", "*")
	h.refuse(h.owner(), many, "InsufficientFreeAddressesInSubnet", "*")
	ask[ec2api.CreateNetworkInterfaceResult](h.desk, h.owner(), face(new("10.0.0.20")))

	gone := ask[ec2api.DeleteSubnetCidrReservationResult](h.desk, h.owner(), &ec2api.DeleteSubnetCidrReservationRequest{SubnetCidrReservationId: prefix.SubnetCidrReservationId})
	if *gone.DeletedSubnetCidrReservation.Cidr != "10.0.0.8/31" {
		t.Errorf("deleted %+v", gone.DeletedSubnetCidrReservation)
	}
	ask[ec2api.CreateNetworkInterfaceResult](h.desk, h.owner(), face(nil))
	h.refuse(h.owner(), &ec2api.DeleteSubnetCidrReservationRequest{SubnetCidrReservationId: prefix.SubnetCidrReservationId}, "InvalidSubnetCidrReservationID.NotFound", "*")
	tagless := h.allowed("reserver", `"ec2:CreateSubnetCidrReservation"`, `"*"`, "")
	h.refuse(tagless, &reserve{SubnetId: subnet, Cidr: new("10.0.0.8/31"), ReservationType: new("prefix"), TagSpecifications: specs("subnet-cidr-reservation")}, "UnauthorizedOperation", "*")
	ask[ec2api.CreateSubnetCidrReservationResult](h.desk, tagless, &reserve{SubnetId: subnet, Cidr: new("10.0.0.8/31"), ReservationType: new("prefix")})
}

// TestReservationsOfIPv6: half of a subnet's IPv6 range is reserved, then all of it.
func TestReservationsOfIPv6(t *testing.T) {
	h := newHouse(t)
	_, subnet, _ := h.sixSubnet()
	six := netip.MustParsePrefix(*ask[ec2api.DescribeSubnetsResult](h.desk, h.owner(), &ec2api.DescribeSubnetsRequest{SubnetIds: []string{subnet}}).Subnets[0].Ipv6CidrBlockAssociationSet[0].Ipv6CidrBlock)
	half := netip.PrefixFrom(six.Addr(), 65)
	upper := half.Addr().As16()
	upper[8] = 0x80
	keep := func(p netip.Prefix) {
		ask[ec2api.CreateSubnetCidrReservationResult](h.desk, h.owner(), &ec2api.CreateSubnetCidrReservationRequest{SubnetId: &subnet, Cidr: new(p.String()), ReservationType: new("prefix")})
	}
	keep(half)
	some := &ec2api.CreateNetworkInterfaceRequest{SubnetId: &subnet, Ipv6AddressCount: new(int32(8))}
	for _, a := range ask[ec2api.CreateNetworkInterfaceResult](h.desk, h.owner(), some).NetworkInterface.Ipv6Addresses {
		if half.Contains(netip.MustParseAddr(*a.Ipv6Address)) {
			t.Errorf("%s is reserved", *a.Ipv6Address)
		}
	}
	keep(netip.PrefixFrom(netip.AddrFrom16(upper), 65))
	h.refuse(h.owner(), some, "InsufficientFreeAddressesInSubnet", "*")
	if got := ask[ec2api.GetSubnetCidrReservationsResult](h.desk, h.owner(), &ec2api.GetSubnetCidrReservationsRequest{SubnetId: &subnet}).SubnetIpv6CidrReservations; len(got) != 2 {
		t.Errorf("reservations %+v", got)
	}
}
