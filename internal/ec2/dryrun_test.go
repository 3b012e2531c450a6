package ec2_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/app"
	"github.com/kagimori/kagimori/internal/sigv4"
	"github.com/kagimori/kagimori/internal/testkit"
)

// A stage is a server with one of everything that EC2 has, for tests through the gateway.
type stage struct {
	srv   *testkit.Server
	ec2   *testkit.Client
	image string
	// Ids of what there is. stopped is an instance, root its root volume.
	stopped, root, volume, attached, snapshot, own, vpc, subnet, group, template, address, fleet, spot, spotFleet, rule, association, face string
}

func newStage(t *testing.T) *stage {
	t.Helper()
	begin := time.Now() // service time moves when the test says so, however slow the machine is
	srv := testkit.Start(t, testkit.Options{Configure: func(cfg *app.Config) { cfg.Wall = func() time.Time { return begin } }})
	s := &stage{srv: srv, ec2: srv.As(testkit.Admin(mine)).EC2}
	s.image = *testkit.Call[ec2api.DescribeImagesResult](s.ec2, "DescribeImages", &ec2api.DescribeImagesRequest{
		Owners: []string{"amazon"}, Filters: []ec2api.Filter{filter("architecture", "x86_64")},
	}).Images[0].ImageId
	run := testkit.Call[ec2api.Reservation](s.ec2, "RunInstances", s.run())
	s.stopped = *run.Instances[0].InstanceId
	size := new(int32(1))
	zone := run.Instances[0].Placement.AvailabilityZone
	volume := func() string {
		return *testkit.Call[ec2api.Volume](s.ec2, "CreateVolume", &ec2api.CreateVolumeRequest{Size: size, AvailabilityZone: zone}).VolumeId
	}
	s.volume, s.attached = volume(), volume()
	srv.Advance(5 * time.Second)
	testkit.Call[ec2api.StopInstancesResult](s.ec2, "StopInstances", &ec2api.StopInstancesRequest{InstanceIds: []string{s.stopped}})
	srv.Advance(5 * time.Second)
	testkit.Call[ec2api.VolumeAttachment](s.ec2, "AttachVolume", &ec2api.AttachVolumeRequest{VolumeId: &s.attached, InstanceId: &s.stopped, Device: new("/dev/sdg")})
	now := testkit.Call[ec2api.DescribeInstancesResult](s.ec2, "DescribeInstances", &ec2api.DescribeInstancesRequest{InstanceIds: []string{s.stopped}})
	s.face = *now.Reservations[0].Instances[0].NetworkInterfaces[0].NetworkInterfaceId
	s.root = *now.Reservations[0].Instances[0].BlockDeviceMappings[0].Ebs.VolumeId
	s.snapshot = *testkit.Call[ec2api.Snapshot](s.ec2, "CreateSnapshot", &ec2api.CreateSnapshotRequest{VolumeId: &s.volume}).SnapshotId
	srv.Advance(5 * time.Second)
	s.own = *testkit.Call[ec2api.RegisterImageResult](s.ec2, "RegisterImage", s.register("own")).ImageId
	s.vpc = *testkit.Call[ec2api.CreateVpcResult](s.ec2, "CreateVpc", &ec2api.CreateVpcRequest{CidrBlock: new("10.0.0.0/16")}).Vpc.VpcId
	s.subnet = *testkit.Call[ec2api.CreateSubnetResult](s.ec2, "CreateSubnet", &ec2api.CreateSubnetRequest{VpcId: &s.vpc, CidrBlock: new("10.0.0.0/24")}).Subnet.SubnetId
	s.group = *testkit.Call[ec2api.CreateSecurityGroupResult](s.ec2, "CreateSecurityGroup", &ec2api.CreateSecurityGroupRequest{
		GroupName: new("web"), Description: new("web"), VpcId: &s.vpc,
	}).GroupId
	s.rule = *testkit.Call[ec2api.AuthorizeSecurityGroupIngressResult](s.ec2, "AuthorizeSecurityGroupIngress", &ec2api.AuthorizeSecurityGroupIngressRequest{
		GroupId: &s.group, IpPermissions: openPort(80),
	}).SecurityGroupRules[0].SecurityGroupRuleId
	testkit.Call[ec2api.KeyPair](s.ec2, "CreateKeyPair", &ec2api.CreateKeyPairRequest{KeyName: new("me")})
	testkit.Call[ec2api.CreatePlacementGroupResult](s.ec2, "CreatePlacementGroup", &ec2api.CreatePlacementGroupRequest{GroupName: new("near"), Strategy: new("cluster")})
	s.template = *testkit.Call[ec2api.CreateLaunchTemplateResult](s.ec2, "CreateLaunchTemplate", s.newTemplate("web")).LaunchTemplate.LaunchTemplateId
	testkit.Call[ec2api.CreateLaunchTemplateVersionResult](s.ec2, "CreateLaunchTemplateVersion", s.newVersion())
	s.address = *testkit.Call[ec2api.AllocateAddressResult](s.ec2, "AllocateAddress", &ec2api.AllocateAddressRequest{}).AllocationId
	plugged := testkit.Call[ec2api.AllocateAddressResult](s.ec2, "AllocateAddress", &ec2api.AllocateAddressRequest{}).AllocationId
	s.association = *testkit.Call[ec2api.AssociateAddressResult](s.ec2, "AssociateAddress", &ec2api.AssociateAddressRequest{AllocationId: plugged, InstanceId: &s.stopped}).AssociationId
	s.fleet = *testkit.Call[ec2api.CreateFleetResult](s.ec2, "CreateFleet", s.newFleet(0)).FleetId
	s.spot = *testkit.Call[ec2api.RequestSpotInstancesResult](s.ec2, "RequestSpotInstances", s.newSpot()).SpotInstanceRequests[0].SpotInstanceRequestId
	s.spotFleet = *testkit.Call[ec2api.RequestSpotFleetResponse](s.ec2, "RequestSpotFleet", s.newSpotFleet()).SpotFleetRequestId
	srv.Advance(5 * time.Second)
	return s
}

