package e2e_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// TestInstanceSettingsChange, those of what an instance runs on and of how it is reached.
func TestInstanceSettingsChange(t *testing.T) {
	c, ctx := admin(t), t.Context()
	id := c.runInstance(t)
	must(c.ec2.ModifyInstanceCreditSpecification(ctx, &ec2.ModifyInstanceCreditSpecificationInput{
		InstanceCreditSpecifications: []ec2types.InstanceCreditSpecificationRequest{{InstanceId: &id, CpuCredits: new("standard")}},
	}))(t)
	credits := must(c.ec2.DescribeInstanceCreditSpecifications(ctx, &ec2.DescribeInstanceCreditSpecificationsInput{InstanceIds: []string{id}}))(t).InstanceCreditSpecifications
	if len(credits) != 1 || *credits[0].CpuCredits != "standard" {
		t.Errorf("credits %+v", credits)
	}
	must(c.ec2.ModifyInstanceMaintenanceOptions(ctx, &ec2.ModifyInstanceMaintenanceOptionsInput{InstanceId: &id, AutoRecovery: ec2types.InstanceAutoRecoveryStateDisabled}))(t)
	must(c.ec2.StopInstances(ctx, &ec2.StopInstancesInput{InstanceIds: []string{id}}))(t)
	c.awaitInstance(t, id, ec2types.InstanceStateNameStopped)
	must(c.ec2.CreatePlacementGroup(ctx, &ec2.CreatePlacementGroupInput{GroupName: new("apart"), Strategy: ec2types.PlacementStrategySpread}))(t)
	must(c.ec2.ModifyInstancePlacement(ctx, &ec2.ModifyInstancePlacementInput{InstanceId: &id, GroupName: new("apart")}))(t)
	must(c.ec2.ModifyInstanceCapacityReservationAttributes(ctx, &ec2.ModifyInstanceCapacityReservationAttributesInput{
		InstanceId: &id, CapacityReservationSpecification: &ec2types.CapacityReservationSpecification{CapacityReservationPreference: ec2types.CapacityReservationPreferenceNone},
	}))(t)
	must(c.ec2.ModifyPrivateDnsNameOptions(ctx, &ec2.ModifyPrivateDnsNameOptionsInput{InstanceId: &id, EnableResourceNameDnsARecord: new(true)}))(t)
	must(c.ec2.ModifyInstanceNetworkPerformanceOptions(ctx, &ec2.ModifyInstanceNetworkPerformanceOptionsInput{InstanceId: &id, BandwidthWeighting: ec2types.InstanceBandwidthWeightingDefault}))(t)
	cpu := must(c.ec2.ModifyInstanceCpuOptions(ctx, &ec2.ModifyInstanceCpuOptionsInput{InstanceId: &id, CoreCount: new(int32(1)), ThreadsPerCore: new(int32(1))}))(t)
	kinds := must(c.ec2.DescribeInstanceTypes(ctx, &ec2.DescribeInstanceTypesInput{InstanceTypes: []ec2types.InstanceType{"inf1.xlarge"}}))(t).InstanceTypes
	if a := kinds[0].InferenceAcceleratorInfo; a == nil || len(a.Accelerators) != 1 || *a.Accelerators[0].Name != "Inferentia" { // its items are called member
		t.Errorf("accelerators %+v", a)
	}
	i := c.instance(t, id)
	if *cpu.CoreCount != 1 || *cpu.ThreadsPerCore != 1 || *cpu.InstanceId != id || *i.CpuOptions.ThreadsPerCore != 1 {
		t.Errorf("CPU options answered %+v, the instance has %+v", cpu, i.CpuOptions)
	}
	if i.MaintenanceOptions.AutoRecovery != ec2types.InstanceAutoRecoveryStateDisabled || *i.Placement.GroupName != "apart" ||
		i.CapacityReservationSpecification.CapacityReservationPreference != ec2types.CapacityReservationPreferenceNone || !*i.PrivateDnsNameOptions.EnableResourceNameDnsARecord {
		t.Errorf("instance %+v %+v %+v %+v", i.MaintenanceOptions, i.Placement, i.CapacityReservationSpecification, i.PrivateDnsNameOptions)
	}
	if all := must(c.ec2.DescribeCapacityReservations(ctx, &ec2.DescribeCapacityReservationsInput{}))(t).CapacityReservations; len(all) != 0 {
		t.Errorf("reservations %+v", all)
	}
	face := i.NetworkInterfaces[0].NetworkInterfaceId
	must(c.ec2.ModifyNetworkInterfaceAttribute(ctx, &ec2.ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: face, SourceDestCheck: &ec2types.AttributeBooleanValue{Value: new(false)}}))(t)
	if i := c.instance(t, id); *i.NetworkInterfaces[0].SourceDestCheck {
		t.Error("the interface still checks sources")
	}
	types := must(c.ec2.GetInstanceTypesFromInstanceRequirements(ctx, &ec2.GetInstanceTypesFromInstanceRequirementsInput{
		ArchitectureTypes: []ec2types.ArchitectureType{ec2types.ArchitectureTypeX8664}, VirtualizationTypes: []ec2types.VirtualizationType{ec2types.VirtualizationTypeHvm},
		InstanceRequirements: &ec2types.InstanceRequirementsRequest{
			VCpuCount: &ec2types.VCpuCountRangeRequest{Min: new(int32(2)), Max: new(int32(2))}, MemoryMiB: &ec2types.MemoryMiBRequest{Min: new(int32(1024))},
		},
	}))(t).InstanceTypes
	if len(types) == 0 {
		t.Error("no type has two processors")
	}
}

