package ec2_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
)

// TestRulesOfGroupsAreModified: what a rule says is replaced and its id, direction and tags stay.
func TestRulesOfGroupsAreModified(t *testing.T) {
	d := newDesk(t)
	me := d.root(mine)
	group := func(name string) *string {
		return ask[ec2api.CreateSecurityGroupResult](d, me, &ec2api.CreateSecurityGroupRequest{GroupName: &name, Description: new("d")}).GroupId
	}
	web, data := group("web"), group("data")
	made := ask[ec2api.AuthorizeSecurityGroupIngressResult](d, me, &ec2api.AuthorizeSecurityGroupIngressRequest{
		GroupId: web, IpPermissions: append(openPort(80), openPort(81)...),
		TagSpecifications: []ec2api.TagSpecification{{ResourceType: new("security-group-rule"), Tags: tagList("a", "b")}},
	}).SecurityGroupRules
	first, second := made[0].SecurityGroupRuleId, made[1].SecurityGroupRuleId
	rule := func(id *string) ec2api.SecurityGroupRule {
		t.Helper()
		return ask[ec2api.DescribeSecurityGroupRulesResult](d, me, &ec2api.DescribeSecurityGroupRulesRequest{SecurityGroupRuleIds: []string{*id}}).SecurityGroupRules[0]
	}
	modify := func(id *string, to ec2api.SecurityGroupRuleRequest) *ec2api.ModifySecurityGroupRulesRequest {
		return &ec2api.ModifySecurityGroupRulesRequest{GroupId: web, SecurityGroupRules: []ec2api.SecurityGroupRuleUpdate{{SecurityGroupRuleId: id, SecurityGroupRule: &to}}}
	}
	if out := ask[ec2api.ModifySecurityGroupRulesResult](d, me, modify(first, ec2api.SecurityGroupRuleRequest{
		IpProtocol: new("udp"), FromPort: new(int32(53)), ToPort: new(int32(54)), ReferencedGroupId: data, Description: new("names"),
	})); !api.Val(out.Return) {
		t.Error("the answer is not true")
	}
	got := rule(first)
	if *got.IpProtocol != "udp" || *got.FromPort != 53 || *got.ToPort != 54 || *got.ReferencedGroupInfo.GroupId != *data || got.CidrIpv4 != nil ||
		*got.Description != "names" || *got.IsEgress || len(got.Tags) != 1 {
		t.Errorf("rule %+v", got)
	}
	all := ec2api.SecurityGroupRuleRequest{IpProtocol: new("-1"), CidrIpv4: new("10.1.2.3/8")}
	ask[ec2api.ModifySecurityGroupRulesResult](d, me, modify(first, all))
	if got := rule(first); *got.CidrIpv4 != "10.0.0.0/8" || *got.FromPort != -1 || got.Description != nil || got.ReferencedGroupInfo != nil {
		t.Errorf("rule %+v", got)
	}
	for _, tt := range []struct {
		in   *ec2api.ModifySecurityGroupRulesRequest
		code string
	}{
		{modify(new("sgr-00000000000000000"), all), "InvalidSecurityGroupRuleId.NotFound"},
		{modify(second, all), "InvalidPermission.Duplicate"},
		{modify(second, ec2api.SecurityGroupRuleRequest{IpProtocol: new("tcp"), CidrIpv4: new("10.0.0.0/8")}), "InvalidParameterValue"},
		{modify(second, ec2api.SecurityGroupRuleRequest{IpProtocol: new("-1")}), "MissingParameter"},
		{modify(second, ec2api.SecurityGroupRuleRequest{IpProtocol: new("-1"), CidrIpv4: new("10.0.0.0/8"), ReferencedGroupId: data}), "InvalidParameterCombination"},
		{modify(second, ec2api.SecurityGroupRuleRequest{IpProtocol: new("-1"), PrefixListId: new("pl-0")}), "InvalidPrefixListID.NotFound"},
		{&ec2api.ModifySecurityGroupRulesRequest{GroupId: web, SecurityGroupRules: []ec2api.SecurityGroupRuleUpdate{{SecurityGroupRuleId: first}}}, "MissingParameter"},
		{&ec2api.ModifySecurityGroupRulesRequest{GroupId: new("sg-00000000000000000"), SecurityGroupRules: modify(first, all).SecurityGroupRules}, "InvalidGroup.NotFound"},
	} {
		d.refuse(me, tt.in, tt.code, "*")
	}
	if diff := cmp.Diff(made[1].FromPort, rule(second).FromPort); diff != "" {
		t.Error("a refused request changed a rule: " + diff)
	}
}

