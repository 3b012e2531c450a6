package e2e_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/kagimori/kagimori/e2e/internal/seed"
)

// TestPeeringAcrossAccountsAndRegions: the accepter takes the connection in its own Region, and both route to it.
func TestPeeringAcrossAccountsAndRegions(t *testing.T) {
	c, ctx := admin(t), t.Context()
	far := adminOf(shared.URL, seed.NewAccount()).in("eu-west-1")
	near := must(c.ec2.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: new("10.61.0.0/16")}))(t).Vpc.VpcId
	peer := must(far.ec2.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: new("10.62.0.0/16")}))(t).Vpc.VpcId
	ask := &ec2.CreateVpcPeeringConnectionInput{VpcId: near, PeerVpcId: peer, PeerOwnerId: &far.account, PeerRegion: &far.region}
	id := must(c.ec2.CreateVpcPeeringConnection(ctx, ask))(t).VpcPeeringConnection.VpcPeeringConnectionId
	must(far.ec2.RejectVpcPeeringConnection(ctx, &ec2.RejectVpcPeeringConnectionInput{VpcPeeringConnectionId: id}))(t)
	id = must(c.ec2.CreateVpcPeeringConnection(ctx, ask))(t).VpcPeeringConnection.VpcPeeringConnectionId
	refused(c.ec2.AcceptVpcPeeringConnection(ctx, &ec2.AcceptVpcPeeringConnectionInput{VpcPeeringConnectionId: id}))(t, "OperationNotPermitted")
	must(far.ec2.AcceptVpcPeeringConnection(ctx, &ec2.AcceptVpcPeeringConnectionInput{VpcPeeringConnectionId: id}))(t)
	for _, side := range []struct {
		*client
		vpc *string
		to  string
	}{{c, near, "10.62.0.0/16"}, {far, peer, "10.61.0.0/16"}} {
		shown := must(side.ec2.DescribeVpcPeeringConnections(ctx, &ec2.DescribeVpcPeeringConnectionsInput{VpcPeeringConnectionIds: []string{*id}}))(t).VpcPeeringConnections[0]
		if shown.Status.Code != ec2types.VpcPeeringConnectionStateReasonCodeActive || *shown.AccepterVpcInfo.Region != far.region || *shown.RequesterVpcInfo.CidrBlock != "10.61.0.0/16" {
			t.Errorf("connection %+v", shown)
		}
		table := must(side.ec2.DescribeRouteTables(ctx, &ec2.DescribeRouteTablesInput{Filters: by("vpc-id", *side.vpc)}))(t).RouteTables[0].RouteTableId
		must(side.ec2.CreateRoute(ctx, &ec2.CreateRouteInput{RouteTableId: table, DestinationCidrBlock: &side.to, VpcPeeringConnectionId: id}))(t)
	}
	off := must(c.ec2.ModifyVpcPeeringConnectionOptions(ctx, &ec2.ModifyVpcPeeringConnectionOptionsInput{
		VpcPeeringConnectionId: id, RequesterPeeringConnectionOptions: &ec2types.PeeringConnectionOptionsRequest{AllowDnsResolutionFromRemoteVpc: new(false)},
	}))(t)
	if *off.RequesterPeeringConnectionOptions.AllowDnsResolutionFromRemoteVpc {
		t.Errorf("options %+v", off)
	}
	must(far.ec2.DeleteVpcPeeringConnection(ctx, &ec2.DeleteVpcPeeringConnectionInput{VpcPeeringConnectionId: id}))(t)
	must(c.ec2.DeleteVpc(ctx, &ec2.DeleteVpcInput{VpcId: near}))(t)
	must(far.ec2.DeleteVpc(ctx, &ec2.DeleteVpcInput{VpcId: peer}))(t)
}