func (s *stage) run() *ec2api.RunInstancesRequest {
	return &ec2api.RunInstancesRequest{ImageId: &s.image, InstanceType: new("m5.large"), MinCount: new(int32(1)), MaxCount: new(int32(1))}
}

func (s *stage) register(name string) *ec2api.RegisterImageRequest {
	return &ec2api.RegisterImageRequest{
		Name: &name, Architecture: new("x86_64"), RootDeviceName: new(rootDevice), VirtualizationType: new("hvm"),
		BlockDeviceMappings: []ec2api.BlockDeviceMapping{{DeviceName: new(rootDevice), Ebs: &ec2api.EbsBlockDevice{SnapshotId: &s.snapshot}}},
	}
}

func (s *stage) newTemplate(name string) *ec2api.CreateLaunchTemplateRequest {
	return &ec2api.CreateLaunchTemplateRequest{LaunchTemplateName: &name, LaunchTemplateData: &ec2api.RequestLaunchTemplateData{
		ImageId: &s.image, InstanceType: new("m5.large"),
	}}
}

func (s *stage) newVersion() *ec2api.CreateLaunchTemplateVersionRequest {
	return &ec2api.CreateLaunchTemplateVersionRequest{LaunchTemplateName: new("web"), LaunchTemplateData: &ec2api.RequestLaunchTemplateData{
		ImageId: &s.image, InstanceType: new("m5.xlarge"),
	}}
}

func (s *stage) newFleet(capacity int32) *ec2api.CreateFleetRequest {
	return &ec2api.CreateFleetRequest{
		Type: new("maintain"), TargetCapacitySpecification: &ec2api.TargetCapacitySpecificationRequest{TotalTargetCapacity: &capacity, DefaultTargetCapacityType: new("on-demand")},
		LaunchTemplateConfigs: []ec2api.FleetLaunchTemplateConfigRequest{{
			LaunchTemplateSpecification: &ec2api.FleetLaunchTemplateSpecificationRequest{LaunchTemplateName: new("web"), Version: new("1")},
		}},
	}
}

func (s *stage) newSpot() *ec2api.RequestSpotInstancesRequest {
	return &ec2api.RequestSpotInstancesRequest{
		ValidFrom:           new(time.Now().Add(48 * time.Hour)),
		LaunchSpecification: &ec2api.RequestSpotLaunchSpecification{ImageId: &s.image, InstanceType: new("m5.large")},
	}
}