// TestDescriptionsOfRules: rules are found by id or by what they say, in their direction.
func TestDescriptionsOfRules(t *testing.T) {
	d := newDesk(t)
	me := d.root(mine)
	group := ask[ec2api.CreateSecurityGroupResult](d, me, &ec2api.CreateSecurityGroupRequest{GroupName: new("web"), Description: new("d")}).GroupId
	id := ask[ec2api.AuthorizeSecurityGroupIngressResult](d, me, &ec2api.AuthorizeSecurityGroupIngressRequest{
		GroupId: group, IpPermissions: openPort(80),
	}).SecurityGroupRules[0].SecurityGroupRuleId
	want := func(want string) {
		t.Helper()
		got := ask[ec2api.DescribeSecurityGroupRulesResult](d, me, &ec2api.DescribeSecurityGroupRulesRequest{SecurityGroupRuleIds: []string{*id}}).SecurityGroupRules[0]
		if api.Val(got.Description) != want {
			t.Errorf("the description is %q, want %q", api.Val(got.Description), want)
		}
	}
	said := openPort(80)
	said[0].IpRanges[0].Description = new("web")
	ask[ec2api.UpdateSecurityGroupRuleDescriptionsIngressResult](d, me, &ec2api.UpdateSecurityGroupRuleDescriptionsIngressRequest{GroupName: new("web"), IpPermissions: said})
	want("web")
	byID := func(text *string) []ec2api.SecurityGroupRuleDescription {
		return []ec2api.SecurityGroupRuleDescription{{SecurityGroupRuleId: id, Description: text}}
	}
	ask[ec2api.UpdateSecurityGroupRuleDescriptionsIngressResult](d, me, &ec2api.UpdateSecurityGroupRuleDescriptionsIngressRequest{GroupId: group, SecurityGroupRuleDescriptions: byID(new("other"))})
	want("other")
	for _, tt := range []struct {
		in   any
		code string
	}{
		{&ec2api.UpdateSecurityGroupRuleDescriptionsEgressRequest{GroupId: group, IpPermissions: said}, "InvalidPermission.NotFound"},
		{&ec2api.UpdateSecurityGroupRuleDescriptionsEgressRequest{GroupId: group, SecurityGroupRuleDescriptions: byID(new("x"))}, "InvalidSecurityGroupRuleId.NotFound"},
		{&ec2api.UpdateSecurityGroupRuleDescriptionsIngressRequest{GroupId: group, SecurityGroupRuleDescriptions: byID(new("é"))}, "InvalidParameterValue"},
		{&ec2api.UpdateSecurityGroupRuleDescriptionsIngressRequest{GroupId: group}, "MissingParameter"},
		{&ec2api.UpdateSecurityGroupRuleDescriptionsIngressRequest{GroupId: group, IpPermissions: said, SecurityGroupRuleDescriptions: byID(nil)}, "InvalidParameterCombination"},
	} {
		d.refuse(me, tt.in, tt.code, "*")
	}
	want("other")
	ask[ec2api.UpdateSecurityGroupRuleDescriptionsIngressResult](d, me, &ec2api.UpdateSecurityGroupRuleDescriptionsIngressRequest{GroupId: group, SecurityGroupRuleDescriptions: byID(nil)})
	want("")
}