// TestNetworkSettingsChange, of a subnet, a security group's rules and an address.
func TestNetworkSettingsChange(t *testing.T) {
	c, ctx := admin(t), t.Context()
	id := c.runInstance(t)
	subnet := c.instance(t, id).SubnetId
	must(c.ec2.ModifySubnetAttribute(ctx, &ec2.ModifySubnetAttributeInput{SubnetId: subnet, MapPublicIpOnLaunch: &ec2types.AttributeBooleanValue{Value: new(false)}}))(t)
	if s := must(c.ec2.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{SubnetIds: []string{*subnet}}))(t).Subnets; *s[0].MapPublicIpOnLaunch {
		t.Error("the subnet still gives public addresses")
	}
	group := must(c.ec2.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{GroupName: new("web"), Description: new("web")}))(t).GroupId
	rule := must(c.ec2.AuthorizeSecurityGroupIngress(ctx, &ec2.AuthorizeSecurityGroupIngressInput{
		GroupId: group, IpPermissions: []ec2types.IpPermission{{IpProtocol: new("tcp"), FromPort: new(int32(443)), ToPort: new(int32(443)), IpRanges: []ec2types.IpRange{{CidrIp: new("0.0.0.0/0")}}}},
	}))(t).SecurityGroupRules[0].SecurityGroupRuleId
	must(c.ec2.ModifySecurityGroupRules(ctx, &ec2.ModifySecurityGroupRulesInput{GroupId: group, SecurityGroupRules: []ec2types.SecurityGroupRuleUpdate{{
		SecurityGroupRuleId: rule, SecurityGroupRule: &ec2types.SecurityGroupRuleRequest{IpProtocol: new("tcp"), FromPort: new(int32(443)), ToPort: new(int32(443)), CidrIpv4: new("10.0.0.0/8")},
	}}}))(t)
	must(c.ec2.UpdateSecurityGroupRuleDescriptionsIngress(ctx, &ec2.UpdateSecurityGroupRuleDescriptionsIngressInput{
		GroupId: group, SecurityGroupRuleDescriptions: []ec2types.SecurityGroupRuleDescription{{SecurityGroupRuleId: rule, Description: new("inside")}},
	}))(t)
	must(c.ec2.UpdateSecurityGroupRuleDescriptionsEgress(ctx, &ec2.UpdateSecurityGroupRuleDescriptionsEgressInput{
		GroupId: group, IpPermissions: []ec2types.IpPermission{{IpProtocol: new("-1"), IpRanges: []ec2types.IpRange{{CidrIp: new("0.0.0.0/0"), Description: new("out")}}}},
	}))(t)
	for _, r := range must(c.ec2.DescribeSecurityGroupRules(ctx, &ec2.DescribeSecurityGroupRulesInput{Filters: []ec2types.Filter{{Name: new("group-id"), Values: []string{*group}}}}))(t).SecurityGroupRules {
		want := [2]string{"10.0.0.0/8", "inside"}
		if *r.IsEgress {
			want = [2]string{"0.0.0.0/0", "out"}
		}
		if got := [2]string{*r.CidrIpv4, *r.Description}; got != want {
			t.Errorf("rule %v, want %v", got, want)
		}
	}
	address := must(c.ec2.AllocateAddress(ctx, &ec2.AllocateAddressInput{}))(t)
	association := must(c.ec2.AssociateAddress(ctx, &ec2.AssociateAddressInput{AllocationId: address.AllocationId, InstanceId: &id}))(t).AssociationId
	if a := must(c.ec2.DescribeAddressesAttribute(ctx, &ec2.DescribeAddressesAttributeInput{AllocationIds: []string{*address.AllocationId}, Attribute: ec2types.AddressAttributeNameDomainName}))(t).Addresses; len(a) != 0 {
		t.Errorf("an address has a domain name: %+v", a)
	}
	must(c.ec2.DisassociateAddress(ctx, &ec2.DisassociateAddressInput{AssociationId: association}))(t)
	if a := must(c.ec2.DescribeAddresses(ctx, &ec2.DescribeAddressesInput{AllocationIds: []string{*address.AllocationId}}))(t).Addresses; a[0].AssociationId != nil {
		t.Errorf("the address is still associated: %+v", a)
	}
}