func (s *stage) newSpotFleet() *ec2api.RequestSpotFleetRequest {
	return &ec2api.RequestSpotFleetRequest{SpotFleetRequestConfig: &ec2api.SpotFleetRequestConfigData{
		IamFleetRole: new("arn:aws:iam::" + mine + ":role/fleet"), TargetCapacity: new(int32(0)),
		LaunchTemplateConfigs: []ec2api.LaunchTemplateConfig{{
			LaunchTemplateSpecification: &ec2api.FleetLaunchTemplateSpecification{LaunchTemplateName: new("web"), Version: new("1")},
		}},
	}}
}

func openPort(port int32) []ec2api.IpPermission {
	return []ec2api.IpPermission{{IpProtocol: new("tcp"), FromPort: &port, ToPort: &port, IpRanges: []ec2api.IpRange{{CidrIp: new("10.0.0.0/8")}}}}
}

// mutations are requests that would succeed, one for each operation that changes something and has
// DryRun.
func (s *stage) mutations() []any {
	id := []string{s.stopped}
	return []any{
		&ec2api.AllocateAddressRequest{},
		&ec2api.ModifyAddressAttributeRequest{AllocationId: &s.address, DomainName: new("example.com")},
		&ec2api.ResetAddressAttributeRequest{AllocationId: &s.address, Attribute: new("domain-name")},
		&ec2api.ListImagesInRecycleBinRequest{},
		&ec2api.CreateSubnetCidrReservationRequest{SubnetId: &s.subnet, Cidr: new("10.0.0.32/28"), ReservationType: new("prefix")},
		&ec2api.DeleteSubnetCidrReservationRequest{SubnetCidrReservationId: s.reserveRange("10.0.0.16/28")},
		&ec2api.AssociateSecurityGroupVpcRequest{GroupId: &s.group, VpcId: s.vpcIn("10.9.0.0/16")},
		s.leaveVPC("10.10.0.0/16"),
		&ec2api.CreateSpotDatafeedSubscriptionRequest{Bucket: new("logs")},
		&ec2api.DeleteSpotDatafeedSubscriptionRequest{},
		&ec2api.CreateInstanceEventWindowRequest{CronExpression: new("* 0-4 * * *")},
		&ec2api.ModifyInstanceEventWindowRequest{InstanceEventWindowId: s.eventWindow(), Name: new("night")},
		&ec2api.AssociateInstanceEventWindowRequest{InstanceEventWindowId: s.eventWindow(), AssociationTarget: &ec2api.InstanceEventWindowAssociationRequest{InstanceIds: id}},
		&ec2api.DisassociateInstanceEventWindowRequest{InstanceEventWindowId: s.eventWindow(), AssociationTarget: &ec2api.InstanceEventWindowDisassociationRequest{InstanceIds: id}},
		&ec2api.DeleteInstanceEventWindowRequest{InstanceEventWindowId: s.eventWindow()},
		&ec2api.AssociateAddressRequest{AllocationId: &s.address, InstanceId: &s.stopped},
		&ec2api.AttachVolumeRequest{VolumeId: &s.volume, InstanceId: &s.stopped, Device: new("/dev/sdh")},
		&ec2api.AuthorizeSecurityGroupEgressRequest{GroupId: &s.group, IpPermissions: openPort(81)},
		&ec2api.AuthorizeSecurityGroupIngressRequest{GroupId: &s.group, IpPermissions: openPort(81)},
		&ec2api.CancelSpotFleetRequestsRequest{SpotFleetRequestIds: []string{s.spotFleet}, TerminateInstances: new(true)},
		&ec2api.CancelSpotInstanceRequestsRequest{SpotInstanceRequestIds: []string{s.spot}},
		&ec2api.CopyImageRequest{SourceImageId: &s.own, SourceRegion: new(testkit.Region), Name: new("copy")},
		&ec2api.CopySnapshotRequest{SourceSnapshotId: &s.snapshot, SourceRegion: new(testkit.Region)},
		&ec2api.CopyVolumesRequest{SourceVolumeId: &s.volume},
		&ec2api.CreateImageRequest{InstanceId: &s.stopped, Name: new("of-instance")},
		&ec2api.CreateKeyPairRequest{KeyName: new("you")},
		s.newTemplate("other"), s.newVersion(),
		&ec2api.CreatePlacementGroupRequest{GroupName: new("far"), Strategy: new("spread")},
		&ec2api.CreateSecurityGroupRequest{GroupName: new("db"), Description: new("db"), VpcId: &s.vpc},
		&ec2api.CreateSnapshotRequest{VolumeId: &s.volume},
		&ec2api.CreateSnapshotsRequest{InstanceSpecification: &ec2api.InstanceSpecification{InstanceId: &s.stopped}},
		&ec2api.CreateSubnetRequest{VpcId: &s.vpc, CidrBlock: new("10.0.1.0/24")},
		&ec2api.CreateTagsRequest{Resources: []string{s.volume}, Tags: tagList("a", "b")},
		&ec2api.CreateVolumeRequest{Size: new(int32(1)), AvailabilityZone: new(testkit.Region + "a")},
		&ec2api.CreateVpcRequest{CidrBlock: new("10.1.0.0/16")},
		&ec2api.DeleteFleetsRequest{FleetIds: []string{s.fleet}, TerminateInstances: new(true)},
		&ec2api.DeleteKeyPairRequest{KeyName: new("me")},
		&ec2api.DeleteLaunchTemplateRequest{LaunchTemplateId: &s.template},
		&ec2api.DeleteLaunchTemplateVersionsRequest{LaunchTemplateId: &s.template, Versions: []string{"2"}},
		&ec2api.DeletePlacementGroupRequest{GroupName: new("near")},
		&ec2api.DeleteSecurityGroupRequest{GroupId: &s.group},
		&ec2api.DeleteSnapshotRequest{SnapshotId: &s.snapshot},
		&ec2api.DeleteSubnetRequest{SubnetId: &s.subnet},
		&ec2api.DeleteTagsRequest{Resources: []string{s.volume}},
		&ec2api.DeleteVolumeRequest{VolumeId: &s.volume},
		&ec2api.DeleteVpcRequest{VpcId: &s.vpc},
		&ec2api.DeregisterImageRequest{ImageId: &s.own},
		&ec2api.DetachVolumeRequest{VolumeId: &s.attached},
		&ec2api.DisassociateAddressRequest{AssociationId: &s.association},
		&ec2api.ModifyInstanceCapacityReservationAttributesRequest{InstanceId: &s.stopped, CapacityReservationSpecification: &ec2api.CapacityReservationSpecification{
			CapacityReservationPreference: new("none"),
		}},
		&ec2api.ModifyPrivateDnsNameOptionsRequest{InstanceId: &s.stopped, EnableResourceNameDnsARecord: new(true)},
		&ec2api.ModifyInstanceCpuOptionsRequest{InstanceId: &s.stopped, CoreCount: new(int32(1)), ThreadsPerCore: new(int32(2))},
		&ec2api.ModifyInstanceNetworkPerformanceRequest{InstanceId: &s.stopped, BandwidthWeighting: new("default")},
		&ec2api.ModifyNetworkInterfaceAttributeRequest{NetworkInterfaceId: &s.face, SourceDestCheck: &ec2api.AttributeBooleanValue{Value: new(false)}},
		&ec2api.ModifySecurityGroupRulesRequest{GroupId: &s.group, SecurityGroupRules: []ec2api.SecurityGroupRuleUpdate{{
			SecurityGroupRuleId: &s.rule, SecurityGroupRule: &ec2api.SecurityGroupRuleRequest{IpProtocol: new("-1"), CidrIpv4: new("10.0.0.0/8")},
		}}},
		&ec2api.UpdateSecurityGroupRuleDescriptionsIngressRequest{GroupId: &s.group, SecurityGroupRuleDescriptions: []ec2api.SecurityGroupRuleDescription{{
			SecurityGroupRuleId: &s.rule, Description: new("web"),
		}}},
		&ec2api.UpdateSecurityGroupRuleDescriptionsEgressRequest{GroupId: &s.group, IpPermissions: []ec2api.IpPermission{{
			IpProtocol: new("-1"), IpRanges: []ec2api.IpRange{{CidrIp: new("0.0.0.0/0"), Description: new("all")}},
		}}},
		&ec2api.DisableEbsEncryptionByDefaultRequest{}, &ec2api.EnableEbsEncryptionByDefaultRequest{},
		&ec2api.DisableFastSnapshotRestoresRequest{AvailabilityZones: []string{testkit.Region + "a"}, SourceSnapshotIds: []string{s.snapshot}},
		&ec2api.EnableFastSnapshotRestoresRequest{AvailabilityZones: []string{testkit.Region + "a"}, SourceSnapshotIds: []string{s.snapshot}},
		&ec2api.DisableImageBlockPublicAccessRequest{}, &ec2api.DisableAllowedImagesSettingsRequest{},
		&ec2api.EnableAllowedImagesSettingsRequest{AllowedImagesSettingsState: new("enabled")},
		&ec2api.ReplaceImageCriteriaInAllowedImagesSettingsRequest{ImageCriteria: []ec2api.ImageCriterionRequest{{ImageProviders: []string{"none"}}}},
		&ec2api.EnableImageBlockPublicAccessRequest{ImageBlockPublicAccessState: new("block-new-sharing")},
		&ec2api.DisableSnapshotBlockPublicAccessRequest{}, &ec2api.EnableSnapshotBlockPublicAccessRequest{State: new("block-all-sharing")},
		&ec2api.DisableImageRequest{ImageId: &s.own}, &ec2api.EnableImageRequest{ImageId: &s.own},
		&ec2api.DisableImageDeprecationRequest{ImageId: &s.own}, &ec2api.EnableImageDeprecationRequest{ImageId: &s.own, DeprecateAt: new(time.Now().AddDate(1, 0, 0))},
		&ec2api.DisableImageDeregistrationProtectionRequest{ImageId: &s.own}, &ec2api.EnableImageDeregistrationProtectionRequest{ImageId: &s.own},
		&ec2api.DisableSerialConsoleAccessRequest{}, &ec2api.EnableSerialConsoleAccessRequest{},
		&ec2api.EnableVolumeIORequest{VolumeId: &s.volume},
		&ec2api.ListSnapshotsInRecycleBinRequest{},
		&ec2api.LockSnapshotRequest{SnapshotId: &s.snapshot, LockMode: new("governance"), LockDuration: new(int32(1))},
		&ec2api.UnlockSnapshotRequest{SnapshotId: &s.snapshot},
		&ec2api.ModifyEbsDefaultKmsKeyIdRequest{KmsKeyId: new("alias/aws/ebs")},
		&ec2api.ModifyFleetRequest{FleetId: &s.fleet, TargetCapacitySpecification: &ec2api.TargetCapacitySpecificationRequest{TotalTargetCapacity: new(int32(1))}},
		&ec2api.ModifyImageAttributeRequest{ImageId: &s.own, Description: &ec2api.AttributeValue{Value: new("new")}},
		&ec2api.ModifyInstanceAttributeRequest{InstanceId: &s.stopped, DisableApiTermination: &ec2api.AttributeBooleanValue{Value: new(true)}},
		&ec2api.ModifyInstanceCreditSpecificationRequest{InstanceCreditSpecifications: []ec2api.InstanceCreditSpecificationRequest{{InstanceId: &s.stopped, CpuCredits: new("standard")}}},
		&ec2api.ModifyInstanceMaintenanceOptionsRequest{InstanceId: &s.stopped, AutoRecovery: new("disabled")},
		&ec2api.ModifyInstanceMetadataOptionsRequest{InstanceId: &s.stopped, HttpTokens: new("required")},
		&ec2api.ModifyInstanceMetadataDefaultsRequest{HttpTokens: new("required")},
		&ec2api.ModifyDefaultCreditSpecificationRequest{InstanceFamily: new("t3"), CpuCredits: new("standard")},
		&ec2api.ModifySnapshotTierRequest{SnapshotId: &s.snapshot}, &ec2api.RestoreSnapshotTierRequest{SnapshotId: &s.snapshot, PermanentRestore: new(true)},
		&ec2api.ModifyLaunchTemplateRequest{LaunchTemplateId: &s.template, DefaultVersion: new("2")},
		&ec2api.ModifySnapshotAttributeRequest{SnapshotId: &s.snapshot, Attribute: new("createVolumePermission"), OperationType: new("add"), UserIds: []string{theirs}},
		&ec2api.ModifyVolumeRequest{VolumeId: &s.volume, Size: new(int32(2))},
		&ec2api.ModifyVolumeAttributeRequest{VolumeId: &s.volume, AutoEnableIO: &ec2api.AttributeBooleanValue{Value: new(true)}},
		&ec2api.MonitorInstancesRequest{InstanceIds: id}, &ec2api.UnmonitorInstancesRequest{InstanceIds: id},
		s.register("another"),
		&ec2api.ReleaseAddressRequest{AllocationId: &s.address},
		s.newSpot(), s.newSpotFleet(), s.newFleet(1), s.run(),
		&ec2api.ResetEbsDefaultKmsKeyIdRequest{},
		&ec2api.ResetImageAttributeRequest{ImageId: &s.own, Attribute: new("launchPermission")},
		&ec2api.CancelImageLaunchPermissionRequest{ImageId: &s.own},
		&ec2api.EnableFastLaunchRequest{ImageId: &s.own}, &ec2api.DisableFastLaunchRequest{ImageId: &s.own},
		&ec2api.ResetInstanceAttributeRequest{InstanceId: &s.stopped, Attribute: new("sourceDestCheck")},
		&ec2api.ResetSnapshotAttributeRequest{SnapshotId: &s.snapshot, Attribute: new("createVolumePermission")},
		&ec2api.RevokeSecurityGroupIngressRequest{GroupId: &s.group, IpPermissions: openPort(80)},
		&ec2api.RevokeSecurityGroupEgressRequest{GroupId: &s.group, IpPermissions: []ec2api.IpPermission{{IpProtocol: new("-1"), IpRanges: []ec2api.IpRange{{CidrIp: new("0.0.0.0/0")}}}}},
		&ec2api.StartInstancesRequest{InstanceIds: id}, &ec2api.StopInstancesRequest{InstanceIds: id}, &ec2api.TerminateInstancesRequest{InstanceIds: id},
	}
}

