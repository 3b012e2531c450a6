package ec2_test

import (
	"fmt"
	"slices"
	"strconv"
	"testing"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/ec2/vpc"
)

// What AWS raises for accounts that ask is what AWS has for others, or what the server was told.
func TestQuotasOfNetworks(t *testing.T) {
	for _, tt := range []struct {
		told                vpc.Quotas
		vpcs, addresses, at int
	}{
		{vpc.Quotas{}, 5, 5, 5},
		{vpc.Quotas{VPCs: 3, Addresses: 7, NATGateways: 2}, 3, 7, 2},
	} {
		d := newDeskWith(t, tt.told)
		me := d.root(mine)
		subnet := *ask[ec2api.DescribeSubnetsResult](d, me, &ec2api.DescribeSubnetsRequest{}).Subnets[0].SubnetId
		for n := 1; n < tt.vpcs; n++ { // one of each is there from the beginning
			d.newVPC(fmt.Sprintf("10.%d.0.0/16", n))
			ask[ec2api.CreateInternetGatewayResult](d, me, &ec2api.CreateInternetGatewayRequest{})
		}
		for range tt.addresses {
			ask[ec2api.AllocateAddressResult](d, me, &ec2api.AllocateAddressRequest{})
		}
		nat := &ec2api.CreateNatGatewayRequest{SubnetId: &subnet, ConnectivityType: new("private")}
		for range tt.at {
			ask[ec2api.CreateNatGatewayResult](d, me, nat)
		}
		d.refuse(me, &ec2api.CreateVpcRequest{CidrBlock: new("10.99.0.0/16")}, "VpcLimitExceeded", "*")
		d.refuse(me, &ec2api.CreateInternetGatewayRequest{}, "InternetGatewayLimitExceeded", "*")
		d.refuse(me, &ec2api.AllocateAddressRequest{}, "AddressLimitExceeded", "*")
		d.refuse(me, nat, "NatGatewayLimitExceeded", "*")
		most := ask[ec2api.DescribeAccountAttributesResult](d, me, &ec2api.DescribeAccountAttributesRequest{})
		at := slices.IndexFunc(most.AccountAttributes, func(a ec2api.AccountAttribute) bool { return *a.AttributeName == "vpc-max-elastic-ips" })
		if got := *most.AccountAttributes[at].AttributeValues[0].AttributeValue; got != strconv.Itoa(tt.addresses) {
			t.Errorf("vpc-max-elastic-ips is %s instead of %d", got, tt.addresses)
		}
	}
}
