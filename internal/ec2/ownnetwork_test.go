package ec2_test

import (
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
)

func (d *desk) newVPC(cidr string) string {
	return *ask[ec2api.CreateVpcResult](d, d.root(mine), &ec2api.CreateVpcRequest{CidrBlock: &cidr}).Vpc.VpcId
}

func (d *desk) newSubnet(vpc, cidr string) string {
	return *ask[ec2api.CreateSubnetResult](d, d.root(mine), &ec2api.CreateSubnetRequest{VpcId: &vpc, CidrBlock: &cidr}).Subnet.SubnetId
}

func (d *desk) newGroup(vpc, name string) string {
	return *ask[ec2api.CreateSecurityGroupResult](d, d.root(mine), &ec2api.CreateSecurityGroupRequest{
		GroupName: &name, Description: new("d"), VpcId: &vpc,
	}).GroupId
}

func tcp(port int32, cidr string) []ec2api.IpPermission {
	return []ec2api.IpPermission{{IpProtocol: new("tcp"), FromPort: &port, ToPort: &port, IpRanges: []ec2api.IpRange{{CidrIp: &cidr}}}}
}

func TestAVPCBringsWhatBelongsToIt(t *testing.T) {
	d := newDesk(t)
	me := d.root(mine)
	made := ask[ec2api.CreateVpcResult](d, me, &ec2api.CreateVpcRequest{CidrBlock: new("10.1.2.3/16")}).Vpc
	if *made.State != "pending" || *made.CidrBlock != "10.1.0.0/16" || *made.IsDefault {
		t.Errorf("made %+v", made)
	}
	own := filter("vpc-id", *made.VpcId)
	if v := ask[ec2api.DescribeVpcsResult](d, me, &ec2api.DescribeVpcsRequest{VpcIds: []string{*made.VpcId}}).Vpcs; *v[0].State != "available" {
		t.Errorf("state %s", *v[0].State)
	}
	groups := ask[ec2api.DescribeSecurityGroupsResult](d, me, &ec2api.DescribeSecurityGroupsRequest{Filters: []ec2api.Filter{own}}).SecurityGroups
	tables := ask[ec2api.DescribeRouteTablesResult](d, me, &ec2api.DescribeRouteTablesRequest{Filters: []ec2api.Filter{own, filter("association.main", "true")}}).RouteTables
	acls := ask[ec2api.DescribeNetworkAclsResult](d, me, &ec2api.DescribeNetworkAclsRequest{Filters: []ec2api.Filter{own, filter("default", "true")}}).NetworkAcls
	if len(groups) != 1 || *groups[0].GroupName != "default" || len(tables) != 1 || len(tables[0].Routes) != 1 || len(acls) != 1 {
		t.Errorf("groups %+v, tables %+v, ACLs %+v", groups, tables, acls)
	}
	hostnames := func() bool {
		return *ask[ec2api.DescribeVpcAttributeResult](d, me, &ec2api.DescribeVpcAttributeRequest{VpcId: made.VpcId, Attribute: new("enableDnsHostnames")}).EnableDnsHostnames.Value
	}
	if hostnames() {
		t.Error("hostnames are on")
	}
	if _, err := d.try(me, &ec2api.ModifyVpcAttributeRequest{VpcId: made.VpcId, EnableDnsHostnames: &ec2api.AttributeBooleanValue{Value: new(true)}}); err != nil || !hostnames() {
		t.Errorf("hostnames stay off: %v", err)
	}
	d.newSubnet(*made.VpcId, "10.1.0.0/24")
	d.refuse(me, &ec2api.DeleteVpcRequest{VpcId: made.VpcId}, "DependencyViolation", "*")
	d.refuse(me, &ec2api.DeleteVpcRequest{VpcId: new("vpc-00000000")}, "InvalidVpcID.NotFound", "*")
}

func TestSubnetsLieInTheirVPC(t *testing.T) {
	d := newDesk(t)
	vpc := d.newVPC("10.0.0.0/16")
	d.newSubnet(vpc, "10.0.1.0/24")
	for cidr, code := range map[string]string{
		"10.0.1.128/25": "InvalidSubnet.Conflict", "10.1.0.0/24": "InvalidSubnet.Range", "10.0.2.0/29": "InvalidSubnet.Range",
		"10.0.0.0/8": "InvalidSubnet.Range", "ten": "InvalidParameterValue", "": "MissingParameter",
	} {
		d.refuse(d.root(mine), &ec2api.CreateSubnetRequest{VpcId: &vpc, CidrBlock: &cidr}, code, "*")
	}
	for cidr, code := range map[string]string{"10.0.0.0/8": "InvalidVpc.Range", "10.0.0.0/29": "InvalidVpc.Range", "x": "InvalidParameterValue"} {
		d.refuse(d.root(mine), &ec2api.CreateVpcRequest{CidrBlock: &cidr}, code, "*")
	}
}

