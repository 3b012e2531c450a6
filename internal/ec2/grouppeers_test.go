package ec2_test

import (
	"slices"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/guard"
)

func portOfGroup(owner, id *string, port int32) []ec2api.IpPermission {
	return []ec2api.IpPermission{{IpProtocol: new("tcp"), FromPort: &port, ToPort: &port, UserIdGroupPairs: []ec2api.UserIdGroupPair{{UserId: owner, GroupId: id}}}}
}

func (p *pair) group(as guard.Caller, vpc string) *string {
	p.T.Helper()
	return ask[ec2api.CreateSecurityGroupResult](p.desk, as, &ec2api.CreateSecurityGroupRequest{GroupName: new("web"), Description: new("web"), VpcId: &vpc}).GroupId
}

func (p *pair) stale() []ec2api.StaleSecurityGroup {
	p.T.Helper()
	return ask[ec2api.DescribeStaleSecurityGroupsResult](p.desk, p.me, &ec2api.DescribeStaleSecurityGroupsRequest{VpcId: &p.near}).StaleSecurityGroupSet
}

// TestRulesOfPeers: a rule refers to a group of a connected VPC of another account; its owner sees that, and the rule is
// stale when the connection or the group is gone.
func TestRulesOfPeers(t *testing.T) {
	p := newPair(t)
	own, their := p.group(p.me, p.near), p.group(p.they, p.far)
	in := &ec2api.AuthorizeSecurityGroupIngressRequest{GroupId: own, IpPermissions: portOfGroup(new(theirs), their, 22)}
	p.refuse(p.me, in, "InvalidGroup.NotFound", "*")
	id := p.made()
	p.refuse(p.me, in, "InvalidGroup.NotFound", "*") // nobody took the connection
	ask[ec2api.AcceptVpcPeeringConnectionResult](p.desk, p.they, &ec2api.AcceptVpcPeeringConnectionRequest{VpcPeeringConnectionId: id})
	p.refuse(p.me, &ec2api.AuthorizeSecurityGroupIngressRequest{GroupId: own, IpPermissions: portOfGroup(nil, their, 22)}, "InvalidGroup.NotFound", "*")
	rule := ask[ec2api.AuthorizeSecurityGroupIngressResult](p.desk, p.me, in).SecurityGroupRules[0]
	if r := rule.ReferencedGroupInfo; *r.GroupId != *their || *r.UserId != theirs || *r.VpcId != p.far || *r.VpcPeeringConnectionId != *id {
		t.Errorf("the rule refers to %+v", r)
	}
	references := func(as guard.Caller, group *string) []ec2api.SecurityGroupReference {
		return ask[ec2api.DescribeSecurityGroupReferencesResult](p.desk, as, &ec2api.DescribeSecurityGroupReferencesRequest{GroupId: []string{*group}}).SecurityGroupReferenceSet
	}
	if all := references(p.they, their); len(all) != 1 || *all[0].GroupId != *their || *all[0].ReferencingVpcId != p.near || *all[0].VpcPeeringConnectionId != *id {
		t.Errorf("references %+v", all)
	}
	if all := references(p.me, own); len(all) != 0 {
		t.Errorf("references to the group that refers: %+v", all)
	}
	p.refuse(p.me, &ec2api.DescribeSecurityGroupReferencesRequest{GroupId: []string{*their}}, "InvalidGroup.NotFound", "*")
	if all := p.stale(); len(all) != 0 {
		t.Errorf("stale %+v", all)
	}
	shown := func() ec2api.UserIdGroupPair {
		t.Helper()
		g := ask[ec2api.DescribeSecurityGroupsResult](p.desk, p.me, &ec2api.DescribeSecurityGroupsRequest{GroupIds: []string{*own}}).SecurityGroups[0]
		return g.IpPermissions[0].UserIdGroupPairs[0]
	}
	if u := shown(); *u.VpcId != p.far || *u.UserId != theirs || *u.PeeringStatus != "active" || *u.VpcPeeringConnectionId != *id {
		t.Errorf("shown %+v", u)
	}
	// Other ports for the same group: who changes the rule need not say whose it is.
	p.done(&ec2api.ModifySecurityGroupRulesRequest{GroupId: own, SecurityGroupRules: []ec2api.SecurityGroupRuleUpdate{{
		SecurityGroupRuleId: rule.SecurityGroupRuleId,
		SecurityGroupRule:   &ec2api.SecurityGroupRuleRequest{IpProtocol: new("tcp"), FromPort: new(int32(23)), ToPort: new(int32(23)), ReferencedGroupId: their},
	}}})
	if _, err := p.try(p.they, &ec2api.DeleteSecurityGroupRequest{GroupId: their}); err != nil {
		t.Fatal(err)
	}
	all := p.stale()
	if len(all) != 1 || *all[0].GroupId != *own || *all[0].GroupName != "web" || *all[0].VpcId != p.near || len(all[0].StaleIpPermissionsEgress) != 0 {
		t.Fatalf("stale %+v", all)
	}
	if s := all[0].StaleIpPermissions[0]; *s.IpProtocol != "tcp" || *s.FromPort != 23 || s.UserIdGroupPairs[0].UserId != nil || *s.UserIdGroupPairs[0].PeeringStatus != "active" {
		t.Errorf("stale %+v", s)
	}
	p.refuse(p.me, &ec2api.AuthorizeSecurityGroupIngressRequest{GroupId: own, IpPermissions: portOfGroup(new(theirs), their, 80)}, "InvalidGroup.NotFound", "*")
	p.done(&ec2api.RevokeSecurityGroupIngressRequest{GroupId: own, IpPermissions: portOfGroup(new(theirs), their, 23)})
	if all := p.stale(); len(all) != 0 {
		t.Errorf("stale %+v", all)
	}
}