// TestImagesAreDisabledAndDeprecated, and protected from being deregistered; and the serial console of an account.
func TestImagesAreDisabledAndDeprecated(t *testing.T) {
	c, ctx := admin(t), t.Context()
	id := c.runInstance(t)
	image := *must(c.ec2.CreateImage(ctx, &ec2.CreateImageInput{InstanceId: &id, Name: new("golden")}))(t).ImageId
	show := func() ec2types.Image {
		return must(c.ec2.DescribeImages(ctx, &ec2.DescribeImagesInput{ImageIds: []string{image}, IncludeDeprecated: new(true), IncludeDisabled: new(true)}))(t).Images[0]
	}
	eventually(t, image+" available", func() (bool, string) {
		s := show().State
		return s == ec2types.ImageStateAvailable, string(s)
	})
	must(c.ec2.EnableImageDeprecation(ctx, &ec2.EnableImageDeprecationInput{ImageId: &image, DeprecateAt: new(time.Now().Add(48 * time.Hour))}))(t)
	if show().DeprecationTime == nil {
		t.Error("the image is not deprecated")
	}
	must(c.ec2.DisableImageDeprecation(ctx, &ec2.DisableImageDeprecationInput{ImageId: &image}))(t)
	must(c.ec2.EnableImageDeregistrationProtection(ctx, &ec2.EnableImageDeregistrationProtectionInput{ImageId: &image}))(t)
	refused(c.ec2.DeregisterImage(ctx, &ec2.DeregisterImageInput{ImageId: &image}))(t, "OperationNotPermitted")
	must(c.ec2.DisableImageDeregistrationProtection(ctx, &ec2.DisableImageDeregistrationProtectionInput{ImageId: &image}))(t)
	must(c.ec2.DisableImage(ctx, &ec2.DisableImageInput{ImageId: &image}))(t)
	if s := show().State; s != ec2types.ImageStateDisabled {
		t.Errorf("the image is %s", s)
	}
	must(c.ec2.EnableImage(ctx, &ec2.EnableImageInput{ImageId: &image}))(t)
	if i := show(); i.State != ec2types.ImageStateAvailable || i.DeprecationTime != nil {
		t.Errorf("image %+v", i)
	}
	for _, on := range []bool{true, false} {
		if on {
			must(c.ec2.EnableSerialConsoleAccess(ctx, &ec2.EnableSerialConsoleAccessInput{}))(t)
		} else {
			must(c.ec2.DisableSerialConsoleAccess(ctx, &ec2.DisableSerialConsoleAccessInput{}))(t)
		}
		if got := *must(c.ec2.GetSerialConsoleAccessStatus(ctx, &ec2.GetSerialConsoleAccessStatusInput{}))(t).SerialConsoleAccessEnabled; got != on {
			t.Errorf("serial console %t, want %t", got, on)
		}
	}
}

func TestDefaultsOfLaunchesAndTheArchive(t *testing.T) {
	c, ctx := admin(t), t.Context()
	must(c.ec2.ModifyInstanceMetadataDefaults(ctx, &ec2.ModifyInstanceMetadataDefaultsInput{
		HttpTokens: ec2types.MetadataDefaultHttpTokensStateRequired, HttpPutResponseHopLimit: new(int32(3)),
	}))(t)
	if d := must(c.ec2.GetInstanceMetadataDefaults(ctx, &ec2.GetInstanceMetadataDefaultsInput{}))(t).AccountLevel; d.HttpTokens != ec2types.HttpTokensStateRequired || *d.HttpPutResponseHopLimit != 3 {
		t.Errorf("the defaults are %+v", d)
	}
	must(c.ec2.ModifyDefaultCreditSpecification(ctx, &ec2.ModifyDefaultCreditSpecificationInput{InstanceFamily: ec2types.UnlimitedSupportedInstanceFamilyT3, CpuCredits: new("standard")}))(t)
	if s := must(c.ec2.GetDefaultCreditSpecification(ctx, &ec2.GetDefaultCreditSpecificationInput{InstanceFamily: ec2types.UnlimitedSupportedInstanceFamilyT3}))(t); *s.InstanceFamilyCreditSpecification.CpuCredits != "standard" {
		t.Errorf("the default credits are %+v", s.InstanceFamilyCreditSpecification)
	}

	id := c.snapshotOf(t, c.createVolume(t, ""))
	if out := must(c.ec2.ModifySnapshotTier(ctx, &ec2.ModifySnapshotTierInput{SnapshotId: &id, StorageTier: ec2types.TargetStorageTierArchive}))(t); *out.SnapshotId != id || out.TieringStartTime == nil {
		t.Errorf("ModifySnapshotTier answers %+v", out)
	}
	tier := func(want ec2types.StorageTier) {
		t.Helper()
		eventually(t, id+" in the tier "+string(want), func() (bool, string) {
			s := must(c.ec2.DescribeSnapshotTierStatus(ctx, &ec2.DescribeSnapshotTierStatusInput{}))(t).SnapshotTierStatuses[0]
			return s.StorageTier == want, string(s.StorageTier)
		})
	}
	tier(ec2types.StorageTierArchive)
	if out := must(c.ec2.RestoreSnapshotTier(ctx, &ec2.RestoreSnapshotTierInput{SnapshotId: &id, TemporaryRestoreDays: new(int32(5))}))(t); *out.RestoreDuration != 5 || *out.IsPermanentRestore {
		t.Errorf("RestoreSnapshotTier answers %+v", out)
	}
	tier(ec2types.StorageTierStandard)
}