func TestTheDefaultVPCCanGoAndComeBack(t *testing.T) {
	h := newHouse(t)
	me := h.owner()
	h.refuse(me, &ec2api.CreateDefaultVpcRequest{}, "DefaultVpcAlreadyExists", "*")
	subnets := ask[ec2api.DescribeSubnetsResult](h.desk, me, &ec2api.DescribeSubnetsRequest{}).Subnets
	for _, n := range subnets {
		if _, err := h.try(me, &ec2api.DeleteSubnetRequest{SubnetId: n.SubnetId}); err != nil {
			t.Fatal(err)
		}
	}
	h.refuse(me, runRequest(), "MissingInput", "*")
	back := ask[ec2api.CreateDefaultSubnetResult](h.desk, me, &ec2api.CreateDefaultSubnetRequest{AvailabilityZone: subnets[0].AvailabilityZone}).Subnet
	if *back.CidrBlock != *subnets[0].CidrBlock || !*back.DefaultForAz || *back.SubnetId == *subnets[0].SubnetId {
		t.Errorf("came back %+v", back)
	}
	for _, in := range []any{&ec2api.DeleteSubnetRequest{SubnetId: back.SubnetId}, &ec2api.DeleteVpcRequest{VpcId: subnets[0].VpcId}} {
		if _, err := h.try(me, in); err != nil {
			t.Fatal(err)
		}
	}
	h.refuse(me, runRequest(), "VPCIdNotSpecified", "*")
	h.refuse(me, &ec2api.CreateDefaultSubnetRequest{AvailabilityZone: subnets[0].AvailabilityZone}, "DefaultVpcDoesNotExist", "*")
	if v := ask[ec2api.CreateDefaultVpcResult](h.desk, me, &ec2api.CreateDefaultVpcRequest{}).Vpc; *v.State != "pending" || v.Tags == nil {
		t.Errorf("%+v", v)
	}
	if now := ask[ec2api.DescribeSubnetsResult](h.desk, me, &ec2api.DescribeSubnetsRequest{}).Subnets; len(now) != len(subnets) {
		t.Errorf("%d subnets, want %d", len(now), len(subnets))
	}
	h.wantState(h.run(me), "running")
}

func TestSecurityGroupRules(t *testing.T) {
	d := newDesk(t)
	me, vpc := d.root(mine), d.newVPC("10.0.0.0/16")
	web, data := d.newGroup(vpc, "web"), d.newGroup(vpc, "data")
	in := ask[ec2api.AuthorizeSecurityGroupIngressResult](d, me, &ec2api.AuthorizeSecurityGroupIngressRequest{GroupId: &data, IpPermissions: []ec2api.IpPermission{{
		IpProtocol: new("6"), FromPort: new(int32(5432)), ToPort: new(int32(5432)), UserIdGroupPairs: []ec2api.UserIdGroupPair{{GroupId: &web, Description: new("apps")}},
		IpRanges: []ec2api.IpRange{{CidrIp: new("10.0.0.9/8")}},
	}}}).SecurityGroupRules
	if len(in) != 2 || *in[0].CidrIpv4 != "10.0.0.0/8" || *in[1].ReferencedGroupInfo.GroupId != web || *in[1].IpProtocol != "tcp" {
		t.Fatalf("rules %+v", in)
	}
	d.refuse(me, &ec2api.AuthorizeSecurityGroupIngressRequest{GroupId: &data, IpPermissions: tcp(5432, "10.0.0.0/8")}, "InvalidPermission.Duplicate",
		`the specified rule "peer: 10.0.0.0/8, TCP, from port: 5432, to port: 5432, ALLOW" already exists`)
	d.refuse(me, &ec2api.DeleteSecurityGroupRequest{GroupId: &web}, "DependencyViolation", "resource "+web+" has a dependent object")
	got := ask[ec2api.DescribeSecurityGroupsResult](d, me, &ec2api.DescribeSecurityGroupsRequest{Filters: []ec2api.Filter{filter("ip-permission.group-id", web)}}).SecurityGroups
	if len(got) != 1 || len(got[0].IpPermissions) != 1 || len(got[0].IpPermissions[0].UserIdGroupPairs) != 1 || len(got[0].IpPermissionsEgress) != 1 {
		t.Errorf("groups %+v", got)
	}
	gone := ask[ec2api.RevokeSecurityGroupIngressResult](d, me, &ec2api.RevokeSecurityGroupIngressRequest{GroupId: &data, SecurityGroupRuleIds: []string{*in[1].SecurityGroupRuleId}})
	if len(gone.RevokedSecurityGroupRules) != 1 || *gone.RevokedSecurityGroupRules[0].ReferencedGroupId != web {
		t.Errorf("revoked %+v", gone)
	}
	unknown := ask[ec2api.RevokeSecurityGroupIngressResult](d, me, &ec2api.RevokeSecurityGroupIngressRequest{GroupId: &data, IpPermissions: tcp(22, "10.0.0.0/8")})
	if len(unknown.UnknownIpPermissions) != 1 || *unknown.UnknownIpPermissions[0].FromPort != 22 {
		t.Errorf("unknown %+v", unknown)
	}
	d.refuse(me, &ec2api.RevokeSecurityGroupIngressRequest{GroupName: new("default"), IpPermissions: tcp(22, "10.0.0.0/8")}, "InvalidPermission.NotFound", "*")
	rules := ask[ec2api.DescribeSecurityGroupRulesResult](d, me, &ec2api.DescribeSecurityGroupRulesRequest{Filters: []ec2api.Filter{filter("group-id", data)}}).SecurityGroupRules
	if len(rules) != 2 {
		t.Errorf("rules left %+v", rules)
	}
	if _, err := d.try(me, &ec2api.DeleteSecurityGroupRequest{GroupId: &web}); err != nil {
		t.Error(err)
	}
}

