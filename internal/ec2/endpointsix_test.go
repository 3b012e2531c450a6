package ec2_test

import (
	"testing"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
)

// Interface endpoints have addresses of IPv6 too, if they are asked for; gateway endpoints have the word only.
func TestEndpointsWithIPv6(t *testing.T) {
	d := newDesk(t)
	me := d.root(mine)
	vpc, subnet, part := d.sixSubnet()
	service := "com.amazonaws." + region + ".kms"
	create := func(change func(*ec2api.CreateVpcEndpointRequest)) *ec2api.CreateVpcEndpointRequest {
		in := &ec2api.CreateVpcEndpointRequest{
			VpcId: &vpc, ServiceName: &service, VpcEndpointType: new("Interface"), SubnetIds: []string{subnet}, PrivateDnsEnabled: new(false),
		}
		change(in)
		return in
	}
	first, second := part.Addr().Next().Next().String(), part.Addr().Next().Next().Next().String()
	at := func(six string) []ec2api.SubnetConfiguration {
		return []ec2api.SubnetConfiguration{{SubnetId: &subnet, Ipv4: new("10.0.0.77"), Ipv6: &six}}
	}
	for code, in := range map[string]*ec2api.CreateVpcEndpointRequest{
		"UnsupportedOperation": create(func(in *ec2api.CreateVpcEndpointRequest) { in.IpAddressType = new("ipv6") }),
		"InvalidParameter":     create(func(in *ec2api.CreateVpcEndpointRequest) { in.SubnetConfigurations = at(first) }),
		"InvalidParameterValue": create(func(in *ec2api.CreateVpcEndpointRequest) {
			in.IpAddressType, in.SubnetConfigurations = new("dualstack"), at("no address")
		}),
	} {
		d.refuse(me, in, code, "*")
	}
	made := ask[ec2api.CreateVpcEndpointResult](d, me, create(func(in *ec2api.CreateVpcEndpointRequest) {
		in.IpAddressType, in.SubnetConfigurations = new("dualstack"), at(first)
	})).VpcEndpoint
	if *made.IpAddressType != "dualstack" || *made.DnsOptions.DnsRecordIpType != "dualstack" {
		t.Errorf("made %+v", made)
	}
	look := func(four, six string) {
		t.Helper()
		f := ask[ec2api.DescribeNetworkInterfacesResult](d, me, &ec2api.DescribeNetworkInterfacesRequest{Filters: []ec2api.Filter{filter("interface-type", "vpc_endpoint")}}).NetworkInterfaces
		has := sixes(f[0])
		if len(f) != 1 || *f[0].PrivateIpAddress != four || len(has) > 1 || six == "" && len(has) > 0 || six == "any" && len(has) == 0 || len(six) > 3 && has[0] != six {
			t.Errorf("interfaces %+v, want %s and %s", f, four, six)
		}
	}
	look("10.0.0.77", first)
	modify := func(change func(*ec2api.ModifyVpcEndpointRequest)) *ec2api.ModifyVpcEndpointRequest {
		in := &ec2api.ModifyVpcEndpointRequest{VpcEndpointId: made.VpcEndpointId}
		change(in)
		return in
	}
	ask[ec2api.ModifyVpcEndpointResult](d, me, modify(func(in *ec2api.ModifyVpcEndpointRequest) { in.SubnetConfigurations = at(second) }))
	look("10.0.0.77", second)
	ask[ec2api.ModifyVpcEndpointResult](d, me, modify(func(in *ec2api.ModifyVpcEndpointRequest) { in.IpAddressType = new("ipv4") }))
	look("10.0.0.77", "")
	records := modify(func(in *ec2api.ModifyVpcEndpointRequest) {
		in.DnsOptions = &ec2api.DnsOptionsSpecification{DnsRecordIpType: new("ipv6")}
	})
	d.refuse(me, records, "InvalidParameter", "*")
	records.IpAddressType = new("dualstack")
	ask[ec2api.ModifyVpcEndpointResult](d, me, records)
	look("10.0.0.77", "any")
	now := ask[ec2api.DescribeVpcEndpointsResult](d, me, &ec2api.DescribeVpcEndpointsRequest{VpcEndpointIds: []string{*made.VpcEndpointId}}).VpcEndpoints[0]
	if *now.IpAddressType != "dualstack" || api.Val(now.DnsOptions.DnsRecordIpType) != "ipv6" {
		t.Errorf("now %+v", now)
	}
	s3 := "com.amazonaws." + region + ".s3"
	gate := ask[ec2api.CreateVpcEndpointResult](d, me, &ec2api.CreateVpcEndpointRequest{VpcId: &vpc, ServiceName: &s3, IpAddressType: new("ipv6")}).VpcEndpoint
	if *gate.IpAddressType != "ipv6" || *gate.DnsOptions.DnsRecordIpType != "service-defined" {
		t.Errorf("made %+v", gate)
	}
}
