package ec2_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/api/ec2api"
)

func (d *desk) entries(id *string, version *int64) string {
	d.T.Helper()
	var out []string
	for _, e := range ask[ec2api.GetManagedPrefixListEntriesResult](d, d.root(mine), &ec2api.GetManagedPrefixListEntriesRequest{PrefixListId: id, TargetVersion: version}).Entries {
		out = append(out, *e.Cidr)
	}
	return strings.Join(slices.Sorted(slices.Values(out)), " ")
}

// TestPrefixListsHaveVersions: each change of the ranges is one, of which earlier ones come back.
func TestPrefixListsHaveVersions(t *testing.T) {
	d := newDesk(t)
	me := d.root(mine)
	in := newList("offices")
	in.TagSpecifications = specs("prefix-list")
	made := ask[ec2api.CreateManagedPrefixListResult](d, me, in).PrefixList
	id := made.PrefixListId
	if *made.State != "create-in-progress" || *made.Version != 1 || *made.MaxEntries != 9 || *made.Tags[0].Value != "x" || *made.PrefixListArn != "arn:aws:ec2:"+region+":"+mine+":prefix-list/"+*id {
		t.Errorf("made %+v", made)
	}
	const first = "10.0.0.0/8 10.1.0.0/16 192.168.0.0/16"
	if got := d.entries(id, nil); got != first {
		t.Errorf("entries %s", got)
	}
	change := &ec2api.ModifyManagedPrefixListRequest{
		PrefixListId: id, CurrentVersion: new(int64(1)), AddEntries: []ec2api.AddPrefixListEntry{{Cidr: new("172.16.0.0/12")}}, RemoveEntries: []ec2api.RemovePrefixListEntry{{Cidr: new("10.1.0.0/16")}},
	}
	if l := ask[ec2api.ModifyManagedPrefixListResult](d, me, change).PrefixList; *l.Version != 1 || *l.State != "modify-in-progress" || len(l.Tags) != 1 {
		t.Errorf("changed %+v", l)
	}
	d.refuse(me, change, "PrefixListVersionMismatch", "The prefix list has the incorrect version number.")
	if now, then := d.entries(id, nil), d.entries(id, new(int64(1))); now != "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16" || then != first {
		t.Errorf("entries %s, before %s", now, then)
	}
	back := &ec2api.RestoreManagedPrefixListVersionRequest{PrefixListId: id, CurrentVersion: new(int64(2)), PreviousVersion: new(int64(1))}
	if l := ask[ec2api.RestoreManagedPrefixListVersionResult](d, me, back).PrefixList; *l.Version != 2 || *l.State != "restore-in-progress" || d.entries(id, nil) != first {
		t.Errorf("restored %+v: %s", l, d.entries(id, nil))
	}
	for n := range int64(10) {
		change := &ec2api.ModifyManagedPrefixListRequest{PrefixListId: id, CurrentVersion: new(3 + n), AddEntries: []ec2api.AddPrefixListEntry{{Cidr: new("10.0.0.0/8"), Description: new("d")}}}
		ask[ec2api.ModifyManagedPrefixListResult](d, me, change)
	}
	if n := d.count("ec2/prefix-list-version"); n != 10 {
		t.Errorf("%d versions", n)
	}
	missing := "pl-0123456789abcdef0"
	six := newList("six")
	six.AddressFamily = new("IPv6")
	low := newList("low")
	low.MaxEntries = new(int32(2))
	for _, tt := range []struct {
		in   any
		code string
	}{
		{six, "InvalidParameterValue"}, {low, "InvalidParameterValue"}, {newList("com.amazonaws.x"), "InvalidParameterValue"},
		{&ec2api.GetManagedPrefixListEntriesRequest{PrefixListId: id, TargetVersion: new(int64(1))}, "InvalidParameterValue"},
		{&ec2api.GetManagedPrefixListEntriesRequest{PrefixListId: &missing}, "InvalidPrefixListID.NotFound"},
		{&ec2api.ModifyManagedPrefixListRequest{PrefixListId: id, MaxEntries: new(int32(2))}, "InvalidParameterValue"},
		{&ec2api.ModifyManagedPrefixListRequest{PrefixListId: id, AddEntries: change.AddEntries}, "MissingParameter"},
		{&ec2api.ModifyManagedPrefixListRequest{PrefixListId: id, CurrentVersion: new(int64(13)), AddEntries: change.AddEntries, MaxEntries: new(int32(20))}, "InvalidParameterCombination"},
		{&ec2api.ModifyManagedPrefixListRequest{
			PrefixListId: id, CurrentVersion: new(int64(13)), RemoveEntries: []ec2api.RemovePrefixListEntry{{Cidr: new("10.0.0.0/8")}},
			AddEntries: []ec2api.AddPrefixListEntry{{Cidr: new("10.0.0.0/8"), Description: new("new")}},
		}, "InvalidParameterValue"},
		{&ec2api.ModifyManagedPrefixListRequest{PrefixListId: id, CurrentVersion: new(int64(13)), RemoveEntries: []ec2api.RemovePrefixListEntry{{Cidr: new("1.0.0.0/8")}}}, "InvalidParameterValue"},
	} {
		d.refuse(me, tt.in, tt.code, "*")
	}
	ask[ec2api.ModifyManagedPrefixListResult](d, me, &ec2api.ModifyManagedPrefixListRequest{PrefixListId: id, PrefixListName: new("houses"), MaxEntries: new(int32(3))})
	found := ask[ec2api.DescribeManagedPrefixListsResult](d, me, &ec2api.DescribeManagedPrefixListsRequest{Filters: []ec2api.Filter{filter("prefix-list-name", "houses"), filter("owner-id", mine)}}).PrefixLists
	if len(found) != 1 || *found[0].MaxEntries != 3 || *found[0].State != "modify-complete" || *found[0].Version != 13 {
		t.Errorf("found %+v", found)
	}
	ask[ec2api.DeleteManagedPrefixListResult](d, me, &ec2api.DeleteManagedPrefixListRequest{PrefixListId: id})
	if n := d.count("ec2/prefix-list-version") + d.count("ec2/prefix-list") + d.count("ec2/tag"); n != 0 {
		t.Errorf("%d records are left", n)
	}
}

