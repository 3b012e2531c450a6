package e2e_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// TestReservedRanges: the upper half of a subnet is kept for addresses that requests name.
func TestReservedRanges(t *testing.T) {
	c, ctx := admin(t), t.Context()
	vpc := must(c.ec2.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: new("10.83.0.0/16")}))(t).Vpc.VpcId
	subnet := must(c.ec2.CreateSubnet(ctx, &ec2.CreateSubnetInput{VpcId: vpc, CidrBlock: new("10.83.0.0/27")}))(t).Subnet.SubnetId
	id := must(c.ec2.CreateSubnetCidrReservation(ctx, &ec2.CreateSubnetCidrReservationInput{
		SubnetId: subnet, Cidr: new("10.83.0.16/28"), ReservationType: types.SubnetCidrReservationTypeExplicit,
	}))(t).SubnetCidrReservation.SubnetCidrReservationId
	if all := must(c.ec2.GetSubnetCidrReservations(ctx, &ec2.GetSubnetCidrReservationsInput{SubnetId: subnet}))(t).SubnetIpv4CidrReservations; len(all) != 1 || *all[0].Cidr != "10.83.0.16/28" {
		t.Errorf("reservations %+v", all)
	}
	must(c.ec2.DeleteSubnetCidrReservation(ctx, &ec2.DeleteSubnetCidrReservationInput{SubnetCidrReservationId: id}))(t)
	refused(c.ec2.DeleteSubnetCidrReservation(ctx, &ec2.DeleteSubnetCidrReservationInput{SubnetCidrReservationId: id}))(t, "InvalidSubnetCidrReservationID.NotFound")
}