// notStaged are the mutations with DryRun that need what a stage has not got.
var notStaged = map[string]string{
	"CreateDefaultSubnet": "there is one in each zone", "CreateDefaultVpc": "there is one", "CreateReplaceRootVolumeTask": "needs a running instance",
	"RebootInstances": "needs a running instance", "ImportKeyPair": "needs a key", "RestoreSnapshotFromRecycleBin": "the bin is empty",
	"RestoreImageFromRecycleBin": "the bin is empty", "SendDiagnosticInterrupt": "needs a running instance", "ModifyInstanceEventStartTime": "needs an event",
	"ModifyAvailabilityZoneGroup": "needs a zone that one opts in to",
}

// operationOf is the operation with a request: nearly all are called as it is.
func operationOf(in any) string {
	name, all := strings.TrimSuffix(reflect.TypeOf(in).Elem().Name(), "Request"), ec2api.Service().Operations
	if all[name] != nil {
		return name
	}
	for other, op := range all {
		if reflect.TypeOf(op.NewInput()) == reflect.TypeOf(in) {
			return other
		}
	}
	return name
}

// picture is all that can be seen of a stage.
func (s *stage) picture() string {
	var all []any
	add := func(v any) { all = append(all, v) }
	add(testkit.Call[ec2api.DescribeInstancesResult](s.ec2, "DescribeInstances", &ec2api.DescribeInstancesRequest{}))
	add(testkit.Call[ec2api.DescribeVolumesResult](s.ec2, "DescribeVolumes", &ec2api.DescribeVolumesRequest{}))
	add(testkit.Call[ec2api.DescribeSnapshotsResult](s.ec2, "DescribeSnapshots", &ec2api.DescribeSnapshotsRequest{OwnerIds: []string{"self"}}))
	add(testkit.Call[ec2api.DescribeImagesResult](s.ec2, "DescribeImages", &ec2api.DescribeImagesRequest{Owners: []string{"self"}}))
	add(testkit.Call[ec2api.DescribeVpcsResult](s.ec2, "DescribeVpcs", &ec2api.DescribeVpcsRequest{}))
	add(testkit.Call[ec2api.DescribeSubnetsResult](s.ec2, "DescribeSubnets", &ec2api.DescribeSubnetsRequest{}))
	add(testkit.Call[ec2api.DescribeSecurityGroupsResult](s.ec2, "DescribeSecurityGroups", &ec2api.DescribeSecurityGroupsRequest{}))
	add(testkit.Call[ec2api.DescribeKeyPairsResult](s.ec2, "DescribeKeyPairs", &ec2api.DescribeKeyPairsRequest{}))
	add(testkit.Call[ec2api.DescribePlacementGroupsResult](s.ec2, "DescribePlacementGroups", &ec2api.DescribePlacementGroupsRequest{}))
	add(testkit.Call[ec2api.DescribeLaunchTemplatesResult](s.ec2, "DescribeLaunchTemplates", &ec2api.DescribeLaunchTemplatesRequest{}))
	add(testkit.Call[ec2api.DescribeLaunchTemplateVersionsResult](s.ec2, "DescribeLaunchTemplateVersions", &ec2api.DescribeLaunchTemplateVersionsRequest{LaunchTemplateId: &s.template}))
	add(testkit.Call[ec2api.DescribeAddressesResult](s.ec2, "DescribeAddresses", &ec2api.DescribeAddressesRequest{}))
	add(testkit.Call[ec2api.DescribeFleetsResult](s.ec2, "DescribeFleets", &ec2api.DescribeFleetsRequest{}))
	add(testkit.Call[ec2api.DescribeSpotInstanceRequestsResult](s.ec2, "DescribeSpotInstanceRequests", &ec2api.DescribeSpotInstanceRequestsRequest{}))
	add(testkit.Call[ec2api.DescribeSpotFleetRequestsResponse](s.ec2, "DescribeSpotFleetRequests", &ec2api.DescribeSpotFleetRequestsRequest{}))
	add(testkit.Call[ec2api.DescribeCapacityReservationsResult](s.ec2, "DescribeCapacityReservations", &ec2api.DescribeCapacityReservationsRequest{}))
	add(testkit.Call[ec2api.DescribeHostsResult](s.ec2, "DescribeHosts", &ec2api.DescribeHostsRequest{}))
	add(testkit.Call[ec2api.DescribeTagsResult](s.ec2, "DescribeTags", &ec2api.DescribeTagsRequest{}))
	add(testkit.Call[ec2api.GetEbsEncryptionByDefaultResult](s.ec2, "GetEbsEncryptionByDefault", &ec2api.GetEbsEncryptionByDefaultRequest{}))
	add(testkit.Call[ec2api.GetSnapshotBlockPublicAccessStateResult](s.ec2, "GetSnapshotBlockPublicAccessState", &ec2api.GetSnapshotBlockPublicAccessStateRequest{}))
	add(testkit.Call[ec2api.GetAllowedImagesSettingsResult](s.ec2, "GetAllowedImagesSettings", &ec2api.GetAllowedImagesSettingsRequest{}))
	out, _ := json.Marshal(all) // answers always encode
	return string(out)
}