// TestInstancesAreNamedAsTheSubnetSays, unless the launch says it.
func TestInstancesAreNamedAsTheSubnetSays(t *testing.T) {
	h := newHouse(t)
	vpc := ask[ec2api.CreateVpcResult](h.desk, h.owner(), &ec2api.CreateVpcRequest{CidrBlock: new("10.0.0.0/16"), AmazonProvidedIpv6CidrBlock: new(true)}).Vpc
	h.Advance(time.Second)
	six := *ask[ec2api.DescribeVpcsResult](h.desk, h.owner(), &ec2api.DescribeVpcsRequest{VpcIds: []string{*vpc.VpcId}}).Vpcs[0].Ipv6CidrBlockAssociationSet[0].Ipv6CidrBlock
	id := ask[ec2api.CreateSubnetResult](h.desk, h.owner(), &ec2api.CreateSubnetRequest{
		VpcId: vpc.VpcId, CidrBlock: new("10.0.0.0/24"), Ipv6CidrBlock: new(strings.Replace(six, "/56", "/64", 1)),
	}).Subnet.SubnetId
	on := &ec2api.AttributeBooleanValue{Value: new(true)}
	for _, in := range []ec2api.ModifySubnetAttributeRequest{
		{EnableResourceNameDnsARecordOnLaunch: on}, {EnableResourceNameDnsAAAARecordOnLaunch: on}, {PrivateDnsHostnameTypeOnLaunch: new("resource-name")},
	} {
		in.SubnetId = id
		h.done(&in)
	}
	for _, x := range []struct {
		in   *ec2api.PrivateDnsNameOptionsRequest
		want string
	}{
		{nil, "resource-name true true"},
		{&ec2api.PrivateDnsNameOptionsRequest{EnableResourceNameDnsARecord: new(false)}, "resource-name false true"},
		{&ec2api.PrivateDnsNameOptionsRequest{EnableResourceNameDnsAAAARecord: new(false), HostnameType: new("ip-name")}, "ip-name true false"},
	} {
		in := runRequest()
		in.SubnetId, in.PrivateDnsNameOptions = id, x.in
		o := ask[ec2api.Reservation](h.desk, h.owner(), in).Instances[0].PrivateDnsNameOptions
		if got := fmt.Sprintf("%s %t %t", *o.HostnameType, *o.EnableResourceNameDnsARecord, *o.EnableResourceNameDnsAAAARecord); got != x.want {
			t.Errorf("%+v: %s, want %s", x.in, got, x.want)
		}
	}
}

// TestModifySubnetAttribute: one attribute at a time, and what instances get of it.
func TestModifySubnetAttribute(t *testing.T) {
	h := newHouse(t)
	vpc := ask[ec2api.CreateVpcResult](h.desk, h.owner(), &ec2api.CreateVpcRequest{CidrBlock: new("10.0.0.0/16")}).Vpc.VpcId
	id := ask[ec2api.CreateSubnetResult](h.desk, h.owner(), &ec2api.CreateSubnetRequest{VpcId: vpc, CidrBlock: new("10.0.0.0/24")}).Subnet.SubnetId
	on, off := &ec2api.AttributeBooleanValue{Value: new(true)}, &ec2api.AttributeBooleanValue{Value: new(false)}
	for _, in := range []ec2api.ModifySubnetAttributeRequest{
		{MapPublicIpOnLaunch: on}, {EnableResourceNameDnsARecordOnLaunch: on}, {PrivateDnsHostnameTypeOnLaunch: new("resource-name")},
		{AssignIpv6AddressOnCreation: off}, {EnableDns64: off},
	} {
		in.SubnetId = id
		h.done(&in)
	}
	n := ask[ec2api.DescribeSubnetsResult](h.desk, h.owner(), &ec2api.DescribeSubnetsRequest{
		Filters: []ec2api.Filter{filter("map-public-ip-on-launch", "true"), filter("vpc-id", *vpc)},
	}).Subnets[0]
	if o := n.PrivateDnsNameOptionsOnLaunch; *o.HostnameType != "resource-name" || !*o.EnableResourceNameDnsARecord || !*n.MapPublicIpOnLaunch {
		t.Errorf("subnet %+v, %+v", n, o)
	}
	in := runRequest()
	in.SubnetId = id
	i := h.instance(*ask[ec2api.Reservation](h.desk, h.owner(), in).Instances[0].InstanceId)
	if o := i.PrivateDnsNameOptions; *o.HostnameType != "resource-name" || !*o.EnableResourceNameDnsARecord || i.PublicIpAddress == nil {
		t.Errorf("instance %+v, %+v", i, o)
	}
	for _, tt := range []struct {
		in   ec2api.ModifySubnetAttributeRequest
		code string
	}{
		{ec2api.ModifySubnetAttributeRequest{SubnetId: id}, "InvalidParameterCombination"},
		{ec2api.ModifySubnetAttributeRequest{SubnetId: id, MapPublicIpOnLaunch: on, EnableDns64: off}, "InvalidParameterCombination"},
		{ec2api.ModifySubnetAttributeRequest{SubnetId: id, PrivateDnsHostnameTypeOnLaunch: new("name")}, "InvalidParameterValue"},
		{ec2api.ModifySubnetAttributeRequest{SubnetId: id, AssignIpv6AddressOnCreation: on}, "InvalidParameterValue"},
		{ec2api.ModifySubnetAttributeRequest{SubnetId: new("subnet-00000000"), MapPublicIpOnLaunch: on}, "InvalidSubnetID.NotFound"},
	} {
		h.refuse(h.owner(), &tt.in, tt.code, "*")
	}
}
