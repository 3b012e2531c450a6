package e2e_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// TestRulesOfPeers: a rule refers to a group of a peer and is stale when the connection is gone.
func TestRulesOfPeers(t *testing.T) {
	c, ctx := admin(t), t.Context()
	var vpcs, groups []string
	for _, block := range []string{"10.91.0.0/16", "10.92.0.0/16"} {
		vpc := must(c.ec2.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: &block}))(t).Vpc.VpcId
		group := must(c.ec2.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{GroupName: new("peer"), Description: new("peer"), VpcId: vpc}))(t).GroupId
		vpcs, groups = append(vpcs, *vpc), append(groups, *group)
	}
	id := must(c.ec2.CreateVpcPeeringConnection(ctx, &ec2.CreateVpcPeeringConnectionInput{VpcId: &vpcs[0], PeerVpcId: &vpcs[1]}))(t).VpcPeeringConnection.VpcPeeringConnectionId
	must(c.ec2.AcceptVpcPeeringConnection(ctx, &ec2.AcceptVpcPeeringConnectionInput{VpcPeeringConnectionId: id}))(t)
	must(c.ec2.AuthorizeSecurityGroupIngress(ctx, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: &groups[0], IpPermissions: []ec2types.IpPermission{{
		IpProtocol: new("tcp"), FromPort: new(int32(22)), ToPort: new(int32(22)), UserIdGroupPairs: []ec2types.UserIdGroupPair{{GroupId: &groups[1]}},
	}}}))(t)
	refers := must(c.ec2.DescribeSecurityGroupReferences(ctx, &ec2.DescribeSecurityGroupReferencesInput{GroupId: groups[1:]}))(t).SecurityGroupReferenceSet
	if len(refers) != 1 || *refers[0].ReferencingVpcId != vpcs[0] || *refers[0].VpcPeeringConnectionId != *id {
		t.Errorf("references %+v", refers)
	}
	must(c.ec2.DeleteVpcPeeringConnection(ctx, &ec2.DeleteVpcPeeringConnectionInput{VpcPeeringConnectionId: id}))(t)
	stale := must(c.ec2.DescribeStaleSecurityGroups(ctx, &ec2.DescribeStaleSecurityGroupsInput{VpcId: &vpcs[0]}))(t).StaleSecurityGroupSet
	if len(stale) != 1 || *stale[0].StaleIpPermissions[0].UserIdGroupPairs[0].PeeringStatus != "deleted" {
		t.Errorf("stale %+v", stale)
	}
}

func TestSpotPlacementScores(t *testing.T) {
	c := admin(t)
	all := must(c.ec2.GetSpotPlacementScores(t.Context(), &ec2.GetSpotPlacementScoresInput{
		InstanceTypes: []string{"m5.large", "c5.large", "r5.large"}, TargetCapacity: new(int32(5)), RegionNames: []string{c.region}, SingleAvailabilityZone: new(true),
	}))(t).SpotPlacementScores
	if len(all) == 0 || *all[0].Region != c.region || *all[0].Score != 10 || all[0].AvailabilityZoneId == nil {
		t.Errorf("scores %+v", all)
	}
}