// TestRulesAndRoutesOfPrefixLists: what refers to a list is told, and the list stays while something does.
func TestRulesAndRoutesOfPrefixLists(t *testing.T) {
	d := newDesk(t)
	me := d.root(mine)
	id := ask[ec2api.CreateManagedPrefixListResult](d, me, newList("offices")).PrefixList.PrefixListId
	p := d.opened()
	group, table := d.newGroup(p.vpc, "web"), p.table()
	rule := []ec2api.IpPermission{{IpProtocol: new("tcp"), FromPort: new(int32(443)), ToPort: new(int32(443)), PrefixListIds: []ec2api.PrefixListId{{PrefixListId: id, Description: new("offices")}}}}
	made := ask[ec2api.AuthorizeSecurityGroupIngressResult](d, me, &ec2api.AuthorizeSecurityGroupIngressRequest{GroupId: &group, IpPermissions: rule}).SecurityGroupRules
	if len(made) != 1 || *made[0].PrefixListId != *id || made[0].CidrIpv4 != nil {
		t.Errorf("rules %+v", made)
	}
	d.refuse(me, &ec2api.AuthorizeSecurityGroupIngressRequest{GroupId: &group, IpPermissions: rule}, "InvalidPermission.Duplicate", "*")
	shown := ask[ec2api.DescribeSecurityGroupsResult](d, me, &ec2api.DescribeSecurityGroupsRequest{Filters: []ec2api.Filter{filter("ip-permission.prefix-list-id", *id)}}).SecurityGroups
	if len(shown) != 1 || *shown[0].IpPermissions[0].PrefixListIds[0].Description != "offices" || len(shown[0].IpPermissions[0].UserIdGroupPairs) != 0 {
		t.Errorf("groups %+v", shown)
	}
	route := &ec2api.CreateRouteRequest{RouteTableId: &table, DestinationPrefixListId: id, GatewayId: &p.gateway}
	d.done(route)
	d.refuse(me, route, "RouteAlreadyExists", "*")
	aws := ask[ec2api.DescribePrefixListsResult](d, me, &ec2api.DescribePrefixListsRequest{}).PrefixLists[0].PrefixListId
	d.refuse(me, &ec2api.CreateRouteRequest{RouteTableId: &table, DestinationPrefixListId: aws, GatewayId: &p.gateway}, "InvalidParameterValue", "*")
	d.refuse(me, &ec2api.CreateRouteRequest{RouteTableId: &table, DestinationPrefixListId: new("pl-0"), GatewayId: &p.gateway}, "InvalidPrefixListID.NotFound", "*")
	d.refuse(me, &ec2api.DeleteManagedPrefixListRequest{PrefixListId: aws}, "OperationNotPermitted", "*")
	if d.entries(aws, nil) == "" {
		t.Error("AWS's list is empty")
	}
	ask[ec2api.AuthorizeSecurityGroupEgressResult](d, me, &ec2api.AuthorizeSecurityGroupEgressRequest{GroupId: &group, IpPermissions: []ec2api.IpPermission{{IpProtocol: new("-1"), PrefixListIds: []ec2api.PrefixListId{{PrefixListId: aws}}}}})
	found := ask[ec2api.DescribeRouteTablesResult](d, me, &ec2api.DescribeRouteTablesRequest{Filters: []ec2api.Filter{filter("route.destination-prefix-list-id", *id)}}).RouteTables
	if len(found) != 1 || *found[0].Routes[1].GatewayId != p.gateway || found[0].Routes[1].DestinationCidrBlock != nil {
		t.Errorf("tables %+v", found)
	}
	var uses []string
	for _, a := range ask[ec2api.GetManagedPrefixListAssociationsResult](d, me, &ec2api.GetManagedPrefixListAssociationsRequest{PrefixListId: id}).PrefixListAssociations {
		uses = append(uses, *a.ResourceId)
	}
	if len(uses) != 2 || !slices.Contains(uses, group) || !slices.Contains(uses, table) {
		t.Errorf("associations %v", uses)
	}
	gone := &ec2api.DeleteManagedPrefixListRequest{PrefixListId: id}
	d.refuse(me, gone, "DependencyViolation", "*")
	d.done(&ec2api.DeleteRouteRequest{RouteTableId: &table, DestinationPrefixListId: id})
	d.refuse(me, gone, "DependencyViolation", "*")
	revoked := ask[ec2api.RevokeSecurityGroupIngressResult](d, me, &ec2api.RevokeSecurityGroupIngressRequest{GroupId: &group, IpPermissions: rule}).RevokedSecurityGroupRules
	if len(revoked) != 1 || *revoked[0].PrefixListId != *id {
		t.Errorf("revoked %+v", revoked)
	}
	d.done(gone)
}
