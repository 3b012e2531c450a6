package ec2_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
)

// aclRules are the rules of a network ACL in words.
func aclRules(a *ec2api.NetworkAcl) (out []string) {
	for _, e := range a.Entries {
		way := "in"
		if *e.Egress {
			way = "out"
		}
		out = append(out, fmt.Sprintf("%s %d %s %s%s", way, *e.RuleNumber, *e.RuleAction, api.Val(e.CidrBlock), api.Val(e.Ipv6CidrBlock)))
	}
	return out
}

// TestNetworkACLsOfIPv6: they follow the VPC's ranges, but for rules that were changed.
func TestNetworkACLsOfIPv6(t *testing.T) {
	d := newDesk(t)
	me := d.root(mine)
	first := func(vpc string) *ec2api.NetworkAcl {
		return &ask[ec2api.DescribeNetworkAclsResult](d, me, &ec2api.DescribeNetworkAclsRequest{Filters: []ec2api.Filter{filter("vpc-id", vpc), filter("default", "true")}}).NetworkAcls[0]
	}
	want := func(what string, a *ec2api.NetworkAcl, rules ...string) {
		t.Helper()
		if got := aclRules(a); !slices.Equal(got, rules) {
			t.Errorf("%s: %q, want %q", what, got, rules)
		}
	}
	six := func(vpc string) {
		ask[ec2api.AssociateVpcCidrBlockResult](d, me, &ec2api.AssociateVpcCidrBlockRequest{VpcId: &vpc, AmazonProvidedIpv6CidrBlock: new(true)})
	}
	four := []string{"out 100 allow 0.0.0.0/0", "out 32767 deny 0.0.0.0/0", "in 100 allow 0.0.0.0/0", "in 32767 deny 0.0.0.0/0"}
	both := []string{
		"out 100 allow 0.0.0.0/0", "out 101 allow ::/0", "out 32767 deny 0.0.0.0/0", "out 32768 deny ::/0",
		"in 100 allow 0.0.0.0/0", "in 101 allow ::/0", "in 32767 deny 0.0.0.0/0", "in 32768 deny ::/0",
	}
	vpc := d.newVPC("10.0.0.0/16")
	want("the default of IPv4", first(vpc), four...)
	six(vpc)
	want("the default of both", first(vpc), both...)
	made := ask[ec2api.CreateNetworkAclResult](d, me, &ec2api.CreateNetworkAclRequest{VpcId: &vpc}).NetworkAcl
	want("one that is made", made, "out 32767 deny 0.0.0.0/0", "out 32768 deny ::/0", "in 32767 deny 0.0.0.0/0", "in 32768 deny ::/0")
	d.done(&ec2api.DeleteNetworkAclEntryRequest{NetworkAclId: first(vpc).NetworkAclId, RuleNumber: new(int32(101)), Egress: new(true)})
	want("without a rule", first(vpc), slices.Delete(slices.Clone(both), 1, 2)...)

	other := d.newVPC("10.1.0.0/16")
	d.done(&ec2api.CreateNetworkAclEntryRequest{
		NetworkAclId: first(other).NetworkAclId, RuleNumber: new(int32(90)), Protocol: new("-1"), RuleAction: new("deny"), Egress: new(false), CidrBlock: new("10.9.0.0/16"),
	})
	six(other)
	want("changed one way", first(other), append(slices.Clone(both[:4]), "in 90 deny 10.9.0.0/16", "in 100 allow 0.0.0.0/0", "in 32767 deny 0.0.0.0/0", "in 32768 deny ::/0")...)

	whole := *ask[ec2api.CreateVpcResult](d, me, &ec2api.CreateVpcRequest{CidrBlock: new("10.2.0.0/16"), AmazonProvidedIpv6CidrBlock: new(true)}).Vpc.VpcId
	want("the default of a VPC that begins with both", first(whole), both...)
}
