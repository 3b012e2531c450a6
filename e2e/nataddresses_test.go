package e2e_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// TestAddressesOfNATGateways: a public one with two Elastic IP addresses, a private one with more private addresses.
func TestAddressesOfNATGateways(t *testing.T) {
	c, ctx := admin(t), t.Context()
	subnet := must(c.ec2.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{}))(t).Subnets[0].SubnetId
	var addresses []string
	for range 3 {
		addresses = append(addresses, *must(c.ec2.AllocateAddress(ctx, &ec2.AllocateAddressInput{}))(t).AllocationId)
	}
	public := must(c.ec2.CreateNatGateway(ctx, &ec2.CreateNatGatewayInput{SubnetId: subnet, AllocationId: &addresses[0], SecondaryAllocationIds: addresses[1:2]}))(t).NatGateway.NatGatewayId
	added := must(c.ec2.AssociateNatGatewayAddress(ctx, &ec2.AssociateNatGatewayAddressInput{NatGatewayId: public, AllocationIds: addresses[2:]}))(t).NatGatewayAddresses
	if len(added) != 1 || added[0].Status != types.NatGatewayAddressStatusAssociating {
		t.Errorf("associated %+v", added)
	}
	has := func(id *string, want int) []types.NatGatewayAddress {
		t.Helper()
		have := must(c.ec2.DescribeNatGateways(ctx, &ec2.DescribeNatGatewaysInput{NatGatewayIds: []string{*id}}))(t).NatGateways[0].NatGatewayAddresses
		if len(have) != want {
			t.Errorf("%d addresses, want %d: %+v", len(have), want, have)
		}
		return have
	}
	second := has(public, 3)[1].AssociationId
	must(c.ec2.DisassociateNatGatewayAddress(ctx, &ec2.DisassociateNatGatewayAddressInput{NatGatewayId: public, AssociationIds: []string{*second}, MaxDrainDurationSeconds: new(int32(60))}))(t)
	has(public, 2)
	must(c.ec2.ReleaseAddress(ctx, &ec2.ReleaseAddressInput{AllocationId: &addresses[1]}))(t)

	private := must(c.ec2.CreateNatGateway(ctx, &ec2.CreateNatGatewayInput{SubnetId: subnet, ConnectivityType: types.ConnectivityTypePrivate, SecondaryPrivateIpAddressCount: new(int32(1))}))(t).NatGateway.NatGatewayId
	more := must(c.ec2.AssignPrivateNatGatewayAddress(ctx, &ec2.AssignPrivateNatGatewayAddressInput{NatGatewayId: private, PrivateIpAddressCount: new(int32(2))}))(t).NatGatewayAddresses
	has(private, 4)
	must(c.ec2.UnassignPrivateNatGatewayAddress(ctx, &ec2.UnassignPrivateNatGatewayAddressInput{NatGatewayId: private, PrivateIpAddresses: []string{*more[0].PrivateIp}}))(t)
	has(private, 3)
	refused(c.ec2.UnassignPrivateNatGatewayAddress(ctx, &ec2.UnassignPrivateNatGatewayAddressInput{NatGatewayId: private, PrivateIpAddresses: []string{*more[0].PrivateIp}}))(t, "InvalidParameterValue")
}