// TestRulesOutliveConnections, of two VPCs of one account.
func TestRulesOutliveConnections(t *testing.T) {
	p := newPair(t)
	other := p.newVPC("10.5.0.0/16")
	own, far := p.group(p.me, p.near), p.group(p.me, other)
	in := &ec2api.AuthorizeSecurityGroupEgressRequest{GroupId: own, IpPermissions: portOfGroup(nil, far, 22)}
	p.refuse(p.me, in, "InvalidGroup.NotFound", "You have specified two resources that belong to different networks.")
	id := ask[ec2api.CreateVpcPeeringConnectionResult](p.desk, p.me, &ec2api.CreateVpcPeeringConnectionRequest{VpcId: &p.near, PeerVpcId: &other}).VpcPeeringConnection.VpcPeeringConnectionId
	p.done(&ec2api.AcceptVpcPeeringConnectionRequest{VpcPeeringConnectionId: id})
	p.done(in)
	p.done(&ec2api.DeleteVpcPeeringConnectionRequest{VpcPeeringConnectionId: id})
	if all := ask[ec2api.DescribeSecurityGroupReferencesResult](p.desk, p.me, &ec2api.DescribeSecurityGroupReferencesRequest{GroupId: []string{*far}}).SecurityGroupReferenceSet; len(all) != 0 {
		t.Errorf("references over a connection that is gone: %+v", all)
	}
	for range 2 { // the connection is still shown, and later not any more
		all := p.stale()
		if len(all) != 1 || len(all[0].StaleIpPermissions) != 0 {
			t.Fatalf("stale %+v", all)
		}
		if u := all[0].StaleIpPermissionsEgress[0].UserIdGroupPairs[0]; *u.PeeringStatus != "deleted" || *u.UserId != mine || *u.VpcId != other {
			t.Errorf("stale %+v", u)
		}
		p.Advance(72 * time.Hour)
	}
	rules := ask[ec2api.DescribeSecurityGroupRulesResult](p.desk, p.me, &ec2api.DescribeSecurityGroupRulesRequest{Filters: []ec2api.Filter{filter("group-id", *own)}}).SecurityGroupRules
	if at := slices.IndexFunc(rules, func(r ec2api.SecurityGroupRule) bool { return r.ReferencedGroupInfo != nil }); at < 0 || api.Val(rules[at].ReferencedGroupInfo.PeeringStatus) != "deleted" {
		t.Errorf("rules %+v", rules)
	}
	p.done(&ec2api.DeleteSecurityGroupRequest{GroupId: far})
	p.refuse(p.me, &ec2api.DescribeStaleSecurityGroupsRequest{VpcId: &p.far}, "InvalidVpcID.NotFound", "*")
}
