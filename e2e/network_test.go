package e2e_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// A network of the account's own, an instance in it with a key pair and an address, and everything
// gone again.
func TestInstancesInANetworkOfTheirOwn(t *testing.T) {
	c, ctx := admin(t), t.Context()
	vpc := must(c.ec2.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: new("10.0.0.0/16")}))(t).Vpc
	must(c.ec2.ModifyVpcAttribute(ctx, &ec2.ModifyVpcAttributeInput{VpcId: vpc.VpcId, EnableDnsHostnames: &ec2types.AttributeBooleanValue{Value: new(true)}}))(t)
	if v := must(c.ec2.DescribeVpcAttribute(ctx, &ec2.DescribeVpcAttributeInput{VpcId: vpc.VpcId, Attribute: ec2types.VpcAttributeNameEnableDnsHostnames}))(t); !*v.EnableDnsHostnames.Value {
		t.Error("DNS hostnames stay off")
	}
	subnet := must(c.ec2.CreateSubnet(ctx, &ec2.CreateSubnetInput{VpcId: vpc.VpcId, CidrBlock: new("10.0.1.0/24")}))(t).Subnet
	group := *must(c.ec2.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{GroupName: new("web"), Description: new("d"), VpcId: vpc.VpcId}))(t).GroupId
	https := []ec2types.IpPermission{{IpProtocol: new("tcp"), FromPort: new(int32(443)), ToPort: new(int32(443)), IpRanges: []ec2types.IpRange{{CidrIp: new("0.0.0.0/0")}}}}
	made := must(c.ec2.AuthorizeSecurityGroupIngress(ctx, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: &group, IpPermissions: https}))(t).SecurityGroupRules
	must(c.ec2.AuthorizeSecurityGroupEgress(ctx, &ec2.AuthorizeSecurityGroupEgressInput{GroupId: &group, IpPermissions: https}))(t)
	refused(c.ec2.AuthorizeSecurityGroupIngress(ctx, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: &group, IpPermissions: https}))(t, "InvalidPermission.Duplicate")
	rules := must(c.ec2.DescribeSecurityGroupRules(ctx, &ec2.DescribeSecurityGroupRulesInput{Filters: []ec2types.Filter{{Name: new("group-id"), Values: []string{group}}}}))(t).SecurityGroupRules
	if len(rules) != 3 {
		t.Errorf("rules %+v", rules)
	}
	must(c.ec2.RevokeSecurityGroupIngress(ctx, &ec2.RevokeSecurityGroupIngressInput{GroupId: &group, SecurityGroupRuleIds: []string{*made[0].SecurityGroupRuleId}}))(t)
	must(c.ec2.RevokeSecurityGroupEgress(ctx, &ec2.RevokeSecurityGroupEgressInput{GroupId: &group, IpPermissions: https}))(t)
	if g := must(c.ec2.GetSecurityGroupsForVpc(ctx, &ec2.GetSecurityGroupsForVpcInput{VpcId: vpc.VpcId}))(t).SecurityGroupForVpcs; len(g) != 2 {
		t.Errorf("groups of the VPC %+v", g)
	}
	key := must(c.ec2.CreateKeyPair(ctx, &ec2.CreateKeyPairInput{KeyName: new("login"), KeyType: ec2types.KeyTypeEd25519}))(t)
	if !strings.HasPrefix(*key.KeyMaterial, "-----BEGIN OPENSSH PRIVATE KEY-----\n") {
		t.Errorf("the private key has %d bytes", len(*key.KeyMaterial))
	}
	const public = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPgkXRDH1JxwjQ3Px/LXz5CzBQ8oxBVTpVk4eVdLLT8W me@home"
	must(c.ec2.ImportKeyPair(ctx, &ec2.ImportKeyPairInput{KeyName: new("same"), PublicKeyMaterial: []byte(public)}))(t)
	must(c.ec2.CreatePlacementGroup(ctx, &ec2.CreatePlacementGroupInput{GroupName: new("near"), Strategy: ec2types.PlacementStrategyCluster}))(t)
	id := *must(c.ec2.RunInstances(ctx, &ec2.RunInstancesInput{
		ImageId: new(c.plainImage(t)), InstanceType: ec2types.InstanceTypeM5Large, MinCount: new(int32(1)), MaxCount: new(int32(1)), SubnetId: subnet.SubnetId,
		SecurityGroupIds: []string{group}, KeyName: new("login"), Placement: &ec2types.Placement{GroupName: new("near")},
	}))(t).Instances[0].InstanceId
	c.isRunning(t, id)
	address := must(c.ec2.AllocateAddress(ctx, &ec2.AllocateAddressInput{Domain: ec2types.DomainTypeVpc}))(t)
	must(c.ec2.AssociateAddress(ctx, &ec2.AssociateAddressInput{AllocationId: address.AllocationId, InstanceId: &id}))(t)
	if i := c.instance(t, id); *i.PublicIpAddress != *address.PublicIp || *i.KeyName != "login" || *i.Placement.GroupName != "near" || *i.SubnetId != *subnet.SubnetId {
		t.Errorf("instance %+v", i)
	}
	if a := must(c.ec2.DescribeAddresses(ctx, &ec2.DescribeAddressesInput{AllocationIds: []string{*address.AllocationId}}))(t).Addresses[0]; *a.InstanceId != id {
		t.Errorf("address %+v", a)
	}
	c.settings(t, id)
	must(c.ec2.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{id}}))(t)
	eventually(t, "the instance is gone", func() (bool, string) {
		s := c.instance(t, id).State.Name
		return s == ec2types.InstanceStateNameTerminated, string(s)
	})
	must(c.ec2.ReleaseAddress(ctx, &ec2.ReleaseAddressInput{AllocationId: address.AllocationId}))(t)
	must(c.ec2.DeletePlacementGroup(ctx, &ec2.DeletePlacementGroupInput{GroupName: new("near")}))(t)
	must(c.ec2.DeleteKeyPair(ctx, &ec2.DeleteKeyPairInput{KeyName: new("login")}))(t)
	must(c.ec2.DeleteSecurityGroup(ctx, &ec2.DeleteSecurityGroupInput{GroupId: &group}))(t)
	must(c.ec2.DeleteSubnet(ctx, &ec2.DeleteSubnetInput{SubnetId: subnet.SubnetId}))(t)
	must(c.ec2.DeleteVpc(ctx, &ec2.DeleteVpcInput{VpcId: vpc.VpcId}))(t)
	refused(c.ec2.CreateDefaultVpc(ctx, &ec2.CreateDefaultVpcInput{}))(t, "DefaultVpcAlreadyExists")
	refused(c.ec2.CreateDefaultSubnet(ctx, &ec2.CreateDefaultSubnetInput{AvailabilityZone: new(c.region + "a")}))(t, "DefaultSubnetAlreadyExistsInAvailabilityZone")
	if p := must(c.ec2.DescribePlacementGroups(ctx, &ec2.DescribePlacementGroupsInput{}))(t).PlacementGroups; len(p) != 0 {
		t.Errorf("placement groups %+v", p)
	}
	if k := must(c.ec2.DescribeKeyPairs(ctx, &ec2.DescribeKeyPairsInput{IncludePublicKey: new(true)}))(t).KeyPairs; len(k) != 1 || *k[0].KeyName != "same" || k[0].PublicKey == nil {
		t.Errorf("key pairs %+v", k)
	}
}