func TestSecurityGroupRulesAreChecked(t *testing.T) {
	d := newDesk(t)
	me, vpc := d.root(mine), d.newVPC("10.0.0.0/16")
	web := d.newGroup(vpc, "web")
	d.refuse(me, &ec2api.CreateSecurityGroupRequest{GroupName: new("web"), Description: new("d"), VpcId: &vpc}, "InvalidGroup.Duplicate",
		"The security group 'web' already exists for VPC '"+vpc+"'")
	for name, code := range map[string]string{"default": "InvalidParameterValue", "sg-x": "InvalidParameterValue", "ü": "InvalidParameterValue", "": "MissingParameter"} {
		d.refuse(me, &ec2api.CreateSecurityGroupRequest{GroupName: &name, Description: new("d"), VpcId: &vpc}, code, "*")
	}
	port := func(from, to int32, protocol, cidr string) []ec2api.IpPermission {
		return []ec2api.IpPermission{{IpProtocol: &protocol, FromPort: &from, ToPort: &to, IpRanges: []ec2api.IpRange{{CidrIp: &cidr}}}}
	}
	for _, tt := range []struct {
		permissions []ec2api.IpPermission
		code        string
	}{
		{port(90, 80, "tcp", "10.0.0.0/8"), "InvalidParameterValue"}, {port(0, 70000, "udp", "10.0.0.0/8"), "InvalidParameterValue"},
		{port(1, 1, "tcp", "10.0.0"), "InvalidParameterValue"}, {port(1, 1, "foo", "10.0.0.0/8"), "InvalidParameterValue"},
		{[]ec2api.IpPermission{{IpProtocol: new("-1")}}, "MissingParameter"}, {nil, "MissingParameter"},
		{[]ec2api.IpPermission{{IpProtocol: new("tcp"), IpRanges: []ec2api.IpRange{{CidrIp: new("10.0.0.0/8")}}}}, "InvalidParameterValue"},
		{[]ec2api.IpPermission{{IpProtocol: new("-1"), UserIdGroupPairs: []ec2api.UserIdGroupPair{{GroupId: new("sg-00000000")}}}}, "InvalidGroup.NotFound"},
		{append(tcp(1, "10.0.0.0/8"), tcp(1, "10.0.0.0/8")...), "InvalidParameterValue"},
	} {
		d.refuse(me, &ec2api.AuthorizeSecurityGroupIngressRequest{GroupId: &web, IpPermissions: tt.permissions}, tt.code, "*")
	}
	d.refuse(me, &ec2api.DeleteSecurityGroupRequest{GroupName: new("default")}, "CannotDelete", "*")
	d.refuse(me, &ec2api.DescribeSecurityGroupRulesRequest{Filters: []ec2api.Filter{filter("color", "red")}}, "InvalidParameterValue", "The filter 'color' is invalid")
}

