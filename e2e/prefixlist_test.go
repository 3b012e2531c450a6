package e2e_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// TestManagedPrefixLists: a list that a rule of a security group names, in three versions.
func TestManagedPrefixLists(t *testing.T) {
	c, ctx := admin(t), t.Context()
	id := must(c.ec2.CreateManagedPrefixList(ctx, &ec2.CreateManagedPrefixListInput{
		PrefixListName: new("offices"), AddressFamily: new("IPv4"), MaxEntries: new(int32(5)), Entries: []ec2types.AddPrefixListEntry{{Cidr: new("10.0.0.0/8"), Description: new("all")}},
	}))(t).PrefixList.PrefixListId
	must(c.ec2.ModifyManagedPrefixList(ctx, &ec2.ModifyManagedPrefixListInput{
		PrefixListId: id, CurrentVersion: new(int64(1)), AddEntries: []ec2types.AddPrefixListEntry{{Cidr: new("192.168.0.0/16")}},
	}))(t)
	if e := must(c.ec2.GetManagedPrefixListEntries(ctx, &ec2.GetManagedPrefixListEntriesInput{PrefixListId: id}))(t).Entries; len(e) != 2 {
		t.Errorf("entries %+v", e)
	}
	restored := must(c.ec2.RestoreManagedPrefixListVersion(ctx, &ec2.RestoreManagedPrefixListVersionInput{PrefixListId: id, CurrentVersion: new(int64(2)), PreviousVersion: new(int64(1))}))(t).PrefixList
	now := must(c.ec2.DescribeManagedPrefixLists(ctx, &ec2.DescribeManagedPrefixListsInput{PrefixListIds: []string{*id}}))(t).PrefixLists[0]
	if *restored.Version != 2 || *now.Version != 3 {
		t.Errorf("restored %+v, then %+v", restored, now)
	}
	group := must(c.ec2.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{GroupName: new("listed"), Description: new("d")}))(t).GroupId
	must(c.ec2.AuthorizeSecurityGroupIngress(ctx, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: group, IpPermissions: []ec2types.IpPermission{{
		IpProtocol: new("-1"), PrefixListIds: []ec2types.PrefixListId{{PrefixListId: id}},
	}}}))(t)
	if a := must(c.ec2.GetManagedPrefixListAssociations(ctx, &ec2.GetManagedPrefixListAssociationsInput{PrefixListId: id}))(t).PrefixListAssociations; len(a) != 1 || *a[0].ResourceId != *group {
		t.Errorf("associations %+v", a)
	}
	refused(c.ec2.DeleteManagedPrefixList(ctx, &ec2.DeleteManagedPrefixListInput{PrefixListId: id}))(t, "DependencyViolation")
	must(c.ec2.DeleteSecurityGroup(ctx, &ec2.DeleteSecurityGroupInput{GroupId: group}))(t)
	must(c.ec2.DeleteManagedPrefixList(ctx, &ec2.DeleteManagedPrefixListInput{PrefixListId: id}))(t)
}