func (c *client) isRunning(t *testing.T, id string) {
	t.Helper()
	eventually(t, "the instance runs", func() (bool, string) {
		s := c.instance(t, id).State.Name
		return s == ec2types.InstanceStateNameRunning, string(s)
	})
}

// settings changes and reads what can be set of an instance.
func (c *client) settings(t *testing.T, id string) {
	t.Helper()
	ctx := t.Context()
	o := must(c.ec2.ModifyInstanceMetadataOptions(ctx, &ec2.ModifyInstanceMetadataOptionsInput{InstanceId: &id, HttpTokens: ec2types.HttpTokensStateRequired}))(t)
	if o.InstanceMetadataOptions.State != ec2types.InstanceMetadataOptionsStatePending || c.instance(t, id).MetadataOptions.HttpTokens != ec2types.HttpTokensStateRequired {
		t.Errorf("metadata options %+v", o.InstanceMetadataOptions)
	}
	must(c.ec2.MonitorInstances(ctx, &ec2.MonitorInstancesInput{InstanceIds: []string{id}}))(t)
	if m := c.instance(t, id).Monitoring.State; m != ec2types.MonitoringStateEnabled {
		t.Errorf("monitoring is %s", m)
	}
	must(c.ec2.UnmonitorInstances(ctx, &ec2.UnmonitorInstancesInput{InstanceIds: []string{id}}))(t)
	must(c.ec2.ModifyInstanceAttribute(ctx, &ec2.ModifyInstanceAttributeInput{InstanceId: &id, SourceDestCheck: &ec2types.AttributeBooleanValue{Value: new(false)}}))(t)
	must(c.ec2.ResetInstanceAttribute(ctx, &ec2.ResetInstanceAttributeInput{InstanceId: &id, Attribute: ec2types.InstanceAttributeNameSourceDestCheck}))(t)
	if !*c.instance(t, id).SourceDestCheck {
		t.Error("the source is not checked")
	}
	data := must(c.ec2.GetLaunchTemplateData(ctx, &ec2.GetLaunchTemplateDataInput{InstanceId: &id}))(t).LaunchTemplateData
	if *data.KeyName != "login" || len(data.BlockDeviceMappings) != 1 {
		t.Errorf("launch template data %+v", data)
	}
	if out := must(c.ec2.GetConsoleOutput(ctx, &ec2.GetConsoleOutputInput{InstanceId: &id}))(t); *out.InstanceId != id {
		t.Errorf("console of %s", *out.InstanceId)
	}
	if out := must(c.ec2.GetPasswordData(ctx, &ec2.GetPasswordDataInput{InstanceId: &id}))(t); out.PasswordData == nil || *out.PasswordData != "" {
		t.Errorf("password %v", out.PasswordData)
	}
	if p := must(c.ec2.DescribeSpotPriceHistory(ctx, &ec2.DescribeSpotPriceHistoryInput{InstanceTypes: []ec2types.InstanceType{"m5.large"}, ProductDescriptions: []string{"Linux/UNIX"}}))(t).SpotPriceHistory; len(p) == 0 || *p[0].SpotPrice == "" {
		t.Errorf("prices %+v", p)
	}
}