func TestInstancesUseWhatTheirAccountMade(t *testing.T) {
	h := newHouse(t)
	me, vpc := h.owner(), h.newVPC("10.0.0.0/16")
	subnet, group := h.newSubnet(vpc, "10.0.1.0/24"), h.newGroup(vpc, "web")
	key := ask[ec2api.KeyPair](h.desk, me, &ec2api.CreateKeyPairRequest{KeyName: new("login"), KeyType: new("ed25519")})
	if key.KeyMaterial == nil || len(key.KeyMaterial.Reveal()) < 300 {
		t.Error("no private key")
	}
	h.refuse(me, &ec2api.CreateKeyPairRequest{KeyName: new("login")}, "InvalidKeyPair.Duplicate", "*")
	ask[ec2api.CreatePlacementGroupResult](h.desk, me, &ec2api.CreatePlacementGroupRequest{GroupName: new("apart"), Strategy: new("partition"), PartitionCount: new(int32(3))})
	in := runRequest()
	in.SubnetId, in.SecurityGroupIds, in.KeyName = &subnet, []string{group}, new("login")
	in.Placement = &ec2api.Placement{GroupName: new("apart"), PartitionNumber: new(int32(2))}
	id := *ask[ec2api.Reservation](h.desk, me, in).Instances[0].InstanceId
	h.Advance(time.Minute)
	i := h.instance(id)
	if *i.State.Name != "running" || api.Val(i.KeyName) != "login" || *i.VpcId != vpc || *i.Placement.GroupName != "apart" || *i.Placement.PartitionNumber != 2 ||
		*i.SecurityGroups[0].GroupId != group || *i.PrivateIpAddress != "10.0.1.4" {
		t.Errorf("instance %+v", i)
	}
	other := runRequest()
	other.SecurityGroupIds = []string{group}
	h.refuse(me, other, "InvalidParameter", "*")
	h.refuse(me, &ec2api.DeleteSubnetRequest{SubnetId: &subnet}, "DependencyViolation", "*")
	h.refuse(me, &ec2api.DeleteSecurityGroupRequest{GroupId: &group}, "DependencyViolation", "*")
	h.refuse(me, &ec2api.DeletePlacementGroupRequest{GroupName: new("apart")}, "InvalidPlacementGroup.InUse", "*")

	address := ask[ec2api.AllocateAddressResult](h.desk, me, &ec2api.AllocateAddressRequest{})
	ask[ec2api.AssociateAddressResult](h.desk, me, &ec2api.AssociateAddressRequest{AllocationId: address.AllocationId, InstanceId: &id})
	if i := h.instance(id); api.Val(i.PublicIpAddress) != *address.PublicIp {
		t.Errorf("public address %v", i.PublicIpAddress)
	}
	h.refuse(me, &ec2api.ReleaseAddressRequest{AllocationId: address.AllocationId}, "InvalidIPAddress.InUse", "*")
	ask[ec2api.TerminateInstancesResult](h.desk, me, &ec2api.TerminateInstancesRequest{InstanceIds: []string{id}})
	h.Advance(time.Minute)
	free := ask[ec2api.DescribeAddressesResult](h.desk, me, &ec2api.DescribeAddressesRequest{}).Addresses
	if len(free) != 1 || free[0].InstanceId != nil || free[0].AssociationId != nil {
		t.Errorf("address %+v", free)
	}
	for _, in := range []any{
		&ec2api.ReleaseAddressRequest{AllocationId: address.AllocationId}, &ec2api.DeletePlacementGroupRequest{GroupName: new("apart")},
		&ec2api.DeleteSecurityGroupRequest{GroupId: &group}, &ec2api.DeleteSubnetRequest{SubnetId: &subnet}, &ec2api.DeleteVpcRequest{VpcId: &vpc},
		&ec2api.DeleteKeyPairRequest{KeyName: new("login")}, &ec2api.DeleteKeyPairRequest{KeyName: new("login")},
	} {
		if _, err := h.try(me, in); err != nil {
			t.Errorf("%T: %v", in, err)
		}
	}
}

func TestPlacementGroupsAreChecked(t *testing.T) {
	d := newDesk(t)
	me := d.root(mine)
	for _, tt := range []struct {
		in   ec2api.CreatePlacementGroupRequest
		code string
	}{
		{ec2api.CreatePlacementGroupRequest{GroupName: new("g"), Strategy: new("far")}, "InvalidParameterValue"},
		{ec2api.CreatePlacementGroupRequest{GroupName: new("g"), PartitionCount: new(int32(2))}, "InvalidParameterCombination"},
		{ec2api.CreatePlacementGroupRequest{GroupName: new("g"), Strategy: new("partition"), PartitionCount: new(int32(8))}, "InvalidParameterValue"},
		{ec2api.CreatePlacementGroupRequest{}, "MissingParameter"},
	} {
		d.refuse(me, &tt.in, tt.code, "*")
	}
	d.refuse(me, &ec2api.DeletePlacementGroupRequest{GroupName: new("g")}, "InvalidPlacementGroup.Unknown", "The Placement Group 'g' is unknown.")
}