// nobody is a user without permissions.
func (s *stage) nobody() *testkit.Client {
	iam := s.srv.As(testkit.Admin(mine)).IAM
	testkit.Call[iamapi.CreateUserResponse](iam, "CreateUser", &iamapi.CreateUserRequest{UserName: new("nobody")})
	key := testkit.Call[iamapi.CreateAccessKeyResponse](iam, "CreateAccessKey", &iamapi.CreateAccessKeyRequest{UserName: new("nobody")}).AccessKey
	return s.srv.As(sigv4.Credentials{AccessKeyID: *key.AccessKeyId, Secret: *key.SecretAccessKey}).EC2
}

// TestDryRuns: whoever may learns that the request would have succeeded, whoever may not is refused,
// and nothing changes. Source: EC2 API Reference, "Common query parameters", DryRun.
func TestDryRuns(t *testing.T) {
	s := newStage(t)
	nobody := s.nobody()
	mutations := slices.Concat(s.mutations(), s.ofVPCs(), s.ofCapacity())
	before := s.picture()
	seen := map[string]bool{}
	for _, in := range mutations {
		op := operationOf(in)
		seen[op] = true
		reflect.ValueOf(in).Elem().FieldByName("DryRun").Set(reflect.ValueOf(new(true)))
		t.Run(op, func(t *testing.T) {
			want := func(err *apierr.Error, code string, status int) {
				t.Helper()
				if err.Code != code || err.Status != status {
					t.Errorf("got %s (%d): %s; want %s (%d)", err.Code, err.Status, err.Message, code, status)
				}
			}
			want(testkit.Refused(s.ec2, op, in), "DryRunOperation", 412)
			want(testkit.Refused(nobody, op, in), "UnauthorizedOperation", 403)
			if after := s.picture(); after != before {
				t.Errorf("something changed")
				before = after
			}
		})
	}
	for name, op := range ec2api.Service().Operations {
		_, has := reflect.TypeOf(op.NewInput()).Elem().FieldByName("DryRun")
		if reads := strings.HasPrefix(name, "Describe") || strings.HasPrefix(name, "Get"); !has || reads || seen[name] {
			continue
		}
		if notStaged[name] == "" {
			t.Errorf("%s is not tested", name)
		}
	}
}
